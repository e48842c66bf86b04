//! What this execution environment has seen of the endpoints that it delivers to, in memory: failures that it has not told
//! yet, successes of the last minute, and how many more deliveries it may let wait in the queue. Bounded; what is forgotten
//! or lost with the environment is a little of a count, never a delivery. Pure: reads no clock and talks to nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redial_domain::hold::{MAX_WAITING, WINDOW_MS};
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_platform::store::health::LastFailure;
use redial_platform::store::observed::Observation;

/// Endpoints that an environment keeps count of. Beyond it those are forgotten that nothing failed at; then all.
const MAX_ENDPOINTS: usize = 10_000;
/// How long an environment goes by what it saw waiting in the queue for an endpoint, in milliseconds.
const LOOK_MS: i64 = 15_000;
/// As [`LOOK_MS`], once it has let as many wait as it may by that look: what it let wait itself is in the next one.
const LOOK_AGAIN_MS: i64 = 1_000;
/// Part of the free places that one environment takes before it looks again: others take theirs.
const SHARE: u32 = 10;
/// How long an environment keeps to itself that attempts succeed again, once it has told, in milliseconds.
const SUCCESS_MS: i64 = 1_000;

/// An endpoint of a tenant.
pub type Who = (TenantId, EndpointId);

/// What is to be told of an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Untold {
    /// Attempts failed.
    Failures(Observation),
    /// None failed, and what failed before is over: so many succeeded within the window.
    Success(u32),
}

/// What an environment has seen. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<HashMap<Who, Seen>>>);

/// What was seen of one endpoint since the last time that something was told of it.
#[derive(Debug, Default)]
struct Seen {
    failed: u32,
    failed_in_row: u32,
    first_failed_at: Option<Timestamp>,
    last_failure: Option<LastFailure>,
    succeeded_at: Option<Timestamp>,
    successes: Successes,
    /// Failures were told and no success since.
    owes_success: bool,
    success_told_at: Option<Timestamp>,
    room: Arc<tokio::sync::Mutex<Room>>,
}

/// Successes of late, by halves of the window: of the last half to whole one all are counted, of before none.
#[derive(Debug, Default)]
struct Successes {
    begun: Timestamp,
    now: u32,
    before: u32,
}

impl Successes {
    fn turn(&mut self, now: Timestamp) {
        const HALF_MS: i64 = WINDOW_MS / 2;
        let age_ms = now.millis_since(self.begun);
        if age_ms >= HALF_MS {
            self.before = if age_ms < WINDOW_MS { self.now } else { 0 };
            (self.now, self.begun) = (0, now);
        }
    }

    fn take(&mut self, now: Timestamp) -> u32 {
        self.turn(now);
        std::mem::take(&mut self.now).saturating_add(std::mem::take(&mut self.before))
    }
}

/// How many more deliveries of an endpoint an environment lets wait in the queue.
#[derive(Debug, Default)]
pub(crate) struct Room {
    looked_at: Option<Timestamp>,
    waiting: u32,
    left: u32,
}

impl Room {
    /// True if it is time to count what waits.
    pub(crate) fn is_old(&self, now: Timestamp) -> bool {
        let patience_ms = if self.left > 0 { LOOK_MS } else { LOOK_AGAIN_MS };
        self.looked_at
            .is_none_or(|looked_at| now.millis_since(looked_at) >= patience_ms)
    }

    /// Goes by a count.
    pub(crate) fn looked(&mut self, waiting: u32, now: Timestamp) {
        let free = MAX_WAITING.saturating_sub(waiting);
        *self = Self {
            looked_at: Some(now),
            waiting,
            left: if free == 0 { 0 } else { (free / SHARE).max(1) },
        };
    }

    /// Takes a place for a delivery; one that waits already keeps its own.
    pub(crate) fn take(&mut self, has_one: bool) -> bool {
        if has_one && self.waiting <= MAX_WAITING {
            return true;
        }
        let is_free = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_free
    }
}

impl Tally {
    /// An attempt succeeded; `again` says that one of the same delivery had failed.
    pub(crate) fn succeeded(&self, who: &Who, again: bool, now: Timestamp) {
        let mut all = self.all();
        let seen = seen_of(&mut all, who);
        seen.failed_in_row = 0;
        seen.succeeded_at = Some(now);
        seen.successes.turn(now);
        seen.successes.now = seen.successes.now.saturating_add(1);
        let told_lately = seen
            .success_told_at
            .is_some_and(|told_at| now.millis_since(told_at) < SUCCESS_MS);
        // Whoever saw the failure may be another environment, which sees no success for long.
        seen.owes_success |= again && !told_lately;
    }

    /// An attempt failed, for a reason of the receiver's.
    pub(crate) fn failed(&self, who: &Who, failure: LastFailure) {
        let mut all = self.all();
        let seen = seen_of(&mut all, who);
        if seen.failed_in_row == 0 {
            seen.first_failed_at = Some(failure.at);
        }
        seen.failed = seen.failed.saturating_add(1);
        seen.failed_in_row = seen.failed_in_row.saturating_add(1);
        seen.last_failure = Some(failure);
    }

