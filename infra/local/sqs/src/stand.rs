//! The stand of the tests: a server in a folder that goes with the test, and a clock that only the test moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;

use crate::{NowMs, Outgoing, Settings, Sqs};

/// When the clock starts.
pub(crate) const T0: i64 = 1_800_000_000_000;

/// A clock that a test steps.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(T0)))
    }

    pub(crate) fn now(&self) -> NowMs {
        let time = Arc::clone(&self.0);
        Arc::new(move || time.load(Ordering::SeqCst))
    }

    pub(crate) fn set(&self, at_ms: i64) {
        self.0.store(at_ms, Ordering::SeqCst);
    }
}

pub(crate) struct Stand {
    pub(crate) folder: TempDir,
    pub(crate) clock: Clock,
    pub(crate) sqs: Sqs,
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let (folder, clock) = (TempDir::new().unwrap(), Clock::new());
        let sqs = Sqs::open(folder.path(), settings, clock.now()).await.unwrap();
        Self { folder, clock, sqs }
    }

    /// Steps the clock and lets the server see it.
    pub(crate) fn go_to(&self, at_ms: i64) {
        self.clock.set(at_ms);
        self.sqs.time_moved();
    }

    pub(crate) async fn queue(&self, name: &str, attributes: &[(&str, String)]) {
        let attributes: BTreeMap<_, _> = attributes.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        self.sqs.create_queue(name, &attributes).await.unwrap();
    }

    /// A queue whose messages move to `target` after `max` receives.
    pub(crate) async fn queue_to(&self, name: &str, target: &str, max: u32) {
        let arn = self.sqs.settings().arn(target);
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{max}}}"#);
        self.queue(name, &[("RedrivePolicy", policy)]).await;
    }

    pub(crate) async fn send(&self, queue: &str, bodies: &[&str]) {
        let messages = bodies.iter().map(|body| outgoing(body)).collect();
        for sent in self.sqs.send_batch(queue, messages).await.unwrap() {
            sent.unwrap();
        }
    }

    /// The bodies that one receive gives, hidden for `visibility_s`.
    pub(crate) async fn bodies(&self, queue: &str, visibility_s: u32) -> Vec<String> {
        let received = self.sqs.receive(queue, 10, 0, Some(visibility_s)).await.unwrap();
        received.iter().map(|received| received.body.to_string()).collect()
    }

    /// Closes the server and opens its folder again.
    pub(crate) async fn reopen(&mut self) {
        let settings = self.sqs.settings().clone();
        self.sqs.close().await;
        self.sqs = Sqs::open(self.folder.path(), settings, self.clock.now()).await.unwrap();
    }
}

pub(crate) fn outgoing(body: &str) -> Outgoing {
    Outgoing {
        body: body.to_owned(),
        ..Outgoing::default()
    }
}
