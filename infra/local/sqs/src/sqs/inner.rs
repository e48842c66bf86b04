//! What the handles of one server share: the engine under its lock, the journal, the clock, and whom to wake.
//! Every call goes through `run`, which keeps the order of the state and the order of the journal the same.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::engine::Engine;
use crate::error::SqsError;
use crate::journal::{Durability, Journal, JournalError, Opened};
use crate::settings::{NowMs, Settings};

pub(crate) struct Inner {
    pub(super) state: Mutex<State>,
    pub(super) journal: Journal,
    pub(super) now: NowMs,
    pub(super) settings: Arc<Settings>,
    /// Waiting receives look again: time was moved, the journal failed, the server closes.
    pub(super) look_again: Notify,
    /// The timer looks again at what is due.
    pub(crate) reschedule: Arc<Notify>,
    pub(super) closed: AtomicBool,
    pub(super) requests: AtomicU64,
    pub(super) torn_bytes: u64,
}

pub(super) struct State {
    pub(super) engine: Engine,
    /// One per queue: something became visible.
    wakes: Vec<Arc<Notify>>,
    /// When the timer will look by itself.
    timer_at_ms: Option<i64>,
}

/// What a call did to the engine, and the place in the journal that makes it durable.
pub(super) struct Done<T> {
    pub(super) value: T,
    pub(super) position: u64,
}

impl Inner {
    pub(super) fn new(opened: Opened, settings: Arc<Settings>, now: NowMs) -> Self {
        let Opened {
            journal,
            engine,
            torn_bytes,
        } = opened;
        let wakes = engine.queue_names().map(|_| Arc::default()).collect();
        Self {
            state: Mutex::new(State {
                engine,
                wakes,
                timer_at_ms: None,
            }),
            journal,
            now,
            settings,
            look_again: Notify::new(),
            reschedule: Arc::default(),
            closed: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            torn_bytes,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self, queue: &str) -> Result<(u32, Arc<Notify>), SqsError> {
        let state = self.state();
        let number = state.engine.queue_number(queue)?;
        let wake = state.wakes.get(number as usize).ok_or(SqsError::QueueDoesNotExist)?;
        Ok((number, Arc::clone(wake)))
    }

    /// Runs one call on the engine: under the lock, with the time, its frames appended in order.
    pub(super) fn run<T>(
        &self,
        durability: Durability,
        call: impl FnOnce(&mut Engine, i64) -> Result<T, SqsError>,
    ) -> Result<Done<T>, SqsError> {
        if let Some(error) = self.journal.failure() {
            return Err(SqsError::Unavailable(error));
        }
        if self.closed.load(Ordering::SeqCst) {
            return Err(SqsError::Closed);
        }
        let mut state = self.state();
        // Inside the lock: the engine's calls see the time in the order in which they are made.
        let now_ms = (self.now)();
        let value = call(&mut state.engine, now_ms);
        let position = self.after(&mut state, durability);
        Ok(Done {
            value: value?,
            position,
        })
    }

    /// Hands the frames of a call to the journal and wakes whom it concerns.
    fn after(&self, state: &mut State, durability: Durability) -> u64 {
        if let Some(fault) = state.engine.take_fault() {
            self.journal.fail(JournalError::Encode(fault));
        }
        let frames = state.engine.take_outbox();
        let position = self.journal.append(frames, durability, state.engine.stored_bytes());
        let queues = state.engine.queue_names().count();
        state.wakes.resize_with(queues, Arc::default);
        for number in state.engine.take_woken() {
            if let Some(wake) = state.wakes.get(number) {
                wake.notify_waiters();
            }
        }
        let next_ms = state.engine.next_timer_ms();
        if let Some(next_ms) = next_ms
            && state.timer_at_ms.is_none_or(|at_ms| next_ms < at_ms)
        {
            state.timer_at_ms = Some(next_ms);
            self.reschedule.notify_one();
        }
        position
    }

    pub(super) async fn settle(&self, position: u64, durability: Durability) -> Result<(), SqsError> {
        self.journal
            .settle(position, durability)
            .await
            .map_err(SqsError::Unavailable)
    }

    pub(super) fn tick(&self) -> bool {
        self.run(Durability::Written, |engine, now_ms| Ok(engine.tick(now_ms)))
            .is_ok_and(|done| done.value)
    }

    pub(super) fn give_back(&self) -> usize {
        let given = self.run(Durability::Written, |engine, now_ms| Ok(engine.give_back(now_ms)));
        self.tick();
        given.map_or(0, |done| done.value)
    }

    /// The timer's turn: does what is due and answers how long it may sleep. `None`: until it is told.
    pub(crate) fn timer_turn(&self) -> Option<Duration> {
        if self.closed.load(Ordering::SeqCst) || self.journal.failure().is_some() {
            return None;
        }
        if self.tick() {
            return Some(Duration::ZERO);
        }
        let mut state = self.state();
        state.timer_at_ms = state.engine.next_timer_ms();
        let left_ms = state.timer_at_ms?.saturating_sub((self.now)());
        Some(self.real(left_ms))
    }

    /// How long it really takes until so much has passed by the clock; not at all if it has.
    pub(super) fn real(&self, left_ms: i64) -> Duration {
        Duration::from_millis(left_ms.max(0).unsigned_abs()).div_f64(self.settings.clock_rate)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The timer holds this alone now; let it see that the server is gone.
        self.reschedule.notify_one();
    }
}
