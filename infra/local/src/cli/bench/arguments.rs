//! The arguments of `redial bench`, and the plan that they make. Refuses what cannot be measured, with a sentence, before
//! anything is started.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use redial_domain::event::MAX_BODY_BYTES;
use serde::{Deserialize, Serialize};

use super::payload::{MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES};
use crate::cli::connection::ConnectionArgs;
use crate::cli::error::CliError;

/// Events of a run unless somebody says otherwise.
const DEFAULT_EVENTS: u32 = 20_000;
/// Most events of a run.
const MAX_EVENTS: i64 = 10_000_000;
/// Most deliveries of a run: driver and receiver keep 48 bytes of each in memory.
const MAX_DELIVERIES: u64 = 50_000_000;
/// Longest run by time, in seconds.
const MAX_SECONDS: i64 = 3_600;
/// Most endpoints of a tenant (docs/LIMITS.md).
const MAX_ENDPOINTS: u32 = 200;
/// Most tenants.
const MAX_TENANTS: i64 = 100_000;
/// Most connections: `redial serve` has 512 places, and the API needs some.
const MAX_CONNECTIONS: i64 = 500;
/// Most runs.
const MAX_RUNS: i64 = 100;
/// What an event has around its `data`, in bytes, at most.
const ENVELOPE_BYTES: usize = 160;
/// Events before those that are measured, unless there are more tenants: the connections are open then and the code is in
/// memory.
const WARM_UP: u32 = 500;

const EXAMPLES: &str = "\
Examples:
  redial bench
  redial bench --endpoints 10 --repeat 5
  redial bench --rate 200 --seconds 30 --failing 1 --failing-kind hang
  redial bench --batch 100 --payload-bytes 4096 --json
  redial bench --growth --batch 10
  redial bench --idle 60
  redial bench --program ./redial-before --repeat 3
  redial bench --url http://127.0.0.1:4080 --key rd_... --server-pid 4711

Unless --url names one, each run starts a `redial serve` of its own on a new folder, and a receiver in a process of its own; \
both are gone afterwards. REDIAL_URL alone is not enough to have a server measured: a bench fills it with events. Its \
endpoints are deleted then, its tenants bench-... stay.

Latency is from just before a POST is written until the receiver holds the whole request, first success. CPU is that of the \
process, user and system time, from the first POST until the last delivery was recorded (Linux only). What else ran on the \
machine meanwhile is told as noise: if it is not small, believe CPU per event, not events per second. Every figure is \
explained in docs/PERFORMANCE.md.

Exit code 1 if an event was refused or lost, came twice, or a signature did not verify.";

/// Measure this machine's Redial: events a second, latency, CPU and memory, losses and duplicates
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct BenchArgs {
    #[command(flatten)]
    pub(super) load: LoadArgs,
    /// Runs; the table shows the least, the middle and the greatest of each figure
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_RUNS))]
    pub(super) repeat: u32,
    /// One line for each number of endpoints, each of a tenant of its own [default: 1,10,100,1000,10000]
    #[arg(long, value_name = "N,..", num_args = 0..=1, default_missing_value = "1,10,100,1000,10000", value_delimiter = ',')]
    #[arg(conflicts_with_all = ["tenants", "endpoints", "idle"], value_parser = clap::value_parser!(u32).range(1..=MAX_TENANTS))]
    pub(super) growth: Option<Vec<u32>>,
    /// Post nothing: what a server costs that has nothing to do, over so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=MAX_SECONDS))]
    #[arg(conflicts_with_all = ["events", "seconds", "endpoints", "tenants", "rate", "batch", "failing", "warm_up"])]
    pub(super) idle: Option<u32>,
    /// Count what AWS would bill, for each event; costs some speed
    #[arg(long, conflicts_with_all = ["url", "idle"])]
    pub(super) billable: bool,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) part: Option<Part>,
}

/// What is posted, and to how many endpoints it goes.
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// Events to post [default: 20000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_EVENTS), conflicts_with = "seconds")]
    events: Option<u32>,
    /// Post for so long instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_SECONDS))]
    seconds: Option<u32>,
    /// Endpoints of each tenant that take what they get: each event goes to all of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_ENDPOINTS)))]
    endpoints: u32,
    /// Tenants, which the events go to in turn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_TENANTS))]
    tenants: u32,
    /// Connections to ingest, each with one POST under way
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=MAX_CONNECTIONS))]
    connections: u32,
    /// Events a second [default: as fast as they are answered]
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Events in a POST: 1 posts single events, more an array
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=500))]
    batch: u32,
    /// Size of an event's data, in bytes
    #[arg(long, value_name = "N", default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u32).range(i64::from(MIN_PAYLOAD_BYTES)..=i64::from(MAX_PAYLOAD_BYTES)))]
    payload_bytes: u32,
    /// Give each event an id, instead of having Redial make one
    #[arg(long)]
    own_ids: bool,
    /// Endpoints of each tenant, besides, that never take anything
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_ENDPOINTS)))]
    failing: u32,
    /// How these fail
    #[arg(long, value_name = "KIND", default_value = "status-500")]
    failing_kind: FailingKind,
    /// Verify the signature of every Nth request; 0: of none
    #[arg(long, value_name = "N", default_value_t = 100)]
    verify: u32,
    /// Events beforehand that are not measured [default: 500, or one for each tenant if that is more]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=MAX_EVENTS))]
    warm_up: Option<u32>,
    /// Give up when no further delivery has arrived for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=MAX_SECONDS))]
    patience: u32,
}

