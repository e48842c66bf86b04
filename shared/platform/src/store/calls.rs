//! The events of a call: those that the sweeper has noted under the call's id, and those since its mark, which lie in the
//! one shard of the call. Reads only; the work of a page is bounded.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures_util::FutureExt as _;
use redial_domain::id::{decode_time, encode_time};
use redial_domain::{EventId, Timestamp};

use super::events::StoredEvent;
use super::lists::{After, EventFilter, Order, Page, Question, Range};
use super::sweep::CallEvent;
use super::{Store, StoreError, dynamo, s};
use crate::item::{Attributes, Item};
use crate::keys;

/// Noted events that a page looks at, whether its filter lets them through or not: each is read whole.
pub const MAX_NOTED_EXAMINED: usize = 500;
/// Noted events read at a time, by AWS's limit of a batch.
const EVENTS_AT_A_TIME: usize = 100;
/// Rows of a call read at a time: each is what happened in it between two passes of the sweeper.
const ROWS_AT_A_TIME: i32 = 50;
/// How long after a change of the tenant events may still be spread as before it, in milliseconds: the clocks of two
/// environments differ, and an event is stored a little after it was accepted.
const SPREAD_SLACK_MS: i64 = 60_000;

/// What a row of a call names.
pub(super) fn read_call(item: &Item) -> Result<Vec<CallEvent>, StoreError> {
    let read = |text: &str| {
        let (at, id) = text.split_once('/')?;
        Some(CallEvent {
            accepted_at: decode_time(at)?,
            event: EventId::parse(id).ok()?,
        })
    };
    let events = item.get_texts("ev").into_iter().map(read).collect::<Option<_>>();
    Ok(item.need("ev", events)?)
}

impl CallEvent {
    fn place(&self) -> After {
        After::event(keys::listed(&self.event, self.accepted_at))
    }
}

impl EventFilter {
    /// True if the event is of those that are asked for.
    #[must_use]
    pub fn takes(&self, event: &StoredEvent) -> bool {
        let agent = self.agent.as_ref();
        let endpoint = self.endpoint.as_ref();
        let pattern = self.event_type.as_ref();
        let call_id = self.call_id.as_deref();
        pattern.is_none_or(|pattern| pattern.matches(&event.event_type))
            && agent.is_none_or(|agent| event.agent.as_ref() == Some(agent))
            && endpoint.is_none_or(|endpoint| event.matched.contains(endpoint))
            && call_id.is_none_or(|call_id| event.call_id.as_deref() == Some(call_id))
    }
}

