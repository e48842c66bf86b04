//! Activating, pausing and resuming endpoints. Whatever was held while an endpoint was on hold is released, through a
//! replay of what is held, when it is delivered to again: a hold loses nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::{EndpointId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::replays::ReplaySpec;

use crate::Api;
use crate::access::InTenant;
use crate::change::Changed;
use crate::endpoint_view::EndpointView;
use crate::listing::CLOCK_SKEW_MS;
use crate::precondition::{IfMatch, Tagged};

/// First moment of every list.
const BEGINNING: Timestamp = Timestamp::from_millis(0);

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(activate)).with(routes!(pause)).with(routes!(resume))
}

impl Api {
    /// Has everything delivered that is held for an endpoint which somebody asked to be active, or to be sent to faster.
    ///
    /// # Errors
    /// 500 if the job could not be made; activating the endpoint again tries again.
    pub(crate) async fn release(&self, scope: &InTenant, changed: &Changed) -> Result<(), Problem> {
        let endpoint = &changed.after.endpoint.id;
        // What ingest is holding just now is in no list yet, so an endpoint that was on hold is not asked. Another one may
        // have held deliveries too: it was inactive for a while, or its release went wrong before.
        if !changed.before.endpoint.state.is_on_hold() && !self.has_held(scope, endpoint).await? {
            return Ok(());
        }
        let config = Arc::new(self.stored(scope.id()).await?);
        self.ask_for_held(&config, endpoint).await
    }

    /// Asks for the job that delivers what is held for an endpoint, or cancels it if the endpoint is gone by then. `config`
    /// is one that has the endpoint.
    ///
    /// # Errors
    /// 500 if the job could not be made.
    pub(crate) async fn ask_for_held(&self, config: &Arc<TenantConfig>, endpoint: &EndpointId) -> Result<(), Problem> {
        let held = ReplaySpec::Range {
            endpoint: endpoint.clone(),
            since: BEGINNING,
            until: self.clock.now().plus_millis(CLOCK_SKEW_MS),
            state: Some(DeliveryState::Held),
        };
        let job = self.asker.ask(config, held).await?;
        tracing::info!(tenant = %config.tenant.id, %endpoint, replay = %job.id, held = job.total, "api.endpoint_released");
        Ok(())
    }

    /// True if anything is held for an endpoint.
    ///
    /// # Errors
    /// 500 if the store fails.
    pub(crate) async fn has_held(&self, scope: &InTenant, endpoint: &EndpointId) -> Result<bool, Problem> {
        let now = self.clock.now();
        let held = self.store.latest_held(scope.id(), endpoint, 1, now).await?;
        Ok(!held.is_empty())
    }

    /// Sets an endpoint's state, if `from` allows it.
    async fn set_state(
        &self,
        scope: &InTenant,
        if_match: &IfMatch,
        to: EndpointState,
        from_inactive: bool,
    ) -> Result<Tagged<EndpointView>, Problem> {
        let id = scope.endpoint()?;
        let apply = |endpoint: &mut Endpoint| {
            if_match.check(endpoint.version)?;
            if endpoint.state == EndpointState::Inactive && !from_inactive {
                let detail = "the endpoint is inactive and takes no events: activate it first";
                return Err(Problem::new(StatusCode::CONFLICT, "endpoint_inactive", detail));
            }
            endpoint.state = to;
            Ok(())
        };
        let changed = self.change_endpoint(scope.id(), &id, apply).await?;
        if to == EndpointState::Active {
            self.release(scope, &changed).await?;
        }
        Ok(self.shown(&changed.after.endpoint))
    }
}

/// Activate an endpoint
///
/// From any state: it matches events and is delivered to; what is held for it is delivered.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/activate",
    operation_id = "activate_endpoint",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
        ("If-Match" = Option<String>, Header, description = "Versions, as `ETag` has them: another one answers 412"),
    ),
    responses(
        (status = 200, description = "The endpoint", body = EndpointView,
            headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 400, description = "`If-Match` is not of its form (`if_match_invalid`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "Changed by others at the same time", body = Problem),
        (status = 412, description = "It is not of that version (`version_mismatch`)", body = Problem),
    )
)]
async fn activate(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    if_match: IfMatch,
) -> Result<Tagged<EndpointView>, Problem> {
    api.set_state(&scope, &if_match, EndpointState::Active, true).await
}

/// Pause an endpoint
///
/// It matches events still; their deliveries are held until it is resumed. What was accepted before may be delivered for
/// another 30 seconds.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/pause",
    operation_id = "pause_endpoint",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
        ("If-Match" = Option<String>, Header, description = "Versions, as `ETag` has them: another one answers 412"),
    ),
    responses(
        (status = 200, description = "The endpoint", body = EndpointView,
            headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 400, description = "`If-Match` is not of its form (`if_match_invalid`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "It is inactive, or changed by others at the same time", body = Problem),
        (status = 412, description = "It is not of that version (`version_mismatch`)", body = Problem),
    )
)]
async fn pause(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    if_match: IfMatch,
) -> Result<Tagged<EndpointView>, Problem> {
    api.set_state(&scope, &if_match, EndpointState::Paused, false).await
}

/// Resume an endpoint
///
/// A paused or disabled endpoint is delivered to again, what was held first.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/resume",
    operation_id = "resume_endpoint",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
        ("If-Match" = Option<String>, Header, description = "Versions, as `ETag` has them: another one answers 412"),
    ),
    responses(
        (status = 200, description = "The endpoint", body = EndpointView,
            headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 400, description = "`If-Match` is not of its form (`if_match_invalid`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "It is inactive, or changed by others at the same time", body = Problem),
        (status = 412, description = "It is not of that version (`version_mismatch`)", body = Problem),
    )
)]
async fn resume(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    if_match: IfMatch,
) -> Result<Tagged<EndpointView>, Problem> {
    api.set_state(&scope, &if_match, EndpointState::Active, false).await
}
