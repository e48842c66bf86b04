//! The ledger: what the events of a stretch of time promise, beside what the records of their deliveries say, both read
//! strongly. Every event and endpoint that it matched has exactly one record, or its message waits. Reads only; whoever asks
//! judges what does not fit.

use std::collections::BTreeSet;

use redial_domain::id::decode_time;
use redial_domain::{EndpointId, TenantId, Timestamp};

use super::deliveries::{DeliveryRecord, read_delivery};
use super::events::{StoredEvent, read_listed};
use super::lists::{After, Order, Question, Range, WITHOUT_CONTENT};
use super::walk::{Stream, readable, walk};
use super::{Store, StoreError};
use crate::keys::{self, HOUR_MS, Key};

/// Age at which an event's deliveries are expected to have a record, in milliseconds: the sweeper sends those that have none.
pub const SETTLE_MS: i64 = 300_000;
/// How long after its hour a delivery without a record counts as queued, in milliseconds. Unless the delivery queue is behind,
/// a message spends its receives there and in the retry queue within 5.3 hours (3 times 6 minutes, 20 times 15 minutes), and
/// the intake writes its record.
pub const UNRECORDED_MS: i64 = 6 * HOUR_MS;
/// How long after its time a retry may not have been made before the sweeper sends it again, in milliseconds: a queue that is
/// behind by so much is behind for first attempts, too.
pub const LATE_MS: i64 = HOUR_MS;
/// Hours that the sweeper looks back: what is older it neither counts nor repairs.
pub const LOOK_BACK_HOURS: i64 = 47;
/// Events of one stretch; of the millisecond that it ends in, all.
const MAX_EVENTS: usize = 500;
/// Deliveries that the events of one stretch promise, and records of one step; of the last millisecond, all.
const MAX_DELIVERIES: usize = 1_000;

/// Which part of a tenant's ledger.
#[derive(Debug, Clone, Copy)]
pub struct LedgerQuestion<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// The tenant's shards.
    pub shards: u16,
    /// When events were accepted; of replays: when they were asked for.
    pub range: Range,
    /// The endpoints whose records are looked through, besides those that the events matched.
    pub endpoints: &'a [EndpointId],
    /// Only what is for this endpoint.
    pub only: Option<&'a EndpointId>,
    /// What expires before it is not looked at.
    pub now: Timestamp,
}

/// A stretch of the ledger: all of it from the question's beginning on, as far as `reached`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The first moment that was not looked at; the question's end, if all of it was.
    pub reached: Timestamp,
    /// Events, tombstones among them, oldest first. Without their contents; own ids come from their time rows.
    pub events: Vec<StoredEvent>,
    /// The records of their deliveries, and of replays that were asked for in that time.
    pub records: Vec<DeliveryRecord>,
    /// Items that cannot be read.
    pub unreadable: Vec<Key>,
}

/// One kind of items of a stretch.
struct Part<T> {
    items: Vec<T>,
    unreadable: Vec<Key>,
    reached: Timestamp,
}

impl LedgerQuestion<'_> {
    fn page<'a>(&'a self, after: Option<&'a After>, limit: usize) -> Question<'a> {
        Question {
            tenant: self.tenant,
            shards: self.shards,
            range: self.range,
            order: Order::OldestFirst,
            after,
            limit,
            now: self.now,
        }
    }

    /// How far a page has everything; `None`: the millisecond that the question begins with may go on in the next page.
    fn reached(&self, next: Option<&After>) -> Option<Timestamp> {
        let Some(next) = next else {
            return Some(self.range.until);
        };
        decode_time(&next.sort_key).filter(|reached| *reached > self.range.since)
    }
}

