//! How a request looks on the wire. Profile `standard`: the envelope of docs/ARCHITECTURE.md, `data` byte for byte as posted.
//! The others look as the systems do that Redial stands in for; which event types they know, and by what names, is data.

pub mod names;
mod utel;
pub mod voicehub;
pub mod webhook_resource;

use serde::{Deserialize, Serialize};

use crate::event::Content;
use crate::event_type::EventTypeName;
use crate::id::{AgentId, EventId, TenantId};
use crate::invalid::Invalid;
use crate::signature::Secret;
use crate::timestamp::Timestamp;

/// The shape of an endpoint's requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Standard Webhooks with Redial's envelope.
    #[default]
    Standard,
    /// A flat body, the secret in a header: `voicehub`.
    Voicehub,
    /// `{"time","data"}`: `utel`.
    Utel,
}

/// How much of an event a body holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// Everything that was posted.
    #[default]
    Full,
    /// Ids and links only: `data` stays with us, to be fetched by `links.event`.
    Thin,
}

impl Profile {
    /// Reads a secret as the profile takes it: `voicehub` takes any printable text, the others `whsec_` and base64.
    ///
    /// # Errors
    /// [`Invalid`] with code `secret_invalid`.
    pub fn secret(self, text: &str) -> Result<Secret, Invalid> {
        match self {
            Self::Voicehub => Secret::parse_chosen(text),
            Self::Standard | Self::Utel => Secret::parse(text),
        }
    }

    /// True if the profile has a name for events of this type; others never reach its endpoints.
    #[must_use]
    pub fn carries(self, event_type: &EventTypeName) -> bool {
        match self {
            Self::Standard => true,
            Self::Voicehub => names::names().voicehub(event_type).is_some(),
            Self::Utel => names::names().utel(event_type).is_some(),
        }
    }

    /// The `User-Agent` of its requests.
    #[must_use]
    pub const fn user_agent(self) -> &'static str {
        match self {
            Self::Standard | Self::Voicehub => concat!("Redial/", env!("CARGO_PKG_VERSION")),
            Self::Utel => "UtelHttpAgent/1.0",
        }
    }
}

/// Everything a body is made of.
#[derive(Debug, Clone, Copy)]
pub struct BodyParts<'a> {
    /// Whose event it is.
    pub tenant: &'a TenantId,
    /// Its id.
    pub event: &'a EventId,
    /// When it was accepted: its time if the platform gave none.
    pub accepted_at: Timestamp,
    /// What it says.
    pub content: &'a Content,
    /// The origin of our API, without a trailing slash: `links.event` points there.
    pub api_origin: &'a str,
    /// How much of it is sent.
    pub payload: Payload,
    /// The tenant's template of `analysisResultUrl`, for events without `links.analysis`: `{call_id}`, `{analysis_id}` and
    /// `{event_id}` are filled in.
    pub analysis_url: Option<&'a str>,
}

#[derive(Serialize)]
struct StandardBody<'a> {
    r#type: &'a str,
    timestamp: &'a str,
    id: &'a EventId,
    tenant: &'a TenantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a serde_json::value::RawValue>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    related: &'a std::collections::BTreeMap<String, String>,
    links: std::collections::BTreeMap<&'a str, &'a str>,
}

impl Profile {
    /// The body of a delivery: built once for each event and profile, signed as sent.
    ///
    /// # Errors
    /// None in practice: every part is JSON already. Kept so that nothing is sent in a half-made form.
    pub fn body(self, parts: &BodyParts<'_>) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Standard => standard(parts),
            Self::Voicehub => voicehub::body(parts),
            Self::Utel => utel::body(parts),
        }
    }
}

fn standard(parts: &BodyParts<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let accepted_at = parts.accepted_at.to_string();
    let own_link = format!(
        "{}/v1/tenants/{}/events/{}",
        parts.api_origin, parts.tenant, parts.event
    );
    let mut links: std::collections::BTreeMap<&str, &str> = parts
        .content
        .links
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    links.insert("event", &own_link);
    serde_json::to_vec(&StandardBody {
        r#type: parts.content.event_type.as_str(),
        timestamp: parts.content.occurred_at.as_deref().unwrap_or(&accepted_at),
        id: parts.event,
        tenant: parts.tenant,
        agent: parts.content.agent.as_ref(),
        data: (parts.payload == Payload::Full).then_some(&*parts.content.data),
        related: &parts.content.related,
        links,
    })
}

#[cfg(test)]
mod tests;
