//! Deliveries that nobody has recorded yet: `queued` is not written anywhere, it follows from an event that matched an
//! endpoint and has no record there. Found by going through events, newest first, a bounded number for each page.

use std::collections::BTreeMap;

use redial_domain::delivery::{DeadReason, DeliveryState};
use redial_domain::id::decode_time;
use redial_domain::{DeliveryId, EndpointId, ReplayId, Timestamp};
use redial_platform::keys;
use redial_platform::store::StoreError;
use redial_platform::store::config::{Tenant, TenantConfig};
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::lists::{After, DeliveryFilter, EventFilter, Order, Question, Range};

use crate::Api;

/// Events that one page goes through, and some more: those of one millisecond are not parted.
const MAX_EVENTS: usize = 500;
/// Pages of events that one page goes through, each of bounded work itself, and some more for a crowded millisecond.
const MAX_LOOKS: usize = 5;
/// Deliveries that one page looks up.
const MAX_DELIVERIES: usize = 400;
/// Events read at a time.
const EVENTS_AT_A_TIME: usize = 100;

/// What a delivery's row would say if there were one: it is queued. Or it is gone, as its endpoint keeps dead letters for a
/// while only, and the event is old enough for that while to have passed.
pub(crate) fn unrecorded(
    config: Option<&TenantConfig>,
    event: &StoredEvent,
    id: DeliveryId,
    now: Timestamp,
) -> DeliveryRecord {
    let endpoint = config.and_then(|config| config.endpoint(&id.endpoint));
    let kept = endpoint.map(|stored| stored.endpoint.settings.dead_letter);
    let begun = id.replay.as_ref().map_or(Some(event.accepted_at), ReplayId::asked_at);
    let begun = begun.unwrap_or(event.expires_at);
    let until = kept.unwrap_or_default().kept_until(begun, event.expires_at);
    let (state, reason) = if until < event.expires_at && until < now {
        (DeliveryState::Dead, Some(DeadReason::RecordExpired.as_str().to_owned()))
    } else {
        (DeliveryState::Queued, None)
    };
    DeliveryRecord {
        tenant: event.tenant.clone(),
        id,
        accepted_at: event.accepted_at,
        shards: event.shards,
        event_type: event.event_type.clone(),
        state,
        attempts: 0,
        last: None,
        reason,
        next_at: None,
        due_at: None,
        held_at: None,
        expires_at: event.expires_at,
        dropped: false,
        redriven: None,
        agent: event.agent.clone(),
        traceparent: None,
    }
}

/// The first delivery of an event to an endpoint.
pub(crate) fn first_delivery(event: &StoredEvent, endpoint: &EndpointId) -> DeliveryId {
    DeliveryId {
        event: event.id.clone(),
        endpoint: endpoint.clone(),
        replay: None,
    }
}

/// Where a delivery stands in a list: by its time, then by its endpoint.
pub(crate) fn place(record: &DeliveryRecord) -> After {
    After {
        sort_key: record.key().sk,
        endpoint: record.id.endpoint.as_str().to_owned(),
    }
}

/// True if `place` comes after `after` in a list, newest first.
pub(crate) fn is_after(place: &After, after: &After) -> bool {
    (&place.sort_key, &place.endpoint) < (&after.sort_key, &after.endpoint)
}

/// Where everything of the millisecond `at`, and before it, comes after.
pub(crate) fn before_end_of(at: Timestamp) -> After {
    After {
        sort_key: format!("{}~~", redial_domain::id::encode_time(at)),
        endpoint: String::new(),
    }
}

/// The moment that a place lies in.
pub(crate) fn moment_of(place: &After) -> Option<Timestamp> {
    decode_time(&place.sort_key)
}

/// First deliveries of a stretch of events.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Recorded ones and queued ones, in no order.
    pub(crate) records: Vec<DeliveryRecord>,
    /// Events of this millisecond and before it were not looked at; `None`: all were.
    pub(crate) rest: Option<Timestamp>,
    /// How many items cannot be read.
    pub(crate) unreadable: usize,
}

/// The latest events of a stretch of time.
#[derive(Debug, Default)]
struct Latest {
    events: Vec<StoredEvent>,
    rest: Option<Timestamp>,
    unreadable: usize,
}

impl Api {
    /// The first deliveries that `filter` asks for of the latest events within `range`, with and without a record, in
    /// whatever state.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn first_deliveries(
        &self,
        tenant: &Tenant,
        filter: &DeliveryFilter,
        range: Range,
    ) -> Result<Found, StoreError> {
        let latest = self.latest_events(tenant, filter, range).await?;
        let mut expected = BTreeMap::new();
        for event in &latest.events {
            for endpoint in event
                .matched
                .iter()
                .filter(|matched| filter.endpoints.contains(matched))
            {
                let id = first_delivery(event, endpoint);
                expected.insert(
                    keys::delivery(&tenant.id, &id, event.accepted_at, event.shards),
                    (event, id),
                );
            }
        }
        let wanted: Vec<keys::Key> = expected.keys().cloned().collect();
        let (mut records, unreadable) = self.store.readable_deliveries(&wanted).await?;
        for known in records
            .iter()
            .map(DeliveryRecord::key)
            .chain(unreadable.iter().cloned())
        {
            expected.remove(&known);
        }
        let (config, now) = (self.cache.recent(&tenant.id, 0).await?, self.clock.now());
        let missing = expected.into_values();
        let missing = missing.map(|(event, id)| unrecorded(config.as_deref(), event, id, now));
        records.extend(missing);
        Ok(Found {
            records,
            rest: latest.rest,
            unreadable: latest.unreadable + unreadable.len(),
        })
    }

    /// The latest events within `range` that matched what `filter` asks for, as many as one page may go through.
    async fn latest_events(
        &self,
        tenant: &Tenant,
        filter: &DeliveryFilter,
        range: Range,
    ) -> Result<Latest, StoreError> {
        let (mut latest, mut deliveries, mut after) = (Latest::default(), 0, None);
        let only = EventFilter {
            event_type: filter.event_type.clone(),
            endpoint: filter
                .endpoints
                .first()
                .filter(|_| filter.endpoints.len() == 1)
                .cloned(),
            ..EventFilter::default()
        };
        for look in 1.. {
            let question = Question {
                tenant: &tenant.id,
                shards: tenant.shards,
                range,
                order: Order::NewestFirst,
                after: after.as_ref(),
                limit: EVENTS_AT_A_TIME,
                now: self.clock.now(),
            };
            let page = self
                .store
                .list_events(&question, 0..tenant.shards, &only, false)
                .await?;
            latest.unreadable += page.unreadable;
            for event in page.items {
                let matched = event.matched.iter();
                deliveries += matched.filter(|matched| filter.endpoints.contains(matched)).count();
                latest.events.push(event);
            }
            after = page.next;
            let Some(reached) = after.as_ref().and_then(moment_of) else {
                break;
            };
            // What lies in the millisecond that a page ends in may go on in the next.
            let newest = latest.events.first().map(|event| event.accepted_at);
            let whole = reached < newest.unwrap_or_else(|| range.until.plus_millis(-1));
            if whole && (look >= MAX_LOOKS || latest.events.len() >= MAX_EVENTS || deliveries >= MAX_DELIVERIES) {
                latest.events.retain(|event| event.accepted_at > reached);
                latest.rest = Some(reached);
                break;
            }
        }
        Ok(latest)
    }
}
