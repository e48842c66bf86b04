//! `redial endpoints`: where a tenant wants its events.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::ConnectionArgs;
use super::endpoint_fields::EndpointFields;
use super::error::{CliError, Finish};
use super::moment::Span;
use super::output::member;
use super::{Session, TenantArg};

const EXAMPLES: &str = "\
Examples:
  redial endpoints create https://hooks.example.com/redial --tenant acme --types call.ended,call.failed
  redial endpoints create https://crm.example.com/in --tenant acme --auth-api-key 'X-Api-Key: abc' --inactive
  redial endpoints list --tenant acme
  redial endpoints update ep_02 --tenant acme --attempts 5 --delays 1,10,60,600
  redial endpoints rotate ep_02 --tenant acme --overlap 24h
  redial endpoints pause ep_02 --tenant acme

A paused endpoint loses nothing: its deliveries are held, and go out after `resume`.";

/// Make, look at and change the endpoints of a tenant
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EndpointsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the endpoints
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Most endpoints to list
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Make an endpoint; its signing secret is in the answer
    Create(CreateArgs),
    /// Show one endpoint, without its secret
    Show(One),
    /// Change fields of an endpoint; the others stay
    Update(UpdateArgs),
    /// Delete an endpoint; what waits for it is canceled
    Delete(One),
    /// Show the signing secret, and the one before it while both are valid
    Secret(One),
    /// Change the signing secret; both sign until the overlap is over
    Rotate(RotateArgs),
    /// Let an inactive endpoint take events
    Activate(One),
    /// Hold deliveries from now on
    Pause(One),
    /// Deliver again, what was held first
    Resume(One),
}

#[derive(Debug, Args)]
struct One {
    #[command(flatten)]
    tenant: TenantArg,
    /// The endpoint's id
    id: String,
}

#[derive(Debug, Args)]
struct CreateArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// Where requests go
    #[arg(value_name = "TARGET-URL")]
    target: String,
    /// Signing secret, as whsec_... [default: a new one]
    #[arg(long)]
    secret: Option<String>,
    /// Make it inactive: it takes no events until `activate`
    #[arg(long)]
    inactive: bool,
    #[command(flatten)]
    fields: EndpointFields,
}

#[derive(Debug, Args)]
struct UpdateArgs {
    #[command(flatten)]
    one: One,
    /// Where requests go from now on
    #[arg(long, value_name = "TARGET-URL")]
    target: Option<String>,
    #[command(flatten)]
    fields: EndpointFields,
}

#[derive(Debug, Args)]
struct RotateArgs {
    #[command(flatten)]
    one: One,
    /// The new secret, as whsec_... [default: a new one]
    #[arg(long)]
    secret: Option<String>,
    /// How long the old secret signs too, such as 24h [default: as Redial is set up]
    #[arg(long, value_name = "SPAN")]
    overlap: Option<Span>,
}

/// What comes first when an endpoint is shown.
const FIRST_FIELDS: [&str; 8] = [
    "id",
    "url",
    "secret",
    "state",
    "event_types",
    "agents",
    "exclude_agents",
    "description",
];

pub(super) async fn run(args: EndpointsArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    match args.action {
        Action::List { tenant, limit } => list(&mut session, &tenant.tenant, limit).await?,
        Action::Create(create) => {
            let mut fields = create.fields.to_json()?;
            fields.insert("url".to_owned(), json!(create.target));
            fields.extend(create.secret.map(|secret| ("secret".to_owned(), json!(secret))));
            fields.extend(create.inactive.then(|| ("active".to_owned(), json!(false))));
            let path = ["v1", "tenants", &create.tenant.tenant, "endpoints"];
            let made = session
                .client
                .send(Method::POST, &path, Some(&Value::Object(fields)))
                .await?;
            session.show(&made, &FIRST_FIELDS)?;
        }
        Action::Show(one) => {
            let endpoint = session.client.get(&one.path(), &[]).await?;
            session.show(&endpoint, &FIRST_FIELDS)?;
        }
        Action::Update(update) => {
            let mut fields = update.fields.to_json()?;
            fields.extend(update.target.map(|target| ("url".to_owned(), json!(target))));
            if fields.is_empty() {
                return Err(CliError::usage("nothing to change: give at least one field"));
            }
            let body = Value::Object(fields);
            let endpoint = session
                .client
                .send(Method::PATCH, &update.one.path(), Some(&body))
                .await?;
            session.show(&endpoint, &FIRST_FIELDS)?;
        }
        Action::Delete(one) => {
            session.client.send(Method::DELETE, &one.path(), None).await?;
            session.done("deleted", &one.id)?;
        }
        Action::Secret(one) => {
            let secret = session.client.get(&one.path_to("secret"), &[]).await?;
            show_secret(&mut session, &secret)?;
        }
        Action::Rotate(rotate) => {
            let mut body = json!({});
            if let Some(secret) = rotate.secret {
                body["secret"] = json!(secret);
            }
            if let Some(overlap) = rotate.overlap {
                body["overlap_s"] = json!(overlap.as_secs());
            }
            let secret = session
                .client
                .send(Method::POST, &rotate.one.path_to("rotate"), Some(&body))
                .await?;
            show_secret(&mut session, &secret)?;
        }
        Action::Activate(one) => change_state(&mut session, &one, "activate").await?,
        Action::Pause(one) => change_state(&mut session, &one, "pause").await?,
        Action::Resume(one) => change_state(&mut session, &one, "resume").await?,
    }
    Ok(Finish::Complete)
}

impl One {
    fn path(&self) -> [&str; 5] {
        ["v1", "tenants", &self.tenant.tenant, "endpoints", &self.id]
    }

    fn path_to<'a>(&'a self, action: &'a str) -> [&'a str; 6] {
        ["v1", "tenants", &self.tenant.tenant, "endpoints", &self.id, action]
    }
}

async fn list(session: &mut Session, tenant: &str, limit: usize) -> Result<(), CliError> {
    let listing = session
        .client
        .list(&["v1", "tenants", tenant, "endpoints"], &[], limit)
        .await?;
    let all_if_empty = |item: &Value, name: &str| {
        let text = member(item, name);
        if text.is_empty() { "all".to_owned() } else { text }
    };
    let row = |item: &Value| {
        vec![
            member(item, "id"),
            member(item, "state"),
            member(item, "url"),
            all_if_empty(item, "event_types"),
            all_if_empty(item, "agents"),
            member(item, "description"),
        ]
    };
    session.show_list(
        &listing,
        &["id", "state", "url", "types", "agents", "description"],
        row,
        "no endpoints",
    )
}

fn show_secret(session: &mut Session, answer: &Value) -> Result<(), CliError> {
    if session.output.is_json() {
        return session.output.document(answer);
    }
    let mut shown = json!({ "secret": answer["secret"] });
    if answer["previous"].is_object() {
        shown["previous"] = answer["previous"]["secret"].clone();
        shown["previous expires"] = answer["previous"]["expires_at"].clone();
    }
    session
        .output
        .fields(&shown, &["secret", "previous", "previous expires"])
}

async fn change_state(session: &mut Session, one: &One, action: &str) -> Result<(), CliError> {
    let endpoint = session.client.send(Method::POST, &one.path_to(action), None).await?;
    session.show(&endpoint, &FIRST_FIELDS)
}
