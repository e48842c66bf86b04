//! A token bucket for each of many callers, in the memory of one execution environment. It is no quota, and forgets everything
//! when it holds too many of them. Nothing that must hold for all environments together may rely on it: `key_limit` counts that.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use redial_domain::Timestamp;

/// Most keys that are counted; beyond it counting starts anew.
const MAX_KEYS: usize = 10_000;

/// How fast something may be asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// At once.
    pub(crate) burst: f64,
    /// A second, for ever.
    pub(crate) per_s: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled_at: Timestamp,
}

/// Counts requests by key.
#[derive(Debug)]
pub(crate) struct Limiter {
    rate: Rate,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Limiter {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes one token of `key`; false if there is none.
    pub(crate) fn take(&self, key: &str, now: Timestamp) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_KEYS && !buckets.contains_key(key) {
            buckets.clear();
        }
        let full = Bucket {
            tokens: self.rate.burst,
            filled_at: now,
        };
        let bucket = buckets.entry(key.to_owned()).or_insert(full);
        let waited_s = now.millis_since(bucket.filled_at).max(0) as f64 / 1000.0;
        bucket.tokens = (bucket.tokens + waited_s * self.rate.per_s).min(self.rate.burst);
        bucket.filled_at = now;
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }

    /// Gives a token of `key` back that was taken: what it was for does not count.
    pub(crate) fn give_back(&self, key: &str) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(key) {
            bucket.tokens = (bucket.tokens + 1.0).min(self.rate.burst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 20.0,
        per_s: 500.0,
    };

    #[test]
    fn a_key_that_loops_is_stopped_and_others_are_not() {
        let limiter = Limiter::new(RATE);
        let now = Timestamp::from_millis(1_000_000);
        let allowed = (0..RATE.burst as usize + 10).filter(|_| limiter.take("a", now)).count();
        assert_eq!(allowed, RATE.burst as usize);
        assert!(limiter.take("b", now));
        assert!(limiter.take("a", now.plus_millis(2)), "a token is back after 2 ms");
        assert!(!limiter.take("a", now.plus_millis(2)));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more() {
        let rate = Rate { burst: 2.0, per_s: 0.0 };
        let (limiter, now) = (Limiter::new(rate), Timestamp::from_millis(1_000_000));
        limiter.give_back("a");
        for _ in 0..5 {
            assert!(limiter.take("a", now));
            limiter.give_back("a");
        }
        assert!(limiter.take("a", now) && limiter.take("a", now) && !limiter.take("a", now));
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_tokens() {
        let limiter = Limiter::new(RATE);
        let now = Timestamp::from_millis(1_000_000);
        while limiter.take("a", now) {}
        assert!(!limiter.take("a", now.plus_millis(-500_000)));
    }

    #[test]
    fn many_keys_do_not_fill_the_memory() {
        let limiter = Limiter::new(RATE);
        for n in 0..2 * MAX_KEYS {
            assert!(limiter.take(&n.to_string(), Timestamp::from_millis(1)));
        }
        assert!(limiter.buckets.lock().unwrap().len() <= MAX_KEYS);
    }
}
