//! A message as it is sent, kept and received. Data and its checks; no queue, no clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Md5Bytes;
use crate::error::SqsError;
use crate::limits;
use crate::number;

/// The attributes of a message by name.
pub type MessageAttributes = BTreeMap<String, AttributeValue>;

/// One attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeValue {
    /// `String`, `Number` or `Binary`, each optionally with a label: `Number.float`.
    pub data_type: String,
    /// The value.
    pub content: AttributeContent,
}

impl AttributeValue {
    /// The type without its label.
    fn base_type(&self) -> &str {
        self.data_type.split('.').next().unwrap_or_default()
    }

    /// The attribute as SQS keeps it: of numbers, "Amazon SQS removes leading and trailing zeros" (developer guide).
    pub(crate) fn kept(self) -> Self {
        let kept = match &self.content {
            AttributeContent::Text(text) if self.base_type() == "Number" => number::canonical(text),
            _ => None,
        };
        match kept {
            Some(text) => Self {
                content: AttributeContent::Text(text),
                ..self
            },
            None => self,
        }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeContent {
    /// Of the types `String` and `Number`.
    Text(String),
    /// Of the type `Binary`.
    Binary(Vec<u8>),
}

impl AttributeContent {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// A message to send.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// The body: at least one character.
    pub body: String,
    /// Seconds until it can be received; the queue's `DelaySeconds` if `None`.
    pub delay_s: Option<i64>,
    /// Its attributes.
    pub attributes: MessageAttributes,
    /// Its `MessageGroupId`: whose turn it takes in a fair queue.
    pub group: Option<String>,
    /// The system attribute `AWSTraceHeader`.
    pub trace_header: Option<String>,
}

impl Outgoing {
    /// The bytes that count against the limits: the body, and of each attribute its name, type and value.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let of = |(name, value): (&String, &AttributeValue)| {
            name.len() + value.data_type.len() + value.content.as_bytes().len()
        };
        self.body.len() + self.attributes.iter().map(of).sum::<usize>()
    }

    /// Checks everything that does not depend on the queue.
    ///
    /// # Errors
    /// What SQS refuses: an empty body, a character it does not take, a bad attribute or group.
    pub fn check(&self) -> Result<(), SqsError> {
        if self.body.is_empty() {
            return Err(SqsError::MissingParameter("MessageBody"));
        }
        limits::check_characters(&self.body)?;
        if self.attributes.len() > limits::MESSAGE_ATTRIBUTES {
            return Err(SqsError::InvalidParameterValue(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [{}].",
                self.attributes.len(),
                limits::MESSAGE_ATTRIBUTES
            )));
        }
        self.attributes
            .iter()
            .try_for_each(|(name, value)| check_attribute(name, value))?;
        match &self.group {
            Some(group) if !limits::is_group(group) => Err(SqsError::InvalidParameterValue(
                "Value for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric \
                 and punctuation characters. 1 to 128 in length."
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

/// The rules of the developer guide, "Message attribute components".
fn check_attribute(name: &str, value: &AttributeValue) -> Result<(), SqsError> {
    let refuse = |reason: &str| {
        Err(SqsError::InvalidParameterValue(format!(
            "The message attribute '{name}' is invalid. Reason: {reason}"
        )))
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || name.len() > limits::ATTRIBUTE_NAME_CHARS || !name.bytes().all(allowed) {
        return refuse("a name has 1 to 256 letters, digits, underscores, hyphens and periods.");
    }
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return refuse("a name must not start with AWS. or Amazon.");
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return refuse("a name must not start or end with a period, or have two in a row.");
    }
    if value.data_type.len() > limits::ATTRIBUTE_NAME_CHARS {
        return refuse("a type has at most 256 characters.");
    }
    match (&value.content, value.base_type()) {
        (AttributeContent::Text(text), "String") if !text.is_empty() => limits::check_characters(text),
        (AttributeContent::Text(text), "Number") if number::canonical(text).is_some() => Ok(()),
        (AttributeContent::Binary(bytes), "Binary") if !bytes.is_empty() => Ok(()),
        (_, "String" | "Number" | "Binary") => refuse("its value is empty or not of its type."),
        _ => refuse("its type must start with String, Number or Binary."),
    }
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// Sent, not yet to be received.
    Delayed,
    /// To be received.
    Visible,
    /// Received, not yet deleted, its visibility timeout running.
    InFlight,
}

/// The receives of a message that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receives {
    /// When it was first received.
    pub(crate) first_at_ms: i64,
    /// When it was last received: the twelve hours of its visibility count from here.
    pub(crate) last_at_ms: i64,
    /// The number of the last receive; receipt handles of earlier ones are stale.
    pub(crate) last: u64,
}

/// A message as a queue keeps it, and as the journal's snapshots hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Unique in the store, never used again.
    pub(crate) serial: u64,
    pub(crate) body: Arc<str>,
    pub(crate) body_md5: Md5Bytes,
    pub(crate) attributes: Arc<MessageAttributes>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) trace_header: Option<Arc<str>>,
    /// Retention counts from here, whatever queue it was moved to.
    pub(crate) sent_at_ms: i64,
    pub(crate) standing: Standing,
    /// When a delayed or in-flight message becomes visible.
    pub(crate) visible_at_ms: i64,
    pub(crate) receive_count: u32,
    pub(crate) receives: Option<Receives>,
    /// The queue that a redrive moved it from.
    pub(crate) source: Option<u32>,
    /// Its place in its group while it is visible.
    #[serde(skip)]
    pub(crate) ticket: u64,
}

impl Message {
    /// Roughly what it occupies in the journal's snapshot.
    pub(crate) fn stored_bytes(&self) -> u64 {
        const FIXED_BYTES: usize = 96;
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(n, v)| n.len() + v.data_type.len() + v.content.as_bytes().len() + 4)
            .sum();
        (FIXED_BYTES + self.body.len() + attributes) as u64
    }
}

