//! The event types that a tenant's events may have: those that ship, and its own, which it adds, changes, deprecates and
//! archives. Own types are never deleted: events of them are stored. What ships belongs to every tenant and to none.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use redial_domain::catalogue;
use redial_domain::{EventTypeName, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::config::Change;
use redial_platform::store::event_types::{MAX_OWN_EVENT_TYPES, OwnEventType, TypeState};
use redial_platform::store::lists::After;
use serde_json::value::RawValue;

use crate::Api;
use crate::access::InTenant;
use crate::body::{Body, refuse};
use crate::change::{TRIES, outrun};
use crate::cursor::Place;
use crate::event_type_fields::{EventTypeFields, NewEventType};
use crate::event_type_view::{Known, Origin, TenantEventType, following};
use crate::export::fitting;
use crate::listing::Listing;
use crate::query::Query;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(list))
        .with(routes!(put, read))
        .with(routes!(deprecate))
        .with(routes!(archive))
        .with(routes!(restore))
}

impl Api {
    /// The type that the path names.
    ///
    /// # Errors
    /// 404 if it neither ships nor is the tenant's own.
    pub(crate) async fn known_type(&self, scope: &InTenant) -> Result<Known, Problem> {
        let name = scope.event_type()?;
        if let Some(shipped) = catalogue::find(name.as_str()) {
            return Ok(Known::Shipped(shipped));
        }
        let own = self.store.event_type(scope.id(), &name).await?;
        own.map(Known::Own).ok_or_else(|| Problem::not_found("event type"))
    }

    /// Sets an own type as `apply` says: it gets what is stored and how many own types there are. Answers whether it was
    /// stored before, and what is stored now.
    async fn change_type(
        &self,
        scope: &InTenant,
        name: &EventTypeName,
        apply: impl Fn(Option<&OwnEventType>, usize, Timestamp) -> Result<OwnEventType, Problem> + Send,
    ) -> Result<(bool, Known), Problem> {
        for tries in 0..TRIES {
            // The version first: the types that are read after it are at least as new.
            let config = self.stored(scope.id()).await?;
            let types = self.store.event_types(scope.id()).await?;
            let before = types.iter().find(|own| own.name == *name);
            let mut after = apply(before, types.len(), self.clock.now())?;
            if before.is_some_and(|before| *before == after) {
                return Ok((true, Known::Own(after)));
            }
            after.updated_at = self.clock.now();
            let change = Change::PutEventType(&after);
            if self
                .try_change(scope.id(), config.version, change, tries)
                .await?
                .is_some()
            {
                return Ok((before.is_some(), Known::Own(after)));
            }
        }
        Err(outrun())
    }

    async fn move_type(&self, scope: &InTenant, state: TypeState) -> Result<Json<TenantEventType>, Problem> {
        let name = scope.event_type()?;
        if catalogue::find(name.as_str()).is_some() {
            return Err(shipped(&name));
        }
        let moved = self.change_type(scope, &name, |before, _, _| {
            let before = before.ok_or_else(|| Problem::not_found("event type"))?;
            Ok(OwnEventType {
                state,
                ..before.clone()
            })
        });
        Ok(Json(moved.await?.1.view()))
    }
}

/// 409: the type ships, for all tenants.
fn shipped(name: &EventTypeName) -> Problem {
    let detail = format!("{name} ships with Redial and stays as it is: choose another name for a type of your own");
    Problem::new(StatusCode::CONFLICT, "event_type_shipped", detail).at("type")
}

/// Add or change an event type
///
/// All of it is replaced but its state: what is absent has its default. Events accepted after the answer are checked by it.
#[utoipa::path(
    put,
    path = "/v1/tenants/{tenant}/event-types/{type}",
    operation_id = "put_event_type",
    tag = "event types",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("type" = String, Path, description = "Segments of A-Z a-z 0-9 _ joined by dots, at most 128 characters; not one \
            that ships, and not below `endpoint.`, `delivery.`, `replay.` or `redial.`, which are Redial's own"),
    ),
    request_body = NewEventType,
    responses(
        (status = 200, description = "Changed", body = TenantEventType),
        (status = 201, description = "Added", body = TenantEventType),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
        (status = 409, description = "It ships (`event_type_shipped`), the tenant has as many as it may \
            (`event_types_limit`), or others changed the tenant meanwhile", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong: `schema_invalid`, `example_invalid`, ...", body = Problem),
    )
)]
async fn put(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    Body(fields): Body,
) -> Result<(StatusCode, Json<TenantEventType>), Problem> {
    let name = EventTypeName::parse(scope.event_type_text())?;
    if catalogue::find(name.as_str()).is_some() {
        return Err(shipped(&name));
    }
    if catalogue::is_reserved(name.as_str()) {
        let detail = "is Redial's own: names below endpoint, delivery, replay and redial are for events about itself";
        return Err(refuse("event_type_reserved", "type", detail));
    }
    let fields = EventTypeFields::read(fields)?;
    let put = api.change_type(&scope, &name, |before, count, now| {
        if before.is_none() && count >= MAX_OWN_EVENT_TYPES {
            let detail = format!(
                "a tenant may have at most {MAX_OWN_EVENT_TYPES} event types of its own, archived ones counted"
            );
            return Err(Problem::new(StatusCode::CONFLICT, "event_types_limit", detail));
        }
        Ok(fields.clone().into_type(name.clone(), before, now))
    });
    let (existed, known) = put.await?;
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(known.view())))
}

