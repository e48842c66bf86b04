//! `redial doctor`: goes through everything that can be wrong with a Redial and says of each thing what it is and what to do.
//! Looks only; changes nothing, and sends the key nowhere but to the API.

mod findings;
mod ledger;
#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use clap::Args;
use indicatif::ProgressBar;
use redial_domain::Timestamp;
use redial_domain::count::counted;
use serde_json::{Value, json};

use self::findings::{Finding, Findings, Standing};
use super::Session;
use super::connection::ConnectionArgs;
use super::error::{CliError, Finish, with_cause};
use super::moment::Moment;
use super::output::{Output, member};
use super::send::post::{Patience, Trying, is_transient};
use super::stack::{Stack, StackArgs, StackError};

const EXAMPLES: &str = "\
Examples:
  redial doctor
  redial doctor --tenant acme --since 7d
  redial doctor --json --since 2026-11-20T00:00:00Z --until 2026-11-21T00:00:00Z
  redial doctor --stack redial --url https://api.example.com

Every line begins with ok, warn or FAIL. A warning is somebody else's fault or nothing to hurry for: an endpoint that fails, \
dead letters, a clock. A FAIL is a difference in the ledger: events and what is recorded of their deliveries do not fit, or \
something stands still; the line below it says what is being done about it. With --json each line is a JSON object.

Exit codes: 0 nothing is wrong; 1 there are differences; 2 something could not be checked.";

/// How far two clocks may differ before it is told, in milliseconds.
const CLOCK_WARN_MS: i64 = 5_000;
/// How far they may differ at most: what `Redial` signs is refused by receivers whose clock differs by more, in milliseconds.
const CLOCK_FAIL_MS: i64 = 300_000;
/// How long the first stretch is that is looked at unless somebody says otherwise, in milliseconds.
const DEFAULT_MS: i64 = 86_400_000;
/// How long a request that may go well later is tried again.
const RETRY_FOR: Duration = Duration::from_secs(30);
/// Replay jobs of a tenant that are looked at for failed ones.
const JOBS: usize = 100;

/// Check everything: the server, the key, the clock, and for each tenant the ledger, its endpoints and its replays
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Only this tenant [default: all, which takes an operator's key]
    #[arg(long, env = "REDIAL_TENANT")]
    tenant: Option<String>,
    /// From when on the ledger is checked: RFC 3339, or how long ago (30m, 2h, 7d); 24 hours by default, at most 31 days
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Until when: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    #[command(flatten)]
    stack: StackArgs,
}

/// What a doctor works with.
struct Doctor {
    session: Session,
    findings: Findings,
    since: Timestamp,
    until: Timestamp,
}

pub(super) async fn run(args: DoctorArgs) -> Result<Finish, CliError> {
    let session = match Session::open(&args.connection) {
        Ok(session) => session,
        Err(error) => {
            let (mut output, mut findings) = (Output::to_stdout(args.connection.json), Findings::default());
            let advice = "Say which Redial and with which key; on this machine `redial serve` must run.";
            findings.tell(
                Finding::unchecked("reachable", &with_cause(&error), advice),
                &mut output,
            )?;
            findings.conclude(&mut output)?;
            return Ok(findings.finish());
        }
    };
    let now = session.clock.now();
    let mut doctor = Doctor {
        since: args.since.unwrap_or(Moment::Ago(DEFAULT_MS)).resolve(now),
        until: args.until.unwrap_or(Moment::Ago(0)).resolve(now),
        findings: Findings::default(),
        session,
    };
    match doctor.examine(args.tenant, &args.stack).await {
        Ok(()) => {}
        Err(CliError::OutputClosed) => return Err(CliError::OutputClosed),
        Err(error) => {
            let text = with_cause(&error);
            doctor.tell(Finding::unchecked(
                "check",
                &text,
                "Mend that, then run the doctor again.",
            ))?;
        }
    }
    doctor.conclude()
}

impl Doctor {
    fn tell(&mut self, finding: Finding) -> Result<(), CliError> {
        self.findings.tell(finding, &mut self.session.output)
    }

    /// `GET`, again for a while if it may go well later.
    async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, CliError> {
        let bar = ProgressBar::hidden();
        let mut trying = Trying::new(Patience::new(RETRY_FOR), &bar);
        loop {
            match self.session.client.get(path, query).await {
                Err(error) if is_transient(&error) && trying.again(&error, None).await => {}
                answered => return answered,
            }
        }
    }

