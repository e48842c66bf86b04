//! Sending a batch: what fails it whole, what fails one entry. Never what a single message may be.

use aws_sdk_sqs::types::{
    MessageSystemAttributeName as System, MessageSystemAttributeNameForSends, QueueAttributeName as Name,
    SendMessageBatchRequestEntry,
};

use crate::queue::{Queue, entry, system, text};
use crate::sending::trace;
use crate::target::{ACCEPTED, REFUSED, Target, answer};

/// The most bytes of a batch.
const BATCH_BYTES: usize = 1_048_576;

async fn sent(target: &Target, queue: &Queue<'_>, entries: Vec<SendMessageBatchRequestEntry>) -> String {
    let batch = target.client.send_message_batch().queue_url(&queue.url);
    answer(batch.set_entries(Some(entries)).send()).await
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
#[tokio::test]
async fn a_batch_of_ten_is_answered_entry_by_entry() {
    let target = Target::open().await;
    let queue = target.queue("batch").await;
    let entries = (0..10).map(|n| entry(&n.to_string(), n.to_string()));
    let batch = target.client.send_message_batch().queue_url(&queue.url);
    let answered = batch.set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!(answered.failed(), []);
    let mut sent: Vec<(String, String)> = Vec::new();
    for entry in answered.successful() {
        sent.push((entry.message_id().to_owned(), entry.id().to_owned()));
    }
    let mut got = Vec::new();
    for message in queue.take(10, None).await {
        got.push((message.message_id.unwrap(), message.body.unwrap()));
    }
    sent.sort();
    got.sort();
    assert_eq!(sent, got);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
#[tokio::test]
async fn a_batch_with_a_wrong_number_of_entries_or_wrong_ids_is_refused_whole() {
    let target = Target::open().await;
    let queue = target.queue("batch").await;
    let ids = |ids: &[&str]| ids.iter().map(|id| entry(id, "a")).collect::<Vec<_>>();
    assert_eq!(sent(&target, &queue, ids(&[])).await, "EmptyBatchRequest");
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    assert_eq!(
        sent(&target, &queue, ids(&eleven)).await,
        "TooManyEntriesInBatchRequest"
    );
    assert_eq!(
        sent(&target, &queue, ids(&["a", "a"])).await,
        "BatchEntryIdsNotDistinct"
    );
    for bad in ["a b", "ü", "", &"x".repeat(81)] {
        assert_eq!(
            sent(&target, &queue, ids(&["a", bad])).await,
            "InvalidBatchEntryId",
            "{bad}"
        );
    }
    assert_eq!(sent(&target, &queue, ids(&["Az_0-9", &"x".repeat(80)])).await, ACCEPTED);
    assert_eq!(queue.counts().await, ["2", "0", "0"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
#[tokio::test]
async fn the_bodies_of_a_batch_have_at_most_1_mib_together() {
    let target = Target::open().await;
    let queue = target.queue("batch").await;
    let two = |bytes: usize| vec![entry("a", "x".repeat(bytes)), entry("b", "x".repeat(BATCH_BYTES / 2))];
    assert_eq!(sent(&target, &queue, two(BATCH_BYTES / 2)).await, ACCEPTED);
    assert_eq!(
        sent(&target, &queue, two(BATCH_BYTES / 2 + 1)).await,
        "BatchRequestTooLong"
    );
    assert_eq!(queue.counts().await, ["2", "0", "0"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
#[tokio::test]
async fn the_attributes_of_a_batch_count_too() {
    let target = Target::open().await;
    let queue = target.queue("batch").await;
    let half = BATCH_BYTES / 2;
    let attribute_bytes = "name".len() + "String".len() + "value".len();
    let two = |bytes: usize| {
        let long = SendMessageBatchRequestEntry::builder()
            .id("a")
            .message_body("x".repeat(bytes));
        let long = long.message_attributes("name", text("String", "value"));
        vec![long.build().unwrap(), entry("b", "x".repeat(half))]
    };
    assert_eq!(sent(&target, &queue, two(half - attribute_bytes)).await, ACCEPTED);
    let seen = sent(&target, &queue, two(half - attribute_bytes + 1)).await;
    target.judge("batch.size-of-attributes", "BatchRequestTooLong", &seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
#[tokio::test]
async fn one_bad_entry_does_not_fail_its_neighbours() {
    let target = Target::open().await;
    let queue = target.queue_with("batch", &[(Name::MaximumMessageSize, "1024")]).await;
    let late = SendMessageBatchRequestEntry::builder().id("late").message_body("late");
    let batch = target.client.send_message_batch().queue_url(&queue.url);
    let batch = batch
        .entries(entry("a", "1"))
        .entries(entry("character", "\u{1}"))
        .entries(entry("long", "x".repeat(1025)))
        .entries(late.delay_seconds(901).build().unwrap())
        .entries(entry("b", "2"));
    let answered = batch.send().await.unwrap();
    let ids = |id: &str| answered.successful().iter().any(|entry| entry.id() == id);
    assert!(ids("a") && ids("b") && !ids("character") && !ids("long"));
    let failed = answered
        .failed()
        .iter()
        .find(|entry| entry.id() == "character")
        .unwrap();
    assert_eq!((failed.code(), failed.sender_fault()), ("InvalidMessageContents", true));
    assert!(answered.failed().iter().any(|entry| entry.id() == "long"));
    target.judge("batch.delay", REFUSED, if ids("late") { ACCEPTED } else { REFUSED });
    let mut bodies: Vec<String> = Vec::new();
    for message in queue.take(2, None).await {
        bodies.push(message.body.unwrap());
    }
    bodies.sort();
    assert_eq!(bodies, ["1", "2"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatchRequestEntry.html>
#[tokio::test]
async fn an_entry_has_a_delay_attributes_a_group_and_a_trace_header_of_its_own() {
    let target = Target::open().await;
    let queue = target.queue("batch").await;
    let full = SendMessageBatchRequestEntry::builder().id("full").message_body("full");
    let full = full
        .message_attributes("kind", text("String", "call.ended"))
        .message_group_id("ep_1")
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace());
    let later = SendMessageBatchRequestEntry::builder()
        .id("later")
        .message_body("later");
    let batch = target.client.send_message_batch().queue_url(&queue.url);
    let batch = batch
        .entries(full.build().unwrap())
        .entries(later.delay_seconds(900).build().unwrap());
    let answered = batch.send().await.unwrap();
    let of = |id: &str| answered.successful().iter().find(|entry| entry.id() == id).unwrap();
    assert_eq!(
        of("full").md5_of_message_attributes(),
        Some("578ed41cd8642ea22e4a15103e30596a")
    );
    let got = queue.take_one(None).await;
    assert_eq!(got.body(), Some("full"));
    assert_eq!(system(&got, &System::MessageGroupId), "ep_1");
    let traced = if system(&got, &System::AwsTraceHeader).is_empty() {
        "dropped"
    } else {
        "kept"
    };
    target.judge("batch.trace", "kept", traced);
    assert_eq!(queue.counts().await, ["0", "1", "1"]);
}
