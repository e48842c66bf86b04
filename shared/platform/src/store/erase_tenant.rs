//! Removing what is left of a tenant that is gone: its events with everything that carries their ids, its deliveries, counts,
//! replays and marks, its endpoints and keys. Each call removes some, so that the work of one is bounded; repeating it until
//! nothing is found is all that a crash asks for. Never to be called for a tenant that exists.

use std::collections::BTreeSet;

use redial_domain::{EndpointId, TenantId, Timestamp};

use super::deliveries::read_delivery;
use super::erasures::Found;
use super::events::{StoredEvent, read_listed};
use super::{Store, StoreError, dynamo};
use crate::auth::Scope;
use crate::item::Item;
use crate::keys::{self, HOUR_MS, Key};

/// Hours for which a mark of activity is kept, and one more.
const ACTIVE_HOURS: i64 = 49;
/// What is read of an item of an events partition: all but the content.
const WITHOUT_CONTENT: &str = "pk, sk, #at, sh, m, ty, ag, c, own, er, ei, es, #ttl, fv";

impl Store {
    /// The first events in a shard of a tenant, at most `limit`, past their retention or not.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn first_events(
        &self,
        tenant: &TenantId,
        shard: u16,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let pk = keys::events_partition(tenant, shard);
        let query = self
            .partition(&self.tables.events, &pk, " ", "~")
            .projection_expression(WITHOUT_CONTENT)
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#ttl", "ttl")
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let items = self.query_all(query, limit).await?;
        items.iter().map(|item| read_listed(tenant, item)).collect()
    }

    /// Removes what is left of an event of a tenant that is gone: everything that carries its id. Its own row last, by which
    /// whoever comes after a crash finds it.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn remove_event(&self, event: &StoredEvent, now: Timestamp) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let ids = self.deliveries_of(event).await?;
        let mut gone: BTreeSet<Key> = BTreeSet::new();
        for standing in self.standings(event, ids).await? {
            let canceled = !standing.is_final();
            found.count(&standing, canceled, canceled && standing.may_leave(event, now));
            gone.extend(standing.item.map(|_| standing.key));
        }
        gone.extend(
            self.keys_of(&keys::attempts_partition(&event.tenant, &event.id))
                .await?,
        );
        gone.extend(
            self.keys_of(&keys::replayed_partition(&event.tenant, &event.id))
                .await?,
        );
        if let Some(call_id) = &event.call_id {
            gone.extend(self.keys_of(&keys::call_partition(&event.tenant, call_id)).await?);
        }
        let gone: Vec<Key> = gone.into_iter().collect();
        self.delete_all(&self.tables.events, &gone).await?;
        let stored = keys::event(&event.tenant, &event.id);
        self.delete_all(&self.tables.events, &[stored]).await?;
        if event.own_id {
            self.delete_time_row(event).await?;
        }
        Ok(found)
    }

    /// Removes some deliveries of an endpoint in one shard, with their attempts; false if there are none.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn remove_deliveries(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        shard: u16,
        limit: usize,
    ) -> Result<bool, StoreError> {
        let pk = keys::deliveries_partition(tenant, endpoint, shard);
        let query = self.partition(&self.tables.events, &pk, " ", "~").consistent_read(true);
        let query = query.limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let items = self.query_all(query, limit).await?;
        let mut gone: BTreeSet<Key> = BTreeSet::new();
        for item in &items {
            let record = read_delivery(item)?;
            if record.attempts > 0 {
                let attempts = keys::attempts_partition(tenant, &record.id.event);
                gone.extend(self.keys_of(&attempts).await?);
            }
            if let Some(replay) = &record.id.replay {
                gone.insert(keys::replayed(tenant, &record.id.event, endpoint, replay));
            }
        }
        let gone: Vec<Key> = gone.into_iter().collect();
        self.delete_all(&self.tables.events, &gone).await?;
        let rows: Vec<Key> = items.iter().map(Item::key).collect();
        self.delete_all(&self.tables.events, &rows).await?;
        Ok(!rows.is_empty())
    }

    /// Removes what is kept of an endpoint besides its deliveries: the line and the pace of its rate limit.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn remove_pace(&self, tenant: &TenantId, endpoint: &EndpointId) -> Result<(), StoreError> {
        let gone = [keys::line(tenant, endpoint), keys::pace(tenant, endpoint)];
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

    /// Removes some of a tenant's counts and replays; false if there are none.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn remove_counts(&self, tenant: &TenantId, limit: usize) -> Result<bool, StoreError> {
        let mut gone = Vec::new();
        for partition in [keys::hours_partition(tenant), keys::jobs_partition(tenant)] {
            gone.extend(self.keys_between(&partition, " ", limit).await?);
        }
        self.delete_all(&self.tables.events, &gone).await?;
        Ok(!gone.is_empty())
    }

    /// Removes the marks of a tenant: that it was active, how far it was swept, that its ledger did not balance.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn remove_marks(&self, tenant: &TenantId, now: Timestamp) -> Result<(), StoreError> {
        let hours = (-1..ACTIVE_HOURS).map(|hours| now.plus_millis(-hours * HOUR_MS));
        let mut gone: Vec<Key> = hours.map(|hour| keys::active(hour, tenant)).collect();
        gone.extend([keys::sweep_mark(tenant), keys::unbalanced(tenant)]);
        self.delete_all(&self.tables.events, &gone).await
    }

    /// Removes what is left of a tenant's configuration, its endpoints' secrets with it, and its keys; answers the ids of
    /// these.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or a key cannot be read.
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
        let of_tenant = self
            .api_keys(None, usize::MAX)
            .await?
            .into_iter()
            .filter(|key| key.scope == scope);
        let ids: Vec<String> = of_tenant.map(|key| key.id).collect();
        gone.extend(ids.iter().map(|id| keys::api_key(id)));
        for key in gone {
            let request = self.client.delete_item().table_name(config);
            let request = request.set_key(Some(Item::from(&key).0));
            request.send().await.map_err(dynamo("DeleteItem"))?;
        }
        Ok(ids)
    }
}
