//! What a platform is told of each event that it posted. Knows no store.

use redial_domain::EventId;
use redial_platform::problem::Problem;
use redial_platform::store::events::StoredEvent;
use serde::Serialize;
use utoipa::ToSchema;

use crate::check::Warning;

/// The answer to one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Answer {
    /// It is stored and will be delivered.
    Accepted {
        /// Its id: the platform's own, or one that Redial minted.
        #[schema(example = "evt_01JD3ZK8Q000ABCDEFGHJKMNPQ")]
        id: String,
        /// How many endpoints it matched.
        deliveries: usize,
        /// What the platform should know of it, if anything. Not part of the stored answer: a repeat is checked anew, by the
        /// settings and schemas of then.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schema(required = false)]
        warnings: Vec<Warning>,
    },
    /// It is not stored.
    Refused {
        /// The platform's own id, if it gave a readable one.
        id: Option<String>,
        /// Why.
        error: Problem,
    },
}

impl Answer {
    /// The same, with these warnings if the event was accepted.
    pub(crate) fn warning(self, warnings: Vec<Warning>) -> Self {
        match self {
            Self::Accepted { id, deliveries, .. } => Self::Accepted {
                id,
                deliveries,
                warnings,
            },
            refused @ Self::Refused { .. } => refused,
        }
    }

    /// True if the platform is warned of the event.
    pub(crate) const fn is_warned(&self) -> bool {
        matches!(self, Self::Accepted { warnings, .. } if !warnings.is_empty())
    }

    /// Why the event was refused, if it was.
    pub(crate) const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { error, .. } => Some(error),
            Self::Accepted { .. } => None,
        }
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// To a single event.
    Single(Answer),
    /// To a batch, in order.
    Batch(Vec<Answer>),
}

pub(crate) fn accepted(event: &StoredEvent) -> Answer {
    Answer::Accepted {
        id: event.id.to_string(),
        deliveries: event.matched.len(),
        warnings: Vec::new(),
    }
}

pub(crate) fn refused(id: Option<&EventId>, error: Problem) -> Answer {
    Answer::Refused {
        id: id.map(EventId::to_string),
        error,
    }
}

/// The id of an event that could not be read otherwise, so that the platform can tell which one was refused.
pub(crate) fn id_of(text: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Id {
        id: Option<EventId>,
    }
    serde_json::from_str::<Id>(text).ok()?.id.map(|id| id.to_string())
}
