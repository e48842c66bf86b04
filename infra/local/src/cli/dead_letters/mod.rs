//! `redial dead-letters`: what stays in a deployment's dead-letter queue because nobody can read it, or only a newer Redial.
//! Deliveries that failed for good are not here: they are in the table, `redial deliveries list --state dead`.

mod letter;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};

use clap::{Args, Subcommand};
use redial_domain::Timestamp;
use redial_platform::Clock;
use serde_json::{Value, json};

use self::letter::{Letter, Reading};
use self::queue::{Counts, DeadLetterQueue, Decision};
use super::error::{CliError, Finish};
use super::moment::Span;
use super::output::{Output, note};
use super::stack::StackArgs;

const EXAMPLES: &str = "\
Examples:
  redial dead-letters list --stack redial
  redial dead-letters list --stack redial --wait 13m --json
  redial dead-letters show 5fea7756-0ea4-451a-a703-a558b933e274 --stack redial
  redial dead-letters remove 5fea7756-0ea4-451a-a703-a558b933e274 --stack redial --yes

The queue's intake takes in whatever it can read, within a minute. What it cannot read it has in hand most of the time
and lets go of every 12 minutes: only then can anybody else see it. --wait says how long to wait for that.";

const NO_STACK: &str = "\
give --stack: dead letters are read from a deployment's queue, with AWS credentials. A server on this machine keeps its \
own in its data folder and has no way to show them yet; it logs `intake.message_unreadable` for each. Deliveries that failed \
for good are something else: `redial deliveries list --state dead`";

/// Longer than the intake keeps a message in hand, in seconds.
const LET_GO_MARGIN_S: i64 = 60;
const MS_PER_S: i64 = 1_000;

/// Look at and remove what nobody could read in a deployment's dead-letter queue
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DeadLettersArgs {
    /// Print one JSON document for scripts, and nothing else
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what is in the queue, and why; nothing is lost or hidden by it
    List {
        #[command(flatten)]
        stack: StackArgs,
        /// Wait for what the intake has in hand, at most so long, as 13m [default: only what is there now]
        #[arg(long, value_name = "SPAN")]
        wait: Option<Span>,
    },
    /// Show one message whole
    Show {
        /// Its id, as listed
        id: String,
        #[command(flatten)]
        stack: StackArgs,
        /// Wait for it at most so long [default: until the intake has let go of it once]
        #[arg(long, value_name = "SPAN")]
        wait: Option<Span>,
    },
    /// Remove messages for good
    Remove {
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
    },
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
    let mut output = Output::to_stdout(args.json);
    match args.action {
        Action::List { stack, wait } => list(&open(&stack).await?, wait, &mut output).await,
        Action::Show { id, stack, wait } => show(&open(&stack).await?, &id, wait, &mut output).await,
        Action::Remove {
            ids,
            stack,
            yes,
            even_readable,
            wait,
        } => {
            let ids: BTreeSet<String> = ids.into_iter().collect();
            if stack.is_given() {
                confirm(ids.len(), yes)?;
            }
            remove(&open(&stack).await?, &ids, even_readable, wait, &mut output).await
        }
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
    note(&format!("remove {count} messages for good? Type yes:"));
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
