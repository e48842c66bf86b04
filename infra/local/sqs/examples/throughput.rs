//! Measures the server on this machine's disk: `cargo run --release -p redial-sqs --example throughput`.
//! Sends a backlog, then receives and deletes it, with one caller and with sixteen; prints messages a second.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::BTreeMap;
use std::sync::Arc;

use redial_sqs::{NowMs, Outgoing, Settings, Sqs};
use tokio::time::Instant;

const BACKLOG: usize = 100_000;
const GROUPS: usize = 50;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let folder = tempfile::tempdir_in(".")?;
    let start = Instant::now();
    let now: NowMs = Arc::new(move || i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX));
    for callers in [1, 16] {
        let sqs = Sqs::open(folder.path(), Settings::default(), Arc::clone(&now)).await?;
        sqs.create_queue("q", &BTreeMap::new()).await?;
        let before = Instant::now();
        run(callers, &sqs, send).await?;
        report("sent in batches of 10", callers, before, &sqs);
        let before = Instant::now();
        sqs.close().await;
        let sqs = Sqs::open(folder.path(), Settings::default(), Arc::clone(&now)).await?;
        report("closed and opened again", callers, before, &sqs);
        let before = Instant::now();
        run(callers, &sqs, drain).await?;
        report("received and deleted by 10", callers, before, &sqs);
        sqs.close().await;
    }
    Ok(())
}

fn report(what: &str, callers: usize, since: Instant, sqs: &Sqs) {
    let seconds = since.elapsed().as_secs_f64();
    let state = sqs.journal_state();
    println!(
        "{callers:>2} callers, {what}: {:.0} messages/s ({seconds:.2} s), {} syncs, {} rewrites, file {} KiB",
        BACKLOG as f64 / seconds,
        state.syncs,
        state.rewrites,
        state.file_bytes / 1024
    );
}

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn run<F>(callers: usize, sqs: &Sqs, work: impl Fn(Sqs, usize) -> F) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..callers {
        set.spawn(work(sqs.clone(), BACKLOG / callers / 10));
    }
    while let Some(done) = set.join_next().await {
        done??;
    }
    Ok(())
}

async fn send(sqs: Sqs, batches: usize) -> Outcome {
    for n in 0..batches {
        let message = |i: usize| Outgoing {
            body: "x".repeat(1_000),
            group: Some(format!("ep_{}", (n + i) % GROUPS)),
            ..Outgoing::default()
        };
        for sent in sqs.send_batch("q", (0..10).map(message).collect()).await? {
            sent?;
        }
    }
    Ok(())
}

async fn drain(sqs: Sqs, _batches: usize) -> Outcome {
    loop {
        let got = sqs.receive("q", 10, 0, None).await?;
        if got.is_empty() {
            return Ok(());
        }
        let handles: Vec<_> = got.iter().map(|received| &received.receipt_handle).collect();
        for deleted in sqs.delete_batch("q", &handles).await? {
            deleted?;
        }
    }
}
