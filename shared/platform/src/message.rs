//! The message of a delivery: what rides in the queues. Short names, because SQS bills bytes; never a raw payload,
//! because SQS refuses some characters that JSON allows. Fields that it does not know a reader ignores; a message of a
//! newer form (`format`) it leaves alone.

use redial_domain::{DeliveryId, EndpointId, EventId, ReplayId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::format::{self, Newer};

/// A message is not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// A newer Redial sent it: whoever receives it lets it come back, for a newer reader.
    #[error(transparent)]
    Newer(#[from] Newer),
    /// Nobody can read it.
    #[error("not what a queue of Redial carries: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// The name of a message's form, as it stands in the JSON of every version.
const FORM: &str = "\"fv\"";

/// What every message of every version has: a JSON object with the number of its form, if that is not 1.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "fv", default)]
    form: Option<u64>,
}

fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, Unread> {
    // What names no form nowhere is of the first one: nothing to read twice for.
    if body.contains(FORM) {
        format::check(serde_json::from_str::<Envelope>(body)?.form)?;
    }
    Ok(serde_json::from_str(body)?)
}

/// One delivery to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryMessage {
    /// Whose event it is.
    #[serde(rename = "t")]
    pub tenant: TenantId,
    /// The event.
    #[serde(rename = "e")]
    pub event: EventId,
    /// When the event was accepted, in milliseconds: half of the delivery's key.
    #[serde(rename = "a")]
    pub accepted_at_ms: i64,
    /// The shards of its tenant at that time: the other half.
    #[serde(rename = "s")]
    pub shards: u16,
    /// Where it goes.
    #[serde(rename = "p")]
    pub endpoint: EndpointId,
    /// The endpoint's version that the event was matched with: a dispatcher with an older copy reloads.
    #[serde(rename = "v")]
    pub endpoint_version: u64,
    /// The replay that asked for it.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayId>,
    /// True if the record is to be read before the POST: the message may be one of several for the same delivery.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    pub check: bool,
    /// The event's content (`blob::to_riding`), if it is short.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// W3C trace context of the request that brought the event.
    #[serde(rename = "tp", default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The moment that its endpoint's rate limit keeps for it, in milliseconds (`pace`): it is not received before.
    #[serde(rename = "sl", default, skip_serializing_if = "Option::is_none")]
    pub slot_ms: Option<i64>,
    /// True if it is to find out whether an endpoint on hold answers again: it is attempted although others are held. Only
    /// while its record is as it was sent, `queued` with a `due_at`: once attempted it is no probe any more.
    #[serde(rename = "pr", default, skip_serializing_if = "std::ops::Not::not")]
    pub probe: bool,
}

impl DeliveryMessage {
    /// Reads a message's body.
    ///
    /// # Errors
    /// [`Unread`]; only [`Unread::Unreadable`] is a fault.
    pub fn read(body: &str) -> Result<Self, Unread> {
        read(body)
    }

    /// The delivery it is about.
    #[must_use]
    pub fn delivery(&self) -> DeliveryId {
        DeliveryId {
            event: self.event.clone(),
            endpoint: self.endpoint.clone(),
            replay: self.replay.clone(),
        }
    }

    /// When the event was accepted.
    #[must_use]
    pub const fn accepted_at(&self) -> Timestamp {
        Timestamp::from_millis(self.accepted_at_ms)
    }

    /// The moment that its endpoint's rate limit keeps for it.
    #[must_use]
    pub fn slot(&self) -> Option<Timestamp> {
        self.slot_ms.map(Timestamp::from_millis)
    }
}

/// A replay job to be worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayMessage {
    /// Whose job it is.
    pub tenant: TenantId,
    /// The job.
    pub replay: ReplayId,
}

impl ReplayMessage {
    /// Reads a message's body.
    ///
    /// # Errors
    /// [`Unread`]; only [`Unread::Unreadable`] is a fault.
    pub fn read(body: &str) -> Result<Self, Unread> {
        read(body)
    }
}

/// What any queue of Redial carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A delivery to be made.
    Delivery(Box<DeliveryMessage>),
    /// A replay job to be worked on.
    Replay(ReplayMessage),
}

impl Message {
    /// Reads a body of either kind.
    ///
    /// # Errors
    /// [`Unread`]: for a body of neither kind, why it is no delivery.
    pub fn read(body: &str) -> Result<Self, Unread> {
        match DeliveryMessage::read(body) {
            Ok(message) => Ok(Self::Delivery(Box::new(message))),
            Err(Unread::Unreadable(error)) => ReplayMessage::read(body)
                .map(Self::Replay)
                .map_err(|_| Unread::Unreadable(error)),
            Err(newer) => Err(newer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIVERY: &str = r#"{"t":"acme","e":"src_1","a":1795000000000,"s":4,"p":"ep_1","v":7}"#;
    const REPLAY: &str = r#"{"tenant":"acme","replay":"rpl_01JD3ZK8Q000000001"}"#;

    fn with(body: &str, field: &str) -> String {
        body.replacen('{', &format!("{{{field},"), 1)
    }

    #[test]
    fn fields_of_a_later_release_are_ignored() {
        for body in [DELIVERY, REPLAY] {
            let later = with(body, r#""new":{"deep":[1]},"fv":1"#);
            assert_eq!(Message::read(&later).unwrap(), Message::read(body).unwrap());
        }
    }

    #[test]
    fn a_newer_form_is_told_from_what_nobody_can_read() {
        for body in [DELIVERY, REPLAY, r#"{"everything":"is different"}"#] {
            let read = Message::read(&with(body, r#""fv":2"#));
            assert!(matches!(read, Err(Unread::Newer(Newer { found: 2 }))), "{read:?}");
        }
        for body in ["", "x", "null", "[1]", "{}", r#"{"t":"acme"}"#, r#"{"fv":"two"}"#] {
            assert!(matches!(Message::read(body), Err(Unread::Unreadable(_))), "{body}");
        }
    }

    #[test]
    fn each_kind_is_known_by_its_fields() {
        assert!(matches!(Message::read(DELIVERY), Ok(Message::Delivery(_))));
        assert!(matches!(Message::read(REPLAY), Ok(Message::Replay(_))));
    }

    #[test]
    fn the_first_form_is_written_without_its_number() {
        let Message::Delivery(message) = Message::read(DELIVERY).unwrap() else {
            panic!("no delivery");
        };
        assert_eq!(serde_json::to_string(&message).unwrap(), DELIVERY);
    }
}
