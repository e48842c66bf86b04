//! Sending and receiving. What is done with a message once it was received is in `handles`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::batch::{self, BatchAnswer, BatchRequest};
use super::{print, required};
use crate::digest::{self, hex};
use crate::error::SqsError;
use crate::limits;
use crate::message::{AttributeContent, AttributeValue, MessageAttributes, Outgoing, Received, Sent};
use crate::sqs::Sqs;

/// The system attributes that a receive can be asked for.
const SYSTEM_ATTRIBUTES: [&str; 9] = [
    "AWSTraceHeader",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeJson {
    #[serde(default)]
    data_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

/// `SendMessage`, and one entry of `SendMessageBatch`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendRequest {
    queue_url: Option<String>,
    id: Option<String>,
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: BTreeMap<String, AttributeJson>,
    #[serde(default)]
    message_system_attributes: BTreeMap<String, AttributeJson>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct SendAnswer {
    #[serde(rename = "Id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "MessageId")]
    message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    body_md5: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    system_attributes_md5: Option<String>,
}

impl SendAnswer {
    fn new(id: Option<String>, sent: Sent) -> Self {
        let Sent {
            message_id,
            body_md5,
            attributes_md5,
            system_attributes_md5,
        } = sent;
        Self {
            id,
            message_id,
            body_md5,
            attributes_md5,
            system_attributes_md5,
        }
    }
}

impl SendRequest {
    fn into_outgoing(self) -> Result<Outgoing, SqsError> {
        if self.message_deduplication_id.is_some() {
            return Err(SqsError::InvalidParameterValue(
                "The request includes a parameter that is not valid for this queue type: MessageDeduplicationId."
                    .to_owned(),
            ));
        }
        let attribute = |(name, json): (String, _)| attribute(&name, json).map(|value| (name, value));
        Ok(Outgoing {
            body: required("MessageBody", self.message_body)?,
            delay_s: self.delay_seconds,
            attributes: self
                .message_attributes
                .into_iter()
                .map(attribute)
                .collect::<Result<_, _>>()?,
            group: self.message_group_id,
            trace_header: trace_header(self.message_system_attributes)?,
        })
    }
}

fn attribute(name: &str, json: AttributeJson) -> Result<AttributeValue, SqsError> {
    let refuse = |reason: &str| {
        Err(SqsError::InvalidParameterValue(format!(
            "The message attribute '{name}' is invalid. Reason: {reason}"
        )))
    };
    let Some(data_type) = json.data_type else {
        return refuse("it has no DataType.");
    };
    let content = match (json.string_value, json.binary_value) {
        (Some(text), None) => AttributeContent::Text(text),
        (None, Some(encoded)) => match STANDARD.decode(encoded) {
            Ok(bytes) => AttributeContent::Binary(bytes),
            Err(_) => return refuse("its BinaryValue is not base64."),
        },
        _ => return refuse("it must have exactly one of StringValue and BinaryValue."),
    };
    Ok(AttributeValue { data_type, content })
}

fn trace_header(attributes: BTreeMap<String, AttributeJson>) -> Result<Option<String>, SqsError> {
    let mut header = None;
    for (name, json) in attributes {
        let value = attribute(&name, json)?;
        match value.content {
            AttributeContent::Text(text) if name == "AWSTraceHeader" && value.data_type == "String" => {
                limits::check_characters(&text)?;
                header = Some(text);
            }
            _ => {
                return Err(SqsError::InvalidParameterValue(format!(
                    "Message system attribute name '{name}' is invalid: only AWSTraceHeader of type String is taken."
                )));
            }
        }
    }
    Ok(header)
}

pub(super) async fn send(sqs: &Sqs, request: SendRequest) -> Result<SendAnswer, SqsError> {
    let queue = sqs.queue_in(request.queue_url.as_deref())?.to_owned();
    let outgoing = request.into_outgoing()?;
    let sent = sqs.durably(|engine, now_ms| {
        let number = engine.queue_number(&queue)?;
        engine.send(now_ms, number, outgoing)
    });
    Ok(SendAnswer::new(None, sent.await?))
}

pub(super) async fn send_batch(
    sqs: &Sqs,
    request: BatchRequest<SendRequest>,
) -> Result<BatchAnswer<SendAnswer>, SqsError> {
    let queue = sqs.queue_in(request.queue_url.as_deref())?;
    batch::check_ids(request.entries.iter().map(|entry| entry.id.as_deref()))?;
    let entries = request
        .entries
        .into_iter()
        .map(|mut entry| (entry.id.take().unwrap_or_default(), entry.into_outgoing()));
    let entries: Vec<(String, Result<Outgoing, SqsError>)> = entries.collect();
    let bytes = entries
        .iter()
        .filter_map(|(_, outgoing)| outgoing.as_ref().ok())
        .map(Outgoing::size_bytes)
        .sum();
    if bytes > limits::MESSAGE_BYTES {
        return Err(SqsError::BatchRequestTooLong(bytes));
    }
    let sent = sqs.durably(|engine, now_ms| {
        let number = engine.queue_number(queue)?;
        let mut send = |outgoing: Result<Outgoing, SqsError>| engine.send(now_ms, number, outgoing?);
        Ok(entries
            .into_iter()
            .map(|(id, outgoing)| (id, send(outgoing)))
            .collect::<Vec<_>>())
    });
    Ok(batch::answer(sent.await?, |id, sent| SendAnswer::new(Some(id), sent)))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveRequest {
    queue_url: Option<String>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ReceiveAnswer<'a> {
    #[serde(rename = "Messages", skip_serializing_if = "Vec::is_empty")]
    messages: Vec<ReceivedJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ReceivedJson<'a> {
    #[serde(rename = "MessageId")]
    message_id: &'a str,
    #[serde(rename = "ReceiptHandle")]
    receipt_handle: &'a str,
    #[serde(rename = "MD5OfBody")]
    body_md5: &'a str,
    #[serde(rename = "Body")]
    body: &'a str,
    #[serde(rename = "Attributes", skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
    #[serde(rename = "MessageAttributes", skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<String, AttributeJson>,
}

/// Printed here, because the answer borrows the messages.
pub(super) async fn receive(sqs: &Sqs, request: &ReceiveRequest) -> Result<Vec<u8>, SqsError> {
    let queue = sqs.queue_in(request.queue_url.as_deref())?;
    let max = match request.max_number_of_messages {
        Some(max) => limits::in_bounds("MaxNumberOfMessages", max, 1, 10)?,
        None => 1,
    };
    let wait_s = match request.wait_time_seconds {
        Some(wait_s) => limits::in_bounds("WaitTimeSeconds", wait_s, 0, limits::WAIT_S)?,
        None => sqs.look(|engine, _| Ok(engine.queue(engine.queue_number(queue)?)?.attributes.wait_s))?,
    };
    let visibility = request.visibility_timeout;
    let visibility_s = visibility
        .map(|v| limits::in_bounds("VisibilityTimeout", v, 0, limits::VISIBILITY_S))
        .transpose()?;
    let system: Vec<&str> = request
        .attribute_names
        .iter()
        .chain(&request.message_system_attribute_names)
        .map(String::as_str)
        .collect();
    if let Some(unknown) = system
        .iter()
        .find(|name| **name != "All" && !SYSTEM_ATTRIBUTES.contains(name))
    {
        return Err(SqsError::InvalidAttributeName((*unknown).to_owned()));
    }
    let wait_ms = i64::from(wait_s) * 1000;
    let received = sqs
        .receive_or_over_limit(queue, max as usize, wait_ms, visibility_s)
        .await?;
    let json = |received| received_json(received, &system, &request.message_attribute_names);
    print(&ReceiveAnswer {
        messages: received.iter().map(json).collect(),
    })
}

fn received_json<'a>(received: &'a Received, system: &[&str], wanted: &[String]) -> ReceivedJson<'a> {
    let mut attributes = received.attributes();
    if !system.contains(&"All") {
        attributes.retain(|name, _| system.contains(&name.as_str()));
    }
    let is_wanted = |name: &str| {
        wanted.iter().any(|wanted| match wanted.strip_suffix(".*") {
            Some(prefix) => prefix.is_empty() || name.starts_with(prefix),
            None => wanted == "All" || wanted == name,
        })
    };
    let chosen: MessageAttributes = match wanted {
        [] => MessageAttributes::new(),
        _ => {
            let all = received.message_attributes.iter();
            all.filter(|(name, _)| is_wanted(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        }
    };
    ReceivedJson {
        message_id: &received.message_id,
        receipt_handle: &received.receipt_handle,
        body_md5: &received.body_md5,
        body: &received.body,
        attributes,
        attributes_md5: digest::of_attributes(&chosen).map(|md5| hex(&md5)),
        message_attributes: chosen
            .into_iter()
            .map(|(name, value)| (name, attribute_json(value)))
            .collect(),
    }
}

fn attribute_json(value: AttributeValue) -> AttributeJson {
    let (string_value, binary_value) = match value.content {
        AttributeContent::Text(text) => (Some(text), None),
        AttributeContent::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
    };
    AttributeJson {
        data_type: Some(value.data_type),
        string_value,
        binary_value,
    }
}