impl Store {
    /// A stretch of a tenant's ledger, from the beginning of the question's range on: at least its first millisecond, as far
    /// as bounded work goes.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn ledger(&self, question: &LedgerQuestion<'_>) -> Result<Stretch, StoreError> {
        if question.range.is_empty() {
            return Ok(Stretch {
                reached: question.range.until,
                events: Vec::new(),
                records: Vec::new(),
                unreadable: Vec::new(),
            });
        }
        let Part {
            items: mut events,
            mut unreadable,
            reached,
        } = self.ledger_events(question).await?;
        let reached = end_of_promises(&events, reached);
        let mut endpoints: BTreeSet<&EndpointId> = question.only.into_iter().collect();
        if question.only.is_none() {
            endpoints.extend(question.endpoints);
            endpoints.extend(events.iter().flat_map(|event| &event.matched));
        }
        let within = LedgerQuestion {
            range: Range {
                since: question.range.since,
                until: reached,
            },
            ..*question
        };
        let part = self.ledger_records(&within, &endpoints).await?;
        events.retain(|event| event.accepted_at < part.reached);
        unreadable.extend(part.unreadable);
        Ok(Stretch {
            reached: part.reached,
            events,
            records: part.items,
            unreadable,
        })
    }

    async fn ledger_events(&self, question: &LedgerQuestion<'_>) -> Result<Part<StoredEvent>, StoreError> {
        let (mut items, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = question.page(after.as_ref(), MAX_EVENTS);
            let streams = (0..question.shards).map(|shard| {
                let asked = self.asked(&page, &keys::events_partition(question.tenant, shard));
                let mut asked = asked.only("attribute_not_exists(own)", None);
                if let Some(endpoint) = question.only {
                    asked = asked.only("contains(m, :endpoint)", Some((":endpoint", endpoint.as_str())));
                }
                let query = asked.finish().consistent_read(true);
                let query = query.projection_expression(WITHOUT_CONTENT);
                Stream::new(query.expression_attribute_names("#at", "at"), "")
            });
            let walked = walk(streams.collect(), page.wanted(question.only.is_some())).await?;
            let (read, damaged) = readable(walked.items, |item| read_listed(question.tenant, item))?;
            items.extend(read);
            unreadable.extend(damaged);
            after = walked.next;
            if let Some(reached) = question.reached(after.as_ref()) {
                items.retain(|event: &StoredEvent| event.accepted_at < reached);
                return Ok(Part {
                    items,
                    unreadable,
                    reached,
                });
            }
        }
    }

    async fn ledger_records(
        &self,
        question: &LedgerQuestion<'_>,
        endpoints: &BTreeSet<&EndpointId>,
    ) -> Result<Part<DeliveryRecord>, StoreError> {
        let (mut items, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = question.page(after.as_ref(), MAX_DELIVERIES);
            let mut streams = Vec::with_capacity(endpoints.len() * usize::from(question.shards));
            for endpoint in endpoints {
                for shard in 0..question.shards {
                    let pk = keys::deliveries_partition(question.tenant, endpoint, shard);
                    let query = self.asked(&page, &pk).finish().consistent_read(true);
                    streams.push(Stream::new(query, endpoint.as_str()));
                }
            }
            let walked = walk(streams, page.wanted(false)).await?;
            let (read, damaged) = readable(walked.items, read_delivery)?;
            items.extend(read);
            unreadable.extend(damaged);
            after = walked.next;
            if let Some(reached) = question.reached(after.as_ref()) {
                // What is beyond is looked at again from there.
                let stands_before = |key: &Key| decode_time(&key.sk).is_none_or(|at| at < reached);
                items.retain(|record: &DeliveryRecord| stands_before(&record.key()));
                unreadable.retain(stands_before);
                return Ok(Part {
                    items,
                    unreadable,
                    reached,
                });
            }
        }
    }
}

/// Where the events have promised enough deliveries, between two milliseconds; `reached`, if they never do.
fn end_of_promises(events: &[StoredEvent], reached: Timestamp) -> Timestamp {
    let (mut promised, mut before) = (0, None);
    for event in events {
        if promised >= MAX_DELIVERIES && before.is_some_and(|before| before < event.accepted_at) {
            return event.accepted_at;
        }
        promised += event.matched.len();
        before = Some(event.accepted_at);
    }
    reached
}
