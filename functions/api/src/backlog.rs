//! An endpoint's backlog, which is what is held for it: counted before anything is done with it, then drained or discarded by
//! a replay job. Releasing it with a change of the endpoint's state is `endpoint_state`'s.

mod schema;
pub(crate) mod wish;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::hold::DRAIN_PER_S;
use redial_domain::{EndpointId, EventTypeName, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::backlog::{Counted, Narrow, Waiting};
use redial_platform::store::config::{StoredEndpoint, TenantConfig};
use redial_platform::store::replays::{ReplayAction, ReplayFilter, ReplayJob};
use redial_platform::store::unfinished::Quota;
use redial_replay::{Options, ReplayView, take_rate};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::body::{Body, refuse};
use crate::endpoint_view::held;
use crate::query::Query;

pub(crate) use self::schema::CountView;
pub(crate) use self::schema::ResumeWish;
pub(crate) use self::wish::Wish;

use self::schema::BacklogWish;
use self::wish::{Action, Which};

/// Ages that a backlog is told apart by, in seconds: an hour, a day, a week.
const AGES_S: [i64; 3] = [3_600, 86_400, 604_800];
/// Most event types that a count tells apart; the rest are counted together.
pub(crate) const MAX_VALUES: usize = 100;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(count, change))
}

impl Api {
    /// Asks for the job that drains or discards a part of what is held for an endpoint.
    ///
    /// # Errors
    /// 422 if the part makes no sense; 429 if too many jobs are not finished; 500 if the job could not be made.
    pub(crate) async fn ask_for_backlog(
        &self,
        quota: Quota,
        config: &Arc<TenantConfig>,
        endpoint: &Endpoint,
        part: Part,
    ) -> Result<ReplayJob, Problem> {
        let range = part.which.range(self.clock.now());
        let filter = ReplayFilter {
            action: part.action,
            endpoints: vec![endpoint.id.clone()],
            event_types: part.which.event_types,
            agents: part.which.agents,
            since: range.since,
            until: range.until,
            state: Some(DeliveryState::Held),
            ..ReplayFilter::default()
        };
        let drains = part.action == ReplayAction::Deliver;
        let usual = drains.then_some(DRAIN_PER_S);
        let limit = endpoint.settings.rate_limit.filter(|_| drains);
        let options = Options {
            rate: part.rate.or(usual).into_iter().chain(limit).min(),
            slow_start: drains && part.rate.is_none(),
            dry_run: part.dry_run,
        };
        let job = self
            .asker
            .ask_within(Some(quota), config, filter.into(), options)
            .await?;
        let (tenant, action) = (&config.tenant.id, part.action);
        tracing::info!(%tenant, endpoint = %endpoint.id, replay = %job.id, ?action, held = job.total, "api.backlog_asked");
        self.note_drain(endpoint, &job).await;
        Ok(job)
    }
}

/// What is asked of a backlog.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) action: ReplayAction,
    pub(crate) which: Which,
    pub(crate) rate: Option<u32>,
    pub(crate) dry_run: bool,
}

impl From<Counted> for CountView {
    fn from(counted: Counted) -> Self {
        Self {
            count: counted.count,
            at_least: counted.at_least,
        }
    }
}

/// How many there are of something.
#[derive(Debug, Serialize, ToSchema)]
struct OfReason {
    /// Why they are held; `null`: an earlier release held them and did not say.
    #[schema(required, example = "endpoint_paused")]
    reason: Option<String>,
    /// What that means.
    sentence: &'static str,
    count: u64,
}

/// How many there are of an event type.
#[derive(Debug, Serialize, ToSchema)]
struct OfType {
    #[schema(value_type = String, example = "call.ended")]
    event_type: EventTypeName,
    count: u64,
}

/// How many there are of an age.
#[derive(Debug, Serialize, ToSchema)]
struct OfAge {
    /// Seconds since the event was accepted: at least.
    from_s: i64,
    /// Less than; `null`: any more.
    #[schema(required)]
    to_s: Option<i64>,
    count: u64,
}

