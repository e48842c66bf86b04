//! `--export`: a whole list as NDJSON, page by page, to stdout or a file. Writes whole lines only, keeps asking while that
//! can help, and says how to go on when it had to stop.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::Session;
use super::client::{Client, Lines};
use super::error::{CliError, Finish};
use super::moment::Moment;
use super::output::note;
use super::send::post::{Patience, Trying, is_transient};
use crate::private;

/// Items asked for in one page: the most that the API gives.
const PAGE: usize = 100;
/// Bytes looked at at a time for the last line break of a file.
const LOOK_BACK: u64 = 64 * 1024;

/// What an export takes besides the filters of its list.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Export")]
pub(super) struct ExportArgs {
    /// Write all that matches, one JSON object a line, instead of showing a list
    #[arg(long)]
    pub(super) export: bool,
    /// Write to this new file [default: stdout]; with --cursor, go on with a file that is there
    #[arg(long, value_name = "FILE", requires = "export")]
    output: Option<PathBuf>,
    /// Go on where an export stopped: as its last words say, with its --since, --until and filters
    #[arg(long, value_name = "CURSOR", requires = "export")]
    cursor: Option<String>,
    /// Seconds to keep trying when Redial cannot be reached, is busy or fails
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "export")]
    retry_for: u32,
}

/// The stretch of time of an export.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Stretch {
    /// From when on: RFC 3339, or how long ago (30m, 2h, 7d)
    #[arg(long, value_name = "TIME", requires = "export")]
    since: Option<Moment>,
    /// Until when: RFC 3339, or how long ago [default: now]. What was accepted in the last seconds may come later: leave it
    /// to the next export, as with --until 1m
    #[arg(long, value_name = "TIME", requires = "export")]
    until: Option<Moment>,
}

impl Stretch {
    /// The moments, as parameters of the list.
    pub(super) fn query(self, session: &Session) -> Vec<(&'static str, String)> {
        let now = session.clock.now();
        let since = self.since.map(|since| ("since", since.resolve(now).to_string()));
        let until = self.until.map_or(now, |until| until.resolve(now)).to_string();
        since.into_iter().chain([("until", until)]).collect()
    }
}

/// Where the lines go.
pub(super) enum Sink {
    /// A stream: what is written is gone.
    Stream(Box<dyn Write + Send>),
    /// A file that ends in a whole line.
    File(File),
    /// A file that is made when there is a page for it: a refusal leaves nothing behind.
    New(PathBuf),
}

impl Sink {
    fn open(output: Option<&Path>, goes_on: bool) -> Result<Self, CliError> {
        let Some(path) = output else {
            return Ok(Self::Stream(Box::new(io::stdout())));
        };
        if !goes_on {
            return match path.try_exists() {
                Ok(false) => Ok(Self::New(path.to_owned())),
                Ok(true) => Err(is_there(path)),
                Err(error) => Err(CliError::Output(error)),
            };
        }
        let mut options = private::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(CliError::Output)?;
        end_in_a_whole_line(&mut file).map_err(CliError::Output)?;
        Ok(Self::File(file))
    }

    /// Writes whole lines, all or none as far as the system lets us.
    fn write(&mut self, lines: &[u8]) -> Result<(), CliError> {
        let written = match self {
            Self::Stream(stream) => stream.write_all(lines).and_then(|()| stream.flush()),
            Self::File(file) => append(file, lines),
            Self::New(path) => {
                let created = private::options().write(true).create_new(true).open(&*path);
                let mut file = created.map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => is_there(path),
                    _ => CliError::Output(error),
                })?;
                let written = append(&mut file, lines);
                if written.is_err() {
                    // Best effort: what went wrong already is what is told.
                    fs::remove_file(&*path).ok();
                }
                *self = Self::File(file);
                written
            }
        };
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => CliError::OutputClosed,
            _ => CliError::Output(error),
        })
    }
}

/// Writes lines at the end of a file, all or none.
fn append(file: &mut File, lines: &[u8]) -> io::Result<()> {
    let before = file.stream_position()?;
    let written = file.write_all(lines).and_then(|()| file.sync_data());
    if written.is_err() {
        // A full disk: half a page is taken back.
        file.set_len(before)?;
    }
    written
}

fn is_there(path: &Path) -> CliError {
    let path = path.display();
    CliError::usage(format!("{path} is there: name another file, or go on with --cursor"))
}

/// Takes back what a killed export left of a line, and stands at the end.
fn end_in_a_whole_line(file: &mut File) -> io::Result<()> {
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(LOOK_BACK);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        io::Read::by_ref(file).take(end - start).read_to_end(&mut bytes)?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') {
            end = start + last as u64 + 1;
            break;
        }
        end = start;
    }
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// What has been written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    items: usize,
    bytes: usize,
    unreadable: usize,
}

