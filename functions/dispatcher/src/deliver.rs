//! What happens to one message: is it still to be delivered, to whom, with what, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use redial_domain::Timestamp;
use redial_domain::delivery::{DeadReason, DeliveryState};
use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::event::Content;
use redial_domain::outcome::{FailureCode, Outcome};
use redial_egress::{Exchange, OurFault, Post};
use redial_platform::batch::{Record, Verdict};
use redial_platform::format::NEWER_WAIT_MS;
use redial_platform::message::{DeliveryMessage, Unread};
use redial_platform::metrics::Metric;
use redial_platform::notices::{self, Notice};
use redial_platform::pace;
use redial_platform::seal::Credentials;
use redial_platform::secrets::SecretsError;
use redial_platform::store::StoreError;
use redial_platform::store::config::{StoredEndpoint, TenantConfig};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};

use crate::contents::Contents;
use crate::pace::Turn;
use crate::request::Unsigned;
use crate::{Batch, Dispatcher};

/// A message that comes more than this before its time is sent back to wait, in milliseconds.
const EARLY_MS: i64 = 1_000;
/// Age of an event from which on even a first message is looked up: the sweeper may have sent another one.
const LATE_MS: i64 = redial_platform::store::erase::UNCHECKED_MS;
/// Wait after a fault of our own, in milliseconds: no attempt is counted.
const OUR_FAULT_WAIT_MS: i64 = 5_000;
/// Wait of a message that cannot be read, in milliseconds: it burns its receives and comes to the dead-letter queue.
const UNREADABLE_WAIT_MS: i64 = 1_000;
/// How much longer than its request a claimed attempt may take, in milliseconds.
const CLAIM_MARGIN_MS: i64 = 30_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Why a message could not be worked on: our side, never an attempt of the customer's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The endpoint's secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The way out.
    #[error(transparent)]
    Egress(#[from] OurFault),
    /// The body.
    #[error("the body could not be written: {0}")]
    Body(#[from] serde_json::Error),
}

/// A delivery that is to be attempted now.
pub(crate) struct Job {
    pub(crate) message: DeliveryMessage,
    pub(crate) record: DeliveryRecord,
    pub(crate) stored: Arc<StoredEndpoint>,
    pub(crate) content: Arc<Content>,
    /// The tenant's template of links to analyses.
    analysis_url: Option<String>,
    /// True if other messages may be about the same delivery: the attempt is claimed before the POST.
    shared: bool,
    /// True if it was set aside until its endpoint could take it: that wait was the endpoint's, not ours.
    pub(crate) released: bool,
}

impl Job {
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.stored.endpoint
    }
}

/// What a look at record, endpoint and event says.
enum Look {
    /// Nothing to do, now or ever, or it is written down already.
    Settled(Verdict),
    /// To be attempted.
    Attempt(Box<Job>),
}

impl Dispatcher {
    pub(crate) async fn deliver(&self, record: Record, batch: &Batch) -> Verdict {
        let message = match DeliveryMessage::read(&record.body) {
            Ok(message) => message,
            Err(Unread::Newer(newer)) => {
                tracing::warn!(%newer, message_id = record.message_id, "dispatcher.message_newer");
                return Verdict::AgainAt(self.clock.now().plus_millis(NEWER_WAIT_MS));
            }
            Err(Unread::Unreadable(error)) => {
                // Where, not what: the error's text quotes the message.
                let (kind, column) = (error.classify(), error.column());
                tracing::error!(
                    ?kind,
                    column,
                    message_id = record.message_id,
                    "dispatcher.message_unreadable"
                );
                return Verdict::AgainAt(self.clock.now().plus_millis(UNREADABLE_WAIT_MS));
            }
        };
        let (tenant, delivery, traceparent) = (message.tenant.clone(), message.delivery(), message.traceparent.clone());
        let worked = async {
            match self.look(&record, message, batch).await? {
                Look::Settled(verdict) => Ok(verdict),
                Look::Attempt(job) => self.attempt(*job, batch).await,
            }
        };
        worked.await.unwrap_or_else(|fault: Fault| {
            tracing::error!(%fault, %tenant, %delivery, traceparent, "dispatcher.our_fault");
            batch.recorder.count(Metric::FunctionFaults, 1);
            Verdict::AgainAt(self.clock.now().plus_millis(OUR_FAULT_WAIT_MS))
        })
    }

