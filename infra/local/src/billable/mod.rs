//! Billable units: what the functions ask of DynamoDB, SQS, KMS and Lambda, in the units that AWS bills, while they run on
//! one machine. Counted where every request of an SDK client meets its service ([`metered`]), where the event source
//! mappings ask the queues, and where a function is called. Never changes what a request does or what it answers, and
//! without a [`Billable`] nothing is counted and nothing paid for it.
//!
//! Not counted: how long functions run (docs/COST.md has the formula), what the long polls of an idle mapping cost (this
//! machine's are others than Lambda's, so they are counted apart), and what whoever runs the machine asks for.

pub(crate) mod dynamodb;
pub mod lines;
pub(crate) mod metered;
pub mod report;
pub(crate) mod sqs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{AddAssign, Sub};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use redial_sqs::Received;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

pub use dynamodb::item_bytes;
pub use sqs::EMPTY_RECEIVE;
use sqs::RECEIVE;

// The services, as counts name them.
/// DynamoDB.
pub const DYNAMODB: &str = "dynamodb";
/// KMS.
pub const KMS: &str = "kms";
/// Lambda.
pub const LAMBDA: &str = "lambda";
/// SQS.
pub const SQS: &str = "sqs";

/// The operation under which the calls of a function are counted, whoever makes them.
pub const INVOKE: &str = "Invoke";
/// What the names of event source mappings begin with, where functions have theirs.
pub const MAPPING: &str = "mapping of ";

/// What is billed for one kind of request. Read units are halves, as an eventually consistent read of 4 KB costs; all other
/// numbers are whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Used {
    /// Requests.
    #[serde(skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Requests as SQS bills them: one for each 64 KiB that a request carries.
    #[serde(skip_serializing_if = "is_zero")]
    pub units: u64,
    /// Those of `units` that are about messages with a group, for which SQS bills more.
    #[serde(skip_serializing_if = "is_zero")]
    pub grouped: u64,
    /// Halves of DynamoDB's read units.
    #[serde(skip_serializing_if = "is_zero")]
    pub half_reads: u64,
    /// DynamoDB's write units, of tables and indexes.
    #[serde(skip_serializing_if = "is_zero")]
    pub writes: u64,
    /// Those of `writes` that are of indexes.
    #[serde(skip_serializing_if = "is_zero")]
    pub index_writes: u64,
    /// Requests whose condition did not hold: they cost write units and write nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub refused: u64,
}

const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Used {
    /// One request that is billed as a request alone.
    pub(crate) fn request() -> Self {
        Self {
            requests: 1,
            ..Self::default()
        }
    }

    /// Its numbers with their names, as they are written.
    #[must_use]
    pub const fn numbers(&self) -> [(&'static str, u64); 7] {
        [
            ("requests", self.requests),
            ("units", self.units),
            ("grouped", self.grouped),
            ("half_reads", self.half_reads),
            ("writes", self.writes),
            ("index_writes", self.index_writes),
            ("refused", self.refused),
        ]
    }
}

impl AddAssign for Used {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.units += other.units;
        self.grouped += other.grouped;
        self.half_reads += other.half_reads;
        self.writes += other.writes;
        self.index_writes += other.index_writes;
        self.refused += other.refused;
    }
}

/// What was used between two moments.
impl Sub for Used {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            units: self.units - earlier.units,
            grouped: self.grouped - earlier.grouped,
            half_reads: self.half_reads - earlier.half_reads,
            writes: self.writes - earlier.writes,
            index_writes: self.index_writes - earlier.index_writes,
            refused: self.refused - earlier.refused,
        }
    }
}

/// A kind of request: who asks, which service, for what. It is written `Ingest dynamodb PutItem`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The function by its name in the template, or `mapping of` a queue.
    pub by: String,
    /// The service.
    pub service: &'static str,
    /// The operation.
    pub operation: String,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.by, self.service, self.operation)
    }
}

/// What was used, by kind of request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage(pub BTreeMap<Kind, Used>);

impl Usage {
    /// What was used since `earlier`, a moment of the same count.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let used = self.0.iter().map(|(kind, used)| {
            let before = earlier.0.get(kind).copied().unwrap_or_default();
            (kind.clone(), *used - before)
        });
        Self(used.filter(|(_, used)| *used != Used::default()).collect())
    }

    /// The sum over those that `wanted` names.
    #[must_use]
    pub fn sum(&self, wanted: impl Fn(&Kind) -> bool) -> Used {
        let mut sum = Used::default();
        for (kind, used) in &self.0 {
            if wanted(kind) {
                sum += *used;
            }
        }
        sum
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (kind, used) in &self.0 {
            map.serialize_entry(&kind.to_string(), used)?;
        }
        map.end()
    }
}

/// Counts. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Billable(Arc<Mutex<Usage>>);

impl Billable {
    /// What was used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add(&self, by: &str, service: &'static str, operation: &str, used: Used) {
        let kind = Kind {
            by: by.to_owned(),
            service,
            operation: operation.to_owned(),
        };
        let mut usage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *usage.0.entry(kind).or_default() += used;
    }

    /// A function is called.
    pub(crate) fn invoked(&self, function: &str) {
        self.add(function, LAMBDA, INVOKE, Used::request());
    }

    /// A mapping has asked its queue for messages.
    pub(crate) fn received(&self, queue: &str, messages: &[Received]) {
        let operation = if messages.is_empty() { EMPTY_RECEIVE } else { RECEIVE };
        let used = sqs::of_received(messages);
        self.add(&format!("{MAPPING}{queue}"), SQS, operation, used);
    }

    /// A mapping has deleted so many messages of a batch.
    pub(crate) fn deleted(&self, queue: &str, batch: &[Received], messages: usize) {
        if messages > 0 {
            let used = sqs::of_small_request(sqs::is_grouped(batch));
            self.add(&format!("{MAPPING}{queue}"), SQS, sqs::DELETE, used);
        }
    }

    /// Counts each request of `router` as a call of `function`.
    pub(crate) fn counting(billable: Option<&Self>, router: Router, function: &'static str) -> Router {
        let Some(billable) = billable.cloned() else {
            return router;
        };
        router.layer(axum::middleware::map_request(move |request: Request| {
            billable.invoked(function);
            std::future::ready(request)
        }))
    }
}

/// Counts what one function asks for.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    billable: Billable,
    by: &'static str,
}

impl Meter {
    pub(crate) const fn new(billable: Billable, by: &'static str) -> Self {
        Self { billable, by }
    }

    fn add(&self, service: &'static str, operation: &str, used: Used) {
        self.billable.add(self.by, service, operation, used);
    }
}
