//! Deliveries that are found by the ids of events: of one event, of a few named deliveries, of a call.

use std::collections::{HashMap, HashSet};

use redial_domain::{DeliveryId, EndpointId, EventId};
use redial_platform::keys::{self, Key};
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::lists::{After, EventFilter, Order, Question};

use super::{Finder, Found, of_event, of_record};

/// Events of a call that a page reads: each names up to all the tenant's endpoints.
const CALL_PAGE: usize = 25;

impl Finder<'_> {
    pub(super) async fn of_event(&self) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let tenant = &self.config.tenant.id;
        let Some(event) = &self.filter.event else {
            return Ok(found);
        };
        let Some(event) = self.store.event(tenant, event, self.now).await? else {
            return Ok(found);
        };
        let endpoints = event.matched.iter().filter(|endpoint| self.takes_endpoint(endpoint));
        found.candidates = endpoints
            .map(|endpoint| of_event(&event, endpoint.clone(), None))
            .collect();
        if self.filter.to.is_some() {
            // Once, however many endpoints it matched.
            found.candidates.truncate(1);
        }
        Ok(found)
    }

    fn takes_endpoint(&self, endpoint: &EndpointId) -> bool {
        self.filter.endpoints.is_empty() || self.filter.endpoints.contains(endpoint)
    }

    pub(super) async fn named(&self) -> Result<Found, StoreError> {
        let tenant = &self.config.tenant.id;
        let ids: HashSet<EventId> = self.filter.deliveries.iter().map(|id| id.event.clone()).collect();
        let ids: Vec<EventId> = ids.into_iter().collect();
        let (events, _) = self.store.readable_events(tenant, &ids).await?;
        let event = |id: &DeliveryId| {
            let there = |event: &&StoredEvent| event.erased.is_none() && event.expires_at > self.now;
            events.get(&id.event).filter(there)
        };
        let looks = self.filter.state.is_some() || self.filter.reason.is_some();
        let key = |id: &DeliveryId| {
            let event = event(id).filter(|event| looks || !event.matched.contains(&id.endpoint))?;
            Some(keys::delivery(tenant, id, event.accepted_at, event.shards))
        };
        let mut wanted: Vec<Key> = self.filter.deliveries.iter().filter_map(key).collect();
        wanted.sort();
        wanted.dedup();
        let records = self.records(&wanted).await?;
        let mut found = Found {
            examined: ids.len() as u64,
            ..Found::default()
        };
        for id in &self.filter.deliveries {
            let Some(event) = event(id) else {
                found.failed += 1;
                continue;
            };
            let record = records.get(id);
            let as_asked = |record: &&DeliveryRecord| !looks || (self.takes_state(record) && self.takes_reason(record));
            match record.filter(as_asked) {
                Some(record) => found.candidates.push(of_record(record.clone(), event.place())),
                None if !looks && event.matched.contains(&id.endpoint) => {
                    let candidate = of_event(event, id.endpoint.clone(), id.replay.clone());
                    found.candidates.push(candidate);
                }
                None => found.skipped += 1,
            }
        }
        // They stand in no order, so no page can end between them.
        for candidate in &mut found.candidates {
            candidate.place = After::event("");
        }
        Ok(found)
    }

    async fn records(&self, keys: &[Key]) -> Result<HashMap<DeliveryId, DeliveryRecord>, StoreError> {
        let (records, _) = self.store.readable_deliveries(keys).await?;
        Ok(records.into_iter().map(|record| (record.id.clone(), record)).collect())
    }

    pub(super) async fn of_call(&self, after: Option<&After>) -> Result<Found, StoreError> {
        let tenant = &self.config.tenant;
        let question = Question {
            tenant: &tenant.id,
            shards: tenant.shards,
            range: self.range(),
            order: Order::OldestFirst,
            after,
            limit: CALL_PAGE,
            now: self.now,
        };
        let call_id = self.filter.call_id.as_deref().unwrap_or_default();
        let all = EventFilter::default();
        let page = self.store.list_call_events(&question, call_id, &all, tenant.updated_at);
        let page = page.await?;
        let events = page.items.iter().filter(|event| {
            self.takes_type(&event.event_type) && self.takes_agent(event.agent.as_ref()) && event.erased.is_none()
        });
        let mut wanted = Vec::new();
        for event in events {
            for endpoint in event.matched.iter().filter(|endpoint| self.takes_endpoint(endpoint)) {
                let id = DeliveryId {
                    event: event.id.clone(),
                    endpoint: endpoint.clone(),
                    replay: None,
                };
                let key = keys::delivery(&tenant.id, &id, event.accepted_at, event.shards);
                wanted.push((key, id, event.place()));
            }
        }
        let keys: Vec<Key> = wanted.iter().map(|(key, ..)| key.clone()).collect();
        let records = self.records(&keys).await?;
        let mut found = Found {
            examined: wanted.len() as u64 + page.items.len() as u64,
            failed: page.unreadable as u64,
            next: page.next,
            ..Found::default()
        };
        let mut redirected = HashSet::new();
        for (_, id, place) in wanted {
            let record = records.get(&id);
            let record = record.filter(|record| self.takes_state(record) && self.takes_reason(record));
            // To another endpoint an event goes once, however many it matched.
            if let Some(record) = record
                && (self.filter.to.is_none() || redirected.insert(id.event.clone()))
            {
                found.candidates.push(of_record(record.clone(), place));
            }
        }
        Ok(found)
    }
}
