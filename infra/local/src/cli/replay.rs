//! `redial replay`: delivers stored events again, waits until the job is done, and tells a job to pause, go on or stop.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
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
  redial replay --tenant acme --call call_77
  redial replay --tenant acme --endpoint ep_02 --since 2h --state dead --dry-run
  redial replay --tenant acme --endpoint ep_02 --since 2h --state dead --rate 50
  redial replay --tenant acme --endpoint ep_02 --since 7d --missing --type call.*
  redial replay --tenant acme --endpoint ep_02 --since 1d --to ep_03 --no-wait
  redial replay --tenant acme --since 1h --agent agt_7
  redial replay pause rpl_01 --tenant acme

Each replayed event is a new delivery with attempts from 1 and the same webhook-id: receivers that keep ids see a \
repeat. What is held is released instead. The exit code is 1 if the job failed, was canceled or could not queue some \
deliveries.";

/// Deliver stored events again: by event, delivery, call, endpoint and time, or what an endpoint has missed
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, subcommand_negates_reqs = true)]
#[command(group = ArgGroup::new("what").required(true).args(["event", "delivery", "call", "since"]))]
pub(super) struct ReplayArgs {
    /// The tenant
    #[arg(long, env = "REDIAL_TENANT", required = true)]
    tenant: Option<String>,
    /// This event, to every endpoint that it matched
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// This delivery
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
    /// What was concluded of the events of this call
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// What was for this endpoint; with --since or --call
    #[arg(long, value_name = "ID", conflicts_with_all = ["event", "delivery"])]
    endpoint: Option<String>,
    /// From when on: RFC 3339, or how long ago (30m, 2h, 7d); alone: what was for any endpoint
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME", requires = "since")]
    until: Option<Moment>,
    #[command(flatten)]
    narrow: Narrow,
    /// Deliver to this endpoint instead
    #[arg(long, value_name = "ID")]
    to: Option<String>,
    /// Count only: nothing is sent
    #[arg(long)]
    dry_run: bool,
    /// Most deliveries a second [default: as fast as it goes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    rate: Option<u16>,
    /// Wait until the job is done, with a progress bar: the default
    #[arg(long, visible_alias = "watch", overrides_with = "no_wait")]
    wait: bool,
    /// Do not wait until the job is done
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Option<Action>,
}

/// Which of them.
#[derive(Debug, Args)]
struct Narrow {
    /// Only deliveries in this state: held (released), dead, succeeded, canceled [default: all that are concluded]
    #[arg(long, conflicts_with_all = ["event", "delivery"])]
    state: Option<String>,
    /// Only with this reason, as attempts_exhausted
    #[arg(long, conflicts_with_all = ["event", "delivery"])]
    reason: Option<String>,
    /// Only of this event type, or of all below a name, as call.*; may be repeated
    #[arg(long = "type", value_name = "TYPE", conflicts_with_all = ["event", "delivery"])]
    types: Vec<String>,
    /// Only of events of this agent; may be repeated
    #[arg(long = "agent", value_name = "ID", conflicts_with_all = ["event", "delivery"])]
    agents: Vec<String>,
    /// What the endpoint would get now and did not get then, inactive or not there
    #[arg(long, requires = "endpoint", requires = "since", conflicts_with_all = ["state", "reason"])]
    missing: bool,
    /// Also what earlier replays delivered
    #[arg(long, requires = "since", conflicts_with_all = ["call", "missing"])]
    include_replays: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List replays, newest first
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Most replays to list
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Show a replay and how far it is
    Show(Named),
    /// Wait until a replay is over, with a progress bar
    Watch(Named),
    /// Stop a replay for now: within a page, what waits in the queue is delivered still
    Pause(Named),
    /// Go on with a paused replay where it stopped
    Resume(Named),
    /// Stop a replay for good; what it has done stays done
    Cancel(Named),
}

#[derive(Debug, Args)]
struct Named {
    #[command(flatten)]
    tenant: TenantArg,
    /// The replay's id
    id: String,
}

impl ReplayArgs {
    fn body(&self, now: Timestamp) -> Value {
        let mut body = json!({});
        let narrow = &self.narrow;
        let texts = [
            ("event", &self.event),
            ("delivery", &self.delivery),
            ("call_id", &self.call),
            ("endpoint", &self.endpoint),
            ("to", &self.to),
            ("state", &narrow.state),
            ("reason", &narrow.reason),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                body[name] = json!(text);
            }
        }
        if let Some(since) = self.since {
            body["since"] = json!(since.resolve(now));
            body["until"] = json!(self.until.unwrap_or(Moment::Ago(0)).resolve(now));
        }
        for (name, list) in [("event_types", &narrow.types), ("agents", &narrow.agents)] {
            if !list.is_empty() {
                body[name] = json!(list);
            }
        }
        let flags = [
            ("missing", narrow.missing),
            ("include_replays", narrow.include_replays),
            ("dry_run", self.dry_run),
        ];
        for (name, flag) in flags {
            if flag {
                body[name] = json!(true);
            }
        }
        if let Some(rate) = self.rate {
            body["rate"] = json!(rate);
        }
        body
    }
}

