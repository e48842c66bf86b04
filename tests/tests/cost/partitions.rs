//! What one tenant's events are written to, counted by partition: no single one may take what DynamoDB gives to one.

use std::collections::BTreeMap;

use redial_platform::keys;
use serde_json::{Value, json};

use crate::world::{Behaviour, World};

/// What a partition takes, in units a second: "Best practices for designing and using partition keys effectively" in the
/// DynamoDB developer guide.
const WRITES_A_SECOND: f64 = 1_000.0;
const READS_A_SECOND: f64 = 3_000.0;
/// What one tenant may post.
const EVENTS_A_SECOND: f64 = 5_000.0;
/// What is counted: enough for each of some dozen partitions to get its share.
const EVENTS: usize = 1_000;
const BATCH: usize = 100;

/// A write unit is a KB of an item. JSON says more than an item has: whoever is below is below.
fn units(item: &Value) -> f64 {
    item.to_string().len().div_ceil(1_024) as f64
}

/// Write units that each partition of the events table took for one event, of many of a tenant with one endpoint.
async fn written(shards: u16, own_ids: bool) -> BTreeMap<String, f64> {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world
        .call("PUT", "/v1/tenants/acme", json!({ "shards": shards }), 200)
        .await;
    for first in (0..EVENTS).step_by(BATCH) {
        let events = (first..first + BATCH).map(|n| {
            let mut event = json!({"type": "call.ended", "tenant": "acme", "data": {"n": n}});
            if own_ids {
                event["id"] = json!(format!("own_{n}"));
            }
            event
        });
        world.post(Value::Array(events.collect())).await;
        world.settle().await;
    }
    let (mut written, mut start) = (BTreeMap::<String, f64>::new(), Value::Null);
    loop {
        let mut scan = json!({"TableName": "EventsTable"});
        if !start.is_null() {
            scan["ExclusiveStartKey"] = start;
        }
        let page = world.in_table("Scan", &scan).await;
        for item in page["Items"].as_array().unwrap() {
            let partition = item["pk"]["S"].as_str().unwrap().to_owned();
            *written.entry(partition).or_default() += units(item) / EVENTS as f64;
        }
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return written;
        }
    }
}

/// The fullest partition at so many events a second, in write units.
fn fullest(written: &BTreeMap<String, f64>) -> (&str, f64) {
    let (partition, share) = written.iter().max_by(|one, other| one.1.total_cmp(other.1)).unwrap();
    (partition, share * EVENTS_A_SECOND)
}

#[tokio::test]
async fn a_tenant_with_five_thousand_events_a_second_fills_no_partition() {
    for own_ids in [false, true] {
        let counted = written(16, own_ids).await;
        let kinds = |kind: &str| counted.keys().filter(|partition| partition.starts_with(kind)).count();
        assert_eq!((kinds("e/acme/"), kinds("d/acme/")), (16, 16), "{counted:?}");
        assert_eq!(kinds("i/acme/"), if own_ids { EVENTS } else { 0 });
        let (partition, units) = fullest(&counted);
        assert!(units < WRITES_A_SECOND / 2.0, "{partition}: {units}");
    }
    // As a tenant begins, it would be too much: the sweeper doubles its shards before.
    let counted = written(4, false).await;
    let (partition, units) = fullest(&counted);
    assert!(units > WRITES_A_SECOND, "{partition}: {units}");
    // Each request reads the version of the configuration, strongly, from one of its copies.
    let reads = EVENTS_A_SECOND / f64::from(keys::VERSION_COPIES);
    assert!(reads < READS_A_SECOND / 2.0, "{reads}");
}
