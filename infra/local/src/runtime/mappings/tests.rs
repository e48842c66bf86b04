//! Tests of the mappings on the real queues: what is deleted, what comes again, and that nobody waits for a neighbour.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lambda_events::event::sqs::BatchItemFailure;
use futures_util::FutureExt as _;
use redial_domain::Timestamp;
use redial_sqs::{AttributeContent, Counts, MessageAttributes, Outgoing, Settings};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};

use super::*;

const QUEUE: &str = "Work";
const VISIBILITY_S: i64 = 60;

/// One queue in a folder, on a clock that a test moves.
struct Stand {
    sqs: Sqs,
    clock: Clock,
    _folder: TempDir,
}

impl Stand {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_795_000_000_000));
        let now = clock.clone();
        let now = Arc::new(move || now.now().as_millis());
        let sqs = Sqs::open(folder.path(), Settings::default(), now).await.unwrap();
        let attributes = BTreeMap::from([("VisibilityTimeout".to_owned(), VISIBILITY_S.to_string())]);
        sqs.create_queue(QUEUE, &attributes).await.unwrap();
        Self {
            sqs,
            clock,
            _folder: folder,
        }
    }

    async fn send(&self, bodies: &[&str]) {
        let outgoing = |body: &&str| Outgoing {
            body: (*body).to_owned(),
            group: Some("ep_1".to_owned()),
            attributes: MessageAttributes::from([(
                "kind".to_owned(),
                AttributeValue {
                    data_type: "String".to_owned(),
                    content: AttributeContent::Text("test".to_owned()),
                },
            )]),
            ..Outgoing::default()
        };
        let sent = self.sqs.send_batch(QUEUE, bodies.iter().map(outgoing).collect()).await;
        assert!(sent.unwrap().iter().all(Result::is_ok));
    }

    fn mapping(&self, source: EventSourceMapping, handler: Handler) -> Arc<Mapping> {
        self.faulty(source, handler, Faults::default())
    }

    fn faulty(&self, source: EventSourceMapping, handler: Handler, faults: Faults) -> Arc<Mapping> {
        Arc::new(Mapping::new(
            source,
            self.sqs.clone(),
            handler,
            self.clock.clone(),
            faults,
        ))
    }

    fn counts(&self) -> Counts {
        self.sqs.counts(QUEUE).unwrap()
    }

    fn pass_s(&self, seconds: i64) {
        self.clock.advance_to(self.clock.now().plus_millis(seconds * 1000));
        self.sqs.time_moved();
    }
}

fn source() -> EventSourceMapping {
    EventSourceMapping {
        function: "Worker".to_owned(),
        timeout: Duration::from_secs(60),
        queue: QUEUE.to_owned(),
        batch_size: 10,
        window: Duration::ZERO,
        maximum_concurrency: 2,
    }
}

fn failing(ids: impl IntoIterator<Item = String>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for id in ids {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        response.batch_item_failures.push(failure);
    }
    response
}

/// A function that keeps the batches it got and fails the messages with these bodies.
fn keeper(fails: &'static [&'static str]) -> (Handler, Arc<Mutex<Vec<SqsEvent>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let handler: Handler = Arc::new(move |event: SqsEvent| {
        keep.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        let failed = event
            .records
            .into_iter()
            .filter(|it| fails.contains(&it.body.as_deref().unwrap()));
        let response = failing(failed.map(|record| record.message_id.unwrap()));
        async move { response }.boxed()
    });
    (handler, kept)
}

#[tokio::test]
async fn a_record_is_what_lambda_hands_over() {
    let stand = Stand::new().await;
    stand.send(&["one"]).await;
    let (handler, kept) = keeper(&[]);
    assert_eq!(stand.mapping(source(), handler).step().await.unwrap(), 1);
    let kept = kept.lock().unwrap();
    let record = &kept[0].records[0];
    assert_eq!(record.body.as_deref(), Some("one"));
    assert_eq!(record.event_source.as_deref(), Some("aws:sqs"));
    assert_eq!(
        record.event_source_arn.as_deref(),
        Some("arn:aws:sqs:us-east-1:000000000000:Work")
    );
    assert_eq!(record.aws_region.as_deref(), Some("us-east-1"));
    assert_eq!(record.attributes["ApproximateReceiveCount"], "1");
    assert_eq!(record.attributes["SentTimestamp"], "1795000000000");
    assert_eq!(record.attributes["MessageGroupId"], "ep_1");
    assert_eq!(record.message_attributes["kind"].string_value.as_deref(), Some("test"));
    assert!(record.message_id.is_some() && record.receipt_handle.is_some() && record.md5_of_body.is_some());
}

#[tokio::test]
async fn what_is_reported_as_failed_comes_again_and_the_rest_is_deleted() {
    let stand = Stand::new().await;
    stand.send(&["good", "bad", "fine"]).await;
    let (handler, kept) = keeper(&["bad"]);
    let mapping = stand.mapping(source(), handler);
    assert_eq!(mapping.step().await.unwrap(), 3);
    assert_eq!((stand.counts().visible, stand.counts().in_flight), (0, 1));
    assert_eq!(mapping.step().await.unwrap(), 0, "its visibility timeout runs");
    stand.pass_s(VISIBILITY_S);
    assert_eq!(mapping.step().await.unwrap(), 1);
    let kept = kept.lock().unwrap();
    assert_eq!(kept[1].records[0].body.as_deref(), Some("bad"));
    assert_eq!(kept[1].records[0].attributes["ApproximateReceiveCount"], "2");
}

