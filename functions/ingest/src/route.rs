//! `POST /v1/events` over HTTP: who may, how large, which status. The work is in `accept`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, State};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use lambda_http::request::RequestContext;
use redial_domain::Traceparent;
use redial_domain::event::MAX_BODY_BYTES;
use redial_platform::auth::Authenticator;
use redial_platform::problem::Problem;
use redial_platform::respond;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::source;
use utoipa_axum::router::OpenApiRouter;

use crate::accept::Ingest;
use crate::answer::{Accepted, Answer};
use crate::described::{BatchAnswer, PostAnswer, Posted};
use crate::noted::Noted;

#[derive(Clone)]
struct Ingress {
    ingest: Arc<Ingest>,
    authenticator: Authenticator,
}

/// The HTTP routes of ingest.
pub fn router(ingest: Arc<Ingest>, authenticator: Authenticator) -> axum::Router {
    routes(axum::Router::new())
        .with_state(Ingress { ingest, authenticator })
        .method_not_allowed_fallback(respond::method_not_allowed)
        .layer(axum::middleware::from_fn(respond::guarded))
}

/// The part of the `OpenAPI` description that is about ingest.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes(OpenApiRouter::new()).split_for_parts().1
}

fn routes<R: Routes<Ingress>>(to: R) -> R {
    to.with(routes!(post_events))
}

/// Post events
///
/// A single event, a bare array, or `{"events": [..]}` of at most 500. Repeating a request with the same ids is safe: it
/// gets the stored answers and sends nothing again.
///
/// `type` is one that ships or one of the tenant's own, and `data` is checked against its schema. With the tenant's
/// `validation` at `warn` the answer's `warnings` say what does not fit, with `reject` the event is refused (`data_invalid`,
/// and the first `misfits`). Both are decided anew for a repeat, by the settings and schemas of then: warnings are not part
/// of the stored answer, and an event whose type was archived meanwhile is refused although it is stored.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    request_body(content = Posted, description = "An event, an array of events, or an object with `events`."),
    responses(
        (status = 202, description = "Stored; the deliveries are on their way", body = PostAnswer),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not post events, or not from there (`source_not_allowed`)", body = Problem),
        (status = 409, description = "Another event has this id", body = Problem),
        (status = 410, description = "The event of this id was erased (`event_erased`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
    )
)]
async fn post_events(
    State(ingress): State<Ingress>,
    context: Option<Extension<RequestContext>>,
    extensions: Extensions,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let traceparent = text("traceparent").and_then(Traceparent::parse);
    let recorder = ingress.ingest.begin();
    let noted = Noted {
        recorder: &recorder,
        traceparent: traceparent.as_ref(),
    };
    let told = match context.as_deref() {
        Some(RequestContext::ApiGatewayV2(context)) => Some(context.http.source_ip.as_deref()),
        Some(_) => Some(None),
        None => None,
    };
    let source = source::address(told, &extensions);
    let sender = if context.is_some_and(|Extension(context)| is_signed(&context)) {
        Sender::LetInByIam
    } else {
        Sender::Bearer(text(header::AUTHORIZATION.as_str()), source)
    };
    let answered = ingress.take(sender, body, noted).await;
    noted.conclude(&answered);
    Ok(match answered? {
        Accepted::Single(Answer::Refused { error, .. }) => error.into_response(),
        Accepted::Single(answer) => (StatusCode::ACCEPTED, Json(answer)).into_response(),
        Accepted::Batch(events) => (StatusCode::ACCEPTED, Json(BatchAnswer { events })).into_response(),
    })
}

/// Who posts events.
#[derive(Clone, Copy)]
enum Sender<'a> {
    /// A principal of AWS whose policies let it through the URL of type AWS_IAM: it needs no key.
    LetInByIam,
    /// Whoever has the key in this header, at this address if it is known.
    Bearer(Option<&'a str>, Option<IpAddr>),
}

/// True if the request came through a URL of type AWS_IAM, where Lambda has checked its signature. Lambda alone writes the
/// context of a request; nothing that a caller sends, body, headers or query, becomes part of it, and on a URL of type NONE
/// it never names a principal.
/// <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>
fn is_signed(context: &RequestContext) -> bool {
    match context {
        RequestContext::ApiGatewayV2(context) => {
            let iam = context
                .authorizer
                .as_ref()
                .and_then(|authorizer| authorizer.iam.as_ref());
            iam.is_some_and(|iam| iam.user_arn.as_ref().is_some_and(|arn| !arn.is_empty()))
        }
        _ => false,
    }
}

impl Ingress {
    /// Takes a body from whoever may post events.
    async fn take(&self, sender: Sender<'_>, body: Body, noted: Noted<'_>) -> Result<Accepted, Problem> {
        if let Sender::Bearer(authorization, source) = sender {
            let caller = self.authenticator.admit(authorization, source).await?;
            if !caller.scope.may_ingest() {
                return Err(Problem::forbidden());
            }
        }
        let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "a request may have at most 4 MiB",
            )
        })?;
        self.ingest.accept(body, noted).await
    }
}
