//! `redial dead-letters list`, `counts`, `redrive` and `discard`: a tenant's deliveries that were given up.

use std::io::{self, IsTerminal as _};

use clap::Args;
use redial_domain::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::error::{CliError, Finish};
use crate::cli::moment::Moment;
use crate::cli::output::{cell, member, note};
use crate::cli::{Session, TenantArg, backlog};

/// Which dead letters.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Which {
    /// Only of this endpoint
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Only of this agent
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Only of this event type, or of all below a name, as call.*
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only with this reason: `attempts_exhausted`, `gone`, `blocked`, `event_missing`
    #[arg(long)]
    reason: Option<String>,
    /// Only of events accepted from then on: RFC 3339, or how long ago (30m, 2h, 7d)
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only of events accepted before: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

impl Which {
    fn given(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let moment = |moment: Option<Moment>| moment.map(|moment| moment.resolve(now).to_string());
        let given = [
            ("endpoint", self.endpoint.clone()),
            ("agent", self.agent.clone()),
            ("event_type", self.event_type.clone()),
            ("reason", self.reason.clone()),
            ("since", moment(self.since)),
            ("until", moment(self.until)),
        ];
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Count dead letters.
#[derive(Debug, Args)]
pub(super) struct CountsArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// By what: endpoint, agent, `event_type`, reason [default: all]
    #[arg(long, value_name = "WHAT,..")]
    by: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Redrive or discard dead letters.
#[derive(Debug, Args)]
pub(super) struct WorkArgs {
    /// Deliveries, as listed: EVENT.ENDPOINT [default: those that the filters let through]
    #[arg(value_name = "DELIVERY",
        conflicts_with_all = ["endpoint", "agent", "event_type", "reason", "since", "until", "all"])]
    deliveries: Vec<String>,
    #[command(flatten)]
    tenant: TenantArg,
    #[command(flatten)]
    which: Which,
    /// All that the tenant has
    #[arg(long, conflicts_with_all = ["endpoint", "agent", "event_type", "reason", "since", "until"])]
    all: bool,
    /// Only count them
    #[arg(long)]
    dry_run: bool,
    /// Deliveries a second, 1 to 500 [default: at most 100, with a slow start]
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Do not ask before discarding
    #[arg(long)]
    yes: bool,
}

impl WorkArgs {
    fn body(&self, now: Timestamp) -> Result<Value, CliError> {
        let mut body = Map::new();
        match self.deliveries.as_slice() {
            [] => {
                let given = self.which.given(now);
                if given.is_empty() && !self.all {
                    return Err(CliError::usage(
                        "say which: deliveries, or --endpoint, --agent, --type, --reason, --since, --until, or --all",
                    ));
                }
                body.extend(given.into_iter().map(|(name, value)| (name.to_owned(), json!(value))));
            }
            [one] => body.extend([("delivery".to_owned(), json!(one))]),
            some => body.extend([("deliveries".to_owned(), json!(some))]),
        }
        body.extend(self.dry_run.then(|| ("dry_run".to_owned(), json!(true))));
        body.extend(self.rate.map(|rate| ("rate".to_owned(), json!(rate))));
        Ok(Value::Object(body))
    }
}

pub(super) async fn list(
    session: &mut Session,
    tenant: &str,
    which: &Which,
    redriven: bool,
    limit: usize,
) -> Result<Finish, CliError> {
    let mut query = which.given(session.clock.now());
    query.extend(redriven.then(|| ("redriven", "true".to_owned())));
    let path = ["v1", "tenants", tenant, "dead-letters"];
    let listing = session.client.list(&path, &query, limit).await?;
    let row = |letter: &Value| {
        let last = &letter["last_attempt"];
        let status = &last["status"];
        vec![
            member(letter, "id"),
            member(letter, "reason"),
            member(letter, "event_type"),
            member(letter, "attempts"),
            if status.is_null() {
                member(last, "code")
            } else {
                cell(status)
            },
            member(letter, "accepted_at"),
        ]
    };
    let heading = ["id", "reason", "type", "attempts", "last", "accepted"];
    session.show_list(&listing, &heading, row, "no dead letters")?;
    Ok(Finish::Complete)
}

