//! One function, three ways in: its URL for holders of keys, its URL for principals of AWS (both requests, with a
//! `requestContext` that Lambda alone writes), and direct invocation with the JSON that would be the body. Whoever may
//! invoke directly is allowed by IAM and needs no key, so what such a caller makes up of a request gains it nothing.

use std::sync::Arc;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Service as _};
use lambda_runtime::{Error, LambdaEvent};
use redial_domain::Traceparent;
use redial_platform::problem::Problem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::accept::Ingest;
use crate::answer::{Accepted, Answer};
use crate::noted::Noted;

/// Nothing of a direct invocation was stored, and that was our fault: all of it may be sent again. Says the problem's code
/// and nothing else: it goes to the caller, and to wherever its failed invocations go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}")]
pub struct NotStored {
    /// The code of the problem that the HTTP answer would be.
    pub code: String,
}

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
    /// [`NotStored`]; or an event that claims to be a request and cannot be read as one.
    pub async fn answer(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Value, Error> {
        if !is_request(event.payload.get()) {
            let custom = event.context.client_context.as_ref().map(|client| &client.custom);
            let traceparent = custom.and_then(|custom| Traceparent::parse(custom.get("traceparent")?));
            return Ok(self.direct(event.payload.get(), traceparent.as_ref()).await?);
        }
        let LambdaEvent { payload: text, context } = event;
        // A function URL's requests have this form. Read as it, and not as whichever fits, which would copy all of it first.
        // <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>
        let payload = LambdaRequest::ApiGatewayV2(serde_json::from_str::<ApiGatewayV2httpRequest>(text.get())?);
        // It may have megabytes, which the request has too.
        drop(text);
        let mut adapter = Adapter::from(self.router.clone());
        let response = adapter.call(LambdaEvent { payload, context }).await?;
        Ok(serde_json::to_value(response)?)
    }

    /// The answer to a direct invocation: what the body of the HTTP answer would be. What would be a header of the request,
    /// `traceparent`, is a custom value of the invocation's client context.
    ///
    /// # Errors
    /// [`NotStored`]: an answer would end an asynchronous invocation as a success, and Lambda would not try it again.
    pub async fn direct(&self, payload: &str, traceparent: Option<&Traceparent>) -> Result<Value, NotStored> {
        let recorder = self.ingest.begin();
        let noted = Noted {
            recorder: &recorder,
            traceparent,
        };
        // Boxed: with those of the SDK in it, the future nests deeper than the compiler looks.
        let answered = Box::pin(self.ingest.accept(payload.as_bytes(), noted)).await;
        noted.conclude(&answered);
        if let Some(fault) = not_stored(&answered) {
            let code = fault.code.clone();
            return Err(NotStored { code });
        }
        let answer = match answered {
            Ok(Accepted::Single(Answer::Refused { error, .. })) | Err(error) => serde_json::to_value(error),
            Ok(Accepted::Single(answer)) => serde_json::to_value(answer),
            Ok(Accepted::Batch(events)) => Ok(serde_json::json!({ "events": events })),
        };
        Ok(answer.unwrap_or(Value::Null))
    }
}

/// The fault of ours for which all of an invocation is to be sent again. None if some event of a batch is stored: one without
/// an id of its own would be stored twice, and the answer tells which are not.
fn not_stored(answered: &Result<Accepted, Problem>) -> Option<&Problem> {
    let problems: Vec<Option<&Problem>> = match answered {
        Err(problem) => vec![Some(problem)],
        Ok(Accepted::Single(answer)) => vec![answer.problem()],
        Ok(Accepted::Batch(answers)) => answers.iter().map(Answer::problem).collect(),
    };
    let refused: Vec<&Problem> = problems.into_iter().collect::<Option<_>>()?;
    refused.into_iter().find(|problem| problem.status >= 500)
}

fn is_request(payload: &str) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(rename = "requestContext")]
        request_context: Option<IgnoredAny>,
    }
    // An array of one event would be read as the one field of a `Probe`.
    payload.trim_start().starts_with('{')
        && serde_json::from_str::<Probe>(payload).is_ok_and(|probe| probe.request_context.is_some())
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn an_invocation_fails_only_if_we_stored_nothing_of_it() {
        let refusal = || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "field_missing", "type is missing");
        let of = |error| Answer::Refused { id: None, error };
        let taken = || Answer::Accepted {
            id: "e1".to_owned(),
            deliveries: 1,
            warnings: Vec::new(),
        };
        let code = |answered| not_stored(&answered).map(|problem| problem.code.clone());
        let fault = Some("internal".to_owned());
        assert_eq!(code(Err(Problem::internal())), fault);
        assert_eq!(code(Err(refusal())), None);
        assert_eq!(code(Ok(Accepted::Single(of(Problem::internal())))), fault);
        assert_eq!(code(Ok(Accepted::Single(of(refusal())))), None);
        assert_eq!(code(Ok(Accepted::Single(taken()))), None);
        let batch = |answers| Ok(Accepted::Batch(answers));
        assert_eq!(code(batch(vec![of(refusal()), of(Problem::internal())])), fault);
        assert_eq!(code(batch(vec![taken(), of(Problem::internal())])), None);
        assert_eq!(code(batch(vec![of(refusal())])), None);
        assert_eq!(code(batch(Vec::new())), None);
    }

    #[test]
    fn an_event_is_no_request() {
        let event = r#"{"type":"call.ended","tenant":"acme","data":{}}"#;
        for payload in [event, &format!("[{event}]"), &format!("[{event},{event}]"), "[]", "7"] {
            assert!(!is_request(payload), "{payload}");
        }
        assert!(is_request(
            r#"{"version":"2.0","requestContext":{"http":{"method":"POST"}}}"#
        ));
    }
}
