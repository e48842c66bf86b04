//! `redial send`: posts one sample event or a file of events. Never posts an event without an id, so that trying again
//! is always safe.

mod batch;
pub(super) mod post;
mod sample;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use redial_domain::count::counted;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::batch::Packed;
use self::post::{Accepted, Patience, Posted, Refused};
pub(super) use self::sample::read_data;
use self::source::{Mint, Outgoing};
use super::connection::ConnectionArgs;
use super::error::{CliError, Finish, with_cause};
use super::output::{escaped, member, note};
use super::{Session, dry_run};

/// Most batches on their way at once.
const MAX_CONCURRENCY: u16 = 64;
/// Refusals printed one by one; the rest is counted, `--json` has all of them.
const MAX_PRINTED_REFUSALS: usize = 50;
/// From so many events on, a terminal sees a progress bar.
const PROGRESS_FROM: usize = 100;

const EXAMPLES: &str = "\
Examples:
  redial send call.ended --tenant demo
  redial send call.ended --tenant demo --agent agt_7 --data '{\"call_id\":\"call_1\",\"duration_s\":12.5}'
  redial send call.ended --tenant demo --call call_1 --related contact_id=con_9
  redial send --file calls.jsonl --concurrency 8
  redial send --file - --json

Answers of 429 and 5xx, and connections that fail, are tried again for --retry-for seconds. That is safe because every \
event has an id, which Redial accepts once: an event without an id gets one from this command before the first try. \
With --concurrency above 1, batches may overtake each other; --concurrency 1 keeps the order of the file.";

/// Post a sample event of any type, or a file of events
///
/// With a type, sends the catalogue's example of it (or --data), and makes the tenant first if it is not there.
/// With --file, sends JSON lines, a JSON array or a single object of events; their tenants have to be there.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SendArgs {
    /// Type of the sample event, such as call.ended
    #[arg(value_name = "TYPE", required_unless_present = "file", conflicts_with = "file")]
    event_type: Option<String>,
    /// Tenant of the sample; with --file, the tenant of events that name none
    #[arg(long, env = "REDIAL_TENANT", required_unless_present = "file")]
    tenant: Option<String>,
    /// Agent of the sample
    #[arg(long, conflicts_with = "file")]
    agent: Option<String>,
    /// Id of the sample [default: a new one]
    #[arg(long, conflicts_with = "file")]
    id: Option<String>,
    /// The sample's data: JSON, or @ and a file of JSON [default: the catalogue's example]
    #[arg(long, value_name = "JSON|@FILE", conflicts_with = "file")]
    data: Option<String>,
    /// Call of the sample, its related.call_id: what `redial calls` and the console find it by
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    call: Option<String>,
    /// Another related id of the sample; may be repeated
    #[arg(long, value_name = "NAME=ID", conflicts_with = "file", value_parser = related)]
    related: Vec<(String, String)>,
    /// File of events, - for stdin
    #[arg(long, value_name = "FILE|-")]
    file: Option<PathBuf>,
    /// Events in a request, 1 to 500
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=500))]
    batch: u16,
    /// Requests on their way at once, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_CONCURRENCY)))]
    concurrency: u16,
    /// How long to keep trying when Redial is busy or away
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    retry_for: u32,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A related id, as `contact_id=con_9`.
fn related(text: &str) -> Result<(String, String), String> {
    let pair = text
        .split_once('=')
        .filter(|(name, id)| !name.is_empty() && !id.is_empty());
    let (name, id) = pair.ok_or_else(|| "give a name and an id, such as contact_id=con_9".to_owned())?;
    Ok((name.to_owned(), id.to_owned()))
}

/// What came of all events.
#[derive(Default)]
struct Tally {
    accepted: Vec<Accepted>,
    refused: Vec<Refused>,
    unsent: usize,
    stopped_by: Option<CliError>,
}

impl Tally {
    fn take(&mut self, posted: Posted) {
        self.accepted.extend(posted.accepted);
        self.refused.extend(posted.refused);
        self.unsent += posted.unsent.len();
        if self.stopped_by.is_none() {
            self.stopped_by = posted.stopped_by;
        }
    }

    fn deliveries(&self) -> u64 {
        self.accepted.iter().map(|accepted| accepted.deliveries).sum()
    }

    fn finish(&self) -> Finish {
        if self.unsent > 0 || self.stopped_by.is_some() {
            Finish::CutOff
        } else if self.refused.is_empty() {
            Finish::Complete
        } else {
            Finish::Partial
        }
    }
}

pub(super) async fn run(args: SendArgs) -> Result<Finish, CliError> {
    let mint = Mint::default();
    let events = match (&args.file, &args.event_type, &args.tenant) {
        (Some(path), ..) => source::read(path, args.tenant.as_deref(), &mint)?,
        (None, Some(event_type), Some(tenant)) => vec![sample::make(&args, event_type, tenant, &mint)?],
        _ => return Err(CliError::usage("give a type and --tenant, or --file")),
    };
    let patience = Patience::new(Duration::from_secs(args.retry_for.into()));
    send(Session::open(&args.connection)?, &args, events, patience).await
}

