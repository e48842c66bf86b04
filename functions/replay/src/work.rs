//! Working on a job: page by page, each page noted before it is sent and its progress saved after, so that a crash repeats
//! at most one page, under the same delivery ids.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use redial_domain::{ErasureId, Timestamp};
use redial_platform::batch::{self, Record, Verdict};
use redial_platform::cache::ConfigCache;
use redial_platform::format::NEWER_WAIT_MS;
use redial_platform::message::{ReplayMessage, Unread};
use redial_platform::metrics::{Metric, Metrics, Recorder};
use redial_platform::queue::{QueueError, Queues};
use redial_platform::store::replays::{JobState, JobWish, ReplayJob};
use redial_platform::store::{Store, StoreError};
use redial_platform::{Clock, Random};

use crate::ask::{Asker, MAX_REPLAY, TOO_LARGE};
use crate::count::{Budget, Count};
use crate::erase::Eraser;
use crate::find::{Finder, Source};
use crate::send::{Paged, Turn};

/// How long whoever works on a job is left alone after its last page, in milliseconds.
const LEASE_MS: i64 = 60_000;
/// How long one invocation works on a job, in milliseconds; the sweeper has the rest continued.
const BUDGET_MS: i64 = 240_000;
/// How long a job counts before it saves how far it is, in milliseconds.
const COUNT_MS: i64 = 20_000;
/// Wait after a fault, in milliseconds.
const FAULT_WAIT_MS: i64 = 10_000;
/// Times a job is saved against those who ask something of it.
const SAVE_TRIES: usize = 3;

/// Works on replay jobs. Cheap to share; made once for an execution environment.
#[derive(Debug, Clone)]
pub struct Replay {
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    cache: ConfigCache,
    clock: Clock,
    asker: Asker,
    eraser: Eraser,
    metrics: Metrics,
}

