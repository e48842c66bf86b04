//! The one place where an error becomes an HTTP answer: RFC 9457 problem details with a stable `code` and, where one is to
//! blame, `field`. A 5xx never tells internals.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use redial_domain::Invalid;
use redial_domain::misfit::Misfit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secrets::SecretsError;
use crate::store::StoreError;

/// Seconds after which a caller may try again what failed on our side.
const RETRY_AFTER_S: u32 = 1;

/// An error answer: `application/problem+json`, RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the `code` tells problems apart.
    #[schema(example = "about:blank")]
    pub r#type: String,
    /// The HTTP status in words.
    #[schema(example = "Unprocessable Content")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// One sentence for a person.
    pub detail: String,
    /// Stable and machine-readable.
    #[schema(example = "field_missing")]
    pub code: String,
    /// The field to blame, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// With code `data_invalid`: the first ways in which `data` does not fit the schema of its type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<MisfitView>, required = false)]
    pub misfits: Vec<Misfit>,
    /// Seconds after which it is worth trying again: the header `Retry-After`, where a second is not enough.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

/// A [`Misfit`] as the description of the API shows it.
#[derive(ToSchema)]
#[schema(as = Misfit)]
#[expect(dead_code, reason = "describes `Misfit`, whose crate knows no HTTP")]
pub struct MisfitView {
    /// Where, as a JSON Pointer into `data` (RFC 6901); empty: `data` itself. One that is too long is cut.
    #[schema(example = "/duration_s")]
    path: String,
    /// Which rule of the schema, as a JSON Pointer into it.
    #[schema(example = "/properties/duration_s/type")]
    rule: String,
    /// What is wrong, without the value.
    #[schema(example = "value is not of type \"number\"")]
    detail: String,
}

impl Problem {
    /// A problem without a field.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            field: None,
            misfits: Vec::new(),
            retry_after_s: None,
        }
    }

    /// The same, blaming `field`.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// 429: there are as many as there may be; worth trying again after so many seconds.
    #[must_use]
    pub fn too_many(code: &str, detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
        }
    }

    /// 404: there is no such thing, or it is another tenant's; the two answer alike.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// 401: no key, or one that Redial does not know.
    #[must_use]
    pub fn unauthorized() -> Self {
        let detail = "send a valid key as Authorization: Bearer rd_...";
        Self::new(StatusCode::UNAUTHORIZED, "key_invalid", detail)
    }

    /// 403: the key may not do this.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "scope_insufficient",
            "this key's scope does not allow this",
        )
    }

    /// 500: our fault; the log has the reason.
    #[must_use]
    pub fn internal() -> Self {
        let detail = "something failed on our side; trying again is safe";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let status = match invalid.code {
            "event_too_large" | "body_too_large" | "batch_too_long" => StatusCode::PAYLOAD_TOO_LARGE,
            "json_invalid" => StatusCode::BAD_REQUEST,
            "id_reused" => StatusCode::CONFLICT,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Self::new(status, invalid.code, invalid.detail);
        if invalid.field.is_empty() {
            problem
        } else {
            problem.at(invalid.field)
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(what) => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                format!("{what} was changed at the same time; try again"),
            ),
            error => {
                tracing::error!(%error, "problem.store");
                Self::internal()
            }
        }
    }
}

impl From<SecretsError> for Problem {
    fn from(error: SecretsError) -> Self {
        tracing::error!(%error, "problem.secrets");
        Self::internal()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_s = self.retry_after_s.unwrap_or(RETRY_AFTER_S);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
        }
        response
    }
}
