//! What is written down of an attempt, and what SQS is told. The record first: a crash in between repeats an attempt,
//! never loses one.

use redial_domain::delivery::{DeadReason, Decision, DeliveryState, attempt_code, decide, explain};
use redial_domain::endpoint::EndpointState;
use redial_domain::outcome::Outcome;
use redial_domain::{EndpointId, TenantId};
use redial_egress::Exchange;
use redial_platform::batch::Verdict;
use redial_platform::metrics::{Metric, Recorder};
use redial_platform::notices::Notice;
use redial_platform::store::StoreError;
use redial_platform::store::config::Change;
use redial_platform::store::deliveries::{AttemptRecord, DeliveryRecord, Recorded};

use crate::Dispatcher;
use crate::deliver::{Fault, Job, settled};

/// Times the disabling of an endpoint is tried against other changes of its tenant.
const DISABLE_TRIES: u32 = 5;
/// Times the record of a success is tried: if it is lost, the receiver gets the event twice.
const SUCCESS_TRIES: u32 = 3;

impl Dispatcher {
    pub(crate) async fn conclude(&self, job: Job, exchange: Exchange, recorder: &Recorder) -> Result<Verdict, Fault> {
        let now = self.clock.now();
        let policy = job.endpoint().settings.retry.as_ref().unwrap_or(&self.default_retry);
        let n = job.record.attempts + 1;
        let decision = decide(&exchange.outcome, n, policy, now, self.random.share());
        let (status, response) = match &exchange.outcome {
            Outcome::Answered(answer) => (Some(answer.status), answer.body.clone()),
            Outcome::Failed(_) => (None, Vec::new()),
        };
        let attempt = AttemptRecord {
            n,
            at: now,
            status,
            code: attempt_code(&exchange.outcome).to_owned(),
            duration_ms: exchange.duration_ms,
            next: explain(&exchange.outcome, &decision, n, policy),
            response,
        };
        let mut record = after(&job.record, attempt, &decision);
        if let Decision::Dead(reason) = decision {
            record.die(reason, job.endpoint().settings.dead_letter, now);
        }
        if n == 1 && record.id.replay.is_none() && !job.released {
            // The wait for its slot was the endpoint's wish.
            let since = job
                .message
                .slot()
                .map_or(record.accepted_at, |slot| slot.max(record.accepted_at));
            let latency_ms = now.millis_since(since);
            recorder.measure(Metric::FirstAttemptLatency, u64::try_from(latency_ms).unwrap_or(0));
        }
        if decision != Decision::Succeeded {
            recorder.count(Metric::Failed, 1);
        }
        match decision {
            Decision::Succeeded => {
                self.record_success(&record).await?;
                recorder.count(Metric::Delivered, 1);
                Ok(Verdict::Done)
            }
            Decision::RetryAt { at, .. } => {
                log_failure(&record, Some(at), &job);
                match self.store.record_failure(&record).await? {
                    Recorded::Written => Ok(Verdict::AgainAt(at)),
                    Recorded::Superseded => self.superseded(&record).await,
                }
            }
            Decision::Dead(reason) => {
                log_failure(&record, None, &job);
                // First, because nobody comes back to a delivery that is dead.
                if reason == DeadReason::Gone {
                    self.disable(&record.tenant, &record.id.endpoint, job.endpoint().version)
                        .await?;
                }
                if self.store.record_failure(&record).await? == Recorded::Written {
                    recorder.count(Metric::Dead, 1);
                    let dead = Notice::DeliveryDead(&record, Some(job.endpoint()));
                    self.notifier.tell(&dead).await;
                }
                Ok(Verdict::Done)
            }
        }
    }

    async fn record_success(&self, record: &DeliveryRecord) -> Result<(), StoreError> {
        let mut tries = 1;
        loop {
            match self.store.record_success(record).await {
                Err(error) if tries < SUCCESS_TRIES => {
                    tracing::warn!(%error, delivery = %record.id, "dispatcher.success_not_recorded");
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    /// Another receive of the same message has written meanwhile: it knows what follows.
    async fn superseded(&self, record: &DeliveryRecord) -> Result<Verdict, Fault> {
        let known = self
            .store
            .delivery(&record.tenant, &record.id, record.accepted_at, record.shards)
            .await?;
        Ok(known
            .and_then(|known| settled(&known, self.clock.now()))
            .unwrap_or(Verdict::Again))
    }

    /// Disables the endpoint of a receiver that is gone, unless it was changed since. docs/ARCHITECTURE.md.
    async fn disable(&self, tenant: &TenantId, id: &EndpointId, version: u64) -> Result<(), StoreError> {
        for _ in 0..DISABLE_TRIES {
            let Some(config) = self.store.tenant_config(tenant).await? else {
                return Ok(());
            };
            let Some(stored) = config
                .endpoint(id)
                .filter(|s| s.endpoint.state == EndpointState::Active && s.endpoint.version == version)
            else {
                return Ok(());
            };
            let mut endpoint = stored.endpoint.clone();
            endpoint.state = EndpointState::Disabled;
            endpoint.updated_at = self.clock.now();
            let change = Change::PutEndpoint(&mut endpoint, &stored.sealed);
            match self.store.change(tenant, config.version, change).await {
                Err(StoreError::Conflict(_)) => {}
                other => {
                    other?;
                    tracing::warn!(%tenant, endpoint = %id, "dispatcher.endpoint_disabled");
                    self.notifier.tell(&Notice::EndpointGone(&endpoint)).await;
                    return Ok(());
                }
            }
        }
        Err(StoreError::Conflict("the tenant's configuration"))
    }
}

fn after(before: &DeliveryRecord, attempt: AttemptRecord, decision: &Decision) -> DeliveryRecord {
    let (state, reason, next_at) = match decision {
        Decision::Succeeded => (DeliveryState::Succeeded, None, None),
        Decision::RetryAt { at, .. } => (DeliveryState::Retrying, None, Some(*at)),
        // `die` says the rest.
        Decision::Dead(_) => (DeliveryState::Dead, None, None),
    };
    let attempts = attempt.n;
    DeliveryRecord {
        state,
        attempts,
        last: Some(attempt),
        reason,
        next_at,
        due_at: None,
        ..before.clone()
    }
}

fn log_failure(record: &DeliveryRecord, next_at: Option<redial_domain::Timestamp>, job: &Job) {
    let Some(last) = &record.last else { return };
    tracing::info!(
        delivery = %record.id,
        tenant = %record.tenant,
        attempt = last.n,
        status = last.status,
        code = last.code,
        duration_ms = last.duration_ms,
        state = record.state.as_str(),
        next_at = next_at.map(tracing::field::display),
        traceparent = job.message.traceparent,
        "dispatcher.attempt_failed"
    );
}
