//! A page of a list that lies in several partitions: one stream of items for each, read side by side and merged by place.
//! The work of a page is bounded, however little of it a filter lets through: a page may end early, with the place that it
//! got to. Knows no item but by its key.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures_util::FutureExt as _;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::lists::{After, Order, Page};
use super::{StoreError, dynamo};
use crate::item::{Attributes, Item};
use crate::keys::Key;

/// Items that a page looks at, whether its filter lets them through or not; each further round of reading may look at a
/// few more. At 1 KB an item, 625 read units.
pub const MAX_EXAMINED: usize = 5_000;
/// Queries of a page after the first of each stream: a query ends at 1 MB, which may be four items.
pub const MAX_FURTHER_QUERIES: usize = 64;
/// Streams that one page may be merged from.
pub const MAX_STREAMS: usize = 1_024;
/// Queries of one page under way at once.
const CONCURRENT_QUERIES: usize = 16;
/// Items that the first query of a stream looks at if a filter may drop most of them.
const SELECTIVE_STEP: usize = 50;
/// Items that any later query of a stream looks at.
const MAX_STEP: usize = 1_000;
/// Items that any query looks at: with one, a page that begins after an item could end at the same item.
const MIN_STEP: usize = 2;

/// One partition of a list, from where the page begins.
pub(super) struct Stream {
    query: QueryFluentBuilder,
    endpoint: String,
    start: Option<Attributes>,
    /// The last item looked at.
    reached: Option<After>,
    ended: bool,
    found: Vec<(After, Item)>,
    examined: usize,
}

impl Stream {
    /// The items that `query` finds, which are of `endpoint` (empty in a list of events).
    pub(super) fn new(query: QueryFluentBuilder, endpoint: &str) -> Self {
        Self {
            query,
            endpoint: endpoint.to_owned(),
            start: None,
            reached: None,
            ended: false,
            found: Vec::new(),
            examined: 0,
        }
    }

    fn place(&self, sort_key: String) -> After {
        After {
            sort_key,
            endpoint: self.endpoint.clone(),
        }
    }

    async fn read(mut self, step: usize) -> Result<Self, StoreError> {
        let query = self.query.clone().limit(i32::try_from(step).unwrap_or(i32::MAX));
        let page = query
            .set_exclusive_start_key(self.start.take())
            .send()
            .boxed()
            .await
            .map_err(dynamo("Query"))?;
        self.examined += usize::try_from(page.scanned_count).unwrap_or(step);
        for item in page.items.unwrap_or_default().into_iter().map(Item) {
            self.found.push((self.place(item.key().sk), item));
        }
        self.start = page.last_evaluated_key;
        match &self.start {
            None => self.ended = true,
            Some(last) => self.reached = Some(self.place(Item(last.clone()).key().sk)),
        }
        Ok(self)
    }

    /// True if it may yet give an item that stands before `place`.
    fn is_behind(&self, place: Option<&After>, order: Order) -> bool {
        let reached_it = |reached| place.is_some_and(|place| order.compare(reached, place).is_ge());
        !self.ended && !self.reached.as_ref().is_some_and(reached_it)
    }
}

/// A page, not read yet, and where the next begins.
pub(super) struct Walked {
    pub(super) items: Vec<Item>,
    pub(super) next: Option<After>,
}

/// Which page of the merged streams.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) order: Order,
    pub(super) after: Option<&'a After>,
    pub(super) limit: usize,
    /// True if a filter may drop most items.
    pub(super) selective: bool,
}

