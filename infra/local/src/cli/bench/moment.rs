//! The one clock of a bench. Driver and receiver are two processes: both read it, and their readings can be subtracted. Its
//! readings mean nothing else, and survive no restart of the machine.

use std::time::Duration;

/// What the clock is called in reports.
#[cfg(unix)]
pub(super) const NAME: &str = "CLOCK_MONOTONIC";
/// What the clock is called in reports.
#[cfg(not(unix))]
pub(super) const NAME: &str = "the time of day, in whole milliseconds";

/// Nanoseconds in a second.
pub(super) const NS_PER_S: u64 = 1_000_000_000;

/// Nanoseconds since some moment that is the same for every process of this machine. Nobody sets this clock, so that no
/// latency is wrong because the time of day was corrected meanwhile.
#[cfg(unix)]
pub(super) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * NS_PER_S + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// The best that the standard library shares between processes elsewhere.
#[cfg(not(unix))]
pub(super) fn now_ns() -> u64 {
    u64::try_from(redial_platform::Clock::wall().as_millis()).unwrap_or(0) * 1_000_000
}

/// What lies between two readings, in seconds; 0 if the second is earlier.
pub(super) fn seconds_between(from_ns: u64, to_ns: u64) -> f64 {
    Duration::from_nanos(to_ns.saturating_sub(from_ns)).as_secs_f64()
}
