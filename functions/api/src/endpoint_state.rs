//! Activating, pausing and resuming endpoints. What was held while an endpoint was on hold is drained, kept or discarded, as
//! whoever resumes it chooses, when it is delivered to again: a hold loses nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::{EndpointId, ReplayId, TenantId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::StoreError;
use redial_platform::store::config::{Change, StoredEndpoint};
use redial_platform::store::replays::{ReplayAction, ReplaySpec};
use redial_platform::store::unfinished::Quota;
use redial_replay::Options;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::backlog::{CountView, Part, ResumeWish, Wish};
use crate::body::OptionalBody;
use crate::change::{Changed, TRIES, outrun};
use crate::endpoint_view::EndpointView;
use crate::listing::CLOCK_SKEW_MS;
use crate::precondition::{IfMatch, Tagged};

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(activate)).with(routes!(pause)).with(routes!(resume))
}

/// What became of the backlog.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReleasedView {
    /// What was held before.
    held: CountView,
    /// The replay that drains or discards it; `null`: there is nothing to do.
    #[schema(value_type = Option<String>, required, example = "rpl_01JD3ZK8Q0ABCDEFGH")]
    replay: Option<ReplayId>,
}

/// An endpoint that is delivered to again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResumedEndpoint {
    #[serde(flatten)]
    endpoint: EndpointView,
    backlog: ReleasedView,
}

impl Api {
    /// Has done what is wished with the backlog of an endpoint that somebody asked to be delivered to, and forgets how it
    /// answered before.
    ///
    /// # Errors
    /// 500 if the job could not be made, 429 if too many are not finished; activating the endpoint again tries again.
    pub(crate) async fn release(
        &self,
        scope: &InTenant,
        changed: &Changed,
        wish: &Wish,
    ) -> Result<ReleasedView, Problem> {
        let (tenant, endpoint) = (scope.id(), &changed.after.endpoint);
        let now = self.clock.now();
        let is_on_hold = changed.after.hold.is_some();
        let stays = !self.forgive(endpoint, now).await? && is_on_hold;
        if stays {
            self.make_probe_due(tenant, &endpoint.id).await?;
        } else if is_on_hold {
            self.take_off_hold(tenant, &endpoint.id).await?;
        }
        let held = self
            .store
            .count_in_state(tenant, &endpoint.id, DeliveryState::Held, now)
            .await?;
        let part = |action, which: &_, rate| Part {
            action,
            which: Clone::clone(which),
            rate,
            dry_run: false,
        };
        let part = match wish {
            Wish::Keep => None,
            // It drains when it answers.
            Wish::Drain(..) if stays => None,
            Wish::Drain(which, rate) => Some(part(ReplayAction::Deliver, which, *rate)),
            Wish::Discard(which) => Some(part(ReplayAction::Discard, which, None)),
        };
        // What ingest is holding just now is in no list yet, so an endpoint that was on hold is not asked. Another one may
        // have held deliveries too: it was inactive for a while, or its release went wrong before.
        let was_on_hold = changed.before.endpoint.state.is_on_hold() || changed.before.hold.is_some();
        let replay = match part.filter(|_| was_on_hold || held.count > 0) {
            None => None,
            Some(part) => {
                let config = Arc::new(self.stored(tenant).await?);
                let quota = Quota::Releases;
                Some(self.ask_for_backlog(quota, &config, endpoint, part).await?.id)
            }
        };
        Ok(ReleasedView {
            held: held.into(),
            replay,
        })
    }

    /// Forgets how an endpoint answered before, for somebody asked for it to be delivered to. False if its failures stay:
    /// others of it were forgiven a moment ago.
    async fn forgive(&self, endpoint: &Endpoint, now: Timestamp) -> Result<bool, StoreError> {
        let (tenant, id) = (&endpoint.tenant, &endpoint.id);
        match self.store.health(tenant, id, now).await? {
            None => Ok(true),
            Some(health) if health.has_failed() => self.store.forgive_health(tenant, id, now).await,
            Some(health) => {
                if !health.was_just_forgiven(now) {
                    self.store.forget_health(tenant, id).await?;
                }
                Ok(true)
            }
        }
    }

