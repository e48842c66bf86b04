//! How far the current request has come in making a connection, so that a deadline that passes meanwhile says what
//! it waited for. reqwest does not tell; the resolver and a layer around its connector note it for the task that
//! waits. Decides nothing.
//!
//! The connector is polled by the task of the request, except when the pool hands that request another connection
//! meanwhile: then the client finishes connecting in the background.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use tower::{Layer, Service};

tokio::task_local! {
    static CURRENT: Arc<Progress>;
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It has a connection, or waits for one of the pool.
    Exchanging,
    /// Looking up the name for a new connection.
    Resolving,
    /// Making a new connection, TLS included.
    Connecting,
}

/// The phase of one request.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU8);

impl Progress {
    pub(crate) fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            1 => Phase::Resolving,
            2 => Phase::Connecting,
            _ => Phase::Exchanging,
        }
    }

    fn enter(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }
}

/// Runs the request with its progress noted.
pub(crate) async fn noted<F: Future>(progress: Arc<Progress>, request: F) -> F::Output {
    CURRENT.scope(progress, request).await
}

/// A lookup begins.
pub(crate) fn resolving() {
    let _not_in_background = CURRENT.try_with(|progress| progress.enter(Phase::Resolving));
}

/// A lookup ended with addresses.
pub(crate) fn connecting() {
    let _not_in_background = CURRENT.try_with(|progress| progress.enter(Phase::Connecting));
}

/// The layer around the connector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoteConnections;

impl<S> Layer<S> for NoteConnections {
    type Service = Noted<S>;

    fn layer(&self, connector: S) -> Noted<S> {
        Noted(connector)
    }
}

/// A connector whose connections are noted.
#[derive(Debug, Clone)]
pub(crate) struct Noted<S>(S);

impl<S, Target> Service<Target> for Noted<S>
where
    S: Service<Target>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let progress = CURRENT.try_with(Arc::clone).ok();
        if let Some(progress) = &progress {
            progress.enter(Phase::Connecting);
        }
        let connecting = self.0.call(target);
        Box::pin(async move {
            let connected = connecting.await;
            if let (Some(progress), Ok(_)) = (progress, &connected) {
                progress.enter(Phase::Exchanging);
            }
            connected
        })
    }
}
