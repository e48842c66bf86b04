//! What is due: held deliveries whose time has come, deliveries that were sent from the table and never recorded, replay
//! jobs whose worker stopped. Each is marked before it is sent, so a crash in between is due again by itself.

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
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
/// Items of one partition that are moved on at the same time; all partitions are worked on together.
const AT_ONCE: usize = 8;
/// Time of one pass, in milliseconds, after which no further page is begun: what is repaired after it (60 s,
/// `repair::BUDGET_MS`) comes to its turn within the function's timeout of 120 s. The next pass takes the rest.
const BUDGET_MS: i64 = 45_000;
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

/// What an item that was moved on comes to.
#[derive(Debug, Default)]
struct Moved {
    message: Option<DeliveryMessage>,
    /// A job or an erasure that is continued.
    continued: bool,
    /// It could not be read.
    fault: bool,
    late_ms: i64,
}

impl Moved {
    /// Of a job or an erasure; one that cannot be read is told by `tell` and stops nothing.
    fn continued(continued: Result<bool, SweepError>, tell: impl FnOnce(&StoreError)) -> Result<Self, SweepError> {
        let (continued, fault) = match continued {
            Err(SweepError::Store(error)) if error.is_unreadable() => {
                tell(&error);
                (false, true)
            }
            continued => (continued?, false),
        };
        Ok(Self {
            continued,
            fault,
            ..Self::default()
        })
    }
}

impl Sweeper {
    /// Sends what is due, in all partitions at the same time: a crowded one keeps no other waiting. One that fails stops no
    /// other; the first error is the answer.
    pub(crate) async fn send_due(&self, summary: &mut Summary) -> Result<(), SweepError> {
        let now = self.clock.now();
        let behind = self.queues.delivery_backlog().await? > BEHIND;
        let partitions = keys::due_partitions().map(|partition| async move {
            let mut part = Summary::default();
            let sent = self.send_partition(&partition, now, behind, &mut part).await;
            (partition, part, sent)
        });
        let mut first = Ok(());
        for (partition, part, sent) in join_all(partitions).await {
            summary.add_due(part);
            if let Err(error) = sent {
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
            self.send_page(page.items, behind, summary).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
            if self.clock.now().millis_since(now) > BUDGET_MS {
                break;
            }
        }
        summary.unfinished += 1;
        tracing::warn!(partition, sent = summary.sent, "sweeper.due_unfinished");
        Ok(())
    }

    /// Sends a page. After an error nothing more is begun; what is marked by then is sent all the same: it would wait for
    /// the end of its lease.
    async fn send_page(&self, due: Vec<Due>, behind: bool, summary: &mut Summary) -> Result<(), SweepError> {
        // Of now, not of the pass: how long a message is delayed counts from when it is sent.
        let now = self.clock.now();
        let mut slots = self.slots(&due, now).await;
        let mut messages = Vec::new();
        let mut moved_on = Ok(());
        let mut items = due.into_iter().enumerate().map(|(place, item)| {
            let slot = slots.remove(&place);
            self.move_on(item, Turn { now, behind, slot })
        });
        let mut under_way: FuturesUnordered<_> = items.by_ref().take(AT_ONCE).collect();
        while let Some(moved) = under_way.next().await {
            match moved {
                Ok(moved) => {
                    messages.extend(moved.message);
                    summary.continued += u64::from(moved.continued);
                    summary.faults += u64::from(moved.fault);
                    summary.due_lag_ms = summary.due_lag_ms.max(moved.late_ms);
                }
                Err(error) => moved_on = moved_on.and(Err(error)),
            }
            if moved_on.is_ok() {
                under_way.extend(items.next());
            }
        }
        self.queues.send_deliveries(&messages, now).await?;
        summary.sent += messages.len() as u64;
        moved_on
    }

    async fn move_on(&self, item: Due, turn: Turn) -> Result<Moved, SweepError> {
        let now = turn.now;
        match item {
            Due::Delivery(record) => {
                let waits_since = record.due_at.filter(|_| !record.state.is_final());
                let late_ms = waits_since.map_or(0, |due_at| now.millis_since(due_at));
                Ok(Moved {
                    message: self.release(*record, turn).await?,
                    late_ms,
                    ..Moved::default()
                })
            }
            Due::Job(tenant, replay) => {
                let continued = self.continue_job(&tenant, &replay, now).await;
                Moved::continued(continued, |error| {
                    tracing::error!(%tenant, %replay, %error, "sweeper.job_unreadable");
                })
            }
            // Nothing makes one yet.
            Due::Health(..) => Ok(Moved::default()),
            Due::Erasure(tenant, erasure) => {
                let continued = self.continue_erasure(&tenant, &erasure, now).await;
                Moved::continued(continued, |error| {
                    tracing::error!(%tenant, %erasure, %error, "sweeper.erasure_unreadable");
                })
            }
        }
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
        probe: false,
        content: None,
        traceparent: record.traceparent.clone(),
        slot_ms: None,
    }
}
