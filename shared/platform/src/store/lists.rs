//! Lists by time: a tenant's events, an endpoint's deliveries. Each lies spread over shards whose sort keys compare, so a
//! page is the merge of one stream a shard (`walk`), and the cursor is the last sort key. The work of a page is bounded.

use std::cmp::Ordering;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use redial_domain::delivery::DeliveryState;
use redial_domain::filter::TypePattern;
use redial_domain::id::encode_time;
use redial_domain::{AgentId, EndpointId, TenantId, Timestamp};

use super::deliveries::{DeliveryRecord, read_delivery};
use super::events::{StoredEvent, read_listed};
pub use super::walk::{MAX_EXAMINED, MAX_FURTHER_QUERIES, MAX_STREAMS};
use super::walk::{Stream, Walked, Wanted, readable, walk};
use super::{Store, StoreError, n, s};
use crate::keys;

/// What a list of events needs of an item: all but the content and the digest of the request.
pub(super) const WITHOUT_CONTENT: &str = "pk, sk, #at, sh, m, ty, ag, c, own, er, ei, es, #ttl, fv";

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
    pub(super) fn bounds(self) -> (String, String) {
        (
            encode_time(self.since),
            format!("{}~~", encode_time(self.until.plus_millis(-1))),
        )
    }

    /// True if no moment lies in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.since >= self.until
    }

    /// True if `at` lies in it.
    #[must_use]
    pub fn contains(self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }
}

/// Where a page begins: after this sort key, and after this endpoint within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct After {
    /// The last item's sort key.
    #[serde(rename = "k")]
    pub sort_key: String,
    /// The last item's endpoint; empty in a list of events.
    #[serde(rename = "e", default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
}

impl After {
    /// In a list of events.
    #[must_use]
    pub fn event(sort_key: impl Into<String>) -> Self {
        Self {
            sort_key: sort_key.into(),
            endpoint: String::new(),
        }
    }
}

/// Which end of a list comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// `desc`.
    #[default]
    NewestFirst,
    /// `asc`.
    OldestFirst,
}

impl Order {
    /// Which of two places comes first.
    pub fn compare(self, a: &After, b: &After) -> Ordering {
        match self {
            Self::NewestFirst => b.cmp(a),
            Self::OldestFirst => a.cmp(b),
        }
    }
}

/// Which page of a tenant's list.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// The tenant's shards.
    pub shards: u16,
    /// When accepted; of a replay: when asked for.
    pub range: Range,
    /// Which end first.
    pub order: Order,
    /// Where the page before ended.
    pub after: Option<&'a After>,
    /// Most items.
    pub limit: usize,
    /// What expires before it is not shown.
    pub now: Timestamp,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only of such a type.
    pub event_type: Option<TypePattern>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// Only those that matched this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only of this call.
    pub call_id: Option<String>,
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Of these endpoints.
    pub endpoints: Vec<EndpointId>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only of such events.
    pub event_type: Option<TypePattern>,
    /// Only with this reason.
    pub reason: Option<String>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// Whether dead ones are those of the list of dead letters, or those that left it.
    pub letters: Letters,
}

/// Which deliveries are listed, as to what became of them once they were dead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Letters {
    /// Whatever else the filter says.
    #[default]
    All,
    /// Only what could be delivered again: nothing of an erased event.
    Deliverable,
    /// Only those that a replay has delivered again.
    Redriven,
}

impl DeliveryFilter {
    /// Partitions that the answer lies in.
    #[must_use]
    pub fn streams(&self, shards: u16) -> usize {
        self.endpoints.len() * if self.is_indexed() { 1 } else { usize::from(shards) }
    }

    const fn is_indexed(&self) -> bool {
        matches!(
            self.state,
            Some(DeliveryState::Retrying | DeliveryState::Held | DeliveryState::Dead)
        ) && !matches!(self.letters, Letters::Redriven)
    }
}

/// One page, and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items in the list's order. There may be none and a next page all the same: the work of a page is bounded.
    pub items: Vec<T>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<After>,
    /// Items that stand here and cannot be read: passed by.
    pub unreadable: usize,
}

/// A query, and what its items must be besides.
pub(super) struct Narrowed {
    query: QueryFluentBuilder,
    conditions: String,
}

impl Narrowed {
    pub(super) fn only(mut self, condition: &str, value: Option<(&str, &str)>) -> Self {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
        if let Some((name, text)) = value {
            self.query = self.query.expression_attribute_values(name, s(text));
        }
        self
    }

    fn of_type(self, pattern: Option<&TypePattern>) -> Self {
        match pattern {
            None => self,
            Some(TypePattern::Exact(name)) => self.only("ty = :type", Some((":type", name.as_str()))),
            Some(TypePattern::Below(name)) => self.only("begins_with(ty, :type)", Some((":type", &format!("{name}.")))),
        }
    }

    pub(super) fn finish(self) -> QueryFluentBuilder {
        self.query.filter_expression(self.conditions)
    }
}

impl Question<'_> {
    pub(super) fn wanted(&self, selective: bool) -> Wanted<'_> {
        Wanted {
            order: self.order,
            after: self.after,
            limit: self.limit,
            selective,
        }
    }
}

