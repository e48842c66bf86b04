//! How far the current request has come in making a connection, and when, so that a deadline that passes meanwhile says
//! what it waited for. The client does not tell; the resolver and the connector note it for the task that waits. Decides
//! nothing.
//!
//! The connector is polled by the task of the request, except when the pool hands that request another connection
//! meanwhile: then the client finishes connecting in the background.

use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    /// Waiting for its turn to look up a name for a new connection.
    Waiting,
    /// Looking up the name.
    Resolving,
    /// Making a new TCP connection.
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
    whose: Arc<str>,
    stopwatch: Stopwatch,
    steps: Mutex<Steps>,
}

impl Progress {
    /// Of a request for `whose` that began with this stopwatch.
    pub(crate) fn since(stopwatch: Stopwatch, whose: &str) -> Self {
        Self {
            whose: whose.into(),
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
        if phase == Phase::Waiting {
            // The connector was called for it: the connection itself begins when there is an address.
            steps.connecting = None;
        }
        let began = match phase {
            Phase::Waiting | Phase::Resolving => &mut steps.resolving,
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

/// A name is to be looked up. Gives for whom: in the background, where no request waits for it any more, nobody.
pub(crate) fn waiting() -> Arc<str> {
    let whose = CURRENT.try_with(|progress| {
        progress.enter(Phase::Waiting);
        Arc::clone(&progress.whose)
    });
    whose.unwrap_or_default()
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

/// A connection begins. Gives whom to tell when it is there: it may come in the background.
pub(crate) fn connecting() -> Option<Arc<Progress>> {
    let progress = CURRENT.try_with(Arc::clone).ok();
    if let Some(progress) = &progress {
        progress.enter(Phase::Connecting);
    }
    progress
}

/// The connection is there.
pub(crate) fn connected(progress: Option<Arc<Progress>>) {
    if let Some(progress) = progress {
        progress.enter(Phase::Exchanging);
    }
}
