//! `POST /v1/events` over HTTP: who may, how large, which status. The work is in `accept`.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use redial_domain::event::MAX_BODY_BYTES;
use redial_platform::auth::Authenticator;
use redial_platform::problem::Problem;
use redial_platform::respond;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accept::{Accepted, Answer, Ingest};

/// Length of a W3C `traceparent` of version 00.
const TRACEPARENT_LEN: usize = 55;

#[derive(Clone)]
struct Ingress {
    ingest: Arc<Ingest>,
    authenticator: Authenticator,
}

/// The answers to a batch, in the order of its events.
#[derive(Serialize, ToSchema)]
struct BatchAnswer {
    events: Vec<Answer>,
}

/// The HTTP routes of ingest.
pub fn router(ingest: Arc<Ingest>, authenticator: Authenticator) -> axum::Router {
    routes_with_docs()
        .with_state(Ingress { ingest, authenticator })
        .split_for_parts()
        .0
        .method_not_allowed_fallback(respond::method_not_allowed)
        .layer(axum::middleware::from_fn(respond::guarded))
}

/// The part of the `OpenAPI` description that is about ingest.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes_with_docs().split_for_parts().1
}

fn routes_with_docs() -> OpenApiRouter<Ingress> {
    OpenApiRouter::new().routes(routes!(post_events))
}

/// Post events
///
/// A single event, a bare array, or `{"events": [..]}` of at most 500. Repeating a request with the same ids is safe: it
/// gets the stored answers and sends nothing again.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    request_body(content = Object, description = "An event, an array of events, or an object with `events`."),
    responses(
        (status = 202, description = "Stored; the deliveries are on their way", body = BatchAnswer),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not post events", body = Problem),
        (status = 409, description = "Another event has this id", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
    )
)]
async fn post_events(State(ingress): State<Ingress>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = text(header::AUTHORIZATION);
    let caller = ingress
        .authenticator
        .caller(authorization)
        .await?
        .ok_or_else(Problem::unauthorized)?;
    if !caller.scope.may_ingest() {
        return Err(Problem::forbidden());
    }
    let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "a request may have at most 4 MiB",
        )
    })?;
    let traceparent = headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
        .filter(|text| is_trace(text));
    Ok(match ingress.ingest.accept(&body, traceparent).await? {
        Accepted::Single(Answer::Refused { error, .. }) => error.into_response(),
        Accepted::Single(answer) => (StatusCode::ACCEPTED, Json(answer)).into_response(),
        Accepted::Batch(events) => (StatusCode::ACCEPTED, Json(BatchAnswer { events })).into_response(),
    })
}

fn is_trace(text: &str) -> bool {
    text.len() == TRACEPARENT_LEN && text.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-')
}