/// One export.
pub(super) struct Export<'a> {
    /// The list, as segments of its path.
    pub(super) path: Vec<&'a str>,
    /// Its filters.
    pub(super) query: Vec<(&'a str, String)>,
    /// What one of its items is called, and what several are.
    pub(super) what: (&'static str, &'static str),
}

pub(super) async fn run(session: &Session, args: &ExportArgs, export: Export<'_>) -> Result<Finish, CliError> {
    let sink = Sink::open(args.output.as_deref(), args.cursor.is_some())?;
    let patience = Patience::new(Duration::from_secs(args.retry_for.into()));
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // No signals here: then nobody can interrupt us so.
            std::future::pending::<()>().await;
        }
    };
    tokio::pin!(interrupted);
    export
        .write(&session.client, sink, args.cursor.clone(), patience, interrupted)
        .await
}

/// True if the same command, given again, may get further than this one did.
fn may_go_well_again(stopped: &Result<Finish, CliError>) -> bool {
    stopped
        .as_ref()
        .map_or_else(is_transient, |finish| *finish == Finish::CutOff)
}

impl Export<'_> {
    /// Writes everything from `cursor` on, until `interrupted`.
    async fn write(
        &self,
        client: &Client,
        mut sink: Sink,
        mut cursor: Option<String>,
        patience: Patience,
        mut interrupted: impl Future<Output = ()> + Unpin,
    ) -> Result<Finish, CliError> {
        let bar = self.progress_bar();
        let (mut tally, given) = (Tally::default(), cursor.clone());
        let stopped = loop {
            let page = tokio::select! {
                page = self.page(client, cursor.as_deref(), patience, &bar) => page,
                () = &mut interrupted => break Ok(Finish::CutOff),
            };
            let lines = match page {
                Ok(lines) => lines,
                Err(error) => break Err(error),
            };
            if let Err(error) = sink.write(&lines.bytes) {
                break Err(error);
            }
            tally.items += lines.count;
            tally.bytes += lines.bytes.len();
            tally.unreadable += lines.unreadable;
            bar.set_position(tally.items as u64);
            cursor = lines.next;
            if cursor.is_none() {
                bar.finish_and_clear();
                self.tell(tally);
                return Ok(Finish::Complete);
            }
        };
        bar.finish_and_clear();
        self.tell(tally);
        let is_begun = cursor != given;
        if is_begun && !matches!(stopped, Err(CliError::OutputClosed)) || may_go_well_again(&stopped) {
            note(&self.how_to_go_on(cursor.as_deref()));
        }
        stopped
    }

    async fn page(
        &self,
        client: &Client,
        cursor: Option<&str>,
        patience: Patience,
        bar: &ProgressBar,
    ) -> Result<Lines, CliError> {
        let mut query = self.query.clone();
        query.push(("limit", PAGE.to_string()));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let mut trying = Trying::new(patience, bar);
        loop {
            match client.lines(&self.path, &query).await {
                Ok(lines) => return Ok(lines),
                Err(refusal) => {
                    let worth_it = is_transient(&refusal.error);
                    if !worth_it || !trying.again(&refusal.error, refusal.retry_after).await {
                        return Err(refusal.error);
                    }
                }
            }
        }
    }

    /// Hidden unless stderr is a terminal.
    fn progress_bar(&self) -> ProgressBar {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template(&format!("{{spinner}} {{human_pos}} {} {{msg}}", self.what.1)) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    fn tell(&self, tally: Tally) {
        let (items, bytes) = (HumanCount(tally.items as u64), HumanCount(tally.bytes as u64));
        let what = if tally.items == 1 { self.what.0 } else { self.what.1 };
        let unreadable = match tally.unreadable {
            0 => String::new(),
            n => format!("; {n} that Redial cannot read are missing: its log names them"),
        };
        note(&format!("{items} {what}, {bytes} bytes{unreadable}"));
    }

    fn how_to_go_on(&self, cursor: Option<&str>) -> String {
        let Some(cursor) = cursor else {
            return "stopped before the first page was written: repeat the command".to_owned();
        };
        let moments = self.query.iter().filter(|(name, _)| matches!(*name, "since" | "until"));
        let moments: String = moments.map(|(name, moment)| format!("--{name} {moment} ")).collect();
        format!("stopped; to go on, repeat the command with {moments}--cursor {cursor}")
    }
}

#[cfg(test)]
mod tests;
