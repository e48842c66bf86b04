//! Replay jobs: what was asked for, how far it is, and who works on it now.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use redial_domain::delivery::DeliveryState;
use redial_domain::id::encode_time;
use redial_domain::{DeliveryId, EndpointId, EventId, ReplayId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::deliveries::{DeliveryRecord, read_delivery};
use super::lists::{After, Page};
use super::walk::page_of;
use super::{Store, StoreError, dynamo, is_refused, n, s};
use crate::item::Item;
use crate::keys;

/// What is to be delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplaySpec {
    /// One event, to every endpoint that it matched.
    Event(EventId),
    /// One delivery.
    Delivery(DeliveryId),
    /// An endpoint's deliveries in a stretch of time.
    Range {
        /// The endpoint.
        endpoint: EndpointId,
        /// First moment at which an event was accepted.
        since: Timestamp,
        /// First moment after it.
        until: Timestamp,
        /// Only deliveries in this state; `None`: in any final state.
        state: Option<DeliveryState>,
    },
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nobody has begun.
    Pending,
    /// Somebody works on it, or the sweeper will have it continued.
    Running,
    /// Everything is queued.
    Done,
    /// It could not be finished; `error` says why.
    Failed,
}

/// A replay job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayJob {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id; part of the id of every delivery it makes.
    pub id: ReplayId,
    /// What is to be delivered again.
    pub spec: ReplaySpec,
    /// How far it is.
    pub state: JobState,
    /// Deliveries found when it was asked for.
    pub total: u64,
    /// Deliveries queued again.
    pub done: u64,
    /// Deliveries that could not be: their event or endpoint is gone.
    pub failed: u64,
    /// Where the next page begins; `None`: at the beginning.
    pub after: Option<After>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When its progress was last saved.
    pub updated_at: Timestamp,
    /// Until then whoever works on it is left alone; afterwards the sweeper has it continued.
    pub lease_until: Timestamp,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

impl ReplayJob {
    /// True if nothing will happen to it any more.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.state, JobState::Done | JobState::Failed)
    }

    fn to_item(&self) -> Result<Item, serde_json::Error> {
        let due = (!self.is_finished()).then(|| keys::due_partition(self.id.as_str()));
        let due_at = due.is_some().then_some(self.lease_until.as_millis());
        Ok(Item::from(&keys::job(&self.tenant, &self.id))
            .text("j", serde_json::to_string(self)?)
            .moment("lu", self.lease_until)
            .maybe_text("q", due)
            .maybe_number("qt", due_at)
            .number("ttl", self.expires_at.as_secs()))
    }
}

fn read_job(item: &Item) -> Result<ReplayJob, StoreError> {
    let job = item.get_text("j").and_then(|text| serde_json::from_str(text).ok());
    Ok(item.need("j", job)?)
}

impl Store {
    /// A page of the recorded deliveries that a range asks for, oldest first. Without a state: the final ones.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn replayable(
        &self,
        tenant: &TenantId,
        shards: u16,
        spec: &ReplaySpec,
        after: Option<&After>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<DeliveryRecord>, StoreError> {
        let mut items = Vec::new();
        for query in self.range_queries(tenant, shards, spec, after, now) {
            let query = query.limit(i32::try_from(limit + 2).unwrap_or(i32::MAX));
            items.extend(self.query_all(query, limit + 2).await?);
        }
        items.retain(|item| after.is_none_or(|after| item.key().sk > after.sort_key));
        items.sort_by_cached_key(|item| item.key().sk);
        let next = (items.len() > limit).then(|| After {
            sort_key: items[limit - 1].key().sk,
            endpoint: String::new(),
        });
        items.truncate(limit);
        Ok(Page {
            items: items.iter().map(read_delivery).collect::<Result<_, _>>()?,
            next,
            unreadable: 0,
        })
    }