    /// True if an endpoint that is on hold because it fails may be taken off it because somebody asks.
    pub(crate) async fn may_forgive(&self, endpoint: &Endpoint) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let health = self.store.health(&endpoint.tenant, &endpoint.id, now).await?;
        Ok(health.is_none_or(|health| !health.was_just_forgiven(now)))
    }

    /// Has delivered what is held for an active endpoint although it could go: its release went wrong before, or it waits
    /// for a rate limit that was raised. What is kept back stays, and so does everything while the endpoint fails.
    ///
    /// # Errors
    /// 500 if the job could not be made, 429 if too many are not finished; asking again tries again.
    pub(crate) async fn let_go(&self, scope: &InTenant, changed: &Changed) -> Result<(), Problem> {
        let endpoint = &changed.after.endpoint;
        if changed.after.hold.is_some() || !self.has_held(scope, &endpoint.id).await? {
            return Ok(());
        }
        let config = Arc::new(self.stored(scope.id()).await?);
        let held = ReplaySpec::backlog_of(endpoint, self.clock.now().plus_millis(CLOCK_SKEW_MS));
        let quota = Some(Quota::Releases);
        let options = Options::default();
        let job = self.asker.ask_within(quota, &config, held, options).await?;
        let (tenant, id) = (&config.tenant.id, &endpoint.id);
        tracing::info!(%tenant, endpoint = %id, replay = %job.id, held = job.total, "api.endpoint_released");
        self.note_drain(endpoint, &job).await;
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

    /// Has an endpoint that fails probed at once if requests to it look different now. A probe that is not sent sooner is
    /// sent later all the same.
    pub(crate) async fn probe_soon(&self, scope: &InTenant, changed: &Changed) {
        if !changed.may_have_mended() {
            return;
        }
        let (tenant, endpoint) = (scope.id(), &changed.after.endpoint.id);
        if let Err(error) = self.make_probe_due(tenant, endpoint).await {
            tracing::error!(%error, %tenant, %endpoint, "api.probe_not_sooner");
        }
    }

    async fn make_probe_due(&self, tenant: &TenantId, endpoint: &EndpointId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let Some(before) = self.store.health(tenant, endpoint, now).await? else {
            return Ok(());
        };
        if before.open.is_some() && before.due_at.is_none_or(|due_at| due_at > now) {
            let mut after = before.clone();
            after.due_at = Some(now);
            // Refused: the sweeper has just been there.
            self.store
                .look_at_health_again(tenant, endpoint, &before, &after, now)
                .await?;
        }
        Ok(())
    }

    async fn take_off_hold(&self, tenant: &TenantId, endpoint: &EndpointId) -> Result<(), Problem> {
        for tries in 0..TRIES {
            let config = self.stored(tenant).await?;
            if config.endpoint(endpoint).is_none_or(|stored| stored.hold.is_none()) {
                return Ok(());
            }
            let change = Change::Hold(endpoint, None);
            if self.try_change(tenant, config.version, change, tries).await?.is_some() {
                return Ok(());
            }
        }
        Err(outrun())
    }

    /// Sets an endpoint's state to active, and has done what is wished with its backlog.
    async fn deliver_again(
        &self,
        scope: &InTenant,
        if_match: &IfMatch,
        wish: &Wish,
        from_inactive: bool,
    ) -> Result<Tagged<ResumedEndpoint>, Problem> {
        let now = self.clock.now();
        let kept_until = wish.kept_until(now);
        let apply = |stored: &mut StoredEndpoint| {
            let endpoint = &mut stored.endpoint;
            if_match.check(endpoint.version)?;
            if endpoint.state == EndpointState::Inactive && !from_inactive {
                return Err(inactive());
            }
            endpoint.state = EndpointState::Active;
            endpoint.keep_back(kept_until, now);
            stored.hold = None;
            Ok(())
        };
        let changed = self.change_stored(scope.id(), &scope.endpoint()?, apply).await?;
        let backlog = self.release(scope, &changed, wish).await?;
        Ok(Tagged::ok(
            changed.after.endpoint.version,
            ResumedEndpoint {
                endpoint: self.endpoint_view(&changed.after),
                backlog,
            },
        ))
    }
}

/// 409: it must be activated first.
fn inactive() -> Problem {
    let detail = "the endpoint is inactive and takes no events: activate it first";
    Problem::new(StatusCode::CONFLICT, "endpoint_inactive", detail)
}

/// Activate an endpoint
///
/// From any state: it matches events and is delivered to. What is held for it is drained, at 100 a second at most, with a slow
/// start; the body chooses otherwise. If it was on hold because it fails, that is forgotten.
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
    request_body = inline(Option<ResumeWish>),
    responses(
        (status = 200, description = "The endpoint, and what becomes of its backlog", body = ResumedEndpoint,
            headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 400, description = "Not JSON, or `If-Match` is not of its form (`if_match_invalid`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "Changed by others at the same time", body = Problem),
        (status = 412, description = "It is not of that version (`version_mismatch`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
        (status = 429, description = "More requests than may be made at once (`rate_limited`), or it is done and too many backlogs are being let go (`too_many_replays`): ask again after Retry-After", body = Problem),
    )
)]
async fn activate(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    if_match: IfMatch,
    OptionalBody(fields): OptionalBody,
) -> Result<Tagged<ResumedEndpoint>, Problem> {
    api.deliver_again(&scope, &if_match, &Wish::read(fields)?, true).await
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
    let apply = |endpoint: &mut Endpoint| {
        if_match.check(endpoint.version)?;
        if endpoint.state == EndpointState::Inactive {
            return Err(inactive());
        }
        endpoint.state = EndpointState::Paused;
        Ok(())
    };
    let changed = api.change_endpoint(scope.id(), &scope.endpoint()?, apply).await?;
    Ok(api.shown(&changed.after))
}

/// Resume an endpoint
///
/// A paused or disabled endpoint is delivered to again, and so is one on hold because it fails. What is held for it is
/// drained, at 100 a second at most, with a slow start; the body chooses otherwise: a part of it, or to keep or discard it.
/// One that fails again less than two minutes after it was resumed stays on hold (`hold` in the answer) until it was probed,
/// which is done at once.
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
    request_body = inline(Option<ResumeWish>),
    responses(
        (status = 200, description = "The endpoint, and what becomes of its backlog", body = ResumedEndpoint,
            headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 400, description = "Not JSON, or `If-Match` is not of its form (`if_match_invalid`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "It is inactive, or changed by others at the same time", body = Problem),
        (status = 412, description = "It is not of that version (`version_mismatch`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
        (status = 429, description = "More requests than may be made at once (`rate_limited`), or it is done and too many backlogs are being let go (`too_many_replays`): ask again after Retry-After", body = Problem),
    )
)]
async fn resume(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    if_match: IfMatch,
    OptionalBody(fields): OptionalBody,
) -> Result<Tagged<ResumedEndpoint>, Problem> {
    api.deliver_again(&scope, &if_match, &Wish::read(fields)?, false).await
}
