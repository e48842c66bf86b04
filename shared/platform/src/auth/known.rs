//! What an environment remembers of the keys that it read. Must never make one live longer than it was when it was read, nor
//! forget those that are in use because of ids that somebody made up.

use std::collections::HashMap;

use redial_domain::Timestamp;

use crate::store::config::ApiKey;

/// Longest time for which a key is believed without looking again, in milliseconds: a revoked key stops working within it.
pub const MAX_AGE_MS: i64 = 30_000;
/// Most keys kept in memory; beyond it the one that was read longest ago goes.
const MAX_KEYS: usize = 10_000;
/// Most ids kept of which there is no key; beyond it all of these go, for anybody can make up more.
const MAX_MISSING: usize = 10_000;

/// What is known of an id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// What was read of late; `None`: there is no such key.
    Known(Option<ApiKey>),
    /// It is to be read, and kept with this.
    Read(Reading),
}

/// A look at the table that began then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    began_at: Timestamp,
    forgotten: u64,
}

#[derive(Debug)]
struct Known {
    key: ApiKey,
    read_at: Timestamp,
}

/// Keys by id, and ids that are none's.
#[derive(Debug, Default)]
pub(super) struct KnownKeys {
    keys: HashMap<String, Known>,
    missing: HashMap<String, Timestamp>,
    /// How often something was forgotten: what was read before that may be out of date.
    forgotten: u64,
}

impl KnownKeys {
    /// What is known of `id` now.
    pub(super) fn look(&self, id: &str, now: Timestamp) -> Look {
        let is_fresh = |read_at: Timestamp| now.millis_since(read_at) < MAX_AGE_MS;
        match (self.keys.get(id), self.missing.get(id)) {
            (Some(known), _) if is_fresh(known.read_at) => Look::Known(Some(known.key.clone())),
            (None, Some(read_at)) if is_fresh(*read_at) => Look::Known(None),
            _ => Look::Read(Reading {
                began_at: now,
                forgotten: self.forgotten,
            }),
        }
    }

    /// Keeps what was read, unless something was forgotten while it was.
    pub(super) fn keep(&mut self, id: &str, key: Option<ApiKey>, reading: Reading) {
        if reading.forgotten != self.forgotten {
            return;
        }
        let read_at = reading.began_at;
        match key {
            None => {
                self.keys.remove(id);
                if self.missing.len() >= MAX_MISSING {
                    self.missing.clear();
                }
                self.missing.insert(id.to_owned(), read_at);
            }
            Some(key) => {
                self.missing.remove(id);
                if self.keys.len() >= MAX_KEYS && !self.keys.contains_key(id) {
                    self.drop_oldest();
                }
                self.keys.insert(id.to_owned(), Known { key, read_at });
            }
        }
    }

    /// Notes that a key is used. It is believed no longer for that: only reading it says that it is still there.
    pub(super) fn used(&mut self, id: &str, at: Timestamp) {
        if let Some(known) = self.keys.get_mut(id) {
            known.key.last_used_at = Some(at);
        }
    }

    /// Forgets a key, and whatever is being read at the moment.
    pub(super) fn forget(&mut self, id: &str) {
        self.forgotten += 1;
        self.keys.remove(id);
        self.missing.remove(id);
    }

    fn drop_oldest(&mut self) {
        let oldest = self.keys.iter().min_by_key(|(_, known)| known.read_at);
        if let Some(id) = oldest.map(|(id, _)| id.clone()) {
            self.keys.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Scope, mint};
    use super::*;
    use crate::random::Random;

    const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn key() -> ApiKey {
        mint(&Random::seeded(3), &Scope::Operator, "", START).1
    }

    fn reading(known: &KnownKeys, id: &str, now: Timestamp) -> Reading {
        match known.look(id, now) {
            Look::Read(reading) => reading,
            Look::Known(key) => panic!("{id} is known: {key:?}"),
        }
    }

    fn keep(known: &mut KnownKeys, id: &str, key: Option<ApiKey>, now: Timestamp) {
        let reading = reading(known, id, now);
        known.keep(id, key, reading);
    }

    #[test]
    fn a_key_in_use_is_looked_at_again_after_thirty_seconds() {
        let mut known = KnownKeys::default();
        keep(&mut known, "a", Some(key()), START);
        let last = START.plus_millis(MAX_AGE_MS - 1);
        known.used("a", last);
        let used = ApiKey {
            last_used_at: Some(last),
            ..key()
        };
        assert_eq!(known.look("a", last), Look::Known(Some(used)));
        reading(&known, "a", last.plus_millis(1));
    }

    #[test]
    fn a_key_that_was_revoked_while_it_was_read_is_not_remembered() {
        let mut known = KnownKeys::default();
        let under_way = reading(&known, "a", START);
        known.forget("a");
        known.keep("a", Some(key()), under_way);
        reading(&known, "a", START);
        // Nor comes one back by being used.
        known.used("a", START);
        reading(&known, "a", START);
    }

    #[test]
    fn ids_that_are_made_up_push_out_no_key() {
        let mut known = KnownKeys::default();
        keep(&mut known, "a", Some(key()), START);
        for n in 0..=MAX_MISSING {
            keep(&mut known, &format!("x{n}"), None, START);
        }
        assert_eq!(known.look("a", START), Look::Known(Some(key())));
        assert!(known.missing.len() <= MAX_MISSING && !known.missing.is_empty());
        assert_eq!(known.look(&format!("x{MAX_MISSING}"), START), Look::Known(None));
    }

    #[test]
    fn of_too_many_keys_the_one_that_was_read_longest_ago_goes() {
        let mut known = KnownKeys::default();
        for n in 0..=MAX_KEYS {
            let at = START.plus_millis(i64::from(n > 0));
            keep(&mut known, &n.to_string(), Some(key()), at);
        }
        assert_eq!(known.keys.len(), MAX_KEYS);
        reading(&known, "0", START.plus_millis(1));
        assert_eq!(known.look("1", START.plus_millis(1)), Look::Known(Some(key())));
    }

    #[test]
    fn a_key_that_is_gone_or_came_later_is_what_was_read_last() {
        let mut known = KnownKeys::default();
        keep(&mut known, "a", None, START);
        let later = START.plus_millis(MAX_AGE_MS);
        keep(&mut known, "a", Some(key()), later);
        assert_eq!(known.look("a", later), Look::Known(Some(key())));
        let last = later.plus_millis(MAX_AGE_MS);
        keep(&mut known, "a", None, last);
        assert_eq!(known.look("a", last), Look::Known(None));
    }
}
