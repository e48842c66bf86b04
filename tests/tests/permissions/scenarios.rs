//! Everything that the functions do with AWS: every branch that asks it for something else than another one. Each scenario
//! asserts that what it is there for has happened, so that none passes by doing nothing.

use std::sync::Arc;

use redial_domain::{ReplayId, TenantId};
use redial_local::permissions::Gate;
use redial_platform::Random;
use redial_platform::message::ReplayMessage;
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World};

/// Numbers of 128 bits that nothing compresses: too long a text to ride in a message.
const LONG: usize = 3_000;
/// Events of one second that crowd a tenant's four shards.
const CROWD: usize = 1_700;

pub(super) async fn every_branch(gate: &Arc<Gate>) {
    // Boxed and parted: together they are more than a test's stack holds.
    Box::pin(of_every_day(gate)).await;
    Box::pin(of_ourselves(gate)).await;
}

async fn of_every_day(gate: &Arc<Gate>) {
    Box::pin(accepting(&World::behind(gate).await)).await;
    Box::pin(delivering(&World::behind(gate).await)).await;
    Box::pin(managing(&World::behind(gate).await)).await;
    Box::pin(looking(&World::behind(gate).await)).await;
    Box::pin(replaying(&World::behind(gate).await)).await;
    Box::pin(failing_replays(&World::behind(gate).await)).await;
}

async fn of_ourselves(gate: &Arc<Gate>) {
    Box::pin(sweeping(&World::behind(gate).await)).await;
    Box::pin(crowding(&World::behind(gate).await)).await;
    Box::pin(taking_in(&World::behind(gate).await)).await;
    Box::pin(super::pacing::pacing(&World::behind(gate).await)).await;
    Box::pin(super::probing::probing(&World::behind(gate).await)).await;
    Box::pin(super::erasing::erasing(&World::behind(gate).await)).await;
    Box::pin(super::rotating::rotating(&World::behind(gate).await)).await;
}

pub(super) fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"id": id}, "related": {"call_id": "c1"}})
}

pub(super) fn path(endpoint: &Endpoint, rest: &str) -> String {
    format!("/v1/tenants/acme/endpoints/{}{rest}", endpoint.id)
}

async fn accepting(world: &World) {
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let paused = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.call("POST", &path(&paused, "/pause"), Value::Null, 200).await;
    let key = json!({"scope": "ingest", "name": "platform"});
    let key = world.call("POST", "/v1/keys", key, 201).await;
    let key = key["key"].as_str().unwrap();
    let post = |body: Value| async move { world.request("POST", "/v1/events", Some(key), &body).await };
    assert_eq!(post(event("e1")).await.0, 202);
    world.pass_ms(60_000).await;
    // A repeat, which takes back its own time row; a batch with an id twice; ids that Redial mints.
    assert_eq!(post(event("e1")).await.1["deliveries"], 2);
    assert_eq!(
        post(json!([event("e2"), event("e2"), {"type": "call.ended", "tenant": "acme", "data": {}}]))
            .await
            .0,
        202
    );
    assert_eq!(
        post(json!({"type": "call.ended", "tenant": "nobody", "data": {}}))
            .await
            .0,
        422
    );
    // A type of the tenant's own: ingest reads its types.
    let own = json!({"type": "booking.made", "tenant": "acme", "data": {}});
    assert_eq!(post(own.clone()).await.0, 422);
    let types = "/v1/tenants/acme/event-types";
    world
        .call("PUT", &format!("{types}/booking.made"), json!({"schema": {}}), 201)
        .await;
    assert_eq!(post(own).await.0, 202);
    assert_eq!(
        world.get(&format!("{types}?origin=own")).await["items"][0]["name"],
        "booking.made"
    );
    assert_eq!(world.invoke_ingest(&event("e3").to_string()).await["deliveries"], 2);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 5);
    assert!(world.requests(&paused).is_empty());
}

