//! What one execution environment of the dispatcher knows and keeps to itself, and what the tables know of an endpoint's
//! health: `functions/dispatcher/src/tally.rs` and `store/observed.rs`, without the tables. The thresholds are the domain's.

use redial_domain::Timestamp;
use redial_domain::hold::{HoldReason, MAX_WAITING, Numbers, WINDOW_MS};

/// How old a copy of the configuration may be that is delivered by, in milliseconds.
pub(crate) const COPY_MS: i64 = 15_000;
/// How long an environment goes by what it saw waiting in the queue, in milliseconds.
const LOOK_MS: i64 = 15_000;
/// The same, once it has let as many wait as it may by that look.
const LOOK_AGAIN_MS: i64 = 1_000;
/// Part of the free places that one environment takes before it looks again.
const SHARE: u32 = 10;
/// How long it keeps to itself that attempts succeed again, once it has told, in milliseconds.
const SUCCESS_MS: i64 = 1_000;

/// A moment of the simulation.
pub(crate) const fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// What is stored of an endpoint's health.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    failures_in_row: u32,
    pub(crate) failing_since: Option<Timestamp>,
    last_failure_ms: i64,
    window_begun_ms: Option<i64>,
    failed: u32,
    succeeded: u32,
    pub(crate) open: Option<(i64, HoldReason)>,
    pub(crate) probes: u32,
    pub(crate) drain_looks: u32,
}

impl Health {
    /// What the rules judge.
    pub(crate) const fn numbers(&self) -> Numbers {
        Numbers {
            failures_in_row: self.failures_in_row,
            failing_since: self.failing_since,
            failed: self.failed,
            succeeded: self.succeeded,
        }
    }

    /// Adds what an environment saw; answers how many writes that takes.
    pub(crate) fn observe(&mut self, seen: &Observation, now_ms: i64) -> f64 {
        let window = self
            .window_begun_ms
            .is_some_and(|begun_ms| now_ms - begun_ms < WINDOW_MS);
        let row = seen.succeeded_ms.is_none_or(|ms| self.last_failure_ms > ms);
        if !window {
            (self.window_begun_ms, self.failed, self.succeeded) = (Some(now_ms), 0, 0);
        }
        self.failed += seen.failed;
        self.succeeded += seen.succeeded;
        if !row {
            (self.failures_in_row, self.failing_since) = (0, None);
        }
        self.failures_in_row += seen.failed_in_row;
        if seen.failed_in_row > 0 {
            self.failing_since.get_or_insert(at(seen.first_failed_ms));
        }
        self.last_failure_ms = now_ms;
        // The first guess is refused if a window or a row begins anew.
        if window && row == seen.succeeded_ms.is_none() {
            1.0
        } else {
            2.0
        }
    }

    /// A success after failures.
    pub(crate) fn succeed(&mut self) {
        (self.failures_in_row, self.failing_since) = (0, None);
    }

    /// It is let go.
    pub(crate) fn close(&mut self, drain_looks: u32) {
        *self = Self {
            drain_looks,
            last_failure_ms: self.last_failure_ms,
            ..Self::default()
        };
    }
}

/// What an environment tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Observation {
    failed_in_row: u32,
    succeeded_ms: Option<i64>,
    failed: u32,
    succeeded: u32,
    first_failed_ms: i64,
}

/// What is to be told of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untold {
    Failures(Observation),
    Success,
}

/// What an environment has seen of an endpoint since it last told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    failed: u32,
    failed_in_row: u32,
    first_failed_ms: i64,
    succeeded_ms: Option<i64>,
    successes: u32,
    successes_since_ms: i64,
    owes_success: bool,
    success_told_ms: Option<i64>,
    looked_ms: Option<i64>,
    waiting: u32,
    places: u32,
}

impl Seen {
    /// An attempt succeeded; `again`: one of the same delivery had failed.
    pub(crate) fn succeeded(&mut self, again: bool, now_ms: i64) {
        self.failed_in_row = 0;
        self.succeeded_ms = Some(now_ms);
        if now_ms - self.successes_since_ms >= WINDOW_MS {
            (self.successes, self.successes_since_ms) = (0, now_ms);
        }
        self.successes += 1;
        let told_lately = self.success_told_ms.is_some_and(|told| now_ms - told < SUCCESS_MS);
        self.owes_success |= again && !told_lately;
    }

    /// An attempt failed.
    pub(crate) const fn failed(&mut self, now_ms: i64) {
        if self.failed_in_row == 0 {
            self.first_failed_ms = now_ms;
        }
        self.failed += 1;
        self.failed_in_row += 1;
    }

    /// What is to be told, if anything is; it counts as told.
    pub(crate) fn take(&mut self, now_ms: i64) -> Option<Untold> {
        let succeeded_in_the_end = self.succeeded_ms.is_some() && self.failed_in_row == 0;
        if self.failed == 0 {
            if !self.owes_success || !succeeded_in_the_end {
                return None;
            }
            (self.owes_success, self.success_told_ms) = (false, Some(now_ms));
            self.successes = 0;
            return Some(Untold::Success);
        }
        self.owes_success = !succeeded_in_the_end;
        let in_window = now_ms - self.successes_since_ms < WINDOW_MS;
        let succeeded = std::mem::take(&mut self.successes);
        Some(Untold::Failures(Observation {
            failed_in_row: std::mem::take(&mut self.failed_in_row),
            succeeded_ms: self.succeeded_ms.take(),
            failed: std::mem::take(&mut self.failed),
            succeeded: if in_window { succeeded } else { 0 },
            first_failed_ms: self.first_failed_ms,
        }))
    }

    /// True if it is time to count what waits in the queue.
    pub(crate) fn is_old(&self, now_ms: i64) -> bool {
        let patience_ms = if self.places > 0 { LOOK_MS } else { LOOK_AGAIN_MS };
        self.looked_ms.is_none_or(|looked_ms| now_ms - looked_ms >= patience_ms)
    }

    /// Goes by a count of what waits.
    pub(crate) fn looked(&mut self, waiting: u32, now_ms: i64) {
        let free = MAX_WAITING.saturating_sub(waiting);
        (self.looked_ms, self.waiting) = (Some(now_ms), waiting);
        self.places = if free == 0 { 0 } else { (free / SHARE).max(1) };
    }

    /// Takes a place in the queue; a delivery that waited there keeps its own.
    pub(crate) const fn has_place(&mut self, has_one: bool) -> bool {
        if has_one && self.waiting <= MAX_WAITING {
            return true;
        }
        let is_free = self.places > 0;
        self.places = self.places.saturating_sub(1);
        is_free
    }
}
