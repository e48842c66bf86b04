//! Receiving: how many, how long, what comes along. Never what a message may be, never its visibility afterwards.

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};

use crate::differences::UNDOCUMENTED;
use crate::queue::{receives, system, text};
use crate::target::{REFUSED, Target, accepted_or_refused};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
#[tokio::test]
async fn a_receive_gives_one_message_unless_it_asks_for_up_to_ten() {
    let target = Target::open().await;
    let queue = target.queue("many").await;
    let bodies: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    queue.send_group(None, &bodies).await;
    let receive = || target.client.receive_message().queue_url(&queue.url);
    assert_eq!(receive().send().await.unwrap().messages().len(), 1);
    let ten = receive().max_number_of_messages(10).send().await.unwrap();
    assert!((1..=10).contains(&ten.messages().len()));
    for most in [0, 11] {
        let refused = receive().max_number_of_messages(most);
        assert_eq!(accepted_or_refused(refused.send()).await, REFUSED, "{most}");
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
#[tokio::test]
async fn a_receive_waits_at_most_20_seconds_and_hides_for_at_most_12_hours() {
    let target = Target::open().await;
    let queue = target.queue("bounds").await;
    // There is a message, so that who accepts the wait does not wait.
    queue.send(&["a", "b"]).await;
    let waited = accepted_or_refused(queue.receiving().max_number_of_messages(1).wait_time_seconds(21).send()).await;
    target.judge("receive.wait", REFUSED, waited);
    let hidden = accepted_or_refused(queue.receiving().visibility_timeout(43_201).send()).await;
    target.judge("receive.visibility", REFUSED, hidden);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
#[tokio::test]
async fn an_empty_queue_answers_a_long_poll_with_nothing() {
    let target = Target::open().await;
    let queue = target.queue("empty").await;
    let got = queue.receiving().wait_time_seconds(1).send().await.unwrap();
    assert_eq!(got.messages(), []);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
#[tokio::test]
async fn a_long_poll_wakes_when_a_message_is_sent() {
    let target = Target::open().await;
    let queue = target.queue("woken").await;
    let (got, ()) = tokio::join!(queue.receiving().wait_time_seconds(20).send(), queue.send(&["a"]));
    assert_eq!(got.unwrap().messages()[0].body(), Some("a"));
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn a_receive_that_says_no_wait_waits_as_long_as_its_queue() {
    let target = Target::open().await;
    let queue = target
        .queue_with("waits", &[(Name::ReceiveMessageWaitTimeSeconds, "20")])
        .await;
    let receive = target.client.receive_message().queue_url(&queue.url);
    let (got, ()) = tokio::join!(receive.send(), queue.send(&["a"]));
    assert_eq!(got.unwrap().messages().len(), 1);
    assert!(
        queue.find().await.is_empty(),
        "its own wait of 0 goes before the queue's"
    );
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
#[tokio::test]
async fn a_message_says_how_often_and_since_when_it_was_received() {
    let target = Target::open().await;
    let queue = target.queue_with("said", &[(Name::VisibilityTimeout, "0")]).await;
    queue.sending("a").message_group_id("ep_1").send().await.unwrap();
    let (first, second) = (queue.take_one(None).await, queue.take_one(None).await);
    assert_eq!((receives(&first), receives(&second)), ("1", "2"));
    let milliseconds = |name: &System| system(&second, name).parse::<i64>().unwrap();
    let (sent, received) = (
        milliseconds(&System::SentTimestamp),
        milliseconds(&System::ApproximateFirstReceiveTimestamp),
    );
    assert!(sent <= received);
    let made = queue.attribute(Name::CreatedTimestamp).await.parse::<i64>().unwrap();
    assert!(made <= sent / 1000, "milliseconds, where the queue's own are seconds");
    for name in [System::SentTimestamp, System::ApproximateFirstReceiveTimestamp] {
        assert_eq!(system(&first, &name), system(&second, &name), "{name}");
    }
    assert_eq!(system(&second, &System::MessageGroupId), "ep_1");
    assert!(!system(&second, &System::SenderId).is_empty());
    assert_eq!(system(&second, &System::DeadLetterQueueSourceArn), "");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
#[tokio::test]
async fn only_the_attributes_that_were_asked_for_come_along() {
    let target = Target::open().await;
    let queue = target.queue_with("asked", &[(Name::VisibilityTimeout, "0")]).await;
    let mut send = queue.sending("a");
    for name in ["trace.id", "trace.n", "kind"] {
        send = send.message_attributes(name, text("String", "call.ended"));
    }
    send.send().await.unwrap();
    let receive = || target.client.receive_message().queue_url(&queue.url);
    let plain = receive().send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!((plain.attributes(), plain.message_attributes()), (None, None));
    assert_eq!(plain.md5_of_message_attributes(), None);
    for (asked, names) in [
        ("kind", vec!["kind"]),
        ("trace.*", vec!["trace.id", "trace.n"]),
        (".*", vec!["kind", "trace.id", "trace.n"]),
        ("All", vec!["kind", "trace.id", "trace.n"]),
    ] {
        let receive = receive().message_attribute_names(asked);
        let got = receive
            .message_system_attribute_names(System::SenderId)
            .send()
            .await
            .unwrap();
        let got = &got.messages()[0];
        let mut answered: Vec<&String> = got.message_attributes().unwrap().keys().collect();
        answered.sort();
        assert_eq!(answered, names, "{asked}");
        assert_eq!(got.attributes().unwrap().len(), 1);
        if asked == "kind" {
            let md5 = got.md5_of_message_attributes();
            assert_eq!(md5, Some("578ed41cd8642ea22e4a15103e30596a"), "of what is answered");
        }
    }
    let unknown = receive().message_system_attribute_names(System::from("Colour"));
    let seen = accepted_or_refused(unknown.send()).await;
    target.judge("receive.unknown-attribute", UNDOCUMENTED, seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-timers.html>
#[tokio::test]
async fn a_delayed_message_comes_when_its_delay_ends() {
    let target = Target::open().await;
    let queue = target.queue("delayed").await;
    queue.sending("far").delay_seconds(900).send().await.unwrap();
    queue.sending("near").delay_seconds(1).send().await.unwrap();
    assert_eq!(queue.take_one(None).await.body(), Some("near"));
    assert_eq!(queue.counts().await, ["0", "1", "1"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html>
#[tokio::test]
async fn a_message_without_a_delay_has_that_of_its_queue() {
    let target = Target::open().await;
    let queue = target.queue_with("delayed", &[(Name::DelaySeconds, "900")]).await;
    queue.send(&["far"]).await;
    queue.sending("now").delay_seconds(0).send().await.unwrap();
    assert_eq!(queue.take_one(None).await.body(), Some("now"));
    assert_eq!(queue.counts().await, ["0", "1", "1"]);
}
