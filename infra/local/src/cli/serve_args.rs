//! The arguments of `redial serve`. Parsed here, obeyed in `crate::serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use redial_domain::frame::FrameAncestors;

/// Longest delay of a schedule, in seconds: 11.5 hours, what SQS can wait for with jitter. docs/ARCHITECTURE.md.
const MAX_DELAY_S: u32 = 41_400;
/// Most attempts of a delivery. docs/LIMITS.md.
const MAX_ATTEMPTS: usize = 20;

const EXAMPLES: &str = "\
Examples:
  redial serve
  redial serve --data /var/lib/redial --listen 127.0.0.1:4080 --json
  redial serve --schedule 1,1,2

It runs until Ctrl-C or SIGTERM. What was answered with 202 is on disk: it survives even kill -9.";

/// Run all of Redial on this machine: API, console, delivery, and the AWS services they need, in one process
///
/// Everything is kept in one folder. Endpoints may be on http and on 127.0.0.1, so that it can be tried out;
/// nothing else private, and with --strict-targets not even that.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Folder that holds everything; made if it is not there
    #[arg(long, env = "REDIAL_DATA", value_name = "DIR", default_value = "./redial-data")]
    pub data: PathBuf,
    /// Address of the API, the console and the ingest
    #[arg(
        long,
        env = "REDIAL_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:4080"
    )]
    pub listen: SocketAddr,
    /// Print one line {"url","console","key"} when it is ready, for scripts
    #[arg(long)]
    pub json: bool,
    /// Refuse http and 127.0.0.1 as targets, as a deployment does
    #[arg(long)]
    pub strict_targets: bool,
    /// Seconds to wait after each failed attempt, replacing the default delays; one more attempt than delays
    #[arg(long, value_name = "SECONDS,..")]
    pub schedule: Option<Schedule>,
    /// Origins of pages that may show the console in a frame, or self; without it none may
    #[arg(
        long,
        env = "REDIAL_CONSOLE_ANCESTORS",
        value_name = "ORIGINS",
        default_value = "none"
    )]
    pub console_ancestors: FrameAncestors,
    /// PEM file of certificate authorities to trust besides the public ones, for receivers of your own with TLS
    #[arg(long, value_name = "FILE")]
    pub extra_authorities: Option<PathBuf>,
    /// The template to take queue settings from, instead of the one built in
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// Count what AWS would bill, and write it to this file every second, as JSON; costs some speed
    #[arg(long, value_name = "FILE")]
    pub billable: Option<PathBuf>,
}

/// The waits between attempts: 1 to 19, each of at most 41,400 seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    delays_s: Vec<u32>,
}

impl Schedule {
    /// Seconds to wait after the first failure, the second, and so on.
    #[must_use]
    pub fn delays_s(&self) -> &[u32] {
        &self.delays_s
    }
}

/// The text is no list of delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give 1 to 19 numbers of seconds, each at most 41400, separated by commas, such as 1,1,2")]
pub struct InvalidSchedule;

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let read = |part: &str| {
            part.trim()
                .parse::<u32>()
                .ok()
                .filter(|delay_s| *delay_s <= MAX_DELAY_S)
        };
        let delays_s: Vec<u32> = text
            .split(',')
            .map(read)
            .collect::<Option<_>>()
            .ok_or(InvalidSchedule)?;
        if delays_s.len() < MAX_ATTEMPTS {
            Ok(Self { delays_s })
        } else {
            Err(InvalidSchedule)
        }
    }
}
