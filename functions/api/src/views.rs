//! How events, deliveries and attempts are shown. What receivers answered is hostile text: shown as JSON strings, cut,
//! and only where somebody asked for one event or one delivery.

use std::collections::BTreeMap;

use redial_domain::delivery::DeliveryState;
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, EventTypeName, Timestamp};
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::{AttemptRecord, DeliveryRecord};
use redial_platform::store::events::StoredEvent;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Bytes of receivers' answers in one answer of ours: Lambda's limit is 6 MB, and a byte may become six in JSON.
pub(crate) const MAX_RESPONSES_BYTES: usize = 640 * 1024;

/// An event in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventItem {
    #[schema(value_type = String, example = "evt_01JD3ZK8Q000ABCDEFGHJKMNPQ")]
    id: EventId,
    #[schema(value_type = String, example = "call.ended")]
    r#type: EventTypeName,
    #[schema(value_type = Option<String>, required)]
    agent: Option<AgentId>,
    /// When it happened, as the platform wrote it; when it was accepted, if it did not say.
    #[schema(format = DateTime)]
    occurred_at: String,
    #[schema(value_type = String, format = DateTime)]
    accepted_at: Timestamp,
    /// How many endpoints it matched.
    deliveries: usize,
    /// Ids of related things, as `call_id`.
    related: BTreeMap<String, String>,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    #[serde(flatten)]
    item: EventItem,
    /// The payload, byte for byte as it was posted.
    #[schema(value_type = Value)]
    data: Box<RawValue>,
    /// Where to fetch the full records.
    links: BTreeMap<String, String>,
    /// The endpoints it matched.
    #[schema(value_type = Vec<String>)]
    endpoints: Vec<EndpointId>,
}

impl EventView {
    /// An event that was read with its content.
    ///
    /// # Errors
    /// [`StoreError::Blob`] if the content cannot be read.
    pub(crate) fn new(event: StoredEvent) -> Result<Self, StoreError> {
        let content = event.content()?;
        Ok(Self {
            item: EventItem {
                id: event.id,
                r#type: event.event_type,
                agent: event.agent,
                occurred_at: content.occurred_at.unwrap_or_else(|| event.accepted_at.to_string()),
                accepted_at: event.accepted_at,
                deliveries: event.matched.len(),
                related: content.related,
            },
            data: content.data,
            links: content.links,
            endpoints: event.matched,
        })
    }

    /// As lists show it: with `whole`, all of it.
    pub(crate) fn listed(self, whole: bool) -> ListedEvent {
        ListedEvent {
            item: self.item,
            data: whole.then_some(self.data),
            links: whole.then_some(self.links),
            endpoints: whole.then_some(self.endpoints),
        }
    }

    /// The part that lists show.
    pub(crate) fn into_item(self) -> EventItem {
        self.item
    }
}

/// An event in a list, whole if the list was asked for so.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedEvent {
    #[serde(flatten)]
    item: EventItem,
    /// The payload as it was posted; only with `include=data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    data: Option<Box<RawValue>>,
    /// Where to fetch the full records; only with `include=data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    links: Option<BTreeMap<String, String>>,
    /// The endpoints it matched; only with `include=data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false)]
    endpoints: Option<Vec<EndpointId>>,
}

/// One attempt of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// Which one, from 1.
    n: u32,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The status of the answer; `null`: none came.
    #[schema(required)]
    status: Option<u16>,
    /// `ok`, `http_error`, `redirect`, `gone`, or why no answer came: `timeout`, `dns_failed`, ...
    #[schema(example = "http_error")]
    code: String,
    duration_ms: u32,
    /// Whether it will be tried again, why, and when.
    next: String,
    /// What of the answer's body was kept, at most 16 KiB. Hostile: never render it as anything but text.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<String>,
}

