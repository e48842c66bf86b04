//! Events as they were accepted, and what became of each. Reads only: an event is immutable.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use redial_domain::event::MAX_CALL_ID_BYTES;
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, ReplayId, TenantId};
use redial_platform::keys;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::StoreError;
use redial_platform::store::config::MAX_RETENTION_DAYS;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::lists::{EventFilter, Order, Range};
use serde_json::value::RawValue;

use crate::access::InTenant;
use crate::cursor::Place;
use crate::export::{Exported, Format, fitting};
use crate::listing::{Listing, Wanted};
use crate::query::Query;
use crate::views::{DeliveryView, EventView, ListedEvent, Responses};
use crate::waiting::{first_delivery, unrecorded};
use crate::{Api, erasures};

/// Replays of an event that the list of its deliveries goes through, for each page: 1 MB of rows.
const MAX_REPLAYED: usize = 5_000;
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
    /// 404 if it is not, or past its retention; 410 if it was erased.
    pub(crate) async fn stored_event(&self, tenant: &TenantId, id: &EventId) -> Result<StoredEvent, Problem> {
        let event = self.store.event_or_tombstone(tenant, id, self.clock.now()).await?;
        erasures::readable(event.ok_or_else(|| Problem::not_found("event"))?)
    }

    /// Events with their contents: a list finds one with the platform's own id by a row that has none. Such a row whose
    /// event is missing, or was accepted at another time, is one that a crash or a repeat left. Answers how many cannot
    /// be read, too.
    pub(crate) async fn whole(
        &self,
        tenant: &TenantId,
        found: Vec<StoredEvent>,
    ) -> Result<(Vec<StoredEvent>, usize), StoreError> {
        let bare = found.iter().filter(|event| event.packed.is_empty());
        let bare: BTreeSet<EventId> = bare.map(|event| event.id.clone()).collect();
        let bare: Vec<EventId> = bare.into_iter().collect();
        let (stored, unreadable) = self.store.readable_events(tenant, &bare).await?;
        let whole = |event: StoredEvent| {
            if !event.packed.is_empty() {
                return Some(event);
            }
            let same = |whole: &&StoredEvent| whole.accepted_at == event.accepted_at && whole.erased.is_none();
            stored.get(&event.id).filter(same).cloned()
        };
        Ok((found.into_iter().filter_map(whole).collect(), unreadable))
    }

    async fn events_page(
        &self,
        scope: &InTenant,
        wanted: &Wanted,
        asked: &Asked,
    ) -> Result<Listing<Box<RawValue>>, Problem> {
        let Asked {
            range, order, filter, ..
        } = asked;
        let question = wanted.question(scope, *range, *order, self.clock.now());
        let page = match &filter.call_id {
            Some(call_id) => {
                let changed_at = scope.tenant().updated_at;
                self.store
                    .list_call_events(&question, call_id, filter, changed_at)
                    .await?
            }
            None => {
                self.store
                    .list_events(&question, 0..question.shards, filter, true)
                    .await?
            }
        };
        let (events, mut unreadable) = self.whole(scope.id(), page.items).await?;
        let mut views = Vec::with_capacity(events.len());
        for event in events {
            let place = event.place();
            match readable(event) {
                Some(view) => views.push((place, view.listed(asked.whole))),
                None => unreadable += 1,
            }
        }
        let (items, cut) = fitting(views)?;
        let next = cut.or(page.next).map(|after| Place::within(*range, after));
        let listing = self.listing(wanted, items, next).await?;
        Ok(listing.without(page.unreadable + unreadable))
    }
}

/// An event as it is shown, if its content can be read.
pub(crate) fn readable(event: StoredEvent) -> Option<EventView> {
    let id = event.id.clone();
    match EventView::new(event) {
        Ok(view) => Some(view),
        Err(error) => {
            tracing::error!(%error, event = %id, "api.event_unreadable");
            None
        }
    }
}

/// Which events, and how.
struct Asked {
    range: Range,
    order: Order,
    filter: EventFilter,
    /// True if their payloads are wanted too.
    whole: bool,
}

