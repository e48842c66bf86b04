//! How many jobs a tenant has asked for that are not finished: a list of their ids, read and written on condition that nobody
//! was faster, in one transaction with the job. Nobody takes a job out of it when it ends: whoever finds the list full looks
//! at the jobs in it, and leaves out those that are over. So it costs a read and a write a job, no scan, and nothing is lost in
//! a crash. Must never count a job that it refuses.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use futures_util::FutureExt as _;
use redial_domain::endpoint::MAX_ENDPOINTS;
use redial_domain::{ErasureId, ReplayId, TenantId, Timestamp};

use super::change::is_conflict;
use super::deliveries::Recorded;
use super::erasures::{Erasure, read_erasure};
use super::replays::{ReplayJob, read_job};
use super::{Store, StoreError, dynamo, n, s};
use crate::blob::BlobError;
use crate::item::Item;
use crate::keys::{self, Key};

/// Replays, redrives, discards and drains of a tenant that somebody asked for and that are not finished. docs/LIMITS.md.
pub const MAX_REPLAYS: usize = 10;
/// Erasures of calls of a tenant that are not through their first look; what is looked for again ten minutes later is not
/// among them. docs/LIMITS.md.
pub const MAX_ERASURES: usize = 10;
/// Backlogs that are let go because their endpoints were resumed: one for each endpoint that a tenant can have.
pub const MAX_RELEASES: usize = MAX_ENDPOINTS as usize;

/// Grows with every write.
const VERSION: &str = "v";
/// When each job is gone at the latest, by its id.
const JOBS: &str = "j";

/// What a job counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// A replay, redrive, discard or drain that somebody asked for.
    Replays,
    /// What is let go because an endpoint was resumed, activated or had its limit raised.
    Releases,
    /// The erasure of a call.
    Erasures,
}

impl Quota {
    /// Most of them that are not finished.
    #[must_use]
    pub const fn most(self) -> usize {
        match self {
            Self::Replays => MAX_REPLAYS,
            Self::Releases => MAX_RELEASES,
            Self::Erasures => MAX_ERASURES,
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Replays => "replays",
            Self::Releases => "releases",
            Self::Erasures => "erasures",
        }
    }

    fn job(self, tenant: &TenantId, id: &str) -> Option<Key> {
        match self {
            Self::Replays | Self::Releases => Some(keys::job(tenant, &ReplayId::parse(id).ok()?)),
            Self::Erasures => Some(keys::erasure(tenant, &ErasureId::parse(id).ok()?)),
        }
    }

    /// True if a stored job counts no more. One that cannot be read counts: somebody works on it, or will.
    fn is_over(self, item: &Item) -> bool {
        match self {
            Self::Replays | Self::Releases => read_job(item).is_ok_and(|job| job.shown_state().is_final()),
            Self::Erasures => read_erasure(item).is_ok_and(|erasure| erasure.is_done() || erasure.looked),
        }
    }
}

/// A place for one more job, as long as nobody else takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    quota: Quota,
    version: Option<i64>,
    jobs: BTreeMap<String, i64>,
}

