//! The two threads behind [`Dynamo`](super::Dynamo): one runs operations, one makes them durable. Never lets an answer
//! out that tells of something which is not on disk.
//!
//! The executor takes calls, of each caller in turn, and runs them on SQLite, whose commits (`synchronous=NORMAL`)
//! write to the write-ahead log without syncing it. The settler takes everything that was executed meanwhile, syncs
//! the log once, and sends all of those answers. While it syncs, the executor goes on: the longer a sync takes, the
//! more writes share the next one.
//!
//! A read is answered by the executor at once if every write executed before it is on disk. If not, it may have seen
//! one that is not, and goes through the settler like a write; so does a refused condition, which shows an item too.
//! Therefore nobody acts on anything that a power failure could take back.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use bytes::Bytes;
use dynoxide::Database;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task;

use super::operation::{Operation, internal_error, is_storage_failure};
use super::turns::Turns;
use crate::connector::Answer;

/// Calls that the executor has taken and not executed: beyond them callers wait to get in.
const MAX_TAKEN: usize = 1024;

/// Executed calls that may wait for the disk; then the executor waits too.
pub(super) const MAX_UNSETTLED: usize = 1024;

/// Why the storage cannot be relied on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageFailure {
    /// The engine could not carry out an operation: disk full, I/O error, file locked or damaged. What was
    /// acknowledged is unharmed, other operations are still tried.
    #[error("DynamoDB's storage failed in {operation}: {reason}")]
    Operation {
        /// The operation, by its name in the API.
        operation: String,
        /// The engine's answer.
        reason: String,
    },
    /// The log could not be synced. What was not yet acknowledged may be lost, and a later sync proves nothing, for
    /// the kernel drops what it could not write; nothing is answered any more.
    #[error("DynamoDB's log cannot be written to disk")]
    Sync(#[source] Arc<io::Error>),
    /// The engine panicked; it may be between two states, so nothing is answered any more.
    #[error("DynamoDB's engine failed in {operation}")]
    Panicked {
        /// The operation, by its name in the API.
        operation: String,
    },
}

/// What both threads and the callers know of the storage.
#[derive(Debug)]
pub(super) struct State {
    /// The first failure; it stays.
    pub(super) failure: watch::Sender<Option<StorageFailure>>,
    /// How many writes are on disk, counted from the start.
    on_disk: AtomicU64,
    /// Set when nothing may be answered any more.
    lost: AtomicBool,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            failure: watch::Sender::new(None),
            on_disk: AtomicU64::new(0),
            lost: AtomicBool::new(false),
        }
    }

    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    fn lose(&self, failure: StorageFailure) {
        self.lost.store(true, Ordering::Release);
        self.report(failure);
    }

    fn report(&self, failure: StorageFailure) {
        self.failure.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                tracing::error!(error = %failure, "dynamodb.storage_failed");
                *first = Some(failure);
            }
            is_first
        });
    }
}

/// One request that waits to be executed.
pub(super) struct Call {
    /// The task that asks; `None`: it is none of the runtime's.
    pub(super) caller: Option<task::Id>,
    pub(super) operation: Operation,
    pub(super) body: Bytes,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// One request that was executed and waits for the disk.
pub(super) struct Executed {
    answer: Answer,
    reply: oneshot::Sender<Answer>,
    /// How many writes had been executed when this answer was made: it may go out when they are on disk.
    writes: u64,
}

/// Runs operations, one after the other.
pub(super) struct Executor {
    db: Database,
    state: Arc<State>,
    /// To the settler; none for a database in memory, where nothing is durable.
    unsettled: Option<SyncSender<Executed>>,
    writes: u64,
}

impl Executor {
    pub(super) const fn new(db: Database, state: Arc<State>, unsettled: Option<SyncSender<Executed>>) -> Self {
        Self {
            db,
            state,
            unsettled,
            writes: 0,
        }
    }

    /// Executes calls until no caller is left.
    pub(super) fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        let mut turns = Turns::new();
        while let Some(call) = calls.blocking_recv() {
            turns.push(call.caller, call);
            loop {
                while turns.len() < MAX_TAKEN
                    && let Ok(call) = calls.try_recv()
                {
                    turns.push(call.caller, call);
                }
                let Some(call) = turns.next() else { break };
                self.execute(call);
            }
        }
    }

    fn execute(&mut self, call: Call) {
        let Call {
            operation, body, reply, ..
        } = call;
        if self.state.is_lost() {
            return send(reply, internal_error("the storage has failed"));
        }
        // A panic must not end the thread: every caller would wait for a queue that nobody empties.
        let answer = catch_unwind(AssertUnwindSafe(|| operation.perform(&self.db, &body))).unwrap_or_else(|_| {
            self.state.lose(StorageFailure::Panicked {
                operation: operation.to_string(),
            });
            internal_error("the engine failed")
        });
        if is_storage_failure(&answer) {
            let reason = String::from_utf8_lossy(&answer.body).into_owned();
            self.state.report(StorageFailure::Operation {
                operation: operation.to_string(),
                reason,
            });
        }
        if operation.writes() {
            self.writes += 1;
        }
        match &self.unsettled {
            Some(unsettled) if self.state.on_disk.load(Ordering::Acquire) < self.writes => {
                if let Err(refused) = unsettled.send(Executed {
                    answer,
                    reply,
                    writes: self.writes,
                }) {
                    send(refused.0.reply, internal_error("the storage is closing"));
                }
            }
            _ => send(reply, answer),
        }
    }
}

/// Makes executed operations durable, as many as wait at a time.
pub(super) struct Settler<S> {
    state: Arc<State>,
    executed: Receiver<Executed>,
    /// Returns when everything that was written to the log before is on disk; told how many writes that are at least.
    sync: S,
}

impl<S: FnMut(u64) -> io::Result<()>> Settler<S> {
    pub(super) const fn new(state: Arc<State>, executed: Receiver<Executed>, sync: S) -> Self {
        Self { state, executed, sync }
    }

    /// Settles until the executor has ended and nothing waits any more.
    pub(super) fn run(mut self) {
        while self.settle() {}
    }

    /// Waits for an executed call, then settles all that are there with one sync. False if none will come any more.
    fn settle(&mut self) -> bool {
        let Ok(first) = self.executed.recv() else { return false };
        let mut batch = vec![first];
        batch.extend(self.executed.try_iter());
        let writes = batch.last().map_or(0, |last| last.writes);
        // Everything in the batch was written before this sync began, for the executor sends after it wrote.
        if !self.state.is_lost()
            && let Err(error) = (self.sync)(writes)
        {
            self.state.lose(StorageFailure::Sync(Arc::new(error)));
        }
        if self.state.is_lost() {
            for executed in batch {
                send(executed.reply, internal_error("the log cannot be written to disk"));
            }
            return true;
        }
        self.state.on_disk.store(writes, Ordering::Release);
        for executed in batch {
            send(executed.reply, executed.answer);
        }
        true
    }
}

/// A caller that no longer waits has cancelled its request: the outcome stands, nobody is told.
fn send(reply: oneshot::Sender<Answer>, answer: Answer) {
    drop(reply.send(answer));
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
