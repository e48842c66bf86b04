//! A real process, a real `kill -9`: what it acknowledged is there, what it deleted is not, and counts go on.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its stand too")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use redial_sqs::{NowMs, Outgoing, Settings, Sqs};

/// Names the folder to the child; without it the child's test has nothing to do.
const FOLDER: &str = "REDIAL_SQS_KILL_TEST_FOLDER";
const LINES: usize = 300;
const SENDERS: usize = 4;

fn clock() -> NowMs {
    Arc::new(|| 1_800_000_000_000)
}

async fn open(folder: &Path) -> Sqs {
    Sqs::open(folder, Settings::default(), clock()).await.unwrap()
}

/// Sends, receives and deletes as fast as it can, and prints each body once its fate is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let sqs = open(Path::new(&folder)).await;
    sqs.create_queue("q", &BTreeMap::new()).await.unwrap();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let sqs = sqs.clone();
        senders.spawn(async move {
            for n in 0.. {
                let body = format!("{sender}-{n}");
                let sent = sqs
                    .send_batch(
                        "q",
                        vec![Outgoing {
                            body: body.clone(),
                            ..Outgoing::default()
                        }],
                    )
                    .await
                    .unwrap();
                sent[0].as_ref().unwrap();
                say(&format!("sent {body}"));
                let got = sqs.receive("q", 1, 0, Some(43_200)).await.unwrap();
                for received in got {
                    if n % 3 == 0 {
                        // Kept: it must still be in flight after the kill.
                        say(&format!("received {}", received.body));
                        continue;
                    }
                    say(&format!("deleting {}", received.body));
                    sqs.delete_batch("q", &[received.receipt_handle]).await.unwrap()[0]
                        .as_ref()
                        .unwrap();
                    say(&format!("deleted {}", received.body));
                }
            }
        });
    }
    senders.join_next().await.unwrap().unwrap();
}

/// One write a line, so that the parent never reads half of one from two threads.
fn say(line: &str) {
    std::io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

#[tokio::test]
async fn a_killed_process_has_lost_nothing_that_it_acknowledged() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut said: Vec<String> = lines.by_ref().take(LINES).collect();
    assert_eq!(said.len(), LINES, "the child ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
    // What was still in the pipe was acknowledged too, except for a line cut by the kill.
    said.extend(lines);
    let with = |verb: &str| -> BTreeSet<String> {
        said.iter()
            .filter_map(|line| line.strip_prefix(verb))
            .map(|body| body.trim().to_owned())
            .collect()
    };
    let (sent, received) = (with("sent "), with("received "));
    let (deleting, deleted) = (with("deleting "), with("deleted "));
    assert!(sent.len() > 50 && received.len() > 10 && deleted.len() > 20, "{said:?}");

    let sqs = open(folder.path()).await;
    let counts = sqs.counts("q").unwrap();
    let in_flight = counts.in_flight;
    assert!(
        in_flight >= received.len(),
        "a receive that was answered is still in flight: {counts:?}"
    );
    sqs.close().await;
    // Twelve hours on, everything is visible.
    let later: NowMs = Arc::new(|| 1_800_000_000_000 + 43_200_000);
    let sqs = Sqs::open(folder.path(), Settings::default(), later).await.unwrap();
    let mut left = BTreeMap::new();
    loop {
        let got = sqs.receive("q", 10, 0, Some(43_200)).await.unwrap();
        if got.is_empty() {
            break;
        }
        for received in got {
            assert!(
                left.insert(received.body.to_string(), received.receive_count).is_none(),
                "doubled"
            );
        }
    }
    // A deletion that was under way when the process died may have happened or not.
    let lost: Vec<_> = sent
        .difference(&deleting)
        .filter(|body| !left.contains_key(*body))
        .collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let back: Vec<_> = deleted.iter().filter(|body| left.contains_key(*body)).collect();
    assert!(back.is_empty(), "deleted and back: {back:?}");
    assert!(
        received
            .iter()
            .filter_map(|body| left.get(body))
            .all(|count| *count == 2),
        "counts restarted"
    );
}
