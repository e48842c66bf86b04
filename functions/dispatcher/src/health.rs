//! How the endpoints are: a [`Watch`] tells what this environment saw of them once a batch, puts one on hold that fails, lets one
//! go that a probe reached, and says where a delivery waits for its next attempt. docs/RELIABILITY.md has the rules, `domain::hold`
//! decides. Reads and writes nothing while all attempts succeed. Never sends: the sweeper sends probes and lets go what is
//! held.
//!
//! The item of an endpoint's health says whether it is on hold, and its conditional writes say who changed that; what
//! `config` says follows it ([`Watch::settle_hold`]), and whoever finds both apart puts that right.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lambda_events::event::sqs::SqsEvent;
use futures_util::future::join_all;
use redial_domain::endpoint::EndpointState;
use redial_domain::hold::{self, FAILING_IN_ROW, Hold, HoldReason, MAX_WAITING, Mend, mend};
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_platform::batch::Verdict;
use redial_platform::cache::ConfigCache;
use redial_platform::metrics::{Metric, Recorder};
use redial_platform::notices::{Notice, Notifier};
use redial_platform::store::StoreError;
use redial_platform::store::config::{Change, StoredEndpoint, TenantConfig};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::health::{Health, LastFailure};
use redial_platform::store::observed::Observed;
use redial_platform::{Clock, Store};

use crate::slow::Durations;
use crate::tally::{Tally, Untold, Who};

/// Times that an endpoint's hold is written against other changes of its tenant. What could not be written then, the next
/// failure or the sweeper writes.
pub(crate) const SETTLE_TRIES: u32 = 8;

/// Where a delivery waits for its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// In the queue.
    InQueue,
    /// In the table until its endpoint, which is on hold, answers.
    OnHold,
    /// In the table until its time comes: enough wait in the queue.
    InTable,
}

/// What a batch must come back to when all its attempts are over.
#[derive(Debug, Default)]
pub(crate) struct Concluded {
    /// The endpoints that something was attempted at.
    endpoints: Mutex<BTreeSet<Who>>,
    /// What is to wait in the queue.
    waiting: Mutex<Vec<Waiting>>,
}

/// A delivery that is to wait in the queue, if its endpoint is not put on hold by this very batch.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Its message.
    pub(crate) message_id: String,
    /// What is written down.
    pub(crate) record: DeliveryRecord,
    /// The sentence of its last attempt, if it must wait in the table.
    pub(crate) if_held: String,
}

impl Concluded {
    pub(crate) fn attempted(&self, who: Who) {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.insert(who);
    }

    pub(crate) fn wait(&self, waiting: Waiting) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(waiting);
    }
}

/// What an execution environment sees of endpoints, and does about it. Cheap to clone; clones share what they saw.
#[derive(Debug, Clone)]
pub struct Watch {
    pub(crate) store: Store,
    pub(crate) cache: ConfigCache,
    notifier: Notifier,
    pub(crate) clock: Clock,
    tally: Tally,
    pub(crate) durations: Durations,
}

impl Watch {
    /// Begins to watch: nothing seen yet.
    #[must_use]
    pub fn new(store: Store, cache: ConfigCache, notifier: Notifier, clock: Clock) -> Self {
        Self {
            store,
            cache,
            notifier,
            clock,
            tally: Tally::default(),
            durations: Durations::default(),
        }
    }

    /// An attempt at an endpoint succeeded; `again` says that one of the same delivery had failed.
    pub fn succeeded(&self, who: &Who, again: bool) {
        self.tally.succeeded(who, again, self.clock.now());
    }

    /// An attempt at an endpoint failed, for a reason of the receiver's.
    pub fn failed(&self, who: &Who, failure: LastFailure) {
        self.tally.failed(who, failure);
    }

