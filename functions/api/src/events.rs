//! Events as they were accepted, and what became of each. Reads only: an event is immutable.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use redial_domain::{AgentId, DeliveryId, EventId, EventTypeName, ReplayId, TenantId};
use redial_platform::keys;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::StoreError;
use redial_platform::store::config::MAX_RETENTION_DAYS;
use redial_platform::store::deliveries::{AttemptRecord, DeliveryRecord};
use redial_platform::store::events::StoredEvent;
use redial_platform::store::lists::{EventFilter, Range};

use crate::Api;
use crate::access::InTenant;
use crate::attempts::complete;
use crate::cursor::Place;
use crate::listing::{Listing, Wanted};
use crate::query::Query;
use crate::views::{DeliveryView, EventItem, EventView, Responses};
use crate::waiting::{first_delivery, unrecorded};

/// How far back a list goes unless `since` says otherwise, in milliseconds: an event was accepted under the retention of
/// its day, which may have been the longest there is. What is past its own is filtered.
pub(crate) const ALL_MS: i64 = MAX_RETENTION_DAYS as i64 * 24 * keys::HOUR_MS;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(list)).with(routes!(read)).with(routes!(deliveries))
}

impl Api {
    /// An event that is stored.
    ///
    /// # Errors
    /// 404 if it is not, or past its retention.
    async fn stored_event(&self, tenant: &TenantId, id: &EventId) -> Result<StoredEvent, Problem> {
        let event = self.store.event(tenant, id, self.clock.now()).await?;
        event.ok_or_else(|| Problem::not_found("event"))
    }

    /// Events with their contents: a list finds one with the platform's own id by a row that has none. Such a row whose
    /// event is missing, or was accepted at another time, is one that a crash or a repeat left.
    async fn with_contents(&self, tenant: &TenantId, found: Vec<StoredEvent>) -> Result<Vec<EventItem>, StoreError> {
        let bare: Vec<EventId> = found
            .iter()
            .filter(|event| event.packed.is_empty())
            .map(|e| e.id.clone())
            .collect();
        let whole = self.store.events(tenant, &bare).await?;
        let whole: HashMap<EventId, StoredEvent> = whole.into_iter().map(|event| (event.id.clone(), event)).collect();
        let mut items = Vec::with_capacity(found.len());
        for event in found {
            let event = if event.packed.is_empty() {
                whole
                    .get(&event.id)
                    .filter(|whole| whole.accepted_at == event.accepted_at)
                    .cloned()
            } else {
                Some(event)
            };
            if let Some(event) = event {
                items.push(EventView::new(event)?.into_item());
            }
        }
        Ok(items)
    }

    async fn events_page(
        &self,
        scope: &InTenant,
        wanted: &Wanted,
        range: Range,
        filter: &EventFilter,
    ) -> Result<Listing<EventItem>, Problem> {
        if range.since >= range.until {
            return self.listing(wanted, Vec::new(), None).await;
        }
        let (tenant, now) = (scope.tenant(), self.clock.now());
        let after = wanted.place.as_ref().map(|place| &place.after);
        let page = self
            .store
            .list_events(&tenant.id, tenant.shards, range, filter, after, wanted.limit, now)
            .await?;
        let items = self.with_contents(&tenant.id, page.items).await?;
        let next = page.next.map(|after| Place::within(range, after));
        self.listing(wanted, items, next).await
    }
}

/// List events
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/events",
    tag = "events",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("since" = Option<String>, Query, description = "First moment of acceptance, RFC 3339"),
        ("until" = Option<String>, Query, description = "First moment after it, RFC 3339"),
        ("type" = Option<String>, Query, description = "Only this event type"),
        ("agent" = Option<String>, Query, description = "Only this agent"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of events", body = Listing<EventItem>),
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
) -> Result<Json<Listing<EventItem>>, Problem> {
    let query = Query::parse(raw.as_deref(), &["since", "until", "type", "agent"])?;
    let wanted = api.wanted("events", Some(scope.id()), &query).await?;
    let range = api.range(&wanted, &query, ALL_MS)?;
    let filter = EventFilter {
        event_type: query.read("type", "an event type", |text| EventTypeName::parse(text).ok())?,
        agent: query.read("agent", "an agent's id", |text| AgentId::parse(text).ok())?,
    };
    Ok(Json(api.events_page(&scope, &wanted, range, &filter).await?))
}

/// Read an event
///
/// With its payload, byte for byte as it was posted.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/events/{event}",
    tag = "events",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("event" = String, Path, description = "The event's id"),
    ),
    responses(
        (status = 200, description = "The event", body = EventView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such event, or another's", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<EventView>, Problem> {
    let event = api.stored_event(scope.id(), &scope.event()?).await?;
    Ok(Json(EventView::new(event)?))
}

/// List an event's deliveries
///
/// With all attempts and what was kept of the receivers' answers: the first deliveries, then replays, oldest first.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/events/{event}/deliveries",
    tag = "events",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("event" = String, Path, description = "The event's id"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of deliveries", body = Listing<DeliveryView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such event, or another's", body = Problem),
    )
)]
async fn deliveries(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<DeliveryView>>, Problem> {
    let id = scope.event()?;
    let list = format!("events/{id}/deliveries");
    let wanted = api
        .wanted(&list, Some(scope.id()), &Query::parse(raw.as_deref(), &[])?)
        .await?;
    let event = api.stored_event(scope.id(), &id).await?;
    Ok(Json(api.event_deliveries(&event, &wanted).await?))
}

/// What a delivery sorts by among those of its event: first deliveries by endpoint, then replays by time.
fn order(id: &DeliveryId) -> String {
    let replay = id.replay.as_ref().map_or("", ReplayId::as_str);
    format!("{replay}/{}", id.endpoint)
}

impl Api {
    async fn event_deliveries(&self, event: &StoredEvent, wanted: &Wanted) -> Result<Listing<DeliveryView>, Problem> {
        let mut ids = self.store.replayed(&event.tenant, &event.id).await?;
        ids.extend(event.matched.iter().map(|endpoint| first_delivery(event, endpoint)));
        let after = wanted.after_key().unwrap_or_default();
        ids.retain(|id| order(id).as_str() > after);
        ids.sort_by_cached_key(order);
        let next = ids.get(wanted.limit - 1).filter(|_| ids.len() > wanted.limit);
        let next = next.map(|last| Place::after_key(order(last)));
        ids.truncate(wanted.limit);
        let key = |id: &DeliveryId| keys::delivery(&event.tenant, id, event.accepted_at, event.shards);
        let sought: Vec<keys::Key> = ids.iter().map(key).collect();
        let records = self.store.deliveries(&sought, true).await?;
        let mut records: HashMap<DeliveryId, DeliveryRecord> =
            records.into_iter().map(|record| (record.id.clone(), record)).collect();
        let mut attempts: HashMap<DeliveryId, Vec<AttemptRecord>> = HashMap::new();
        for (id, attempt) in self.store.failed_attempts(&event.tenant, &event.id).await? {
            attempts.entry(id).or_default().push(attempt);
        }
        let mut responses = Responses::shown();
        let mut items = Vec::with_capacity(ids.len());
        for id in ids {
            let failed = attempts.remove(&id).unwrap_or_default();
            let record = records.remove(&id).unwrap_or_else(|| unrecorded(event, id));
            items.push(DeliveryView::new(&record, &complete(&record, failed), &mut responses));
        }
        self.listing(wanted, items, next).await
    }
}
