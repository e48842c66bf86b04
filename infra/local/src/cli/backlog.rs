//! `redial endpoints health`, `backlog`, `activate` and `resume`: how an endpoint is, and what becomes of what is held for it.

use clap::{ArgGroup, Args, ValueEnum};
use redial_domain::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Session;
use super::endpoints::{Change, FIRST_FIELDS, One};
use super::error::{CliError, Finish};
use super::moment::Moment;
use super::output::{cell, escaped, member, note};

/// Which part of a backlog.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PartArgs {
    /// Only of events from then on: RFC 3339, or how long ago (30m, 2h, 7d)
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only of these event types, or of all below a name, as call.*
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',')]
    types: Vec<String>,
    /// Only of these agents
    #[arg(long, value_name = "AGENT,..", value_delimiter = ',')]
    agents: Vec<String>,
    /// Deliveries a second, 1 to 500 [default: at most 100, with a slow start]
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
}

impl PartArgs {
    fn body(&self, now: Timestamp) -> Map<String, Value> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
        set("since", self.since.map(|since| json!(since.resolve(now))));
        set("event_types", (!self.types.is_empty()).then(|| json!(self.types)));
        set("agents", (!self.agents.is_empty()).then(|| json!(self.agents)));
        set("rate", self.rate.map(|rate| json!(rate)));
        body
    }

    fn query(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        query.extend(self.since.map(|since| ("since", since.resolve(now).to_string())));
        query.extend((!self.types.is_empty()).then(|| ("event_types", self.types.join(","))));
        query.extend((!self.agents.is_empty()).then(|| ("agents", self.agents.join(","))));
        query
    }
}

/// What becomes of a backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wish {
    /// Delivered: that part of it, or all
    Drain,
    /// Held until somebody asks
    Keep,
    /// Canceled: that part of it, or all
    Discard,
}

impl Wish {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Keep => "keep",
            Self::Discard => "discard",
        }
    }
}

const RELEASE_EXAMPLES: &str = "\
Examples:
  redial endpoints resume ep_02 --tenant acme
  redial endpoints resume ep_02 --tenant acme --since 2h --types call.ended
  redial endpoints resume ep_02 --tenant acme --backlog keep
  redial endpoints resume ep_02 --tenant acme --backlog discard

What does not match --since, --types and --agents stays held, until `redial endpoints backlog` drains or discards it.";

/// Deliver to an endpoint again.
#[derive(Debug, Args)]
#[command(after_help = RELEASE_EXAMPLES)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    change: Change,
    /// What becomes of what is held for it
    #[arg(long, value_enum, default_value = "drain")]
    backlog: Wish,
    #[command(flatten)]
    part: PartArgs,
}

const BACKLOG_EXAMPLES: &str = "\
Examples:
  redial endpoints backlog ep_02 --tenant acme
  redial endpoints backlog ep_02 --tenant acme --types 'call.*' --since 1d
  redial endpoints backlog ep_02 --tenant acme --drain --rate 20
  redial endpoints backlog ep_02 --tenant acme --discard --since 1d --dry-run

Without --drain and --discard it counts, and changes nothing.";

/// Count, drain or discard what is held for an endpoint.
#[derive(Debug, Args)]
#[command(after_help = BACKLOG_EXAMPLES)]
#[command(group = ArgGroup::new("action").args(["drain", "discard"]))]
pub(super) struct BacklogArgs {
    #[command(flatten)]
    one: One,
    /// Deliver it
    #[arg(long)]
    drain: bool,
    /// Cancel it
    #[arg(long)]
    discard: bool,
    /// Only count what would be drained or discarded
    #[arg(long, requires = "action")]
    dry_run: bool,
    #[command(flatten)]
    part: PartArgs,
}

/// Asks for an endpoint to be delivered to again: `action` is `activate` or `resume`.
pub(super) async fn release(session: &mut Session, args: &ReleaseArgs, action: &str) -> Result<(), CliError> {
    let mut body = args.part.body(session.clock.now());
    if args.backlog != Wish::Drain {
        body.insert("backlog".to_owned(), json!(args.backlog.as_str()));
    }
    // A Redial from before backlogs could be chosen takes no body.
    let body = (!body.is_empty()).then_some(Value::Object(body));
    let (client, path) = (&session.client, args.change.one.path_to(action));
    let if_match = args.change.if_match.as_ref();
    let mut endpoint = client.change(Method::POST, &path, body.as_ref(), if_match).await?;
    if session.output.is_json() {
        return session.output.document(&endpoint);
    }
    let backlog = endpoint.as_object_mut().and_then(|members| members.remove("backlog"));
    session.output.fields(&endpoint, &FIRST_FIELDS)?;
    if let Some(backlog) = backlog {
        session.output.text(&backlog_line(&backlog))?;
    }
    Ok(())
}

/// What an endpoint's backlog comes to once it is delivered to again.
fn backlog_line(backlog: &Value) -> String {
    let held = counted(&backlog["held"]);
    match backlog["replay"].as_str() {
        Some(replay) => format!("backlog: {held} held, worked on by replay {}", escaped(replay)),
        None => format!("backlog: {held} held"),
    }
}

/// A bounded count.
fn counted(count: &Value) -> String {
    let more = if count["at_least"] == true { "at least " } else { "" };
    format!("{more}{}", member(count, "count"))
}

