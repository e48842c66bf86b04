//! What is due beside what cannot be read: one row, job or partition that fails never holds back another tenant's
//! deliveries.

use bytes::Bytes;
use redial_domain::retry::RetryPolicy;
use redial_local::connector::{Answer, Service, dynamodb_client};
use redial_local::dynamodb::Dynamo;
use redial_platform::store::Tables;
use redial_platform::{Random, Store, format, keys};
use redial_sweeper::{Parts, SweepError, Sweeper};
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World};

/// Rows of two pages and more of the sweeper's.
const CROWD: usize = 230;

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {}})
}

/// Puts a row into a partition of `by_due`, due before anything else.
async fn put_due(world: &World, partition: &str, sk: &str, more: Value) {
    let mut item = json!({"pk": {"S": "d/other/ep_1/0"}, "sk": {"S": sk}, "q": {"S": partition}, "qt": {"N": "1"}});
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let put = json!({"TableName": "EventsTable", "Item": item});
    world.in_table("PutItem", &put).await;
}

/// Posts events of each partition of `by_due` and has them set aside, due in a minute.
async fn set_aside(world: &World) -> (Endpoint, Vec<String>) {
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let mut ids = Vec::new();
    for partition in keys::due_partitions() {
        let in_it = (0..)
            .map(|n| format!("e{n}"))
            .find(|id| keys::due_partition(id) == partition);
        ids.extend(in_it);
    }
    for id in &ids {
        world.post(event(id)).await;
    }
    world.burn_receives().await;
    world.settle().await;
    world.pass_ms(61_000).await;
    (endpoint, ids)
}

#[tokio::test]
async fn rows_that_nobody_can_read_do_not_hold_back_what_is_due_after_them() {
    let world = World::new().await;
    let (endpoint, ids) = set_aside(&world).await;
    let newer = json!({ format::FIELD: {"N": (format::NEWEST + 1).to_string()} });
    for partition in keys::due_partitions() {
        put_due(&world, &partition, &format!("newer {partition}"), newer.clone()).await;
    }
    let crowded = keys::due_partition(&ids[0]);
    for n in 0..CROWD {
        put_due(&world, &crowded, &format!("damaged {n:03}"), json!({})).await;
    }
    world.numbers();
    let summary = world.sweep().await;
    assert_eq!(summary.sent, ids.len() as u64);
    let unreadable = (CROWD + keys::due_partitions().count()) as u64;
    assert_eq!(summary.faults, unreadable);
    assert_eq!(world.numbers()["FunctionFaults"], [unreadable]);
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), ids.len());
    // They stay as they are, and are told again.
    assert_eq!(world.sweep().await.faults, unreadable);
}

#[tokio::test]
async fn a_job_that_cannot_be_read_does_not_hold_back_what_is_due_after_it() {
    let world = World::new().await;
    let (endpoint, ids) = set_aside(&world).await;
    for (n, partition) in keys::due_partitions().enumerate() {
        let key =
            json!({"pk": {"S": "j/other"}, "sk": {"S": format!("rpl_01JD3ZK8Q00000000{n}")}, "j": {"S": "damaged"}});
        put_due(&world, &partition, "", key).await;
    }
    let summary = world.sweep().await;
    assert_eq!((summary.sent, summary.faults), (ids.len() as u64, ids.len() as u64));
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), ids.len());
}

/// Tables of which one partition of `by_due` does not answer.
struct WithoutOne {
    dynamo: Dynamo,
    partition: String,
}

impl Service for WithoutOne {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let request: Value = serde_json::from_slice(&body).unwrap();
        if request["ExpressionAttributeValues"][":q"]["S"] == *self.partition {
            return Answer::error(400, "AccessDeniedException", "not this one");
        }
        self.dynamo.answer(operation, body).await
    }
}

