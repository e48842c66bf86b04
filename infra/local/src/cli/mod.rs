//! The `redial` command: argument parsing and one module for each subcommand. Talks to Redial over its HTTP API; only what
//! `stack` opens goes to a deployment's table or queue, with the deployer's own AWS credentials.

mod backlog;
mod bench;
mod calls;
mod client;
mod connection;
mod cost;
mod dead_letters;
mod deliveries;
mod doctor;
mod dry_run;
mod endpoint_fields;
mod endpoint_test;
mod endpoints;
mod erase;
mod error;
mod event_types;
mod events;
mod export;
mod keys;
mod listen;
mod moment;
mod output;
mod replay;
mod secret_text;
mod secrets;
mod send;
mod serve_args;
mod stack;
mod statistics;
mod tenants;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use redial_platform::Clock;
use serde_json::{Value, json};

use self::client::{Client, Listing};
use self::connection::ConnectionArgs;
use self::error::CliError;
use self::output::Output;
pub use self::serve_args::{InvalidSchedule, Schedule, ServeArgs};

const LONG_ABOUT: &str = "\
Redial delivers webhooks: a platform posts what happened, Redial signs it, POSTs it to every endpoint that subscribed, \
retries with backoff, keeps what could not be delivered, and lets operators look and replay.

`redial` alone, as `redial serve`, runs all of it on this machine. Every other command talks to a running Redial: \
the one on this machine, or a deployment named by --url and --key. With --stack a command works with your own AWS \
credentials: for the first key of a deployment, and for dead letters that nobody can read.";

const AFTER_HELP: &str = "\
A first round, in two terminals after `redial serve`:
  redial listen --tenant demo
  redial send call.ended --tenant demo

Exit codes:
  0  done; of `send`: everything was accepted
  1  refused by Redial: not found, not valid, ...
     send: some events were refused; listen: a signature did not verify; replay: the job failed;
     endpoints test: the endpoint did not take the sample; event-types validate: the payload does not fit;
     doctor: there are differences; bench: an event was refused or lost, or came twice
  2  the command line or an input file cannot be understood; nothing was sent; doctor: something could not be checked
  3  Redial cannot be reached, answers with a server error, or does not accept the key; with --stack, the same of AWS

Environment:
  REDIAL_URL     where Redial's API is; --url comes first
  REDIAL_KEY     the API key, as rd_...; --key comes first
  REDIAL_TENANT  the tenant, for every command that takes --tenant
  REDIAL_DATA    the folder of `redial serve`; its serve.json names URL and key if nothing else does
  REDIAL_ALLOW_HTTP  if it is set, the key may go to another machine over plain http; as --allow-http
  REDIAL_LISTEN  the address of `redial serve`
  AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and the others of the AWS tools, with --stack";

/// The `redial` command line.
#[derive(Debug, Parser)]
#[command(name = "redial", version, about = "Webhook delivery for voice platforms", long_about = LONG_ABOUT)]
#[command(after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeArgs),
    Send(send::SendArgs),
    Listen(listen::ListenArgs),
    Endpoints(Box<endpoints::EndpointsArgs>),
    EventTypes(event_types::EventTypesArgs),
    Events(Box<events::EventsArgs>),
    Calls(calls::CallsArgs),
    Erasures(erase::ErasuresArgs),
    Deliveries(Box<deliveries::DeliveriesArgs>),
    Replay(Box<replay::ReplayArgs>),
    Statistics(statistics::StatisticsArgs),
    Tenants(tenants::TenantsArgs),
    Keys(keys::KeysArgs),
    Secrets(secrets::SecretsArgs),
    DeadLetters(dead_letters::DeadLettersArgs),
    Doctor(Box<doctor::DoctorArgs>),
    Bench(Box<bench::BenchArgs>),
    Cost(cost::CostArgs),
}

/// What a command works with: a client that is signed in, where it writes, what time it is.
struct Session {
    client: Client,
    output: Output,
    clock: Clock,
}

