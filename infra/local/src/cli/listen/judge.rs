//! Judges received requests: does the signature verify, and has this event come before? Pure: prints nothing, reads no
//! clock.

use std::collections::{HashMap, VecDeque};

use redial_domain::Timestamp;
use redial_domain::count::counted;
use redial_domain::signature::{Secret, TOLERANCE_S, VerifyError, verify};

use super::receiver::Received;

/// Events remembered to tell a repeat; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 100_000;

/// Why a request is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Distrust {
    /// A header that every delivery has is missing.
    #[error("no {0} header")]
    Missing(&'static str),
    /// The signature does not verify.
    #[error(transparent)]
    Unverified(#[from] VerifyError),
}

/// What is to be said about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it verifies.
    pub(super) trust: Result<(), Distrust>,
    /// Which request for this event it is, from 1; only verified ones count. 0 if it is not verified.
    pub(super) request: u32,
    /// True if an earlier request for this event was answered with success.
    pub(super) duplicate: bool,
    /// Milliseconds since the request before it for the same event.
    pub(super) after_ms: Option<i64>,
}

struct Seen {
    requests: u32,
    succeeded: bool,
    last: Timestamp,
}

/// What has come so far.
#[derive(Default)]
pub(super) struct Ledger {
    seen: HashMap<String, Seen>,
    order: VecDeque<String>,
    settled: u64,
    verified: u64,
    duplicates: u64,
    failed: u64,
}

impl Ledger {
    /// Judges a request and remembers it.
    pub(super) fn judge(&mut self, request: &Received, secrets: &[Secret], now: Timestamp) -> Verdict {
        let id = match trusted_id(request, secrets, now) {
            Ok(id) => id,
            Err(distrust) => {
                self.failed += 1;
                return Verdict {
                    trust: Err(distrust),
                    request: 0,
                    duplicate: false,
                    after_ms: None,
                };
            }
        };
        self.verified += 1;
        let succeeds = (200..300).contains(&request.answered);
        let Some(seen) = self.seen.get_mut(id) else {
            self.remember(
                id,
                Seen {
                    requests: 1,
                    succeeded: succeeds,
                    last: request.at,
                },
            );
            self.settled += u64::from(!request.failed_on_purpose);
            return Verdict {
                trust: Ok(()),
                request: 1,
                duplicate: false,
                after_ms: None,
            };
        };
        let verdict = Verdict {
            trust: Ok(()),
            request: seen.requests.saturating_add(1),
            duplicate: seen.succeeded,
            after_ms: Some(request.at.millis_since(seen.last)),
        };
        self.duplicates += u64::from(seen.succeeded);
        // One that failed on purpose before is settled when it comes again and is taken.
        self.settled += u64::from(succeeds && !seen.succeeded);
        *seen = Seen {
            requests: verdict.request,
            succeeded: seen.succeeded || succeeds,
            last: request.at,
        };
        verdict
    }

    /// How many different events were verified and answered as they finally should be: what `--count` counts.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// How many requests did not verify.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// One line about all of it.
    pub(super) fn summary(&self) -> String {
        format!(
            "{} verified ({}), {} not verified",
            self.verified,
            counted(self.duplicates, "duplicate", "duplicates"),
            self.failed
        )
    }

    fn remember(&mut self, id: &str, seen: Seen) {
        if self.order.len() >= MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.seen.insert(id.to_owned(), seen);
    }
}

fn trusted_id<'a>(request: &'a Received, secrets: &[Secret], now: Timestamp) -> Result<&'a str, Distrust> {
    let id = request.id.as_deref().ok_or(Distrust::Missing("webhook-id"))?;
    let timestamp = request
        .timestamp
        .as_deref()
        .ok_or(Distrust::Missing("webhook-timestamp"))?;
    let signature = request
        .signature
        .as_deref()
        .ok_or(Distrust::Missing("webhook-signature"))?;
    verify(secrets, id, timestamp, &request.body, signature, now, TOLERANCE_S)?;
    Ok(id)
}
