//! A look at a message before its attempt: what its record, its endpoint and its event say. What is not to be attempted now
//! is written down or comes again; what waits for its endpoint waits in the table. Never attempts and never counts one.

use std::sync::Arc;

use futures_util::FutureExt as _;
use redial_domain::Timestamp;
use redial_domain::delivery::{DeadReason, DeliveryState};
use redial_domain::endpoint::EndpointState;
use redial_domain::hold;
use redial_platform::batch::{Record, Verdict};
use redial_platform::message::DeliveryMessage;
use redial_platform::metrics::Metric;
use redial_platform::notices::{self, Notice};
use redial_platform::pace::{self, Pace};
use redial_platform::store::StoreError;
use redial_platform::store::config::{StoredEndpoint, TenantConfig};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};

use crate::deliver::{Fault, Job};
use crate::{Batch, Dispatcher};

/// A message that comes more than this before its time is sent back to wait, in milliseconds.
const EARLY_MS: i64 = 1_000;
/// Age of an event from which on even a first message is looked up: the sweeper may have sent another one.
const LATE_MS: i64 = redial_platform::store::erase::UNCHECKED_MS;
/// When a message comes again that could not be set aside, because another one of its delivery is being worked on, in
/// milliseconds: that one's claim is over then (the longest timeout of a request, and a margin).
const CLAIMED_WAIT_MS: i64 = 60_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What a look at record, endpoint and event says.
pub(crate) enum Look {
    /// Nothing to do, now or ever, or it is written down already.
    Settled(Verdict),
    /// To be attempted.
    Attempt(Box<Job>),
}

impl Dispatcher {
    /// Reads what must be read: nothing but the cached endpoint for a message that comes for the first time.
    pub(crate) async fn look(
        &self,
        received: &Record,
        mut message: DeliveryMessage,
        batch: &Batch,
    ) -> Result<Look, Fault> {
        let now = self.clock.now();
        let late = now.millis_since(message.accepted_at()) > LATE_MS;
        let may_be_known = message.check || late || received.receive_count > 1 || !self.is_first_queue(received);
        let known = self.known(&message, may_be_known).await?;
        message.probe &= known.as_ref().is_some_and(is_under_way);
        let early = known.as_ref().and_then(|known| settled(known, now));
        if let Some(Verdict::Done) = early {
            return Ok(Look::Settled(Verdict::Done));
        }
        let Some(config) = self.config(&message).await? else {
            return Ok(Look::Settled(Verdict::Done));
        };
        let stored = config.endpoint(&message.endpoint).cloned();
        let waits = stored.as_ref().and_then(|stored| waits_for(stored, &message));
        if let (Some(early), Some(_), None) = (early, &stored, waits) {
            return Ok(Look::Settled(early));
        }
        let Some(content) = batch.contents.of(&message, &self.store, now).await? else {
            let missing = self.event_missing(known, &message, stored.as_deref(), batch);
            let missing = missing.boxed().await?;
            return Ok(Look::Settled(missing));
        };
        let released = known.as_ref().is_some_and(was_released);
        let mut record = known.unwrap_or_else(|| {
            let expires_at = expires_at(&config, &message);
            DeliveryRecord::new(&message, content.event_type.clone(), DeliveryState::Queued, expires_at)
        });
        record.traceparent = record.traceparent.or_else(|| message.traceparent.clone());
        record.agent = record.agent.or_else(|| content.agent.clone());
        let Some(stored) = stored else {
            let canceled = (DeliveryState::Canceled, "endpoint_deleted");
            return Ok(Look::Settled(self.set_aside(record, canceled, batch).boxed().await?));
        };
        if let Some(reason) = waits {
            let held = (DeliveryState::Held, reason);
            return Ok(Look::Settled(self.set_aside(record, held, batch).boxed().await?));
        }
        Ok(Look::Attempt(Box::new(Job {
            pace: Pace::of(&config, &stored, now),
            message,
            record,
            stored,
            content,
            message_id: received.message_id.clone(),
            analysis_url: config.tenant.analysis_url.clone(),
            shared: may_be_known,
            released,
        })))
    }

    async fn known(&self, message: &DeliveryMessage, may_be: bool) -> Result<Option<DeliveryRecord>, StoreError> {
        if !may_be {
            return Ok(None);
        }
        let (tenant, delivery) = (&message.tenant, message.delivery());
        self.store
            .delivery(tenant, &delivery, message.accepted_at(), message.shards)
            .await
    }

    /// The configuration that a message is delivered by. `None`: its tenant was erased, with everything that was written
    /// down of it; nothing is any more, also if another has its name now.
    async fn config(&self, message: &DeliveryMessage) -> Result<Option<Arc<TenantConfig>>, StoreError> {
        let mut config = self.cache.recent(&message.tenant, message.endpoint_version).await?;
        if config.as_deref().is_some_and(|config| is_held_by(config, message)) {
            // A copy that is seconds old must not hold what was resumed meanwhile: nothing would release it again.
            config = self.cache.current(&message.tenant).await?;
        }
        Ok(config.filter(|config| !config.tenant.is_younger_than(message.accepted_at())))
    }

