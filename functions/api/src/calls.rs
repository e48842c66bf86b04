//! What happened on a call: its events in the order of occurrence, and its timeline. A call is no thing of its own: it is
//! what events name in `related.call_id`. Reads only.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use futures_util::{StreamExt as _, TryStreamExt as _};
use redial_domain::delivery::DeliveryState;
use redial_domain::id::encode_time;
use redial_domain::{DeliveryId, EndpointId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::lists::{After, EventFilter, Order, Page, Question, Range};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::cursor::Place;
use crate::events::{ALL_MS, readable};
use crate::export::fitting;
use crate::listing::{Listing, Wanted};
use crate::query::Query;
use crate::timeline::{MAX_TIMELINE_REPLAYS, Timeline, TimelineItem, in_order};
use crate::views::EventItem;

/// Events of a call that are put in the order of occurrence together. Of a longer one the next as many follow.
const MAX_TOGETHER: usize = 500;
/// Pages of the store that one answer goes through, each of bounded work itself.
const MAX_LOOKS: usize = 5;
/// Events whose deliveries are read at once.
const CONCURRENT_READS: usize = 8;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(events)).with(routes!(timeline))
}

/// An event of a call, and where its deliveries stand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallEventView {
    #[serde(flatten)]
    item: EventItem,
    /// Its deliveries: the first ones, then replays.
    states: Vec<StateView>,
}

/// Where a delivery stands.
#[derive(Debug, Serialize, ToSchema)]
struct StateView {
    #[schema(value_type = String, example = "evt_01JD3ZK8Q000ABCDEFGHJKMNPQ.ep_0123456789ABCDEF")]
    delivery: DeliveryId,
    #[schema(value_type = String)]
    endpoint: EndpointId,
    /// `queued`, `retrying`, `held`, `succeeded`, `dead` or `canceled`.
    #[schema(value_type = String, example = "succeeded")]
    state: DeliveryState,
    /// Why it is held, dead or canceled.
    #[schema(required)]
    reason: Option<String>,
    /// Attempts made.
    attempts: u32,
}

impl From<DeliveryRecord> for StateView {
    fn from(record: DeliveryRecord) -> Self {
        Self {
            endpoint: record.id.endpoint.clone(),
            delivery: record.id,
            state: record.state,
            reason: record.reason,
            attempts: record.attempts,
        }
    }
}

/// Events that are put in order together: of those after `base`, up to `end` if a page before got no further.
#[derive(Debug, Default, Clone)]
struct Together {
    base: Option<String>,
    end: Option<String>,
}

impl Together {
    /// As the place of a cursor says: sort keys have no `|`.
    fn read(place: &Place) -> (Self, String) {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (base, end) = place.after.sort_key.split_once('|').unwrap_or_default();
        let together = Self {
            base: given(base),
            end: given(end),
        };
        (together, place.after.endpoint.clone())
    }

    fn place(&self, range: Range, position: &str) -> Place {
        let text = |key: &Option<String>| key.clone().unwrap_or_default();
        let after = After {
            sort_key: format!("{}|{}", text(&self.base), text(&self.end)),
            endpoint: position.to_owned(),
        };
        Place::within(range, after)
    }
}

/// Where an event stands among those of its call: by when it happened, then by when it was accepted.
fn position(event: &StoredEvent) -> String {
    let occurred_at = event.content().ok().and_then(|content| content.occurred_at);
    let occurred_at = occurred_at.and_then(|text| Timestamp::parse(&text).ok());
    let at = encode_time(occurred_at.unwrap_or(event.accepted_at));
    format!("{at}/{}", event.place().sort_key)
}

impl Api {
    /// Up to `limit` events of a call after `after`, in the order of acceptance, whole.
    async fn call_page(
        &self,
        scope: &InTenant,
        call_id: &str,
        range: Range,
        after: Option<&After>,
        limit: usize,
    ) -> Result<Page<StoredEvent>, StoreError> {
        let question = Question {
            tenant: scope.id(),
            shards: scope.tenant().shards,
            range,
            order: Order::OldestFirst,
            after,
            limit,
            now: self.clock.now(),
        };
        let (filter, changed_at) = (EventFilter::default(), scope.tenant().updated_at);
        let page = self
            .store
            .list_call_events(&question, call_id, &filter, changed_at)
            .await?;
        let (items, unreadable) = self.whole(scope.id(), page.items).await?;
        Ok(Page {
            items,
            next: page.next,
            unreadable: page.unreadable + unreadable,
        })
    }

    /// The events that are put in order together, and where the next such ones begin.
    async fn together(
        &self,
        scope: &InTenant,
        call_id: &str,
        range: Range,
        together: &Together,
    ) -> Result<Page<StoredEvent>, StoreError> {
        let mut all = Page::empty();
        let mut after = together.base.clone().map(After::event);
        for look in 1.. {
            let left = MAX_TOGETHER.saturating_sub(all.items.len()).max(1);
            let page = self.call_page(scope, call_id, range, after.as_ref(), left).await?;
            all.items.extend(page.items);
            all.unreadable += page.unreadable;
            after = page.next;
            match (&after, &together.end) {
                (None, None) => break,
                (_, Some(end)) => {
                    let reached = after.as_ref().is_none_or(|after| after.sort_key >= *end);
                    if reached {
                        all.items.retain(|event| event.place().sort_key <= *end);
                        after = Some(After::event(end.clone()));
                        break;
                    }
                }
                (Some(_), None) if look >= MAX_LOOKS || all.items.len() >= MAX_TOGETHER => break,
                (Some(_), None) => {}
            }
        }
        all.next = after;
        Ok(all)
    }