/// Shows how an endpoint is.
pub(super) async fn health(session: &mut Session, one: &One) -> Result<(), CliError> {
    let mut health = session.client.get(&one.path_to("health"), &[]).await?;
    if session.output.is_json() {
        return session.output.document(&health);
    }
    for name in ["held", "retrying", "dead"] {
        health[name] = json!(counted(&health[name]));
    }
    let last = &health["last_failure"];
    if last.is_object() {
        let status = if last["status"].is_null() {
            cell(&last["code"])
        } else {
            cell(&last["status"])
        };
        health["last_failure"] = json!(format!("{status} at {}", member(last, "at")));
    }
    if health["drain"].is_object() {
        health["drain"] = json!(job_line(&health["drain"]));
    }
    let first = [
        "state",
        "condition",
        "since",
        "reason",
        "failures_in_row",
        "last_failure",
        "next_probe_at",
    ];
    session.output.fields(&health, &first)
}

/// Counts, drains or discards a backlog.
pub(super) async fn run(session: &mut Session, args: &BacklogArgs) -> Result<Finish, CliError> {
    let now = session.clock.now();
    let path = args.one.path_to("backlog");
    if !args.drain && !args.discard {
        if args.part.rate.is_some() {
            return Err(CliError::usage("--rate goes with --drain"));
        }
        let backlog = session.client.get(&path, &args.part.query(now)).await?;
        show(session, &backlog)?;
        return Ok(Finish::Complete);
    }
    let mut body = args.part.body(now);
    body.insert("action".to_owned(), json!(if args.drain { "drain" } else { "discard" }));
    if args.dry_run {
        body.insert("dry_run".to_owned(), json!(true));
    }
    let job = session
        .client
        .send(Method::POST, &path, Some(&Value::Object(body)))
        .await?;
    show_job(session, &job)
}

/// Shows a job that was asked for: how to go on looking at it is `redial replay`'s.
pub(super) fn show_job(session: &mut Session, job: &Value) -> Result<Finish, CliError> {
    if session.output.is_json() {
        session.output.document(job)?;
    } else {
        session.output.text(&job_line(job))?;
        if job["dry_run"] == true && job["state"] == "done" {
            note("only counted: nothing was changed");
        }
    }
    let failed = job["state"] == "failed";
    Ok(if failed { Finish::Partial } else { Finish::Complete })
}

fn job_line(job: &Value) -> String {
    let [id, state, done, total] = ["id", "state", "done", "total"].map(|name| escaped(&member(job, name)));
    format!("replay {id}: {state}, {done} of {total} done")
}

fn show(session: &mut Session, backlog: &Value) -> Result<(), CliError> {
    if session.output.is_json() {
        return session.output.document(backlog);
    }
    let mut about = json!({ "held": counted(&backlog["held"]), "matching": counted(&backlog["matching"]) });
    for (shown, name) in [
        ("oldest", "oldest_accepted_at"),
        ("newest", "newest_accepted_at"),
        ("kept until", "kept_until"),
    ] {
        if !backlog[name].is_null() {
            about[shown] = backlog[name].clone();
        }
    }
    session
        .output
        .fields(&about, &["held", "matching", "oldest", "newest"])?;
    let mut rows = Vec::new();
    let mut add = |kind: &str, list: &str, value: &dyn Fn(&Value) -> String| {
        let items = backlog[list].as_array().map_or(&[][..], Vec::as_slice);
        let items = items.iter().filter(|item| item["count"] != 0);
        rows.extend(items.map(|item| vec![kind.to_owned(), value(item), member(item, "count")]));
    };
    add("reason", "by_reason", &|item| member(item, "sentence"));
    add("type", "by_type", &|item| member(item, "event_type"));
    add("age", "by_age", &age);
    if rows.is_empty() {
        return Ok(());
    }
    session.output.text("")?;
    session.output.table(&["by", "value", "held"], &rows, "")
}

/// A range of ages, in words.
fn age(item: &Value) -> String {
    let span = |seconds: &Value| match seconds.as_i64() {
        Some(s) if s % 86_400 == 0 && s > 0 => format!("{} d", s / 86_400),
        Some(s) => format!("{} h", s / 3_600),
        None => String::new(),
    };
    match (item["from_s"].as_i64(), item["to_s"].is_null()) {
        (Some(0), _) => format!("under {}", span(&item["to_s"])),
        (_, true) => format!("{} and more", span(&item["from_s"])),
        _ => format!("{} to {}", span(&item["from_s"]), span(&item["to_s"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::session;

    #[test]
    fn flags_become_the_body_that_the_api_takes() {
        let now = Timestamp::parse("2026-11-20T05:00:00Z").unwrap();
        let part = PartArgs {
            since: "2h".parse().ok(),
            types: vec!["call.*".to_owned()],
            agents: Vec::new(),
            rate: Some(20),
        };
        let body = json!({"since": "2026-11-20T03:00:00.000Z", "event_types": ["call.*"], "rate": 20});
        assert_eq!(Value::Object(part.body(now)), body);
        assert_eq!(part.query(now)[1], ("event_types", "call.*".to_owned()));
        assert!(PartArgs::default().body(now).is_empty());
    }

    #[test]
    fn a_backlog_is_shown_with_what_it_consists_of() {
        let (mut session, page) = session("http://127.0.0.1:1", false);
        let backlog = json!({
            "held": {"count": 1000, "at_least": true},
            "matching": {"count": 3, "at_least": false},
            "by_reason": [{"reason": "endpoint_paused", "sentence": "Its endpoint is paused.", "count": 3}],
            "by_type": [{"event_type": "call.ended", "count": 3}],
            "by_age": [{"from_s": 0, "to_s": 3600, "count": 2}, {"from_s": 604_800, "to_s": null, "count": 1}],
            "oldest_accepted_at": "2026-11-12T05:00:00.000Z", "newest_accepted_at": null, "kept_until": null,
        });
        show(&mut session, &backlog).unwrap();
        let shown = page.text();
        for part in [
            "at least 1000",
            "Its endpoint is paused.",
            "call.ended",
            "under 1 h",
            "7 d and more",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
    }
}
