//! `redial keys`: API keys, and from where they may be used. A key is shown once, when it is made, and never again. The first
//! one of a deployment is made with the deployer's own AWS credentials: its hash goes into the table, its text nowhere but
//! to stdout.

use clap::{Args, Subcommand};
use redial_domain::source::SourceNetworks;
use redial_platform::auth::{self, Scope};
use redial_platform::{Clock, Random};
use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::moment::Span;
use super::output::{Output, member, note};
use super::stack::{Stack, StackArgs, StackError};

const EXAMPLES: &str = "\
Examples:
  redial keys create ingest --name 'call engine'
  redial keys create tenant:acme --name 'portal of acme'
  redial keys create ingest --name 'load test' --expires 90d
  redial keys create --stack redial --region eu-central-1
  redial keys create ingest --name 'call engine' --from 203.0.113.0/24 --from 2001:db8::7
  redial keys change k7f3q2 --from 198.51.100.0/24
  redial keys change k7f3q2 --from-anywhere
  redial keys list
  redial keys show k7f3q2
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
    Create(CreateArgs),
    /// List the keys, without their text
    List {
        /// Most keys to list
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Show one key: what it may do, when it was last used, until when it is valid
    Show {
        /// The key's id
        id: String,
    },
    /// Change a key's name, or from where it may be used; within a minute it is so everywhere
    Change(ChangeArgs),
    /// Revoke a key; within a minute nothing accepts it any more
    Revoke {
        /// The key's id
        id: String,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What it may do: `ingest` (post events), `operator` (everything), `tenant:ID` (that tenant's things)
    /// [default with --stack: operator]
    #[arg(required_unless_present_any = ["scope_named", "stack"])]
    scope: Option<String>,
    /// The same, by name
    #[arg(long = "scope", id = "scope_named", value_name = "SCOPE", conflicts_with = "scope")]
    scope_named: Option<String>,
    /// What it is for, at most 200 characters
    #[arg(long)]
    name: Option<String>,
    /// How long it is valid, such as 12h or 90d [default: until it is revoked]
    #[arg(long, value_name = "SPAN")]
    expires: Option<Span>,
    /// An address or a network that it may be used from, such as 203.0.113.0/24; repeat it [default: from anywhere]
    #[arg(long, value_name = "NETWORK")]
    from: Vec<String>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// What it is for, at most 200 characters
    #[arg(long)]
    name: Option<String>,
    /// An address or a network that it may be used from alone, such as 203.0.113.0/24; repeat it. Others are taken away
    #[arg(long, value_name = "NETWORK")]
    from: Vec<String>,
    /// Let it be used from anywhere
    #[arg(long, conflicts_with = "from")]
    from_anywhere: bool,
}

#[derive(Debug, Args)]
struct ChangeArgs {
    /// The key's id
    id: String,
    #[command(flatten)]
    changes: Changes,
}

impl Changes {
    fn body(self) -> Value {
        let mut body = json!({});
        if let Some(name) = self.name {
            body["name"] = json!(name);
        }
        if self.from_anywhere {
            body["allowed_networks"] = Value::Null;
        } else if !self.from.is_empty() {
            body["allowed_networks"] = json!(self.from);
        }
        body
    }
}

/// Columns of a key that was made, first to last.
const MADE: [&str; 6] = ["id", "key", "scope", "name", "expires_at", "allowed_networks"];
/// What is shown of a key, first to last.
const SHOWN: [&str; 8] = [
    "id",
    "scope",
    "name",
    "created_at",
    "last_used_at",
    "expires_at",
    "allowed_networks",
    "made_by",
];
/// Longest name of a key, in characters: as the API takes it.
const MAX_NAME_CHARS: usize = 200;
/// Longest life of a key that expires, in seconds: as the API takes it.
const MAX_LIFE_S: i64 = 10 * 365 * 86_400;
/// Name of a key that was given none.
const FIRST_KEY: &str = "made with redial keys create --stack";

/// Makes a key with AWS credentials: for a deployment that has none yet, or whose operators lost theirs.
async fn create_in(
    stack: &Stack,
    (scope, name, expires): (&Scope, &str, Option<Span>),
    networks: Option<SourceNetworks>,
    output: &mut Output,
) -> Result<(), CliError> {
    let store = stack.store()?;
    if let Scope::Tenant(tenant) = scope {
        let known = store.version(tenant, 0).await;
        let known = known.map_err(|error| StackError::store("dynamodb:GetItem", error))?;
        known.ok_or_else(|| CliError::usage(format!("there is no tenant {tenant}")))?;
    }
    let url = stack.api()?;
    let now = Clock::System.now();
    let (text, mut key) = auth::mint(&Random::System, scope, name, now);
    key.allowed_networks = networks;
    key.expires_at = expires.map(|expires| now.plus_millis(expires.as_secs() * 1_000));
    let put = store.put_api_key(&key).await;
    put.map_err(|error| StackError::store("dynamodb:PutItem", error))?;
    let made = json!({
        "id": key.id,
        "key": text.reveal(),
        "scope": key.scope,
        "name": key.name,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "allowed_networks": key.allowed_networks,
        "url": url,
    });
    let shown = if output.is_json() {
        output.document(&made)
    } else {
        output.fields(&made, &MADE)
    };
    if let Err(error) = shown {
        note(&format!(
            "the key {} was made and could not be shown: revoke it",
            key.id
        ));
        return Err(error);
    }
    note(&format!(
        "keep the key now: it is not shown again. To use it, without leaving it in the shell's history:\n  \
         export REDIAL_URL={url}\n  read -rs REDIAL_KEY && export REDIAL_KEY    # then paste it\n  redial tenants list"
    ));
    Ok(())
}

async fn create(args: CreateArgs, connection: &ConnectionArgs) -> Result<(), CliError> {
    let scope = args.scope.or(args.scope_named);
    if args.stack.is_given() {
        // What cannot be is refused before AWS is asked.
        let scope = Scope::parse(scope.as_deref().unwrap_or("operator"))
            .map_err(|invalid| CliError::usage(invalid.to_string()))?;
        let name = args.name.as_deref().unwrap_or(FIRST_KEY);
        if name.chars().count() > MAX_NAME_CHARS {
            return Err(CliError::usage(format!(
                "a name has at most {MAX_NAME_CHARS} characters"
            )));
        }
        if args
            .expires
            .is_some_and(|expires| !(1..=MAX_LIFE_S).contains(&expires.as_secs()))
        {
            return Err(CliError::usage("a key expires within ten years, or never"));
        }
        let networks = (!args.from.is_empty()).then(|| SourceNetworks::try_from(args.from.clone()));
        let networks = networks
            .transpose()
            .map_err(|invalid| CliError::usage(invalid.to_string()))?;
        if let Some(stack) = args.stack.open().await? {
            let wanted = (&scope, name, args.expires);
            return create_in(&stack, wanted, networks, &mut Output::to_stdout(connection.json)).await;
        }
    }
    let mut body = json!({ "scope": scope });
    if let Some(expires) = args.expires {
        body["expires_in_s"] = json!(expires.as_secs());
    }
    if let Some(name) = args.name {
        body["name"] = json!(name);
    }
    if !args.from.is_empty() {
        body["allowed_networks"] = json!(args.from);
    }
    let mut session = Session::open(connection)?;
    let made = session.client.send(Method::POST, &["v1", "keys"], Some(&body)).await?;
    session.show(&made, &MADE)?;
    note("keep the key now: it is not shown again");
    Ok(())
}

pub(super) async fn run(args: KeysArgs) -> Result<Finish, CliError> {
    match args.action {
        Action::Create(create_args) => create(create_args, &args.connection).await?,
        Action::List { limit } => {
            let mut session = Session::open(&args.connection)?;
            let listing = session.client.list(&["v1", "keys"], &[], limit).await?;
            let names = ["id", "scope", "name", "created_at", "last_used_at", "expires_at"];
            let row = |item: &_| names.iter().map(|name| member(item, name)).collect();
            session.show_list(
                &listing,
                &["id", "scope", "name", "created", "last used", "expires"],
                row,
                "no keys",
            )?;
        }
        Action::Show { id } => {
            let mut session = Session::open(&args.connection)?;
            let key = session.client.get(&["v1", "keys", &id], &[]).await?;
            session.show(&key, &SHOWN)?;
        }
        Action::Change(ChangeArgs { id, changes }) => {
            let mut session = Session::open(&args.connection)?;
            let path = ["v1", "keys", &id];
            let key = session.client.send(Method::PATCH, &path, Some(&changes.body())).await?;
            session.show(&key, &SHOWN)?;
        }
        Action::Revoke { id } => {
            let mut session = Session::open(&args.connection)?;
            session.client.send(Method::DELETE, &["v1", "keys", &id], None).await?;
            session.done("revoked", &id)?;
        }
    }
    Ok(Finish::Complete)
}
