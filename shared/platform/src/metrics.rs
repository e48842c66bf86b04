//! What Redial counts: each number with its name, unit and meaning (docs/METRICS.md), collected during one invocation
//! and handed over once at its end, also if it failed or panicked. On Lambda it becomes one JSON line in CloudWatch's
//! embedded metric format on standard output; elsewhere wherever the program says, which may be nowhere.
//! Never has a tenant, an endpoint or anything else of high cardinality as a dimension: CloudWatch bills each combination.

mod emf;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use redial_domain::Timestamp;

/// One of the numbers that Redial counts. What each means is in docs/METRICS.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Events stored for the first time.
    Accepted,
    /// Events, or whole requests, that were refused because of what they say.
    Refused,
    /// Events that were answered with a warning: their data does not fit, or their type is deprecated.
    Warned,
    /// Deliveries of new events that were sent to the delivery queue.
    Matched,
    /// Deliveries that a receiver took.
    Delivered,
    /// Attempts that failed.
    Failed,
    /// Deliveries that were given up.
    Dead,
    /// Deliveries that were set aside to wait outside the queues.
    Held,
    /// Endpoints that were put on hold because they fail.
    Opened,
    /// Endpoints that were let go because they answer again.
    Closed,
    /// Deliveries that were made to wait for their endpoint's rate limit.
    Paced,
    /// From the moment an event was accepted to the end of a delivery's first attempt.
    FirstAttemptLatency,
    /// Passes of the sweeper: 1 for one that came to its end, 0 for one that did not.
    Sweeps,
    /// How late the oldest due delivery is.
    DueLag,
    /// By how many deliveries the ledger does not balance.
    LedgerDifference,
    /// Deliveries that the sweeper sent because they were due.
    Sent,
    /// Deliveries that a crash had left unsent and that the sweeper sent.
    Repaired,
    /// Dead letters that cannot be read, each time that the intake meets one.
    Unreadable,
    /// Deliveries that replay jobs sent again.
    Replayed,
    /// Requests and records that failed because of us.
    FunctionFaults,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 20] = [
        Self::Accepted,
        Self::Refused,
        Self::Warned,
        Self::Matched,
        Self::Delivered,
        Self::Failed,
        Self::Dead,
        Self::Held,
        Self::Opened,
        Self::Closed,
        Self::Paced,
        Self::FirstAttemptLatency,
        Self::Sweeps,
        Self::DueLag,
        Self::LedgerDifference,
        Self::Sent,
        Self::Repaired,
        Self::Unreadable,
        Self::Replayed,
        Self::FunctionFaults,
    ];

    /// Its name in CloudWatch. Alarms and dashboards know it: it never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Refused => "Refused",
            Self::Warned => "Warned",
            Self::Matched => "Matched",
            Self::Delivered => "Delivered",
            Self::Failed => "Failed",
            Self::Dead => "Dead",
            Self::Held => "Held",
            Self::Opened => "Opened",
            Self::Closed => "Closed",
            Self::Paced => "Paced",
            Self::FirstAttemptLatency => "FirstAttemptLatency",
            Self::Sweeps => "Sweeps",
            Self::DueLag => "DueLag",
            Self::LedgerDifference => "LedgerDifference",
            Self::Sent => "Sent",
            Self::Repaired => "Repaired",
            Self::Unreadable => "Unreadable",
            Self::Replayed => "Replayed",
            Self::FunctionFaults => "FunctionFaults",
        }
    }

    /// Its unit, one of CloudWatch's.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::FirstAttemptLatency | Self::DueLag => "Milliseconds",
            _ => "Count",
        }
    }

    /// True if each value tells something by itself, also a 0; false if only their sum does.
    #[must_use]
    pub const fn is_measured(self) -> bool {
        matches!(
            self,
            Self::FirstAttemptLatency | Self::Sweeps | Self::DueLag | Self::LedgerDifference
        )
    }
}

/// What one invocation counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// When it began.
    pub at: Timestamp,
    /// The values of each metric that has any: one sum for what is counted, every value for what is measured.
    pub values: BTreeMap<Metric, Vec<u64>>,
}

/// Where the numbers of an invocation go.
pub trait Sink: fmt::Debug + Send + Sync {
    /// Takes the numbers of one invocation; there is at least one.
    fn take(&self, numbers: Numbers);
}

