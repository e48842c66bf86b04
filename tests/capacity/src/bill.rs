//! What is written, read, sent and run, and what AWS asks for it: the unit counts and prices of docs/DATA.md. Decides nothing.

/// Prices of us-east-1, on demand, of docs/DATA.md, in dollars a million.
const WRITE_UNITS: f64 = 0.625;
const READ_UNITS: f64 = 0.125;
/// SQS requests with the surcharge of message groups.
const SQS_REQUESTS: f64 = 0.50;
const LAMBDA_REQUESTS: f64 = 0.20;
/// A second of a function with 512 MB on arm64, in dollars a million.
const LAMBDA_SECONDS: f64 = 0.5 * 13.3334;

/// Deliveries that one request of SQS takes.
pub(crate) const BATCH: usize = 10;

/// Write units of what happens to a delivery, indexes counted.
pub(crate) mod units {
    /// The event, stored by ingest.
    pub(crate) const EVENT: f64 = 1.0;
    /// The delivery's row, whatever it says.
    pub(crate) const ROW: f64 = 1.0;
    /// A row of a failed attempt.
    pub(crate) const ATTEMPT: f64 = 1.0;
    /// An entry of an index made, changed in place, or removed.
    pub(crate) const ENTRY: f64 = 1.0;
    /// An entry that moves to another place of its index: removed and made.
    pub(crate) const MOVED: f64 = 2.0;
    /// The claim of an attempt that another message may be making too.
    pub(crate) const CLAIM: f64 = 1.0;
    /// A held delivery is let go: its row, out of the held ones, into what is due.
    pub(crate) const RELEASE: f64 = ROW + ENTRY + ENTRY;
    /// A hold written at the endpoint: it and four copies of the version in one transaction, which costs twice.
    pub(crate) const HOLD: f64 = 2.0 * 5.0;
    /// The health of an endpoint, with its place in what is due.
    pub(crate) const HEALTH_DUE: f64 = 1.0 + MOVED;
    /// A job of a drain: made, begun, finished.
    pub(crate) const JOB: f64 = 3.0 * (ROW + MOVED);
    /// Progress of a job, once a page.
    pub(crate) const PAGE: f64 = ROW + MOVED;
    /// Deliveries of a page.
    pub(crate) const PAGE_DELIVERIES: f64 = 100.0;
}

/// Read units of what happens to a delivery.
pub(crate) mod reads {
    /// The tenant's version, read by a request of ingest with ten events.
    pub(crate) const INGEST: f64 = 0.1;
    /// The sweeper's looks at the event, the delivery and the hour.
    pub(crate) const SWEPT: f64 = 0.8125;
    /// A tenant's configuration: its version, and its endpoints.
    pub(crate) const CONFIG: f64 = 2.0;
    /// The record of a delivery whose message may not be the only one.
    pub(crate) const RECORD: f64 = 1.0;
    /// A look for the next probe, a held delivery that it finds.
    pub(crate) const HELD: f64 = 0.065;
    /// Most held deliveries that such a look reads.
    pub(crate) const HELD_LOOK: f64 = 200.0;
}

/// Everything that is paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Bill {
    /// Write units of DynamoDB.
    pub(crate) writes: f64,
    /// Read units of DynamoDB.
    pub(crate) reads: f64,
    /// Requests to SQS.
    pub(crate) sqs: f64,
    /// Invocations.
    pub(crate) invocations: f64,
    /// Seconds that functions run.
    pub(crate) seconds: f64,
}

impl Bill {
    /// What ingest and the sweeper do for any delivery, posted with nine others.
    pub(crate) fn accept(&mut self) {
        self.writes += units::EVENT;
        self.reads += reads::INGEST + reads::SWEPT;
        self.invocations += 1.0 / BATCH as f64;
    }

    /// In dollars.
    pub(crate) fn dollars(&self) -> f64 {
        let millionths = self.writes * WRITE_UNITS
            + self.reads * READ_UNITS
            + self.sqs * SQS_REQUESTS
            + self.invocations * LAMBDA_REQUESTS
            + self.seconds * LAMBDA_SECONDS;
        millionths / 1e6
    }
}
