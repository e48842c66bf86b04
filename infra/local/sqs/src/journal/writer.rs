//! The one thread that writes: it takes everything queued, writes it, and tells whoever waited for that. Those that wait for the
//! disk it leaves to `syncs`. After an error it writes nothing more; whoever waited for what is not on disk is told so.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use super::rewrite::{self, Rewritten};
use super::syncs::Syncs;
use super::{JournalError, Medium, Shared};
use crate::settings::Settings;

/// The writer's side of a journal.
pub(super) struct Writer {
    shared: Arc<Shared>,
    folder: PathBuf,
    medium: Arc<dyn Medium>,
    syncs: Arc<Syncs>,
    syncing: JoinHandle<()>,
    settings: Arc<Settings>,
    /// As [`super::Progress`] counts: what is written, and up to where it was asked for that it be on disk.
    written: u64,
    ordered: u64,
    file_bytes: u64,
    rewriting: Option<JoinHandle<Result<Rewritten, JournalError>>>,
    /// After a rewrite that failed, the size from which to try again.
    retry_at_bytes: u64,
}

/// What was queued when the writer looked.
struct Batch {
    bytes: Vec<u8>,
    end: u64,
    sync_to: u64,
    closing: bool,
    rewritten: bool,
}

impl Writer {
    /// Starts the thread that syncs.
    pub(super) fn new(
        shared: Arc<Shared>,
        folder: PathBuf,
        medium: Arc<dyn Medium>,
        file_bytes: u64,
        settings: Arc<Settings>,
    ) -> std::io::Result<Self> {
        let syncs = Arc::new(Syncs::new(Arc::clone(&medium)));
        let (its_own, told) = (Arc::clone(&syncs), Arc::clone(&shared));
        let syncing = std::thread::Builder::new().name("sqs-sync".to_owned());
        Ok(Self {
            syncing: syncing.spawn(move || its_own.run(&told))?,
            shared,
            folder,
            medium,
            syncs,
            settings,
            written: 0,
            ordered: 0,
            file_bytes,
            rewriting: None,
            retry_at_bytes: 0,
        })
    }

    pub(super) fn run(mut self) {
        // Told on every way out, a panic included: nobody may wait for a writer that is gone.
        let ended = Ended(Arc::clone(&self.shared), Arc::clone(&self.syncs));
        loop {
            self.rewrite_if_due();
            let batch = self.next_batch();
            let written = match batch.rewritten {
                true => self.write(&batch).and_then(|()| self.switch()),
                false => self.write(&batch),
            };
            if let Err(error) = written {
                self.shared.fail(error);
                break;
            }
            if batch.closing {
                break;
            }
        }
        self.syncs.end();
        // If it panicked, it has told everybody.
        let _ = self.syncing.join();
        drop(ended);
        if let Some(rewriting) = self.rewriting.take() {
            // Its file has no name yet; the next opening removes it.
            let _ = rewriting.join();
        }
    }

    fn next_batch(&self) -> Batch {
        let mut pending = self.shared.pending();
        while pending.bytes.is_empty() && pending.sync_to <= self.ordered && !pending.closing && !pending.rewritten {
            pending = self.shared.wake.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        Batch {
            bytes: std::mem::take(&mut pending.bytes),
            end: pending.end,
            sync_to: pending.sync_to,
            closing: pending.closing,
            rewritten: std::mem::take(&mut pending.rewritten),
        }
    }

    fn write(&mut self, batch: &Batch) -> Result<(), JournalError> {
        if self.shared.failure.borrow().is_some() {
            // Failed from outside: the state is ahead of the journal, so nothing more may be written. The cause is noted.
            return Err(JournalError::Closed);
        }
        if !batch.bytes.is_empty() {
            self.medium.append(&batch.bytes).map_err(JournalError::Write)?;
            self.file_bytes += batch.bytes.len() as u64;
            self.shared.file_bytes.store(self.file_bytes, Ordering::Release);
            self.written = batch.end;
        }
        let wanted = if batch.closing { self.written } else { batch.sync_to };
        self.ordered = self.ordered.max(wanted);
        // First the disk, which takes longer.
        self.syncs.order(self.written, self.ordered);
        if !batch.bytes.is_empty() {
            self.shared.reached(|progress| progress.written = batch.end);
        }
        Ok(())
    }

    /// Starts a rewrite when garbage dominates: the file then stays below twice the live bytes plus the setting.
    fn rewrite_if_due(&mut self) {
        let live_bytes = self.shared.live_bytes.load(Ordering::Relaxed);
        let limit = live_bytes.saturating_mul(2).saturating_add(self.settings.garbage_bytes);
        if self.rewriting.is_some() || self.file_bytes < limit || self.file_bytes < self.retry_at_bytes {
            return;
        }
        let (folder, settings, upto) = (self.folder.clone(), Arc::clone(&self.settings), self.file_bytes);
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name("sqs-rewrite".to_owned())
            .spawn(move || {
                let rewritten = rewrite::rewrite(&folder, settings, upto, &shared);
                shared.pending().rewritten = true;
                shared.wake.notify_one();
                rewritten
            });
        match thread {
            Ok(thread) => self.rewriting = Some(thread),
            Err(error) => self.rewrite_failed(JournalError::Rewrite(error)),
        }
    }

    /// The rewritten file takes the journal's place, with what was appended meanwhile.
    fn switch(&mut self) -> Result<(), JournalError> {
        let Some(rewriting) = self.rewriting.take() else {
            return Ok(());
        };
        let panicked = || JournalError::Rewrite(std::io::Error::other("the rewriting thread panicked"));
        let finished = rewriting.join().unwrap_or_else(|_| Err(panicked()));
        let finished = finished.and_then(|rewritten| rewritten.catch_up(&self.folder, self.file_bytes));
        match finished {
            Ok(rewritten) => {
                self.syncs.hold();
                // From the rename on the old file is no more: a failure here is a failure of the journal.
                let (file, bytes) = rewritten.publish(&self.folder)?;
                self.medium = Arc::new(file);
                self.syncs.go_on(Some(Arc::clone(&self.medium)));
                self.file_bytes = bytes;
                self.shared.file_bytes.store(bytes, Ordering::Release);
                self.retry_at_bytes = 0;
                self.shared.reached(|progress| progress.synced = self.written);
                self.shared.note(|state| {
                    state.rewrites += 1;
                    state.rewrite_error = None;
                });
            }
            Err(error) => self.rewrite_failed(error),
        }
        Ok(())
    }

    fn rewrite_failed(&mut self, error: JournalError) {
        self.retry_at_bytes = self.file_bytes.saturating_add(self.settings.garbage_bytes);
        self.shared.note(|state| state.rewrite_error = Some(Arc::new(error)));
    }
}

/// Tells the waiters that the writer is gone.
struct Ended(Arc<Shared>, Arc<Syncs>);

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(JournalError::Closed);
        }
        self.1.end();
        self.0.ended();
    }
}