impl Store {
    /// What a partition has of the question that is not past its retention.
    pub(super) fn asked(&self, question: &Question<'_>, pk: &str) -> Narrowed {
        let (mut from, mut to) = question.range.bounds();
        if let Some(after) = question.after {
            let at = after.sort_key.clone();
            match question.order {
                Order::NewestFirst => to = to.min(at),
                Order::OldestFirst => from = from.max(at),
            }
        }
        let query = self.partition(&self.tables.events, pk, &from, &to);
        Narrowed {
            query: query
                .scan_index_forward(question.order == Order::OldestFirst)
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":now", n(question.now.as_secs())),
            conditions: "#ttl > :now".to_owned(),
        }
    }

    /// A page of a tenant's events that are not erased, in these of its shards; those with the platform's own ids come from their time rows.
    /// With `contents`, the others have theirs.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn list_events(
        &self,
        question: &Question<'_>,
        shards: impl IntoIterator<Item = u16>,
        filter: &EventFilter,
        contents: bool,
    ) -> Result<Page<StoredEvent>, StoreError> {
        if question.range.is_empty() {
            return Ok(Page::empty());
        }
        let walked = self.event_rows(question, shards, filter, contents).await?;
        let (items, unreadable) = readable(walked.items, |item| read_listed(question.tenant, item))?;
        Ok(Page {
            items,
            next: walked.next,
            unreadable: unreadable.len(),
        })
    }

    /// The rows of such a page, whether they can be read or not.
    pub(super) async fn event_rows(
        &self,
        question: &Question<'_>,
        shards: impl IntoIterator<Item = u16>,
        filter: &EventFilter,
        contents: bool,
    ) -> Result<Walked, StoreError> {
        let EventFilter {
            event_type,
            agent,
            endpoint,
            call_id,
        } = filter;
        let streams = shards.into_iter().map(|shard| {
            let pk = keys::events_partition(question.tenant, shard);
            let mut asked = self
                .asked(question, &pk)
                .only("attribute_not_exists(own) AND attribute_not_exists(er)", None);
            if let Some(agent) = agent {
                asked = asked.only("ag = :agent", Some((":agent", agent.as_str())));
            }
            if let Some(endpoint) = endpoint {
                asked = asked.only("contains(m, :endpoint)", Some((":endpoint", endpoint.as_str())));
            }
            if let Some(call_id) = call_id {
                asked = asked.only("c = :call", Some((":call", call_id)));
            }
            let mut query = asked.of_type(event_type.as_ref()).finish();
            if !contents {
                query = query
                    .projection_expression(WITHOUT_CONTENT)
                    .expression_attribute_names("#at", "at");
            }
            Stream::new(query, "")
        });
        let selective = event_type.is_some() || agent.is_some() || endpoint.is_some() || call_id.is_some();
        walk(streams.collect(), question.wanted(selective)).await
    }

    /// A page of the recorded deliveries of some endpoints.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn list_deliveries(
        &self,
        question: &Question<'_>,
        filter: &DeliveryFilter,
    ) -> Result<Page<DeliveryRecord>, StoreError> {
        if question.range.is_empty() {
            return Ok(Page::empty());
        }
        let mut streams = Vec::with_capacity(filter.streams(question.shards));
        for endpoint in &filter.endpoints {
            let queries: Vec<Narrowed> = match filter.state.filter(|_| filter.is_indexed()) {
                Some(state) => {
                    let mut asked = self.asked(question, &keys::state_partition(question.tenant, endpoint, state));
                    let indexed = asked.query.index_name(keys::BY_STATE);
                    asked.query = indexed.key_condition_expression("w = :pk AND sk BETWEEN :from AND :to");
                    vec![asked]
                }
                None => (0..question.shards)
                    .map(|shard| self.asked(question, &keys::deliveries_partition(question.tenant, endpoint, shard)))
                    .map(|asked| match filter.state {
                        Some(state) => asked.only("st = :state", Some((":state", state.as_str()))),
                        None => asked,
                    })
                    .collect(),
            };
            for mut asked in queries {
                if let Some(reason) = &filter.reason {
                    asked = asked.only("rs = :reason", Some((":reason", reason)));
                }
                if let Some(agent) = &filter.agent {
                    asked = asked.only("ag = :agent", Some((":agent", agent.as_str())));
                }
                asked = match filter.letters {
                    Letters::All => asked,
                    Letters::Deliverable => asked.only("attribute_not_exists(er)", None),
                    Letters::Redriven => asked.only("attribute_exists(rd)", None),
                };
                let query = asked.of_type(filter.event_type.as_ref()).finish();
                streams.push(Stream::new(query, endpoint.as_str()));
            }
        }
        let dropped = filter.state.is_some() && !filter.is_indexed();
        let selective = dropped || filter.reason.is_some() || filter.event_type.is_some() || filter.agent.is_some();
        let walked = walk(streams, question.wanted(selective)).await?;
        let (items, unreadable) = readable(walked.items, read_delivery)?;
        Ok(Page {
            items,
            next: walked.next,
            unreadable: unreadable.len(),
        })
    }
}

impl<T> Page<T> {
    /// The only page of an empty list.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            items: Vec::new(),
            next: None,
            unreadable: 0,
        }
    }
}
