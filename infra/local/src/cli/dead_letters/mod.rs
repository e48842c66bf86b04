//! `redial dead-letters`: a tenant's deliveries that were given up (`letters`), and, with `--stack`, what stays in a
//! deployment's dead-letter queue because nobody can read it, or only a newer Redial: `dead-letters queue`.

mod letter;
mod letters;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};

use clap::{Args, Subcommand};
use redial_domain::Timestamp;
use redial_domain::count::counted;
use redial_platform::Clock;
use serde_json::{Value, json};

use self::letter::{Letter, Reading};
use self::letters::{CountsArgs, Which, WorkArgs};
use self::queue::{Counts, DeadLetterQueue, Decision};
use super::Session;
use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::moment::Span;
use super::output::{Output, note};
use super::stack::StackArgs;

const EXAMPLES: &str = "\
Examples:
  redial dead-letters list --tenant acme --endpoint ep_02 --since 7d
  redial dead-letters counts --tenant acme --by endpoint,reason
  redial dead-letters redrive evt_01.ep_02 --tenant acme
  redial dead-letters redrive --tenant acme --endpoint ep_02 --reason attempts_exhausted --dry-run
  redial dead-letters redrive --tenant acme --endpoint ep_02 --reason attempts_exhausted --rate 20
  redial dead-letters discard --tenant acme --type 'call.*' --until 30d

What is redriven is a new delivery with attempts from 1 and the same webhook-id, and leaves the list. The job is a replay: \
`redial replay` pauses and cancels it.

Letters of a deployment's dead-letter queue that nobody can read are something else:
  redial dead-letters queue list --stack redial";

const QUEUE_EXAMPLES: &str = "\
Examples:
  redial dead-letters queue list --stack redial
  redial dead-letters queue list --stack redial --wait 13m --json
  redial dead-letters queue show 5fea7756-0ea4-451a-a703-a558b933e274 --stack redial
  redial dead-letters queue remove 5fea7756-0ea4-451a-a703-a558b933e274 --stack redial --yes

The queue's intake takes in whatever it can read, within a minute. What it cannot read it has in hand most of the time
and lets go of every 12 minutes: only then can anybody else see it. --wait says how long to wait for that.";

const NO_STACK: &str = "\
give --stack: the queue's letters are read from a deployment, with AWS credentials. A server on this machine keeps its \
own in its data folder and has no way to show them yet; it logs `intake.message_unreadable` for each. Deliveries that failed \
for good are something else: `redial dead-letters list --tenant TENANT`";

const NO_TENANT: &str = "\
give --tenant, for its deliveries that failed for good: `redial dead-letters list --tenant TENANT`; what nobody can read in a \
deployment's queue: `redial dead-letters queue list --stack NAME`";

/// Longer than the intake keeps a message in hand, in seconds.
const LET_GO_MARGIN_S: i64 = 60;
const MS_PER_S: i64 = 1_000;

/// List, count, redrive and discard deliveries that were given up; look at what nobody could read in the queue
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DeadLettersArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters, newest first
    List(ListArgs),
    /// Count dead letters by endpoint, agent, type and reason
    Counts(CountsArgs),
    /// Deliver dead letters again
    Redrive(WorkArgs),
    /// Discard dead letters: they are not delivered any more
    Discard(WorkArgs),
    /// Look at and remove what nobody could read in a deployment's dead-letter queue
    #[command(after_help = QUEUE_EXAMPLES)]
    Queue {
        #[command(subcommand)]
        action: QueueAction,
    },
    #[command(hide = true)]
    Show(ShowArgs),
    #[command(hide = true)]
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// The tenant
    #[arg(long, env = "REDIAL_TENANT")]
    tenant: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Those that were redriven
    #[arg(long)]
    redriven: bool,
    /// Most letters to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
    limit: usize,
    /// As `queue list`, which it was called before
    #[command(flatten)]
    stack: StackArgs,
    #[arg(long, value_name = "SPAN", hide = true, requires = "stack")]
    wait: Option<Span>,
}

