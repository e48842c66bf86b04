//! Sending one message: what is taken, what is refused, and the digests. Never a batch.

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName as System, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, QueueAttributeName as Name,
};

use crate::differences::UNDOCUMENTED;
use crate::queue::{system, text};
use crate::target::{ACCEPTED, REFUSED, Target, accepted_of, accepted_or_refused, answer};

/// The most bytes of a message.
const MESSAGE_BYTES: usize = 1_048_576;

// Known answers, computed apart from any server by the rule of "Calculating the MD5 message digest for message attributes".
const MD5_OF_HELLO: &str = "5d41402abc4b2a76b9719d911017c592";
const MD5_OF_STRING: &str = "578ed41cd8642ea22e4a15103e30596a";
const MD5_OF_NUMBER: &str = "d728925d501f5499b41454f40e4b970c";
const MD5_OF_BINARY: &str = "c7aa88e1eb5e510dc01322c2d19c4c10";
const MD5_OF_ALL_THREE: &str = "894342f6687247c345a40737dfea53a8";
const MD5_OF_TRACE: &str = "62a56dd927315f2b2e12832b84617ea5";

const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

pub(crate) fn trace() -> MessageSystemAttributeValue {
    let value = MessageSystemAttributeValue::builder().data_type("String");
    value.string_value(TRACE).build().unwrap()
}

