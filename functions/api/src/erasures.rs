//! Erasing an event, a call, a tenant, and the receipts: who asked for what, when, and what came of it. The work is
//! `redial_replay`'s; here is only who may. A receipt never holds a part of what was erased.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use redial_domain::{DeliveryId, ErasureId, EventId, TenantId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::StoreError;
use redial_platform::store::erasures::{Erasure, Target};
use redial_platform::store::events::StoredEvent;
use redial_platform::store::lists::After;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::{InTenant, OfTenant};
use crate::change::{TRIES, outrun};
use crate::listing::Listing;
use crate::query::Query;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    let to = to
        .with(routes!(erase_event))
        .with(routes!(erase_call))
        .with(routes!(erase_tenant));
    to.with(routes!(list)).with(routes!(read))
}

/// A receipt: what was erased, who asked for it, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasureView {
    #[schema(value_type = String, example = "ers_01JD3ZK8Q0ABCDEFGH")]
    id: ErasureId,
    #[schema(value_type = String, example = "acme")]
    tenant: TenantId,
    erased: ErasedView,
    /// Id of the key that asked for it.
    #[schema(example = "3f9a01c2d4e5")]
    asked_by: String,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Events that were erased.
    events: u64,
    /// Their deliveries that waited and will not be made.
    canceled: u64,
    /// Deliveries that may have been under way already: their first attempt may still leave within minutes, once. At most
    /// 100 are named.
    #[schema(value_type = Vec<String>, max_items = 100)]
    may_still_leave: Vec<DeliveryId>,
    /// How many there are, named or not.
    may_still_leave_count: u64,
    /// Events of the call that could not be erased, because they cannot be read: damaged, or of a newer release. At most
    /// 100 are named. They are looked at again once a day, until they can be or their retention is over.
    #[schema(value_type = Vec<String>, max_items = 100)]
    unreadable: Vec<EventId>,
    /// How many there are, named or not.
    unreadable_count: u64,
    /// True once nothing is left and nothing can come any more. Until then it goes on by itself: about ten minutes after all
    /// was erased, what was under way meanwhile is looked for again.
    complete: bool,
    /// When it was complete.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    completed_at: Option<Timestamp>,
}

/// What was erased.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ErasedView {
    /// One event.
    #[schema(value_type = String)]
    Event(EventId),
    /// The events of a call.
    Call(String),
    /// A tenant with everything that belonged to it.
    #[schema(value_type = String)]
    Tenant(TenantId),
}

impl From<Erasure> for ErasureView {
    fn from(erasure: Erasure) -> Self {
        let found = erasure.total();
        let complete = erasure.is_done();
        Self {
            erased: match erasure.target {
                Target::Event(event) => ErasedView::Event(event),
                Target::Call(call_id) => ErasedView::Call(call_id),
                Target::Tenant => ErasedView::Tenant(erasure.tenant.clone()),
            },
            id: erasure.id,
            tenant: erasure.tenant,
            asked_by: erasure.asked_by,
            at: erasure.asked_at,
            events: found.events,
            canceled: found.canceled,
            may_still_leave: found.named,
            may_still_leave_count: found.leaving,
            unreadable: found.named_unreadable,
            unreadable_count: found.unreadable,
            complete,
            completed_at: erasure.completed_at,
        }
    }
}

/// An event that was not erased.
///
/// # Errors
/// 410 if it was.
pub(crate) fn readable(event: StoredEvent) -> Result<StoredEvent, Problem> {
    match &event.erased {
        None => Ok(event),
        Some(erased) => {
            let detail = format!("it was erased at {}: see erasure {}", erased.at, erased.by);
            Err(Problem::new(StatusCode::GONE, "event_erased", detail))
        }
    }
}

/// 200 for a receipt that is complete, 202 for one that is not yet.
fn answer(erasure: Erasure) -> (StatusCode, Json<ErasureView>) {
    let status = if erasure.is_done() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    (status, Json(erasure.into()))
}

