//! What is due: held deliveries whose time has come, deliveries that were sent from the table and never recorded, replay
//! jobs whose worker stopped. Each is marked before it is sent, so a crash in between is due again by itself.

use redial_domain::delivery::DeliveryState;
use redial_domain::{ErasureId, ReplayId, TenantId, Timestamp};
use redial_platform::keys;
use redial_platform::message::{DeliveryMessage, ReplayMessage};
use redial_platform::pace;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::due::Due;
use redial_platform::store::erasures::ErasureState;

use crate::repair::BEHIND;
use crate::{Summary, SweepError, Sweeper};

/// Items of one page.
const PAGE: usize = 100;
/// Pages of one partition in one pass; the next pass takes the rest.
const MAX_PAGES: usize = 50;
/// How long a delivery sent from the table may be under way before it is sent again, in milliseconds.
const SENT_LEASE_MS: i64 = 900_000;
/// How long a replay job is left alone after its worker was called, in milliseconds.
const JOB_LEASE_MS: i64 = 300_000;

/// Under which circumstances an item is moved on.
#[derive(Debug, Clone, Copy)]
struct Turn {
    now: Timestamp,
    /// The queue is behind: what was sent may still wait there.
    behind: bool,
    /// The moment that its endpoint's rate limit keeps for it.
    slot: Option<Timestamp>,
}

impl Sweeper {
    /// Sends what is due in every partition. One that fails stops no other; the first error is the answer.
    pub(crate) async fn send_due(&self, summary: &mut Summary) -> Result<(), SweepError> {
        let now = self.clock.now();
        let behind = self.queues.delivery_backlog().await? > BEHIND;
        let mut first = Ok(());
        for partition in keys::due_partitions() {
            if let Err(error) = self.send_partition(&partition, now, behind, summary).await {
                tracing::error!(partition, %error, "sweeper.due_failed");
                first = first.and(Err(error));
            }
        }
        first
    }

