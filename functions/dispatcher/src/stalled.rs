//! Requests that an environment waits for. An endpoint that does not answer takes whoever waits for it out of service until its
//! timeout: once enough of its requests have been unanswered for a while, further ones are not begun, so that the rest can be
//! used by others. Lambda gives an environment one batch at a time, and there this rarely decides anything; where one process
//! does the work of many environments it keeps one customer's outage from filling it. Knows nothing of results: those are
//! `health`'s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redial_domain::{EndpointId, Timestamp, hold};
use redial_platform::batch::Verdict;
use redial_platform::metrics::Metric;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::Recorded;

use crate::deliver::{Job, claim_until};
use crate::{Batch, Dispatcher};

/// How long a request may be unanswered before it counts, in milliseconds: far longer than most receivers take.
const UNANSWERED_MS: i64 = 500;
/// Unanswered requests of one endpoint from which on no further one is begun.
const MAX_UNANSWERED: usize = 10;
/// How long what is not begun waits before the sweeper sends it, in milliseconds: by then the endpoint has answered, or is on
/// hold.
const MAKE_WAY_MS: i64 = 15_000;

type Begun = HashMap<EndpointId, Vec<(u64, Timestamp)>>;

/// The requests that are under way, by endpoint. Cheap to clone; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<Standing>>);

#[derive(Debug, Default)]
struct Standing {
    begun: Begun,
    next: u64,
}

/// A request that is under way; over when this is dropped.
#[derive(Debug)]
pub(crate) struct Request {
    requests: Requests,
    endpoint: EndpointId,
    number: u64,
}

impl Requests {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request that is begun now.
    pub(crate) fn begin(&self, endpoint: &EndpointId, now: Timestamp) -> Request {
        let mut standing = self.standing();
        standing.next += 1;
        let number = standing.next;
        standing.begun.entry(endpoint.clone()).or_default().push((number, now));
        Request {
            requests: self.clone(),
            endpoint: endpoint.clone(),
            number,
        }
    }

    /// True if so many requests to the endpoint are unanswered that no further one is to be begun.
    pub(crate) fn is_stalled(&self, endpoint: &EndpointId, now: Timestamp) -> bool {
        let standing = self.standing();
        let begun = standing.begun.get(endpoint).map(Vec::as_slice).unwrap_or_default();
        let unanswered = begun.iter().filter(|(_, at)| now.millis_since(*at) >= UNANSWERED_MS);
        unanswered.count() >= MAX_UNANSWERED
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut standing = self.requests.standing();
        let Some(begun) = standing.begun.get_mut(&self.endpoint) else {
            return;
        };
        begun.retain(|(number, _)| *number != self.number);
        if begun.is_empty() {
            standing.begun.remove(&self.endpoint);
        }
    }
}

impl Dispatcher {
    /// True if the job is not to be begun, because its endpoint leaves so many requests unanswered. A probe always is.
    pub(crate) fn is_in_the_way(&self, job: &Job) -> bool {
        !job.message.probe && self.under_way.is_stalled(&job.endpoint().id, self.clock.now())
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

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn endpoint(name: &str) -> EndpointId {
        EndpointId::parse(name).unwrap()
    }

    #[test]
    fn ten_unanswered_requests_stall_their_endpoint_and_no_other() {
        let (waiting, late) = (Requests::default(), BEGAN.plus_millis(UNANSWERED_MS));
        let under_way: Vec<Request> = (0..10).map(|_| waiting.begin(&endpoint("ep_1"), BEGAN)).collect();
        assert!(!waiting.is_stalled(&endpoint("ep_1"), late.plus_millis(-1)));
        assert!(waiting.is_stalled(&endpoint("ep_1"), late));
        assert!(!waiting.is_stalled(&endpoint("ep_2"), late));
        drop(under_way);
        assert!(!waiting.is_stalled(&endpoint("ep_1"), late));
        assert!(waiting.standing().begun.is_empty());
    }

    #[test]
    fn quick_answers_never_stall() {
        let waiting = Requests::default();
        for n in 0..1_000 {
            let now = BEGAN.plus_millis(n * 10);
            let _answered = waiting.begin(&endpoint("ep_1"), now);
            assert!(!waiting.is_stalled(&endpoint("ep_1"), now));
        }
    }
}