fn binary(bytes: &[u8]) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type("Binary");
    value.binary_value(Blob::new(bytes)).build().unwrap()
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
#[tokio::test]
async fn a_message_arrives_as_it_was_sent() {
    let target = Target::open().await;
    let queue = target.queue("sent").await;
    let sent = queue.sending("hello").send().await.unwrap();
    assert_eq!(sent.md5_of_message_body(), Some(MD5_OF_HELLO));
    assert_eq!(sent.md5_of_message_attributes(), None);
    let got = queue.take_one(None).await;
    assert_eq!((got.message_id(), got.body()), (sent.message_id(), Some("hello")));
    assert_eq!(got.md5_of_body(), Some(MD5_OF_HELLO));
    assert_eq!(
        (got.md5_of_message_attributes(), got.message_attributes()),
        (None, None)
    );
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
#[tokio::test]
async fn the_digest_of_attributes_is_that_of_the_documented_rule() {
    let target = Target::open().await;
    let queue = target.queue("digests").await;
    let string = ("kind", text("String", "call.ended"));
    let number = ("size", text("Number.int", "-12"));
    let bytes = ("raw", binary(b"\x00\xff"));
    for (attributes, md5) in [
        (vec![string.clone()], MD5_OF_STRING),
        (vec![number.clone()], MD5_OF_NUMBER),
        (vec![bytes.clone()], MD5_OF_BINARY),
        (vec![string, number, bytes], MD5_OF_ALL_THREE),
    ] {
        let mut send = queue.sending("a");
        for (name, value) in &attributes {
            send = send.message_attributes(*name, value.clone());
        }
        assert_eq!(send.send().await.unwrap().md5_of_message_attributes(), Some(md5));
        let got = queue.take_one(None).await;
        assert_eq!(got.md5_of_message_attributes(), Some(md5));
        let received = got.message_attributes().unwrap();
        assert_eq!(received.len(), attributes.len());
        for (name, value) in attributes {
            assert_eq!(received[name], value);
        }
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
#[tokio::test]
async fn the_trace_header_goes_along_and_has_a_digest() {
    let target = Target::open().await;
    let queue = target.queue("trace").await;
    let send = queue.sending("a");
    let sent = send.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace());
    let sent = sent.send().await.unwrap();
    let md5 = sent.md5_of_message_system_attributes().unwrap_or("none");
    target.judge("send.trace-digest", MD5_OF_TRACE, md5);
    assert_eq!(system(&queue.take_one(None).await, &System::AwsTraceHeader), TRACE);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
#[tokio::test]
async fn characters_outside_of_the_documented_ones_are_refused_and_those_inside_come_back() {
    let target = Target::open().await;
    let queue = target.queue("characters").await;
    for bad in ["\u{0}", "\u{8}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        let sent = queue.sending(format!("a{bad}")).send().await.unwrap_err();
        assert!(sent.into_service_error().is_invalid_message_contents(), "{bad:?}");
    }
    assert_eq!(accepted_or_refused(queue.sending("").send()).await, REFUSED);
    let good = "\t\n\r ~\u{7f}\u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10ffff} \"\\ü";
    queue.send(&[good]).await;
    assert_eq!(queue.take_one(None).await.body(), Some(good));
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
#[tokio::test]
async fn a_body_has_at_most_1_mib() {
    let target = Target::open().await;
    let queue = target.queue("large").await;
    let body = "x".repeat(MESSAGE_BYTES);
    queue.send(&[&body]).await;
    assert_eq!(queue.take_one(None).await.body().map(str::len), Some(MESSAGE_BYTES));
    assert_eq!(accepted_or_refused(queue.sending(body + "x").send()).await, REFUSED);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
#[tokio::test]
async fn the_size_of_a_message_is_that_of_its_body_and_of_the_parts_of_its_attributes() {
    let target = Target::open().await;
    let queue = target.queue("large").await;
    let with_attribute = |body_bytes: usize| {
        let send = queue.sending("x".repeat(body_bytes));
        send.message_attributes("name", text("String", "value")).send()
    };
    let attribute_bytes = "name".len() + "String".len() + "value".len();
    let fits = MESSAGE_BYTES - attribute_bytes;
    assert_eq!(answer(with_attribute(fits)).await, ACCEPTED);
    let seen = accepted_or_refused(with_attribute(fits + 1)).await;
    target.judge("send.size-of-attributes", REFUSED, seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[tokio::test]
async fn a_queue_may_take_less_than_1_mib() {
    let target = Target::open().await;
    let queue = target.queue_with("small", &[(Name::MaximumMessageSize, "1024")]).await;
    queue.send(&[&"x".repeat(1024)]).await;
    // Bytes, not characters: 512 of these are 1,024.
    queue.send(&[&"ü".repeat(512)]).await;
    assert_eq!(
        accepted_or_refused(queue.sending("x".repeat(1025)).send()).await,
        REFUSED
    );
    assert_eq!(
        accepted_or_refused(queue.sending("ü".repeat(513)).send()).await,
        REFUSED
    );
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
#[tokio::test]
async fn an_attribute_that_breaks_a_rule_is_refused() {
    let target = Target::open().await;
    let queue = target.queue("attributes").await;
    let with = |name: &str, value: MessageAttributeValue| {
        let send = queue.sending("a").message_attributes(name, value);
        async move { accepted_or_refused(send.send()).await }
    };
    let string = || text("String", "x");
    let mut eleven = queue.sending("a");
    for n in 0..11 {
        eleven = eleven.message_attributes(format!("a{n}"), string());
    }
    let seen = [
        ("eleven", accepted_or_refused(eleven.send()).await),
        ("a name of 257", with(&"x".repeat(257), string()).await),
        ("a name with a space", with("a b", string()).await),
        ("AWS.", with("AWS.x", string()).await),
        ("amazon.", with("amazon.x", string()).await),
        ("a period first", with(".a", string()).await),
        ("a period last", with("a.", string()).await),
        ("two periods", with("a..b", string()).await),
        ("an empty value", with("a", text("String", "")).await),
        ("an unknown type", with("a", text("Float", "1")).await),
        ("a number that is none", with("a", text("Number", "one")).await),
        ("39 digits", with("a", text("Number", &"1".repeat(39))).await),
        ("10^127", with("a", text("Number", "1e127")).await),
    ];
    target.judge("send.attribute-rules", "none accepted", &accepted_of(&seen));
    assert_eq!(with(&"x".repeat(256), string()).await, ACCEPTED);
    assert_eq!(with("Az_0-9.b", text("String.anything", "x")).await, ACCEPTED);
    assert_eq!(with("a", text("Number", &"1".repeat(38))).await, ACCEPTED);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
#[tokio::test]
async fn a_number_loses_its_leading_and_trailing_zeros() {
    let target = Target::open().await;
    let queue = target.queue("numbers").await;
    let send = queue.sending("a").message_attributes("n", text("Number", "-007.50"));
    // What the sender computed of what it sent.
    let sent = send.send().await.unwrap();
    assert_eq!(
        sent.md5_of_message_attributes(),
        Some("5dc9be96560aac4cabb04bf08ac2d007")
    );
    let got = queue.take_one(None).await;
    let seen = got.message_attributes().unwrap()["n"].string_value().unwrap();
    target.judge("send.number-zeros", "-7.5", seen);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
#[tokio::test]
async fn a_group_id_has_1_to_128_letters_digits_and_punctuation() {
    let target = Target::open().await;
    let queue = target.queue("groups").await;
    let all = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~Az09";
    let longest = format!("{all}{}", "x".repeat(128 - all.len()));
    let with = |group: String| queue.sending("a").message_group_id(group).send();
    assert_eq!(answer(with(longest.clone())).await, ACCEPTED);
    assert_eq!(system(&queue.take_one(None).await, &System::MessageGroupId), longest);
    let seen = [
        ("129 characters", accepted_or_refused(with(format!("{longest}x"))).await),
        ("a space", accepted_or_refused(with("a b".to_owned())).await),
        ("an umlaut", accepted_or_refused(with("ü".to_owned())).await),
    ];
    target.judge("send.group-id", "none accepted", &accepted_of(&seen));
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
#[tokio::test]
async fn a_delay_is_of_0_to_900_seconds() {
    let target = Target::open().await;
    let queue = target.queue("delays").await;
    let with = |seconds: i32| queue.sending("a").delay_seconds(seconds).send();
    assert_eq!(answer(with(900)).await, ACCEPTED);
    let seen = [
        ("901", accepted_or_refused(with(901)).await),
        ("-1", accepted_or_refused(with(-1)).await),
    ];
    target.judge("send.delay", "none accepted", &accepted_of(&seen));
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
#[tokio::test]
async fn a_deduplication_id_is_not_for_a_standard_queue() {
    let target = Target::open().await;
    let queue = target.queue("deduplication").await;
    let seen = accepted_or_refused(queue.sending("a").message_deduplication_id("d").send()).await;
    target.judge("send.deduplication-id", UNDOCUMENTED, seen);
}
