//! `redial cost`: what events would cost on AWS, from counted requests and list prices. Asks nobody.

use clap::Args;
use serde_json::json;

use super::error::{CliError, Finish};
use super::output::Output;
use crate::cost::Workload;
use crate::cost::table::{MILLION, Reckoner};
use crate::template::Template;

const EXAMPLES: &str = "\
Examples:
  redial cost
  redial cost --events 5000000 --fan-out 2 --batch 10 --payload-bytes 4000
  redial cost --trickle --retried 1 --receiver-ms 800 --json
  redial cost --table

The requests are those that Redial's tests count in the running code; docs/COST.md says what else is reckoned with.";

/// What events cost on AWS: list prices of us-east-1, without the free tier
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CostArgs {
    /// Events
    #[arg(long, value_name = "N", default_value_t = MILLION)]
    events: u64,
    /// Endpoints that each event goes to
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=50))]
    fan_out: u64,
    /// Bytes of an event
    #[arg(long, value_name = "BYTES", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(..=262_144))]
    payload_bytes: u64,
    /// Events in a request
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=500))]
    batch: u64,
    /// Little happens: the dispatcher is given one delivery at a time instead of ten
    #[arg(long)]
    trickle: bool,
    /// The platform gives the events' ids
    #[arg(long)]
    own_ids: bool,
    /// Percent of the deliveries that fail once
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    retried: f64,
    /// Every endpoint is on hold
    #[arg(long)]
    held: bool,
    /// Milliseconds until the slowest receiver of a batch has answered
    #[arg(long, value_name = "MS", default_value_t = 200)]
    receiver_ms: u64,
    /// Days that events are kept
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    retention_days: u64,
    /// Print the table of docs/COST.md instead
    #[arg(long)]
    table: bool,
    /// JSON, for scripts
    #[arg(long)]
    json: bool,
}

impl CostArgs {
    const fn workload(&self) -> Workload {
        Workload {
            fan_out: self.fan_out,
            batch: self.batch,
            at_once: if self.trickle { 1 } else { 10 },
            payload_bytes: self.payload_bytes,
            own_ids: self.own_ids,
            retried_percent: self.retried,
            held: self.held,
            receiver_ms: self.receiver_ms,
            retention_days: self.retention_days,
        }
    }
}

pub(super) fn run(args: &CostArgs) -> Result<Finish, CliError> {
    let mut output = Output::to_stdout(args.json);
    let unreadable = |error: &dyn std::error::Error| CliError::usage(error.to_string());
    let reckoner = Reckoner::built_in().map_err(|error| unreadable(&error))?;
    if args.table {
        output.text(reckoner.table().trim_end())?;
        return Ok(Finish::Complete);
    }
    let cost = reckoner.cost(&args.workload(), args.events);
    let mappings = Template::built_in().map_err(|error| unreadable(&error))?.mappings.len() as u64;
    let cents = |usd: f64| (usd * 100.0).round() / 100.0;
    let said = json!({
        "write_units": whole(cost.writes),
        "read_units": whole(cost.reads),
        "sqs_requests": whole(cost.sqs),
        "lambda_requests": whole(cost.invocations),
        "requests_usd": cents(cost.requests_usd),
        "lambda_time_usd": cents(cost.time_usd),
        "logs_usd": cents(cost.logs_usd),
        "stored_usd": cents(cost.stored_usd),
        "sent_usd": cents(cost.sent_usd),
        "usd": cents(cost.usd()),
        "idle_month_usd": cents(reckoner.idle_usd(mappings)),
    });
    if args.json {
        output.document(&said)?;
    } else {
        output.fields(&said, &ORDER)?;
    }
    Ok(Finish::Complete)
}

/// A number of requests, which is never negative.
const fn whole(n: f64) -> u64 {
    n.round() as u64
}

/// In which order people read it.
const ORDER: [&str; 11] = [
    "write_units",
    "read_units",
    "sqs_requests",
    "lambda_requests",
    "requests_usd",
    "lambda_time_usd",
    "logs_usd",
    "stored_usd",
    "sent_usd",
    "usd",
    "idle_month_usd",
];
