//! Looks at endpoints that are on hold because they fail, or were just let go: sends the probes, has what is held drained,
//! disables what failed for too long, and mends what a crash left between the two places that know of a hold. What is to be
//! done says `hold::Circuit`; each step is due again by itself if a crash interrupts it. Never attempts anything itself.

use std::sync::Arc;

use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::hold::{
    self, Action, Circuit, DRAIN_PER_S, Happening, Hold, Mend, mend, next_look_at, next_probe_at,
};
use redial_domain::{EndpointId, ReplayId, TenantId, Timestamp};
use redial_platform::keys::HOUR_MS;
use redial_platform::message::DeliveryMessage;
use redial_platform::notices::Notice;
use redial_platform::store::StoreError;
use redial_platform::store::config::{Change, StoredEndpoint, TenantConfig};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::health::Health;
use redial_platform::store::held::{Held, Left};
use redial_platform::store::lists::Order;
use redial_platform::store::replays::{JobState, ReplayJob, ReplaySpec};
use redial_replay::Options;

use crate::release::{SENT_LEASE_MS, message_of};
use crate::{SweepError, Sweeper};

/// Wait until another look at what is held for an endpoint that was let go, in milliseconds. Longer than any copy of the
/// configuration is delivered by (`cache::MAX_AGE_MS`) and a batch takes: what was being held meanwhile is in the list then.
pub(crate) const DRAIN_LOOK_MS: i64 = 120_000;
/// Replay jobs of a tenant that are looked at for one that is at work already.
const RECENT_JOBS: usize = 50;

/// One look at an active endpoint.
struct Look<'a> {
    config: &'a Arc<TenantConfig>,
    stored: &'a StoredEndpoint,
    health: &'a Health,
    /// What the look was due at: whoever moves it on first has it.
    due_at: Timestamp,
    now: Timestamp,
}

impl Look<'_> {
    const fn endpoint(&self) -> &Endpoint {
        &self.stored.endpoint
    }

    const fn ids(&self) -> (&TenantId, &EndpointId) {
        (&self.stored.endpoint.tenant, &self.stored.endpoint.id)
    }
}

impl Sweeper {
    /// Does what is due at an endpoint; answers the message of a probe that is to be sent.
    pub(crate) async fn look_at_health(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        now: Timestamp,
    ) -> Result<Option<DeliveryMessage>, SweepError> {
        let Some(health) = self.store.health(tenant, id, now).await? else {
            return Ok(None);
        };
        // The index may show what another pass has done already.
        let Some(due_at) = health.due_at.filter(|due_at| *due_at <= now) else {
            return Ok(None);
        };
        let Some(config) = &self.cache.current(tenant).await? else {
            self.store.forget_health(tenant, id).await?;
            return Ok(None);
        };
        let Some(stored) = config.endpoint(id) else {
            return self.look_at_gone(config, id, &health, now).await.map(|()| None);
        };
        let is_active = stored.endpoint.state == EndpointState::Active;
        let look = Look {
            config,
            stored,
            health: &health,
            due_at,
            now,
        };
        if is_active && !self.mended(&look).await? {
            return Ok(None);
        }
        // A hold that was just withdrawn has left something behind.
        let withdrawn = health.open.is_none() && stored.hold.is_some();
        let drain_looks = health.drain_looks.max(u32::from(withdrawn));
        let circuit = Circuit::of(is_active, health.open.is_some(), drain_looks);
        // Only by what was tried while it was on hold: an older failure may have been followed by successes that nobody told.
        let open_since = health.open.map(|(since, _)| since);
        let last_failed_at = health.last_failure.as_ref().map_or(now, |failure| failure.at);
        let happening = Happening::look(open_since, drain_looks, last_failed_at);
        match circuit.after(happening).1 {
            Action::Probe => return Ok(self.probe(&look).await?),
            Action::Drain => self.drain(&look).await?,
            Action::Disable => self.give_up(&look).await?,
            // Nothing else follows a look.
            _ => self.forget(&look).await?,
        }
        Ok(None)
    }

