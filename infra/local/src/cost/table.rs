//! Dollars: what a workload costs, and the table of docs/COST.md.

use super::expected::{Expected, expected, to_f64};
use super::prices::Prices;
use super::{Counts, Sum, Workload};
use crate::billable::Used;

/// Events that a row of the table is about.
pub const MILLION: u64 = 1_000_000;
/// The sums of what the sweeper uses for an hour: without events and with them, of one endpoint and of three.
pub const SWEPT: [&str; 4] = ["sweeper_quiet", "sweeper_busy", "sweeper_quiet_3", "sweeper_busy_3"];
/// One pass of the sweeper where nothing is.
pub const IDLE_PASS: &str = "sweeper_idle_pass";
/// Bytes of a GB, as AWS bills them.
const GB: f64 = 1_073_741_824.0;
/// Bytes of an item that are stored besides it.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
const ITEM_OVERHEAD: u64 = 100;
/// Days of a month that storage is billed by.
const MONTH_DAYS: f64 = 30.0;
/// Minutes of a month.
const MONTH_MIN: f64 = 43_200.0;
/// Megabytes of a gigabyte of memory.
const GB_MB: f64 = 1024.0;

/// What so many events cost, in dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Write units.
    pub writes: f64,
    /// Read units, the sweeper's among them.
    pub reads: f64,
    /// SQS requests of 64 KiB.
    pub sqs: f64,
    /// Lambda requests.
    pub invocations: f64,
    /// Dollars for these four.
    pub requests_usd: f64,
    /// Dollars for Lambda's time: assumed, not counted.
    pub time_usd: f64,
    /// Dollars for logs.
    pub logs_usd: f64,
    /// Dollars for what is kept, as long as it is.
    pub stored_usd: f64,
    /// Dollars for what leaves AWS.
    pub sent_usd: f64,
}

impl Cost {
    /// All of it.
    #[must_use]
    pub const fn usd(&self) -> f64 {
        self.requests_usd + self.time_usd + self.logs_usd + self.stored_usd + self.sent_usd
    }
}

/// Reckons.
#[derive(Debug, Clone)]
pub struct Reckoner {
    /// What was counted.
    pub counts: Counts,
    /// What it costs.
    pub prices: Prices,
}

impl Reckoner {
    /// With the built-in counts and prices.
    ///
    /// # Errors
    /// [`super::Unreadable`] if they are none.
    pub fn built_in() -> Result<Self, super::Unreadable> {
        Ok(Self {
            counts: Counts::built_in()?,
            prices: Prices::built_in()?,
        })
    }

    /// What so many events of a workload cost.
    #[must_use]
    pub fn cost(&self, workload: &Workload, events: u64) -> Cost {
        let used = expected(&self.counts, workload, events);
        let any = |_: &str| true;
        let (swept_reads, swept_writes) = self.swept(workload, events);
        let writes = used.sum("writes", any) + swept_writes;
        let reads = used.sum("half_reads", any) / 2.0 + swept_reads;
        let (sqs, grouped) = (used.sum("units", any), used.sum("grouped", any));
        let invocations = used.sum("requests", |kind| kind.ends_with("lambda Invoke"));
        let of = |name, amount| self.prices.of(name, amount);
        Cost {
            writes,
            reads,
            sqs,
            invocations,
            requests_usd: of("write_units", writes)
                + of("read_units", reads)
                + of("sqs_requests", sqs)
                + of("sqs_groups", grouped)
                + of("lambda_requests", invocations),
            time_usd: of("lambda_gb_s", self.gb_s(workload, &used)),
            logs_usd: of("log_gb", self.log_bytes(&used, invocations) / GB),
            stored_usd: of("stored_gb_months", self.stored_gb_months(workload, events)),
            sent_usd: of("sent_gb", self.sent_bytes(workload, &used) / GB),
        }
    }

    /// Read and write units of the sweeper, which looks at every event and delivery: what it uses for an hour with events,
    /// without what it uses for one without. An event's part grows with its size.
    fn swept(&self, workload: &Workload, events: u64) -> (f64, f64) {
        let [Some(quiet), Some(busy), Some(quiet_3), Some(busy_3)] = SWEPT.map(|name| self.counts.sums.get(name))
        else {
            return (0.0, 0.0);
        };
        let reads = |sum| total(sum, "half_reads") / 2.0;
        let of = to_f64(busy.of.max(1));
        let (one, three) = ((reads(busy) - reads(quiet)) / of, (reads(busy_3) - reads(quiet_3)) / of);
        let of_delivery = (three - one) / 2.0;
        let of_event = one - of_delivery;
        let bytes = &self.counts.bytes;
        let counted = self.counts.packed_bytes(Workload::default().payload_bytes) + bytes.event_item;
        let these = self.counts.packed_bytes(workload.payload_bytes) + bytes.event_item;
        let growth = to_f64(these) / to_f64(counted.max(1));
        let writes = (total(busy, "writes") - total(quiet, "writes")) / of;
        let each = of_event * growth + of_delivery * to_f64(workload.fan_out);
        (each * to_f64(events), writes * to_f64(events))
    }

