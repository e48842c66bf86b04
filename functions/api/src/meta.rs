//! What Redial is, where events go, what types of events there are, and the description of this API. Reads no store.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::IntoResponse;
use redial_domain::catalogue::{self, EventType};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::Known;
use crate::listing::Listing;
use crate::query::Query;

/// The description that the repository holds; a test keeps it equal to the code.
pub(crate) const OPENAPI_JSON: &str = include_str!("../../../docs/openapi.json");

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(about))
        .with(routes!(description))
        .with(routes!(event_types))
}

/// What Redial is and where events are posted.
#[derive(Debug, Serialize, ToSchema)]
struct About {
    #[schema(example = "Redial")]
    name: &'static str,
    /// The version that runs.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Absolute URL of `POST /v1/events`.
    #[schema(example = "https://ingest.example.com/v1/events")]
    ingest: String,
    /// The addresses that deliveries come from, for receivers that let in no others. Empty: they are not fixed.
    #[schema(value_type = Vec<String>, example = json!(["203.0.113.7"]))]
    egress_addresses: Vec<IpAddr>,
}

/// What Redial is
///
/// Names the URL that events are posted to, and the addresses that deliveries come from. Needs no key.
#[utoipa::path(
    get,
    path = "/v1",
    tag = "about",
    security(()),
    responses((status = 200, description = "Name, version and the URL for events", body = About))
)]
async fn about(State(api): State<Arc<Api>>) -> Json<About> {
    Json(About {
        name: "Redial",
        version: env!("CARGO_PKG_VERSION"),
        ingest: api.ingest_url.clone(),
        egress_addresses: api.egress_addresses.clone(),
    })
}

/// This description
///
/// Needs no key.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    operation_id = "read_openapi",
    tag = "about",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
async fn description() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI_JSON)
}

/// A type of events.
#[derive(Debug, Serialize, ToSchema)]
struct EventTypeView {
    #[schema(example = "call.ended")]
    name: &'static str,
    /// The heading it is listed under.
    #[schema(value_type = String, example = "calls")]
    group: catalogue::Group,
    /// When it happens.
    description: &'static str,
    /// `data` as it may arrive.
    #[schema(value_type = Object)]
    example: &'static serde_json::Value,
    /// JSON Schema 2020-12 of `data`.
    #[schema(value_type = Object)]
    schema: &'static serde_json::Value,
}

fn view(event_type: &'static EventType) -> EventTypeView {
    EventTypeView {
        name: &event_type.name,
        group: event_type.group,
        description: &event_type.description,
        example: &event_type.example,
        schema: &event_type.schema,
    }
}

/// List event types
///
/// The catalogue, group by group.
#[utoipa::path(
    get,
    path = "/v1/event-types",
    operation_id = "list_event_types",
    tag = "event types",
    params(
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of event types", body = Listing<EventTypeView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
    )
)]
async fn event_types(
    State(api): State<Arc<Api>>,
    _: Known,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<EventTypeView>>, Problem> {
    let wanted = api
        .wanted("event-types", None, &Query::parse(raw.as_deref(), &[])?)
        .await?;
    // A name that is gone since a page was given begins anew: a new version of the catalogue.
    let after = wanted.after_key();
    let begin = after.and_then(|after| catalogue::all().iter().position(|known| known.name == after));
    let rest = catalogue::all().iter().skip(begin.map_or(0, |last| last + 1));
    let found: Vec<&'static EventType> = rest.take(wanted.limit + 1).collect();
    let page = api.keyed(&wanted, found, |known| known.name.clone(), view);
    Ok(Json(page.await?))
}
