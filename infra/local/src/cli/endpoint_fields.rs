//! The flags that describe an endpoint, and the JSON that they stand for. The server judges the values.

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::CliError;

/// Flags of `endpoints create` and `endpoints update`; one that is absent leaves its field as it is.
#[derive(Debug, Default, Args)]
pub(super) struct EndpointFields {
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Event types to deliver; an empty text means all
    #[arg(long, value_name = "TYPE,..")]
    types: Option<String>,
    /// Agents whose events to deliver; an empty text means all
    #[arg(long, value_name = "AGENT,..")]
    agents: Option<String>,
    /// Agents whose events not to deliver
    #[arg(long, value_name = "AGENT,..")]
    exclude_agents: Option<String>,
    /// How requests look on the wire: standard, voicehub, utel
    #[arg(long)]
    profile: Option<String>,
    /// How much of an event to send: full, thin
    #[arg(long)]
    payload: Option<String>,
    /// How long to wait for an answer, in milliseconds, 1000 to 30000
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u32>,
    /// Most attempts of a delivery, 1 to 20
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// Seconds to wait after each failed attempt
    #[arg(long, value_name = "SECONDS,..", value_delimiter = ',')]
    delays: Option<Vec<u32>>,
    /// Most requests in a second
    #[arg(long, value_name = "N")]
    rate_limit: Option<u32>,
    /// A header to send with each request, as 'Name: value'; may be given more than once
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Send an API key in a header, as 'Name: value'
    #[arg(long, value_name = "NAME: VALUE", group = "auth")]
    auth_api_key: Option<String>,
    /// Send Basic credentials, as user:password
    #[arg(long, value_name = "USER:PASSWORD", group = "auth")]
    auth_basic: Option<String>,
    /// Send a Bearer token
    #[arg(long, value_name = "TOKEN", group = "auth")]
    auth_bearer: Option<String>,
    /// Any fields as a JSON object; null removes one. Comes last, over the flags
    #[arg(long, value_name = "JSON")]
    fields: Option<String>,
}

impl EndpointFields {
    /// The fields that the flags name.
    ///
    /// # Errors
    /// [`CliError::Usage`] if a header, credentials or `--fields` are not of their form.
    pub(super) fn to_json(&self) -> Result<Map<String, Value>, CliError> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("description", self.description.as_ref().map(|text| json!(text)));
        set("event_types", self.types.as_deref().map(names));
        set("agents", self.agents.as_deref().map(names));
        set("exclude_agents", self.exclude_agents.as_deref().map(names));
        set("profile", self.profile.as_ref().map(|text| json!(text)));
        set("payload", self.payload.as_ref().map(|text| json!(text)));
        set("timeout_ms", self.timeout_ms.map(|ms| json!(ms)));
        set("rate_limit", self.rate_limit.map(|limit| json!(limit)));
        set("retry", self.retry());
        set("auth", self.auth()?);
        if !self.headers.is_empty() {
            let pairs = self.headers.iter().map(|text| pair(text, "--header"));
            let headers: Result<Map<String, Value>, CliError> = pairs
                .map(|pair| pair.map(|(name, value)| (name.to_owned(), json!(value))))
                .collect();
            set("headers", Some(Value::Object(headers?)));
        }
        if let Some(text) = &self.fields {
            let more: Map<String, Value> =
                serde_json::from_str(text).map_err(|e| CliError::usage(format!("--fields is no JSON object: {e}")))?;
            fields.extend(more);
        }
        Ok(fields)
    }

    fn retry(&self) -> Option<Value> {
        let mut retry = Map::new();
        retry.extend(self.attempts.map(|attempts| ("attempts".to_owned(), json!(attempts))));
        retry.extend(self.delays.as_ref().map(|delays| ("delays".to_owned(), json!(delays))));
        (!retry.is_empty()).then_some(Value::Object(retry))
    }

    fn auth(&self) -> Result<Option<Value>, CliError> {
        if let Some(text) = &self.auth_api_key {
            let (header, value) = pair(text, "--auth-api-key")?;
            return Ok(Some(json!({ "type": "api_key", "header": header, "value": value })));
        }
        if let Some(text) = &self.auth_basic {
            let (username, password) = text
                .split_once(':')
                .ok_or_else(|| CliError::usage("give --auth-basic as user:password"))?;
            return Ok(Some(
                json!({ "type": "basic", "username": username, "password": password }),
            ));
        }
        Ok(self
            .auth_bearer
            .as_ref()
            .map(|token| json!({ "type": "bearer", "token": token })))
    }
}

fn names(list: &str) -> Value {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// `Name: value`. The text may be a credential: the error does not repeat it.
fn pair<'a>(text: &'a str, flag: &str) -> Result<(&'a str, &'a str), CliError> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| CliError::usage(format!("give {flag} as 'Name: value'")))?;
    Ok((name.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_flags_leave_fields_as_they_are() {
        assert_eq!(EndpointFields::default().to_json().unwrap(), Map::new());
    }

    #[test]
    fn flags_become_the_fields_that_the_api_takes() {
        let fields = EndpointFields {
            types: Some("call.ended, call.failed".into()),
            agents: Some(String::new()),
            attempts: Some(3),
            delays: Some(vec![1, 2]),
            headers: vec!["X-Team: voice: eu".into()],
            auth_basic: Some("ann:pass:word".into()),
            fields: Some(r#"{"rate_limit":null}"#.into()),
            rate_limit: Some(5),
            ..EndpointFields::default()
        };
        let expected = json!({
            "event_types": ["call.ended", "call.failed"],
            "agents": [],
            "retry": {"attempts": 3, "delays": [1, 2]},
            "headers": {"X-Team": "voice: eu"},
            "auth": {"type": "basic", "username": "ann", "password": "pass:word"},
            "rate_limit": null,
        });
        assert_eq!(Value::Object(fields.to_json().unwrap()), expected);
    }

    #[test]
    fn malformed_credentials_are_refused_without_repeating_them() {
        let auth = EndpointFields {
            auth_api_key: Some("s3cret".into()),
            ..EndpointFields::default()
        };
        let error = auth.to_json().unwrap_err();
        assert!(
            matches!(&error, CliError::Usage(text) if !text.contains("s3cret")),
            "{error}"
        );
    }
}
