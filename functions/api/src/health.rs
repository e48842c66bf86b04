//! How an endpoint answers, and what waits for it: one look for people and for scripts. Reads only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::EndpointState;
use redial_domain::hold::{FAILING_IN_ROW, FAILURES_IN_ROW};
use redial_domain::{EndpointId, ReplayId, TenantId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::StoreError;
use redial_platform::store::config::StoredEndpoint;
use redial_platform::store::health::{Health, LastFailure};
use redial_replay::ReplayView;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::backlog::{CountView, stored_endpoint};
use crate::endpoint_view::held;

/// The latest replays of a tenant among which the one that drains an endpoint is looked for.
const RECENT_JOBS: usize = 50;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(read))
}

/// How an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthState {
    /// Delivered to; nothing has failed of late.
    Healthy,
    /// Delivered to; its latest attempts failed.
    Failing,
    /// On hold because it fails: its deliveries are held, and it is probed.
    Held,
    /// Not delivered to, because somebody asked.
    Paused,
    /// Not delivered to, because its receiver is gone.
    Disabled,
    /// Matches nothing.
    Inactive,
}

/// The last failed attempt.
#[derive(Debug, Serialize, ToSchema)]
struct LastFailureView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The status of the answer; `null`: none came.
    #[schema(required)]
    status: Option<u16>,
    /// What went wrong, as an attempt's `code`.
    #[schema(example = "http_error")]
    code: String,
}

impl From<LastFailure> for LastFailureView {
    fn from(failure: LastFailure) -> Self {
        Self {
            at: failure.at,
            status: failure.status.filter(|status| *status > 0),
            code: failure.code,
        }
    }
}

/// How an endpoint is, and what waits for it.
#[derive(Debug, Serialize, ToSchema)]
struct HealthView {
    state: HealthState,
    /// Since when, if that is known: of `held` and `failing`.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    since: Option<Timestamp>,
    /// Why, in a sentence.
    #[schema(example = "Ten attempts in a row failed.")]
    reason: String,
    /// Failed attempts since the last success.
    failures_in_row: u32,
    /// The last failed attempt; `null`: none is known, for 30 days.
    #[schema(required)]
    last_failure: Option<LastFailureView>,
    /// Of a `held` one: when the next probe is sent, if anything is held by then.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    next_probe_at: Option<Timestamp>,
    /// Probes sent since it is on hold.
    probes: u32,
    /// Deliveries held for it. Exact up to 1,000.
    held: CountView,
    /// Deliveries that wait for their next attempt. Exact up to 1,000.
    retrying: CountView,
    /// Dead letters. Exact up to 1,000.
    dead: CountView,
    /// When the event of the oldest held delivery was accepted; `null`: nothing is held.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    oldest_held_at: Option<Timestamp>,
    /// The replay that drains or discards what is held, if one is at work.
    #[schema(required)]
    drain: Option<ReplayView>,
}

/// How an endpoint is: the state, since when, and why.
fn diagnosis(stored: &StoredEndpoint, health: Option<&Health>) -> (HealthState, Option<Timestamp>, String) {
    let said = |state, reason: &str| (state, None, reason.to_owned());
    if let Some(hold) = held(stored) {
        return (HealthState::Held, Some(hold.since), hold.reason.sentence().to_owned());
    }
    match stored.endpoint.state {
        EndpointState::Inactive => said(HealthState::Inactive, "It is inactive: it matches no events."),
        EndpointState::Paused => said(HealthState::Paused, "Somebody paused it: what it matches is held."),
        EndpointState::Disabled => said(
            HealthState::Disabled,
            "Its receiver answered 410 Gone, or nothing for days: what it matches is held until somebody resumes it.",
        ),
        EndpointState::Active => {
            let numbers = health.map(|health| health.numbers).unwrap_or_default();
            match numbers.failures_in_row {
                0 => said(HealthState::Healthy, "No attempt has failed since the last success."),
                some @ 1..FAILING_IN_ROW => said(
                    HealthState::Healthy,
                    &format!("{some} in a row failed, which may pass."),
                ),
                many => (
                    HealthState::Failing,
                    numbers.failing_since,
                    format!("{many} attempts in a row failed; {FAILURES_IN_ROW} put it on hold."),
                ),
            }
        }
    }
}

impl Api {
    /// The latest unfinished job that drains or discards what is held for an endpoint.
    async fn drain_at_work(&self, tenant: &TenantId, endpoint: &EndpointId) -> Result<Option<ReplayView>, StoreError> {
        let jobs = self.store.jobs(tenant, None, RECENT_JOBS).await?;
        let at_work = jobs.items.into_iter().filter(|job| !job.is_finished() && !job.dry_run);
        let drain = { at_work }.find(|job| job.spec.is_about_held(endpoint));
        Ok(drain.map(ReplayView::from))
    }

    /// The last job that was asked for to let go what is held, if it is at work: so many newer ones may hide it.
    async fn noted_drain(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        noted: &ReplayId,
    ) -> Result<Option<ReplayView>, StoreError> {
        let job = match self.store.job(tenant, noted).await {
            // As in a list.
            Err(error) if error.is_unreadable() => None,
            job => job?,
        };
        let drain = job.filter(|job| !job.is_finished() && job.spec.is_about_held(endpoint));
        Ok(drain.map(ReplayView::from))
    }
}

/// Read an endpoint's health
///
/// How it answers, since when and why; when it is probed next; what is held, retrying and dead; the drain at work.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/health",
    operation_id = "read_health",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
    ),
    responses(
        (status = 200, description = "How it is, and what waits for it", body = HealthView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<HealthView>, Problem> {
    let stored = stored_endpoint(&scope)?;
    let (tenant, endpoint, now) = (scope.id(), &stored.endpoint.id, api.clock.now());
    let count = |state| api.store.count_in_state(tenant, endpoint, state, now);
    let (health, held, retrying, dead, oldest_held_at, drain) = futures_util::try_join!(
        api.store.health(tenant, endpoint, now),
        count(DeliveryState::Held),
        count(DeliveryState::Retrying),
        count(DeliveryState::Dead),
        api.store.oldest_in_state(tenant, endpoint, DeliveryState::Held, now),
        api.drain_at_work(tenant, endpoint),
    )?;
    let noted = health.as_ref().and_then(|health| health.drain.as_ref());
    let drain = match (drain, noted) {
        (None, Some(noted)) => api.noted_drain(tenant, endpoint, noted).await?,
        (drain, _) => drain,
    };
    let (state, since, reason) = diagnosis(stored, health.as_ref());
    let due_at = health.as_ref().and_then(|health| health.due_at);
    Ok(Json(HealthView {
        state,
        since,
        reason,
        failures_in_row: health.as_ref().map_or(0, |health| health.numbers.failures_in_row),
        probes: health.as_ref().map_or(0, |health| health.probes),
        next_probe_at: due_at.filter(|_| state == HealthState::Held),
        last_failure: health.and_then(|health| health.last_failure).map(LastFailureView::from),
        held: held.into(),
        retrying: retrying.into(),
        dead: dead.into(),
        oldest_held_at,
        drain,
    }))
}
