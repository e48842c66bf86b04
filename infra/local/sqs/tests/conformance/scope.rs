//! What there is of SQS at all: the actions, the kinds of queues, the attributes. Never how any of it behaves.

use aws_sdk_sqs::types::QueueAttributeName as Name;

use crate::target::{ACCEPTED, Target, accepted_or_refused, answer};

/// The codes by which a server says that it has no such action.
const ABSENT: [&str; 2] = ["InvalidAction", "UnknownOperationException"];

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html>
#[tokio::test]
async fn the_actions_that_the_rest_of_the_suite_does_not_need() {
    let target = Target::open().await;
    let queue = target.queue("actions").await;
    let (client, url, arn) = (&target.client, &queue.url, queue.arn().await);
    let list = client.list_message_move_tasks().source_arn(&arn);
    let share = client.add_permission().queue_url(url).label("x").actions("SendMessage");
    let answers = [
        (
            "AddPermission",
            answer(share.aws_account_ids("111122223333").send()).await,
        ),
        (
            "CancelMessageMoveTask",
            answer(client.cancel_message_move_task().task_handle("x").send()).await,
        ),
        (
            "ListDeadLetterSourceQueues",
            answer(client.list_dead_letter_source_queues().queue_url(url).send()).await,
        ),
        ("ListMessageMoveTasks", answer(list.send()).await),
        (
            "ListQueueTags",
            answer(client.list_queue_tags().queue_url(url).send()).await,
        ),
        (
            "RemovePermission",
            answer(client.remove_permission().queue_url(url).label("x").send()).await,
        ),
        (
            "TagQueue",
            answer(client.tag_queue().queue_url(url).tags("a", "b").send()).await,
        ),
        (
            "UntagQueue",
            answer(client.untag_queue().queue_url(url).tag_keys("a").send()).await,
        ),
        ("DeleteQueue", answer(client.delete_queue().queue_url(url).send()).await),
    ];
    let absent = answers.iter().filter(|(_, answer)| ABSENT.contains(&answer.as_str()));
    let absent: Vec<&str> = absent.map(|(name, _)| *name).collect();
    let seen = if absent.is_empty() {
        "all".to_owned()
    } else {
        format!("not {}", absent.join(", "))
    };
    target.judge("scope.actions", "all", &seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
#[tokio::test]
async fn a_queue_may_be_a_fifo_queue() {
    let target = Target::open().await;
    let make = target.client.create_queue().queue_name(target.name("first.fifo"));
    let seen = answer(make.attributes(Name::FifoQueue, "true").send()).await;
    target.judge("scope.fifo", ACCEPTED, &seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn a_queue_may_have_an_access_policy_and_a_key() {
    let target = Target::open().await;
    let queue = target.queue("policy").await;
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let set = |name: Name, value: &str| {
        let set = target.client.set_queue_attributes().queue_url(&queue.url);
        let set = set.attributes(name, value);
        async move { accepted_or_refused(set.send()).await }
    };
    target.judge("scope.policy", ACCEPTED, set(Name::Policy, policy).await);
    let key = set(Name::KmsMasterKeyId, "alias/aws/sqs").await;
    target.judge("scope.key", ACCEPTED, key);
    assert_eq!(set(Name::SqsManagedSseEnabled, "true").await, ACCEPTED);
}
