//! When an endpoint that fails is put on hold, how it is probed, and when it is let go: thresholds, ladder and states, as pure
//! functions. Decides nothing about a single delivery. docs/RELIABILITY.md has the table.

mod circuit;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

pub use circuit::{Action, Circuit, Happening, Mend, mend};

/// Failures in a row, with no success between, that put an endpoint on hold.
pub const FAILURES_IN_ROW: u32 = 10;
/// Failures in a row after which an endpoint is told to be failing.
pub const FAILING_IN_ROW: u32 = 5;
/// The stretch in which the share of failures counts, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;
/// Fewest attempts within it whose share counts.
pub const WINDOW_ATTEMPTS: u32 = 20;
/// Milliseconds without a success after which an endpoint is disabled: five days.
pub const DISABLE_AFTER_MS: i64 = 5 * 86_400_000;
/// Waits between probes of an endpoint on hold, in seconds; the last one goes on. Bounds how late a recovery is noticed.
pub const PROBE_WAITS_S: [u32; 5] = [15, 30, 60, 120, 300];
/// Deliveries of one endpoint that may wait in the queue for their next attempt; more wait in the table.
pub const MAX_WAITING: u32 = 100;
/// Deliveries a second at which what was held is let go, unless the endpoint's own limit is lower.
pub const DRAIN_PER_S: u32 = 100;

/// How long after an endpoint's failures were forgiven, because somebody asked for it to be delivered to, others are not, in
/// milliseconds: whoever asks all the time would have it never be on hold. It is probed at once then.
pub const FORGIVEN_MS: i64 = 120_000;

/// Why a delivery is held whose endpoint is on hold because it fails: without a time, until the endpoint answers.
pub const REASON: &str = "endpoint_failing";
/// Why a delivery is held that may be tried again at its time, but not wait for it in the queue: [`MAX_WAITING`] do.
pub const REASON_FULL: &str = "retries_full";
/// Why such a delivery is held that is not begun: its endpoint leaves others unanswered. It waits a moment, for the sweeper.
pub const REASON_STALLED: &str = "endpoint_slow";

/// Why an endpoint is on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// [`FAILURES_IN_ROW`] attempts failed with no success between.
    FailuresInRow,
    /// At least half of at least [`WINDOW_ATTEMPTS`] attempts failed within [`WINDOW_MS`].
    FailureShare,
}

impl HoldReason {
    /// The sentence for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::FailuresInRow => "Ten attempts in a row failed.",
            Self::FailureShare => "At least half of at least 20 attempts within a minute failed.",
        }
    }
}

/// That an active endpoint is on hold because it fails: what everybody who delivers must know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: HoldReason,
    /// The first failure after its last success.
    pub failing_since: Timestamp,
}

/// What is known of an endpoint's latest attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Failures since the last success.
    pub failures_in_row: u32,
    /// The first of them.
    pub failing_since: Option<Timestamp>,
    /// Failures within the window.
    pub failed: u32,
    /// Successes within the window.
    pub succeeded: u32,
}

/// Why an endpoint with these numbers is put on hold, if it is.
#[must_use]
pub const fn opens(numbers: &Numbers) -> Option<HoldReason> {
    if numbers.failures_in_row >= FAILURES_IN_ROW {
        return Some(HoldReason::FailuresInRow);
    }
    let attempts = numbers.failed.saturating_add(numbers.succeeded);
    if attempts >= WINDOW_ATTEMPTS && numbers.failed.saturating_mul(2) >= attempts {
        return Some(HoldReason::FailureShare);
    }
    None
}

/// When the next probe follows one sent at `now`, `probes` of this hold having been sent with it.
#[must_use]
pub fn next_probe_at(probes: u32, now: Timestamp) -> Timestamp {
    let step = usize::try_from(probes)
        .unwrap_or(usize::MAX)
        .min(PROBE_WAITS_S.len() - 1);
    now.plus_millis(i64::from(PROBE_WAITS_S[step]) * 1000)
}

/// True if the probe after `probes` of this hold is the newest of what is held, not the oldest. The two take turns: behind a
/// run of deliveries that the receiver cannot take, all of a type that it fails on perhaps, an endpoint that takes everything
/// else would wait until each of them has died.
#[must_use]
pub const fn probes_newest(probes: u32) -> bool {
    probes % 2 == 1
}

/// When an endpoint that is on hold since `since` is looked at again if nothing could be sent as a probe at `now`: at the
/// next step of the ladder, as if all steps before it had been taken.
#[must_use]
pub fn next_look_at(since: Timestamp, now: Timestamp) -> Timestamp {
    let mut probes = 0;
    let mut at = since;
    while at <= now && usize::try_from(probes).is_ok_and(|step| step < PROBE_WAITS_S.len()) {
        at = next_probe_at(probes, at);
        probes += 1;
    }
    if at > now { at } else { next_probe_at(probes, now) }
}

/// True if an endpoint that has failed since `failing_since` is to be disabled.
#[must_use]
pub const fn disables(failing_since: Timestamp, now: Timestamp) -> bool {
    now.millis_since(failing_since) >= DISABLE_AFTER_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(failures_in_row: u32, failed: u32, succeeded: u32) -> Numbers {
        Numbers {
            failures_in_row,
            failed,
            succeeded,
            ..Numbers::default()
        }
    }

    #[test]
    fn ten_in_a_row_open_and_nine_do_not() {
        assert_eq!(opens(&numbers(9, 9, 0)), None);
        assert_eq!(opens(&numbers(10, 10, 0)), Some(HoldReason::FailuresInRow));
    }

    #[test]
    fn half_of_twenty_open_and_less_of_either_does_not() {
        assert_eq!(opens(&numbers(1, 10, 10)), Some(HoldReason::FailureShare));
        assert_eq!(opens(&numbers(1, 9, 11)), None);
        assert_eq!(opens(&numbers(1, 9, 10)), None);
        assert_eq!(opens(&numbers(3, 12, 1188)), None);
    }

    #[test]
    fn a_look_that_found_nothing_to_send_is_followed_by_one_on_the_ladder() {
        let since = Timestamp::from_millis(1_795_000_000_000);
        let next = |after_s: i64| next_look_at(since, since.plus_millis(after_s * 1000)).millis_since(since) / 1000;
        assert_eq!(
            [next(0), next(14), next(15), next(45), next(110)],
            [15, 15, 45, 105, 225]
        );
        assert_eq!([next(225), next(524), next(525), next(9_000)], [525, 525, 825, 9_300]);
    }

    #[test]
    fn probes_follow_the_ladder_and_stay_on_its_last_step() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let waits: Vec<i64> = (0..7)
            .map(|probes| next_probe_at(probes, now).millis_since(now) / 1000)
            .collect();
        assert_eq!(waits, [15, 30, 60, 120, 300, 300, 300]);
    }
}
