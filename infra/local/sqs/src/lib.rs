//! SQS in process: the subset that Redial uses, durable, with a controllable clock.
//!
//! Standard queues only: send, receive with long poll, delete, change visibility, their batches with partial failure,
//! delay, redrive, move tasks, fair turns by `MessageGroupId`, size limits and retention. [`Sqs`] is the server; it is called
//! with the AWS JSON protocol ([`Sqs::call`]) or with types. What is answered as sent or deleted is on disk. It opens no
//! socket, reads no clock but the one it is given, and never forgets a message that it acknowledged.

mod attributes;
mod digest;
mod engine;
mod error;
mod journal;
pub mod limits;
mod message;
mod number;
mod protocol;
mod queue;
mod receipt;
mod record;
mod settings;
mod sqs;
#[cfg(test)]
mod stand;
mod timer;
mod turns;

pub use error::SqsError;
pub use journal::{JournalError, JournalState};
pub use message::{AttributeContent, AttributeValue, Counts, MessageAttributes, Outgoing, Received, Sent};
pub use protocol::Answer;
pub use settings::{NowMs, ReceiveCountOnMove, Settings};
pub use sqs::Sqs;
