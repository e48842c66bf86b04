//! The table `config`: tenants' own event types, in a partition of their own that only ingest and the API read. A change
//! raises the tenant's version in the same transaction (`change`). Knows no schema's meaning: `redial-schema` does.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use redial_domain::{EventTypeName, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::config::parse;
use super::walk::readable;
use super::{Store, StoreError};
use crate::keys;

/// Most own event types of a tenant, whatever their state. docs/LIMITS.md.
pub const MAX_OWN_EVENT_TYPES: usize = 100;

/// What is done with an event whose `data` does not fit the schema of its type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// Nobody looks.
    Off,
    /// It is accepted, and the answer says what does not fit.
    #[default]
    Warn,
    /// It is refused.
    Reject,
}

/// Whether events may be of a type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TypeState {
    /// They may.
    #[default]
    Active,
    /// They may, and the answer warns: the type is going to be archived.
    Deprecated,
    /// They may not.
    Archived,
}

impl TypeState {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deprecated => "deprecated",
            Self::Archived => "archived",
        }
    }
}

/// An event type that a tenant added to the catalogue for itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnEventType {
    /// Its name; never one that ships.
    pub name: EventTypeName,
    /// Where lists show it.
    pub group: String,
    /// When it happens.
    #[serde(default)]
    pub description: String,
    /// JSON Schema 2020-12 of `data`: checked when it was stored.
    pub schema: Value,
    /// `data` as it may arrive, if the tenant gave one; fits the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// Whether events may be of it.
    #[serde(default)]
    pub state: TypeState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Store {
    /// All of a tenant's own event types, by name: at most [`MAX_OWN_EVENT_TYPES`].
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or a stored item cannot be read.
    pub async fn event_types(&self, tenant: &TenantId) -> Result<Vec<OwnEventType>, StoreError> {
        self.read_event_types(tenant, "0", "~").await
    }

    /// All of them that can be read, and how many cannot: those are passed by. For whoever only shows them.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn readable_event_types(&self, tenant: &TenantId) -> Result<(Vec<OwnEventType>, usize), StoreError> {
        let rows = self.query_unchecked(self.types_between(tenant, "0", "~"), usize::MAX);
        let (types, unreadable) = readable(rows.await?, |item| parse(item, "j"))?;
        Ok((types, unreadable.len()))
    }

    /// One of a tenant's own event types; `None` if it has none of that name.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the stored item cannot be read.
    pub async fn event_type(
        &self,
        tenant: &TenantId,
        name: &EventTypeName,
    ) -> Result<Option<OwnEventType>, StoreError> {
        let found = self.read_event_types(tenant, name.as_str(), name.as_str()).await?;
        Ok(found.into_iter().next())
    }

    async fn read_event_types(&self, tenant: &TenantId, from: &str, to: &str) -> Result<Vec<OwnEventType>, StoreError> {
        let items = self.query_all(self.types_between(tenant, from, to), usize::MAX).await?;
        items.iter().map(|item| parse(item, "j")).collect()
    }

    // Strongly: a type that was answered is there for the next event.
    fn types_between(&self, tenant: &TenantId, from: &str, to: &str) -> QueryFluentBuilder {
        let partition = keys::event_types_partition(tenant);
        self.partition(&self.tables.config, &partition, from, to)
            .consistent_read(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_as_the_first_release_that_had_any_wrote_it() {
        let written = r#"{"name":"booking.made","group":"bookings","description":"Made.","schema":{"type":"object"},
            "example":{"a":1},"state":"deprecated","created_at":"2026-11-18T13:46:39.000Z","updated_at":"2026-11-18T13:46:40.000Z"}"#;
        let read: OwnEventType = serde_json::from_str(written).unwrap();
        assert_eq!(
            (read.name.as_str(), read.state),
            ("booking.made", TypeState::Deprecated)
        );
        let again: Value = serde_json::to_value(&read).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(written).unwrap());
        let later = written.replacen('{', r#"{"later":[1],"#, 1);
        assert_eq!(serde_json::from_str::<OwnEventType>(&later).unwrap(), read);
    }
}
