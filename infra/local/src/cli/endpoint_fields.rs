//! The flags that describe an endpoint, and the JSON that they stand for. The server judges the values.

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::CliError;
use super::secret_text::secret;

/// What takes a setting away.
const NONE: &str = "none";

/// Flags of `endpoints create` and `endpoints update`; one that is absent leaves its field as it is.
#[derive(Default, Args)]
pub(super) struct EndpointFields {
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// A label of your own, as name=value; without a value it is removed; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// Event types to deliver, or prefixes as call.*; an empty text means all
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
    /// How much of an event to send: full, or thin (ids and links only)
    #[arg(long)]
    payload: Option<String>,
    /// How long to wait for an answer, in milliseconds, 1000 to 30000
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u32>,
    /// Most attempts of a delivery, 1 to 20
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// Seconds to wait after each failed attempt; the last is repeated
    #[arg(long, value_name = "SECONDS,..", value_delimiter = ',', group = "waits")]
    delays: Option<Vec<u32>>,
    /// Seconds to wait after the first failed attempt, --delay-factor times as many after each further one
    #[arg(long, value_name = "SECONDS", group = "waits")]
    delay_base: Option<u32>,
    /// With --delay-base: 1 to 10 [default: 2]
    #[arg(long, value_name = "FACTOR", requires = "delay_base")]
    delay_factor: Option<f64>,
    /// Milliseconds to wait after each failed attempt
    #[arg(long, value_name = "MS", group = "waits")]
    delay_ms: Option<u64>,
    /// Most deliveries in a second, 1 to 500, or none
    #[arg(long, value_name = "N")]
    rate_limit: Option<String>,
    /// Whether deliveries that died are listed for a person: true, false
    #[arg(long, value_name = "BOOL")]
    dead_letter_keep: Option<bool>,
    /// Days that they are kept, 3 to 365, or none: as long as their event
    #[arg(long, value_name = "DAYS")]
    dead_letter_days: Option<String>,
    /// A header to send with each request, as 'Name: value'; without a value it is removed; may be given more than once
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// How requests authenticate besides their signature: api-key 'Name: value', basic user:password, or bearer TOKEN
    #[arg(long, value_names = ["KIND", "VALUE"], num_args = 2, group = "authentication")]
    auth: Option<Vec<String>>,
    /// Requests authenticate by their signature alone
    #[arg(long, group = "authentication")]
    no_auth: bool,
    /// The same as --auth api-key
    #[arg(long, value_name = "NAME: VALUE", group = "authentication")]
    auth_api_key: Option<String>,
    /// The same as --auth basic
    #[arg(long, value_name = "USER:PASSWORD", group = "authentication")]
    auth_basic: Option<String>,
    /// The same as --auth bearer
    #[arg(long, value_name = "TOKEN", group = "authentication")]
    auth_bearer: Option<String>,
    /// Any fields as a JSON object, or @FILE with one; null removes one. Comes last, over the flags
    #[arg(long, value_name = "JSON")]
    fields: Option<String>,
}

super::secret_text::shows_nothing!(EndpointFields);

