//! The attributes of a queue: read from the strings of a request, checked, printed back.
//! An attribute that would have no effect here is refused, not swallowed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::SqsError;
use crate::limits;
use crate::settings::Settings;

/// The attributes that decide how a queue behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueAttributes {
    pub(crate) visibility_s: u32,
    pub(crate) delay_s: u32,
    pub(crate) retention_s: u32,
    pub(crate) wait_s: u32,
    pub(crate) message_bytes: u32,
    pub(crate) redrive: Option<Redrive>,
    pub(crate) redrive_allow: RedriveAllow,
    /// Kept and printed only: what is on this machine's disk is this machine's to encrypt.
    pub(crate) managed_sse: bool,
}

/// A `RedrivePolicy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Redrive {
    /// The name of the dead-letter queue.
    pub(crate) target: Arc<str>,
    pub(crate) max_receives: u32,
}

/// A `RedriveAllowPolicy`: which queues may name this one as their dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RedriveAllow {
    All,
    None,
    /// The names of the source queues.
    Queues(Vec<String>),
}

impl Default for QueueAttributes {
    fn default() -> Self {
        Self {
            visibility_s: limits::VISIBILITY_DEFAULT_S,
            delay_s: 0,
            retention_s: limits::RETENTION_DEFAULT_S,
            wait_s: 0,
            message_bytes: 1_048_576,
            redrive: None,
            redrive_allow: RedriveAllow::All,
            managed_sse: true,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedriveJson {
    dead_letter_target_arn: String,
    max_receive_count: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedriveAllowJson {
    redrive_permission: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    source_queue_arns: Vec<String>,
}

impl QueueAttributes {
    /// Sets the given attributes over those that are there. Whether a dead-letter queue exists is for the engine.
    pub(crate) fn set(mut self, given: &BTreeMap<String, String>, settings: &Settings) -> Result<Self, SqsError> {
        for (name, value) in given {
            match name.as_str() {
                "VisibilityTimeout" => self.visibility_s = number(name, value, 0, limits::VISIBILITY_S)?,
                "DelaySeconds" => self.delay_s = number(name, value, 0, limits::DELAY_S)?,
                "ReceiveMessageWaitTimeSeconds" => self.wait_s = number(name, value, 0, limits::WAIT_S)?,
                "MessageRetentionPeriod" => {
                    self.retention_s = number(name, value, limits::RETENTION_FLOOR_S, limits::RETENTION_S)?;
                }
                "MaximumMessageSize" => {
                    self.message_bytes = number(name, value, limits::MESSAGE_BYTES_FLOOR, 1_048_576)?;
                }
                "RedrivePolicy" => self.redrive = redrive(name, value, settings)?,
                "RedriveAllowPolicy" => self.redrive_allow = redrive_allow(name, value, settings)?,
                "SqsManagedSseEnabled" => {
                    self.managed_sse = value.parse().map_err(|_| invalid(name, "Must be true or false."))?;
                }
                "FifoQueue" if value == "false" => {}
                "FifoQueue" => return Err(SqsError::UnsupportedOperation("This server has standard queues only.")),
                "Policy" | "KmsMasterKeyId" | "KmsDataKeyReusePeriodSeconds" => {
                    return Err(SqsError::UnsupportedOperation(
                        "This server has no access policies and no customer-managed keys.",
                    ));
                }
                _ => return Err(SqsError::InvalidAttributeName(name.clone())),
            }
        }
        Ok(self)
    }

    /// The attributes as `GetQueueAttributes` prints them.
    pub(crate) fn print(&self, settings: &Settings) -> BTreeMap<&'static str, String> {
        let mut printed = BTreeMap::from([
            ("VisibilityTimeout", self.visibility_s.to_string()),
            ("DelaySeconds", self.delay_s.to_string()),
            ("MessageRetentionPeriod", self.retention_s.to_string()),
            ("ReceiveMessageWaitTimeSeconds", self.wait_s.to_string()),
            ("MaximumMessageSize", self.message_bytes.to_string()),
            ("SqsManagedSseEnabled", self.managed_sse.to_string()),
        ]);
        if let Some(redrive) = &self.redrive {
            let arn = settings.arn(&redrive.target);
            let policy = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": redrive.max_receives});
            printed.insert("RedrivePolicy", policy.to_string());
        }
        let allow = match &self.redrive_allow {
            RedriveAllow::All => None,
            RedriveAllow::None => Some(serde_json::json!({"redrivePermission": "denyAll"})),
            RedriveAllow::Queues(names) => {
                let arns: Vec<String> = names.iter().map(|name| settings.arn(name)).collect();
                Some(serde_json::json!({"redrivePermission": "byQueue", "sourceQueueArns": arns}))
            }
        };
        printed.extend(allow.map(|allow| ("RedriveAllowPolicy", allow.to_string())));
        printed
    }
}

pub(crate) fn invalid(name: &str, reason: &str) -> SqsError {
    SqsError::InvalidAttributeValue {
        name: name.to_owned(),
        reason: reason.to_owned(),
    }
}

fn number(name: &str, value: &str, low: u32, high: u32) -> Result<u32, SqsError> {
    let bounds = || invalid(name, &format!("Must be an integer from {low} to {high}."));
    value
        .parse()
        .ok()
        .filter(|v| (low..=high).contains(v))
        .ok_or_else(bounds)
}

fn redrive(name: &str, value: &str, settings: &Settings) -> Result<Option<Redrive>, SqsError> {
    if value.is_empty() {
        return Ok(None);
    }
    let policy: RedriveJson = serde_json::from_str(value).map_err(|_| invalid(name, "Must be a redrive policy."))?;
    let target = settings
        .name_in_arn(&policy.dead_letter_target_arn)
        .ok_or_else(|| invalid(name, "The dead-letter queue must be of this account and region."))?;
    // Templates and consoles write the count as a string as often as a number; AWS takes both.
    let count = match &policy.max_receive_count {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|n| u32::try_from(n).ok()),
    };
    let max_receives = count
        .filter(|n| (1..=limits::MAX_RECEIVES).contains(n))
        .ok_or_else(|| invalid(name, "maxReceiveCount must be an integer from 1 to 1000."))?;
    Ok(Some(Redrive {
        target: Arc::from(target),
        max_receives,
    }))
}

fn redrive_allow(name: &str, value: &str, settings: &Settings) -> Result<RedriveAllow, SqsError> {
    if value.is_empty() {
        return Ok(RedriveAllow::All);
    }
    let policy: RedriveAllowJson =
        serde_json::from_str(value).map_err(|_| invalid(name, "Must be a redrive allow policy."))?;
    let arns = &policy.source_queue_arns;
    match policy.redrive_permission.as_str() {
        "allowAll" if arns.is_empty() => Ok(RedriveAllow::All),
        "denyAll" if arns.is_empty() => Ok(RedriveAllow::None),
        "byQueue" if (1..=limits::REDRIVE_SOURCES).contains(&arns.len()) => {
            let names = arns.iter().map(|arn| settings.name_in_arn(arn).map(str::to_owned));
            let names: Option<Vec<String>> = names.collect();
            Ok(RedriveAllow::Queues(names.ok_or_else(|| {
                invalid(name, "A source queue's ARN is not of this account.")
            })?))
        }
        _ => Err(invalid(
            name,
            "redrivePermission is allowAll, denyAll, or byQueue with 1 to 10 sourceQueueArns.",
        )),
    }
}
