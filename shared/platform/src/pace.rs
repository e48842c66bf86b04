//! The rate limit of an endpoint as arithmetic: how far apart its requests leave, which moment a delivery that waits is
//! given, and where it waits until then. Pure; `store::pace` remembers.
//!
//! Two things hold a limit together. A **line**: whoever sends messages reserves a slot for each delivery of a limited
//! endpoint, and the queue keeps the message back until then, so that nothing is received that could not go. And the
//! **pace**: right before its request a delivery is granted a moment, the limit's interval after the last one granted. The
//! pace alone enforces the limit, whoever sends what; the line only sees to it that little comes in vain.

use redial_domain::{Timestamp, slow};

use crate::store::config::{StoredEndpoint, TenantConfig};

/// Why a delivery is held that waits for its endpoint's rate limit.
pub const REASON: &str = "rate_limited";
/// A slot later than this is waited for in the table, in milliseconds, an earlier one in the queue. Longer than two passes of
/// the sweeper, so that the line in the queue never runs dry; shorter than the time after which an event without a record
/// is taken for lost (300 s in the sweeper, 240 s in the dispatcher), so that no message is looked up or sent twice.
pub const HORIZON_MS: i64 = 120_000;
/// How long before its slot the sweeper must look at a delivery that waits in the table, in milliseconds: a pass comes every
/// 60 s, and takes its time.
pub const AHEAD_MS: i64 = 90_000;
/// How long before its request may leave a delivery is granted that, in milliseconds; the dispatcher sleeps as long. As much as a
/// message comes early, a second and [`HEAD_START_MS`], and the rest to catch up with what came late.
pub const PATIENCE_MS: i64 = 2_000;
/// How long before its slot a message comes at least, in milliseconds: it is read, looked up and claimed until then, also when
/// the disk or the table is slow for a moment. What is late leaves together with what is on time, more than the rate in a second.
pub const HEAD_START_MS: i64 = 250;
/// A grant later than this was made by a clock that is wrong, in milliseconds; it is passed over.
pub const SKEW_MS: i64 = 10_000;
/// Slots are farther apart than requests, in percent: so that what came late is caught up with.
const STRETCH_PERCENT: i64 = 2;
/// The longest that SQS delays one message, in seconds.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatchRequestEntry.html>
const MAX_DELAY_S: i64 = 900;
/// Microseconds of a second.
const SECOND_US: i64 = 1_000_000;

/// The rate limit of an endpoint, as of one version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    per_second: u32,
    version: u64,
    interval_us: i64,
}

impl Pace {
    /// The limit of one of a tenant's endpoints: its own, or, while it is slow, what keeps its tenant's slow ones from taking
    /// the room of others, whichever is lower; `None` if it has none.
    #[must_use]
    pub fn of(config: &TenantConfig, stored: &StoredEndpoint, now: Timestamp) -> Option<Self> {
        let endpoint = &stored.endpoint;
        let own = endpoint.settings.rate_limit;
        let own = own.map(|per_second| Self::new(per_second, endpoint.version));
        let is_slow = |stored: &StoredEndpoint| stored.slow.is_some_and(|slow| slow.is_at(now));
        if !is_slow(stored) {
            return own;
        }
        let slow_ones = config.endpoints.iter().filter(|other| is_slow(other)).count();
        let apart_us = slow::interval_us(endpoint.settings.timeout_ms, slow_ones);
        Some(Self {
            // The line goes on, more slowly.
            per_second: own.map_or(0, |own| own.per_second),
            version: endpoint.version,
            interval_us: own.map_or(apart_us, |own| own.interval_us.max(apart_us)),
        })
    }

    /// A limit of `per_second` requests, at least 1, set with the endpoint's `version` or before.
    #[must_use]
    pub const fn new(per_second: u32, version: u64) -> Self {
        let per_second = if per_second == 0 { 1 } else { per_second };
        let rate = per_second as i64;
        Self {
            per_second,
            version,
            interval_us: (SECOND_US + rate - 1) / rate,
        }
    }

    /// Requests a second that the endpoint wants at most; 0: it has not said.
    #[must_use]
    pub const fn per_second(self) -> u32 {
        self.per_second
    }

    /// The version of the endpoint that it is known from.
    #[must_use]
    pub const fn version(self) -> u64 {
        self.version
    }