    /// Tells what the batch and those before it saw, and takes back from the queue what waits for an endpoint that is on hold
    /// by now. A failure here is logged and counted: every delivery is recorded, and the next failure tells again.
    pub(crate) async fn look_after(
        &self,
        concluded: Concluded,
        event: &SqsEvent,
        verdicts: &mut [Verdict],
        recorder: &Recorder,
    ) {
        let endpoints = concluded.endpoints.into_inner().unwrap_or_else(PoisonError::into_inner);
        let told = endpoints.iter().map(|who| async move {
            // Failures first: what they put on hold is not slow as well.
            let told = self.tell(who, recorder).await;
            if let Err(error) = told.and(self.tell_slow(who).await) {
                tracing::error!(%error, tenant = %who.0, endpoint = %who.1, "dispatcher.health_not_told");
                recorder.count(Metric::FunctionFaults, 1);
            }
        });
        join_all(told).await;
        let waiting = concluded.waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
        let held = waiting.into_iter().map(|waiting| async move {
            let message_id = waiting.message_id.clone();
            match self.hold_waiting(waiting).await {
                Ok(held) => held.then_some(message_id),
                Err(error) => {
                    tracing::error!(%error, message_id, "dispatcher.waiting_not_held");
                    None
                }
            }
        });
        let held: BTreeSet<String> = join_all(held).await.into_iter().flatten().collect();
        recorder.count(Metric::Held, held.len() as u64);
        for (message, verdict) in event.records.iter().zip(verdicts) {
            let id = message.message_id.as_deref().unwrap_or_default();
            if held.contains(id) {
                *verdict = Verdict::Done;
            }
        }
    }

    /// Tells what was seen of an endpoint since the last time, if there is anything to tell, and does what follows.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails. What was to be told is forgotten then.
    pub async fn tell(&self, who: &Who, recorder: &Recorder) -> Result<(), StoreError> {
        let ((tenant, endpoint), now) = (who, self.clock.now());
        match self.tally.take(who, now) {
            None => Ok(()),
            Some(Untold::Success(succeeded)) => self.store.observe_success(tenant, endpoint, succeeded, now).await,
            Some(Untold::Failures(seen)) => {
                let observed = self.store.observe(tenant, endpoint, &seen, now).await?;
                self.judge(who, &observed, now, recorder).await
            }
        }
    }

    /// What follows from what is known of an endpoint that failed.
    async fn judge(
        &self,
        who: &Who,
        observed: &Observed,
        now: Timestamp,
        recorder: &Recorder,
    ) -> Result<(), StoreError> {
        let (tenant, endpoint) = who;
        let Observed {
            health,
            failures_before,
        } = observed;
        if health.open.is_some() {
            // Somebody else's doing, or what is said in `config` is missing.
            let known = self.cache.recent(tenant, 0).await?;
            let known = known.as_ref().and_then(|config| config.endpoint(endpoint));
            if known.is_some_and(|known| known.hold.is_none()) {
                self.settle_hold(who).await?;
            }
            return Ok(());
        }
        let numbers = &health.numbers;
        let begins = *failures_before < FAILING_IN_ROW && numbers.failures_in_row >= FAILING_IN_ROW;
        let reason = hold::opens(numbers);
        if !begins && reason.is_none() {
            return Ok(());
        }
        let config = self.cache.current(tenant).await?;
        let stored = config.as_ref().and_then(|config| config.endpoint(endpoint));
        let Some(stored) = stored.filter(|stored| stored.endpoint.state == EndpointState::Active) else {
            return Ok(());
        };
        if begins {
            let failing = Notice::EndpointFailing(&stored.endpoint, health);
            self.notifier.tell(&failing).await;
        }
        match reason {
            Some(reason) => self.open(who, stored, health, reason, now, recorder).await,
            None => Ok(()),
        }
    }

    async fn open(
        &self,
        who: &Who,
        stored: &StoredEndpoint,
        health: &Health,
        reason: HoldReason,
        now: Timestamp,
        recorder: &Recorder,
    ) -> Result<(), StoreError> {
        let (tenant, endpoint) = who;
        let opened = self.store.open(tenant, endpoint, reason, now).await?;
        let settled = self.settle_hold(who).await;
        if opened {
            recorder.count(Metric::Opened, 1);
            let hold = hold_of(health, now, reason);
            tracing::warn!(%tenant, %endpoint, ?reason, "dispatcher.endpoint_held");
            let held = Notice::EndpointHeld(&stored.endpoint, &hold, health);
            self.notifier.tell(&held).await;
        }
        settled
    }

