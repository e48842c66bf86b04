//! Endpoints that answer, but so late that their requests take the room of others': when that is said of one, for how long, and
//! how far apart its requests leave then. Pure. Nothing is lost by it and no attempt is spent: its deliveries wait in the
//! endpoint's line, as those of one with a rate limit do. One that fails is another matter: `hold`.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// An attempt that took so long is slow, in milliseconds, whatever came of it.
pub const SLOW_MS: u32 = 5_000;
/// Slow attempts within [`crate::hold::WINDOW_MS`] from which on the endpoint is slow.
pub const SLOW_ATTEMPTS: u32 = 10;
/// One in so many attempts must be slow, of those that were counted.
pub const ONE_IN: u32 = 4;
/// How long it is taken for slow after it was seen to be, in milliseconds: quick answers end it, by nothing more being slow.
pub const KEPT_MS: i64 = 600_000;
/// Requests of a tenant to all its slow endpoints together that may be under way at once: a fifth of the batches that are
/// worked on at once (`DeliveryConcurrency`), were each in one of its own.
pub const AT_ONCE: i64 = 40;

/// That an endpoint is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slow {
    /// Since when.
    pub since: Timestamp,
    /// Until when, unless more slow attempts are seen by then.
    pub until: Timestamp,
}

/// Attempts at an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// All.
    pub all: u32,
    /// Those that took [`SLOW_MS`] or longer.
    pub slow: u32,
}

impl Attempts {
    /// One attempt more.
    #[must_use]
    pub const fn and_one_of(self, duration_ms: u32) -> Self {
        Self {
            all: self.all.saturating_add(1),
            slow: self.slow.saturating_add((duration_ms >= SLOW_MS) as u32),
        }
    }

    /// True if an endpoint that was attempted so within the window is slow.
    #[must_use]
    pub const fn are_slow(self) -> bool {
        self.slow >= SLOW_ATTEMPTS && self.slow.saturating_mul(ONE_IN) >= self.all
    }
}

impl Slow {
    /// What is said of an endpoint that was seen to be slow `now`, `before` having been said of it; `None` if there is nothing
    /// to be added yet.
    #[must_use]
    pub fn seen(before: Option<&Self>, now: Timestamp) -> Option<Self> {
        let going_on = before.filter(|before| before.is_at(now));
        if going_on.is_some_and(|before| before.until.millis_since(now) > KEPT_MS / 2) {
            return None;
        }
        Some(Self {
            since: going_on.map_or(now, |before| before.since),
            until: now.plus_millis(KEPT_MS),
        })
    }

    /// True if it is slow at that moment.
    #[must_use]
    pub fn is_at(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// Least time between two requests to a slow endpoint, in microseconds: so far apart that those to all `endpoints` of its
/// tenant that are slow are at most [`AT_ONCE`] at once, even if each takes its whole timeout.
#[must_use]
pub fn interval_us(timeout_ms: u32, endpoints: usize) -> i64 {
    let endpoints = i64::try_from(endpoints.max(1)).unwrap_or(i64::MAX);
    i64::from(timeout_ms).saturating_mul(1_000).saturating_mul(endpoints) / AT_ONCE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn attempts(all: u32, slow: u32) -> bool {
        Attempts { all, slow }.are_slow()
    }

    #[test]
    fn ten_slow_ones_a_quarter_of_all_are_slow_and_less_of_either_is_not() {
        assert!(attempts(10, 10) && attempts(40, 10));
        assert!(!attempts(9, 9) && !attempts(41, 10));
        let seen = [4_999, 5_000, 29_000].into_iter();
        let seen = seen.fold(Attempts::default(), Attempts::and_one_of);
        assert_eq!(seen, Attempts { all: 3, slow: 2 });
    }

    #[test]
    fn it_ends_ten_minutes_after_it_was_last_seen_and_is_written_twice_in_that_time_at_most() {
        let first = Slow::seen(None, NOW).unwrap();
        assert_eq!((first.since, first.until), (NOW, NOW.plus_millis(600_000)));
        assert!(first.is_at(NOW) && !first.is_at(first.until));
        assert_eq!(Slow::seen(Some(&first), NOW.plus_millis(299_999)), None);
        let later = NOW.plus_millis(300_000);
        let second = Slow::seen(Some(&first), later).unwrap();
        assert_eq!((second.since, second.until), (NOW, later.plus_millis(KEPT_MS)));
        let again = Slow::seen(Some(&second), second.until).unwrap();
        assert_eq!(again.since, second.until, "it was over");
    }

    proptest! {
        #[test]
        fn no_more_are_under_way_at_once(timeouts in proptest::collection::vec(1_000u32..=30_000, 1..=500)) {
            let each = timeouts.iter().map(|timeout_ms| {
                let apart_us = interval_us(*timeout_ms, timeouts.len());
                // Those that leave within one timeout, as a share: thousandths.
                i64::from(*timeout_ms) * 1_000_000 / apart_us
            });
            prop_assert!(each.sum::<i64>() <= AT_ONCE * 1_000 + AT_ONCE);
        }
    }
}
