//! Event source mappings, as AWS's: fetch a batch, call the function, delete what it did not report as failed. A handler
//! that panics or takes too long fails its whole batch, and no other one. Never changes a visibility timeout: what is not
//! deleted comes back when the queue, or the function, says so.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use aws_lambda_events::encodings::Base64Data;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage, SqsMessageAttribute};
use futures_util::future::BoxFuture;
use redial_platform::Clock;
use redial_sqs::{AttributeContent, AttributeValue, Received, Sqs, SqsError};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::billable::Billable;
use crate::faults::Faults;
use crate::template::EventSourceMapping;

/// What a function does with a batch.
pub type Handler = Arc<dyn Fn(SqsEvent) -> BoxFuture<'static, SqsBatchResponse> + Send + Sync>;

/// How long a receive waits for the first message, in milliseconds. It is woken by a message at once; this only bounds
/// how long a stop takes. A receive is never dropped: what it took would be invisible for minutes.
const LONG_POLL_MS: i64 = 500;

/// Receives of a mapping that wait at once: while one hands its batch over, the next is there.
const RECEIVERS: usize = 4;

/// One mapping.
pub(super) struct Mapping {
    source: EventSourceMapping,
    sqs: Sqs,
    handler: Handler,
    clock: Clock,
    faults: Faults,
    billable: Option<Billable>,
    /// One for each batch that may be worked on.
    permits: Arc<Semaphore>,
}

impl Mapping {
    pub(super) fn new(source: EventSourceMapping, sqs: Sqs, handler: Handler, clock: Clock, faults: Faults) -> Self {
        let permits = Arc::new(Semaphore::new(source.maximum_concurrency));
        Self {
            source,
            sqs,
            handler,
            clock,
            faults,
            billable: None,
            permits,
        }
    }

    /// The same, counted.
    pub(super) fn billed(self, billable: Option<Billable>) -> Self {
        Self { billable, ..self }
    }

    /// Asks the queue, as Lambda's poller does.
    async fn ask(&self, most: usize, wait_ms: i64) -> Result<Vec<Received>, SqsError> {
        let queue = &self.source.queue;
        let batch = self.sqs.receive(queue, most, wait_ms, None).await?;
        if let Some(billable) = &self.billable {
            billable.received(queue, &batch);
        }
        Ok(batch)
    }

    /// The queue that it fetches from.
    pub(super) fn queue(&self) -> &str {
        &self.source.queue
    }

    /// Fetches what is there now, at most one batch, and works on it to the end. Answers how many messages it was.
    pub(super) async fn step(&self) -> Result<usize, SqsError> {
        let batch = self.ask(self.source.batch_size, 0).await?;
        let received = batch.len();
        if received > 0 {
            self.work(batch).await;
        }
        Ok(received)
    }

    /// Starts its receivers. They end when `stop` becomes true, and their last batches some time after.
    pub(super) fn start(self: &Arc<Self>, stop: &watch::Receiver<bool>, tasks: &mut JoinSet<()>) {
        for _ in 0..RECEIVERS.min(self.source.maximum_concurrency) {
            tasks.spawn(Arc::clone(self).fetch(stop.clone()));
        }
    }

    /// Waits until no batch is worked on.
    pub(super) async fn idle(&self) {
        let all = u32::try_from(self.source.maximum_concurrency).unwrap_or(u32::MAX);
        // Never closed.
        drop(self.permits.acquire_many(all).await);
    }

    /// Batches that are worked on, and receives that wait.
    pub(super) fn busy(&self) -> usize {
        self.source
            .maximum_concurrency
            .saturating_sub(self.permits.available_permits())
    }