    /// What is to be told of an endpoint, if anything is; it counts as told.
    pub(crate) fn take(&self, who: &Who, now: Timestamp) -> Option<Untold> {
        let mut all = self.all();
        let seen = all.get_mut(who)?;
        let succeeded_in_the_end = seen.succeeded_at.is_some() && seen.failed_in_row == 0;
        let Some(last_failure) = seen.last_failure.take() else {
            if !seen.owes_success || !succeeded_in_the_end {
                return None;
            }
            (seen.owes_success, seen.success_told_at) = (false, Some(now));
            return Some(Untold::Success(seen.successes.take(now)));
        };
        seen.owes_success = !succeeded_in_the_end;
        let failed_in_row = std::mem::take(&mut seen.failed_in_row);
        Some(Untold::Failures(Observation {
            failed_in_row,
            succeeded_at: seen.succeeded_at.take(),
            failed: std::mem::take(&mut seen.failed),
            succeeded: seen.successes.take(now),
            first_failed_at: seen.first_failed_at.take().unwrap_or(last_failure.at),
            last_failure,
        }))
    }

    /// Forgets an endpoint: what was seen of it is over, and told.
    pub(crate) fn forget(&self, who: &Who) {
        self.all().remove(who);
    }

    /// The places of an endpoint in the queue.
    pub(crate) fn room(&self, who: &Who) -> Arc<tokio::sync::Mutex<Room>> {
        Arc::clone(&seen_of(&mut self.all(), who).room)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Who, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seen_of<'a>(all: &'a mut HashMap<Who, Seen>, who: &Who) -> &'a mut Seen {
    if all.len() >= MAX_ENDPOINTS && !all.contains_key(who) {
        all.retain(|_, seen| seen.failed > 0 || seen.owes_success);
        if all.len() >= MAX_ENDPOINTS {
            all.clear();
        }
    }
    all.entry(who.clone()).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Who {
        (TenantId::parse("acme").unwrap(), EndpointId::parse("ep_1").unwrap())
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + ms)
    }

    fn failure(ms: i64) -> LastFailure {
        LastFailure {
            at: at(ms),
            status: Some(500),
            code: "http_error".to_owned(),
        }
    }

    fn failures(untold: Option<Untold>) -> Observation {
        match untold {
            Some(Untold::Failures(seen)) => seen,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn as_long_as_all_succeeds_there_is_nothing_to_tell() {
        let tally = Tally::default();
        assert_eq!(tally.take(&who(), at(0)), None);
        for ms in 0..100 {
            tally.succeeded(&who(), false, at(ms));
            assert_eq!(tally.take(&who(), at(ms)), None);
        }
    }

    #[test]
    fn failures_are_told_with_the_successes_of_the_last_minute_and_then_the_first_success() {
        let tally = Tally::default();
        tally.succeeded(&who(), false, at(0));
        for _ in 0..3 {
            tally.succeeded(&who(), false, at(70_000));
        }
        tally.failed(&who(), failure(70_001));
        tally.succeeded(&who(), false, at(70_002));
        tally.failed(&who(), failure(70_003));
        tally.failed(&who(), failure(70_004));
        let seen = failures(tally.take(&who(), at(70_005)));
        assert_eq!((seen.failed, seen.failed_in_row, seen.succeeded), (3, 2, 4));
        assert_eq!(
            (seen.succeeded_at, seen.first_failed_at),
            (Some(at(70_002)), at(70_003))
        );
        assert_eq!(seen.last_failure, failure(70_004));
        assert_eq!(tally.take(&who(), at(70_005)), None);

        tally.succeeded(&who(), false, at(70_006));
        assert_eq!(tally.take(&who(), at(70_006)), Some(Untold::Success(1)));
        tally.succeeded(&who(), false, at(70_007));
        assert_eq!(tally.take(&who(), at(70_007)), None);
    }

    #[test]
    fn a_success_of_a_delivery_that_had_failed_is_told_once_a_second() {
        let tally = Tally::default();
        let mut told = 0;
        for ms in 0..3_000 {
            tally.succeeded(&who(), true, at(ms));
            told += u32::from(tally.take(&who(), at(ms)).is_some());
        }
        assert_eq!(told, 3);
    }

    #[test]
    fn a_failure_that_ends_in_success_owes_no_more() {
        let tally = Tally::default();
        tally.failed(&who(), failure(0));
        tally.succeeded(&who(), false, at(1));
        let seen = failures(tally.take(&who(), at(2)));
        assert_eq!((seen.failed, seen.failed_in_row), (1, 0));
        tally.succeeded(&who(), false, at(3));
        assert_eq!(tally.take(&who(), at(3)), None);
    }

    #[test]
    fn an_environment_takes_a_tenth_of_the_free_places_and_none_that_there_are_not() {
        for (waiting, takes) in [(0, 10), (50, 5), (95, 1), (99, 1), (100, 0), (101, 0)] {
            let mut room = Room::default();
            assert!(room.is_old(at(0)));
            room.looked(waiting, at(0));
            assert_eq!((0..20).filter(|_| room.take(false)).count(), takes, "{waiting}");
            assert!(!room.is_old(at(LOOK_AGAIN_MS - 1)) && room.is_old(at(LOOK_AGAIN_MS)));
            assert_eq!(room.take(true), waiting <= MAX_WAITING, "{waiting}");
        }
    }

    #[test]
    fn what_nothing_failed_at_is_forgotten_first() {
        let tally = Tally::default();
        tally.failed(&who(), failure(0));
        for number in 0..2 * MAX_ENDPOINTS {
            let other = EndpointId::parse(&format!("ep_x{number}")).unwrap();
            tally.succeeded(&(who().0, other), false, at(0));
        }
        assert!(tally.all().len() <= MAX_ENDPOINTS);
        assert_eq!(failures(tally.take(&who(), at(1))).failed, 1);
    }
}
