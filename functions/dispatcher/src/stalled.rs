//! Deliveries that are not begun, because their endpoint, or their tenant's endpoints, leave so much unanswered: each waits in
//! the table for a moment, no attempt counted, and whoever else has something to deliver goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use redial_domain::Timestamp;
use redial_domain::hold;
use redial_platform::batch::Verdict;
use redial_platform::metrics::Metric;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::Recorded;
use tokio::sync::Semaphore;

use crate::deliver::{Job, claim_until};
use crate::under_way::{Answer, Request, UNANSWERED_MS};
use crate::{Batch, Dispatcher};

/// How long what is not begun waits before the sweeper sends it, in milliseconds: by then the endpoint has answered, or is on
/// hold.
const MAKE_WAY_MS: i64 = 15_000;
/// How often it is asked again whether a request may begin that may soon, in milliseconds: for as long as it takes to tell
/// quick answers from slow ones ([`UNANSWERED_MS`]).
const ASK_AGAIN_MS: i64 = 50;

/// How many are written down at once as making way. Hundreds come to it at the same moment, half a second after their endpoint
/// began to hang, and they have time: those of other endpoints would wait behind all of them, where one process works on many
/// batches and its table does one write after the other.
const MAKING_WAY: usize = 2;

/// Waits in a row that must end on time before receivers are blamed: a process that gets no processor time leaves answers unread
/// for as long, and would set aside what healthy endpoints have answered already.
const ON_TIME: u32 = 3;
/// How late a wait may end in a process that runs freely, in milliseconds.
const LATE_MS: i64 = 50;
/// For how long it is believed that a process runs freely, in milliseconds: shorter than [`UNANSWERED_MS`], so that whatever has
/// been unanswered for as long was so while it did. Otherwise each of hundreds would wait to find out, in a batch of its own.
const FREE_MS: i64 = 400;
/// How long at most a process that does not run freely asks again, in milliseconds.
const STARVED_MS: i64 = 10_000;

/// What is known in this process of those that are not begun. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Stalls {
    making_way: Arc<Semaphore>,
    /// When the process was last seen to run freely, in milliseconds of Unix time.
    free_at_ms: Arc<AtomicI64>,
}

impl Default for Stalls {
    fn default() -> Self {
        Self {
            making_way: Arc::new(Semaphore::new(MAKING_WAY)),
            free_at_ms: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }
}

impl Stalls {
    fn runs_freely(&self, now: Timestamp) {
        self.free_at_ms.store(now.as_millis(), Ordering::Relaxed);
    }

    fn has_run_freely(&self, now: Timestamp) -> bool {
        let since_ms = now.as_millis().saturating_sub(self.free_at_ms.load(Ordering::Relaxed));
        (0..=FREE_MS).contains(&since_ms)
    }
}

impl Dispatcher {
    /// Begins the request of a job, as soon as it may be; `None` if it is to make way. A probe never does.
    pub(crate) async fn begin(&self, job: &Job, batch: &Batch) -> Option<Request> {
        let who = (&job.message.tenant, &job.endpoint().id);
        let began = self.clock.now();
        let mut on_time = 0;
        loop {
            let now = self.clock.now();
            let waited_ms = now.millis_since(began);
            match self.under_way.begin(batch.place, who, job.message.probe, now) {
                Answer::Begun(request) => return Some(request),
                Answer::NotYet if waited_ms < UNANSWERED_MS => {}
                Answer::Hangs if self.stalls.has_run_freely(now) => return None,
                _ if on_time < ON_TIME && waited_ms < STARVED_MS => {}
                _ => return None,
            }
            let again_at = now.plus_millis(ASK_AGAIN_MS);
            self.clock.sleep_until(again_at).await;
            let woken_at = self.clock.now();
            let is_late = woken_at.millis_since(again_at) > LATE_MS;
            on_time = if is_late { 0 } else { on_time + 1 };
            if on_time >= ON_TIME {
                self.stalls.runs_freely(woken_at);
            }
        }
    }

    /// Writes down that a delivery waits for its endpoint to answer others, no attempt counted, and lets the message go. If
    /// another message's attempt is under way, this one comes again when that must be over.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn make_way(&self, job: Job, batch: &Batch) -> Result<Verdict, StoreError> {
        let now = self.clock.now();
        let over_at = claim_until(job.endpoint(), &self.clock, now);
        let mut record = job.record;
        record.hold(hold::REASON_STALLED, now);
        record.due_at = Some(now.plus_millis(MAKE_WAY_MS));
        // Nobody closes it; and without a place it is written all the same.
        let _place = self.stalls.making_way.acquire().await.ok();
        if self.store.record_wait(&record, now, None).await? == Recorded::Superseded {
            return Ok(Verdict::AgainAt(over_at));
        }
        batch.recorder.count(Metric::Held, 1);
        let (tenant, traceparent) = (&record.tenant, record.traceparent.as_deref());
        tracing::info!(%tenant, delivery = %record.id, attempts = record.attempts, traceparent, "dispatcher.made_way");
        Ok(Verdict::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_believed_to_run_freely_for_a_moment_only() {
        let stalls = Stalls::default();
        let at = |ms| Timestamp::from_millis(1_795_000_000_000 + ms);
        assert!(!stalls.has_run_freely(at(0)));
        stalls.runs_freely(at(0));
        let believed = [-1, 0, FREE_MS, FREE_MS + 1].map(|ms| stalls.has_run_freely(at(ms)));
        assert_eq!(believed, [false, true, true, false]);
        // What starved since would count as unanswered.
        const { assert!(FREE_MS < UNANSWERED_MS) };
    }
}
