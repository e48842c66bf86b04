//! How a request looks on the wire. Profile `standard`: the envelope of docs/ARCHITECTURE.md, `data` byte for byte as posted.

use serde::{Deserialize, Serialize};

use crate::event::Content;
use crate::id::{AgentId, EventId, TenantId};
use crate::timestamp::Timestamp;

/// The shape of an endpoint's requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Standard Webhooks with Redial's envelope.
    #[default]
    Standard,
}

impl Profile {
    /// The `User-Agent` of its requests.
    #[must_use]
    pub const fn user_agent(self) -> &'static str {
        match self {
            Self::Standard => concat!("Redial/", env!("CARGO_PKG_VERSION")),
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
}

#[derive(Serialize)]
struct StandardBody<'a> {
    r#type: &'a str,
    timestamp: &'a str,
    id: &'a EventId,
    tenant: &'a TenantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a AgentId>,
    data: &'a serde_json::value::RawValue,
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
        let Self::Standard = self;
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
            data: &parts.content.data,
            related: &parts.content.related,
            links,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PostedEvent;

    fn body(posted: &str) -> String {
        let event = PostedEvent::parse(posted).unwrap();
        let id = EventId::parse("src_1").unwrap();
        let parts = BodyParts {
            tenant: &event.tenant,
            event: &id,
            accepted_at: Timestamp::from_millis(1_795_000_000_000),
            content: &event.content,
            api_origin: "https://redial.example",
        };
        String::from_utf8(Profile::Standard.body(&parts).unwrap()).unwrap()
    }

    #[test]
    fn the_standard_body_is_the_one_of_the_design() {
        let posted = r#"{"type":"call.ended","tenant":"acme","agent":"agt_7","occurred_at":"2026-11-20T05:03:46Z","data":{"z" :1, "a":9007199254740993},"related":{"call_id":"c1"},"links":{"call":"https://p.example/c1"}}"#;
        assert_eq!(
            body(posted),
            r#"{"type":"call.ended","timestamp":"2026-11-20T05:03:46Z","id":"src_1","tenant":"acme","agent":"agt_7","data":{"z" :1, "a":9007199254740993},"related":{"call_id":"c1"},"links":{"call":"https://p.example/c1","event":"https://redial.example/v1/tenants/acme/events/src_1"}}"#
        );
    }

    #[test]
    fn what_an_event_does_not_say_is_left_out() {
        assert_eq!(
            body(r#"{"type":"a","tenant":"acme","data":7}"#),
            r#"{"type":"a","timestamp":"2026-11-18T11:06:40.000Z","id":"src_1","tenant":"acme","data":7,"links":{"event":"https://redial.example/v1/tenants/acme/events/src_1"}}"#
        );
    }
}
