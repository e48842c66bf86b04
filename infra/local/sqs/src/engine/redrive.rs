//! Messages that change their queue: redrive after too many receives, and move tasks back out of a dead-letter queue.

use super::Engine;
use crate::error::SqsError;
use crate::limits;
use crate::message::Standing;
use crate::record::Record;

impl Engine {
    /// Moves a message to its queue's dead-letter queue.
    pub(super) fn redrive(&mut self, number: u32, serial: u64) {
        let target = self
            .queue(number)
            .ok()
            .and_then(|queue| queue.attributes.redrive.as_ref());
        let target = target.and_then(|redrive| self.queue_number(&redrive.target).ok());
        // A policy is only accepted with a target that exists, and queues are never deleted.
        if let Some(target) = target {
            self.commit(Record::Moved {
                queue: number,
                serial,
                target,
                restart: self.restarts(),
            });
        }
    }

    pub(super) fn apply_moved(&mut self, number: u32, serial: u64, target: u32, restart: bool) {
        if target as usize >= self.queues.len() {
            return;
        }
        let Some(mut message) = self
            .queues
            .get_mut(number as usize)
            .and_then(|queue| queue.remove(serial))
        else {
            return;
        };
        message.source = Some(number);
        message.standing = Standing::Visible;
        if restart {
            message.receive_count = 0;
            message.receives = None;
        }
        // The time it was sent stays: retention counts from the first enqueue, across redrives.
        if let Some(target) = self.queues.get_mut(target as usize) {
            target.insert(message);
        }
    }

    /// Lets time pass in all queues and moves what is received too often without waiting for the next receive.
    /// Answers whether there was more than one turn may do: then call it again.
    pub(crate) fn tick(&mut self, now_ms: i64) -> bool {
        let mut unfinished = false;
        for number in self.numbers() {
            unfinished |= !self.advance(now_ms, number).unwrap_or(true);
        }
        let mut steps = 0;
        // Moves can chain from queue to queue; policies in a circle end with the last round.
        for _round in 0..self.queues.len() {
            for number in self.numbers() {
                let Ok(queue) = self.queue_mut(number) else { continue };
                let spent = queue.take_spent();
                let (now, later) = spent.split_at(spent.len().min(limits::STEPS_A_TURN.saturating_sub(steps)));
                queue.put_spent_back(later);
                unfinished |= !later.is_empty();
                steps += now.len();
                for &serial in now {
                    let is_spent = self.queue(number).is_ok_and(|queue| {
                        queue
                            .get(serial)
                            .is_some_and(|m| m.standing == Standing::Visible && queue.is_spent(m))
                    });
                    if is_spent {
                        self.redrive(number, serial);
                    }
                }
            }
        }
        unfinished && self.fault.is_none()
    }

    fn numbers(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.queues.len()).unwrap_or(u32::MAX)
    }

    /// Checks a move task: the source must be somebody's dead-letter queue.
    pub(crate) fn check_move_task(&self, source: u32, target: Option<u32>) -> Result<(), SqsError> {
        let name = &self.queue(source)?.name;
        let is_source =
            |queue: &crate::queue::Queue| queue.attributes.redrive.as_ref().is_some_and(|r| r.target == *name);
        if !self.queues.iter().any(is_source) {
            return Err(SqsError::InvalidParameterValue(
                "Source queue must be configured as a Dead Letter Queue.".to_owned(),
            ));
        }
        if target == Some(source) {
            return Err(SqsError::InvalidParameterValue(
                "Source queue arn and destination queue arn are the same.".to_owned(),
            ));
        }
        Ok(())
    }

    /// The serial below which a move task that starts now moves messages, so that it never meets its own.
    pub(crate) fn move_horizon(&self) -> u64 {
        self.next_serial
    }

    /// Moves visible messages out of a dead-letter queue: to `target`, or each to where it came from (those that came
    /// from nowhere stay). Answers how many it moved and whether there are more.
    pub(crate) fn move_some(
        &mut self,
        now_ms: i64,
        source: u32,
        target: Option<u32>,
        horizon: u64,
    ) -> Result<(usize, bool), SqsError> {
        let drained = self.advance(now_ms, source)?;
        let queue = self.queue(source)?;
        let visible = queue
            .iter()
            .filter(|m| m.standing == Standing::Visible && m.serial < horizon);
        let mut due: Vec<(u64, u32)> = visible.filter_map(|m| Some((m.serial, target.or(m.source)?))).collect();
        due.sort_unstable();
        let more = !drained || due.len() > limits::STEPS_A_TURN;
        due.truncate(limits::STEPS_A_TURN);
        for &(serial, target) in &due {
            let new_serial = self.next_serial;
            self.next_serial += 1;
            self.commit(Record::Readmitted {
                queue: source,
                serial,
                target,
                new_serial,
                at_ms: now_ms,
            });
        }
        Ok((due.len(), more && self.fault.is_none()))
    }

    /// "All redriven messages are considered new messages with a new messageID and enqueueTime" (developer guide).
    pub(super) fn apply_readmitted(&mut self, number: u32, serial: u64, target: u32, new_serial: u64, at_ms: i64) {
        if target as usize >= self.queues.len() {
            return;
        }
        let Some(mut message) = self
            .queues
            .get_mut(number as usize)
            .and_then(|queue| queue.remove(serial))
        else {
            return;
        };
        message.serial = new_serial;
        message.sent_at_ms = at_ms;
        message.standing = Standing::Visible;
        message.receive_count = 0;
        message.receives = None;
        message.source = None;
        if let Some(target) = self.queues.get_mut(target as usize) {
            target.insert(message);
        }
    }
}
