//! The queue server as a handle: the engine under a lock, the journal behind it, the clock in front, timers and waiting
//! receives around it. It decides nothing about messages; the engine does.

mod inner;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::Engine;
use crate::error::SqsError;
use crate::journal::{self, Durability, JournalError, JournalState, Medium, Opened};
use crate::message::{Counts, Outgoing, Received, Sent};
use crate::settings::{NowMs, Settings};
use crate::timer;

pub(crate) use inner::Inner;

/// The queue server of one folder. Cheap to clone; the last clone that goes writes what is pending.
#[derive(Clone)]
pub struct Sqs {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Sqs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqs")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl Sqs {
    /// Opens the store in `folder`, making it if need be. Call it inside a tokio runtime with time: it starts a timer.
    ///
    /// # Errors
    /// The folder is in use by another process, is not readable, or holds something that is no journal of this version.
    pub async fn open(folder: impl Into<PathBuf>, settings: Settings, now: NowMs) -> Result<Self, JournalError> {
        Self::open_on(folder, settings, now, |file| Arc::new(file)).await
    }

    pub(crate) async fn open_on(
        folder: impl Into<PathBuf>,
        settings: Settings,
        now: NowMs,
        wrap: impl FnOnce(File) -> Arc<dyn Medium> + Send + 'static,
    ) -> Result<Self, JournalError> {
        let folder: PathBuf = folder.into();
        let settings = Arc::new(settings);
        let opening = {
            let (folder, settings) = (folder.clone(), Arc::clone(&settings));
            move || journal::open(&folder, settings, wrap)
        };
        let opened = tokio::task::spawn_blocking(opening).await;
        let opened = opened.map_err(|error| lost(&folder, error))??;
        Ok(Self::start(opened, settings, now))
    }

    fn start(opened: Opened, settings: Arc<Settings>, now: NowMs) -> Self {
        let inner = Arc::new(Inner::new(opened, settings, now));
        tokio::spawn(timer::run(Arc::downgrade(&inner), Arc::clone(&inner.reschedule)));
        Self { inner }
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Bytes that the opening cut off the journal's end, kept beside it in `journal.torn`; nothing in them was acknowledged
    /// unless the disk itself is damaged. Worth a line in the log.
    #[must_use]
    pub fn torn_bytes(&self) -> u64 {
        self.inner.torn_bytes
    }

    // Life.

    /// Whether it still takes calls.
    ///
    /// # Errors
    /// Why the journal failed. It stays failed: end the process, free the disk, start again.
    pub fn health(&self) -> Result<(), Arc<JournalError>> {
        self.inner.journal.failure().map_or(Ok(()), Err)
    }

    /// Resolves when the journal fails, with the reason; never otherwise. For a process that has to end then.
    pub async fn failed(&self) -> Arc<JournalError> {
        self.inner.journal.failed().await
    }

    /// The journal's size and what it did.
    #[must_use]
    pub fn journal_state(&self) -> JournalState {
        self.inner.journal.state()
    }

    /// Ends waiting receives, writes what is pending and lets go of the folder. Every later call is refused.
    pub async fn close(&self) {
        self.inner.closed.store(true, Ordering::SeqCst);
        self.inner.look_again.notify_waiters();
        let inner = Arc::clone(&self.inner);
        // Fails only if the runtime is shutting down; then the drop of the journal does it.
        let _ = tokio::task::spawn_blocking(move || inner.journal.close()).await;
    }

    // Time.

    /// To be called after the clock was moved: what is due by it is done before this returns, and waiting receives look again.
    pub fn time_moved(&self) {
        while self.tick() {}
        self.inner.look_again.notify_waiters();
        self.inner.reschedule.notify_one();
    }

    /// Does what is due: delays and visibility timeouts that ended, retention, redrive. The timer calls it at each deadline.
    /// Answers whether there is more.
    pub fn tick(&self) -> bool {
        self.inner.tick()
    }

    /// Makes visible at once what was received and neither deleted nor given another visibility since. For the start of a
    /// process that is the only receiver: whoever had those messages ended with the last one. Answers how many.
    pub fn give_back(&self) -> usize {
        self.inner.give_back()
    }

    /// The earliest time, Unix milliseconds, at which a delayed or in-flight message becomes visible.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        self.inner.state().engine.next_visible_ms()
    }