/// List events
///
/// By when they were accepted, newest first unless `order=asc`. Every filter goes with every other. A page may have fewer
/// events than `limit`, or none, and a `next` all the same: what one request looks through is bounded. Events that arrive
/// meanwhile move nothing: each is in one page, and those of the last seconds may still come. With
/// `Accept: application/x-ndjson` the page is one event a line, the cursor in header `redial-next-cursor`.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/events",
    operation_id = "list_events",
    tag = "events",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("since" = Option<String>, Query, description = "First moment of acceptance, RFC 3339"),
        ("until" = Option<String>, Query, description = "First moment after it, RFC 3339"),
        ("type" = Option<String>, Query, description = "Only this event type, or all below a name as `call.*`",
            max_length = 128,
            pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?$"),
        ("agent" = Option<String>, Query, description = "Only this agent"),
        ("call" = Option<String>, Query, description = "Only of this call: `related.call_id`", max_length = 512),
        ("endpoint" = Option<String>, Query, description = "Only those that matched this endpoint, which may be deleted"),
        ("order" = Option<String>, Query, description = "`desc`, newest first, by default, or `asc`", pattern = "^(asc|desc)$"),
        ("include" = Option<String>, Query, description = "`data`: with payload, links and endpoints", pattern = "^data$"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of events", content(
            (Listing<ListedEvent> = "application/json"),
            (String = "application/x-ndjson"),
        ), headers(
            ("redial-next-cursor" = String, description = "Of NDJSON: where the next page begins; absent: this was the last"),
            ("redial-unreadable" = u32, description = "Of NDJSON: how many items cannot be read; absent: none"),
        )),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
    )
)]
async fn list(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    format: Format,
    RawQuery(raw): RawQuery,
) -> Result<Exported<Box<RawValue>>, Problem> {
    let filters = [
        "since", "until", "type", "agent", "call", "endpoint", "order", "include",
    ];
    let query = Query::parse(raw.as_deref(), &filters)?;
    let wanted = api.wanted("events", Some(scope.id()), &query).await?;
    let asked = Asked {
        range: api.range(&wanted, &query, ALL_MS)?,
        order: query.order()?,
        filter: EventFilter {
            event_type: query.type_pattern()?,
            agent: query.read("agent", "an agent's id", |text| AgentId::parse(text).ok())?,
            endpoint: query.read("endpoint", "an endpoint's id", |text| EndpointId::parse(text).ok())?,
            call_id: query.read("call", "a call's id, at most 512 bytes", |text| {
                (text.len() <= MAX_CALL_ID_BYTES).then(|| text.to_owned())
            })?,
        },
        whole: query
            .read("include", "data", |text| (text == "data").then_some(()))?
            .is_some(),
    };
    Ok(Exported(format, api.events_page(&scope, &wanted, &asked).await?))
}

/// Read an event
///
/// With its payload, byte for byte as it was posted.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/events/{event}",
    operation_id = "read_event",
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
        (status = 410, description = "It was erased (`event_erased`)", body = Problem),
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
    operation_id = "list_event_deliveries",
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
        (status = 410, description = "It was erased (`event_erased`)", body = Problem),
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
        let (mut ids, mut unreadable) = self
            .store
            .readable_replayed(&event.tenant, &event.id, MAX_REPLAYED)
            .await?;
        ids.extend(event.matched.iter().map(|endpoint| first_delivery(event, endpoint)));
        let after = wanted.after_key().unwrap_or_default();
        ids.retain(|id| order(id).as_str() > after);
        ids.sort_by_cached_key(order);
        let next = ids.get(wanted.limit - 1).filter(|_| ids.len() > wanted.limit);
        let next = next.map(|last| Place::after_key(order(last)));
        ids.truncate(wanted.limit);
        let (records, missed) = self.records_of(event, ids).await?;
        let (items, unread) = self.with_attempts(&event.tenant, records, Responses::shown()).await?;
        unreadable += missed + unread;
        Ok(self.listing(wanted, items, next).await?.without(unreadable))
    }

    /// These deliveries of an event in their order: recorded, or queued without a record; and how many cannot be read.
    pub(crate) async fn records_of(
        &self,
        event: &StoredEvent,
        ids: Vec<DeliveryId>,
    ) -> Result<(Vec<DeliveryRecord>, usize), StoreError> {
        let key = |id: &DeliveryId| keys::delivery(&event.tenant, id, event.accepted_at, event.shards);
        let sought: Vec<keys::Key> = ids.iter().map(key).collect();
        let (found, unreadable) = self.store.readable_deliveries(&sought).await?;
        let mut found: HashMap<DeliveryId, DeliveryRecord> =
            found.into_iter().map(|record| (record.id.clone(), record)).collect();
        let known = ids.into_iter().filter(|id| !unreadable.contains(&key(id)));
        let (config, now) = (self.cache.recent(&event.tenant, 0).await?, self.clock.now());
        let missing = |id| unrecorded(config.as_deref(), event, id, now);
        let records = known.map(|id| found.remove(&id).unwrap_or_else(|| missing(id)));
        Ok((records.collect(), unreadable.len()))
    }
}
