//! An event type as a tenant has it, whether it ships or is the tenant's own, and where it stands in the list of all. Reads
//! no store.

use redial_domain::Timestamp;
use redial_domain::catalogue::EventType;
use redial_platform::store::event_types::{OwnEventType, TypeState};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What the cursor's key of an own type begins with: no name has a slash.
const OWN: &str = "own/";

/// Who made a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// It ships with Redial.
    Shipped,
    /// The tenant.
    Own,
}

/// An event type as a tenant has it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantEventType {
    #[schema(example = "call.ended")]
    name: String,
    /// `shipped`: the same for every tenant; `own`: the tenant's.
    origin: Origin,
    /// `active`; `deprecated`: accepted with a warning; `archived`: refused.
    state: TypeState,
    /// The heading it is listed under.
    #[schema(example = "calls")]
    group: String,
    /// When it happens.
    description: String,
    /// JSON Schema 2020-12 of `data`.
    #[schema(value_type = Object)]
    schema: Value,
    /// `data` as it may arrive; `null`: the tenant gave none.
    #[schema(required)]
    example: Option<Value>,
    /// When the tenant made it; `null`: it ships.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    created_at: Option<Timestamp>,
    /// When the tenant last changed it; `null`: it ships.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    updated_at: Option<Timestamp>,
}

/// A type of either origin.
#[derive(Debug)]
pub(crate) enum Known {
    /// It ships.
    Shipped(&'static EventType),
    /// The tenant made it.
    Own(OwnEventType),
}

impl Known {
    pub(crate) const fn state(&self) -> TypeState {
        match self {
            Self::Shipped(_) => TypeState::Active,
            Self::Own(own) => own.state,
        }
    }

    pub(crate) const fn origin(&self) -> Origin {
        match self {
            Self::Shipped(_) => Origin::Shipped,
            Self::Own(_) => Origin::Own,
        }
    }

    /// Where it stands in the list, for cursors.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Shipped(shipped) => shipped.name.clone(),
            Self::Own(own) => format!("{OWN}{}", own.name),
        }
    }

    pub(crate) fn view(&self) -> TenantEventType {
        let (origin, state) = (self.origin(), self.state());
        match self {
            Self::Shipped(shipped) => TenantEventType {
                name: shipped.name.clone(),
                origin,
                state,
                group: shipped.group.as_str().to_owned(),
                description: shipped.description.clone(),
                schema: shipped.schema.clone(),
                example: Some(shipped.example.clone()),
                created_at: None,
                updated_at: None,
            },
            Self::Own(own) => TenantEventType {
                name: own.name.to_string(),
                origin,
                state,
                group: own.group.clone(),
                description: own.description.clone(),
                schema: own.schema.clone(),
                example: own.example.clone(),
                created_at: Some(own.created_at),
                updated_at: Some(own.updated_at),
            },
        }
    }
}

/// Where the page after `after` begins. An own type may have left the list meanwhile; where one that shipped is gone, there
/// is another catalogue, and the list begins anew.
pub(crate) fn following(all: &[Known], after: &str) -> usize {
    match all.iter().position(|known| known.key() == after) {
        Some(last) => last + 1,
        None if after.starts_with(OWN) => {
            all.partition_point(|known| known.origin() == Origin::Shipped || known.key().as_str() < after)
        }
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use redial_domain::{EventTypeName, catalogue};

    use super::*;

    fn own(name: &str) -> Known {
        Known::Own(OwnEventType {
            name: EventTypeName::parse(name).unwrap(),
            group: String::new(),
            description: String::new(),
            schema: Value::Null,
            example: None,
            state: TypeState::Active,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        })
    }

    #[test]
    fn a_page_begins_after_the_last_one_even_if_that_has_left_the_list() {
        let shipped = catalogue::all().len();
        let all = catalogue::all().iter().map(Known::Shipped);
        let all: Vec<Known> = all.chain(["booking.made", "call.rated"].map(own)).collect();
        let last = all[shipped - 1].key();
        assert_eq!(following(&all, &last), shipped);
        assert_eq!(following(&all, "own/booking.made"), shipped + 1);
        assert_eq!(following(&all, "own/booking.moved"), shipped + 1);
        assert_eq!(following(&all, "own/zebra.seen"), all.len());
        assert_eq!(following(&all, "call.imagined"), 0);
    }
}