    // Queues.

    /// Makes a queue, or finds it there with the given attributes. Answers its URL.
    ///
    /// # Errors
    /// A name or attribute that SQS refuses; a queue of that name with other attributes.
    pub async fn create_queue(&self, name: &str, attributes: &BTreeMap<String, String>) -> Result<String, SqsError> {
        self.durably(|engine, now_ms| engine.create_queue(now_ms, name, attributes))
            .await?;
        Ok(self.inner.settings.url(name))
    }

    /// The names of all queues, sorted.
    #[must_use]
    pub fn queue_names(&self) -> Vec<String> {
        self.inner
            .state()
            .engine
            .queue_names()
            .map(ToString::to_string)
            .collect()
    }

    /// How many messages of a queue stand where.
    ///
    /// # Errors
    /// No such queue.
    pub fn counts(&self, queue: &str) -> Result<Counts, SqsError> {
        let counted = self.inner.run(Durability::Written, |engine, now_ms| {
            let number = engine.queue_number(queue)?;
            engine.counts(now_ms, number)
        });
        Ok(counted?.value)
    }

    // Messages.

    /// Sends messages; each is on disk, or has its own error. No limit on their number or total size.
    ///
    /// # Errors
    /// No such queue, or the journal failed: then nothing is acknowledged.
    pub async fn send_batch(
        &self,
        queue: &str,
        messages: Vec<Outgoing>,
    ) -> Result<Vec<Result<Sent, SqsError>>, SqsError> {
        self.durably(|engine, now_ms| {
            let number = engine.queue_number(queue)?;
            Ok(messages
                .into_iter()
                .map(|message| engine.send(now_ms, number, message))
                .collect())
        })
        .await
    }

