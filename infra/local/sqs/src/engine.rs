//! The state machine of the queue server: pure, without I/O and without a clock (time is an argument).
//! Every change is a [`Record`] that is first encoded into the outbox and then applied by the one function that replay
//! uses too, so a journal replayed is the state that wrote it. It never waits and never answers that anything is on disk.

mod receive;
mod redrive;
mod send;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::attributes::{QueueAttributes, RedriveAllow, invalid};
use crate::error::SqsError;
use crate::limits;
use crate::message::{Counts, Receives, Standing};
use crate::queue::Queue;
use crate::record::{self, FORMAT, Record};
use crate::settings::{ReceiveCountOnMove, Settings};

/// Bits of a serial and of a receive number below the generation.
const GENERATION_SHIFT: u32 = 40;

/// All queues of a store.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) settings: Arc<Settings>,
    sender_id: Arc<str>,
    store_id: u64,
    generation: u32,
    next_serial: u64,
    next_receive: u64,
    queues: Vec<Queue>,
    names: BTreeMap<Arc<str>, u32>,
    /// Frames that are not in the journal yet.
    outbox: Vec<u8>,
    /// A record that could not be encoded: the state is ahead of the journal and must not be used any more.
    fault: Option<postcard::Error>,
}

impl Engine {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            sender_id: Arc::from(settings.account_id.as_str()),
            settings,
            store_id: 0,
            generation: 0,
            next_serial: 0,
            next_receive: 0,
            queues: Vec::new(),
            names: BTreeMap::new(),
            outbox: Vec::new(),
            fault: None,
        }
    }

    /// The first records of a new store.
    pub(crate) fn begin(&mut self) {
        self.commit(Record::Began {
            format: FORMAT,
            store_id: self.settings.id_seed,
        });
    }

    /// This process takes the store over: from here serials and receive numbers differ from all before.
    pub(crate) fn open(&mut self) {
        self.commit(Record::Opened {
            generation: self.generation + 1,
        });
    }

    /// Takes the frames to be written.
    pub(crate) fn take_outbox(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outbox)
    }

    pub(crate) fn take_fault(&mut self) -> Option<postcard::Error> {
        self.fault.take()
    }

    /// The queues in which something became visible since the last call.
    pub(crate) fn take_woken(&mut self) -> impl Iterator<Item = usize> + '_ {
        self.queues
            .iter_mut()
            .enumerate()
            .filter_map(|(n, queue)| std::mem::take(&mut queue.woken).then_some(n))
    }

    fn commit(&mut self, record: Record) {
        match record::encode(&record, &mut self.outbox) {
            Ok(()) => self.apply(record),
            Err(error) => self.fault = Some(error),
        }
    }

    /// Does what a record says. A record about something that is not there does nothing.
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Began { store_id, .. } => self.store_id = store_id,
            Record::Opened { generation } => {
                self.generation = generation;
                self.next_serial = u64::from(generation) << GENERATION_SHIFT;
                self.next_receive = self.next_serial;
            }
            Record::QueueSet {
                queue,
                name,
                attributes,
                created_at_ms,
                modified_at_ms,
            } => {
                self.apply_queue(queue, name, attributes, created_at_ms, modified_at_ms);
            }
            Record::Stored { queue, message } => {
                if let Some(queue) = self.queues.get_mut(queue as usize) {
                    queue.insert(message);
                }
            }
            Record::Received {
                queue,
                serial,
                receive,
                at_ms,
                visible_at_ms,
            } => {
                self.apply_received(queue, serial, receive, at_ms, visible_at_ms);
            }
            Record::VisibilityChanged {
                queue,
                serial,
                visible_at_ms,
            } => {
                if let Some(queue) = self.queues.get_mut(queue as usize) {
                    queue.update(serial, |message| message.visible_at_ms = visible_at_ms);
                }
            }
            Record::Removed { queue, serial } => {
                let limit = self.settings.in_flight;
                if let Some(queue) = self.queues.get_mut(queue as usize) {
                    // A place in flight became free: a receive that was refused one may look again.
                    queue.woken |= queue.counts().in_flight >= limit;
                    queue.remove(serial);
                }
            }
            Record::Moved {
                queue,
                serial,
                target,
                restart,
            } => self.apply_moved(queue, serial, target, restart),
            Record::Readmitted {
                queue,
                serial,
                target,
                new_serial,
                at_ms,
            } => {
                self.apply_readmitted(queue, serial, target, new_serial, at_ms);
            }
            Record::Purged { queue, at_ms } => {
                if let Some(queue) = self.queues.get_mut(queue as usize) {
                    queue.clear();
                    queue.purged_at_ms = Some(at_ms);
                }
            }
        }
    }

    fn apply_received(&mut self, number: u32, serial: u64, receive: u64, at_ms: i64, visible_at_ms: i64) {
        let Some(queue) = self.queues.get_mut(number as usize) else {
            return;
        };
        queue.update(serial, |message| {
            message.standing = Standing::InFlight;
            message.visible_at_ms = visible_at_ms;
            message.receive_count = message.receive_count.saturating_add(1);
            let first_at_ms = message.receives.map_or(at_ms, |receives| receives.first_at_ms);
            message.receives = Some(Receives {
                first_at_ms,
                last_at_ms: at_ms,
                last: receive,
            });
        });
    }

    fn apply_queue(&mut self, number: u32, name: Arc<str>, attributes: QueueAttributes, created: i64, modified: i64) {
        if number as usize == self.queues.len() {
            let arn = Arc::from(self.settings.arn(&name));
            self.names.insert(Arc::clone(&name), number);
            self.queues
                .push(Queue::new(name, arn, QueueAttributes::default(), created));
        }
        if let Some(queue) = self.queues.get_mut(number as usize) {
            queue.set_attributes(attributes, modified);
        }
    }

    /// Everything that is, as records that make it again; the order of visible messages is that of their serials.
    pub(crate) fn snapshot<E>(&self, mut write: impl FnMut(&Record) -> Result<(), E>) -> Result<(), E> {
        write(&Record::Began {
            format: FORMAT,
            store_id: self.store_id,
        })?;
        write(&Record::Opened {
            generation: self.generation,
        })?;
        for (number, queue) in (0u32..).zip(&self.queues) {
            write(&Record::QueueSet {
                queue: number,
                name: Arc::clone(&queue.name),
                attributes: queue.attributes.clone(),
                created_at_ms: queue.created_at_ms,
                modified_at_ms: queue.modified_at_ms,
            })?;
        }
        for (number, queue) in (0u32..).zip(&self.queues) {
            if let Some(at_ms) = queue.purged_at_ms {
                write(&Record::Purged { queue: number, at_ms })?;
            }
            let mut messages: Vec<_> = queue.iter().collect();
            messages.sort_unstable_by_key(|message| message.serial);
            for message in messages {
                write(&Record::Stored {
                    queue: number,
                    message: message.clone(),
                })?;
            }
        }
        Ok(())
    }

    /// Bytes that a snapshot would take, roughly.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.queues.iter().map(|queue| queue.stored_bytes).sum()
    }

    // Queues.

    /// The number of a queue.
    pub(crate) fn queue_number(&self, name: &str) -> Result<u32, SqsError> {
        self.names.get(name).copied().ok_or(SqsError::QueueDoesNotExist)
    }

    pub(crate) fn queue(&self, number: u32) -> Result<&Queue, SqsError> {
        self.queues.get(number as usize).ok_or(SqsError::QueueDoesNotExist)
    }

    fn queue_mut(&mut self, number: u32) -> Result<&mut Queue, SqsError> {
        self.queues.get_mut(number as usize).ok_or(SqsError::QueueDoesNotExist)
    }

    pub(crate) fn queue_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.keys()
    }

    pub(crate) fn create_queue(
        &mut self,
        now_ms: i64,
        name: &str,
        given: &BTreeMap<String, String>,
    ) -> Result<u32, SqsError> {
        if let Ok(number) = self.queue_number(name) {
            let queue = self.queue(number)?;
            let wanted = queue.attributes.clone().set(given, &self.settings)?;
            if wanted == queue.attributes {
                return Ok(number);
            }
            let (have, want) = (queue.attributes.print(&self.settings), wanted.print(&self.settings));
            let differs = have
                .keys()
                .chain(want.keys())
                .find(|key| have.get(*key) != want.get(*key));
            return Err(SqsError::QueueNameExists(
                differs.map_or_else(String::new, |key| (*key).to_owned()),
            ));
        }
        if name.ends_with(".fifo") {
            return Err(SqsError::UnsupportedOperation("This server has standard queues only."));
        }
        if !limits::is_name(name) {
            return Err(SqsError::InvalidParameterValue(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length".to_owned(),
            ));
        }
        let attributes = QueueAttributes::default().set(given, &self.settings)?;
        self.check_redrive(name, &attributes)?;
        let number = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        let name = Arc::from(name);
        self.commit(Record::QueueSet {
            queue: number,
            name,
            attributes,
            created_at_ms: now_ms,
            modified_at_ms: now_ms,
        });
        Ok(number)
    }

    pub(crate) fn set_attributes(
        &mut self,
        now_ms: i64,
        number: u32,
        given: &BTreeMap<String, String>,
    ) -> Result<(), SqsError> {
        let queue = self.queue(number)?;
        let attributes = queue.attributes.clone().set(given, &self.settings)?;
        self.check_redrive(&queue.name, &attributes)?;
        let (name, created_at_ms) = (Arc::clone(&queue.name), queue.created_at_ms);
        self.commit(Record::QueueSet {
            queue: number,
            name,
            attributes,
            created_at_ms,
            modified_at_ms: now_ms,
        });
        Ok(())
    }

    /// A dead-letter queue must exist, be another queue, and allow it.
    fn check_redrive(&self, name: &str, attributes: &QueueAttributes) -> Result<(), SqsError> {
        let Some(redrive) = &attributes.redrive else {
            return Ok(());
        };
        let refuse = |reason| Err(invalid("RedrivePolicy", reason));
        let Some(&target) = self.names.get(&redrive.target) else {
            return refuse("Dead letter target does not exist.");
        };
        if &*redrive.target == name {
            return refuse("A queue cannot be its own dead letter queue.");
        }
        match &self.queue(target)?.attributes.redrive_allow {
            RedriveAllow::All => Ok(()),
            RedriveAllow::Queues(sources) if sources.iter().any(|source| source == name) => Ok(()),
            _ => refuse("Queue does not have permission to use the dead letter queue."),
        }
    }

    pub(crate) fn counts(&mut self, now_ms: i64, number: u32) -> Result<Counts, SqsError> {
        self.advance(now_ms, number)?;
        Ok(self.queue(number)?.counts())
    }

    pub(crate) fn purge(&mut self, now_ms: i64, number: u32) -> Result<(), SqsError> {
        let last = self.queue(number)?.purged_at_ms;
        if last.is_some_and(|at_ms| now_ms < at_ms.saturating_add(limits::PURGE_INTERVAL_MS)) {
            return Err(SqsError::PurgeQueueInProgress);
        }
        self.commit(Record::Purged {
            queue: number,
            at_ms: now_ms,
        });
        Ok(())
    }

    // Time.

    /// Lets time pass in one queue: what is due becomes visible, what is expired goes. Answers whether that was all.
    fn advance(&mut self, now_ms: i64, number: u32) -> Result<bool, SqsError> {
        let woken = self.queue_mut(number)?.wake_due(now_ms, limits::STEPS_A_TURN);
        let mut expired = 0;
        while expired < limits::STEPS_A_TURN
            && let Some(serial) = self.queue(number)?.first_expired(now_ms)
        {
            self.commit(Record::Removed { queue: number, serial });
            if self.fault.is_some() {
                break;
            }
            expired += 1;
        }
        Ok(woken < limits::STEPS_A_TURN && expired < limits::STEPS_A_TURN)
    }

    /// The earliest time at which a message becomes visible.
    pub(crate) fn next_visible_ms(&self) -> Option<i64> {
        self.queues.iter().filter_map(Queue::next_due_ms).min()
    }

    /// The earliest time at which anything happens by itself.
    pub(crate) fn next_timer_ms(&self) -> Option<i64> {
        self.queues
            .iter()
            .filter_map(Queue::next_expiry_ms)
            .chain(self.next_visible_ms())
            .min()
    }

    fn restarts(&self) -> bool {
        self.settings.receive_count_on_move == ReceiveCountOnMove::Restarts
    }
}
