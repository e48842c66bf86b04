//! Held deliveries that nothing will release: of endpoints that were resumed while somebody was still holding, and of those
//! whose hold nobody looks after any more. Never releases what an endpoint on hold keeps, nor what a customer chose to keep.

use std::sync::Arc;

use redial_domain::Timestamp;
use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_platform::store::StoreError;
use redial_platform::store::config::{Change, StoredEndpoint, TenantConfig};

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
    pub(crate) async fn release_forgotten(&self, config: &Arc<TenantConfig>) -> Result<(), SweepError> {
        let now = self.clock.now();
        let active = config
            .endpoints
            .iter()
            .filter(|stored| stored.endpoint.state == EndpointState::Active);
        for stored in active {
            if stored.hold.is_some() {
                // What it holds is let go after a probe.
                self.look_after_hold(config, stored, now).await?;
                continue;
            }
            let endpoint = &stored.endpoint;
            let age_ms = now.millis_since(endpoint.updated_at);
            if !(RELEASED_FROM_MS..RELEASED_TO_MS).contains(&age_ms) {
                continue;
            }
            if self.has_forgotten(endpoint, now).await?
                && !self.is_being_released(&config.tenant.id, &endpoint.id).await?
            {
                self.let_go(config, endpoint, now).await?;
                tracing::info!(tenant = %config.tenant.id, endpoint = %endpoint.id, "sweeper.held_forgotten");
            }
        }
        Ok(())
    }

    async fn has_forgotten(&self, endpoint: &Endpoint, now: Timestamp) -> Result<bool, StoreError> {
        let (tenant, since) = (&endpoint.tenant, endpoint.drained_since());
        if self.store.is_any_held(tenant, &endpoint.id, since, now).await? {
            return Ok(true);
        }
        let held = self.store.latest_held(tenant, &endpoint.id, FORGOTTEN, now).await?;
        self.could_go_earlier(endpoint, &held, now).await
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
        if health.is_some_and(|health| health.due_at.is_some()) {
            return Ok(());
        }
        match self.store.change(tenant, config.version, Change::Hold(id, None)).await {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        tracing::warn!(%tenant, endpoint = %id, "sweeper.hold_withdrawn");
        if !self.is_being_released(tenant, id).await? {
            self.let_go(config, &stored.endpoint, now).await?;
        }
        Ok(())
    }
}
