//! One POST to a customer with everything that can be seen of it: for the person who asks why an endpoint does not work.
//! The same rules and the same client as [`Egress::post`], but on a connection of its own, made anew from name to TLS.
//!
//! A refused address must not be measured: of one there is no time, no address and no difference between what listens there
//! and what does not.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_LENGTH, HOST};
use http::{HeaderMap, Response, Version};
use hyper_util::client::legacy::connect::HttpInfo;
use redial_domain::diagnosis::{Cause, Step};
use redial_domain::outcome::{FailureCode, Outcome};
use redial_domain::url::EndpointUrl;

use crate::post::{Egress, OurFault, Post, request, send};
use crate::progress::{Phase, Progress, Steps};
use crate::stopwatch::{Stopwatch, whole_ms};

/// Headers of an answer that are shown; there may be more.
pub const MAX_SHOWN_HEADERS: usize = 64;
/// Bytes of a header's value that are shown.
pub const MAX_SHOWN_VALUE_BYTES: usize = 1024;

/// Everything that was seen of a request.
#[derive(Debug, Clone)]
pub struct Probed {
    /// The answer, or why there was none.
    pub outcome: Outcome,
    /// How far it had come at the end.
    pub step: Step,
    /// What is known of a failure.
    pub cause: Option<Cause>,
    /// The headers that were sent, those too that the client adds. They hold the endpoint's secrets.
    pub sent: Vec<(String, String)>,
    /// The head of the answer.
    pub head: Option<Head>,
    /// How long each step took.
    pub timings: Timings,
    /// The addresses that the host has, all of them targets; empty if that is not known or not to be known.
    pub addresses: Vec<IpAddr>,
    /// The one that answered.
    pub connected_to: Option<SocketAddr>,
}

/// The head of an answer, without its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: &'static str,
    /// Names and values, in the order of their coming. Hostile.
    pub headers: Vec<(String, String)>,
    /// True if there were more headers, or longer ones, than are shown.
    pub cut: bool,
}

/// How long each step took, or lasted until it failed, in milliseconds; `None`: the request did not come to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Looking up the name; `None` also for an address, which needs none.
    pub dns_ms: Option<u32>,
    /// The TCP connection.
    pub connect_ms: Option<u32>,
    /// The TLS handshake.
    pub tls_ms: Option<u32>,
    /// From the connection to the first byte of the answer.
    pub first_byte_ms: Option<u32>,
    /// From the call to the end.
    pub total_ms: Option<u32>,
}

impl Probed {
    /// Nothing was sent, and nothing is to be known.
    fn blocked() -> Self {
        Self {
            outcome: Outcome::Failed(FailureCode::Blocked),
            step: Step::Policy,
            cause: None,
            sent: Vec::new(),
            head: None,
            timings: Timings::default(),
            addresses: Vec::new(),
            connected_to: None,
        }
    }
}

impl Egress {
    /// Sends one request on a connection of its own and waits for its outcome, at most `timeout`.
    ///
    /// # Errors
    /// [`OurFault`] as [`Egress::post`].
    pub async fn probe(&self, post: Post<'_>) -> Result<Probed, OurFault> {
        let stopwatch = Stopwatch::start();
        let freezes = self.freezes();
        let Ok(target) = self.admit(post.url) else {
            return Ok(Probed::blocked());
        };
        let client = self.maker().build_for_one();
        let length = post.body.len();
        let request = request(&target, &post.headers, post.body)?;
        let sent = shown_request(&target, request.headers(), length);
        let progress = Arc::new(Progress::since(stopwatch, post.whose));
        let deadline = stopwatch.started_at() + post.timeout;
        let (outcome, cause, head, first_byte, connected_to) = match send(&client, request, deadline, &progress).await?
        {
            Ok(answering) => {
                let (first_byte, response) = (stopwatch.elapsed(), &answering.response);
                let head = Head::of(response);
                let from = response.extensions().get().map(HttpInfo::remote_addr);
                (answering.read(deadline).await, None, Some(head), Some(first_byte), from)
            }
            Err(failure) => (Outcome::Failed(failure.code), failure.cause, None, None, None),
        };
        let end = stopwatch.elapsed();
        if matches!(outcome, Outcome::Failed(_)) && self.freezes() != freezes {
            return Err(OurFault::Frozen);
        }
        if outcome == Outcome::Failed(FailureCode::Blocked) {
            return Ok(Probed::blocked());
        }
        let steps = progress.steps();
        Ok(Probed {
            step: reached(&steps, first_byte),
            timings: timings(&steps, first_byte, end),
            addresses: target_addresses(&target, steps.addresses),
            outcome,
            cause,
            sent,
            head,
            connected_to,
        })
    }
}

impl Head {
    fn of<B>(response: &Response<B>) -> Self {
        let headers = response.headers();
        let mut cut = headers.len() > MAX_SHOWN_HEADERS;
        let shown = headers.iter().take(MAX_SHOWN_HEADERS).map(|(name, value)| {
            let bytes = value.as_bytes();
            cut |= bytes.len() > MAX_SHOWN_VALUE_BYTES;
            let bytes = &bytes[..bytes.len().min(MAX_SHOWN_VALUE_BYTES)];
            (name.to_string(), String::from_utf8_lossy(bytes).into_owned())
        });
        let headers = shown.collect();
        Self {
            version: if response.version() == Version::HTTP_2 {
                "HTTP/2.0"
            } else {
                "HTTP/1.1"
            },
            headers,
            cut,
        }
    }
}

/// The headers as they leave: those that the client itself adds come first, as it writes them.
fn shown_request(target: &EndpointUrl, headers: &HeaderMap, body_bytes: usize) -> Vec<(String, String)> {
    let url = target.url();
    let host = url.host_str().unwrap_or_default();
    let host = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let own = [
        (HOST, host),
        (CONTENT_LENGTH, body_bytes.to_string()),
        (ACCEPT, "*/*".to_owned()),
    ];
    let own = own.into_iter().filter(|(name, _)| !headers.contains_key(name));
    let given = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    own.map(|(name, value)| (name.to_string(), value))
        .chain(given)
        .collect()
}

/// An address in the URL is its own answer: nobody is asked.
fn target_addresses(target: &EndpointUrl, resolved: Vec<IpAddr>) -> Vec<IpAddr> {
    let literal = match target.url().host() {
        Some(url::Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        Some(url::Host::Domain(_)) | None => None,
    };
    literal.map_or(resolved, |ip| vec![ip])
}

const fn reached(steps: &Steps, first_byte: Option<Duration>) -> Step {
    match (steps.phase, first_byte) {
        (_, Some(_)) => Step::Response,
        (Phase::Waiting | Phase::Resolving, None) => Step::Dns,
        (Phase::Connecting, None) => Step::Connect,
        (Phase::Handshaking, None) => Step::Tls,
        (Phase::Exchanging, None) => Step::Request,
    }
}

fn timings(steps: &Steps, first_byte: Option<Duration>, end: Duration) -> Timings {
    let took = |from: Option<Duration>, until: Option<Duration>| {
        from.map(|from| whole_ms(until.unwrap_or(end).saturating_sub(from)))
    };
    Timings {
        dns_ms: took(steps.resolving, steps.connecting),
        connect_ms: took(steps.connecting, steps.handshaking.or(steps.connected)),
        tls_ms: took(steps.handshaking, steps.connected),
        first_byte_ms: first_byte.and_then(|_| took(steps.connected, first_byte)),
        total_ms: Some(whole_ms(end)),
    }
}
