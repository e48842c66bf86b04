//! Asking for a replay: what is asked for must exist, is counted, and becomes a job.

use std::sync::Arc;

use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::EndpointState;
use redial_domain::{EndpointId, Invalid, ReplayId, TenantId, Timestamp};
use redial_platform::failpoint;
use redial_platform::message::ReplayMessage;
use redial_platform::queue::Queues;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::replays::{
    JobState, MAX_NAMED, OPEN_END, ReplayAction, ReplayFilter, ReplayJob, ReplaySpec,
};
use redial_platform::store::unfinished::Quota;
use redial_platform::store::{Store, StoreError};
use redial_platform::{Clock, Random};

use crate::count::{Budget, Count};
use crate::erase::Eraser;
use crate::find::{Finder, Source};

/// Most deliveries of one replay. docs/LIMITS.md.
pub(crate) const MAX_REPLAY: u64 = 10_000_000;
/// What is told of a replay of more.
pub(crate) const TOO_LARGE: &str = "more than 10 million deliveries";
/// Rows that are counted while somebody waits for the answer; more are counted by the job.
const COUNTED_AT_ONCE: u64 = 10_000;
/// How long that may take, in milliseconds.
const COUNT_AT_ONCE_MS: i64 = 2_000;
/// How long a new job waits for its worker before the sweeper has it continued, in milliseconds.
pub(crate) const START_LEASE_MS: i64 = 120_000;
/// How far the clocks of two environments may differ, in milliseconds.
const CLOCK_SKEW_MS: i64 = 60_000;
/// Days for which a job can be looked at.
const JOB_DAYS: i64 = 30;

/// How a replay is to be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Most messages a second; `None`: as fast as it goes.
    pub rate: Option<u32>,
    /// True to begin slowly and come to the rate by and by.
    pub slow_start: bool,
    /// True to count only.
    pub dry_run: bool,
}

/// A replay cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no such event, delivery or endpoint.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// What is asked for makes no sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The tenant has as many unfinished jobs as it may.
    #[error("the tenant has {} of these that are not finished", .0.most())]
    TooMany(Quota),
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

    /// Makes a job of `spec` and has it begun, unless it is counted already and no more was wanted. It is one of the replays
    /// that a tenant may have.
    ///
    /// # Errors
    /// [`AskError`] says what is missing or wrong; then no job was made. A job that is made and cannot be sent is no error.
    pub async fn ask_with(
        &self,
        config: &Arc<TenantConfig>,
        spec: ReplaySpec,
        options: Options,
    ) -> Result<ReplayJob, AskError> {
        self.ask_within(Some(Quota::Replays), config, spec, options).await
    }

    /// As [`Asker::ask_with`], counted as something else; `None`: nobody asked for it, and it counts as nothing.
    ///
    /// # Errors
    /// As [`Asker::ask_with`].
    pub async fn ask_within(
        &self,
        quota: Option<Quota>,
        config: &Arc<TenantConfig>,
        mut spec: ReplaySpec,
        options: Options,
    ) -> Result<ReplayJob, AskError> {
        close(&mut spec, self.clock.now());
        check(config, &spec.filter())?;
        self.check_stored(&config.tenant.id, &spec).await?;
        self.begin(quota, config, spec, options).await
    }

    /// Makes a job that cancels what is held for an endpoint that is gone, or is by the time it is begun, and has it begun. It
    /// is not for whoever asks for replays: to them there is no such endpoint.
    ///
    /// # Errors
    /// [`AskError`] if the store fails; then no job was made.
    pub async fn cancel_held(&self, config: &Arc<TenantConfig>, endpoint: &EndpointId) -> Result<ReplayJob, AskError> {
        let held = ReplaySpec::Range {
            endpoint: endpoint.clone(),
            since: Timestamp::default(),
            until: self.clock.now().plus_millis(CLOCK_SKEW_MS),
            state: Some(DeliveryState::Held),
        };
        self.begin(None, config, held, Options::default()).await
    }

    /// Counts what is little, makes the job and has it begun, unless that was all.
    async fn begin(
        &self,
        quota: Option<Quota>,
        config: &Arc<TenantConfig>,
        spec: ReplaySpec,
        options: Options,
    ) -> Result<ReplayJob, AskError> {
        let (now, tenant, filter) = (self.clock.now(), &config.tenant.id, spec.filter());
        // Before it is counted; what is only counted may need no job.
        let place = match quota.filter(|_| !options.dry_run) {
            Some(quota) => Some(self.place(tenant, quota).await?),
            None => None,
        };
        let finder = Finder {
            store: &self.store,
            config,
            filter: &filter,
            now,
            only_deliverable: false,
        };
        let budget = Budget {
            rows: COUNTED_AT_ONCE,
            until: now.plus_millis(COUNT_AT_ONCE_MS),
        };
        let mut count = Count::default();
        let counted = count.go_on(finder, budget, &self.clock).await?;
        if count.total > MAX_REPLAY && !spec.is_unbounded() {
            return Err(Invalid::new("replay_too_large", "since", TOO_LARGE).into());
        }
        let is_over = counted && options.dry_run;
        let job = ReplayJob {
            tenant: tenant.clone(),
            id: ReplayId::mint(now, self.random.number()),
            spec,
            state: if is_over { JobState::Done } else { JobState::Pending },
            total: count.total,
            done: 0,
            failed: 0,
            after: None,
            error: None,
            asked_at: now,
            updated_at: now,
            lease_until: now.plus_millis(START_LEASE_MS),
            expires_at: now.plus_millis(JOB_DAYS * 86_400_000),
            skipped: 0,
            rate: options.rate,
            slow_start: options.slow_start,
            dry_run: options.dry_run,
            counted,
            counted_to: count.to,
            wish: None,
            holder: None,
            pace: None,
            unmarked: None,
            started_at: None,
            finished_at: is_over.then_some(now),
        };
        match quota.filter(|_| !is_over) {
            Some(quota) => self.put_in(&job, quota, place).await?,
            None => self.store.put_job(&job).await?,
        }
        failpoint::hit("replay.asked");
        if !is_over {
            self.send(&job).await;
        }
        Ok(job)
    }

    /// Has a job worked on. It is in the list of what is due: were the message refused, the sweeper begins it; were that told,
    /// it would be asked for again, and everything be delivered twice.
    pub(crate) async fn send(&self, job: &ReplayJob) {
        let message = ReplayMessage {
            tenant: job.tenant.clone(),
            replay: job.id.clone(),
        };
        if let Err(error) = self.queues.send_replay(&message).await {
            tracing::error!(%error, tenant = %job.tenant, replay = %job.id, "replay.send_failed");
        }
    }

    /// Whether the event, or the delivery, that is asked for by its id is there.
    async fn check_stored(&self, tenant: &TenantId, spec: &ReplaySpec) -> Result<(), AskError> {
        let (event, delivery) = match spec {
            ReplaySpec::Event(event) => (event, None),
            ReplaySpec::Delivery(delivery) => (&delivery.event, Some(delivery)),
            ReplaySpec::Filter(filter) => match (&filter.event, filter.deliveries.as_slice()) {
                (Some(event), _) => (event, None),
                (None, [delivery]) => (&delivery.event, Some(delivery)),
                (None, _) => return Ok(()),
            },
            ReplaySpec::Range { .. } => return Ok(()),
        };
        let field = if delivery.is_some() { "delivery" } else { "event" };
        let stored = self.store.event_or_tombstone(tenant, event, self.clock.now()).await?;
        let stored = stored.ok_or(AskError::Missing(field))?;
        if stored.erased.is_some() {
            let detail = "the event was erased: there is nothing left of it to deliver";
            return Err(Invalid::new("event_erased", field, detail).into());
        }
        match delivery {
            Some(id) if !stored.matched.contains(&id.endpoint) && !self.store.was_replayed(tenant, id).await? => {
                Err(AskError::Missing(field))
            }
            _ => Ok(()),
        }
    }
}

