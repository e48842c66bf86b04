//! What hostile answers cost in memory: measured in a process of its own, the receivers' memory included.

use std::process::Command;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::fixtures::{AMPLE, Setup};
use crate::receiver::{Connection, Receiver};

/// What a batch of hostile answers may add. `docs/SECURITY.md`, section 2.
const MAX_GROWTH_KIB: u64 = 16 * 1024;

async fn endless_body(mut connection: Connection) {
    connection
        .answer("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
        .await;
    while connection.send([b'a'; 65_536]).await {}
}

async fn endless_headers(mut connection: Connection) {
    connection.answer("HTTP/1.1 200 OK\r\n").await;
    while connection.send([b'a'; 65_536]).await {}
}

async fn endless_hints(mut connection: Connection) {
    connection.request().await;
    for _ in 0..100_000 {
        if !connection.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await {
            return;
        }
    }
}

/// The most memory that this process ever held.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn batch(setup: &Arc<Setup>, size: usize) {
    let mut posts = JoinSet::new();
    for number in 0..size {
        let receiver = match number % 3 {
            0 => Receiver::start(endless_body).await,
            1 => Receiver::start(endless_headers).await,
            _ => Receiver::start(endless_hints).await,
        };
        let setup = Arc::clone(setup);
        posts.spawn(async move { setup.post(&receiver.url(), AMPLE).await.outcome });
    }
    assert_eq!(posts.join_all().await.len(), size);
}

#[tokio::test]
#[ignore = "measures its whole process: run by hostile_answers_cost_little_memory"]
async fn in_a_process_of_its_own() {
    let setup = Arc::new(Setup::local());
    // Whatever is made once and kept.
    batch(&setup, 3).await;
    let before = peak_kib();
    for _ in 0..3 {
        batch(&setup, 12).await;
    }
    let growth = peak_kib() - before;
    assert!(growth < MAX_GROWTH_KIB, "{growth} KiB");
}

#[tokio::test]
async fn hostile_answers_cost_little_memory() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "memory::in_a_process_of_its_own", "--ignored"]);
    let output = tokio::task::spawn_blocking(move || child.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
