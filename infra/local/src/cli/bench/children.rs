//! The processes that a bench starts and ends: a `redial serve` on a folder of its own, and the receiver. None outlives the
//! value that holds it, nor does the folder.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use redial_platform::Random;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::error::{BenchError, Part};
use super::words::{Cell, Cells, Counts, Expected, Order, Ready};
use crate::private;

/// How long a server may take to stop by itself; then it is killed, for nobody needs its folder.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// What the server says for people while it runs.
const LOG_FILE: &str = "bench.log";
/// What the server has counted that AWS would bill.
const BILLABLE_FILE: &str = "billable.json";
/// Where the server's data lie in the folder.
const DATA_FOLDER: &str = "data";
/// What is shown of what a process said before it ended, in bytes.
const SHOWN_BYTES: usize = 400;

/// What a server says when it is ready.
#[derive(Deserialize)]
pub(super) struct Address {
    pub(super) url: String,
    pub(super) key: String,
}

/// A `redial serve` of the bench's own.
pub(super) struct Serve {
    child: Child,
    lines: BufReader<ChildStdout>,
    billable: Option<PathBuf>,
    folder: Folder,
}

impl Serve {
    /// Starts it on a new folder below `below`; `billable`: it counts what AWS would bill.
    ///
    /// # Errors
    /// [`BenchError`] if there is no folder or no process to be had.
    pub(super) fn spawn(program: &Path, below: &Path, billable: bool) -> Result<Self, BenchError> {
        let folder = Folder::make(below)?;
        let part = Part::Serve;
        let log = File::create(folder.0.join(LOG_FILE)).map_err(|source| BenchError::NotStarted { part, source })?;
        let data = folder.0.join(DATA_FOLDER);
        let billable = billable.then(|| folder.0.join(BILLABLE_FILE));
        let arguments = [OsStr::new("serve"), OsStr::new("--data"), data.as_os_str()];
        let mut child = command(program, Stdio::null(), Stdio::from(log))
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--json"])
            .args(
                billable
                    .iter()
                    .flat_map(|file| [OsStr::new("--billable"), file.as_os_str()]),
            )
            .spawn()
            .map_err(|source| BenchError::NotStarted { part, source })?;
        let lines = piped(child.stdout.take(), part)?;
        Ok(Self {
            child,
            lines,
            billable,
            folder,
        })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// [`BenchError::Ended`] with what it said, if it ended instead.
    pub(super) async fn ready(&mut self) -> Result<Address, BenchError> {
        match read_line(&mut self.lines, Part::Serve).await {
            Err(BenchError::Ended { part, .. }) => Err(BenchError::Ended {
                part,
                said: end_of(&self.folder.0.join(LOG_FILE)),
            }),
            said => said,
        }
    }

    /// None if it has ended.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The file of what AWS would bill, if that is counted.
    pub(super) fn billable(&self) -> Option<&Path> {
        self.billable.as_deref()
    }

    /// Where its data lie.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.0.join(DATA_FOLDER)
    }

    /// Stops it, kills it if that takes long, and removes its folder.
    pub(super) async fn close(mut self) {
        ask_to_stop(&self.child);
        if timeout(STOP_GRACE, self.child.wait()).await.is_err() {
            // It fails only if it has ended by now.
            let _ = self.child.kill().await;
        }
    }
}