impl Store {
    /// A place for one more job of a tenant; `None` if it has as many as it may.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn place(&self, tenant: &TenantId, quota: Quota, now: Timestamp) -> Result<Option<Place>, StoreError> {
        let key = keys::unfinished(tenant, quota.kind());
        let item = self.get(&self.tables.events, &key, true).await?.unwrap_or_default();
        let jobs = item.get_text(JOBS).and_then(|text| serde_json::from_str(text).ok());
        // One that cannot be read is as good as none: the next writer mends it.
        let mut jobs: BTreeMap<String, i64> = jobs.unwrap_or_default();
        jobs.retain(|_, gone_at_ms| *gone_at_ms > now.as_millis());
        if jobs.len() >= quota.most() {
            self.leave_out_finished(tenant, quota, &mut jobs).await?;
        }
        Ok((jobs.len() < quota.most()).then(|| Place {
            quota,
            version: item.get_number(VERSION),
            jobs,
        }))
    }

    async fn leave_out_finished(
        &self,
        tenant: &TenantId,
        quota: Quota,
        jobs: &mut BTreeMap<String, i64>,
    ) -> Result<(), StoreError> {
        let keys: Vec<Key> = jobs.keys().filter_map(|id| quota.job(tenant, id)).collect();
        let stored = self.get_all_unchecked(&self.tables.events, &keys, true).await?;
        // Stored with the list: one that is not there is gone.
        let at_work = stored.into_iter().filter_map(|item| {
            let id = item.key().sk;
            let is_over = Item::stored(item.0).is_ok_and(|item| quota.is_over(&item));
            (!is_over).then_some(id)
        });
        let at_work: Vec<String> = at_work.collect();
        jobs.retain(|id, _| at_work.contains(id));
        Ok(())
    }

    /// Stores a new job in the place that was found for it; superseded if somebody else has taken that since.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_job_in(&self, job: &ReplayJob, place: &Place) -> Result<Recorded, StoreError> {
        let list = place.with(&job.tenant, job.id.as_str(), job.expires_at)?;
        let item = job.to_item().map_err(BlobError::from)?;
        self.put_both(vec![self.plain(item), self.list(list, place)]).await
    }

    /// Stores a new erasure of a call in the place that was found for it, and that it is the call's latest if `before` was
    /// until now; superseded if somebody else was faster.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_erasure_in(
        &self,
        erasure: &Erasure,
        call_id: &str,
        before: Option<&ErasureId>,
        place: &Place,
    ) -> Result<Recorded, StoreError> {
        let list = place.with(&erasure.tenant, erasure.id.as_str(), erasure.expires_at)?;
        let latest = Item::from(&keys::erasing_call(&erasure.tenant, call_id))
            .text("er", erasure.id.as_str())
            .number("ttl", erasure.expires_at.as_secs());
        let latest = Put::builder().table_name(&self.tables.events).set_item(Some(latest.0));
        let latest = match before {
            None => latest.condition_expression("attribute_not_exists(pk)"),
            Some(before) => latest
                .condition_expression("er = :before")
                .expression_attribute_values(":before", s(before.as_str())),
        };
        let latest = TransactWriteItem::builder().set_put(latest.build().ok()).build();
        self.put_both(vec![self.plain(erasure.to_item()?), latest, self.list(list, place)])
            .await
    }

    /// The erasure of a call that was asked for last, finished or not.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item cannot be read.
    pub async fn latest_erasure_of(&self, tenant: &TenantId, call_id: &str) -> Result<Option<ErasureId>, StoreError> {
        let key = keys::erasing_call(tenant, call_id);
        let Some(item) = self.get(&self.tables.events, &key, true).await? else {
            return Ok(None);
        };
        let id = item.get_text("er").and_then(|text| ErasureId::parse(text).ok());
        Ok(Some(item.need("er", id)?))
    }

    fn plain(&self, item: Item) -> TransactWriteItem {
        let put = Put::builder().table_name(&self.tables.events).set_item(Some(item.0));
        TransactWriteItem::builder().set_put(put.build().ok()).build()
    }

    fn list(&self, list: Item, place: &Place) -> TransactWriteItem {
        let put = Put::builder().table_name(&self.tables.events).set_item(Some(list.0));
        let put = match place.version {
            None => put.condition_expression("attribute_not_exists(v)"),
            Some(version) => put
                .condition_expression("v = :before")
                .expression_attribute_values(":before", n(version)),
        };
        TransactWriteItem::builder().set_put(put.build().ok()).build()
    }

    async fn put_both(&self, writes: Vec<TransactWriteItem>) -> Result<Recorded, StoreError> {
        let call = self.client.transact_write_items().set_transact_items(Some(writes));
        match call.send().boxed().await {
            Ok(_) => Ok(Recorded::Written),
            Err(error) if is_conflict(&error) => Ok(Recorded::Superseded),
            Err(error) => Err(dynamo("TransactWriteItems")(error)),
        }
    }
}

impl Place {
    /// The list with one more job.
    fn with(&self, tenant: &TenantId, id: &str, gone_at: Timestamp) -> Result<Item, StoreError> {
        let mut jobs = self.jobs.clone();
        jobs.insert(id.to_owned(), gone_at.as_millis());
        let last_ms = jobs.values().copied().max().unwrap_or_default();
        let text = serde_json::to_string(&jobs).map_err(BlobError::from)?;
        Ok(Item::from(&keys::unfinished(tenant, self.quota.kind()))
            .text(JOBS, text)
            .number(VERSION, self.version.unwrap_or(0) + 1)
            .number("ttl", Timestamp::from_millis(last_ms).as_secs()))
    }
}