    async fn fetch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            // Fetched only when it can be worked on: a message that waits here would be invisible to everyone.
            let permit = tokio::select! {
                permit = Arc::clone(&self.permits).acquire_owned() => permit,
                _ = stop.changed() => return,
            };
            let Ok(permit) = permit else { return };
            let mut batch = match self.receive().await {
                Ok(batch) if batch.is_empty() => continue,
                Ok(batch) => batch,
                Err(SqsError::Closed) => return,
                Err(error) => {
                    // The journal failed: whoever runs this process is told by the queues themselves.
                    tracing::error!(%error, queue = self.source.queue, "mapping.receive_failed");
                    return;
                }
            };
            let twice = self.faults.handed_out(&mut batch);
            if !twice.is_empty() {
                tokio::spawn(Arc::clone(&self).work_as_well(twice));
            }
            let mapping = Arc::clone(&self);
            tokio::spawn(async move {
                mapping.faults.late(mapping.source.timeout).await;
                mapping.work(batch).await;
                drop(permit);
            });
        }
    }

    /// Waits for messages, and then, if the mapping has a window, for the batch to fill.
    async fn receive(&self) -> Result<Vec<Received>, SqsError> {
        let most = self.source.batch_size;
        let mut batch = self.ask(most, LONG_POLL_MS).await?;
        let window_ms = i64::try_from(self.source.window.as_millis()).unwrap_or(i64::MAX);
        let until = self.clock.now().plus_millis(window_ms);
        while !batch.is_empty() && batch.len() < most {
            let left_ms = until.millis_since(self.clock.now());
            if left_ms <= 0 {
                break;
            }
            batch.extend(self.ask(most - batch.len(), left_ms.min(LONG_POLL_MS)).await?);
        }
        Ok(batch)
    }

    /// Works on a batch that somebody else works on too, as soon as there is room.
    async fn work_as_well(self: Arc<Self>, batch: Vec<Received>) {
        if let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await {
            self.work(batch).await;
            drop(permit);
        }
    }

    /// Calls the function in a task of its own and deletes what did not fail.
    async fn work(&self, batch: Vec<Received>) {
        let (queue, function) = (&self.source.queue, &self.source.function);
        if let Some(billable) = &self.billable {
            billable.invoked(function);
        }
        let mut invocation = tokio::spawn((self.handler)(event_of(&batch)));
        let response = match timeout(self.source.timeout, &mut invocation).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::error!(%error, function, queue, messages = batch.len(), "mapping.function_failed");
                return;
            }
            Err(_) => {
                invocation.abort();
                tracing::error!(function, queue, messages = batch.len(), "mapping.function_timed_out");
                return;
            }
        };
        let done = self.faults.deleted(done(&batch, &response));
        if let Some(billable) = &self.billable {
            billable.deleted(queue, &batch, done.len());
        }
        if let Err(error) = self.sqs.delete_batch(queue, &done).await {
            // They come again; the functions are made for that.
            tracing::error!(%error, queue, messages = done.len(), "mapping.not_deleted");
        }
    }
}

/// The receipt handles of the messages that did not fail: none, if the response names something that is no message of the
/// batch. AWS takes an empty or missing identifier for a failure of the whole batch.
fn done<'a>(batch: &'a [Received], response: &SqsBatchResponse) -> Vec<&'a str> {
    let failed: HashSet<&str> = response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect();
    let known = |id: &&str| batch.iter().any(|message| message.message_id == *id);
    if !failed.iter().all(known) {
        tracing::error!("mapping.response_names_no_message");
        return Vec::new();
    }
    let done = batch
        .iter()
        .filter(|message| !failed.contains(message.message_id.as_str()));
    done.map(|message| message.receipt_handle.as_str()).collect()
}

/// A batch in the form in which Lambda hands it to a function.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
fn event_of(batch: &[Received]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = batch.iter().map(record_of).collect();
    event
}

fn record_of(received: &Received) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = Some(received.message_id.clone());
    record.receipt_handle = Some(received.receipt_handle.clone());
    record.body = Some(received.body.to_string());
    record.md5_of_body = Some(received.body_md5.clone());
    record.attributes = received.attributes().into_iter().collect();
    let attributes = received.message_attributes.iter();
    record.message_attributes = attributes
        .map(|(name, value)| (name.clone(), attribute_of(value)))
        .collect();
    record.event_source = Some("aws:sqs".to_owned());
    record.event_source_arn = Some(received.queue_arn.to_string());
    record.aws_region = received.queue_arn.split(':').nth(3).map(str::to_owned);
    record
}

fn attribute_of(value: &AttributeValue) -> SqsMessageAttribute {
    let mut attribute = SqsMessageAttribute::default();
    attribute.data_type = Some(value.data_type.clone());
    match &value.content {
        AttributeContent::Text(text) => attribute.string_value = Some(text.clone()),
        AttributeContent::Binary(bytes) => {
            let mut value = Base64Data::default();
            value.0.clone_from(bytes);
            attribute.binary_value = Some(value);
        }
    }
    attribute
}
