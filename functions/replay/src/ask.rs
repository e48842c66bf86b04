//! Asking for a replay: what is asked for must exist, is counted, and becomes a job.

use std::sync::Arc;

use redial_domain::delivery::DeliveryState;
use redial_domain::{EventId, Invalid, ReplayId, TenantId};
use redial_platform::message::ReplayMessage;
use redial_platform::queue::Queues;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::replays::{JobState, ReplayJob, ReplaySpec};
use redial_platform::store::{Store, StoreError};
use redial_platform::{Clock, Random};

use crate::erase::Eraser;

/// Most deliveries of one replay. docs/LIMITS.md.
pub(crate) const MAX_REPLAY: u64 = 10_000_000;
/// How long a new job waits for its worker before the sweeper has it continued, in milliseconds.
const START_LEASE_MS: i64 = 120_000;
/// Days for which a job can be looked at.
const JOB_DAYS: i64 = 30;

/// A replay cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no such event, delivery or endpoint.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// What is asked for makes no sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks for replays. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The tables.
    pub store: Store,
    /// The queues.
    pub queues: Queues,
    /// The clock.
    pub clock: Clock,
    /// Ids.
    pub random: Random,
}

impl Asker {
    /// One that erases, with the same clients.
    #[must_use]
    pub fn eraser(&self) -> Eraser {
        Eraser {
            store: self.store.clone(),
            queues: self.queues.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        }
    }

    /// Makes a job of `spec` and has it begun.
    ///
    /// # Errors
    /// [`AskError`] says what is missing or wrong; then no job was made. A job that is made and cannot be sent is no error.
    pub async fn ask(&self, config: &Arc<TenantConfig>, mut spec: ReplaySpec) -> Result<ReplayJob, AskError> {
        let now = self.clock.now();
        let tenant = &config.tenant.id;
        // What the replay itself makes must not come into its own range; held deliveries are released, not made anew.
        if let ReplaySpec::Range { until, state, .. } = &mut spec
            && *state != Some(DeliveryState::Held)
        {
            *until = (*until).min(now);
        }
        let total = self.count(tenant, config, &spec).await?;
        if total > MAX_REPLAY {
            return Err(Invalid::new("replay_too_large", "since", "more than 10 million deliveries").into());
        }
        let job = ReplayJob {
            tenant: tenant.clone(),
            id: ReplayId::mint(now, self.random.number()),
            spec,
            state: JobState::Pending,
            total,
            done: 0,
            failed: 0,
            after: None,
            error: None,
            asked_at: now,
            updated_at: now,
            lease_until: now.plus_millis(START_LEASE_MS),
            expires_at: now.plus_millis(JOB_DAYS * 86_400_000),
        };
        self.store.put_job(&job).await?;
        let message = ReplayMessage {
            tenant: tenant.clone(),
            replay: job.id.clone(),
        };
        // The job is in the list of what is due: the sweeper begins it. Were it refused, it would be asked for again, and
        // everything be delivered twice.
        if let Err(error) = self.queues.send_replay(&message).await {
            tracing::error!(%error, %tenant, replay = %job.id, "replay.send_failed");
        }
        Ok(job)
    }

    /// The event to be delivered again, for what is asked for in `field`.
    async fn event(&self, tenant: &TenantId, id: &EventId, field: &'static str) -> Result<StoredEvent, AskError> {
        let event = self.store.event_or_tombstone(tenant, id, self.clock.now()).await?;
        let event = event.ok_or(AskError::Missing(field))?;
        if event.erased.is_some() {
            return Err(Invalid::new(
                "event_erased",
                field,
                "the event was erased: there is nothing left of it to deliver",
            )
            .into());
        }
        Ok(event)
    }

    async fn count(&self, tenant: &TenantId, config: &TenantConfig, spec: &ReplaySpec) -> Result<u64, AskError> {
        let now = self.clock.now();
        match spec {
            ReplaySpec::Event(id) => {
                let event = self.event(tenant, id, "event").await?;
                Ok(event.matched.len() as u64)
            }
            ReplaySpec::Delivery(id) => {
                let event = self.event(tenant, &id.event, "delivery").await?;
                if event.matched.contains(&id.endpoint) {
                    Ok(1)
                } else {
                    Err(AskError::Missing("delivery"))
                }
            }
            ReplaySpec::Range {
                endpoint,
                since,
                until,
                state,
            } => {
                if config.endpoint(endpoint).is_none() {
                    return Err(AskError::Missing("endpoint"));
                }
                if since >= until {
                    return Err(Invalid::new("range_invalid", "until", "must be after since").into());
                }
                if matches!(state, Some(DeliveryState::Queued | DeliveryState::Retrying)) {
                    let detail = "these are still being delivered; replay held, succeeded, dead or canceled ones";
                    return Err(Invalid::new("state_invalid", "state", detail).into());
                }
                Ok(self
                    .store
                    .count_replayable(tenant, config.tenant.shards, spec, now)
                    .await?)
            }
        }
    }
}