    /// Lets an endpoint go that a probe reached. The delivery is recorded already; if this fails, the next probe does it.
    pub(crate) async fn close(&self, stored: &StoredEndpoint, recorder: &Recorder) -> Result<(), StoreError> {
        let (tenant, endpoint) = (&stored.endpoint.tenant, &stored.endpoint.id);
        let (who, now) = ((tenant.clone(), endpoint.clone()), self.clock.now());
        let health = self.store.health(tenant, endpoint, now).await?;
        let open = health.and_then(|health| health.open.map(|(since, reason)| hold_of(&health, since, reason)));
        let closed = match &open {
            Some(_) => self.store.close(tenant, endpoint, now).await?,
            None => false,
        };
        if closed {
            self.tally.forget(&who);
        }
        let settled = self.settle_hold(&who).await;
        if let Some(hold) = open.filter(|_| closed) {
            recorder.count(Metric::Closed, 1);
            tracing::info!(%tenant, %endpoint, "dispatcher.endpoint_recovered");
            let recovered = Notice::EndpointRecovered(&stored.endpoint, &hold);
            self.notifier.tell(&recovered).await;
        }
        settled
    }

    /// Has `config` say of an active endpoint's hold what its health says, and reads that back: who changed the health after
    /// this one has looked at it looks too, and one of them looks last. This environment knows of it then.
    async fn settle_hold(&self, who: &Who) -> Result<(), StoreError> {
        let (tenant, endpoint) = who;
        for _ in 0..SETTLE_TRIES {
            // The configuration first: if it is changed after, the write is refused.
            let Some(config) = self.cache.current(tenant).await? else {
                return Ok(());
            };
            let stored = config.endpoint(endpoint);
            let Some(stored) = stored.filter(|stored| stored.endpoint.state == EndpointState::Active) else {
                return Ok(());
            };
            let health = self.store.health(tenant, endpoint, self.clock.now()).await?;
            let (open, failing_since) =
                health.map_or((None, None), |health| (health.open, health.numbers.failing_since));
            let hold = match mend(open, failing_since, stored.hold.as_ref(), stored.endpoint.updated_at) {
                Some(Mend::Tell(hold)) => Some(hold),
                Some(Mend::Withdraw) => None,
                // Somebody activated it meanwhile; the sweeper forgets what was known.
                Some(Mend::Forget) | None => return Ok(()),
            };
            let change = Change::Hold(endpoint, hold.as_ref());
            match self.store.change(tenant, config.version, change).await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict("the tenant's configuration"))
    }

    /// Where a delivery of this endpoint waits for its next attempt; `waited` says that it waited in the queue for the last.
    pub(crate) async fn where_to_wait(&self, stored: &Arc<StoredEndpoint>, waited: bool) -> Result<Waits, StoreError> {
        let (tenant, endpoint) = (&stored.endpoint.tenant, &stored.endpoint.id);
        if self.is_open(tenant, endpoint).await? {
            return Ok(Waits::OnHold);
        }
        let room = self.tally.room(&(tenant.clone(), endpoint.clone()));
        let mut room = room.lock().await;
        let now = self.clock.now();
        if room.is_old(now) {
            room.looked(self.store.count_waiting(tenant, endpoint, MAX_WAITING + 1).await?, now);
        }
        Ok(if room.take(waited) {
            Waits::InQueue
        } else {
            Waits::InTable
        })
    }

    /// True if the endpoint is on hold because it fails. A copy that is seconds old is not believed that it is: somebody may
    /// have resumed it meanwhile, and nothing would release what is held now.
    async fn is_open(&self, tenant: &TenantId, endpoint: &EndpointId) -> Result<bool, StoreError> {
        let holds = |config: Option<&TenantConfig>| {
            let known = config.and_then(|config| config.endpoint(endpoint));
            known.is_some_and(|known| known.hold.is_some())
        };
        let recent = self.cache.recent(tenant, 0).await?;
        if !holds(recent.as_deref()) {
            return Ok(false);
        }
        let current = self.cache.current(tenant).await?;
        Ok(holds(current.as_deref()))
    }

    /// Holds a delivery that was to wait in the queue, if its endpoint is on hold by now; false if it is not, or another
    /// message about it is being worked on.
    async fn hold_waiting(&self, waiting: Waiting) -> Result<bool, StoreError> {
        let mut record = waiting.record;
        if !self.is_open(&record.tenant, &record.id.endpoint).await? {
            return Ok(false);
        }
        let now = self.clock.now();
        record.hold(hold::REASON, now);
        if let Some(last) = &mut record.last {
            last.next = waiting.if_held;
        }
        let held = self.store.record_wait(&record, now, None).await? == Recorded::Written;
        if held {
            self.store.put_attempt(&record).await?;
        }
        Ok(held)
    }
}

fn hold_of(health: &Health, since: Timestamp, reason: HoldReason) -> Hold {
    Hold {
        since,
        reason,
        failing_since: health.numbers.failing_since.unwrap_or(since),
    }
}
