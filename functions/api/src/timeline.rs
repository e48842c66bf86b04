//! What became of an event or of a call, in the order of time: one list of everything that is stored about it, each item
//! with a sentence. Says nothing that is not stored: when a delivery was held or canceled is not.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use redial_domain::count::counted;
use redial_domain::delivery::DeliveryState;
use redial_domain::id::encode_time;
use redial_domain::{DeliveryId, EndpointId, EventId, EventTypeName, ReplayId, Timestamp};
use redial_platform::pace;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::{AttemptRecord, DeliveryRecord};
use redial_platform::store::events::StoredEvent;
use redial_platform::store::lookups::AttemptsQuestion;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::attempts::complete;
use crate::cursor::Place;
use crate::listing::Listing;
use crate::query::Query;
use crate::waiting::first_delivery;

/// Replays of an event that its timeline goes through; the list of its deliveries has all.
pub(crate) const MAX_TIMELINE_REPLAYS: usize = 200;
/// Failed attempts of an event that its timeline goes through.
const MAX_TIMELINE_ATTEMPTS: usize = 4_000;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(of_event))
}

/// What happened. In this order, where it happened at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TimelineKind)]
enum Kind {
    /// It happened on the call, as the platform says.
    Occurred,
    /// The event was accepted.
    Accepted,
    /// A replay was asked for.
    ReplayAsked,
    /// An attempt was made.
    Attempted,
    /// A delivery waits for its first attempt.
    Queued,
    /// A delivery waits for its next attempt.
    Retrying,
    /// A delivery waits outside the queue.
    Held,
    /// A delivery was taken.
    Succeeded,
    /// A delivery was given up.
    Dead,
    /// A delivery will not be made.
    Canceled,
    /// There is more than a timeline shows.
    More,
}

impl From<DeliveryState> for Kind {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Queued => Self::Queued,
            DeliveryState::Retrying => Self::Retrying,
            DeliveryState::Held => Self::Held,
            DeliveryState::Succeeded => Self::Succeeded,
            DeliveryState::Dead => Self::Dead,
            DeliveryState::Canceled => Self::Canceled,
        }
    }
}

/// An entry of a timeline.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineItem {
    /// When. `null`: when is not stored; such items come last and say how it stands now.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    at: Option<Timestamp>,
    /// What: of the event, an attempt, or the state that a delivery is in.
    kind: Kind,
    #[schema(value_type = String)]
    event: EventId,
    #[schema(value_type = String, example = "call.ended")]
    event_type: EventTypeName,
    /// The delivery that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    delivery: Option<DeliveryId>,
    /// The delivery's endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    endpoint: Option<EndpointId>,
    /// The endpoints that the event matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false)]
    endpoints: Option<Vec<EndpointId>>,
    /// Which attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32, required = false)]
    n: Option<u32>,
    /// The status of the answer to an attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u16, required = false)]
    status: Option<u16>,
    /// `ok`, or what went wrong with an attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    code: Option<String>,
    /// How long an attempt took.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32, required = false)]
    duration_ms: Option<u32>,
    /// Why a delivery is held, dead or canceled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    reason: Option<String>,
    /// When a delivery may be attempted again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    next_at: Option<Timestamp>,
    /// The same in a sentence.
    text: String,
}

impl TimelineItem {
    fn new(event: &StoredEvent, kind: Kind, at: Option<Timestamp>, text: impl Into<String>) -> Self {
        Self {
            at,
            kind,
            event: event.id.clone(),
            event_type: event.event_type.clone(),
            delivery: None,
            endpoint: None,
            endpoints: None,
            n: None,
            status: None,
            code: None,
            duration_ms: None,
            reason: None,
            next_at: None,
            text: text.into(),
        }
    }

    fn of(self, delivery: &DeliveryId) -> Self {
        Self {
            endpoint: Some(delivery.endpoint.clone()),
            delivery: Some(delivery.clone()),
            ..self
        }
    }

