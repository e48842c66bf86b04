//! What replay jobs go through, page by page: recorded deliveries of an endpoint, or events that did not match it. Never holds
//! more than a page, however many there are. A page is all that every partition has up to where the first of them was not read
//! any further, so one place is enough to go on from, and little is read twice.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use futures_util::FutureExt as _;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, TenantId, Timestamp};

use super::deliveries::{DeliveryRecord, read_delivery};
use super::events::{StoredEvent, read_listed};
use super::lists::{Range, WITHOUT_CONTENT};
use super::walk::readable;
use super::{Store, StoreError, dynamo, n, s};
use crate::item::Item;
use crate::keys;

/// Queries of one page under way at once.
const CONCURRENT_QUERIES: usize = 16;
/// Rows that are read of each partition besides its share of a page: the one that the page before ended with is read again.
const BESIDES: usize = 2;

/// Which rows.
#[derive(Debug, Clone, Copy)]
pub enum Shelf {
    /// Recorded deliveries in a state; `None`: in any final one.
    Deliveries(Option<DeliveryState>),
    /// Events that did not match the endpoint.
    Unmatched,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// The tenant's shards.
    pub shards: u16,
    /// For which endpoint.
    pub endpoint: &'a EndpointId,
    /// Which rows.
    pub shelf: Shelf,
    /// When accepted; of a replay: when asked for.
    pub range: Range,
    /// True if deliveries that a replay made are looked for too; those that are held or dead always are.
    pub with_replays: bool,
    /// What expires before it is gone.
    pub now: Timestamp,
}

/// A page, and where the next begins.
#[derive(Debug, Clone)]
pub struct Rows<T> {
    /// Oldest first.
    pub items: Vec<T>,
    /// The sort key after which the next page begins; `None`: this was the last.
    pub next: Option<String>,
    /// Rows that cannot be read: passed by, and told.
    pub unreadable: usize,
}

/// What a look counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Rows that are looked for.
    pub found: u64,
    /// Rows looked at.
    pub examined: u64,
    /// The sort key to go on after; `None`: this was all.
    pub next: Option<String>,
}

impl Search<'_> {
    /// Partitions that the rows lie in.
    #[must_use]
    pub const fn streams(&self) -> u16 {
        match self.shelf {
            Shelf::Deliveries(Some(DeliveryState::Held | DeliveryState::Dead)) => 1,
            Shelf::Deliveries(_) | Shelf::Unmatched => self.shards,
        }
    }

    /// True if rows of replays are left out.
    const fn leaves_out_replays(&self) -> bool {
        let held_or_dead = matches!(
            self.shelf,
            Shelf::Deliveries(Some(DeliveryState::Held | DeliveryState::Dead)) | Shelf::Unmatched
        );
        !self.with_replays && !held_or_dead
    }
}