/// Reads `streams` until a page is complete, or the work that one page may be is done.
pub(super) async fn walk(mut streams: Vec<Stream>, wanted: Wanted<'_>) -> Result<Walked, StoreError> {
    let Wanted { order, limit, .. } = wanted;
    let mut step = first_step(streams.len(), wanted);
    let mut queries_left = streams.len() + MAX_FURTHER_QUERIES;
    loop {
        let end = end_of_page(&streams, wanted);
        let examined: usize = streams.iter().map(|stream| stream.examined).sum();
        let (mut behind, mut done): (Vec<Stream>, Vec<Stream>) = streams
            .into_iter()
            .partition(|stream| stream.is_behind(end.as_ref(), order));
        if behind.is_empty() || examined >= MAX_EXAMINED || queries_left == 0 {
            done.extend(behind);
            return Ok(page(done, wanted));
        }
        // Those furthest behind hold all the others back. One that was not read yet comes first.
        behind.sort_by(|a, b| match (&a.reached, &b.reached) {
            (Some(a), Some(b)) => order.compare(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        });
        done.extend(behind.split_off(behind.len().min(queries_left)));
        queries_left -= behind.len();
        let share = (MAX_EXAMINED - examined) / behind.len();
        let mut reads = Vec::with_capacity(behind.len());
        for stream in behind {
            reads.push(stream.read(step.min(share).max(MIN_STEP)));
        }
        let read: Vec<Stream> = futures_util::stream::iter(reads)
            .buffer_unordered(CONCURRENT_QUERIES)
            .try_collect()
            .await?;
        done.extend(read);
        streams = done;
        step = (step * 2).clamp(limit.min(MAX_STEP), MAX_STEP);
    }
}

/// Items that the first query of each stream looks at: together twice a page, as the shards are filled evenly.
fn first_step(streams: usize, wanted: Wanted<'_>) -> usize {
    let even = (wanted.limit + 2) * 2 / streams.max(1) + MIN_STEP;
    if wanted.selective {
        even.max(SELECTIVE_STEP)
    } else {
        even
    }
}

/// Where the page and one more item end, as far as items have been found.
fn end_of_page(streams: &[Stream], wanted: Wanted<'_>) -> Option<After> {
    let places = streams.iter().flat_map(|stream| &stream.found).map(|(place, _)| place);
    let mut places: Vec<&After> = places.filter(|place| wanted.is_wanted(place)).collect();
    places.sort_by(|a, b| wanted.order.compare(a, b));
    places.get(wanted.limit).map(|place| (*place).clone())
}

impl Wanted<'_> {
    fn is_wanted(&self, place: &After) -> bool {
        self.after.is_none_or(|after| self.order.compare(place, after).is_gt())
    }
}

/// Up to the first stream that was not read further, everything is known.
fn page(streams: Vec<Stream>, wanted: Wanted<'_>) -> Walked {
    let order = wanted.order;
    let unended = streams.iter().filter(|stream| !stream.ended);
    let horizon = unended
        .filter_map(|stream| stream.reached.clone())
        .min_by(|a, b| order.compare(a, b));
    let known = |place: &After| horizon.as_ref().is_none_or(|end| order.compare(place, end).is_le());
    let found = streams.into_iter().flat_map(|stream| stream.found);
    let mut items: Vec<(After, Item)> = found
        .filter(|(place, _)| wanted.is_wanted(place) && known(place))
        .collect();
    items.sort_by(|(a, _), (b, _)| order.compare(a, b));
    let next = if items.len() > wanted.limit {
        Some(items[wanted.limit - 1].0.clone())
    } else {
        horizon
    };
    items.truncate(wanted.limit);
    let items = items.into_iter().map(|(_, item)| item).collect();
    Walked { items, next }
}

/// Reads rows in their order, one more than `limit` if there are as many: a page, and whether there is a next one. Those that
/// cannot be read are passed by, wherever they stand.
pub(super) fn page_of<T>(
    mut rows: Vec<Item>,
    limit: usize,
    read: impl Fn(&Item) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| After::event(last.key().sk));
    let (items, unreadable) = readable(rows, read)?;
    Ok(Page {
        items,
        next,
        unreadable: unreadable.len(),
    })
}

/// Reads items, and names those that cannot be read: they are passed by, so that they do not hide the others.
pub(super) fn readable<T>(
    items: Vec<Item>,
    read: impl Fn(&Item) -> Result<T, StoreError>,
) -> Result<(Vec<T>, Vec<Key>), StoreError> {
    let (mut known, mut unreadable) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        let key = item.key();
        match Item::stored(item.0)
            .map_err(StoreError::from)
            .and_then(|item| read(&item))
        {
            Ok(value) => known.push(value),
            Err(error) if error.is_unreadable() => {
                tracing::error!(%error, pk = key.pk, sk = key.sk, "store.item_unreadable");
                unreadable.push(key);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((known, unreadable))
}
