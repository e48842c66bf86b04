//! Finds what a crash left unsent: events older than a few minutes whose deliveries have no record. Looks at tenants that
//! were active, from where the last pass stopped; on the way it notes which events belong to a call.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, TenantId, Timestamp, hold};
use redial_platform::keys::{self, HOUR_MS, Key};
use redial_platform::message::DeliveryMessage;
use redial_platform::store::StoreError;
use redial_platform::store::config::{Change, TenantConfig};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::erase;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::sweep::{CallEvent, SweepMark};

use crate::release::message_of;
use crate::rollup::Balance;
use crate::{Summary, SweepError, Sweeper};

/// Age at which an event's deliveries are expected to have a record, in milliseconds.
const SETTLE_MS: i64 = redial_platform::store::ledger::SETTLE_MS;
/// Messages waiting in the delivery queue beyond which it is behind: a missing record then means nothing.
pub(crate) const BEHIND: u64 = 20_000;
/// Events of one shard that are looked at in one step.
const STEP: usize = 1_000;
/// Time of one pass, in milliseconds: well within the function's timeout. The next pass goes on.
const BUDGET_MS: i64 = 60_000;
/// Hours that a stopped sweeper looks back.
const LOOK_BACK_HOURS: i64 = redial_platform::store::ledger::LOOK_BACK_HOURS;
/// Events a second and shard beyond which a tenant's shards are doubled.
const CROWDED_PER_S: u64 = 400;

/// What is the same for every tenant of a pass.
#[derive(Clone, Copy)]
struct Pass {
    began: Timestamp,
    /// Events accepted before this moment should have records.
    until: Timestamp,
    oldest: Timestamp,
    progress: Timestamp,
    /// The queue is behind: a missing record means nothing.
    behind: bool,
}

impl Sweeper {
    /// Looks at every active tenant; one that fails never stops another.
    pub(crate) async fn repair(&self, summary: &mut Summary) -> Result<(), SweepError> {
        let began = self.clock.now();
        let until = began.plus_millis(-SETTLE_MS);
        let oldest = keys::hour_of(began).plus_millis(-LOOK_BACK_HOURS * HOUR_MS);
        let progress = self.store.sweep_progress().await?.unwrap_or(oldest).max(oldest);
        let mut tenants: BTreeSet<TenantId> = BTreeSet::new();
        let mut hour = progress;
        while hour <= began {
            tenants.extend(self.store.active_tenants(hour).await?);
            hour = hour.plus_millis(HOUR_MS);
        }
        // Also those that are quiet now: their hours are counted again until they balance, or are too old to be.
        let mut unbalanced = self.store.unbalanced(began).await?;
        tenants.extend(unbalanced.keys().cloned());
        let behind = self.queues.delivery_backlog().await? > BEHIND;
        // An hour is swept whole once everything of every tenant before its end is settled.
        let mut whole = if behind { progress } else { keys::hour_of(until) };
        for tenant in &tenants {
            let pass = Pass {
                began,
                until,
                oldest,
                progress,
                behind,
            };
            match self.sweep_tenant(tenant, pass, summary, &mut unbalanced).await {
                Ok(reached) => whole = whole.min(keys::hour_of(reached)),
                Err(error) => {
                    tracing::error!(%error, %tenant, "sweeper.tenant_failed");
                    summary.faults += 1;
                    whole = progress;
                }
            }
        }
        summary.ledger_difference = unbalanced.values().sum();
        if whole > progress {
            self.store.put_sweep_progress(whole).await?;
        }
        Ok(())
    }

    /// One tenant's part of a pass; answers up to when its events are settled.
    async fn sweep_tenant(
        &self,
        tenant: &TenantId,
        pass: Pass,
        summary: &mut Summary,
        unbalanced: &mut BTreeMap<TenantId, u64>,
    ) -> Result<Timestamp, SweepError> {
        let Some(config) = self.store.tenant_config(tenant).await?.map(Arc::new) else {
            self.note_balance(tenant, Balance::default(), unbalanced).await?;
            return Ok(pass.until);
        };
        self.release_forgotten(&config).await?;
        let mark = self.store.sweep_mark(tenant).await?;
        let mut mark = mark.unwrap_or(SweepMark {
            repaired: pass.progress,
            rolled: pass.progress,
        });
        mark.repaired = mark.repaired.max(pass.oldest);
        mark.rolled = mark.rolled.max(pass.oldest);
        if !pass.behind {
            self.repair_tenant(&config, &mut mark, pass, summary).await?;
        }
        if !self.is_late(pass) {
            if let Some(balance) = self.roll_up(&config, &mut mark, pass.behind, summary).await? {
                self.note_balance(tenant, balance, unbalanced).await?;
            }
            self.store.put_sweep_mark(tenant, mark).await?;
        }
        Ok(mark.repaired)
    }