    /// How many deliveries a range asks for.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn count_replayable(
        &self,
        tenant: &TenantId,
        shards: u16,
        spec: &ReplaySpec,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut total = 0;
        for query in self.range_queries(tenant, shards, spec, None, now) {
            let mut start = None;
            loop {
                let page = query.clone().select(Select::Count).set_exclusive_start_key(start);
                let page = page.send().await.map_err(dynamo("Query"))?;
                total += u64::from(page.count.unsigned_abs());
                start = page.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(total)
    }

    fn range_queries(
        &self,
        tenant: &TenantId,
        shards: u16,
        spec: &ReplaySpec,
        after: Option<&After>,
        now: Timestamp,
    ) -> Vec<QueryFluentBuilder> {
        let ReplaySpec::Range {
            endpoint,
            since,
            until,
            state,
        } = spec
        else {
            return Vec::new();
        };
        let from = after.map_or_else(|| encode_time(*since), |after| after.sort_key.clone());
        let to = format!("{}~~", encode_time(until.plus_millis(-1)));
        let unexpired = |query: QueryFluentBuilder| {
            query
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":now", n(now.as_secs()))
        };
        if let Some(state @ (DeliveryState::Held | DeliveryState::Dead)) = state {
            let pk = keys::state_partition(tenant, endpoint, *state);
            let query = self
                .partition(&self.tables.events, &pk, &from, &to)
                .index_name(keys::BY_STATE);
            let query = query.key_condition_expression("w = :pk AND sk BETWEEN :from AND :to");
            return vec![unexpired(query).filter_expression("#ttl > :now AND attribute_not_exists(er)")];
        }
        let states = state.map_or(
            vec![DeliveryState::Succeeded, DeliveryState::Dead, DeliveryState::Canceled],
            |s| vec![s],
        );
        let names: Vec<String> = (0..states.len()).map(|i| format!(":s{i}")).collect();
        // A dead one that is in no list is one that its endpoint does not keep.
        let kept = "(st <> :dead OR attribute_exists(w))";
        let kept = format!("{kept} AND attribute_not_exists(er)");
        let filter = format!("#ttl > :now AND st IN ({}) AND {kept}", names.join(", "));
        let query = |shard| {
            let pk = keys::deliveries_partition(tenant, endpoint, shard);
            let query = unexpired(self.partition(&self.tables.events, &pk, &from, &to)).filter_expression(&filter);
            let query = query.expression_attribute_values(":dead", s(DeliveryState::Dead.as_str()));
            names.iter().zip(&states).fold(query, |query, (name, state)| {
                query.expression_attribute_values(name, s(state.as_str()))
            })
        };
        (0..shards).map(query).collect()
    }

    /// Stores a new job.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_job(&self, job: &ReplayJob) -> Result<(), StoreError> {
        self.put(
            &self.tables.events,
            job.to_item().map_err(crate::blob::BlobError::from)?,
        )
        .await
    }

    /// Saves a job's progress if its lease is still `lease`: whoever lost the lease has been replaced.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody else works on it.
    pub async fn save_job(&self, job: &ReplayJob, lease: Timestamp) -> Result<(), StoreError> {
        let item = job.to_item().map_err(crate::blob::BlobError::from)?;
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.events)
            .set_item(Some(item.0));
        let put = put
            .condition_expression("lu = :lease")
            .expression_attribute_values(":lease", n(lease.as_millis()));
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_refused(&error) => Err(StoreError::Conflict("the replay")),
            Err(error) => Err(dynamo("PutItem")(error)),
        }
    }

    /// A job by its id.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item cannot be read.
    pub async fn job(&self, tenant: &TenantId, id: &ReplayId) -> Result<Option<ReplayJob>, StoreError> {
        let item = self.get(&self.tables.events, &keys::job(tenant, id), true).await?;
        item.as_ref().map(read_job).transpose()
    }

    /// A page of a tenant's jobs, newest first, after `after`. Those that cannot be read are passed by.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn jobs(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ReplayJob>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.events)
            .key_condition_expression("pk = :pk AND sk < :after")
            .expression_attribute_values(":pk", s(keys::jobs_partition(tenant)))
            .expression_attribute_values(":after", s(after.unwrap_or("~")))
            .scan_index_forward(false)
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX));
        page_of(self.query_unchecked(query, limit + 1).await?, limit, read_job)
    }

    /// Notes that deliveries are made again, before their messages are sent: `events/{id}/deliveries` finds them so.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_replayed(
        &self,
        tenant: &TenantId,
        deliveries: &[DeliveryId],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = deliveries.iter().filter_map(|id| {
            let key = keys::replayed(tenant, &id.event, &id.endpoint, id.replay.as_ref()?);
            Some(Item::from(&key).moment("sa", now).number("ttl", expires_at.as_secs()))
        });
        self.put_all(&self.tables.events, rows).await
    }

    /// The deliveries that replays made of an event.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or a row cannot be read.
    pub async fn replayed(&self, tenant: &TenantId, event: &EventId) -> Result<Vec<DeliveryId>, StoreError> {
        let query = self.partition(&self.tables.events, &keys::replayed_partition(tenant, event), " ", "~");
        let items = self.query_all(query.consistent_read(true), usize::MAX).await?;
        let read = |item: &Item| {
            let (endpoint, replay) = item.need("sk", keys::replayed_of(&item.key().sk))?;
            Ok(DeliveryId {
                event: event.clone(),
                endpoint,
                replay: Some(replay),
            })
        };
        items.iter().map(read).collect()
    }
}
