//! Invocations against a connector that answers as Lambda does, and the signature against AWS's own rules.

use std::sync::Mutex;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use redial_domain::Timestamp;

use super::*;

/// What Lambda answers: status, headers, body.
type Answer = (u16, Vec<(&'static str, &'static str)>, &'static str);

/// Answers everything with one answer and keeps what it was asked.
#[derive(Debug, Clone)]
struct Lambda {
    answer: Answer,
    asked: Arc<Mutex<Vec<HttpRequest>>>,
}

impl HttpConnector for Lambda {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.asked.lock().unwrap().push(request);
        let (status, headers, body) = self.answer.clone();
        let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
        for (name, value) in headers {
            response.headers_mut().append(name, value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl Lambda {
    fn answering(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Self {
        Self {
            answer: (status, headers.to_vec(), body),
            asked: Arc::default(),
        }
    }

    fn invoker(&self, signer: Option<Signer>) -> Invoker {
        let lambda = self.clone();
        let clock = Clock::manual(Timestamp::from_millis(1_795_000_000_000));
        Invoker::new("https://lambda.local", "stack-dispatcher", signer, clock, move || {
            Ok(SharedHttpConnector::new(lambda.clone()))
        })
    }
}

#[tokio::test]
async fn the_answer_of_the_function_comes_back() {
    let lambda = Lambda::answering(200, &[], r#"{"n":1}"#);
    let answer = lambda.invoker(None).invoke(b"{}".to_vec()).await.unwrap();
    assert_eq!(answer, r#"{"n":1}"#);
    let asked = lambda.asked.lock().unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method(), asked[0].uri()),
        (
            "POST",
            "https://lambda.local/2015-03-31/functions/stack-dispatcher/invocations"
        )
    );
    assert_eq!(asked[0].headers().get("authorization"), None);
    assert_eq!(asked[0].body().bytes(), Some(b"{}".as_slice()));
}

#[tokio::test]
async fn a_request_is_signed_for_lambda_with_the_functions_own_credentials() {
    let lambda = Lambda::answering(200, &[], "null");
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("token".to_owned()), None, "test");
    let signer = Signer {
        credentials,
        region: "eu-central-1".to_owned(),
    };
    lambda.invoker(Some(signer)).invoke(b"{}".to_vec()).await.unwrap();
    let asked = lambda.asked.lock().unwrap();
    let headers = asked[0].headers();
    assert_eq!(headers.get("x-amz-date"), Some("20261118T110640Z"));
    assert_eq!(headers.get("x-amz-security-token"), Some("token"));
    let authorization = headers.get("authorization").unwrap();
    let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261118/eu-central-1/lambda/aws4_request, ";
    assert!(authorization.starts_with(scope), "{authorization}");
    assert!(
        authorization.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"),
        "{authorization}"
    );
    assert!(!authorization.contains("secret"));
}

#[tokio::test]
async fn a_refusal_and_a_failure_of_the_function_are_errors_and_are_not_tried_again() {
    for (status, headers, error) in [
        (
            429,
            [(ERROR_TYPE, "TooManyRequestsException")],
            "Lambda refused the invocation with status 429: TooManyRequestsException",
        ),
        (
            403,
            [(ERROR_TYPE, "AccessDeniedException")],
            "Lambda refused the invocation with status 403: AccessDeniedException",
        ),
        (200, [(FUNCTION_ERROR, "Unhandled")], "the function failed: Unhandled"),
    ] {
        let lambda = Lambda::answering(status, &headers, r#"{"errorMessage":"canary"}"#);
        let failed = lambda.invoker(None).invoke(Vec::new()).await.unwrap_err();
        assert_eq!(failed.to_string(), error);
        assert_eq!(lambda.asked.lock().unwrap().len(), 1);
    }
}

#[test]
fn only_the_path_of_an_invocation_names_a_function() {
    assert_eq!(
        invoked_function("/2015-03-31/functions/stack-dispatcher/invocations"),
        Some("stack-dispatcher")
    );
    for other in [
        "/",
        "/2015-03-31/functions/a/b/invocations",
        "/2015-03-31/functions/a/aliases",
        "/functions/a/invocations",
    ] {
        assert_eq!(invoked_function(other), None, "{other}");
    }
}

#[test]
fn lambda_is_found_in_every_partition() {
    assert_eq!(
        lambda_endpoint("eu-central-1"),
        "https://lambda.eu-central-1.amazonaws.com"
    );
    assert_eq!(
        lambda_endpoint("cn-north-1"),
        "https://lambda.cn-north-1.amazonaws.com.cn"
    );
}
