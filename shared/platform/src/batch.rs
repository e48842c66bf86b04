//! The loop over a batch of SQS records: concurrent, each parsed and caught alone, answered with a partial batch response.
//! One record that does not parse, or one panic, never fails its neighbours (docs/ARCHITECTURE.md).

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _};
use redial_domain::Timestamp;

use crate::clock::Clock;
use crate::metrics::{Metric, Recorder};
use crate::queue::Queues;

// Release profiles for Lambda often abort, and cargo-lambda's own does: such a function must not even be built.
#[cfg(panic = "abort")]
compile_error!("a panic in one record must not fail its neighbours: build with panic = \"unwind\"");

/// A record of a batch.
#[derive(Debug, Clone)]
pub struct Record {
    /// SQS's id of the message.
    pub message_id: String,
    /// What the message says.
    pub body: String,
    /// How often it was received, this time included; at least 1.
    pub receive_count: u32,
    /// ARN of the queue it came from.
    pub queue_arn: String,
}

/// What is to become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done: SQS deletes it.
    Done,
    /// Again, at this moment.
    AgainAt(Timestamp),
    /// Again, when the queue's own visibility timeout ends.
    Again,
}

impl From<&SqsMessage> for Record {
    fn from(message: &SqsMessage) -> Self {
        let count = message
            .attributes
            .get("ApproximateReceiveCount")
            .and_then(|count| count.parse().ok());
        Self {
            message_id: message.message_id.clone().unwrap_or_default(),
            body: message.body.clone().unwrap_or_default(),
            receive_count: count.unwrap_or(1),
            queue_arn: message.event_source_arn.clone().unwrap_or_default(),
        }
    }
}

/// Handles every record of `event` at once and answers which are to come again ([`verdicts`], [`answer`]).
pub async fn each<F, R>(
    event: SqsEvent,
    queues: &Queues,
    clock: &Clock,
    recorder: &Recorder,
    handle: F,
) -> SqsBatchResponse
where
    F: Fn(Record) -> R,
    R: Future<Output = Verdict>,
{
    let verdicts = verdicts(&event, clock, recorder, handle).await;
    answer(&event, verdicts, queues, clock).await
}

/// Handles every record of `event` at once; answers what is to become of each, in their order.
///
/// A handler that panics counts as [`Verdict::Again`], and as a fault of ours.
pub async fn verdicts<F, R>(event: &SqsEvent, clock: &Clock, recorder: &Recorder, handle: F) -> Vec<Verdict>
where
    F: Fn(Record) -> R,
    R: Future<Output = Verdict>,
{
    // Not `join_all`: of few it polls all whenever one may go on.
    let verdicts = event.records.iter().map(|message| {
        let record = Record::from(message);
        let handled = AssertUnwindSafe(async { handle(record).await }).catch_unwind();
        // All of them, before the first one begins.
        let awake = clock.awake();
        async move {
            let verdict = handled.await.unwrap_or_else(|_| {
                tracing::error!(message_id = message.message_id, "batch.record_panicked");
                recorder.count(Metric::FunctionFaults, 1);
                Verdict::Again
            });
            drop(awake);
            verdict
        }
    });
    verdicts.collect::<FuturesOrdered<_>>().collect().await
}

/// Answers which records of `event` are to come again, by their verdicts in its order. Where a verdict names a moment, the
/// message's visibility is set to it; if that fails, the queue's own timeout backs off.
pub async fn answer(event: &SqsEvent, verdicts: Vec<Verdict>, queues: &Queues, clock: &Clock) -> SqsBatchResponse {
    let now = clock.now();
    let mut failures = Vec::new();
    let mut waits: HashMap<&str, Vec<(String, i64)>> = HashMap::new();
    for (message, verdict) in event.records.iter().zip(verdicts) {
        if verdict == Verdict::Done {
            continue;
        }
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = message.message_id.clone().unwrap_or_default();
        failures.push(failure);
        let url = queues.url_of(message.event_source_arn.as_deref().unwrap_or_default());
        if let (Verdict::AgainAt(at), Some(url), Some(receipt)) = (verdict, url, &message.receipt_handle) {
            let wait_ms = at.millis_since(now).max(0);
            waits
                .entry(url)
                .or_default()
                .push((receipt.clone(), wait_ms.saturating_add(999) / 1000));
        }
    }
    for (url, waits) in waits {
        if let Err(error) = queues.change_visibility(url, &waits).await {
            tracing::warn!(%error, messages = waits.len(), "batch.visibility_unchanged");
        }
    }
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures;
    response
}
