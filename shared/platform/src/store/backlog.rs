//! What waits in a state, counted: retrying, held and dead deliveries by endpoint, from their index. Every count is bounded,
//! and says so when it stopped. Changes nothing.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use futures_util::FutureExt as _;
use futures_util::{StreamExt as _, TryStreamExt as _};
use redial_domain::delivery::DeliveryState;
use redial_domain::filter::TypePattern;
use redial_domain::{AgentId, EndpointId, EventTypeName, TenantId, Timestamp};

use super::deliveries::{DeliveryRecord, read_delivery};
use super::lists::{DeliveryFilter, Order, Question, Range};
use super::walk::readable;
use super::{Store, StoreError, dynamo, n};
use crate::item::{Attributes, Item};
use crate::keys;

/// Deliveries of one endpoint and state that are counted exactly; of more it is only said that there are so many at least.
pub const MAX_COUNTED: u64 = 1_000;
/// Deliveries that one question looks at to tell them apart by reason, type, agent or age. At 1 KB an item, 1,250 read units.
pub const MAX_TOLD_APART: usize = 10_000;
/// Items of one query of a count: fewer than what 1 MB, where a query ends, has of the usual ones.
const STEP: usize = 1_000;
/// Items that the first query of each endpoint looks at, so that one with many leaves something for the others.
const FIRST_STEP: usize = 100;
/// Queries of one question under way at once.
const CONCURRENT_QUERIES: usize = 16;

/// A count that may have stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many were found.
    pub count: u64,
    /// True if there may be more.
    pub at_least: bool,
}

/// What a question is narrowed to. Empty and `None`: nothing in particular.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrow {
    /// Of such types.
    pub event_types: Vec<TypePattern>,
    /// Of one of these agents.
    pub agents: Vec<AgentId>,
    /// With this reason.
    pub reason: Option<String>,
}

impl Narrow {
    fn takes(&self, waiting: &Waiting) -> bool {
        let of_type = |pattern: &TypePattern| pattern.matches(&waiting.event_type);
        let agent = waiting.agent.as_ref();
        (self.event_types.is_empty() || self.event_types.iter().any(of_type))
            && (self.agents.is_empty() || agent.is_some_and(|agent| self.agents.contains(agent)))
            && (self.reason.is_none() || self.reason == waiting.reason)
    }
}

/// What a delivery is told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Whose it is.
    pub endpoint: EndpointId,
    /// The type of its event.
    pub event_type: EventTypeName,
    /// The agent of its event; records of earlier releases do not say.
    pub agent: Option<AgentId>,
    /// Why it waits, or is dead.
    pub reason: Option<String>,
    /// When its event was accepted.
    pub accepted_at: Timestamp,
}

/// What was found, and whether there may be more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that were found.
    pub waiting: Vec<Waiting>,
    /// True if the question stopped before it had looked at all.
    pub at_least: bool,
}

/// One endpoint's part of a question.
struct Part {
    query: QueryFluentBuilder,
    start: Option<Attributes>,
    ended: bool,
    found: Vec<Item>,
    examined: usize,
}

impl Part {
    async fn read(mut self, step: usize) -> Result<Self, StoreError> {
        let query = self.query.clone().limit(i32::try_from(step).unwrap_or(i32::MAX));
        let page = query.set_exclusive_start_key(self.start.take()).send().boxed().await;
        let page = page.map_err(dynamo("Query"))?;
        self.examined += usize::try_from(page.scanned_count).unwrap_or(step);
        self.found.extend(page.items.unwrap_or_default().into_iter().map(Item));
        self.start = page.last_evaluated_key;
        self.ended = self.start.is_none();
        Ok(self)
    }
}

impl Store {
    /// How many deliveries of an endpoint are retrying, held or dead: exact up to [`MAX_COUNTED`].
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn count_in_state(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        state: DeliveryState,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        let all = Range {
            since: Timestamp::default(),
            until: now.plus_millis(keys::HOUR_MS),
        };
        let query = self.in_state(tenant, endpoint, state, all, now).select(Select::Count);
        let (mut count, mut start) = (0, None);
        loop {
            // One more than is counted tells whether there are more.
            let step = i32::try_from(MAX_COUNTED + 1 - count).unwrap_or(i32::MAX);
            let page = query
                .clone()
                .limit(step)
                .set_exclusive_start_key(start)
                .send()
                .boxed()
                .await;
            let page = page.map_err(dynamo("Query"))?;
            count += u64::from(page.count.unsigned_abs());
            start = page.last_evaluated_key;
            if count > MAX_COUNTED || start.is_none() {
                return Ok(Counted {
                    count: count.min(MAX_COUNTED),
                    at_least: count > MAX_COUNTED,
                });
            }
        }
    }

