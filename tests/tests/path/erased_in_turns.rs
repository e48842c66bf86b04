//! Erasing more than one worker has the time for: each goes on where the one before it stopped, at once, and the request
//! that asks for it does not wait.

use bytes::Bytes;
use redial_domain::{ErasureId, TenantId};
use redial_local::connector::{Answer, Service, dynamodb_client};
use redial_local::dynamodb::Dynamo;
use redial_platform::message::ReplayMessage;
use redial_platform::store::Tables;
use redial_platform::{Clock, Random, Store, metrics};
use redial_replay::{Eraser, Replay};
use serde_json::{Value, json};

use super::erased::{CANARY, event, left};
use crate::world::{Behaviour, World};

/// How long one request to the tables takes, in milliseconds.
const SLOW_MS: i64 = 500;
/// Events of the call: more than one worker can erase, or look at again, before its time is over.
const EVENTS: u64 = 300;

/// Tables that take their time.
struct Slow {
    dynamo: Dynamo,
    clock: Clock,
}

impl Service for Slow {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        self.clock.advance_to(self.clock.now().plus_millis(SLOW_MS));
        self.dynamo.answer(operation, body).await
    }
}

fn slow(world: &World) -> Store {
    let (dynamo, _, clock) = world.services();
    let tables = Tables {
        config: "ConfigTable".to_owned(),
        events: "EventsTable".to_owned(),
    };
    Store::new(dynamodb_client(Slow { dynamo, clock }), tables)
}

/// Has slow workers go on until a look is over, each as soon as the sweeper passes; answers how many.
async fn worked(world: &World, id: &ErasureId, state: &str) -> u32 {
    let (_, queues, clock) = world.services();
    let random = Random::seeded(9);
    let replay = Replay::new(slow(world), queues, clock, random, metrics::Kept::default().metrics());
    let message = ReplayMessage {
        tenant: TenantId::parse("acme").unwrap(),
        replay: id.as_job(),
    };
    let body = serde_json::to_string(&message).unwrap();
    let event = json!({"Records": [{"messageId": "m", "body": body}]});
    for turns in 0..10 {
        if job(world, id).await["state"] == state {
            return turns;
        }
        assert_eq!(world.sweep().await.continued, 1, "nobody is kept away from it");
        world.purge("ReplayQueue").await;
        let answer = replay.handle(serde_json::from_value(event.clone()).unwrap()).await;
        assert_eq!(answer.batch_item_failures.len(), 0);
    }
    panic!("it is not done: {}", job(world, id).await);
}

/// The erasure, as stored.
async fn job(world: &World, id: &ErasureId) -> Value {
    let key = json!({"pk": {"S": "x/acme"}, "sk": {"S": id}});
    let stored = json!({"TableName": "EventsTable", "Key": key});
    let stored = world.in_table("GetItem", &stored).await;
    serde_json::from_str(stored["Item"]["j"]["S"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_call_of_more_events_than_one_worker_has_time_for_is_erased_in_turns() {
    let world = World::new().await;
    world.call("PUT", "/v1/tenants/acme", json!({}), 201).await;
    for n in 0..EVENTS {
        world.post(event(&format!("e{n}"), "call-77")).await;
        if n == EVENTS / 2 {
            // The sweeper notes half of them.
            world.pass_ms(301_000).await;
            world.sweep().await;
        }
    }
    let (_, queues, clock) = world.services();
    let eraser = Eraser {
        store: slow(&world),
        queues,
        clock: clock.clone(),
        random: Random::seeded(5),
    };
    let tenant = TenantId::parse("acme").unwrap();
    let config = world.store().tenant_config(&tenant).await.unwrap().unwrap();
    let began = clock.now();
    let erasure = eraser.erase_call(&config.tenant, "call-77", "operator").await.unwrap();
    let took_ms = clock.now().millis_since(began);
    // What was under way when the time was over, and saving how far it is.
    assert!(took_ms <= 5_000 + 10 * SLOW_MS, "the request took {took_ms} ms");
    let erasure = erasure.unwrap();
    assert!(!erasure.looked && !left(&world, CANARY).await.is_empty());

    let turns = worked(&world, &erasure.id, "settling").await;
    assert!(turns > 1, "it was too much for one");
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());
    clock.advance_to(clock.now().plus_millis(601_000));
    assert!(worked(&world, &erasure.id, "done").await > 1);
    let receipt = format!("/v1/tenants/acme/erasures/{}", erasure.id);
    let receipt = world.get(&receipt).await;
    assert_eq!(
        (&receipt["events"], &receipt["complete"]),
        (&json!(EVENTS), &json!(true)),
        "{receipt}"
    );
    assert_eq!(world.call_events("acme", "call-77").await.len(), 0);
}

#[tokio::test]
async fn a_call_that_does_not_exist_is_not_erased_however_long_that_takes_to_see() {
    let world = World::new().await;
    world.call("PUT", "/v1/tenants/acme", json!({}), 201).await;
    world.post(event("e1", "other")).await;
    let (_, queues, clock) = world.services();
    let eraser = Eraser {
        store: slow(&world),
        queues,
        clock,
        random: Random::seeded(5),
    };
    let tenant = TenantId::parse("acme").unwrap();
    let config = world.store().tenant_config(&tenant).await.unwrap().unwrap();
    let erasure = eraser.erase_call(&config.tenant, "call-77", "operator").await.unwrap();
    assert_eq!(erasure, None);
    assert_eq!(world.get("/v1/tenants/acme/erasures").await["items"], json!([]));
}

#[tokio::test]
async fn an_attempt_that_began_just_before_its_record_would_be_looked_at_may_still_leave() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1", "call-77")).await;
    let (_, _, clock) = world.services();
    let accepted_at = clock.now();
    // Nobody has recorded it; an attempt that began at four minutes may last another.
    clock.advance_to(accepted_at.plus_millis(299_000));
    let erased = world
        .call("DELETE", "/v1/tenants/acme/events/e1", Value::Null, 202)
        .await;
    assert_eq!(
        erased["may_still_leave"],
        json!([format!("e1.{}", endpoint.id)]),
        "{erased}"
    );
}
