//! Two ways in: batches of the replay queue, and direct invocation (the AWS console, `aws lambda invoke`) with the JSON of
//! `POST /v1/tenants/{tenant}/replays` and the tenant. Whoever may invoke directly is allowed by IAM and needs no key. What
//! cannot be done is answered, never failed: Lambda would try a failed asynchronous invocation again.

use redial_platform::metrics::Metric;
use redial_platform::problem::Problem;
use serde::Deserialize;
use serde_json::Value;

use crate::request::{Asked, Invoked, Wish};
use crate::view::ReplayView;
use crate::work::Replay;

/// `eventSource` of the records of a queue.
const SQS: &str = "aws:sqs";

impl Replay {
    /// Answers one invocation of either kind: a batch with which of its records are to come again, anything else with a
    /// [`ReplayView`] or a [`Problem`].
    ///
    /// # Errors
    /// Only for a batch of the queue that cannot be read.
    pub async fn answer(&self, payload: &str) -> Result<Value, serde_json::Error> {
        if is_batch(payload) {
            return serde_json::to_value(self.handle(serde_json::from_str(payload)?).await);
        }
        let recorder = self.begin();
        match self.direct(payload).await {
            Ok(view) => serde_json::to_value(view),
            Err(problem) => {
                recorder.count(Metric::FunctionFaults, (problem.status >= 500).into());
                serde_json::to_value(problem)
            }
        }
    }

    /// Asks for a replay, or looks at one.
    ///
    /// # Errors
    /// What the API would answer: no job was made.
    pub async fn direct(&self, payload: &str) -> Result<ReplayView, Problem> {
        let Invoked { tenant, wish } = Invoked::parse(payload)?;
        let job = match wish {
            Wish::Begin(Asked { spec, options }) => {
                let config = self.cache().current(&tenant).await?;
                let config = config.ok_or_else(|| Problem::not_found("tenant").at("tenant"))?;
                self.asker().ask_with(&config, spec, options).await?
            }
            Wish::Look(replay) => {
                let job = self.asker().store.job(&tenant, &replay).await?;
                job.ok_or_else(|| Problem::not_found("replay").at("replay"))?
            }
        };
        Ok(job.into())
    }
}

/// True for what Lambda hands over from a queue. Anything else with records, such as the console's samples, is a direct
/// invocation that is refused.
fn is_batch(payload: &str) -> bool {
    #[derive(Deserialize)]
    struct Batch {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    }
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "eventSource")]
        source: String,
    }
    serde_json::from_str::<Batch>(payload)
        .is_ok_and(|batch| !batch.records.is_empty() && batch.records.iter().all(|record| record.source == SQS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_of_a_queue_are_a_batch() {
        assert!(is_batch(r#"{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}"#));
        for other in [
            r#"{"tenant":"acme","event":"evt_1"}"#,
            r#"{"Records":[{"eventSource":"aws:s3"}]}"#,
            r#"{"Records":[{"eventSource":"aws:sqs"},{"eventSource":"aws:s3"}]}"#,
            r#"{"Records":[]}"#,
            r#"{"Records":7}"#,
            "[]",
            "null",
        ] {
            assert!(!is_batch(other), "{other}");
        }
    }
}
