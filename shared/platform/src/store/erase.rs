//! Erasing: an event becomes a tombstone, a call is forgotten, and of a tenant nothing stays. Every step may be repeated, by
//! whoever comes after a crash, and by the look that follows once nothing can be under way any more. Decides nothing about
//! who may; never reads a payload.

use std::collections::BTreeMap;

use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::MAX_TIMEOUT_MS;
use redial_domain::{DeliveryId, ErasureId, TenantId, Timestamp};

use super::calls::read_call;
use super::deliveries::{DeliveryRecord, Recorded, read_delivery};
use super::erasures::Found;
use super::events::StoredEvent;
use super::sweep::CallEvent;
use super::{Store, StoreError, n, s};
use crate::item::Item;
use crate::keys::{self, Key};

/// Age of an event up to which a first message is delivered without a look at its record, in milliseconds: what is canceled
/// meanwhile may still leave.
pub const UNCHECKED_MS: i64 = 240_000;
/// Age of an event up to which such an attempt may be under way, in milliseconds: it may begin in the last of these moments,
/// and takes its endpoint's timeout, what is written before and after it, and the difference of two clocks.
const UNDER_WAY_MS: i64 = UNCHECKED_MS + 2 * MAX_TIMEOUT_MS as i64;
/// Why an erased delivery is canceled.
pub const REASON: &str = "erased";
/// Times a delivery is looked at again because somebody wrote it meanwhile.
const ROUNDS: usize = 8;

/// What is known of a delivery that is to be erased.
pub(super) struct Standing {
    pub(super) id: DeliveryId,
    pub(super) key: Key,
    /// Its record, if it has one.
    pub(super) item: Option<Item>,
}

impl Standing {
    fn state(&self) -> Option<DeliveryState> {
        let state = self.item.as_ref().and_then(|item| item.get_text("st"));
        state.and_then(DeliveryState::parse)
    }

    pub(super) fn is_final(&self) -> bool {
        self.state().is_some_and(DeliveryState::is_final)
    }

    /// True if an attempt may be under way that does not look at the record again.
    pub(super) fn may_leave(&self, event: &StoredEvent, now: Timestamp) -> bool {
        match &self.item {
            None => self.id.replay.is_none() && now.millis_since(event.accepted_at) <= UNDER_WAY_MS,
            Some(item) => item.get_moment("cl").is_some_and(|until| until > now),
        }
    }

    /// True if an erasure has been here, and nobody since.
    fn is_erased(&self) -> bool {
        self.item.as_ref().is_some_and(|item| item.has_flag("er"))
    }
}

impl Store {
    /// Makes a tombstone of an event: its content and everything personal is gone, what waits is canceled, what receivers
    /// answered is gone. Records of deliveries that came to an end keep their state, for the ledger.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails; [`StoreError::Conflict`] if others kept writing its deliveries. Repeating it helps.
    pub async fn erase_event(&self, event: &StoredEvent, by: &ErasureId, now: Timestamp) -> Result<Found, StoreError> {
        if event.erased.is_none() {
            let tombstone = event.tombstone(now, by)?;
            let same = [(":at", n(event.accepted_at.as_millis()))];
            // Of two erasures at once the first is the one that it names.
            let condition = "#at = :at AND attribute_not_exists(er)";
            // The row first: without its call nobody could find it.
            if event.own_id {
                self.put_if(tombstone.to_time_row(), "attribute_exists(pk)", &[])
                    .await?;
            }
            self.put_if(tombstone.to_item(), condition, &same).await?;
        }
        let found = self.cancel_deliveries(event, now).await?;
        let attempts = self
            .keys_of(&keys::attempts_partition(&event.tenant, &event.id))
            .await?;
        self.delete_all(&self.tables.events, &attempts).await?;
        Ok(found)
    }

    async fn cancel_deliveries(&self, event: &StoredEvent, now: Timestamp) -> Result<Found, StoreError> {
        let mut found = Found {
            events: 1,
            ..Found::default()
        };
        let mut left = self.deliveries_of(event).await?;
        for _ in 0..ROUNDS {
            let standings = self.standings(event, std::mem::take(&mut left)).await?;
            for standing in standings {
                if !self.cancel(event, &standing, now, &mut found).await? {
                    left.push(standing.id);
                }
            }
            if left.is_empty() {
                return Ok(found);
            }
        }
        Err(StoreError::Conflict("a delivery of the event"))
    }

