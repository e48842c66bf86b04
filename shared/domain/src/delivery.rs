//! What happens to a delivery after an attempt: one pure decision, and the sentence that explains it.

use serde::{Deserialize, Serialize};

use crate::hold;
use crate::outcome::{FailureCode, Outcome};
use crate::retry::{self, RetryPolicy, Wait};
use crate::timestamp::Timestamp;

/// Where a delivery stands. docs/ARCHITECTURE.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Accepted, no attempt concluded yet: waits in the delivery queue.
    Queued,
    /// Failed at least once; the next attempt is scheduled.
    Retrying,
    /// Waits outside the queue until its endpoint can take it or `due_at` comes.
    Held,
    /// A receiver answered 2xx.
    Succeeded,
    /// Given up, with a reason.
    Dead,
    /// Will not be delivered: discarded, its endpoint deleted, or erased.
    Canceled,
}

impl DeliveryState {
    /// Every state, in the order of a delivery's life.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Retrying,
        Self::Held,
        Self::Succeeded,
        Self::Dead,
        Self::Canceled,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Canceled => "canceled",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// True if nothing will happen to the delivery any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Canceled)
    }
}

/// Why a delivery was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// The last attempt that the policy allows failed.
    AttemptsExhausted,
    /// The receiver answered 410 Gone; its endpoint is disabled.
    Gone,
    /// The endpoint's address is one that Redial does not connect to.
    Blocked,
    /// The event is no longer stored, so there is nothing to deliver.
    EventMissing,
    /// It died so long ago that its endpoint does not keep it any more: only its event still tells of it. Never recorded.
    RecordExpired,
}

impl DeadReason {
    /// Every reason there is.
    pub const ALL: [Self; 5] = [
        Self::AttemptsExhausted,
        Self::Gone,
        Self::Blocked,
        Self::EventMissing,
        Self::RecordExpired,
    ];

    /// The reason of that code.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// The sentence for people: what happened, and whether delivering it again can help. docs/OPERATIONS.md lists them all.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => {
                "Every attempt that the retry policy allows failed: redrive it once its endpoint answers again."
            }
            Self::Gone => {
                "The receiver answered 410 Gone, which disabled its endpoint: redrive it once the endpoint has a receiver."
            }
            Self::Blocked => {
                "The endpoint's address is one that Redial does not connect to: redrive it once the endpoint has another URL."
            }
            Self::EventMissing => "The event is no longer stored: nothing is left to deliver.",
            Self::RecordExpired => "It died longer ago than its endpoint keeps dead letters.",
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Gone => "gone",
            Self::Blocked => "blocked",
            Self::EventMissing => "event_missing",
            Self::RecordExpired => "record_expired",
        }
    }
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Done.
    Succeeded,
    /// Try again at `at`, after `wait`.
    RetryAt {
        /// When the next attempt may be made.
        at: Timestamp,
        /// How that moment came about.
        wait: Wait,
    },
    /// Give up.
    Dead(DeadReason),
}

/// Decides about a delivery after its `n`-th attempt (from 1), which ended at `now`. `jitter` is random in 0 to 1.
#[must_use]
pub fn decide(outcome: &Outcome, n: u32, policy: &RetryPolicy, now: Timestamp, jitter: f64) -> Decision {
    let (overloaded, retry_after) = match outcome {
        Outcome::Answered(answer) if (200..300).contains(&answer.status) => return Decision::Succeeded,
        Outcome::Answered(answer) if answer.status == 410 => return Decision::Dead(DeadReason::Gone),
        Outcome::Failed(FailureCode::Blocked) => return Decision::Dead(DeadReason::Blocked),
        Outcome::Answered(answer) => {
            let asked = answer
                .retry_after
                .as_deref()
                .and_then(|text| retry::retry_after_s(text, now));
            (matches!(answer.status, 429 | 502 | 504), asked)
        }
        Outcome::Failed(_) => (false, None),
    };
    if n >= policy.attempts() {
        return Decision::Dead(DeadReason::AttemptsExhausted);
    }
    let wait = retry::wait(policy, n, overloaded, retry_after, jitter);
    let wait_ms = i64::try_from(wait.total_s * 1000).unwrap_or(i64::MAX);
    Decision::RetryAt {
        at: now.plus_millis(wait_ms),
        wait,
    }
}