async fn delivering(world: &World) {
    let works = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let recovers = world.endpoint("acme", Behaviour::FailFirst(2), json!({})).await;
    // Through every queue, to its end.
    let fails = world.endpoint("acme", Behaviour::Always(500), json!({})).await;
    let gone = world.endpoint("acme", Behaviour::Always(410), json!({})).await;
    let exchange = world.call("POST", &path(&works, "/test"), Value::Null, 200).await;
    assert_eq!(exchange["ok"], true);
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    for (endpoint, state) in [
        (&works, "succeeded"),
        (&recovers, "succeeded"),
        (&fails, "dead"),
        (&gone, "dead"),
    ] {
        assert_eq!(world.delivery("acme", "e1", endpoint).await["state"], state);
    }
    assert_eq!(world.get(&path(&gone, "")).await["state"], "disabled");
    for endpoint in [&fails, &recovers] {
        world.call("DELETE", &path(endpoint, ""), Value::Null, 204).await;
    }
    // The dispatcher's copy of the configuration is older than it goes by.
    world.pass_ms(60_000).await;
    // Too long to ride: read from the table.
    let random = Random::seeded(3);
    let noise: String = (0..LONG).map(|_| format!("{:032x}", random.number())).collect();
    let mut long = event("long");
    long["data"] = json!({ "noise": noise });
    world.post(long).await;
    // Accepted before it is paused: held by the dispatcher.
    world.post(event("e2")).await;
    world.call("POST", &path(&works, "/pause"), Value::Null, 200).await;
    world.run_to_the_end().await;
    assert_eq!(
        world.delivery("acme", "long", &works).await["reason"],
        "endpoint_paused"
    );
    world.call("POST", &path(&works, "/resume"), Value::Null, 200).await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&works).len(), 4);
    // Deleted before its turn comes; and a message that nobody can read.
    world.pass_ms(60_000).await;
    world.post(event("e3")).await;
    world.call("DELETE", &path(&works, ""), Value::Null, 204).await;
    world.send_raw("DeliveryQueue", "nonsense").await;
    world.settle().await;
    assert_eq!(world.delivery("acme", "e3", &works).await["state"], "canceled");
}

/// Every route that changes something.
async fn managing(world: &World) {
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world
        .call("PUT", "/v1/tenants/acme", json!({"name": "Acme"}), 200)
        .await;
    world
        .call("PATCH", &path(&endpoint, ""), json!({"description": "d"}), 200)
        .await;
    for state in ["/pause", "/resume", "/activate"] {
        world.call("POST", &path(&endpoint, state), Value::Null, 200).await;
    }
    for part in ["/health", "/backlog"] {
        world.get(&path(&endpoint, part)).await;
    }
    let none = json!({"action": "discard", "dry_run": true});
    world.call("POST", &path(&endpoint, "/backlog"), none, 202).await;
    for part in ["", "/counts", "?redriven=true"] {
        world.get(&format!("/v1/tenants/acme/dead-letters{part}")).await;
    }
    let before = world.get(&path(&endpoint, "/secret")).await;
    let after = world.call("POST", &path(&endpoint, "/rotate"), Value::Null, 200).await;
    assert_eq!(after["previous"]["secret"], before["secret"]);
    let key = world
        .call("POST", "/v1/keys", json!({"scope": "tenant:acme", "name": "k"}), 201)
        .await;
    let own = key["key"].as_str().unwrap();
    let (status, _) = world.request("GET", "/v1/tenants/acme", Some(own), &Value::Null).await;
    assert_eq!(status, 200);
    world
        .call(
            "DELETE",
            &format!("/v1/keys/{}", key["id"].as_str().unwrap()),
            Value::Null,
            204,
        )
        .await;
    world.call("DELETE", &path(&endpoint, ""), Value::Null, 204).await;
}

