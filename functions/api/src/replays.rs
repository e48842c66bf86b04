//! Replays: stored events delivered again. Asked for here, worked on by `redial_replay`; here is only who may and what is
//! asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, EndpointId, EventId, Invalid, ReplayId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::store::replays::{JobState, ReplayJob, ReplaySpec};
use redial_replay::AskError;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::access::InTenant;
use crate::body::{Body, Fields, refuse};
use crate::listing::Listing;
use crate::query::Query;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(read))
}

/// What is to be delivered again: `event`, or `delivery`, or `endpoint` with `since`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
struct NewReplay {
    /// This event, to every endpoint that it matched.
    event: Option<String>,
    /// This delivery.
    delivery: Option<String>,
    /// The deliveries of this endpoint.
    endpoint: Option<String>,
    /// With `endpoint`: of events accepted from this moment on.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// With `endpoint`: of events accepted before this moment; now by default.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// With `endpoint`: only `held`, `succeeded`, `dead` or `canceled` ones; absent: all that are concluded.
    state: Option<String>,
}

/// A replay.
#[derive(Debug, Serialize, ToSchema)]
struct ReplayView {
    #[schema(value_type = String, example = "rpl_01JD3ZK8Q0ABCDEFGH")]
    id: ReplayId,
    /// `pending`, `running`, `done` or `failed`.
    #[schema(value_type = String, example = "running")]
    state: JobState,
    /// Deliveries found when it was asked for.
    total: u64,
    /// Deliveries queued again.
    done: u64,
    /// Deliveries that could not be: their event or endpoint is gone.
    failed: u64,
    /// What was asked for.
    what: WhatView,
    /// Why it failed.
    #[schema(required)]
    error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    asked_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// What a replay delivers again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum WhatView {
    /// An event.
    Event {
        #[schema(value_type = String)]
        event: EventId,
    },
    /// A delivery.
    Delivery {
        #[schema(value_type = String)]
        delivery: DeliveryId,
    },
    /// An endpoint's deliveries in a stretch of time.
    Range {
        #[schema(value_type = String)]
        endpoint: EndpointId,
        #[schema(value_type = String, format = DateTime)]
        since: Timestamp,
        #[schema(value_type = String, format = DateTime)]
        until: Timestamp,
        #[schema(value_type = Option<String>, required)]
        state: Option<DeliveryState>,
    },
}

impl From<ReplaySpec> for WhatView {
    fn from(spec: ReplaySpec) -> Self {
        match spec {
            ReplaySpec::Event(event) => Self::Event { event },
            ReplaySpec::Delivery(delivery) => Self::Delivery { delivery },
            ReplaySpec::Range {
                endpoint,
                since,
                until,
                state,
            } => Self::Range {
                endpoint,
                since,
                until,
                state,
            },
        }
    }
}

impl From<ReplayJob> for ReplayView {
    fn from(job: ReplayJob) -> Self {
        Self {
            id: job.id,
            state: job.state,
            total: job.total,
            done: job.done,
            failed: job.failed,
            what: job.spec.into(),
            error: job.error,
            asked_at: job.asked_at,
            updated_at: job.updated_at,
        }
    }
}

/// The answer to a replay that cannot be asked for.
pub(crate) fn refused(error: AskError) -> Problem {
    match error {
        AskError::Missing(what) => refuse("not_found", what, format!("there is no such {what}")),
        AskError::Invalid(invalid) => invalid.into(),
        AskError::Store(error) => error.into(),
        AskError::Queue(error) => error.into(),
    }
}

fn named<T>(
    fields: &mut Fields,
    field: &'static str,
    parse: fn(&str) -> Result<T, Invalid>,
) -> Result<Option<T>, Problem> {
    let text = fields.text(field)?;
    let parsed = text.map(|text| parse(&text)).transpose();
    parsed.map_err(|invalid| {
        Problem::from(Invalid {
            field: field.into(),
            ..invalid
        })
    })
}

fn moment(fields: &mut Fields, field: &'static str) -> Result<Option<Timestamp>, Problem> {
    let text = fields.text(field)?;
    let parsed = text.map(|text| Timestamp::parse(&text)).transpose();
    parsed.map_err(|error| refuse("timestamp_invalid", field, error.to_string()))
}