    /// Reads what must be read: nothing but the cached endpoint for a message that comes for the first time.
    async fn look(&self, received: &Record, message: DeliveryMessage, batch: &Batch) -> Result<Look, Fault> {
        let now = self.clock.now();
        let late = now.millis_since(message.accepted_at()) > LATE_MS;
        let may_be_known = message.check || late || received.receive_count > 1 || !self.is_first_queue(received);
        let known = if may_be_known {
            self.store
                .delivery(
                    &message.tenant,
                    &message.delivery(),
                    message.accepted_at(),
                    message.shards,
                )
                .await?
        } else {
            None
        };
        if let Some(verdict) = known.as_ref().and_then(|known| settled(known, now)) {
            return Ok(Look::Settled(verdict));
        }
        let Some(content) = batch.contents.of(&message, &self.store, now).await? else {
            return self.event_missing(known, &message, batch).await.map(Look::Settled);
        };
        let mut config = self.cache.recent(&message.tenant, message.endpoint_version).await?;
        if is_held_by(config.as_deref(), &message) {
            // A copy that is seconds old must not hold what was resumed meanwhile: nothing would release it again.
            config = self.cache.current(&message.tenant).await?;
        }
        if config
            .as_ref()
            .is_none_or(|config| config.tenant.is_younger_than(message.accepted_at()))
        {
            // The tenant was erased, with everything that was written down of it: nothing is any more, also if another has
            // its name now.
            return Ok(Look::Settled(Verdict::Done));
        }
        let released = known.as_ref().is_some_and(was_released);
        let mut record = known.unwrap_or_else(|| {
            let expires_at = expires_at(config.as_deref(), &message);
            DeliveryRecord::new(&message, content.event_type.clone(), DeliveryState::Queued, expires_at)
        });
        record.traceparent = record.traceparent.or_else(|| message.traceparent.clone());
        let stored = config
            .as_ref()
            .and_then(|config| config.endpoint(&message.endpoint))
            .cloned();
        let Some(stored) = stored else {
            return self
                .set_aside(record, DeliveryState::Canceled, "endpoint_deleted", batch)
                .await
                .map(Look::Settled);
        };
        if let Some(reason) = on_hold(stored.endpoint.state) {
            return self
                .set_aside(record, DeliveryState::Held, reason, batch)
                .await
                .map(Look::Settled);
        }
        Ok(Look::Attempt(Box::new(Job {
            message,
            record,
            stored,
            content,
            analysis_url: config.and_then(|config| config.tenant.analysis_url.clone()),
            shared: may_be_known,
            released,
        })))
    }

    /// True if the record comes from the delivery queue, where a first attempt needs no look at the table.
    fn is_first_queue(&self, received: &Record) -> bool {
        self.queues.is_delivery(&received.queue_arn)
    }

    async fn event_missing(
        &self,
        known: Option<DeliveryRecord>,
        message: &DeliveryMessage,
        batch: &Batch,
    ) -> Result<Verdict, Fault> {
        let (tenant, traceparent) = (&message.tenant, message.traceparent.as_deref());
        tracing::warn!(%tenant, delivery = %message.delivery(), traceparent, "dispatcher.event_missing");
        let Some(mut record) = known else {
            // Neither event nor record: the retention has passed over both.
            return Ok(Verdict::Done);
        };
        let config = self.cache.recent(&message.tenant, message.endpoint_version).await?;
        let stored = config.as_ref().and_then(|config| config.endpoint(&message.endpoint));
        let kept = stored.map(|stored| stored.endpoint.settings.dead_letter);
        record.die(DeadReason::EventMissing, kept.unwrap_or_default(), self.clock.now());
        if self.store.record_state(&record).await? == Recorded::Written {
            batch.recorder.count(Metric::Dead, 1);
            let dead = Notice::DeliveryDead(&record, stored.map(|stored| &stored.endpoint));
            self.notifier.tell(&dead).await;
        }
        Ok(Verdict::Done)
    }

    /// Writes down a state that no attempt led to, and lets the message go.
    async fn set_aside(
        &self,
        mut record: DeliveryRecord,
        state: DeliveryState,
        reason: &str,
        batch: &Batch,
    ) -> Result<Verdict, Fault> {
        record.state = state;
        record.reason = Some(reason.to_owned());
        record.next_at = None;
        record.due_at = None;
        let recorded = self.store.record_state(&record).await?;
        if recorded == Recorded::Written && state == DeliveryState::Held {
            batch.recorder.count(Metric::Held, 1);
        }
        let (tenant, traceparent) = (&record.tenant, record.traceparent.as_deref());
        tracing::info!(%tenant, delivery = %record.id, state = state.as_str(), reason, traceparent, "dispatcher.set_aside");
        Ok(Verdict::Done)
    }