    fn attempted(event: &StoredEvent, delivery: &DeliveryId, attempt: &AttemptRecord) -> Self {
        Self {
            n: Some(attempt.n),
            status: attempt.status,
            code: Some(attempt.code.clone()),
            duration_ms: Some(attempt.duration_ms),
            ..Self::new(event, Kind::Attempted, Some(attempt.at), attempt.next.clone()).of(delivery)
        }
    }

    /// The state that a delivery is in.
    fn state(event: &StoredEvent, record: &DeliveryRecord) -> Self {
        let last_at = record.last.as_ref().map(|last| last.at);
        let (at, next_at) = match record.state {
            DeliveryState::Succeeded | DeliveryState::Dead => (last_at, None),
            DeliveryState::Retrying => (last_at, record.next_at),
            DeliveryState::Held => (None, record.next_at.or(record.due_at)),
            DeliveryState::Queued | DeliveryState::Canceled => (None, None),
        };
        Self {
            reason: record.reason.clone().filter(|reason| !reason.is_empty()),
            next_at,
            ..Self::new(event, record.state.into(), at, sentence(record, next_at)).of(&record.id)
        }
    }

    /// What it sorts by.
    fn order(&self) -> String {
        let at = self.at.map_or_else(|| "~".to_owned(), encode_time);
        let delivery = self.delivery.as_ref().map(ToString::to_string).unwrap_or_default();
        let (kind, n) = (self.kind as u8, self.n.unwrap_or_default());
        format!("{at}/{kind:02}/{}/{delivery}/{n:03}", self.event)
    }
}

/// How a delivery stands.
fn sentence(record: &DeliveryRecord, next_at: Option<Timestamp>) -> String {
    let because = record.reason.as_ref().filter(|reason| !reason.is_empty());
    let because = because.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let when = |otherwise: &str| next_at.map_or_else(|| otherwise.to_owned(), |at| format!("at {at} or later"));
    match record.state {
        DeliveryState::Queued => "Waits in the queue for its first attempt.".to_owned(),
        DeliveryState::Retrying => format!("Waits for attempt {}, {}.", record.attempts + 1, when("soon")),
        DeliveryState::Held if record.reason.as_deref() == Some(pace::REASON) => format!(
            "Held: others wait before it for the rate limit of its endpoint; goes {}.",
            when("soon")
        ),
        DeliveryState::Held => format!(
            "Held{because}; goes {}.",
            when("when its endpoint is delivered to again")
        ),
        DeliveryState::Succeeded => format!("Delivered with attempt {}.", record.attempts),
        DeliveryState::Dead => format!(
            "Given up after {}{because}.",
            counted(record.attempts.into(), "attempt", "attempts")
        ),
        DeliveryState::Canceled => format!("Canceled{because}: it will not be delivered."),
    }
}

/// Items in the order of time, and how many of what they would tell cannot be read.
pub(crate) type Timeline = (Vec<TimelineItem>, usize);

/// Puts items in the order of time.
pub(crate) fn in_order(items: &mut [TimelineItem]) {
    items.sort_by_cached_key(TimelineItem::order);
}

