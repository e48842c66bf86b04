//! The ledger: it names exactly what is wrong, the sweeper repairs what can be repaired, and the metric shows the rest. Each
//! difference is planted in the tables.

use redial_domain::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};
use redial_platform::keys::{self, Key};
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const LEDGER: &str = "/v1/tenants/acme/ledger";

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"id": id, "call_id": "c1"}, "related": {"call_id": "c1"}})
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// All pages of the ledger: what was promised, the sum of the states, and the differences as kind and what it is about.
async fn ledger(world: &World, query: &str) -> (u64, u64, Vec<(String, String)>) {
    let (mut matched, mut sum, mut differences, mut cursor) = (0, 0, Vec::new(), String::new());
    loop {
        let page = world.get(&format!("{LEDGER}?{query}&cursor={cursor}")).await;
        matched += page["matched"].as_u64().unwrap();
        let states = page["states"].as_object().unwrap().values();
        sum += states.map(|number| number.as_u64().unwrap()).sum::<u64>();
        for found in page["differences"].as_array().unwrap() {
            for told in ["explanation", "repair"] {
                assert!(found[told].as_str().unwrap().ends_with('.'), "{found}");
            }
            let about = found["delivery"].as_str().or(found["replay"].as_str()).unwrap();
            differences.push((found["kind"].as_str().unwrap().to_owned(), about.to_owned()));
        }
        let Some(next) = page["next"].as_str() else {
            assert_eq!(page["reached"], page["until"]);
            return (matched, sum, differences);
        };
        next.clone_into(&mut cursor);
    }
}

fn wrong(kind: &str, event: &str, endpoint: &Endpoint) -> (String, String) {
    (kind.to_owned(), format!("{event}.{}", endpoint.id))
}

async fn difference_of(world: &World) -> u64 {
    world.sweep().await.ledger_difference
}

