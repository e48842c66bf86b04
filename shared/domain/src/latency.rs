//! How long things took, as counts in buckets that grow with what they count: small enough to be kept for each hour and
//! endpoint, exact enough for percentiles, and added up without loss. Pure: knows no clock and decides nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Buckets of each power of two, itself a power of two. What is told from within a bucket is less than a quarter off, in
/// practice far less: what lies in a bucket is taken to lie evenly in it.
const PARTS: u64 = 1 << PART_BITS;
const PART_BITS: u32 = 2;
/// Longest time that is told apart, in milliseconds: 49 days, longer than any ladder of retries.
const MAX_MS: u64 = u32::MAX as u64;

/// Counts of times, by bucket. Buckets without any are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latencies(BTreeMap<u8, u64>);

impl Latencies {
    /// Counts something that took `ms` milliseconds.
    pub fn add_ms(&mut self, ms: u64) {
        *self.0.entry(bucket(ms)).or_default() += 1;
    }

    /// Counts what another has counted, too.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, number) in &other.0 {
            *self.0.entry(*bucket).or_default() += number;
        }
    }

    /// True if nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The milliseconds that `percent` (0 to 100) of what was counted took at most; `None`: nothing was counted.
    #[must_use]
    pub fn percentile_ms(&self, percent: u64) -> Option<u64> {
        let count = self.count();
        // The place of the one that is asked for, from 1, as if all stood in a row.
        let place = (count.saturating_mul(percent)).div_ceil(100).clamp(1, count.max(1));
        let mut before = 0;
        for (&bucket, &number) in &self.0 {
            if number > 0 && before + number >= place {
                let (first, width) = bounds(bucket);
                let into = width.saturating_mul(2 * (place - before) - 1) / (2 * number);
                return Some(first.saturating_add(into));
            }
            before += number;
        }
        None
    }
}

/// The bucket of a time. The first ones hold a millisecond each.
fn bucket(ms: u64) -> u8 {
    let ms = ms.min(MAX_MS);
    if ms < PARTS {
        return ms as u8;
    }
    let doublings = ms.ilog2() - PART_BITS;
    let part = (ms >> doublings) - PARTS;
    (PARTS + u64::from(doublings) * PARTS + part) as u8
}

/// The first millisecond of a bucket, and how many it holds.
fn bounds(bucket: u8) -> (u64, u64) {
    let bucket = u64::from(bucket);
    if bucket < PARTS {
        return (bucket, 1);
    }
    let (doublings, part) = ((bucket - PARTS) / PARTS, (bucket - PARTS) % PARTS);
    ((PARTS + part) << doublings, 1 << doublings)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: &[u64]) -> Latencies {
        let mut counted = Latencies::default();
        times.iter().for_each(|ms| counted.add_ms(*ms));
        counted
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(Latencies::default().percentile_ms(50), None);
        assert!(Latencies::default().is_empty());
    }

    #[test]
    fn few_milliseconds_are_told_exactly() {
        let counted = of(&[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(counted.percentile_ms(50), Some(3));
        assert_eq!(
            (counted.percentile_ms(0), counted.percentile_ms(100)),
            (Some(0), Some(7))
        );
    }

    #[test]
    fn the_slowest_hundredth_is_told_apart_from_the_rest() {
        let mut counted = of(&[40; 98]);
        counted.merge(&of(&[9_000, 9_000]));
        let (half, most) = (counted.percentile_ms(50).unwrap(), counted.percentile_ms(99).unwrap());
        assert!(
            (40..48).contains(&half) && (8_192..10_240).contains(&most),
            "{half} {most}"
        );
        assert_eq!(counted.count(), 100);
    }

    #[test]
    fn buckets_follow_one_another_without_gap_or_overlap() {
        let mut next = 0;
        for bucket in 0..=bucket(u64::MAX) {
            let (first, width) = bounds(bucket);
            assert_eq!(first, next, "{bucket}");
            next = first + width;
        }
        assert_eq!(next, MAX_MS + 1);
    }

    #[test]
    fn what_is_stored_is_what_was_counted_and_short() {
        let counted = of(&[3, 3, 250, 86_400_000]);
        let text = serde_json::to_string(&counted).unwrap();
        assert_eq!(text, r#"{"3":2,"27":1,"101":1}"#);
        assert_eq!(serde_json::from_str::<Latencies>(&text).unwrap(), counted);
    }

    proptest! {
        #[test]
        fn a_time_lies_in_its_bucket_and_is_told_within_a_quarter(ms in 0u64..=u64::from(u32::MAX)) {
            let (first, width) = bounds(bucket(ms));
            prop_assert!(first <= ms && ms < first + width);
            prop_assert!(width == 1 || width * PARTS <= first);
            let told = of(&[ms]).percentile_ms(99).unwrap();
            prop_assert!(told.abs_diff(ms) <= ms / 4);
        }

        #[test]
        fn what_was_counted_apart_adds_up(a in prop::collection::vec(0u64..1_000_000, 0..50),
                                          b in prop::collection::vec(0u64..1_000_000, 0..50)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }
}
