//! Receiving, deleting, and changing how long a received message stays invisible.

use std::sync::Arc;

use super::Engine;
use crate::digest::{self, hex};
use crate::error::SqsError;
use crate::limits;
use crate::message::{Message, Received, Standing};
use crate::queue::Queue;
use crate::receipt::Receipt;
use crate::record::Record;

/// What a receive found.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) messages: Vec<Received>,
    /// The in-flight limit kept it from taking more.
    pub(crate) over_limit: bool,
    /// It stopped before it had looked at everything: look again at once.
    pub(crate) unfinished: bool,
}

impl Engine {
    /// Takes up to `max` messages whose turn it is. Those received too often are moved on instead (redrive is lazy).
    /// `visibility_s` overrides the queue's timeout.
    pub(crate) fn receive(
        &mut self,
        now_ms: i64,
        number: u32,
        max: usize,
        visibility_s: Option<u32>,
    ) -> Result<Taken, SqsError> {
        self.advance(now_ms, number)?;
        let visible_at_ms = {
            let seconds = visibility_s.unwrap_or(self.queue(number)?.attributes.visibility_s);
            now_ms.saturating_add(i64::from(seconds) * 1000)
        };
        let mut taken = Taken::default();
        let mut steps = 0;
        while taken.messages.len() < max {
            let queue = self.queue(number)?;
            let Some(message) = queue.next_visible().and_then(|serial| queue.get(serial)) else {
                break;
            };
            let serial = message.serial;
            if steps == limits::STEPS_A_TURN || self.fault.is_some() {
                taken.unfinished = self.fault.is_none();
                break;
            }
            steps += 1;
            if queue.is_expired(message.sent_at_ms, now_ms) {
                self.commit(Record::Removed { queue: number, serial });
            } else if queue.is_spent(message) {
                self.redrive(number, serial);
            } else if queue.counts().in_flight >= self.settings.in_flight {
                taken.over_limit = true;
                break;
            } else {
                taken.messages.extend(self.take(now_ms, number, serial, visible_at_ms));
            }
        }
        Ok(taken)
    }

    fn take(&mut self, now_ms: i64, number: u32, serial: u64, visible_at_ms: i64) -> Option<Received> {
        let receive = self.next_receive;
        self.next_receive += 1;
        self.commit(Record::Received {
            queue: number,
            serial,
            receive,
            at_ms: now_ms,
            visible_at_ms,
        });
        let queue = self.queue(number).ok()?;
        let message = queue.get(serial)?;
        let handle = Receipt {
            queue: number,
            serial,
            receive,
        }
        .to_handle(self.store_id);
        Some(self.received(queue, message, handle, now_ms))
    }

    fn received(&self, queue: &Queue, message: &Message, receipt_handle: String, now_ms: i64) -> Received {
        let source = message.source.and_then(|number| self.queue(number).ok());
        Received {
            message_id: digest::message_id(self.store_id, message.serial),
            receipt_handle,
            body: Arc::clone(&message.body),
            body_md5: hex(&message.body_md5),
            message_attributes: Arc::clone(&message.attributes),
            group: message.group.clone(),
            trace_header: message.trace_header.clone(),
            receive_count: message.receive_count,
            sent_at_ms: message.sent_at_ms,
            first_received_at_ms: message.receives.map_or(now_ms, |receives| receives.first_at_ms),
            queue_arn: Arc::clone(&queue.arn),
            dead_letter_source_arn: source.map(|source| source.arn.to_string()),
            sender_id: Arc::clone(&self.sender_id),
        }
    }

    /// Deletes the message of a handle. Nothing happens if it is gone, or was received again since: then the handle is
    /// stale and the message somebody else's.
    pub(crate) fn delete(&mut self, number: u32, handle: &str) -> Result<(), SqsError> {
        let receipt = self.receipt(number, handle)?;
        let is_last = |message: &Message| {
            message
                .receives
                .is_some_and(|receives| receives.last == receipt.receive)
        };
        if self.queue(number)?.get(receipt.serial).is_some_and(is_last) {
            self.commit(Record::Removed {
                queue: number,
                serial: receipt.serial,
            });
        }
        Ok(())
    }

    /// Makes visible what was received and neither deleted nor given another visibility since: whoever had it is gone.
    /// Answers how many messages.
    pub(crate) fn give_back(&mut self, now_ms: i64) -> usize {
        let mut given = Vec::new();
        for (number, queue) in (0..).zip(&self.queues) {
            let timeout_ms = i64::from(queue.attributes.visibility_s) * 1000;
            let untouched = queue.iter().filter(|message| {
                let received = message.receives.filter(|_| message.standing == Standing::InFlight);
                received.is_some_and(|r| message.visible_at_ms == r.last_at_ms.saturating_add(timeout_ms))
            });
            given.extend(untouched.map(|message| (number, message.serial)));
        }
        for &(queue, serial) in &given {
            self.commit(Record::VisibilityChanged {
                queue,
                serial,
                visible_at_ms: now_ms,
            });
        }
        given.len()
    }

    /// Makes a message in flight visible `seconds` from now; never later than 12 hours after its receive.
    pub(crate) fn change_visibility(
        &mut self,
        now_ms: i64,
        number: u32,
        handle: &str,
        seconds: i64,
    ) -> Result<(), SqsError> {
        let seconds = limits::in_bounds("VisibilityTimeout", seconds, 0, limits::VISIBILITY_S)?;
        let receipt = self.receipt(number, handle)?;
        self.advance(now_ms, number)?;
        let gone = || {
            SqsError::InvalidParameterValue(format!(
                "Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not \
                 available for visibility timeout change."
            ))
        };
        let message = self.queue(number)?.get(receipt.serial).ok_or_else(gone)?;
        let receives = message
            .receives
            .filter(|receives| receives.last == receipt.receive)
            .ok_or_else(gone)?;
        if message.standing != Standing::InFlight {
            return Err(SqsError::MessageNotInflight);
        }
        let visible_at_ms = now_ms.saturating_add(i64::from(seconds) * 1000);
        if visible_at_ms
            > receives
                .last_at_ms
                .saturating_add(i64::from(limits::VISIBILITY_S) * 1000)
        {
            return Err(SqsError::InvalidParameterValue(format!(
                "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the \
                 message is beyond the limit [43200 seconds]."
            )));
        }
        self.commit(Record::VisibilityChanged {
            queue: number,
            serial: receipt.serial,
            visible_at_ms,
        });
        Ok(())
    }

    fn receipt(&self, number: u32, handle: &str) -> Result<Receipt, SqsError> {
        Receipt::parse(handle, self.store_id)
            .filter(|receipt| receipt.queue == number)
            .ok_or(SqsError::ReceiptHandleIsInvalid)
    }
}
