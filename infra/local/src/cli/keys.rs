//! `redial keys`: API keys. A key is shown once, when it is made, and never again.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::Session;
use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::output::{member, note};

const EXAMPLES: &str = "\
Examples:
  redial keys create ingest --name 'call engine'
  redial keys create tenant:acme --name 'portal of acme'
  redial keys list
  redial keys revoke k7f3q2";

/// Make, list and revoke API keys
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct KeysArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key; it is shown this once
    Create {
        /// What it may do: `ingest` (post events), `operator` (everything), `tenant:ID` (that tenant's things)
        scope: String,
        /// What it is for
        #[arg(long)]
        name: Option<String>,
    },
    /// List the keys, without their text
    List {
        /// Most keys to list
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Revoke a key; within a minute nothing accepts it any more
    Revoke {
        /// The key's id
        id: String,
    },
}

pub(super) async fn run(args: KeysArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    match args.action {
        Action::Create { scope, name } => {
            let mut body = json!({ "scope": scope });
            if let Some(name) = name {
                body["name"] = json!(name);
            }
            let made = session.client.send(Method::POST, &["v1", "keys"], Some(&body)).await?;
            session.show(&made, &["id", "key", "scope", "name"])?;
            note("keep the key now: it is not shown again");
        }
        Action::List { limit } => {
            let listing = session.client.list(&["v1", "keys"], &[], limit).await?;
            let names = ["id", "scope", "name", "created_at", "last_used_at"];
            let row = |item: &_| names.iter().map(|name| member(item, name)).collect();
            session.show_list(
                &listing,
                &["id", "scope", "name", "created", "last used"],
                row,
                "no keys",
            )?;
        }
        Action::Revoke { id } => {
            session.client.send(Method::DELETE, &["v1", "keys", &id], None).await?;
            session.done("revoked", &id)?;
        }
    }
    Ok(Finish::Complete)
}
