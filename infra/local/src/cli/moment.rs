//! Moments and spans as people type them: RFC 3339, `now`, or how long ago (`90s`, `30m`, `2h`, `7d`, `4w`). Reads no
//! clock: `now` is an argument.

use std::str::FromStr;

use redial_domain::Timestamp;

const UNITS: [(char, i64); 5] = [
    ('s', 1_000),
    ('m', 60_000),
    ('h', 3_600_000),
    ('d', 86_400_000),
    ('w', 604_800_000),
];

/// The text is neither a moment nor a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidMoment {
    /// Not a moment.
    #[error("give an RFC 3339 time such as 2026-11-20T05:03:46Z, or how long ago, such as 90s, 30m, 2h, 7d")]
    Moment,
    /// Not a span.
    #[error("give a number and a unit, such as 90s, 30m, 2h, 7d")]
    Span,
}

/// A moment, possibly relative to one that is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// This very moment.
    At(Timestamp),
    /// So many milliseconds before now.
    Ago(i64),
}

impl Moment {
    /// The moment, if it is `now` now.
    pub(super) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(ms) => now.plus_millis(-ms),
        }
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        if text == "now" {
            return Ok(Self::Ago(0));
        }
        let span = text.strip_suffix("ago").map_or(text, str::trim_end);
        if let Ok(Span { ms }) = span.parse() {
            return Ok(Self::Ago(ms));
        }
        Timestamp::parse(text).map(Self::At).map_err(|_| InvalidMoment::Moment)
    }
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    ms: i64,
}

impl Span {
    /// Whole seconds, rounded down.
    pub(super) fn as_secs(self) -> i64 {
        self.ms / 1_000
    }
}

impl FromStr for Span {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        let (number, unit_ms) = UNITS
            .iter()
            .find_map(|(letter, ms)| Some((text.strip_suffix(*letter)?, *ms)))
            .ok_or(InvalidMoment::Span)?;
        // `parse` alone would take a sign.
        if number.is_empty() || !number.bytes().all(|c| c.is_ascii_digit()) {
            return Err(InvalidMoment::Span);
        }
        let ms = number
            .parse::<i64>()
            .ok()
            .and_then(|n| n.checked_mul(unit_ms))
            .ok_or(InvalidMoment::Span)?;
        Ok(Self { ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times_count_back_from_now() {
        let now = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
        for (text, expected) in [
            ("now", "2026-11-20T12:00:00.000Z"),
            ("90s", "2026-11-20T11:58:30.000Z"),
            ("30m", "2026-11-20T11:30:00.000Z"),
            ("2h", "2026-11-20T10:00:00.000Z"),
            ("2h ago", "2026-11-20T10:00:00.000Z"),
            ("7d", "2026-11-13T12:00:00.000Z"),
            ("1w", "2026-11-13T12:00:00.000Z"),
            ("2026-11-20T08:00:00+03:00", "2026-11-20T05:00:00.000Z"),
        ] {
            assert_eq!(
                text.parse::<Moment>().unwrap().resolve(now).to_string(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "h",
            "2",
            "-2h",
            "+2h",
            "2.5h",
            "2y",
            "99999999999999999999d",
            "9223372036854775807w",
            "yesterday",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(InvalidMoment::Moment), "{text}");
            assert_eq!(text.parse::<Span>(), Err(InvalidMoment::Span), "{text}");
        }
        assert_eq!("24h".parse::<Span>().unwrap().as_secs(), 86_400);
    }
}
