//! What the functions log at level `info`, with the documents of their metrics, counted as CloudWatch Logs bills it: bytes,
//! and 26 for each line. The lines have the form of a deployment's, and go nowhere. Those that Lambda itself writes around an
//! invocation, and the request's id in each line, are not among them (docs/COST.md).
//! <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redial_platform::telemetry;
use serde_json::Value;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;

/// Bytes that every line is billed as besides its own.
pub const LINE_BYTES: u64 = 26;
/// What the targets of our own crates begin with.
const OURS: &str = "redial";
/// Where the documents of metrics come from on one machine, at level `debug`; deployed, each is a line by itself.
const METRICS: &str = "redial_platform::metrics";
/// The attribute that has such a document.
const DOCUMENT: &str = "document";

/// Counts lines. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    lines: AtomicU64,
    bytes: AtomicU64,
}

impl Lines {
    /// Lines so far.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.0.lines.load(Ordering::Relaxed)
    }

    /// What they are billed as, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// What counts them, beside whatever else is done with what is logged. The metrics must be `Metrics::logged`.
    #[must_use]
    pub fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let billed = filter_fn(|metadata| {
            let (target, level) = (metadata.target(), *metadata.level());
            target == METRICS || (target.starts_with(OURS) && level <= Level::INFO)
        });
        Box::new(telemetry::lines(self.clone()).with_filter(billed))
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A line comes whole.
impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let read: Value = serde_json::from_slice(line).unwrap_or_default();
        let bytes = read[DOCUMENT].as_str().map_or(line.len(), str::len);
        self.0.lines.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes as u64 + LINE_BYTES, Ordering::Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