    /// Erases what a delivery's record says; false if somebody else has written it since it was read.
    async fn cancel(
        &self,
        event: &StoredEvent,
        standing: &Standing,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<bool, StoreError> {
        let may_leave = !standing.is_final() && standing.may_leave(event, now);
        let Some(item) = &standing.item else {
            let record = canceled(event, standing.id.clone());
            let item = record.to_item().flag("er", true).flag("ml", may_leave);
            let written = self.put_if(item, "attribute_not_exists(pk)", &[]).await?;
            found.count(standing, written == Recorded::Written, may_leave);
            return Ok(written == Recorded::Written);
        };
        if standing.is_erased() {
            let canceled = item.get_text("rs") == Some(REASON);
            found.count(standing, canceled, canceled && item.has_flag("ml"));
            return Ok(true);
        }
        let item = &Item::stored(item.0.clone())?;
        let mut record = match read_delivery(item) {
            Err(StoreError::Corrupt(error)) => {
                tracing::error!(%error, tenant = %event.tenant, "erasure.delivery_unreadable");
                return self.replace(event, standing, may_leave, found).await;
            }
            record => record?,
        };
        let before = [
            (":st", s(record.state.as_str())),
            (":n", n(record.attempts.into())),
            (":cl", n(item.get_number("cl").unwrap_or_default())),
        ];
        let condition = match item.get_number("cl") {
            Some(_) => "st = :st AND n = :n AND cl = :cl",
            None => "st = :st AND n = :n AND attribute_not_exists(cl)",
        };
        let values = &before[..if item.get_number("cl").is_some() { 3 } else { 2 }];
        let waits = !record.state.is_final();
        if waits {
            record.state = DeliveryState::Canceled;
            record.reason = Some(REASON.to_owned());
        }
        record.next_at = None;
        record.due_at = None;
        record.traceparent = None;
        record.agent = None;
        if let Some(last) = &mut record.last {
            last.response.clear();
        }
        let item = record.to_item().flag("er", true).flag("ml", may_leave);
        let written = self.put_if(item, condition, values).await? == Recorded::Written;
        found.count(standing, written && waits, may_leave && written);
        Ok(written)
    }

    /// Puts a record in place of one that is damaged: what it said is gone, and what waited is canceled.
    async fn replace(
        &self,
        event: &StoredEvent,
        standing: &Standing,
        may_leave: bool,
        found: &mut Found,
    ) -> Result<bool, StoreError> {
        let mut record = canceled(event, standing.id.clone());
        let waits = !standing.is_final();
        if !waits {
            record.state = standing.state().unwrap_or(record.state);
            record.reason = None;
        }
        let item = record.to_item().flag("er", true).flag("ml", may_leave);
        let written = self.put_if(item, "attribute_exists(pk)", &[]).await? == Recorded::Written;
        found.count(standing, written && waits, may_leave && written);
        Ok(written)
    }

    /// The deliveries of an event, those of replays too: as far as keys name them.
    pub(super) async fn deliveries_of(&self, event: &StoredEvent) -> Result<Vec<DeliveryId>, StoreError> {
        let replayed = keys::replayed_partition(&event.tenant, &event.id);
        let replayed = self.keys_of(&replayed).await?;
        let replayed = replayed.iter().filter_map(|key| keys::replayed_of(&key.sk));
        let mut ids: Vec<DeliveryId> = replayed
            .map(|(endpoint, replay)| DeliveryId {
                event: event.id.clone(),
                endpoint,
                replay: Some(replay),
            })
            .collect();
        ids.extend(event.matched.iter().map(|endpoint| DeliveryId {
            event: event.id.clone(),
            endpoint: endpoint.clone(),
            replay: None,
        }));
        Ok(ids)
    }

    /// Their records, of whatever form they are.
    pub(super) async fn standings(
        &self,
        event: &StoredEvent,
        ids: Vec<DeliveryId>,
    ) -> Result<Vec<Standing>, StoreError> {
        let key = |id: &DeliveryId| keys::delivery(&event.tenant, id, event.accepted_at, event.shards);
        let ids: BTreeMap<Key, DeliveryId> = ids.into_iter().map(|id| (key(&id), id)).collect();
        let sought: Vec<Key> = ids.keys().cloned().collect();
        let items = self.get_all_unchecked(&self.tables.events, &sought, true).await?;
        let mut items: BTreeMap<Key, Item> = items.into_iter().map(|item| (item.key(), item)).collect();
        let standings = ids.into_iter().map(|(key, id)| Standing {
            id,
            item: items.remove(&key),
            key,
        });
        Ok(standings.collect())
    }

    /// Takes events out of what is noted of a call: all but those to `keep`.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or a row cannot be read.
    pub async fn forget_call(
        &self,
        tenant: &TenantId,
        call_id: &str,
        keep: impl Fn(&CallEvent) -> bool + Send,
    ) -> Result<(), StoreError> {
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        let query = self.partition(&self.tables.events, &keys::call_partition(tenant, call_id), " ", "~");
        for row in self.query_all(query.consistent_read(true), usize::MAX).await? {
            let noted = read_call(&row)?;
            let left: Vec<String> = noted
                .iter()
                .filter(|event| keep(event))
                .map(ToString::to_string)
                .collect();
            if left.is_empty() {
                gone.push(row.key());
            } else if left.len() < noted.len() {
                kept.push(row.texts("ev", left));
            }
        }
        self.put_all(&self.tables.events, kept).await?;
        self.delete_all(&self.tables.events, &gone).await
    }

    /// The primary keys of a partition of the table `events`.
    pub(super) async fn keys_of(&self, partition: &str) -> Result<Vec<Key>, StoreError> {
        self.keys_between(partition, " ", usize::MAX).await
    }

    pub(super) async fn keys_between(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<Key>, StoreError> {
        let query = self
            .partition(&self.tables.events, partition, from, "~")
            .projection_expression("pk, sk")
            .consistent_read(true);
        let query = match i32::try_from(limit) {
            Ok(limit) => query.limit(limit),
            Err(_) => query,
        };
        Ok(self.query_all(query, limit).await?.iter().map(Item::key).collect())
    }
}

impl Found {
    pub(super) fn count(&mut self, standing: &Standing, canceled: bool, may_leave: bool) {
        self.canceled += u64::from(canceled);
        if may_leave {
            self.may_leave(standing.id.clone());
        }
    }
}

/// The record of a delivery that nobody has recorded.
fn canceled(event: &StoredEvent, id: DeliveryId) -> DeliveryRecord {
    DeliveryRecord {
        tenant: event.tenant.clone(),
        id,
        accepted_at: event.accepted_at,
        shards: event.shards,
        event_type: event.event_type.clone(),
        state: DeliveryState::Canceled,
        attempts: 0,
        last: None,
        reason: Some(REASON.to_owned()),
        next_at: None,
        due_at: None,
        held_at: None,
        expires_at: event.expires_at,
        dropped: false,
        redriven: None,
        agent: None,
        traceparent: None,
    }
}
