//! What several callers want at the same moment, asked for in one call. The first goes at once, with whoever else is ready to
//! ask; what is wanted while that is under way goes together with the next. So nobody waits for company, and a busy process
//! makes a fraction of the calls. Knows nothing of what is asked, and keeps no order between batches.

use std::collections::VecDeque;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// Calls that begin however little there is for them: with one on its way, whoever comes meanwhile does not wait for its end.
const EAGER: usize = 2;

/// Turns that a call lets everybody else have before it takes what waits: the answers to a batch's requests are often there
/// at the same moment. In the first they are read, in the second those ask who were waiting for them.
const TURNS: usize = 2;

/// Does a batch: as many outcomes as items, in their order.
type Work<I, O> = Box<dyn Fn(Vec<I>) -> BoxFuture<'static, Vec<O>> + Send + Sync>;

/// Gathers items of `I`, each of which has an outcome `O`. Cheap to clone; clones gather together.
pub(crate) struct Gather<I, O>(Arc<Shared<I, O>>);

struct Shared<I, O> {
    standing: Mutex<Standing<I, O>>,
    work: Work<I, O>,
    limits: Limits<I>,
}

/// How much goes together.
pub(crate) struct Limits<I> {
    /// Items of a batch, at least 1.
    pub(crate) most: usize,
    /// Batches under way at once. Beyond [`EAGER`] one begins only if it is full.
    pub(crate) at_once: usize,
    /// Whether an item may go with those that a batch has already.
    pub(crate) goes_with: fn(&[I], &I) -> bool,
}

struct Standing<I, O> {
    waiting: VecDeque<(I, oneshot::Sender<O>)>,
    under_way: usize,
}

impl<I, O> Clone for Gather<I, O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I, O> fmt::Debug for Gather<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.0.standing().waiting.len();
        f.debug_struct("Gather")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

impl<I, O> Shared<I, O> {
    fn standing(&self) -> MutexGuard<'_, Standing<I, O>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Send + 'static, O: Send + 'static> Gather<I, O> {
    /// Gathers for `work`.
    pub(crate) fn new(
        limits: Limits<I>,
        work: impl Fn(Vec<I>) -> BoxFuture<'static, Vec<O>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            standing: Mutex::new(Standing {
                waiting: VecDeque::new(),
                under_way: 0,
            }),
            work: Box::new(work),
            limits,
        }))
    }

    /// The outcome of an item, which is done together with others that are wanted now, if there are any: by a call that begins
    /// after this one. `None` if that call panicked. It is done whether or not somebody waits for its end.
    pub(crate) async fn ask(&self, item: I) -> Option<O> {
        let (outcome, answer) = oneshot::channel();
        let begins = {
            let mut standing = self.0.standing();
            standing.waiting.push_back((item, outcome));
            let limits = &self.0.limits;
            let is_full = standing.waiting.len() >= limits.most && standing.under_way < limits.at_once;
            let begins = standing.under_way < EAGER || is_full;
            standing.under_way += usize::from(begins);
            begins
        };
        if begins {
            tokio::spawn(self.clone().run());
        }
        answer.await.ok()
    }

    /// The next items that may go together, each with whom it is for. `None` if nothing waits: then the call is over, in the
    /// same moment, so that whoever comes next begins one.
    fn next(&self) -> Option<(Vec<I>, Vec<oneshot::Sender<O>>)> {
        let (mut items, mut askers) = (Vec::new(), Vec::new());
        let (mut standing, limits) = (self.0.standing(), &self.0.limits);
        while items.len() < limits.most
            && let Some((item, _)) = standing.waiting.front()
            && (items.is_empty() || (limits.goes_with)(&items, item))
            && let Some((item, asker)) = standing.waiting.pop_front()
        {
            items.push(item);
            askers.push(asker);
        }
        if items.is_empty() {
            standing.under_way -= 1;
            return None;
        }
        Some((items, askers))
    }

    /// Does what waits until nothing does. A panic is that batch's alone.
    async fn run(self) {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        while let Some((items, askers)) = self.next() {
            let work = AssertUnwindSafe(async { (self.0.work)(items).await });
            let Ok(outcomes) = work.catch_unwind().await else {
                continue;
            };
            for (asker, outcome) in askers.into_iter().zip(outcomes) {
                // Who no longer waits has given up: it is done all the same.
                drop(asker.send(outcome));
            }
        }
    }
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
