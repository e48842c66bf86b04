//! One function, two ways in: its URL (a request with `requestContext`), and direct invocation with the JSON that would
//! be the body. Whoever may invoke directly is allowed by IAM and needs no key.

use std::sync::Arc;

use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Service as _};
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::accept::{Accepted, Answer, Ingest};

/// Answers invocations. Cheap to clone.
#[derive(Clone)]
pub struct Invocation {
    ingest: Arc<Ingest>,
    router: axum::Router,
}

impl Invocation {
    /// Requests go to `router`, direct invocations to `ingest`.
    #[must_use]
    pub const fn new(ingest: Arc<Ingest>, router: axum::Router) -> Self {
        Self { ingest, router }
    }

    /// Answers one invocation of either kind.
    ///
    /// # Errors
    /// Only for an event that claims to be a request and cannot be read as one.
    pub async fn answer(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Value, Error> {
        if !is_request(event.payload.get()) {
            return Ok(self.direct(event.payload.get()).await);
        }
        let payload: LambdaRequest = serde_json::from_str(event.payload.get())?;
        let mut adapter = Adapter::from(self.router.clone());
        let response = adapter
            .call(LambdaEvent {
                payload,
                context: event.context,
            })
            .await?;
        Ok(serde_json::to_value(response)?)
    }

    /// The answer to a direct invocation: what the body of the HTTP answer would be.
    pub async fn direct(&self, payload: &str) -> Value {
        let answer = match self.ingest.accept(payload.as_bytes(), None).await {
            Ok(Accepted::Single(Answer::Refused { error, .. })) | Err(error) => serde_json::to_value(error),
            Ok(Accepted::Single(answer)) => serde_json::to_value(answer),
            Ok(Accepted::Batch(events)) => Ok(serde_json::json!({ "events": events })),
        };
        answer.unwrap_or(Value::Null)
    }
}

fn is_request(payload: &str) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(rename = "requestContext")]
        request_context: Option<IgnoredAny>,
    }
    serde_json::from_str::<Probe>(payload).is_ok_and(|probe| probe.request_context.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_no_request() {
        assert!(!is_request(r#"{"type":"call.ended","tenant":"acme","data":{}}"#) && !is_request("[]"));
        assert!(is_request(
            r#"{"version":"2.0","requestContext":{"http":{"method":"POST"}}}"#
        ));
    }
}