fn in_events(key: &Key) -> Value {
    json!({"TableName": "EventsTable", "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}})
}

async fn remove(world: &World, key: &Key) {
    world.in_table("DeleteItem", &in_events(key)).await;
}

async fn item(world: &World, key: &Key) -> Value {
    let found = world.in_table("GetItem", &in_events(key)).await;
    assert!(found["Item"].is_object(), "{key:?}");
    found["Item"].clone()
}

/// Copies an item to where it has no business.
async fn plant(world: &World, mut item: Value, key: &Key) {
    item["pk"] = json!({"S": key.pk});
    item["sk"] = json!({"S": key.sk});
    world
        .in_table("PutItem", &json!({"TableName": "EventsTable", "Item": item}))
        .await;
}

/// The keys of an event, of its time row, and of its first delivery to an endpoint.
async fn keys_of(world: &World, id: &str, endpoint: &Endpoint) -> [Key; 3] {
    let (tenant, id) = (tenant(), EventId::parse(id).unwrap());
    let stored = world
        .store()
        .event(&tenant, &id, Timestamp::default())
        .await
        .unwrap()
        .unwrap();
    let delivery = DeliveryId {
        event: id.clone(),
        endpoint: EndpointId::parse(&endpoint.id).unwrap(),
        replay: None,
    };
    [
        keys::event(&tenant, &id),
        keys::time_row(&tenant, stored.shard(), stored.accepted_at, &id),
        keys::delivery(&tenant, &delivery, stored.accepted_at, stored.shards),
    ]
}

/// A world with one endpoint that works and one event that it took.
async fn delivered() -> (World, Endpoint) {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    (world, endpoint)
}

#[tokio::test]
async fn a_healthy_world_has_no_difference_whatever_became_of_its_deliveries() {
    let world = World::new().await;
    let works = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let once = json!({"retry": {"attempts": 1}});
    let dies = world.endpoint("acme", Behaviour::Always(500), once).await;
    world
        .endpoint(
            "acme",
            Behaviour::Always(500),
            json!({"retry": {"attempts": 2, "delays": [7200]}}),
        )
        .await;
    let paused = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let gone = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let endpoint = |endpoint: &Endpoint, rest: &str| format!("/v1/tenants/acme/endpoints/{}{rest}", endpoint.id);
    world.call("POST", &endpoint(&paused, "/pause"), Value::Null, 200).await;
    assert_eq!(ledger(&world, "").await, (0, 0, vec![]));
    world.post(event("e1")).await;
    // Nothing has happened yet: all but what is held at once is queued.
    assert_eq!(ledger(&world, "").await, (5, 5, vec![]));
    world.call("DELETE", &endpoint(&gone, ""), Value::Null, 204).await;
    world.pass_ms(MINUTE_MS).await;
    world.post(event("e2")).await;
    world
        .call("DELETE", "/v1/tenants/acme/events/e2", Value::Null, 202)
        .await;
    world
        .call(
            "POST",
            "/v1/tenants/acme/replays",
            json!({"delivery": format!("e1.{}", dies.id)}),
            202,
        )
        .await;
    world.pass_ms(10 * MINUTE_MS).await;
    world.sweep().await;
    world.pass_ms(10 * MINUTE_MS).await;
    assert_eq!(ledger(&world, "").await, (9, 9, vec![]));
    let page = world.get(LEDGER).await;
    assert_eq!(page["replays"]["dead"], 1, "{page}");
    assert_eq!(
        (&page["states"]["held"], &page["states"]["retrying"]),
        (&json!(1), &json!(1)),
        "{page}"
    );
    let of_one = ledger(&world, &format!("endpoint={}", works.id)).await;
    assert_eq!(of_one, (2, 2, vec![]));
    world.pass_ms(HOUR_MS).await;
    assert_eq!(difference_of(&world).await, 0);
}

#[tokio::test]
async fn what_a_crash_left_unsent_is_named_until_the_sweeper_has_sent_it() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1")).await;
    world.purge("DeliveryQueue").await;
    world.pass_ms(4 * MINUTE_MS).await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![]));
    world.pass_ms(2 * MINUTE_MS).await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![wrong("unsent", "e1", &endpoint)]));
    assert_eq!(world.sweep().await.repaired, 1);
    world.run_to_the_end().await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![]));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_delivery_whose_record_is_gone_is_lost_after_six_hours_and_then_sent_again() {
    let (world, endpoint) = delivered().await;
    world.pass_ms(6 * MINUTE_MS).await;
    world.sweep().await;
    let [_, _, delivery] = keys_of(&world, "e1", &endpoint).await;
    remove(&world, &delivery).await;
    assert_eq!(ledger(&world, "").await.2, [wrong("unsent", "e1", &endpoint)]);
    world.pass_ms(8 * HOUR_MS).await;
    // Lost is in no state: that is the difference.
    assert_eq!(ledger(&world, "").await, (1, 0, vec![wrong("lost", "e1", &endpoint)]));
    world.numbers();
    assert_eq!(difference_of(&world).await, 1);
    assert_eq!(world.numbers()["LedgerDifference"], [1]);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 2);
    assert_eq!(ledger(&world, "").await, (1, 1, vec![]));
    world.pass_ms(HOUR_MS).await;
    assert_eq!(difference_of(&world).await, 0);
}

#[tokio::test]
async fn a_record_that_its_event_does_not_name_is_extra_and_in_the_metric() {
    let (world, endpoint) = delivered().await;
    let other = world
        .endpoint("acme", Behaviour::Always(200), json!({"event_types": ["call.started"]}))
        .await;
    let [_, _, delivery] = keys_of(&world, "e1", &endpoint).await;
    let [_, _, planted] = keys_of(&world, "e1", &other).await;
    plant(&world, item(&world, &delivery).await, &planted).await;
    assert_eq!(ledger(&world, "").await, (1, 2, vec![wrong("extra", "e1", &other)]));
    // Also for the sweeper, though that endpoint matched nothing in the hour; and for as long as it is there.
    world.pass_ms(HOUR_MS + 6 * MINUTE_MS).await;
    assert_eq!(difference_of(&world).await, 1);
    world.pass_ms(HOUR_MS).await;
    assert_eq!(difference_of(&world).await, 1);
    remove(&world, &planted).await;
    world.pass_ms(HOUR_MS).await;
    assert_eq!(difference_of(&world).await, 0);
}

#[tokio::test]
async fn a_missing_record_and_one_too_many_are_no_balance() {
    let (world, endpoint) = delivered().await;
    let [_, _, delivery] = keys_of(&world, "e1", &endpoint).await;
    let ghost = Key {
        pk: delivery.pk.clone(),
        sk: delivery.sk.replace("e1", "ghost"),
    };
    plant(&world, item(&world, &delivery).await, &ghost).await;
    remove(&world, &delivery).await;
    world.pass_ms(6 * MINUTE_MS).await;
    let mut found = ledger(&world, "").await.2;
    found.sort();
    assert_eq!(
        found,
        [wrong("orphan", "ghost", &endpoint), wrong("unsent", "e1", &endpoint)]
    );
    world.sweep().await;
    world.purge("DeliveryQueue").await;
    world.pass_ms(8 * HOUR_MS).await;
    assert_eq!(difference_of(&world).await, 2);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 2);
    world.pass_ms(HOUR_MS).await;
    assert_eq!(difference_of(&world).await, 1);
}

