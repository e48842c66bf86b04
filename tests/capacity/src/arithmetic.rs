//! The arithmetic of docs/RELIABILITY.md, "Capacity": what an outage must come to, from the plan alone. Simulates nothing.

use redial_domain::hold::{FAILURES_IN_ROW, PROBE_WAITS_S};
use redial_domain::retry::{MAX_JITTER, RetryPolicy};

use crate::bill::{BATCH, Bill, units};
use crate::scene::Scene;
use crate::sweeper::EVERY_MS;

/// What is expected of a run with holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expected {
    pub(crate) attempts: f64,
    pub(crate) failed: f64,
    pub(crate) opened: f64,
    pub(crate) held: f64,
    pub(crate) bill: Bill,
}

/// Writes of what an environment tells of a success after failures; after a failure it takes two, for a window begins anew, which
/// the first of them finds out.
const TOLD: f64 = 1.0;
/// Writes of a failure that waits in the queue: attempt, row, entry, the claim of the next attempt, and what is told of it.
const RETRY: f64 = units::ATTEMPT + units::ROW + units::ENTRY + units::CLAIM + 2.0 * TOLD;

/// One endpoint that is down.
#[derive(Debug, Clone, Copy)]
struct Down {
    /// Deliveries a second.
    per_s: f64,
    /// How long it is down while events are posted, in seconds.
    down_s: f64,
}

/// Seconds after its first attempt at which a delivery that fails is tried again, with the jitter that is to be expected.
fn ladder_s() -> Vec<f64> {
    let policy = RetryPolicy::default();
    let mut at_s = 0.0;
    let mut ladder = vec![0.0];
    for attempt in 1..policy.attempts() {
        at_s += policy.delay_s(attempt) as f64 * (1.0 + MAX_JITTER / 2.0);
        ladder.push(at_s);
    }
    ladder
}

impl Down {
    /// Attempts that fail within `after_s` seconds if nothing is held: each delivery makes those of its own schedule.
    fn failures(self, after_s: f64) -> f64 {
        let made = |at_s: &f64| self.per_s * (after_s - at_s).max(0.0);
        ladder_s().iter().map(made).sum()
    }

    /// Seconds until it is put on hold.
    fn opens_after_s(self) -> f64 {
        let (mut early_s, mut late_s) = (0.0, self.down_s);
        for _ in 0..50 {
            let middle_s = f64::midpoint(early_s, late_s);
            if self.failures(middle_s) < f64::from(FAILURES_IN_ROW) {
                early_s = middle_s;
            } else {
                late_s = middle_s;
            }
        }
        late_s
    }
}

/// Looks that the sweeper takes in so many seconds: the ladder, each step at the pass that follows it.
fn looks(open_s: f64) -> f64 {
    let pass_s = EVERY_MS as f64 / 1_000.0;
    // The first wait begins anywhere between two passes; the others begin with one.
    let (mut at_s, mut count) = (f64::from(PROBE_WAITS_S[0]) + pass_s / 2.0, 0);
    while at_s <= open_s {
        count += 1;
        let wait_s = f64::from(PROBE_WAITS_S[count.min(PROBE_WAITS_S.len() - 1)]);
        at_s += (wait_s / pass_s).ceil() * pass_s;
    }
    count as f64
}

impl Expected {
    /// What the endpoints of the scene come to.
    pub(crate) fn of(scene: &Scene) -> Self {
        let plan = scene.plan;
        let (all, flaky) = (plan.deliveries as f64, plan.flaky);
        let posting_s = plan.posting_ms as f64 / 1_000.0;
        let down_s = (plan.posting_ms.min(scene.repaired_ms()) - plan.down_after_ms).max(0) as f64 / 1_000.0;
        let mut it = Self::default();
        let (mut writes, mut waiting, mut again) = (0.0, 0.0, 0.0);
        for (endpoint, share) in scene.shares.iter().enumerate() {
            if scene.failing(endpoint).is_none() {
                continue;
            }
            let down = Down {
                per_s: all * share / posting_s,
                down_s,
            };
            if down.failures(down_s) < f64::from(FAILURES_IN_ROW) {
                // So little goes to it that it is over before it is noticed.
                it.failed += down.failures(down_s);
                waiting += down.failures(down_s);
                writes += down.failures(down_s) * RETRY;
                continue;
            }
            let opens_s = down.opens_after_s();
            let before = down.failures(opens_s);
            let open_s = plan.down_ms as f64 / 1_000.0 - opens_s;
            // A probe is a held delivery whose own time has come: no more of them than its deliveries would make.
            let looks = looks(open_s);
            let probes = looks.min(down.failures(opens_s + open_s) - before);
            // What is posted while it is on hold, what waited in the queue by then, and each probe again.
            let since_opened = down.per_s * (down.down_s - opens_s);
            let waited = down.per_s * opens_s;
            it.opened += 1.0;
            it.failed += before + probes;
            it.held += since_opened + waited + probes;
            // Posted: row and entry. Waited: its row again, its entry moved. Each: released, claimed, out of what is due.
            writes +=
                (since_opened + waited) * (units::ROW + units::ENTRY + units::RELEASE + units::CLAIM + units::ENTRY);
            writes += waited * units::ENTRY;
            writes += probes * (units::ATTEMPT + units::ROW + 2.0 * units::ENTRY + units::RELEASE + units::CLAIM);
            writes += looks * units::HEALTH_DUE;
            waiting += before;
            again += waited + probes;
            writes += before * RETRY;
            // Opened and let go, two looks at it, one job.
            writes += 2.0 * (units::HEALTH_DUE + units::HOLD) + 2.0 * units::HEALTH_DUE + units::JOB + units::PAGE;
        }
        // A healthy endpoint: a geometric row of failures.
        let retried = all * flaky / (1.0 - flaky);
        waiting += retried;
        writes += retried * (RETRY + units::ENTRY + TOLD);
        it.failed += retried;
        it.attempts = all + it.failed;
        it.bill.writes = writes + all * (units::EVENT + units::ROW);
        it.bill.sqs = sqs(all, posting_s, again, waiting);
        it
    }

    /// The cost, with the reads and the time that were counted: what is written and sent is the most of it.
    pub(crate) fn dollars(&self, counted: &Bill) -> f64 {
        let bill = Bill {
            writes: self.bill.writes,
            sqs: self.bill.sqs,
            ..*counted
        };
        bill.dollars()
    }
}

/// Requests: what is posted is sent in tens, at once or when it is let go, and what comes in a second is received and deleted in
/// as few tens as it takes. What is sent `again` was in the queue before; of what is `waiting` in it the visibility is changed.
fn sqs(all: f64, posting_s: f64, again: f64, waiting: f64) -> f64 {
    let batch = BATCH as f64;
    let receives = ((all / posting_s / batch).ceil() * posting_s).min(all);
    (all + again) / batch + 2.0 * receives + waiting
}
