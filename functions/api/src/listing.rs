//! One page of a list: what was asked for, and the answer's shape. The same for every list of the API.

use redial_domain::TenantId;
use redial_platform::problem::Problem;
use redial_platform::store::lists::Range;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::cursor::{Place, question};
use crate::query::{Query, refuse};

/// How far the default end of a list lies in the future, in milliseconds: the clocks of two environments differ.
pub(crate) const CLOCK_SKEW_MS: i64 = 60_000;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listing<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Where the next page begins: send it as `cursor` with the same parameters. `null`: this was the last page.
    #[schema(required)]
    pub(crate) next: Option<String>,
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
        Ok(Listing { items, next })
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

    /// The stretch of time that `since` and `until` name, or the cursor: from `default_ms` ago until now.
    ///
    /// # Errors
    /// 400 `parameter_invalid` if one is no moment, or `until` lies before `since`.
    pub(crate) fn range(&self, wanted: &Wanted, query: &Query, default_ms: i64) -> Result<Range, Problem> {
        let (since, until) = (query.moment("since")?, query.moment("until")?);
        if let (Some(since), Some(until)) = (since, until)
            && until < since
        {
            return Err(refuse("parameter_invalid", "until", "must not be before since"));
        }
        if let Some(range) = wanted.place.as_ref().and_then(Place::range) {
            return Ok(range);
        }
        let now = self.clock.now();
        Ok(Range {
            since: since.unwrap_or_else(|| now.plus_millis(-default_ms)),
            until: until.unwrap_or_else(|| now.plus_millis(CLOCK_SKEW_MS)),
        })
    }
}
