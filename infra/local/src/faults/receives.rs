//! What goes wrong between SQS and a function that gets its messages: the event source mapping's side of it. What a receive
//! took is never lost: it is handed out, or comes again when its visibility timeout ends.

use std::time::Duration;

use redial_sqs::Received;

use super::draw::{Kind, below, mix};
use super::plan::Plan;

/// Timeouts of a function after which its messages are visible again: six, AWS's least.
const VISIBILITY_TIMEOUTS: u32 = 6;
/// As the log names it.
const MAPPING: &str = "mapping";

impl Plan {
    /// Shuffles a batch, and answers what of it is handed out a second time: with the same handle, at the same time.
    pub(super) fn handed_out(&self, batch: &mut [Received]) -> Vec<Received> {
        if batch.len() > 1
            && let Some(fault) = self.draw(MAPPING, "ReceiveMessage", |kind| kind == Kind::Shuffle)
        {
            let mut bits = fault.bits;
            for place in (1..batch.len()).rev() {
                bits = mix(bits);
                batch.swap(place, below(bits, place + 1).unwrap_or(place));
            }
        }
        let twice = batch.iter().filter(|_| {
            let fault = self.draw(MAPPING, "ReceiveMessage.entry", |kind| kind == Kind::Duplicate);
            fault.is_some()
        });
        twice.cloned().collect()
    }

    /// Waits, if a batch is to come late to its function.
    pub(super) async fn late(&self, timeout: Duration) {
        let possible = |kind| matches!(kind, Kind::Delay | Kind::Stall);
        if let Some(fault) = self.draw(MAPPING, "Invoke", possible) {
            match fault.kind {
                Kind::Stall => self.stall(fault.bits, timeout * VISIBILITY_TIMEOUTS).await,
                _ => self.delay(fault.bits).await,
            }
        }
    }

    /// Which of the messages that are done are deleted: AWS tries again where it fails, here nobody does.
    pub(super) fn deleted<'a>(&self, done: Vec<&'a str>) -> Vec<&'a str> {
        let whole = |kind| matches!(kind, Kind::Internal | Kind::Unavailable | Kind::Throttle | Kind::Reset);
        if done.is_empty() || self.draw(MAPPING, "DeleteMessageBatch", whole).is_some() {
            return Vec::new();
        }
        let single = |kind| matches!(kind, Kind::Partial | Kind::ExpiredHandle);
        let deleted = done.into_iter();
        deleted
            .filter(|_| self.draw(MAPPING, "DeleteMessageBatch.entry", single).is_none())
            .collect()
    }
}
