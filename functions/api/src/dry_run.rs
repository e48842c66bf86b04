//! Would this event reach this endpoint, and if not, why not? Looks at settings, and at what is known of a stored event: nothing
//! is sent, nothing is stored.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use redial_domain::endpoint::Endpoint;
use redial_domain::{AgentId, EndpointId, EventId, EventTypeName, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::events::StoredEvent;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::body::{Body, Fields, refuse};
use crate::listing::Listing;

/// Deliveries that replays made of a stored event that are looked at: more are unlikely, and a few too few only repeat advice.
const MAX_REPLAYED: usize = 500;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(at_endpoint)).with(routes!(at_all))
}

/// Which event: a type, with an agent if it has one, or one that is stored.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body; `Supposed::read` reads its fields")]
enum SupposedEvent {
    Made(MadeUp),
    Stored(Stored),
}

/// An event that there need not be.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `Supposed::read` reads its fields")]
struct MadeUp {
    /// Its type.
    #[schema(
        max_length = 128,
        pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$",
        example = "call.ended"
    )]
    r#type: String,
    /// Its agent; absent: it has none.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "agt_7")]
    agent: Option<String>,
}

/// An event that is stored.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `Supposed::read` reads its fields")]
struct Stored {
    /// Its id.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "evt_01JD3ZK8Q000ABCDEFGHJKMNPQ")]
    event: String,
}

/// What is asked about.
enum Supposed {
    MadeUp(EventTypeName, Option<AgentId>),
    Stored(EventId),
}

impl Supposed {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let event_type = fields.named("type", EventTypeName::parse)?;
        let agent = fields.named("agent", AgentId::parse)?;
        let event = fields.named("event", EventId::parse)?;
        fields.finish()?;
        match (event_type, agent, event) {
            (Some(event_type), agent, None) => Ok(Self::MadeUp(event_type, agent)),
            (None, None, Some(event)) => Ok(Self::Stored(event)),
            (None, _, None) => Err(refuse(
                "field_missing",
                "type",
                "give type, with agent if need be, or event",
            )),
            (_, _, Some(_)) => Err(refuse(
                "field_invalid",
                "event",
                "stands alone: its type and agent are known",
            )),
        }
    }
}

/// Whether an event reaches an endpoint.
#[derive(Debug, Serialize, ToSchema)]
struct DryRun {
    /// True if it is delivered there, or held for it.
    reaches: bool,
    /// Stable: `delivered`; held: `endpoint_paused`, `endpoint_disabled`; or why not: `inactive`, `not_in_profile`,
    /// `type_not_wanted`, `agent_not_wanted`, `no_agent`, `agent_excluded`; of a stored event that the endpoint would get now
    /// and did not get then: `not_there_then`, made after it was accepted, or `not_matched_then`, inactive then or with other
    /// settings.
    #[schema(example = "agent_not_wanted")]
    code: &'static str,
    /// The same as a sentence, with what to change.
    #[schema(value_type = String)]
    reason: Cow<'static, str>,
    /// What to `POST` to `/v1/tenants/{tenant}/replays` so that it gets the stored event after all. Absent: nothing is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replay: Option<MissedReplay>,
}

/// A replay of what an endpoint has missed, as narrow as one event.
#[derive(Debug, Serialize, ToSchema)]
struct MissedReplay {
    #[schema(value_type = String, example = "ep_0123456789ABCDEF")]
    endpoint: EndpointId,
    /// Always true.
    missing: bool,
    /// When the event was accepted.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// A millisecond later.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// The event's type.
    #[schema(value_type = Vec<String>)]
    event_types: [EventTypeName; 1],
}

/// Whether an event reaches one of a tenant's endpoints.
#[derive(Debug, Serialize, ToSchema)]
struct EndpointDryRun {
    /// Which endpoint.
    #[schema(value_type = String, example = "ep_0123456789ABCDEF")]
    endpoint: EndpointId,
    #[serde(flatten)]
    dry_run: DryRun,
}

/// The event that is asked about.
struct About {
    event_type: EventTypeName,
    agent: Option<AgentId>,
    /// Of a stored one: when it was accepted, and the endpoints that have deliveries of it, by replays too.
    stored: Option<(Timestamp, BTreeSet<EndpointId>)>,
}