pub(super) async fn counts(session: &mut Session, args: &CountsArgs) -> Result<Finish, CliError> {
    let mut query = args.which.given(session.clock.now());
    query.extend(args.by.clone().map(|by| ("by", by)));
    let path = ["v1", "tenants", &args.tenant.tenant, "dead-letters", "counts"];
    let counts = session.client.get(&path, &query).await?;
    show_counts(session, &counts)?;
    Ok(Finish::Complete)
}

fn show_counts(session: &mut Session, counts: &Value) -> Result<(), CliError> {
    if session.output.is_json() {
        return session.output.document(counts);
    }
    let mut rows = Vec::new();
    for by in counts["counts"].as_array().map_or(&[][..], Vec::as_slice) {
        let name = member(by, "by");
        for value in by["values"].as_array().map_or(&[][..], Vec::as_slice) {
            let shown = if value["value"].is_null() {
                "(none)".to_owned()
            } else {
                member(value, "value")
            };
            rows.push(vec![name.clone(), shown, member(value, "count")]);
        }
        if by["others"] != 0 {
            rows.push(vec![name, "(others)".to_owned(), member(by, "others")]);
        }
    }
    session
        .output
        .table(&["by", "value", "letters"], &rows, "no dead letters")?;
    if counts["at_least"] == true {
        note("there are more than could be counted: narrow it with --endpoint or --since");
    }
    Ok(())
}

/// Redrives or discards: `action` is the last segment of the path.
pub(super) async fn work(session: &mut Session, args: &WorkArgs, action: &str) -> Result<Finish, CliError> {
    let body = args.body(session.clock.now())?;
    if action == "discard" && !args.dry_run {
        confirm(args.yes)?;
    }
    let path = ["v1", "tenants", &args.tenant.tenant, "dead-letters", action];
    let job = session.client.send(Method::POST, &path, Some(&body)).await?;
    backlog::show_job(session, &job)
}

/// Asks the person at the terminal, once. A script has said what it means.
fn confirm(yes: bool) -> Result<(), CliError> {
    if yes || !io::stdin().is_terminal() {
        return Ok(());
    }
    note("discard these dead letters? They are not delivered any more. Type yes:");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|source| CliError::Read {
        path: "stdin".into(),
        source,
    })?;
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(CliError::usage("nothing was discarded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::session;

    fn args() -> WorkArgs {
        WorkArgs {
            deliveries: Vec::new(),
            tenant: TenantArg {
                tenant: "acme".to_owned(),
            },
            which: Which::default(),
            all: false,
            dry_run: false,
            rate: None,
            yes: true,
        }
    }

    #[test]
    fn nothing_is_worked_on_unless_it_is_said() {
        let now = Timestamp::parse("2026-11-20T05:00:00Z").unwrap();
        assert!(matches!(args().body(now), Err(CliError::Usage(_))));
        let body = |args: WorkArgs| args.body(now).unwrap();
        let all = WorkArgs { all: true, ..args() };
        assert_eq!(body(all), json!({}));
        let one = WorkArgs {
            deliveries: vec!["src_1.ep_1".to_owned()],
            dry_run: true,
            ..args()
        };
        assert_eq!(body(one), json!({"delivery": "src_1.ep_1", "dry_run": true}));
        let filtered = WorkArgs {
            which: Which {
                event_type: Some("call.*".to_owned()),
                since: "2h".parse().ok(),
                ..Which::default()
            },
            rate: Some(20),
            ..args()
        };
        let expected = json!({"event_type": "call.*", "since": "2026-11-20T03:00:00.000Z", "rate": 20});
        assert_eq!(body(filtered), expected);
    }

    #[test]
    fn counts_are_one_table() {
        let (mut session, page) = session("http://127.0.0.1:1", false);
        let counts = json!({"count": 3, "at_least": false, "counts": [
            {"by": "agent", "values": [{"value": null, "count": 2}, {"value": "agt_7", "count": 1}], "others": 0},
            {"by": "reason", "values": [{"value": "gone", "count": 3}], "others": 7},
        ]});
        show_counts(&mut session, &counts).unwrap();
        let shown = page.text();
        for part in ["(none)", "agt_7", "gone", "(others)"] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
    }
}
