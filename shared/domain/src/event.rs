//! An event: one thing that happened. Read strictly from what a platform posts; immutable afterwards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::event_type::EventTypeName;
use crate::id::{AgentId, EventId, TenantId};
use crate::invalid::Invalid;
use crate::json;
use crate::timestamp::Timestamp;

/// Largest event as posted, in bytes. docs/LIMITS.md.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
/// Most events in one request. docs/LIMITS.md.
pub const MAX_BATCH_EVENTS: usize = 500;
/// Largest request body in bytes: Lambda's 6 MB counts the escaped body.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Most entries in `related` and in `links`.
pub const MAX_REFERENCES: usize = 20;
/// Longest value in `related` and in `links`, in bytes.
pub const MAX_REFERENCE_BYTES: usize = 2048;
/// The related id that an event is found by.
pub const CALL_ID: &str = "call_id";
/// Longest call id, in bytes: it is part of a key.
pub const MAX_CALL_ID_BYTES: usize = 512;

/// What the platform says of an event, all but who it belongs to and what it is called. Stored compressed, delivered
/// with `data` byte for byte as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// The event type.
    #[serde(rename = "type")]
    pub event_type: EventTypeName,
    /// When it happened, RFC 3339 as the platform wrote it; `None`: when it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
    /// The agent it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The payload: any JSON value, the original bytes.
    pub data: Box<RawValue>,
    /// Ids of related things, as `call_id`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub related: BTreeMap<String, String>,
    /// Where to fetch the full records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
}

impl Content {
    /// The call that the event belongs to, if it names one.
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        self.related.get(CALL_ID).map(String::as_str)
    }

    /// SHA-256 of everything the platform said: two requests with one digest are the same request.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.event_type.as_str().as_bytes());
        part(self.occurred_at.as_deref().unwrap_or_default().as_bytes());
        part(self.agent.as_ref().map_or("", AgentId::as_str).as_bytes());
        part(self.data.get().as_bytes());
        for references in [&self.related, &self.links] {
            part(&(references.len() as u64).to_le_bytes());
            for (key, value) in references {
                part(key.as_bytes());
                part(value.as_bytes());
            }
        }
        hash.finalize().into()
    }
}

/// An event as a platform posts it, checked; not yet accepted.
#[derive(Debug, Clone)]
pub struct PostedEvent {
    /// Whose event it is.
    pub tenant: TenantId,
    /// The platform's own id; `None`: Redial mints one.
    pub id: Option<EventId>,
    /// What it says.
    pub content: Content,
}

/// The envelope as written: every field optional, so that each refusal can name its field. A `null` is absent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tenant: Option<&'a RawValue>,
    #[serde(borrow, default)]
    agent: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    occurred_at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    related: Option<&'a RawValue>,
    #[serde(borrow, default)]
    links: Option<&'a RawValue>,
}

