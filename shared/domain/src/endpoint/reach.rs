//! What becomes of an event at an endpoint, before anything is sent: delivered, held, or not for it, with the sentence that
//! says why. Pure: looks at settings alone, never at what is stored.

use super::{Endpoint, EndpointState};
use crate::event_type::EventTypeName;
use crate::filter::Miss;
use crate::id::AgentId;

/// What becomes of an event at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is delivered.
    Delivered,
    /// It is held, because somebody asked.
    HeldPaused,
    /// It is held, because the receiver is gone.
    HeldDisabled,
    /// It does not reach it.
    Missed(Miss),
}

impl Reach {
    /// True if the endpoint gets it, now or when its hold ends.
    #[must_use]
    pub const fn reaches(self) -> bool {
        !matches!(self, Self::Missed(_))
    }

    /// The stable code; of a held one it is the reason that its delivery has.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::HeldPaused => "endpoint_paused",
            Self::HeldDisabled => "endpoint_disabled",
            Self::Missed(miss) => miss.as_str(),
        }
    }

    /// The reason as a sentence, with what to change if it does not reach it.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Delivered => "It matches and is delivered.",
            Self::HeldPaused => {
                "It matches and is held, as the endpoint is paused: it is delivered when it is resumed."
            }
            Self::HeldDisabled => {
                "It matches and is held, as the endpoint is disabled: it is delivered when it is activated again."
            }
            Self::Missed(miss) => miss.sentence(),
        }
    }
}

impl Endpoint {
    /// What becomes of an event of this type and agent here.
    #[must_use]
    pub fn reach(&self, event_type: &EventTypeName, agent: Option<&AgentId>) -> Reach {
        match (self.miss(event_type, agent), self.state) {
            (Some(miss), _) => Reach::Missed(miss),
            (None, EndpointState::Paused) => Reach::HeldPaused,
            (None, EndpointState::Disabled) => Reach::HeldDisabled,
            (None, EndpointState::Active | EndpointState::Inactive) => Reach::Delivered,
        }
    }
}
