//! `Retry-After`, as any receiver may write it: it only lengthens a wait, and never beyond the longest one.

use redial_domain::Timestamp;
use redial_domain::retry::{self, MAX_ATTEMPTS, MAX_DELAY_S, RetryPolicy};

use super::inputs;
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "retry_after",
    max_len: 4_096,
    run,
    seeds,
};

/// 2026-11-20T05:03:46Z, and the ends of what a moment can be.
const NOWS_MS: [i64; 3] = [1_795_151_026_258, 0, i64::MAX];

fn seeds() -> Vec<Vec<u8>> {
    inputs([
        "120",
        "0",
        "-1",
        "1000000000",
        "18446744073709551616",
        " 7 ",
        "1.5",
        "Sun, 06 Nov 1994 08:49:47 GMT",
        "Fri, 20 Nov 2026 05:13:46 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ])
}

fn run(input: &[u8]) {
    let Ok(header) = std::str::from_utf8(input) else { return };
    let policy = RetryPolicy::default();
    for now in NOWS_MS.map(Timestamp::from_millis) {
        let asked = retry::retry_after_s(header, now);
        let digits = header.trim();
        if !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) {
            assert_eq!(asked, Some(digits.parse().unwrap_or(u64::MAX)));
        }
        if !header.bytes().any(|c| c.is_ascii_digit()) {
            assert_eq!(asked, None, "{header:?}");
        }
        for n in [0, 1, 3, MAX_ATTEMPTS, u32::MAX] {
            for (overloaded, jitter) in [(false, 0.0), (true, 1.0), (true, f64::NAN)] {
                let without = retry::wait(&policy, n, overloaded, None, jitter);
                let wait = retry::wait(&policy, n, overloaded, asked, jitter);
                assert!((1..=MAX_DELAY_S).contains(&wait.total_s), "{header:?}: {wait:?}");
                assert_eq!(wait.total_s, without.total_s.max(asked.unwrap_or(0).min(MAX_DELAY_S)));
                assert_eq!(wait.asked_by_receiver, wait.total_s > without.total_s);
            }
        }
    }
}
