//! `redial tenants`: the platform's customers.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::Session;
use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::output::member;

const EXAMPLES: &str = "\
Examples:
  redial tenants create acme --name 'Acme Dental'
  redial tenants list
  redial tenants show acme --json";

/// Make and look at tenants, the platform's customers
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TenantsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a tenant, or change the name of one
    Create {
        /// The tenant's id: 1 to 128 of A-Z a-z 0-9 _ : -
        tenant: String,
        /// Its name for people
        #[arg(long)]
        name: Option<String>,
    },
    /// List the tenants
    List {
        /// Most tenants to list
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Show one tenant
    Show {
        /// The tenant's id
        tenant: String,
    },
}

pub(super) async fn run(args: TenantsArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    match args.action {
        Action::Create { tenant, name } => {
            let body = name.map_or_else(|| json!({}), |name| json!({ "name": name }));
            let made = session
                .client
                .send(Method::PUT, &["v1", "tenants", &tenant], Some(&body))
                .await?;
            session.show(&made, &["id", "name"])?;
        }
        Action::List { limit } => {
            let listing = session.client.list(&["v1", "tenants"], &[], limit).await?;
            let row = |item: &_| vec![member(item, "id"), member(item, "name"), member(item, "created_at")];
            session.show_list(&listing, &["id", "name", "created"], row, "no tenants")?;
        }
        Action::Show { tenant } => {
            let tenant = session.client.get(&["v1", "tenants", &tenant], &[]).await?;
            session.show(&tenant, &["id", "name"])?;
        }
    }
    Ok(Finish::Complete)
}
