//! The rate of a job as arithmetic: when each of its messages goes. With a slow start it begins at a few a second and doubles
//! until it is at its rate, so that a receiver that has just come back is not thrown over again. Pure.

use redial_domain::Timestamp;
use redial_platform::pace;
use redial_platform::store::replays::{JobPace, ReplayJob};

/// Lowest rate of a replay, in messages a second.
pub const MIN_RATE: u32 = 1;
/// Highest rate of a replay, in messages a second: the highest of an endpoint.
pub const MAX_RATE: u32 = redial_domain::endpoint::MAX_RATE_LIMIT;
/// Messages a second with which a slow start begins.
const FIRST_PER_S: u32 = 10;
/// How long a step of a slow start takes, in milliseconds; each is twice as fast as the one before.
const STEP_MS: i64 = 30_000;

/// How fast a job sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ramp {
    rate: u32,
    slow_start: bool,
}

impl Ramp {
    /// That of a job; `None` if it sends as fast as it goes.
    pub(crate) fn of(job: &ReplayJob) -> Option<Self> {
        Some(Self {
            rate: job.rate?.max(MIN_RATE),
            slow_start: job.slow_start,
        })
    }

    /// How long after the first message number `sent` (from 0) goes, in milliseconds.
    pub(crate) fn offset_ms(self, sent: u64) -> i64 {
        let (mut per_s, mut before_ms, mut left) = (self.rate, 0, sent);
        if self.slow_start {
            per_s = FIRST_PER_S.min(self.rate);
            while per_s < self.rate {
                let of_step = u64::from(per_s) * STEP_MS.unsigned_abs() / 1000;
                if left < of_step {
                    break;
                }
                left -= of_step;
                before_ms += STEP_MS;
                per_s = (per_s * 2).min(self.rate);
            }
        }
        let rest_ms = left.saturating_mul(1000) / u64::from(per_s);
        i64::try_from(rest_ms).unwrap_or(i64::MAX).saturating_add(before_ms)
    }

    /// Milliseconds that `left` more messages take after `sent`.
    pub(crate) fn takes_ms(self, sent: u64, left: u64) -> i64 {
        self.offset_ms(sent.saturating_add(left))
            .saturating_sub(self.offset_ms(sent))
    }
}

/// The moments of a job's next messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moments {
    ramp: Ramp,
    pace: JobPace,
}

impl Moments {
    /// Those of a job that goes on at `now`; `None` if it has no rate. What it could have sent while nobody worked on it is
    /// not caught up with: the rate holds in every second.
    pub(crate) fn of(job: &ReplayJob, now: Timestamp) -> Option<Self> {
        let ramp = Ramp::of(job)?;
        let pace = job.pace.unwrap_or(JobPace { since: now, sent: 0 });
        let next = pace.since.plus_millis(ramp.offset_ms(pace.sent));
        let late_ms = now.millis_since(next).max(0);
        Some(Self {
            ramp,
            pace: JobPace {
                since: pace.since.plus_millis(late_ms),
                ..pace
            },
        })
    }

    /// The moment of the message with this number, from 0.
    pub(crate) fn at(&self, number: usize) -> Timestamp {
        self.pace
            .since
            .plus_millis(self.ramp.offset_ms(self.pace.sent + number as u64))
    }

    /// Messages whose moments the queue can wait for, none if the next one is too far.
    pub(crate) fn room(&self, now: Timestamp, most: usize) -> usize {
        // Moments only grow.
        let (mut fits, mut beyond) = (0, most + 1);
        while beyond - fits > 1 {
            let middle = usize::midpoint(fits, beyond);
            if pace::is_beyond(self.at(middle - 1), now) {
                beyond = middle;
            } else {
                fits = middle;
            }
        }
        fits
    }

    /// The bookkeeping after `sent` messages.
    pub(crate) const fn after(&self, sent: usize) -> JobPace {
        JobPace {
            since: self.pace.since,
            sent: self.pace.sent + sent as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn a_slow_start_begins_with_ten_a_second_and_doubles_every_half_minute() {
        let ramp = Ramp {
            rate: 100,
            slow_start: true,
        };
        // 300 in the first half minute, 600 in the second, 1,200, 2,400, then 100 a second.
        let offsets = [0, 1, 299, 300, 900, 2_100, 4_500, 4_600].map(|sent| ramp.offset_ms(sent));
        assert_eq!(offsets, [0, 100, 29_900, 30_000, 60_000, 90_000, 120_000, 121_000]);
    }

    #[test]
    fn a_rate_below_the_first_step_is_kept_from_the_beginning() {
        for slow_start in [false, true] {
            let ramp = Ramp { rate: 4, slow_start };
            assert_eq!(
                [0, 1, 4, 1_000].map(|sent| ramp.offset_ms(sent)),
                [0, 250, 1_000, 250_000]
            );
        }
    }

    #[test]
    fn what_was_not_sent_in_time_is_not_caught_up_with() {
        let ramp = Ramp {
            rate: 10,
            slow_start: false,
        };
        let pace = JobPace {
            since: NOW.plus_millis(-600_000),
            sent: 100,
        };
        let next = pace.since.plus_millis(ramp.offset_ms(pace.sent));
        let late_ms = NOW.millis_since(next);
        let moments = Moments {
            ramp,
            pace: JobPace {
                since: pace.since.plus_millis(late_ms),
                ..pace
            },
        };
        assert_eq!((moments.at(0), moments.at(10)), (NOW, NOW.plus_millis(1_000)));
        // The queue waits for 120 s: 1,200 messages, and the one at the very end of it.
        assert_eq!((moments.room(NOW, 5_000), moments.room(NOW, 500)), (1_201, 500));
        assert_eq!(moments.room(NOW.plus_millis(-120_001), 500), 0);
    }

    proptest! {
        #[test]
        fn no_second_has_more_messages_than_the_rate(rate in 1u32..=500, slow_start: bool, sent in 0u64..100_000) {
            let ramp = Ramp { rate, slow_start };
            // The message that is a rate further on goes a second later at the earliest, less a millisecond of rounding.
            prop_assert!(ramp.takes_ms(sent, rate.into()) >= 999);
            prop_assert!(ramp.offset_ms(sent + 1) >= ramp.offset_ms(sent));
        }
    }
}