    /// Receives up to `max` messages, waiting up to `wait_ms` for the first. `visibility_s` overrides the queue's timeout.
    ///
    /// # Errors
    /// No such queue, a timeout out of bounds, or the journal failed.
    pub async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait_ms: i64,
        visibility_s: Option<u32>,
    ) -> Result<Vec<Received>, SqsError> {
        match self.receive_or_over_limit(queue, max, wait_ms, visibility_s).await {
            Err(SqsError::OverLimit) => Ok(Vec::new()),
            received => received,
        }
    }

    /// As [`Sqs::receive`]; a receive that does not wait and finds only the in-flight limit fails with `OverLimit`.
    pub(crate) async fn receive_or_over_limit(
        &self,
        queue: &str,
        max: usize,
        wait_ms: i64,
        visibility_s: Option<u32>,
    ) -> Result<Vec<Received>, SqsError> {
        if let Some(seconds) = visibility_s {
            crate::limits::in_bounds("VisibilityTimeout", i64::from(seconds), 0, crate::limits::VISIBILITY_S)?;
        }
        let (number, wake) = self.inner.wake(queue)?;
        let deadline_ms = (self.inner.now)().saturating_add(wait_ms);
        loop {
            // Listening starts before the look, so nothing that becomes visible between the two is missed.
            let (mut woken, mut moved) = (
                std::pin::pin!(wake.notified()),
                std::pin::pin!(self.inner.look_again.notified()),
            );
            woken.as_mut().enable();
            moved.as_mut().enable();
            let done = self.inner.run(Durability::Written, |engine, now_ms| {
                engine.receive(now_ms, number, max, visibility_s)
            })?;
            let taken = done.value;
            if !taken.messages.is_empty() {
                self.inner.settle(done.position, Durability::Written).await?;
                return Ok(taken.messages);
            }
            if taken.unfinished {
                tokio::task::yield_now().await;
                continue;
            }
            let left_ms = deadline_ms.saturating_sub((self.inner.now)());
            if left_ms <= 0 {
                return if taken.over_limit && wait_ms <= 0 {
                    Err(SqsError::OverLimit)
                } else {
                    Ok(Vec::new())
                };
            }
            tokio::select! {
                () = woken => {}
                () = moved => {}
                _ = self.inner.journal.failed() => {}
                // With a stepped clock this only looks once too often; the clock decides.
                () = tokio::time::sleep(self.inner.real(left_ms)) => {}
            }
        }
    }

    /// Deletes messages by their handles, each with its own answer. A stale handle deletes nothing and is no error.
    ///
    /// # Errors
    /// No such queue, or the journal failed.
    pub async fn delete_batch<H: AsRef<str>>(
        &self,
        queue: &str,
        handles: &[H],
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        self.durably(|engine, _| {
            let number = engine.queue_number(queue)?;
            Ok(handles
                .iter()
                .map(|handle| engine.delete(number, handle.as_ref()))
                .collect())
        })
        .await
    }

    /// Makes messages in flight visible the given seconds from now, each with its own answer.
    ///
    /// # Errors
    /// No such queue, or the journal failed.
    pub async fn change_visibility_batch<H: AsRef<str>>(
        &self,
        queue: &str,
        changes: &[(H, i64)],
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        self.written(|engine, now_ms| {
            let number = engine.queue_number(queue)?;
            let change =
                |(handle, seconds): &(H, i64)| engine.change_visibility(now_ms, number, handle.as_ref(), *seconds);
            Ok(changes.iter().map(change).collect())
        })
        .await
    }

    /// Moves the visible messages of a dead-letter queue to `target`, or each back to where it came from. They are new
    /// messages there. Answers how many when all are on disk.
    ///
    /// # Errors
    /// No such queue, the source is nobody's dead-letter queue, or the journal failed.
    pub async fn move_messages(&self, source: &str, target: Option<&str>) -> Result<usize, SqsError> {
        let started = self.inner.run(Durability::Written, |engine, _| {
            let number = |name| engine.queue_number(name);
            let (source, target) = (number(source)?, target.map(number).transpose()?);
            engine.check_move_task(source, target)?;
            Ok((source, target, engine.move_horizon()))
        })?;
        let (source, target, horizon) = started.value;
        let mut moved = 0;
        loop {
            let step = |engine: &mut Engine, now_ms| engine.move_some(now_ms, source, target, horizon);
            let (n, more) = self.durably(step).await?;
            moved += n;
            if !more {
                return Ok(moved);
            }
        }
    }

    /// An id for a request: unique in this process, and not secret.
    pub(crate) fn next_request_id(&self) -> String {
        let n = self.inner.requests.fetch_add(1, Ordering::Relaxed);
        crate::digest::message_id(!self.inner.settings.id_seed, n)
    }

    /// Runs on the engine and answers when it is on disk.
    pub(crate) async fn durably<T>(
        &self,
        call: impl FnOnce(&mut Engine, i64) -> Result<T, SqsError>,
    ) -> Result<T, SqsError> {
        let done = self.inner.run(Durability::Synced, call)?;
        self.inner.settle(done.position, Durability::Synced).await?;
        Ok(done.value)
    }

    /// Runs on the engine and answers when it is in the journal: the end of the process cannot undo it.
    pub(crate) async fn written<T>(
        &self,
        call: impl FnOnce(&mut Engine, i64) -> Result<T, SqsError>,
    ) -> Result<T, SqsError> {
        let done = self.inner.run(Durability::Written, call)?;
        self.inner.settle(done.position, Durability::Written).await?;
        Ok(done.value)
    }

    /// Reads from the engine.
    pub(crate) fn look<T>(&self, call: impl FnOnce(&mut Engine, i64) -> Result<T, SqsError>) -> Result<T, SqsError> {
        Ok(self.inner.run(Durability::Written, call)?.value)
    }
}

/// The opening ended without an answer: the runtime is going down, or it panicked.
fn lost(folder: &Path, error: tokio::task::JoinError) -> JournalError {
    JournalError::Open {
        path: folder.to_owned(),
        source: std::io::Error::other(error),
    }
}