    fn gb_s(&self, workload: &Workload, used: &Expected) -> f64 {
        let assumed = &self.prices.assumed;
        let events_us = workload.batch * assumed.ingest_event_us;
        let ingest_ms = to_f64(assumed.ingest_ms) + to_f64(events_us) / 1000.0;
        let batch_ms = to_f64(assumed.batch_ms + workload.receiver_ms);
        // A delivery that comes again comes alone.
        let alone = used.posted - used.batches * to_f64(workload.at_once);
        let ms = used.requests * ingest_ms + (used.batches + alone.max(0.0)) * batch_ms;
        ms / 1000.0 * self.memory_gb()
    }

    fn memory_gb(&self) -> f64 {
        to_f64(self.prices.assumed.memory_mb) / GB_MB
    }

    fn log_bytes(&self, used: &Expected, invocations: f64) -> f64 {
        let bytes = &self.counts.bytes;
        let ours = used.requests * to_f64(bytes.request_log) + used.batches * to_f64(bytes.batch_log);
        ours + invocations * to_f64(bytes.invocation_log)
    }

    fn stored_gb_months(&self, workload: &Workload, events: u64) -> f64 {
        let bytes = &self.counts.bytes;
        let event = self.counts.packed_bytes(workload.payload_bytes)
            + bytes.event_item
            + workload.fan_out * bytes.event_endpoint
            + ITEM_OVERHEAD;
        let row = if workload.own_ids {
            bytes.time_row + ITEM_OVERHEAD
        } else {
            0
        };
        let deliveries = workload.fan_out * (bytes.delivery_item + ITEM_OVERHEAD);
        let all = to_f64(events) * to_f64(event + row + deliveries);
        all / GB * to_f64(workload.retention_days) / MONTH_DAYS
    }

    fn sent_bytes(&self, workload: &Workload, used: &Expected) -> f64 {
        used.posted * to_f64(workload.payload_bytes + self.counts.bytes.request_headers)
    }

    /// Dollars for a month in which nothing happens: the sweeper's passes, Lambda's polls of every mapping, the key of KMS.
    #[must_use]
    pub fn idle_usd(&self, mappings: u64) -> f64 {
        let of = |name, amount| self.prices.of(name, amount);
        let assumed = &self.prices.assumed;
        let polls = to_f64(mappings * assumed.pollers) * 60.0 / to_f64(assumed.poll_s) * MONTH_MIN;
        let pass = self.counts.sums.get(IDLE_PASS);
        let each = |number: &str| pass.map_or(0.0, |sum| total(sum, number) / to_f64(sum.of.max(1)));
        let pass_gb_s = to_f64(assumed.sweep_ms) / 1000.0 * self.memory_gb();
        let log_gb = to_f64(self.counts.bytes.invocation_log + 2 * self.counts.bytes.batch_log) / GB;
        of("sqs_requests", polls + each("units") * MONTH_MIN)
            + of("read_units", each("half_reads") / 2.0 * MONTH_MIN)
            + of("write_units", each("writes") * MONTH_MIN)
            + of("lambda_requests", MONTH_MIN)
            + of("lambda_gb_s", pass_gb_s * MONTH_MIN)
            + of("log_gb", log_gb * MONTH_MIN)
            + of("kms_key_months", 1.0)
    }

    /// The table of docs/COST.md, in Markdown: a row for each scenario, for a million events.
    #[must_use]
    pub fn table(&self) -> String {
        let mut lines = vec![
            "| a million events | write units | read units | SQS requests | Lambda requests | **requests, $** | Lambda's time, $ \
             | logs, $ | kept 30 days, $ | sent, $ | **all, $** |"
                .to_owned(),
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|".to_owned(),
        ];
        for scenario in &self.counts.scenarios {
            let cost = self.cost(&scenario.workload, MILLION);
            let millions = |n: f64| format!("{:.2} M", n / to_f64(MILLION));
            lines.push(format!(
                "| {} | {} | {} | {} | {} | **{:.2}** | {:.2} | {:.2} | {:.2} | {:.2} | **{:.2}** |",
                scenario.name,
                millions(cost.writes),
                millions(cost.reads),
                millions(cost.sqs),
                millions(cost.invocations),
                cost.requests_usd,
                cost.time_usd,
                cost.logs_usd,
                cost.stored_usd,
                cost.sent_usd,
                cost.usd(),
            ));
        }
        lines.join("\n") + "\n"
    }
}

/// What was used in sum of one thing, by its name in `Used::numbers`.
fn total(sum: &Sum, number: &str) -> f64 {
    let numbers = sum.used.values().flat_map(Used::numbers);
    numbers
        .filter(|(name, _)| *name == number)
        .map(|(_, n)| to_f64(n))
        .sum()
}
