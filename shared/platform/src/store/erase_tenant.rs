//! Removing what is left of a tenant that is gone: its events with everything that carries their ids, its deliveries, counts,
//! replays and marks, its endpoints and keys. Each call removes some, so that the work of one is bounded; repeating it until
//! nothing is found is all that a crash asks for. What cannot be read is removed by its key. Never to be called for a tenant
//! that exists.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use redial_domain::{EndpointId, EventId, TenantId, Timestamp};

use super::config::read_api_key;
use super::erasures::Found;
use super::events::{StoredEvent, read_listed};
use super::walk::readable;
use super::{Store, StoreError, dynamo, s};
use crate::auth::Scope;
use crate::item::Item;
use crate::keys::{self, HOUR_MS, Key};

/// Hours for which a mark of activity is kept, and one more.
const ACTIVE_HOURS: i64 = 49;
/// What is read of an item of an events partition: all but the content.
const WITHOUT_CONTENT: &str = "pk, sk, #at, sh, m, ty, ag, c, own, er, ei, es, #ttl, fv";

/// What is known of an event that is to be removed, by one of its rows.
#[derive(Debug, Clone)]
pub struct Remains {
    row: Key,
    /// Its id, unless not even the row's key can be read.
    pub id: Option<EventId>,
    call_id: Option<String>,
    /// What the row says, if it can be read.
    pub event: Option<StoredEvent>,
}

impl Remains {
    fn of(tenant: &TenantId, item: Item) -> Result<Self, StoreError> {
        let row = item.key();
        let id = keys::event_of(&row.sk).map(|(id, _)| id);
        let call_id = item.get_text("c").map(str::to_owned);
        let (mut known, _) = readable(vec![item], |item| read_listed(tenant, item))?;
        Ok(Self {
            row,
            id,
            call_id,
            event: known.pop(),
        })
    }
}

