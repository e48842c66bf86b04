//! Held deliveries that nothing will release: of endpoints that were resumed while somebody was still holding, and of those
//! whose hold nobody looks after any more. Never releases what an endpoint on hold keeps, nor what a customer chose to keep.

use std::sync::Arc;

use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::{ReplayId, Timestamp};
use redial_platform::store::StoreError;
use redial_platform::store::config::{Change, StoredEndpoint, TenantConfig};
use redial_platform::store::held::Left;

use crate::pass::Pass;
use crate::{SweepError, Sweeper};

/// Age of an endpoint's change from which on its held deliveries should be gone, in milliseconds.
const RELEASED_FROM_MS: i64 = 120_000;
/// Age of an endpoint's change up to which they are looked for, in milliseconds.
const RELEASED_TO_MS: i64 = 3_600_000;
/// Held deliveries that are looked at for one that nothing will release.
const FORGOTTEN: usize = 100;
/// Age of a hold from which on the sweeper must know of it, in milliseconds: whoever opens writes both within seconds.
const KNOWN_FROM_MS: i64 = 60_000;

impl Sweeper {
    /// Asks again for what the release of an endpoint may have missed: a delivery that was being held while somebody
    /// resumed the endpoint, or that the index did not show yet; and for what waits by a rate limit that was raised.
    pub(crate) async fn release_forgotten(&self, config: &Arc<TenantConfig>, pass: Pass) -> Result<(), SweepError> {
        let now = self.clock.now();
        let active = config
            .endpoints
            .iter()
            .filter(|stored| stored.endpoint.state == EndpointState::Active);
        for stored in active {
            // What is asked for may have to be counted, which takes seconds.
            if pass.is_late(&self.clock) {
                return Ok(());
            }
            if stored.hold.is_some() {
                // What it holds is let go after a probe.
                self.look_after_hold(config, stored, now).await?;
                continue;
            }
            let endpoint = &stored.endpoint;
            // One that was slow is quick again as if somebody had raised its limit.
            let slow_until = stored.slow.map(|slow| slow.until).filter(|until| *until <= now);
            let changed_at = slow_until.map_or(endpoint.updated_at, |until| until.max(endpoint.updated_at));
            let age_ms = now.millis_since(changed_at);
            if !(RELEASED_FROM_MS..RELEASED_TO_MS).contains(&age_ms) {
                continue;
            }
            if self.has_forgotten(config, stored, now).await? && !self.is_let_go(endpoint, now).await? {
                let drain = self.let_go(config, endpoint, now).await?;
                self.note_drain(endpoint, &drain, now).await;
                tracing::info!(tenant = %config.tenant.id, endpoint = %endpoint.id, "sweeper.held_forgotten");
            }
        }
        Ok(())
    }

    async fn has_forgotten(
        &self,
        config: &TenantConfig,
        stored: &StoredEndpoint,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let endpoint = &stored.endpoint;
        // Of what is kept back this looks at the newest only: a job that looked at all of it would do so every minute.
        if self.store.is_any_held(endpoint.into(), now).await? == Left::Something {
            return Ok(true);
        }
        let (tenant, id) = (&endpoint.tenant, &endpoint.id);
        let held = self.store.latest_held(tenant, id, FORGOTTEN, now).await?;
        self.could_go_earlier(config, stored, &held, now).await
    }

    /// True if a job is at work that lets go what is held for an endpoint.
    async fn is_let_go(&self, endpoint: &Endpoint, now: Timestamp) -> Result<bool, StoreError> {
        let (tenant, id) = (&endpoint.tenant, &endpoint.id);
        let health = self.store.health(tenant, id, now).await?;
        let drain = health.and_then(|health| health.drain);
        self.is_being_released(tenant, id, drain.as_ref()).await
    }

    /// Notes which job lets go what is held for an endpoint. It is made already, and one of the latest for a while.
    async fn note_drain(&self, endpoint: &Endpoint, drain: &ReplayId, now: Timestamp) {
        let (tenant, id) = (&endpoint.tenant, &endpoint.id);
        if let Err(error) = self.store.note_drain(tenant, id, drain, now).await {
            tracing::error!(%error, %tenant, endpoint = %id, "sweeper.drain_not_noted");
        }
    }

    /// Withdraws the hold of an endpoint that nobody will probe: its health says that it is not on hold, or was lost. What it
    /// held is let go; were it still down, it would be on hold again soon.
    async fn look_after_hold(
        &self,
        config: &Arc<TenantConfig>,
        stored: &StoredEndpoint,
        now: Timestamp,
    ) -> Result<(), SweepError> {
        let Some(hold) = &stored.hold else { return Ok(()) };
        if now.millis_since(hold.since) < KNOWN_FROM_MS {
            return Ok(());
        }
        let (tenant, id) = (&config.tenant.id, &stored.endpoint.id);
        let health = self.store.health(tenant, id, now).await?;
        // One that is due is looked at in its own time.
        if health.as_ref().is_some_and(|health| health.due_at.is_some()) {
            return Ok(());
        }
        match self.store.change(tenant, config.version, Change::Hold(id, None)).await {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        tracing::warn!(%tenant, endpoint = %id, "sweeper.hold_withdrawn");
        let drain = health.and_then(|health| health.drain);
        if !self.is_being_released(tenant, id, drain.as_ref()).await? {
            let drain = self.let_go(config, &stored.endpoint, now).await?;
            self.note_drain(&stored.endpoint, &drain, now).await;
        }
        Ok(())
    }
}