#[derive(Debug, Subcommand)]
enum QueueAction {
    /// List what is in the queue, and why; nothing is lost or hidden by it
    List {
        #[command(flatten)]
        stack: StackArgs,
        /// Wait for what the intake has in hand, at most so long, as 13m [default: only what is there now]
        #[arg(long, value_name = "SPAN")]
        wait: Option<Span>,
    },
    /// Show one message whole
    Show(ShowArgs),
    /// Remove messages for good
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Its id, as listed
    id: String,
    #[command(flatten)]
    stack: StackArgs,
    /// Wait for it at most so long [default: until the intake has let go of it once]
    #[arg(long, value_name = "SPAN")]
    wait: Option<Span>,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// Their ids, as listed
    #[arg(required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    stack: StackArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Also what this or a newer Redial can read: its delivery is then never made
    #[arg(long)]
    even_readable: bool,
    /// Wait for them at most so long [default: until the intake has let go of them once]
    #[arg(long, value_name = "SPAN")]
    wait: Option<Span>,
}

async fn open(stack: &StackArgs) -> Result<DeadLetterQueue, CliError> {
    let stack = stack.open().await?.ok_or_else(|| CliError::usage(NO_STACK))?;
    let (client, url) = stack.dead_letter_queue()?;
    Ok(DeadLetterQueue::new(client, url, Clock::System))
}

/// The moment until which to wait: as told, or until the intake has let go of everything once.
fn deadline(wait: Option<Span>, counts: Counts, now: Timestamp) -> Timestamp {
    let wait_s = wait.map_or(counts.visibility_s + LET_GO_MARGIN_S, Span::as_secs);
    now.plus_millis(wait_s.saturating_mul(MS_PER_S))
}

pub(super) async fn run(args: DeadLettersArgs) -> Result<Finish, CliError> {
    let mut output = Output::to_stdout(args.connection.json);
    match args.action {
        Action::List(args) if args.stack.is_given() => list(&open(&args.stack).await?, args.wait, &mut output).await,
        Action::Queue {
            action: QueueAction::List { stack, wait },
        } => list(&open(&stack).await?, wait, &mut output).await,
        Action::Show(args)
        | Action::Queue {
            action: QueueAction::Show(args),
        } => show(&open(&args.stack).await?, &args.id, args.wait, &mut output).await,
        Action::Remove(args)
        | Action::Queue {
            action: QueueAction::Remove(args),
        } => {
            let ids: BTreeSet<String> = args.ids.into_iter().collect();
            if args.stack.is_given() {
                confirm(ids.len(), args.yes)?;
            }
            remove(
                &open(&args.stack).await?,
                &ids,
                args.even_readable,
                args.wait,
                &mut output,
            )
            .await
        }
        Action::List(list) => {
            let tenant = list.tenant.as_deref().ok_or_else(|| CliError::usage(NO_TENANT))?;
            let mut session = Session::open(&args.connection)?;
            letters::list(&mut session, tenant, &list.which, list.redriven, list.limit).await
        }
        Action::Counts(counts) => letters::counts(&mut Session::open(&args.connection)?, &counts).await,
        Action::Redrive(work) => letters::work(&mut Session::open(&args.connection)?, &work, "redrive").await,
        Action::Discard(work) => letters::work(&mut Session::open(&args.connection)?, &work, "discard").await,
    }
}

async fn list(queue: &DeadLetterQueue, wait: Option<Span>, output: &mut Output) -> Result<Finish, CliError> {
    let counts = queue.counts().await?;
    let there = counts.visible + counts.in_hand;
    let now = Clock::System.now();
    let deadline = wait.map_or(now, |wait| deadline(Some(wait), counts, now));
    let mut seen: BTreeMap<String, Letter> = BTreeMap::new();
    let look = queue.look(deadline, |found| {
        seen.extend(found.clone());
        Decision {
            remove: Vec::new(),
            enough: seen.len() >= there,
        }
    });
    look.await?;
    let unseen = there.saturating_sub(seen.len());
    render(seen.values(), unseen, Clock::System.now(), output)?;
    if unseen > 0 && !output.is_json() {
        let minutes = (counts.visibility_s + LET_GO_MARGIN_S).unsigned_abs().div_ceil(60);
        note(&format!(
            "{unseen} more: the intake has them in hand; --wait {minutes}m waits until it lets go"
        ));
    }
    Ok(Finish::Complete)
}