    async fn examine(&mut self, tenant: Option<String>, stack: &StackArgs) -> Result<(), CliError> {
        if !self.server().await? {
            return Ok(());
        }
        if let Some(tenants) = self.tenants(tenant).await? {
            for tenant in tenants {
                self.tenant(&tenant).await?;
            }
        }
        match stack.open().await {
            Ok(Some(stack)) => self.queues(&stack).await,
            Ok(None) => Ok(()),
            Err(error) => self.tell(not_looked_at(&error)),
        }
    }

    /// True if a Redial answers.
    async fn server(&mut self) -> Result<bool, CliError> {
        let before = self.session.clock.now();
        let (about, date) = match self.session.client.about().await {
            Ok(about) => about,
            Err(error) => {
                let finding =
                    Finding::unchecked("reachable", &with_cause(&error), "Is it running, and is --url right?");
                self.tell(finding)?;
                return Ok(false);
            }
        };
        let after = self.session.clock.now();
        let (version, mine) = (member(&about, "version"), env!("CARGO_PKG_VERSION"));
        let (standing, advice) = if version == mine {
            (Standing::Ok, String::new())
        } else {
            (
                Standing::Warn,
                format!("This command is of version {mine}: use the same version as the server."),
            )
        };
        let text = format!("Redial {version} answers in {} ms.", after.millis_since(before));
        self.tell(Finding::new(standing, "reachable", &text, &advice))?;
        let finding = date.map_or_else(
            || Finding::new(Standing::Warn, "clock", "The server does not say what time it is.", ""),
            |theirs| clock(theirs, before, after),
        );
        self.tell(finding)?;
        Ok(true)
    }