impl Api {
    /// The event that is asked about. Of a stored one two reads.
    async fn supposed(&self, scope: &InTenant, fields: Fields) -> Result<About, Problem> {
        let id = match Supposed::read(fields)? {
            Supposed::MadeUp(event_type, agent) => {
                return Ok(About {
                    event_type,
                    agent,
                    stored: None,
                });
            }
            Supposed::Stored(id) => id,
        };
        let (event, replayed) = futures_util::try_join!(
            self.store.event(scope.id(), &id, self.clock.now()),
            self.store.readable_replayed(scope.id(), &id, MAX_REPLAYED),
        )?;
        let event: StoredEvent = event.ok_or_else(|| refuse("not_found", "event", "there is no such event"))?;
        let replayed = replayed.0.into_iter().map(|delivery| delivery.endpoint);
        Ok(About {
            stored: Some((event.accepted_at, event.matched.into_iter().chain(replayed).collect())),
            event_type: event.event_type,
            agent: event.agent,
        })
    }
}

fn dry_run(endpoint: &Endpoint, about: &About) -> DryRun {
    let reach = endpoint.reach(&about.event_type, about.agent.as_ref());
    match &about.stored {
        Some((accepted_at, got_it)) if reach.reaches() && !got_it.contains(&endpoint.id) => {
            missed(endpoint, *accepted_at, &about.event_type)
        }
        _ => DryRun {
            reaches: reach.reaches(),
            code: reach.code(),
            reason: reach.sentence().into(),
            replay: None,
        },
    }
}

/// What is said of a stored event that an endpoint would get now and did not get then.
fn missed(endpoint: &Endpoint, accepted_at: Timestamp, event_type: &EventTypeName) -> DryRun {
    let (code, why) = if endpoint.created_at > accepted_at {
        ("not_there_then", "The endpoint was made after the event was accepted")
    } else {
        (
            "not_matched_then",
            "The endpoint did not match when the event was accepted: it was inactive, or had other settings",
        )
    };
    let (tenant, id, until) = (&endpoint.tenant, &endpoint.id, accepted_at.plus_millis(1));
    let reason = format!(
        "{why}. It would match now, and gets it by a replay of what it has missed: redial replay --tenant {tenant} --endpoint \
         {id} --missing --since {accepted_at} --until {until} --type {event_type}"
    );
    DryRun {
        reaches: false,
        code,
        reason: reason.into(),
        replay: Some(MissedReplay {
            endpoint: id.clone(),
            missing: true,
            since: accepted_at,
            until,
            event_types: [event_type.clone()],
        }),
    }
}

/// Ask whether an event would reach an endpoint
///
/// And why not. Nothing is sent or stored. Of a stored event that it would get now and did not get then it says so, and which
/// replay delivers it after all.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/dry-run",
    operation_id = "dry_run_endpoint",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
    ),
    request_body = SupposedEvent,
    responses(
        (status = 200, description = "Whether it would", body = DryRun),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong, or there is no such event", body = Problem),
    )
)]
async fn at_endpoint(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    Body(fields): Body,
) -> Result<Json<DryRun>, Problem> {
    let stored = scope.config.endpoint(&scope.endpoint()?);
    let stored = stored.ok_or_else(|| Problem::not_found("endpoint"))?;
    let about = api.supposed(&scope, fields).await?;
    Ok(Json(dry_run(&stored.endpoint, &about)))
}

/// Ask which endpoints an event would reach
///
/// All endpoints of the tenant, by id, each with why not. Nothing is sent or stored.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/dry-run",
    operation_id = "dry_run_tenant",
    tag = "endpoints",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body = SupposedEvent,
    responses(
        (status = 200, description = "Each endpoint, and whether it would; never more than one page", body = Listing<EndpointDryRun>),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong, or there is no such event", body = Problem),
    )
)]
async fn at_all(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    Body(fields): Body,
) -> Result<Json<Listing<EndpointDryRun>>, Problem> {
    let about = api.supposed(&scope, fields).await?;
    let endpoints = scope.config.endpoints.iter().map(|stored| &stored.endpoint);
    let items = endpoints.map(|endpoint| EndpointDryRun {
        endpoint: endpoint.id.clone(),
        dry_run: dry_run(endpoint, &about),
    });
    Ok(Json(Listing {
        items: items.collect(),
        next: None,
        unreadable: None,
    }))
}
