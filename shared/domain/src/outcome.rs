//! What came of one HTTP request to a customer: the language between `egress` (which talks) and
//! `delivery::decide` (which decides). Holds no reason to retry; that is a decision.

use serde::{Deserialize, Serialize};

/// Response bytes kept of an answer; the rest is never read. docs/LIMITS.md.
pub const MAX_RESPONSE_BYTES: usize = 16 * 1024;

/// The result of one attempt, as the customer's side caused it. Our own faults are another type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered with a final status line and headers within the timeout.
    Answered(Answer),
    /// No answer came: the request could not be made or did not finish.
    Failed(FailureCode),
}

/// A receiver's answer, cut to what Redial keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The HTTP status, 200 to 999.
    pub status: u16,
    /// The `Retry-After` header as received, if it was readable text; judged by `retry`.
    pub retry_after: Option<String>,
    /// The `Content-Type` header as received, if it was readable text.
    pub content_type: Option<String>,
    /// At most [`MAX_RESPONSE_BYTES`] of the body, whatever it holds. Hostile: never trust, never render raw.
    pub body: Vec<u8>,
    /// True if the body was longer than what was kept, or broke off.
    pub truncated: bool,
}

/// Why no answer came: the closed list that a customer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The URL or an address that its name resolves to is one that Redial does not connect to.
    Blocked,
    /// The name did not resolve, or not in time.
    DnsFailed,
    /// The connection was refused or unreachable.
    ConnectFailed,
    /// The connection was not there in time.
    ConnectTimeout,
    /// The TLS handshake failed: expired, wrong host, unknown authority, too old a version.
    TlsFailed,
    /// The answer was not there within the endpoint's timeout.
    Timeout,
    /// The connection closed before the answer was complete.
    ConnectionClosed,
    /// What came was not HTTP that can be understood, or too many headers.
    ProtocolError,
}

impl FailureCode {
    /// The stable code, as JSON shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::DnsFailed => "dns_failed",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::TlsFailed => "tls_failed",
            Self::Timeout => "timeout",
            Self::ConnectionClosed => "connection_closed",
            Self::ProtocolError => "protocol_error",
        }
    }
}
