//! The AWS SDK's HTTP connector, answered in process: requests for DynamoDB, SQS, KMS and Lambda go to a [`Service`] and
//! never reach a socket. Never signs, never reads credentials, never decides what an operation means.

use std::fmt;
use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::Bytes;
use redial_platform::Clock;
use redial_platform::invoke::Invoker;

/// The header that names the operation in the AWS JSON protocols: `DynamoDB_20120810.PutItem`.
/// <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>
const TARGET_HEADER: &str = "x-amz-target";

/// The media type of the AWS JSON 1.0 protocol, which DynamoDB and SQS speak. KMS speaks 1.1, which differs in the name
/// of the media type only; clients do not look at it.
const JSON_CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Where the clients believe the services to be. Nothing resolves these names: they only fill in the request.
const DYNAMODB_ENDPOINT: &str = "http://dynamodb.local";
const KMS_ENDPOINT: &str = "http://kms.local";
const LAMBDA_ENDPOINT: &str = "http://lambda.local";
const SQS_ENDPOINT: &str = "http://sqs.local";

/// The region that the SDK wants to know; no answer depends on it.
const REGION: &str = "us-east-1";

/// An answer of a service, as it would stand on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status, 100 to 999.
    pub status: u16,
    /// The JSON body.
    pub body: Bytes,
    /// Headers besides `content-type`, for instance `x-amzn-query-error` of SQS. `x-amz-crc32` stays out: a client
    /// checks it only where it is present, and nothing lies between the service and the client.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// A JSON answer without headers of its own.
    #[must_use]
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: body.into(),
            headers: Vec::new(),
        }
    }

    /// An error in the AWS JSON shape. `kind` is the qualified error type, as in
    /// `com.amazonaws.dynamodb.v20120810#ResourceNotFoundException`: the SDK makes its typed error from the part
    /// after the `#`.
    #[must_use]
    pub fn error(status: u16, kind: &str, text: &str) -> Self {
        Self::json(
            status,
            serde_json::json!({ "__type": kind, "message": text }).to_string(),
        )
    }
}

/// A service that answers the AWS JSON protocol in process.
pub trait Service: Send + Sync + 'static {
    /// Answers one request: `operation` is what follows the dot of `x-amz-target` (`PutItem`, `SendMessage`), or of a
    /// service that has no such header, Lambda, the path; `body` its JSON. Errors are answers too, in the AWS JSON shape.
    fn answer(&self, operation: &str, body: Bytes) -> impl Future<Output = Answer> + Send;

    /// As [`Service::answer`], for a service behind a connection that can break; in process, none does.
    ///
    /// # Errors
    /// [`Broken`]: nobody knows whether the call was executed.
    fn exchange(&self, operation: &str, body: Bytes) -> impl Future<Output = Result<Answer, Broken>> + Send {
        async move { Ok(self.answer(operation, body).await) }
    }
}

/// A connection broke before the answer was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// A DynamoDB client whose requests `service` answers.
#[must_use]
pub fn dynamodb_client(service: impl Service) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .http_client(InProcess::new(service))
        .endpoint_url(DYNAMODB_ENDPOINT)
        .region(aws_sdk_dynamodb::config::Region::from_static(REGION))
        // No credentials are configured, so the SDK falls back to this scheme and computes no signature.
        .allow_no_auth()
        .retry_config(retries())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(aws_sdk_dynamodb::config::StalledStreamProtectionConfig::disabled())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// A KMS client whose requests `service` answers.
#[must_use]
pub fn kms_client(service: impl Service) -> aws_sdk_kms::Client {
    let config = aws_sdk_kms::Config::builder()
        .http_client(InProcess::new(service))
        .endpoint_url(KMS_ENDPOINT)
        .region(aws_sdk_kms::config::Region::from_static(REGION))
        .allow_no_auth()
        .retry_config(retries())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(aws_sdk_kms::config::StalledStreamProtectionConfig::disabled())
        .build();
    aws_sdk_kms::Client::from_conf(config)
}

/// An SQS client whose requests `service` answers.
#[must_use]
pub fn sqs_client(service: impl Service) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .http_client(InProcess::new(service))
        .endpoint_url(SQS_ENDPOINT)
        .region(aws_sdk_sqs::config::Region::from_static(REGION))
        .allow_no_auth()
        .retry_config(retries())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(aws_sdk_sqs::config::StalledStreamProtectionConfig::disabled())
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}

/// Invokes a function that `service` answers for, by its name in the template. Nobody has to sign.
pub(crate) fn invoker(service: impl Service, function: &str, clock: Clock) -> Invoker {
    let connector = SharedHttpConnector::new(InProcess::new(service));
    Invoker::new(LAMBDA_ENDPOINT, function, None, clock, move || Ok(connector.clone()))
}

