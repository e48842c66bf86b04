//! Move tasks: from a dead-letter queue back to where messages came from, or elsewhere. Never a redrive policy's own moves.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System};

use crate::queue::{Queue, receives, system};
use crate::target::{ACCEPTED, REFUSED, Target, accepted_or_refused, answer};

/// A queue with its dead-letter queue, and one message that got there.
async fn dead_letter(target: &Target) -> (Queue<'_>, Queue<'_>, Message) {
    let dead = target.queue("dead").await;
    let main = target.queue_to("main", &dead, 1).await;
    main.send(&["a"]).await;
    main.take_one(Some(0)).await;
    assert!(main.find().await.is_empty());
    let seen = dead.take_one(Some(0)).await;
    (main, dead, seen)
}

/// "All redriven messages are considered new messages with a new messageID and enqueueTime."
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>
#[tokio::test]
async fn a_move_task_brings_messages_back_as_new_ones() {
    let target = Target::open().await;
    let (main, dead, old) = dead_letter(&target).await;
    let task = target.client.start_message_move_task().source_arn(dead.arn().await);
    let seen = answer(task.send()).await;
    target.judge("move.start", ACCEPTED, &seen);
    if seen == ACCEPTED {
        let new = main.take_one(None).await;
        assert_eq!((new.body(), receives(&new)), (old.body(), "1"));
        assert_ne!(new.message_id(), old.message_id());
        assert_eq!(system(&new, &System::DeadLetterQueueSourceArn), "");
    } else {
        assert_eq!(main.counts().await, ["0", "0", "0"]);
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>
#[tokio::test]
async fn a_move_task_may_name_another_queue() {
    let target = Target::open().await;
    let (main, dead, _) = dead_letter(&target).await;
    let other = target.queue("other").await;
    let task = target.client.start_message_move_task().source_arn(dead.arn().await);
    let seen = answer(task.destination_arn(other.arn().await).send()).await;
    target.judge("move.elsewhere", ACCEPTED, &seen);
    if seen == ACCEPTED {
        assert_eq!(other.take_one(None).await.body(), Some("a"));
    }
    assert_eq!(main.counts().await, ["0", "0", "0"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>
#[tokio::test]
async fn a_move_task_takes_only_a_dead_letter_queue_that_is_there() {
    let target = Target::open().await;
    let plain = target.queue("plain").await;
    let arn = plain.arn().await;
    let start = |arn: &str| target.client.start_message_move_task().source_arn(arn).send();
    assert_eq!(accepted_or_refused(start(&arn)).await, REFUSED);
    let absent = answer(start(&arn.replace(&plain.name, "absent"))).await;
    target.judge("move.absent", "ResourceNotFoundException", &absent);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>
#[tokio::test]
async fn a_move_task_may_have_a_rate() {
    let target = Target::open().await;
    let (_main, dead, _) = dead_letter(&target).await;
    let task = target.client.start_message_move_task().source_arn(dead.arn().await);
    let seen = answer(task.max_number_of_messages_per_second(500).send()).await;
    target.judge("move.rate", ACCEPTED, &seen);
}
