//! Tests of the injected faults: each does to a call of the real SDK to the embedded services what its name says, and
//! nothing else; and a seed draws the same again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, SendMessageBatchRequestEntry};
use redial_domain::Timestamp;
use tempfile::TempDir;

use super::draw::{Dice, Kind};
use super::plan::Plan;
use super::*;
use crate::connector;
use crate::dynamodb::{Attribute, AttributeKind, Dynamo, Key, TableDescription};

const QUEUE: &str = "Work";
const TABLE: &str = "things";

/// Every call meets this fault, as far as it is possible for it.
fn always(kind: Kind) -> Faults {
    let dice = Dice {
        seed: 7,
        threshold: u64::MAX,
        kinds: vec![kind],
    };
    let clock = Clock::manual(Timestamp::from_millis(1_795_000_000_000));
    Faults {
        plan: Some(Arc::new(Plan::new(dice, clock))),
    }
}

struct Tables {
    dynamo: Dynamo,
}

impl Tables {
    async fn new() -> Self {
        let dynamo = Dynamo::memory().unwrap();
        let table = TableDescription {
            name: TABLE.into(),
            key: Key {
                partition: Attribute {
                    name: "pk".into(),
                    kind: AttributeKind::String,
                },
                sort: None,
            },
            indexes: Vec::new(),
            ttl_attribute: None,
        };
        dynamo.ensure(&table).await.unwrap();
        Self { dynamo }
    }

    fn client(&self, faults: Faults) -> aws_sdk_dynamodb::Client {
        connector::dynamodb_client(Faulty {
            service: self.dynamo.clone(),
            name: DYNAMODB,
            faults,
        })
    }

    async fn stored(&self) -> usize {
        let client = self.client(Faults::default());
        client.scan().table_name(TABLE).send().await.unwrap().items().len()
    }

    /// Writes an item while that goes wrong. Answers the error's code, if any, and how many items are stored then.
    async fn put(&self, kind: Kind) -> (Option<String>, usize) {
        let put = self.client(always(kind)).put_item().table_name(TABLE);
        let put = put.item("pk", AttributeValue::S("a".into())).send().await;
        let code = put.err().map(|error| match error.as_service_error() {
            Some(error) => error.code().unwrap_or("none").to_owned(),
            None => "broken".to_owned(),
        });
        (code, self.stored().await)
    }
}

#[tokio::test]
async fn a_call_that_fails_before_it_is_executed_changes_nothing() {
    for (kind, codes) in [
        (Kind::Internal, ["InternalServerError"].as_slice()),
        (Kind::Unavailable, &["ServiceUnavailableException"]),
        (
            Kind::Throttle,
            &["ProvisionedThroughputExceededException", "ThrottlingException"],
        ),
        (Kind::Reset, &["broken"]),
    ] {
        let (code, stored) = Tables::new().await.put(kind).await;
        assert!(
            code.as_deref().is_some_and(|code| codes.contains(&code)),
            "{kind:?}: {code:?}"
        );
        assert_eq!(stored, 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_was_executed() {
    let (code, stored) = Tables::new().await.put(Kind::LostAnswer).await;
    assert!(code.is_some());
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn a_delayed_call_is_executed_late() {
    let began = tokio::time::Instant::now();
    assert_eq!(Tables::new().await.put(Kind::Delay).await, (None, 1));
    assert!(began.elapsed() >= Duration::from_millis(5));
}

#[tokio::test]
async fn kinds_that_are_not_possible_for_a_call_leave_it_alone() {
    for kind in [
        Kind::Stall,
        Kind::Duplicate,
        Kind::Shuffle,
        Kind::Partial,
        Kind::ExpiredHandle,
    ] {
        assert_eq!(Tables::new().await.put(kind).await, (None, 1), "{kind:?}");
    }
}

fn item(number: usize) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), AttributeValue::S(format!("item {number}")))])
}