#[tokio::test]
async fn an_event_that_is_gone_leaves_an_orphan_and_one_without_its_row_is_unlisted() {
    let (world, endpoint) = delivered().await;
    world.post(event("e2")).await;
    world.run_to_the_end().await;
    let [first, row, _] = keys_of(&world, "e1", &endpoint).await;
    remove(&world, &first).await;
    remove(&world, &row).await;
    let [_, row, _] = keys_of(&world, "e2", &endpoint).await;
    remove(&world, &row).await;
    // For all that is known, the row of an event that was accepted just now is only seen late.
    assert_eq!(ledger(&world, "").await.2, [wrong("orphan", "e1", &endpoint)]);
    world.pass_ms(6 * MINUTE_MS).await;
    let found = [wrong("orphan", "e1", &endpoint), wrong("unlisted", "e2", &endpoint)];
    assert_eq!(ledger(&world, "").await, (1, 2, found.to_vec()));
    world.pass_ms(HOUR_MS).await;
    assert_eq!(difference_of(&world).await, 2);
}

#[tokio::test]
async fn the_row_of_an_event_that_was_never_stored_promises_nothing_and_is_removed() {
    let (world, endpoint) = delivered().await;
    let [stored, _, delivery] = keys_of(&world, "e1", &endpoint).await;
    remove(&world, &stored).await;
    remove(&world, &delivery).await;
    world.pass_ms(6 * MINUTE_MS).await;
    assert_eq!(
        ledger(&world, "").await,
        (0, 0, vec![wrong("unaccepted", "e1", &endpoint)])
    );
    assert_eq!(world.sweep().await.removed, 1);
    assert_eq!(ledger(&world, "").await, (0, 0, vec![]));
}

#[tokio::test]
async fn a_retry_whose_message_is_lost_is_stuck_and_made_an_hour_late() {
    let world = World::new().await;
    let retry = json!({"retry": {"attempts": 3, "delays": [600]}});
    let endpoint = world.endpoint("acme", Behaviour::FailFirst(1), retry).await;
    world.post(event("e1")).await;
    world.settle().await;
    for queue in ["DeliveryQueue", "RetryQueue"] {
        world.purge(queue).await;
    }
    world.pass_ms(20 * MINUTE_MS).await;
    assert_eq!(
        ledger(&world, "").await,
        (1, 1, vec![]),
        "it is late, and not yet by much"
    );
    world.pass_ms(10 * MINUTE_MS).await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![wrong("stuck", "e1", &endpoint)]));
    world.pass_ms(2 * HOUR_MS).await;
    assert_eq!(world.sweep().await.repaired, 1);
    assert_eq!(world.sweep().await.sent, 1);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 2);
    assert_eq!(ledger(&world, "").await, (1, 1, vec![]));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_is_due_and_not_sent_is_stuck_until_a_pass_sends_it() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1")).await;
    world.purge("DeliveryQueue").await;
    world.hold("acme", "e1", &endpoint).await;
    let [_, _, delivery] = keys_of(&world, "e1", &endpoint).await;
    let mut update = in_events(&delivery);
    update["UpdateExpression"] = json!("SET q = :q, qt = :qt");
    let due_at = Timestamp::parse(world.now().as_str().unwrap()).unwrap().as_millis();
    update["ExpressionAttributeValues"] =
        json!({":q": {"S": keys::due_partition("e1")}, ":qt": {"N": due_at.to_string()}});
    world.in_table("UpdateItem", &update).await;
    world.pass_ms(14 * MINUTE_MS).await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![]));
    world.pass_ms(2 * MINUTE_MS).await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![wrong("stuck", "e1", &endpoint)]));
    assert_eq!(world.sweep().await.sent, 1);
    // Sent, and lost again: it is looked at once more when its lease is over.
    world.purge("DeliveryQueue").await;
    world.pass_ms(31 * MINUTE_MS).await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![wrong("stuck", "e1", &endpoint)]));
    assert_eq!(world.sweep().await.sent, 1);
    world.run_to_the_end().await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![]));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_is_held_though_its_endpoint_takes_deliveries_is_forgotten() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1")).await;
    world.purge("DeliveryQueue").await;
    world.hold("acme", "e1", &endpoint).await;
    world.pass_ms(16 * MINUTE_MS).await;
    assert_eq!(
        ledger(&world, "").await,
        (1, 1, vec![wrong("forgotten", "e1", &endpoint)])
    );
    world.sweep().await;
    world.run_to_the_end().await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![]));
    assert_eq!(world.requests(&endpoint).len(), 1);
}

