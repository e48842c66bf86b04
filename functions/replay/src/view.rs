//! What is told of a replay. Shows; does nothing.

use redial_domain::delivery::DeliveryState;
use redial_domain::filter::TypePattern;
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, ReplayId, Timestamp};
use redial_platform::store::replays::{JobState, OPEN_END, ReplayAction, ReplayFilter, ReplayJob, ReplaySpec};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ramp::Ramp;

/// A replay.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayView {
    #[schema(value_type = String, example = "rpl_01JD3ZK8Q0ABCDEFGH")]
    id: ReplayId,
    /// `pending`, `counting`, `running`, `paused`, `done`, `failed` or `canceled`.
    #[schema(value_type = String, example = "running")]
    state: JobState,
    /// Deliveries found; so far, until `counted`.
    total: u64,
    /// Deliveries queued again, or discarded.
    done: u64,
    /// Deliveries that could not be: their event or endpoint is gone.
    failed: u64,
    /// Deliveries that were passed by: no longer in the state asked for, or of a type that the endpoint's profile has no name
    /// for.
    skipped: u64,
    /// False while it still counts what there is to do.
    counted: bool,
    /// True if it only counts: nothing is sent.
    dry_run: bool,
    /// Most messages a second; `null`: as fast as it goes.
    #[schema(required, minimum = 1, maximum = 500)]
    rate: Option<u32>,
    /// Seconds that it will take yet, as far as can be told.
    #[schema(required)]
    seconds_left: Option<u64>,
    /// What was asked for.
    what: WhatView,
    /// Why it failed.
    #[schema(required)]
    error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    asked_at: Timestamp,
    /// When it was begun.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    started_at: Option<Timestamp>,
    /// When its progress was last saved.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    finished_at: Option<Timestamp>,
}

/// What a replay delivers again: as it was asked for.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct WhatView {
    /// `discard`: gives up what is held or dead. Absent: delivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    action: Option<ReplayAction>,
    /// This event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    event: Option<EventId>,
    /// This delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    delivery: Option<DeliveryId>,
    /// These deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    deliveries: Option<Vec<DeliveryId>>,
    /// Of the events of this call.
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<String>,
    /// Of this endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
    /// Of these endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    endpoints: Option<Vec<EndpointId>>,
    /// To this endpoint instead of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    to: Option<EndpointId>,
    /// Of these types.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    event_types: Option<Vec<TypePattern>>,
    /// Of these agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    agents: Option<Vec<AgentId>>,
    /// Of events accepted from this moment on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Of events accepted before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Only deliveries in this state; `null`: all that are concluded. Absent where the state does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    state: Option<Option<DeliveryState>>,
    /// Only with this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// True: what would be delivered now and was not when it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<bool>,
    /// True: also what earlier replays delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    include_replays: Option<bool>,
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

impl From<ReplayFilter> for WhatView {
    fn from(filter: ReplayFilter) -> Self {
        let is_range = filter.event.is_none() && filter.deliveries.is_empty();
        let (mut endpoints, mut deliveries) = (filter.endpoints, filter.deliveries);
        let endpoint = if endpoints.len() == 1 { endpoints.pop() } else { None };
        let delivery = if deliveries.len() == 1 { deliveries.pop() } else { None };
        let matters = is_range && !filter.missing;
        Self {
            action: Some(filter.action).filter(|action| *action != ReplayAction::Deliver),
            event: filter.event,
            delivery,
            deliveries: some(deliveries),
            call_id: filter.call_id,
            endpoint,
            endpoints: some(endpoints),
            to: filter.to,
            event_types: some(filter.event_types),
            agents: some(filter.agents),
            since: Some(filter.since).filter(|_| is_range),
            until: Some(filter.until).filter(|until| is_range && *until != OPEN_END),
            state: (matters || filter.state.is_some()).then_some(filter.state),
            reason: filter.reason,
            missing: filter.missing.then_some(true),
            include_replays: filter.replays.then_some(true),
        }
    }
}

impl From<ReplaySpec> for WhatView {
    fn from(spec: ReplaySpec) -> Self {
        spec.filter().into()
    }
}

/// Seconds that a job that is at work will take yet, by its rate or by how fast it was.
fn seconds_left(job: &ReplayJob) -> Option<u64> {
    if !job.counted || job.shown_state() != JobState::Running && job.shown_state() != JobState::Pending {
        return None;
    }
    let met = job.done + job.failed + job.skipped;
    let left = job.total.saturating_sub(met);
    let sent = job.pace.map_or(0, |pace| pace.sent);
    let by_rate_ms = Ramp::of(job).map(|ramp| ramp.takes_ms(sent, left).unsigned_abs());
    let worked_ms = job
        .started_at
        .map(|at| job.updated_at.millis_since(at).max(0).unsigned_abs());
    let by_speed_ms = worked_ms
        .filter(|_| met > 0 && !job.slow_start)
        .map(|ms| u64::try_from(u128::from(ms) * u128::from(left) / u128::from(met)).unwrap_or(u64::MAX));
    by_rate_ms.max(by_speed_ms).map(|ms| ms.div_ceil(1000))
}

impl From<ReplayJob> for ReplayView {
    fn from(job: ReplayJob) -> Self {
        Self {
            state: job.shown_state(),
            seconds_left: seconds_left(&job),
            id: job.id,
            total: job.total,
            done: job.done,
            failed: job.failed,
            skipped: job.skipped,
            counted: job.counted,
            dry_run: job.dry_run,
            rate: job.rate,
            what: job.spec.into(),
            error: job.error,
            asked_at: job.asked_at,
            started_at: job.started_at,
            updated_at: job.updated_at,
            finished_at: job.finished_at,
        }
    }
}
