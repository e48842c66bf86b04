//! Finds what a crash left unsent: events older than a few minutes whose deliveries have no record. Looks at tenants that
//! were active, from where the last pass stopped; on the way it notes which events belong to a call.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::future::join_all;
use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, TenantId, Timestamp, hold};
use redial_platform::keys::{self, Key};
use redial_platform::message::DeliveryMessage;
use redial_platform::store::StoreError;
use redial_platform::store::config::{Change, Tenant, TenantConfig};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::erase;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::sweep::{CallEvent, SweepMark};

use crate::pass::Pass;
use crate::release::message_of;
use crate::{Summary, SweepError, Sweeper};

/// Messages waiting in the delivery queue beyond which it is behind: a missing record then means nothing.
pub(crate) const BEHIND: u64 = 20_000;
/// Events of one shard that are looked at in one step.
const STEP: usize = 1_000;
/// Deliveries without a record that are made up for at the same time.
const AT_ONCE: usize = 32;
/// Deliveries of one portion of a step: what is written for each takes some seconds at most.
const PORTION: usize = 2_000;
/// Events a second and shard beyond which a tenant's shards are doubled.
const CROWDED_PER_S: u64 = 400;

/// What was made up for a delivery without a record.
enum MadeUp {
    /// It is to be sent.
    Message(Box<DeliveryMessage>),
    /// It was set aside.
    Held,
    /// Its event was never stored: the row that said so is gone.
    Removed,
    /// It is recorded, or needs nothing.
    Nothing,
}

/// Events in order of time, in portions of so many deliveries that the pass looks at its time in between, none of which ends
/// within a millisecond; each with the moment before which everything is settled then.
fn portions(events: &[StoredEvent], reached: Timestamp) -> Vec<(&[StoredEvent], Timestamp)> {
    let (mut portions, mut first, mut deliveries) = (Vec::new(), 0, 0);
    for (place, event) in events.iter().enumerate() {
        let begins = place > first && events[place - 1].accepted_at < event.accepted_at;
        if begins && deliveries >= PORTION {
            portions.push((&events[first..place], event.accepted_at));
            (first, deliveries) = (place, 0);
        }
        deliveries += event.matched.len();
    }
    portions.push((&events[first..], reached));
    portions
}

impl Sweeper {
    /// Looks through a tenant's events that were accepted since the last pass, as far as this one has time.
    pub(crate) async fn repair_tenant(
        &self,
        config: &TenantConfig,
        mark: &mut SweepMark,
        pass: Pass,
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        let tenant = &config.tenant;
        let (mut seen, began) = (0, mark.repaired);
        while mark.repaired < pass.until && !pass.is_late(&self.clock) {
            let (mut events, reached) = self.step(tenant, mark.repaired, pass.until, true).await?;
            events.sort_by_key(|event| event.accepted_at);
            for (portion, settled) in portions(&events, reached) {
                if pass.is_late(&self.clock) {
                    break;
                }
                seen += portion.len() as u64;
                self.send_missing(config, portion, summary).await?;
                redial_platform::failpoint::hit("sweeper.before_mark");
                self.note_calls(&tenant.id, portion).await?;
                mark.repaired = settled;
                self.store.put_sweep_mark(&tenant.id, *mark).await?;
            }
        }
        if let Err(error) = self.widen(config, seen, mark.repaired.millis_since(began)).await {
            tracing::error!(%error, tenant = %tenant.id, "sweeper.not_widened");
        }
        Ok(())
    }

    /// The next step of a tenant's events, of all shards, and up to when these are all.
    pub(crate) async fn step(
        &self,
        tenant: &Tenant,
        since: Timestamp,
        until: Timestamp,
        consistent: bool,
    ) -> Result<(Vec<StoredEvent>, Timestamp), StoreError> {
        let (mut events, mut reached) = (Vec::new(), until);
        for shard in 0..tenant.shards {
            let (page, until) = self.next_events(&tenant.id, shard, since, reached, consistent).await?;
            reached = until;
            events.extend(page);
        }
        events.retain(|event: &StoredEvent| event.accepted_at < reached);
        Ok((events, reached))
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
        let mut missing = expected;
        missing.retain(|(_, _, key)| !recorded.contains(key));
        for some in missing.chunks(AT_ONCE) {
            let mut made = Vec::with_capacity(some.len());
            for (event, id, _) in some {
                made.push(self.make_up(config, event, id));
            }
            for made in join_all(made).await {
                match made? {
                    MadeUp::Message(message) => messages.push(*message),
                    MadeUp::Held => summary.held += 1,
                    MadeUp::Removed => summary.removed += 1,
                    MadeUp::Nothing => {}
                }
            }
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

    /// Makes up for a delivery without a record. A time row without its event is removed.
    async fn make_up(&self, config: &TenantConfig, event: &StoredEvent, id: &DeliveryId) -> Result<MadeUp, StoreError> {
        if event.own_id {
            let now = self.clock.now();
            let stored = self.store.event_or_tombstone(&event.tenant, &event.id, now).await?;
            match stored.filter(|stored| stored.accepted_at == event.accepted_at) {
                Some(stored) if stored.matched.contains(&id.endpoint) => {}
                Some(_) => return Ok(MadeUp::Nothing),
                None => {
                    self.store.delete_time_row(event).await?;
                    return Ok(MadeUp::Removed);
                }
            }
        }
        self.missing(config, event, id).await
    }

    /// What becomes of a delivery without a record: sent if its endpoint takes it, otherwise written down.
    async fn missing(&self, config: &TenantConfig, event: &StoredEvent, id: &DeliveryId) -> Result<MadeUp, StoreError> {
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
            id: id.clone(),
            accepted_at: event.accepted_at,
            shards: event.shards,
            event_type: event.event_type.clone(),
            state,
            attempts: 0,
            last: None,
            reason: Some(reason),
            next_at: None,
            due_at: None,
            held_at: (state == DeliveryState::Held).then(|| self.clock.now()),
            expires_at: event.expires_at,
            dropped: false,
            redriven: None,
            agent: event.agent.clone(),
            traceparent: None,
        };
        if state == DeliveryState::Queued {
            return Ok(MadeUp::Message(Box::new(message_of(&record))));
        }
        let recorded = self.store.record_state(&record).await?;
        let is_held = state == DeliveryState::Held && recorded == Recorded::Written;
        Ok(if is_held { MadeUp::Held } else { MadeUp::Nothing })
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