    /// Least time between two requests, in microseconds, rounded up.
    #[must_use]
    pub const fn interval_us(self) -> i64 {
        self.interval_us
    }

    /// Time that `count` slots take, in microseconds.
    #[must_use]
    pub fn slots_us(self, count: usize) -> i64 {
        let stretched = (self.interval_us * (100 + STRETCH_PERCENT) + 99) / 100;
        stretched.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// Slots that were reserved together, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    first_us: i64,
    pace: Pace,
}

impl Slots {
    pub(crate) const fn new(first_us: i64, pace: Pace) -> Self {
        Self { first_us, pace }
    }

    /// The slot of the delivery with this number, from 0.
    #[must_use]
    pub fn at(self, number: usize) -> Timestamp {
        Timestamp::from_millis(self.first_us.saturating_add(self.pace.slots_us(number)) / 1000)
    }
}

/// True if the slot is too far to be waited for in the queue.
#[must_use]
pub const fn is_beyond(slot: Timestamp, now: Timestamp) -> bool {
    slot.millis_since(now) > HORIZON_MS
}

/// When the sweeper must look at a delivery that waits for its slot in the table.
#[must_use]
pub fn due_at(slot: Timestamp, now: Timestamp) -> Timestamp {
    slot.plus_millis(-AHEAD_MS).max(now)
}

/// Seconds for which the queue keeps a message back: whole ones, so that it comes up to a second earlier than it has to.
#[must_use]
pub fn delay_s(slot: Timestamp, now: Timestamp) -> i32 {
    let seconds = ((slot.millis_since(now) - HEAD_START_MS) / 1000).clamp(0, MAX_DELAY_S);
    i32::try_from(seconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn five_a_second_are_200_ms_apart_and_their_slots_204() {
        let pace = Pace::new(5, 1);
        assert_eq!((pace.interval_us(), pace.slots_us(1)), (200_000, 204_000));
        let slots = Slots::new(NOW.as_millis() * 1000, pace);
        assert_eq!(slots.at(0), NOW);
        assert_eq!(slots.at(499).millis_since(NOW), 101_796);
    }

    proptest! {
        #[test]
        fn no_second_has_more_requests_than_the_limit_and_one(rate in 1u32..=500) {
            let interval_us = Pace::new(rate, 1).interval_us();
            // Those that leave within a closed second: one at its beginning, and what follows.
            prop_assert!(SECOND_US / interval_us < i64::from(rate) + 1);
            // And not noticeably fewer.
            prop_assert!(interval_us * i64::from(rate) < SECOND_US + i64::from(rate));
        }

        #[test]
        fn slots_are_between_two_and_three_percent_farther_apart(rate in 1u32..=500, count in 1usize..10_000) {
            let pace = Pace::new(rate, 1);
            let (slots, requests) = (pace.slots_us(count), pace.interval_us() * i64::try_from(count).unwrap());
            prop_assert!(slots * 100 >= requests * 102 && slots * 100 <= requests * 103);
        }

        #[test]
        fn a_message_comes_a_head_start_before_its_slot_and_less_than_a_second_more(wait_ms in -10_000i64..=HORIZON_MS) {
            let slot = NOW.plus_millis(wait_ms);
            let early_ms = slot.millis_since(NOW.plus_millis(i64::from(delay_s(slot, NOW)) * 1000));
            prop_assert!(early_ms < HEAD_START_MS + 1_000 && (early_ms >= HEAD_START_MS || early_ms == wait_ms));
        }

        #[test]
        fn what_waits_in_the_table_is_looked_at_in_time(wait_ms in HORIZON_MS + 1..100_000_000) {
            let slot = NOW.plus_millis(wait_ms);
            let due_at = due_at(slot, NOW);
            prop_assert!(is_beyond(slot, NOW) && due_at > NOW);
            // The sweeper comes within a minute, and sends it then.
            prop_assert!(!is_beyond(slot, due_at) && slot > due_at.plus_millis(60_000));
        }

        #[test]
        fn a_line_never_goes_back(first_us in 0i64..4_000_000_000_000_000, rate in 1u32..=500, number in 0usize..5_000) {
            let slots = Slots::new(first_us, Pace::new(rate, 1));
            prop_assert!(slots.at(number + 1) > slots.at(number));
        }
    }
}
