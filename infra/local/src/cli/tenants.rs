//! `redial tenants`: the platform's customers.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use super::connection::ConnectionArgs;
use super::erase::{Yes, erase};
use super::error::{CliError, Finish};
use super::output::member;

const EXAMPLES: &str = "\
Examples:
  redial tenants create acme --name 'Acme Dental'
  redial tenants create operator --for-operators
  redial tenants list
  redial tenants show acme --json
  redial tenants update acme --retention-days 90 --max-endpoints 100 --validation reject
  redial tenants erase acme";

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
        /// It is the tenant `operator`, which is told about every other one, and it is to be your own
        #[arg(long)]
        for_operators: bool,
    },
    /// List the tenants
    List {
        /// Most tenants to list
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Change settings of a tenant; those that are not given stay as they are
    Update(UpdateArgs),
    /// Erase a tenant with everything that belongs to it, for ever
    Erase {
        /// The tenant's id
        tenant: String,
        #[command(flatten)]
        yes: Yes,
    },
    /// Show one tenant
    Show {
        /// The tenant's id
        tenant: String,
    },
}

/// Settings of a tenant.
#[derive(Debug, Args)]
struct UpdateArgs {
    /// The tenant's id
    tenant: String,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Settings {
    /// Its name for people
    #[arg(long)]
    name: Option<String>,
    /// Days that its events are kept, 3 to 365, for events from now on
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u16>,
    /// Whether it may post events of types that no catalogue has
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
    allow_unknown_types: Option<bool>,
    /// What is done with data that does not fit the schema of its type: off, warn or reject
    #[arg(long, value_name = "MODE")]
    validation: Option<String>,
    /// Where receivers of profile voicehub fetch an analysis: a URL with {call_id}; an empty text takes it away
    #[arg(long, value_name = "URL")]
    analysis_url: Option<String>,
    /// Most endpoints that it may have, at most 200
    #[arg(long, value_name = "N")]
    max_endpoints: Option<u16>,
    /// Shards of its lists, only ever raised: one for every 1000 events a second
    #[arg(long, value_name = "N")]
    shards: Option<u16>,
}

impl Settings {
    fn body(&self) -> Value {
        let given = [
            ("name", self.name.as_ref().map(|name| json!(name))),
            ("retention_days", self.retention_days.map(|days| json!(days))),
            (
                "allow_unknown_types",
                self.allow_unknown_types.map(|allow| json!(allow)),
            ),
            ("validation", self.validation.as_ref().map(|mode| json!(mode))),
            ("analysis_url", self.analysis_url.as_ref().map(|url| json!(url))),
            ("max_endpoints", self.max_endpoints.map(|most| json!(most))),
            ("shards", self.shards.map(|shards| json!(shards))),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect())
    }
}

pub(super) async fn run(args: TenantsArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    match args.action {
        Action::Create {
            tenant,
            name,
            for_operators,
        } => {
            let mut body = name.map_or_else(|| json!({}), |name| json!({ "name": name }));
            if for_operators {
                body["for_operators"] = json!(true);
            }
            let made = session
                .client
                .send(Method::PUT, &["v1", "tenants", &tenant], Some(&body))
                .await?;
            session.show(&made, &["id", "name"])?;
        }
        Action::Update(update) => {
            let path = ["v1", "tenants", &update.tenant];
            // The call that changes a tenant would make one that is not there.
            session.client.get(&path, &[]).await?;
            let set = session
                .client
                .send(Method::PUT, &path, Some(&update.settings.body()))
                .await?;
            session.show(&set, &["id", "name"])?;
        }
        Action::Erase { tenant, yes } => {
            let path = ["v1", "tenants", &tenant];
            return erase(&mut session, &path, ("tenant", &tenant), yes).await;
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