impl EndpointFields {
    /// The fields that the flags name.
    ///
    /// # Errors
    /// [`CliError::Usage`] if a header, credentials or `--fields` are not of their form, or a secret's file cannot be read.
    pub(super) fn to_json(&self) -> Result<Map<String, Value>, CliError> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("description", self.description.as_ref().map(|text| json!(text)));
        set("metadata", members(&self.metadata, label)?);
        set("event_types", self.types.as_deref().map(names));
        set("agents", self.agents.as_deref().map(names));
        set("exclude_agents", self.exclude_agents.as_deref().map(names));
        set("profile", self.profile.as_ref().map(|text| json!(text)));
        set("payload", self.payload.as_ref().map(|text| json!(text)));
        set("timeout_ms", self.timeout_ms.map(|ms| json!(ms)));
        set("retry", self.retry());
        set(
            "rate_limit",
            number_or_none(self.rate_limit.as_deref(), "--rate-limit")?,
        );
        set("dead_letter", self.dead_letter()?);
        set("auth", self.auth()?);
        set("headers", members(&self.headers, header)?);
        if let Some(text) = &self.fields {
            let more: Map<String, Value> = serde_json::from_str(&secret(text)?)
                .map_err(|e| CliError::usage(format!("--fields is no JSON object: {e}")))?;
            fields.extend(more);
        }
        Ok(fields)
    }

    fn retry(&self) -> Option<Value> {
        let mut retry = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            retry.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("attempts", self.attempts.map(|attempts| json!(attempts)));
        set("delays", self.delays.as_ref().map(|delays| json!(delays)));
        set("base_s", self.delay_base.map(|seconds| json!(seconds)));
        set("factor", self.delay_factor.map(|factor| json!(factor)));
        set("delay_ms", self.delay_ms.map(|ms| json!(ms)));
        (!retry.is_empty()).then_some(Value::Object(retry))
    }

    fn dead_letter(&self) -> Result<Option<Value>, CliError> {
        let mut settings = Map::new();
        settings.extend(self.dead_letter_keep.map(|keep| ("keep".to_owned(), json!(keep))));
        let days = number_or_none(self.dead_letter_days.as_deref(), "--dead-letter-days")?;
        settings.extend(days.map(|days| ("days".to_owned(), days)));
        Ok((!settings.is_empty()).then_some(Value::Object(settings)))
    }

    fn auth(&self) -> Result<Option<Value>, CliError> {
        if self.no_auth {
            return Ok(Some(Value::Null));
        }
        let given = match &self.auth {
            Some(words) => (words.first().map(String::as_str), words.get(1)),
            None if self.auth_api_key.is_some() => (Some("api-key"), self.auth_api_key.as_ref()),
            None if self.auth_basic.is_some() => (Some("basic"), self.auth_basic.as_ref()),
            None if self.auth_bearer.is_some() => (Some("bearer"), self.auth_bearer.as_ref()),
            None => return Ok(None),
        };
        let auth = match given {
            (Some("api-key"), Some(text)) => {
                let (header, value) = split(text, ':', "give the API key as 'Name: value'")?;
                json!({ "type": "api_key", "header": header.trim(), "value": secret(value.trim())? })
            }
            (Some("basic"), Some(text)) => {
                let (username, password) = split(text, ':', "give Basic credentials as user:password")?;
                json!({ "type": "basic", "username": username, "password": secret(password)? })
            }
            (Some("bearer"), Some(token)) => json!({ "type": "bearer", "token": secret(token)? }),
            _ => {
                let how = "give --auth as: api-key 'Name: value', basic user:password, or bearer TOKEN; or --no-auth";
                return Err(CliError::usage(how));
            }
        };
        Ok(Some(auth))
    }
}

