//! Every minute: sends what is due, repairs what a crash left unsent, counts hours and calls. Beside it the dead-letter
//! intake, which concludes what the dispatcher could not, and never sends.

mod count;
mod due;
mod forgotten;
mod gone;
mod health;
mod intake;
mod late;
mod paced;
mod pass;
mod release;
mod repair;
mod rollup;
mod round;

use redial_domain::retry::RetryPolicy;
use redial_platform::cache::ConfigCache;
use redial_platform::metrics::{Metric, Metrics, Recorder};
use redial_platform::notices::Notifier;
use redial_platform::queue::{QueueError, Queues};
use redial_platform::store::StoreError;
use redial_platform::{Clock, Random, Store};
use redial_replay::{AskError, Asker};

/// Sweeps, and takes in dead letters. Cheap to share; made once for an execution environment.
#[derive(Debug, Clone)]
pub struct Sweeper {
    store: Store,
    queues: Queues,
    cache: ConfigCache,
    notifier: Notifier,
    clock: Clock,
    default_retry: RetryPolicy,
    asker: Asker,
    metrics: Metrics,
}

/// What a [`Sweeper`] is made of.
pub struct Parts {
    /// The tables.
    pub store: Store,
    /// The queues.
    pub queues: Queues,
    /// The clock.
    pub clock: Clock,
    /// Ids of the releases that it asks for.
    pub random: Random,
    /// The policy of endpoints that have none of their own.
    pub default_retry: RetryPolicy,
    /// Where its numbers go.
    pub metrics: Metrics,
}

/// What one pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Deliveries sent because they were due.
    pub sent: u64,
    /// Replay jobs that are continued.
    pub continued: u64,
    /// Deliveries that a crash had left unsent and that were sent now.
    pub repaired: u64,
    /// Time rows without an event that were removed.
    pub removed: u64,
    /// Hours counted, of endpoints and tenants.
    pub hours: u64,
    /// Deliveries without a record that were set aside, because their endpoint is on hold.
    pub held: u64,
    /// Tenants that could not be looked at, and due rows that could not be read; the next pass tries again.
    pub faults: u64,
    /// Partitions of what is due that are left with more: the pass had no time for it, or has sent enough of them. The next
    /// one goes on.
    pub unfinished: u64,
    /// Tenants that the pass had no time to look at: the next one begins with them.
    pub tenants_left: u64,
    /// Deliveries recorded beyond those matched, and lost ones, of all tenants, as of the last count of each: anything but 0
    /// is a fault.
    pub ledger_difference: u64,
    /// Milliseconds that the oldest due delivery was late.
    pub due_lag_ms: i64,
}

impl Summary {
    /// Adds what was done in a partition of what is due.
    fn add_due(&mut self, part: Self) {
        self.sent += part.sent;
        self.continued += part.continued;
        self.faults += part.faults;
        self.unfinished += part.unfinished;
        self.due_lag_ms = self.due_lag_ms.max(part.due_lag_ms);
    }
}

/// A pass could not be finished; the next one continues it.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A release could not be asked for.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl Sweeper {
    /// Sweeps with these clients.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let cache = ConfigCache::new(parts.store.clone(), parts.clock.clone(), parts.random.clone());
        let asker = Asker {
            store: parts.store.clone(),
            queues: parts.queues.clone(),
            clock: parts.clock.clone(),
            random: parts.random.clone(),
        };
        let (store, clock) = (parts.store.clone(), parts.clock.clone());
        Self {
            notifier: Notifier::new(store, cache.clone(), clock, parts.random),
            store: parts.store,
            queues: parts.queues,
            cache,
            clock: parts.clock,
            default_retry: parts.default_retry,
            asker,
            metrics: parts.metrics,
        }
    }

    /// One pass over everything.
    ///
    /// # Errors
    /// [`SweepError`] if the store or the queue failed; what was done stays done.
    pub async fn sweep(&self) -> Result<Summary, SweepError> {
        let began = self.clock.now();
        let recorder = self.metrics.begin(began);
        let mut summary = Summary::default();
        // Neither waits for the other: what is unreadable in one must not stop both.
        let due = self.send_due(&mut summary).await;
        let repaired = self.repair(began.plus_millis(pass::PASS_MS), &mut summary).await;
        tracing::info!(
            sent = summary.sent,
            continued = summary.continued,
            repaired = summary.repaired,
            removed = summary.removed,
            hours = summary.hours,
            held = summary.held,
            faults = summary.faults,
            unfinished = summary.unfinished,
            tenants_left = summary.tenants_left,
            ledger_difference = summary.ledger_difference,
            due_lag_ms = summary.due_lag_ms,
            duration_ms = self.clock.now().millis_since(began),
            "sweeper.pass"
        );
        // What a part that failed did not see is left out, not 0.
        if due.is_ok() {
            recorder.measure(Metric::DueLag, u64::try_from(summary.due_lag_ms).unwrap_or(0));
        }
        if repaired.is_ok() {
            recorder.measure(Metric::LedgerDifference, summary.ledger_difference);
        }
        recorder.measure(Metric::Sweeps, u64::from(due.is_ok() && repaired.is_ok()));
        count(&recorder, summary);
        due?;
        repaired?;
        Ok(summary)
    }
}

fn count(recorder: &Recorder, summary: Summary) {
    recorder.count(Metric::Sent, summary.sent);
    recorder.count(Metric::Repaired, summary.repaired);
    recorder.count(Metric::Held, summary.held);
    recorder.count(Metric::FunctionFaults, summary.faults);
}
