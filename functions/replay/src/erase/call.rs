//! Erasing a call: its events are noted under the call's id first, for a tombstone does not name its call, and then erased in
//! the order of their times. How far it is, is saved page by page, and whoever goes on begins there. Holds a bounded part
//! of a call at a time, however many events it has.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _};
use redial_domain::Timestamp;
use redial_platform::store::StoreError;
use redial_platform::store::config::Tenant;
use redial_platform::store::deliveries::Recorded;
use redial_platform::store::erasures::{Erasure, Found, Reached, Target};
use redial_platform::store::lists::{Order, Page, Question, Range};
use redial_platform::store::sweep::CallEvent;
use redial_platform::store::unfinished::Quota;

use crate::ask::AskError;
use crate::quota::TRIES;

use super::{CONCURRENT_EVENTS, Eraser, LEASE_MS, Look, PAGE, REQUEST_BUDGET_MS};

/// Events in one row of a call: well below what an item may hold.
const EVENTS_A_ROW: usize = 1_000;
/// Events that are erased between two looks at the time.
const EVENTS_A_STEP: usize = 2 * CONCURRENT_EVENTS;
/// Events of a call that are held at a time: the rows are read again for what comes after these.
const EVENTS_AT_A_TIME: usize = 20_000;

impl Eraser {
    /// Erases the events of a call that were accepted until now, as far as one request may; `None` if there are none. Where
    /// an erasure of the call is not finished and nothing was accepted since it was asked for, it is the answer.
    ///
    /// # Errors
    /// As [`Eraser::erase_event`], and [`AskError::TooMany`].
    pub async fn erase_call(
        &self,
        tenant: &Tenant,
        call_id: &str,
        asked_by: &str,
    ) -> Result<Option<Erasure>, AskError> {
        let until = self.clock.now().plus_millis(REQUEST_BUDGET_MS);
        for _ in 0..TRIES {
            let latest = self.store.latest_erasure_of(&tenant.id, call_id).await?;
            let running = match &latest {
                Some(id) => self.store.erasure(&tenant.id, id).await?,
                None => None,
            };
            let running = running.filter(|running| !running.is_done());
            let place = self.store.place(&tenant.id, Quota::Erasures, self.clock.now()).await?;
            if place.is_none() && running.is_none() {
                return Err(AskError::TooMany(Quota::Erasures));
            }
            let mut erasure = self.erasure(tenant, Target::Call(call_id.to_owned()), asked_by);
            let since = running.as_ref().map(|running| running.asked_at.plus_millis(1));
            if !self.may_have_events(&mut erasure, call_id, since, until).await? {
                return Ok(running);
            }
            if since.is_some() {
                // Not all of the call was looked through.
                erasure.reached = Reached::default();
            }
            let place = place.ok_or(AskError::TooMany(Quota::Erasures))?;
            let put = self.store.put_erasure_in(&erasure, call_id, latest.as_ref(), &place);
            if put.await? == Recorded::Written {
                return Ok(Some(self.begun(erasure, until).await?));
            }
        }
        // So many at once are as good as too many.
        Err(AskError::TooMany(Quota::Erasures))
    }

