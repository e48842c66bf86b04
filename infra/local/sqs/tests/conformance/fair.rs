//! Fair queues: whose turn it is when one group holds most of what is in flight. Never an order that AWS does not promise.

use crate::queue::Queue;
use crate::target::Target;

/// Messages in flight from which on a group may be noisy, and more; together they are all that is in flight.
const NOISY: usize = 40;

/// Makes a group noisy: `NOISY` of its messages in flight, as many waiting.
async fn make_noise(queue: &Queue<'_>) {
    let noise: Vec<String> = (0..2 * NOISY).map(|n| format!("noisy {n}")).collect();
    queue.send_group(Some("noisy"), &noise).await;
    queue.take(NOISY, None).await;
}

async fn next(queue: &Queue<'_>) -> &'static str {
    let body = queue.take_one(None).await.body.unwrap();
    if body.starts_with("noisy") {
        "the noisy group"
    } else {
        "the quiet message"
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>
#[tokio::test]
async fn a_quiet_group_goes_before_a_noisy_one() {
    let target = Target::open().await;
    let queue = target.queue("fair").await;
    make_noise(&queue).await;
    queue.send_group(Some("quiet"), &["quiet".to_owned()]).await;
    target.judge("fair.quiet-group", "the quiet message", next(&queue).await);
}

/// "Each message without a MessageGroupId is treated as belonging to its own distinct tenant."
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>
#[tokio::test]
async fn a_message_without_a_group_goes_before_a_noisy_one() {
    let target = Target::open().await;
    let queue = target.queue("fair").await;
    make_noise(&queue).await;
    queue.send_group(None, &["quiet".to_owned()]).await;
    target.judge("fair.no-group", "the quiet message", next(&queue).await);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>
#[tokio::test]
async fn a_noisy_group_alone_gets_everything() {
    let target = Target::open().await;
    let queue = target.queue("fair").await;
    make_noise(&queue).await;
    assert_eq!(queue.take(NOISY, None).await.len(), NOISY);
}
