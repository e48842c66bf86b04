//! What only shows when time passes: asked of the embedded server, whose clock stands still until a test moves it.
//! Never waits; never asked of an endpoint.

use std::collections::BTreeMap;
use std::future::Future;

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};
use redial_sqs::{ReceiveCountOnMove, Settings};

use crate::queue::{handle, receives, system};
use crate::target::{ACCEPTED, T0, Target, answer};

const HOUR_MS: i64 = 3_600_000;

/// The embedded server, its clock at [`T0`].
async fn stopped() -> Target {
    Target::stopped(Settings::default()).await
}

/// Moves the clock on by a second, again and again from `at_ms`, until a receive has ended that may not have begun yet.
async fn while_time_passes<T>(target: &Target, mut at_ms: i64, receive: impl Future<Output = T>) -> T {
    let mut receive = std::pin::pin!(receive);
    loop {
        tokio::select! {
            biased;
            received = &mut receive => return received,
            () = tokio::task::yield_now() => {
                at_ms += 1_000;
                target.embedded.as_ref().unwrap().go_to(at_ms);
            }
        }
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html>
#[tokio::test]
async fn retention_counts_from_the_first_enqueue_across_a_redrive() {
    let target = stopped().await;
    let clock = target.embedded.as_ref().unwrap();
    let hours = |n: i64| (n * HOUR_MS / 1000).to_string();
    let dead = target
        .queue_with("dead", &[(Name::MessageRetentionPeriod, &hours(4))])
        .await;
    let main = target.queue_to("main", &dead, 1).await;
    main.send(&["a"]).await;
    clock.go_to(T0 + HOUR_MS);
    main.take_one(Some(0)).await;
    clock.go_to(T0 + 4 * HOUR_MS - 1);
    assert_eq!(dead.counts().await, ["1", "0", "0"]);
    clock.go_to(T0 + 4 * HOUR_MS);
    assert_eq!(dead.counts().await, ["0", "0", "0"], "three hours after it got there");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn a_shorter_retention_takes_what_is_older() {
    let target = stopped().await;
    let queue = target.queue("kept").await;
    queue.send(&["old"]).await;
    target.embedded.as_ref().unwrap().go_to(T0 + HOUR_MS);
    queue.send(&["new"]).await;
    queue.set(Name::MessageRetentionPeriod, "3600").await;
    assert_eq!(queue.take_one(None).await.body(), Some("new"));
    assert_eq!(queue.counts().await, ["0", "1", "0"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
#[tokio::test]
async fn a_message_is_hidden_for_at_most_12_hours_from_its_receive() {
    let target = stopped().await;
    let clock = target.embedded.as_ref().unwrap();
    let queue = target.queue("hidden").await;
    queue.send(&["a"]).await;
    let message = queue.take_one(Some(7200)).await;
    clock.go_to(T0 + HOUR_MS);
    let change = |seconds: i32| {
        let change = target.client.change_message_visibility().queue_url(&queue.url);
        answer(
            change
                .receipt_handle(handle(&message))
                .visibility_timeout(seconds)
                .send(),
        )
    };
    assert_eq!(change(11 * 3600 + 1).await, "InvalidParameterValue");
    assert_eq!(
        clock.sqs.next_deadline(),
        Some(T0 + 2 * HOUR_MS),
        "refused, not shortened"
    );
    assert_eq!(change(11 * 3600).await, ACCEPTED);
    assert_eq!(clock.sqs.next_deadline(), Some(T0 + 12 * HOUR_MS));
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
#[tokio::test]
async fn a_changed_timeout_is_forgotten_at_the_next_receive() {
    let target = stopped().await;
    let clock = target.embedded.as_ref().unwrap();
    let queue = target.queue_with("forgotten", &[(Name::VisibilityTimeout, "60")]).await;
    queue.send(&["a"]).await;
    let message = queue.take_one(None).await;
    clock.go_to(T0 + 15_000);
    queue.hide(&message, 10).await;
    assert_eq!(
        clock.sqs.next_deadline(),
        Some(T0 + 25_000),
        "it counts from the change"
    );
    clock.go_to(T0 + 25_000);
    queue.take_one(None).await;
    assert_eq!(clock.sqs.next_deadline(), Some(T0 + 85_000));
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-timers.html>
#[tokio::test]
async fn a_long_poll_wakes_when_a_delay_ends() {
    let target = stopped().await;
    let clock = target.embedded.as_ref().unwrap();
    let queue = target.queue("delayed").await;
    queue.sending("a").delay_seconds(5).send().await.unwrap();
    clock.go_to(T0 + 4_999);
    assert!(queue.find().await.is_empty());
    let receive = queue.receiving().wait_time_seconds(20).send();
    let got = while_time_passes(&target, T0 + 4_000, receive).await;
    assert_eq!(got.unwrap().messages().len(), 1);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
#[tokio::test]
async fn a_long_poll_ends_with_nothing_when_its_wait_ends() {
    let target = stopped().await;
    let queue = target.queue("empty").await;
    let receive = queue.receiving().wait_time_seconds(20).send();
    let got = while_time_passes(&target, T0, receive).await;
    assert_eq!(got.unwrap().messages(), []);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
#[tokio::test]
async fn at_the_in_flight_limit_a_short_poll_is_refused_and_a_long_one_finds_nothing() {
    let few = Settings {
        in_flight: 1,
        ..Settings::default()
    };
    let target = Target::stopped(few).await;
    let queue = target.queue("limit").await;
    queue.send(&["a", "b"]).await;
    let first = queue.take_one(Some(43_200)).await;
    let refused = queue.receiving().send().await.unwrap_err();
    assert!(refused.into_service_error().is_over_limit());
    let receive = queue.receiving().wait_time_seconds(1).send();
    let got = while_time_passes(&target, T0, receive).await;
    assert_eq!(got.unwrap().messages(), []);
    queue.delete(&first).await;
    assert_eq!(queue.find().await.len(), 1);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>
#[tokio::test]
async fn a_queue_may_be_purged_again_after_a_minute() {
    let target = stopped().await;
    let queue = target.queue("purged").await;
    let purge = || answer(target.client.purge_queue().queue_url(&queue.url).send());
    assert_eq!(purge().await, ACCEPTED);
    let clock = target.embedded.as_ref().unwrap();
    clock.go_to(T0 + 59_999);
    assert_eq!(purge().await, "PurgeQueueInProgress");
    clock.go_to(T0 + 60_000);
    assert_eq!(purge().await, ACCEPTED);
}

/// Both readings of what `maxReceiveCount` is held against, through Redial's chain: the last queue is reached with either.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
#[tokio::test]
async fn a_chain_ends_in_its_last_queue_whatever_its_counts_are_held_against() {
    for (reading, in_retry) in [(ReceiveCountOnMove::Carries, 17), (ReceiveCountOnMove::Restarts, 20)] {
        let settings = Settings {
            receive_count_on_move: reading,
            ..Settings::default()
        };
        let target = Target::stopped(settings).await;
        let clock = target.embedded.as_ref().unwrap();
        let dead = target.queue("dead").await;
        let retry = target.queue_to("retry", &dead, 20).await;
        let delivery = target.queue_to("delivery", &retry, 3).await;
        delivery.send(&["a"]).await;
        let mut received = BTreeMap::new();
        let mut at_ms = T0;
        loop {
            at_ms += 30_000;
            clock.go_to(at_ms);
            if dead.counts().await[0] == "1" {
                break;
            }
            for queue in [&delivery, &retry] {
                *received.entry(queue.name.clone()).or_insert(0) += queue.find().await.len();
            }
        }
        assert_eq!(
            (received[&delivery.name], received[&retry.name]),
            (3, in_retry),
            "{reading:?}"
        );
        let message = dead.take_one(None).await;
        assert_eq!(system(&message, &System::SentTimestamp), T0.to_string());
        let counted = if reading == ReceiveCountOnMove::Carries {
            "21"
        } else {
            "1"
        };
        assert_eq!(receives(&message), counted);
    }
}
