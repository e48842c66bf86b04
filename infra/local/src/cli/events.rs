//! `redial events`: what a tenant's platform posted.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::moment::Moment;
use super::output::member;
use super::{Session, TenantArg};

const EXAMPLES: &str = "\
Examples:
  redial events list --tenant acme --since 2h --type call.failed
  redial events list --tenant acme --agent agt_7 --limit 500 --json
  redial events show evt_01 --tenant acme";

/// Look at the events of a tenant
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EventsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List events, the newest first
    List(ListArgs),
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
    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only this agent
    #[arg(long)]
    agent: Option<String>,
    /// Most events to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
    limit: usize,
}

pub(super) async fn run(args: EventsArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    match args.action {
        Action::List(list) => run_list(&mut session, list).await?,
        Action::Show { tenant, id } => {
            let path = ["v1", "tenants", &tenant.tenant, "events", &id];
            let event = session.client.get(&path, &[]).await?;
            show(&mut session, &event).await?;
        }
    }
    Ok(Finish::Complete)
}

async fn run_list(session: &mut Session, list: ListArgs) -> Result<(), CliError> {
    let now = session.clock.now();
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(list.since.map(|since| ("since", since.resolve(now).to_string())));
    query.extend(list.until.map(|until| ("until", until.resolve(now).to_string())));
    query.extend(list.event_type.map(|event_type| ("type", event_type)));
    query.extend(list.agent.map(|agent| ("agent", agent)));
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