/// Read an event type
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/event-types/{type}",
    operation_id = "read_event_type",
    tag = "event types",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("type" = String, Path, description = "The type's name"),
    ),
    responses(
        (status = 200, description = "The type, one that ships or the tenant's own", body = TenantEventType),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such type, or another tenant's", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<TenantEventType>, Problem> {
    Ok(Json(api.known_type(&scope).await?.view()))
}

/// List the event types of a tenant
///
/// Those that ship, group by group, then the tenant's own, by name. A page ends early if its schemas are large.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/event-types",
    operation_id = "list_tenant_event_types",
    tag = "event types",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("origin" = Option<Origin>, Query, description = "`shipped` or `own`"),
        ("state" = Option<TypeState>, Query, description = "`active`, `deprecated` or `archived`"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of event types", body = Listing<TenantEventType>),
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
) -> Result<Json<Listing<Box<RawValue>>>, Problem> {
    let query = Query::parse(raw.as_deref(), &["origin", "state"])?;
    let origin = query.read("origin", "shipped or own", |text| match text {
        "shipped" => Some(Origin::Shipped),
        "own" => Some(Origin::Own),
        _ => None,
    })?;
    let states = [TypeState::Active, TypeState::Deprecated, TypeState::Archived];
    let state = query.read("state", "active, deprecated or archived", |text| {
        states.into_iter().find(|state| state.as_str() == text)
    })?;
    let wanted = api.wanted("tenant-event-types", Some(scope.id()), &query).await?;
    let (own, mut unreadable) = api.store.readable_event_types(scope.id()).await?;
    let all = catalogue::all()
        .iter()
        .map(Known::Shipped)
        .chain(own.into_iter().map(Known::Own));
    let all: Vec<Known> = all
        .filter(|known| origin.is_none_or(|origin| origin == known.origin()))
        .filter(|known| state.is_none_or(|state| state == known.state()))
        .collect();
    let begin = wanted.after_key().map_or(0, |after| following(&all, after));
    let place = |known: &Known| After {
        sort_key: known.key(),
        endpoint: String::new(),
    };
    let page = all[begin..].iter().take(wanted.limit);
    let (items, _) = fitting(page.map(|known| (place(known), known.view())))?;
    let end = begin + items.len();
    let last = all[..end].last().filter(|_| end < all.len());
    let next = last.map(|last| Place::after_key(last.key()));
    // They stand nowhere in a list by group: the last page tells of them, if they were asked for.
    if next.is_some() || origin == Some(Origin::Shipped) {
        unreadable = 0;
    }
    Ok(Json(api.listing(&wanted, items, next).await?.without(unreadable)))
}

/// Deprecate an event type
///
/// Its events are accepted as before, and each answer warns (`event_type_deprecated`). One that ships stays as it is.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/event-types/{type}/deprecate",
    operation_id = "deprecate_event_type",
    tag = "event types",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("type" = String, Path, description = "The type's name"),
    ),
    responses(
        (status = 200, description = "The type, `deprecated`", body = TenantEventType),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such type, or another tenant's", body = Problem),
        (status = 409, description = "It ships (`event_type_shipped`), or others changed the tenant meanwhile", body = Problem),
    )
)]
async fn deprecate(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<TenantEventType>, Problem> {
    api.move_type(&scope, TypeState::Deprecated).await
}

/// Archive an event type
///
/// Its events are refused from then on (`event_type_archived`). Those that were accepted are delivered, and can be replayed.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/event-types/{type}/archive",
    operation_id = "archive_event_type",
    tag = "event types",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("type" = String, Path, description = "The type's name"),
    ),
    responses(
        (status = 200, description = "The type, `archived`", body = TenantEventType),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such type, or another tenant's", body = Problem),
        (status = 409, description = "It ships (`event_type_shipped`), or others changed the tenant meanwhile", body = Problem),
    )
)]
async fn archive(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<TenantEventType>, Problem> {
    api.move_type(&scope, TypeState::Archived).await
}

/// Restore an event type
///
/// It is `active` again, deprecated or archived as it was.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/event-types/{type}/restore",
    operation_id = "restore_event_type",
    tag = "event types",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("type" = String, Path, description = "The type's name"),
    ),
    responses(
        (status = 200, description = "The type, `active`", body = TenantEventType),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such type, or another tenant's", body = Problem),
        (status = 409, description = "It ships (`event_type_shipped`), or others changed the tenant meanwhile", body = Problem),
    )
)]
async fn restore(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<TenantEventType>, Problem> {
    api.move_type(&scope, TypeState::Active).await
}
