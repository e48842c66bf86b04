//! Every minute: sends what is due, repairs what a crash left unsent, counts hours and calls. Beside it the dead-letter
//! intake, which concludes what the dispatcher could not, and never sends.

mod due;
mod intake;
mod repair;
mod rollup;

use redial_domain::retry::RetryPolicy;
use redial_platform::cache::ConfigCache;
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
    clock: Clock,
    default_retry: RetryPolicy,
    asker: Asker,
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
    /// Deliveries recorded beyond those matched, or the other way: anything but 0 is a fault.
    pub ledger_difference: i64,
    /// Milliseconds that the oldest due delivery was late.
    pub due_lag_ms: i64,
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
    pub fn new(store: Store, queues: Queues, clock: Clock, random: Random, default_retry: RetryPolicy) -> Self {
        let cache = ConfigCache::new(store.clone(), clock.clone(), random.clone());
        let asker = Asker {
            store: store.clone(),
            queues: queues.clone(),
            clock: clock.clone(),
            random,
        };
        Self {
            store,
            queues,
            cache,
            clock,
            default_retry,
            asker,
        }
    }

    /// One pass over everything.
    ///
    /// # Errors
    /// [`SweepError`] if the store or the queue failed; what was done stays done.
    pub async fn sweep(&self) -> Result<Summary, SweepError> {
        let mut summary = Summary::default();
        // Neither waits for the other: what is unreadable in one must not stop both.
        let due = self.send_due(&mut summary).await;
        let repaired = self.repair(&mut summary).await;
        tracing::info!(
            sent = summary.sent,
            continued = summary.continued,
            repaired = summary.repaired,
            removed = summary.removed,
            hours = summary.hours,
            ledger_difference = summary.ledger_difference,
            due_lag_ms = summary.due_lag_ms,
            "sweeper.pass"
        );
        due?;
        repaired?;
        Ok(summary)
    }
}