/// Erase an event
///
/// Its data, agent, related ids, links and fingerprint, and what receivers answered, are gone; what waits is canceled. Its
/// id stays taken until its retention is over: posting it again is answered with 410. Asking again answers the same receipt.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/events/{event}",
    operation_id = "erase_event",
    tag = "erasures",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("event" = String, Path, description = "The event's id"),
    ),
    responses(
        (status = 200, description = "Erased; nothing is left", body = ErasureView),
        (status = 202, description = "Erased; what was under way is looked for again in ten minutes", body = ErasureView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such event, or another's", body = Problem),
        (status = 409, description = "Its deliveries were written at the same time (`conflict`): the erasure goes on; ask again for its receipt", body = Problem),
        (status = 410, description = "It was erased so long ago that the receipt is gone (`event_erased`)", body = Problem),
    )
)]
async fn erase_event(State(api): State<Arc<Api>>, scope: InTenant) -> Result<(StatusCode, Json<ErasureView>), Problem> {
    let id = scope.event()?;
    let event = api.store.event_or_tombstone(scope.id(), &id, api.clock.now()).await?;
    let event = event.ok_or_else(|| Problem::not_found("event"))?;
    if let Some(erased) = &event.erased
        && let Some(known) = api.store.erasure(scope.id(), &erased.by).await?
    {
        return Ok(answer(known));
    }
    let event = readable(event)?;
    let eraser = api.asker.eraser();
    Ok(answer(eraser.erase_event(scope.tenant(), &event, &scope.key_id).await?))
}

/// Erase a call
///
/// Every event accepted until now that names the call in `related.call_id`, each as if it were erased alone. Events of the
/// call that are posted later are new events. Asking again before it is complete answers the same receipt, unless more was
/// posted meanwhile. A tenant has at most 10 of these at work; those that wait for their second look are not counted.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/calls/{call_id}",
    operation_id = "erase_call",
    tag = "erasures",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("call_id" = String, Path, description = "The call's id, as in `related.call_id` of its events"),
    ),
    responses(
        (status = 202, description = "Begun; it goes on by itself", body = ErasureView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No event of such a call, or another's", body = Problem),
        (status = 409, description = "Its deliveries were written at the same time (`conflict`): the erasure goes on", body = Problem),
        (status = 429, description = "More requests than may be made at once (`rate_limited`), or 10 erasures of calls are at work for the tenant (`too_many_erasures`); Retry-After says when to try again", body = Problem),
    )
)]
async fn erase_call(State(api): State<Arc<Api>>, scope: InTenant) -> Result<(StatusCode, Json<ErasureView>), Problem> {
    let call_id = scope.call_id()?;
    let eraser = api.asker.eraser();
    let begun = eraser.erase_call(scope.tenant(), call_id, &scope.key_id).await?;
    Ok(answer(begun.ok_or_else(|| Problem::not_found("call"))?))
}

