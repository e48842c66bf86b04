//! Queues: made, found, listed, described, changed, purged. Never what happens to a message.

use aws_sdk_sqs::types::QueueAttributeName as Name;

use crate::queue::Queue;
use crate::target::{ACCEPTED, Target, accepted_of, accepted_or_refused, answer};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
#[tokio::test]
async fn a_queue_says_what_it_was_made_with() {
    let target = Target::open().await;
    let made = [
        (Name::VisibilityTimeout, "60"),
        (Name::DelaySeconds, "1"),
        (Name::MessageRetentionPeriod, "1209600"),
        (Name::MaximumMessageSize, "2048"),
        (Name::ReceiveMessageWaitTimeSeconds, "2"),
    ];
    let queue = target.queue_with("made", &made).await;
    let get = target.client.get_queue_attributes().queue_url(&queue.url);
    let all = get.attribute_names(Name::All).send().await.unwrap().attributes.unwrap();
    for (name, value) in made {
        assert_eq!(all[&name], value, "{name}");
    }
    let arn = &all[&Name::QueueArn];
    assert!(
        arn.starts_with("arn:aws:sqs:") && arn.ends_with(&format!(":{}", queue.name)),
        "{arn}"
    );
    let seconds = |name: &Name| all[name].parse::<i64>().unwrap();
    assert!(seconds(&Name::CreatedTimestamp) <= seconds(&Name::LastModifiedTimestamp));
    let get = target.client.get_queue_attributes().queue_url(&queue.url);
    let one = get.attribute_names(Name::DelaySeconds).send().await.unwrap();
    assert_eq!(one.attributes().unwrap().len(), 1);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
#[tokio::test]
async fn a_queue_made_with_nothing_has_the_documented_defaults() {
    let target = Target::open().await;
    let queue = target.queue("defaults").await;
    for (name, value) in [
        (Name::VisibilityTimeout, "30"),
        (Name::DelaySeconds, "0"),
        (Name::MessageRetentionPeriod, "345600"),
        (Name::MaximumMessageSize, "1048576"),
        (Name::ReceiveMessageWaitTimeSeconds, "0"),
    ] {
        assert_eq!(queue.attribute(name.clone()).await, value, "{name}");
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
#[tokio::test]
async fn to_make_a_queue_again_answers_the_one_that_is_there() {
    let target = Target::open().await;
    let queue = target.queue_with("again", &[(Name::VisibilityTimeout, "60")]).await;
    let again = || target.client.create_queue().queue_name(&queue.name);
    let same = again().attributes(Name::VisibilityTimeout, "60").send().await.unwrap();
    assert_eq!(same.queue_url(), Some(queue.url.as_str()));
    assert_eq!(again().send().await.unwrap().queue_url(), Some(queue.url.as_str()));
    let found = target.client.get_queue_url().queue_name(&queue.name).send().await;
    assert_eq!(found.unwrap().queue_url(), Some(queue.url.as_str()));
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
#[tokio::test]
async fn to_make_a_queue_again_with_another_value_is_refused_and_changes_nothing() {
    let target = Target::open().await;
    let queue = target.queue_with("again", &[(Name::VisibilityTimeout, "60")]).await;
    let again = target.client.create_queue().queue_name(&queue.name);
    let refused = again
        .attributes(Name::VisibilityTimeout, "61")
        .send()
        .await
        .unwrap_err();
    assert!(refused.into_service_error().is_queue_name_exists());
    assert_eq!(queue.attribute(Name::VisibilityTimeout).await, "60");
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn an_attribute_out_of_its_bounds_is_refused() {
    let target = Target::open().await;
    let queue = target.queue("bounds").await;
    for (name, value) in [
        (Name::VisibilityTimeout, "43201"),
        (Name::VisibilityTimeout, "-1"),
        (Name::VisibilityTimeout, "soon"),
        (Name::DelaySeconds, "901"),
        (Name::ReceiveMessageWaitTimeSeconds, "21"),
        (Name::MessageRetentionPeriod, "59"),
        (Name::MessageRetentionPeriod, "1209601"),
        (Name::MaximumMessageSize, "1023"),
        (Name::MaximumMessageSize, "1048577"),
    ] {
        let set = target.client.set_queue_attributes().queue_url(&queue.url);
        let set = answer(set.attributes(name.clone(), value).send()).await;
        assert_eq!(set, "InvalidAttributeValue", "{name} {value}");
        let make = target.client.create_queue().queue_name(target.name("bounds"));
        let made = answer(make.attributes(name.clone(), value).send()).await;
        assert_eq!(made, "InvalidAttributeValue", "{name} {value}");
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn an_attribute_that_no_queue_has_is_refused() {
    let target = Target::open().await;
    let queue = target.queue("unknown").await;
    let unknown = Name::from("Colour");
    let make = target.client.create_queue().queue_name(target.name("unknown"));
    let made = answer(make.attributes(unknown.clone(), "red").send()).await;
    target.judge("create.unknown-attribute", "InvalidAttributeName", &made);
    let set = target.client.set_queue_attributes().queue_url(&queue.url);
    let set = answer(set.attributes(unknown.clone(), "red").send()).await;
    target.judge("set.unknown-attribute", "InvalidAttributeName", &set);
    let get = target.client.get_queue_attributes().queue_url(&queue.url);
    let got = answer(get.attribute_names(Name::from("Size")).send()).await;
    target.judge("get.unknown-attribute", "InvalidAttributeName", &got);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
#[tokio::test]
async fn attributes_that_nobody_asked_for_are_not_answered() {
    let target = Target::open().await;
    let queue = target.queue("unasked").await;
    let got = target.client.get_queue_attributes().queue_url(&queue.url).send().await;
    let seen = match got.unwrap().attributes() {
        Some(all) if !all.is_empty() => "all attributes",
        _ => "none",
    };
    target.judge("get.no-names", "none", seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
#[tokio::test]
async fn a_queue_name_has_1_to_80_letters_digits_hyphens_and_underscores() {
    let target = Target::open().await;
    let make = |name: String| target.client.create_queue().queue_name(name).send();
    let short = target.name("Az_9-");
    let long = format!("{short}{}", "x".repeat(80 - short.len()));
    assert_eq!(answer(make(long.clone())).await, ACCEPTED);
    let seen = [
        ("81 characters", accepted_or_refused(make(format!("{long}x"))).await),
        ("a space", accepted_or_refused(make(format!("{short} b"))).await),
        ("a period", accepted_or_refused(make(format!("{short}.b"))).await),
        ("an umlaut", accepted_or_refused(make(format!("{short}ü"))).await),
    ];
    target.judge("create.name", "none accepted", &accepted_of(&seen));
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html>
#[tokio::test]
async fn a_queue_that_is_not_there_is_said_to_every_action() {
    let target = Target::open().await;
    let real = target.queue("real").await;
    let absent = target.name("absent");
    let url = real.url.replace(&real.name, &absent);
    let queue = Queue::new(&target, absent.clone(), url.clone());
    let client = &target.client;
    let found = client.get_queue_url().queue_name(&absent).send().await.unwrap_err();
    assert!(found.into_service_error().is_queue_does_not_exist());
    let sent = queue.sending("a").send().await.unwrap_err();
    assert!(sent.into_service_error().is_queue_does_not_exist());
    let received = queue.receiving().send().await.unwrap_err();
    assert!(received.into_service_error().is_queue_does_not_exist());
    let code = "NonExistentQueue";
    let delete = client.delete_message().queue_url(&url).receipt_handle("x");
    assert_eq!(answer(delete.send()).await, code);
    let change = client.change_message_visibility().queue_url(&url).receipt_handle("x");
    assert_eq!(answer(change.visibility_timeout(1).send()).await, code);
    let batch = client.send_message_batch().queue_url(&url);
    assert_eq!(answer(batch.entries(crate::queue::entry("a", "a")).send()).await, code);
    assert_eq!(answer(client.purge_queue().queue_url(&url).send()).await, code);
    let get = client.get_queue_attributes().queue_url(&url).attribute_names(Name::All);
    assert_eq!(answer(get.send()).await, code);
    let set = client.set_queue_attributes().queue_url(&url);
    assert_eq!(answer(set.attributes(Name::DelaySeconds, "1").send()).await, code);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>
#[tokio::test]
async fn queues_are_listed_by_prefix_and_in_pages() {
    let target = Target::open().await;
    let first = target.queue("listed").await;
    let mut urls = vec![first.url.clone()];
    for n in 0..2 {
        let make = target.client.create_queue().queue_name(format!("{}-{n}", first.name));
        urls.push(make.send().await.unwrap().queue_url.unwrap());
    }
    let list = || target.client.list_queues().queue_name_prefix(&first.name);
    let mut all = list().send().await.unwrap().queue_urls.unwrap();
    all.sort();
    assert_eq!(all, urls);
    let page = list().max_results(2).send().await.unwrap();
    assert_eq!(page.queue_urls().len(), 2);
    let rest = list().max_results(2).set_next_token(page.next_token.clone());
    let rest = rest.send().await.unwrap();
    assert_eq!((rest.queue_urls().len(), rest.next_token()), (1, None));
    let mut paged = [page.queue_urls(), rest.queue_urls()].concat();
    paged.sort();
    assert_eq!(paged, urls);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn a_changed_attribute_holds_from_then_on() {
    let target = Target::open().await;
    let queue = target.queue("changed").await;
    queue.set(Name::VisibilityTimeout, "0").await;
    queue.send(&["a"]).await;
    let first = queue.take_one(None).await;
    let second = queue.take_one(None).await;
    assert_eq!(first.message_id(), second.message_id());
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
#[tokio::test]
async fn the_counts_say_what_is_visible_in_flight_and_delayed() {
    let target = Target::open().await;
    let queue = target.queue("counts").await;
    assert_eq!(queue.counts().await, ["0", "0", "0"]);
    queue.send(&["a", "b", "c"]).await;
    queue.sending("later").delay_seconds(900).send().await.unwrap();
    assert_eq!(queue.counts().await, ["3", "0", "1"]);
    let taken = queue.take(2, None).await;
    assert_eq!(queue.counts().await, ["1", "2", "1"]);
    queue.delete(&taken[0]).await;
    queue.hide(&taken[1], 0).await;
    assert_eq!(queue.counts().await, ["2", "0", "1"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>
#[tokio::test]
async fn a_purge_takes_also_what_is_in_flight_and_delayed() {
    let target = Target::open().await;
    let queue = target.queue("purged").await;
    queue.send(&["a", "b"]).await;
    queue.sending("later").delay_seconds(900).send().await.unwrap();
    queue.take_one(None).await;
    target.client.purge_queue().queue_url(&queue.url).send().await.unwrap();
    assert_eq!(queue.counts().await, ["0", "0", "0"]);
    let again = answer(target.client.purge_queue().queue_url(&queue.url).send()).await;
    target.judge("purge.again", "PurgeQueueInProgress", &again);
}
