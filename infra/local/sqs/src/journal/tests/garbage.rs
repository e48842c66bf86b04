//! The journal does not grow without bound, and loses nothing while it is rewritten.

use super::*;

/// Copies the folder as it is on disk under a running server: what a `kill -9` would leave.
fn snapshot_of(stand: &Stand) -> tempfile::TempDir {
    let copy = tempfile::TempDir::new().unwrap();
    fs::copy(stand.folder.path().join(JOURNAL_FILE), copy.path().join(JOURNAL_FILE)).unwrap();
    copy
}

#[tokio::test]
async fn a_journal_full_of_garbage_is_rewritten_while_messages_come_and_go() {
    let garbage_bytes = 200_000;
    let mut stand = Stand::with(Settings {
        garbage_bytes,
        ..Settings::default()
    })
    .await;
    stand.queue("q", &[]).await;
    stand.send("q", &["stays"]).await;
    assert_eq!(stand.bodies("q", 43_200).await, ["stays"]);
    let filler = "x".repeat(2_000);
    let mut rounds = 0;
    // 30 MB go through; a file that is never rewritten would keep them all.
    while stand.sqs.journal_state().rewrites < 5 {
        let batch: Vec<Outgoing> = (0..100).map(|_| outgoing(&filler)).collect();
        stand.sqs.send_batch("q", batch).await.unwrap();
        for _ in 0..10 {
            let got = stand.sqs.receive("q", 10, 0, Some(43_200)).await.unwrap();
            let handles: Vec<_> = got.iter().map(|received| &received.receipt_handle).collect();
            assert_eq!(handles.len(), 10);
            assert!(
                stand
                    .sqs
                    .delete_batch("q", &handles)
                    .await
                    .unwrap()
                    .iter()
                    .all(Result::is_ok)
            );
        }
        rounds += 1;
        assert!(rounds < 2_000, "{:?}", stand.sqs.journal_state());
        if rounds % 10 == 0 {
            let copy = snapshot_of(&stand);
            let copied = Sqs::open(copy.path(), Settings::default(), stand.clock.now())
                .await
                .unwrap();
            assert_eq!(copied.counts("q").unwrap().in_flight, 1);
        }
    }
    let state = stand.sqs.journal_state();
    assert!(state.rewrite_error.is_none(), "{state:?}");
    stand.reopen().await;
    stand.go_to(T0 + 43_200_000);
    let got = stand.sqs.receive("q", 10, 0, None).await.unwrap();
    assert_eq!((got.len(), &*got[0].body, got[0].receive_count), (1, "stays", 2));
}

#[tokio::test]
async fn an_opening_with_much_garbage_starts_with_a_rewrite_and_the_file_shrinks() {
    let mut stand = Stand::new().await;
    stand.queue("q", &[]).await;
    for _ in 0..10 {
        let filler = "x".repeat(10_000);
        stand
            .sqs
            .send_batch("q", (0..10).map(|_| outgoing(&filler)).collect())
            .await
            .unwrap();
        let got = stand.sqs.receive("q", 10, 0, None).await.unwrap();
        let handles: Vec<_> = got.iter().map(|received| &received.receipt_handle).collect();
        stand.sqs.delete_batch("q", &handles).await.unwrap();
    }
    stand.send("q", &["stays"]).await;
    stand.sqs.close().await;
    let settings = Settings {
        garbage_bytes: 10_000,
        ..Settings::default()
    };
    stand.sqs = Sqs::open(stand.folder.path(), settings, stand.clock.now())
        .await
        .unwrap();
    assert!(stand.sqs.journal_state().file_bytes > 1_000_000 || stand.sqs.journal_state().rewrites > 0);
    while stand.sqs.journal_state().rewrites == 0 {
        assert!(stand.sqs.journal_state().rewrite_error.is_none());
        stand.send("q", &["more"]).await;
    }
    stand.sqs.close().await;
    let file_bytes = fs::metadata(stand.folder.path().join(JOURNAL_FILE)).unwrap().len();
    let live_bytes = stand.sqs.journal_state().live_bytes;
    assert!(file_bytes < 2 * live_bytes + 100_000, "{file_bytes} for {live_bytes}");
}
