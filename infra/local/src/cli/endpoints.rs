//! `redial endpoints`: where a tenant wants its events.

use clap::{Args, Subcommand};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::backlog::{BacklogArgs, ReleaseArgs};
use super::connection::ConnectionArgs;
use super::endpoint_fields::EndpointFields;
use super::error::{CliError, Finish};
use super::moment::Span;
use super::output::member;
use super::secret_text::{HOW, secret};
use super::{Session, TenantArg, backlog, dry_run, endpoint_test};

const EXAMPLES: &str = "\
Examples:
  redial endpoints create https://hooks.example.com/redial --tenant acme --types call.ended,call.failed
  redial endpoints create https://crm.example.com/in --tenant acme --auth api-key 'X-Api-Key: @key.txt' --inactive
  redial endpoints create https://hub.example.com/in --tenant acme --profile voicehub --secret @- --delay-ms 1500
  redial endpoints list --tenant acme
  redial endpoints update ep_02 --tenant acme --attempts 5 --delays 1,10,60,600 --rate-limit 20 --if-match 7
  redial endpoints dry-run ep_02 --tenant acme --type call.ended --agent agt_7
  redial endpoints test ep_02 --tenant acme --type call.ended --data @sample.json
  redial endpoints rotate ep_02 --tenant acme --overlap 24h
  redial endpoints pause ep_02 --tenant acme
  redial endpoints resume ep_02 --tenant acme --backlog keep
  redial endpoints health ep_02 --tenant acme

A paused endpoint loses nothing: its deliveries are held, and go out after `resume`. With --if-match VERSION (`show` has
it) a change is only made if nobody else made one since.

";

/// Make, look at and change the endpoints of a tenant
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}{HOW}"))]
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
    Delete(Change),
    /// Show the signing secret, the one before it while both are valid, and what else is sent: auth and headers
    Secret(One),
    /// Change the signing secret; both sign until the overlap is over
    Rotate(RotateArgs),
    /// Let an inactive endpoint take events
    Activate(ReleaseArgs),
    /// Hold deliveries from now on
    Pause(Change),
    /// Deliver again, what was held first unless told otherwise
    Resume(ReleaseArgs),
    /// Show how an endpoint answers, since when and why, and what waits for it
    Health(One),
    /// Count what is held for an endpoint; drain or discard it
    Backlog(BacklogArgs),
    /// Send a sample now, and show the whole exchange: what was sent, what came back, the time of each step
    Test(endpoint_test::TestArgs),
    /// Say whether an event would reach an endpoint, or which of them all, and why not; sends nothing
    DryRun(dry_run::DryRunArgs),
}

#[derive(Debug, Args)]
pub(super) struct One {
    #[command(flatten)]
    tenant: TenantArg,
    /// The endpoint's id
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    pub(super) one: One,
    /// Only if it is still of this version: a number, as `show` has it
    #[arg(long, value_name = "VERSION", value_parser = entity_tag)]
    pub(super) if_match: Option<HeaderValue>,
}

/// `If-Match` of a version: a number as `show` has it, `*`, or an `ETag` as it stands.
fn entity_tag(text: &str) -> Result<HeaderValue, String> {
    let is_number = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let tag = if is_number {
        format!("\"{text}\"")
    } else {
        text.to_owned()
    };
    HeaderValue::try_from(tag).map_err(|_| "give a version, such as 7".to_owned())
}

#[derive(Args)]
#[command(after_help = HOW)]
struct CreateArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// Where requests go
    #[arg(value_name = "TARGET-URL")]
    target: String,
    /// Signing secret, as whsec_..., with --profile voicehub any text [default: a new one]
    #[arg(long)]
    secret: Option<String>,
    /// Make it inactive: it takes no events until `activate`
    #[arg(long)]
    inactive: bool,
    #[command(flatten)]
    fields: EndpointFields,
}

#[derive(Debug, Args)]
#[command(after_help = HOW)]
struct UpdateArgs {
    #[command(flatten)]
    change: Change,
    /// Where requests go from now on
    #[arg(long, value_name = "TARGET-URL")]
    target: Option<String>,
    #[command(flatten)]
    fields: EndpointFields,
}

#[derive(Args)]
#[command(after_help = HOW)]
struct RotateArgs {
    #[command(flatten)]
    change: Change,
    /// The new secret, as whsec_..., of profile voicehub any text [default: a new one]
    #[arg(long)]
    secret: Option<String>,
    /// How long the old secret signs too, such as 24h [default: as Redial is set up]
    #[arg(long, value_name = "SPAN")]
    overlap: Option<Span>,
}

super::secret_text::shows_nothing!(CreateArgs, RotateArgs);

