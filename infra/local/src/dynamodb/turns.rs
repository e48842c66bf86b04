//! Whose call is executed next: callers take turns, so that one who asks for a hundred things at once keeps nobody waiting who
//! asks for one. Calls of one caller keep their order. DynamoDB promises none between calls that are under way together.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What waits, by whose it is.
#[derive(Debug)]
pub(super) struct Turns<K, T> {
    waiting: HashMap<K, VecDeque<T>>,
    /// Whoever has something waiting, once; the first is next.
    order: VecDeque<K>,
    len: usize,
}

impl<K: Copy + Eq + Hash, T> Turns<K, T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: HashMap::new(),
            order: VecDeque::new(),
            len: 0,
        }
    }

    /// How many wait.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// One more, behind the others of its caller.
    pub(super) fn push(&mut self, caller: K, call: T) {
        let own = self.waiting.entry(caller).or_default();
        if own.is_empty() {
            self.order.push_back(caller);
        }
        own.push_back(call);
        self.len += 1;
    }

    /// The next one, of the caller who has waited longest for a turn.
    pub(super) fn next(&mut self) -> Option<T> {
        let caller = self.order.pop_front()?;
        let own = self.waiting.get_mut(&caller)?;
        let call = own.pop_front();
        if own.is_empty() {
            self.waiting.remove(&caller);
        } else {
            self.order.push_back(caller);
        }
        self.len -= 1;
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_one_thing_waits_for_one_of_everybody_elses() {
        let mut turns = Turns::new();
        (0..100).for_each(|n| turns.push('a', n));
        turns.push('b', 1_000);
        turns.push('c', 2_000);
        turns.push('c', 2_001);
        assert_eq!(turns.len(), 103);
        let first: Vec<_> = std::iter::from_fn(|| turns.next()).take(7).collect();
        assert_eq!(first, [0, 1_000, 2_000, 1, 2_001, 2, 3]);
        // Who comes again waits behind whoever is there, and nothing is lost or kept.
        turns.push('b', 1_001);
        let rest: Vec<_> = std::iter::from_fn(|| turns.next()).collect();
        assert_eq!(rest[..3], [4, 1_001, 5]);
        assert_eq!((rest.len(), turns.len()), (97, 0));
        assert!(turns.waiting.is_empty() && turns.order.is_empty());
    }
}
