//! Replays: stored events delivered again. What may be asked for and what is answered is `redial_replay`'s, and so is the
//! work; here is only who may.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_replay::{Asked, NewReplay, Order, OrderError, ReplayView, asked};
use utoipa::IntoResponses;

use crate::Api;
use crate::access::InTenant;
use crate::body::Body;
use crate::listing::Listing;
use crate::query::Query;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(create, list))
        .with(routes!(read))
        .with(routes!(pause))
        .with(routes!(resume))
        .with(routes!(cancel))
}

/// What is answered where no replay is made of what is asked for.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes the answers")]
pub(crate) enum Unasked {
    /// Not JSON
    #[response(status = 400)]
    NotJson(Problem),
    /// No valid key
    #[response(status = 401)]
    NoKey(Problem),
    /// The key may not
    #[response(status = 403)]
    MayNot(Problem),
    /// No such tenant, or another's
    #[response(status = 404)]
    NoTenant(Problem),
    /// Too large
    #[response(status = 413)]
    TooLarge(Problem),
    /// A field is wrong, or what it names is not there
    #[response(status = 422)]
    Wrong(Problem),
    /// More requests than may be made at once (`rate_limited`), or 10 replays of the tenant are not finished (`too_many_replays`); Retry-After says when to try again
    #[response(status = 429)]
    TooMany(Problem),
}

impl Api {
    /// Tells a replay what to do.
    async fn order(&self, scope: &InTenant, order: Order) -> Result<Json<ReplayView>, Problem> {
        let told = self.asker.order(scope.id(), &scope.replay()?, order).await;
        let job = told.map_err(|error| match error {
            OrderError::Missing => Problem::not_found("replay"),
            OrderError::Finished(state) => {
                let detail = format!("the replay is {}: nothing happens to it any more", state.as_str());
                Problem::new(StatusCode::CONFLICT, "replay_finished", detail)
            }
            OrderError::Store(error) => error.into(),
        })?;
        Ok(Json(job.into()))
    }
}

/// Ask for a replay
///
/// By event, delivery, call, endpoint or for the whole tenant, narrowed by time, type, agent, state and reason; or what an
/// endpoint has missed. Each delivery is made anew, with attempts from 1 and the same `webhook-id`; held ones are released
/// instead, and dead ones that are asked for as such leave the list of dead letters. With `dry_run` it is only counted. At most
/// 10,000 deliveries are counted before the answer; a larger job counts first (`counting`), then sends. At most 10 million.
/// A range leaves out what earlier replays delivered, unless `include_replays` asks for it; what is held or dead is found
/// whoever made it. A tenant has at most 10 replays that are not finished, paused ones counted.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/replays",
    operation_id = "create_replay",
    tag = "replays",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body = NewReplay,
    responses(
        (status = 202, description = "Begun", body = ReplayView),
        Unasked,
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    Body(fields): Body,
) -> Result<(StatusCode, Json<ReplayView>), Problem> {
    let Asked { spec, options } = asked(fields)?;
    let job = api.asker.ask_with(&scope.config, spec, options).await?;
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

/// Pause a replay
///
/// It stops within a page. What waits in the queue by then, two minutes' worth at most, is delivered still. Its numbers stay.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/replays/{replay}/pause",
    operation_id = "pause_replay",
    tag = "replays",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("replay" = String, Path, description = "The replay's id"),
    ),
    responses(
        (status = 200, description = "The replay, paused", body = ReplayView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such replay, or another's", body = Problem),
        (status = 409, description = "It is over (`replay_finished`), or was changed by others at the same time", body = Problem),
    )
)]
async fn pause(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<ReplayView>, Problem> {
    api.order(&scope, Order::Pause).await
}

/// Go on with a replay
///
/// Where it stopped; with a rate, slowly at first if it began so.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/replays/{replay}/resume",
    operation_id = "resume_replay",
    tag = "replays",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("replay" = String, Path, description = "The replay's id"),
    ),
    responses(
        (status = 200, description = "The replay", body = ReplayView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such replay, or another's", body = Problem),
        (status = 409, description = "It is over (`replay_finished`), or was changed by others at the same time", body = Problem),
    )
)]
async fn resume(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<ReplayView>, Problem> {
    api.order(&scope, Order::Resume).await
}

/// Cancel a replay
///
/// It stops within a page, for good. What it has delivered or discarded stays so, and its numbers tell it. If it drains all
/// that is held for an endpoint, the rest stays held until somebody asks for it: `kept_until` of the endpoint is set to now.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/replays/{replay}/cancel",
    operation_id = "cancel_replay",
    tag = "replays",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("replay" = String, Path, description = "The replay's id"),
    ),
    responses(
        (status = 200, description = "The replay, canceled", body = ReplayView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such replay, or another's", body = Problem),
        (status = 409, description = "It is over (`replay_finished`), or was changed by others at the same time", body = Problem),
    )
)]
async fn cancel(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<ReplayView>, Problem> {
    api.keep_back(&scope, &scope.replay()?).await?;
    api.order(&scope, Order::Cancel).await
}
