//! Trying an endpoint out: one request now, and everything that was seen of it. The dispatcher makes it, as it makes every
//! request to a customer; here it is only decided what the sample says and whether another test may be made so soon.
//! Nothing is stored but that there was a test, and never is a secret sent to the dispatcher.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use redial_domain::catalogue::{self, EventType};
use redial_domain::endpoint::EndpointSettings;
use redial_domain::event::{Content, PostedEvent};
use redial_domain::filter::TypePattern;
use redial_domain::{EventTypeName, Invalid, TenantId};
use redial_platform::endpoint_test::{Answer, Invocation, TestExchange, TestOrder};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::test_limit::{TestLease, TestRefusal};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::body::{Fields, OptionalBody, refuse};

/// What is sent unless somebody says, or the endpoint wants something else.
const USUAL_TYPE: &str = "call.ended";

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(test))
}

/// What the sample is to be; an empty body, or none, lets Redial choose.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `Api::sample` reads its fields")]
struct Sample {
    /// Its type; absent: the first that the endpoint wants and its profile has a name for, `call.ended` of many.
    #[schema(
        max_length = 128,
        pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$",
        example = "call.ended"
    )]
    r#type: Option<String>,
    /// Its `data`, any JSON; absent: the example of the type in the catalogue, `{}` for a type that has none.
    #[schema(value_type = Option<Value>)]
    data: Option<Value>,
}

impl Api {
    async fn try_out(&self, order: TestOrder, lease: &TestLease) -> Result<TestExchange, Problem> {
        let tenant = order.tenant.clone();
        let payload = serde_json::to_vec(&Invocation { endpoint_test: order }).map_err(|error| failed(&error))?;
        // Boxed: with those of the SDK in it, the future nests deeper than the compiler looks.
        let answered = Box::pin(self.dispatcher.invoke(payload)).await;
        // Without an answer the dispatcher may still be at it: then the lease ends by itself.
        let answer = answered.map_err(|error| failed(&error))?;
        if let Err(error) = self.store.end_test(&tenant, lease).await {
            tracing::warn!(%error, %tenant, "api.test_lease_kept");
        }
        match serde_json::from_slice(&answer).map_err(|error| failed(&error))? {
            Answer::Exchange(exchange) => Ok(exchange),
            Answer::Problem(problem) => Err(problem),
        }
    }
}

fn too_soon(refusal: TestRefusal) -> Response {
    let detail = match refusal {
        TestRefusal::Running => "3 tests of a tenant run at once at most; wait until one is over and try again",
        TestRefusal::OfTenant(_) => {
            "the endpoints of a tenant may be tested 30 times a minute, 10 times in a row; wait and try again"
        }
        TestRefusal::OfEndpoint(_) => {
            "an endpoint may be tested 10 times a minute, 5 times in a row; wait and try again"
        }
    };
    let mut answer = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(refusal.retry_after_s()));
    answer
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Problem {
    let source = error.source().map(tracing::field::display);
    tracing::error!(%error, source, "api.test_not_made");
    Problem::internal()
}

/// Test an endpoint
///
/// Sends one request now, as a delivery of a sample event would be sent: signed, authenticated, in the endpoint's profile,
/// with its timeout; with `webhook-test: 1` and a `webhook-id` that begins with `test_`. Works in every state of the endpoint,
/// also before it is activated. The answer is 200 whatever came of it, with the whole exchange, the time of each step and, if
/// something failed, which step and what to mend. Nothing of it is stored, retried or counted against the endpoint.
///
/// An endpoint may be tested 10 times a minute, 5 times in a row; all endpoints of a tenant 30 times a minute, 10 times in a
/// row; and 3 of them at once.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/test",
    operation_id = "test_endpoint",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
    ),
    request_body = Option<Sample>,
    responses(
        (status = 200, description = "What came of it", body = TestExchange),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (
            status = 422,
            description = "A field is wrong, or the profile has no name for the type (`event_type_not_in_profile`)",
            body = Problem
        ),
        (status = 429, description = "Tested too often, too many at once, or too many names are being looked up; Retry-After says when to try again (`rate_limited`)", body = Problem),
    )
)]
async fn test(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    OptionalBody(fields): OptionalBody,
) -> Result<Response, Problem> {
    let endpoint = scope.endpoint()?;
    let stored = scope.config.endpoint(&endpoint);
    let stored = stored.ok_or_else(|| Problem::not_found("endpoint"))?;
    let content = api.sample(scope.id(), &stored.endpoint.settings, fields).await?;
    let now = api.clock.now();
    let id = format!("{:032x}", api.random.number());
    let lease = TestLease::new(id, stored.endpoint.settings.timeout_ms, now);
    if let Some(refusal) = api.store.begin_test(scope.id(), &endpoint, &lease, now).await? {
        return Ok(too_soon(refusal));
    }
    let order = TestOrder {
        tenant: scope.id().clone(),
        endpoint,
        content,
    };
    Ok(Json(api.try_out(order, &lease).await?).into_response())
}