    async fn call_events(
        &self,
        scope: &InTenant,
        call_id: &str,
        wanted: &Wanted,
        range: Range,
    ) -> Result<Listing<Box<RawValue>>, Problem> {
        let (mut together, after) = wanted.place.as_ref().map(Together::read).unwrap_or_default();
        let page = self.together(scope, call_id, range, &together).await?;
        let mut events: Vec<(String, StoredEvent)> =
            page.items.into_iter().map(|event| (position(&event), event)).collect();
        events.retain(|(position, _)| *position > after);
        events.sort_by(|(a, _), (b, _)| a.cmp(b));
        let more = events.len() > wanted.limit;
        events.truncate(wanted.limit);
        let mut reads = Vec::with_capacity(events.len());
        for (position, event) in events {
            reads.push(self.with_states(position, event));
        }
        let read: Vec<(After, Option<CallEventView>, usize)> = futures_util::stream::iter(reads)
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        let unreadable: usize = read.iter().map(|(_, _, unreadable)| unreadable).sum();
        let last = read.last().map(|(place, _, _)| place.clone());
        let views = read.into_iter().filter_map(|(place, view, _)| Some((place, view?)));
        let (items, cut) = fitting(views)?;
        let next = match cut.or(last.filter(|_| more)) {
            // In the same order.
            Some(place) => {
                together.end = page.next.map(|next| next.sort_key);
                Some(together.place(range, &place.sort_key))
            }
            None => page.next.map(|next| {
                let base = Some(next.sort_key);
                Together { base, end: None }.place(range, "")
            }),
        };
        Ok(self
            .listing(wanted, items, next)
            .await?
            .without(page.unreadable + unreadable))
    }

    async fn with_states(
        &self,
        position: String,
        event: StoredEvent,
    ) -> Result<(After, Option<CallEventView>, usize), StoreError> {
        let (records, unreadable, _) = self.deliveries_of(&event, MAX_TIMELINE_REPLAYS).await?;
        let view = readable(event).map(|view| CallEventView {
            item: view.into_item(),
            states: records.into_iter().map(StateView::from).collect(),
        });
        let missing = usize::from(view.is_none());
        Ok((After::event(position), view, unreadable + missing))
    }
}

/// List a call's events
///
/// Everything that names it in `related.call_id`, in the order of occurrence, each with the states of its deliveries. Of a
/// call with more than 500 events, the 500 accepted first come first, in their order, then the next. A call that no stored
/// event names has no events.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/calls/{call_id}/events",
    operation_id = "list_call_events",
    tag = "calls",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("call_id" = String, Path, description = "`related.call_id` of the events, 1 to 512 bytes"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of the call's events", body = Listing<CallEventView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's; or no call can have this id", body = Problem),
    )
)]
async fn events(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<Box<RawValue>>>, Problem> {
    let call_id = scope.call_id()?;
    let query = Query::parse(raw.as_deref(), &[])?;
    let list = format!("calls/{call_id}/events");
    let wanted = api.wanted(&list, Some(scope.id()), &query).await?;
    let range = api.range(&wanted, &query, ALL_MS)?;
    Ok(Json(api.call_events(&scope, call_id, &wanted, range).await?))
}

/// Read a call's timeline
///
/// The timelines of its events in one, in the order of time. A page goes through the next `limit` events in the order of
/// acceptance and has all that became of them; calls rarely have as many.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/calls/{call_id}/timeline",
    operation_id = "read_call_timeline",
    tag = "calls",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("call_id" = String, Path, description = "`related.call_id` of the events, 1 to 512 bytes"),
        ("limit" = Option<u8>, Query, description = "Most events that a page goes through, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of the timeline", body = Listing<TimelineItem>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's; or no call can have this id", body = Problem),
    )
)]
async fn timeline(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<TimelineItem>>, Problem> {
    let call_id = scope.call_id()?;
    let query = Query::parse(raw.as_deref(), &[])?;
    let list = format!("calls/{call_id}/timeline");
    let wanted = api.wanted(&list, Some(scope.id()), &query).await?;
    let range = api.range(&wanted, &query, ALL_MS)?;
    let after = wanted.place.as_ref().map(|place| &place.after);
    let page = api.call_page(&scope, call_id, range, after, wanted.limit).await?;
    let mut reads = Vec::with_capacity(page.items.len());
    for event in &page.items {
        reads.push(api.timeline_of(event));
    }
    let read: Vec<Timeline> = futures_util::stream::iter(reads)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let unreadable: usize = read.iter().map(|(_, unreadable)| unreadable).sum();
    let mut items: Vec<TimelineItem> = read.into_iter().flat_map(|(items, _)| items).collect();
    in_order(&mut items);
    let next = page.next.map(|after| Place::within(range, after));
    let listing = api.listing(&wanted, items, next).await?;
    Ok(Json(listing.without(page.unreadable + unreadable)))
}