    /// True if the record comes from the delivery queue, where a first attempt needs no look at the table.
    fn is_first_queue(&self, received: &Record) -> bool {
        self.queues.is_delivery(&received.queue_arn)
    }

    async fn event_missing(
        &self,
        known: Option<DeliveryRecord>,
        message: &DeliveryMessage,
        stored: Option<&StoredEndpoint>,
        batch: &Batch,
    ) -> Result<Verdict, Fault> {
        let (tenant, traceparent) = (&message.tenant, message.traceparent.as_deref());
        tracing::warn!(%tenant, delivery = %message.delivery(), traceparent, "dispatcher.event_missing");
        let Some(mut record) = known else {
            // Neither event nor record: the retention has passed over both.
            return Ok(Verdict::Done);
        };
        let kept = stored.map(|stored| stored.endpoint.settings.dead_letter);
        record.die(DeadReason::EventMissing, kept.unwrap_or_default(), self.clock.now());
        if self.store.record_state(&record).await? == Recorded::Written {
            batch.recorder.count(Metric::Dead, 1);
            let dead = Notice::DeliveryDead(&record, stored.map(|stored| &stored.endpoint));
            self.notifier.tell(&dead).await;
        }
        Ok(Verdict::Done)
    }

    /// Writes down a state that no attempt led to, and lets the message go: what is held keeps the time of its next attempt.
    /// If another message's attempt at it is under way, this one comes again when that must be over: it would lift the
    /// other's claim, and have it sent twice.
    async fn set_aside(
        &self,
        mut record: DeliveryRecord,
        (state, reason): (DeliveryState, &str),
        batch: &Batch,
    ) -> Result<Verdict, Fault> {
        let now = self.clock.now();
        record.state = state;
        record.reason = Some(reason.to_owned());
        record.held_at = (state == DeliveryState::Held).then_some(now);
        record.next_at = record.next_at.filter(|_| state == DeliveryState::Held);
        record.due_at = None;
        if self.store.record_wait(&record, now, None).await? == Recorded::Superseded {
            // Or it knows better already: the message that comes again finds out.
            return Ok(Verdict::AgainAt(now.plus_millis(CLAIMED_WAIT_MS)));
        }
        if state == DeliveryState::Held {
            batch.recorder.count(Metric::Held, 1);
        }
        let (tenant, traceparent) = (&record.tenant, record.traceparent.as_deref());
        tracing::info!(%tenant, delivery = %record.id, state = state.as_str(), reason, traceparent, "dispatcher.set_aside");
        Ok(Verdict::Done)
    }
}

/// What a record says of a message that comes again: nothing to do, or not yet.
pub(crate) fn settled(known: &DeliveryRecord, now: Timestamp) -> Option<Verdict> {
    match (known.state, known.next_at) {
        (DeliveryState::Succeeded | DeliveryState::Dead | DeliveryState::Canceled | DeliveryState::Held, _) => {
            Some(Verdict::Done)
        }
        (DeliveryState::Retrying | DeliveryState::Queued, Some(next_at)) if next_at.millis_since(now) > EARLY_MS => {
            Some(Verdict::AgainAt(next_at))
        }
        _ => None,
    }
}

/// True for a record that a release has sent from the table, no attempt made yet: it was held for its endpoint, or is of an
/// operational event, which only the sweeper sends. One that burnt receives had set aside says so in its reason.
fn was_released(known: &DeliveryRecord) -> bool {
    let meant_to_wait =
        |reason: &str| [pace::REASON, notices::REASON, hold::REASON, hold::REASON_STALLED].contains(&reason);
    known.attempts == 0 && known.due_at.is_some() && known.reason.as_deref().is_none_or(meant_to_wait)
}

/// True for a record that was sent from the table, and nothing has come of it. The message of a probe stays one in the queue
/// when its attempt has failed and it waits there for the next: that is an attempt as any other.
fn is_under_way(known: &DeliveryRecord) -> bool {
    known.state == DeliveryState::Queued && known.due_at.is_some()
}

/// Why a message's delivery waits for its endpoint; `None`: it does not. A probe does not wait for one that fails.
fn waits_for(stored: &StoredEndpoint, message: &DeliveryMessage) -> Option<&'static str> {
    match stored.endpoint.state {
        EndpointState::Active => (stored.hold.is_some() && !message.probe).then_some(hold::REASON),
        EndpointState::Inactive => Some("endpoint_inactive"),
        EndpointState::Paused => Some("endpoint_paused"),
        EndpointState::Disabled => Some("endpoint_disabled"),
    }
}

fn is_held_by(config: &TenantConfig, message: &DeliveryMessage) -> bool {
    let stored = config.endpoint(&message.endpoint);
    stored.is_some_and(|stored| waits_for(stored, message).is_some())
}

fn expires_at(config: &TenantConfig, message: &DeliveryMessage) -> Timestamp {
    let days = config.tenant.retention_days;
    message.accepted_at().plus_millis(i64::from(days) * DAY_MS)
}
