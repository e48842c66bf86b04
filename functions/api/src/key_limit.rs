//! How many requests a key may make, for all execution environments together. Each admits a few by itself, so that ordinary use
//! costs nothing; beyond them it counts some beforehand in the table (`store::request_limit`). If that cannot be asked, nobody
//! is refused for it. It is no quota.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redial_domain::Timestamp;
use redial_platform::Store;
use redial_platform::store::request_limit::window_ends;

use crate::limiter::{Limiter, Rate};

/// Requests of a key that an environment admits without asking. docs/LIMITS.md.
const FREE: Rate = Rate {
    burst: 20.0,
    per_s: 1.0,
};
/// Requests that are counted beforehand, with one write.
const LEASE: u32 = 50;
/// Most keys of which something is remembered; beyond it all is forgotten, and counted anew.
const MAX_KEYS: usize = 10_000;

/// What an environment may do about a key without asking.
#[derive(Debug, Clone, Copy)]
struct Lease {
    /// Requests that were counted beforehand and not made yet.
    left: u32,
    /// Until then there are no more.
    refused_until: Timestamp,
}

/// Counts requests by key.
#[derive(Debug)]
pub(crate) struct KeyLimit {
    free: Limiter,
    leases: Mutex<HashMap<String, Lease>>,
}

impl KeyLimit {
    pub(crate) fn new() -> Self {
        Self {
            free: Limiter::new(FREE),
            leases: Mutex::default(),
        }
    }

    /// True if one more request of `asker` may be made now.
    pub(crate) async fn admit(&self, store: &Store, asker: &str, now: Timestamp) -> bool {
        if self.free.take(asker, now) {
            return true;
        }
        if let Some(known) = self.take(asker, now) {
            return known;
        }
        match store.count_requests(asker, LEASE, now).await {
            Ok(granted) => {
                self.remember(asker, granted, now);
                granted
            }
            Err(error) => {
                tracing::warn!(%error, "api.requests_not_counted");
                true
            }
        }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<String, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known without asking; `None`: the table is to be asked.
    fn take(&self, asker: &str, now: Timestamp) -> Option<bool> {
        let mut leases = self.leases();
        let lease = leases.get_mut(asker)?;
        if lease.left > 0 {
            lease.left -= 1;
            return Some(true);
        }
        (now < lease.refused_until && lease.refused_until <= window_ends(now)).then_some(false)
    }

    fn remember(&self, asker: &str, granted: bool, now: Timestamp) {
        let mut leases = self.leases();
        if leases.len() >= MAX_KEYS && !leases.contains_key(asker) {
            leases.clear();
        }
        let lease = Lease {
            // One of them is the request that asked.
            left: if granted { LEASE - 1 } else { 0 },
            refused_until: if granted { now } else { window_ends(now) },
        };
        leases.insert(asker.to_owned(), lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_question_is_enough_for_many_requests_or_for_the_rest_of_the_window() {
        let limit = KeyLimit::new();
        let now = Timestamp::from_millis(1_795_000_000_000);
        assert_eq!(limit.take("a", now), None);
        limit.remember("a", true, now);
        for _ in 1..LEASE {
            assert_eq!(limit.take("a", now), Some(true));
        }
        assert_eq!((limit.take("a", now), limit.take("b", now)), (None, None));
        limit.remember("a", false, now);
        assert_eq!(limit.take("a", window_ends(now).plus_millis(-1)), Some(false));
        assert_eq!(limit.take("a", window_ends(now)), None);
        // A clock that was far ahead shuts nobody out.
        assert_eq!(limit.take("a", now.plus_millis(-3_600_000)), None);
    }

    #[test]
    fn many_keys_do_not_fill_the_memory() {
        let limit = KeyLimit::new();
        for n in 0..=MAX_KEYS {
            limit.remember(&n.to_string(), true, Timestamp::from_millis(1));
        }
        assert!(limit.leases().len() <= MAX_KEYS);
    }
}