#[tokio::test]
async fn a_partial_batch_of_items_says_what_of_it_was_left_out() {
    let tables = Tables::new().await;
    let client = tables.client(always(Kind::Partial));
    let writes: Vec<WriteRequest> = (0..20)
        .map(|number| {
            let put = PutRequest::builder().set_item(Some(item(number))).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        })
        .collect();
    let answer = client
        .batch_write_item()
        .request_items(TABLE, writes)
        .send()
        .await
        .unwrap();
    let left = answer.unprocessed_items.unwrap()[TABLE].len();
    assert!((1..20).contains(&left));
    assert_eq!(tables.stored().await, 20 - left);

    let keys = KeysAndAttributes::builder().set_keys(Some((0..20).map(item).collect()));
    let keys = keys.consistent_read(true).build().unwrap();
    let answer = client.batch_get_item().request_items(TABLE, keys).send().await.unwrap();
    let left = &answer.unprocessed_keys.unwrap()[TABLE];
    assert!((1..=20).contains(&left.keys().len()));
    assert_eq!(left.consistent_read(), Some(true), "what else was asked is asked again");
    let got = answer
        .responses
        .unwrap_or_default()
        .remove(TABLE)
        .unwrap_or_default()
        .len();
    assert!(got + left.keys().len() <= 20);
}

#[tokio::test]
async fn a_batch_of_one_item_can_be_left_out_whole() {
    let tables = Tables::new().await;
    let put = PutRequest::builder().set_item(Some(item(1))).build().unwrap();
    let write = WriteRequest::builder().put_request(put).build();
    let call = tables.client(always(Kind::Partial)).batch_write_item();
    let answer = call.request_items(TABLE, vec![write]).send().await.unwrap();
    assert_eq!(answer.unprocessed_items.unwrap()[TABLE].len(), 1);
    assert_eq!(tables.stored().await, 0);
}

struct Queue {
    sqs: redial_sqs::Sqs,
    _folder: TempDir,
}

struct QueueService(redial_sqs::Sqs);

impl Service for QueueService {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let answer = self.0.call(operation, &body).await;
        Answer {
            status: answer.status,
            body: answer.body.into(),
            headers: answer
                .headers
                .into_iter()
                .filter(|(name, _)| *name != "content-type")
                .collect(),
        }
    }
}

impl Queue {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(|| 1_795_000_000_000);
        let sqs = redial_sqs::Sqs::open(folder.path(), redial_sqs::Settings::default(), now).await;
        let sqs = sqs.unwrap();
        sqs.create_queue(QUEUE, &BTreeMap::new()).await.unwrap();
        Self { sqs, _folder: folder }
    }

    fn client(&self, faults: Faults) -> aws_sdk_sqs::Client {
        connector::sqs_client(Faulty {
            service: QueueService(self.sqs.clone()),
            name: SQS,
            faults,
        })
    }

    fn url(&self) -> String {
        self.sqs.settings().url(QUEUE)
    }

    /// Sends ten messages; answers how many are reported as failed, or the error's code.
    async fn send(&self, faults: Faults) -> Result<usize, String> {
        let mut call = self.client(faults).send_message_batch().queue_url(self.url());
        for number in 0..10 {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body("x");
            call = call.entries(entry.build().unwrap());
        }
        match call.send().await {
            Ok(answer) => {
                assert_eq!(answer.successful.len() + answer.failed.len(), 10);
                assert!(answer.failed.iter().all(|failed| !failed.sender_fault));
                Ok(answer.failed.len())
            }
            Err(error) => Err(error
                .as_service_error()
                .and_then(|error| error.code())
                .unwrap_or("broken")
                .to_owned()),
        }
    }

    fn visible(&self) -> usize {
        self.sqs.counts(QUEUE).unwrap().visible
    }
}

#[tokio::test]
async fn a_partial_send_leaves_out_what_it_reports_as_failed_and_nothing_else() {
    let queue = Queue::new().await;
    let failed = queue.send(always(Kind::Partial)).await.unwrap();
    assert!((1..10).contains(&failed));
    assert_eq!(queue.visible(), 10 - failed);
}

#[tokio::test]
async fn a_throttled_send_sends_nothing_and_one_whose_answer_is_lost_sends_at_each_try() {
    let queue = Queue::new().await;
    assert_eq!(
        queue.send(always(Kind::Throttle)).await.unwrap_err(),
        "RequestThrottled"
    );
    assert_eq!(
        queue.send(always(Kind::Unavailable)).await.unwrap_err(),
        "ServiceUnavailable"
    );
    assert_eq!(queue.visible(), 0);
    assert!(queue.send(always(Kind::LostAnswer)).await.is_err());
    assert_eq!(queue.visible(), 30, "ten for each of the SDK's tries");
}