    /// True if a pass has no time for more; the next one goes on.
    fn is_late(&self, pass: Pass) -> bool {
        self.clock.now().millis_since(pass.began) > BUDGET_MS
    }

    async fn repair_tenant(
        &self,
        config: &TenantConfig,
        mark: &mut SweepMark,
        pass: Pass,
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        let tenant = &config.tenant.id;
        let (mut seen, began) = (0, mark.repaired);
        while mark.repaired < pass.until && !self.is_late(pass) {
            let mut reached = pass.until;
            let mut events = Vec::new();
            for shard in 0..config.tenant.shards {
                let (page, until) = self.next_events(tenant, shard, mark.repaired, pass.until, true).await?;
                reached = reached.min(until);
                events.extend(page);
            }
            events.retain(|event| event.accepted_at < reached);
            seen += events.len() as u64;
            self.send_missing(config, &events, summary).await?;
            redial_platform::failpoint::hit("sweeper.before_mark");
            self.note_calls(tenant, &events).await?;
            mark.repaired = reached;
            self.store.put_sweep_mark(tenant, *mark).await?;
        }
        if let Err(error) = self.widen(config, seen, mark.repaired.millis_since(began)).await {
            tracing::error!(%error, %tenant, "sweeper.not_widened");
        }
        Ok(())
    }

    /// The next step of a shard's events, and up to when these are all.
    pub(crate) async fn next_events(
        &self,
        tenant: &TenantId,
        shard: u16,
        since: Timestamp,
        until: Timestamp,
        consistent: bool,
    ) -> Result<(Vec<StoredEvent>, Timestamp), StoreError> {
        let between = |until, limit| {
            self.store
                .events_between(tenant, shard, since, until, limit, consistent)
        };
        let mut page = between(until, STEP).await?;
        let Some(last) = page
            .last()
            .filter(|_| page.len() == STEP)
            .map(|event| event.accepted_at)
        else {
            return Ok((page, until));
        };
        if last == since {
            // More than a step in one millisecond: all of that one.
            let next = since.plus_millis(1);
            return Ok((between(next, usize::MAX).await?, next));
        }
        // The step ends within a millisecond; that one is looked at again.
        page.retain(|event| event.accepted_at < last);
        Ok((page, last))
    }

    /// Sends what is missing of events that were looked at before, and whose messages are lost all the same.
    pub(crate) async fn send_lost(
        &self,
        config: &TenantConfig,
        since: Timestamp,
        until: Timestamp,
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        for shard in 0..config.tenant.shards {
            let mut from = since;
            while from < until {
                let (events, reached) = self.next_events(&config.tenant.id, shard, from, until, true).await?;
                self.send_missing(config, &events, summary).await?;
                from = reached;
            }
        }
        Ok(())
    }

    /// Sends the deliveries of `events` that have no record, marked `check`.
    async fn send_missing(
        &self,
        config: &TenantConfig,
        events: &[StoredEvent],
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        let expected: Vec<(&StoredEvent, DeliveryId, Key)> = events
            .iter()
            .flat_map(|event| event.matched.iter().map(move |endpoint| (event, endpoint)))
            .map(|(event, endpoint)| {
                let id = DeliveryId {
                    event: event.id.clone(),
                    endpoint: endpoint.clone(),
                    replay: None,
                };
                let key = keys::delivery(&event.tenant, &id, event.accepted_at, event.shards);
                (event, id, key)
            })
            .collect();
        // Distinct: two time rows may name one event.
        let wanted: BTreeSet<Key> = expected.iter().map(|(_, _, key)| key.clone()).collect();
        let wanted: Vec<Key> = wanted.into_iter().collect();
        let mut recorded = self.recorded(&wanted, false).await?;
        let missing: Vec<Key> = wanted.into_iter().filter(|key| !recorded.contains(key)).collect();
        // A cheap look first; only what it does not show is read strongly.
        recorded.extend(self.recorded(&missing, true).await?);
        let mut messages = Vec::new();
        for (event, id, _) in expected.into_iter().filter(|(_, _, key)| !recorded.contains(key)) {
            if event.own_id && !self.is_stored(event, &id, summary).await? {
                continue;
            }
            messages.extend(self.missing(config, event, id, summary).await?);
        }
        self.queues.send_deliveries(&messages, self.clock.now()).await?;
        summary.repaired += messages.len() as u64;
        Ok(())
    }

