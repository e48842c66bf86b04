//! The rules of webhook delivery.
//!
//! Pure: no clock, no random, no socket, no AWS. Time and randomness are arguments; the answers are values.
//! Everything that decides what happens to an event or a delivery lives here, and nothing else does.

pub mod address;
pub mod auth;
pub mod catalogue;
pub mod count;
pub mod delivery;
pub mod diagnosis;
pub mod endpoint;
pub mod event;
pub mod event_type;
pub mod filter;
pub mod frame;
pub mod header;
pub mod hold;
pub mod id;
pub mod invalid;
pub mod json;
pub mod latency;
pub mod misfit;
pub mod outcome;
pub mod profile;
pub mod retry;
pub mod signature;
pub mod slow;
pub mod source;
pub mod timestamp;
pub mod traceparent;
pub mod url;

pub use event_type::EventTypeName;
pub use id::{AgentId, DeliveryId, EndpointId, ErasureId, EventId, ReplayId, TenantId};
pub use invalid::Invalid;
pub use timestamp::Timestamp;
pub use traceparent::Traceparent;
