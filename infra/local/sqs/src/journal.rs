//! The journal: an append-only file of records, shared syncs, and a lock that keeps other processes out.
//! It never acknowledges what is not on disk, and after the first error it takes nothing more.

mod medium;
mod open;
mod rewrite;
mod syncs;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

pub(crate) use medium::Medium;
pub(crate) use open::{Opened, open};

/// The journal's file in its folder.
pub(crate) const JOURNAL_FILE: &str = "journal";
/// The next journal while it is written; left over after a crash, it means nothing.
const REWRITE_FILE: &str = "journal.new";
/// What the last opening cut off the journal's end, kept for whoever wants to look.
const TORN_FILE: &str = "journal.torn";
const LOCK_FILE: &str = "lock";

/// What can go wrong with the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has the folder open.
    #[error("the queue folder {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The file is no journal, or its first record is damaged: nothing in it can be trusted, and nothing is cut.
    #[error("{} is not a queue journal, or is damaged from its beginning", .0.display())]
    NotAJournal(PathBuf),
    /// The file was written by another version.
    #[error("the queue journal has format {0}, which this version does not read")]
    UnknownFormat(u32),
    /// A record is whole, and this version does not know it: a newer one wrote it. Nothing is cut.
    #[error("the queue journal has a record, at byte {0}, that this version does not read")]
    UnknownRecord(u64),
    /// The folder could not be opened or prepared.
    #[error("cannot open the queue folder {}", .path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A write failed: disk full, or worse.
    #[error("cannot write the queue journal")]
    Write(#[source] io::Error),
    /// A sync failed: what was written may not be on disk.
    #[error("cannot sync the queue journal")]
    Sync(#[source] io::Error),
    /// The journal could not be rewritten; it goes on growing.
    #[error("cannot rewrite the queue journal")]
    Rewrite(#[source] io::Error),
    /// A record could not be encoded.
    #[error("cannot encode a record of the queue journal")]
    Encode(#[source] postcard::Error),
    /// The journal was closed.
    #[error("the queue journal is closed")]
    Closed,
}

/// How sure an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// In the file: survives the process, not the machine.
    Written,
    /// On disk.
    Synced,
}

/// The journal's size and health, for people and tests.
#[derive(Debug, Clone, Default)]
pub struct JournalState {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes that a rewrite would leave, roughly.
    pub live_bytes: u64,
    /// Syncs so far; one may have served many.
    pub syncs: u64,
    /// Rewrites so far.
    pub rewrites: u64,
    /// Why the last rewrite failed, if it did. The queues work on; the file grows.
    pub rewrite_error: Option<Arc<JournalError>>,
}

/// How far the file is written, and how far it is on disk, in bytes appended since the journal was opened.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    written: u64,
    synced: u64,
    ended: bool,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    end: u64,
    sync_to: u64,
    closing: bool,
    /// The rewriting thread is done.
    rewritten: bool,
}

/// What the callers and the writer share.
#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Condvar,
    progress: watch::Sender<Progress>,
    failure: watch::Sender<Option<Arc<JournalError>>>,
    live_bytes: AtomicU64,
    file_bytes: AtomicU64,
    /// A rewrite under way is not worth waiting for.
    stopping: AtomicBool,
    state: Mutex<JournalState>,
}

/// The journal of one store.
#[derive(Debug)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<File>>,
}

impl Journal {
    /// Appends frames; `position` in the answer is what [`Journal::settle`] waits for. Appends are in call order, so
    /// call it under the lock that ordered the frames.
    pub(crate) fn append(&self, frames: Vec<u8>, durability: Durability, live_bytes: u64) -> u64 {
        self.shared.live_bytes.store(live_bytes, Ordering::Relaxed);
        let mut pending = self.shared.pending();
        pending.end += frames.len() as u64;
        if pending.bytes.is_empty() {
            pending.bytes = frames;
        } else {
            pending.bytes.extend_from_slice(&frames);
        }
        if durability == Durability::Synced {
            pending.sync_to = pending.end;
        }
        self.shared.wake.notify_one();
        pending.end
    }

    /// Waits until everything up to `position` is as durable as asked.
    pub(crate) async fn settle(&self, position: u64, durability: Durability) -> Result<(), Arc<JournalError>> {
        let reached = |progress: &Progress| match durability {
            Durability::Written => progress.written >= position,
            Durability::Synced => progress.synced >= position,
        };
        let mut progress = self.shared.progress.subscribe();
        let end = progress
            .wait_for(|progress| reached(progress) || progress.ended)
            .await
            .map(|progress| *progress);
        match end {
            Ok(progress) if reached(&progress) => Ok(()),
            _ => Err(self.failure().unwrap_or_else(|| Arc::new(JournalError::Closed))),
        }
    }

    /// Why the journal takes nothing more, if so.
    pub(crate) fn failure(&self) -> Option<Arc<JournalError>> {
        self.shared.failure.borrow().clone()
    }

    /// Resolves when the journal fails; never otherwise.
    pub(crate) async fn failed(&self) -> Arc<JournalError> {
        let mut failure = self.shared.failure.subscribe();
        let failed = failure
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|error| error.clone());
        failed.unwrap_or_else(|| Arc::new(JournalError::Closed))
    }

    /// Takes nothing more, for a reason found outside.
    pub(crate) fn fail(&self, error: JournalError) {
        self.shared.fail(error);
    }

    pub(crate) fn state(&self) -> JournalState {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        state.file_bytes = self.shared.file_bytes.load(Ordering::Relaxed);
        state.live_bytes = self.shared.live_bytes.load(Ordering::Relaxed);
        state
    }

    /// Writes and syncs what is pending, ends the writer and lets go of the folder. Blocks; may be called again.
    pub(crate) fn close(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.pending().closing = true;
        self.shared.wake.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has left `ended` behind it, which every waiter sees.
            let _ = writer.join();
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn new(file_bytes: u64) -> Self {
        Self {
            pending: Mutex::default(),
            wake: Condvar::new(),
            progress: watch::Sender::new(Progress::default()),
            failure: watch::Sender::new(None),
            live_bytes: AtomicU64::new(file_bytes),
            file_bytes: AtomicU64::new(file_bytes),
            stopping: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever waits how far the file is.
    fn reached(&self, how_far: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(how_far);
    }

    /// Tells whoever waits that nothing more comes.
    fn ended(&self) {
        self.reached(|progress| progress.ended = true);
    }

    fn note(&self, change: impl FnOnce(&mut JournalState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn fail(&self, error: JournalError) {
        // The first error is the cause; what follows are consequences.
        self.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            if is_first {
                *failure = Some(Arc::new(error));
            }
            is_first
        });
    }
}
