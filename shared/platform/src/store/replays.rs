//! Replay jobs: what was asked for, how far it is, and who works on it now.

use futures_util::FutureExt as _;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use redial_domain::{DeliveryId, EventId, ReplayId, TenantId, Timestamp};

use super::lists::Page;
pub use super::replay_job::{
    CountedTo, JobPace, JobState, JobWish, MAX_NAMED, OPEN_END, ReplayAction, ReplayFilter, ReplayJob, ReplaySpec,
    Unmarked,
};
use super::walk::page_of;
use super::{BATCH_WRITE, Store, StoreError, dynamo, is_refused, n, s};
use crate::item::Item;
use crate::keys;

/// Batches of a page's rows that are written at once.
const CONCURRENT_BATCHES: usize = 16;

impl ReplayJob {
    pub(super) fn to_item(&self) -> Result<Item, serde_json::Error> {
        let due = (!self.is_at_rest()).then(|| keys::due_partition(self.id.as_str()));
        let due_at = due.is_some().then_some(self.lease_until.as_millis());
        Ok(Item::from(&keys::job(&self.tenant, &self.id))
            .text("j", serde_json::to_string(self)?)
            .moment("lu", self.lease_until)
            .maybe_text("q", due)
            .maybe_number("qt", due_at)
            .number("ttl", self.expires_at.as_secs()))
    }
}

pub(super) fn read_job(item: &Item) -> Result<ReplayJob, StoreError> {
    let job = item.get_text("j").and_then(|text| serde_json::from_str(text).ok());
    Ok(item.need("j", job)?)
}

impl Store {
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
        match put.send().boxed().await {
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
    /// [`StoreError`] if DynamoDB fails; some may be noted then.
    pub async fn put_replayed(
        &self,
        tenant: &TenantId,
        deliveries: &[DeliveryId],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let row = |id: &DeliveryId| {
            let key = keys::replayed(tenant, &id.event, &id.endpoint, id.replay.as_ref()?);
            Some(Item::from(&key).moment("sa", now).number("ttl", expires_at.as_secs()))
        };
        let mut batches = Vec::with_capacity(deliveries.len().div_ceil(BATCH_WRITE));
        for some in deliveries.chunks(BATCH_WRITE) {
            let rows: Vec<Item> = some.iter().filter_map(row).collect();
            batches.push(self.put_all(&self.tables.events, rows));
        }
        futures_util::stream::iter(batches)
            .buffer_unordered(CONCURRENT_BATCHES)
            .try_collect()
            .await
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