/// The SDK's standard retries, so that the same errors are retried as on AWS; without the waits, because nothing here
/// is overloaded by being asked again.
fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_initial_backoff(Duration::ZERO)
        .with_max_backoff(Duration::ZERO)
}

/// The connector: hands each request to the service.
struct InProcess<S>(Arc<S>);

impl<S> InProcess<S> {
    fn new(service: S) -> Self {
        Self(Arc::new(service))
    }
}

impl<S> Clone for InProcess<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for InProcess<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl<S: Service> HttpClient for InProcess<S> {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl<S: Service> HttpConnector for InProcess<S> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let target = request.headers().get(TARGET_HEADER);
            let operation = match target {
                Some(target) => target.rsplit_once('.').map_or("", |(_, operation)| operation),
                None => request.uri().strip_prefix(LAMBDA_ENDPOINT).unwrap_or_default(),
            };
            let operation = operation.to_owned();
            let body = ByteStream::new(request.into_body())
                .collect()
                .await
                .map_err(|e| ConnectorError::user(e.into()))?
                .into_bytes();
            let answer = service.exchange(&operation, body).await;
            response(
                answer.map_err(|Broken| ConnectorError::io(std::io::Error::from(ErrorKind::ConnectionReset).into()))?,
            )
        })
    }
}

fn response(answer: Answer) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(answer.status).map_err(|e| ConnectorError::user(e.into()))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
    response.headers_mut().insert("content-type", JSON_CONTENT_TYPE);
    for (name, value) in answer.headers {
        response
            .headers_mut()
            .try_append(name, value)
            .map_err(|e| ConnectorError::user(e.into()))?;
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// Operations and bodies, in order.
    type Asked = Arc<Mutex<Vec<(String, Bytes)>>>;

    /// Answers everything with one answer and keeps what it was asked.
    struct Recorder {
        answer: Answer,
        asked: Asked,
    }

    impl Service for Recorder {
        async fn answer(&self, operation: &str, body: Bytes) -> Answer {
            self.asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((operation.to_owned(), body));
            self.answer.clone()
        }
    }

    fn recorder(answer: Answer) -> (Recorder, Asked) {
        let asked = Asked::default();
        (
            Recorder {
                answer,
                asked: Arc::clone(&asked),
            },
            asked,
        )
    }

    #[tokio::test]
    async fn an_sqs_call_reaches_the_service_by_name_without_credentials_or_a_socket() {
        let (service, asked) = recorder(Answer::json(200, r#"{"QueueUrl":"http://sqs.local/0/delivery"}"#));
        let got = sqs_client(service)
            .get_queue_url()
            .queue_name("delivery")
            .send()
            .await
            .unwrap();
        assert_eq!(got.queue_url(), Some("http://sqs.local/0/delivery"));
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].0, "GetQueueUrl");
        assert_eq!(asked[0].1, r#"{"QueueName":"delivery"}"#);
    }

    #[tokio::test]
    async fn an_error_becomes_the_typed_error_of_the_sdk() {
        // SQS clients take the code from this header, its name from the time before JSON.
        let code = (
            "x-amzn-query-error",
            "AWS.SimpleQueueService.NonExistentQueue;Sender".to_owned(),
        );
        let error = Answer::error(400, "com.amazonaws.sqs#QueueDoesNotExist", "no such queue");
        let (service, _) = recorder(Answer {
            headers: vec![code],
            ..error
        });
        let error = sqs_client(service)
            .get_queue_url()
            .queue_name("delivery")
            .send()
            .await
            .unwrap_err();
        assert!(error.into_service_error().is_queue_does_not_exist());
    }

    #[tokio::test]
    async fn an_internal_error_is_retried_at_once_and_then_given_back() {
        let kind = "com.amazonaws.dynamodb.v20120810#InternalServerError";
        let (service, asked) = recorder(Answer::error(500, kind, "disk full"));
        let error = dynamodb_client(service).list_tables().send().await.unwrap_err();
        assert!(error.into_service_error().is_internal_server_error());
        assert_eq!(asked.lock().unwrap().len(), 3, "the SDK's standard number of attempts");
    }

    #[tokio::test]
    async fn headers_of_an_answer_reach_the_client_and_a_bad_one_is_an_error_not_a_panic() {
        let (service, _) = recorder(Answer {
            headers: vec![("x-amzn-requestid", "r1".into())],
            ..Answer::json(200, "{}")
        });
        let got = dynamodb_client(service).list_tables().send().await.unwrap();
        assert_eq!(aws_sdk_dynamodb::operation::RequestId::request_id(&got), Some("r1"));
        let bad = Answer {
            headers: vec![("x-bad", "line\nbreak".into())],
            ..Answer::json(200, "{}")
        };
        assert!(response(bad).is_err());
        assert!(response(Answer::json(7, "{}")).is_err());
    }
}
