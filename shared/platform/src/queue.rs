//! The queues: sending deliveries and replays, and changing when a failed delivery comes back. Only ingest, api, replay and
//! the scheduled sweeper may send (docs/ARCHITECTURE.md): a dispatcher that sent would run into Lambda's loop detection.

use std::collections::HashSet;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, QueueAttributeName, SendMessageBatchRequestEntry};

use futures_util::StreamExt as _;
use redial_domain::Timestamp;

use crate::failpoint;
use crate::message::{DeliveryMessage, ReplayMessage};
use crate::pace;

/// Messages in one batch, by AWS's limit.
const BATCH: usize = 10;
/// Bytes of all messages in one batch, by AWS's limit of 1 MiB, with room for their attributes.
const BATCH_BYTES: usize = 1_000_000;
/// Batches on their way at once.
const CONCURRENT_SENDS: usize = 16;
/// Times a batch is sent again for the entries that SQS refused to take.
const FAILED_TRIES: u32 = 3;
/// Longest visibility that SQS takes, in seconds.
const MAX_VISIBILITY_S: i64 = 43_200;

/// URLs of the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueUrls {
    /// First attempts and the first retries.
    pub delivery: String,
    /// Later retries.
    pub retry: String,
    /// Replay jobs.
    pub replay: String,
}

/// The queues could not be reached, or refused.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// SQS refused or did not answer.
    #[error("SQS {operation} failed: {source}")]
    Sqs {
        /// The operation.
        operation: &'static str,
        /// What the SDK said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// SQS kept refusing some of the messages.
    #[error("SQS did not take {0} messages")]
    Refused(usize),
    /// A message could not be written as JSON.
    #[error("a message could not be written: {0}")]
    Unwritable(#[from] serde_json::Error),
}

fn sqs<E, R>(operation: &'static str) -> impl FnOnce(aws_sdk_sqs::error::SdkError<E, R>) -> QueueError
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    move |error| QueueError::Sqs {
        operation,
        source: aws_sdk_sqs::error::DisplayErrorContext(error).to_string().into(),
    }
}

/// The queues. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queues {
    client: Client,
    urls: QueueUrls,
}

struct Outgoing {
    group: String,
    body: String,
    /// A standard queue takes it together with a group; a FIFO queue would not.
    delay_s: i32,
}

impl Queues {
    /// The queues at these URLs.
    #[must_use]
    pub const fn new(client: Client, urls: QueueUrls) -> Self {
        Self { client, urls }
    }

    /// Sends deliveries to the delivery queue, ten at a time and at most 1 MiB; the endpoint is the message group, so that
    /// a busy endpoint does not delay a quiet one. One with a slot that is later than `now` is received when that has come,
    /// up to a second before it.
    ///
    /// # Errors
    /// [`QueueError`] if some message was not taken; others may have been.
    pub async fn send_deliveries(&self, messages: &[DeliveryMessage], now: Timestamp) -> Result<(), QueueError> {
        let mut batches: Vec<Vec<Outgoing>> = Vec::new();
        let mut bytes = 0;
        for message in messages {
            let body = serde_json::to_string(message)?;
            let fits = batches
                .last()
                .is_some_and(|b| b.len() < BATCH && bytes + body.len() <= BATCH_BYTES);
            if !fits {
                batches.push(Vec::with_capacity(BATCH));
                bytes = 0;
            }
            bytes += body.len();
            if let Some(batch) = batches.last_mut() {
                batch.push(Outgoing {
                    group: message.endpoint.to_string(),
                    body,
                    delay_s: message.slot().map_or(0, |slot| pace::delay_s(slot, now)),
                });
            }
        }
        // A batch that fails does not keep the others back.
        let sent = futures_util::stream::iter(batches.into_iter().map(|batch| self.send_batch(batch)));
        let sent: Vec<Result<(), QueueError>> = sent.buffer_unordered(CONCURRENT_SENDS).collect().await;
        sent.into_iter().collect()
    }

