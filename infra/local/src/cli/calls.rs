//! `redial calls`: what happened on a call, and what became of it.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::erase::{EraseArgs, erase};
use super::error::{CliError, Finish};
use super::events::timeline;
use super::output::member;
use super::{Session, TenantArg};

const EXAMPLES: &str = "\
Examples:
  redial calls events call_17 --tenant acme
  redial calls timeline call_17 --tenant acme --json
  redial calls erase call_17 --tenant acme";

/// Look at a call: the events that name it, and where they went
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CallsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List a call's events in the order of occurrence, and where their deliveries stand
    Events(CallArgs),
    /// Show everything that is stored about a call, in the order of time
    Timeline(CallArgs),
    /// Erase a call: the events that name it until now, for ever
    Erase(EraseArgs),
}

#[derive(Debug, Args)]
struct CallArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// The call: related.call_id of its events
    id: String,
    /// Most to show
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = super::at_least_one)]
    limit: usize,
}

pub(super) async fn run(args: CallsArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    let (call, what) = match &args.action {
        Action::Events(call) => (call, "events"),
        Action::Timeline(call) => (call, "timeline"),
        Action::Erase(call) => {
            let path = ["v1", "tenants", &call.tenant.tenant, "calls", &call.id];
            return erase(&mut session, &path, ("call", &call.id), call.yes).await;
        }
    };
    let path = ["v1", "tenants", &call.tenant.tenant, "calls", &call.id, what];
    match args.action {
        Action::Erase(_) => {}
        Action::Timeline(_) => timeline(&mut session, &path, call.limit).await?,
        Action::Events(_) => {
            let listing = session.client.list(&path, &[], call.limit).await?;
            let heading = ["occurred", "type", "id", "agent", "states"];
            session.show_list(&listing, &heading, row, "no events")?;
        }
    }
    Ok(Finish::Complete)
}

fn row(event: &Value) -> Vec<String> {
    let states = event["states"].as_array().map_or(&[][..], Vec::as_slice);
    let states: Vec<String> = states.iter().map(|state| member(state, "state")).collect();
    let names = ["occurred_at", "type", "id", "agent"];
    let known = names.iter().map(|name| member(event, name));
    known.chain([states.join(",")]).collect()
}
