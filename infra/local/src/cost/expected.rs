//! How often each of the counted things happens in a workload: the whole formula. Whole numbers as long as the workload comes
//! out even; then the tests find exactly these in the running code.

use std::collections::BTreeMap;

use super::{ByKind, Counts, Workload};
use crate::billable::Used;
use crate::billable::dynamodb::WRITE_UNIT_BYTES;
use crate::billable::sqs::UNIT_BYTES;

/// Messages in a batch, of what is sent.
const MESSAGES: u64 = 10;
/// Longest base64 of a content that rides in its message: `redial_platform::blob`.
const MAX_RIDING: u64 = redial_platform::blob::MAX_RIDING_LEN as u64;

/// The numbers of a kind of request that may be fractions: requests, units, grouped, half reads, writes, index writes, refused.
pub(super) type Numbers = [f64; 7];

/// What a workload uses.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    used: BTreeMap<String, Numbers>,
    /// Requests to ingest.
    pub requests: f64,
    /// Batches of the dispatcher.
    pub batches: f64,
    /// Deliveries that are POSTed.
    pub posted: f64,
}

impl Expected {
    fn add(&mut self, each: &ByKind, times: f64, units: u64, writes: u64) {
        for (kind, used) in each {
            let sums = self.used.entry(kind.clone()).or_default();
            let scaled = Used {
                units: used.units * units,
                grouped: used.grouped * units,
                writes: used.writes * writes,
                ..*used
            };
            for (sum, (_, number)) in sums.iter_mut().zip(scaled.numbers()) {
                *sum += to_f64(number) * times;
            }
        }
    }

    /// Every kind of request with its numbers, by the names in [`Used::numbers`].
    pub fn kinds(&self) -> impl Iterator<Item = (&str, Vec<(&'static str, f64)>)> {
        let names = Used::default().numbers().map(|(name, _)| name);
        let named = move |numbers: &Numbers| names.into_iter().zip(*numbers).collect();
        self.used
            .iter()
            .map(move |(kind, numbers)| (kind.as_str(), named(numbers)))
    }

    /// What is used of one thing, over all kinds: by its name in [`Used::numbers`].
    #[must_use]
    pub fn sum(&self, number: &str, wanted: impl Fn(&str) -> bool) -> f64 {
        let names = Used::default().numbers();
        let Some(place) = names.iter().position(|(name, _)| *name == number) else {
            return 0.0;
        };
        let kinds = self.used.iter().filter(|(kind, _)| wanted(kind));
        kinds.map(|(_, numbers)| numbers[place]).sum()
    }
}

/// A count as what is reckoned with; none comes near 2^53.
pub(crate) const fn to_f64(n: u64) -> f64 {
    n as f64
}

/// What so many events of a workload use.
#[must_use]
pub fn expected(counts: &Counts, workload: &Workload, events: u64) -> Expected {
    let Workload { fan_out, batch, .. } = *workload;
    let mut sum = Expected::default();
    let of = to_f64(events);
    let requests = of / to_f64(batch);
    let packed = counts.packed_bytes(workload.payload_bytes);
    sum.requests = requests;
    sum.add(&counts.each.request, requests, 1, 1);
    let event_bytes = packed + counts.bytes.event_item + fan_out * counts.bytes.event_endpoint;
    let writes = event_bytes.div_ceil(WRITE_UNIT_BYTES as u64).max(1);
    sum.add(&counts.each.event, of, 1, writes);
    if workload.own_ids {
        sum.add(&counts.each.own_id, of, 1, 1);
    }
    let deliveries = of * to_f64(fan_out);
    if workload.held {
        sum.add(&counts.each.held, deliveries, 1, 1);
        return sum;
    }
    let message_bytes = message_bytes(counts, packed);
    let (full, rest) = (batch * fan_out / MESSAGES, batch * fan_out % MESSAGES);
    sum.add(
        &counts.each.send,
        requests * to_f64(full),
        units(MESSAGES * message_bytes),
        1,
    );
    if rest > 0 {
        sum.add(&counts.each.send, requests, units(rest * message_bytes), 1);
    }
    sum.posted = deliveries;
    sum.batches = deliveries / to_f64(workload.at_once);
    sum.add(&counts.each.delivery, deliveries, 1, 1);
    let mut batch_of = counts.each.batch.clone();
    // Only what is received carries the messages.
    let carries = units(workload.at_once * message_bytes);
    for (kind, used) in &mut batch_of {
        if kind.ends_with("ReceiveMessage") {
            (used.units, used.grouped) = (used.units * carries, used.grouped * carries);
        }
    }
    sum.add(&batch_of, sum.batches, 1, 1);
    let retried = deliveries * workload.retried_percent / 100.0;
    sum.add(&counts.each.retry, retried, 1, 1);
    sum.posted += retried;
    sum
}

/// Bytes of a delivery's message: a content that is too long does not ride in it.
///
/// A short content rides as it is, which is longer; ten of those are one unit all the same (`blob::MAX_PLAIN_BYTES`).
const fn message_bytes(counts: &Counts, packed: u64) -> u64 {
    let riding = packed.div_ceil(3) * 4;
    if riding > MAX_RIDING {
        return counts.bytes.message;
    }
    counts.bytes.message + riding
}

/// Requests that SQS bills for one that carries so much.
fn units(bytes: u64) -> u64 {
    bytes.div_ceil(UNIT_BYTES as u64).max(1)
}
