//! Delivers: a batch of messages, each POSTed at once, each attempt recorded with its reason, each failure left to the
//! queue as its clock. Never sends to a queue and never invokes (Lambda's loop detection would cut the chain): what must
//! wait outside the queue is written as `held` with `due_at`, and the sweeper sends it.
//!
//! The order of reading: [`Dispatcher::handle`], `deliver` (what happens to one message), `redial_domain::delivery::decide`
//! (the decision), `conclude` (what is written down), `health` (what follows for the endpoint). Besides, `under_way` and
//! `stalled`: who is not begun while others go unanswered; `endpoint_test`: one request that nothing is written down of.

mod conclude;
mod contents;
mod deliver;
mod endpoint_test;
pub mod health;
mod hidden;
mod look;
mod pace;
mod request;
mod slow;
mod stalled;
mod tally;
mod under_way;

use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use redial_domain::retry::RetryPolicy;
use redial_egress::Egress;
use redial_platform::cache::ConfigCache;
use redial_platform::metrics::{Metric, Metrics, Recorder};
use redial_platform::notices::Notifier;
use redial_platform::queue::Queues;
use redial_platform::secrets::Secrets;
use redial_platform::{Clock, Random, Store, batch, failpoint};

use crate::contents::Contents;
use crate::health::{Concluded, Watch};
use crate::stalled::Stalls;
pub use crate::tally::Who;
use crate::under_way::{Lane, Place, Requests};

/// Delivers messages. Cheap to share; made once for an execution environment.
#[derive(Clone)]
pub struct Dispatcher {
    store: Store,
    secrets: Secrets,
    queues: Queues,
    cache: ConfigCache,
    notifier: Notifier,
    egress: Arc<Egress>,
    clock: Clock,
    random: Random,
    api_origin: String,
    default_retry: RetryPolicy,
    metrics: Metrics,
    watch: Watch,
    under_way: Requests,
    stalls: Stalls,
}

/// What the records of one batch share.
struct Batch {
    contents: Contents,
    recorder: Recorder,
    concluded: Concluded,
    place: Place,
}

/// What a [`Dispatcher`] is made of.
pub struct Parts {
    /// The tables.
    pub store: Store,
    /// Opens the secrets that sign.
    pub secrets: Secrets,
    /// The queues.
    pub queues: Queues,
    /// The way out to customers.
    pub egress: Arc<Egress>,
    /// The clock.
    pub clock: Clock,
    /// Jitter.
    pub random: Random,
    /// Origin of the management API, without a trailing slash.
    pub api_origin: String,
    /// The policy of endpoints that have none of their own.
    pub default_retry: RetryPolicy,
    /// Where its numbers go.
    pub metrics: Metrics,
}

impl Dispatcher {
    /// Delivers with these clients.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let cache = ConfigCache::new(parts.store.clone(), parts.clock.clone(), parts.random.clone());
        let (store, clock, random) = (parts.store.clone(), parts.clock.clone(), parts.random.clone());
        let notifier = Notifier::new(store.clone(), cache.clone(), clock.clone(), random);
        let watch = Watch::new(store, cache.clone(), notifier.clone(), clock);
        Self {
            notifier,
            store: parts.store,
            secrets: parts.secrets,
            queues: parts.queues,
            cache,
            egress: parts.egress,
            clock: parts.clock,
            random: parts.random,
            api_origin: parts.api_origin,
            default_retry: parts.default_retry,
            metrics: parts.metrics,
            watch,
            under_way: Requests::default(),
            stalls: Stalls::default(),
        }
    }

    /// Delivers a batch and answers which messages are to come again.
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let (began, received) = (self.clock.now(), event.records.len());
        let batch = Batch {
            contents: Contents::default(),
            recorder: self.metrics.begin(began),
            concluded: Concluded::default(),
            place: self.under_way.place(self.lane(&event)),
        };
        failpoint::hit("dispatcher.after_receive");
        let (half, of) = (&failpoint::Half::of(received), &batch);
        let verdicts = batch::verdicts(&event, &self.clock, &batch.recorder, |record| async move {
            let verdict = self.deliver(record, of).await;
            half.done("dispatcher.half_batch");
            verdict
        });
        let mut verdicts = verdicts.await;
        let Batch {
            recorder, concluded, ..
        } = batch;
        // Before SQS is told: what its endpoint must not wait in the queue for is taken back.
        self.watch.look_after(concluded, &event, &mut verdicts, &recorder).await;
        let response = batch::answer(&event, verdicts, &self.queues, &self.clock).await;
        tracing::info!(
            received,
            again = response.batch_item_failures.len(),
            delivered = recorder.sum(Metric::Delivered),
            failed = recorder.sum(Metric::Failed),
            dead = recorder.sum(Metric::Dead),
            held = recorder.sum(Metric::Held),
            faults = recorder.sum(Metric::FunctionFaults),
            duration_ms = self.clock.now().millis_since(began),
            "dispatcher.batch"
        );
        response
    }

    /// Which mapping a batch came by: that of its first record, as all of a batch come from one queue.
    fn lane(&self, event: &SqsEvent) -> Lane {
        let arn = event
            .records
            .first()
            .and_then(|record| record.event_source_arn.as_deref());
        if arn.is_none_or(|arn| self.queues.is_delivery(arn)) {
            Lane::First
        } else {
            Lane::Later
        }
    }
}
