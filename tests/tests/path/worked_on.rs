//! Dead letters that are redriven and discarded, and backlogs that are drained, kept and discarded, to their end.

use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World};

const LETTERS: &str = "/v1/tenants/acme/dead-letters";
const MINUTE_MS: i64 = 60_000;

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "agent": "agt_7", "data": {"id": id}})
}

fn path(endpoint: &Endpoint, rest: &str) -> String {
    format!("/v1/tenants/acme/endpoints/{}{rest}", endpoint.id)
}

async fn listed(world: &World, query: &str) -> Vec<String> {
    let page = world.get(&format!("{LETTERS}?{query}")).await;
    let id = |item: &Value| item["event"].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(id).collect()
}

/// An endpoint with two dead letters, which answers again.
async fn with_letters(world: &World) -> Endpoint {
    let fails = json!({"retry": {"attempts": 1}});
    let endpoint = world.endpoint("acme", Behaviour::Always(500), fails).await;
    for id in ["e1", "e2"] {
        world.post(event(id)).await;
        world.run_to_the_end().await;
    }
    world.behave(&endpoint, Behaviour::Always(200));
    assert_eq!(listed(world, "agent=agt_7").await, ["e2", "e1"]);
    // What is asked for ends at the time of asking, and both were accepted just now.
    world.pass_ms(1_000).await;
    endpoint
}

#[tokio::test]
async fn a_redriven_letter_is_delivered_and_leaves_the_list() {
    let world = World::new().await;
    let endpoint = with_letters(&world).await;
    let first = format!("e1.{}", endpoint.id);
    let job = world
        .call("POST", &format!("{LETTERS}/redrive"), json!({"delivery": first}), 202)
        .await;
    world.run_to_the_end().await;
    assert_eq!(
        world.requests(&endpoint).len(),
        3,
        "two failures, and the one delivered again"
    );
    assert_eq!(listed(&world, "").await, ["e2"]);
    assert_eq!(listed(&world, "redriven=true").await, ["e1"]);
    let redriven = world.get(&format!("{LETTERS}?redriven=true")).await;
    assert_eq!(redriven["items"][0]["redriven"], job["id"]);
    let before = world.get(&format!("/v1/tenants/acme/deliveries/{first}")).await;
    assert_eq!(before["state"], "dead", "what happened to it stays true");

    let rest = json!({"endpoint": endpoint.id, "reason": "attempts_exhausted"});
    let job = world
        .call("POST", &format!("{LETTERS}/redrive"), rest.clone(), 202)
        .await;
    assert_eq!(job["total"], 1, "what was redriven is not redriven again");
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 4);
    assert!(listed(&world, "").await.is_empty());
    let counts = world.get(&format!("{LETTERS}/counts")).await;
    assert_eq!(counts["count"], 0);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_discarded_letter_is_canceled_and_never_sent() {
    let world = World::new().await;
    let endpoint = with_letters(&world).await;
    let job = world
        .call(
            "POST",
            &format!("{LETTERS}/discard"),
            json!({"endpoint": endpoint.id}),
            202,
        )
        .await;
    assert_eq!(job["total"], 2);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 2);
    assert!(listed(&world, "").await.is_empty());
    let delivery = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!(
        (&delivery["state"], &delivery["reason"]),
        (&json!("canceled"), &json!("discarded"))
    );
    world.nothing_is_left().await;
}

/// A paused endpoint that holds two deliveries.
async fn with_backlog(world: &World) -> Endpoint {
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.call("POST", &path(&endpoint, "/pause"), Value::Null, 200).await;
    for id in ["e1", "e2"] {
        world.post(event(id)).await;
    }
    world.run_to_the_end().await;
    assert!(world.requests(&endpoint).is_empty());
    endpoint
}

#[tokio::test]
async fn a_kept_backlog_stays_while_new_events_arrive() {
    let world = World::new().await;
    let endpoint = with_backlog(&world).await;
    world.pass_ms(MINUTE_MS).await;
    world
        .call("POST", &path(&endpoint, "/resume"), json!({"backlog": "keep"}), 200)
        .await;
    world.pass_ms(1_000).await;
    world.post(event("e3")).await;
    for _ in 0..30 {
        world.pass_ms(MINUTE_MS).await;
        world.sweep().await;
    }
    assert_eq!(world.requests(&endpoint).len(), 1, "only the new one");
    let health = world.get(&path(&endpoint, "/health")).await;
    assert_eq!(
        (&health["state"], &health["held"]["count"]),
        (&json!("healthy"), &json!(2))
    );

    let drained = world
        .call("POST", &path(&endpoint, "/backlog"), json!({"action": "drain"}), 202)
        .await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 3);
    let id = drained["id"].as_str().unwrap();
    let job = world.get(&format!("/v1/tenants/acme/replays/{id}")).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(2)));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_discarded_backlog_is_never_sent() {
    let world = World::new().await;
    let endpoint = with_backlog(&world).await;
    let resumed = world
        .call("POST", &path(&endpoint, "/resume"), json!({"backlog": "discard"}), 200)
        .await;
    assert_eq!(resumed["backlog"]["held"]["count"], 2);
    world.run_to_the_end().await;
    for _ in 0..10 {
        world.pass_ms(MINUTE_MS).await;
        world.sweep().await;
    }
    assert!(world.requests(&endpoint).is_empty());
    let delivery = world.delivery("acme", "e2", &endpoint).await;
    assert_eq!(
        (&delivery["state"], &delivery["reason"]),
        (&json!("canceled"), &json!("discarded"))
    );
    world.nothing_is_left().await;
}
