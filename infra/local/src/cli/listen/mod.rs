//! `redial listen`: a receiver on this machine, subscribed as an endpoint while it runs, or in place of one that exists. It
//! shows what arrives and whether the signature verifies. An endpoint that it made is deleted on the way out, however it ends,
//! unless it is to be kept; one that it did not make is never deleted, and changed only if somebody says so.

mod judge;
mod receiver;
mod show;
mod subject;
#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::Args;
use redial_domain::signature::Secret;
use redial_platform::Clock;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::judge::{Ledger, Verdict};
use self::receiver::{Behaviour, Receiver};
use self::subject::Subject;
use super::Session;
use super::client::Client;
use super::connection::ConnectionArgs;
use super::error::{CliError, Finish, with_cause};
use super::output::{Output, note};

/// How long the way out may take: deleting the endpoint, finishing the last answer.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  redial listen --tenant demo
  redial listen --tenant demo --types call.ended,call.failed --agents agt_7
  redial listen --tenant demo --fail-first 2
  redial listen --tenant demo --count 1 --json
  redial listen --tenant demo --endpoint ep_02
  redial listen --tenant demo --endpoint ep_02 --port 4090 --set-url
  redial listen --port 4090 --secret @secret.txt

With --endpoint it receives for an endpoint that exists, as one made in the console: on the port of its URL if that is on \
this machine, and verifies with its own secrets. With --secret alone it asks Redial nothing and only verifies what comes in.

It answers 200 to everything unless told otherwise. --fail-first shows how deliveries are tried again: run \
`redial serve --schedule 1,1,2` to see it quickly. A deployment cannot reach this machine: open a tunnel to --port \
and give its address with --public-url.";

/// Receive webhooks on this machine: show each request and check its signature
///
/// Makes the tenant if it is not there, and registers an endpoint for it that is deleted again at the end
/// (Ctrl-C, SIGTERM, or --count reached). With --endpoint or --secret nothing is made.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListenArgs {
    /// Tenant whose events to receive
    #[arg(long, env = "REDIAL_TENANT", default_value = "demo")]
    tenant: String,
    /// Receive for this endpoint, which exists, and do not make one
    #[arg(long, value_name = "ID", conflicts_with_all = ["types", "agents", "keep"])]
    endpoint: Option<String>,
    /// Have the endpoint send here from now on: change its URL if that leads elsewhere
    #[arg(long, requires = "endpoint")]
    set_url: bool,
    /// Event types to receive [default: all]
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',')]
    types: Vec<String>,
    /// Agents whose events to receive [default: all]
    #[arg(long, value_name = "AGENT,..", value_delimiter = ',')]
    agents: Vec<String>,
    /// Port on 127.0.0.1; 0 takes that of --endpoint's URL if it is on this machine, else a free one
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
    /// Verify with this secret, or @ and a file of it; may be repeated. Without --endpoint no endpoint is made, and Redial is
    /// asked nothing [default: the endpoint's own]
    #[arg(long = "secret", value_name = "SECRET|@FILE", hide_env_values = true)]
    secrets: Vec<String>,
    /// URL that leads here, in place of http://127.0.0.1:PORT/: a tunnel to this machine
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// Stop after N different events were received and verified
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Do not delete the endpoint that was made at the end
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

super::secret_text::shows_nothing!(ListenArgs);

/// What is received with, and where it is shown.
struct Screen {
    output: Output,
    clock: Clock,
}

impl ListenArgs {
    /// True if nothing of Redial is needed.
    fn only_verifies(&self) -> bool {
        self.endpoint.is_none() && !self.secrets.is_empty()
    }

    /// The URL that leads to this receiver.
    fn here(&self, port: u16) -> Result<Url, CliError> {
        match &self.public_url {
            Some(url) => Ok(url.clone()),
            None => Url::parse(&format!("http://127.0.0.1:{port}/")).map_err(|e| CliError::usage(e.to_string())),
        }
    }
}

