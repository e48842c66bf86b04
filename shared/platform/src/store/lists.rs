//! Lists by time, newest first: a tenant's events, an endpoint's deliveries. Each list is spread over shards; their sort
//! keys compare across shards, so a page is the merge of one query a shard, and the cursor is the last sort key.

use std::cmp::Reverse;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures_util::{StreamExt as _, TryStreamExt as _};
use redial_domain::delivery::DeliveryState;
use redial_domain::id::encode_time;
use redial_domain::{AgentId, EndpointId, EventTypeName, TenantId, Timestamp};

use super::deliveries::{DeliveryRecord, read_delivery};
use super::events::{StoredEvent, read_listed};
use super::{Store, StoreError, n, s};
use crate::item::Item;
use crate::keys;

/// Queries of one list under way at once.
const CONCURRENT_QUERIES: usize = 16;

/// A stretch of time: from `since` up to, not reaching, `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First moment.
    pub since: Timestamp,
    /// First moment after it.
    pub until: Timestamp,
}

impl Range {
    /// Sort keys from `.0` to `.1`, both inclusive: `~~` sorts after everything that follows a time.
    fn bounds(self) -> (String, String) {
        (
            encode_time(self.since),
            format!("{}~~", encode_time(self.until.plus_millis(-1))),
        )
    }
}

/// Where a page begins: after this sort key, and after this endpoint within it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct After {
    /// The last item's sort key.
    #[serde(rename = "k")]
    pub sort_key: String,
    /// The last item's endpoint; empty in a list of events.
    #[serde(rename = "e", default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only of this type.
    pub event_type: Option<EventTypeName>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
}

/// One page, and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<After>,
}

impl Store {
    fn newest_first(&self, query: QueryFluentBuilder, limit: usize, now: Timestamp) -> QueryFluentBuilder {
        query
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", n(now.as_secs()))
    }

    /// A page of a tenant's events, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the question, none belongs to another"
    )]
    pub async fn list_events(
        &self,
        tenant: &TenantId,
        shards: u16,
        range: Range,
        filter: &EventFilter,
        after: Option<&After>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<StoredEvent>, StoreError> {
        let (from, to) = range.bounds();
        let queries = (0..shards).map(|shard| {
            let pk = keys::events_partition(tenant, shard);
            let query = self.partition(
                &self.tables.events,
                &pk,
                &from,
                after.map_or(&to, |after| &after.sort_key),
            );
            let mut conditions = "#ttl > :now AND attribute_not_exists(own)".to_owned();
            let mut query = self.newest_first(query, limit + 2, now);
            if let Some(event_type) = &filter.event_type {
                conditions.push_str(" AND ty = :type");
                query = query.expression_attribute_values(":type", s(event_type.as_str()));
            }
            if let Some(agent) = &filter.agent {
                conditions.push_str(" AND ag = :agent");
                query = query.expression_attribute_values(":agent", s(agent.as_str()));
            }
            query.filter_expression(conditions)
        });
        let items = self.merged(queries, limit + 2).await?;
        let beyond = |item: &Item| after.is_none_or(|after| item.key().sk < after.sort_key);
        let mut items: Vec<Item> = items.into_iter().filter(beyond).collect();
        items.sort_by_cached_key(|item| Reverse(item.key().sk));
        let next = (items.len() > limit).then(|| After {
            sort_key: items[limit - 1].key().sk,
            endpoint: String::new(),
        });
        items.truncate(limit);
        let read = |item: &Item| read_listed(tenant, item);
        Ok(Page {
            items: items.iter().map(read).collect::<Result<_, _>>()?,
            next,
        })
    }

    /// A page of the recorded deliveries of some endpoints, newest first; with `state`, only those.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the question, none belongs to another"
    )]
    pub async fn list_deliveries(
        &self,
        tenant: &TenantId,
        endpoints: &[EndpointId],
        shards: u16,
        state: Option<DeliveryState>,
        range: Range,
        after: Option<&After>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<DeliveryRecord>, StoreError> {
        let (from, to) = range.bounds();
        let to = after.map_or(&to, |after| &after.sort_key);
        // Those of one sort key, one for each endpoint, may span two pages.
        let depth = limit + 2;
        let queries = endpoints.iter().flat_map(|endpoint| match state {
            Some(state @ (DeliveryState::Retrying | DeliveryState::Held | DeliveryState::Dead)) => {
                vec![self.state_query(tenant, endpoint, state, &from, to, depth, now)]
            }
            _ => (0..shards)
                .map(|shard| self.shard_query(tenant, endpoint, shard, state, &from, to, depth, now))
                .collect(),
        });
        let queries: Vec<_> = queries.collect();
        let items = self.merged(queries, depth).await?;
        let mut records = items.iter().map(read_delivery).collect::<Result<Vec<_>, _>>()?;
        let place = |record: &DeliveryRecord| (record.key().sk, record.id.endpoint.as_str().to_owned());
        if let Some(After { sort_key, endpoint }) = after {
            records.retain(|record| place(record) < (sort_key.clone(), endpoint.clone()));
        }
        records.sort_by_cached_key(|record| Reverse(place(record)));
        let next = (records.len() > limit).then(|| {
            let (sort_key, endpoint) = place(&records[limit - 1]);
            After { sort_key, endpoint }
        });
        records.truncate(limit);
        Ok(Page { items: records, next })
    }

    #[expect(clippy::too_many_arguments, reason = "a private step of list_deliveries")]
    fn state_query(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        state: DeliveryState,
        from: &str,
        to: &str,
        depth: usize,
        now: Timestamp,
    ) -> QueryFluentBuilder {
        let pk = keys::state_partition(tenant, endpoint, state);
        let query = self
            .partition(&self.tables.events, &pk, from, to)
            .index_name(keys::BY_STATE);
        let query = query.key_condition_expression("w = :pk AND sk BETWEEN :from AND :to");
        self.newest_first(query, depth, now).filter_expression("#ttl > :now")
    }

    #[expect(clippy::too_many_arguments, reason = "a private step of list_deliveries")]
    fn shard_query(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        shard: u16,
        state: Option<DeliveryState>,
        from: &str,
        to: &str,
        depth: usize,
        now: Timestamp,
    ) -> QueryFluentBuilder {
        let pk = keys::deliveries_partition(tenant, endpoint, shard);
        let query = self.newest_first(self.partition(&self.tables.events, &pk, from, to), depth, now);
        match state {
            None => query.filter_expression("#ttl > :now"),
            Some(state) => query
                .filter_expression("#ttl > :now AND st = :state")
                .expression_attribute_values(":state", s(state.as_str())),
        }
    }

    async fn merged(
        &self,
        queries: impl IntoIterator<Item = QueryFluentBuilder>,
        depth: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let answers = futures_util::stream::iter(queries.into_iter().map(|query| self.query_all(query, depth)));
        let lists: Vec<Vec<Item>> = answers.buffer_unordered(CONCURRENT_QUERIES).try_collect().await?;
        Ok(lists.into_iter().flatten().collect())
    }
}