/// Why a job cannot be worked on now: our side.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
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
        let at_work = matches!(job.state, JobState::Running | JobState::Counting) && job.lease_until > begun;
        if job.is_at_rest() || at_work {
            return Ok(());
        }
        job.state = if job.counted {
            JobState::Running
        } else {
            JobState::Counting
        };
        job.holder = Some(self.asker.random.number() as u64);
        // Taken, not moved on: the intake tells by `updated_at` a job that never gets further.
        let worked = match self.lease(&mut job, LEASE_MS).await {
            Ok(()) if job.is_at_rest() => Ok(()),
            Ok(()) => self.steps(&mut job, begun, recorder).await,
            Err(fault) => Err(fault),
        };
        tracing::info!(
            tenant = %job.tenant,
            replay = %job.id,
            state = job.state.as_str(),
            done = job.done,
            failed = job.failed,
            skipped = job.skipped,
            total = job.total,
            duration_ms = self.clock.now().millis_since(begun),
            "replay.worked"
        );
        worked
    }

    /// Goes on with a job until it is over, has to rest, or the time is.
    async fn steps(&self, job: &mut ReplayJob, begun: Timestamp, recorder: &Recorder) -> Result<(), Fault> {
        job.started_at.get_or_insert(begun);
        loop {
            let mut saved = job.clone();
            let rest_ms = match self.step(job, &mut saved, recorder).await {
                Ok(rest_ms) => rest_ms,
                Err(fault) => {
                    // Somebody may go on from what is saved, and need not wait for the lease to run out.
                    *job = saved;
                    let _ = self.let_go(job, FAULT_WAIT_MS).await;
                    return Err(fault);
                }
            };
            let out_of_time = self.clock.now().millis_since(begun) > BUDGET_MS;
            if let Some(rest_ms) = rest_ms.or(out_of_time.then_some(0)).filter(|_| !job.is_at_rest()) {
                // Saved, not only leased: to rest is no try that failed.
                job.updated_at = self.clock.now();
                return self.let_go(job, rest_ms).await;
            }
            self.save(job, LEASE_MS).await?;
            if job.is_at_rest() {
                return Ok(());
            }
        }
    }

    /// One page of a job, counted or sent; `saved` becomes what is saved of it on the way. Answers how long it has to rest
    /// before the next, in milliseconds.
    async fn step(
        &self,
        job: &mut ReplayJob,
        saved: &mut ReplayJob,
        recorder: &Recorder,
    ) -> Result<Option<i64>, Fault> {
        let now = self.clock.now();
        let config = self.cache.current(&job.tenant).await?;
        let Some(config) = config.filter(|config| !config.tenant.is_younger_than(job.asked_at)) else {
            self.end(job, JobState::Failed, Some("the tenant is gone"));
            return Ok(None);
        };
        let filter = job.spec.filter();
        let turn = Turn {
            config: &config,
            filter: &filter,
            now,
        };
        if filter.to.as_ref().is_some_and(|to| config.endpoint(to).is_none()) {
            self.end(job, JobState::Failed, Some("the endpoint that it delivers to is gone"));
            return Ok(None);
        }
        if !job.counted {
            self.count(job, turn).await?;
            return Ok(None);
        }
        if let Some(unmarked) = &job.unmarked {
            let was_last = unmarked.to.is_none();
            self.mark_rest(job, turn).await?;
            job.unmarked = None;
            if was_last {
                self.conclude(job, turn);
                return Ok(None);
            }
        }
        match self.page(job, turn, recorder).await? {
            Paged::Rest(rest_ms) => return Ok(Some(rest_ms)),
            Paged::Sent(letters) if letters.is_empty() => {}
            Paged::Sent(letters) => {
                // First that they are sent: whoever goes on marks what was not.
                self.save(job, LEASE_MS).await?;
                saved.clone_from(job);
                self.mark(job, letters).await?;
                if job.is_at_rest() {
                    return Ok(None);
                }
                job.unmarked = None;
            }
        }
        if job.after.is_none() {
            self.conclude(job, turn);
        }
        Ok(None)
    }

    async fn count(&self, job: &mut ReplayJob, turn: Turn<'_>) -> Result<(), Fault> {
        let finder = Finder {
            store: &self.store,
            config: turn.config,
            filter: turn.filter,
            now: turn.now,
            only_deliverable: false,
        };
        let mut count = Count {
            total: job.total,
            to: job.counted_to.take(),
        };
        let budget = Budget {
            rows: u64::MAX,
            until: turn.now.plus_millis(COUNT_MS),
        };
        job.counted = count.go_on(finder, budget, &self.clock).await?;
        (job.total, job.counted_to) = (count.total, count.to);
        if job.total > MAX_REPLAY && !job.spec.is_unbounded() {
            self.end(job, JobState::Failed, Some(TOO_LARGE));
        } else if job.counted && job.dry_run {
            self.end(job, JobState::Done, None);
        } else if job.counted {
            job.state = JobState::Running;
        }
        Ok(())
    }

    /// Ends a job that has come to the end of what there is. What it did not meet is gone, or no longer as asked for.
    fn conclude(&self, job: &mut ReplayJob, turn: Turn<'_>) {
        let met = job.done + job.failed + job.skipped;
        let rest = job.total.saturating_sub(met);
        let is_gone = |endpoint| turn.config.endpoint(endpoint).is_none();
        let of_one_event = matches!(Source::of(turn.filter), Source::Event | Source::Named);
        if of_one_event || turn.filter.endpoints.iter().any(is_gone) {
            job.failed += rest;
        } else {
            job.skipped += rest;
        }
        job.total = job.total.max(met);
        self.end(job, JobState::Done, None);
    }

    fn end(&self, job: &mut ReplayJob, state: JobState, error: Option<&str>) {
        job.state = state;
        job.error = error.map(str::to_owned);
        job.finished_at = Some(self.clock.now());
        job.wish = None;
    }

    async fn save(&self, job: &mut ReplayJob, lease_ms: i64) -> Result<(), Fault> {
        job.updated_at = self.clock.now();
        self.lease(job, lease_ms).await
    }

    /// Lets the job go: the sweeper has it continued after a rest.
    async fn let_go(&self, job: &mut ReplayJob, rest_ms: i64) -> Result<(), Fault> {
        self.keep(job, rest_ms, false).await
    }

    /// Saves the job and goes on with it.
    async fn lease(&self, job: &mut ReplayJob, lease_ms: i64) -> Result<(), Fault> {
        self.keep(job, lease_ms, true).await
    }

    /// Saves the job, with what somebody has asked of it meanwhile: then it is at rest. Whoever has asked and then thought
    /// better of it has asked nothing.
    async fn keep(&self, job: &mut ReplayJob, lease_ms: i64, holds: bool) -> Result<(), Fault> {
        let me = job.holder;
        for _ in 0..SAVE_TRIES {
            let mut kept = job.clone();
            if let Some(wish) = kept.wish.take().filter(|_| !kept.is_finished()) {
                kept.pace = None;
                match wish {
                    JobWish::Pause => kept.state = JobState::Paused,
                    JobWish::Cancel => self.end(&mut kept, JobState::Canceled, None),
                }
            }
            kept.holder = me.filter(|_| holds && !kept.is_at_rest());
            let before = job.lease_until;
            // Never the lease that was there: a worker that was replaced must notice. It may well be a shorter one.
            let lease = self.clock.now().plus_millis(lease_ms);
            kept.lease_until = lease.plus_millis((lease == before).into());
            match self.store.save_job(&kept, before).await {
                Err(StoreError::Conflict(_)) => {}
                saved => {
                    saved?;
                    *job = kept;
                    return Ok(());
                }
            }
            // As long as it is held by this one, nobody has got further with it: they have asked something of it, taken that
            // back, or had it continued, and nobody has begun.
            let stored = self.store.job(&job.tenant, &job.id).await?;
            let Some(stored) = stored.filter(|stored| me.is_some() && stored.holder == me) else {
                break;
            };
            (job.wish, job.lease_until) = (stored.wish, stored.lease_until);
        }
        Err(StoreError::Conflict("the replay").into())
    }
}