pub(super) async fn run(args: ListenArgs) -> Result<Finish, CliError> {
    let mut stop = StopSignals::install()?;
    if !args.only_verifies() {
        return listen(Session::open(&args.connection)?, &args, &mut stop).await;
    }
    let screen = Screen {
        output: Output::to_stdout(args.connection.json),
        clock: Clock::System,
    };
    let bound = receiver::bind(args.port).await?;
    verify(screen, &args, bound, &mut stop).await
}

/// Receives for an endpoint.
async fn listen(session: Session, args: &ListenArgs, stop: &mut StopSignals) -> Result<Finish, CliError> {
    let Session { client, output, clock } = session;
    let mut screen = Screen { output, clock };
    let existing = match &args.endpoint {
        None => None,
        Some(id) => Some(subject::look(&client, args, id).await?),
    };
    let own_port = existing
        .as_ref()
        .and_then(subject::Existing::port)
        .filter(|_| args.port == 0);
    let (port, listener) = receiver::bind(own_port.unwrap_or(args.port)).await?;
    if existing.is_none() && client.ensure_tenant(&args.tenant).await? {
        note(&format!("made tenant {}", args.tenant));
    }
    // Served before it is registered: an event that is under way at once finds us.
    let (stop_receiver, stopped) = oneshot::channel();
    let mut receiver = receiver::serve(listener, behaviour(args), screen.clock.clone(), stopped);
    let here = args.here(port)?;
    let subject = match existing {
        None => subject::register(&client, args, &here).await?,
        Some(existing) => existing.serve(&client, args, &here).await?,
    };
    note(&format!(
        "listening on http://127.0.0.1:{port}/ as {} of {}; Ctrl-C ends it",
        subject.endpoint, args.tenant
    ));
    let outcome = watch(&mut screen, args, &subject.secrets, &mut receiver, stop).await;
    finish_answers(stop_receiver, receiver).await;
    if subject.is_ours && !args.keep {
        unregister(&client, &args.tenant, &subject).await;
    }
    outcome
}

/// Receives from whoever sends, and verifies with the secrets given. Asks Redial nothing.
async fn verify(
    mut screen: Screen,
    args: &ListenArgs,
    (port, listener): (u16, TcpListener),
    stop: &mut StopSignals,
) -> Result<Finish, CliError> {
    let secrets = subject::given(&args.secrets)?;
    let (stop_receiver, stopped) = oneshot::channel();
    let mut receiver = receiver::serve(listener, behaviour(args), screen.clock.clone(), stopped);
    note(&format!(
        "listening on http://127.0.0.1:{port}/, and verifying what comes in; no endpoint was made. Ctrl-C ends it"
    ));
    let outcome = watch(&mut screen, args, &secrets, &mut receiver, stop).await;
    finish_answers(stop_receiver, receiver).await;
    outcome
}

/// Answers that are under way are finished first, so that they are not tried again for nothing.
async fn finish_answers(stop_receiver: oneshot::Sender<()>, receiver: Receiver) {
    let _ = stop_receiver.send(());
    let finished = tokio::time::timeout(CLEANUP_TIMEOUT, receiver.finished()).await;
    if finished.is_err() {
        note("some answers were not finished");
    }
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

async fn unregister(client: &Client, tenant: &str, subject: &Subject) {
    let deleted = tokio::time::timeout(CLEANUP_TIMEOUT, subject.delete(client, tenant)).await;
    let endpoint = &subject.endpoint;
    match deleted {
        Ok(Ok(())) => note(&format!("deleted {endpoint}")),
        Ok(Err(error)) => note(&format!("{endpoint} was not deleted: {}", with_cause(&error))),
        Err(_) => note(&format!("{endpoint} was not deleted: Redial did not answer in time")),
    }
}

/// Shows requests until enough have come, or a signal.
async fn watch(
    screen: &mut Screen,
    args: &ListenArgs,
    secrets: &[Secret],
    receiver: &mut Receiver,
    stop: &mut StopSignals,
) -> Result<Finish, CliError> {
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
        let verdict: Verdict = ledger.judge(&request, secrets, screen.clock.now());
        if screen.output.is_json() {
            screen.output.json_line(&show::document(&request, &verdict))?;
        } else {
            screen.output.text(&show::text(&request, &verdict))?;
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