    async fn send_partition(
        &self,
        partition: &str,
        now: Timestamp,
        behind: bool,
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let page = self.store.due(partition, now, PAGE, after).await?;
            summary.faults += page.unreadable;
            self.send_page(page.items, now, behind, summary).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Sends a page. What was marked before an error is sent all the same: it would wait for the end of its lease.
    async fn send_page(
        &self,
        due: Vec<Due>,
        now: Timestamp,
        behind: bool,
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        let mut messages = Vec::new();
        let mut moved_on = Ok(());
        let mut slots = self.slots(&due, now).await;
        for (place, item) in due.into_iter().enumerate() {
            let turn = Turn {
                now,
                behind,
                slot: slots.remove(&place),
            };
            moved_on = self.move_on(item, turn, &mut messages, summary).await;
            if moved_on.is_err() {
                break;
            }
        }
        self.queues.send_deliveries(&messages, now).await?;
        summary.sent += messages.len() as u64;
        moved_on
    }

    async fn move_on(
        &self,
        item: Due,
        turn: Turn,
        messages: &mut Vec<DeliveryMessage>,
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        let now = turn.now;
        match item {
            Due::Delivery(record) => {
                let waits_since = record.due_at.filter(|_| !record.state.is_final());
                let late_ms = waits_since.map_or(0, |due_at| now.millis_since(due_at));
                summary.due_lag_ms = summary.due_lag_ms.max(late_ms);
                messages.extend(self.release(*record, turn).await?);
            }
            Due::Job(tenant, replay) => match self.continue_job(&tenant, &replay, now).await {
                Err(SweepError::Store(error)) if error.is_unreadable() => {
                    tracing::error!(%tenant, %replay, %error, "sweeper.job_unreadable");
                    summary.faults += 1;
                }
                continued => summary.continued += u64::from(continued?),
            },
            Due::Erasure(tenant, erasure) => match self.continue_erasure(&tenant, &erasure, now).await {
                Err(SweepError::Store(error)) if error.is_unreadable() => {
                    tracing::error!(%tenant, %erasure, %error, "sweeper.erasure_unreadable");
                    summary.faults += 1;
                }
                continued => summary.continued += u64::from(continued?),
            },
        }
        Ok(())
    }

    async fn continue_erasure(&self, tenant: &TenantId, id: &ErasureId, now: Timestamp) -> Result<bool, SweepError> {
        let Some(mut erasure) = self.store.erasure(tenant, id).await? else {
            return Ok(false);
        };
        let lease = erasure.lease_until;
        if erasure.is_done() || lease > now {
            return Ok(false);
        }
        erasure.state = ErasureState::Pending;
        erasure.lease_until = now.plus_millis(JOB_LEASE_MS);
        match self.store.save_erasure(&erasure, lease).await {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let message = ReplayMessage {
            tenant: tenant.clone(),
            replay: id.as_job(),
        };
        self.queues.send_replay(&message).await?;
        Ok(true)
    }

    /// Marks a due delivery as sent and makes its message; `None` if somebody else has moved it on, it is final, or its slot
    /// is too far to be waited for in the queue: then it goes on waiting here.
    async fn release(&self, before: DeliveryRecord, turn: Turn) -> Result<Option<DeliveryMessage>, StoreError> {
        let Turn { now, behind, slot } = turn;
        if let Some(slot) = slot.filter(|slot| pace::is_beyond(*slot, now)) {
            let waits = DeliveryRecord {
                next_at: Some(slot),
                due_at: Some(pace::due_at(slot, now)),
                ..before.clone()
            };
            return self.store.record_if_unchanged(&before, &waits).await.map(|_| None);
        }
        let due_at = (!before.state.is_final()).then(|| now.plus_millis(SENT_LEASE_MS));
        let state = if before.state.is_final() {
            before.state
        } else {
            DeliveryState::Queued
        };
        let after = DeliveryRecord {
            state,
            due_at,
            next_at: None,
            ..before.clone()
        };
        let marked = self.store.record_if_unchanged(&before, &after).await?;
        // One that was sent already may still wait in a queue that is behind: it gets more time, no second message.
        let waits = behind && before.state == DeliveryState::Queued;
        Ok(
            (marked == Recorded::Written && !state.is_final() && !waits).then(|| DeliveryMessage {
                slot_ms: slot.map(Timestamp::as_millis),
                ..message_of(&after)
            }),
        )
    }

    async fn continue_job(&self, tenant: &TenantId, replay: &ReplayId, now: Timestamp) -> Result<bool, SweepError> {
        let Some(mut job) = self.store.job(tenant, replay).await? else {
            return Ok(false);
        };
        let lease = job.lease_until;
        if job.is_finished() || lease > now {
            return Ok(false);
        }
        // Pending, not running: whoever gets the message takes it at once.
        job.state = redial_platform::store::replays::JobState::Pending;
        job.lease_until = now.plus_millis(JOB_LEASE_MS);
        match self.store.save_job(&job, lease).await {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let message = ReplayMessage {
            tenant: tenant.clone(),
            replay: replay.clone(),
        };
        self.queues.send_replay(&message).await?;
        Ok(true)
    }
}

/// The message of a recorded delivery: the dispatcher reads the record first, and the event for its content.
pub(crate) fn message_of(record: &DeliveryRecord) -> DeliveryMessage {
    DeliveryMessage {
        tenant: record.tenant.clone(),
        event: record.id.event.clone(),
        accepted_at_ms: record.accepted_at.as_millis(),
        shards: record.shards,
        endpoint: record.id.endpoint.clone(),
        // The dispatcher's copy is at most seconds old: as good as any version this record could name.
        endpoint_version: 0,
        replay: record.id.replay.clone(),
        check: true,
        content: None,
        traceparent: record.traceparent.clone(),
        slot_ms: None,
    }
}
