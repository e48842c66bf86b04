//! `redial bench` as its users run it: processes of their own, which are gone afterwards, as are their folders.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const REDIAL: &str = env!("CARGO_BIN_EXE_redial");

fn bench(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(REDIAL);
    command.arg("bench").args(arguments).arg("--data").arg(data);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Everything that is in a folder.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The processes that this one, or one that it started, has started and that still run.
#[cfg(target_os = "linux")]
fn descendants(of: u32) -> BTreeSet<u32> {
    let parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
        // A process that ended and was not waited for runs no more.
        let lives = fields.next()? != "Z";
        fields.next()?.parse::<u32>().ok().filter(|_| lives)
    };
    let names = fs::read_dir("/proc").unwrap();
    let pids: Vec<u32> = names
        .filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let mut found = BTreeSet::from([of]);
    loop {
        let more: BTreeSet<u32> = pids
            .iter()
            .copied()
            .filter(|pid| !found.contains(pid) && parent(*pid).is_some_and(|parent| found.contains(&parent)))
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    found.remove(&of);
    found
}

#[test]
fn every_event_of_a_small_bench_arrives_once_and_nothing_is_left() {
    let data = tempfile::tempdir().unwrap();
    let arguments = [
        "--events",
        "200",
        "--endpoints",
        "2",
        "--failing",
        "1",
        "--batch",
        "7",
        "--connections",
        "4",
        "--warm-up",
        "20",
        "--verify",
        "1",
        "--own-ids",
        "--json",
    ];
    let done = bench(data.path(), &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    let run = &report["runs"][0];
    let count = |name: &str| run[name].as_u64().unwrap();
    assert_eq!(
        (count("posted"), count("accepted"), count("refused")),
        (200, 200, 0),
        "{run}"
    );
    assert_eq!(
        (count("delivered"), count("lost"), count("duplicates")),
        (400, 0, 0),
        "{run}"
    );
    // The failing endpoint's requests are no deliveries, but they are received; those of the warming up may come again.
    assert_eq!(
        count("requests_received"),
        400 + count("requests_failed_on_purpose") + count("requests_late"),
        "{run}"
    );
    // Every signature is checked, those of late retries of the warming up too.
    assert!(
        count("signatures_checked") >= 400 && count("signatures_wrong") == 0,
        "{run}"
    );
    assert_eq!(
        (
            run["latency_ms"]["count"].as_u64(),
            run["acknowledged_ms"]["count"].as_u64()
        ),
        (Some(400), Some(200))
    );
    assert!(run["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        assert!(run["cpu"]["serve"]["cpu_s"].as_f64().unwrap() > 0.0, "{run}");
        assert!(run["serve_peak_mib"].as_f64().unwrap() > 1.0, "{run}");
    }
    assert_eq!(entries(data.path()), Vec::<String>::new());
}

#[test]
fn a_server_that_cannot_start_is_told_and_nothing_is_left() {
    let data = tempfile::tempdir().unwrap();
    let program = data.path().join("no-such-program");
    let done = bench(data.path(), &["--program", program.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("`redial serve` cannot be started"), "{said}");
    assert_eq!(entries(data.path()), Vec::<String>::new());
}

/// A bench that would run for an hour, as soon as its server and receiver run.
#[cfg(target_os = "linux")]
fn under_way(data: &Path) -> (Child, BTreeSet<u32>) {
    let mut child = bench(data, &["--seconds", "3600"]).spawn().unwrap();
    let started = loop {
        let started = descendants(child.id());
        let receives = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("receive")
        };
        if started.iter().any(receives) {
            break started;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it has ended");
        std::thread::yield_now();
    };
    (child, started)
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_leaves_no_process_and_no_folder() {
    use rustix::process::{Pid, Signal, kill_process};
    let data = tempfile::tempdir().unwrap();
    let (mut child, started) = under_way(data.path());
    assert_eq!(started.len(), 2, "a server and a receiver");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(1));
    let mut said = String::new();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.for_each(|line| said.push_str(&line.unwrap()));
    assert!(
        said.contains("stopped; the processes and folders of the bench are gone"),
        "{said}"
    );
    for pid in started {
        let still = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        assert!(!still.contains("redial"), "{pid} is left: {still}");
    }
    assert_eq!(entries(data.path()), Vec::<String>::new());
}