    /// The tenants to look at; `None`: the key lets us look at none.
    async fn tenants(&mut self, tenant: Option<String>) -> Result<Option<Vec<String>>, CliError> {
        let all = self.get(&["v1", "tenants"], &[("limit", "1".to_owned())]).await;
        let (is_operator, refusal) = match all {
            Ok(_) => (true, None),
            Err(CliError::Refused(problem)) if problem.is_about_the_key() => (false, Some(problem)),
            Err(error) => return Err(error),
        };
        if refusal.is_some_and(|problem| problem.status == 401) {
            let advice =
                "Give a key that is valid: --key or REDIAL_KEY. It may have been revoked, or belong to another Redial.";
            self.tell(Finding::unchecked("key", "The key is not accepted.", advice))?;
            return Ok(None);
        }
        let Some(tenant) = tenant else {
            if is_operator {
                self.tell(Finding::ok("key", "The key is an operator's."))?;
                let listing = self.session.client.list(&["v1", "tenants"], &[], usize::MAX).await?;
                return Ok(Some(listing.items.iter().map(|tenant| member(tenant, "id")).collect()));
            }
            let advice = "Name its tenant with --tenant, or give an operator's key.";
            self.tell(Finding::unchecked(
                "key",
                "The key is no operator's: it cannot see all tenants.",
                advice,
            ))?;
            return Ok(None);
        };
        match self.get(&["v1", "tenants", &tenant], &[]).await {
            Ok(_) => {
                let whose = if is_operator { "an operator's" } else { "this tenant's" };
                self.tell(Finding::ok("key", &format!("The key is {whose}.")))?;
                Ok(Some(vec![tenant]))
            }
            Err(CliError::Refused(problem)) if matches!(problem.status, 403 | 404) => {
                let text = format!("The key may not look at tenant {tenant}, or there is none: {problem}.");
                let advice = "Check the tenant's name; a key with scope ingest can look at nothing.";
                self.tell(Finding::unchecked("key", &text, advice))?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn tenant(&mut self, tenant: &str) -> Result<(), CliError> {
        self.endpoints(tenant).await?;
        self.ledger(tenant).await?;
        self.replays(tenant).await
    }

    /// Endpoints that take no deliveries now.
    async fn endpoints(&mut self, tenant: &str) -> Result<(), CliError> {
        let path = ["v1", "tenants", tenant, "endpoints"];
        let listing = self.session.client.list(&path, &[], usize::MAX).await?;
        let mut well = 0;
        for endpoint in &listing.items {
            match ailing(endpoint) {
                None => well += 1,
                Some(finding) => self.tell(finding.of(tenant, endpoint))?,
            }
        }
        let text = format!(
            "Endpoints that take part, or are inactive: {well} of {}.",
            listing.items.len()
        );
        self.tell(Finding::ok("endpoints", &text).of_tenant(tenant))
    }

    /// Replay jobs that failed; those that stand still are in the ledger.
    async fn replays(&mut self, tenant: &str) -> Result<(), CliError> {
        let path = ["v1", "tenants", tenant, "replays"];
        let listing = self.session.client.list(&path, &[], JOBS).await?;
        let mut failed = listing.items.iter().filter(|job| job["state"] == "failed").peekable();
        let none = failed.peek().is_none();
        for job in failed {
            let text = format!(
                "Replay {} failed: it has queued {} of {}.",
                member(job, "id"),
                member(job, "done"),
                member(job, "total")
            );
            let finding = Finding::new(
                Standing::Warn,
                "replays",
                &text,
                "Ask for it again, if it is still wanted.",
            );
            self.tell(finding.of_tenant(tenant))?;
        }
        if none {
            self.tell(Finding::ok("replays", "No replay failed.").of_tenant(tenant))?;
        }
        Ok(())
    }

    /// How many messages wait in a deployment's queues.
    async fn queues(&mut self, stack: &Stack) -> Result<(), CliError> {
        for queue in stack.queues() {
            let finding = match queue {
                Err(error) => not_looked_at(&error),
                Ok((name, client, url)) => match depth(&client, url).await {
                    Err(error) => not_looked_at(&error),
                    Ok(depth) => waiting(name, depth),
                },
            };
            self.tell(finding)?;
        }
        Ok(())
    }

    fn conclude(mut self) -> Result<Finish, CliError> {
        let finish = self.findings.finish();
        self.findings.conclude(&mut self.session.output)?;
        Ok(finish)
    }
}

fn not_looked_at(error: &StackError) -> Finding {
    Finding::unchecked(
        "queues",
        &with_cause(error),
        "The deployment's queues were not looked at.",
    )
}

/// Messages of a queue: there, in flight, delayed.
async fn depth(client: &aws_sdk_sqs::Client, url: String) -> Result<[u64; 3], StackError> {
    let names = [
        Attribute::ApproximateNumberOfMessages,
        Attribute::ApproximateNumberOfMessagesNotVisible,
        Attribute::ApproximateNumberOfMessagesDelayed,
    ];
    let call = client.get_queue_attributes().queue_url(url);
    let answer = call.set_attribute_names(Some(names.to_vec())).send().await;
    let attributes = answer
        .map_err(StackError::sqs("sqs:GetQueueAttributes"))?
        .attributes
        .unwrap_or_default();
    let number = |name: &Attribute| attributes.get(name).and_then(|count| count.parse().ok());
    Ok(names.map(|name| number(&name).unwrap_or_default()))
}

fn waiting(name: &str, [there, in_flight, delayed]: [u64; 3]) -> Finding {
    let text = format!(
        "{name}: about {}, {in_flight} in flight, {delayed} delayed.",
        counted(there, "message", "messages")
    );
    let is_for_people = name == Stack::DEAD_LETTERS && there + in_flight > 0;
    if is_for_people {
        let advice = "Nobody could read them: `redial dead-letters` shows them.";
        return Finding::new(Standing::Warn, "queues", &text, advice);
    }
    Finding::ok("queues", &text)
}

/// What the server's clock says, against ours before and after it was asked. It tells whole seconds.
fn clock(theirs: Timestamp, before: Timestamp, after: Timestamp) -> Finding {
    let early = before.millis_since(theirs.plus_millis(999)).max(0);
    let late = theirs.millis_since(after).max(0);
    let off_ms = early.max(late);
    let text = format!(
        "The server's clock and this machine's differ by {} s or less.",
        off_ms / 1_000 + 1
    );
    let advice = "Signatures are valid for five minutes around the server's time: set the clock that is wrong (NTP).";
    if off_ms > CLOCK_FAIL_MS {
        Finding::fail("clock", &text, advice)
    } else if off_ms > CLOCK_WARN_MS {
        Finding::new(Standing::Warn, "clock", &text, advice)
    } else {
        Finding::ok("clock", &text)
    }
}

/// Why an endpoint takes no deliveries; `None`: it takes them, or wants none.
fn ailing(endpoint: &Value) -> Option<Finding> {
    let id = member(endpoint, "id");
    let (text, advice) = match endpoint["state"].as_str() {
        Some(state @ ("paused" | "disabled")) => (
            format!(
                "Endpoint {id} is {state} since {}: its deliveries are held.",
                member(endpoint, "updated_at")
            ),
            format!("When its receiver works again: `redial endpoints resume {id}`, or activate."),
        ),
        Some("active") if endpoint["hold"].is_object() => (
            format!(
                "Endpoint {id} fails and is on hold since {}: {}",
                member(&endpoint["hold"], "since"),
                member(&endpoint["hold"], "reason")
            ),
            "It is probed, at most five minutes apart, and what is held is sent when a probe succeeds.".to_owned(),
        ),
        _ => return None,
    };
    Some(Finding::new(Standing::Warn, "endpoints", &text, &advice))
}

/// What a doctor says of itself in a script's lines.
fn stretch(since: Timestamp, until: Timestamp) -> Value {
    json!({ "since": since, "until": until })
}
