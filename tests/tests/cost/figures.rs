//! The sizes that costs are reckoned from, against those of the running code: items, messages, log lines, and how well calls
//! are packed.

use redial_local::billable::item_bytes;
use redial_local::billable::lines::Lines;
use redial_local::cost::{Counts, Workload};
use redial_platform::blob;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use super::counted::{post, warm};
use crate::world::World;

/// How far a size may be from what is reckoned with, in percent: ids and numbers have more or fewer digits.
const TOLERANCE_PERCENT: u64 = 5;
/// Events of a measurement: two batches of the dispatcher.
const EVENTS: u64 = 20;

/// Sizes that are not as committed, in sentences.
#[derive(Default)]
struct Off(Vec<String>);

impl Off {
    fn is_about(&mut self, what: &str, measured: u64, committed: u64) {
        if measured.abs_diff(committed) * 100 > committed * TOLERANCE_PERCENT {
            let told = format!("{what}: {measured} bytes; tests/data/cost.json reckons with {committed}");
            self.0.push(told);
        }
    }

    fn none(&self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

/// The items of the table whose partition key begins so.
async fn items(world: &World, begin: &str) -> Vec<Value> {
    let scan = json!({
        "TableName": "EventsTable",
        "FilterExpression": "begins_with(pk, :begin)",
        "ExpressionAttributeValues": {":begin": {"S": begin}},
    });
    let mut found = world.in_table("Scan", &scan).await;
    assert!(found["LastEvaluatedKey"].is_null());
    serde_json::from_value(found["Items"].take()).unwrap()
}

/// The mean of the sizes without the content.
fn mean(items: &[Value]) -> u64 {
    let bytes = items.iter().map(|item| {
        let binaries = item
            .as_object()
            .unwrap()
            .values()
            .filter_map(|value| value["B"].as_str());
        // The content is by far the longest.
        let content = binaries.map(|base64| base64.trim_end_matches('=').len() * 3 / 4).max();
        (item_bytes(item) - content.unwrap_or(0)) as u64
    });
    bytes.sum::<u64>() / items.len() as u64
}

async fn posted(workload: &Workload) -> World {
    let (world, _) = warm(workload).await;
    post(&world, workload, 0, EVENTS).await;
    world
}

#[tokio::test]
async fn items_and_messages_are_as_large_as_is_reckoned() {
    let (bytes, mut off) = (Counts::built_in().unwrap().bytes, Off::default());
    let one = posted(&Workload::default()).await;
    let bodies = one.bodies("DeliveryQueue").await;
    let sizes = bodies.iter().map(|body| {
        let message: Value = serde_json::from_str(body).unwrap();
        (body.len() - message["b"].as_str().unwrap().len()) as u64
    });
    off.is_about(
        "a message without its content",
        sizes.sum::<u64>() / bodies.len() as u64,
        bytes.message,
    );
    one.settle().await;
    let event = mean(&items(&one, "e/acme/").await);
    off.is_about(
        "an event's item without its content",
        event,
        bytes.event_item + bytes.event_endpoint,
    );
    off.is_about(
        "a delivery's row",
        mean(&items(&one, "d/acme/").await),
        bytes.delivery_item,
    );
    let three = posted(&Workload {
        fan_out: 3,
        ..Workload::default()
    })
    .await;
    let event = mean(&items(&three, "e/acme/").await);
    off.is_about(
        "the same with three endpoints",
        event,
        bytes.event_item + 3 * bytes.event_endpoint,
    );
    let own = posted(&Workload {
        own_ids: true,
        ..Workload::default()
    })
    .await;
    off.is_about("a time row", mean(&items(&own, "e/acme/").await), bytes.time_row);
    off.none();
}

#[tokio::test]
async fn log_lines_are_as_long_as_is_reckoned() {
    let (bytes, mut off) = (Counts::built_in().unwrap().bytes, Off::default());
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.layer());
    let _counting = tracing::subscriber::set_default(subscriber);
    let workload = Workload::default();
    let (world, _) = warm(&workload).await;
    // Whichever test met a place in the code first has decided whether anybody listens there.
    tracing::callsite::rebuild_interest_cache();
    let before = (lines.lines(), lines.bytes());
    post(&world, &workload, 0, EVENTS).await;
    let posted = (lines.lines(), lines.bytes());
    assert_eq!(posted.0 - before.0, EVENTS, "a request is one line: its metrics");
    off.is_about(
        "the log of a request",
        (posted.1 - before.1) / EVENTS,
        bytes.request_log,
    );
    world.settle().await;
    let batches = EVENTS / 10;
    assert_eq!(
        lines.lines() - posted.0,
        2 * batches,
        "a batch is two lines: its sums and its metrics"
    );
    off.is_about(
        "the log of a batch",
        (lines.bytes() - posted.1) / batches,
        bytes.batch_log,
    );
    off.none();
}

#[test]
fn calls_are_packed_as_well_as_is_reckoned() {
    let counts = Counts::built_in().unwrap();
    let calls = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/data/calls.jsonl")).unwrap();
    let packed: usize = calls
        .lines()
        .map(|line| blob::pack(line.as_bytes()).unwrap().len())
        .sum();
    let plain: usize = calls.lines().map(str::len).sum();
    assert_eq!((packed * 100).div_ceil(plain) as u64, counts.bytes.packed_percent);
}

#[test]
fn ten_contents_that_ride_as_they_are_are_one_unit() {
    // The rest of a message whose ids are all as long as they may be, with a trace.
    const REST_BYTES: usize = 600;
    let riding = (blob::MAX_PLAIN_BYTES + 5).div_ceil(3) * 4;
    assert!(10 * (REST_BYTES + riding) <= 64 * 1024, "{riding}");
}

#[test]
fn posted_events_are_packed_like_calls() {
    let counts = Counts::built_in().unwrap();
    for payload_bytes in [1000, 8000] {
        let workload = Workload {
            payload_bytes,
            ..Workload::default()
        };
        let event = super::counted::event(&workload, 17).to_string();
        assert_eq!(event.len() as u64, payload_bytes);
        let packed = blob::pack(event.as_bytes()).unwrap().len() as u64;
        let reckoned = counts.packed_bytes(payload_bytes);
        assert!(packed.abs_diff(reckoned) * 100 <= reckoned * 2, "{packed}, {reckoned}");
    }
}
