//! Measures how long an attempt took. The one place of this crate that reads a monotonic clock.

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

    /// Milliseconds since the start, at most 49 days.
    pub(crate) fn elapsed_ms(self) -> u32 {
        u32::try_from(self.0.elapsed().as_millis()).unwrap_or(u32::MAX)
    }
}