/// The stable code of an attempt's outcome: `ok`, `gone`, `redirect`, `http_error`, or a [`FailureCode`].
#[must_use]
pub const fn attempt_code(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(answer) => match answer.status {
            200..=299 => "ok",
            300..=399 => "redirect",
            410 => "gone",
            _ => "http_error",
        },
        Outcome::Failed(code) => code.as_str(),
    }
}

fn what_happened(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(answer) if (300..400).contains(&answer.status) => {
            format!(
                "The receiver answered {}, a redirect, which is never followed",
                answer.status
            )
        }
        Outcome::Answered(answer) => format!("The receiver answered {}", answer.status),
        Outcome::Failed(FailureCode::Blocked) => "The address is one that Redial does not connect to".to_owned(),
        Outcome::Failed(FailureCode::DnsFailed) => "The host name did not resolve".to_owned(),
        Outcome::Failed(FailureCode::ConnectFailed) => "The connection was refused".to_owned(),
        Outcome::Failed(FailureCode::ConnectTimeout) => "The connection was not there in time".to_owned(),
        Outcome::Failed(FailureCode::TlsFailed) => "The TLS handshake failed".to_owned(),
        Outcome::Failed(FailureCode::Timeout) => "No answer came within the timeout".to_owned(),
        Outcome::Failed(FailureCode::ConnectionClosed) => {
            "The connection closed before the answer was complete".to_owned()
        }
        Outcome::Failed(FailureCode::ProtocolError) => "What came back was not HTTP that can be read".to_owned(),
    }
}

/// The sentence that says what happened, whether the delivery will be tried again, why and when.
#[must_use]
pub fn explain(outcome: &Outcome, decision: &Decision, n: u32, policy: &RetryPolicy) -> String {
    let happened = what_happened(outcome);
    let attempts = policy.attempts();
    match decision {
        Decision::Succeeded => format!("{happened}: delivered at attempt {n}."),
        Decision::RetryAt { at, wait } => {
            let because = match (wait.asked_by_receiver, wait.overloaded) {
                (true, _) => ", as its Retry-After asks",
                (false, true) => ", twice the schedule because it is overloaded",
                (false, false) => "",
            };
            format!(
                "{happened}: attempt {} of {attempts} follows after {} s at {at}{because}.",
                n + 1,
                wait.total_s
            )
        }
        Decision::Dead(DeadReason::AttemptsExhausted) => match attempts.max(n) {
            1 => format!("{happened}: that was the only attempt, the delivery is dead."),
            // The policy may have been shortened since the first ones.
            made => format!("{happened}: that was the last of {made} attempts, the delivery is dead."),
        },
        Decision::Dead(DeadReason::Gone) => {
            format!("{happened}, which means gone for good: the delivery is dead and the endpoint is disabled.")
        }
        Decision::Dead(DeadReason::Blocked) => format!("{happened}: trying again cannot help, the delivery is dead."),
        Decision::Dead(DeadReason::EventMissing) => "The event is no longer stored: the delivery is dead.".to_owned(),
        Decision::Dead(reason @ DeadReason::RecordExpired) => reason.sentence().to_owned(),
    }
}

