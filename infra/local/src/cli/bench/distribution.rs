//! Percentiles and medians. Pure.

use serde::Serialize;

/// How values lie. Percentiles are by nearest rank: the value of one that was measured, never one in between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Distribution {
    /// How many values there are.
    pub(super) count: usize,
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Distribution {
    /// Of durations in nanoseconds, in milliseconds; none of nothing.
    pub(super) fn of_ns(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        let max = *values.last()?;
        let sum: f64 = values.iter().map(|ns| ms(*ns)).sum();
        let at = |percent: usize| ms(values[rank(values.len(), percent)]);
        Some(Self {
            count: values.len(),
            mean: rounded(sum / values.len() as f64, 3),
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max: ms(max),
        })
    }
}

/// Milliseconds, to the microsecond.
fn ms(ns: u64) -> f64 {
    rounded(ns as f64 / 1e6, 3)
}

/// The place of a percentile among `count` sorted values, of which there is at least one.
fn rank(count: usize, percent: usize) -> usize {
    (count * percent).div_ceil(100).clamp(1, count) - 1
}

/// The least, the middle and the greatest of several runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    /// Of an even number of runs the mean of the two in the middle.
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    /// None of nothing.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self {
            min,
            median: rounded(median, 3),
            max,
        })
    }
}

/// A number with so many digits behind the point.
pub(super) fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ms(values: impl IntoIterator<Item = u64>) -> Distribution {
        Distribution::of_ns(values.into_iter().map(|ms| ms * 1_000_000).collect()).unwrap()
    }

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let hundred = of_ms((1..=100).rev());
        assert_eq!(
            (hundred.p50, hundred.p90, hundred.p99, hundred.max),
            (50.0, 90.0, 99.0, 100.0)
        );
        assert_eq!((hundred.count, hundred.mean), (100, 50.5));
        // 99 % of 101 values are 99.99 of them: the hundredth.
        assert_eq!(of_ms(1..=101).p99, 100.0);
        let three = of_ms([30, 10, 20]);
        assert_eq!((three.p50, three.p90, three.p99), (20.0, 30.0, 30.0));
    }

    #[test]
    fn one_value_is_every_percentile_and_nothing_has_none() {
        let one = of_ms([7]);
        assert_eq!(
            (one.p50, one.p90, one.p99, one.max, one.mean),
            (7.0, 7.0, 7.0, 7.0, 7.0)
        );
        assert_eq!(Distribution::of_ns(Vec::new()), None);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn microseconds_are_kept() {
        assert_eq!(Distribution::of_ns(vec![1_234_567]).unwrap().p50, 1.235);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let odd = Spread::of(vec![3.0, 1.0, 9.0]).unwrap();
        assert_eq!((odd.min, odd.median, odd.max), (1.0, 3.0, 9.0));
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 8.0]).unwrap().median, 3.0);
        assert_eq!(
            Spread::of(vec![5.0]).unwrap(),
            Spread {
                min: 5.0,
                median: 5.0,
                max: 5.0
            }
        );
    }
}
