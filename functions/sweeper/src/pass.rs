//! One pass of the sweeper: when it began, what it looks at, and when it has no time for more. Whatever is begun asks first,
//! in pieces of seconds: a pass that outlived its function's timeout would be killed, and might never come further.

use redial_domain::Timestamp;
use redial_platform::Clock;

/// Time of a pass, in milliseconds, after which nothing more is begun: what is under way then ends within the function's
/// timeout of 120 s (template.yaml). The next pass goes on.
pub(crate) const PASS_MS: i64 = 100_000;
/// How much of it is for what is due, in milliseconds.
pub(crate) const DUE_MS: i64 = 45_000;
/// How much of it, at most, is for what comes after: repairing and counting, in milliseconds.
pub(crate) const REPAIR_MS: i64 = 60_000;

/// What is the same for every tenant of a pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    /// When nothing more is to be begun.
    pub(crate) deadline: Timestamp,
    /// Events accepted before this moment should have records.
    pub(crate) until: Timestamp,
    /// The first hour that is looked at.
    pub(crate) oldest: Timestamp,
    /// The first hour that was not swept whole.
    pub(crate) progress: Timestamp,
    /// The queue is behind: a missing record means nothing.
    pub(crate) behind: bool,
}

impl Pass {
    /// True if the pass has no time for more; the next one goes on.
    pub(crate) fn is_late(&self, clock: &Clock) -> bool {
        clock.now() > self.deadline
    }
}
