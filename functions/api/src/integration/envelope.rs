//! The envelope of system C: `{"status","code","result","message"}`, around answers and around every refusal on its path,
//! whoever refuses: a handler, the key, the method, the limit, or a panic. Decides nothing.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use redial_domain::profile::webhook_resource::WebhookResource;
use redial_platform::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::{PATH, WebhookFields};

/// Longest refusal that is read to be worn otherwise.
const MAX_PROBLEM_BYTES: usize = 64 * 1024;

/// The webhooks of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Webhooks {
    #[schema(pattern = "^success$", example = "success")]
    status: &'static str,
    /// The HTTP status.
    #[schema(minimum = 200, maximum = 200, example = 200)]
    code: u16,
    #[schema(value_type = Vec<WebhookFields>)]
    result: Vec<WebhookResource>,
    #[schema(pattern = "^Ok$", example = "Ok")]
    message: &'static str,
}

impl Webhooks {
    /// The answer that lists these.
    pub(super) const fn of(result: Vec<WebhookResource>) -> Self {
        Self {
            status: "success",
            code: 200,
            result,
            message: "Ok",
        }
    }
}

/// A refusal: nothing was changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhooksRefusal)]
pub(super) struct Refusal {
    #[schema(pattern = "^error$", example = "error")]
    status: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 422)]
    code: u16,
    /// Always empty.
    #[schema(value_type = Vec<WebhookFields>, max_items = 0)]
    result: [(); 0],
    /// What is wrong, and how to mend it.
    #[schema(example = "[0].call_saved: is required: true or false")]
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, problem: Option<Problem>) -> Self {
        let words = || status.canonical_reason().unwrap_or("Error").to_owned();
        let message = problem.map_or_else(words, |problem| match problem.field {
            Some(field) => format!("{field}: {}", problem.detail),
            None => problem.detail,
        });
        Self {
            status: "error",
            code: status.as_u16(),
            result: [],
            message,
        }
    }
}

/// Puts refusals on this system's path into its envelope; their other headers stay. To be laid around everything that
/// refuses.
pub(crate) async fn enveloped(request: Request, next: Next) -> Response {
    let is_ours = request.uri().path() == PATH;
    let response = next.run(request).await;
    let status = response.status();
    if !is_ours || status.is_success() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_PROBLEM_BYTES).await.unwrap_or_default();
    let refusal = Refusal::new(status, serde_json::from_slice(&body).ok());
    let mut response = (status, Json(refusal)).into_response();
    let mut headers = parts.headers;
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.headers_mut() = headers;
    response
}
