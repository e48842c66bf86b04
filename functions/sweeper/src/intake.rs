//! The dead-letter intake: what came to the dead-letter queue is what the dispatcher could not conclude (burnt receives,
//! crashes, poison). The record decides: attempts left, then held and due; none, then dead; not readable, then it stays
//! in the queue for a person. Never sends (docs/ARCHITECTURE.md).

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use redial_domain::delivery::{DeadReason, DeliveryState};
use redial_platform::batch::{self, Record, Verdict};
use redial_platform::message::{DeliveryMessage, ReplayMessage};
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::replays::JobState;

use crate::Sweeper;

/// Shortest wait of a delivery whose receives were burnt, in milliseconds: whatever burnt them needs time to pass.
const BURNT_WAIT_MS: i64 = 60_000;

impl Sweeper {
    /// Takes in a batch of dead letters and answers which must stay in the queue.
    pub async fn intake(&self, event: SqsEvent) -> SqsBatchResponse {
        batch::each(event, &self.queues, &self.clock, |record| self.take_in(record)).await
    }

    async fn take_in(&self, record: Record) -> Verdict {
        let taken = if let Ok(message) = serde_json::from_str::<DeliveryMessage>(&record.body) {
            self.take_in_delivery(&message).await
        } else if let Ok(message) = serde_json::from_str::<ReplayMessage>(&record.body) {
            self.take_in_replay(&message).await
        } else {
            tracing::error!(message_id = record.message_id, "intake.message_unreadable");
            return Verdict::Again;
        };
        match taken {
            Ok(()) => Verdict::Done,
            Err(error) => {
                tracing::error!(%error, message_id = record.message_id, "intake.fault");
                Verdict::Again
            }
        }
    }

    async fn take_in_delivery(&self, message: &DeliveryMessage) -> Result<(), StoreError> {
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
                    tracing::warn!(delivery = %id, "intake.event_missing");
                    return Ok(());
                };
                DeliveryRecord::new(message, event.event_type, DeliveryState::Queued, event.expires_at)
            }
        };
        let config = self.cache.recent(&message.tenant, message.endpoint_version).await?;
        let stored = config.as_ref().and_then(|config| config.endpoint(&message.endpoint));
        let policy = stored
            .and_then(|stored| stored.endpoint.settings.retry.as_ref())
            .unwrap_or(&self.default_retry);
        let next_at = record.next_at.take();
        if stored.is_none() {
            record.state = DeliveryState::Canceled;
            record.reason = Some("endpoint_deleted".to_owned());
        } else if record.attempts >= policy.attempts() {
            record.state = DeliveryState::Dead;
            record.reason = Some(DeadReason::AttemptsExhausted.as_str().to_owned());
        } else {
            let due_at = now.plus_millis(BURNT_WAIT_MS).max(next_at.unwrap_or(now));
            record.state = DeliveryState::Held;
            record.reason = Some("receives_burnt".to_owned());
            record.due_at = Some(due_at);
        }
        self.store.record_state(&record).await?;
        tracing::warn!(delivery = %id, state = record.state.as_str(), attempts = record.attempts, "intake.concluded");
        Ok(())
    }

    async fn take_in_replay(&self, message: &ReplayMessage) -> Result<(), StoreError> {
        let Some(mut job) = self.store.job(&message.tenant, &message.replay).await? else {
            return Ok(());
        };
        if job.is_finished() {
            return Ok(());
        }
        let lease = job.lease_until;
        job.state = JobState::Failed;
        job.error = Some("it failed again and again on our side; ask for it again".to_owned());
        tracing::error!(replay = %job.id, "intake.replay_failed");
        self.store.save_job(&job, lease).await
    }
}