impl PostedEvent {
    /// Reads one event object. `text` is exactly the bytes between its braces, braces included.
    ///
    /// # Errors
    /// [`Invalid`] with code `event_too_large`, `json_invalid`, `field_missing`, `field_unknown`, `id_invalid`,
    /// `event_type_invalid`, `timestamp_invalid` or `references_invalid`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_EVENT_BYTES {
            return Err(Invalid::new("event_too_large", "", "an event may have at most 256 KiB"));
        }
        if !text.starts_with('{') {
            return Err(Invalid::new("field_invalid", "", "an event must be an object"));
        }
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|e| envelope_error(&e))?;
        let data = required(envelope.data, "data")?;
        json::check(data.get(), json::MAX_DEPTH).map_err(|why| Invalid::new("json_invalid", "data", why))?;
        let occurred_at = optional(envelope.occurred_at, "occurred_at")?;
        if let Some(text) = &occurred_at {
            Timestamp::parse(text).map_err(|e| Invalid::new("timestamp_invalid", "occurred_at", e.to_string()))?;
        }
        let content = Content {
            event_type: EventTypeName::parse(&string(required(envelope.r#type, "type")?, "type")?)?,
            occurred_at,
            agent: optional(envelope.agent, "agent")?
                .as_deref()
                .map(AgentId::parse)
                .transpose()?,
            data: data.to_owned(),
            related: references(envelope.related, "related")?,
            links: references(envelope.links, "links")?,
        };
        Ok(Self {
            tenant: TenantId::parse(&string(required(envelope.tenant, "tenant")?, "tenant")?)?,
            id: optional(envelope.id, "id")?
                .as_deref()
                .map(EventId::parse)
                .transpose()?,
            content,
        })
    }
}

fn envelope_error(error: &serde_json::Error) -> Invalid {
    // serde names the field only in its text; a data error here is an unknown or repeated envelope key.
    let code = if error.is_data() {
        "field_unknown"
    } else {
        "json_invalid"
    };
    Invalid::new(code, "", error.to_string())
}

fn required<'a>(value: Option<&'a RawValue>, field: &'static str) -> Result<&'a RawValue, Invalid> {
    value.ok_or_else(|| Invalid::new("field_missing", field, "is required"))
}

fn string(value: &RawValue, field: &'static str) -> Result<String, Invalid> {
    serde_json::from_str(value.get()).map_err(|_| Invalid::new("field_invalid", field, "must be a string"))
}

fn optional(value: Option<&RawValue>, field: &'static str) -> Result<Option<String>, Invalid> {
    value.map(|v| string(v, field)).transpose()
}

fn references(value: Option<&RawValue>, field: &'static str) -> Result<BTreeMap<String, String>, Invalid> {
    let invalid = |detail: &'static str| Invalid::new("references_invalid", field, detail);
    let Some(value) = value else { return Ok(BTreeMap::new()) };
    json::check(value.get(), 1).map_err(|why| Invalid::new("references_invalid", field, why))?;
    let map: BTreeMap<String, String> =
        serde_json::from_str(value.get()).map_err(|_| invalid("must be an object whose values are strings"))?;
    if map
        .get(CALL_ID)
        .is_some_and(|id| id.is_empty() || id.len() > MAX_CALL_ID_BYTES)
    {
        return Err(invalid("call_id may have 1 to 512 bytes"));
    }
    if map.len() > MAX_REFERENCES {
        return Err(invalid("may have at most 20 entries"));
    }
    if map
        .iter()
        .any(|(key, value)| key.is_empty() || key.len() > 128 || value.len() > MAX_REFERENCE_BYTES)
    {
        return Err(invalid("names may have 1 to 128 bytes, values at most 2048"));
    }
    Ok(map)
}

/// Splits a request body into its events' texts: one object, an array, or `{"events": [..]}`.
#[derive(Debug)]
pub enum Posted<'a> {
    /// One event object.
    Single(&'a str),
    /// A batch, in order.
    Batch(Vec<&'a str>),
}

impl<'a> Posted<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`Invalid`] with code `json_invalid` if it is not UTF-8 JSON without a byte order mark, `body_too_large`,
    /// `batch_too_long` or `batch_empty`.
    pub fn parse(body: &'a [u8]) -> Result<Self, Invalid> {
        if body.len() > MAX_BODY_BYTES {
            return Err(Invalid::new("body_too_large", "", "a request may have at most 4 MiB"));
        }
        let text = std::str::from_utf8(body).map_err(|_| Invalid::new("json_invalid", "", "the body is not UTF-8"))?;
        let invalid = |e: serde_json::Error| Invalid::new("json_invalid", "", e.to_string());
        let events: Vec<&'a RawValue> = match text.trim_start_matches([' ', '\t', '\r', '\n']).as_bytes().first() {
            Some(b'[') => serde_json::from_str(text).map_err(invalid)?,
            Some(b'{') => match batch_of(text)? {
                Some(events) => events,
                None => return Ok(Self::Single(text.trim_matches([' ', '\t', '\r', '\n']))),
            },
            _ => {
                return Err(Invalid::new(
                    "json_invalid",
                    "",
                    "must be an event object or an array of them",
                ));
            }
        };
        if events.is_empty() {
            return Err(Invalid::new("batch_empty", "events", "has no event"));
        }
        if events.len() > MAX_BATCH_EVENTS {
            return Err(Invalid::new(
                "batch_too_long",
                "events",
                "a request may have at most 500 events",
            ));
        }
        Ok(Self::Batch(events.into_iter().map(RawValue::get).collect()))
    }
}

/// The events of `{"events": [..]}`; `None` if the object is a single event.
fn batch_of(text: &str) -> Result<Option<Vec<&RawValue>>, Invalid> {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(borrow, default)]
        events: Option<&'a RawValue>,
        #[serde(borrow, default)]
        r#type: Option<&'a RawValue>,
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
    }
    /// Nothing may stand beside the events.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch<'a> {
        #[serde(borrow, rename = "events")]
        _events: &'a RawValue,
    }
    let probe: Probe<'_> = serde_json::from_str(text).map_err(|e| Invalid::new("json_invalid", "", e.to_string()))?;
    let Some(events) = probe.events.filter(|_| probe.r#type.is_none() && probe.data.is_none()) else {
        return Ok(None);
    };
    serde_json::from_str::<Batch<'_>>(text).map_err(|e| envelope_error(&e))?;
    let not_events = |_| Invalid::new("field_invalid", "events", "must be an array of event objects");
    serde_json::from_str(events.get()).map(Some).map_err(not_events)
}

#[cfg(test)]
mod tests;
