//! The message of a delivery: what rides in the queues. Short names, because SQS bills bytes; never a raw payload,
//! because SQS refuses some characters that JSON allows.

use redial_domain::{DeliveryId, EndpointId, EventId, ReplayId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

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
}

impl DeliveryMessage {
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
}

/// A replay job to be worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayMessage {
    /// Whose job it is.
    pub tenant: TenantId,
    /// The job.
    pub replay: ReplayId,
}
