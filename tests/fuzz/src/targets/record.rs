//! A record of a queue: what dispatcher, replay worker and dead-letter intake are handed. What cannot be read is never taken for
//! something else: it comes again, and ends where a person sees it. What can be read is written as it was read.

use redial_platform::blob;
use redial_platform::message::{DeliveryMessage, Message, ReplayMessage, Unread};
use serde_json::{Value, json};

use super::inputs;
use crate::Target;
use crate::stand;

pub(crate) const TARGET: Target = Target {
    name: "record",
    max_len: 8_192,
    run,
    seeds,
};

/// The functions that take batches, each with a queue of its.
const TAKERS: [(&str, &str); 3] = [
    ("Dispatcher", "arn:aws:sqs:us-east-1:000000000000:DeliveryQueue"),
    ("Replay", "arn:aws:sqs:us-east-1:000000000000:ReplayQueue"),
    ("Sweeper", "arn:aws:sqs:us-east-1:000000000000:DeadLetterQueue"),
];

fn seeds() -> Vec<Vec<u8>> {
    let written: Value = serde_json::from_str(&crate::data("v1/messages.json")).expect("JSON");
    let mut texts: Vec<String> = written
        .as_object()
        .expect("messages by name")
        .values()
        .map(Value::to_string)
        .collect();
    texts.push(
        r#"{"t":"acme","e":"src_1","a":1795150830000,"s":1,"p":"ep_1","v":1,"c":true,"sl":1,"pr":true}"#.to_owned(),
    );
    texts.push(r#"{"fv":2,"everything":"is different"}"#.to_owned());
    inputs(texts)
}

fn run(input: &[u8]) {
    // SQS's bodies are text.
    let Ok(body) = std::str::from_utf8(input) else { return };
    let read = Message::read(body);
    match &read {
        Ok(Message::Delivery(message)) => {
            assert_eq!(DeliveryMessage::read(body).ok().as_ref(), Some(message.as_ref()));
            let written = serde_json::to_string(message).expect("a message can be written");
            assert_eq!(Message::read(&written).ok().as_ref(), read.as_ref().ok(), "{written}");
            if let Some(Ok(content)) = message.content.as_deref().map(blob::from_riding) {
                let packed = blob::from_content(&content).expect("a content can be packed");
                let again = blob::to_content(&packed).expect("what is packed is read");
                assert_eq!(again.digest(), content.digest());
            }
        }
        Ok(Message::Replay(message)) => {
            assert_eq!(ReplayMessage::read(body).ok().as_ref(), Some(message));
            assert!(DeliveryMessage::read(body).is_err());
        }
        Err(Unread::Newer(newer)) => assert!(newer.found > 1),
        Err(Unread::Unreadable(_)) => {}
    }
    stand::with(|stand| {
        for (function, queue) in TAKERS {
            let batch = json!({ "Records": [{
                "messageId": "m1", "receiptHandle": "r1", "body": body, "eventSource": "aws:sqs", "eventSourceARN": queue,
                "attributes": { "ApproximateReceiveCount": "2" },
            }]});
            let event = serde_json::from_value(batch).expect("a batch");
            let handler = stand
                .machine
                .functions()
                .batches_of(function)
                .expect("a function that takes batches");
            let answer = stand.runtime.block_on(handler(event));
            let again = answer.batch_item_failures.len();
            assert!(again <= 1);
            assert!(read.is_ok() || again == 1, "{function} took what nobody can read");
        }
    });
}
