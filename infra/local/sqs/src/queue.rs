//! One queue: its messages and the orders they are found by (due, sent, turn). Pure: no clock, no journal.
//! A message enters and leaves only through `insert`, `remove` and `update`, which keep the orders and counts right.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::attributes::QueueAttributes;
use crate::message::{Counts, Message, Standing};
use crate::turns::Turns;

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: Arc<str>,
    pub(crate) arn: Arc<str>,
    pub(crate) attributes: QueueAttributes,
    pub(crate) created_at_ms: i64,
    pub(crate) modified_at_ms: i64,
    pub(crate) purged_at_ms: Option<i64>,
    messages: HashMap<u64, Message>,
    /// Delayed and in-flight messages by the time they become visible.
    due: BTreeSet<(i64, u64)>,
    /// All messages by the time they were sent.
    sent: BTreeSet<(i64, u64)>,
    turns: Turns,
    delayed: usize,
    /// Visible messages whose receives are used up, found without a search by the next tick.
    spent: Vec<u64>,
    /// Bytes that the messages take in a snapshot.
    pub(crate) stored_bytes: u64,
    /// Something became visible since the flag was last taken.
    pub(crate) woken: bool,
}

impl Queue {
    pub(crate) fn new(name: Arc<str>, arn: Arc<str>, attributes: QueueAttributes, created_at_ms: i64) -> Self {
        Self {
            name,
            arn,
            attributes,
            created_at_ms,
            modified_at_ms: created_at_ms,
            purged_at_ms: None,
            messages: HashMap::new(),
            due: BTreeSet::new(),
            sent: BTreeSet::new(),
            turns: Turns::default(),
            delayed: 0,
            spent: Vec::new(),
            stored_bytes: 0,
            woken: false,
        }
    }

    pub(crate) fn get(&self, serial: u64) -> Option<&Message> {
        self.messages.get(&serial)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    pub(crate) fn insert(&mut self, mut message: Message) {
        // A serial is inserted once; should a damaged journal say otherwise, the last word holds.
        self.remove(message.serial);
        self.stored_bytes += message.stored_bytes();
        self.sent.insert((message.sent_at_ms, message.serial));
        self.enter(&mut message);
        self.messages.insert(message.serial, message);
    }

    pub(crate) fn remove(&mut self, serial: u64) -> Option<Message> {
        let message = self.messages.remove(&serial)?;
        self.stored_bytes -= message.stored_bytes();
        self.sent.remove(&(message.sent_at_ms, serial));
        self.leave(&message);
        Some(message)
    }

    /// Changes a message where it stands. The serial, the group and the time it was sent must stay.
    pub(crate) fn update(&mut self, serial: u64, change: impl FnOnce(&mut Message)) {
        let Some(mut message) = self.messages.remove(&serial) else {
            return;
        };
        self.leave(&message);
        change(&mut message);
        self.enter(&mut message);
        self.messages.insert(serial, message);
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.due.clear();
        self.sent.clear();
        self.turns = Turns::default();
        self.delayed = 0;
        self.spent.clear();
        self.stored_bytes = 0;
    }

    fn enter(&mut self, message: &mut Message) {
        match message.standing {
            Standing::Visible => {
                message.ticket = self.turns.enter(&message.group, message.serial);
                self.woken = true;
                if self.is_spent(message) {
                    self.spent.push(message.serial);
                }
                return;
            }
            Standing::InFlight => self.turns.depart(&message.group),
            Standing::Delayed => self.delayed += 1,
        }
        self.due.insert((message.visible_at_ms, message.serial));
    }

    fn leave(&mut self, message: &Message) {
        match message.standing {
            Standing::Visible => return self.turns.leave(&message.group, message.ticket),
            Standing::InFlight => self.turns.arrive(&message.group),
            Standing::Delayed => self.delayed -= 1,
        }
        self.due.remove(&(message.visible_at_ms, message.serial));
    }

    /// Whether a message was received as often as the redrive policy lets it.
    pub(crate) fn is_spent(&self, message: &Message) -> bool {
        self.attributes
            .redrive
            .as_ref()
            .is_some_and(|redrive| message.receive_count >= redrive.max_receives)
    }

    /// Sets the attributes; a new redrive policy is held against what is already visible.
    pub(crate) fn set_attributes(&mut self, attributes: QueueAttributes, modified_at_ms: i64) {
        self.attributes = attributes;
        self.modified_at_ms = modified_at_ms;
        let visible = self
            .turns
            .visible_serials()
            .filter_map(|serial| self.messages.get(&serial));
        self.spent = visible
            .filter(|message| self.is_spent(message))
            .map(|message| message.serial)
            .collect();
    }

    /// The visible messages whose receives were used up when they became so; check again, they may be gone.
    pub(crate) fn take_spent(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.spent)
    }

    pub(crate) fn put_spent_back(&mut self, serials: &[u64]) {
        self.spent.extend_from_slice(serials);
    }

    /// Makes visible what is due, at most `steps` messages; answers how many.
    pub(crate) fn wake_due(&mut self, now_ms: i64, steps: usize) -> usize {
        let mut woken = 0;
        while woken < steps
            && let Some(&(at_ms, serial)) = self.due.first()
            && at_ms <= now_ms
        {
            self.update(serial, |message| message.standing = Standing::Visible);
            woken += 1;
        }
        woken
    }

    /// A message whose retention has ended.
    pub(crate) fn first_expired(&self, now_ms: i64) -> Option<u64> {
        let &(sent_at_ms, serial) = self.sent.first()?;
        self.is_expired(sent_at_ms, now_ms).then_some(serial)
    }

    pub(crate) fn is_expired(&self, sent_at_ms: i64, now_ms: i64) -> bool {
        sent_at_ms.saturating_add(self.retention_ms()) <= now_ms
    }

    fn retention_ms(&self) -> i64 {
        i64::from(self.attributes.retention_s) * 1000
    }

    /// The message whose turn it is.
    pub(crate) fn next_visible(&self) -> Option<u64> {
        self.turns.next()
    }

    /// When the next delayed or in-flight message becomes visible.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.due.first().map(|&(at_ms, _)| at_ms)
    }

    /// When the next message's retention ends.
    pub(crate) fn next_expiry_ms(&self) -> Option<i64> {
        self.sent
            .first()
            .map(|&(sent_at_ms, _)| sent_at_ms.saturating_add(self.retention_ms()))
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            visible: self.turns.visible(),
            in_flight: self.turns.in_flight(),
            delayed: self.delayed,
        }
    }

    /// Recounts everything from the messages themselves.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let standing = |s| self.messages.values().filter(|m| m.standing == s).count();
        let recounted = Counts {
            visible: standing(Standing::Visible),
            in_flight: standing(Standing::InFlight),
            delayed: standing(Standing::Delayed),
        };
        assert_eq!(self.counts(), recounted);
        assert_eq!(self.due.len(), recounted.in_flight + recounted.delayed);
        assert_eq!(self.sent.len(), self.messages.len());
        assert_eq!(
            self.stored_bytes,
            self.messages.values().map(Message::stored_bytes).sum::<u64>()
        );
        let visible: BTreeSet<u64> = self.turns.visible_serials().collect();
        assert_eq!(visible.len(), recounted.visible);
        assert!(visible.iter().all(|s| self.messages[s].standing == Standing::Visible));
        for message in self.messages.values().filter(|m| m.standing != Standing::Visible) {
            assert!(self.due.contains(&(message.visible_at_ms, message.serial)));
        }
    }
}
