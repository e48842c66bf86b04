//! `redial replay`: delivers stored events again, and waits until the job is done.

use std::time::Duration;

use clap::{ArgGroup, Args};
use indicatif::{ProgressBar, ProgressStyle};
use redial_domain::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::moment::Moment;
use super::output::member;
use super::{Session, TenantArg};

const FIRST_POLL: Duration = Duration::from_millis(200);
const MAX_POLL: Duration = Duration::from_secs(3);
/// A terminal sees a progress bar for jobs of so many deliveries.
const PROGRESS_FROM: u64 = 2;

const EXAMPLES: &str = "\
Examples:
  redial replay --tenant acme --event evt_01
  redial replay --tenant acme --delivery evt_01.ep_02
  redial replay --tenant acme --endpoint ep_02 --since 2h --state dead
  redial replay --tenant acme --endpoint ep_02 --since 2026-11-20T05:00:00Z --until 1h --no-wait

Each replayed event is a new delivery with attempts from 1 and the same webhook-id: receivers that keep ids see a \
repeat. The exit code is 1 if the job failed or could not queue some deliveries.";

/// Deliver stored events again: one event, one delivery, or what an endpoint was due in a time
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("what").required(true).args(["event", "delivery", "endpoint"]))]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// This event, to every endpoint that it matched
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// This delivery
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
    /// What was for this endpoint, from --since to --until
    #[arg(long, value_name = "ID", requires = "since")]
    endpoint: Option<String>,
    /// From when on: RFC 3339, or how long ago (30m, 2h, 7d)
    #[arg(long, value_name = "TIME", requires = "endpoint", conflicts_with_all = ["event", "delivery"])]
    since: Option<Moment>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME", requires = "endpoint", conflicts_with_all = ["event", "delivery"])]
    until: Option<Moment>,
    /// Only deliveries in this state, such as dead
    #[arg(long, requires = "endpoint", conflicts_with_all = ["event", "delivery"])]
    state: Option<String>,
    /// Wait until the job is done: the default
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Do not wait until the job is done
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl ReplayArgs {
    fn body(&self, now: Timestamp) -> Value {
        if let Some(event) = &self.event {
            return json!({ "event": event });
        }
        if let Some(delivery) = &self.delivery {
            return json!({ "delivery": delivery });
        }
        let mut body = json!({ "endpoint": self.endpoint });
        body["since"] = json!(self.since.map(|since| since.resolve(now)));
        body["until"] = json!(self.until.unwrap_or(Moment::Ago(0)).resolve(now));
        if let Some(state) = &self.state {
            body["state"] = json!(state);
        }
        body
    }
}

pub(super) async fn run(args: ReplayArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    let tenant = args.tenant.tenant.as_str();
    let body = args.body(session.clock.now());
    let started = session
        .client
        .send(Method::POST, &["v1", "tenants", tenant, "replays"], Some(&body))
        .await?;
    let job = if args.no_wait {
        started
    } else {
        wait(&session, tenant, started).await?
    };
    if session.output.is_json() {
        session.output.document(&job)?;
    } else {
        let counts = ["state", "total", "done", "failed"].map(|name| member(&job, name));
        let [state, total, done, failed] = counts;
        let line = format!(
            "replay {}: {state}, {done} of {total} queued, {failed} failed",
            member(&job, "id")
        );
        session.output.text(&super::output::escaped(&line))?;
    }
    let failed = job["state"] == "failed" || job["failed"].as_u64().is_some_and(|failed| failed > 0);
    Ok(if failed { Finish::Partial } else { Finish::Complete })
}

/// Asks for the job until it is over.
async fn wait(session: &Session, tenant: &str, mut job: Value) -> Result<Value, CliError> {
    let id = member(&job, "id");
    let total = job["total"].as_u64();
    let bar = if total.is_none_or(|total| total >= PROGRESS_FROM) {
        progress_bar()
    } else {
        ProgressBar::hidden()
    };
    let mut pause = FIRST_POLL;
    while !matches!(job["state"].as_str(), Some("done" | "failed")) {
        if let Some(total) = job["total"].as_u64() {
            bar.set_length(total);
        }
        bar.set_position(job["done"].as_u64().unwrap_or(0));
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(MAX_POLL);
        job = session
            .client
            .get(&["v1", "tenants", tenant, "replays", &id], &[])
            .await?;
    }
    bar.finish_and_clear();
    Ok(job)
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} deliveries, {eta} left");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
