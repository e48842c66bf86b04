//! `redial deliveries`: where events went, each attempt, and what happens next.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::export::{self, Export, ExportArgs, Stretch};
use super::moment::Moment;
use super::output::{cell, member};
use super::{Session, TenantArg};

const EXAMPLES: &str = "\
Examples:
  redial deliveries list --tenant acme --state dead --since 7d
  redial deliveries list --tenant acme --event evt_01
  redial deliveries show evt_01.ep_02 --tenant acme
  redial deliveries --export --tenant acme --since 1d --until 1m --output deliveries.ndjson
  redial deliveries --export --tenant acme --state dead --endpoint ep_02

An export writes one JSON object a line, newest first, and counts on stderr. When it has to stop it says with which --cursor \
to go on, and its exit code is 3.";

/// Look at deliveries and their attempts
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DeliveriesArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    export: ExportArgs,
    #[command(flatten)]
    stretch: Stretch,
    #[command(flatten)]
    wanted: Wanted,
    /// The tenant whose deliveries are exported
    #[arg(long, env = "REDIAL_TENANT")]
    tenant: Option<String>,
    #[command(subcommand)]
    action: Option<Action>,
}

/// Which deliveries.
#[derive(Debug, Clone, Args)]
struct Wanted {
    /// Only this state: queued, retrying, held, succeeded, dead, canceled
    #[arg(long)]
    state: Option<String>,
    /// Only this endpoint, which may be deleted
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Only of this event type, or of all below a name, as call.*
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only with this reason, as attempts_exhausted
    #[arg(long)]
    reason: Option<String>,
}

impl Wanted {
    fn query(self) -> impl Iterator<Item = (&'static str, String)> {
        let given = [
            ("state", self.state),
            ("endpoint", self.endpoint),
            ("type", self.event_type),
            ("reason", self.reason),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List deliveries
    List(ListArgs),
    /// Show one delivery with its attempts, and why it will or will not be tried again
    Show {
        #[command(flatten)]
        tenant: TenantArg,
        /// The delivery's id: EVENT.ENDPOINT, or EVENT.ENDPOINT.REPLAY
        id: String,
    },
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// Only the deliveries of this event
    #[arg(long, value_name = "ID",
        conflicts_with_all = ["state", "endpoint", "event_type", "reason", "since", "until"])]
    event: Option<String>,
    #[command(flatten)]
    wanted: Wanted,
    /// From when on: RFC 3339, or how long ago (30m, 2h, 7d)
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Until when: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Most deliveries to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
    limit: usize,
}

pub(super) async fn run(args: DeliveriesArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    match args.action {
        None if args.export.export => return export(&session, args).await,
        Some(_) if args.export.export => return Err(CliError::usage("--export stands without a subcommand")),
        None => return Err(CliError::usage("say what: list, show, or --export")),
        Some(Action::List(list)) => run_list(&mut session, list).await?,
        Some(Action::Show { tenant, id }) => {
            let path = ["v1", "tenants", &tenant.tenant, "deliveries", &id];
            let delivery = session.client.get(&path, &[]).await?;
            show(&mut session, &delivery)?;
        }
    }
    Ok(Finish::Complete)
}

async fn export(session: &Session, args: DeliveriesArgs) -> Result<Finish, CliError> {
    let tenant = args.tenant.as_deref().ok_or_else(|| CliError::usage("give --tenant"))?;
    let mut query = args.stretch.query(session);
    query.extend(args.wanted.query());
    let export = Export {
        path: vec!["v1", "tenants", tenant, "deliveries"],
        query,
        what: ("delivery", "deliveries"),
    };
    export::run(session, &args.export, export).await
}

async fn run_list(session: &mut Session, list: ListArgs) -> Result<(), CliError> {
    let now = session.clock.now();
    let tenant = list.tenant.tenant.as_str();
    let listing = if let Some(event) = &list.event {
        session
            .client
            .list(
                &["v1", "tenants", tenant, "events", event, "deliveries"],
                &[],
                list.limit,
            )
            .await?
    } else {
        let mut query: Vec<(&str, String)> = Vec::new();
        query.extend(list.wanted.query());
        query.extend(list.since.map(|since| ("since", since.resolve(now).to_string())));
        query.extend(list.until.map(|until| ("until", until.resolve(now).to_string())));
        session
            .client
            .list(&["v1", "tenants", tenant, "deliveries"], &query, list.limit)
            .await?
    };
    let heading = ["state", "id", "attempts", "last", "next at", "reason"];
    session.show_list(&listing, &heading, row, "no deliveries")
}

fn row(delivery: &Value) -> Vec<String> {
    let attempts = delivery["attempts"].as_array().map_or(&[][..], Vec::as_slice);
    vec![
        member(delivery, "state"),
        member(delivery, "id"),
        attempts.len().to_string(),
        attempts.last().map(result).unwrap_or_default(),
        member(delivery, "next_at"),
        member(delivery, "reason"),
    ]
}

/// What an attempt came to: the HTTP status, or why there was none.
fn result(attempt: &Value) -> String {
    let status = &attempt["status"];
    cell(if status.is_null() { &attempt["code"] } else { status })
}

fn show(session: &mut Session, delivery: &Value) -> Result<(), CliError> {
    if session.output.is_json() {
        return session.output.document(delivery);
    }
    let mut about = delivery.clone();
    let attempts = about
        .as_object_mut()
        .and_then(|members| members.remove("attempts"))
        .unwrap_or_default();
    session.output.fields(
        &about,
        &["id", "state", "reason", "next_at", "event", "endpoint", "replay_of"],
    )?;
    let attempts = attempts.as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = attempts
        .iter()
        .map(|attempt| {
            let took = attempt["duration_ms"]
                .as_u64()
                .map(|ms| format!("{ms} ms"))
                .unwrap_or_default();
            vec![
                member(attempt, "n"),
                member(attempt, "at"),
                result(attempt),
                took,
                member(attempt, "next"),
            ]
        })
        .collect();
    session.output.text("")?;
    session
        .output
        .table(&["n", "at", "result", "took", "next"], &rows, "no attempt yet")
}