impl Api {
    /// All deliveries of an event, the first ones and those of up to `replays` replays; how many cannot be read; and
    /// whether there are more.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn deliveries_of(
        &self,
        event: &StoredEvent,
        replays: usize,
    ) -> Result<(Vec<DeliveryRecord>, usize, bool), StoreError> {
        let replayed = self.store.readable_replayed(&event.tenant, &event.id, replays + 1);
        let (mut replayed, unreadable) = replayed.await?;
        let more = replayed.len() > replays;
        replayed.truncate(replays);
        let first = event.matched.iter().map(|endpoint| first_delivery(event, endpoint));
        let ids: Vec<DeliveryId> = first.chain(replayed).collect();
        let (records, missed) = self.records_of(event, ids).await?;
        Ok((records, unreadable + missed, more))
    }

    /// What became of an event, in no order.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn timeline_of(&self, event: &StoredEvent) -> Result<Timeline, StoreError> {
        let (records, mut unreadable, more) = self.deliveries_of(event, MAX_TIMELINE_REPLAYS).await?;
        let question = AttemptsQuestion {
            event: &event.id,
            delivery: None,
            responses: false,
            limit: MAX_TIMELINE_ATTEMPTS,
        };
        let failed = if records.iter().any(|record| record.attempts > 1) {
            let (failed, unread) = self.store.readable_attempts(&event.tenant, question).await?;
            unreadable += unread;
            failed
        } else {
            Vec::new()
        };
        let mut items = beginning(event);
        for record in &records {
            let asked_at = record.id.replay.as_ref().and_then(ReplayId::asked_at);
            if let Some(asked_at) = asked_at {
                let item = TimelineItem::new(
                    event,
                    Kind::ReplayAsked,
                    Some(asked_at),
                    "Asked for again, by a replay.",
                );
                items.push(item.of(&record.id));
            }
            let rows = failed
                .iter()
                .filter(|(id, _)| *id == record.id)
                .map(|(_, row)| row.clone());
            let attempts = complete(record, rows.collect());
            items.extend(
                attempts
                    .iter()
                    .map(|attempt| TimelineItem::attempted(event, &record.id, attempt)),
            );
            items.push(TimelineItem::state(event, record));
        }
        if more {
            let text = format!("There are more than {MAX_TIMELINE_REPLAYS} replays: the event's deliveries list them.");
            items.push(TimelineItem::new(event, Kind::More, None, text));
        }
        Ok((items, unreadable))
    }
}

/// What is known of an event itself.
fn beginning(event: &StoredEvent) -> Vec<TimelineItem> {
    let occurred_at = event.content().ok().and_then(|content| content.occurred_at);
    let occurred_at = occurred_at.and_then(|text| Timestamp::parse(&text).ok());
    let occurred =
        occurred_at.map(|at| TimelineItem::new(event, Kind::Occurred, Some(at), "Happened, as the platform says."));
    let text = match event.matched.len() {
        0 => "Accepted; no endpoint wanted it.".to_owned(),
        n => format!("Accepted for {}.", counted(n as u64, "endpoint", "endpoints")),
    };
    let accepted = TimelineItem {
        endpoints: Some(event.matched.clone()),
        ..TimelineItem::new(event, Kind::Accepted, Some(event.accepted_at), text)
    };
    occurred.into_iter().chain([accepted]).collect()
}

/// Read an event's timeline
///
/// Everything that is stored about what became of it, in the order of time: when it happened and was accepted, every
/// attempt of every delivery with what followed and why, replays asked for, and the state that each delivery is in.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/events/{event}/timeline",
    operation_id = "read_event_timeline",
    tag = "events",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("event" = String, Path, description = "The event's id"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of the timeline", body = Listing<TimelineItem>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such event, or another's", body = Problem),
        (status = 410, description = "It was erased (`event_erased`)", body = Problem),
    )
)]
async fn of_event(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<TimelineItem>>, Problem> {
    let id = scope.event()?;
    let list = format!("events/{id}/timeline");
    let query = Query::parse(raw.as_deref(), &[])?;
    let wanted = api.wanted(&list, Some(scope.id()), &query).await?;
    let event = api.stored_event(scope.id(), &id).await?;
    let (mut items, unreadable) = api.timeline_of(&event).await?;
    in_order(&mut items);
    let after = wanted.after_key().unwrap_or_default();
    items.retain(|item| item.order().as_str() > after);
    let next = items.get(wanted.limit - 1).filter(|_| items.len() > wanted.limit);
    let next = next.map(|last| Place::after_key(last.order()));
    items.truncate(wanted.limit);
    Ok(Json(api.listing(&wanted, items, next).await?.without(unreadable)))
}