    /// The deliveries of some endpoints that are retrying, held or dead, newest first of each: looks at up to
    /// [`MAX_TOLD_APART`], and at a few of each endpoint before it looks at many of one.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn waiting(
        &self,
        tenant: &TenantId,
        endpoints: &[EndpointId],
        state: DeliveryState,
        range: Range,
        narrow: &Narrow,
        now: Timestamp,
    ) -> Result<Found, StoreError> {
        if range.is_empty() {
            return Ok(Found::default());
        }
        let part = |endpoint| Part {
            query: self
                .in_state(tenant, endpoint, state, range, now)
                .scan_index_forward(false),
            start: None,
            ended: false,
            found: Vec::new(),
            examined: 0,
        };
        let (mut parts, mut done): (Vec<Part>, Vec<Part>) = (endpoints.iter().map(part).collect(), Vec::new());
        let (mut examined, mut step) = (0, FIRST_STEP);
        while !parts.is_empty() && examined < MAX_TOLD_APART {
            let share = (MAX_TOLD_APART - examined).div_ceil(parts.len());
            let reads: Vec<_> = parts.into_iter().map(|part| part.read(step.min(share))).collect();
            let read: Vec<Part> = futures_util::stream::iter(reads)
                .buffer_unordered(CONCURRENT_QUERIES)
                .try_collect()
                .await?;
            let (ended, rest): (Vec<Part>, Vec<Part>) = read.into_iter().partition(|part| part.ended);
            done.extend(ended);
            parts = rest;
            examined = done.iter().chain(&parts).map(|part| part.examined).sum();
            step = STEP;
        }
        let at_least = !parts.is_empty();
        let items = done.into_iter().chain(parts).flat_map(|part| part.found).collect();
        let (records, _) = readable(items, read_delivery)?;
        let mut waiting: Vec<Waiting> = records
            .into_iter()
            .map(|record| Waiting {
                endpoint: record.id.endpoint,
                event_type: record.event_type,
                agent: record.agent,
                reason: record.reason,
                accepted_at: record.accepted_at,
            })
            .collect();
        waiting.retain(|waiting| narrow.takes(waiting));
        Ok(Found { waiting, at_least })
    }

    /// The latest deliveries that are held for an endpoint, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn latest_held(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        let question = Question {
            tenant,
            shards: 1,
            range: Range {
                since: Timestamp::default(),
                // The clocks of two environments differ.
                until: now.plus_millis(keys::HOUR_MS),
            },
            order: Order::NewestFirst,
            after: None,
            limit,
            now,
        };
        let filter = DeliveryFilter {
            endpoints: vec![endpoint.clone()],
            state: Some(DeliveryState::Held),
            ..DeliveryFilter::default()
        };
        Ok(self.list_deliveries(&question, &filter).await?.items)
    }

    /// The oldest delivery of an endpoint in a state: when its event was accepted.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn oldest_in_state(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        state: DeliveryState,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let all = Range {
            since: Timestamp::default(),
            until: now.plus_millis(keys::HOUR_MS),
        };
        // Of many that are past their retention and not deleted yet, the first query may show none.
        let step = i32::try_from(FIRST_STEP).unwrap_or(i32::MAX);
        let query = self.in_state(tenant, endpoint, state, all, now).limit(step);
        let (records, _) = readable(self.query_unchecked(query, 1).await?, read_delivery)?;
        Ok(records.first().map(|record| record.accepted_at))
    }

    /// What an endpoint has in a state of what was accepted within `range`, is not past its retention and not erased.
    fn in_state(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        state: DeliveryState,
        range: Range,
        now: Timestamp,
    ) -> QueryFluentBuilder {
        let (from, to) = range.bounds();
        let pk = keys::state_partition(tenant, endpoint, state);
        self.partition(&self.tables.events, &pk, &from, &to)
            .index_name(keys::BY_STATE)
            .key_condition_expression("w = :pk AND sk BETWEEN :from AND :to")
            .filter_expression("#ttl > :now AND attribute_not_exists(er)")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", n(now.as_secs()))
    }
}
