//! Invokes one function of this deployment and waits for its answer: the one call of Lambda that is needed, as a signed
//! request (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>). Its SDK would take longer to compile than
//! everything else of a function. Never tries twice: what the function does may not be safe to repeat.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::clock::Clock;

/// Longest that an invocation is waited for: less than the api function may take, so that there is time to answer.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(55);
/// Largest payload, in bytes: what Lambda takes of a synchronous invocation, and gives back.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// Version of the API, as paths begin.
const VERSION: &str = "2015-03-31";
/// Present if the function itself failed.
const FUNCTION_ERROR: &str = "x-amz-function-error";
/// Why Lambda refused.
const ERROR_TYPE: &str = "x-amzn-errortype";
const JSON: (&str, &str) = ("content-type", "application/json");

/// An invocation has no answer. Nobody knows whether the function did what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The request could not be made.
    #[error("the request to Lambda could not be made")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It could not be signed.
    #[error("the request to Lambda could not be signed")]
    Signing(#[from] SigningError),
    /// Lambda was not reached.
    #[error("Lambda could not be reached")]
    Unreachable(#[from] ConnectorError),
    /// It did not answer within 55 seconds.
    #[error("the function did not answer in time")]
    Late,
    /// The answer broke off.
    #[error("the function's answer broke off")]
    BrokenOff(#[from] aws_smithy_types::byte_stream::error::Error),
    /// Lambda refused: not permitted, too much at once.
    #[error("Lambda refused the invocation with status {status}: {kind}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What Lambda calls it.
        kind: String,
    },
    /// The function ended without an answer.
    #[error("the function failed: {0}")]
    Failed(String),
}

/// Who signs. On one machine nobody has to.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The function's own credentials.
    pub credentials: Credentials,
    /// The region of the function that is invoked.
    pub region: String,
}

/// Makes the connector to Lambda at the first invocation: most execution environments never need it.
type Connect = Box<dyn Fn() -> Result<SharedHttpConnector, InvokeError> + Send + Sync>;

/// Invokes one function. Cheap to clone.
#[derive(Clone)]
pub struct Invoker(Arc<Inner>);

struct Inner {
    connect: Connect,
    connector: OnceCell<SharedHttpConnector>,
    uri: String,
    signer: Option<Signer>,
    clock: Clock,
}

impl fmt::Debug for Invoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invoker")
            .field("uri", &self.0.uri)
            .finish_non_exhaustive()
    }
}

impl Invoker {
    /// Invokes `function` at `endpoint`, an origin without a trailing slash.
    pub fn new<C>(endpoint: &str, function: &str, signer: Option<Signer>, clock: Clock, connect: C) -> Self
    where
        C: Fn() -> Result<SharedHttpConnector, InvokeError> + Send + Sync + 'static,
    {
        Self(Arc::new(Inner {
            connect: Box::new(connect),
            connector: OnceCell::new(),
            uri: format!("{endpoint}/{VERSION}/functions/{function}/invocations"),
            signer,
            clock,
        }))
    }

    /// Invokes the function with a JSON document and gives back the one that it answers.
    ///
    /// # Errors
    /// [`InvokeError`].
    pub async fn invoke(&self, payload: Vec<u8>) -> Result<Bytes, InvokeError> {
        let Inner { connect, connector, .. } = &*self.0;
        let connector = connector.get_or_try_init(|| async { connect() }).await?;
        let request = self.request(payload)?;
        let answered = async {
            let response = connector.call(request).await?;
            let (status, headers) = (response.status().as_u16(), response.headers());
            let header = |name: &str| headers.get(name).map(str::to_owned);
            let (failed, kind) = (header(FUNCTION_ERROR), header(ERROR_TYPE));
            let body = ByteStream::new(response.into_body()).collect().await?.into_bytes();
            match failed {
                _ if status != 200 => Err(InvokeError::Refused {
                    status,
                    kind: kind.unwrap_or_default(),
                }),
                // What it says of itself is in its own log.
                Some(failed) => Err(InvokeError::Failed(failed)),
                None => Ok(body),
            }
        };
        timeout(INVOKE_TIMEOUT, answered).await.map_err(|_| InvokeError::Late)?
    }

    fn request(&self, payload: Vec<u8>) -> Result<HttpRequest, InvokeError> {
        let Inner { uri, signer, .. } = &*self.0;
        let signature = match signer {
            Some(signer) => self.signature(signer, &payload)?,
            None => Vec::new(),
        };
        let mut request = HttpRequest::new(SdkBody::from(payload));
        let unmade = |error: Box<dyn std::error::Error + Send + Sync>| InvokeError::Request(error);
        request.set_method("POST").map_err(|error| unmade(error.into()))?;
        request.set_uri(uri.as_str()).map_err(|error| unmade(error.into()))?;
        let headers = request.headers_mut();
        let own = [(JSON.0.to_owned(), JSON.1.to_owned())];
        for (name, value) in own.into_iter().chain(signature) {
            headers.try_append(name, value).map_err(|error| unmade(error.into()))?;
        }
        Ok(request)
    }

    /// The headers that sign a request (Signature Version 4).
    fn signature(&self, signer: &Signer, payload: &[u8]) -> Result<Vec<(String, String)>, InvokeError> {
        let now_ms = u64::try_from(self.0.clock.now().as_millis()).unwrap_or(0);
        let identity: Identity = signer.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&signer.region)
            .name("lambda")
            .time(UNIX_EPOCH + Duration::from_millis(now_ms))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| InvokeError::Request(error.into()))?
            .into();
        let request = SignableRequest::new("POST", &self.0.uri, [JSON].into_iter(), SignableBody::Bytes(payload))?;
        let (instructions, _) = sign(request, &parameters)?.into_parts();
        let headers = instructions.headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// The function that the path of an invocation names.
#[must_use]
pub fn invoked_function(path: &str) -> Option<&str> {
    let rest = path.trim_start_matches('/').strip_prefix(VERSION)?;
    let function = rest.strip_prefix("/functions/")?.strip_suffix("/invocations")?;
    (!function.contains('/')).then_some(function)
}

/// Where Lambda is in a region: the domain is that of its partition.
/// <https://docs.aws.amazon.com/general/latest/gr/lambda-service.html>
#[must_use]
pub fn lambda_endpoint(region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://lambda.{region}.{domain}")
}

#[cfg(test)]
mod tests;