/// The sentence of a failed attempt whose delivery does not wait for its next one in the queue: because its endpoint is on
/// hold (`full` false), or because too many wait there (`full`). `at` is the earliest moment of the next attempt.
#[must_use]
pub fn explain_held(outcome: &Outcome, at: Timestamp, n: u32, policy: &RetryPolicy, full: bool) -> String {
    let (happened, next, attempts) = (what_happened(outcome), n + 1, policy.attempts());
    if full {
        let waiting = hold::MAX_WAITING;
        return format!(
            "{happened}: attempt {next} of {attempts} follows within minutes of {at}; {waiting} deliveries of the endpoint are being retried already."
        );
    }
    format!(
        "{happened}: the endpoint is on hold because it fails. Attempt {next} of {attempts} follows when it answers again, not before {at}."
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::Answer;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn answered(status: u16) -> Outcome {
        Outcome::Answered(Answer {
            status,
            ..Answer::default()
        })
    }

    #[test]
    fn a_2xx_succeeds_at_any_attempt() {
        for n in 1..=20 {
            assert_eq!(
                decide(&answered(204), n, &RetryPolicy::default(), NOW, 0.5),
                Decision::Succeeded
            );
        }
    }

    #[test]
    fn the_ninth_failure_is_the_last() {
        let policy = RetryPolicy::default();
        assert!(matches!(
            decide(&answered(500), 8, &policy, NOW, 0.0),
            Decision::RetryAt { .. }
        ));
        assert_eq!(
            decide(&answered(500), 9, &policy, NOW, 0.0),
            Decision::Dead(DeadReason::AttemptsExhausted)
        );
    }

    #[test]
    fn what_cannot_succeed_is_not_tried_again() {
        let policy = RetryPolicy::default();
        assert_eq!(
            decide(&answered(410), 1, &policy, NOW, 0.0),
            Decision::Dead(DeadReason::Gone)
        );
        let blocked = Outcome::Failed(FailureCode::Blocked);
        assert_eq!(
            decide(&blocked, 1, &policy, NOW, 0.0),
            Decision::Dead(DeadReason::Blocked)
        );
    }

    #[test]
    fn every_reason_of_a_dead_letter_is_explained_in_the_handbook() {
        let page = include_str!("../../../docs/OPERATIONS.md");
        for reason in DeadReason::ALL {
            let row = format!("| `{}` | {} |", reason.as_str(), reason.sentence());
            assert!(page.contains(&row), "docs/OPERATIONS.md lacks the row: {row}");
            assert_eq!(DeadReason::parse(reason.as_str()), Some(reason));
        }
        let (_, table) = page.split_once("| reason | what it means |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|')).count();
        assert_eq!(rows, DeadReason::ALL.len(), "a reason that there is not");
    }

    #[test]
    fn an_overloaded_receiver_is_given_longer() {
        let policy = RetryPolicy::default();
        let at = |status| match decide(&answered(status), 2, &policy, NOW, 0.0) {
            Decision::RetryAt { at, .. } => at.millis_since(NOW),
            other => unreachable!("{other:?}"),
        };
        assert_eq!(at(500), 30_000);
        for status in [429, 502, 504] {
            assert_eq!(at(status), 60_000, "{status}");
        }
    }

    #[test]
    fn the_sentence_says_when_and_why() {
        let policy = RetryPolicy::default();
        let outcome = answered(500);
        let decision = decide(&outcome, 1, &policy, NOW, 0.0);
        assert_eq!(
            explain(&outcome, &decision, 1, &policy),
            "The receiver answered 500: attempt 2 of 9 follows after 5 s at 2026-11-18T11:06:45.000Z."
        );
    }

    #[test]
    fn the_last_attempt_is_called_what_it_is() {
        let said = |n, attempts: usize| {
            let policy = RetryPolicy::from_delays(vec![1; attempts - 1]).unwrap();
            let decision = decide(&answered(500), n, &policy, NOW, 0.0);
            explain(&answered(500), &decision, n, &policy)
        };
        assert_eq!(
            said(1, 1),
            "The receiver answered 500: that was the only attempt, the delivery is dead."
        );
        for (n, attempts) in [(2, 2), (2, 1)] {
            assert_eq!(
                said(n, attempts),
                "The receiver answered 500: that was the last of 2 attempts, the delivery is dead."
            );
        }
    }

    proptest! {
        #[test]
        fn every_failure_ends_in_a_later_attempt_or_a_reason(status in 100u16..1000, n in 1u32..25, jitter in 0.0f64..1.0, header in ".{0,20}") {
            let outcome = Outcome::Answered(Answer { status, retry_after: Some(header), ..Answer::default() });
            match decide(&outcome, n, &RetryPolicy::default(), NOW, jitter) {
                Decision::Succeeded => prop_assert!((200..300).contains(&status)),
                Decision::RetryAt { at, .. } => {
                    prop_assert!(n < 9);
                    prop_assert!(at > NOW && at.millis_since(NOW) <= 41_400_000);
                }
                Decision::Dead(_) => prop_assert!(n >= 9 || status == 410),
            }
        }
    }
}
