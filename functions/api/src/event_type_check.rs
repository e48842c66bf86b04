//! Whether a payload fits an event type, and why not: asked before an event is posted. Stores and counts nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use redial_domain::misfit::Misfit;
use redial_platform::problem::{MisfitView, Problem};
use redial_platform::routes;
use redial_platform::routes::Routes;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::body::{Body, refuse};
use crate::event_type_view::Known;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(validate))
}

/// A payload to look at.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `validate` reads its field")]
struct Payload {
    /// What would be the event's `data`: any JSON.
    #[schema(required, example = json!({"call_id": "call_1", "duration_s": 42}))]
    data: Value,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
struct Fit {
    /// True if the payload fits.
    fits: bool,
    /// The first ways in which it does not, at most 10.
    #[schema(value_type = Vec<MisfitView>)]
    misfits: Vec<Misfit>,
}

/// Check a payload
///
/// Says whether `data` fits the type's schema, and why not: where, by which rule, and what is wrong, without the value. The
/// tenant's `validation` and the type's state do not matter.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/event-types/{type}/validate",
    operation_id = "validate_data",
    tag = "event types",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("type" = String, Path, description = "The type's name"),
    ),
    request_body = Payload,
    responses(
        (status = 200, description = "Whether it fits", body = Fit),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such type, or another tenant's", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong; `data_not_checked`: the schema is too large for such data", body = Problem),
    )
)]
async fn validate(State(api): State<Arc<Api>>, scope: InTenant, Body(mut fields): Body) -> Result<Json<Fit>, Problem> {
    let known = api.known_type(&scope).await?;
    // `null` is a payload too.
    let data = fields.0.remove("data");
    fields.finish()?;
    let data = data.ok_or_else(|| refuse("field_missing", "data", "is required"))?;
    let schema = match &known {
        Known::Shipped(shipped) => api.schemas.shipped(&shipped.name)?.ok_or_else(Problem::internal)?,
        Known::Own(own) => api.schemas.own(&Arc::from(own.schema.to_string()))?,
    };
    let misfits = schema.misfits(&data);
    let misfits = misfits.map_err(|costly| refuse("data_not_checked", "data", costly.to_string()))?;
    Ok(Json(Fit {
        fits: misfits.is_empty(),
        misfits,
    }))
}
