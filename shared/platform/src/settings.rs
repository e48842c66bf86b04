//! What a function is told by its environment: read once at its start, here and nowhere else. template.yaml sets these; a
//! missing one is an error, never a default that hides a mistake.

use crate::queue::QueueUrls;
use crate::store::Tables;

/// A required variable is missing or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name} {problem}")]
pub struct SettingsError {
    name: &'static str,
    problem: &'static str,
}

/// What every function knows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The tables.
    pub tables: Tables,
    /// The queues.
    pub queues: QueueUrls,
    /// Origin of the management API, without a trailing slash: `links.event` points there.
    pub api_origin: String,
    /// Absolute URL of `POST /v1/events`.
    pub ingest_url: String,
    /// Id or ARN of the KMS key that wraps the data key.
    pub kms_key: String,
}

#[expect(clippy::disallowed_methods, reason = "the one call: everybody else takes Settings")]
fn variable(name: &'static str) -> Result<String, SettingsError> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        Ok(_) => Err(SettingsError {
            name,
            problem: "is empty",
        }),
        Err(_) => Err(SettingsError {
            name,
            problem: "is missing or not UTF-8",
        }),
    }
}

/// A variable that may be missing.
#[must_use]
pub fn optional(name: &'static str) -> Option<String> {
    variable(name).ok()
}

impl Settings {
    /// Reads the environment that template.yaml gives every function.
    ///
    /// # Errors
    /// [`SettingsError`] names the first variable that is missing.
    pub fn from_environment() -> Result<Self, SettingsError> {
        Ok(Self {
            tables: Tables {
                config: variable("CONFIG_TABLE")?,
                events: variable("EVENTS_TABLE")?,
            },
            queues: QueueUrls {
                delivery: variable("DELIVERY_QUEUE_URL")?,
                retry: variable("RETRY_QUEUE_URL")?,
                replay: variable("REPLAY_QUEUE_URL")?,
            },
            api_origin: optional("API_ORIGIN")
                .unwrap_or_default()
                .trim_end_matches('/')
                .to_owned(),
            ingest_url: optional("INGEST_URL").unwrap_or_default(),
            kms_key: variable("KMS_KEY_ID")?,
        })
    }
}