    /// Brings the endpoint's hold in line with its health; false if the look is over with it.
    async fn mended(&self, look: &Look<'_>) -> Result<bool, StoreError> {
        let (tenant, id) = look.ids();
        let (health, endpoint) = (look.health, look.endpoint());
        let failing_since = health.numbers.failing_since;
        match mend(
            health.open,
            failing_since,
            look.stored.hold.as_ref(),
            endpoint.updated_at,
        ) {
            None => Ok(true),
            // Whoever opened it has told so, unless it died of it: a crash loses such an event, never what happened.
            Some(Mend::Tell(hold)) => self.tell_hold(look, Some(&hold)).await,
            Some(Mend::Withdraw) => self.tell_hold(look, None).await,
            Some(Mend::Forget) => {
                self.store.rest_health(tenant, id, look.due_at).await?;
                Ok(false)
            }
        }
    }

    /// Writes the hold down at the endpoint, or removes it; false if somebody changes the tenant at the same time: the next
    /// pass tries again.
    async fn tell_hold(&self, look: &Look<'_>, hold: Option<&Hold>) -> Result<bool, StoreError> {
        let (tenant, id) = look.ids();
        let change = Change::Hold(id, hold);
        match self.store.change(tenant, look.config.version, change).await {
            Ok(_) => {
                tracing::info!(%tenant, endpoint = %id, open = hold.is_some(), "sweeper.hold_mended");
                Ok(true)
            }
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a held delivery whose time has come as a probe, and says when to look next. Said first: of two passes at the
    /// same time one sends, and a probe that a crash or the queue loses is followed by the next one.
    async fn probe(&self, look: &Look<'_>) -> Result<Option<DeliveryMessage>, StoreError> {
        let (tenant, id) = look.ids();
        let (health, now) = (look.health, look.now);
        let opened_at = health.open.map_or(now, |(since, _)| since);
        let order = if hold::probes_newest(health.probes) {
            Order::NewestFirst
        } else {
            Order::OldestFirst
        };
        let held = self.store.first_held(look.endpoint().into(), now, order).await?;
        let (before, probes, next) = match held {
            Held::Ready(record) => {
                let probes = health.probes.saturating_add(1);
                (Some(record), probes, next_probe_at(probes, now))
            }
            Held::Later(at) => (None, health.probes, at.min(next_look_at(opened_at, now))),
            Held::Nothing => (None, health.probes, next_look_at(opened_at, now)),
        };
        let after = Health {
            probes,
            due_at: Some(next),
            ..health.clone()
        };
        if !self.store.look_at_health_again(tenant, id, health, &after, now).await? {
            return Ok(None);
        }
        let Some(before) = before else { return Ok(None) };
        let queued = DeliveryRecord {
            state: DeliveryState::Queued,
            reason: None,
            next_at: None,
            due_at: Some(now.plus_millis(SENT_LEASE_MS)),
            ..(*before).clone()
        };
        if self.store.record_if_unchanged(&before, &queued).await? != Recorded::Written {
            return Ok(None);
        }
        tracing::info!(%tenant, endpoint = %id, delivery = %queued.id, probes, "sweeper.probe");
        Ok(Some(DeliveryMessage {
            probe: true,
            ..message_of(&queued)
        }))
    }

    /// Has what is held let go, if anything is and no job does so already. Another look follows while one is at work, and
    /// after it: what was being held when it passed would be left.
    async fn drain(&self, look: &Look<'_>) -> Result<(), SweepError> {
        let (tenant, id) = look.ids();
        let (health, now) = (look.health, look.now);
        let (mut looks, mut drain) = (health.drain_looks, health.drain.clone());
        if !self.is_being_released(tenant, id, drain.as_ref()).await? {
            // Where that is not known, the job finds out.
            if self.store.is_any_held(look.endpoint().into(), now).await? != Left::Nothing {
                drain = Some(self.let_go(look.config, look.endpoint(), now).await?);
            }
            looks = looks.saturating_sub(1);
        }
        let after = Health {
            drain_looks: looks,
            drain,
            due_at: (looks > 0).then(|| now.plus_millis(DRAIN_LOOK_MS)),
            ..health.clone()
        };
        self.store.look_at_health_again(tenant, id, health, &after, now).await?;
        Ok(())
    }

    /// Asks for a job that lets go what is held for an endpoint and goes by itself: slowly at first, and at a capped rate.
    /// Answers which: whoever has it in mind finds it among however many others.
    pub(crate) async fn let_go(
        &self,
        config: &Arc<TenantConfig>,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<ReplayId, SweepError> {
        // The clocks of two environments differ.
        let spec = ReplaySpec::backlog_of(endpoint, now.plus_millis(HOUR_MS));
        let rate = endpoint.settings.rate_limit.unwrap_or(DRAIN_PER_S).min(DRAIN_PER_S);
        let options = Options {
            rate: Some(rate),
            slow_start: true,
            dry_run: false,
        };
        let (tenant, endpoint) = (&config.tenant.id, &endpoint.id);
        // So that a tenant that is quiet is looked at too, for what is being held just now.
        self.store.mark_active(tenant, now).await?;
        let job = self.asker.ask_within(None, config, spec, options).await?;
        tracing::info!(%tenant, %endpoint, replay = %job.id, held = job.total, rate, "sweeper.drain");
        Ok(job.id)
    }

    /// True if a job that releases what is held for the endpoint is still at work: the last one that was asked for, or one of
    /// the tenant's latest.
    pub(crate) async fn is_being_released(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        drain: Option<&ReplayId>,
    ) -> Result<bool, StoreError> {
        if self.drain_at_work(tenant, endpoint, drain).await?.is_some() {
            return Ok(true);
        }
        let jobs = self.store.jobs(tenant, None, RECENT_JOBS).await?;
        Ok(jobs.items.iter().any(|job| releases(job, endpoint)))
    }

    /// That job, if it is still at work on what is held for the endpoint.
    pub(crate) async fn drain_at_work(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        drain: Option<&ReplayId>,
    ) -> Result<Option<ReplayJob>, StoreError> {
        let Some(drain) = drain else { return Ok(None) };
        match self.store.job(tenant, drain).await {
            Ok(job) => Ok(job.filter(|job| releases(job, endpoint))),
            // A newer release made it, and looks after it.
            Err(error) if error.is_unreadable() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Disables an endpoint that has failed for too long; what is held for it stays.
    async fn give_up(&self, look: &Look<'_>) -> Result<(), StoreError> {
        let (tenant, id) = look.ids();
        let mut endpoint = look.endpoint().clone();
        endpoint.state = EndpointState::Disabled;
        endpoint.updated_at = look.now;
        let change = Change::Release(&mut endpoint, &look.stored.sealed);
        match self.store.change(tenant, look.config.version, change).await {
            Ok(_) => {}
            // The next pass sees what has changed.
            Err(StoreError::Conflict(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        tracing::warn!(%tenant, endpoint = %id, "sweeper.endpoint_disabled");
        self.notifier
            .tell(&Notice::EndpointGivenUp(&endpoint, look.health))
            .await;
        self.store.rest_health(tenant, id, look.due_at).await?;
        Ok(())
    }

    /// Takes an endpoint out of the list whose health decides nothing any more.
    async fn forget(&self, look: &Look<'_>) -> Result<(), StoreError> {
        let (tenant, id) = look.ids();
        if look.stored.hold.is_none() || self.tell_hold(look, None).await? {
            self.store.rest_health(tenant, id, look.due_at).await?;
        }
        Ok(())
    }
}

/// True if a job is at work on what is held for an endpoint.
fn releases(job: &ReplayJob, endpoint: &EndpointId) -> bool {
    !job.is_finished()
        && !job.dry_run
        && match job.state {
            // One that somebody stopped keeps what it is about, if that is just this endpoint's.
            JobState::Paused => job.spec.is_about_all_held(endpoint),
            _ => job.spec.is_about_held(endpoint),
        }
}
