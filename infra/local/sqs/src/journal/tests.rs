//! The journal when things go wrong: full disks, torn tails, second processes, garbage; and how few syncs it needs.

mod garbage;

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use super::*;
use crate::error::SqsError;
use crate::message::Outgoing;
use crate::settings::Settings;
use crate::sqs::Sqs;
use crate::stand::{Clock, Stand, T0, outgoing};

/// A file on a disk with a limited number of free bytes, which fills up in the middle of a write, as disks do.
struct SmallDisk {
    file: File,
    free_bytes: Arc<AtomicU64>,
}

impl Medium for SmallDisk {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let free = self.free_bytes.load(Ordering::SeqCst) as usize;
        let fits = bytes.len().min(free);
        self.free_bytes.fetch_sub(fits as u64, Ordering::SeqCst);
        self.file.append(&bytes[..fits])?;
        if fits < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// A disk whose syncs fail once the switch is on.
struct BadSync {
    file: File,
    bad: Arc<AtomicBool>,
}

impl Medium for BadSync {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        if self.bad.load(Ordering::SeqCst) {
            Err(io::Error::other("bad sector"))
        } else {
            self.file.sync()
        }
    }
}

/// A disk whose syncs wait for the test to let them through.
struct GatedSync {
    file: File,
    started: mpsc::Sender<()>,
    gate: Mutex<mpsc::Receiver<()>>,
}

impl Medium for GatedSync {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.started.send(()).map_err(io::Error::other)?;
        self.gate.lock().unwrap().recv().map_err(io::Error::other)?;
        self.file.sync()
    }
}

fn is_unavailable<T>(result: &Result<T, SqsError>) -> bool {
    matches!(result, Err(SqsError::Unavailable(_)))
}

#[tokio::test]
async fn a_full_disk_fails_the_call_and_all_after_it_and_keeps_what_was_acknowledged() {
    let (folder, clock) = (tempfile::TempDir::new().unwrap(), Clock::new());
    let free_bytes = Arc::new(AtomicU64::new(20_000));
    let disk = Arc::clone(&free_bytes);
    let wrap = move |file| Arc::new(SmallDisk { file, free_bytes: disk }) as Arc<dyn Medium>;
    let sqs = Sqs::open_on(folder.path(), Settings::default(), clock.now(), wrap)
        .await
        .unwrap();
    sqs.create_queue("q", &Default::default()).await.unwrap();
    let receiver = sqs.clone();
    sqs.create_queue("other", &Default::default()).await.unwrap();
    let waiting = tokio::spawn(async move { receiver.receive("other", 1, 20_000, None).await });
    let mut acknowledged = 0;
    let failed = loop {
        let sent = sqs
            .send_batch("q", vec![outgoing(&format!("{acknowledged:0>1000}"))])
            .await;
        if sent.is_err() {
            break sent;
        }
        acknowledged += 1;
    };
    assert!(is_unavailable(&failed), "{failed:?}");
    assert!((15..20).contains(&acknowledged), "{acknowledged}");
    // The disk has room again, but the state is ahead of the journal: nothing more is taken.
    free_bytes.store(1_000_000, Ordering::SeqCst);
    assert!(matches!(*sqs.health().unwrap_err(), JournalError::Write(_)));
    assert!(matches!(*sqs.failed().await, JournalError::Write(_)));
    assert!(is_unavailable(&sqs.send_batch("q", vec![outgoing("x")]).await));
    assert!(is_unavailable(&sqs.receive("q", 1, 0, None).await));
    assert!(is_unavailable(&waiting.await.unwrap()));
    let answer = sqs.call("AmazonSQS.ListQueues", b"{}").await;
    assert_eq!(answer.status, 200, "the names are still known");
    let send = br#"{"QueueUrl":"http://sqs.local/000000000000/q","MessageBody":"x"}"#;
    let answer = sqs.call("AmazonSQS.SendMessage", send).await;
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .headers
            .contains(&("x-amzn-query-error", "InternalFailure;Receiver".to_owned()))
    );
    sqs.close().await;
    drop(sqs);

    let sqs = Sqs::open(folder.path(), Settings::default(), clock.now())
        .await
        .unwrap();
    assert_eq!(sqs.counts("q").unwrap().visible, acknowledged);
    assert!(sqs.torn_bytes() > 0, "the write that the full disk cut");
    sqs.send_batch("q", vec![outgoing("goes on")]).await.unwrap()[0]
        .as_ref()
        .unwrap();
}