/// Every route that only reads, page by page.
async fn looking(world: &World) {
    // More than an environment lets a key ask without counting for all of them.
    for _ in 0..30 {
        world.get("/v1/tenants").await;
    }
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let fails = json!({"retry": {"attempts": 1}});
    world.endpoint("acme", Behaviour::Always(500), fails).await;
    world.call("PUT", "/v1/tenants/other", json!({}), 201).await;
    world
        .call("POST", "/v1/keys", json!({"scope": "ingest", "name": "k"}), 201)
        .await;
    for id in ["e1", "e2"] {
        world.post(event(id)).await;
    }
    world.run_to_the_end().await;
    for id in ["e3", "e4"] {
        world.post(event(id)).await;
    }
    for _ in 0..2 {
        world
            .call("POST", "/v1/tenants/acme/replays", json!({"event": "e1"}), 202)
            .await;
    }
    let endpoint = &endpoint.id;
    for list in [
        "/v1/event-types".to_owned(),
        "/v1/keys".to_owned(),
        "/v1/tenants".to_owned(),
        "/v1/tenants/acme/endpoints".to_owned(),
        "/v1/tenants/acme/events".to_owned(),
        "/v1/tenants/acme/events?type=call.ended".to_owned(),
        "/v1/tenants/acme/events?call=c1&order=asc&include=data".to_owned(),
        "/v1/tenants/acme/events/e1/timeline".to_owned(),
        "/v1/tenants/acme/calls/c1/events".to_owned(),
        "/v1/tenants/acme/calls/c1/timeline".to_owned(),
        "/v1/tenants/acme/deliveries".to_owned(),
        "/v1/tenants/acme/deliveries?state=queued".to_owned(),
        "/v1/tenants/acme/deliveries?state=dead".to_owned(),
        "/v1/tenants/acme/deliveries?state=succeeded".to_owned(),
        format!("/v1/tenants/acme/deliveries?endpoint={endpoint}"),
        "/v1/tenants/acme/replays".to_owned(),
    ] {
        let join = if list.contains('?') { '&' } else { '?' };
        let first = world.get(&format!("{list}{join}limit=1")).await;
        let next = first["next"]
            .as_str()
            .unwrap_or_else(|| panic!("{list} has one page: {first}"));
        let second = world.get(&format!("{list}{join}limit=1&cursor={next}")).await;
        assert_ne!(first["items"], second["items"], "{list}");
    }
    let replays = world.get("/v1/tenants/acme/replays").await;
    for one in [
        "/v1".to_owned(),
        "/v1/openapi.json".to_owned(),
        "/v1/tenants/acme".to_owned(),
        format!("/v1/tenants/acme/endpoints/{endpoint}"),
        format!("/v1/tenants/acme/endpoints/{endpoint}/secret"),
        "/v1/tenants/acme/events/e1".to_owned(),
        "/v1/tenants/acme/events/e1/deliveries".to_owned(),
        format!("/v1/tenants/acme/deliveries/e1.{endpoint}"),
        format!(
            "/v1/tenants/acme/replays/{}",
            replays["items"][0]["id"].as_str().unwrap()
        ),
    ] {
        world.get(&one).await;
    }
}

/// Asks for a replay, has it done and answers it.
async fn replayed(world: &World, spec: Value) -> Value {
    let job = world.call("POST", "/v1/tenants/acme/replays", spec, 202).await;
    world.run_to_the_end().await;
    world
        .get(&format!("/v1/tenants/acme/replays/{}", job["id"].as_str().unwrap()))
        .await
}

async fn replaying(world: &World) {
    let works = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let fails = world
        .endpoint("acme", Behaviour::Always(500), json!({"retry": {"attempts": 1}}))
        .await;
    let since = world.now();
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    let until = world.now_after(1_000).await;
    let range = |endpoint: &Endpoint, state: &str| json!({"endpoint": endpoint.id, "since": since, "until": until, "state": state});
    for (spec, done) in [
        (json!({"event": "e1"}), 2),
        (json!({"delivery": format!("e1.{}", works.id)}), 1),
        (range(&works, "succeeded"), 1),
        (range(&fails, "dead"), 1),
    ] {
        let job = replayed(world, spec).await;
        assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(done)), "{job}");
    }
    // What was held, released, and canceled where the endpoint is gone.
    world.call("POST", &path(&works, "/pause"), Value::Null, 200).await;
    world.post(event("e2")).await;
    world.call("POST", &path(&works, "/resume"), Value::Null, 200).await;
    world.run_to_the_end().await;
    assert_eq!(world.delivery("acme", "e2", &works).await["state"], "succeeded");
    world.call("POST", &path(&works, "/pause"), Value::Null, 200).await;
    world.post(event("e3")).await;
    world.call("DELETE", &path(&works, ""), Value::Null, 204).await;
    world.run_to_the_end().await;
    assert_eq!(world.delivery("acme", "e3", &works).await["state"], "canceled");
    // Invoked by hand: asked for, looked at.
    let asked = json!({"tenant": "acme", "event": "e1"}).to_string();
    let job = world.invoke_replay(&asked).await;
    let look = json!({"tenant": "acme", "replay": job["id"]}).to_string();
    world.run_to_the_end().await;
    assert_eq!(world.invoke_replay(&look).await["state"], "done");
    let range = json!({"tenant": "acme", "endpoint": fails.id, "since": since, "until": until}).to_string();
    assert_eq!(
        world.invoke_replay(&range).await["total"],
        1,
        "what the replays made lies after it"
    );
}

