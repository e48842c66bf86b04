//! The actions on queues.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Nothing, required};
use crate::error::SqsError;
use crate::limits;
use crate::sqs::Sqs;

/// The attributes that `GetQueueAttributes` can be asked for and that a queue here never has.
const ABSENT: [&str; 7] = [
    "Policy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
];
/// Those that a queue may have.
const OPTIONAL: [&str; 2] = ["RedrivePolicy", "RedriveAllowPolicy"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateRequest {
    queue_name: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UrlRequest {
    queue_name: Option<String>,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UrlAnswer {
    queue_url: String,
}

pub(super) async fn create(sqs: &Sqs, request: CreateRequest) -> Result<UrlAnswer, SqsError> {
    let name = required("QueueName", request.queue_name)?;
    Ok(UrlAnswer {
        queue_url: sqs.create_queue(&name, &request.attributes).await?,
    })
}

pub(super) fn url(sqs: &Sqs, request: &UrlRequest) -> Result<UrlAnswer, SqsError> {
    let name = required("QueueName", request.queue_name.as_deref())?;
    if request
        .owner
        .as_ref()
        .is_some_and(|owner| *owner != sqs.settings().account_id)
    {
        return Err(SqsError::QueueDoesNotExist);
    }
    sqs.look(|engine, _| engine.queue_number(name))?;
    Ok(UrlAnswer {
        queue_url: sqs.settings().url(name),
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListRequest {
    queue_name_prefix: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAnswer {
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The token is the last name of the page before.
pub(super) fn list(sqs: &Sqs, request: &ListRequest) -> Result<ListAnswer, SqsError> {
    let page = match request.max_results {
        Some(max) => limits::in_bounds("MaxResults", max, 1, 1000)? as usize,
        None => limits::LISTED_QUEUES,
    };
    let token = |token: &String| {
        URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let after = match &request.next_token {
        Some(given) => {
            let invalid = || SqsError::InvalidParameterValue("Invalid or expired next token.".to_owned());
            Some(token(given).ok_or_else(invalid)?)
        }
        None => None,
    };
    let prefix = request.queue_name_prefix.as_deref().unwrap_or_default();
    let names = sqs.queue_names().into_iter().filter(|name| name.starts_with(prefix));
    let mut names: Vec<String> = names
        .filter(|name| after.as_ref().is_none_or(|after| name > after))
        .collect();
    let more = names.len() > page;
    names.truncate(page);
    // AWS pages only those who ask for pages.
    let next = names.last().filter(|_| more && request.max_results.is_some());
    Ok(ListAnswer {
        next_token: next.map(|name| URL_SAFE_NO_PAD.encode(name)),
        queue_urls: names.iter().map(|name| sqs.settings().url(name)).collect(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttributesRequest {
    queue_url: Option<String>,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttributesAnswer {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
}

pub(super) fn attributes(sqs: &Sqs, request: &AttributesRequest) -> Result<AttributesAnswer, SqsError> {
    let name = sqs.queue_in(request.queue_url.as_deref())?;
    let mut attributes = sqs.look(|engine, now_ms| {
        let number = engine.queue_number(name)?;
        let counts = engine.counts(now_ms, number)?;
        let queue = engine.queue(number)?;
        let mut attributes = queue.attributes.print(sqs.settings());
        attributes.extend([
            ("QueueArn", queue.arn.to_string()),
            ("CreatedTimestamp", (queue.created_at_ms / 1000).to_string()),
            ("LastModifiedTimestamp", (queue.modified_at_ms / 1000).to_string()),
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
        ]);
        Ok(attributes)
    })?;
    let asked = &request.attribute_names;
    let is_known = |name: &str| attributes.contains_key(name) || ABSENT.contains(&name) || OPTIONAL.contains(&name);
    if let Some(unknown) = asked.iter().find(|name| *name != "All" && !is_known(name)) {
        return Err(SqsError::InvalidAttributeName(unknown.clone()));
    }
    if !asked.iter().any(|name| name == "All") {
        attributes.retain(|name, _| asked.iter().any(|asked| asked == name));
    }
    Ok(AttributesAnswer { attributes })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAttributesRequest {
    queue_url: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
}

pub(super) async fn set_attributes(sqs: &Sqs, request: &SetAttributesRequest) -> Result<Nothing, SqsError> {
    let name = sqs.queue_in(request.queue_url.as_deref())?;
    let given = required("Attributes", request.attributes.as_ref())?;
    let set = sqs.durably(|engine, now_ms| {
        let number = engine.queue_number(name)?;
        engine.set_attributes(now_ms, number, given)
    });
    set.await.map(|()| Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PurgeRequest {
    queue_url: Option<String>,
}

pub(super) async fn purge(sqs: &Sqs, request: &PurgeRequest) -> Result<Nothing, SqsError> {
    let name = sqs.queue_in(request.queue_url.as_deref())?;
    let purged = sqs.durably(|engine, now_ms| {
        let number = engine.queue_number(name)?;
        engine.purge(now_ms, number)
    });
    purged.await.map(|()| Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MoveTaskRequest {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MoveTaskAnswer {
    task_handle: String,
}

/// The task is done when it is answered. A rate is refused, because none would be kept.
pub(super) async fn start_move_task(sqs: &Sqs, request: &MoveTaskRequest) -> Result<MoveTaskAnswer, SqsError> {
    if request.max_number_of_messages_per_second.is_some() {
        return Err(SqsError::UnsupportedOperation(
            "This server moves messages at once, not at a rate.",
        ));
    }
    let named = |parameter, arn| {
        let name = sqs
            .settings()
            .name_in_arn(arn)
            .ok_or(SqsError::ResourceNotFound(parameter))?;
        sqs.look(|engine, _| {
            engine
                .queue_number(name)
                .map_err(|_| SqsError::ResourceNotFound(parameter))
        })?;
        Ok::<&str, SqsError>(name)
    };
    let source = named("SourceArn", required("SourceArn", request.source_arn.as_deref())?)?;
    let target = request
        .destination_arn
        .as_deref()
        .map(|arn| named("DestinationArn", arn))
        .transpose()?;
    sqs.move_messages(source, target).await?;
    let handle = serde_json::json!({"taskId": sqs.next_request_id(), "sourceArn": sqs.settings().arn(source)});
    Ok(MoveTaskAnswer {
        task_handle: URL_SAFE_NO_PAD.encode(handle.to_string()),
    })
}
