//! What Redial costs on AWS: the requests that it makes for events and deliveries, and their prices. The requests are those
//! that `tests/tests/cost` counts in the running code and holds against tests/data/cost.json, which is built in here, so that
//! the arithmetic cannot say what the code does not do. Never asks AWS: list prices, one region, no free tier.

mod expected;
pub mod prices;
pub mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::billable::{DYNAMODB, EMPTY_RECEIVE, Usage, Used};
pub use expected::{Expected, expected};

/// The counts, as they were committed.
const COUNTS: &str = include_str!("../../../../tests/data/cost.json");

/// What is billed, by who asks: `mapping of DeliveryQueue sqs ReceiveMessage`; of DynamoDB, which bills units and no requests,
/// without the operation: `Ingest dynamodb`. See [`billed`].
pub type ByKind = BTreeMap<String, Used>;

/// What a count comes to, in the form in which it is committed. Left out is what is not billed (how many requests DynamoDB's
/// units came in: that depends on which writes met), and what this machine does as no deployment does (long polls in vain).
#[must_use]
pub fn billed(usage: &Usage) -> ByKind {
    let mut billed = ByKind::new();
    for (kind, used) in &usage.0 {
        if kind.operation == EMPTY_RECEIVE {
            continue;
        }
        let (name, used) = match kind.service {
            DYNAMODB => {
                let units = Used { requests: 0, ..*used };
                (format!("{} {DYNAMODB}", kind.by), units)
            }
            _ => (kind.to_string(), *used),
        };
        *billed.entry(name).or_default() += used;
    }
    billed.retain(|_, used| *used != Used::default());
    billed
}

/// What was counted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// What is used for each of something.
    pub each: Each,
    /// Sizes.
    pub bytes: Bytes,
    /// What was used in sum by what has no simple rule.
    pub sums: BTreeMap<String, Sum>,
    /// Workloads, each with a name: all of them are run and counted.
    pub scenarios: Vec<Scenario>,
}

/// What is used for each of something, while nothing is cold: caches are filled and connections open.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// A request to ingest.
    pub request: ByKind,
    /// An event, of at most 1 KB as it is stored.
    pub event: ByKind,
    /// What an id of the platform's own adds to it.
    pub own_id: ByKind,
    /// Up to ten messages that are sent, of 64 KiB together.
    pub send: ByKind,
    /// Up to ten deliveries that the dispatcher is given, of 64 KiB together.
    pub batch: ByKind,
    /// A delivery that succeeds at its first attempt.
    pub delivery: ByKind,
    /// An attempt that fails, and all that follows until the next one has succeeded.
    pub retry: ByKind,
    /// A delivery to an endpoint on hold, in place of its message, its batch and its record.
    pub held: ByKind,
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// An event's item without its content.
    pub event_item: u64,
    /// What each endpoint that it matched adds to it.
    pub event_endpoint: u64,
    /// The row of a delivery.
    pub delivery_item: u64,
    /// A time row.
    pub time_row: u64,
    /// A message without its content.
    pub message: u64,
    /// What the headers of a delivery add to its body: HTTP's, TLS's and TCP's. Reckoned, not counted.
    pub request_headers: u64,
    /// Log lines of a request to ingest, as CloudWatch bills them.
    pub request_log: u64,
    /// Log lines of a batch of the dispatcher in which nothing fails.
    pub batch_log: u64,
    /// What an invocation has in the log besides: Lambda's own three lines, and the request's id in each of ours. Reckoned.
    pub invocation_log: u64,
    /// Percent of its size that an event's content has when it is stored: of tests/data/calls.jsonl, deflated.
    pub packed_percent: u64,
}

/// What was used in sum.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// What of.
    pub what: String,
    /// For how many.
    pub of: u64,
    /// What was used.
    pub used: ByKind,
}

/// A workload with a name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called in the table.
    pub name: String,
    /// How many events of it a test posts.
    pub events: u64,
    /// What it is.
    pub workload: Workload,
}

/// What is posted, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// Endpoints that each event matches.
    pub fan_out: u64,
    /// Events in a request.
    pub batch: u64,
    /// Deliveries that the dispatcher is given at once, 1 to 10: ten where there is much to do, one where there is little.
    pub at_once: u64,
    /// Bytes of an event's content as JSON.
    pub payload_bytes: u64,
    /// The platform gives the ids.
    pub own_ids: bool,
    /// Deliveries of a hundred that fail once.
    pub retried_percent: f64,
    /// Every endpoint is on hold: it is down, or paused.
    pub held: bool,
    /// Milliseconds until the slowest receiver of a batch has answered.
    pub receiver_ms: u64,
    /// Days that events are kept.
    pub retention_days: u64,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            fan_out: 1,
            batch: 1,
            at_once: 10,
            payload_bytes: 1000,
            own_ids: false,
            retried_percent: 0.0,
            held: false,
            receiver_ms: 200,
            retention_days: 30,
        }
    }
}

/// The built-in counts or prices cannot be read: a fault of the build, which a test finds.
#[derive(Debug, thiserror::Error)]
#[error("the built-in counts cannot be read")]
pub struct Unreadable(#[from] serde_json::Error);

impl Counts {
    /// The committed counts.
    ///
    /// # Errors
    /// [`Unreadable`] if they are no counts.
    pub fn built_in() -> Result<Self, Unreadable> {
        Ok(serde_json::from_str(COUNTS)?)
    }

    /// Bytes of a content as it is stored.
    #[must_use]
    pub const fn packed_bytes(&self, payload_bytes: u64) -> u64 {
        (payload_bytes * self.bytes.packed_percent).div_ceil(100)
    }
}
