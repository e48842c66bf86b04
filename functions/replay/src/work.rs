//! Working on a job: page by page, each page noted before it is sent and its progress saved after, so that a crash repeats
//! at most one page, under the same delivery ids.

use std::collections::HashSet;
use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, ErasureId, Timestamp};
use redial_platform::batch::{self, Record, Verdict};
use redial_platform::cache::ConfigCache;
use redial_platform::format::NEWER_WAIT_MS;
use redial_platform::message::{DeliveryMessage, ReplayMessage, Unread};
use redial_platform::metrics::{Metric, Metrics, Recorder};
use redial_platform::queue::{QueueError, Queues};
use redial_platform::store::config::TenantConfig;
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::lists::{After, Page};
use redial_platform::store::replays::{JobState, ReplayJob, ReplaySpec};
use redial_platform::store::{Store, StoreError};
use redial_platform::{Clock, Random};

use crate::ask::Asker;
use crate::erase::Eraser;
use crate::paced::Line;

/// Deliveries of one page.
const PAGE: usize = 100;
/// How long whoever works on a job is left alone after its last page, in milliseconds.
const LEASE_MS: i64 = 60_000;
/// How long one invocation works on a job, in milliseconds; the sweeper has the rest continued.
const BUDGET_MS: i64 = 240_000;
/// Wait after a fault, in milliseconds.
const FAULT_WAIT_MS: i64 = 10_000;
/// How long a released delivery may be under way before the sweeper sends it again, in milliseconds.
const RELEASE_LEASE_MS: i64 = 900_000;

/// Works on replay jobs. Cheap to share; made once for an execution environment.
#[derive(Debug, Clone)]
pub struct Replay {
    pub(crate) store: Store,
    queues: Queues,
    cache: ConfigCache,
    clock: Clock,
    asker: Asker,
    eraser: Eraser,
    metrics: Metrics,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What a page of a job consists of.
struct Found {
    /// To be delivered again.
    deliveries: Vec<DeliveryRecordRef>,
    /// Cannot be: the endpoint is gone.
    gone: u64,
    next: Option<After>,
}

/// Enough of a delivery to make its message; with its record, if it is held.
pub(crate) struct DeliveryRecordRef {
    id: DeliveryId,
    accepted_at: Timestamp,
    shards: u16,
    pub(crate) held: Option<DeliveryRecord>,
}

impl Replay {
    /// Works with these clients.
    #[must_use]
    pub fn new(store: Store, queues: Queues, clock: Clock, random: Random, metrics: Metrics) -> Self {
        let cache = ConfigCache::new(store.clone(), clock.clone(), random.clone());
        let asker = Asker {
            store: store.clone(),
            queues: queues.clone(),
            clock: clock.clone(),
            random,
        };
        Self {
            eraser: asker.eraser(),
            store,
            queues,
            cache,
            clock,
            asker,
            metrics,
        }
    }

    /// Begins to count for an invocation.
    pub(crate) fn begin(&self) -> Recorder {
        self.metrics.begin(self.clock.now())
    }

    pub(crate) const fn asker(&self) -> &Asker {
        &self.asker
    }

    pub(crate) const fn cache(&self) -> &ConfigCache {
        &self.cache
    }

    /// Works on the jobs of a batch and answers which are to come again.
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let recorder = self.begin();
        batch::each(event, &self.queues, &self.clock, &recorder, |record| {
            self.take(record, &recorder)
        })
        .await
    }

    async fn take(&self, record: Record, recorder: &Recorder) -> Verdict {
        let message = match ReplayMessage::read(&record.body) {
            Ok(message) => message,
            Err(Unread::Newer(newer)) => {
                tracing::warn!(%newer, message_id = record.message_id, "replay.message_newer");
                return Verdict::AgainAt(self.clock.now().plus_millis(NEWER_WAIT_MS));
            }
            Err(Unread::Unreadable(error)) => {
                // Where, not what: the error's text quotes the message.
                let (kind, column) = (error.classify(), error.column());
                tracing::error!(
                    ?kind,
                    column,
                    message_id = record.message_id,
                    "replay.message_unreadable"
                );
                return Verdict::Again;
            }
        };
        match self.work(&message, recorder).await {
            Ok(()) => Verdict::Done,
            Err(Fault::Store(StoreError::Conflict(_))) => {
                tracing::info!(tenant = %message.tenant, replay = %message.replay, "replay.taken_over");
                Verdict::Done
            }
            Err(fault) => {
                tracing::error!(%fault, tenant = %message.tenant, replay = %message.replay, "replay.fault");
                recorder.count(Metric::FunctionFaults, 1);
                Verdict::AgainAt(self.clock.now().plus_millis(FAULT_WAIT_MS))
            }
        }
    }

