//! SQS as it bills: every action is a request, and each 64 KiB that one carries, or begins, is another; a batch of ten
//! small messages is one. A message's size is that of its body and its attributes.
//! <https://aws.amazon.com/sqs/pricing/>
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>

use redial_sqs::{AttributeContent, Received};
use serde_json::Value;

use super::Used;

/// Bytes of a request that are billed as one.
pub(crate) const UNIT_BYTES: usize = 64 * 1024;

/// A receive that found messages.
pub(super) const RECEIVE: &str = "ReceiveMessage";
/// A receive that waited in vain. Counted apart: how many there are says how this machine polls, not how Lambda does.
pub const EMPTY_RECEIVE: &str = "ReceiveMessage (empty)";
/// Lambda deletes what a function has done in one batch.
pub(super) const DELETE: &str = "DeleteMessageBatch";

/// Which of the requests a group's messages are in: the surcharge of fair queues.
const GROUP: &str = "MessageGroupId";

/// A request that carries next to nothing.
pub(super) fn of_small_request(grouped: bool) -> Used {
    of_bytes(0, grouped)
}

fn of_bytes(bytes: usize, grouped: bool) -> Used {
    let units = bytes.div_ceil(UNIT_BYTES).max(1) as u64;
    Used {
        requests: 1,
        units,
        grouped: if grouped { units } else { 0 },
        ..Used::default()
    }
}

/// What a request of a client is billed as.
pub(super) fn of_request(operation: &str, body: &[u8]) -> Used {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match operation {
        "SendMessage" => of_bytes(message_bytes(&body), body[GROUP].is_string()),
        "SendMessageBatch" => {
            let entries = body["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            let grouped = entries.iter().any(|entry| entry[GROUP].is_string());
            of_bytes(entries.iter().map(message_bytes).sum(), grouped)
        }
        // Only those that wait again after they failed, and all that a delivery's queue holds are in groups.
        "ChangeMessageVisibilityBatch" => of_small_request(true),
        _ => of_small_request(false),
    }
}

fn message_bytes(message: &Value) -> usize {
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let attributes = message["MessageAttributes"].as_object().into_iter().flatten();
    let attributes = attributes.map(|(name, value)| {
        let content = match &value["BinaryValue"] {
            Value::String(base64) => base64.len() / 4 * 3,
            _ => text(&value["StringValue"]),
        };
        name.len() + text(&value["DataType"]) + content
    });
    text(&message["MessageBody"]) + attributes.sum::<usize>()
}

/// What a receive is billed as, by what it brought.
pub(super) fn of_received(messages: &[Received]) -> Used {
    let bytes = messages.iter().map(|message| {
        let attributes = message.message_attributes.iter().map(|(name, value)| {
            let content = match &value.content {
                AttributeContent::Text(text) => text.len(),
                AttributeContent::Binary(bytes) => bytes.len(),
            };
            name.len() + value.data_type.len() + content
        });
        message.body.len() + attributes.sum::<usize>()
    });
    of_bytes(bytes.sum(), is_grouped(messages))
}

/// True if any of these has a group.
pub(super) fn is_grouped(messages: &[Received]) -> bool {
    messages.iter().any(|message| message.group.is_some())
}