/// A job that cannot be read comes again, later and later, and ends as a dead letter that stays.
async fn failing_replays(world: &World) {
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1")).await;
    let job = world
        .call("POST", "/v1/tenants/acme/replays", json!({"event": "e1"}), 202)
        .await;
    let key = json!({"pk": {"S": "j/acme"}, "sk": {"S": job["id"]}});
    let damage = json!({"TableName": "EventsTable", "Key": key, "UpdateExpression": "SET j = :j",
        "ExpressionAttributeValues": {":j": {"S": "damaged"}}});
    world.in_table("UpdateItem", &damage).await;
    world.settle().await;
    let comes_again = world.waiting_in("ReplayQueue");
    assert_eq!(comes_again, 1);
    world.pass_ms(60_000).await;
    assert_eq!(world.waiting_in("DeadLetterQueue"), 1);
}

async fn sweeping(world: &World) {
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let paused = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    // What a crash left unsent.
    world.post(event("e1")).await;
    world.purge("DeliveryQueue").await;
    world.call("POST", &path(&paused, "/pause"), Value::Null, 200).await;
    world.pass_ms(301_000).await;
    assert_eq!(world.sweep().await.repaired, 1);
    world.settle().await;
    // What is due: receives that burnt.
    world.post(event("e2")).await;
    world.burn_receives().await;
    world.settle().await;
    world.pass_ms(61_000).await;
    assert_eq!(world.sweep().await.sent, 1);
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), 2);
    // A job whose worker never came.
    world
        .call("POST", "/v1/tenants/acme/replays", json!({"event": "e1"}), 202)
        .await;
    world.purge("ReplayQueue").await;
    world.pass_ms(121_000).await;
    assert_eq!(world.sweep().await.continued, 1);
    world.settle().await;
    // What a release forgot.
    world.call("POST", &path(&paused, "/resume"), Value::Null, 200).await;
    world.settle().await;
    world.post(event("e3")).await;
    world.purge("DeliveryQueue").await;
    world.hold("acme", "e3", &paused).await;
    world.pass_ms(301_000).await;
    world.sweep().await;
    world.settle().await;
    assert_eq!(world.delivery("acme", "e3", &paused).await["state"], "succeeded");
    // Hours, calls and the ledger.
    world.pass_ms(2 * 3_600_000).await;
    assert!(world.sweep().await.hours > 0);
    assert_eq!(world.call_events("acme", "c1").await.len(), 3);
}

/// More events in a second than a tenant's shards take: they are doubled.
async fn crowding(world: &World) {
    world.call("PUT", "/v1/tenants/acme", json!({}), 201).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "data": {}}))
        .await;
    world.pass_ms(300_500).await;
    world.sweep().await;
    let one = json!({"type": "call.ended", "tenant": "acme", "data": {}});
    for _ in 0..4 {
        world.post(Value::Array(vec![one.clone(); CROWD / 4])).await;
    }
    world.pass_ms(299_500).await;
    world.sweep().await;
    world.pass_ms(1_000).await;
    world.sweep().await;
    assert_eq!(world.get("/v1/tenants/acme").await["shards"], 8);
}

/// Dead letters: of deliveries, of replays, and what nobody can read.
async fn taking_in(world: &World) {
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1")).await;
    world.burn_receives().await;
    world.settle().await;
    let held = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!(
        (&held["state"], &held["reason"]),
        (&json!("held"), &json!("receives_burnt"))
    );
    world.post(event("e2")).await;
    world.burn_receives().await;
    world.call("DELETE", &path(&endpoint, ""), Value::Null, 204).await;
    world.pass_ms(20_000).await;
    assert_eq!(world.delivery("acme", "e2", &endpoint).await["state"], "canceled");
    let job = world
        .call("POST", "/v1/tenants/acme/replays", json!({"event": "e1"}), 202)
        .await;
    world.purge("ReplayQueue").await;
    // Continued for hours, without a worker.
    world.pass_ms(6 * 3_600_000).await;
    world.sweep().await;
    world.purge("ReplayQueue").await;
    world.pass_ms(301_000).await;
    let letter = ReplayMessage {
        tenant: TenantId::parse("acme").unwrap(),
        replay: ReplayId::parse(job["id"].as_str().unwrap()).unwrap(),
    };
    world
        .send_raw("DeadLetterQueue", &serde_json::to_string(&letter).unwrap())
        .await;
    world.send_raw("DeadLetterQueue", "nonsense").await;
    world.settle().await;
    let job = world
        .get(&format!("/v1/tenants/acme/replays/{}", job["id"].as_str().unwrap()))
        .await;
    assert_eq!(job["state"], "failed");
    assert_eq!(
        world.waiting_in("DeadLetterQueue"),
        1,
        "what nobody can read waits for a person"
    );
}