/// Which server.
#[derive(Args)]
pub(super) struct ServerArgs {
    /// Measure the Redial at this URL instead of one of its own
    #[arg(long, value_name = "URL", conflicts_with_all = ["program", "data"])]
    url: Option<String>,
    /// The operator's key for it, as rd_...
    #[arg(long, value_name = "KEY", env = "REDIAL_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Send the key over plain http to another machine too
    #[arg(long, requires = "url")]
    allow_http: bool,
    /// Process of the server at --url, if it runs on this machine: its CPU and memory are told then
    #[arg(long, value_name = "PID", requires = "url")]
    pub(super) server_pid: Option<u32>,
    /// URL by which the server at --url reaches the receiver: a tunnel to this machine
    #[arg(long, value_name = "URL", requires = "url", requires = "receiver_port")]
    pub(super) public_url: Option<String>,
    /// Port of the receiver on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(super) receiver_port: u16,
    /// The `redial` to start, as another build of it [default: this one]
    #[arg(long, value_name = "FILE")]
    pub(super) program: Option<PathBuf>,
    /// Folder below which the server's data lie while it runs [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Print one JSON document for scripts, and nothing else
    #[arg(long)]
    pub(super) json: bool,
}

impl fmt::Debug for ServerArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerArgs")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl ServerArgs {
    /// How to reach the server that somebody named; none if it is to be one of the bench's own.
    pub(super) fn named(&self) -> Option<ConnectionArgs> {
        let url = self.url.clone()?;
        Some(ConnectionArgs::named(url, self.key.clone(), self.allow_http))
    }
}

/// What this process is, if it is not the bench itself.
#[derive(Debug, Subcommand)]
pub(super) enum Part {
    /// The receiver of a bench, which starts it and talks to it by its standard input and output
    #[command(hide = true)]
    Receive {
        /// Port on 127.0.0.1; 0 takes a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

/// How an endpoint fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FailingKind {
    /// It answers 500, at once
    #[value(name = "status-500")]
    #[serde(rename = "status-500")]
    Status500,
    /// It takes the request and never answers
    Hang,
}

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Length {
    /// So many events.
    Events(u32),
    /// As many as can be posted in so many seconds.
    Seconds(u32),
}

/// What a run is: everything that has to be the same for two runs to be compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Plan {
    pub(super) length: Length,
    pub(super) tenants: u32,
    /// Endpoints of each tenant that take what they get.
    pub(super) endpoints: u32,
    /// Endpoints of each tenant that take nothing.
    pub(super) failing: u32,
    pub(super) failing_kind: FailingKind,
    pub(super) connections: u32,
    /// Events a second; none: as fast as they are answered.
    pub(super) rate: Option<f64>,
    pub(super) batch: u32,
    pub(super) payload_bytes: u32,
    pub(super) own_ids: bool,
    /// Every so manieth signature is verified; 0: none.
    pub(super) verify: u32,
    pub(super) warm_up: u32,
    pub(super) patience_s: u32,
}

impl Plan {
    /// Reads the arguments.
    ///
    /// # Errors
    /// [`CliError::Usage`] if they contradict each other or a limit.
    pub(super) fn of(args: &LoadArgs) -> Result<Self, CliError> {
        if args.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return Err(CliError::usage("--rate is a number of events a second, above 0"));
        }
        let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let body_bytes = size(args.batch).saturating_mul(size(args.payload_bytes) + ENVELOPE_BYTES);
        if body_bytes > MAX_BODY_BYTES {
            return Err(CliError::usage(format!(
                "--batch {} of --payload-bytes {} make requests of {body_bytes} bytes, and Redial takes at most \
                 {MAX_BODY_BYTES}: fewer events in a batch, or smaller ones",
                args.batch, args.payload_bytes
            )));
        }
        let fan_out = args.endpoints + args.failing;
        if fan_out > MAX_ENDPOINTS {
            return Err(CliError::usage(format!(
                "a tenant has at most {MAX_ENDPOINTS} endpoints, and --endpoints and --failing make {fan_out}"
            )));
        }
        let length = match args.seconds {
            Some(seconds) => Length::Seconds(seconds),
            None => Length::Events(args.events.unwrap_or(DEFAULT_EVENTS)),
        };
        if let Length::Events(events) = length
            && u64::from(events) * u64::from(fan_out) > MAX_DELIVERIES
        {
            return Err(CliError::usage(format!(
                "{events} events for {fan_out} endpoints are more than {MAX_DELIVERIES} deliveries, the most that a run keeps \
                 in memory"
            )));
        }
        Ok(Self {
            length,
            tenants: args.tenants,
            endpoints: args.endpoints,
            failing: args.failing,
            failing_kind: args.failing_kind,
            connections: args.connections,
            rate: args.rate,
            batch: args.batch,
            payload_bytes: args.payload_bytes,
            own_ids: args.own_ids,
            verify: args.verify,
            warm_up: args.warm_up.unwrap_or_else(|| WARM_UP.max(args.tenants)),
            patience_s: args.patience,
        })
    }

    /// The same for another number of tenants with one endpoint each.
    pub(super) fn with_tenants(&self, tenants: u32) -> Self {
        Self {
            tenants,
            warm_up: self.warm_up.max(tenants),
            ..self.clone()
        }
    }

    /// What comes before the run: as it is, as fast as it goes.
    pub(super) fn for_warming_up(&self) -> Self {
        Self {
            length: Length::Events(self.warm_up),
            rate: None,
            ..self.clone()
        }
    }

    /// To how many endpoints each event goes.
    pub(super) const fn fan_out(&self) -> u32 {
        self.endpoints + self.failing
    }
}