/// Ends what is asked for at the time of asking: what the replay itself makes must not come into its own range. What is held is
/// released, not made anew, and may be held just now.
fn close(spec: &mut ReplaySpec, now: Timestamp) {
    let (until, state) = match spec {
        ReplaySpec::Range { until, state, .. } => (until, *state),
        ReplaySpec::Filter(filter) => (&mut filter.until, filter.state),
        ReplaySpec::Event(_) | ReplaySpec::Delivery(_) => return,
    };
    if state != Some(DeliveryState::Held) {
        *until = (*until).min(now);
    } else if *until == OPEN_END {
        *until = now.plus_millis(CLOCK_SKEW_MS);
    }
}

/// Whether what is asked for makes sense, and the endpoints that it names are there.
fn check(config: &TenantConfig, filter: &ReplayFilter) -> Result<(), AskError> {
    let gone = |endpoint| config.endpoint(endpoint).is_none();
    if filter.endpoints.iter().any(gone) {
        return Err(AskError::Missing("endpoint"));
    }
    if filter.to.as_ref().is_some_and(gone) {
        return Err(Invalid::new("not_found", "to", "there is no such endpoint").into());
    }
    let source = Source::of(filter);
    let is_range = !matches!(source, Source::Event | Source::Named);
    let refused = |code, field, detail: &'static str| Err(AskError::Invalid(Invalid::new(code, field, detail)));
    if filter.deliveries.len() > MAX_NAMED {
        return refused("list_too_long", "deliveries", "at most 100 deliveries");
    }
    if is_range && filter.since >= filter.until {
        return refused("range_invalid", "until", "must be after since");
    }
    if matches!(filter.state, Some(DeliveryState::Queued | DeliveryState::Retrying)) {
        let detail = "these are still being delivered; replay held, succeeded, dead or canceled ones";
        return refused("state_invalid", "state", detail);
    }
    let can_be_discarded = matches!(filter.state, Some(DeliveryState::Held | DeliveryState::Dead));
    if filter.action == ReplayAction::Discard && (!can_be_discarded || filter.to.is_some() || filter.missing) {
        return refused("state_invalid", "state", "only what is held or dead can be discarded");
    }
    if filter.missing {
        let [endpoint] = filter.endpoints.as_slice() else {
            return refused("field_missing", "endpoint", "is required with missing");
        };
        if filter.state.is_some() || filter.reason.is_some() {
            return refused(
                "replay_ambiguous",
                "missing",
                "what was never delivered has neither state nor reason",
            );
        }
        let stored = config.endpoint(endpoint);
        if stored.is_some_and(|stored| stored.endpoint.state == EndpointState::Inactive) {
            return refused(
                "endpoint_inactive",
                "endpoint",
                "it is inactive and matches nothing: activate it first",
            );
        }
    }
    if source == Source::Shelves && filter.to.is_some() && filter.endpoints.len() != 1 {
        return refused(
            "field_missing",
            "endpoint",
            "name the one endpoint whose deliveries go to another",
        );
    }
    Ok(())
}
