//! Replays that somebody asks for by invoking the function, with the JSON of infra/events; and that every file there is what
//! it says it is, so that none can rot.

use std::collections::BTreeSet;
use std::path::PathBuf;

use redial_domain::delivery::DeliveryState;
use redial_domain::event::{Posted, PostedEvent};
use redial_platform::store::replays::ReplaySpec;
use redial_replay::{Invoked, Wish};
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra/events")
}

fn file(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A file with other values in its members, as a person fills it in.
fn filled_in(name: &str, values: &Value) -> String {
    let mut event: Value = serde_json::from_str(&file(name)).unwrap();
    for (member, value) in values.as_object().unwrap() {
        assert!(event.get(member).is_some(), "{name} has no {member}");
        event[member] = value.clone();
    }
    event.to_string()
}

fn replay_of(name: &str) -> Wish {
    Invoked::parse(&file(name)).unwrap().wish
}

fn spec_of(name: &str) -> ReplaySpec {
    match replay_of(name) {
        Wish::Begin(asked) => asked.spec,
        other => panic!("a replay, not {other:?}"),
    }
}

fn state_of(name: &str) -> Option<DeliveryState> {
    match spec_of(name) {
        ReplaySpec::Range { state, .. } => state,
        other => panic!("a range, not {other:?}"),
    }
}

#[test]
fn every_test_event_is_what_its_name_says() {
    assert!(matches!(spec_of("replay-event.json"), ReplaySpec::Event(_)));
    assert!(matches!(spec_of("replay-delivery.json"), ReplaySpec::Delivery(_)));
    assert!(matches!(replay_of("replay-progress.json"), Wish::Look(_)));
    assert_eq!(state_of("replay-endpoint-dead.json"), Some(DeliveryState::Dead));
    assert_eq!(state_of("replay-endpoint-held.json"), Some(DeliveryState::Held));

    let one = file("ingest-event.json");
    let Posted::Single(text) = Posted::parse(one.as_bytes()).unwrap() else {
        panic!("a single event")
    };
    PostedEvent::parse(text).unwrap();
    let many = file("ingest-batch.json");
    let Posted::Batch(texts) = Posted::parse(many.as_bytes()).unwrap() else {
        panic!("a batch")
    };
    for text in texts {
        PostedEvent::parse(text).unwrap();
    }

    // The sweeper sweeps for whatever brings no records.
    let sweep: Value = serde_json::from_str(&file("sweep.json")).unwrap();
    assert_eq!((&sweep["source"], sweep.get("Records")), (&json!("aws.events"), None));

    let known = [
        "ingest-batch.json",
        "ingest-event.json",
        "replay-delivery.json",
        "replay-endpoint-dead.json",
        "replay-endpoint-held.json",
        "replay-event.json",
        "replay-progress.json",
        "sweep.json",
    ];
    let there = std::fs::read_dir(folder()).unwrap();
    let there: BTreeSet<String> = there
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, known.map(str::to_owned).into());
}

async fn dead_event(world: &World) -> Endpoint {
    let fields = json!({"retry": {"attempts": 1}});
    let endpoint = world.endpoint("acme", Behaviour::Always(500), fields).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {"n": 1}}))
        .await;
    world.run_to_the_end().await;
    assert_eq!(world.delivery("acme", "e1", &endpoint).await["state"], "dead");
    world.behave(&endpoint, Behaviour::Always(200));
    endpoint
}

#[tokio::test]
async fn an_invocation_replays_as_the_api_does_and_is_answered_alike() {
    let world = World::new().await;
    let since = world.now();
    let endpoint = dead_event(&world).await;
    let until = world.now_after(1_000).await;
    let wishes = [
        filled_in("replay-event.json", &json!({"event": "e1"})),
        filled_in(
            "replay-delivery.json",
            &json!({"delivery": format!("e1.{}", endpoint.id)}),
        ),
        filled_in(
            "replay-endpoint-dead.json",
            &json!({"endpoint": endpoint.id, "since": since, "until": until}),
        ),
    ];
    for (n, wish) in wishes.iter().enumerate() {
        let job = world.invoke_replay(wish).await;
        assert_eq!(
            (&job["state"], &job["total"], &job["done"]),
            (&json!("pending"), &json!(1), &json!(0)),
            "{wish}"
        );
        world.run_to_the_end().await;
        let told = world
            .get(&format!("/v1/tenants/acme/replays/{}", job["id"].as_str().unwrap()))
            .await;
        assert_eq!((&told["state"], &told["done"]), (&json!("done"), &json!(1)), "{wish}");
        let looked = world
            .invoke_replay(&filled_in("replay-progress.json", &json!({"replay": job["id"]})))
            .await;
        assert_eq!(looked, told);
        assert_eq!(world.requests(&endpoint).len(), n + 2);
    }
    let last = world.requests(&endpoint).pop().unwrap();
    assert_eq!(last.id, "e1");
    last.verify(&endpoint.secret);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_an_invocation_cannot_mean_is_answered_as_a_problem_and_starts_nothing() {
    let world = World::new().await;
    let endpoint = dead_event(&world).await;
    for (wish, status, code, field) in [
        (json!({"key1": "value1"}), 422, "field_missing", "tenant"),
        (json!({"tenant": "other", "event": "e1"}), 404, "not_found", "tenant"),
        (json!({"tenant": "acme", "event": "e2"}), 422, "not_found", "event"),
        (
            json!({"tenant": "acme", "replay": "rpl_none"}),
            404,
            "not_found",
            "replay",
        ),
        (
            json!({"tenant": "acme", "event": "e1", "all": true}),
            422,
            "field_unknown",
            "all",
        ),
        (
            json!({"Records": [{"eventSource": "aws:s3"}]}),
            422,
            "field_missing",
            "tenant",
        ),
    ] {
        let problem = world.invoke_replay(&wish.to_string()).await;
        assert_eq!(
            (&problem["status"], &problem["code"], &problem["field"]),
            (&json!(status), &json!(code), &json!(field)),
            "{wish}"
        );
    }
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 1);
    assert_eq!(world.get("/v1/tenants/acme/replays").await["items"], json!([]));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn an_invocation_of_ingest_that_stores_nothing_by_our_fault_fails_and_a_refused_one_is_answered() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let event = json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {"call_id": "c1"}});
    let key = json!({"pk": {"S": "t/acme"}, "sk": {"S": "tenant"}});
    let form = |update: &str, value: Value| {
        json!({"TableName": "ConfigTable", "Key": key, "UpdateExpression": update,
            "ExpressionAttributeValues": value})
    };
    let newer = form("SET fv = :fv", json!({":fv": {"N": "99"}}));
    world.in_table("UpdateItem", &newer).await;
    for payload in [event.to_string(), json!([event]).to_string()] {
        // Lambda tries an asynchronous invocation again. No word of what it was.
        assert_eq!(world.try_invoke_ingest(&payload).await, Err("internal".to_owned()));
    }
    let refused = world.try_invoke_ingest(r#"{"type": 7}"#).await.unwrap();
    assert_eq!(refused["status"], 422);

    let readable = form("SET fv = :fv", json!({":fv": {"N": "1"}}));
    world.in_table("UpdateItem", &readable).await;
    let taken = world.try_invoke_ingest(&event.to_string()).await.unwrap();
    assert_eq!(taken, json!({"id": "e1", "deliveries": 1}));
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 1);
    world.nothing_is_left().await;
}