    async fn work(&self, message: &ReplayMessage, recorder: &Recorder) -> Result<(), Fault> {
        if let Some(erasure) = ErasureId::of_job(&message.replay) {
            return Ok(self.eraser.take(&message.tenant, &erasure).await?);
        }
        let Some(mut job) = self.store.job(&message.tenant, &message.replay).await? else {
            return Ok(());
        };
        let begun = self.clock.now();
        if job.is_finished() || job.state == JobState::Running && job.lease_until > begun {
            return Ok(());
        }
        job.state = JobState::Running;
        // Taken, not moved on: the intake tells by `updated_at` a job that never gets further.
        self.lease(&mut job, LEASE_MS).await?;
        while !job.is_finished() {
            let Some(config) = self.cache.current(&job.tenant).await? else {
                job.state = JobState::Failed;
                job.error = Some("the tenant is gone".to_owned());
                return self.save(&mut job, 0).await;
            };
            let line = self.line(&job, &config, self.clock.now()).await?;
            let rest_ms = line.as_ref().and_then(|line| line.rest_ms(self.clock.now()));
            if let Some(rest_ms) = rest_ms {
                // Saved, not only leased: to rest is no try that failed.
                self.save(&mut job, rest_ms).await?;
                break;
            }
            self.page(&mut job, &config, line, recorder).await?;
            let out_of_time = self.clock.now().millis_since(begun) > BUDGET_MS;
            self.save(&mut job, if out_of_time { 0 } else { LEASE_MS }).await?;
            if out_of_time {
                break;
            }
        }
        tracing::info!(
            tenant = %job.tenant,
            replay = %job.id,
            done = job.done,
            failed = job.failed,
            total = job.total,
            duration_ms = self.clock.now().millis_since(begun),
            "replay.worked"
        );
        Ok(())
    }

    async fn save(&self, job: &mut ReplayJob, lease_ms: i64) -> Result<(), Fault> {
        job.updated_at = self.clock.now();
        self.lease(job, lease_ms).await
    }

    async fn lease(&self, job: &mut ReplayJob, lease_ms: i64) -> Result<(), Fault> {
        let before = job.lease_until;
        // Never the same lease twice: a worker that was replaced must notice.
        job.lease_until = self.clock.now().plus_millis(lease_ms).max(before.plus_millis(1));
        Ok(self.store.save_job(job, before).await?)
    }

    async fn page(
        &self,
        job: &mut ReplayJob,
        config: &Arc<TenantConfig>,
        line: Option<Line>,
        recorder: &Recorder,
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let mut found = self.find(job, config, now).await?;
        let slots = match line {
            Some(line) => self.join(job, &line, &mut found.deliveries, now).await?,
            None => None,
        };
        let (mut messages, mut replayed) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for (number, delivery) in found.deliveries.into_iter().enumerate() {
            let held = delivery.held;
            let Some(stored) = config.endpoint(&delivery.id.endpoint) else {
                job.failed += u64::from(self.cancel(held).await?);
                continue;
            };
            let id = DeliveryId {
                replay: if held.is_some() {
                    delivery.id.replay
                } else {
                    Some(job.id.clone())
                },
                ..delivery.id
            };
            // What was held is the same delivery; a new one belongs to no trace.
            let traceparent = held.as_ref().and_then(|held| held.traceparent.clone());
            if !seen.insert(id.clone()) || !self.release(held, now).await? {
                continue;
            }
            if id.replay.as_ref() == Some(&job.id) {
                replayed.push(id.clone());
            }
            messages.push(DeliveryMessage {
                tenant: job.tenant.clone(),
                event: id.event,
                accepted_at_ms: delivery.accepted_at.as_millis(),
                shards: delivery.shards,
                endpoint: id.endpoint,
                endpoint_version: stored.endpoint.version,
                replay: id.replay,
                check: true,
                probe: false,
                content: None,
                traceparent,
                slot_ms: slots.map(|slots| slots.at(number).as_millis()),
            });
        }
        self.store
            .put_replayed(&job.tenant, &replayed, now, job.expires_at)
            .await?;
        self.queues.send_deliveries(&messages, now).await?;
        recorder.count(Metric::Replayed, messages.len() as u64);
        let waiting = messages
            .iter()
            .filter(|message| message.slot().is_some_and(|slot| slot > now));
        recorder.count(Metric::Paced, waiting.count() as u64);
        job.done += messages.len() as u64;
        job.failed += found.gone;
        job.after = found.next;
        if job.after.is_none() {
            job.state = JobState::Done;
        }
        Ok(())
    }

