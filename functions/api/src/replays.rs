//! Replays: stored events delivered again. What may be asked for and what is answered is `redial_replay`'s, and so is the
//! work; here is only who may.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_replay::{NewReplay, ReplayView, asked};

use crate::Api;
use crate::access::InTenant;
use crate::body::Body;
use crate::listing::Listing;
use crate::query::Query;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(create, list)).with(routes!(read))
}

/// Ask for a replay
///
/// Each delivery is made anew, with attempts from 1 and the same `webhook-id`; held ones are released instead.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/replays",
    operation_id = "create_replay",
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
    let job = api.asker.ask(&scope.config, spec).await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// List replays
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/replays",
    operation_id = "list_replays",
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
    let wanted = api.wanted("replays", Some(scope.id()), &query).await?;
    let page = api.store.jobs(scope.id(), wanted.after_key(), wanted.limit).await?;
    Ok(Json(api.paged(&wanted, page, ReplayView::from).await?))
}

/// Read a replay
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/replays/{replay}",
    operation_id = "read_replay",
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