/// What is held for an endpoint.
#[derive(Debug, Serialize, ToSchema)]
struct BacklogView {
    /// All that is held for it.
    held: CountView,
    /// What is held and was asked for. The other numbers are about these.
    matching: CountView,
    by_reason: Vec<OfReason>,
    /// The most frequent 100 first.
    by_type: Vec<OfType>,
    by_age: Vec<OfAge>,
    /// When the oldest of their events was accepted.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    oldest_accepted_at: Option<Timestamp>,
    /// When the newest was.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    newest_accepted_at: Option<Timestamp>,
    /// What was accepted before is kept back: it stays held until it is drained or discarded here; `null`: nothing is.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    kept_until: Option<Timestamp>,
}

/// What it means that a delivery is held.
fn held_because(reason: Option<&str>) -> &'static str {
    match reason {
        Some("endpoint_failing") => "Its endpoint is on hold because it fails: it goes when a probe succeeds.",
        Some("endpoint_paused") => "Its endpoint is paused: it goes when somebody resumes it.",
        Some("endpoint_disabled") => "Its endpoint is disabled: it goes when somebody resumes it.",
        Some("endpoint_inactive") => "Its endpoint is inactive: it goes when somebody activates it.",
        Some("rate_limited") => "It waits for its endpoint's rate limit, or for its turn while its endpoint is slow.",
        Some("endpoint_slow") => {
            "Its endpoint leaves requests unanswered, and too many of its tenant's are; it is sent a little later."
        }
        Some("retries_full") => "It waits for its next attempt outside the queue, where enough of its endpoint's wait.",
        Some("receives_burnt") => "It came to the dead-letter queue with attempts left: it is sent again soon.",
        _ => "It is held.",
    }
}

