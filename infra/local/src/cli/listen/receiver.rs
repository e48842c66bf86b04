//! The HTTP server of `redial listen`: takes requests on 127.0.0.1, answers as told, hands them on. Judges nothing.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use redial_domain::Timestamp;
use redial_platform::Clock;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::cli::error::CliError;

/// Largest request taken, in bytes: an event of 256 KiB in any envelope fits.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
/// Requests that wait to be shown; then senders wait.
const QUEUE_LEN: usize = 256;

/// How the receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behaviour {
    /// The status of an answer, once the failing ones are over.
    pub(super) status: u16,
    /// How many requests fail first.
    pub(super) fail_first: u64,
    /// The status of those.
    pub(super) failing_status: u16,
    /// The wait before each answer.
    pub(super) delay: Duration,
}

/// A request as it arrived. All of it is hostile.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) at: Timestamp,
    pub(super) id: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) body: Bytes,
    /// The status that it is answered with.
    pub(super) answered: u16,
    /// True if it is one of the first, which fail on purpose.
    pub(super) failed_on_purpose: bool,
}

/// A running receiver.
pub(super) struct Receiver {
    requests: mpsc::Receiver<Received>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// The next request; `None` if the server has ended.
    pub(super) async fn next(&mut self) -> Option<Received> {
        self.requests.recv().await
    }

    /// Waits until every answer is given, once the server was told to stop.
    pub(super) async fn finished(mut self) {
        // Nobody shows requests any more: what still comes must not wait for us.
        self.requests.close();
        let _ = self.server.await;
    }
}

#[derive(Clone)]
struct Shared {
    behaviour: Behaviour,
    clock: Clock,
    taken: Arc<AtomicU64>,
    requests: mpsc::Sender<Received>,
}

/// Takes a port on 127.0.0.1; 0 takes a free one.
pub(super) async fn bind(port: u16) -> Result<(u16, TcpListener), CliError> {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = taken.map_err(|source| CliError::Listen { port, source })?;
    let address = listener
        .local_addr()
        .map_err(|source| CliError::Listen { port, source })?;
    Ok((address.port(), listener))
}

/// Answers requests until `stopped`.
pub(super) fn serve(
    listener: TcpListener,
    behaviour: Behaviour,
    clock: Clock,
    stopped: oneshot::Receiver<()>,
) -> Receiver {
    let (sender, requests) = mpsc::channel(QUEUE_LEN);
    let shared = Shared {
        behaviour,
        clock,
        taken: Arc::new(AtomicU64::new(0)),
        requests: sender,
    };
    let router = Router::new()
        .fallback(post(take))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared);
    let server = tokio::spawn(async move {
        let until = async {
            let _ = stopped.await;
        };
        // Its only error is that of accepting, after which there is nothing left to serve.
        let _ = axum::serve(listener, router).with_graceful_shutdown(until).await;
    });
    Receiver { requests, server }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let behaviour = shared.behaviour;
    let failed_on_purpose = shared.taken.fetch_add(1, Ordering::Relaxed) < behaviour.fail_first;
    let answered = if failed_on_purpose {
        behaviour.failing_status
    } else {
        behaviour.status
    };
    let received = Received {
        at: shared.clock.now(),
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        body,
        answered,
        failed_on_purpose,
    };
    if shared.requests.send(received).await.is_err() {
        // Not shown, so not received: it may be delivered again, to whoever listens then.
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if !behaviour.delay.is_zero() {
        tokio::time::sleep(behaviour.delay).await;
    }
    StatusCode::from_u16(answered).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
