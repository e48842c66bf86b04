//! What AWS would bill for a run, from the counts that `redial serve --billable` writes. Counts nothing itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::distribution::rounded;
use super::error::{BenchError, Part};
use super::moment::{NS_PER_S, now_ns};

/// How often the file is looked at until it is written anew, which is every second.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long that may take, in seconds.
const PATIENCE_S: u64 = 30;

/// By kind of request, as `Ingest dynamodb PutItem`: `requests`, `writes` and others, each with its count.
type Used = BTreeMap<String, BTreeMap<String, u64>>;

/// The same for one event.
pub(super) type UsedPerEvent = BTreeMap<String, BTreeMap<String, f64>>;

/// The counts at some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Billed {
    used: Used,
}

impl Billed {
    /// Everything that was used until this call: waits until the file is written anew.
    ///
    /// # Errors
    /// [`BenchError`] if it cannot be read, or is not written any more.
    pub(super) async fn read(file: &Path) -> Result<Self, BenchError> {
        let part = Part::Serve;
        let unread = |source| BenchError::Pipe { part, source };
        let since_ns = now_ns();
        let before = written(file).map_err(unread)?;
        while written(file).map_err(unread)? == before {
            if now_ns().saturating_sub(since_ns) > PATIENCE_S * NS_PER_S {
                return Err(unread(std::io::ErrorKind::TimedOut.into()));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let bytes = fs::read(file).map_err(unread)?;
        serde_json::from_slice(&bytes).map_err(|source| BenchError::NotUnderstood { part, source })
    }

    /// What was used since `earlier`, for each of so many events. What was not used is not there.
    pub(super) fn per_event_since(&self, earlier: &Self, events: u64) -> UsedPerEvent {
        let mut all = UsedPerEvent::new();
        for (kind, counts) in &self.used {
            for (name, count) in counts {
                let before = earlier.used.get(kind).and_then(|counts| counts.get(name));
                let used = count.saturating_sub(before.copied().unwrap_or(0));
                if used > 0 && events > 0 {
                    let per_event = rounded(used as f64 / events as f64, 4);
                    all.entry(kind.clone()).or_default().insert(name.clone(), per_event);
                }
            }
        }
        all
    }
}

fn written(file: &Path) -> std::io::Result<SystemTime> {
    fs::metadata(file)?.modified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn billed(text: &str) -> Billed {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_was_used_before_the_run_and_what_was_not_used_is_left_out() {
        let before = billed(r#"{"used":{"Ingest dynamodb PutItem":{"requests":10,"writes":20}}}"#);
        let after = billed(
            r#"{"used":{"Ingest dynamodb PutItem":{"requests":14,"writes":20},"Ingest sqs SendMessageBatch":{"requests":1}},
                "log":{"lines":1,"bytes":2}}"#,
        );
        let shown = serde_json::to_string(&after.per_event_since(&before, 8)).unwrap();
        assert_eq!(
            shown,
            r#"{"Ingest dynamodb PutItem":{"requests":0.5},"Ingest sqs SendMessageBatch":{"requests":0.125}}"#
        );
        assert!(after.per_event_since(&before, 0).is_empty());
    }
}
