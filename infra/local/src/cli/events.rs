//! `redial events`: what a tenant's platform posted.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::erase::{EraseArgs, erase};
use super::error::{CliError, Finish};
use super::export::{self, Export, ExportArgs, Stretch};
use super::moment::Moment;
use super::output::member;
use super::{Session, TenantArg};

const EXAMPLES: &str = "\
Examples:
  redial events list --tenant acme --since 2h --type call.failed
  redial events list --tenant acme --agent agt_7 --limit 500 --json
  redial events show evt_01 --tenant acme
  redial events timeline evt_01 --tenant acme
  redial events erase evt_01 --tenant acme
  redial events list --tenant acme --call call_17
  redial events --export --tenant acme --since 1d --until 1m --include-data --output events.ndjson
  redial events --export --tenant acme --type call.*

An export writes one JSON object a line, oldest first, and counts on stderr. When it has to stop it says with which --cursor \
to go on, and its exit code is 3.";

/// Look at the events of a tenant
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EventsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    export: ExportArgs,
    #[command(flatten)]
    stretch: Stretch,
    #[command(flatten)]
    wanted: Wanted,
    /// The tenant whose events are exported
    #[arg(long, env = "REDIAL_TENANT")]
    tenant: Option<String>,
    /// With payloads, links and endpoints
    #[arg(long, requires = "export")]
    include_data: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

/// Which events.
#[derive(Debug, Clone, Args)]
struct Wanted {
    /// Only this type, or all below a name, as call.*
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only this call: related.call_id of the events
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Only those that matched this endpoint
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
}

impl Wanted {
    fn query(self) -> impl Iterator<Item = (&'static str, String)> {
        let given = [
            ("type", self.event_type),
            ("agent", self.agent),
            ("call", self.call),
            ("endpoint", self.endpoint),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List events, the newest first
    List(ListArgs),
    /// Show what became of an event, in the order of time
    Timeline {
        #[command(flatten)]
        tenant: TenantArg,
        /// The event's id
        id: String,
        /// Most entries to show
        #[arg(long, value_name = "N", default_value_t = 500, value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Erase an event: what it said and what was answered, for ever
    Erase(EraseArgs),
    /// Show one event with its data, and where it went
    Show {
        #[command(flatten)]
        tenant: TenantArg,
        /// The event's id
        id: String,
    },
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// From when on: RFC 3339, or how long ago (30m, 2h, 7d)
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Until when: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    #[command(flatten)]
    wanted: Wanted,
    /// Most events to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
    limit: usize,
}

pub(super) async fn run(args: EventsArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    match args.action {
        None if args.export.export => return export(&session, args).await,
        Some(_) if args.export.export => return Err(CliError::usage("--export stands without a subcommand")),
        None => return Err(CliError::usage("say what: list, show, timeline, erase, or --export")),
        Some(Action::List(list)) => run_list(&mut session, list).await?,
        Some(Action::Timeline { tenant, id, limit }) => {
            let path = ["v1", "tenants", &tenant.tenant, "events", &id, "timeline"];
            timeline(&mut session, &path, limit).await?;
        }
        Some(Action::Erase(event)) => {
            let path = ["v1", "tenants", &event.tenant.tenant, "events", &event.id];
            return erase(&mut session, &path, ("event", &event.id), event.yes).await;
        }
        Some(Action::Show { tenant, id }) => {
            let path = ["v1", "tenants", &tenant.tenant, "events", &id];
            let event = session.client.get(&path, &[]).await?;
            show(&mut session, &event).await?;
        }
    }
    Ok(Finish::Complete)
}

async fn export(session: &Session, args: EventsArgs) -> Result<Finish, CliError> {
    let tenant = args.tenant.as_deref().ok_or_else(|| CliError::usage("give --tenant"))?;
    let mut query = args.stretch.query(session);
    query.extend(args.wanted.query());
    // What arrives meanwhile is at the end.
    query.push(("order", "asc".to_owned()));
    query.extend(args.include_data.then(|| ("include", "data".to_owned())));
    let export = Export {
        path: vec!["v1", "tenants", tenant, "events"],
        query,
        what: ("event", "events"),
    };
    export::run(session, &args.export, export).await
}

/// Shows the timeline at `path`.
pub(super) async fn timeline(session: &mut Session, path: &[&str], limit: usize) -> Result<(), CliError> {
    let listing = session.client.list(path, &[], limit).await?;
    let names = ["at", "kind", "delivery", "n", "text"];
    let row = |item: &_| names.iter().map(|name| member(item, name)).collect();
    session.show_list(&listing, &names, row, "nothing")
}

async fn run_list(session: &mut Session, list: ListArgs) -> Result<(), CliError> {
    let now = session.clock.now();
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(list.since.map(|since| ("since", since.resolve(now).to_string())));
    query.extend(list.until.map(|until| ("until", until.resolve(now).to_string())));
    query.extend(list.wanted.query());
    let path = ["v1", "tenants", &list.tenant.tenant, "events"];
    let listing = session.client.list(&path, &query, list.limit).await?;
    let names = ["accepted_at", "type", "id", "agent", "deliveries"];
    let row = |item: &_| names.iter().map(|name| member(item, name)).collect();
    session.show_list(
        &listing,
        &["accepted", "type", "id", "agent", "deliveries"],
        row,
        "no events",
    )
}

async fn show(session: &mut Session, event: &Value) -> Result<(), CliError> {
    if session.output.is_json() {
        return session.output.document(event);
    }
    let mut about = event.clone();
    let data = about.as_object_mut().and_then(|members| members.remove("data"));
    session.output.fields(
        &about,
        &[
            "id",
            "type",
            "agent",
            "occurred_at",
            "accepted_at",
            "deliveries",
            "endpoints",
        ],
    )?;
    let data = data.unwrap_or_default();
    session.output.text("data")?;
    session.output.document(&data)
}
