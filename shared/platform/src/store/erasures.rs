//! Erasures: what was asked for, how far it is, and what it found; afterwards the receipt. Holds names, times and counts,
//! never a part of what was erased.

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use futures_util::FutureExt as _;
use redial_domain::{DeliveryId, EndpointId, ErasureId, EventId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::change::is_conflict;
use super::deliveries::Recorded;
use super::lists::{After, Page};
use super::sweep::CallEvent;
use super::walk::page_of;
use super::{Store, StoreError, dynamo, n, s};
use crate::blob::BlobError;
use crate::item::Item;
use crate::keys;

/// Days for which a receipt can be looked at, from when it was asked for.
pub const RECEIPT_DAYS: i64 = 3 * 365;
/// Most deliveries that a receipt names; it counts all.
pub const MAX_NAMED: usize = 100;

/// What is to be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One event.
    Event(EventId),
    /// The events of a call that were accepted before the erasure was asked for.
    Call(String),
    /// A tenant with everything that belongs to it.
    Tenant,
}

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureState {
    /// Nobody works on it; whoever gets its message may begin.
    Pending,
    /// Somebody works on it, or the sweeper will have it continued.
    Running,
    /// All is erased but what was under way meanwhile, which is looked for again.
    Settling,
    /// Nothing is left.
    Done,
}

/// What one look at everything found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Events.
    pub events: u64,
    /// Their deliveries that waited, and are canceled.
    pub canceled: u64,
    /// Deliveries that may still leave, all.
    pub leaving: u64,
    /// The first of these, at most [`MAX_NAMED`].
    pub named: Vec<DeliveryId>,
    /// Events of a call that could not be erased, or not all of them, because they cannot be read: all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// The first of these, at most [`MAX_NAMED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_unreadable: Vec<EventId>,
}

const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Found {
    /// With what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        self.events += other.events;
        self.canceled += other.canceled;
        self.leaving += other.leaving;
        self.named.extend(other.named);
        self.named.truncate(MAX_NAMED);
        self.unreadable += other.unreadable;
        self.named_unreadable.extend(other.named_unreadable);
        self.named_unreadable.truncate(MAX_NAMED);
    }

    /// An event that cannot be read.
    #[must_use]
    pub fn unreadable(event: EventId) -> Self {
        Self {
            unreadable: 1,
            named_unreadable: vec![event],
            ..Self::default()
        }
    }

    /// Takes over what a later look at the same events found. What might leave, the first look tells.
    pub fn settle(&mut self, later: Self) {
        let (leaving, named) = (self.leaving, std::mem::take(&mut self.named));
        *self = Self {
            leaving,
            named,
            ..later
        };
    }

    /// Notes a delivery that may still leave.
    pub(super) fn may_leave(&mut self, id: DeliveryId) {
        self.leaving += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(id);
        }
    }
}

/// How far a look at a call has got: whoever goes on begins there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Where the list of the events that the sweeper has not noted was read to: those before are noted.
    pub listed: Option<After>,
    /// True once all of these are noted.
    pub noted: bool,
    /// Rows in which they are, all looks together.
    pub rows: u32,
    /// The last event that was erased, in the order of their times.
    pub erased: Option<CallEvent>,
}

impl Reached {
    /// Where the next look begins: at the start, beside the rows that there are.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            rows: self.rows,
            ..Self::default()
        }
    }
}

/// An erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// In which tenant.
    pub tenant: TenantId,
    /// Its id.
    pub id: ErasureId,
    /// What is to be erased.
    pub target: Target,
    /// Id of the key that asked for it.
    pub asked_by: String,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// How far it is.
    pub state: ErasureState,
    /// What was found so far, the looks before this one.
    pub found: Found,
    /// What the look under way has found so far.
    pub finding: Found,
    /// True once everything was looked at: what is left is to look again.
    pub looked: bool,
    /// The call of the event, while it is being erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// How far the look under way has got; only of a call. Releases from before it begin at the start.
    #[serde(default)]
    pub reached: Reached,
    /// Shards of the tenant's lists then.
    pub shards: u16,
    /// When its settings were changed last, before.
    pub changed_at: Timestamp,
    /// The endpoints that the tenant had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointId>,
    /// When its progress was last saved.
    pub updated_at: Timestamp,
    /// When nothing was left.
    pub completed_at: Option<Timestamp>,
    /// Until then whoever works on it is left alone; afterwards the sweeper has it continued.
    pub lease_until: Timestamp,
    /// When the receipt may be forgotten.
    pub expires_at: Timestamp,
}

impl Erasure {
    /// True if nothing is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == ErasureState::Done
    }

    /// What was found, all looks together.
    #[must_use]
    pub fn total(&self) -> Found {
        match self.target {
            // Each look removes what it finds.
            Target::Tenant => {
                let mut total = self.found.clone();
                total.add(self.finding.clone());
                total
            }
            // Each look finds the same tombstones; what might leave tells the first.
            Target::Event(_) | Target::Call(_) if self.looked => self.found.clone(),
            Target::Event(_) | Target::Call(_) => self.finding.clone(),
        }
    }

    pub(super) fn to_item(&self) -> Result<Item, StoreError> {
        let due = (!self.is_done()).then(|| keys::due_partition(self.id.as_str()));
        let due_at = due.is_some().then_some(self.lease_until.as_millis());
        let text = serde_json::to_string(self).map_err(BlobError::from)?;
        Ok(Item::from(&keys::erasure(&self.tenant, &self.id))
            .text("j", text)
            .moment("lu", self.lease_until)
            .maybe_text("q", due)
            .maybe_number("qt", due_at)
            .number("ttl", self.expires_at.as_secs()))
    }
}

