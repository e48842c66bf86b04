//! Would this event reach this endpoint, and if not, why not? Looks at settings alone: nothing is sent, nothing is stored.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use redial_domain::endpoint::Endpoint;
use redial_domain::{AgentId, EndpointId, EventId, EventTypeName};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::body::{Body, Fields, refuse};
use crate::listing::Listing;

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
    /// `type_not_wanted`, `agent_not_wanted`, `no_agent`, `agent_excluded`.
    #[schema(example = "agent_not_wanted")]
    code: &'static str,
    /// The same as a sentence, with what to change.
    reason: &'static str,
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

impl Api {
    /// The event that is asked about: its type and agent.
    async fn supposed(&self, scope: &InTenant, fields: Fields) -> Result<(EventTypeName, Option<AgentId>), Problem> {
        match Supposed::read(fields)? {
            Supposed::MadeUp(event_type, agent) => Ok((event_type, agent)),
            Supposed::Stored(id) => {
                let event = self.store.event(scope.id(), &id, self.clock.now()).await?;
                let event = event.ok_or_else(|| refuse("not_found", "event", "there is no such event"))?;
                Ok((event.event_type, event.agent))
            }
        }
    }
}

fn dry_run(endpoint: &Endpoint, event_type: &EventTypeName, agent: Option<&AgentId>) -> DryRun {
    let reach = endpoint.reach(event_type, agent);
    DryRun {
        reaches: reach.reaches(),
        code: reach.code(),
        reason: reach.sentence(),
    }
}

/// Ask whether an event would reach an endpoint
///
/// And why not. Nothing is sent or stored.
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
    let (event_type, agent) = api.supposed(&scope, fields).await?;
    Ok(Json(dry_run(&stored.endpoint, &event_type, agent.as_ref())))
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
    let (event_type, agent) = api.supposed(&scope, fields).await?;
    let endpoints = scope.config.endpoints.iter().map(|stored| &stored.endpoint);
    let items = endpoints.map(|endpoint| EndpointDryRun {
        endpoint: endpoint.id.clone(),
        dry_run: dry_run(endpoint, &event_type, agent.as_ref()),
    });
    Ok(Json(Listing {
        items: items.collect(),
        next: None,
        unreadable: None,
    }))
}