#[tokio::test]
async fn a_handle_that_is_taken_for_expired_keeps_its_timeout() {
    let queue = Queue::new().await;
    queue.send(Faults::default()).await.unwrap();
    let received = queue.sqs.receive(QUEUE, 10, 0, Some(60)).await.unwrap();
    let client = queue.client(always(Kind::ExpiredHandle));
    let mut call = client.change_message_visibility_batch().queue_url(queue.url());
    for (id, received) in received.iter().enumerate() {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(id.to_string())
            .receipt_handle(&received.receipt_handle)
            .visibility_timeout(0);
        call = call.entries(entry.build().unwrap());
    }
    let answer = call.send().await.unwrap();
    let refused = |failed: &aws_sdk_sqs::types::BatchResultErrorEntry| {
        failed.sender_fault && failed.code == "ReceiptHandleIsInvalid"
    };
    assert!(!answer.failed.is_empty() && answer.failed.iter().all(refused));
    assert_eq!(queue.visible(), 10 - answer.failed.len());
}

#[tokio::test]
async fn a_batch_is_handed_out_shuffled_or_twice_and_what_is_done_may_stay() {
    let queue = Queue::new().await;
    queue.send(Faults::default()).await.unwrap();
    let received = queue.sqs.receive(QUEUE, 10, 0, Some(60)).await.unwrap();
    let handles = |batch: &[Received]| -> Vec<String> { batch.iter().map(|it| it.receipt_handle.clone()).collect() };

    let mut shuffled = received.clone();
    assert!(always(Kind::Shuffle).handed_out(&mut shuffled).is_empty());
    assert_ne!(handles(&shuffled), handles(&received));
    let (mut sorted, mut all) = (handles(&shuffled), handles(&received));
    sorted.sort();
    all.sort();
    assert_eq!(sorted, all);

    let mut batch = received.clone();
    let twice = always(Kind::Duplicate).handed_out(&mut batch);
    assert_eq!(
        (handles(&batch), handles(&twice)),
        (handles(&received), handles(&received))
    );

    for kind in [Kind::ExpiredHandle, Kind::Partial, Kind::Internal, Kind::Reset] {
        assert!(always(kind).deleted(vec!["a", "b"]).is_empty(), "{kind:?}");
    }
    assert_eq!(always(Kind::Shuffle).deleted(vec!["a", "b"]), ["a", "b"]);
    assert!(Faults::default().handed_out(&mut batch).is_empty());
}

/// The kinds that the first calls of an operation meet.
fn drawn(seed: u64, rate: f64) -> Vec<Option<Kind>> {
    let plan = Plan::parse(&format!("seed={seed};rate={rate}"), Clock::System).unwrap();
    let draw = |_| {
        plan.draw(DYNAMODB, "PutItem", |kind| kind != Kind::Stall)
            .map(|fault| fault.kind)
    };
    (0..20_000).map(draw).collect()
}

#[test]
fn a_seed_draws_the_same_again_another_one_something_else_and_about_as_often_as_is_asked_for() {
    let first = drawn(7, 0.03);
    assert_eq!(first, drawn(7, 0.03));
    assert_ne!(first, drawn(8, 0.03));
    let faults = first.iter().flatten().count();
    // 600 are drawn, and some of them last.
    assert!((600..1_100).contains(&faults), "{faults}");
    assert!(
        Kind::ALL
            .into_iter()
            .all(|kind| kind == Kind::Stall || first.contains(&Some(kind)))
    );
    assert_eq!(drawn(7, 0.0).iter().flatten().count(), 0);
    let lasts = first
        .windows(6)
        .any(|calls| calls.iter().all(|call| *call == Some(Kind::Internal)));
    assert!(lasts, "some outage is longer than the SDK tries");
}

#[test]
fn faults_that_cannot_be_understood_are_refused() {
    for text in [
        "seed=1",
        "rate=0.1",
        "seed=x;rate=0.1",
        "seed=1;rate=2",
        "seed=1;rate=0.1;kinds=501",
        "seed=1;rate=0.1;more=1",
        "nonsense",
    ] {
        assert!(Faults::parse(text, &Clock::System).is_err(), "{text}");
    }
    let none = Faults::parse("", &Clock::System).unwrap();
    assert!(none.plan.is_none());
}