async fn send(
    mut session: Session,
    args: &SendArgs,
    events: Vec<Outgoing>,
    patience: Patience,
) -> Result<Finish, CliError> {
    if let (None, Some(tenant)) = (&args.file, &args.tenant) {
        make_tenant(&session, tenant, patience).await?;
    }
    let started = Instant::now();
    let packed = batch::pack(events, args.batch.into());
    let tally = post_all(&session, packed, args.concurrency.into(), patience).await?;
    let elapsed = started.elapsed();
    if session.output.is_json() {
        session.output.document(&document(&tally, elapsed))?;
    } else {
        print(&mut session, &tally, elapsed)?;
        // A sample is sent to see it arrive: whoever sees nothing wants to know why.
        if let (None, Some(tenant), [sample]) = (&args.file, &args.tenant, tally.accepted.as_slice())
            && sample.deliveries == 0
        {
            dry_run::tell_why_nobody(&mut session, tenant, &sample.id).await?;
        }
    }
    Ok(tally.finish())
}

/// A sample's tenant is made on the way, so that a first try needs no preparation. A key that may only post events
/// cannot look; then the event itself tells.
async fn make_tenant(session: &Session, tenant: &str, patience: Patience) -> Result<(), CliError> {
    let no_bar = ProgressBar::hidden();
    let made = post::patiently(patience, &no_bar, async || session.client.ensure_tenant(tenant).await);
    match made.await {
        Ok(true) => note(&format!("made tenant {tenant}")),
        Ok(false) => {}
        Err(CliError::Refused(problem)) if problem.status == 403 || problem.status == 404 => {}
        Err(other) => return Err(other),
    }
    Ok(())
}

async fn post_all(
    session: &Session,
    packed: Packed,
    concurrency: usize,
    patience: Patience,
) -> Result<Tally, CliError> {
    let mut tally = Tally {
        refused: packed.refused,
        ..Tally::default()
    };
    let mut left: usize = packed.batches.iter().map(|batch| batch.events.len()).sum();
    let bar = progress_bar(left);
    if left > 0 {
        let ingest = post::patiently(patience, &bar, async || session.client.ingest_url().await).await?;
        let post = |batch| post::post(&session.client, &ingest, batch, patience, &bar);
        let mut posts = futures_util::stream::iter(packed.batches)
            .map(post)
            .buffered(concurrency);
        while let Some(posted) = posts.next().await {
            left -= posted.len();
            bar.inc(posted.len() as u64);
            tally.take(posted);
            if tally.stopped_by.is_some() {
                // What goes for one batch goes for the next: each would spend its patience in vain.
                break;
            }
        }
    }
    bar.finish_and_clear();
    tally.unsent += left;
    Ok(tally)
}

/// Drawn on stderr, and only if that is a terminal.
fn progress_bar(events: usize) -> ProgressBar {
    if events < PROGRESS_FROM {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} events, {eta} left  {msg}");
    let bar = ProgressBar::new(events as u64);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn document(tally: &Tally, elapsed: Duration) -> Value {
    json!({
        "accepted": tally.accepted.len(),
        "deliveries": tally.deliveries(),
        "refused": tally.refused.len(),
        "unsent": tally.unsent,
        "stopped_by": tally.stopped_by.as_ref().map(|error| with_cause(error)),
        "duration_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        "events": tally.accepted,
        "refusals": tally.refused,
    })
}

fn print(session: &mut Session, tally: &Tally, elapsed: Duration) -> Result<(), CliError> {
    for refused in tally.refused.iter().take(MAX_PRINTED_REFUSALS) {
        let id = refused.id.as_deref().unwrap_or("(no readable id)");
        session.output.text(&format!("✗ {}: {}", escaped(id), refused.error))?;
    }
    if let Some(more) = tally
        .refused
        .len()
        .checked_sub(MAX_PRINTED_REFUSALS)
        .filter(|more| *more > 0)
    {
        session
            .output
            .text(&format!("✗ ... and {more} more; --json lists them all"))?;
    }
    print_warnings(session, tally)?;
    if let Some(error) = &tally.stopped_by {
        error.report();
    }
    if let ([only], true) = (tally.accepted.as_slice(), tally.refused.is_empty() && tally.unsent == 0) {
        let deliveries = counted(only.deliveries, "delivery", "deliveries");
        return session
            .output
            .text(&format!("✓ accepted {}: {deliveries}", escaped(&only.id)));
    }
    let mut summary = format!(
        "{} accepted, {}, {} refused",
        counted(tally.accepted.len() as u64, "event", "events"),
        counted(tally.deliveries(), "delivery", "deliveries"),
        tally.refused.len()
    );
    if tally.unsent > 0 {
        summary.push_str(&format!(
            ", {} not sent (send them again: what was accepted is accepted once)",
            tally.unsent
        ));
    }
    summary.push_str(&format!(", in {:.1} s", elapsed.as_secs_f64()));
    session.output.text(&summary)
}

/// What Redial warns of, of as many events as refusals are printed of.
fn print_warnings(session: &mut Session, tally: &Tally) -> Result<(), CliError> {
    let warned: Vec<_> = tally
        .accepted
        .iter()
        .filter(|event| !event.warnings.is_empty())
        .collect();
    for event in warned.iter().take(MAX_PRINTED_REFUSALS) {
        for warning in &event.warnings {
            let (field, detail) = (member(warning, "field"), member(warning, "detail"));
            let text = format!("! {}: {}: {}", escaped(&event.id), escaped(&field), escaped(&detail));
            session.output.text(&text)?;
        }
    }
    match warned.len().saturating_sub(MAX_PRINTED_REFUSALS) {
        0 => Ok(()),
        more => session
            .output
            .text(&format!("! ... and {more} more have warnings; --json lists them all")),
    }
}
