//! How far the current request has come in making a connection, and when, so that a deadline that passes meanwhile says
//! what it waited for. reqwest does not tell; the resolver, a layer around its connector and, where TLS is to be told
//! apart, the memory of TLS sessions (`handshake.rs`) note it for the task that waits. Decides nothing.
//!
//! The connector is polled by the task of the request, except when the pool hands that request another connection
//! meanwhile: then the client finishes connecting in the background.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service};

use crate::stopwatch::Stopwatch;

tokio::task_local! {
    static CURRENT: Arc<Progress>;
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has a connection, or waits for one of the pool.
    #[default]
    Exchanging,
    /// Looking up the name for a new connection.
    Resolving,
    /// Making a new connection: TCP, and TLS where its beginning is not noted.
    Connecting,
    /// In the TLS handshake of a new connection.
    Handshaking,
}

/// When each phase began, counted from the beginning of the request; `None`: it never did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    pub(crate) phase: Phase,
    pub(crate) resolving: Option<Duration>,
    pub(crate) connecting: Option<Duration>,
    pub(crate) handshaking: Option<Duration>,
    pub(crate) connected: Option<Duration>,
    /// What the name resolved to, all of it vetted; empty: it did not, or there is no name.
    pub(crate) addresses: Vec<IpAddr>,
}

/// The progress of one request.
#[derive(Debug)]
pub(crate) struct Progress {
    stopwatch: Stopwatch,
    steps: Mutex<Steps>,
}

impl Progress {
    /// Of a request that began with this stopwatch.
    pub(crate) fn since(stopwatch: Stopwatch) -> Self {
        Self {
            stopwatch,
            steps: Mutex::default(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.lock().phase
    }

    pub(crate) fn steps(&self) -> Steps {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        let now = self.stopwatch.elapsed();
        let mut steps = self.lock();
        steps.phase = phase;
        if phase == Phase::Resolving {
            // The connector was called for it: the connection itself begins when there is an address.
            steps.connecting = None;
        }
        let began = match phase {
            Phase::Resolving => &mut steps.resolving,
            Phase::Connecting => &mut steps.connecting,
            Phase::Handshaking => &mut steps.handshaking,
            Phase::Exchanging => &mut steps.connected,
        };
        *began = Some(now);
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

/// A lookup ended with these addresses, all of them vetted.
pub(crate) fn resolved(addresses: &[IpAddr]) {
    let _not_in_background = CURRENT.try_with(|progress| {
        progress.enter(Phase::Connecting);
        progress.lock().addresses = addresses.to_vec();
    });
}

/// The TCP connection is there and TLS begins.
pub(crate) fn handshaking() {
    let _not_in_background = CURRENT.try_with(|progress| progress.enter(Phase::Handshaking));
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
