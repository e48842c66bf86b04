//! Deliveries that nobody has recorded yet: `queued` is not written anywhere, it follows from an event that matched an
//! endpoint and has no record there. Found by going through events, newest first, a bounded number for each page.

use std::collections::BTreeMap;

use redial_domain::delivery::DeliveryState;
use redial_domain::id::decode_time;
use redial_domain::{DeliveryId, EndpointId, Timestamp};
use redial_platform::keys;
use redial_platform::store::StoreError;
use redial_platform::store::config::Tenant;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::lists::{After, EventFilter, Range};

use crate::Api;

/// Events that one page goes through, and some more: those of one millisecond are not parted.
const MAX_EVENTS: usize = 500;
/// Deliveries that one page looks up.
const MAX_DELIVERIES: usize = 400;
/// Events read at a time.
const EVENTS_AT_A_TIME: usize = 100;

/// What a delivery's row would say if there were one.
pub(crate) fn unrecorded(event: &StoredEvent, id: DeliveryId) -> DeliveryRecord {
    DeliveryRecord {
        tenant: event.tenant.clone(),
        id,
        accepted_at: event.accepted_at,
        shards: event.shards,
        event_type: event.event_type.clone(),
        state: DeliveryState::Queued,
        attempts: 0,
        last: None,
        reason: None,
        next_at: None,
        due_at: None,
        expires_at: event.expires_at,
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
}

impl Api {
    /// The first deliveries of the latest events within `range` to `endpoints`, with and without a record.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn first_deliveries(
        &self,
        tenant: &Tenant,
        endpoints: &[EndpointId],
        range: Range,
    ) -> Result<Found, StoreError> {
        let (events, rest) = self.latest_events(tenant, endpoints, range).await?;
        let mut expected = BTreeMap::new();
        for event in &events {
            for endpoint in event.matched.iter().filter(|matched| endpoints.contains(matched)) {
                let id = first_delivery(event, endpoint);
                expected.insert(
                    keys::delivery(&tenant.id, &id, event.accepted_at, event.shards),
                    (event, id),
                );
            }
        }
        let wanted: Vec<keys::Key> = expected.keys().cloned().collect();
        let mut records = self.store.deliveries(&wanted, true).await?;
        for record in &records {
            expected.remove(&record.key());
        }
        records.extend(expected.into_values().map(|(event, id)| unrecorded(event, id)));
        Ok(Found { records, rest })
    }

    /// The latest events within `range` that matched one of `endpoints`, as many as one page may go through.
    async fn latest_events(
        &self,
        tenant: &Tenant,
        endpoints: &[EndpointId],
        range: Range,
    ) -> Result<(Vec<StoredEvent>, Option<Timestamp>), StoreError> {
        let (mut events, mut seen, mut deliveries, mut after) = (Vec::new(), 0, 0, None);
        if range.since >= range.until {
            return Ok((events, None));
        }
        let (all, now) = (EventFilter::default(), self.clock.now());
        loop {
            let page = self
                .store
                .list_events(
                    &tenant.id,
                    tenant.shards,
                    range,
                    &all,
                    after.as_ref(),
                    EVENTS_AT_A_TIME,
                    now,
                )
                .await?;
            let (first, last) = (page.items.first(), page.items.last());
            // The millisecond of the last event may go on in the next page.
            let parted = first.map(|event| event.accepted_at) != last.map(|event| event.accepted_at);
            let last_at = last.map(|event| event.accepted_at);
            seen += page.items.len();
            for event in page.items {
                let matched = event
                    .matched
                    .iter()
                    .filter(|matched| endpoints.contains(matched))
                    .count();
                deliveries += matched;
                if matched > 0 {
                    events.push(event);
                }
            }
            after = page.next;
            let Some(last_at) = last_at.filter(|_| after.is_some()) else {
                return Ok((events, None));
            };
            if parted && (seen >= MAX_EVENTS || deliveries >= MAX_DELIVERIES) {
                events.retain(|event| event.accepted_at > last_at);
                return Ok((events, Some(last_at)));
            }
        }
    }
}
