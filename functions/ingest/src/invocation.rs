//! One function, three ways in: its URL for holders of keys, its URL for principals of AWS (both requests, with a
//! `requestContext` that Lambda alone writes), and direct invocation with the JSON that would be the body. Whoever may
//! invoke directly is allowed by IAM and needs no key, so what such a caller makes up of a request gains it nothing.

use std::sync::Arc;

use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Service as _};
use lambda_runtime::{Error, LambdaEvent};
use redial_domain::Traceparent;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::accept::Ingest;
use crate::answer::{Accepted, Answer};
use crate::noted::Noted;

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
            let custom = event.context.client_context.as_ref().map(|client| &client.custom);
            let traceparent = custom.and_then(|custom| Traceparent::parse(custom.get("traceparent")?));
            return Ok(self.direct(event.payload.get(), traceparent.as_ref()).await);
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

    /// The answer to a direct invocation: what the body of the HTTP answer would be. What would be a header of the request,
    /// `traceparent`, is a custom value of the invocation's client context.
    pub async fn direct(&self, payload: &str, traceparent: Option<&Traceparent>) -> Value {
        let recorder = self.ingest.begin();
        let noted = Noted {
            recorder: &recorder,
            traceparent,
        };
        // Boxed: with those of the SDK in it, the future nests deeper than the compiler looks.
        let answered = Box::pin(self.ingest.accept(payload.as_bytes(), noted)).await;
        noted.conclude(&answered);
        let answer = match answered {
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