    /// Which of the keys have a record.
    async fn recorded(&self, keys: &[Key], consistent: bool) -> Result<HashSet<Key>, StoreError> {
        let records = self.store.deliveries(keys, consistent).await?;
        Ok(records.iter().map(DeliveryRecord::key).collect())
    }

    /// True if the event of a time row is stored as the row says and matched the delivery's endpoint; a row without its
    /// event is removed.
    async fn is_stored(&self, row: &StoredEvent, id: &DeliveryId, summary: &mut Summary) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let stored = self.store.event_or_tombstone(&row.tenant, &row.id, now).await?;
        match stored {
            Some(event) if event.accepted_at == row.accepted_at => Ok(event.matched.contains(&id.endpoint)),
            _ => {
                self.store.delete_time_row(row).await?;
                summary.removed += 1;
                Ok(false)
            }
        }
    }

    /// What becomes of a delivery without a record: sent if its endpoint takes it, otherwise written down.
    async fn missing(
        &self,
        config: &TenantConfig,
        event: &StoredEvent,
        id: DeliveryId,
        summary: &mut Summary,
    ) -> Result<Option<DeliveryMessage>, StoreError> {
        let stored = config.endpoint(&id.endpoint);
        let (state, reason) = match stored.map(|stored| stored.endpoint.state) {
            _ if event.erased.is_some() => (DeliveryState::Canceled, erase::REASON.to_owned()),
            Some(state) if state.is_on_hold() => (DeliveryState::Held, format!("endpoint_{}", state.as_str())),
            Some(_) if stored.is_some_and(|stored| stored.hold.is_some()) => {
                (DeliveryState::Held, hold::REASON.to_owned())
            }
            Some(_) => (DeliveryState::Queued, String::new()),
            None => (DeliveryState::Canceled, "endpoint_deleted".to_owned()),
        };
        let record = DeliveryRecord {
            tenant: event.tenant.clone(),
            id,
            accepted_at: event.accepted_at,
            shards: event.shards,
            event_type: event.event_type.clone(),
            state,
            attempts: 0,
            last: None,
            reason: Some(reason),
            next_at: None,
            due_at: None,
            expires_at: event.expires_at,
            dropped: false,
            redriven: None,
            agent: event.agent.clone(),
            traceparent: None,
        };
        if state == DeliveryState::Queued {
            return Ok(Some(message_of(&record)));
        }
        let recorded = self.store.record_state(&record).await?;
        summary.held += u64::from(state == DeliveryState::Held && recorded == Recorded::Written);
        Ok(None)
    }

    async fn note_calls(&self, tenant: &TenantId, events: &[StoredEvent]) -> Result<(), StoreError> {
        let mut calls: BTreeMap<String, Vec<CallEvent>> = BTreeMap::new();
        for event in events {
            if let Some(call_id) = &event.call_id {
                let noted = CallEvent {
                    accepted_at: event.accepted_at,
                    event: event.id.clone(),
                };
                calls.entry(call_id.clone()).or_default().push(noted);
            }
        }
        let Some(expires_at) = events.iter().map(|event| event.expires_at).max() else {
            return Ok(());
        };
        self.store.put_calls(tenant, &calls, expires_at).await
    }

    /// Doubles the shards of a tenant whose events crowd them.
    async fn widen(&self, config: &TenantConfig, seen: u64, within_ms: i64) -> Result<(), SweepError> {
        let capacity = u64::from(config.tenant.shards) * CROWDED_PER_S * within_ms.max(1).unsigned_abs() / 1000;
        let wider = config.tenant.shards * 2;
        if within_ms < 1000 || seen <= capacity || wider > redial_domain::id::MAX_SHARDS {
            return Ok(());
        }
        let mut tenant = config.tenant.clone();
        tenant.shards = wider;
        tenant.updated_at = self.clock.now();
        match self
            .store
            .change(&tenant.id, config.version, Change::PutTenant(&tenant))
            .await
        {
            Ok(_) => tracing::info!(tenant = %tenant.id, shards = wider, "sweeper.shards_doubled"),
            // Somebody changed the tenant: the next pass sees the new settings.
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
