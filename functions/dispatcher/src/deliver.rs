//! What happens to one message: is it still to be delivered, to whom, with what, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use redial_domain::Timestamp;
use redial_domain::endpoint::Endpoint;
use redial_domain::event::Content;
use redial_egress::{Exchange, OurFault, Post};
use redial_platform::Clock;
use redial_platform::batch::{Record, Verdict};
use redial_platform::failpoint;
use redial_platform::format::NEWER_WAIT_MS;
use redial_platform::message::{DeliveryMessage, Unread};
use redial_platform::metrics::Metric;
use redial_platform::pace::Pace;
use redial_platform::seal::Credentials;
use redial_platform::secrets::SecretsError;
use redial_platform::store::StoreError;
use redial_platform::store::config::StoredEndpoint;
use redial_platform::store::deliveries::DeliveryRecord;

use crate::contents::Contents;
use crate::hidden;
use crate::look::Look;
use crate::pace::Turn;
use crate::request::Unsigned;
use crate::{Batch, Dispatcher};

/// Wait after a fault of our own, in milliseconds: no attempt is counted.
const OUR_FAULT_WAIT_MS: i64 = 5_000;
/// Wait of a message that cannot be read, in milliseconds: it burns its receives and comes to the dead-letter queue.
const UNREADABLE_WAIT_MS: i64 = 1_000;
/// How much longer than its request a claimed attempt may take, in milliseconds.
const CLAIM_MARGIN_MS: i64 = 30_000;

/// Why a message could not be worked on: our side, never an attempt of the customer's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The endpoint's secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The way out.
    #[error(transparent)]
    Egress(#[from] OurFault),
    /// The body.
    #[error("the body could not be written: {0}")]
    Body(#[from] serde_json::Error),
}

/// A delivery that is to be attempted now.
pub(crate) struct Job {
    pub(crate) message: DeliveryMessage,
    pub(crate) record: DeliveryRecord,
    pub(crate) stored: Arc<StoredEndpoint>,
    pub(crate) content: Arc<Content>,
    /// SQS's id of the message.
    pub(crate) message_id: String,
    /// The tenant's template of links to analyses.
    pub(crate) analysis_url: Option<String>,
    /// How far apart requests to its endpoint leave, if that is limited.
    pub(crate) pace: Option<Pace>,
    /// True if other messages may be about the same delivery: the attempt is claimed before the POST.
    pub(crate) shared: bool,
    /// True if it was set aside until its endpoint could take it: that wait was the endpoint's, not ours.
    pub(crate) released: bool,
}

impl Job {
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.stored.endpoint
    }
}

impl Dispatcher {
    pub(crate) async fn deliver(&self, record: Record, batch: &Batch) -> Verdict {
        let message = match DeliveryMessage::read(&record.body) {
            Ok(message) => message,
            Err(Unread::Newer(newer)) => {
                tracing::warn!(%newer, message_id = record.message_id, "dispatcher.message_newer");
                return Verdict::AgainAt(self.clock.now().plus_millis(NEWER_WAIT_MS));
            }
            Err(Unread::Unreadable(error)) => {
                // Where, not what: the error's text quotes the message.
                let (kind, column) = (error.classify(), error.column());
                tracing::error!(
                    ?kind,
                    column,
                    message_id = record.message_id,
                    "dispatcher.message_unreadable"
                );
                return Verdict::AgainAt(self.clock.now().plus_millis(UNREADABLE_WAIT_MS));
            }
        };
        let (tenant, delivery, traceparent) = (message.tenant.clone(), message.delivery(), message.traceparent.clone());
        let worked = async {
            match self.look(&record, message, batch).await? {
                Look::Settled(verdict) => Ok(verdict),
                Look::Attempt(job) => self.attempt(*job, batch).await,
            }
        };
        worked.await.unwrap_or_else(|fault: Fault| {
            tracing::error!(%fault, %tenant, %delivery, traceparent, "dispatcher.our_fault");
            batch.recorder.count(Metric::FunctionFaults, 1);
            Verdict::AgainAt(self.clock.now().plus_millis(OUR_FAULT_WAIT_MS))
        })
    }

    async fn attempt(&self, job: Job, batch: &Batch) -> Result<Verdict, Fault> {
        // Before the claim: what cannot be signed now is not claimed either.
        let (tenant, stored) = (&job.message.tenant, &job.stored);
        let credentials = self.secrets.open(tenant, &stored.endpoint.id, &stored.sealed).await?;
        let Some(request) = self.begin(&job, batch).await else {
            return Ok(self.make_way(job, batch).boxed().await?);
        };
        let turn = self.turn(&job).await?;
        if matches!(turn, Turn::Later) {
            return Ok(self.let_wait(job, None, batch).boxed().await?);
        }
        let mut claimed = None;
        if job.shared {
            let now = self.clock.now();
            let until = claim_until(job.endpoint(), &self.clock, now);
            if !self.store.claim(&job.record, now, until).boxed().await? {
                return Ok(Verdict::AgainAt(until));
            }
            claimed = Some(until);
        }
        if !self.wait_for(&job, turn).await? {
            return Ok(self.let_wait(job, claimed, batch).boxed().await?);
        }
        request.leaves(self.clock.now());
        let exchange = self.post(&job, &credentials, &batch.contents).await;
        drop(request);
        let mut exchange = exchange?;
        hidden::hide(&mut exchange.outcome, &credentials, job.endpoint().settings.profile);
        let verdict = self.conclude(job, exchange, batch).await;
        failpoint::hit("dispatcher.after_record");
        verdict
    }

    /// One signed POST. The body is the same bytes at every attempt; timestamp and signature are of now.
    async fn post(&self, job: &Job, credentials: &Credentials, contents: &Contents) -> Result<Exchange, Fault> {
        let Job {
            message,
            stored,
            content,
            ..
        } = job;
        let settings = &stored.endpoint.settings;
        let analysis_url = job.analysis_url.as_deref();
        let body = contents
            .body(message, content, settings, analysis_url, &self.api_origin)
            .await?;
        let unsigned = Unsigned {
            id: &message.event,
            body: &body,
            traceparent: message.traceparent.as_deref(),
        };
        let headers = unsigned.headers(settings, credentials, self.clock.now());
        let timeout = Duration::from_millis(settings.timeout_ms.into());
        let sent = self.egress.post(Post {
            whose: message.tenant.as_str(),
            url: &settings.url,
            headers,
            body,
            timeout,
        });
        Ok(failpoint::during("dispatcher.in_post", sent).await?)
    }
}

/// Until when an attempt that is claimed now may take.
pub(crate) fn claim_until(endpoint: &Endpoint, clock: &Clock, now: Timestamp) -> Timestamp {
    let timeout_ms = clock.span_ms(endpoint.settings.timeout_ms.into());
    now.plus_millis(timeout_ms + CLAIM_MARGIN_MS)
}
