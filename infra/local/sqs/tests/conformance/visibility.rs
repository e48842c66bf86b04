//! How long a received message stays hidden, and who may change that. Never deletes but to show what then is refused.

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchResultEntry, QueueAttributeName as Name};

use crate::differences::UNDOCUMENTED;
use crate::queue::{Queue, change, handle, receives};
use crate::target::{ACCEPTED, REFUSED, Target, accepted_or_refused, answer};

async fn changed(target: &Target, queue: &Queue<'_>, handle: &str, seconds: i32) -> String {
    let change = target.client.change_message_visibility().queue_url(&queue.url);
    answer(change.receipt_handle(handle).visibility_timeout(seconds).send()).await
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
#[tokio::test]
async fn a_received_message_is_hidden_until_its_timeout_ends() {
    let target = Target::open().await;
    let queue = target.queue("hidden").await;
    queue.send(&["a"]).await;
    let first = queue.take_one(Some(1)).await;
    let second = queue.take_one(None).await;
    assert_eq!(first.message_id(), second.message_id());
    assert_ne!(handle(&first), handle(&second), "each receive has a handle of its own");
    assert_eq!(receives(&second), "2");
    assert!(
        queue.find().await.is_empty(),
        "hidden again, for the queue's 30 seconds"
    );
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
#[tokio::test]
async fn a_visibility_of_zero_gives_the_message_back_at_once() {
    let target = Target::open().await;
    let queue = target.queue("back").await;
    queue.send(&["a"]).await;
    let first = queue.take_one(Some(600)).await;
    assert!(queue.find().await.is_empty());
    queue.hide(&first, 0).await;
    assert_eq!(queue.find().await.len(), 1);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
#[tokio::test]
async fn a_changed_visibility_counts_from_the_change() {
    let target = Target::open().await;
    let queue = target.queue("changed").await;
    queue.send(&["a"]).await;
    let first = queue.take_one(Some(600)).await;
    queue.hide(&first, 900).await;
    assert_eq!(queue.counts().await, ["0", "1", "0"]);
    queue.hide(&first, 1).await;
    assert_eq!(queue.take_one(None).await.message_id(), first.message_id());
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
#[tokio::test]
async fn a_visibility_of_more_than_12_hours_is_refused() {
    let target = Target::open().await;
    let queue = target.queue("long").await;
    queue.send(&["a"]).await;
    let message = queue.take_one(None).await;
    let seen = accepted_or_refused(
        target
            .client
            .change_message_visibility()
            .queue_url(&queue.url)
            .receipt_handle(handle(&message))
            .visibility_timeout(43_201)
            .send(),
    )
    .await;
    target.judge("visibility.limit", REFUSED, seen);
    let batch = target.client.change_message_visibility_batch().queue_url(&queue.url);
    let batch = batch
        .entries(change("a", handle(&message), Some(43_201)))
        .send()
        .await
        .unwrap();
    let seen = if batch.failed().is_empty() { ACCEPTED } else { REFUSED };
    target.judge("visibility.limit-in-a-batch", REFUSED, seen);
    assert_eq!(changed(&target, &queue, handle(&message), 43_000).await, ACCEPTED);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
#[tokio::test]
async fn the_visibility_of_a_message_that_is_not_in_flight_is_not_to_be_changed() {
    let target = Target::open().await;
    let queue = target.queue("visible").await;
    queue.send(&["a"]).await;
    let message = queue.take_one(None).await;
    queue.hide(&message, 0).await;
    let seen = changed(&target, &queue, handle(&message), 60).await;
    target.judge("visibility.not-in-flight", "MessageNotInflight", &seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
#[tokio::test]
async fn a_handle_of_nobody_changes_nothing() {
    let target = Target::open().await;
    let queue = target.queue("nobody").await;
    queue.send(&["a"]).await;
    assert_eq!(changed(&target, &queue, "garbage", 60).await, "ReceiptHandleIsInvalid");
    let first = queue.take_one(Some(0)).await;
    let second = queue.take_one(None).await;
    assert_ne!(changed(&target, &queue, handle(&first), 0).await, ACCEPTED, "stale");
    assert!(queue.find().await.is_empty());
    queue.delete(&second).await;
    assert_ne!(changed(&target, &queue, handle(&second), 0).await, ACCEPTED, "deleted");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>
#[tokio::test]
async fn one_bad_handle_in_a_batch_of_changes_fails_alone() {
    let target = Target::open().await;
    let queue = target.queue("batch").await;
    queue.send(&["a", "b"]).await;
    let taken = queue.take(2, None).await;
    let batch = target.client.change_message_visibility_batch().queue_url(&queue.url);
    let batch = batch
        .entries(change("a", handle(&taken[0]), Some(0)))
        .entries(change("bad", "garbage", Some(0)))
        .entries(change("b", handle(&taken[1]), Some(0)));
    let answered = batch.send().await.unwrap();
    let mut changed: Vec<&str> = answered
        .successful()
        .iter()
        .map(ChangeMessageVisibilityBatchResultEntry::id)
        .collect();
    changed.sort_unstable();
    assert_eq!(changed, ["a", "b"]);
    let [failed] = answered.failed() else {
        panic!("{answered:?}")
    };
    assert_eq!((failed.id(), failed.code()), ("bad", "ReceiptHandleIsInvalid"));
    assert!(failed.sender_fault());
    assert_eq!(queue.find().await.len(), 2);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>
#[tokio::test]
async fn a_batch_of_changes_with_wrong_ids_is_refused_whole() {
    let target = Target::open().await;
    let queue = target.queue("batch").await;
    let sent = |ids: Vec<String>| {
        let entries = ids.iter().map(|id| change(id, "garbage", Some(0))).collect();
        let batch = target.client.change_message_visibility_batch().queue_url(&queue.url);
        async move { answer(batch.set_entries(Some(entries)).send()).await }
    };
    let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    assert_eq!(sent(Vec::new()).await, "EmptyBatchRequest");
    let eleven = (0..11).map(|n| n.to_string()).collect();
    assert_eq!(sent(eleven).await, "TooManyEntriesInBatchRequest");
    assert_eq!(sent(owned(&["a", "a"])).await, "BatchEntryIdsNotDistinct");
    assert_eq!(sent(owned(&["a b"])).await, "InvalidBatchEntryId");
}

/// The page calls the timeout of an entry not required, and not what follows without it.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatchRequestEntry.html>
#[tokio::test]
async fn an_entry_without_a_timeout_does_not_fail_its_neighbours() {
    let target = Target::open().await;
    let queue = target.queue_with("batch", &[(Name::VisibilityTimeout, "600")]).await;
    queue.send(&["a", "b"]).await;
    let taken = queue.take(2, None).await;
    let batch = target.client.change_message_visibility_batch().queue_url(&queue.url);
    let batch = batch
        .entries(change("without", handle(&taken[0]), None))
        .entries(change("with", handle(&taken[1]), Some(0)));
    let answered = batch.send().await.unwrap();
    let done = |id: &str| answered.successful().iter().any(|entry| entry.id() == id);
    assert!(done("with"));
    let seen = if done("without") { ACCEPTED } else { REFUSED };
    target.judge("visibility.entry-without-timeout", UNDOCUMENTED, seen);
}
