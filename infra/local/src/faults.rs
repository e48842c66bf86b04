//! Injected faults: what goes wrong between a function and the services of AWS, brought about here on purpose, by a seed.
//! Only builds with the feature `failpoints` have any (and this crate's own tests); in every other build [`Faults`] is empty
//! and does nothing. Never makes up what a service could not do: an answer that is lost was given, an entry that is reported
//! as failed was not executed, a message that is handed out twice is there.
//!
//! `REDIAL_FAULTS='seed=7;rate=0.03;kinds=500,lost_answer,..'`; docs/RELIABILITY.md, "The fault build".

#[cfg(any(test, feature = "failpoints"))]
mod draw;
#[cfg(any(test, feature = "failpoints"))]
mod plan;
#[cfg(any(test, feature = "failpoints"))]
mod receives;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "failpoints"))]
mod wire;

use std::time::Duration;

use bytes::Bytes;
use redial_platform::Clock;
use redial_sqs::Received;

use crate::connector::{Answer, Broken, Service};
#[cfg(any(test, feature = "failpoints"))]
pub use plan::InvalidFaults;

// The services, as the faults' log names them.
pub(crate) const DYNAMODB: &str = "dynamodb";
pub(crate) const KMS: &str = "kms";
pub(crate) const SQS: &str = "sqs";

/// The faults of a run. Cheap to clone; the clones draw from the same numbers. By default there are none.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    #[cfg(any(test, feature = "failpoints"))]
    plan: Option<std::sync::Arc<plan::Plan>>,
}

impl Faults {
    /// What this process was told; none, if that cannot be understood or nothing was said.
    #[must_use]
    pub fn told(clock: &Clock) -> Self {
        #[cfg(feature = "failpoints")]
        let told = redial_platform::settings::optional("REDIAL_FAULTS").and_then(|told| Self::parse(&told, clock).ok());
        #[cfg(not(feature = "failpoints"))]
        let (told, _) = (None, clock);
        told.unwrap_or_default()
    }

    /// Faults as `REDIAL_FAULTS` names them; none for an empty text. A wait that is long by `clock` is as long by it.
    ///
    /// # Errors
    /// [`InvalidFaults`] says what cannot be understood.
    #[cfg(any(test, feature = "failpoints"))]
    pub fn parse(text: &str, clock: &Clock) -> Result<Self, InvalidFaults> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let plan = plan::Plan::parse(text, clock.clone())?;
        Ok(Self {
            plan: Some(std::sync::Arc::new(plan)),
        })
    }

    /// What becomes of a batch that was received, before it is handed to a function: shuffled, and some messages of it
    /// handed out a second time, which are the answer.
    pub(crate) fn handed_out(&self, batch: &mut [Received]) -> Vec<Received> {
        #[cfg(any(test, feature = "failpoints"))]
        if let Some(plan) = &self.plan {
            return plan.handed_out(batch);
        }
        let _ = batch;
        Vec::new()
    }

    /// Waits, if the batch is to come late to its function, which may take `timeout`.
    pub(crate) async fn late(&self, timeout: Duration) {
        #[cfg(any(test, feature = "failpoints"))]
        if let Some(plan) = &self.plan {
            plan.late(timeout).await;
        }
        #[cfg(not(any(test, feature = "failpoints")))]
        let _ = timeout;
    }

    /// Which of the messages that are done are deleted: the others are done, and come again.
    pub(crate) fn deleted<'a>(&self, done: Vec<&'a str>) -> Vec<&'a str> {
        #[cfg(any(test, feature = "failpoints"))]
        if let Some(plan) = &self.plan {
            return plan.deleted(done);
        }
        done
    }
}

/// A service behind faults.
pub(crate) struct Faulty<S> {
    pub(crate) service: S,
    /// As the faults' log names it.
    pub(crate) name: &'static str,
    pub(crate) faults: Faults,
}

impl<S: Service> Service for Faulty<S> {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        self.service.answer(operation, body).await
    }

    async fn exchange(&self, operation: &str, body: Bytes) -> Result<Answer, Broken> {
        #[cfg(any(test, feature = "failpoints"))]
        if let Some(plan) = &self.faults.plan {
            return wire::exchange(plan, &self.service, self.name, operation, body).await;
        }
        #[cfg(not(any(test, feature = "failpoints")))]
        let _ = (self.name, &self.faults);
        self.service.exchange(operation, body).await
    }
}
