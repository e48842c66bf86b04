//! Deleting: by the last handle, by a stale one, in batches. Never purges.

use crate::differences::UNDOCUMENTED;
use crate::queue::{Queue, deletion, handle};
use crate::target::{ACCEPTED, REFUSED, Target, answer};

async fn deleted(target: &Target, queue: &Queue<'_>, handle: &str) -> String {
    let delete = target.client.delete_message().queue_url(&queue.url);
    answer(delete.receipt_handle(handle).send()).await
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
#[tokio::test]
async fn a_deleted_message_is_gone() {
    let target = Target::open().await;
    let queue = target.queue("gone").await;
    queue.send(&["a", "b"]).await;
    let taken = queue.take(2, None).await;
    queue.delete(&taken[0]).await;
    // Also when it is visible again, as long as nobody else has received it.
    queue.hide(&taken[1], 0).await;
    queue.delete(&taken[1]).await;
    assert_eq!(queue.counts().await, ["0", "0", "0"]);
    assert!(queue.find().await.is_empty());
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
#[tokio::test]
async fn a_delete_with_an_old_handle_succeeds_and_leaves_the_message_to_whom_received_it_since() {
    let target = Target::open().await;
    let queue = target.queue("stale").await;
    queue.send(&["a"]).await;
    let old = queue.take_one(Some(0)).await;
    let new = queue.take_one(None).await;
    let seen = deleted(&target, &queue, handle(&old)).await;
    target.judge("delete.old-handle", ACCEPTED, &seen);
    assert_eq!(queue.counts().await, ["0", "1", "0"]);
    queue.delete(&new).await;
    assert_eq!(queue.counts().await, ["0", "0", "0"]);
}

/// The page does not say it; consumers that delete again after a lost answer depend on it.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
#[tokio::test]
async fn a_message_may_be_deleted_twice() {
    let target = Target::open().await;
    let queue = target.queue("twice").await;
    queue.send(&["a"]).await;
    let message = queue.take_one(None).await;
    queue.delete(&message).await;
    let seen = deleted(&target, &queue, handle(&message)).await;
    target.judge("delete.twice", UNDOCUMENTED, &seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
#[tokio::test]
async fn a_handle_that_is_none_deletes_nothing() {
    let target = Target::open().await;
    let queue = target.queue("none").await;
    queue.send(&["a"]).await;
    assert_eq!(deleted(&target, &queue, "garbage").await, "ReceiptHandleIsInvalid");
    assert_eq!(queue.counts().await, ["1", "0", "0"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html>
#[tokio::test]
async fn one_bad_handle_in_a_batch_of_deletes_fails_alone() {
    let target = Target::open().await;
    let queue = target.queue("batch").await;
    queue.send(&["a", "b", "c"]).await;
    let old = queue.take_one(Some(0)).await;
    let taken = queue.take(3, None).await;
    let mine = taken
        .iter()
        .find(|message| message.message_id() == old.message_id())
        .unwrap();
    let others: Vec<_> = taken.iter().filter(|message| *message != mine).collect();
    let batch = target.client.delete_message_batch().queue_url(&queue.url);
    let batch = batch
        .entries(deletion("a", handle(others[0])))
        .entries(deletion("bad", "garbage"))
        .entries(deletion("old", handle(&old)))
        .entries(deletion("b", handle(others[1])));
    let answered = batch.send().await.unwrap();
    let done = |id: &str| answered.successful().iter().any(|entry| entry.id() == id);
    assert!(done("a") && done("b"));
    let failed = answered.failed().iter().find(|entry| entry.id() == "bad").unwrap();
    assert_eq!((failed.code(), failed.sender_fault()), ("ReceiptHandleIsInvalid", true));
    let seen = if done("old") { ACCEPTED } else { REFUSED };
    target.judge("delete.old-handle-in-a-batch", ACCEPTED, seen);
    assert_eq!(queue.counts().await, ["0", "1", "0"], "the old handle deleted nothing");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html>
#[tokio::test]
async fn a_batch_of_deletes_with_wrong_ids_is_refused_whole() {
    let target = Target::open().await;
    let queue = target.queue("batch").await;
    let sent = |ids: &[&str]| {
        let entries = ids.iter().map(|id| deletion(id, "garbage")).collect();
        let batch = target.client.delete_message_batch().queue_url(&queue.url);
        async move { answer(batch.set_entries(Some(entries)).send()).await }
    };
    assert_eq!(sent(&[]).await, "EmptyBatchRequest");
    let eleven = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    assert_eq!(sent(&eleven).await, "TooManyEntriesInBatchRequest");
    assert_eq!(sent(&["a", "a"]).await, "BatchEntryIdsNotDistinct");
    assert_eq!(sent(&["a b"]).await, "InvalidBatchEntryId");
}
