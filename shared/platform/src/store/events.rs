//! Events in the table `events`: stored once, never changed.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use futures_util::FutureExt as _;
use redial_domain::event::Content;
use redial_domain::{AgentId, EndpointId, ErasureId, EventId, EventTypeName, TenantId, Timestamp};
use serde_json::value::RawValue;

use super::lists::After;
use super::{Store, StoreError, dynamo, n};
use crate::blob;
use crate::item::Item;
use crate::keys::{self, Key};

/// Bytes of a request's digest that are kept: 128 bits tell requests apart.
const DIGEST_BYTES: usize = 16;

/// An accepted event, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: EventId,
    /// True if the platform gave the id.
    pub own_id: bool,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Shards of its tenant then.
    pub shards: u16,
    /// What tells the request from another with the same id.
    pub digest: Vec<u8>,
    /// The endpoints it matched, in the order of their ids.
    pub matched: Vec<EndpointId>,
    /// Its type.
    pub event_type: EventTypeName,
    /// Its agent.
    pub agent: Option<AgentId>,
    /// Its call.
    pub call_id: Option<String>,
    /// Its content, packed (`blob`).
    pub packed: Vec<u8>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
    /// Set once it is erased: then nothing is left of what it said.
    pub erased: Option<Erased>,
}

/// That an event was erased: what a tombstone keeps besides the event's id, its type and the endpoints that it matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// When.
    pub at: Timestamp,
    /// Which erasure did it.
    pub by: ErasureId,
    /// The shard that the event's time row lies in: it cannot be told without the call.
    pub shard: u16,
}

/// What became of a put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutEvent {
    /// It is stored.
    Stored,
    /// An event of that id was there first.
    Exists(Box<StoredEvent>),
}

impl StoredEvent {
    /// The kept part of a content's digest.
    #[must_use]
    pub fn digest_of(content: &Content) -> Vec<u8> {
        content.digest()[..DIGEST_BYTES].to_vec()
    }

    /// The content.
    ///
    /// # Errors
    /// [`StoreError::Blob`] if it cannot be read.
    pub fn content(&self) -> Result<Content, StoreError> {
        Ok(blob::to_content(&self.packed)?)
    }

    /// Where it stands in the lists of its tenant's events.
    #[must_use]
    pub fn place(&self) -> After {
        let key = if self.own_id {
            keys::time_row(&self.tenant, self.shard(), self.accepted_at, &self.id)
        } else {
            keys::event(&self.tenant, &self.id)
        };
        After::event(key.sk)
    }

    /// The shard that its time row lies in.
    #[must_use]
    pub fn shard(&self) -> u16 {
        let told = || keys::event_shard(self.call_id.as_deref(), self.id.as_str(), self.shards);
        self.erased.as_ref().map_or_else(told, |erased| erased.shard)
    }

