//! What the sweeper needs: which tenants were active, how far it has seen, and what it counts.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::FutureExt as _;
use redial_domain::delivery::DeliveryState;
use redial_domain::id::{decode_time, encode_time};
use redial_domain::latency::Latencies;
use redial_domain::{EndpointId, EventId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::calls::read_call;
use super::deliveries::{DeliveryRecord, read_delivery};
use super::erasures::Erasure;
use super::events::{StoredEvent, read_listed};
use super::{Store, StoreError, dynamo};
use crate::item::Item;
use crate::keys::{self, Key};

/// Rows of one page of an endpoint's recorded deliveries.
const DELIVERIES_PAGE: i32 = 1_000;

/// How far the sweeper has seen a tenant's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepMark {
    /// Events accepted before this moment have all their deliveries recorded, or sent again.
    pub repaired: Timestamp,
    /// Hours that end before this moment are rolled up.
    pub rolled: Timestamp,
}

/// What happened in an hour: of one endpoint, or of a whole tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCounts {
    /// Events accepted (for an endpoint: matched).
    pub matched: u64,
    /// Their deliveries by state, as of the rollup.
    pub states: BTreeMap<String, u64>,
    /// Attempts made.
    pub attempts: u64,
    /// Deliveries among `states` that no event promises.
    #[serde(default, skip_serializing_if = "is_none")]
    pub extra: u64,
    /// Milliseconds from the acceptance of their events until those succeeded that did. Earlier releases count none.
    #[serde(default, skip_serializing_if = "Latencies::is_empty")]
    pub latency: Latencies,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_none(number: &u64) -> bool {
    *number == 0
}

impl HourCounts {
    /// Deliveries in `state`.
    #[must_use]
    pub fn of(&self, state: DeliveryState) -> u64 {
        self.states.get(state.as_str()).copied().unwrap_or_default()
    }

    /// Counts one delivery.
    pub fn count(&mut self, state: DeliveryState, attempts: u32) {
        *self.states.entry(state.as_str().to_owned()).or_default() += 1;
        self.attempts += u64::from(attempts);
    }

    /// Counts one delivery by its record, with how long it took if it succeeded.
    pub fn count_record(&mut self, record: &DeliveryRecord) {
        self.count(record.state, record.attempts);
        if let Some(ms) = record.took_ms() {
            self.latency.add_ms(ms);
        }
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        self.matched += other.matched;
        self.attempts += other.attempts;
        self.extra += other.extra;
        self.latency.merge(&other.latency);
        for (state, number) in &other.states {
            *self.states.entry(state.clone()).or_default() += number;
        }
    }

    /// Deliveries in any state.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.states.values().sum()
    }

    /// The ledger: promised deliveries in no state, and deliveries that nobody promised. Anything but 0 is a fault.
    #[must_use]
    pub fn difference(&self) -> u64 {
        (self.matched + self.extra).abs_diff(self.counted()) + self.extra
    }

    /// True if something may still change: the hour is to be counted again.
    #[must_use]
    pub fn is_open(&self) -> bool {
        DeliveryState::ALL
            .into_iter()
            .any(|state| !state.is_final() && self.of(state) > 0)
    }
}

/// An event of a call, as the sweeper noted it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct CallEvent {
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Which.
    pub event: EventId,
}

impl fmt::Display for CallEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", encode_time(self.accepted_at), self.event)
    }
}

pub(super) fn read_mark(item: &Item) -> Option<SweepMark> {
    Some(SweepMark {
        repaired: item.get_moment("re")?,
        rolled: item.get_moment("ro")?,
    })
}