impl Session {
    fn open(connection: &ConnectionArgs) -> Result<Self, CliError> {
        let client = Client::new(&connection.resolve()?)?;
        Ok(Self {
            client,
            output: Output::to_stdout(connection.json),
            clock: Clock::System,
        })
    }
}

impl Session {
    /// Shows one thing: the document for scripts, its fields (`first` in that order) for people.
    fn show(&mut self, object: &Value, first: &[&str]) -> Result<(), CliError> {
        if self.output.is_json() {
            self.output.document(object)
        } else {
            self.output.fields(object, first)
        }
    }

    /// Shows a list: the document for scripts, a table for people.
    fn show_list(
        &mut self,
        listing: &Listing,
        heading: &[&str],
        row: impl Fn(&Value) -> Vec<String>,
        empty: &str,
    ) -> Result<(), CliError> {
        if self.output.is_json() {
            return self.output.document(&listing.document());
        }
        let rows: Vec<Vec<String>> = listing.items.iter().map(row).collect();
        self.output.table(heading, &rows, empty)?;
        if listing.next.is_some() {
            output::note("there are more: raise --limit");
        }
        Ok(())
    }

    /// Says that something without an answer of its own was done.
    fn done(&mut self, what: &str, id: &str) -> Result<(), CliError> {
        if self.output.is_json() {
            self.output.document(&json!({ "id": id, what: true }))
        } else {
            self.output.text(&format!("{what} {id}"))
        }
    }
}

/// The tenant that a command is about.
#[derive(Debug, Clone, Args)]
struct TenantArg {
    /// The tenant
    #[arg(long, env = "REDIAL_TENANT")]
    tenant: String,
}

/// Parses a count of at least one.
fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| "give a number of at least 1".to_owned())
}

/// Runs one command line to its end and says how it went, as documented in `redial --help`.
pub async fn run(cli: Cli) -> ExitCode {
    let finish = match cli.command {
        None => match Cli::try_parse_from(["redial", "serve"]) {
            Ok(Cli {
                command: Some(Command::Serve(args)),
            }) => return serve(args).await,
            Ok(_) => Err(CliError::usage("`redial` alone is `redial serve`")),
            Err(refused) => refused.exit(),
        },
        Some(Command::Serve(args)) => return serve(args).await,
        Some(Command::Send(args)) => send::run(args).await,
        Some(Command::Listen(args)) => listen::run(args).await,
        Some(Command::Endpoints(args)) => endpoints::run(*args).await,
        Some(Command::EventTypes(args)) => event_types::run(args).await,
        Some(Command::Events(args)) => events::run(*args).await,
        Some(Command::Calls(args)) => calls::run(args).await,
        Some(Command::Erasures(args)) => erase::run(args).await,
        Some(Command::Deliveries(args)) => deliveries::run(*args).await,
        Some(Command::Replay(args)) => replay::run(*args).await,
        Some(Command::Statistics(args)) => statistics::run(args).await,
        Some(Command::Tenants(args)) => tenants::run(args).await,
        Some(Command::Doctor(args)) => doctor::run(*args).await,
        Some(Command::Cost(args)) => cost::run(&args),
        Some(Command::Bench(args)) => bench::run(*args).await,
        Some(Command::Keys(args)) => keys::run(args).await,
        Some(Command::Secrets(args)) => secrets::run(args).await,
        Some(Command::DeadLetters(args)) => dead_letters::run(args).await,
    };
    match finish {
        Ok(finish) => finish.exit_code(),
        Err(error) => {
            error.report();
            error.exit_code()
        }
    }
}

/// Says that the command could not even start.
#[must_use]
pub fn cannot_start(error: &std::io::Error) -> ExitCode {
    output::note(&format!("redial: cannot start: {error}"));
    ExitCode::FAILURE
}

async fn serve(args: ServeArgs) -> ExitCode {
    match crate::serve::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("redial serve: {}", error::with_cause(&error)));
            ExitCode::FAILURE
        }
    }
}