#[cfg(unix)]
fn ask_to_stop(child: &Child) {
    let pid = child
        .id()
        .and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        // It fails only if it has ended by now; it was not waited for, so the number is nobody else's.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

#[cfg(not(unix))]
fn ask_to_stop(_: &Child) {}

/// The receiver, talked to.
pub(super) struct Receiver {
    child: Child,
    orders: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Receiver {
    /// Starts it: this program once more.
    ///
    /// # Errors
    /// [`BenchError`] if there is no process to be had.
    pub(super) fn spawn(program: &Path, port: u16) -> Result<Self, BenchError> {
        let part = Part::Receiver;
        let mut child = command(program, Stdio::piped(), Stdio::inherit())
            .args(["bench", "receive", "--port", &port.to_string()])
            .spawn()
            .map_err(|source| BenchError::NotStarted { part, source })?;
        let lines = piped(child.stdout.take(), part)?;
        let orders = child.stdin.take().ok_or_else(|| ended(part, ""))?;
        Ok(Self { child, orders, lines })
    }

    /// Waits until it listens, and says on which port.
    pub(super) async fn ready(&mut self) -> Result<u16, BenchError> {
        let ready: Ready = read_line(&mut self.lines, Part::Receiver).await?;
        Ok(ready.port)
    }

    /// None if it has ended.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Has it forget everything and expect a run.
    pub(super) async fn expect(&mut self, expected: Expected) -> Result<(), BenchError> {
        let _: Counts = self.ask(&Order::Expect(expected)).await?;
        Ok(())
    }

    /// What has come, once `want` deliveries have succeeded or the time is up.
    pub(super) async fn wait(&mut self, want: u64, at_most: Duration) -> Result<Counts, BenchError> {
        let at_most_ms = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX);
        self.ask(&Order::Wait { want, at_most_ms }).await
    }

    /// What became of each event at each endpoint.
    pub(super) async fn tell(&mut self) -> Result<Vec<Cell>, BenchError> {
        let follows: Cells = self.ask(&Order::Tell).await?;
        let mut bytes = vec![0; follows.bytes()];
        let read = self.lines.read_exact(&mut bytes).await;
        read.map_err(|source| BenchError::Pipe {
            part: Part::Receiver,
            source,
        })?;
        Ok(Cell::read_all(&bytes))
    }

    /// Ends it.
    pub(super) async fn close(mut self) {
        // It fails only if it has ended by now.
        let _ = self.child.kill().await;
    }

    async fn ask<T: DeserializeOwned>(&mut self, order: &Order) -> Result<T, BenchError> {
        let part = Part::Receiver;
        let mut line = serde_json::to_vec(order).map_err(|source| BenchError::NotUnderstood { part, source })?;
        line.push(b'\n');
        let written = self.orders.write_all(&line).await;
        written.map_err(|source| BenchError::Pipe { part, source })?;
        read_line(&mut self.lines, part).await
    }
}

/// A process that is killed when nobody holds it any more.
fn command(program: &Path, input: Stdio, said: Stdio) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(said)
        .kill_on_drop(true);
    command
}

fn piped(out: Option<ChildStdout>, part: Part) -> Result<BufReader<ChildStdout>, BenchError> {
    Ok(BufReader::new(out.ok_or_else(|| ended(part, ""))?))
}

fn ended(part: Part, said: &str) -> BenchError {
    BenchError::Ended {
        part,
        said: if said.is_empty() { "it said nothing" } else { said }.to_owned(),
    }
}

async fn read_line<T: DeserializeOwned>(lines: &mut BufReader<ChildStdout>, part: Part) -> Result<T, BenchError> {
    let mut line = String::new();
    let read = lines.read_line(&mut line).await;
    if read.map_err(|source| BenchError::Pipe { part, source })? == 0 {
        return Err(ended(part, ""));
    }
    serde_json::from_str(&line).map_err(|source| BenchError::NotUnderstood { part, source })
}

/// The last that a process said.
fn end_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let shown = &text[text.len().saturating_sub(SHOWN_BYTES)..];
    let shown = String::from_utf8_lossy(shown).trim().replace('\n', "; ");
    if shown.is_empty() {
        "it said nothing".to_owned()
    } else {
        shown
    }
}

/// A folder that goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn make(below: &Path) -> Result<Self, BenchError> {
        let name = format!("redial-bench-{:016x}", u64::from_le_bytes(Random::System.bytes()));
        let refused = |source| BenchError::Folder {
            below: below.to_owned(),
            source,
        };
        let below = below.canonicalize().map_err(refused)?;
        let path = below.join(name);
        private::folder().create(&path).map_err(refused)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in a folder for temporary files, with a name that says whose it is.
        let _ = fs::remove_dir_all(&self.0);
    }
}