/// What events of a type look like.
#[derive(Default)]
struct Example {
    data: Option<Value>,
    related: Option<Value>,
    links: Option<Value>,
}

impl Api {
    /// What the sample says: what was asked for, filled up from the catalogue.
    async fn sample(
        &self,
        tenant: &TenantId,
        settings: &EndpointSettings,
        mut fields: Fields,
    ) -> Result<Content, Problem> {
        let asked = fields.named("type", EventTypeName::parse)?;
        let data = fields.0.remove("data").filter(|data| !data.is_null());
        fields.finish()?;
        let name = match asked {
            Some(name) => name,
            None => usual(settings)?,
        };
        if !settings.profile.carries(&name) {
            let detail = "the endpoint's profile has no name for events of this type, so none ever reaches it";
            return Err(refuse("event_type_not_in_profile", "type", detail));
        }
        // The ids in the example's links belong to the example's data.
        let example = match data {
            Some(data) => Example {
                data: Some(data),
                ..Example::default()
            },
            None => self.example(tenant, &name).await?,
        };
        let mut event = Map::new();
        event.insert("type".to_owned(), json!(name));
        event.insert("tenant".to_owned(), json!(tenant));
        event.insert("data".to_owned(), example.data.unwrap_or_else(|| json!({})));
        // An endpoint that takes some agents only gets no events without one.
        let agent = settings.filter.agents.first().map(|agent| json!(agent));
        for (name, value) in [("agent", agent), ("related", example.related), ("links", example.links)] {
            event.extend(value.map(|value| (name.to_owned(), value)));
        }
        // As strictly as an event that a platform posts.
        Ok(PostedEvent::parse(&Value::Object(event).to_string())?.content)
    }

    /// The example of a type that ships, or that the tenant added; nothing for others.
    async fn example(&self, tenant: &TenantId, name: &EventTypeName) -> Result<Example, Problem> {
        if let Some(shipped) = catalogue::find(name.as_str()) {
            return Ok(Example {
                data: Some(shipped.example.clone()),
                related: shipped.related.clone(),
                links: shipped.links.clone(),
            });
        }
        let own = self.store.event_type(tenant, name).await?;
        Ok(Example {
            data: own.and_then(|own| own.example),
            ..Example::default()
        })
    }
}

/// The type that an endpoint most likely waits for.
fn usual(settings: &EndpointSettings) -> Result<EventTypeName, Invalid> {
    let wanted = &settings.filter.event_types;
    let carried = |name: &EventTypeName| settings.profile.carries(name);
    let wants = |event_type: &&EventType| {
        let is_listed = |name: &EventTypeName| wanted.is_empty() || wanted.iter().any(|pattern| pattern.matches(name));
        EventTypeName::parse(&event_type.name).is_ok_and(|name| is_listed(&name) && carried(&name))
    };
    let shipped = catalogue::find(USUAL_TYPE)
        .filter(wants)
        .or_else(|| catalogue::all().iter().find(wants));
    let own = wanted.iter().find_map(|pattern| match pattern {
        TypePattern::Exact(name) if carried(name) => Some(name),
        _ => None,
    });
    match (shipped, own) {
        (None, Some(own)) => Ok(own.clone()),
        (shipped, _) => EventTypeName::parse(shipped.map_or(USUAL_TYPE, |shipped| &shipped.name)),
    }
}
