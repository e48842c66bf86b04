//! Counting what a job is about: at once if that is little, else by the job itself, a stretch at a time. Reads only. Rows that
//! a filter cannot narrow down are counted by DynamoDB, which sends none of them.

use redial_domain::Timestamp;
use redial_platform::Clock;
use redial_platform::store::StoreError;
use redial_platform::store::lists::After;
use redial_platform::store::replayable::Shelf;
use redial_platform::store::replays::CountedTo;

use crate::find::{Finder, Source};

/// Rows that a page looks at which only counts.
const COUNT_PAGE: usize = 1_000;

/// How much may be looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Rows.
    pub(crate) rows: u64,
    /// No query is begun after this moment.
    pub(crate) until: Timestamp,
}

/// How far a count is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) total: u64,
    /// `None`: not begun, or complete.
    pub(crate) to: Option<CountedTo>,
}

impl Count {
    /// Goes on counting. True if all is counted.
    pub(crate) async fn go_on(
        &mut self,
        finder: Finder<'_>,
        budget: Budget,
        clock: &Clock,
    ) -> Result<bool, StoreError> {
        let filter = finder.filter;
        let narrows = !filter.event_types.is_empty()
            || !filter.agents.is_empty()
            || filter.reason.is_some()
            || filter.held_since.is_some();
        if Source::of(filter) == Source::Shelves && !narrows {
            self.rows(finder, budget, clock).await
        } else {
            self.pages(finder, budget, clock).await
        }
    }

    /// Partition after partition, counted by DynamoDB.
    async fn rows(&mut self, finder: Finder<'_>, budget: Budget, clock: &Clock) -> Result<bool, StoreError> {
        let mut examined = 0;
        let mut at = self.to.take().unwrap_or_default();
        for endpoint in finder.endpoints() {
            if endpoint.as_str() < at.endpoint.as_str() {
                continue;
            }
            if endpoint.as_str() != at.endpoint {
                at = CountedTo {
                    endpoint: endpoint.to_string(),
                    ..CountedTo::default()
                };
            }
            let search = finder.search(&endpoint, Shelf::Deliveries(finder.filter.state));
            while at.stream < search.streams() {
                if examined >= budget.rows || clock.now() > budget.until {
                    self.to = Some(at);
                    return Ok(false);
                }
                let after = Some(at.sort_key.as_str()).filter(|after| !after.is_empty());
                let counted = finder.store.count_replayable(&search, at.stream, after).await?;
                self.total += counted.found;
                examined += counted.examined.max(1);
                match counted.next {
                    Some(sort_key) => at.sort_key = sort_key,
                    None => (at.stream, at.sort_key) = (at.stream + 1, String::new()),
                }
            }
        }
        Ok(true)
    }

    /// Page after page, as they are delivered.
    async fn pages(&mut self, finder: Finder<'_>, budget: Budget, clock: &Clock) -> Result<bool, StoreError> {
        let mut examined = 0;
        let mut after = self.to.take().map(|to| After {
            sort_key: to.sort_key,
            endpoint: to.endpoint,
        });
        loop {
            let found = finder.page(after.as_ref(), COUNT_PAGE).await?;
            self.total += found.candidates.len() as u64 + found.failed + found.skipped;
            examined += found.examined.max(1);
            after = found.next;
            let Some(place) = &after else { return Ok(true) };
            if examined >= budget.rows || clock.now() > budget.until {
                self.to = Some(CountedTo {
                    stream: 0,
                    endpoint: place.endpoint.clone(),
                    sort_key: place.sort_key.clone(),
                });
                return Ok(false);
            }
        }
    }
}