pub(super) async fn run(args: ReplayArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    if let Some(action) = args.action {
        return act(&mut session, action).await;
    }
    let tenant = args.tenant.as_deref().ok_or_else(|| CliError::usage("give --tenant"))?;
    let body = args.body(session.clock.now());
    let path = ["v1", "tenants", tenant, "replays"];
    let started = session.client.send(Method::POST, &path, Some(&body)).await?;
    let job = if args.no_wait {
        started
    } else {
        wait(&session, tenant, started).await?
    };
    tell(&mut session, &job)
}

async fn act(session: &mut Session, action: Action) -> Result<Finish, CliError> {
    let (named, order) = match action {
        Action::List { tenant, limit } => {
            let path = ["v1", "tenants", &tenant.tenant, "replays"];
            let listing = session.client.list(&path, &[], limit).await?;
            let heading = ["state", "id", "total", "done", "failed", "skipped", "asked at"];
            let row = |job: &Value| {
                let names = ["state", "id", "total", "done", "failed", "skipped", "asked_at"];
                names.map(|name| member(job, name)).to_vec()
            };
            session.show_list(&listing, &heading, row, "no replays")?;
            return Ok(Finish::Complete);
        }
        Action::Show(named) => {
            let path = ["v1", "tenants", &named.tenant.tenant, "replays", &named.id];
            let job = session.client.get(&path, &[]).await?;
            let first = [
                "id",
                "state",
                "total",
                "done",
                "failed",
                "skipped",
                "seconds_left",
                "error",
            ];
            session.show(&job, &first)?;
            return Ok(Finish::Complete);
        }
        Action::Watch(named) => {
            let tenant = named.tenant.tenant.as_str();
            let path = ["v1", "tenants", tenant, "replays", &named.id];
            let job = session.client.get(&path, &[]).await?;
            let job = wait(session, tenant, job).await?;
            return tell(session, &job);
        }
        Action::Pause(named) => (named, "pause"),
        Action::Resume(named) => (named, "resume"),
        Action::Cancel(named) => (named, "cancel"),
    };
    let path = ["v1", "tenants", &named.tenant.tenant, "replays", &named.id, order];
    let job = session.client.send(Method::POST, &path, None).await?;
    tell(session, &job)?;
    Ok(Finish::Complete)
}

/// Says how a job is.
fn tell(session: &mut Session, job: &Value) -> Result<Finish, CliError> {
    if session.output.is_json() {
        session.output.document(job)?;
    } else {
        let [id, state, total, done, failed, skipped] =
            ["id", "state", "total", "done", "failed", "skipped"].map(|name| member(job, name));
        let line = if job["dry_run"] == true {
            format!("replay {id}: {state}, {total} would be delivered")
        } else {
            let passed_by = if job["skipped"].as_u64().is_some_and(|skipped| skipped > 0) {
                format!(", {skipped} passed by")
            } else {
                String::new()
            };
            format!("replay {id}: {state}, {done} of {total} queued, {failed} failed{passed_by}")
        };
        session.output.text(&super::output::escaped(&line))?;
    }
    let failed = matches!(job["state"].as_str(), Some("failed" | "canceled"))
        || job["failed"].as_u64().is_some_and(|failed| failed > 0);
    Ok(if failed { Finish::Partial } else { Finish::Complete })
}

/// Asks for the job until it is over or paused.
async fn wait(session: &Session, tenant: &str, mut job: Value) -> Result<Value, CliError> {
    let id = member(&job, "id");
    let bar = if job["total"].as_u64().is_none_or(|total| total >= PROGRESS_FROM) {
        progress_bar()
    } else {
        ProgressBar::hidden()
    };
    let mut pause = FIRST_POLL;
    while !matches!(job["state"].as_str(), Some("done" | "failed" | "canceled" | "paused")) {
        if let Some(total) = job["total"].as_u64() {
            bar.set_length(total);
        }
        let met = ["done", "failed", "skipped"].map(|name| job[name].as_u64().unwrap_or(0));
        bar.set_position(met.iter().sum());
        bar.set_message(time_left(&job));
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

/// What is said beside the bar.
fn time_left(job: &Value) -> String {
    if job["counted"] == false {
        return "counting".to_owned();
    }
    match job["seconds_left"].as_u64() {
        None => String::new(),
        Some(seconds) if seconds < 120 => format!("{seconds} s left"),
        Some(seconds) if seconds < 7_200 => format!("{} min left", seconds / 60),
        Some(seconds) => format!("{} h left", seconds / 3_600),
    }
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} deliveries {msg}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_told_in_the_unit_that_fits() {
        let told = |seconds: Option<u64>| time_left(&json!({"counted": true, "seconds_left": seconds}));
        assert_eq!(
            [None, Some(7), Some(600), Some(36_000)].map(told),
            ["", "7 s left", "10 min left", "10 h left"]
        );
        assert_eq!(time_left(&json!({"counted": false, "seconds_left": null})), "counting");
    }
}