/// Makes a [`Recorder`] for each invocation. Cheap to clone; made once for an execution environment.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Option<Arc<dyn Sink>>);

impl Metrics {
    /// Counted, and kept by nobody.
    #[must_use]
    pub const fn silent() -> Self {
        Self(None)
    }

    /// Handed to `sink`.
    #[must_use]
    pub fn to(sink: Arc<dyn Sink>) -> Self {
        Self(Some(sink))
    }

    /// Written to standard output in the embedded metric format, which CloudWatch reads from a function's log; `stack` is
    /// the only dimension. Nothing else may be promised of standard output then.
    #[must_use]
    pub fn embedded(stack: impl Into<String>) -> Self {
        Self::to(Arc::new(StandardOutput { stack: stack.into() }))
    }

    /// The same lines, as lines of the log at level `debug`: for a run on one machine, whose standard output belongs to scripts.
    #[must_use]
    pub fn logged(stack: impl Into<String>) -> Self {
        Self::to(Arc::new(Log { stack: stack.into() }))
    }

    /// Begins to count for an invocation.
    #[must_use]
    pub fn begin(&self, at: Timestamp) -> Recorder {
        Recorder {
            sink: self.0.clone(),
            at,
            values: Mutex::default(),
        }
    }
}

/// Counts during one invocation; what it has counted is handed over when it is dropped.
#[derive(Debug)]
pub struct Recorder {
    sink: Option<Arc<dyn Sink>>,
    at: Timestamp,
    values: Mutex<BTreeMap<Metric, Vec<u64>>>,
}

impl Recorder {
    /// Adds `n` to what is counted of `metric`; nothing, if `n` is 0.
    pub fn count(&self, metric: Metric, n: u64) {
        if n == 0 {
            return;
        }
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        match values.entry(metric).or_default().as_mut_slice() {
            [sum, ..] => *sum = sum.saturating_add(n),
            [] => {
                values.insert(metric, vec![n]);
            }
        }
    }

    /// Notes one more value of `metric`, also if it is 0.
    pub fn measure(&self, metric: Metric, value: u64) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.entry(metric).or_default().push(value);
    }

    /// The sum of what was counted of `metric` so far.
    #[must_use]
    pub fn sum(&self, metric: Metric) -> u64 {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.get(&metric).map_or(0, |values| values.iter().sum())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The invocation ends here, whoever answers for it.
            self.count(Metric::FunctionFaults, 1);
        }
        let values = std::mem::take(self.values.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(sink) = self.sink.take().filter(|_| !values.is_empty()) {
            sink.take(Numbers { at: self.at, values });
        }
    }
}

/// The embedded metric format, for Lambda.
#[derive(Debug)]
struct StandardOutput {
    stack: String,
}

impl Sink for StandardOutput {
    fn take(&self, numbers: Numbers) {
        let lines: String = emf::documents(&self.stack, &numbers)
            .into_iter()
            .map(|document| document + "\n")
            .collect();
        // Whole lines, so that none is torn by a log line; a number that cannot be written must not fail what it counts.
        let mut stdout = io::stdout().lock();
        drop(stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush()));
    }
}

/// The embedded metric format, in the log.
#[derive(Debug)]
struct Log {
    stack: String,
}

impl Sink for Log {
    fn take(&self, numbers: Numbers) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            for document in emf::documents(&self.stack, &numbers) {
                tracing::debug!(%document, "metrics.counted");
            }
        }
    }
}

/// Keeps everything it takes, to be looked at: for tests and benchmarks.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<Numbers>>>);

impl Kept {
    /// Metrics that are kept here.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::to(Arc::new(self.clone()))
    }

    /// What each invocation counted since the last call, in the order of their ends.
    #[must_use]
    pub fn taken(&self) -> Vec<Numbers> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All values of each metric since the last call, over all invocations: counted ones summed up, measured ones in the
    /// order in which they came.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<&'static str, Vec<u64>> {
        let mut totals: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
        for (metric, values) in self.taken().into_iter().flat_map(|numbers| numbers.values) {
            let total = totals.entry(metric.name()).or_default();
            match total.as_mut_slice() {
                [sum, ..] if !metric.is_measured() => *sum += values.iter().sum::<u64>(),
                _ => total.extend(values),
            }
        }
        totals
    }
}

impl Sink for Kept {
    fn take(&self, numbers: Numbers) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(numbers);
    }
}
