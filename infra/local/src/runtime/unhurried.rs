//! A function that has time: it works through crowds that came about by themselves, as the sweeper does once a minute, and everybody
//! else shares this machine's cores with it. Its calls are spread a little; one after another they are not delayed at all. On AWS
//! each function has cores of its own, and nothing is spread.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::connector::{Answer, Service};

/// Calls that are under way together, at most. More than one, for a disk that takes its time syncs what came meanwhile at once.
const AT_ONCE: usize = 8;
/// How long the place of a call stays taken, at least: with those above, 2,000 calls a second. That is half a core.
const PLACE: Duration = Duration::from_millis(4);

/// The places of one function.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// A service as a function that has time meets it; for any other, without places, as it is.
pub(super) struct Unhurried<S> {
    pub(super) service: S,
    pub(super) places: Option<Places>,
}

impl<S: Service> Service for Unhurried<S> {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let Some(Places(places)) = &self.places else {
            return self.service.answer(operation, body).await;
        };
        // Nobody closes it.
        let place = Arc::clone(places).acquire_owned().await.ok();
        let until = Instant::now() + PLACE;
        let answer = self.service.answer(operation, body).await;
        if Instant::now() < until {
            tokio::spawn(async move {
                sleep_until(until).await;
                drop(place);
            });
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// Counts the calls under way, and those that came.
    #[derive(Default)]
    struct Counting {
        now: AtomicUsize,
        most: AtomicUsize,
        came: AtomicUsize,
    }

    struct Counted(Arc<Counting>);

    impl Service for Counted {
        async fn answer(&self, _: &str, _: Bytes) -> Answer {
            let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.0.most.fetch_max(now, Ordering::SeqCst);
            self.0.came.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.0.now.fetch_sub(1, Ordering::SeqCst);
            Answer::json(200, "{}")
        }
    }

    fn service(places: Option<Places>) -> (Unhurried<Counted>, Arc<Counting>) {
        let counting = Arc::new(Counting::default());
        let service = Counted(Arc::clone(&counting));
        (Unhurried { service, places }, counting)
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_spread_and_all_of_it_is_answered() {
        let (service, counting) = service(Some(Places::default()));
        let began = Instant::now();
        let calls = join_all((0..100).map(|_| service.answer("PutItem", Bytes::new())));
        assert!(calls.await.iter().all(|answer| answer.status == 200));
        assert_eq!(counting.came.load(Ordering::SeqCst), 100);
        assert!(counting.most.load(Ordering::SeqCst) <= AT_ONCE);
        // Thirteen rounds of eight; the last one's answers are not waited for.
        assert_eq!(began.elapsed(), PLACE * 12);
    }

    #[tokio::test(start_paused = true)]
    async fn one_after_another_and_those_of_others_are_not_delayed() {
        let began = Instant::now();
        let (one, _) = service(Some(Places::default()));
        for _ in 0..AT_ONCE {
            one.answer("GetItem", Bytes::new()).await;
        }
        let (others, counting) = service(None);
        join_all((0..100).map(|_| others.answer("PutItem", Bytes::new()))).await;
        assert_eq!(counting.most.load(Ordering::SeqCst), 100);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
