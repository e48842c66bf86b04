//! The timer task: sleeps until the next delay, visibility timeout or retention ends, and lets the engine see it.
//! It holds the server weakly and ends with it; it decides nothing.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::sqs::Inner;

/// The longest sleep: a real clock that was set ahead is noticed within it.
const SLEEP: Duration = Duration::from_secs(60);
/// A deadline that has passed and is still there (a closed server, or a clock that stands) is not spun upon.
const SLEEP_FLOOR: Duration = Duration::from_millis(1);

/// Runs until the server is gone.
pub(crate) async fn run(server: Weak<Inner>, reschedule: Arc<Notify>) {
    loop {
        let mut told = std::pin::pin!(reschedule.notified());
        told.as_mut().enable();
        let sleep = match server.upgrade() {
            Some(server) => server.timer_turn(),
            None => return,
        };
        tokio::select! {
            () = told => {}
            () = tokio::time::sleep(sleep.unwrap_or(SLEEP).clamp(SLEEP_FLOOR, SLEEP)) => {}
        }
    }
}
