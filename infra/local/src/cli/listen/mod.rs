//! `redial listen`: a receiver on this machine, subscribed as an endpoint while it runs. It shows what arrives and
//! whether the signature verifies. The endpoint is deleted on the way out, however it ends, unless it is to be kept.

mod judge;
mod receiver;
mod show;
#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::Args;
use redial_domain::signature::Secret;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use self::judge::{Ledger, Verdict};
use self::receiver::{Behaviour, Receiver};
use super::Session;
use super::connection::ConnectionArgs;
use super::error::{CliError, Finish, with_cause};
use super::output::note;

/// How long the way out may take: deleting the endpoint, finishing the last answer.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  redial listen --tenant demo
  redial listen --tenant demo --types call.ended,call.failed --agents agt_7
  redial listen --tenant demo --fail-first 2
  redial listen --tenant demo --count 1 --json

It answers 200 to everything unless told otherwise. --fail-first shows how deliveries are tried again: run \
`redial serve --schedule 1,1,2` to see it quickly. A deployment cannot reach this machine: open a tunnel to --port \
and give its address with --public-url.";

/// Receive webhooks on this machine: show each request and check its signature
///
/// Makes the tenant if it is not there, and registers an endpoint for it that is deleted again at the end
/// (Ctrl-C, SIGTERM, or --count reached).
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListenArgs {
    /// Tenant whose events to receive
    #[arg(long, env = "REDIAL_TENANT", default_value = "demo")]
    tenant: String,
    /// Event types to receive [default: all]
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',')]
    types: Vec<String>,
    /// Agents whose events to receive [default: all]
    #[arg(long, value_name = "AGENT,..", value_delimiter = ',')]
    agents: Vec<String>,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Answer every request with this status; with --fail-first, only the failing ones
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..=599))]
    status: Option<u16>,
    /// Fail the first N requests (500, or --status), then answer 200
    #[arg(long, value_name = "N")]
    fail_first: Option<u64>,
    /// Wait before each answer
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=120_000))]
    delay_ms: u64,
    /// Signing secret of the endpoint, as whsec_... [default: a new one]
    #[arg(long, value_name = "SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// URL to register instead of http://127.0.0.1:PORT/: a tunnel to this machine
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Stop after N different events were received and verified
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Do not delete the endpoint at the end
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

super::secret_text::shows_nothing!(ListenArgs);

/// The endpoint that stands for this receiver.
struct Registered {
    id: String,
    secret: Secret,
}

pub(super) async fn run(args: ListenArgs) -> Result<Finish, CliError> {
    let mut stop = StopSignals::install()?;
    listen(Session::open(&args.connection)?, &args, &mut stop).await
}

async fn listen(mut session: Session, args: &ListenArgs, stop: &mut StopSignals) -> Result<Finish, CliError> {
    let (port, listener) = receiver::bind(args.port).await?;
    if session.client.ensure_tenant(&args.tenant).await? {
        note(&format!("made tenant {}", args.tenant));
    }
    // Served before it is registered: an event that is under way at once finds us.
    let (stop_receiver, stopped) = oneshot::channel();
    let mut receiver = receiver::serve(listener, behaviour(args), session.clock.clone(), stopped);
    let registered = register(&session, args, port).await?;
    note(&format!(
        "listening on http://127.0.0.1:{port}/ as {} of {}; Ctrl-C ends it",
        registered.id, args.tenant
    ));
    let outcome = watch(&mut session, args, &registered, &mut receiver, stop).await;
    // Answers that are under way are finished first, so that they are not tried again for nothing.
    let _ = stop_receiver.send(());
    let finished = tokio::time::timeout(CLEANUP_TIMEOUT, receiver.finished()).await;
    if finished.is_err() {
        note("some answers were not finished");
    }
    if !args.keep {
        unregister(&session, &args.tenant, &registered.id).await;
    }
    outcome
}

fn behaviour(args: &ListenArgs) -> Behaviour {
    let failing = args.status.unwrap_or(500);
    Behaviour {
        status: if args.fail_first.is_some() {
            200
        } else {
            args.status.unwrap_or(200)
        },
        fail_first: args.fail_first.unwrap_or(0),
        failing_status: failing,
        delay: Duration::from_millis(args.delay_ms),
    }
}

async fn register(session: &Session, args: &ListenArgs, port: u16) -> Result<Registered, CliError> {
    let url = args
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://127.0.0.1:{port}/"));
    let mut fields = json!({ "url": url, "description": "redial listen" });
    let mut set = |name: &str, value: Value| fields[name] = value;
    if !args.types.is_empty() {
        set("event_types", json!(args.types));
    }
    if !args.agents.is_empty() {
        set("agents", json!(args.agents));
    }
    if let Some(secret) = &args.secret {
        Secret::parse(secret).map_err(|e| CliError::usage(e.to_string()))?;
        set("secret", json!(secret));
    }
    let path = ["v1", "tenants", &args.tenant, "endpoints"];
    let endpoint = session.client.send(Method::POST, &path, Some(&fields)).await?;
    let secret = endpoint["secret"].as_str().and_then(|text| Secret::parse(text).ok());
    match (endpoint["id"].as_str(), secret) {
        (Some(id), Some(secret)) => Ok(Registered {
            id: id.to_owned(),
            secret,
        }),
        _ => Err(session.client.not_understood("the new endpoint has no id or no secret")),
    }
}

async fn unregister(session: &Session, tenant: &str, endpoint: &str) {
    let path = ["v1", "tenants", tenant, "endpoints", endpoint];
    let deleted = session.client.send(Method::DELETE, &path, None);
    match tokio::time::timeout(CLEANUP_TIMEOUT, deleted).await {
        Ok(Ok(_)) => note(&format!("deleted {endpoint}")),
        Ok(Err(error)) => note(&format!("{endpoint} was not deleted: {}", with_cause(&error))),
        Err(_) => note(&format!("{endpoint} was not deleted: Redial did not answer in time")),
    }
}

/// Shows requests until enough have come, or a signal.
async fn watch(
    session: &mut Session,
    args: &ListenArgs,
    registered: &Registered,
    receiver: &mut Receiver,
    stop: &mut StopSignals,
) -> Result<Finish, CliError> {
    let secrets = [registered.secret.clone()];
    let mut ledger = Ledger::default();
    let finish = |ledger: &Ledger| {
        if ledger.failed() == 0 {
            Finish::Complete
        } else {
            Finish::Partial
        }
    };
    loop {
        let request = tokio::select! {
            request = receiver.next() => request,
            () = stop.next() => None,
        };
        let Some(request) = request else {
            note(&ledger.summary());
            // Whoever asked for a number of events and did not get them must notice.
            return Ok(if args.count.is_some() {
                Finish::Partial
            } else {
                finish(&ledger)
            });
        };
        let verdict: Verdict = ledger.judge(&request, &secrets, session.clock.now());
        if session.output.is_json() {
            session.output.json_line(&show::document(&request, &verdict))?;
        } else {
            session.output.text(&show::text(&request, &verdict))?;
        }
        if args.count.is_some_and(|count| ledger.settled() >= count) {
            return Ok(finish(&ledger));
        }
    }
}

/// Ctrl-C and, where there is one, SIGTERM.
struct StopSignals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    /// From here on the signals no longer end the process by themselves.
    #[cfg(unix)]
    fn install() -> Result<Self, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(CliError::Output)?,
            interrupt: signal(SignalKind::interrupt()).map_err(CliError::Output)?,
        })
    }

    #[cfg(not(unix))]
    fn install() -> Result<Self, CliError> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