    async fn send_batch(&self, mut batch: Vec<Outgoing>) -> Result<(), QueueError> {
        for _ in 0..FAILED_TRIES {
            let mut call = self.client.send_message_batch().queue_url(&self.urls.delivery);
            for (id, message) in batch.iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(id.to_string())
                    .message_body(&message.body)
                    .message_group_id(&message.group)
                    .set_delay_seconds((message.delay_s > 0).then_some(message.delay_s));
                if let Ok(entry) = entry.build() {
                    call = call.entries(entry);
                }
            }
            failpoint::hit("queue.in_sends");
            let answer = call.send().await.map_err(sqs("SendMessageBatch"))?;
            let failed: HashSet<String> = answer.failed.into_iter().map(|failed| failed.id).collect();
            let mut id = 0;
            batch.retain(|_| {
                id += 1;
                failed.contains(&(id - 1).to_string())
            });
            if batch.is_empty() {
                return Ok(());
            }
        }
        Err(QueueError::Refused(batch.len()))
    }

    /// Sends a replay job to whoever works on replays.
    ///
    /// # Errors
    /// [`QueueError`] if it was not taken.
    pub async fn send_replay(&self, message: &ReplayMessage) -> Result<(), QueueError> {
        let body = serde_json::to_string(message)?;
        let call = self
            .client
            .send_message()
            .queue_url(&self.urls.replay)
            .message_body(body);
        call.send().await.map_err(sqs("SendMessage"))?;
        Ok(())
    }

    /// Messages that wait in the delivery queue for a first or next receive: how far it is behind.
    ///
    /// # Errors
    /// [`QueueError`] if SQS failed.
    pub async fn delivery_backlog(&self) -> Result<u64, QueueError> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let call = self
            .client
            .get_queue_attributes()
            .queue_url(&self.urls.delivery)
            .attribute_names(name.clone());
        let answer = call.send().await.map_err(sqs("GetQueueAttributes"))?;
        let count = answer
            .attributes
            .as_ref()
            .and_then(|attributes| attributes.get(&name)?.parse().ok());
        Ok(count.unwrap_or(0))
    }

    /// The URL of the queue that a record came from, by its ARN; `None` if it is not one of ours.
    #[must_use]
    pub fn url_of(&self, arn: &str) -> Option<&str> {
        let name = arn.rsplit(':').next()?;
        let urls = [&self.urls.delivery, &self.urls.retry, &self.urls.replay];
        urls.into_iter()
            .map(String::as_str)
            .find(|url| url.rsplit('/').next() == Some(name))
    }

    /// True if a record with this ARN came from the delivery queue.
    #[must_use]
    pub fn is_delivery(&self, arn: &str) -> bool {
        self.url_of(arn) == Some(self.urls.delivery.as_str())
    }

    /// Sets when messages become visible again: receipt handles, and seconds from now. Entries that SQS refuses keep the
    /// queue's own visibility; that still backs off.
    ///
    /// # Errors
    /// [`QueueError`] if the call failed as a whole.
    pub async fn change_visibility(&self, url: &str, messages: &[(String, i64)]) -> Result<(), QueueError> {
        for chunk in messages.chunks(BATCH) {
            let mut call = self.client.change_message_visibility_batch().queue_url(url);
            for (id, (receipt, seconds)) in chunk.iter().enumerate() {
                let seconds = i32::try_from((*seconds).clamp(0, MAX_VISIBILITY_S)).unwrap_or(0);
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(id.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(seconds);
                if let Ok(entry) = entry.build() {
                    call = call.entries(entry);
                }
            }
            let answer = call.send().await.map_err(sqs("ChangeMessageVisibilityBatch"))?;
            for failed in answer.failed {
                tracing::warn!(code = failed.code, "queue.visibility_refused");
            }
        }
        Ok(())
    }
}