#[tokio::test]
async fn a_response_that_names_no_message_fails_the_whole_batch() {
    for id in ["", "another"] {
        let stand = Stand::new().await;
        stand.send(&["one", "two"]).await;
        let handler: Handler = Arc::new(move |_| async move { failing([id.to_owned()]) }.boxed());
        assert_eq!(stand.mapping(source(), handler).step().await.unwrap(), 2);
        assert_eq!(stand.counts().in_flight, 2, "{id:?}");
    }
}

#[tokio::test]
async fn a_panic_of_the_function_fails_its_batch_only() {
    let stand = Stand::new().await;
    stand.send(&["one", "two"]).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler: Handler = Arc::new(move |_| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            assert!(!first, "the first batch finds a bug");
            SqsBatchResponse::default()
        }
        .boxed()
    });
    let one_at_a_time = EventSourceMapping {
        batch_size: 1,
        ..source()
    };
    let mapping = stand.mapping(one_at_a_time, handler);
    assert_eq!(mapping.step().await.unwrap(), 1);
    assert_eq!(mapping.step().await.unwrap(), 1);
    assert_eq!((stand.counts().visible, stand.counts().in_flight), (0, 1));
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_cut_off_and_its_batch_comes_again() {
    let stand = Stand::new().await;
    stand.send(&["one"]).await;
    let handler: Handler = Arc::new(|_| std::future::pending().boxed());
    let impatient = EventSourceMapping {
        timeout: Duration::from_millis(20),
        ..source()
    };
    assert_eq!(stand.mapping(impatient, handler).step().await.unwrap(), 1);
    assert_eq!(stand.counts().in_flight, 1);
}

#[tokio::test]
async fn a_slow_batch_does_not_stop_the_others_and_no_more_run_than_allowed() {
    let stand = Stand::new().await;
    let bodies: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    stand.send(&bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let slow = Arc::new(Notify::new());
    let (reached, mut reports) = mpsc::unbounded_channel();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler: Handler = {
        let (slow, running, most) = (Arc::clone(&slow), Arc::clone(&running), Arc::clone(&most));
        Arc::new(move |event: SqsEvent| {
            let (slow, running, most) = (Arc::clone(&slow), Arc::clone(&running), Arc::clone(&most));
            let reached = reached.clone();
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let body = event.records[0].body.clone().unwrap();
                reached.send(body.clone()).unwrap();
                if body == "0" {
                    slow.notified().await;
                }
                running.fetch_sub(1, Ordering::SeqCst);
                SqsBatchResponse::default()
            }
            .boxed()
        })
    };
    let two_at_once = EventSourceMapping {
        batch_size: 1,
        ..source()
    };
    let mapping = stand.mapping(two_at_once, handler);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    mapping.start(&stopped, &mut tasks);
    let mut seen: Vec<String> = Vec::new();
    while seen.len() < 20 {
        seen.push(reports.recv().await.unwrap());
    }
    assert!(
        seen.contains(&"0".to_owned()),
        "the slow one has begun, and the nineteen others went past it"
    );
    assert_eq!(most.load(Ordering::SeqCst), 2);
    slow.notify_one();
    stop.send_replace(true);
    while tasks.join_next().await.is_some() {}
    mapping.idle().await;
    assert_eq!(mapping.busy(), 0);
    assert_eq!(stand.counts(), Counts::default());
}

#[tokio::test]
async fn a_window_fills_the_batch() {
    let stand = Stand::new().await;
    stand.send(&["one"]).await;
    let (handler, _) = keeper(&[]);
    let patient = EventSourceMapping {
        batch_size: 2,
        window: Duration::from_secs(3_600),
        ..source()
    };
    let mapping = stand.mapping(patient, handler);
    let waiting = tokio::spawn(async move { mapping.receive().await.unwrap().len() });
    // Only once the first message was taken does the mapping wait for a second one.
    while stand.counts().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    stand.send(&["two"]).await;
    assert_eq!(waiting.await.unwrap(), 2);
}

#[tokio::test]
async fn a_message_that_is_handed_out_twice_is_worked_on_twice_at_the_same_time() {
    let stand = Stand::new().await;
    stand.send(&["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    let (reached, mut reports) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let handler: Handler = {
        let go = Arc::clone(&go);
        Arc::new(move |event: SqsEvent| {
            let handles = event.records.into_iter().map(|record| record.receipt_handle.unwrap());
            reached.send(handles.collect::<HashSet<String>>()).unwrap();
            let go = Arc::clone(&go);
            async move {
                go.acquire().await.unwrap().forget();
                SqsBatchResponse::default()
            }
            .boxed()
        })
    };
    let faults = Faults::parse("seed=1;rate=0.5;kinds=duplicate", &stand.clock).unwrap();
    // Each receive that waits has room for a batch: by this clock it waits for ever.
    let roomy = EventSourceMapping {
        maximum_concurrency: RECEIVERS + 2,
        ..source()
    };
    let mapping = stand.faulty(roomy, handler, faults);
    let (_stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    mapping.start(&stopped, &mut tasks);
    // Neither goes on before both have begun.
    let (first, second) = (reports.recv().await.unwrap(), reports.recv().await.unwrap());
    assert_eq!(first.len().max(second.len()), 8);
    assert!(first.is_subset(&second) || second.is_subset(&first));
    go.add_permits(2);
    tasks.shutdown().await;
    mapping.idle().await;
    assert_eq!(stand.counts(), Counts::default());
}
