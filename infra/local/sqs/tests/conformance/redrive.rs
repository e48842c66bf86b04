//! Redrive policies: what a message keeps when it is moved, when it is, and who may name whom. Never a move task.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System, QueueAttributeName as Name};

use crate::differences::UNDOCUMENTED;
use crate::queue::{Queue, receives, system, text};
use crate::target::{ACCEPTED, REFUSED, Target, accepted_of, accepted_or_refused, answer};

/// The receives that Redial's queues allow (`template.yaml`).
const DELIVERY_RECEIVES: u32 = 3;
const RETRY_RECEIVES: u32 = 20;

/// Receives a message and gives it back at once until its queue has it no more; answers how often it was received there.
async fn exhaust(queue: &Queue<'_>, most: u32) -> Vec<Message> {
    let mut taken = Vec::new();
    for _ in 0..=most {
        let got = queue.receiving().visibility_timeout(0).send().await.unwrap();
        let Some(message) = got.messages.unwrap_or_default().pop() else {
            return taken;
        };
        taken.push(message);
    }
    panic!("{} still has its message after {} receives", queue.name, taken.len());
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
#[tokio::test]
async fn a_message_received_as_often_as_its_queue_allows_is_moved_as_it_is() {
    let target = Target::open().await;
    let dead = target.queue("dead").await;
    let main = target.queue_to("main", &dead, 2).await;
    let send = main.sending("a").message_group_id("ep_1");
    let sent = send.message_attributes("kind", text("String", "call.ended"));
    let sent = sent.send().await.unwrap();
    let taken = exhaust(&main, 2).await;
    assert_eq!(taken.iter().map(receives).collect::<Vec<_>>(), ["1", "2"]);
    let got = dead.take_one(None).await;
    assert_eq!((got.message_id(), got.body()), (sent.message_id(), Some("a")));
    assert_eq!(got.md5_of_message_attributes(), taken[0].md5_of_message_attributes());
    assert_eq!(system(&got, &System::MessageGroupId), "ep_1");
    assert_eq!(system(&got, &System::DeadLetterQueueSourceArn), main.arn().await);
    assert_eq!(main.counts().await, ["0", "0", "0"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html>
#[tokio::test]
async fn a_moved_message_keeps_the_time_at_which_it_was_sent() {
    let target = Target::open().await;
    let dead = target.queue("dead").await;
    let main = target.queue_to("main", &dead, 1).await;
    main.send(&["a"]).await;
    let taken = exhaust(&main, 1).await;
    let got = dead.take_one(None).await;
    assert_eq!(
        system(&got, &System::SentTimestamp),
        system(&taken[0], &System::SentTimestamp)
    );
}

/// "The number of times a message has been received across all queues but not deleted."
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
#[tokio::test]
async fn a_moved_message_counts_its_receives_across_all_queues() {
    let target = Target::open().await;
    let dead = target.queue("dead").await;
    let main = target.queue_to("main", &dead, 2).await;
    main.send(&["a"]).await;
    exhaust(&main, 2).await;
    assert_eq!(receives(&dead.take_one(None).await), "3");
}

/// Redial's chain: delivery, retry, dead letters. What the second queue's `maxReceiveCount` is held against is not
/// documented (the count across all queues, or the receives of that queue): Redial's counts are safe with either.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
#[tokio::test]
async fn a_chain_of_three_queues_ends_in_the_last_one() {
    let target = Target::open().await;
    let dead = target.queue("dead").await;
    let retry = target.queue_to("retry", &dead, RETRY_RECEIVES).await;
    let delivery = target.queue_to("delivery", &retry, DELIVERY_RECEIVES).await;
    delivery.send(&["a"]).await;
    assert_eq!(
        exhaust(&delivery, DELIVERY_RECEIVES).await.len(),
        DELIVERY_RECEIVES as usize
    );
    let in_retry = exhaust(&retry, RETRY_RECEIVES).await;
    let source = system(&in_retry[0], &System::DeadLetterQueueSourceArn);
    assert_eq!(source, delivery.arn().await);
    target.judge("chain.receives-in-retry", UNDOCUMENTED, &in_retry.len().to_string());
    let got = dead.take_one(None).await;
    assert_eq!(got.body(), Some("a"));
    let received = DELIVERY_RECEIVES as usize + in_retry.len() + 1;
    assert_eq!(receives(&got), received.to_string());
    let (from_delivery, from_retry) = (delivery.arn().await, retry.arn().await);
    let seen = match system(&got, &System::DeadLetterQueueSourceArn) {
        source if source == from_retry => "the queue before",
        source if source == from_delivery => "the first queue",
        other => panic!("{other}"),
    };
    target.judge("chain.source", UNDOCUMENTED, seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
#[tokio::test]
async fn a_spent_message_is_moved_when_its_queue_is_next_asked_at_the_latest() {
    let target = Target::open().await;
    let dead = target.queue("dead").await;
    let main = target.queue_to("main", &dead, 1).await;
    main.send(&["a"]).await;
    main.take_one(Some(0)).await;
    if let Some(embedded) = &target.embedded {
        // What its timer does by itself, done now.
        embedded.sqs.time_moved();
    }
    let seen = match dead.counts().await {
        [moved, ..] if moved == "1" => "moved",
        _ => "not before the next receive",
    };
    target.judge("redrive.when", UNDOCUMENTED, seen);
    assert!(main.find().await.is_empty());
    dead.take_one(None).await;
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn a_policy_that_cannot_hold_is_refused() {
    let target = Target::open().await;
    let dead = target.queue("dead").await;
    let main = target.queue("main").await;
    let set = |policy: String| {
        let set = target.client.set_queue_attributes().queue_url(&main.url);
        answer(set.attributes(Name::RedrivePolicy, policy).send())
    };
    let (policy, arn) = (dead.policy(5).await, dead.arn().await);
    for bad in [
        policy.replace(&dead.name, &target.name("absent")),
        dead.policy(0).await,
        dead.policy(1001).await,
        policy.replace(":5}", ":\"often\"}"),
        r#"{"maxReceiveCount":5}"#.to_owned(),
        "often".to_owned(),
    ] {
        assert_eq!(set(bad.clone()).await, "InvalidAttributeValue", "{bad}");
    }
    let own = set(main.policy(5).await).await;
    target.judge(
        "redrive.own-queue",
        UNDOCUMENTED,
        if own == ACCEPTED { ACCEPTED } else { REFUSED },
    );
    let without = set(format!(r#"{{"deadLetterTargetArn":"{arn}"}}"#)).await;
    let without = if without == ACCEPTED { ACCEPTED } else { REFUSED };
    target.judge("redrive.no-count", ACCEPTED, without);
    assert_eq!(set(dead.policy(1000).await).await, ACCEPTED);
    // As templates write it.
    assert_eq!(set(policy.replace(":5}", ":\"5\"}")).await, ACCEPTED);
    let said: serde_json::Value = serde_json::from_str(&main.attribute(Name::RedrivePolicy).await).unwrap();
    assert_eq!(said["deadLetterTargetArn"], arn);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn a_queue_without_its_policy_keeps_its_messages() {
    let target = Target::open().await;
    let dead = target.queue("dead").await;
    let main = target.queue_to("main", &dead, 1).await;
    main.set(Name::RedrivePolicy, "").await;
    main.send(&["a"]).await;
    for n in 1..=3 {
        assert_eq!(receives(&main.take_one(Some(0)).await), n.to_string());
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn a_dead_letter_queue_may_say_whose_it_is() {
    let target = Target::open().await;
    let (good, bad) = (target.queue("good").await, target.queue("bad").await);
    let by_queue = format!(
        r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{}"]}}"#,
        good.arn().await
    );
    let picky = target
        .queue_with("picky", &[(Name::RedriveAllowPolicy, &by_queue)])
        .await;
    let deny = r#"{"redrivePermission":"denyAll"}"#;
    let closed = target.queue_with("closed", &[(Name::RedriveAllowPolicy, deny)]).await;
    let name = async |source: &Queue<'_>, dead: &Queue<'_>| {
        let policy = dead.policy(5).await;
        let set = target.client.set_queue_attributes().queue_url(&source.url);
        accepted_or_refused(set.attributes(Name::RedrivePolicy, policy).send()).await
    };
    assert_eq!(name(&good, &picky).await, ACCEPTED);
    let seen = [
        ("not among those named", name(&bad, &picky).await),
        ("where all are denied", name(&bad, &closed).await),
    ];
    target.judge("redrive.allow-policy", "none accepted", &accepted_of(&seen));
}