    /// Cancels a held delivery whose endpoint is gone; false if it is no longer held.
    async fn cancel(&self, held: Option<DeliveryRecord>) -> Result<bool, StoreError> {
        let Some(before) = held else { return Ok(false) };
        let reason = Some("endpoint_deleted".to_owned());
        let canceled = DeliveryRecord {
            state: DeliveryState::Canceled,
            reason,
            due_at: None,
            ..before.clone()
        };
        Ok(self.store.record_if_unchanged(&before, &canceled).await? == Recorded::Written)
    }

    /// Marks a held delivery as sent from the table; false if it is no longer held. True if it was not held at all.
    async fn release(&self, held: Option<DeliveryRecord>, now: Timestamp) -> Result<bool, StoreError> {
        let Some(before) = held else { return Ok(true) };
        let due_at = Some(now.plus_millis(RELEASE_LEASE_MS));
        let queued = DeliveryRecord {
            state: DeliveryState::Queued,
            reason: None,
            next_at: None,
            due_at,
            ..before.clone()
        };
        Ok(self.store.record_if_unchanged(&before, &queued).await? == Recorded::Written)
    }

    async fn find(&self, job: &ReplayJob, config: &TenantConfig, now: Timestamp) -> Result<Found, StoreError> {
        let event = match &job.spec {
            ReplaySpec::Event(event) => event,
            ReplaySpec::Delivery(delivery) => &delivery.event,
            ReplaySpec::Range { endpoint, state, .. } => {
                // What is held for an endpoint that is gone is canceled; anything else cannot be delivered again.
                if config.endpoint(endpoint).is_none() && *state != Some(DeliveryState::Held) {
                    return Ok(Found {
                        deliveries: Vec::new(),
                        gone: job.total.saturating_sub(job.done + job.failed),
                        next: None,
                    });
                }
                let shards = config.tenant.shards;
                let page = self
                    .store
                    .replayable(&job.tenant, shards, &job.spec, job.after.as_ref(), PAGE, now)
                    .await?;
                return Ok(of_range(page));
            }
        };
        let Some(stored) = self.store.event(&job.tenant, event, now).await? else {
            return Ok(Found {
                deliveries: Vec::new(),
                gone: job.total,
                next: None,
            });
        };
        let wanted = stored.matched.iter().filter(|endpoint| match &job.spec {
            ReplaySpec::Delivery(delivery) => delivery.endpoint == **endpoint,
            _ => true,
        });
        let (there, gone): (Vec<_>, Vec<_>) = wanted.partition(|endpoint| config.endpoint(endpoint).is_some());
        let deliveries = there.into_iter().map(|endpoint| DeliveryRecordRef {
            id: DeliveryId {
                event: event.clone(),
                endpoint: endpoint.clone(),
                replay: None,
            },
            accepted_at: stored.accepted_at,
            shards: stored.shards,
            held: None,
        });
        Ok(Found {
            deliveries: deliveries.collect(),
            gone: gone.len() as u64,
            next: None,
        })
    }
}

fn of_range(page: Page<DeliveryRecord>) -> Found {
    let deliveries = page.items.into_iter().map(|record| DeliveryRecordRef {
        id: record.id.clone(),
        accepted_at: record.accepted_at,
        shards: record.shards,
        held: (record.state == DeliveryState::Held).then_some(record),
    });
    Found {
        deliveries: deliveries.collect(),
        gone: 0,
        next: page.next,
    }
}
