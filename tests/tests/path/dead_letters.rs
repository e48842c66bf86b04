//! What becomes of deliveries that died, as their endpoint says: kept or only counted, and how long.

use redial_domain::delivery::DeliveryState;
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, Received, World, attempts_of};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"id": id}})
}

/// An endpoint whose receiver always fails.
async fn failing(world: &World, dead_letter: Value) -> Endpoint {
    let fields = json!({"retry": {"delays": [5]}, "dead_letter": dead_letter});
    world.endpoint("acme", Behaviour::Always(500), fields).await
}

async fn dead_ones(world: &World, endpoint: &Endpoint) -> Vec<Value> {
    let path = format!("/v1/tenants/acme/deliveries?state=dead&endpoint={}", endpoint.id);
    world.get(&path).await["items"].as_array().unwrap().clone()
}

/// Everything that expired is deleted, as DynamoDB does some day.
async fn expire(world: &World) -> u64 {
    let (dynamo, _, clock) = world.services();
    dynamo.sweep_ttl(clock.now()).await.unwrap()
}

#[tokio::test]
async fn a_dead_letter_that_is_not_kept_is_counted_and_in_no_list_of_dead_ones() {
    let world = World::new().await;
    let kept = failing(&world, json!({"keep": true})).await;
    let dropped = failing(&world, json!({"keep": false})).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;

    assert_eq!(dead_ones(&world, &kept).await.len(), 1);
    assert_eq!(dead_ones(&world, &dropped).await, Vec::<Value>::new());
    let of_tenant = world.get("/v1/tenants/acme/deliveries?state=dead").await;
    assert_eq!(of_tenant["items"].as_array().unwrap().len(), 1);

    // It can be looked at, and the ledger has both.
    let delivery = world.delivery("acme", "e1", &dropped).await;
    assert_eq!(
        (&delivery["state"], &delivery["reason"]),
        (&json!("dead"), &json!("attempts_exhausted"))
    );
    assert_eq!(attempts_of(&delivery).len(), 2);
    world.pass_ms(2 * HOUR_MS).await;
    let summary = world.sweep().await;
    assert_eq!(summary.ledger_difference, 0);
    let hour = world.hours("acme").await;
    assert_eq!((hour.matched, hour.of(DeliveryState::Dead)), (2, 2));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn no_replay_of_many_takes_what_is_not_kept_and_a_replay_of_one_does() {
    let world = World::new().await;
    let endpoint = failing(&world, json!({"keep": false})).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    world.behave(&endpoint, Behaviour::Always(200));
    world.post(event("e2")).await;
    world.run_to_the_end().await;
    world.pass_ms(1_000).await;
    let since = "2026-11-20T00:00:00Z";
    for (state, total) in [(json!("dead"), 0), (Value::Null, 1)] {
        let asked = json!({"endpoint": endpoint.id, "since": since, "state": state});
        let job = world.call("POST", "/v1/tenants/acme/replays", asked, 202).await;
        assert_eq!(job["total"], total, "{state}");
    }
    world.run_to_the_end().await;
    let ids = |requests: Vec<Received>| requests.into_iter().map(|request| request.id).collect::<Vec<_>>();
    assert_eq!(ids(world.requests(&endpoint)), ["e1", "e1", "e2", "e2"]);
    let before = world.requests(&endpoint).len();
    let one = world.delivery("acme", "e1", &endpoint).await["id"].clone();
    world
        .call("POST", "/v1/tenants/acme/replays", json!({"delivery": one}), 202)
        .await;
    world.run_to_the_end().await;
    let requests = world.requests(&endpoint);
    assert_eq!((requests.len(), requests[before].id.as_str()), (before + 1, "e1"));
}

#[tokio::test]
async fn a_dead_letter_is_kept_for_its_days_and_what_is_gone_is_not_sent_again() {
    let world = World::new().await;
    let endpoint = failing(&world, json!({"days": 3})).await;
    let whole = failing(&world, json!({})).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    let attempted = world.requests(&endpoint).len();

    // The last look of the sweeper at an event is two days after it: its dead deliveries are on record until then.
    for _ in 0..(3 * 24 - 1) {
        world.pass_ms(HOUR_MS).await;
        expire(&world).await;
        assert_eq!(dead_ones(&world, &endpoint).await.len(), 1);
        assert_eq!(world.sweep().await.repaired, 0);
    }
    world.pass_ms(2 * HOUR_MS).await;
    assert!(dead_ones(&world, &endpoint).await.is_empty());
    assert!(expire(&world).await >= 1);
    for _ in 0..3 {
        assert_eq!(world.sweep().await.repaired, 0);
        world.pass_ms(HOUR_MS).await;
    }
    assert_eq!(world.requests(&endpoint).len(), attempted);
    assert_eq!(dead_ones(&world, &whole).await.len(), 1, "as long as its event");
    let shown = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!(
        (&shown["state"], &shown["reason"]),
        (&json!("dead"), &json!("record_expired"))
    );
    let listed = world.get("/v1/tenants/acme/events/e1/deliveries").await;
    let states: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["state"])
        .collect();
    assert_eq!(states, ["dead", "dead"]);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_dead_letter_is_never_kept_longer_than_its_event() {
    let world = World::new().await;
    world
        .call("PUT", "/v1/tenants/acme", json!({"retention_days": 4}), 201)
        .await;
    let endpoint = failing(&world, json!({"days": 365})).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    world.pass_ms(4 * DAY_MS - 60_000).await;
    assert_eq!(dead_ones(&world, &endpoint).await.len(), 1);
    world.pass_ms(120_000).await;
    assert!(dead_ones(&world, &endpoint).await.is_empty());
    expire(&world).await;
    world.call("GET", "/v1/tenants/acme/events/e1", Value::Null, 404).await;
}

#[tokio::test]
async fn what_the_intake_finds_dead_is_kept_as_its_endpoint_says() {
    let world = World::new().await;
    let endpoint = failing(&world, json!({"keep": false, "days": 3})).await;
    world.post(event("e1")).await;
    world.settle().await;
    // One attempt was made; from now on one is all there is, and nobody works any more.
    let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
    world
        .call("PATCH", &path, json!({"retry": {"delays": null, "attempts": 1}}), 200)
        .await;
    world.burn_receives().await;
    world.settle().await;
    assert_eq!(world.dead_letters_seen(), 1);
    let delivery = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!(
        (&delivery["state"], &delivery["reason"]),
        (&json!("dead"), &json!("attempts_exhausted"))
    );
    assert!(dead_ones(&world, &endpoint).await.is_empty());
    world.pass_ms(3 * DAY_MS).await;
    assert!(expire(&world).await >= 1);
    world.nothing_is_left().await;
}
