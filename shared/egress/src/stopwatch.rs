//! Measures how long an attempt took. The one place of this crate that reads a monotonic clock.

use std::time::Duration;

use tokio::time::Instant;

/// Started when an attempt starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// When it was started: deadlines count from here.
    pub(crate) const fn started_at(self) -> Instant {
        self.0
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Milliseconds since the start, at most 49 days.
    pub(crate) fn elapsed_ms(self) -> u32 {
        whole_ms(self.elapsed())
    }
}

/// Whole milliseconds, at most 49 days.
pub(crate) fn whole_ms(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