/// How often each value occurs, the most frequent first.
pub(crate) fn frequencies<K: Ord>(values: impl Iterator<Item = K>) -> Vec<(K, u64)> {
    let mut counts: BTreeMap<K, u64> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<(K, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn by_age(waiting: &[Waiting], now: Timestamp) -> Vec<OfAge> {
    let begins = [0].into_iter().chain(AGES_S);
    let ends = AGES_S.into_iter().map(Some).chain([None]);
    begins
        .zip(ends)
        .map(|(from_s, to_s)| {
            let is_of = |one: &&Waiting| {
                let age_s = now.millis_since(one.accepted_at).max(0) / 1000;
                age_s >= from_s && to_s.is_none_or(|to_s| age_s < to_s)
            };
            let count = waiting.iter().filter(is_of).count() as u64;
            OfAge { from_s, to_s, count }
        })
        .collect()
}

/// The endpoint that the path names, as it is stored.
pub(crate) fn stored_endpoint(scope: &InTenant) -> Result<&Arc<StoredEndpoint>, Problem> {
    let id: EndpointId = scope.endpoint()?;
    scope.config.endpoint(&id).ok_or_else(|| Problem::not_found("endpoint"))
}

/// Count an endpoint's backlog
///
/// What is held for it, by reason, event type and age, before anything is done with it. Of more than 10,000 the newest are
/// looked at, and `at_least` says so.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/backlog",
    operation_id = "count_backlog",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
        ("since" = Option<String>, Query, description = "First moment of acceptance, RFC 3339"),
        ("until" = Option<String>, Query, description = "First moment after it, RFC 3339"),
        ("event_types" = Option<String>, Query, description = "Only of these types, as `call.ended,call.*`",
            max_length = 6_449,
            pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?(,[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?){0,49}$"),
        ("agents" = Option<String>, Query, description = "Only of these agents, separated by commas",
            pattern = "^[A-Za-z0-9_:-]{1,128}(,[A-Za-z0-9_:-]{1,128}){0,99}$"),
    ),
    responses(
        (status = 200, description = "What is held", body = BacklogView),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
    )
)]
async fn count(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<BacklogView>, Problem> {
    let query = Query::read_known(raw.as_deref(), &["since", "until", "event_types", "agents"])?;
    let which = Which::read(&query)?;
    let endpoint = &stored_endpoint(&scope)?.endpoint;
    let (tenant, now, state) = (scope.id(), api.clock.now(), DeliveryState::Held);
    let held = api.store.count_in_state(tenant, &endpoint.id, state, now).await?;
    let range = which.range(now);
    let narrow = Narrow {
        event_types: which.event_types,
        agents: which.agents,
        reason: None,
    };
    let endpoints = std::slice::from_ref(&endpoint.id);
    let found = api.store.waiting(tenant, endpoints, state, range, &narrow, now).await?;
    let accepted = || found.waiting.iter().map(|one| one.accepted_at);
    let by_reason = frequencies(found.waiting.iter().map(|one| one.reason.clone()));
    let by_type = frequencies(found.waiting.iter().map(|one| one.event_type.clone()));
    Ok(Json(BacklogView {
        held: held.into(),
        matching: CountView {
            count: found.waiting.len() as u64,
            at_least: found.at_least,
        },
        by_reason: by_reason
            .into_iter()
            .map(|(reason, count)| OfReason {
                sentence: held_because(reason.as_deref()),
                reason,
                count,
            })
            .collect(),
        by_type: by_type
            .into_iter()
            .take(MAX_VALUES)
            .map(|(event_type, count)| OfType { event_type, count })
            .collect(),
        by_age: by_age(&found.waiting, now),
        oldest_accepted_at: accepted().min(),
        newest_accepted_at: accepted().max(),
        kept_until: endpoint.kept_until,
    }))
}

/// Drain or discard a backlog
///
/// `drain` delivers what is held and asked for, at 100 a second (or the endpoint's lower limit) with a slow start, or at
/// `rate`; `discard` cancels it. With `dry_run` it is only counted. The answer is the replay that does it: look at it, pause
/// and cancel it as any other. Only an endpoint that is delivered to can be drained: resume or activate it first.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/backlog",
    operation_id = "change_backlog",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
    ),
    request_body = BacklogWish,
    responses(
        (status = 202, description = "Begun, or counted", body = ReplayView),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "It is not delivered to now (`endpoint_on_hold`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
        (status = 429, description = "More requests than may be made at once (`rate_limited`), or 10 replays of the tenant are not finished (`too_many_replays`); Retry-After says when to try again", body = Problem),
    )
)]
async fn change(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    Body(mut fields): Body,
) -> Result<(StatusCode, Json<ReplayView>), Problem> {
    let stored = stored_endpoint(&scope)?;
    let action: Option<Action> = fields.take("action", "drain or discard")?;
    let action = action.ok_or_else(|| refuse("field_missing", "action", "is required: drain or discard"))?;
    let mut which = Which::take(&mut fields)?;
    which.until = fields.moment("until")?;
    let dry_run: Option<bool> = fields.take("dry_run", "true or false")?;
    let rate = take_rate(&mut fields)?;
    fields.finish()?;
    let dry_run = dry_run.unwrap_or_default();
    if action == Action::Drain && !dry_run {
        check_delivered_to(stored)?;
    }
    let part = Part {
        action: match action {
            Action::Drain => ReplayAction::Deliver,
            Action::Discard => ReplayAction::Discard,
        },
        which,
        rate,
        dry_run,
    };
    let quota = Quota::Replays;
    let job = api
        .ask_for_backlog(quota, &scope.config, &stored.endpoint, part)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// Refuses to release what would only be held again.
fn check_delivered_to(stored: &StoredEndpoint) -> Result<(), Problem> {
    let detail = match stored.endpoint.state {
        EndpointState::Active if held(stored).is_none() => return Ok(()),
        EndpointState::Active => {
            "the endpoint is on hold because it fails: its backlog drains when it recovers; if you know that it has, resume it"
        }
        EndpointState::Inactive => {
            "the endpoint is inactive: activate it, which can drain, keep or discard its backlog"
        }
        EndpointState::Paused | EndpointState::Disabled => {
            "the endpoint is not delivered to: resume it, which can drain, keep or discard its backlog"
        }
    };
    Err(Problem::new(StatusCode::CONFLICT, "endpoint_on_hold", detail))
}