impl Store {
    /// A page of about `size` recorded deliveries.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn replayable(
        &self,
        search: &Search<'_>,
        after: Option<&str>,
        size: usize,
    ) -> Result<Rows<DeliveryRecord>, StoreError> {
        let page = self.rows_after(search, after, size).await?;
        let (items, unreadable) = readable(page.items, read_delivery)?;
        Ok(Rows {
            items,
            next: page.next,
            unreadable: unreadable.len(),
        })
    }

    /// A page of about `size` events, without their contents.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn unmatched_events(
        &self,
        search: &Search<'_>,
        after: Option<&str>,
        size: usize,
    ) -> Result<Rows<StoredEvent>, StoreError> {
        let page = self.rows_after(search, after, size).await?;
        let (items, unreadable) = readable(page.items, |item| read_listed(search.tenant, item))?;
        Ok(Rows {
            items,
            next: page.next,
            unreadable: unreadable.len(),
        })
    }

    /// Counts in one partition, from after a sort key on, as far as one query goes (1 MB of rows).
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn count_replayable(
        &self,
        search: &Search<'_>,
        stream: u16,
        after: Option<&str>,
    ) -> Result<Counted, StoreError> {
        if search.range.is_empty() {
            return Ok(Counted {
                found: 0,
                examined: 0,
                next: None,
            });
        }
        let query = self.stream_query(search, stream, None);
        // No condition of a query may name a part of the key, so these are counted here, by their keys alone.
        let by_key = search.leaves_out_replays();
        let mut query = if by_key {
            query.projection_expression("pk, sk")
        } else {
            query.select(Select::Count)
        };
        if let Some(after) = after {
            // A place in the partition, not the row itself: the row that the query before ended with is counted.
            query = query.expression_attribute_values(":from", s(format!("{after}\u{1}")));
        }
        let page = query.send().boxed().await.map_err(dynamo("Query"))?;
        Ok(Counted {
            found: if by_key {
                let items = page.items.unwrap_or_default().into_iter().map(Item);
                items.filter(|item| !keys::is_of_replay(&item.key().sk)).count() as u64
            } else {
                page.count.unsigned_abs().into()
            },
            examined: page.scanned_count.unsigned_abs().into(),
            next: page.last_evaluated_key.map(|last| Item(last).key().sk),
        })
    }

    async fn rows_after(
        &self,
        search: &Search<'_>,
        after: Option<&str>,
        size: usize,
    ) -> Result<Rows<Item>, StoreError> {
        let streams = if search.range.is_empty() { 0 } else { search.streams() };
        let limit = i32::try_from(size / usize::from(streams.max(1)) + BESIDES).unwrap_or(i32::MAX);
        let pages: Vec<(Vec<Item>, Option<String>)> = futures_util::stream::iter(0..streams)
            .map(|stream| async move {
                let mut query = self.stream_query(search, stream, after).limit(limit);
                if matches!(search.shelf, Shelf::Unmatched) {
                    query = query
                        .projection_expression(WITHOUT_CONTENT)
                        .expression_attribute_names("#at", "at");
                }
                let page = query.send().boxed().await.map_err(dynamo("Query"))?;
                let items = page.items.unwrap_or_default().into_iter().map(Item).collect();
                Ok::<_, StoreError>((items, page.last_evaluated_key.map(|last| Item(last).key().sk)))
            })
            .buffer_unordered(CONCURRENT_QUERIES)
            .try_collect()
            .await?;
        // Up to the first partition that was not read further, everything is known.
        let next = pages.iter().filter_map(|(_, reached)| reached.clone()).min();
        let mut items: Vec<(String, Item)> = pages
            .into_iter()
            .flat_map(|(items, _)| items)
            .map(|item| (item.key().sk, item))
            .filter(|(sk, _)| {
                after.is_none_or(|after| sk.as_str() > after) && next.as_ref().is_none_or(|end| sk <= end)
            })
            .collect();
        if search.leaves_out_replays() {
            items.retain(|(sk, _)| !keys::is_of_replay(sk));
        }
        items.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Rows {
            items: items.into_iter().map(|(_, item)| item).collect(),
            next,
            unreadable: 0,
        })
    }

    /// What one partition has, from the place `from` on, that included.
    fn stream_query(&self, search: &Search<'_>, stream: u16, from: Option<&str>) -> QueryFluentBuilder {
        let (first, to) = search.range.bounds();
        let from = from.map_or(first, str::to_owned);
        let Search { tenant, endpoint, .. } = search;
        let (query, conditions) = match search.shelf {
            Shelf::Unmatched => {
                let pk = keys::events_partition(tenant, stream);
                let query = self.partition(&self.tables.events, &pk, &from, &to);
                let query = query.expression_attribute_values(":endpoint", s(endpoint.as_str()));
                let conditions = "attribute_not_exists(own) AND NOT contains(m, :endpoint)";
                (query, conditions.to_owned())
            }
            Shelf::Deliveries(Some(state @ (DeliveryState::Held | DeliveryState::Dead))) => {
                let pk = keys::state_partition(tenant, endpoint, state);
                let query = self.partition(&self.tables.events, &pk, &from, &to);
                let query = query.index_name(keys::BY_STATE);
                let query = query.key_condition_expression("w = :pk AND sk BETWEEN :from AND :to");
                (query, String::new())
            }
            Shelf::Deliveries(state) => {
                let pk = keys::deliveries_partition(tenant, endpoint, stream);
                let query = self.partition(&self.tables.events, &pk, &from, &to);
                of_states(query, state)
            }
        };
        let conditions = if conditions.is_empty() {
            conditions
        } else {
            format!(" AND {conditions}")
        };
        query
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", n(search.now.as_secs()))
            .filter_expression(format!("#ttl > :now AND attribute_not_exists(er){conditions}"))
    }
}

/// Only deliveries in that state, or in any final one.
fn of_states(query: QueryFluentBuilder, state: Option<DeliveryState>) -> (QueryFluentBuilder, String) {
    let states = state.map_or(
        vec![DeliveryState::Succeeded, DeliveryState::Dead, DeliveryState::Canceled],
        |state| vec![state],
    );
    let names: Vec<String> = (0..states.len()).map(|i| format!(":s{i}")).collect();
    // A dead one that is in no list and was not delivered again is one that its endpoint does not keep.
    let kept = "(st <> :dead OR attribute_exists(w) OR attribute_exists(rd))";
    let query = query.expression_attribute_values(":dead", s(DeliveryState::Dead.as_str()));
    let query = names.iter().zip(&states).fold(query, |query, (name, state)| {
        query.expression_attribute_values(name, s(state.as_str()))
    });
    (query, format!("st IN ({}) AND {kept}", names.join(", ")))
}
