//! Reading an endpoint's settings from JSON, whole or as a merge patch (RFC 7396). Every refusal names its field; a
//! field that nobody reads is refused, never ignored.

use std::collections::BTreeMap;

use redial_domain::address::AddressPolicy;
use redial_domain::endpoint::dead_letter::{DeadLetter, DeadLetterSpec};
use redial_domain::endpoint::{DEFAULT_TIMEOUT_MS, EndpointSettings, EndpointState};
use redial_domain::filter::{Filter, TypePattern};
use redial_domain::retry::{RetryPolicy, RetryPolicySpec};
use redial_domain::url::{EndpointUrl, OwnHost};
use redial_domain::{AgentId, Invalid};
use redial_platform::problem::Problem;
use serde_json::{Map, Value};

use crate::body::{Fields, refuse};

/// What an unknown profile is answered with: it is not repeated.
const PROFILE_EXPECTED: &str = "a profile: standard, voicehub or utel";

/// Which targets endpoints may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UrlRules<'a> {
    pub(crate) policy: &'a AddressPolicy,
    pub(crate) own_hosts: &'a [OwnHost],
}

impl UrlRules<'_> {
    pub(crate) fn check(self, text: &str) -> Result<(), Problem> {
        match EndpointUrl::parse(text, self.policy, self.own_hosts) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(refuse(refusal.code(), "url", refusal.to_string())),
        }
    }
}

/// Takes the settings out of `fields` and checks them: the URL by `rules`, unless it is the `known` one, which was
/// checked when it was set and is again at each delivery.
///
/// # Errors
/// 422 names the field.
pub(crate) fn settings(
    fields: &mut Fields,
    rules: UrlRules<'_>,
    known: Option<&str>,
) -> Result<EndpointSettings, Problem> {
    let url = fields.required_text("url")?;
    if known != Some(url.as_str()) {
        rules.check(&url)?;
    }
    let settings = EndpointSettings {
        url,
        description: fields.text("description")?.unwrap_or_default(),
        metadata: metadata(fields)?,
        filter: Filter {
            event_types: names(fields, "event_types", |text| TypePattern::try_from(text.to_owned()))?,
            agents: names(fields, "agents", AgentId::parse)?,
            exclude_agents: names(fields, "exclude_agents", AgentId::parse)?,
        },
        profile: fields.take("profile", PROFILE_EXPECTED)?.unwrap_or_default(),
        payload: fields.take("payload", "full or thin")?.unwrap_or_default(),
        // `Authentication` fills these in.
        auth: None,
        header_names: Vec::new(),
        timeout_ms: fields
            .take("timeout_ms", "a number of milliseconds, 1000 to 30000")?
            .unwrap_or(DEFAULT_TIMEOUT_MS),
        retry: retry(fields)?,
        rate_limit: fields.take("rate_limit", "a number of deliveries a second, 1 to 500")?,
        dead_letter: dead_letter(fields)?,
    };
    settings.check()?;
    Ok(settings)
}

/// A `null` removes a label; of a new endpoint there is none to remove.
fn metadata(fields: &mut Fields) -> Result<BTreeMap<String, String>, Problem> {
    let given: Option<BTreeMap<String, Option<String>>> =
        fields.take("metadata", "an object whose values are strings")?;
    let labels = given.unwrap_or_default().into_iter();
    Ok(labels.filter_map(|(name, value)| Some((name, value?))).collect())
}

fn names<T>(
    fields: &mut Fields,
    field: &'static str,
    parse: fn(&str) -> Result<T, Invalid>,
) -> Result<Vec<T>, Problem> {
    let texts: Vec<String> = fields.take(field, "an array of strings")?.unwrap_or_default();
    let parsed = texts.iter().map(|text| parse(text));
    let parsed: Result<Vec<T>, Invalid> = parsed.collect();
    parsed.map_err(|invalid| {
        Problem::from(Invalid {
            field: field.into(),
            ..invalid
        })
    })
}

fn retry(fields: &mut Fields) -> Result<Option<RetryPolicy>, Problem> {
    let expected = "an object with attempts and delays, base_s and factor, or delay_ms";
    let spec: Option<RetryPolicySpec> = fields.object("retry", expected)?;
    Ok(spec.map(RetryPolicy::try_from).transpose()?)
}

fn dead_letter(fields: &mut Fields) -> Result<DeadLetter, Problem> {
    let spec: Option<DeadLetterSpec> = fields.object("dead_letter", "an object with keep and days")?;
    Ok(DeadLetter::try_from(spec.unwrap_or_default())?)
}

/// Takes `state` and `active`: what the caller wants the endpoint's state to be, if anything.
///
/// # Errors
/// 422 if they contradict each other, or name a state that cannot be asked for.
pub(crate) fn wanted_state(fields: &mut Fields) -> Result<Option<EndpointState>, Problem> {
    let active: Option<bool> = fields.take("active", "true or false")?;
    let by_active = active.map(|active| {
        if active {
            EndpointState::Active
        } else {
            EndpointState::Inactive
        }
    });
    let expected = "active, paused or inactive";
    let state: Option<EndpointState> = fields.take("state", expected)?;
    match (state, by_active) {
        (Some(EndpointState::Disabled), _) => Err(refuse("field_invalid", "state", format!("must be {expected}"))),
        (Some(state), Some(by_active)) if state != by_active => {
            Err(refuse("field_invalid", "state", "contradicts active"))
        }
        (state, by_active) => Ok(state.or(by_active)),
    }
}

/// Applies a merge patch (RFC 7396 section 2) to an object.
pub(crate) fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, change) in patch {
        match change {
            Value::Null => {
                target.remove(&name);
            }
            Value::Object(inner) => {
                let slot = target.entry(name).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(slot) = slot {
                    merge(slot, inner);
                }
            }
            other => {
                target.insert(name, other);
            }
        }
    }
}

/// The forms of `retry`, of which a policy has one.
const RETRY_FORMS: [&[&str]; 3] = [&["delays"], &["base_s", "factor"], &["delay_ms"]];

/// Takes another form of `retry` away where a patch sets one: both together are none.
fn make_way(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    let (Some(Value::Object(before)), Some(Value::Object(patch))) = (target.get_mut("retry"), patch.get("retry"))
    else {
        return;
    };
    let sets = |form: &[&str]| {
        form.iter()
            .any(|name| patch.get(*name).is_some_and(|value| !value.is_null()))
    };
    if RETRY_FORMS.into_iter().any(sets) {
        for name in RETRY_FORMS.into_iter().filter(|form| !sets(form)).flatten() {
            before.remove(*name);
        }
    }
}

/// The settings that a merge patch makes of `before`, whose authentication and headers stay.
///
/// # Errors
/// 422 names the field.
pub(crate) fn patched(
    before: &EndpointSettings,
    patch: &Fields,
    rules: UrlRules<'_>,
) -> Result<EndpointSettings, Problem> {
    let mut fields = Fields(match serde_json::to_value(before) {
        Ok(Value::Object(members)) => members,
        // Settings are a plain structure: writing them gives an object.
        _ => return Err(Problem::internal()),
    });
    for shown in ["auth", "header_names"] {
        fields.0.remove(shown);
    }
    make_way(&mut fields.0, &patch.0);
    merge(&mut fields.0, patch.0.clone());
    let after = settings(&mut fields, rules, Some(&before.url))?;
    fields.finish()?;
    Ok(EndpointSettings {
        auth: before.auth.clone(),
        header_names: before.header_names.clone(),
        ..after
    })
}

#[cfg(test)]
pub(crate) mod tests;
