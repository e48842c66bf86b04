//! What time it is: the one place that asks the operating system, so that tests can step time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redial_domain::Timestamp;
use tokio::sync::oneshot;

/// A clock, cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The operating system's; of the fault build, as fast as `REDIAL_WARP` says (docs/RELIABILITY.md).
    #[default]
    System,
    /// Stands still until it is moved, or until everybody who works by it sleeps. For tests.
    Manual(Arc<Steps>),
}

/// A manual clock's time, and who waits for it to pass.
#[derive(Debug)]
pub struct Steps(Mutex<Standing>);

#[derive(Debug)]
struct Standing {
    now: Timestamp,
    /// Pieces of work under way ([`Clock::awake`]) that do not sleep.
    awake: usize,
    sleepers: Vec<(Timestamp, oneshot::Sender<()>)>,
}

/// A piece of work that is under way ([`Clock::awake`]).
#[derive(Debug)]
#[must_use]
pub struct Awake(Option<Arc<Steps>>);

impl Clock {
    /// A clock that stands at `start` until [`Clock::advance_to`] moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(Steps(Mutex::new(Standing {
            now: start,
            awake: 0,
            sleepers: Vec::new(),
        }))))
    }

    /// The moment it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::from_millis(system_ms()),
            Self::Manual(steps) => steps.standing().now,
        }
    }

    /// The moment it is for the operating system, also where everybody else's time runs faster: to measure by how long
    /// something really takes.
    #[must_use]
    pub fn wall() -> Timestamp {
        Timestamp::from_millis(real_us() / 1000)
    }

    /// How many milliseconds pass by this clock while really `real_ms` do: as many, but in the fault build. For moments by
    /// which something must be over that takes real time, such as a request with its timeout.
    #[must_use]
    pub fn span_ms(&self, real_ms: i64) -> i64 {
        #[cfg(feature = "failpoints")]
        if let (Self::System, Some(warp)) = (self, warp()) {
            return warp.span_ms(real_ms);
        }
        real_ms
    }

    /// How long it really takes until so much has passed by this clock: as long, but in the fault build. A manual clock's
    /// time passes when it is told to; nobody sleeps for it.
    #[must_use]
    pub fn real(&self, span: Duration) -> Duration {
        #[cfg(feature = "failpoints")]
        if let (Self::System, Some(warp)) = (self, warp()) {
            return warp.real(span);
        }
        span
    }

    /// How many of this clock's milliseconds pass in a real one.
    #[must_use]
    pub fn rate(&self) -> f64 {
        #[cfg(feature = "failpoints")]
        if let (Self::System, Some(warp)) = (self, warp()) {
            return warp.rate();
        }
        1.0
    }

    /// Whether `REDIAL_WARP` can be obeyed. To be asked once, at the start: a clock has nobody to tell.
    ///
    /// # Errors
    /// [`crate::warp::InvalidWarp`] says what cannot be understood.
    #[cfg(feature = "failpoints")]
    pub fn check() -> Result<(), &'static crate::warp::InvalidWarp> {
        crate::warp::told(real_us).as_ref().map(|_| ())
    }

    /// Moves a manual clock forward to `moment`; never back. The system's clock does not move.
    pub fn advance_to(&self, moment: Timestamp) {
        if let Self::Manual(steps) = self {
            steps.standing().move_to(moment);
        }
    }

    /// Says that a piece of work is under way, until the answer is dropped. A manual clock moves to the earliest moment that
    /// somebody sleeps for once all such work sleeps or is done, and never before: what is at work then finds the time as it
    /// was. The system's clock does not care.
    pub fn awake(&self) -> Awake {
        match self {
            Self::System => Awake(None),
            Self::Manual(steps) => {
                steps.standing().awake += 1;
                Awake(Some(Arc::clone(steps)))
            }
        }
    }

    /// Waits until `moment`, not at all if it has passed.
    pub async fn sleep_until(&self, moment: Timestamp) {
        match self {
            Self::System => {
                let left_ms = u64::try_from(moment.millis_since(self.now())).unwrap_or(0);
                if left_ms > 0 {
                    tokio::time::sleep(self.real(Duration::from_millis(left_ms))).await;
                }
            }
            Self::Manual(steps) => {
                let sleeping = steps.standing().sleep_until(moment);
                if let Some(woken) = sleeping {
                    // A sender that is gone took its clock along: nothing to wait for.
                    let _ = woken.await;
                }
            }
        }
    }
}

impl Steps {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn move_to(&mut self, moment: Timestamp) {
        self.now = self.now.max(moment);
        for (until, sleeper) in std::mem::take(&mut self.sleepers) {
            if until > self.now {
                self.sleepers.push((until, sleeper));
            } else if sleeper.send(()).is_ok() {
                // Counted before it runs: nobody may move the clock on in between.
                self.awake += 1;
            }
        }
    }

    fn sleep_until(&mut self, moment: Timestamp) -> Option<oneshot::Receiver<()>> {
        if moment <= self.now {
            return None;
        }
        let (sleeper, woken) = oneshot::channel();
        self.sleepers.push((moment, sleeper));
        self.one_less();
        Some(woken)
    }

    fn one_less(&mut self) {
        self.awake = self.awake.saturating_sub(1);
        while self.awake == 0
            && let Some(earliest) = self.sleepers.iter().map(|(until, _)| *until).min()
        {
            self.move_to(earliest);
        }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        if let Some(steps) = &self.0 {
            steps.standing().one_less();
        }
    }
}

/// What the fault tool told this process.
#[cfg(feature = "failpoints")]
fn warp() -> Option<crate::warp::Warp> {
    crate::warp::told(real_us).as_ref().ok().copied().flatten()
}

fn system_ms() -> i64 {
    #[cfg(feature = "failpoints")]
    if let Some(warp) = warp() {
        return warp.now_ms(real_us());
    }
    real_us() / 1000
}

#[expect(clippy::disallowed_methods, reason = "the one call: everybody else takes a Clock")]
fn real_us() -> i64 {
    // A clock before 1970 reads as 1970: nothing can be right then, and nothing should panic.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;

    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_when_all_who_work_by_it_sleep() {
        let at = Timestamp::from_millis;
        let clock = Clock::manual(at(0));
        let (first, second) = (clock.awake(), clock.awake());
        let one = async {
            clock.sleep_until(at(200)).await;
            let woken = clock.now();
            drop(first);
            woken
        };
        let two = async {
            clock.sleep_until(at(100)).await;
            let woken = clock.now();
            clock.sleep_until(at(500)).await;
            drop(second);
            (woken, clock.now())
        };
        assert_eq!(join(one, two).await, (at(200), (at(100), at(500))));
        clock.sleep_until(at(300)).await;
        assert_eq!(clock.now(), at(500), "what has passed is not waited for");
    }
}
