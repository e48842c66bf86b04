//! Operational events: what Redial tells the operator and tenants about endpoints and deliveries, and to whom it does not.

use redial_schema::Schemas;
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World};

const GONE: Behaviour = Behaviour::Always(410);
const FINE: Behaviour = Behaviour::Always(200);

/// What an endpoint got, as type and body.
fn told(world: &World, endpoint: &Endpoint) -> Vec<(String, Value)> {
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    let bodies = world.requests(endpoint).into_iter().map(|request| {
        request.verify(&endpoint.secret);
        read(&request.body)
    });
    let mut told: Vec<(String, Value)> = bodies
        .map(|body| (body["type"].as_str().unwrap().to_owned(), body))
        .collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    told
}

fn types(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(name, _)| name.as_str()).collect()
}

/// True if `data` is as the catalogue says of the type.
fn fits(name: &str, data: &Value) -> bool {
    let schema = Schemas::default().shipped(name).unwrap().unwrap();
    schema.misfits(data).is_ok_and(|misfits| misfits.is_empty())
}

async fn swept(world: &World) {
    world.run_to_the_end().await;
    world.sweep().await;
    world.run_to_the_end().await;
}

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"call_id": "c1"}})
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_to_the_operator_and_to_those_of_its_tenant_who_asked() {
    let world = World::new().await;
    let operator = world.endpoint("operator", FINE, json!({})).await;
    let gone = world.endpoint("acme", GONE, json!({})).await;
    let listens = json!({"event_types": ["endpoint.*", "delivery.dead"]});
    let listening = world.endpoint("acme", FINE, listens).await;
    let all = world.endpoint("acme", FINE, json!({})).await;
    let other = world
        .endpoint("other", FINE, json!({"event_types": ["endpoint.*"]}))
        .await;
    world.post(event("e1")).await;
    swept(&world).await;

    for listener in [&operator, &listening] {
        let told = told(&world, listener);
        assert_eq!(types(&told), ["delivery.dead", "endpoint.disabled"]);
        for (name, body) in &told {
            let data = &body["data"];
            assert!(fits(name, data), "{data}");
            assert_eq!((&data["tenant"], &data["endpoint"]), (&json!("acme"), &json!(gone.id)));
            assert_eq!(data["status"], 410);
            assert_eq!(body["related"]["endpoint"], json!(gone.id));
        }
        let dead = &told[0].1["data"];
        assert_eq!(
            (&dead["event"], &dead["event_type"], &dead["attempts"]),
            (&json!("e1"), &json!("call.ended"), &json!(1))
        );
        assert!(dead["reason"].as_str().unwrap().contains("410"));
    }
    // Who wants all events of its platform did not ask for ours; nor does another tenant hear of it; nor whom it is about.
    assert_eq!(types(&told(&world, &all)), ["call.ended"]);
    assert_eq!(world.requests(&other).len(), 0);
    assert_eq!(types(&told(&world, &gone)), ["call.ended"]);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_dead_letter_is_told_but_never_through_its_own_endpoint_and_never_about_what_was_told() {
    let world = World::new().await;
    let once = json!({"event_types": ["call.*", "delivery.*"], "retry": {"attempts": 1}});
    let a = world.endpoint("acme", Behaviour::Always(500), once.clone()).await;
    let b = world.endpoint("acme", Behaviour::Always(500), once).await;
    world.post(event("e1")).await;
    for _ in 0..4 {
        swept(&world).await;
        world.pass_ms(120_000).await;
    }
    // Each is told that the other's delivery of e1 died; that this died too is told to nobody.
    for (endpoint, other) in [(&a, &b), (&b, &a)] {
        let told = told(&world, endpoint);
        assert_eq!(types(&told), ["call.ended", "delivery.dead"]);
        assert_eq!(told[1].1["data"]["endpoint"], json!(other.id));
    }
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_nobody_listens_to_is_not_stored_and_the_operators_own_is_not_told() {
    let world = World::new().await;
    let own = world.endpoint("operator", GONE, json!({})).await;
    world.endpoint("acme", GONE, json!({})).await;
    world
        .post(json!({"type": "call.ended", "tenant": "operator", "id": "o1", "data": {}}))
        .await;
    swept(&world).await;
    let events = |tenant: &str| {
        let path = format!("/v1/tenants/{tenant}/events");
        let world = &world;
        async move { world.get(&path).await["items"].as_array().unwrap().len() }
    };
    assert_eq!(world.requests(&own).len(), 1);
    assert_eq!(events("operator").await, 1);
    let path = format!("/v1/tenants/operator/endpoints/{}", own.id);
    world.call("DELETE", &path, Value::Null, 204).await;
    // Longer than a function goes by an old copy of the configuration.
    world.pass_ms(60_000).await;
    world.post(event("e1")).await;
    swept(&world).await;
    // A change of health is an event of the operator's, whoever listens; the tenant itself has only its own.
    assert_eq!((events("operator").await, events("acme").await), (2, 1));
    world.forget_deleted().await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_delivery_whose_event_is_missing_is_told_like_any_that_died() {
    let world = World::new().await;
    let operator = world.endpoint("operator", FINE, json!({})).await;
    let endpoint = world.endpoint("acme", FINE, json!({})).await;
    world.post(event("e1")).await;
    // Set aside by the intake, and lost from the table before the sweeper sends it again.
    world.burn_receives().await;
    world.settle().await;
    assert_eq!(world.delivery("acme", "e1", &endpoint).await["state"], "held");
    let key = json!({"pk": {"S": "i/acme/e1"}, "sk": {"S": "event"}});
    world
        .in_table("DeleteItem", &json!({"TableName": "EventsTable", "Key": key}))
        .await;
    for _ in 0..2 {
        world.pass_ms(60_000).await;
        swept(&world).await;
    }
    let told = told(&world, &operator);
    assert_eq!(types(&told), ["delivery.dead"]);
    let data = &told[0].1["data"];
    assert!(fits("delivery.dead", data), "{data}");
    assert_eq!(
        (&data["event"], &data["endpoint"], &data["attempts"], &data["code"]),
        (&json!("e1"), &json!(endpoint.id), &json!(0), &json!("event_missing"))
    );
    assert_eq!(world.requests(&endpoint).len(), 0);
}

#[tokio::test]
async fn the_wait_of_an_operational_event_for_the_sweeper_is_no_latency() {
    let world = World::new().await;
    let operator = world.endpoint("operator", FINE, json!({})).await;
    world.endpoint("acme", GONE, json!({})).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    assert_eq!(world.numbers()["FirstAttemptLatency"].len(), 1);
    world.pass_ms(50_000).await;
    swept(&world).await;
    assert_eq!(world.requests(&operator).len(), 2);
    let numbers = world.numbers();
    assert_eq!(
        (
            numbers["Delivered"].iter().sum::<u64>(),
            numbers.get("FirstAttemptLatency")
        ),
        (2, None)
    );
}
