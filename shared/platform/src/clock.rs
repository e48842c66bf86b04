//! What time it is: the one place that asks the operating system, so that tests can step time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redial_domain::Timestamp;

/// A clock, cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The operating system's.
    #[default]
    System,
    /// Stands still until it is moved. For tests.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `start` until [`Clock::advance_to`] moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.as_millis())))
    }

    /// The moment it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::from_millis(system_ms()),
            Self::Manual(ms) => Timestamp::from_millis(ms.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward to `moment`; never back. The system's clock does not move.
    pub fn advance_to(&self, moment: Timestamp) {
        if let Self::Manual(ms) = self {
            ms.fetch_max(moment.as_millis(), Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one call: everybody else takes a Clock")]
fn system_ms() -> i64 {
    // A clock before 1970 reads as 1970: nothing can be right then, and nothing should panic.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