pub(super) fn read_erasure(item: &Item) -> Result<Erasure, StoreError> {
    let erasure = item.get_text("j").and_then(|text| serde_json::from_str(text).ok());
    Ok(item.need("j", erasure)?)
}

impl Store {
    /// Stores a new erasure of an event.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
        self.put(&self.tables.events, erasure.to_item()?).await
    }

    /// Stores a new erasure of a tenant and takes the tenant away, if its version is still `expected`: from then on there is
    /// no such tenant for anybody, and none can be made until [`Store::finish_erasure`]. Its endpoints and keys are left to
    /// [`Store::remove_config`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody else changed the tenant's configuration since `expected` was read.
    pub async fn begin_erasing_tenant(&self, erasure: &Erasure, expected: u64) -> Result<(), StoreError> {
        let (config, tenant) = (&self.tables.config, &erasure.tenant);
        let item = Some(erasure.to_item()?.0);
        let job = Put::builder().table_name(&self.tables.events).set_item(item).build();
        let mut writes = vec![TransactWriteItem::builder().set_put(job.ok()).build()];
        for key in [keys::tenant(tenant), keys::directory(tenant)] {
            let key = Some(Item::from(&key).0);
            let delete = Delete::builder().table_name(config).set_key(key).build();
            writes.push(TransactWriteItem::builder().set_delete(delete.ok()).build());
        }
        let expected = i64::try_from(expected).unwrap_or(i64::MAX);
        for copy in 0..keys::VERSION_COPIES {
            let update = Update::builder()
                .table_name(config)
                .set_key(Some(Item::from(&keys::version(tenant, copy)).0))
                .update_expression("REMOVE v SET er = :erasure")
                .condition_expression("v = :expected")
                .expression_attribute_values(":erasure", s(erasure.id.as_str()))
                .expression_attribute_values(":expected", n(expected));
            writes.push(TransactWriteItem::builder().set_update(update.build().ok()).build());
        }
        self.transact(writes, "the tenant's configuration").await
    }

    /// The erasure that keeps a tenant's name from being used.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item cannot be read.
    pub async fn erasing(&self, tenant: &TenantId) -> Result<Option<ErasureId>, StoreError> {
        let item = self.get(&self.tables.config, &keys::version(tenant, 0), true).await?;
        let Some(item) = item.filter(|item| item.get_text("er").is_some()) else {
            return Ok(None);
        };
        let id = item.get_text("er").and_then(|text| ErasureId::parse(text).ok());
        Ok(Some(item.need("er", id)?))
    }

    /// Saves progress if the lease is still `lease`: whoever lost it has been replaced.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody else works on it.
    pub async fn save_erasure(&self, erasure: &Erasure, lease: Timestamp) -> Result<(), StoreError> {
        let values = [(":lease", n(lease.as_millis()))];
        match self.put_if(erasure.to_item()?, "lu = :lease", &values).await? {
            Recorded::Written => Ok(()),
            Recorded::Superseded => Err(StoreError::Conflict("the erasure")),
        }
    }

    /// Saves that a tenant's erasure is done and sets its name free, both or neither: a worker that came late would take
    /// a new tenant of that name for the old one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody else works on it.
    pub async fn finish_erasure(&self, erasure: &Erasure, lease: Timestamp) -> Result<(), StoreError> {
        let put = Put::builder()
            .table_name(&self.tables.events)
            .set_item(Some(erasure.to_item()?.0))
            .condition_expression("lu = :lease")
            .expression_attribute_values(":lease", n(lease.as_millis()));
        let mut writes = vec![TransactWriteItem::builder().set_put(put.build().ok()).build()];
        for copy in 0..keys::VERSION_COPIES {
            let delete = Delete::builder()
                .table_name(&self.tables.config)
                .set_key(Some(Item::from(&keys::version(&erasure.tenant, copy)).0))
                .condition_expression("er = :erasure")
                .expression_attribute_values(":erasure", s(erasure.id.as_str()));
            writes.push(TransactWriteItem::builder().set_delete(delete.build().ok()).build());
        }
        self.transact(writes, "the erasure").await
    }

    async fn transact(&self, writes: Vec<TransactWriteItem>, what: &'static str) -> Result<(), StoreError> {
        let call = self.client.transact_write_items().set_transact_items(Some(writes));
        match call.send().boxed().await {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => Err(StoreError::Conflict(what)),
            Err(error) => Err(dynamo("TransactWriteItems")(error)),
        }
    }

    /// An erasure by its id.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item cannot be read.
    pub async fn erasure(&self, tenant: &TenantId, id: &ErasureId) -> Result<Option<Erasure>, StoreError> {
        let item = self.get(&self.tables.events, &keys::erasure(tenant, id), true).await?;
        item.as_ref().map(read_erasure).transpose()
    }

    /// Erasures that were asked for in a tenant, newest first, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn erasures(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<Erasure>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.events)
            .key_condition_expression("pk = :pk AND sk < :after")
            .filter_expression("#ttl > :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":pk", s(keys::erasures_partition(tenant)))
            .expression_attribute_values(":after", s(after.unwrap_or("~")))
            .expression_attribute_values(":now", n(now.as_secs()))
            .scan_index_forward(false)
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX));
        page_of(self.query_unchecked(query, limit + 1).await?, limit, read_erasure)
    }
}
