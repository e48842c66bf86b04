//! What a function is told by its environment: read once at its start, here and nowhere else. template.yaml sets these; a
//! missing one is an error, never a default that hides a mistake.

use std::net::IpAddr;

use redial_domain::url::{InvalidOwnHost, OwnHost};

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
    /// Name of the stack that this function belongs to: the dimension of its metrics.
    pub stack: String,
    /// The tables.
    pub tables: Tables,
    /// The queues.
    pub queues: QueueUrls,
    /// Origin of the management API, without a trailing slash: `links.event` points there.
    pub api_origin: String,
    /// Absolute URL of `POST /v1/events`.
    pub ingest_url: String,
    /// URL of ingest for callers that sign with AWS credentials: no target of deliveries either.
    pub ingest_iam_url: String,
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

/// What is logged: `error`, `warn`, `info`, `debug` or `trace`. Read before all other settings, so that what is wrong with
/// them is logged.
#[must_use]
pub fn log_level() -> String {
    optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned())
}

/// Id or ARN of the KMS key that wraps the data key. template.yaml tells it to the functions that may use it.
///
/// # Errors
/// [`SettingsError`] if this function is none of them.
pub fn kms_key() -> Result<String, SettingsError> {
    variable("KMS_KEY_ID")
}

/// Name of the dispatcher, for the function that may invoke it.
///
/// # Errors
/// [`SettingsError`] if this function is another one.
pub fn dispatcher_function() -> Result<String, SettingsError> {
    variable("DISPATCHER_FUNCTION")
}

/// Certificate authorities that deliveries trust besides the public ones, for `redial_egress::authorities`; empty unless
/// the operator names some.
#[must_use]
pub fn extra_authorities() -> String {
    optional("EXTRA_AUTHORITIES").unwrap_or_default()
}

/// Who may show the console in a frame, for `redial_domain::frame`; empty: nobody.
#[must_use]
pub fn console_ancestors() -> String {
    optional("CONSOLE_ANCESTORS").unwrap_or_default()
}

/// The addresses that deliveries come from, as the operator says for customers who let in no others; empty: they are not fixed.
///
/// # Errors
/// [`SettingsError`] if one is no address: a customer would let in nothing.
pub fn egress_addresses() -> Result<Vec<IpAddr>, SettingsError> {
    addresses(&optional("EGRESS_ADDRESSES").unwrap_or_default())
}

fn addresses(text: &str) -> Result<Vec<IpAddr>, SettingsError> {
    let given = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    let read: Result<Vec<IpAddr>, _> = given.map(str::parse).collect();
    read.map_err(|_| SettingsError {
        name: "EGRESS_ADDRESSES",
        problem: "is no list of addresses",
    })
}

impl Settings {
    /// Reads the environment that template.yaml gives every function.
    ///
    /// # Errors
    /// [`SettingsError`] names the first variable that is missing.
    pub fn from_environment() -> Result<Self, SettingsError> {
        Ok(Self {
            stack: variable("STACK_NAME")?,
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
            ingest_iam_url: optional("INGEST_IAM_URL").unwrap_or_default(),
        })
    }

    /// The names under which this service is reached itself, as far as this function is told: no targets of deliveries.
    ///
    /// # Errors
    /// [`InvalidOwnHost`] if a URL is none.
    pub fn own_hosts(&self) -> Result<Vec<OwnHost>, InvalidOwnHost> {
        let urls = [&self.api_origin, &self.ingest_url, &self.ingest_iam_url].into_iter();
        urls.filter(|url| !url.is_empty())
            .map(|url| OwnHost::parse(url))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn egress_addresses_are_addresses_or_an_error_at_the_start() {
        assert_eq!(addresses(""), Ok(Vec::new()));
        let two = ["203.0.113.7", "2001:db8::7"].map(|text| text.parse().unwrap());
        assert_eq!(addresses("203.0.113.7, 2001:db8::7"), Ok(two.to_vec()));
        for wrong in ["203.0.113", "203.0.113.0/24", "gateway.example.com"] {
            assert!(addresses(wrong).is_err(), "{wrong}");
        }
    }
}
