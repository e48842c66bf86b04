//! Whose turn it is in a fair queue: round robin over the groups that have visible messages, quiet groups first.
//! Knows groups, tickets and counts; never a message's content, never the time.
//!
//! AWS ("How Amazon SQS fair queues work") calls a group noisy that has more than a tenth of all messages in flight and
//! at least 30 of them; quiet groups go first, and among noisy ones that with the fewest in flight. Its second measure, the
//! share of recent processing time, is not copied. Messages without a group share one lane and are never noisy (AWS
//! counts each as a tenant of its own).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::limits::{NOISY_IN_FLIGHT, NOISY_PART};

type Group = Option<Arc<str>>;

/// The messages of one group.
#[derive(Debug, Default)]
struct Lane {
    /// Serials of the visible messages, by ticket.
    visible: BTreeMap<u64, u64>,
    in_flight: usize,
    /// The lane's place among the others, while it has a visible message.
    turn: u64,
}

/// The lanes of one queue.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    lanes: HashMap<Group, Lane>,
    /// Groups with a visible message, by turn.
    order: BTreeMap<u64, Group>,
    next_ticket: u64,
    in_flight: usize,
    visible: usize,
}

impl Turns {
    /// A message became visible; answers its ticket.
    pub(crate) fn enter(&mut self, group: &Group, serial: u64) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.visible += 1;
        let lane = self.lanes.entry(group.clone()).or_default();
        if lane.visible.is_empty() {
            lane.turn = ticket;
            self.order.insert(ticket, group.clone());
        }
        lane.visible.insert(ticket, serial);
        ticket
    }

    /// A visible message was taken or removed: its group's next turn comes after those of all others.
    pub(crate) fn leave(&mut self, group: &Group, ticket: u64) {
        let Some(lane) = self.lanes.get_mut(group) else { return };
        if lane.visible.remove(&ticket).is_none() {
            return;
        }
        self.visible -= 1;
        self.order.remove(&lane.turn);
        if lane.visible.is_empty() {
            self.forget_if_idle(group);
        } else {
            lane.turn = self.next_ticket;
            self.next_ticket += 1;
            self.order.insert(lane.turn, group.clone());
        }
    }

    /// A message of the group is in flight from now.
    pub(crate) fn depart(&mut self, group: &Group) {
        self.lanes.entry(group.clone()).or_default().in_flight += 1;
        self.in_flight += 1;
    }

    /// A message of the group is no longer in flight.
    pub(crate) fn arrive(&mut self, group: &Group) {
        if let Some(lane) = self.lanes.get_mut(group) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        self.forget_if_idle(group);
    }

    fn forget_if_idle(&mut self, group: &Group) {
        if self
            .lanes
            .get(group)
            .is_some_and(|lane| lane.visible.is_empty() && lane.in_flight == 0)
        {
            self.lanes.remove(group);
        }
    }

    /// The serial of the message whose turn it is. Skips at most nine groups: no more can each have over a tenth.
    pub(crate) fn next(&self) -> Option<u64> {
        let mut quietest: Option<(usize, u64)> = None;
        for group in self.order.values() {
            let Some(lane) = self.lanes.get(group) else { continue };
            let Some(&serial) = lane.visible.values().next() else {
                continue;
            };
            if group.is_none() || !self.is_noisy(lane) {
                return Some(serial);
            }
            if quietest.is_none_or(|(in_flight, _)| lane.in_flight < in_flight) {
                quietest = Some((lane.in_flight, serial));
            }
        }
        quietest.map(|(_, serial)| serial)
    }

    fn is_noisy(&self, lane: &Lane) -> bool {
        lane.in_flight >= NOISY_IN_FLIGHT && lane.in_flight * NOISY_PART > self.in_flight
    }

    /// Messages in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Visible messages.
    pub(crate) fn visible(&self) -> usize {
        self.visible
    }

    /// The serials of all visible messages, in no particular order.
    pub(crate) fn visible_serials(&self) -> impl Iterator<Item = u64> + '_ {
        self.lanes.values().flat_map(|lane| lane.visible.values().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Group {
        Some(Arc::from(name))
    }

    struct Stand {
        turns: Turns,
        tickets: HashMap<u64, (Group, u64)>,
    }

    impl Stand {
        fn new() -> Self {
            Self {
                turns: Turns::default(),
                tickets: HashMap::new(),
            }
        }

        fn put(&mut self, g: &Group, serials: std::ops::Range<u64>) {
            for serial in serials {
                let ticket = self.turns.enter(g, serial);
                self.tickets.insert(serial, (g.clone(), ticket));
            }
        }

        /// Takes one message; it stays in flight.
        fn take(&mut self) -> Option<u64> {
            let serial = self.turns.next()?;
            let (g, ticket) = self.tickets.remove(&serial).unwrap();
            self.turns.leave(&g, ticket);
            self.turns.depart(&g);
            Some(serial)
        }
    }

    #[test]
    fn groups_take_turns_and_each_group_keeps_its_order() {
        let mut stand = Stand::new();
        stand.put(&group("a"), 0..3);
        stand.put(&group("b"), 10..12);
        stand.put(&None, 20..22);
        let order: Vec<u64> = std::iter::from_fn(|| stand.take()).collect();
        assert_eq!(order, [0, 10, 20, 1, 11, 21, 2]);
    }

    #[test]
    fn a_quiet_group_that_comes_late_waits_for_one_turn_of_the_noisy_one() {
        let mut stand = Stand::new();
        stand.put(&group("noisy"), 0..200);
        assert_eq!(stand.take(), Some(0));
        stand.put(&group("quiet"), 900..901);
        let taken: Vec<_> = (0..2).filter_map(|_| stand.take()).collect();
        assert!(taken.contains(&900), "{taken:?}");
    }

    #[test]
    fn a_group_with_much_in_flight_yields_until_the_quiet_ones_have_nothing_left() {
        let mut stand = Stand::new();
        stand.put(&group("noisy"), 0..200);
        for _ in 0..40 {
            stand.take();
        }
        stand.put(&group("quiet"), 900..905);
        let taken: Vec<_> = (0..6).filter_map(|_| stand.take()).collect();
        assert_eq!(taken, [900, 901, 902, 903, 904, 40]);
    }

    #[test]
    fn among_noisy_groups_the_one_with_the_fewest_in_flight_goes_first() {
        let mut stand = Stand::new();
        stand.put(&group("a"), 0..100);
        for _ in 0..60 {
            stand.take();
        }
        stand.put(&group("b"), 1000..1100);
        for _ in 0..35 {
            assert!(stand.take().unwrap() >= 1000);
        }
        assert!(stand.take().unwrap() >= 1000, "35 in flight are fewer than 60");
    }

    #[test]
    fn an_idle_group_is_forgotten() {
        let mut stand = Stand::new();
        stand.put(&group("a"), 0..1);
        stand.take();
        assert_eq!((stand.turns.in_flight(), stand.turns.visible()), (1, 0));
        stand.turns.arrive(&group("a"));
        assert!(stand.turns.lanes.is_empty() && stand.turns.order.is_empty());
    }
}