    /// False if the call has no event from `from` on. True if it has one, or if the time is over before that is known.
    async fn may_have_events(
        &self,
        erasure: &mut Erasure,
        call_id: &str,
        from: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let from = from.unwrap_or_default();
        // The mark first: what lies before it is noted, whatever the sweeper does meanwhile.
        let (since, mut after) = (self.unnoted_since(erasure).await?.max(from), None);
        loop {
            let (noted, next) = self.store.call_rows_after(&erasure.tenant, call_id, after).await?;
            let is_old = |event: &CallEvent| event.accepted_at >= from && event.accepted_at <= erasure.asked_at;
            if noted.iter().any(is_old) || self.clock.now() >= until {
                return Ok(true);
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = self.unnoted(erasure, call_id, since).await?;
            if !page.items.is_empty() {
                return Ok(true);
            }
            // Nothing up to there is to be noted.
            erasure.reached.listed = page.next;
            if erasure.reached.listed.is_none() {
                return Ok(false);
            }
            if self.clock.now() >= until {
                return Ok(true);
            }
        }
    }

    /// From when on events may not be noted by the sweeper.
    async fn unnoted_since(&self, erasure: &Erasure) -> Result<Timestamp, StoreError> {
        let mark = self.store.sweep_mark(&erasure.tenant).await?;
        Ok(mark.map_or_else(Timestamp::default, |mark| mark.repaired))
    }

    /// A page of the call's events since then, accepted before its erasure was asked for.
    async fn unnoted(&self, erasure: &Erasure, call_id: &str, since: Timestamp) -> Result<Page<CallEvent>, StoreError> {
        let question = Question {
            tenant: &erasure.tenant,
            shards: erasure.shards,
            range: Range {
                since,
                until: erasure.asked_at.plus_millis(1),
            },
            order: Order::OldestFirst,
            after: erasure.reached.listed.as_ref(),
            limit: PAGE,
            now: self.clock.now(),
        };
        let named = self.store.named_call_events(&question, call_id, erasure.changed_at);
        named.await
    }

    pub(super) async fn look_at_call(
        &self,
        erasure: &mut Erasure,
        call_id: &str,
        until: Timestamp,
    ) -> Result<Look, StoreError> {
        if erasure.reached == erasure.reached.again() {
            // A release that saves no places may have been here.
            erasure.finding = Found::default();
        }
        if !self.note_events(erasure, call_id, until).await? {
            return Ok(Look::Unfinished);
        }
        loop {
            let Some((next, is_all)) = self.next_events(erasure, call_id, until).await? else {
                return Ok(Look::Unfinished);
            };
            for some in next.chunks(EVENTS_A_STEP) {
                if self.clock.now() >= until {
                    return Ok(Look::Unfinished);
                }
                let mut erased = Vec::with_capacity(some.len());
                for event in some {
                    erased.push(self.erase_of_call(erasure, event));
                }
                // In their order: so the receipt names them.
                let erased = futures_util::stream::iter(erased).buffered(CONCURRENT_EVENTS);
                let found: Vec<Found> = erased.try_collect().await?;
                found.into_iter().for_each(|found| erasure.finding.add(found));
                erasure.reached.erased = some.last().cloned();
                self.save(erasure, LEASE_MS).await?;
            }
            if is_all {
                break;
            }
        }
        // Until all are erased, the notes are the only way to those that are not.
        if erasure.looked && erasure.finding.unreadable == 0 {
            let asked_at = erasure.asked_at;
            let later = move |noted: &CallEvent| noted.accepted_at > asked_at;
            self.store.forget_call(&erasure.tenant, call_id, later).await?;
        }
        Ok(Look::Finished { settled: false })
    }

    /// Notes the events that nobody has noted: the second look, and whoever comes after a crash, find them there. False if
    /// the time was not enough.
    async fn note_events(&self, erasure: &mut Erasure, call_id: &str, until: Timestamp) -> Result<bool, StoreError> {
        let (since, mut row) = (self.unnoted_since(erasure).await?, Vec::new());
        while !erasure.reached.noted {
            if self.clock.now() >= until {
                return Ok(false);
            }
            let page = self.unnoted(erasure, call_id, since).await?;
            let found = page.items;
            if !found.is_empty() {
                if row.is_empty() || row.len() + found.len() > EVENTS_A_ROW {
                    row.clear();
                    erasure.reached.rows += 1;
                }
                row.extend(found);
                self.store
                    .note_call(erasure, call_id, erasure.reached.rows, &row)
                    .await?;
            }
            erasure.reached.noted = page.next.is_none();
            erasure.reached.listed = page.next;
            self.save(erasure, LEASE_MS).await?;
        }
        Ok(true)
    }

    /// The next events to be erased, in order, and whether these are all; `None` if the time was not enough.
    async fn next_events(
        &self,
        erasure: &mut Erasure,
        call_id: &str,
        until: Timestamp,
    ) -> Result<Option<(Vec<CallEvent>, bool)>, StoreError> {
        let (mut first, mut is_all, mut after) = (BTreeSet::new(), true, None);
        loop {
            let now = self.clock.now();
            if now >= until {
                return Ok(None);
            }
            if erasure.lease_until.millis_since(now) < LEASE_MS / 2 {
                self.save(erasure, LEASE_MS).await?;
            }
            let (noted, next) = self.store.call_rows_after(&erasure.tenant, call_id, after).await?;
            let (asked_at, erased) = (erasure.asked_at, erasure.reached.erased.as_ref());
            let is_next = |event: &CallEvent| event.accepted_at <= asked_at && erased.is_none_or(|last| event > last);
            first.extend(noted.into_iter().filter(is_next));
            while first.len() > EVENTS_AT_A_TIME {
                first.pop_last();
                is_all = false;
            }
            after = next;
            if after.is_none() {
                return Ok(Some((first.into_iter().collect(), is_all)));
            }
        }
    }

    async fn erase_of_call(&self, erasure: &Erasure, noted: &CallEvent) -> Result<Found, StoreError> {
        let (tenant, now) = (&erasure.tenant, self.clock.now());
        let erased = async {
            let event = self.store.event_or_tombstone(tenant, &noted.event, now).await?;
            match event.filter(|event| event.accepted_at == noted.accepted_at) {
                Some(event) => self.store.erase_event(&event, &erasure.id, now).await,
                None => Ok(Found::default()),
            }
        };
        match erased.await {
            Err(error) if error.is_unreadable() => {
                let (erasure, event) = (&erasure.id, &noted.event);
                tracing::error!(%error, %tenant, %erasure, %event, "erasure.event_unreadable");
                Ok(Found::unreadable(event.clone()))
            }
            erased => erased,
        }
    }
}