/// Erase a tenant
///
/// From the answer on there is no such tenant: its keys, endpoints and settings are gone, its events are refused, and what
/// waits is not delivered. Its events, deliveries and counts are removed by and by; until that is complete its name cannot
/// be used again. The receipt stays: an operator reads it under the same path. Asking again meanwhile answers it too.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}",
    operation_id = "erase_tenant",
    tag = "erasures",
    params(("tenant" = String, Path, description = "The tenant's id")),
    responses(
        (status = 202, description = "Begun; it goes on by itself", body = ErasureView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
        (status = 409, description = "Changed by others at the same time", body = Problem),
    )
)]
async fn erase_tenant(
    State(api): State<Arc<Api>>,
    scope: OfTenant,
) -> Result<(StatusCode, Json<ErasureView>), Problem> {
    let (key_id, eraser) = (scope.operators_key()?, api.asker.eraser());
    for _ in 0..TRIES {
        let Some(config) = api.store.tenant_config(&scope.id).await? else {
            let running = api.erasing(&scope.id).await?;
            return Ok(answer(running.ok_or_else(|| Problem::not_found("tenant"))?));
        };
        match eraser.erase_tenant(&config, key_id).await {
            Ok((erasure, keys)) => {
                keys.iter().for_each(|key| api.authenticator.forget(key));
                return Ok(answer(erasure));
            }
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(outrun())
}

impl Api {
    /// Refuses to make a tenant of a name that is not free yet.
    ///
    /// # Errors
    /// 409 `tenant_erasing` names the erasure.
    pub(crate) async fn refuse_while_erasing(&self, tenant: &TenantId) -> Result<(), Problem> {
        let Some(running) = self.erasing(tenant).await? else {
            return Ok(());
        };
        let detail = format!(
            "a tenant of this name is being erased: try again when erasure {} is complete",
            running.id
        );
        Err(Problem::new(StatusCode::CONFLICT, "tenant_erasing", detail).at("tenant"))
    }

    /// When the tenant of that name was made: receipts from before are of another that had the name.
    ///
    /// # Errors
    /// 404 if there is no such tenant.
    async fn since_made(&self, tenant: &TenantId) -> Result<Timestamp, Problem> {
        let config = self.cache.current(tenant).await?;
        let config = config.ok_or_else(|| Problem::not_found("tenant"))?;
        Ok(config.tenant.created_at)
    }

    /// The erasure that keeps a tenant's name from being used.
    ///
    /// # Errors
    /// 500 if the store fails.
    pub(crate) async fn erasing(&self, tenant: &TenantId) -> Result<Option<Erasure>, Problem> {
        match self.store.erasing(tenant).await? {
            Some(id) => Ok(self.store.erasure(tenant, &id).await?),
            None => Ok(None),
        }
    }
}

/// List erasures
///
/// Newest first: those of the tenant's events and calls; for an operator also those of tenants that had this name before,
/// their own included. A receipt is kept for three years.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/erasures",
    operation_id = "list_erasures",
    tag = "erasures",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of receipts", body = Listing<ErasureView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "There never was such a tenant, or it is another's", body = Problem),
    )
)]
async fn list(
    State(api): State<Arc<Api>>,
    scope: OfTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<ErasureView>>, Problem> {
    let query = Query::parse(raw.as_deref(), &[])?;
    let wanted = api.wanted("erasures", Some(&scope.id), &query).await?;
    let (after, now) = (wanted.after_key(), api.clock.now());
    // One more than the page: whether it has a next one is told by what the caller may see.
    let mut page = api.store.erasures(&scope.id, after, wanted.limit + 1, now).await?;
    if scope.operators_key().is_err() {
        // Newest first: what is left out is the end of the list.
        let since = api.since_made(&scope.id).await?;
        let found = page.items.len();
        page.items.retain(|erasure| erasure.asked_at >= since);
        page.next = page.next.filter(|_| page.items.len() == found);
    } else if page.items.is_empty() && page.unreadable == 0 && after.is_none() {
        api.since_made(&scope.id).await?;
    }
    if page.items.len() > wanted.limit {
        page.items.truncate(wanted.limit);
        page.next = page.items.last().map(|erasure| After::event(erasure.id.as_str()));
    }
    Ok(Json(api.paged(&wanted, page, ErasureView::from).await?))
}

/// Read an erasure
///
/// Its receipt; for an operator also of a tenant that is no more, and of what that one had erased.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/erasures/{erasure}",
    operation_id = "read_erasure",
    tag = "erasures",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("erasure" = String, Path, description = "The erasure's id"),
    ),
    responses(
        (status = 200, description = "The receipt as of now", body = ErasureView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such erasure, or another's", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, scope: OfTenant) -> Result<Json<ErasureView>, Problem> {
    let since = match scope.operators_key() {
        Ok(_) => Timestamp::default(),
        Err(_) => api.since_made(&scope.id).await?,
    };
    let found = match scope.erasure() {
        Ok(id) => api.store.erasure(&scope.id, &id).await?,
        Err(_) => None,
    };
    let shown = |erasure: &Erasure| erasure.expires_at > api.clock.now() && erasure.asked_at >= since;
    match found.filter(shown) {
        Some(erasure) => Ok(Json(erasure.into())),
        // Where no tenant is, its erasures are missing the way everything of it is.
        None if api.cache.current(&scope.id).await?.is_none() => Err(Problem::not_found("tenant")),
        None => Err(Problem::not_found("erasure")),
    }
}