/// What comes first when an endpoint is shown.
pub(super) const FIRST_FIELDS: [&str; 8] = [
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
        Action::Create(create) => make(&mut session, create).await?,
        Action::Show(one) => {
            let endpoint = session.client.get(&one.path(), &[]).await?;
            session.show(&endpoint, &FIRST_FIELDS)?;
        }
        Action::Update(args) => update(&mut session, args).await?,
        Action::Delete(Change { one, if_match }) => {
            let (client, path) = (&session.client, one.path());
            client.change(Method::DELETE, &path, None, if_match.as_ref()).await?;
            session.done("deleted", &one.id)?;
        }
        Action::Secret(one) => {
            let secret = session.client.get(&one.path_to("secret"), &[]).await?;
            show_secret(&mut session, &secret)?;
        }
        Action::Rotate(args) => rotate(&mut session, args).await?,
        Action::Activate(args) => backlog::release(&mut session, &args, "activate").await?,
        Action::Pause(change) => pause(&mut session, &change).await?,
        Action::Resume(args) => backlog::release(&mut session, &args, "resume").await?,
        Action::Health(one) => backlog::health(&mut session, &one).await?,
        Action::Backlog(args) => return backlog::run(&mut session, &args).await,
        Action::Test(args) => return endpoint_test::run(&mut session, &args).await,
        Action::DryRun(args) => dry_run::run(&mut session, &args).await?,
    }
    Ok(Finish::Complete)
}

async fn make(session: &mut Session, create: CreateArgs) -> Result<(), CliError> {
    let mut fields = create.fields.to_json()?;
    fields.insert("url".to_owned(), json!(create.target));
    if let Some(given) = &create.secret {
        fields.insert("secret".to_owned(), json!(secret(given)?));
    }
    fields.extend(create.inactive.then(|| ("active".to_owned(), json!(false))));
    let path = ["v1", "tenants", &create.tenant.tenant, "endpoints"];
    let body = Value::Object(fields);
    let made = session.client.send(Method::POST, &path, Some(&body)).await?;
    session.show(&made, &FIRST_FIELDS)
}

async fn update(session: &mut Session, args: UpdateArgs) -> Result<(), CliError> {
    let Change { one, if_match } = args.change;
    let mut fields = args.fields.to_json()?;
    fields.extend(args.target.map(|target| ("url".to_owned(), json!(target))));
    if fields.is_empty() {
        return Err(CliError::usage("nothing to change: give at least one field"));
    }
    let (client, path, body) = (&session.client, one.path(), Value::Object(fields));
    let endpoint = client
        .change(Method::PATCH, &path, Some(&body), if_match.as_ref())
        .await?;
    session.show(&endpoint, &FIRST_FIELDS)
}

async fn rotate(session: &mut Session, args: RotateArgs) -> Result<(), CliError> {
    let Change { one, if_match } = args.change;
    let mut body = json!({});
    if let Some(given) = &args.secret {
        body["secret"] = json!(secret(given)?);
    }
    if let Some(overlap) = args.overlap {
        body["overlap_s"] = json!(overlap.as_secs());
    }
    let (client, path) = (&session.client, one.path_to("rotate"));
    let secret = client
        .change(Method::POST, &path, Some(&body), if_match.as_ref())
        .await?;
    show_secret(session, &secret)
}

impl One {
    fn path(&self) -> [&str; 5] {
        ["v1", "tenants", &self.tenant.tenant, "endpoints", &self.id]
    }

    pub(super) fn path_to<'a>(&'a self, action: &'a str) -> [&'a str; 6] {
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
            state(item),
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

/// The state, and whether it is on hold because it fails.
fn state(endpoint: &Value) -> String {
    let hold = if endpoint["hold"].is_object() { ", on hold" } else { "" };
    format!("{}{hold}", member(endpoint, "state"))
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
    for name in ["auth", "headers"] {
        // A text that is JSON, as the API has it; nothing if there is none.
        if answer[name].as_object().is_some_and(|members| !members.is_empty()) {
            shown[name] = answer[name].clone();
        }
    }
    session
        .output
        .fields(&shown, &["secret", "previous", "previous expires", "auth", "headers"])
}

async fn pause(session: &mut Session, change: &Change) -> Result<(), CliError> {
    let (client, path) = (&session.client, change.one.path_to("pause"));
    let endpoint = client
        .change(Method::POST, &path, None, change.if_match.as_ref())
        .await?;
    session.show(&endpoint, &FIRST_FIELDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::session;

    #[test]
    fn secrets_are_shown_with_what_else_authenticates() {
        let (mut session, page) = session("http://127.0.0.1:1", false);
        let answer = json!({
            "secret": "whsec_new",
            "previous": null,
            "auth": {"type": "bearer", "token": "t0ken"},
            "headers": {"x-source": "redial"},
        });
        show_secret(&mut session, &answer).unwrap();
        let shown = page.text();
        for line in [
            "secret   whsec_new\n",
            "auth     {\"token\":\"t0ken\",\"type\":\"bearer\"}\n",
            "headers  {\"x-source\":\"redial\"}\n",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
        assert!(!shown.contains("previous"), "{shown}");
    }

    #[test]
    fn a_version_becomes_an_entity_tag_and_a_tag_stays_one() {
        for (given, sent) in [("7", "\"7\""), ("\"7\"", "\"7\""), ("*", "*")] {
            assert_eq!(entity_tag(given).unwrap(), sent);
        }
        assert!(entity_tag("7\n").is_err());
    }
}
