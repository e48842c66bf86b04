//! When a failed delivery is tried again: the policy of an endpoint, jitter and `Retry-After`. Reads no clock.

use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

/// Most attempts a policy may ask for. docs/LIMITS.md.
pub const MAX_ATTEMPTS: u32 = 20;
/// Longest wait between two attempts, in seconds: 11.5 hours. SQS refuses a visibility past 12 hours from the receive
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>).
pub const MAX_DELAY_S: u64 = 41_400;
/// Jitter adds at most this share of a delay, never takes away.
pub const MAX_JITTER: f64 = 0.2;
/// Seconds after each failure, unless the endpoint says otherwise: 9 attempts over about 22 hours.
pub const DEFAULT_DELAYS_S: [u32; 8] = [5, 30, 120, 900, 3600, 10_800, 28_800, 36_000];
/// A receiver that is overloaded (429, 502, 504) is given this many times the scheduled wait.
pub const OVERLOAD_FACTOR: u64 = 2;

/// How often and when a delivery is tried. JSON: `{"attempts":n,"delays":[s,..]}`, `{"attempts":n,"base_s":s,"factor":f}`
/// or `{"attempts":n,"delay_ms":ms}`, echoed as given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RetryPolicySpec")]
pub struct RetryPolicy {
    attempts: u32,
    #[serde(flatten)]
    delays: Delays,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Delays {
    List { delays: Vec<u32> },
    Exponential { base_s: u32, factor: f64 },
    Fixed { delay_ms: u64 },
}

/// A policy as a customer writes it, not yet checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicySpec {
    attempts: Option<u32>,
    delays: Option<Vec<u32>>,
    base_s: Option<u32>,
    factor: Option<f64>,
    delay_ms: Option<u64>,
}

impl TryFrom<RetryPolicySpec> for RetryPolicy {
    type Error = Invalid;

    fn try_from(spec: RetryPolicySpec) -> Result<Self, Invalid> {
        let invalid = |field: &'static str, detail: &'static str| Err(Invalid::new("retry_invalid", field, detail));
        let delays = match (spec.delays, spec.base_s, spec.factor, spec.delay_ms) {
            (None, None, None, None) => Delays::List {
                delays: DEFAULT_DELAYS_S.to_vec(),
            },
            (Some(delays), None, None, None) => Delays::List { delays },
            (None, Some(base_s), factor, None) => Delays::Exponential {
                base_s,
                factor: factor.unwrap_or(2.0),
            },
            (None, None, None, Some(delay_ms)) => Delays::Fixed { delay_ms },
            _ => return invalid("retry", "give one of delays, base_s with factor, or delay_ms"),
        };
        let attempts = match (&delays, spec.attempts) {
            (_, Some(attempts)) => attempts,
            (Delays::List { delays }, None) => u32::try_from(delays.len()).unwrap_or(u32::MAX).saturating_add(1),
            (_, None) => DEFAULT_DELAYS_S.len() as u32 + 1,
        };
        if !(1..=MAX_ATTEMPTS).contains(&attempts) {
            return invalid("retry.attempts", "must be 1 to 20");
        }
        match &delays {
            Delays::List { delays } => {
                if delays.is_empty() && attempts > 1 || delays.len() >= MAX_ATTEMPTS as usize {
                    return invalid("retry.delays", "must have 1 to 19 delays");
                }
                if delays.iter().any(|s| *s == 0 || u64::from(*s) > MAX_DELAY_S) {
                    return invalid("retry.delays", "each delay must be 1 to 41400 seconds");
                }
            }
            Delays::Exponential { base_s, factor } => {
                if *base_s == 0 || u64::from(*base_s) > MAX_DELAY_S {
                    return invalid("retry.base_s", "must be 1 to 41400 seconds");
                }
                if !(1.0..=10.0).contains(factor) {
                    return invalid("retry.factor", "must be 1 to 10");
                }
            }
            Delays::Fixed { delay_ms } => {
                if *delay_ms == 0 || *delay_ms > MAX_DELAY_S * 1000 {
                    return invalid("retry.delay_ms", "must be 1 to 41400000 milliseconds");
                }
            }
        }
        Ok(Self { attempts, delays })
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: DEFAULT_DELAYS_S.len() as u32 + 1,
            delays: Delays::List {
                delays: DEFAULT_DELAYS_S.to_vec(),
            },
        }
    }
}

impl RetryPolicy {
    /// A policy of one attempt more than there are delays (in seconds): what `redial serve --schedule` sets.
    ///
    /// # Errors
    /// [`Invalid`] with code `retry_invalid`.
    pub fn from_delays(delays: Vec<u32>) -> Result<Self, Invalid> {
        RetryPolicySpec {
            delays: Some(delays),
            ..RetryPolicySpec::default()
        }
        .try_into()
    }