/// The answer to a message sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub message_id: String,
    /// Hexadecimal MD5 of its body.
    pub body_md5: String,
    /// Hexadecimal MD5 of its attributes, if it has any.
    pub attributes_md5: Option<String>,
    /// Hexadecimal MD5 of its system attributes, if it has any.
    pub system_attributes_md5: Option<String>,
}

/// A message received.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Its id: kept by a redrive, new after a move task.
    pub message_id: String,
    /// What names this receive to `DeleteMessage` and `ChangeMessageVisibility`.
    pub receipt_handle: String,
    /// The body.
    pub body: Arc<str>,
    /// Hexadecimal MD5 of the body.
    pub body_md5: String,
    /// Its attributes.
    pub message_attributes: Arc<MessageAttributes>,
    /// Its `MessageGroupId`.
    pub group: Option<Arc<str>>,
    /// The system attribute `AWSTraceHeader`.
    pub trace_header: Option<Arc<str>>,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent, Unix milliseconds.
    pub sent_at_ms: i64,
    /// When it was first received, Unix milliseconds.
    pub first_received_at_ms: i64,
    /// The ARN of the queue it was received from.
    pub queue_arn: Arc<str>,
    /// The ARN of the queue that a redrive moved it from.
    pub dead_letter_source_arn: Option<String>,
    /// Who sent it: the account.
    pub sender_id: Arc<str>,
}

impl Received {
    /// The system attributes, as `ReceiveMessage` and the records of an event source mapping have them.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes = BTreeMap::from([
            ("ApproximateReceiveCount".to_owned(), self.receive_count.to_string()),
            (
                "ApproximateFirstReceiveTimestamp".to_owned(),
                self.first_received_at_ms.to_string(),
            ),
            ("SentTimestamp".to_owned(), self.sent_at_ms.to_string()),
            ("SenderId".to_owned(), self.sender_id.to_string()),
        ]);
        let mut add = |name: &str, value: Option<String>| {
            attributes.extend(value.map(|value| (name.to_owned(), value)));
        };
        add("MessageGroupId", self.group.as_deref().map(str::to_owned));
        add("AWSTraceHeader", self.trace_header.as_deref().map(str::to_owned));
        add("DeadLetterQueueSourceArn", self.dead_letter_source_arn.clone());
        attributes
    }
}

/// How many messages of a queue stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// To be received.
    pub visible: usize,
    /// Received and not yet deleted.
    pub in_flight: usize,
    /// Sent and not yet to be received.
    pub delayed: usize,
}
