//! `redial serve --billable FILE`: what was used so far, as JSON, every second and at the end. The file is always whole: it is
//! written beside and put in its place.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Billable;
use super::lines::Lines;

/// How often the file is written.
const EVERY: Duration = Duration::from_secs(1);

/// Writes the file until it is stopped.
#[derive(Debug)]
pub struct Report {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Report {
    /// Begins with an empty count.
    ///
    /// # Errors
    /// What the system says, if the file cannot be written.
    pub fn begin(path: PathBuf, billable: Billable, lines: Lines) -> io::Result<Self> {
        write(&path, &billable, &lines)?;
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let last = tokio::select! {
                    _ = ticks.tick() => false,
                    _ = stopped.changed() => true,
                };
                if let Err(error) = write(&path, &billable, &lines) {
                    tracing::warn!(%error, "billable.not_written");
                }
                if last {
                    return;
                }
            }
        });
        Ok(Self { stop, task })
    }

    /// Writes it once more, with everything that was used until now.
    pub async fn end(self) {
        self.stop.send_replace(true);
        // It cannot have panicked, and there is nothing to do about it if it has.
        drop(self.task.await);
    }
}

fn write(path: &Path, billable: &Billable, lines: &Lines) -> io::Result<()> {
    let document = json!({
        "used": billable.usage(),
        "log": { "lines": lines.lines(), "bytes": lines.bytes() },
    });
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, format!("{document:#}\n"))?;
    std::fs::rename(&beside, path)
}
