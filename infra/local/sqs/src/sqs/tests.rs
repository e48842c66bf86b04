//! The server as its callers see it: waiting receives, a stepped and a real clock, restarts.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::stand::{Stand, T0, outgoing};

/// Polls a future once, to have it wait where a test needs it to wait already.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_waiting_receive_wakes_for_a_message_that_is_sent() {
    let stand = Stand::new().await;
    stand.queue("q", &[]).await;
    let mut waiting = pin!(stand.sqs.receive("q", 10, 20_000, None));
    assert!(poll_once(waiting.as_mut()).is_pending());
    stand.send("q", &["a"]).await;
    assert_eq!(waiting.await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_message_goes_to_one_of_many_waiting_receives() {
    let stand = Stand::new().await;
    stand.queue("q", &[]).await;
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let sqs = stand.sqs.clone();
            tokio::spawn(async move { sqs.receive("q", 10, 20_000, Some(43_200)).await.unwrap().len() })
        })
        .collect();
    stand.send("q", &["a", "b", "c"]).await;
    stand.go_to(T0 + 20_000);
    let mut got = 0;
    for waiting in waiting {
        got += waiting.await.unwrap();
    }
    assert_eq!(got, 3);
}

#[tokio::test]
async fn a_waiting_receive_ends_when_its_time_is_over_on_the_stepped_clock() {
    let stand = Stand::new().await;
    stand.queue("q", &[]).await;
    let mut waiting = pin!(stand.sqs.receive("q", 10, 20_000, None));
    assert!(poll_once(waiting.as_mut()).is_pending());
    stand.go_to(T0 + 19_999);
    assert!(poll_once(waiting.as_mut()).is_pending());
    stand.go_to(T0 + 20_000);
    assert!(waiting.await.unwrap().is_empty());
}

#[tokio::test]
async fn stepping_to_the_next_deadline_brings_what_is_due_there_and_nothing_before() {
    let stand = Stand::new().await;
    stand.queue("dead", &[]).await;
    stand.queue_to("q", "dead", 1).await;
    assert_eq!(stand.sqs.next_deadline(), None);
    let delayed = Outgoing {
        delay_s: Some(5),
        ..outgoing("late")
    };
    stand.sqs.send_batch("q", vec![outgoing("now"), delayed]).await.unwrap();
    assert_eq!(stand.bodies("q", 3).await, ["now"]);
    assert_eq!(stand.sqs.next_deadline(), Some(T0 + 3_000));
    let mut waiting = pin!(stand.sqs.receive("q", 10, 20_000, Some(60)));
    assert!(poll_once(waiting.as_mut()).is_pending());
    // Received once of once: it does not come back, it moves, without a receive.
    stand.go_to(T0 + 3_000);
    assert_eq!(
        stand.sqs.counts("dead").unwrap(),
        Counts {
            visible: 1,
            ..Counts::default()
        }
    );
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert_eq!(stand.sqs.next_deadline(), Some(T0 + 5_000));
    stand.go_to(T0 + 5_000);
    assert_eq!(&*waiting.await.unwrap()[0].body, "late");
}

