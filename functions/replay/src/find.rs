//! What a page of a job consists of: which deliveries, in which order, and where the next page begins. Reads only, and never
//! more than a page: endpoint after endpoint, each from its oldest on.

mod by_id;

use std::collections::HashSet;

use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::EndpointState;
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, EventTypeName, Timestamp};
use redial_platform::store::config::TenantConfig;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::lists::{After, Range};
use redial_platform::store::replayable::{Search, Shelf};
use redial_platform::store::replays::{ReplayAction, ReplayFilter};
use redial_platform::store::{Store, StoreError};

/// Endpoints without anything that one page passes by.
const MAX_EMPTY_SHELVES: usize = 16;

/// A delivery that a page found.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) id: DeliveryId,
    pub(crate) accepted_at: Timestamp,
    pub(crate) shards: u16,
    pub(crate) event_type: EventTypeName,
    /// Its record, if that was looked at.
    pub(crate) record: Option<DeliveryRecord>,
    /// Where it stands in the order of the job.
    pub(crate) place: After,
}

/// A page.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) candidates: Vec<Candidate>,
    /// Cannot be delivered: the event is gone, or the record cannot be read.
    pub(crate) failed: u64,
    /// Named, and not as asked for.
    pub(crate) skipped: u64,
    /// Rows that were looked at.
    pub(crate) examined: u64,
    /// `None`: this was the last.
    pub(crate) next: Option<After>,
}

impl Found {
    /// Leaves the first `most` deliveries or a few more; the next page begins after them. Of a call, an event's stay together.
    pub(crate) fn cut(&mut self, most: usize) {
        let most = most.max(1);
        let end = (most..self.candidates.len()).find(|n| self.candidates[*n].place != self.candidates[n - 1].place);
        if let Some(end) = end {
            self.candidates.truncate(end);
            self.next = self.candidates.last().map(|last| last.place.clone());
            // Those that stand behind the cut are met again.
            (self.failed, self.skipped) = (0, 0);
        }
    }
}

/// Where a filter looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// At events that the endpoint did not match.
    Missing,
    /// At one event.
    Event,
    /// At deliveries that are named.
    Named,
    /// At the events of a call.
    Call,
    /// At the deliveries of endpoints.
    Shelves,
}

impl Source {
    pub(crate) const fn of(filter: &ReplayFilter) -> Self {
        if filter.missing {
            Self::Missing
        } else if filter.event.is_some() {
            Self::Event
        } else if !filter.deliveries.is_empty() {
            Self::Named
        } else if filter.call_id.is_some() {
            Self::Call
        } else {
            Self::Shelves
        }
    }
}

/// True if what it releases is released, not made anew.
pub(crate) fn is_release(filter: &ReplayFilter) -> bool {
    filter.state == Some(DeliveryState::Held) && filter.action == ReplayAction::Deliver && filter.to.is_none()
}

/// Reads the pages of a filter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finder<'a> {
    pub(crate) store: &'a Store,
    pub(crate) config: &'a TenantConfig,
    pub(crate) filter: &'a ReplayFilter,
    pub(crate) now: Timestamp,
    /// True to pass by endpoints to which nothing is delivered now: what is released would be held again.
    pub(crate) only_deliverable: bool,
}