impl AttemptView {
    /// An attempt, with what may still be shown of the answer.
    pub(crate) fn new(attempt: &AttemptRecord, responses: &mut Responses) -> Self {
        Self {
            n: attempt.n,
            at: attempt.at,
            status: attempt.status,
            code: attempt.code.clone(),
            duration_ms: attempt.duration_ms,
            next: attempt.next.clone(),
            response: responses.text(&attempt.response),
        }
    }
}

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// `<event>.<endpoint>`, or `<event>.<endpoint>.<replay>`.
    #[schema(value_type = String, example = "evt_01JD3ZK8Q000ABCDEFGHJKMNPQ.ep_0123456789ABCDEF")]
    id: DeliveryId,
    #[schema(value_type = String)]
    event: EventId,
    #[schema(value_type = String)]
    endpoint: EndpointId,
    #[schema(value_type = String, example = "call.ended")]
    event_type: EventTypeName,
    /// `queued`, `retrying`, `held`, `succeeded`, `dead` or `canceled`.
    #[schema(value_type = String, example = "succeeded")]
    state: DeliveryState,
    /// Why it is held, dead or canceled.
    #[schema(required)]
    reason: Option<String>,
    /// When its event was accepted.
    #[schema(value_type = String, format = DateTime)]
    accepted_at: Timestamp,
    /// When the next attempt may be made.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    next_at: Option<Timestamp>,
    /// When a held delivery may go; `null`: when its endpoint is delivered to again.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    due_at: Option<Timestamp>,
    /// The first delivery, of which this is a replay.
    #[schema(value_type = Option<String>, required)]
    replay_of: Option<DeliveryId>,
    attempts: Vec<AttemptView>,
}

/// Whether answers' bodies are shown, and how many bytes of them still may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Responses {
    /// Not at all.
    Hidden,
    /// As long as this many bytes are left.
    Shown(usize),
}

impl Responses {
    /// As many as one answer may have.
    pub(crate) const fn shown() -> Self {
        Self::Shown(MAX_RESPONSES_BYTES)
    }

    fn text(&mut self, response: &[u8]) -> Option<String> {
        let Self::Shown(left) = self else { return None };
        let text = String::from_utf8_lossy(response);
        let end = (0..=text.len().min(*left))
            .rev()
            .find(|at| text.is_char_boundary(*at))?;
        *left -= end;
        (end > 0).then(|| text[..end].to_owned())
    }
}

impl DeliveryView {
    /// A delivery with its attempts.
    pub(crate) fn new(record: &DeliveryRecord, attempts: &[AttemptRecord], responses: &mut Responses) -> Self {
        let attempts = attempts.iter().map(|attempt| AttemptView::new(attempt, responses));
        let first = DeliveryId {
            replay: None,
            ..record.id.clone()
        };
        // A delivery that is on its way keeps a moment to be looked after: nothing that a caller waits for.
        // One that waits for its endpoint's rate limit is looked after before its slot comes, which `next_at` says.
        let waits_until = record.next_at.or(record.due_at);
        let due_at = waits_until.filter(|_| record.state == DeliveryState::Held);
        Self {
            event: record.id.event.clone(),
            endpoint: record.id.endpoint.clone(),
            event_type: record.event_type.clone(),
            state: record.state,
            reason: record.reason.clone(),
            accepted_at: record.accepted_at,
            next_at: record.next_at,
            due_at,
            replay_of: record.id.replay.as_ref().map(|_| first),
            attempts: attempts.collect(),
            id: record.id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_cut_to_what_is_left_at_a_character() {
        let mut left = Responses::Shown(5);
        assert_eq!(left.text("aé".as_bytes()).as_deref(), Some("aé"));
        assert_eq!(
            left.text("né".as_bytes()).as_deref(),
            Some("n"),
            "half a character is none"
        );
        assert_eq!(left.text(b"xyz").as_deref(), Some("x"));
        assert_eq!((left, left.text(b"x")), (Responses::Shown(0), None));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        assert_eq!(Responses::shown().text(b"a\xffb").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(Responses::shown().text(b""), None);
        assert_eq!(Responses::Hidden.text(b"a"), None);
    }
}