/// Reads what is asked for.
fn asked(mut fields: Fields, now: Timestamp) -> Result<ReplaySpec, Problem> {
    let event = named(&mut fields, "event", EventId::parse)?;
    let delivery = named(&mut fields, "delivery", DeliveryId::parse)?;
    let endpoint = named(&mut fields, "endpoint", EndpointId::parse)?;
    if endpoint.is_none() {
        // What only narrows a range means nothing without one, and is refused as unknown here.
        fields.finish()?;
        return match (event, delivery) {
            (Some(event), None) => Ok(ReplaySpec::Event(event)),
            (None, Some(delivery)) => Ok(ReplaySpec::Delivery(delivery)),
            (Some(_), Some(_)) => Err(refuse(
                "replay_ambiguous",
                "delivery",
                "give event or delivery, not both",
            )),
            (None, None) => Err(refuse("field_missing", "event", "give event, delivery or endpoint")),
        };
    }
    let since = moment(&mut fields, "since")?;
    let until = moment(&mut fields, "until")?;
    let expected = "held, succeeded, dead or canceled";
    let state = fields.take("state", expected)?;
    fields.finish()?;
    match (endpoint, event.is_some() || delivery.is_some()) {
        (Some(endpoint), false) => Ok(ReplaySpec::Range {
            endpoint,
            since: since.ok_or_else(|| refuse("field_missing", "since", "is required with endpoint"))?,
            until: until.unwrap_or(now),
            state,
        }),
        _ => Err(refuse(
            "replay_ambiguous",
            "endpoint",
            "give one of event, delivery and endpoint",
        )),
    }
}

/// Ask for a replay
///
/// Each delivery is made anew, with attempts from 1 and the same `webhook-id`; held ones are released instead.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/replays",
    tag = "replays",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body = NewReplay,
    responses(
        (status = 202, description = "Begun", body = ReplayView),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong, or what it names is not there", body = Problem),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    Body(fields): Body,
) -> Result<(StatusCode, Json<ReplayView>), Problem> {
    let spec = asked(fields, api.clock.now())?;
    let job = api.asker.ask(&scope.config, spec).await.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// List replays
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/replays",
    tag = "replays",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of replays", body = Listing<ReplayView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
    )
)]
async fn list(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<ReplayView>>, Problem> {
    let query = Query::parse(raw.as_deref(), &[])?;
    let wanted = api.wanted("replays", Some(scope.id()), &query)?;
    let found = api.store.jobs(scope.id(), wanted.after_key(), wanted.limit + 1).await?;
    Ok(Json(api.keyed(
        &wanted,
        found,
        |job| job.id.to_string(),
        ReplayView::from,
    )))
}

/// Read a replay
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/replays/{replay}",
    tag = "replays",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("replay" = String, Path, description = "The replay's id"),
    ),
    responses(
        (status = 200, description = "The replay and its progress", body = ReplayView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such replay, or another's", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<ReplayView>, Problem> {
    let job = api.store.job(scope.id(), &scope.replay()?).await?;
    let job = job.ok_or_else(|| Problem::not_found("replay"))?;
    Ok(Json(job.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn read(body: &str) -> Result<ReplaySpec, Problem> {
        asked(Fields::parse(body.as_bytes()).unwrap().unwrap(), NOW)
    }

    #[test]
    fn a_replay_is_of_an_event_a_delivery_or_a_range() {
        let range = r#"{"endpoint":"ep_1","since":"2026-11-01T00:00:00Z","state":"dead"}"#;
        assert!(matches!(read(r#"{"event":"src_1"}"#), Ok(ReplaySpec::Event(_))));
        assert!(matches!(
            read(r#"{"delivery":"src_1.ep_1"}"#),
            Ok(ReplaySpec::Delivery(_))
        ));
        let ReplaySpec::Range { until, state, .. } = read(range).unwrap() else {
            panic!("a range");
        };
        assert_eq!((until, state), (NOW, Some(DeliveryState::Dead)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_field() {
        for (body, code, field) in [
            ("{}", "field_missing", "event"),
            (r#"{"event":"a b"}"#, "id_invalid", "event"),
            (r#"{"event":7}"#, "field_invalid", "event"),
            (r#"{"delivery":"src_1"}"#, "id_invalid", "delivery"),
            (r#"{"event":"a","delivery":"a.b"}"#, "replay_ambiguous", "delivery"),
            (
                r#"{"event":"a","since":"2026-11-01T00:00:00Z"}"#,
                "field_unknown",
                "since",
            ),
            (r#"{"endpoint":"ep_1"}"#, "field_missing", "since"),
            (r#"{"endpoint":"ep_1","since":"now"}"#, "timestamp_invalid", "since"),
            (
                r#"{"endpoint":"ep_1","since":"2026-11-01T00:00:00Z","state":"gone"}"#,
                "field_invalid",
                "state",
            ),
            (
                r#"{"endpoint":"ep_1","event":"a","since":"2026-11-01T00:00:00Z"}"#,
                "replay_ambiguous",
                "endpoint",
            ),
            (r#"{"event":"a","all":true}"#, "field_unknown", "all"),
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(
                (problem.code.as_str(), problem.field.as_deref()),
                (code, Some(field)),
                "{body}"
            );
            assert_eq!(problem.status, 422);
        }
    }
}
