//! What is done with a received message by its receipt handle: delete it, change its visibility, and the batches of both.

use serde::Deserialize;

use super::batch::{self, BatchAnswer, BatchRequest, Plain};
use super::{Nothing, required};
use crate::error::SqsError;
use crate::sqs::Sqs;

/// `DeleteMessage` and `ChangeMessageVisibility`, and an entry of their batches.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HandleRequest {
    queue_url: Option<String>,
    id: Option<String>,
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

impl HandleRequest {
    fn handle(&self) -> Result<&str, SqsError> {
        required("ReceiptHandle", self.receipt_handle.as_deref())
    }

    fn change(&self) -> Result<(&str, i64), SqsError> {
        Ok((self.handle()?, required("VisibilityTimeout", self.visibility_timeout)?))
    }
}

impl BatchRequest<HandleRequest> {
    /// Does something with each entry; one that lacks what it needs fails alone.
    fn each(&self, mut act: impl FnMut(&HandleRequest) -> Result<(), SqsError>) -> Vec<(String, Result<(), SqsError>)> {
        let entries = self.entries.iter();
        entries
            .map(|entry| (entry.id.clone().unwrap_or_default(), act(entry)))
            .collect()
    }
}

/// The answer to the only entry of a typed batch.
fn only(outcomes: Vec<Result<(), SqsError>>) -> Result<Nothing, SqsError> {
    outcomes.into_iter().collect::<Result<Vec<()>, _>>().map(|_| Nothing {})
}

pub(super) async fn delete(sqs: &Sqs, request: &HandleRequest) -> Result<Nothing, SqsError> {
    let queue = sqs.queue_in(request.queue_url.as_deref())?;
    only(sqs.delete_batch(queue, &[request.handle()?]).await?)
}

pub(super) async fn change_visibility(sqs: &Sqs, request: &HandleRequest) -> Result<Nothing, SqsError> {
    let queue = sqs.queue_in(request.queue_url.as_deref())?;
    only(sqs.change_visibility_batch(queue, &[request.change()?]).await?)
}

pub(super) async fn delete_batch(
    sqs: &Sqs,
    request: &BatchRequest<HandleRequest>,
) -> Result<BatchAnswer<Plain>, SqsError> {
    let queue = sqs.queue_in(request.queue_url.as_deref())?;
    batch::check_ids(request.entries.iter().map(|entry| entry.id.as_deref()))?;
    let deleted = sqs.durably(|engine, _| {
        let number = engine.queue_number(queue)?;
        Ok(request.each(|entry| engine.delete(number, entry.handle()?)))
    });
    Ok(batch::answer(deleted.await?, Plain::new))
}

pub(super) async fn change_visibility_batch(
    sqs: &Sqs,
    request: &BatchRequest<HandleRequest>,
) -> Result<BatchAnswer<Plain>, SqsError> {
    let queue = sqs.queue_in(request.queue_url.as_deref())?;
    batch::check_ids(request.entries.iter().map(|entry| entry.id.as_deref()))?;
    let changed = sqs.written(|engine, now_ms| {
        let number = engine.queue_number(queue)?;
        Ok(request.each(|entry| {
            let (handle, seconds) = entry.change()?;
            engine.change_visibility(now_ms, number, handle, seconds)
        }))
    });
    Ok(batch::answer(changed.await?, Plain::new))
}