#[tokio::test]
async fn a_replay_that_nobody_works_on_is_named_until_the_sweeper_has_it_continued() {
    let (world, endpoint) = delivered().await;
    let job = world
        .call("POST", "/v1/tenants/acme/replays", json!({"event": "e1"}), 202)
        .await;
    world.purge("ReplayQueue").await;
    world.pass_ms(HOUR_MS).await;
    let stuck = ("job_stuck".to_owned(), job["id"].as_str().unwrap().to_owned());
    assert_eq!(ledger(&world, "").await, (1, 1, vec![stuck]));
    world.sweep().await;
    world.run_to_the_end().await;
    assert_eq!(ledger(&world, "").await, (1, 1, vec![]));
    assert_eq!(world.requests(&endpoint).len(), 2);
}

#[tokio::test]
async fn a_dead_letter_that_is_kept_no_longer_is_expired_and_no_difference() {
    let world = World::new().await;
    let fields = json!({"retry": {"attempts": 1}, "dead_letter": {"days": 3}});
    let endpoint = world.endpoint("acme", Behaviour::Always(500), fields).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    world.pass_ms(73 * HOUR_MS).await;
    let page = world.get(&format!("{LEDGER}?since=2026-11-20T00:00:00Z")).await;
    assert_eq!(
        (&page["matched"], &page["states"]["dead"], &page["expired"]),
        (&json!(1), &json!(1), &json!(1)),
        "{page}"
    );
    assert_eq!(page["differences"], json!([]));
    // For how long one was kept that is deleted now, nobody knows.
    world
        .call(
            "DELETE",
            &format!("/v1/tenants/acme/endpoints/{}", endpoint.id),
            Value::Null,
            204,
        )
        .await;
    assert_eq!(ledger(&world, "since=2026-11-20T00:00:00Z").await, (1, 1, vec![]));
}

#[tokio::test]
async fn pages_of_time_miss_nothing_and_count_nothing_twice() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let batch = |from: usize, to: usize| Value::Array((from..to).map(|n| event(&format!("e{n}"))).collect());
    // A thousand of one millisecond, and some before and after it.
    for (from, to) in [(0, 300), (300, 700), (700, 1_100), (1_100, 1_400)] {
        world.call("POST", "/v1/events", batch(from, to), 202).await;
        if to != 700 {
            world.pass_ms(1).await;
        }
    }
    world.run_to_the_end().await;
    let first = world.get(LEDGER).await;
    assert!(first["next"].is_string(), "{first}");
    assert_eq!(ledger(&world, "").await, (1_400, 1_400, vec![]));
    // A cursor is of its question only.
    let next = first["next"].as_str().unwrap();
    let elsewhere = format!("{LEDGER}?since=2026-11-20T00:00:00Z&cursor={next}");
    let problem = world.call("GET", &elsewhere, Value::Null, 400).await;
    assert_eq!(problem["code"], "cursor_invalid");
}

#[tokio::test]
async fn too_long_a_stretch_is_refused_and_one_of_nothing_is_even() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let long = format!("{LEDGER}?since=2026-01-01T00:00:00Z&until=2026-03-01T00:00:00Z");
    let problem = world.call("GET", &long, Value::Null, 400).await;
    assert_eq!(
        (&problem["code"], &problem["field"]),
        (&json!("range_too_long"), &json!("since"))
    );
    let moment = "since=2026-01-01T00:00:00Z&until=2026-01-01T00:00:00Z";
    assert_eq!(ledger(&world, moment).await, (0, 0, vec![]));
    for wrong in ["state=dead", "endpoint=a%20b", "since=yesterday"] {
        world.call("GET", &format!("{LEDGER}?{wrong}"), Value::Null, 400).await;
    }
}