    async fn attempt(&self, job: Job, batch: &Batch) -> Result<Verdict, Fault> {
        // Before the claim: what cannot be signed now is not claimed either.
        let (tenant, stored) = (&job.message.tenant, &job.stored);
        let credentials = self.secrets.open(tenant, &stored.endpoint.id, &stored.sealed).await?;
        let turn = self.turn(&job).await?;
        if matches!(turn, Turn::Later) {
            return Ok(self.let_wait(job, None, batch).await?);
        }
        let mut claimed = None;
        if job.shared {
            let now = self.clock.now();
            let until = claim_until(job.endpoint(), now);
            if !self.store.claim(&job.record, now, until).await? {
                return Ok(Verdict::AgainAt(until));
            }
            claimed = Some(until);
        }
        if !self.wait_for(&job, turn).await? {
            return Ok(self.let_wait(job, claimed, batch).await?);
        }
        let exchange = self.post(&job, &credentials, &batch.contents).await?;
        self.conclude(job, exchange, &batch.recorder).await
    }

    /// One signed POST. The body is the same bytes at every attempt; timestamp and signature are of now.
    async fn post(&self, job: &Job, credentials: &Credentials, contents: &Contents) -> Result<Exchange, Fault> {
        let Job {
            message,
            stored,
            content,
            ..
        } = job;
        let settings = &stored.endpoint.settings;
        let Ok(url) = self.egress.admit(&settings.url) else {
            // A rule is younger than the endpoint.
            let outcome = Outcome::Failed(FailureCode::Blocked);
            return Ok(Exchange {
                outcome,
                duration_ms: 0,
            });
        };
        let analysis_url = job.analysis_url.as_deref();
        let body = contents
            .body(message, content, settings, analysis_url, &self.api_origin)
            .await?;
        let unsigned = Unsigned {
            id: &message.event,
            body: &body,
            traceparent: message.traceparent.as_deref(),
        };
        let headers = unsigned.headers(settings, credentials, self.clock.now());
        let timeout = Duration::from_millis(settings.timeout_ms.into());
        Ok(self
            .egress
            .post(Post {
                url: &url,
                headers,
                body,
                timeout,
            })
            .await?)
    }
}

/// What a record says of a message that comes again: nothing to do, or not yet.
pub(crate) fn settled(known: &DeliveryRecord, now: Timestamp) -> Option<Verdict> {
    match (known.state, known.next_at) {
        (DeliveryState::Succeeded | DeliveryState::Dead | DeliveryState::Canceled | DeliveryState::Held, _) => {
            Some(Verdict::Done)
        }
        (DeliveryState::Retrying, Some(next_at)) if next_at.millis_since(now) > EARLY_MS => {
            Some(Verdict::AgainAt(next_at))
        }
        _ => None,
    }
}

/// True for a record that a release has sent from the table, no attempt made yet: it was held for its endpoint, or is of an
/// operational event, which only the sweeper sends. One that burnt receives had set aside says so in its reason.
fn was_released(known: &DeliveryRecord) -> bool {
    let meant_to_wait = |reason: &str| [pace::REASON, notices::REASON].contains(&reason);
    known.attempts == 0 && known.due_at.is_some() && known.reason.as_deref().is_none_or(meant_to_wait)
}

/// Until when an attempt that is claimed now may take.
pub(crate) fn claim_until(endpoint: &Endpoint, now: Timestamp) -> Timestamp {
    now.plus_millis(i64::from(endpoint.settings.timeout_ms) + CLAIM_MARGIN_MS)
}

/// Why deliveries wait for an endpoint in that state; `None`: they do not.
const fn on_hold(state: EndpointState) -> Option<&'static str> {
    match state {
        EndpointState::Active => None,
        EndpointState::Inactive => Some("endpoint_inactive"),
        EndpointState::Paused => Some("endpoint_paused"),
        EndpointState::Disabled => Some("endpoint_disabled"),
    }
}

fn is_held_by(config: Option<&TenantConfig>, message: &DeliveryMessage) -> bool {
    let stored = config.and_then(|config| config.endpoint(&message.endpoint));
    stored.is_some_and(|stored| stored.endpoint.state != EndpointState::Active)
}

fn expires_at(config: Option<&TenantConfig>, message: &DeliveryMessage) -> Timestamp {
    let days = config.map_or(redial_platform::store::config::DEFAULT_RETENTION_DAYS, |c| {
        c.tenant.retention_days
    });
    message.accepted_at().plus_millis(i64::from(days) * DAY_MS)
}
