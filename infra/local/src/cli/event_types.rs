//! `redial event-types`: which types a tenant's events may have, those that ship and its own, and whether a payload fits one.
//! Schemas and examples come from files or the command line; the server judges them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::output::member;
use super::{Session, TenantArg};

const EXAMPLES: &str = "\
Examples:
  redial event-types list --tenant acme
  redial event-types list --tenant acme --origin own --state deprecated
  redial event-types show call.ended --tenant acme --json
  redial event-types put booking.made --tenant acme --schema @booking.schema.json --example '{\"booking_id\":\"bk_17\"}'
  redial event-types validate booking.made --tenant acme --data @booking.json
  redial event-types deprecate booking.made --tenant acme
  redial event-types archive booking.made --tenant acme
  redial event-types restore booking.made --tenant acme

What is done with events whose data does not fit is a setting of the tenant: validation off, warn or reject.";

/// Look at the event catalogue, and keep a tenant's own types in it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EventTypesArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the types: those that ship, then the tenant's own
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Only those that ship, or only the tenant's own: shipped, own
        #[arg(long)]
        origin: Option<String>,
        /// Only those in this state: active, deprecated, archived
        #[arg(long)]
        state: Option<String>,
        /// Most types to list
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Show one type with its schema and example
    Show(One),
    /// Add a type, or change all of one but its state
    Put(PutArgs),
    /// Accept its events with a warning from now on
    Deprecate(One),
    /// Refuse its events from now on
    Archive(One),
    /// Make it active again
    Restore(One),
    /// Say whether a payload fits a type, and why not; sends nothing
    Validate {
        #[command(flatten)]
        one: One,
        /// The payload: JSON, or @ and a file of JSON
        #[arg(long, value_name = "JSON|@FILE")]
        data: String,
    },
}

#[derive(Debug, Args)]
struct One {
    #[command(flatten)]
    tenant: TenantArg,
    /// The type, as call.ended
    #[arg(value_name = "TYPE")]
    name: String,
}

#[derive(Debug, Args)]
struct PutArgs {
    #[command(flatten)]
    one: One,
    /// JSON Schema 2020-12 of the events' data: JSON, or @ and a file of JSON
    #[arg(long, value_name = "JSON|@FILE")]
    schema: String,
    /// Data as it may arrive; must fit the schema: JSON, or @ and a file of JSON
    #[arg(long, value_name = "JSON|@FILE")]
    example: Option<String>,
    /// When it happens
    #[arg(long)]
    description: Option<String>,
    /// The heading it is listed under [default: custom]
    #[arg(long)]
    group: Option<String>,
}

impl One {
    fn path(&self) -> [&str; 5] {
        ["v1", "tenants", &self.tenant.tenant, "event-types", &self.name]
    }

    async fn act(&self, session: &mut Session, action: &str) -> Result<(), CliError> {
        let path = [&self.path()[..], &[action]].concat();
        let moved = session.client.send(Method::POST, &path, None).await?;
        show(session, &moved)
    }
}

/// Partial if a payload does not fit.
pub(super) async fn run(args: EventTypesArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    match args.action {
        Action::List {
            tenant,
            origin,
            state,
            limit,
        } => {
            let filters = [("origin", origin), ("state", state)];
            let filters: Vec<(&str, String)> = filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            let path = ["v1", "tenants", &tenant.tenant, "event-types"];
            let listing = session.client.list(&path, &filters, limit).await?;
            let heading = ["name", "origin", "state", "group", "description"];
            let row = |item: &Value| heading.map(|name| member(item, name)).to_vec();
            session.show_list(&listing, &heading, row, "no event types")?;
        }
        Action::Show(one) => {
            let found = session.client.get(&one.path(), &[]).await?;
            show(&mut session, &found)?;
        }
        Action::Put(args) => {
            let mut body = json!({ "schema": read_json("--schema", &args.schema)? });
            if let Some(example) = &args.example {
                body["example"] = read_json("--example", example)?;
            }
            for (name, value) in [("description", args.description), ("group", args.group)] {
                if let Some(value) = value {
                    body[name] = Value::from(value);
                }
            }
            let put = session.client.send(Method::PUT, &args.one.path(), Some(&body)).await?;
            show(&mut session, &put)?;
        }
        Action::Deprecate(one) => one.act(&mut session, "deprecate").await?,
        Action::Archive(one) => one.act(&mut session, "archive").await?,
        Action::Restore(one) => one.act(&mut session, "restore").await?,
        Action::Validate { one, data } => return validate(&mut session, &one, &data).await,
    }
    Ok(Finish::Complete)
}

async fn validate(session: &mut Session, one: &One, data: &str) -> Result<Finish, CliError> {
    let body = json!({ "data": read_json("--data", data)? });
    let path = [&one.path()[..], &["validate"]].concat();
    let fit = session.client.send(Method::POST, &path, Some(&body)).await?;
    let fits = fit["fits"] == true;
    if session.output.is_json() {
        session.output.document(&fit)?;
    } else if fits {
        session.output.text(&format!("fits {}", one.name))?;
    } else {
        let misfits: Vec<&Value> = fit["misfits"].as_array().into_iter().flatten().collect();
        let rows: Vec<Vec<String>> = misfits.into_iter().map(row).collect();
        session
            .output
            .table(&["at", "what is wrong", "rule"], &rows, "does not fit")?;
    }
    Ok(if fits { Finish::Complete } else { Finish::Partial })
}

fn row(misfit: &Value) -> Vec<String> {
    let place = format!("data{}", member(misfit, "path"));
    vec![place, member(misfit, "detail"), member(misfit, "rule")]
}

fn show(session: &mut Session, event_type: &Value) -> Result<(), CliError> {
    session.show(event_type, &["name", "origin", "state", "group", "description"])
}

/// JSON that is given as it is, or as `@` and a file.
fn read_json(flag: &str, text: &str) -> Result<Value, CliError> {
    let read = match text.strip_prefix('@') {
        None => text.to_owned(),
        Some(name) => {
            let path = PathBuf::from(name);
            std::fs::read_to_string(&path).map_err(|source| CliError::Read { path, source })?
        }
    };
    serde_json::from_str(&read).map_err(|e| CliError::usage(format!("{flag} is not JSON: {e}")))
}
