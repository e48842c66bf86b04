//! Items by their keys, for whoever shows them: one that cannot be read is passed by and counted, so that it does not hide
//! the others. Whoever decides about deliveries reads strictly instead (`deliveries`, `events`).

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::FutureExt as _;
use redial_domain::{DeliveryId, EndpointId, EventId, ReplayId, TenantId};

use super::attempts::read_attempt_row;
use super::deliveries::{AttemptRecord, DeliveryRecord, read_delivery};
use super::events::{StoredEvent, read_event};
use super::walk::readable;
use super::{Store, StoreError, dynamo};
use crate::item::{Attributes, Item};
use crate::keys::{self, Key};

/// What a list of attempts needs of a row: all but the answer.
const WITHOUT_RESPONSE: &str = "pk, sk, la, hs, cd, #ms, why, fv";

/// Which failed attempts of an event's deliveries.
#[derive(Debug, Clone, Copy)]
pub struct AttemptsQuestion<'a> {
    /// Of this event.
    pub event: &'a EventId,
    /// Only of this delivery.
    pub delivery: Option<&'a DeliveryId>,
    /// With what was kept of the answers.
    pub responses: bool,
    /// Most rows.
    pub limit: usize,
}

impl Store {
    /// Those of some events that exist and can be read, past their retention or not, and how many cannot. The ids must be
    /// distinct.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn readable_events(
        &self,
        tenant: &TenantId,
        ids: &[EventId],
    ) -> Result<(HashMap<EventId, StoredEvent>, usize), StoreError> {
        let ids: BTreeMap<Key, &EventId> = ids.iter().map(|id| (keys::event(tenant, id), id)).collect();
        let keys: Vec<Key> = ids.keys().cloned().collect();
        let items = self.get_all_unchecked(&self.tables.events, &keys, true).await?;
        let (events, unreadable) = readable(items, |item| {
            let id = item.need("pk", ids.get(&item.key()))?;
            read_event(tenant, (*id).clone(), item)
        })?;
        let by_id = events.into_iter().map(|event| (event.id.clone(), event));
        Ok((by_id.collect(), unreadable.len()))
    }

    /// Those records of deliveries that exist and can be read, and the keys of those that cannot.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn readable_deliveries(&self, keys: &[Key]) -> Result<(Vec<DeliveryRecord>, Vec<Key>), StoreError> {
        readable(
            self.get_all_unchecked(&self.tables.events, keys, true).await?,
            read_delivery,
        )
    }

    /// Failed attempts, by delivery and number, and how many cannot be read.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn readable_attempts(
        &self,
        tenant: &TenantId,
        question: AttemptsQuestion<'_>,
    ) -> Result<(Vec<(DeliveryId, AttemptRecord)>, usize), StoreError> {
        let prefix = question.delivery.map(keys::attempts_prefix);
        let from = prefix.clone().unwrap_or_else(|| " ".to_owned());
        let to = format!("{}~", prefix.unwrap_or_default());
        let pk = keys::attempts_partition(tenant, question.event);
        let mut query = self
            .partition(&self.tables.events, &pk, &from, &to)
            .consistent_read(true);
        if !question.responses {
            query = query
                .projection_expression(WITHOUT_RESPONSE)
                .expression_attribute_names("#ms", "ms");
        }
        let rows = self.rows(query, question.limit).await?;
        let (attempts, unreadable) = readable(rows, |item| read_attempt_row(question.event, item))?;
        Ok((attempts, unreadable.len()))
    }

    /// The deliveries that replays made of an event, at most `limit`, by endpoint and replay.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn readable_replayed(
        &self,
        tenant: &TenantId,
        event: &EventId,
        limit: usize,
    ) -> Result<(Vec<DeliveryId>, usize), StoreError> {
        let query = self.partition(&self.tables.events, &keys::replayed_partition(tenant, event), " ", "~");
        let rows = self.rows(query.consistent_read(true), limit).await?;
        let delivery = |(endpoint, replay): (EndpointId, ReplayId)| DeliveryId {
            event: event.clone(),
            endpoint,
            replay: Some(replay),
        };
        let read = |item: &Item| Ok(delivery(item.need("sk", keys::replayed_of(&item.key().sk))?));
        let (deliveries, unreadable) = readable(rows, read)?;
        Ok((deliveries, unreadable.len()))
    }

    /// True if a replay made this delivery.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn was_replayed(&self, tenant: &TenantId, id: &DeliveryId) -> Result<bool, StoreError> {
        let Some(replay) = &id.replay else { return Ok(false) };
        let key = keys::replayed(tenant, &id.event, &id.endpoint, replay);
        Ok(self.get(&self.tables.events, &key, true).await?.is_some())
    }

    /// Those of some deliveries that are noted as made by a replay: each was, before its message was sent.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn noted_as_replayed(
        &self,
        tenant: &TenantId,
        ids: HashSet<DeliveryId>,
    ) -> Result<HashSet<DeliveryId>, StoreError> {
        let key = |id: &DeliveryId| Some(keys::replayed(tenant, &id.event, &id.endpoint, id.replay.as_ref()?));
        let mut ids: BTreeMap<Key, DeliveryId> = ids.into_iter().filter_map(|id| Some((key(&id)?, id))).collect();
        let keys: Vec<Key> = ids.keys().cloned().collect();
        let noted = self.get_all_unchecked(&self.tables.events, &keys, true).await?;
        Ok(noted.iter().filter_map(|item| ids.remove(&item.key())).collect())
    }

    async fn rows(
        &self,
        query: aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let query = query.limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let (mut rows, mut start) = (Vec::new(), None::<Attributes>);
        loop {
            let page = query.clone().set_exclusive_start_key(start).send().boxed().await;
            let page = page.map_err(dynamo("Query"))?;
            rows.extend(page.items.unwrap_or_default().into_iter().map(Item));
            start = page.last_evaluated_key;
            if start.is_none() || rows.len() >= limit {
                rows.truncate(limit);
                return Ok(rows);
            }
        }
    }
}
