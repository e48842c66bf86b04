//! What the api and the dispatcher say to each other when an endpoint is tested: the order, and the exchange that came of
//! it. Never a secret: the dispatcher opens them itself, and shows none.

use redial_domain::diagnosis::Step;
use redial_domain::event::Content;
use redial_domain::{EndpointId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// The payload of the invocation: what tells it from a batch of a queue.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invocation {
    /// What is asked.
    pub endpoint_test: TestOrder,
}

/// One request to one endpoint, which no event is behind.
#[derive(Debug, Serialize, Deserialize)]
pub struct TestOrder {
    /// Whose endpoint it is.
    pub tenant: TenantId,
    /// Which.
    pub endpoint: EndpointId,
    /// What the sample says.
    pub content: Content,
}

/// The answer of the invocation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The request was made, whatever came of it.
    Exchange(TestExchange),
    /// It was not.
    Problem(Problem),
}

/// What came of a test: the request, the answer, how long each step took, and what is to be mended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestExchange {
    /// True if a delivery would have succeeded: the receiver answered 200 to 299 in time.
    pub ok: bool,
    /// What an attempt would be recorded as: `ok`, `http_error`, `redirect`, `gone`, `blocked`, `dns_failed`,
    /// `connect_failed`, `connect_timeout`, `tls_failed`, `timeout`, `connection_closed`, `protocol_error`.
    #[schema(example = "tls_failed")]
    pub code: String,
    /// The step that failed: `policy` (Redial does not connect there), `dns`, `connect`, `tls`, `request` (the connection
    /// ended before an answer), `response` (no answer in time, none that can be read, or not a 2xx); `null`: none.
    #[schema(value_type = Option<FailedAt>, required)]
    pub failed_at: Option<Step>,
    /// What happened, a sentence.
    #[schema(example = "The receiver's certificate has expired.")]
    pub explanation: String,
    /// What to mend, a sentence; `null`: nothing.
    #[schema(required, example = "Renew the certificate.")]
    pub advice: Option<String>,
    /// The request as it was sent, or would have been.
    pub request: ShownRequest,
    /// The answer; `null`: there was none.
    #[schema(required)]
    pub response: Option<ShownResponse>,
    /// How long each step took.
    pub timings: ShownTimings,
    /// The addresses that the URL's host has; empty if it did not resolve, or to one that Redial does not connect to.
    #[schema(example = json!(["203.0.113.7"]))]
    pub addresses: Vec<String>,
    /// The address that answered; `null`: none did.
    #[schema(required, example = "203.0.113.7:443")]
    pub address: Option<String>,
}

/// The steps that can fail.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "describes `redial_domain::diagnosis::Step`, which knows no OpenAPI"
)]
enum FailedAt {
    Policy,
    Dns,
    Connect,
    Tls,
    Request,
    Response,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownHeader {
    /// Its name, in lower case.
    #[schema(example = "webhook-id")]
    pub name: String,
    /// Its value. Of the endpoint's own authentication and headers it is hidden: `[hidden]`.
    pub value: String,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownRequest {
    /// Always `POST`.
    #[schema(example = "POST")]
    pub method: String,
    /// Where to.
    pub url: String,
    /// Its headers. Over HTTP/2 `host` is sent as `:authority`.
    pub headers: Vec<ShownHeader>,
    /// The body that is signed, byte for byte.
    pub body: String,
}

/// An answer. All of it is the receiver's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownResponse {
    /// The HTTP status.
    #[schema(example = 200)]
    pub status: u16,
    /// `HTTP/1.1` or `HTTP/2.0`.
    #[schema(example = "HTTP/2.0")]
    pub version: String,
    /// At most 64 headers of at most 1,024 bytes each.
    pub headers: Vec<ShownHeader>,
    /// True if there were more headers, or longer ones.
    pub headers_cut: bool,
    /// At most 16 KiB; what is not UTF-8 is replaced.
    pub body: String,
    /// True if there was more, or it broke off.
    pub body_cut: bool,
}

/// Milliseconds that each step took, or lasted until it failed; `null`: the request did not come to it. All `null` where
/// Redial does not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownTimings {
    /// Looking up the host name; `null` also for an address.
    #[schema(required)]
    pub dns_ms: Option<u32>,
    /// The TCP connection, which is always a new one.
    #[schema(required)]
    pub connect_ms: Option<u32>,
    /// The TLS handshake, always a whole one.
    #[schema(required)]
    pub tls_ms: Option<u32>,
    /// From the connection to the first byte of the answer.
    #[schema(required)]
    pub first_byte_ms: Option<u32>,
    /// All of it, the answer's body included.
    #[schema(required)]
    pub total_ms: Option<u32>,
}
