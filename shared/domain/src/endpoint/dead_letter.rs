//! What becomes of an endpoint's deliveries that died: whether they are kept for a person, and how long. Reads no clock.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

/// Fewest days that dead letters are kept. The sweeper sends a delivery without a record again if its event is younger than
/// 48 hours: a dead one must be on record for longer than that. docs/LIMITS.md.
pub const MIN_DEAD_LETTER_DAYS: u16 = 3;
/// Most days that dead letters are kept, and never longer than their event. docs/LIMITS.md.
pub const MAX_DEAD_LETTER_DAYS: u16 = 365;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// An endpoint's dead-letter settings. JSON: `{"keep":true|false,"days":n}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetter {
    /// False: a delivery that died is on record, and neither listed among the dead letters nor replayed with them.
    pub keep: bool,
    /// Days from its death that a dead delivery is kept; `None`: as long as its event.
    pub days: Option<u16>,
}

impl Default for DeadLetter {
    fn default() -> Self {
        Self { keep: true, days: None }
    }
}

/// Dead-letter settings as a customer writes them, not yet checked.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterSpec {
    keep: Option<bool>,
    days: Option<u16>,
}

impl TryFrom<DeadLetterSpec> for DeadLetter {
    type Error = Invalid;

    fn try_from(spec: DeadLetterSpec) -> Result<Self, Invalid> {
        let days = MIN_DEAD_LETTER_DAYS..=MAX_DEAD_LETTER_DAYS;
        if spec.days.is_some_and(|given| !days.contains(&given)) {
            return Err(Invalid::new(
                "dead_letter_invalid",
                "dead_letter.days",
                "must be 3 to 365",
            ));
        }
        Ok(Self {
            keep: spec.keep.unwrap_or(true),
            days: spec.days,
        })
    }
}

impl DeadLetter {
    /// True for the settings of an endpoint that says nothing about it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Until when a delivery that died at `died_at` is kept; its event expires at `event_expires_at`.
    #[must_use]
    pub fn kept_until(&self, died_at: Timestamp, event_expires_at: Timestamp) -> Timestamp {
        let own = self.days.map(|days| died_at.plus_millis(i64::from(days) * DAY_MS));
        own.map_or(event_expires_at, |own| own.min(event_expires_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<DeadLetter, Invalid> {
        DeadLetter::try_from(serde_json::from_str::<DeadLetterSpec>(json).unwrap())
    }

    #[test]
    fn what_is_not_said_is_kept_as_long_as_its_event() {
        assert_eq!(read("{}"), Ok(DeadLetter::default()));
        assert_eq!(
            read(r#"{"keep":false,"days":7}"#),
            Ok(DeadLetter {
                keep: false,
                days: Some(7)
            })
        );
        let (died_at, expires_at) = (Timestamp::from_millis(5), Timestamp::from_millis(10 * DAY_MS));
        let until = |json| read(json).unwrap().kept_until(died_at, expires_at);
        assert_eq!(until("{}"), expires_at);
        assert_eq!(until(r#"{"days":3}"#), Timestamp::from_millis(5 + 3 * DAY_MS));
        assert_eq!(until(r#"{"days":365}"#), expires_at, "never longer than the event");
    }

    #[test]
    fn fewer_than_three_days_and_more_than_a_year_are_refused() {
        for json in [r#"{"days":2}"#, r#"{"days":366}"#, r#"{"days":0}"#] {
            assert_eq!(read(json).unwrap_err().field, "dead_letter.days", "{json}");
        }
        assert!(read(r#"{"days":3}"#).is_ok() && read(r#"{"days":365}"#).is_ok());
    }

    #[test]
    fn stored_settings_of_a_later_release_are_read() {
        let read: DeadLetter = serde_json::from_str(r#"{"keep":false,"later":1}"#).unwrap();
        assert!(!read.keep);
    }
}