impl Finder<'_> {
    /// The page of about `size` deliveries after `after`.
    pub(crate) async fn page(&self, after: Option<&After>, size: usize) -> Result<Found, StoreError> {
        match Source::of(self.filter) {
            Source::Missing => self.missing(after, size).await,
            Source::Event => self.of_event().await,
            Source::Named => self.named().await,
            Source::Call => self.of_call(after).await,
            Source::Shelves => self.shelves(after, size).await,
        }
    }

    /// The endpoints that are looked at, in the order of their ids.
    pub(crate) fn endpoints(&self) -> Vec<EndpointId> {
        let mut endpoints = if self.filter.endpoints.is_empty() {
            let all = self.config.endpoints.iter();
            all.map(|stored| stored.endpoint.id.clone()).collect()
        } else {
            self.filter.endpoints.clone()
        };
        endpoints.sort();
        endpoints.dedup();
        endpoints
    }

    pub(crate) fn range(&self) -> Range {
        Range {
            // Which of the older ones are wanted their rows say.
            since: self
                .filter
                .held_since
                .map_or(self.filter.since, |_| Timestamp::default()),
            until: self.filter.until,
        }
    }

    pub(crate) fn search<'b>(&'b self, endpoint: &'b EndpointId, shelf: Shelf) -> Search<'b> {
        Search {
            tenant: &self.config.tenant.id,
            shards: self.config.tenant.shards,
            endpoint,
            shelf,
            range: self.range(),
            with_replays: self.filter.replays,
            now: self.now,
        }
    }

    /// True if deliveries of the endpoint are to be looked at.
    fn is_wanted(&self, endpoint: &EndpointId) -> bool {
        match self.config.endpoint(endpoint) {
            // What is held for an endpoint that is gone is canceled; anything else cannot be delivered again there.
            None => self.filter.state == Some(DeliveryState::Held) || self.filter.to.is_some(),
            Some(stored) => {
                let delivers = stored.endpoint.state == EndpointState::Active && stored.hold.is_none();
                delivers || !self.only_deliverable || !is_release(self.filter)
            }
        }
    }

    async fn shelves(&self, after: Option<&After>, size: usize) -> Result<Found, StoreError> {
        // A job of a release before has one endpoint, and does not say it in its place.
        let at = after.filter(|after| !after.endpoint.is_empty());
        let endpoints = self.endpoints();
        let rest = endpoints
            .iter()
            .filter(|endpoint| at.is_none_or(|at| endpoint.as_str() >= at.endpoint.as_str()));
        let rest: Vec<&EndpointId> = rest.filter(|endpoint| self.is_wanted(endpoint)).collect();
        let mut found = Found::default();
        for (number, endpoint) in rest.iter().enumerate() {
            let within = after.filter(|after| after.endpoint.is_empty() || after.endpoint == endpoint.as_str());
            let within = within
                .map(|after| after.sort_key.as_str())
                .filter(|sort_key| !sort_key.is_empty());
            let search = self.search(endpoint, Shelf::Deliveries(self.filter.state));
            let rows = self.store.replayable(&search, within, size).await?;
            found.failed += rows.unreadable as u64;
            found.examined += (rows.items.len() + rows.unreadable) as u64;
            let place = |sort_key| After {
                sort_key,
                endpoint: endpoint.to_string(),
            };
            let records = self.wanted(rows.items).await?;
            found.candidates = records
                .into_iter()
                .map(|record| of_record(record.clone(), place(record.key().sk)))
                .collect();
            let more = rows.next.is_some();
            found.next = match rows.next {
                Some(sort_key) => Some(place(sort_key)),
                None => rest.get(number + 1).map(|next| After {
                    sort_key: String::new(),
                    endpoint: next.to_string(),
                }),
            };
            // Of one endpoint at a time: its line is the page's.
            if more || found.examined > 0 || number + 1 >= MAX_EMPTY_SHELVES {
                return Ok(found);
            }
        }
        Ok(found)
    }

    /// Those of some records that the filter takes.
    async fn wanted(&self, records: Vec<DeliveryRecord>) -> Result<Vec<DeliveryRecord>, StoreError> {
        let filter = self.filter;
        let mut records: Vec<DeliveryRecord> = records
            .into_iter()
            .filter(|record| {
                self.takes_type(&record.event_type) && self.takes_reason(record) && self.takes_time(record)
            })
            .collect();
        if !filter.agents.is_empty() {
            // A record of a release before does not say the agent: the event does.
            let silent = records.iter().filter(|record| record.agent.is_none());
            let silent: HashSet<EventId> = silent.map(|record| record.id.event.clone()).collect();
            let silent: Vec<EventId> = silent.into_iter().collect();
            let (events, _) = self.store.readable_events(&self.config.tenant.id, &silent).await?;
            records.retain(|record| {
                let of_event = events.get(&record.id.event).and_then(|event| event.agent.as_ref());
                self.takes_agent(record.agent.as_ref().or(of_event))
            });
        }
        Ok(records)
    }

    fn takes_type(&self, event_type: &EventTypeName) -> bool {
        let types = &self.filter.event_types;
        types.is_empty() || types.iter().any(|pattern| pattern.matches(event_type))
    }

    fn takes_agent(&self, agent: Option<&AgentId>) -> bool {
        let agents = &self.filter.agents;
        agents.is_empty() || agent.is_some_and(|agent| agents.contains(agent))
    }

    fn takes_reason(&self, record: &DeliveryRecord) -> bool {
        let reason = self.filter.reason.as_deref();
        reason.is_none_or(|reason| record.reason.as_deref() == Some(reason))
    }

    /// Of a range that has what is held of older events too: true if it is not older, or held since.
    fn takes_time(&self, record: &DeliveryRecord) -> bool {
        let filter = self.filter;
        filter.held_since.is_none_or(|held_since| {
            record.begun_at() >= filter.since || record.held_at.is_some_and(|held_at| held_at >= held_since)
        })
    }

    /// True if the record is in the state asked for. A dead letter is one that is in the list of them; whatever is concluded
    /// is all but what its endpoint does not keep.
    fn takes_state(&self, record: &DeliveryRecord) -> bool {
        match self.filter.state {
            Some(DeliveryState::Dead) => {
                record.state == DeliveryState::Dead && !record.dropped && record.redriven.is_none()
            }
            Some(state) => record.state == state,
            None => record.state.is_final() && !record.dropped,
        }
    }

    async fn missing(&self, after: Option<&After>, size: usize) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let Some(stored) = self.filter.endpoints.first().and_then(|id| self.config.endpoint(id)) else {
            return Ok(found);
        };
        let endpoint = &stored.endpoint;
        let search = self.search(&endpoint.id, Shelf::Unmatched);
        let after = after.map(|after| after.sort_key.as_str());
        let rows = self.store.unmatched_events(&search, after, size).await?;
        found.failed = rows.unreadable as u64;
        found.examined = (rows.items.len() + rows.unreadable) as u64;
        found.next = rows.next.map(After::event);
        let wanted = rows.items.into_iter().filter(|event| {
            let agent = event.agent.as_ref();
            event.erased.is_none()
                && self.takes_type(&event.event_type)
                && self.takes_agent(agent)
                && endpoint.matches(&event.event_type, agent)
        });
        found.candidates = wanted
            .map(|event| of_event(&event, endpoint.id.clone(), None))
            .collect();
        Ok(found)
    }
}

fn of_record(record: DeliveryRecord, place: After) -> Candidate {
    Candidate {
        id: record.id.clone(),
        accepted_at: record.accepted_at,
        shards: record.shards,
        event_type: record.event_type.clone(),
        record: Some(record),
        place,
    }
}

fn of_event(event: &StoredEvent, endpoint: EndpointId, replay: Option<redial_domain::ReplayId>) -> Candidate {
    Candidate {
        id: DeliveryId {
            event: event.id.clone(),
            endpoint,
            replay,
        },
        accepted_at: event.accepted_at,
        shards: event.shards,
        event_type: event.event_type.clone(),
        record: None,
        place: event.place(),
    }
}
