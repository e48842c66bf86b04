//! Notices that the process stood still. Between two invocations AWS Lambda freezes the whole environment; what
//! receivers do to idle connections meanwhile is not seen, or one write too late. So connections from before a
//! freeze are not used after it, and a request that a freeze fell into is not held against its receiver.
//!
//! A task looks at the wall's clock every [`TICK`]. A gap of [`FREEZE_MS`] between two looks means that nobody was
//! there to look: a freeze (or a stopped, or a starved process). A merely idle process keeps ticking, so a receiver
//! that closes connections on a process that runs is never mistaken for a freeze.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redial_domain::Timestamp;
use tokio::task::JoinHandle;

use crate::settings::WallClock;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(500);

/// A gap between two looks from which on the process counts as having been frozen. Common servers close idle
/// connections after 2 s and more.
const FREEZE_MS: i64 = 2_000;

/// How many freezes there were: two equal counts mean that none lies between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd)]
pub(crate) struct Freezes(u64);

/// The watch of one [`crate::Egress`].
pub(crate) struct FreezeWatch {
    seen: Arc<Seen>,
    ticking: Mutex<Option<JoinHandle<()>>>,
}

struct Seen {
    clock: WallClock,
    state: Mutex<State>,
}

struct State {
    last_look: Timestamp,
    freezes: u64,
}

impl Seen {
    fn look(&self) -> Freezes {
        let now = (self.clock)();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.millis_since(state.last_look) >= FREEZE_MS {
            state.freezes += 1;
        }
        state.last_look = now;
        Freezes(state.freezes)
    }
}

impl FreezeWatch {
    pub(crate) fn new(clock: WallClock) -> Self {
        let state = Mutex::new(State {
            last_look: clock(),
            freezes: 0,
        });
        Self {
            seen: Arc::new(Seen { clock, state }),
            ticking: Mutex::new(None),
        }
    }

    /// Looks now, and keeps the task ticking. A task that ended with its runtime is started again; the gap since is
    /// taken for a freeze, as the connections of that runtime are gone too.
    pub(crate) fn look(&self) -> Freezes {
        let mut ticking = self.ticking.lock().unwrap_or_else(PoisonError::into_inner);
        if ticking.as_ref().is_none_or(JoinHandle::is_finished) {
            let seen = Arc::clone(&self.seen);
            *ticking = Some(tokio::spawn(async move {
                let mut ticks = tokio::time::interval(TICK);
                loop {
                    ticks.tick().await;
                    seen.look();
                }
            }));
        }
        drop(ticking);
        self.seen.look()
    }
}

impl Drop for FreezeWatch {
    fn drop(&mut self) {
        let mut ticking = self.ticking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = ticking.take() {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn stepped_clock() -> (Arc<AtomicI64>, WallClock) {
        let now = Arc::new(AtomicI64::new(1_000_000));
        let clock = Arc::clone(&now);
        (
            now,
            Arc::new(move || Timestamp::from_millis(clock.load(Ordering::Relaxed))),
        )
    }

    #[tokio::test]
    async fn a_gap_that_nobody_ticked_in_is_a_freeze() {
        let (now, clock) = stepped_clock();
        let watch = FreezeWatch::new(clock);
        let before = watch.look();
        assert_eq!(watch.look(), before);
        now.fetch_add(FREEZE_MS, Ordering::Relaxed);
        let after = watch.look();
        assert_ne!(after, before);
        assert_eq!(watch.look(), after);
    }

    #[tokio::test]
    async fn an_idle_process_is_not_a_frozen_one() {
        let (now, clock) = stepped_clock();
        let watch = FreezeWatch::new(clock);
        let before = watch.look();
        for _ in 0..10 {
            now.fetch_add(FREEZE_MS / 2, Ordering::Relaxed);
            watch.seen.look();
        }
        assert_eq!(watch.look(), before);
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_ticks_without_being_asked() {
        let (now, clock) = stepped_clock();
        let watch = FreezeWatch::new(clock);
        let before = watch.look();
        for _ in 0..10 {
            tokio::time::advance(TICK).await;
            tokio::task::yield_now().await;
            now.fetch_add(FREEZE_MS / 2, Ordering::Relaxed);
        }
        assert_eq!(watch.look(), before);
    }
}