impl Store {
    /// A page of the events of call `call_id` that `filter` takes. `changed_at` is when the tenant's shards may have been
    /// changed last. Those that the sweeper has not noted come as [`Store::list_events`] gives them.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn list_call_events(
        &self,
        question: &Question<'_>,
        call_id: &str,
        filter: &EventFilter,
        changed_at: Timestamp,
    ) -> Result<Page<StoredEvent>, StoreError> {
        let mark = self.sweep_mark(question.tenant).await?;
        let mark = mark.map_or_else(Timestamp::default, |mark| mark.repaired);
        let Range { since, until } = question.range;
        let noted = Range {
            since,
            until: until.min(mark),
        };
        let recent = Range {
            since: since.max(mark),
            until,
        };
        let parts = match question.order {
            Order::NewestFirst => [(recent, true), (noted, false)],
            Order::OldestFirst => [(noted, false), (recent, true)],
        };
        let mut page = Page::empty();
        for (range, is_recent) in parts {
            if range.is_empty() || is_past(range, question) {
                continue;
            }
            if page.items.len() == question.limit {
                page.next = page.items.last().map(StoredEvent::place);
                break;
            }
            let part = Question {
                range,
                limit: question.limit - page.items.len(),
                ..*question
            };
            let found = if is_recent {
                let shards = shards_of(&part, call_id, changed_at);
                let filter = EventFilter {
                    call_id: Some(call_id.to_owned()),
                    ..filter.clone()
                };
                self.list_events(&part, shards, &filter, true).await?
            } else {
                self.noted_events(&part, call_id, filter).await?
            };
            page.items.extend(found.items);
            page.unreadable += found.unreadable;
            page.next = found.next;
            if page.next.is_some() {
                break;
            }
        }
        Ok(page)
    }

    /// A page of the events of a call, as their rows in the lists of events name them: those too that cannot be read, so
    /// long as their rows say the call. `changed_at` as in [`Store::list_call_events`].
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn named_call_events(
        &self,
        question: &Question<'_>,
        call_id: &str,
        changed_at: Timestamp,
    ) -> Result<Page<CallEvent>, StoreError> {
        if question.range.is_empty() {
            return Ok(Page::empty());
        }
        let filter = EventFilter {
            call_id: Some(call_id.to_owned()),
            ..EventFilter::default()
        };
        let shards = shards_of(question, call_id, changed_at);
        let rows = self.event_rows(question, shards, &filter, false).await?;
        let named: Vec<CallEvent> = rows.items.iter().filter_map(named).collect();
        Ok(Page {
            unreadable: rows.items.len() - named.len(),
            items: named,
            next: rows.next,
        })
    }

    async fn noted_events(
        &self,
        question: &Question<'_>,
        call_id: &str,
        filter: &EventFilter,
    ) -> Result<Page<StoredEvent>, StoreError> {
        let query = self.call_rows(question, call_id).await?;
        let (mut page, mut start, mut examined) = (Page::empty(), None::<Attributes>, 0);
        loop {
            let answer = query.clone().set_exclusive_start_key(start).send().boxed().await;
            let answer = answer.map_err(dynamo("Query"))?;
            let rows = answer.items.unwrap_or_default().into_iter().map(Item).collect();
            let (rows, unreadable) = super::walk::readable(rows, read_call)?;
            page.unreadable += unreadable.len();
            let mut named: Vec<CallEvent> = rows.into_iter().flatten().collect();
            let wanted = |event: &CallEvent| {
                let after = question.after;
                question.range.contains(event.accepted_at)
                    && after.is_none_or(|after| question.order.compare(&event.place(), after).is_gt())
            };
            named.retain(wanted);
            named.sort_by(|a, b| question.order.compare(&a.place(), &b.place()));
            named.dedup();
            for some in named.chunks(EVENTS_AT_A_TIME) {
                self.add_noted(question, filter, some, &mut page).await?;
                if page.items.len() > question.limit {
                    page.items.truncate(question.limit);
                    page.next = page.items.last().map(StoredEvent::place);
                    return Ok(page);
                }
                examined += some.len();
                if examined >= MAX_NOTED_EXAMINED {
                    page.next = some.last().map(CallEvent::place);
                    return Ok(page);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(page);
            }
        }
    }

    /// Reads some noted events into the page: those that are stored as they were noted.
    async fn add_noted(
        &self,
        question: &Question<'_>,
        filter: &EventFilter,
        some: &[CallEvent],
        page: &mut Page<StoredEvent>,
    ) -> Result<(), StoreError> {
        let ids: Vec<EventId> = some.iter().map(|noted| noted.event.clone()).collect();
        let (stored, unreadable) = self.readable_events(question.tenant, &ids).await?;
        page.unreadable += unreadable;
        for noted in some {
            let event = stored.get(&noted.event).filter(|event| {
                event.accepted_at == noted.accepted_at
                    && event.expires_at > question.now
                    && event.erased.is_none()
                    && filter.takes(event)
            });
            page.items.extend(event.cloned());
        }
        Ok(())
    }

    /// The query of the rows that may name events of the question.
    async fn call_rows(&self, question: &Question<'_>, call_id: &str) -> Result<QueryFluentBuilder, StoreError> {
        let pk = keys::call_partition(question.tenant, call_id);
        let (mut from, mut to) = (question.range.since, question.range.until.plus_millis(-1));
        if let Some(at) = question.after.and_then(|after| decode_time(&after.sort_key)) {
            match question.order {
                Order::NewestFirst => to = to.min(at),
                Order::OldestFirst => from = from.max(at),
            }
        }
        // A row is called after its first event, and the others may lie beyond `from`.
        let before = self
            .client
            .query()
            .table_name(&self.tables.events)
            .key_condition_expression("pk = :pk AND sk <= :from")
            .expression_attribute_values(":pk", s(&pk))
            .expression_attribute_values(":from", s(encode_time(from)))
            .scan_index_forward(false)
            .limit(1);
        let before = before.send().boxed().await.map_err(dynamo("Query"))?;
        let first = before.items.unwrap_or_default().pop().map(|item| Item(item).key().sk);
        let first = first.unwrap_or_else(|| encode_time(from));
        let query = self.partition(&self.tables.events, &pk, &first, &encode_time(to.max(from)));
        let forward = question.order == Order::OldestFirst;
        Ok(query.scan_index_forward(forward).limit(ROWS_AT_A_TIME))
    }
}

/// The shards that the events of a call lie in.
fn shards_of(question: &Question<'_>, call_id: &str, changed_at: Timestamp) -> std::ops::Range<u16> {
    // Shards that were raised meanwhile spread a call's events differently before.
    let unchanged = changed_at.plus_millis(SPREAD_SLACK_MS) < question.range.since;
    let own = keys::event_shard(Some(call_id), "", question.shards);
    if unchanged { own..own + 1 } else { 0..question.shards }
}

/// The event that a row of a list of events is about; its key says all of it if the rest cannot be read.
fn named(row: &Item) -> Option<CallEvent> {
    let sk = row.key().sk;
    Some(CallEvent {
        accepted_at: row.get_moment("at").or_else(|| decode_time(&sk))?,
        event: keys::event_of(&sk)?.0,
    })
}

/// True if the page begins after all of `range`.
fn is_past(range: Range, question: &Question<'_>) -> bool {
    let (from, to) = range.bounds();
    question.after.is_some_and(|after| match question.order {
        Order::NewestFirst => after.sort_key < from,
        Order::OldestFirst => after.sort_key > to,
    })
}
