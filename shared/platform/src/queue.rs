//! The queues: sending deliveries and replays, and changing when a failed delivery comes back. Only ingest, api, replay and
//! the scheduled sweeper may send (docs/ARCHITECTURE.md): a dispatcher that sent would run into Lambda's loop detection.

use std::collections::HashSet;
use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, QueueAttributeName, SendMessageBatchRequestEntry};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use redial_domain::Timestamp;

use crate::failpoint;
use crate::gather::{Gather, Limits};
use crate::later::Later;
use crate::message::{DeliveryMessage, ReplayMessage};
use crate::pace;

/// Messages in one batch, by AWS's limit.
const BATCH: usize = 10;
/// Bytes of all messages in one batch, by AWS's limit of 1 MiB, with room for their attributes.
const BATCH_BYTES: usize = 1_000_000;
/// Batches on their way at once.
const CONCURRENT_SENDS: usize = 16;
/// Messages of one request that wait for their place in a batch at once.
const CONCURRENT_MESSAGES: usize = CONCURRENT_SENDS * BATCH;
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
    /// A call that was made for several callers failed.
    #[error(transparent)]
    Together(Arc<QueueError>),
    /// A call that was made for several callers broke off: it may have been done or not.
    #[error("a call for several callers broke off")]
    Lost,
}

/// Sends a batch that SQS takes as one. Of what it refuses in the end each has an error; nothing of the others.
async fn send_batch(client: Later<Client>, url: String, batch: Vec<Outgoing>) -> Vec<Result<(), Arc<QueueError>>> {
    let mut left: Vec<usize> = (0..batch.len()).collect();
    for _ in 0..FAILED_TRIES {
        let mut call = client.send_message_batch().queue_url(&url);
        for (id, message) in left.iter().filter_map(|id| Some((id, batch.get(*id)?))) {
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
        let answer = match call.send().boxed().await.map_err(sqs("SendMessageBatch")) {
            Ok(answer) => answer,
            Err(error) => {
                let error = Arc::new(error);
                let outcome = |id| {
                    if left.contains(&id) {
                        Err(Arc::clone(&error))
                    } else {
                        Ok(())
                    }
                };
                return (0..batch.len()).map(outcome).collect();
            }
        };
        let failed: HashSet<String> = answer.failed.into_iter().map(|failed| failed.id).collect();
        left.retain(|id| failed.contains(&id.to_string()));
        if left.is_empty() {
            break;
        }
    }
    let refused = Arc::new(QueueError::Refused(left.len()));
    let outcome = |id| {
        if left.contains(&id) {
            Err(Arc::clone(&refused))
        } else {
            Ok(())
        }
    };
    (0..batch.len()).map(outcome).collect()
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
    client: Later<Client>,
    urls: QueueUrls,
    deliveries: Gather<Outgoing, Result<(), Arc<QueueError>>>,
}

struct Outgoing {
    group: String,
    body: String,
    /// A standard queue takes it together with a group; a FIFO queue would not.
    delay_s: i32,
}

impl Outgoing {
    fn of(message: &DeliveryMessage, now: Timestamp) -> Result<Self, QueueError> {
        Ok(Self {
            group: message.endpoint.to_string(),
            body: serde_json::to_string(message)?,
            delay_s: message.slot().map_or(0, |slot| pace::delay_s(slot, now)),
        })
    }
}

impl Queues {
    /// The queues at these URLs.
    #[must_use]
    pub fn new(client: impl Into<Later<Client>>, urls: QueueUrls) -> Self {
        let client = client.into();
        let limits = Limits {
            most: BATCH,
            at_once: CONCURRENT_SENDS,
            goes_with: |batch: &[Outgoing], message: &Outgoing| {
                let bytes: usize = batch.iter().map(|message| message.body.len()).sum();
                bytes + message.body.len() <= BATCH_BYTES
            },
        };
        let (sender, url) = (client.clone(), urls.delivery.clone());
        let deliveries = Gather::new(limits, move |batch| {
            send_batch(sender.clone(), url.clone(), batch).boxed()
        });
        Self {
            client,
            urls,
            deliveries,
        }
    }

    /// Sends deliveries to the delivery queue, ten at a time and at most 1 MiB; the endpoint is the message group, so that
    /// a busy endpoint does not delay a quiet one. One with a slot that is later than `now` is received shortly before that
    /// ([`pace::delay_s`]).
    ///
    /// # Errors
    /// [`QueueError`] if some message was not taken; others may have been.
    pub async fn send_deliveries(&self, messages: &[DeliveryMessage], now: Timestamp) -> Result<(), QueueError> {
        let (mut sending, mut sent) = (FuturesUnordered::new(), Ok(()));
        for message in messages {
            if sending.len() >= CONCURRENT_MESSAGES
                && let Some(one) = sending.next().await
            {
                sent = sent.and(one);
            }
            // Written when its turn has come: all of a large request at once would be megabytes once more.
            sending.push(self.send_delivery(Outgoing::of(message, now)));
        }
        // What fails does not keep the others back.
        while let Some(one) = sending.next().await {
            sent = sent.and(one);
        }
        sent
    }

    async fn send_delivery(&self, outgoing: Result<Outgoing, QueueError>) -> Result<(), QueueError> {
        match self.deliveries.ask(outgoing?).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(QueueError::Together(error)),
            None => Err(QueueError::Lost),
        }
    }

    /// Sends a replay job, or an erasure, to whoever works on them; the tenant is the message group, so that one with many does
    /// not delay another's first.
    ///
    /// # Errors
    /// [`QueueError`] if it was not taken.
    pub async fn send_replay(&self, message: &ReplayMessage) -> Result<(), QueueError> {
        let body = serde_json::to_string(message)?;
        let call = self
            .client
            .send_message()
            .queue_url(&self.urls.replay)
            .message_body(body)
            .message_group_id(message.tenant.as_str());
        call.send().boxed().await.map_err(sqs("SendMessage"))?;
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
        let answer = call.send().boxed().await.map_err(sqs("GetQueueAttributes"))?;
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
            let answer = call.send().boxed().await.map_err(sqs("ChangeMessageVisibilityBatch"))?;
            for failed in answer.failed {
                tracing::warn!(code = failed.code, "queue.visibility_refused");
            }
        }
        Ok(())
    }
}