#[tokio::test]
async fn a_partition_that_does_not_answer_does_not_hold_back_the_others() {
    let world = World::new().await;
    let (endpoint, ids) = set_aside(&world).await;
    let (dynamo, queues, clock) = world.services();
    let partition = keys::due_partitions().next().unwrap();
    let tables = Tables {
        config: "ConfigTable".to_owned(),
        events: "EventsTable".to_owned(),
    };
    let sweeper = Sweeper::new(Parts {
        store: Store::new(dynamodb_client(WithoutOne { dynamo, partition }), tables),
        queues,
        clock,
        random: Random::seeded(8),
        default_retry: RetryPolicy::default(),
        metrics: redial_platform::metrics::Kept::default().metrics(),
    });
    let failed = sweeper.sweep().await;
    assert!(
        matches!(&failed, Err(SweepError::Store(error)) if !error.is_unreadable()),
        "{failed:?}"
    );
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), ids.len() - 1);
    // The next pass has it.
    assert_eq!(world.sweep().await.sent, 1);
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), ids.len());
}

/// Puts an item that nobody can read beside those of a partition.
async fn put_damaged(world: &World, table: &str, pk: &str, sk: &str, newer: bool) {
    let ttl = "4102444800";
    let mut item = json!({"pk": {"S": pk}, "sk": {"S": sk}, "j": {"S": "damaged"}, "ttl": {"N": ttl}});
    if newer {
        item[format::FIELD] = json!({"N": (format::NEWEST + 1).to_string()});
    }
    world
        .in_table("PutItem", &json!({"TableName": table, "Item": item}))
        .await;
}

/// The ids of a list, page by page, and how many items of it cannot be read.
async fn listed(world: &World, path: &str, id: &str) -> (Vec<String>, u64) {
    let (mut ids, mut unreadable, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = world.get(&format!("{path}?limit=2&cursor={cursor}")).await;
        let items = page["items"].as_array().unwrap();
        ids.extend(items.iter().map(|item| item[id].as_str().unwrap().to_owned()));
        unreadable += page["unreadable"].as_u64().unwrap_or_default();
        assert_ne!(page["unreadable"], 0, "absent: none");
        match page["next"].as_str() {
            None => return (ids, unreadable),
            Some(next) => cursor = next.to_owned(),
        }
    }
}

#[tokio::test]
async fn lists_pass_by_what_cannot_be_read_and_say_how_many() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    for (tenant, n) in [("bcme", 1), ("ccme", 2), ("dcme", 3)] {
        world
            .call("PUT", &format!("/v1/tenants/{tenant}"), json!({}), 201)
            .await;
        let own = json!({"schema": {"type": "object"}});
        let own_type = format!("/v1/tenants/acme/event-types/own.n{n}");
        world.call("PUT", &own_type, own, 201).await;
        let key = json!({"scope": "ingest", "name": tenant});
        world.call("POST", "/v1/keys", key, 201).await;
        world.post(event(&format!("e{n}"))).await;
        let job = json!({"event": format!("e{n}")});
        world.call("POST", "/v1/tenants/acme/replays", job, 202).await;
        let erased = format!("/v1/tenants/acme/events/e{n}");
        world.call("DELETE", &erased, Value::Null, 202).await;
    }
    world.settle().await;
    let lists = [
        ("/v1/tenants", "id", "ConfigTable", "tenants"),
        ("/v1/keys", "id", "ConfigTable", "keys"),
        ("/v1/tenants/acme/event-types", "name", "ConfigTable", "t/acme/types"),
        ("/v1/tenants/acme/replays", "id", "EventsTable", "j/acme"),
        ("/v1/tenants/acme/erasures", "id", "EventsTable", "x/acme"),
    ];
    for (path, id, table, pk) in lists {
        let (before, unreadable) = listed(&world, path, id).await;
        assert_eq!((unreadable, before.len() >= 3), (0, true), "{path}: {before:?}");
        // Before, between and after the others; `~` comes after every id.
        let between = before[1].trim_start_matches("own.").to_owned();
        for (n, sk) in ["0".to_owned(), format!("{between}0"), "z".to_owned()]
            .iter()
            .enumerate()
        {
            put_damaged(&world, table, pk, sk, n == 1).await;
        }
        assert_eq!(listed(&world, path, id).await, (before, 3), "{path}");
    }
    // What has a name is told as what it is: a fault, not an absence.
    world
        .call("GET", "/v1/tenants/acme/event-types/z", Value::Null, 500)
        .await;
}