impl Store {
    /// The first events in a shard of a tenant, at most `limit`, past their retention or not.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn first_events(&self, tenant: &TenantId, shard: u16, limit: usize) -> Result<Vec<Remains>, StoreError> {
        let pk = keys::events_partition(tenant, shard);
        let query = self
            .partition(&self.tables.events, &pk, " ", "~")
            .projection_expression(WITHOUT_CONTENT)
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#ttl", "ttl")
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let items = self.query_unchecked(query, limit).await?;
        items.into_iter().map(|item| Remains::of(tenant, item)).collect()
    }

    /// Removes what is left of an event of a tenant that is gone: everything that carries its id. Its own row last, by which
    /// whoever comes after a crash finds it. The deliveries of one that cannot be read are left to
    /// [`Store::remove_deliveries`].
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn remove_event(
        &self,
        tenant: &TenantId,
        remains: &Remains,
        now: Timestamp,
    ) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let mut gone: BTreeSet<Key> = BTreeSet::new();
        if let Some(event) = &remains.event {
            let ids = self.deliveries_of(event).await?;
            for standing in self.standings(event, ids).await? {
                let canceled = !standing.is_final();
                found.count(&standing, canceled, canceled && standing.may_leave(event, now));
                gone.extend(standing.item.map(|_| standing.key));
            }
        }
        let mut partitions: Vec<String> = Vec::new();
        if let Some(id) = &remains.id {
            partitions.push(keys::attempts_partition(tenant, id));
            partitions.push(keys::replayed_partition(tenant, id));
        }
        let call_id = remains.call_id.as_ref();
        partitions.extend(call_id.map(|call_id| keys::call_partition(tenant, call_id)));
        for partition in partitions {
            gone.extend(self.keys_of(&partition).await?);
        }
        let gone: Vec<Key> = gone.into_iter().collect();
        self.delete_all(&self.tables.events, &gone).await?;
        let stored = remains.id.as_ref().map(|id| keys::event(tenant, id));
        if let Some(stored) = stored.filter(|stored| *stored != remains.row) {
            self.delete_all(&self.tables.events, &[stored]).await?;
        }
        let time_row = remains.event.as_ref().filter(|event| event.own_id);
        if let Some(event) = time_row {
            self.delete_time_row(event).await?;
        }
        self.delete_all(&self.tables.events, std::slice::from_ref(&remains.row))
            .await?;
        Ok(found)
    }

    /// Removes some deliveries of an endpoint in one shard, with their attempts; false if there are none.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn remove_deliveries(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        shard: u16,
        limit: usize,
    ) -> Result<bool, StoreError> {
        let pk = keys::deliveries_partition(tenant, endpoint, shard);
        let query = self.partition(&self.tables.events, &pk, " ", "~").consistent_read(true);
        // No more than is sure to be read.
        let query = query.projection_expression("pk, sk, n");
        let query = query.limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let items = self.query_all(query, limit).await?;
        let mut gone: BTreeSet<Key> = BTreeSet::new();
        for item in &items {
            let Some((_, id)) = keys::delivery_of(&item.key()) else {
                continue;
            };
            if item.get_number("n") != Some(0) {
                let attempts = keys::attempts_partition(tenant, &id.event);
                gone.extend(self.keys_of(&attempts).await?);
            }
            if let Some(replay) = &id.replay {
                gone.insert(keys::replayed(tenant, &id.event, endpoint, replay));
            }
        }
        let gone: Vec<Key> = gone.into_iter().collect();
        self.delete_all(&self.tables.events, &gone).await?;
        let rows: Vec<Key> = items.iter().map(Item::key).collect();
        self.delete_all(&self.tables.events, &rows).await?;
        Ok(!rows.is_empty())
    }

    /// Removes what is kept of an endpoint besides its deliveries: its health, the line and the pace of its rate limit.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn remove_standing(&self, tenant: &TenantId, endpoint: &EndpointId) -> Result<(), StoreError> {
        let gone = [
            keys::health(tenant, endpoint),
            keys::line(tenant, endpoint),
            keys::pace(tenant, endpoint),
        ];
        self.delete_all(&self.tables.events, &gone).await
    }

    /// The first endpoint after `after` that has counts: it had deliveries, and may be deleted since.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn next_counted(
        &self,
        tenant: &TenantId,
        after: Option<&EndpointId>,
    ) -> Result<Option<EndpointId>, StoreError> {
        // The tenant's own counts stand under `-`, which sorts before every endpoint.
        let from = after.map_or_else(|| "-/~".to_owned(), |after| format!("{after}/~"));
        let found = self.keys_between(&keys::hours_partition(tenant), &from, 1).await?;
        let endpoint = found.first().and_then(|key| key.sk.split('/').next());
        Ok(endpoint.and_then(|text| EndpointId::parse(text).ok()))
    }

    /// Removes some of a tenant's counts and replays, and of what it asked for and is not finished; false if there are none.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn remove_counts(&self, tenant: &TenantId, limit: usize) -> Result<bool, StoreError> {
        let mut gone = Vec::new();
        let partitions = [
            keys::hours_partition(tenant),
            keys::jobs_partition(tenant),
            keys::unfinished_partition(tenant),
        ];
        for partition in partitions {
            gone.extend(self.keys_between(&partition, " ", limit).await?);
        }
        self.delete_all(&self.tables.events, &gone).await?;
        Ok(!gone.is_empty())
    }

    /// Removes the marks of a tenant: that it was active, how far it was swept, that its ledger did not balance, how often its
    /// endpoints were tested.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn remove_marks(&self, tenant: &TenantId, now: Timestamp) -> Result<(), StoreError> {
        let hours = (-1..ACTIVE_HOURS).map(|hours| now.plus_millis(-hours * HOUR_MS));
        let mut gone: Vec<Key> = hours.map(|hour| keys::active(hour, tenant)).collect();
        let counted = [
            keys::sweep_mark(tenant),
            keys::counting(tenant),
            keys::unbalanced(tenant),
        ];
        gone.extend(counted.into_iter().chain([keys::tests(tenant)]));
        self.delete_all(&self.tables.events, &gone).await
    }

    /// Removes what is left of a tenant's configuration, its endpoints' secrets with it, and its keys; answers the ids of
    /// these. Keys of the API that cannot be read stay: nobody can use them.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn remove_config(&self, tenant: &TenantId) -> Result<Vec<String>, StoreError> {
        let config = &self.tables.config;
        let mut gone: Vec<Key> = Vec::new();
        for partition in [keys::tenant_partition(tenant), keys::event_types_partition(tenant)] {
            let query = self
                .partition(config, &partition, " ", "~")
                .projection_expression("pk, sk")
                .consistent_read(true);
            gone.extend(self.query_all(query, usize::MAX).await?.iter().map(Item::key));
        }
        let scope = Scope::Tenant(tenant.clone()).to_string();
        let query = self
            .client
            .query()
            .table_name(config)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(keys::API_KEYS))
            .consistent_read(true);
        let (known, _) = readable(self.query_unchecked(query, usize::MAX).await?, read_api_key)?;
        let of_tenant = known.into_iter().filter(|key| key.scope == scope);
        let ids: Vec<String> = of_tenant.map(|key| key.id).collect();
        gone.extend(ids.iter().map(|id| keys::api_key(id)));
        for key in gone {
            let request = self.client.delete_item().table_name(config);
            let request = request.set_key(Some(Item::from(&key).0));
            request.send().boxed().await.map_err(dynamo("DeleteItem"))?;
        }
        Ok(ids)
    }
}