impl Store {
    /// Notes that a tenant is active in the hour of `now`: only active tenants are swept.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn mark_active(&self, tenant: &TenantId, now: Timestamp) -> Result<(), StoreError> {
        let expires = keys::hour_of(now).plus_millis(48 * keys::HOUR_MS);
        let item = Item::from(&keys::active(now, tenant)).number("ttl", expires.as_secs());
        self.put(&self.tables.events, item).await
    }

    /// Tenants that were active in the hour of `at`.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn active_tenants(&self, at: Timestamp) -> Result<Vec<TenantId>, StoreError> {
        let query = self.partition(&self.tables.events, &keys::active_partition(at), " ", "~");
        let items = self.query_all(query.consistent_read(true), usize::MAX).await?;
        let read = |item: &Item| item.need("sk", TenantId::parse(&item.key().sk).ok());
        Ok(items.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// How far a tenant's events have been seen.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn sweep_mark(&self, tenant: &TenantId) -> Result<Option<SweepMark>, StoreError> {
        let item = self.get(&self.tables.events, &keys::sweep_mark(tenant), true).await?;
        Ok(item.as_ref().and_then(read_mark))
    }

    /// Notes how far a tenant's events have been seen.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_sweep_mark(&self, tenant: &TenantId, mark: SweepMark) -> Result<(), StoreError> {
        let item = Item::from(&keys::sweep_mark(tenant))
            .moment("re", mark.repaired)
            .moment("ro", mark.rolled);
        self.put(&self.tables.events, item).await
    }

    /// The tenants whose ledger did not balance when it was last counted, and by how many deliveries.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn unbalanced(&self, now: Timestamp) -> Result<BTreeMap<TenantId, u64>, StoreError> {
        let query = self.partition(&self.tables.events, keys::UNBALANCED_PARTITION, " ", "~");
        let items = self.query_all(query.consistent_read(true), usize::MAX).await?;
        // DynamoDB deletes what is past its ttl days late; it counts as gone.
        let kept = items
            .iter()
            .filter(|item| item.get_number("ttl").is_some_and(|ttl| ttl > now.as_secs()));
        let read = |item: &Item| {
            let tenant = item.need("sk", TenantId::parse(&item.key().sk).ok())?;
            let difference = item.get_number("n").and_then(|n| u64::try_from(n).ok());
            Ok((tenant, item.need("n", difference)?))
        };
        kept.map(read).collect()
    }

    /// Notes by how many deliveries a tenant's ledger does not balance.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_unbalanced(
        &self,
        tenant: &TenantId,
        difference: u64,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let item = Item::from(&keys::unbalanced(tenant))
            .number("n", i64::try_from(difference).unwrap_or(i64::MAX))
            .number("ttl", expires_at.as_secs());
        self.put(&self.tables.events, item).await
    }

    /// Notes that a tenant's ledger balances again.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn delete_unbalanced(&self, tenant: &TenantId) -> Result<(), StoreError> {
        self.delete_all(&self.tables.events, &[keys::unbalanced(tenant)]).await
    }

    /// A tenant's events accepted from `since` up to, not reaching, `until`, oldest first in one shard, at most `limit`;
    /// strongly read if `consistent`. Without their contents; those with the platform's own ids come from their time rows.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn events_between(
        &self,
        tenant: &TenantId,
        shard: u16,
        since: Timestamp,
        until: Timestamp,
        limit: usize,
        consistent: bool,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let pk = keys::events_partition(tenant, shard);
        let to = format!("{}~~", encode_time(until.plus_millis(-1)));
        let query = self
            .partition(&self.tables.events, &pk, &encode_time(since), &to)
            .filter_expression("attribute_not_exists(own)")
            .projection_expression("pk, sk, #at, sh, m, ty, ag, c, er, ei, es, #ttl, fv")
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#ttl", "ttl")
            .consistent_read(consistent);
        let items = self.query_all(query, limit).await?;
        items.iter().map(|item| read_listed(tenant, item)).collect()
    }

    /// A page of an endpoint's recorded deliveries at times from `since` up to, not reaching, `until`, in one shard, oldest
    /// first, after the one of the sort key `after`; and the sort key of the last row if there may be more.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn deliveries_between(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        shard: u16,
        (since, until): (Timestamp, Timestamp),
        after: Option<String>,
    ) -> Result<(Vec<DeliveryRecord>, Option<String>), StoreError> {
        let pk = keys::deliveries_partition(tenant, endpoint, shard);
        let to = format!("{}~~", encode_time(until.plus_millis(-1)));
        let query = self.partition(&self.tables.events, &pk, &encode_time(since), &to);
        let start = after.map(|sk| Item::from(&Key { pk, sk }).0);
        let query = query.limit(DELIVERIES_PAGE).set_exclusive_start_key(start);
        let page = query.send().boxed().await.map_err(dynamo("Query"))?;
        let mut records = Vec::with_capacity(page.items.as_ref().map_or(0, Vec::len));
        for item in page.items.unwrap_or_default() {
            records.push(read_delivery(&Item::stored(item)?)?);
        }
        Ok((records, page.last_evaluated_key.map(|last| Item(last).key().sk)))
    }

    /// Stores the counts of an hour.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_hours(
        &self,
        tenant: &TenantId,
        hour: Timestamp,
        counts: &[(Option<EndpointId>, HourCounts)],
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = counts.iter().map(|(endpoint, counts)| {
            Item::from(&keys::hour(tenant, endpoint.as_ref(), hour))
                .text("j", serde_json::to_string(counts).unwrap_or_default())
                .flag("open", counts.is_open())
                .number("ttl", expires_at.as_secs())
        });
        self.put_all(&self.tables.events, rows).await
    }

    /// The counts of an endpoint (of the tenant, without one) by hour, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn hours(
        &self,
        tenant: &TenantId,
        endpoint: Option<&EndpointId>,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, HourCounts)>, StoreError> {
        let Key { pk, sk: from } = keys::hour(tenant, endpoint, since);
        let to = keys::hour(tenant, endpoint, until).sk;
        let items = self
            .query_all(self.partition(&self.tables.events, &pk, &from, &to), usize::MAX)
            .await?;
        let read = |item: &Item| {
            let hour = item.key().sk.rsplit('/').next().and_then(decode_time);
            let counts = item.get_text("j").and_then(|text| serde_json::from_str(text).ok());
            Ok((item.need("sk", hour)?, item.need("j", counts)?))
        };
        items.iter().map(read).collect()
    }

    /// Notes events of a call.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_calls(
        &self,
        tenant: &TenantId,
        calls: &BTreeMap<String, Vec<CallEvent>>,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = calls.iter().filter_map(|(call_id, events)| {
            let first = events.iter().map(|event| event.accepted_at).min()?;
            let texts = events.iter().map(ToString::to_string);
            Some(
                Item::from(&keys::call(tenant, call_id, first))
                    .texts("ev", texts)
                    .number("ttl", expires_at.as_secs()),
            )
        });
        self.put_all(&self.tables.events, rows).await
    }

    /// Notes events of a call in a row of its erasure, beside those of the sweeper.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn note_call(
        &self,
        erasure: &Erasure,
        call_id: &str,
        row: u32,
        events: &[CallEvent],
    ) -> Result<(), StoreError> {
        let key = keys::call_erased(&erasure.tenant, call_id, erasure.asked_at, &erasure.id, row);
        let row = Item::from(&key)
            .texts("ev", events.iter().map(ToString::to_string))
            .number("ttl", erasure.expires_at.as_secs());
        self.put(&self.tables.events, row).await
    }

    /// The events of a call that the sweeper has noted, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or a row cannot be read.
    pub async fn call_events(&self, tenant: &TenantId, call_id: &str) -> Result<Vec<CallEvent>, StoreError> {
        let (mut events, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = self.call_rows_after(tenant, call_id, after).await?;
            events.extend(page);
            after = next;
            if after.is_none() {
                events.sort();
                events.dedup();
                return Ok(events);
            }
        }
    }

    /// What rows of a call name, from the one after the sort key `after`, as many as one query reads, in no order; and the
    /// last row's sort key if there may be more.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or a row cannot be read.
    pub async fn call_rows_after(
        &self,
        tenant: &TenantId,
        call_id: &str,
        after: Option<String>,
    ) -> Result<(Vec<CallEvent>, Option<String>), StoreError> {
        let pk = keys::call_partition(tenant, call_id);
        let query = self.partition(&self.tables.events, &pk, " ", "~").consistent_read(true);
        let start = after.map(|sk| Item::from(&Key { pk, sk }).0);
        let page = query.set_exclusive_start_key(start).send().boxed().await;
        let page = page.map_err(dynamo("Query"))?;
        let mut events = Vec::new();
        for item in page.items.unwrap_or_default() {
            events.extend(read_call(&Item::stored(item)?)?);
        }
        Ok((events, page.last_evaluated_key.map(|last| Item(last).key().sk)))
    }
}