#[tokio::test]
async fn with_a_real_clock_delays_and_timeouts_end_by_themselves() {
    let folder = tempfile::TempDir::new().unwrap();
    let start = tokio::time::Instant::now();
    let now: NowMs = Arc::new(move || T0 + i64::try_from(start.elapsed().as_millis()).unwrap());
    let sqs = Sqs::open(folder.path(), Settings::default(), now).await.unwrap();
    sqs.create_queue("q", &BTreeMap::new()).await.unwrap();
    sqs.send_batch(
        "q",
        vec![Outgoing {
            delay_s: Some(1),
            ..outgoing("a")
        }],
    )
    .await
    .unwrap();
    let first = sqs.receive("q", 1, 20_000, Some(1)).await.unwrap();
    assert_eq!(first[0].receive_count, 1);
    let second = sqs.receive("q", 1, 20_000, None).await.unwrap();
    assert_eq!(second[0].receive_count, 2);
    let waited_ms = start.elapsed().as_millis();
    assert!((2_000..10_000).contains(&waited_ms), "{waited_ms} ms");
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_nothing_that_was_deleted() {
    let mut stand = Stand::new().await;
    stand.queue("dead", &[]).await;
    stand.queue_to("q", "dead", 2).await;
    let grouped = Outgoing {
        group: Some("ep_1".to_owned()),
        ..outgoing("grouped")
    };
    let delayed = Outgoing {
        delay_s: Some(60),
        ..outgoing("delayed")
    };
    stand
        .sqs
        .send_batch("q", vec![outgoing("deleted"), grouped, delayed])
        .await
        .unwrap();
    let received = stand.sqs.receive("q", 10, 0, Some(30)).await.unwrap();
    assert_eq!(received.len(), 2);
    let of = |body: &str| {
        received
            .iter()
            .find(|r| &*r.body == body)
            .unwrap()
            .receipt_handle
            .clone()
    };
    stand.sqs.delete_batch("q", &[of("deleted")]).await.unwrap()[0]
        .as_ref()
        .unwrap();

    stand.reopen().await;
    let expected = Counts {
        visible: 0,
        in_flight: 1,
        delayed: 1,
    };
    assert_eq!(
        stand.sqs.counts("q").unwrap(),
        expected,
        "in flight stays so until its timeout"
    );
    stand.go_to(T0 + 30_000);
    let again = stand.sqs.receive("q", 10, 0, Some(30)).await.unwrap();
    assert_eq!(
        (again.len(), again[0].receive_count, again[0].group.as_deref()),
        (1, 2, Some("ep_1"))
    );
    assert_eq!(again[0].first_received_at_ms, T0);

    stand.reopen().await;
    stand.go_to(T0 + 60_000);
    assert_eq!(
        stand.sqs.counts("dead").unwrap().visible,
        1,
        "counts do not restart with the process"
    );
    // A handle from before the restart still names its receive.
    assert_eq!(stand.bodies("q", 30).await, ["delayed"]);
}

#[tokio::test]
async fn a_handle_from_before_a_restart_deletes_its_message() {
    let mut stand = Stand::new().await;
    stand.queue("q", &[]).await;
    stand.send("q", &["a"]).await;
    let handle = stand
        .sqs
        .receive("q", 1, 0, None)
        .await
        .unwrap()
        .remove(0)
        .receipt_handle;
    stand.reopen().await;
    stand.sqs.delete_batch("q", &[handle]).await.unwrap()[0]
        .as_ref()
        .unwrap();
    assert_eq!(stand.sqs.counts("q").unwrap(), Counts::default());
}

#[tokio::test]
async fn a_handle_from_before_a_restart_is_stale_when_its_message_was_received_again() {
    let mut stand = Stand::new().await;
    stand.queue("q", &[]).await;
    stand.send("q", &["a"]).await;
    let handle = stand
        .sqs
        .receive("q", 1, 0, Some(0))
        .await
        .unwrap()
        .remove(0)
        .receipt_handle;
    stand.reopen().await;
    assert_eq!(stand.bodies("q", 30).await, ["a"]);
    stand.sqs.delete_batch("q", &[handle]).await.unwrap()[0]
        .as_ref()
        .unwrap();
    assert_eq!(stand.sqs.counts("q").unwrap().in_flight, 1);
}

#[tokio::test]
async fn a_closed_server_ends_its_waiting_receives_and_refuses_calls() {
    let stand = Stand::new().await;
    stand.queue("q", &[]).await;
    let mut waiting = pin!(stand.sqs.receive("q", 1, 20_000, None));
    assert!(poll_once(waiting.as_mut()).is_pending());
    stand.sqs.close().await;
    assert!(matches!(waiting.await, Err(SqsError::Closed)));
    assert!(matches!(
        stand.sqs.send_batch("q", vec![outgoing("a")]).await,
        Err(SqsError::Closed)
    ));
}

#[tokio::test]
async fn a_dropped_server_lets_go_of_its_folder() {
    let stand = Stand::new().await;
    let (folder, clock) = (stand.folder, stand.clock);
    drop(stand.sqs);
    // Its timer task may hold it for the length of one turn; it never awaits in it, so here it does not.
    Sqs::open(folder.path(), Settings::default(), clock.now())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_unknown_queue_is_an_error_everywhere() {
    let stand = Stand::new().await;
    assert!(matches!(stand.sqs.counts("x"), Err(SqsError::QueueDoesNotExist)));
    assert!(matches!(
        stand.sqs.receive("x", 1, 20_000, None).await,
        Err(SqsError::QueueDoesNotExist)
    ));
    assert!(matches!(
        stand.sqs.delete_batch("x", &["h"]).await,
        Err(SqsError::QueueDoesNotExist)
    ));
    assert!(matches!(
        stand.sqs.move_messages("x", None).await,
        Err(SqsError::QueueDoesNotExist)
    ));
}

#[tokio::test]
async fn a_move_task_of_more_than_one_turn_moves_everything() {
    let mut stand = Stand::new().await;
    stand.queue("dead", &[]).await;
    stand.queue_to("q", "dead", 1).await;
    let count = crate::limits::STEPS_A_TURN + 1_000;
    stand
        .sqs
        .send_batch("dead", (0..count).map(|n| outgoing(&n.to_string())).collect())
        .await
        .unwrap();
    assert_eq!(stand.sqs.move_messages("dead", Some("q")).await.unwrap(), count);
    stand.reopen().await;
    assert_eq!(stand.sqs.counts("dead").unwrap().visible, 0);
    assert_eq!(stand.sqs.counts("q").unwrap().visible, count);
}

#[tokio::test]
async fn what_the_last_process_was_working_on_is_given_back_and_what_waits_keeps_waiting() {
    let mut stand = Stand::new().await;
    stand.queue("q", &[]).await;
    stand.send("q", &["being worked on", "backing off"]).await;
    let received = stand.sqs.receive("q", 10, 0, None).await.unwrap();
    let waits = received
        .iter()
        .find(|received| &*received.body == "backing off")
        .unwrap();
    let changed = stand
        .sqs
        .change_visibility_batch("q", &[(&waits.receipt_handle, 600)])
        .await
        .unwrap();
    changed.into_iter().for_each(|changed| changed.unwrap());
    stand.reopen().await;
    assert!(stand.bodies("q", 5).await.is_empty());
    assert_eq!(stand.sqs.give_back(), 1);
    let again = stand.sqs.receive("q", 10, 0, None).await.unwrap();
    assert_eq!(
        again.iter().map(|r| (&*r.body, r.receive_count)).collect::<Vec<_>>(),
        [("being worked on", 2)]
    );
}
