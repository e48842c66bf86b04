//! One page of a list: what was asked for, and the answer's shape. The same for every list of the API.

use redial_domain::{TenantId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::store::lists::{Order, Page, Question, Range};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::cursor::{Place, question};
use crate::query::{Query, refuse};

/// How far the default end of a list lies in the future, in milliseconds: the clocks of two environments differ.
pub(crate) const CLOCK_SKEW_MS: i64 = 60_000;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listing<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Where the next page begins: send it as `cursor` with the same parameters. `null`: this was the last page. A page
    /// may have fewer items than `limit`, or none, and still a next one: what one request looks through is bounded.
    #[schema(required)]
    pub(crate) next: Option<String>,
    /// How many items stand in this page that cannot be read: they are left out. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub(crate) unreadable: Option<usize>,
}

impl<T> Listing<T> {
    /// The page, of which so many more items cannot be read.
    pub(crate) fn without(self, unreadable: usize) -> Self {
        let all = self.unreadable.unwrap_or_default() + unreadable;
        Self {
            unreadable: Some(all).filter(|all| *all > 0),
            ..self
        }
    }
}

/// Which page of which list is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Most items.
    pub(crate) limit: usize,
    /// Where it begins; `None`: at the beginning.
    pub(crate) place: Option<Place>,
    question: String,
}

impl Wanted {
    /// The sort key that the page begins after.
    pub(crate) fn after_key(&self) -> Option<&str> {
        self.place.as_ref().map(|place| place.after.sort_key.as_str())
    }

    /// What to ask the store for this page of a tenant's list.
    pub(crate) fn question<'a>(
        &'a self,
        scope: &'a InTenant,
        range: Range,
        order: Order,
        now: Timestamp,
    ) -> Question<'a> {
        Question {
            tenant: scope.id(),
            shards: scope.tenant().shards,
            range,
            order,
            after: self.place.as_ref().map(|place| &place.after),
            limit: self.limit,
            now,
        }
    }
}

impl Api {
    /// The page that `query` asks for in the list called `list`.
    ///
    /// # Errors
    /// 400 `parameter_invalid` or `cursor_invalid`; 500 if the key of cursors cannot be had.
    pub(crate) async fn wanted(&self, list: &str, tenant: Option<&TenantId>, query: &Query) -> Result<Wanted, Problem> {
        let limit = query.limit()?;
        let question = question(list, tenant, query);
        let place = match query.text("cursor") {
            None => None,
            Some(cursor) => Some(self.cursors.read(&question, cursor).await?),
        };
        Ok(Wanted { limit, place, question })
    }

    /// The answer: a page and the cursor of the next.
    ///
    /// # Errors
    /// 500 if there is a next page and the key of cursors cannot be had.
    pub(crate) async fn listing<T>(
        &self,
        wanted: &Wanted,
        items: Vec<T>,
        next: Option<Place>,
    ) -> Result<Listing<T>, Problem> {
        let next = match next {
            None => None,
            Some(place) => Some(self.cursors.write(&wanted.question, &place).await?),
        };
        Ok(Listing {
            items,
            next,
            unreadable: None,
        })
    }

    /// The answer to a list that is read by key: `found` has up to one item more than the page, to tell whether there is
    /// a next one.
    ///
    /// # Errors
    /// As [`Api::listing`].
    pub(crate) fn keyed<T, V>(
        &self,
        wanted: &Wanted,
        mut found: Vec<T>,
        key: impl Fn(&T) -> String,
        view: impl Fn(T) -> V,
    ) -> impl Future<Output = Result<Listing<V>, Problem>> {
        let more = found.len() > wanted.limit;
        found.truncate(wanted.limit);
        let next = found.last().filter(|_| more).map(|last| Place::after_key(key(last)));
        self.listing(wanted, found.into_iter().map(view).collect(), next)
    }

    /// The answer to a list that the store reads by key.
    ///
    /// # Errors
    /// As [`Api::listing`].
    pub(crate) async fn paged<T, V>(
        &self,
        wanted: &Wanted,
        page: Page<T>,
        view: impl Fn(T) -> V + Send,
    ) -> Result<Listing<V>, Problem> {
        let next = page.next.map(|last| Place::after_key(last.sort_key));
        let items = page.items.into_iter().map(view).collect();
        Ok(self.listing(wanted, items, next).await?.without(page.unreadable))
    }

    /// The stretch of time that `since` and `until` name, or the cursor: from `default_ms` ago until now.
    ///
    /// # Errors
    /// 400 `parameter_invalid` if one is no moment, or `until` lies before `since`.
    pub(crate) fn range(&self, wanted: &Wanted, query: &Query, default_ms: i64) -> Result<Range, Problem> {
        let asked = self.stretch(query, default_ms)?;
        Ok(wanted.place.as_ref().and_then(Place::range).unwrap_or(asked))
    }

    /// The stretch of time that `since` and `until` name: from `default_ms` ago until now.
    ///
    /// # Errors
    /// As [`Api::range`].
    pub(crate) fn stretch(&self, query: &Query, default_ms: i64) -> Result<Range, Problem> {
        let (since, until) = (query.moment("since")?, query.moment("until")?);
        if let (Some(since), Some(until)) = (since, until)
            && until < since
        {
            return Err(refuse("parameter_invalid", "until", "must not be before since"));
        }
        let now = self.clock.now();
        Ok(Range {
            since: since.unwrap_or_else(|| now.plus_millis(-default_ms)),
            until: until.unwrap_or_else(|| now.plus_millis(CLOCK_SKEW_MS)),
        })
    }
}
