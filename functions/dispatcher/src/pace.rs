//! An endpoint's rate limit, right before the request: when may it leave? A moment close by is slept for; for one that is
//! farther the delivery is set aside in the table, no attempt counted, and the sweeper finds it a place in the endpoint's
//! line. Where there is no limit but whoever sent the message gave it a moment, as a replay at a rate does, it leaves then: the
//! queue counts whole seconds, and would let all of a second go at once. Never sends.

use redial_domain::Timestamp;
use redial_platform::batch::Verdict;
use redial_platform::metrics::Metric;
use redial_platform::pace::{PATIENCE_MS, REASON};
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::Recorded;

use crate::deliver::{Job, claim_until};
use crate::{Batch, Dispatcher};

/// How late a request may leave, in milliseconds: half of what would let one more than the limit and one come in a second.
const LATE_MS: i64 = 100;
/// Moments that are tried for one request.
const TURNS: usize = 3;

/// When a request may leave.
pub(crate) enum Turn {
    /// At once.
    Now,
    /// At this moment, at most [`PATIENCE_MS`] from now.
    At(Timestamp),
    /// Too many are before it.
    Later,
}

impl Dispatcher {
    /// When the request of a job may leave.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn turn(&self, job: &Job) -> Result<Turn, StoreError> {
        let (message, now) = (&job.message, self.clock.now());
        let Some(pace) = job.pace else {
            let soon = |slot: &Timestamp| (1..=PATIENCE_MS).contains(&slot.millis_since(now));
            return Ok(message.slot().filter(soon).map_or(Turn::Now, Turn::At));
        };
        // Whoever comes before its slot comes to an endpoint that has others waiting, most likely.
        let busy = message.slot().is_some_and(|slot| slot > now);
        let granted = self
            .store
            .grant(&message.tenant, &message.endpoint, pace, now, busy)
            .await?;
        Ok(granted.map_or(Turn::Later, Turn::At))
    }

    /// Waits for the turn of a job. A moment that is over when the function comes to it is given up for another one: its
    /// request would leave together with those after it. False if there is none in time.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn wait_for(&self, job: &Job, mut turn: Turn) -> Result<bool, StoreError> {
        for _ in 0..TURNS {
            let moment = match turn {
                Turn::Now => return Ok(true),
                Turn::Later => return Ok(false),
                Turn::At(moment) => moment,
            };
            self.clock.sleep_until(moment).await;
            if self.clock.now().millis_since(moment) <= LATE_MS {
                return Ok(true);
            }
            turn = self.turn(job).await?;
        }
        Ok(false)
    }

    /// Writes down that a delivery waits for its endpoint's limit, and lets the message go. If another message's attempt is
    /// under way, this one comes again when that must be over: to be held would lift its claim, and have it sent twice.
    /// `claimed` is until when this message has claimed the attempt, if it has.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn let_wait(
        &self,
        job: Job,
        claimed: Option<Timestamp>,
        batch: &Batch,
    ) -> Result<Verdict, StoreError> {
        let now = self.clock.now();
        let over_at = claim_until(job.endpoint(), &self.clock, now);
        let mut record = job.record;
        record.hold(REASON, now);
        record.next_at = None;
        // Without a slot: only who can send may reserve one, or it would pass unused.
        record.due_at = Some(now);
        if self.store.record_wait(&record, now, claimed).await? == Recorded::Superseded {
            // Or it knows better already: the message that comes again finds out.
            return Ok(Verdict::AgainAt(over_at));
        }
        batch.recorder.count(Metric::Held, 1);
        batch.recorder.count(Metric::Paced, 1);
        let (tenant, traceparent) = (&record.tenant, record.traceparent.as_deref());
        tracing::info!(%tenant, delivery = %record.id, attempts = record.attempts, traceparent, "dispatcher.rate_limited");
        Ok(Verdict::Done)
    }
}
