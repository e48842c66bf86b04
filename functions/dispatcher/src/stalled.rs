//! Deliveries that are not begun, because their endpoint, or their tenant's endpoints, leave so much unanswered: each waits in
//! the table for a moment, no attempt counted, and whoever else has something to deliver goes on.

use redial_domain::hold;
use redial_platform::batch::Verdict;
use redial_platform::metrics::Metric;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::Recorded;

use crate::deliver::{Job, claim_until};
use crate::under_way::{Answer, Request, UNANSWERED_MS};
use crate::{Batch, Dispatcher};

/// How long what is not begun waits before the sweeper sends it, in milliseconds: by then the endpoint has answered, or is on
/// hold.
const MAKE_WAY_MS: i64 = 15_000;
/// How often it is asked again whether a request may begin that may soon, in milliseconds: for as long as it takes to tell
/// quick answers from slow ones ([`UNANSWERED_MS`]).
const ASK_AGAIN_MS: i64 = 50;

/// Waits in a row that must end on time before receivers are blamed: a process that gets no processor time leaves answers unread
/// for as long, and would set aside what healthy endpoints have answered already.
const ON_TIME: u32 = 3;
/// How late a wait may end in a process that runs freely, in milliseconds.
const LATE_MS: i64 = 50;
/// How long at most a process that does not run freely asks again, in milliseconds.
const STARVED_MS: i64 = 10_000;

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
                Answer::NotYet | Answer::No if on_time < ON_TIME && waited_ms < STARVED_MS => {}
                Answer::NotYet | Answer::No => return None,
            }
            let again_at = now.plus_millis(ASK_AGAIN_MS);
            self.clock.sleep_until(again_at).await;
            let is_late = self.clock.now().millis_since(again_at) > LATE_MS;
            on_time = if is_late { 0 } else { on_time + 1 };
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
        if self.store.record_wait(&record, now, None).await? == Recorded::Superseded {
            return Ok(Verdict::AgainAt(over_at));
        }
        batch.recorder.count(Metric::Held, 1);
        let (tenant, traceparent) = (&record.tenant, record.traceparent.as_deref());
        tracing::info!(%tenant, delivery = %record.id, attempts = record.attempts, traceparent, "dispatcher.made_way");
        Ok(Verdict::Done)
    }
}
