//! What becomes of what is held when somebody stops its release, or deletes its endpoint; and which job it is that releases it.
//! Releases nothing: that is `endpoint_state`'s and `backlog`'s.

use std::sync::Arc;

use redial_domain::endpoint::Endpoint;
use redial_domain::{EndpointId, ReplayId, TenantId};
use redial_platform::problem::Problem;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::replays::ReplayJob;

use crate::Api;
use crate::access::InTenant;

/// When the sweeper looks at what is held for an endpoint that is deleted, in milliseconds after that. Longer than any copy of
/// the configuration is delivered by, and a batch takes.
const LOOK_WHEN_GONE_MS: i64 = 120_000;

impl Api {
    /// Has the sweeper look at what is held for an endpoint that is about to be deleted, when nobody holds anything for it any
    /// more. If it is not deleted after all, the look changes nothing.
    ///
    /// # Errors
    /// 500 if the store fails.
    pub(crate) async fn look_when_gone(&self, tenant: &TenantId, endpoint: &EndpointId) -> Result<(), Problem> {
        let now = self.clock.now();
        let at = now.plus_millis(LOOK_WHEN_GONE_MS);
        Ok(self.store.look_when_gone(tenant, endpoint, at, now).await?)
    }

    /// Has canceled what is held for an endpoint that was deleted just now. Were the job not made, the sweeper's look makes it.
    pub(crate) async fn cancel_held(&self, config: &Arc<TenantConfig>, endpoint: &EndpointId) {
        let tenant = &config.tenant.id;
        match self.asker.cancel_held(config, endpoint).await {
            Ok(job) => {
                tracing::info!(%tenant, %endpoint, replay = %job.id, held = job.total, "api.endpoint_deleted");
            }
            Err(error) => tracing::error!(%error, %tenant, %endpoint, "api.held_not_canceled"),
        }
    }

    /// Notes which job lets go all that is held for an endpoint, so that there is no second one while it is at work. It is made
    /// already, and one of the latest for a while.
    pub(crate) async fn note_drain(&self, endpoint: &Endpoint, job: &ReplayJob) {
        let (tenant, id) = (&endpoint.tenant, &endpoint.id);
        if job.dry_run || !job.spec.is_about_all_held(id) {
            return;
        }
        if let Err(error) = self.store.note_drain(tenant, id, &job.id, self.clock.now()).await {
            tracing::error!(%error, %tenant, endpoint = %id, "api.drain_not_noted");
        }
    }

    /// Keeps back what is held for an endpoint whose drain is about to be canceled: the sweeper would begin another one.
    ///
    /// # Errors
    /// 500 if the store fails, 409 if others kept changing the tenant: then nothing is canceled.
    pub(crate) async fn keep_back(&self, scope: &InTenant, replay: &ReplayId) -> Result<(), Problem> {
        let Some(job) = self.store.job(scope.id(), replay).await? else {
            return Ok(());
        };
        let filter = job.spec.filter();
        let [id] = &filter.endpoints[..] else {
            return Ok(());
        };
        // Of a part of it nothing is released by itself once it is canceled.
        let is_whole = |endpoint: &Endpoint| filter.until >= job.asked_at && job.spec.releases_all_held(endpoint);
        let stored = scope.config.endpoint(id);
        if job.dry_run || job.shown_state().is_final() || !stored.is_some_and(|stored| is_whole(&stored.endpoint)) {
            return Ok(());
        }
        let now = self.clock.now();
        let apply = |endpoint: &mut Endpoint| {
            if is_whole(endpoint) {
                endpoint.keep_back(Some(now), now);
            }
            Ok(())
        };
        match self.change_endpoint(scope.id(), id, apply).await {
            // Deleted meanwhile: there is nothing to keep.
            Err(problem) if problem.status == 404 => Ok(()),
            changed => changed.map(|_| ()),
        }
    }
}
