//! How an endpoint answers, and what waits for it: one look for people and for scripts. Reads only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use redial_domain::Timestamp;
use redial_domain::delivery::DeliveryState;
use redial_domain::slow::{ONE_IN, SLOW_ATTEMPTS, SLOW_MS};
use redial_platform::pace::Pace;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::config::{StoredEndpoint, TenantConfig};
use redial_platform::store::health::{Health, LastFailure};
use redial_replay::ReplayView;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::backlog::{CountView, stored_endpoint};
use crate::condition::{Condition, Waits, delivers};
use crate::endpoint_view::held;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(read))
}

/// How an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthState {
    /// Delivered to: `condition` tells whether all is well, it recovers, or deliveries are tried again.
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

/// That an endpoint answers late, and what follows.
#[derive(Debug, Serialize, ToSchema)]
struct SlowView {
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When that ends, unless more slow attempts are seen by then.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Milliseconds between two requests to it meanwhile: shorter if `timeout_ms` is, or if fewer of the tenant's endpoints are
    /// slow.
    #[schema(example = 250)]
    apart_ms: i64,
    /// Why, in a sentence.
    why: String,
}

/// How an endpoint is, and what waits for it.
#[derive(Debug, Serialize, ToSchema)]
struct HealthView {
    state: HealthState,
    /// The same more closely, as the list of endpoints shows it with `include=condition`.
    condition: Condition,
    /// Since when, if that is known: of `held` and `failing`.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    since: Option<Timestamp>,
    /// Why, in a sentence.
    #[schema(example = "Ten attempts in a row failed.")]
    reason: String,
    /// That many of its attempts took five seconds or longer, so that its requests leave apart; `null`: they did not.
    #[schema(required)]
    slow: Option<SlowView>,
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

impl From<Condition> for HealthState {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Inactive => Self::Inactive,
            Condition::Paused => Self::Paused,
            Condition::Disabled => Self::Disabled,
            Condition::OnHold => Self::Held,
            Condition::Failing => Self::Failing,
            Condition::Recovering | Condition::Retrying | Condition::Healthy => Self::Healthy,
        }
    }
}

/// Since when an endpoint is on hold or failing.
fn since(condition: Condition, stored: &StoredEndpoint, health: Option<&Health>) -> Option<Timestamp> {
    match condition {
        Condition::OnHold => held(stored).map(|hold| hold.since),
        Condition::Failing => health.and_then(|health| health.numbers.failing_since),
        _ => None,
    }
}

/// That an active endpoint is slow, if it is.
fn slowness(config: &TenantConfig, stored: &StoredEndpoint, now: Timestamp) -> Option<SlowView> {
    let slow = stored.slow.filter(|slow| slow.is_at(now))?;
    Some(SlowView {
        since: slow.since,
        until: slow.until,
        apart_ms: Pace::of(config, stored, now).map_or(0, |pace| pace.interval_us() / 1_000),
        why: format!(
            "At least {SLOW_ATTEMPTS} attempts within a minute, one in {ONE_IN} or more, took {} seconds or longer. Its requests \
             leave apart, so that others need not wait; nothing is lost. This ends by itself when it answers sooner.",
            SLOW_MS / 1_000
        ),
    })
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
    let (health, held, retrying, dead, oldest_held_at, at_work) = futures_util::try_join!(
        api.store.health(tenant, endpoint, now),
        count(DeliveryState::Held),
        count(DeliveryState::Retrying),
        count(DeliveryState::Dead),
        api.store.oldest_in_state(tenant, endpoint, DeliveryState::Held, now),
        api.jobs_at_work(tenant),
    )?;
    let known = health.as_ref();
    let drain = api.drain_at_work(tenant, endpoint, &at_work, known).await?;
    let waits = Waits {
        drains: drain.as_ref().is_some_and(delivers),
        held: held.count > 0,
        retrying: retrying.count > 0,
    };
    let condition = Condition::of(stored, known, waits);
    let due_at = known.and_then(|health| health.due_at);
    Ok(Json(HealthView {
        state: condition.into(),
        condition,
        since: since(condition, stored, known),
        reason: condition.sentence(stored, known),
        slow: slowness(&scope.config, stored, now),
        failures_in_row: known.map_or(0, |health| health.numbers.failures_in_row),
        probes: known.map_or(0, |health| health.probes),
        next_probe_at: due_at.filter(|_| condition == Condition::OnHold),
        last_failure: health.and_then(|health| health.last_failure).map(LastFailureView::from),
        held: held.into(),
        retrying: retrying.into(),
        dead: dead.into(),
        oldest_held_at,
        drain: drain.map(ReplayView::from),
    }))
}
