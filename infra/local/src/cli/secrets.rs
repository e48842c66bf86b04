//! `redial secrets`: the data key that the endpoints' secrets are sealed under. Rotating it changes no endpoint's own secret.
//! The work is the API's, in requests of a few seconds: whoever stops here can go on later, from anywhere.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::output::{member, note};

const EXAMPLES: &str = "\
Examples:
  redial secrets status
  redial secrets rotate
  redial secrets reseal
  redial secrets retire

After rotate, wait two minutes and reseal once more, wait again, and retire: each command says what comes next and from when on.
An endpoint's own signing secret is rotated by `redial endpoints rotate`.";

/// What is shown of the data keys, first to last.
const SHOWN: [&str; 6] = ["current", "state", "next_at", "rotated_at", "readable", "progress"];

/// Rotate the data key that endpoints' secrets are sealed under
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SecretsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which data key seals, which older ones are read, and how far a rotation is
    Status,
    /// Make a new data key, and seal all endpoints' secrets under it
    Rotate {
        /// Only make it: `redial secrets reseal` seals what is there
        #[arg(long)]
        new_only: bool,
    },
    /// Seal secrets under the newest data key, from where it was left
    Reseal,
    /// Take the older data keys away, once nothing is sealed under them
    Retire,
}

const DATA_KEYS: [&str; 2] = ["v1", "data-keys"];

/// Seals anew until there is nothing left to seal, or something to wait for or to mend.
async fn reseal(session: &mut Session) -> Result<Value, CliError> {
    loop {
        let keys = session
            .client
            .send(Method::POST, &["v1", "data-keys", "reseal"], None)
            .await?;
        let progress = &keys["progress"];
        if !progress.is_null() {
            note(&format!(
                "sealed anew: {} of {} endpoints in {} tenants so far",
                member(progress, "resealed"),
                member(progress, "endpoints"),
                member(progress, "tenants")
            ));
        }
        if keys["state"] != "resealing" {
            return Ok(keys);
        }
    }
}

/// Shows the data keys, and says what comes next.
fn show(session: &mut Session, keys: &Value) -> Result<Finish, CliError> {
    session.show(keys, &SHOWN)?;
    match keys["state"].as_str() {
        Some("resealing") => note("next: redial secrets reseal"),
        Some("waiting") => {
            let next_at = member(keys, "next_at");
            note(&format!(
                "next, from {next_at} on: redial secrets reseal, then redial secrets retire"
            ));
        }
        Some("retirable") => note("next: redial secrets retire"),
        Some("blocked") => {
            note(
                "some secrets do not open and are as they were: mend or delete those endpoints, then redial secrets reseal",
            );
            return Ok(Finish::Partial);
        }
        _ => {}
    }
    Ok(Finish::Complete)
}

pub(super) async fn run(args: SecretsArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    let keys = match args.action {
        Action::Status => session.client.get(&DATA_KEYS, &[]).await?,
        Action::Rotate { new_only } => {
            let before = session.client.get(&DATA_KEYS, &[]).await?;
            let from = json!({"from": before["current"]});
            let path = ["v1", "data-keys", "rotate"];
            let rotated = session.client.send(Method::POST, &path, Some(&from)).await?;
            note(&format!(
                "everything new is sealed under data key {}",
                member(&rotated, "current")
            ));
            if new_only { rotated } else { reseal(&mut session).await? }
        }
        Action::Reseal => reseal(&mut session).await?,
        Action::Retire => {
            session
                .client
                .send(Method::POST, &["v1", "data-keys", "retire"], None)
                .await?
        }
    };
    show(&mut session, &keys)
}