    /// Attempts in all, 1 to 20.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Seconds to wait after the `n`-th attempt failed (`n` from 1), without jitter. A list that is too short repeats
    /// its last delay.
    #[must_use]
    pub fn delay_s(&self, n: u32) -> u64 {
        let index = n.saturating_sub(1);
        let delay = match &self.delays {
            Delays::List { delays } => delays
                .get(index as usize)
                .or(delays.last())
                .map_or(MAX_DELAY_S, |s| u64::from(*s)),
            Delays::Exponential { base_s, factor } => {
                let grown = f64::from(*base_s) * factor.powi(i32::try_from(index).unwrap_or(i32::MAX));
                if grown < MAX_DELAY_S as f64 {
                    grown.ceil() as u64
                } else {
                    MAX_DELAY_S
                }
            }
            Delays::Fixed { delay_ms } => delay_ms.div_ceil(1000),
        };
        delay.clamp(1, MAX_DELAY_S)
    }
}

/// A wait in whole seconds, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Whole seconds until the next attempt, at most [`MAX_DELAY_S`].
    pub total_s: u64,
    /// True if the receiver's `Retry-After` lengthened it.
    pub asked_by_receiver: bool,
    /// True if it was doubled because the receiver is overloaded.
    pub overloaded: bool,
}

/// How long to wait after the `n`-th attempt failed. `jitter` is a random share from 0 to 1 of the most jitter;
/// `Retry-After` only lengthens.
#[must_use]
pub fn wait(policy: &RetryPolicy, n: u32, overloaded: bool, retry_after_s: Option<u64>, jitter: f64) -> Wait {
    let scheduled = policy.delay_s(n) * if overloaded { OVERLOAD_FACTOR } else { 1 };
    let extra = (scheduled as f64 * MAX_JITTER * jitter.clamp(0.0, 1.0)).round() as u64;
    let own = (scheduled + extra).min(MAX_DELAY_S);
    let asked = retry_after_s.unwrap_or(0).min(MAX_DELAY_S);
    Wait {
        total_s: own.max(asked),
        asked_by_receiver: asked > own,
        overloaded,
    }
}

/// Seconds that a `Retry-After` header asks for, in either form of RFC 9110 section 10.2.3. `None` if it is unreadable,
/// negative or past.
#[must_use]
pub fn retry_after_s(header: &str, now: Timestamp) -> Option<u64> {
    let text = header.trim();
    if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(u64::MAX));
    }
    let at = httpdate::parse_http_date(text)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()?
        .as_secs();
    at.checked_sub(now.as_secs().unsigned_abs()).filter(|s| *s > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(json: &str) -> Result<RetryPolicy, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn the_default_is_nine_attempts_over_a_day() {
        let default = RetryPolicy::default();
        assert_eq!(default.attempts(), 9);
        assert_eq!(
            (1..9).map(|n| default.delay_s(n)).collect::<Vec<_>>(),
            [5, 30, 120, 900, 3600, 10_800, 28_800, 36_000]
        );
    }

    #[test]
    fn a_policy_is_echoed_as_given() {
        for json in [
            r#"{"attempts":4,"delays":[1,1,2]}"#,
            r#"{"attempts":20,"base_s":5,"factor":1.5}"#,
            r#"{"attempts":3,"delay_ms":1500}"#,
        ] {
            assert_eq!(serde_json::to_string(&policy(json).unwrap()).unwrap(), json);
        }
        assert_eq!(policy(r#"{"delays":[1,1,2]}"#).unwrap().attempts(), 4);
        assert_eq!(policy(r#"{"attempts":3,"delay_ms":1500}"#).unwrap().delay_s(1), 2);
    }

    #[test]
    fn refuses_what_could_not_be_kept() {
        for json in [
            r#"{"attempts":0}"#,
            r#"{"attempts":21}"#,
            r#"{"attempts":2,"delays":[]}"#,
            r#"{"delays":[0]}"#,
            r#"{"delays":[41401]}"#,
            r#"{"base_s":5,"factor":0.5}"#,
            r#"{"base_s":5,"delay_ms":5}"#,
            r#"{"delay_ms":0}"#,
            r#"{"tries":3}"#,
        ] {
            assert!(policy(json).is_err(), "{json}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_only_lengthens() {
        let now = Timestamp::from_millis(784_111_777_000);
        assert_eq!(retry_after_s("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(10));
        assert_eq!(retry_after_s("120", now), Some(120));
        for text in ["-1", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT", "1.5"] {
            assert_eq!(retry_after_s(text, now), None, "{text}");
        }
        let default = RetryPolicy::default();
        assert_eq!(wait(&default, 2, false, Some(10), 0.0).total_s, 30);
        assert!(wait(&default, 2, false, Some(100), 0.0).asked_by_receiver);
        assert_eq!(wait(&default, 1, false, Some(u64::MAX), 0.0).total_s, MAX_DELAY_S);
    }

    proptest! {
        #[test]
        fn waits_lie_between_the_schedule_and_its_jitter(n in 1u32..30, jitter in 0.0f64..1.0, overloaded: bool) {
            let policy = RetryPolicy::default();
            let wait = wait(&policy, n, overloaded, None, jitter);
            let least = (policy.delay_s(n) * if overloaded { 2 } else { 1 }).min(MAX_DELAY_S);
            prop_assert!(wait.total_s >= least);
            prop_assert!(wait.total_s as f64 <= (least as f64 * 1.2 + 1.0).min(MAX_DELAY_S as f64));
        }
    }
}