fn render<'a>(
    letters: impl Iterator<Item = &'a Letter>,
    unseen: usize,
    now: Timestamp,
    output: &mut Output,
) -> Result<(), CliError> {
    if output.is_json() {
        let items: Vec<Value> = letters.map(Letter::document).collect();
        return output.document(&json!({ "items": items, "unseen": unseen }));
    }
    let rows: Vec<Vec<String>> = letters.map(|letter| letter.row(now)).collect();
    let empty = if unseen == 0 {
        "no dead letters"
    } else {
        "none that can be seen now"
    };
    output.table(&["id", "age", "receives", "from", "why"], &rows, empty)
}

async fn show(queue: &DeadLetterQueue, id: &str, wait: Option<Span>, output: &mut Output) -> Result<Finish, CliError> {
    let counts = queue.counts().await?;
    let mut wanted = None;
    let look = queue.look(deadline(wait, counts, Clock::System.now()), |found| {
        wanted = wanted.take().or_else(|| found.get(id).cloned());
        Decision {
            remove: Vec::new(),
            enough: wanted.is_some(),
        }
    });
    look.await?;
    let letter = wanted.ok_or_else(|| missing(id))?;
    output.document(&letter.document())?;
    Ok(Finish::Complete)
}

fn missing(id: &str) -> CliError {
    CliError::NotThere(format!(
        "{id} did not come up: it is no longer in the queue, or the intake has it in hand"
    ))
}

/// Asks the person at the terminal, once.
fn confirm(count: usize, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::usage("removing is for good: give --yes"));
    }
    let messages = counted(count as u64, "message", "messages");
    note(&format!("remove {messages} for good? Type yes:"));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|source| CliError::Read {
        path: "stdin".into(),
        source,
    })?;
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(CliError::usage("nothing was removed"))
    }
}

async fn remove(
    queue: &DeadLetterQueue,
    ids: &BTreeSet<String>,
    even_readable: bool,
    wait: Option<Span>,
    output: &mut Output,
) -> Result<Finish, CliError> {
    let counts = queue.counts().await?;
    let mut removed: BTreeSet<String> = BTreeSet::new();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    let look = queue.look(deadline(wait, counts, Clock::System.now()), |found| {
        let (gone, stays) = judge(found, ids, even_readable);
        kept.extend(stays);
        removed.extend(gone.iter().cloned());
        Decision {
            remove: gone,
            enough: removed.len() + kept.len() >= ids.len(),
        }
    });
    look.await?;
    let missing: Vec<&String> = ids
        .iter()
        .filter(|id| !removed.contains(*id) && !kept.contains(*id))
        .collect();
    if output.is_json() {
        output.document(&json!({ "removed": removed, "kept": kept, "missing": missing }))?;
    } else {
        for id in &removed {
            output.text(&format!("removed {id}"))?;
        }
        for id in &kept {
            note(&format!(
                "kept {id}: Redial can read it, and takes it in by itself or after an upgrade; --even-readable removes it"
            ));
        }
        for id in &missing {
            note(&self::missing(id).to_string());
        }
    }
    Ok(if removed.len() == ids.len() {
        Finish::Complete
    } else {
        Finish::Partial
    })
}

/// Of what was found and is wanted: what goes, and what stays because somebody reads it yet.
fn judge(found: &BTreeMap<String, Letter>, ids: &BTreeSet<String>, even_readable: bool) -> (Vec<String>, Vec<String>) {
    let wanted = found.values().filter(|letter| ids.contains(&letter.id));
    let (gone, stays): (Vec<&Letter>, Vec<&Letter>) =
        wanted.partition(|letter| even_readable || letter.reading == Reading::Unreadable);
    let names = |letters: Vec<&Letter>| letters.into_iter().map(|letter| letter.id.clone()).collect();
    (names(gone), names(stays))
}