#[tokio::test]
async fn a_failed_sync_fails_the_call_that_needed_it() {
    let (folder, clock) = (tempfile::TempDir::new().unwrap(), Clock::new());
    let bad = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&bad);
    let wrap = move |file| Arc::new(BadSync { file, bad: switch }) as Arc<dyn Medium>;
    let sqs = Sqs::open_on(folder.path(), Settings::default(), clock.now(), wrap)
        .await
        .unwrap();
    sqs.create_queue("q", &Default::default()).await.unwrap();
    sqs.health().unwrap();
    bad.store(true, Ordering::SeqCst);
    assert!(is_unavailable(&sqs.send_batch("q", vec![outgoing("a")]).await));
    assert!(matches!(*sqs.health().unwrap_err(), JournalError::Sync(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_together_share_one_sync_and_a_receive_waits_for_none() {
    let (folder, clock) = (tempfile::TempDir::new().unwrap(), Clock::new());
    let (started, starts) = mpsc::channel();
    let (open_gate, gate) = mpsc::channel();
    let wrap = move |file| {
        Arc::new(GatedSync {
            file,
            started,
            gate: Mutex::new(gate),
        }) as Arc<dyn Medium>
    };
    let sqs = Sqs::open_on(folder.path(), Settings::default(), clock.now(), wrap)
        .await
        .unwrap();
    open_gate.send(()).unwrap();
    sqs.create_queue("q", &Default::default()).await.unwrap();
    starts.recv().unwrap();
    let send = |body: String| {
        let sqs = sqs.clone();
        tokio::spawn(async move {
            sqs.send_batch("q", vec![outgoing(&body)])
                .await
                .unwrap()
                .remove(0)
                .unwrap()
        })
    };
    let first = send("first".to_owned());
    starts.recv().unwrap();
    // The writer is inside the first message's sync; these queue up behind it.
    let rest: Vec<_> = (0..50).map(|n| send(n.to_string())).collect();
    while sqs.counts("q").unwrap().visible < 51 {
        tokio::task::yield_now().await;
    }
    assert!(
        !first.is_finished() && rest.iter().all(|send| !send.is_finished()),
        "answered before it was on disk"
    );
    // What is not on disk yet is received all the same: its sender is told later, nothing else depends on that.
    let received = sqs.receive("q", 1, 0, None).await.unwrap();
    assert_eq!(&*received[0].body, "first");
    assert!(!first.is_finished());
    open_gate.send(()).unwrap();
    first.await.unwrap();
    starts.recv().unwrap();
    open_gate.send(()).unwrap();
    for send in rest {
        send.await.unwrap();
    }
    assert_eq!(
        sqs.journal_state().syncs,
        3,
        "the queue, the first message, the fifty together"
    );
    // No gate is open now: a receive that needed a sync would wait for ever.
    assert_eq!(sqs.receive("q", 10, 0, None).await.unwrap().len(), 10);
    open_gate.send(()).unwrap();
    sqs.close().await;
}

#[tokio::test]
async fn a_second_opening_of_the_folder_is_refused_clearly() {
    let stand = Stand::new().await;
    let second = Sqs::open(stand.folder.path(), Settings::default(), stand.clock.now())
        .await
        .unwrap_err();
    assert!(matches!(second, JournalError::Locked(_)));
    assert!(second.to_string().contains("in use by another process"), "{second}");
}

#[tokio::test]
async fn a_torn_tail_is_cut_at_any_byte_and_kept_aside() {
    let mut stand = Stand::new().await;
    stand.queue("q", &[]).await;
    stand.send("q", &["acknowledged"]).await;
    stand.sqs.close().await;
    let path = stand.folder.path().join(JOURNAL_FILE);
    let whole = fs::read(&path).unwrap();
    stand.reopen().await;
    stand.send("q", &["torn"]).await;
    stand.sqs.close().await;
    let longer = fs::read(&path).unwrap();
    let record = &longer[whole.len()..];
    for cut in 1..record.len() {
        fs::write(&path, [&whole[..], &record[..cut]].concat()).unwrap();
        stand.reopen().await;
        let visible = stand.sqs.counts("q").unwrap().visible;
        assert_eq!(visible, 1, "cut at {cut}");
        if stand.sqs.torn_bytes() > 0 {
            let torn = fs::read(stand.folder.path().join(TORN_FILE)).unwrap();
            assert_eq!(torn.len() as u64, stand.sqs.torn_bytes());
            assert!(record[..cut].ends_with(&torn));
        }
    }
    // Zero-filled pages are what a file system may leave behind after a power cut.
    stand.sqs.close().await;
    fs::write(&path, [&whole[..], &[0; 8192]].concat()).unwrap();
    stand.reopen().await;
    assert_eq!(
        (stand.sqs.counts("q").unwrap().visible, stand.sqs.torn_bytes()),
        (1, 8192)
    );
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_refused_and_left_as_it_is() {
    for content in [&b""[..], b"something else entirely, and long enough for a header"] {
        let (folder, clock) = (tempfile::TempDir::new().unwrap(), Clock::new());
        let path = folder.path().join(JOURNAL_FILE);
        fs::write(&path, content).unwrap();
        let refused = Sqs::open(folder.path(), Settings::default(), clock.now())
            .await
            .unwrap_err();
        assert!(matches!(refused, JournalError::NotAJournal(_)), "{refused:?}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_journal_of_another_format_is_refused() {
    let (folder, clock) = (tempfile::TempDir::new().unwrap(), Clock::new());
    let mut bytes = Vec::new();
    let began = crate::record::Record::Began {
        format: crate::record::FORMAT + 1,
        store_id: 1,
    };
    crate::record::encode(&began, &mut bytes).unwrap();
    fs::write(folder.path().join(JOURNAL_FILE), bytes).unwrap();
    let refused = Sqs::open(folder.path(), Settings::default(), clock.now())
        .await
        .unwrap_err();
    assert!(matches!(refused, JournalError::UnknownFormat(_)), "{refused:?}");
}

#[tokio::test]
async fn a_whole_record_of_a_newer_version_is_refused_and_not_cut() {
    let stand = Stand::new().await;
    stand.queue("q", &[]).await;
    stand.sqs.close().await;
    let path = stand.folder.path().join(JOURNAL_FILE);
    let mut bytes = fs::read(&path).unwrap();
    // A variant that no record has, in a frame with the right checksum.
    let payload = [0x7f_u8, 1, 2, 3];
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&4_u32.to_le_bytes());
    hasher.update(&payload);
    bytes.extend_from_slice(&4_u32.to_le_bytes());
    bytes.extend_from_slice(&hasher.finalize().to_le_bytes());
    bytes.extend_from_slice(&payload);
    fs::write(&path, &bytes).unwrap();
    let refused = Sqs::open(stand.folder.path(), Settings::default(), stand.clock.now())
        .await
        .unwrap_err();
    assert!(matches!(refused, JournalError::UnknownRecord(_)), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn what_a_crash_left_of_a_new_or_rewritten_journal_does_not_matter() {
    let mut stand = Stand::new().await;
    stand.queue("q", &[]).await;
    stand.send("q", &["a"]).await;
    stand.sqs.close().await;
    fs::write(stand.folder.path().join(REWRITE_FILE), b"half a snapshot").unwrap();
    stand.reopen().await;
    assert_eq!(stand.sqs.counts("q").unwrap().visible, 1);
    assert!(!stand.folder.path().join(REWRITE_FILE).exists());
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let stand = Stand::new().await;
    for name in [JOURNAL_FILE, LOCK_FILE] {
        let mode = fs::metadata(stand.folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