    /// What is left of it once it is erased: no content, agent, call or digest (a fingerprint of what it said).
    ///
    /// # Errors
    /// None in practice: it writes to memory.
    pub fn tombstone(&self, at: Timestamp, by: &ErasureId) -> Result<Self, StoreError> {
        // A release that knows no tombstones reads an event without data.
        let empty = Content {
            event_type: self.event_type.clone(),
            occurred_at: None,
            agent: None,
            data: RawValue::NULL.to_owned(),
            related: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        Ok(Self {
            digest: Vec::new(),
            agent: None,
            call_id: None,
            packed: blob::from_content(&empty)?,
            erased: Some(Erased {
                at,
                by: by.clone(),
                shard: self.shard(),
            }),
            ..self.clone()
        })
    }

    fn described(&self, item: Item) -> Item {
        let erased = self.erased.as_ref();
        item.moment("at", self.accepted_at)
            .maybe_number("er", erased.map(|erased| erased.at.as_millis()))
            .maybe_text("ei", erased.map(|erased| erased.by.as_str()))
            .maybe_number("es", erased.map(|erased| erased.shard.into()))
            .number("sh", self.shards.into())
            .texts("m", self.matched.iter().map(EndpointId::as_str))
            .text("ty", self.event_type.as_str())
            .maybe_text("ag", self.agent.as_ref().map(AgentId::as_str))
            .maybe_text("c", self.call_id.as_deref())
            .number("ttl", self.expires_at.as_secs())
    }

    pub(super) fn to_item(&self) -> Item {
        self.described(Item::from(&keys::event(&self.tenant, &self.id)))
            .flag("own", self.own_id)
            .bytes("d", self.digest.clone())
            .bytes("b", self.packed.clone())
    }

    pub(super) fn to_time_row(&self) -> Item {
        self.described(Item::from(&keys::time_row(
            &self.tenant,
            self.shard(),
            self.accepted_at,
            &self.id,
        )))
    }
}

/// Reads an event's item or its time row (which has neither digest nor content).
pub(super) fn read_event(tenant: &TenantId, id: EventId, item: &Item) -> Result<StoredEvent, StoreError> {
    let matched = item
        .get_texts("m")
        .into_iter()
        .map(EndpointId::parse)
        .collect::<Result<_, _>>()
        .ok();
    let agent = item.get_text("ag").map(AgentId::parse).transpose().ok();
    let event_type = item.get_text("ty").and_then(|text| EventTypeName::parse(text).ok());
    let shards = item.get_number("sh").and_then(|n| u16::try_from(n).ok());
    let ttl_ms = item.get_number("ttl").map(|seconds| seconds.saturating_mul(1000));
    Ok(StoredEvent {
        tenant: tenant.clone(),
        own_id: item.has_flag("own") || id.minted_parts().is_none(),
        id,
        accepted_at: item.need("at", item.get_moment("at"))?,
        shards: item.need("sh", shards)?,
        digest: item.get_bytes("d").unwrap_or_default().to_vec(),
        matched: item.need("m", matched)?,
        event_type: item.need("ty", event_type)?,
        agent: item.need("ag", agent)?,
        call_id: item.get_text("c").map(str::to_owned),
        packed: item.get_bytes("b").unwrap_or_default().to_vec(),
        expires_at: Timestamp::from_millis(item.need("ttl", ttl_ms)?),
        erased: read_erased(item)?,
    })
}

fn read_erased(item: &Item) -> Result<Option<Erased>, StoreError> {
    let Some(at) = item.get_moment("er") else {
        return Ok(None);
    };
    let by = item.get_text("ei").and_then(|text| ErasureId::parse(text).ok());
    let shard = item.get_number("es").and_then(|n| u16::try_from(n).ok());
    let (by, shard) = (item.need("ei", by)?, item.need("es", shard)?);
    Ok(Some(Erased { at, by, shard }))
}

/// Reads an item of an events partition: an event, or the time row of one.
pub(super) fn read_listed(tenant: &TenantId, item: &Item) -> Result<StoredEvent, StoreError> {
    let (id, is_time_row) = item.need("sk", keys::event_of(&item.key().sk))?;
    let mut event = read_event(tenant, id, item)?;
    // An own id may have the minted form: only its row tells.
    event.own_id |= is_time_row;
    Ok(event)
}

impl Store {
    /// Stores an event, unless one of its id is there.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the event that is there cannot be read.
    pub async fn put_event(&self, event: &StoredEvent) -> Result<PutEvent, StoreError> {
        if !event.own_id {
            // Nobody has an id that was minted a moment ago: 70 random bits beside the time.
            self.put_together(event.to_item()).await?;
            return Ok(PutEvent::Stored);
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.events)
            .set_item(Some(event.to_item().0))
            // DynamoDB deletes what is past its ttl days late; it counts as gone.
            .condition_expression("attribute_not_exists(pk) OR #ttl < :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", n(event.accepted_at.as_secs()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().boxed().await {
            Ok(_) => Ok(PutEvent::Stored),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let old = Item::stored(failed.item().cloned().unwrap_or_default())?;
                    Ok(PutEvent::Exists(Box::new(read_event(
                        &event.tenant,
                        event.id.clone(),
                        &old,
                    )?)))
                }
                _ => Err(dynamo("PutItem")(error)),
            },
        }
    }

    /// Writes the rows that make events with the platform's own ids findable by time. Each tenant and id at most once.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_time_rows(&self, events: &[&StoredEvent]) -> Result<(), StoreError> {
        let rows: Vec<Item> = events.iter().map(|event| event.to_time_row()).collect();
        self.put_all(&self.tables.events, rows).await
    }

    /// Takes such a row back.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn delete_time_row(&self, event: &StoredEvent) -> Result<(), StoreError> {
        let key = keys::time_row(&event.tenant, event.shard(), event.accepted_at, &event.id);
        self.delete_all(&self.tables.events, &[key]).await
    }

    /// An event by its id, if it is stored, not erased and not past its retention at `now`.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item cannot be read.
    pub async fn event(
        &self,
        tenant: &TenantId,
        id: &EventId,
        now: Timestamp,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let event = self.event_or_tombstone(tenant, id, now).await?;
        Ok(event.filter(|event| event.erased.is_none()))
    }

    /// An event by its id, if it is stored and not past its retention at `now`, erased or not.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item cannot be read.
    pub async fn event_or_tombstone(
        &self,
        tenant: &TenantId,
        id: &EventId,
        now: Timestamp,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let item = self.get(&self.tables.events, &keys::event(tenant, id), true).await?;
        let event = item.map(|item| read_event(tenant, id.clone(), &item)).transpose()?;
        Ok(event.filter(|event| event.expires_at > now))
    }

    /// Those of some events that exist and are not erased, in no order, past their retention or not. The ids must be
    /// distinct.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn events(&self, tenant: &TenantId, ids: &[EventId]) -> Result<Vec<StoredEvent>, StoreError> {
        let ids: BTreeMap<Key, &EventId> = ids.iter().map(|id| (keys::event(tenant, id), id)).collect();
        let keys: Vec<Key> = ids.keys().cloned().collect();
        let mut items = self.get_all(&self.tables.events, &keys, true).await?;
        items.retain(|item| item.get_moment("er").is_none());
        let read = |item: &Item| {
            let id = item.need("pk", ids.get(&item.key()))?;
            read_event(tenant, (*id).clone(), item)
        };
        items.iter().map(read).collect()
    }
}