fn names(list: &str) -> Value {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// A number, or `null` for `none`.
fn number_or_none(text: Option<&str>, flag: &str) -> Result<Option<Value>, CliError> {
    match text {
        None => Ok(None),
        Some(NONE) => Ok(Some(Value::Null)),
        Some(text) => {
            let number: u32 = text
                .parse()
                .map_err(|_| CliError::usage(format!("give {flag} as a number, or none")))?;
            Ok(Some(json!(number)))
        }
    }
}

/// The object that flags given several times stand for; `None` if none was.
fn members(given: &[String], member: fn(&str) -> Result<(String, Value), CliError>) -> Result<Option<Value>, CliError> {
    let members: Result<Map<String, Value>, CliError> = given.iter().map(|text| member(text)).collect();
    Ok(Some(members?).filter(|members| !members.is_empty()).map(Value::Object))
}

fn label(text: &str) -> Result<(String, Value), CliError> {
    let (name, value) = split(text, '=', "give --metadata as name=value")?;
    let value = if value.is_empty() { Value::Null } else { json!(value) };
    Ok((name.to_owned(), value))
}

fn header(text: &str) -> Result<(String, Value), CliError> {
    let (name, value) = split(text, ':', "give --header as 'Name: value'")?;
    let value = match value.trim() {
        "" => Value::Null,
        given => json!(secret(given)?),
    };
    Ok((name.trim().to_owned(), value))
}

/// Two parts of a text. It may be a credential: the error does not repeat it.
fn split<'a>(text: &'a str, at: char, how: &str) -> Result<(&'a str, &'a str), CliError> {
    text.split_once(at).ok_or_else(|| CliError::usage(how))
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
            metadata: vec!["team=voice=eu".into(), "old=".into()],
            types: Some("call.ended, call.failed".into()),
            agents: Some(String::new()),
            attempts: Some(3),
            delays: Some(vec![1, 2]),
            headers: vec!["X-Team: voice: eu".into(), "X-Old:".into()],
            auth_basic: Some("ann:pass:word".into()),
            fields: Some(r#"{"timeout_ms":null}"#.into()),
            timeout_ms: Some(5),
            rate_limit: Some("none".into()),
            dead_letter_keep: Some(false),
            dead_letter_days: Some("7".into()),
            ..EndpointFields::default()
        };
        let expected = json!({
            "metadata": {"team": "voice=eu", "old": null},
            "event_types": ["call.ended", "call.failed"],
            "agents": [],
            "retry": {"attempts": 3, "delays": [1, 2]},
            "headers": {"X-Team": "voice: eu", "X-Old": null},
            "auth": {"type": "basic", "username": "ann", "password": "pass:word"},
            "rate_limit": null,
            "dead_letter": {"keep": false, "days": 7},
            "timeout_ms": null,
        });
        assert_eq!(Value::Object(fields.to_json().unwrap()), expected);
    }

    #[test]
    fn every_kind_of_authentication_and_of_wait_has_its_flags() {
        let auth = |words: &[&str]| {
            let fields = EndpointFields {
                auth: Some(words.iter().map(ToString::to_string).collect()),
                ..EndpointFields::default()
            };
            fields.to_json().map(|fields| fields["auth"].clone())
        };
        let bearer = json!({"type": "bearer", "token": "t"});
        assert_eq!(auth(&["bearer", "t"]).unwrap(), bearer);
        let api_key = json!({"type": "api_key", "header": "X-Key", "value": "v"});
        assert_eq!(auth(&["api-key", "X-Key: v"]).unwrap(), api_key);
        for words in [&["bearer"][..], &["digest", "x"], &["none"], &["api-key", "v"]] {
            assert!(matches!(auth(words), Err(CliError::Usage(_))), "{words:?}");
        }
        let without = EndpointFields {
            no_auth: true,
            ..EndpointFields::default()
        };
        assert_eq!(without.to_json().unwrap()["auth"], Value::Null);
        assert!(!EndpointFields::default().to_json().unwrap().contains_key("auth"));
        let grown = EndpointFields {
            delay_base: Some(5),
            delay_factor: Some(1.5),
            ..EndpointFields::default()
        };
        assert_eq!(grown.to_json().unwrap()["retry"], json!({"base_s": 5, "factor": 1.5}));
        let fixed = EndpointFields {
            delay_ms: Some(1500),
            ..EndpointFields::default()
        };
        assert_eq!(fixed.to_json().unwrap()["retry"], json!({"delay_ms": 1500}));
    }

    #[test]
    fn fields_may_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fields.json");
        std::fs::write(&path, "{\"timeout_ms\": 2000}\n").unwrap();
        let fields = EndpointFields {
            fields: Some(format!("@{}", path.display())),
            ..EndpointFields::default()
        };
        assert_eq!(Value::Object(fields.to_json().unwrap()), json!({"timeout_ms": 2000}));
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
