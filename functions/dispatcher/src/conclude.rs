//! What is written down of an attempt, and what SQS is told. The record first: a crash in between repeats an attempt,
//! never loses one. What is rare is boxed: a future has room for all that may follow, and is copied whole.

use futures_util::FutureExt as _;
use redial_domain::delivery::{DeadReason, Decision, DeliveryState, attempt_code, decide, explain, explain_held};
use redial_domain::endpoint::EndpointState;
use redial_domain::hold;
use redial_domain::outcome::Outcome;
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_egress::Exchange;
use redial_platform::batch::Verdict;
use redial_platform::failpoint;
use redial_platform::metrics::Metric;
use redial_platform::notices::Notice;
use redial_platform::store::StoreError;
use redial_platform::store::config::Change;
use redial_platform::store::deliveries::{AttemptRecord, DeliveryRecord, Recorded};
use redial_platform::store::health::LastFailure;

use crate::deliver::{Fault, Job};
use crate::health::{Waiting, Waits};
use crate::look::settled;
use crate::{Batch, Dispatcher};

/// Times the disabling of an endpoint is tried against other changes of its tenant.
const DISABLE_TRIES: u32 = 5;
/// Times the record of a success is tried: if it is lost, the receiver gets the event twice.
const SUCCESS_TRIES: u32 = 3;

impl Dispatcher {
    pub(crate) async fn conclude(&self, job: Job, exchange: Exchange, batch: &Batch) -> Result<Verdict, Fault> {
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
        self.note(&job, &attempt, &decision, batch);
        let mut record = after(&job.record, attempt, &decision);
        match decision {
            Decision::Succeeded => {
                failpoint::hit("dispatcher.after_2xx");
                self.record_success(&record).await?;
                batch.recorder.count(Metric::Delivered, 1);
                if job.message.probe {
                    self.let_go(&job, batch).boxed().await;
                }
                Ok(Verdict::Done)
            }
            Decision::RetryAt { at, .. } => {
                let held = |full| explain_held(&exchange.outcome, at, n, policy, full);
                let sentences = [held(false), held(true)];
                self.conclude_failure(job, record, at, sentences, batch).boxed().await
            }
            Decision::Dead(reason) => {
                record.die(reason, job.endpoint().settings.dead_letter, now);
                log_failure(&record, None, &job);
                // First, because nobody comes back to a delivery that is dead.
                if reason == DeadReason::Gone {
                    self.disable(&record.tenant, &record.id.endpoint, job.endpoint().version)
                        .boxed()
                        .await?;
                }
                if self.store.record_failure(&record).boxed().await? == Recorded::Written {
                    batch.recorder.count(Metric::Dead, 1);
                    let dead = Notice::DeliveryDead(&record, Some(job.endpoint()));
                    self.notifier.tell(&dead).boxed().await;
                }
                Ok(Verdict::Done)
            }
        }
    }

    /// Counts an attempt, and keeps in mind how its endpoint answers.
    fn note(&self, job: &Job, attempt: &AttemptRecord, decision: &Decision, batch: &Batch) {
        let now = attempt.at;
        if attempt.n == 1 && job.record.id.replay.is_none() && !job.released {
            // The wait for its slot was the endpoint's wish.
            let accepted_at = job.record.accepted_at;
            let since = job.message.slot().map_or(accepted_at, |slot| slot.max(accepted_at));
            let latency_ms = now.millis_since(since);
            batch
                .recorder
                .measure(Metric::FirstAttemptLatency, u64::try_from(latency_ms).unwrap_or(0));
        }
        let who = (job.record.tenant.clone(), job.record.id.endpoint.clone());
        self.watch.took(&who, attempt.duration_ms);
        match decision {
            Decision::Succeeded => self.watch.succeeded(&who, job.record.attempts > 0),
            // Its endpoint is disabled for it.
            Decision::Dead(DeadReason::Gone) => batch.recorder.count(Metric::Failed, 1),
            Decision::RetryAt { .. } | Decision::Dead(_) => {
                batch.recorder.count(Metric::Failed, 1);
                let failure = LastFailure {
                    at: now,
                    status: attempt.status,
                    code: attempt.code.clone(),
                };
                self.watch.failed(&who, failure);
            }
        }
        batch.concluded.attempted(who);
    }

    /// Writes down a failure after which another attempt follows: the delivery waits for it in the queue, or in the table.
    async fn conclude_failure(
        &self,
        job: Job,
        mut record: DeliveryRecord,
        at: Timestamp,
        [on_hold, full]: [String; 2],
        batch: &Batch,
    ) -> Result<Verdict, Fault> {
        let waited = job.record.state == DeliveryState::Retrying;
        let waits = self.watch.where_to_wait(&job.stored, waited).await;
        let waits = waits.unwrap_or_else(|error| {
            // The attempt was made: it must be recorded, and the queue keeps whatever it is given.
            tracing::error!(%error, delivery = %record.id, "dispatcher.waiting_not_counted");
            Waits::InQueue
        });
        let in_table = match waits {
            Waits::InQueue => None,
            Waits::OnHold => Some((hold::REASON, &on_hold, None)),
            Waits::InTable => Some((hold::REASON_FULL, &full, Some(at))),
        };
        if let Some((reason, sentence, due_at)) = in_table {
            record.hold(reason, self.clock.now());
            record.due_at = due_at;
            if let Some(last) = &mut record.last {
                last.next.clone_from(sentence);
            }
        }
        log_failure(&record, Some(at), &job);
        if self.store.record_failure(&record).await? == Recorded::Superseded {
            return self.superseded(&record).await;
        }
        if record.state == DeliveryState::Held {
            batch.recorder.count(Metric::Held, 1);
            return Ok(Verdict::Done);
        }
        batch.concluded.wait(Waiting {
            message_id: job.message_id,
            record,
            if_held: on_hold,
        });
        Ok(Verdict::AgainAt(at))
    }

    /// Ends the hold of an endpoint that a probe reached. A failure is not the delivery's, which is made: another probe
    /// follows.
    async fn let_go(&self, job: &Job, batch: &Batch) {
        if let Err(error) = self.watch.close(&job.stored, &batch.recorder).await {
            let (tenant, endpoint) = (&job.record.tenant, &job.record.id.endpoint);
            tracing::error!(%error, %tenant, %endpoint, "dispatcher.hold_not_ended");
            batch.recorder.count(Metric::FunctionFaults, 1);
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

fn log_failure(record: &DeliveryRecord, next_at: Option<Timestamp>, job: &Job) {
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
