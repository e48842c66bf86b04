//! The dead-letter intake: what came to the dead-letter queue is what the dispatcher could not conclude (burnt receives,
//! crashes, poison). The record decides: attempts left, then held and due; none, then dead; not readable, then it stays
//! in the queue for a person. Never sends (docs/ARCHITECTURE.md).

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use redial_domain::delivery::{DeadReason, DeliveryState};
use redial_platform::batch::{self, Record, Verdict};
use redial_platform::failpoint;
use redial_platform::keys::HOUR_MS;
use redial_platform::message::{DeliveryMessage, Message, ReplayMessage, Unread};
use redial_platform::metrics::{Metric, Recorder};
use redial_platform::notices::Notice;
use redial_platform::store::StoreError;
use redial_platform::store::config::Tenant;
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::replays::JobState;

use crate::Sweeper;

/// Shortest wait of a delivery whose receives were burnt, in milliseconds: whatever burnt them needs time to pass.
const BURNT_WAIT_MS: i64 = 60_000;
/// How long a replay job is continued without progress before its dead letter fails it, in milliseconds: more than twice
/// the time in which a crash spends the five receives of one message.
const STUCK_JOB_MS: i64 = 6 * HOUR_MS;

impl Sweeper {
    /// Takes in a batch of dead letters and answers which must stay in the queue.
    pub async fn intake(&self, event: SqsEvent) -> SqsBatchResponse {
        let (began, received) = (self.clock.now(), event.records.len());
        let recorder = self.metrics.begin(began);
        let response = batch::each(event, &self.queues, &self.clock, &recorder, |record| {
            self.take_in(record, &recorder)
        })
        .await;
        let (again, duration_ms) = (response.batch_item_failures.len(), self.clock.now().millis_since(began));
        tracing::info!(received, again, duration_ms, "intake.batch");
        response
    }

    async fn take_in(&self, record: Record, recorder: &Recorder) -> Verdict {
        let taken = match Message::read(&record.body) {
            Ok(Message::Delivery(message)) => self.take_in_delivery(&message, recorder).await,
            Ok(Message::Replay(message)) => self.take_in_replay(&message).await,
            Err(unread) => {
                recorder.count(Metric::Unreadable, 1);
                let message_id = record.message_id;
                match unread {
                    Unread::Newer(newer) => tracing::error!(%newer, message_id, "intake.message_newer"),
                    // Where, not what: the error's text quotes the message.
                    Unread::Unreadable(error) => {
                        let (kind, column) = (error.classify(), error.column());
                        tracing::error!(?kind, column, message_id, "intake.message_unreadable");
                    }
                }
                return Verdict::Again;
            }
        };
        match taken {
            Ok(()) => Verdict::Done,
            Err(error) => {
                tracing::error!(%error, message_id = record.message_id, "intake.fault");
                recorder.count(Metric::FunctionFaults, 1);
                Verdict::Again
            }
        }
    }

    async fn take_in_delivery(&self, message: &DeliveryMessage, recorder: &Recorder) -> Result<(), StoreError> {
        let now = self.clock.now();
        let id = message.delivery();
        let known = self
            .store
            .delivery(&message.tenant, &id, message.accepted_at(), message.shards)
            .await?;
        let mut record = match known {
            Some(known) if known.state.is_final() || known.state == DeliveryState::Held => return Ok(()),
            Some(known) => known,
            None => {
                let Some(event) = self.store.event(&message.tenant, &message.event, now).await? else {
                    let (tenant, traceparent) = (&message.tenant, message.traceparent.as_deref());
                    tracing::warn!(%tenant, delivery = %id, traceparent, "intake.event_missing");
                    return Ok(());
                };
                DeliveryRecord::new(message, event.event_type, DeliveryState::Queued, event.expires_at)
            }
        };
        let config = self.cache.recent(&message.tenant, message.endpoint_version).await?;
        let is_of_another = |tenant: &Tenant| tenant.is_younger_than(message.accepted_at());
        if config.as_ref().is_none_or(|config| is_of_another(&config.tenant)) {
            // The tenant was erased: nothing of it is written down any more, also if another has its name now.
            return Ok(());
        }
        let stored = config.as_ref().and_then(|config| config.endpoint(&message.endpoint));
        let policy = stored
            .and_then(|stored| stored.endpoint.settings.retry.as_ref())
            .unwrap_or(&self.default_retry);
        let next_at = record.next_at.take();
        if stored.is_none() {
            record.state = DeliveryState::Canceled;
            record.reason = Some("endpoint_deleted".to_owned());
        } else if record.attempts >= policy.attempts() {
            let kept = stored.map(|stored| stored.endpoint.settings.dead_letter);
            record.die(DeadReason::AttemptsExhausted, kept.unwrap_or_default(), now);
        } else {
            let due_at = now.plus_millis(BURNT_WAIT_MS).max(next_at.unwrap_or(now));
            record.hold("receives_burnt", now);
            // A release of what is held keeps to it too.
            record.next_at = next_at;
            record.due_at = Some(due_at);
        }
        record.traceparent = record.traceparent.or_else(|| message.traceparent.clone());
        failpoint::hit("intake.before_write");
        let recorded = self.store.record_state(&record).await?;
        failpoint::hit("intake.after_write");
        match record.state {
            DeliveryState::Dead if recorded == Recorded::Written => {
                recorder.count(Metric::Dead, 1);
                let endpoint = stored.map(|stored| &stored.endpoint);
                self.notifier.tell(&Notice::DeliveryDead(&record, endpoint)).await;
            }
            DeliveryState::Held if recorded == Recorded::Written => recorder.count(Metric::Held, 1),
            _ => {}
        }
        tracing::warn!(
            tenant = %record.tenant,
            delivery = %id,
            state = record.state.as_str(),
            attempts = record.attempts,
            traceparent = message.traceparent,
            "intake.concluded"
        );
        Ok(())
    }

    /// Lets the letter of a replay job go. The job does not need it: until it is finished it is in the list of what is due,
    /// and the sweeper continues it when its lease is over.
    async fn take_in_replay(&self, message: &ReplayMessage) -> Result<(), StoreError> {
        let Some(mut job) = self.store.job(&message.tenant, &message.replay).await? else {
            return Ok(());
        };
        if job.is_finished() || job.lease_until > self.clock.now() {
            return Ok(());
        }
        // Each try moves the lease, only progress the other. Not the time until now: who was away for days tried nothing.
        let stuck_ms = job.lease_until.millis_since(job.updated_at);
        if stuck_ms < STUCK_JOB_MS {
            tracing::warn!(tenant = %job.tenant, replay = %job.id, stuck_ms, "intake.replay_due");
            return Ok(());
        }
        let lease = job.lease_until;
        job.state = JobState::Failed;
        job.finished_at = Some(self.clock.now());
        job.error = Some("it failed again and again on our side; ask for it again".to_owned());
        match self.store.save_job(&job, lease).await {
            // Somebody began to work on it meanwhile.
            Err(StoreError::Conflict(_)) => return Ok(()),
            saved => saved?,
        }
        tracing::error!(tenant = %job.tenant, replay = %job.id, stuck_ms, "intake.replay_failed");
        Ok(())
    }
}
