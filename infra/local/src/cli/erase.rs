//! Erasing from the command line: asked twice, because nothing brings it back, and answered with the receipt.
//! `redial erasures` shows receipts again.

use std::io::{BufRead as _, IsTerminal as _};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::output::{member, note};
use super::{Session, TenantArg};

const EXAMPLES: &str = "\
Examples:
  redial erasures list --tenant acme
  redial erasures list --tenant acme --limit 500 --json
  redial erasures show ers_01JD3ZK8Q0ABCDEFGH --tenant acme --json

A receipt outlives what it is about: that of a tenant is found under the tenant's old name.";

/// Columns of a receipt, first to last.
const RECEIPT: [&str; 10] = [
    "id",
    "tenant",
    "erased",
    "complete",
    "at",
    "completed_at",
    "events",
    "canceled",
    "may_still_leave_count",
    "unreadable_count",
];

/// Look at receipts of erasures
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ErasuresArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List a tenant's erasures, the newest first
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Most to list
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Show one, and whether it is complete
    Show {
        #[command(flatten)]
        tenant: TenantArg,
        /// The erasure's id
        id: String,
    },
}

/// What is to be erased of a tenant.
#[derive(Debug, Args)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    pub(super) tenant: TenantArg,
    /// Its id
    pub(super) id: String,
    #[command(flatten)]
    pub(super) yes: Yes,
}

/// Whether it was thought about before.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Yes {
    /// Do not ask: nothing brings it back
    #[arg(long)]
    yes: bool,
}

/// Erases what `path` names, if the person at the terminal types `id`, and shows the receipt.
pub(super) async fn erase(
    session: &mut Session,
    path: &[&str],
    (what, id): (&str, &str),
    yes: Yes,
) -> Result<Finish, CliError> {
    if !yes.yes && !is_confirmed(what, id)? {
        note("nothing was erased");
        return Ok(Finish::Partial);
    }
    let receipt = session.client.send(Method::DELETE, path, None).await?;
    session.show(&receipt, &RECEIPT)?;
    if receipt["complete"] != Value::Bool(true) {
        let (tenant, id) = (member(&receipt, "tenant"), member(&receipt, "id"));
        note(&format!(
            "it goes on by itself; in about ten minutes see: redial erasures show {id} --tenant {tenant}"
        ));
    }
    Ok(Finish::Complete)
}

/// Asks at the terminal.
fn is_confirmed(what: &str, id: &str) -> Result<bool, CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::usage(
            "erasing asks first: give --yes where nobody can answer",
        ));
    }
    note(&format!(
        "This erases {what} {id}. Nothing brings it back. Type its id to go on:"
    ));
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    read.map_err(|error| CliError::usage(format!("standard input: {error}")))?;
    Ok(line.trim() == id)
}

pub(super) async fn run(args: ErasuresArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    match args.action {
        Action::List { tenant, limit } => {
            let path = ["v1", "tenants", &tenant.tenant, "erasures"];
            let listing = session.client.list(&path, &[], limit).await?;
            let names = ["at", "id", "erased", "complete", "events", "canceled", "asked_by"];
            let row = |item: &_| names.iter().map(|name| member(item, name)).collect();
            session.show_list(
                &listing,
                &["at", "id", "erased", "complete", "events", "canceled", "by key"],
                row,
                "no erasures",
            )?;
        }
        Action::Show { tenant, id } => {
            let path = ["v1", "tenants", &tenant.tenant, "erasures", &id];
            let receipt = session.client.get(&path, &[]).await?;
            session.show(&receipt, &RECEIPT)?;
        }
    }
    Ok(Finish::Complete)
}
