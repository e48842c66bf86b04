//! Delivers: a batch of messages, each POSTed at once, each attempt recorded with its reason, each failure left to the
//! queue as its clock. Never sends to a queue and never invokes (Lambda's loop detection would cut the chain): what must
//! wait outside the queue is written as `held` with `due_at`, and the sweeper sends it.
//!
//! The order of reading: [`Dispatcher::handle`], `deliver` (what happens to one message), `redial_domain::delivery::decide`
//! (the decision), `conclude` (what is written down). Besides, `endpoint_test`: one request that nothing is written down of.

mod conclude;
mod contents;
mod deliver;
mod endpoint_test;
mod pace;
mod request;

use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use redial_domain::retry::RetryPolicy;
use redial_egress::Egress;
use redial_platform::cache::ConfigCache;
use redial_platform::metrics::{Metric, Metrics, Recorder};
use redial_platform::notices::Notifier;
use redial_platform::queue::Queues;
use redial_platform::secrets::Secrets;
use redial_platform::{Clock, Random, Store, batch};

use crate::contents::Contents;

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
}

/// What the records of one batch share.
struct Batch {
    contents: Contents,
    recorder: Recorder,
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
        Self {
            notifier: Notifier::new(store, cache.clone(), clock, random),
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
        }
    }

    /// Delivers a batch and answers which messages are to come again.
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        let (began, received) = (self.clock.now(), event.records.len());
        let batch = Batch {
            contents: Contents::default(),
            recorder: self.metrics.begin(began),
        };
        let response = batch::each(event, &self.queues, &self.clock, &batch.recorder, |record| {
            self.deliver(record, &batch)
        })
        .await;
        tracing::info!(
            received,
            again = response.batch_item_failures.len(),
            delivered = batch.recorder.sum(Metric::Delivered),
            failed = batch.recorder.sum(Metric::Failed),
            dead = batch.recorder.sum(Metric::Dead),
            held = batch.recorder.sum(Metric::Held),
            faults = batch.recorder.sum(Metric::FunctionFaults),
            duration_ms = self.clock.now().millis_since(began),
            "dispatcher.batch"
        );
        response
    }
}
