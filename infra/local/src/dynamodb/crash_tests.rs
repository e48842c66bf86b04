//! What is left after the process was killed, or its disk was full: this test binary runs itself in a process that
//! stores items and says which ones were acknowledged.
#![cfg(unix)]

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use futures_util::future::join_all;
use tempfile::TempDir;

use super::StorageFailure;
use super::tests::{get, on_disk, put_new};

/// Tells the storing process its folder; without it, that test does nothing.
const FOLDER_VARIABLE: &str = "REDIAL_TEST_STORE_IN";

/// The test that stores, as libtest names it.
const STORING_TEST: &str = "dynamodb::crash_tests::stores_until_it_is_stopped";

/// Begins a line that names an acknowledged item.
const ACKNOWLEDGED: &str = "acknowledged ";

/// Begins a line that tells of the failure that ended the storing.
const FAILED: &str = "failed ";

/// Callers that store at the same time.
const CALLERS: usize = 16;

/// Acknowledged items after which the process is killed: enough for several checkpoints.
const KILLED_AFTER: usize = 3_000;

/// The largest file that the process with a full disk may write, in the 512-byte blocks of `ulimit`.
const FILE_LIMIT_BLOCKS: usize = 2_000;

#[test]
#[ignore = "the storing process of the other tests"]
fn stores_until_it_is_stopped() {
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(store(Path::new(&folder)));
}

/// Stores items from [`CALLERS`] callers and prints each acknowledged one, until a put fails.
async fn store(folder: &Path) {
    let (dynamo, client) = on_disk(folder).await;
    let callers = (0..CALLERS).map(|caller| {
        let client = client.clone();
        async move {
            for n in 0.. {
                let name = format!("item-{caller}-{n}");
                if put_new(&client, &name, "x".repeat(400)).await.is_err() {
                    return;
                }
                writeln!(std::io::stdout(), "{ACKNOWLEDGED}{name}").unwrap();
            }
        }
    });
    join_all(callers).await;
    writeln!(std::io::stdout(), "{FAILED}{}", dynamo.failure().await).unwrap();
}

/// Starts the storing process under `sh` after the given shell commands.
fn start(folder: &Path, before: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!(r#"{before} exec "$@""#))
        .arg("sh")
        .args([std::env::current_exe().unwrap().into_os_string()])
        .args(["--ignored", "--exact", STORING_TEST, "--nocapture"].map(OsString::from))
        .env(FOLDER_VARIABLE, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// What the process wrote until it ended.
#[derive(Default)]
struct Told {
    acknowledged: Vec<String>,
    failure: Option<String>,
}

fn listen(child: &mut Child, output: BufReader<ChildStdout>, kill_after: Option<usize>) -> (Told, ExitStatus) {
    let mut told = Told::default();
    for line in output.lines() {
        // libtest may write the test's name before the first line of output.
        let line = line.unwrap();
        if let Some((_, name)) = line.split_once(ACKNOWLEDGED) {
            told.acknowledged.push(name.to_owned());
        } else if let Some((_, failure)) = line.split_once(FAILED) {
            told.failure = Some(failure.to_owned());
        }
        if Some(told.acknowledged.len()) == kill_after {
            // SIGKILL. What it had printed by then is still read.
            child.kill().unwrap();
        }
    }
    (told, child.wait().unwrap())
}

async fn assert_all_there(folder: &Path, acknowledged: &[String]) {
    let (_dynamo, client) = on_disk(folder).await;
    for name in acknowledged {
        assert!(
            get(&client, name).await.is_some(),
            "{name} was acknowledged and is lost"
        );
    }
    put_new(&client, "after", "it still takes writes").await.unwrap();
}

#[tokio::test]
async fn every_acknowledged_put_is_there_after_kill_9() {
    let folder = TempDir::new().unwrap();
    let (mut child, output) = start(folder.path(), "");
    let (told, status) = listen(&mut child, output, Some(KILLED_AFTER));
    assert!(
        told.acknowledged.len() >= KILLED_AFTER,
        "only {} puts: {status}",
        told.acknowledged.len()
    );
    assert_eq!(status.code(), None, "it was killed, it did not end");
    assert_all_there(folder.path(), &told.acknowledged).await;
}

#[tokio::test]
async fn a_full_disk_fails_the_write_tells_why_and_loses_nothing() {
    let folder = TempDir::new().unwrap();
    // The signal is ignored so that a write beyond the limit fails, as on a full disk, instead of killing.
    let (mut child, output) = start(folder.path(), &format!("trap '' XFSZ; ulimit -f {FILE_LIMIT_BLOCKS};"));
    let (told, _) = listen(&mut child, output, None);
    assert!(
        told.acknowledged.len() > CALLERS,
        "the limit is reached later than by the tables"
    );
    let failure = told.failure.expect("the storing ended with a failure");
    let expected = StorageFailure::Operation {
        operation: "PutItem".into(),
        reason: String::new(),
    };
    assert!(failure.starts_with(&expected.to_string()), "{failure}");
    assert_all_there(folder.path(), &told.acknowledged).await;
}
