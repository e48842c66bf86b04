//! Replay jobs: what they find, how fast they send, that they stop and go on when they are told to, and what a crash leaves.

mod counted;
mod crashed;
mod discarded;
mod found;
mod paced;
mod quota;
mod told;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, EventId, ReplayId, TenantId};
use redial_local::connector::{Answer, Service, dynamodb_client};
use redial_local::dynamodb::Dynamo;
use redial_platform::message::DeliveryMessage;
use redial_platform::store::Tables;
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::{Random, Store, metrics};
use redial_replay::{Asker, Replay};
use serde_json::{Value, json};

use crate::world::{Endpoint, World};

const REPLAYS: &str = "/v1/tenants/acme/replays";

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// Posts that many events of a type, with ids that begin with `prefix`.
async fn post_many(world: &World, prefix: &str, count: usize, more: &Value) {
    let event = |n: usize| {
        let mut event =
            json!({"type": "call.ended", "tenant": "acme", "id": format!("{prefix}{n:05}"), "data": {"n": n}});
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    };
    let events: Vec<Value> = (0..count).map(event).collect();
    for batch in events.chunks(500) {
        world.call("POST", "/v1/events", json!(batch), 202).await;
    }
}

/// Posts one event.
async fn post(world: &World, id: &str, event_type: &str, more: &Value) {
    let mut event = json!({"type": event_type, "tenant": "acme", "id": id, "data": {}});
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    world.post(event).await;
}

async fn ask(world: &World, body: &Value) -> Value {
    world.call("POST", REPLAYS, body.clone(), 202).await
}

async fn look(world: &World, job: &Value) -> Value {
    world.get(&format!("{REPLAYS}/{}", job["id"].as_str().unwrap())).await
}

/// Asks, has it done and answers how it is then.
async fn replayed(world: &World, body: &Value) -> Value {
    let job = ask(world, body).await;
    world.run_to_the_end().await;
    look(world, &job).await
}

/// The events that an endpoint got since so many requests, in order.
fn events_since(world: &World, endpoint: &Endpoint, before: usize) -> Vec<String> {
    let requests = world.requests(endpoint);
    requests[before..].iter().map(|request| request.id.clone()).collect()
}

/// The same, sorted.
fn sorted_since(world: &World, endpoint: &Endpoint, before: usize) -> Vec<String> {
    let mut events = events_since(world, endpoint, before);
    events.sort();
    events
}

fn numbers(job: &Value) -> [&Value; 4] {
    ["total", "done", "failed", "skipped"].map(|name| &job[name])
}

/// The tables behind `service`.
fn store(service: impl Service) -> Store {
    let tables = Tables {
        config: "ConfigTable".to_owned(),
        events: "EventsTable".to_owned(),
    };
    Store::new(dynamodb_client(service), tables)
}

/// A worker whose tables are behind `service`.
fn worker(world: &World, service: impl Service) -> Replay {
    let (_, queues, clock) = world.services();
    Replay::new(
        store(service),
        queues,
        clock,
        Random::seeded(9),
        metrics::Kept::default().metrics(),
    )
}

fn asker(world: &World) -> Asker {
    /// Two jobs of the same moment have different ids.
    static NEXT: AtomicU64 = AtomicU64::new(11);
    let (_, queues, clock) = world.services();
    Asker {
        store: world.store().clone(),
        queues,
        clock,
        random: Random::seeded(NEXT.fetch_add(1, Ordering::SeqCst)),
    }
}

/// Has a worker take the message of a job; answers whether it is to come again.
async fn work(replay: &Replay, job: &Value) -> bool {
    let body = json!({"tenant": "acme", "replay": job["id"]}).to_string();
    let event = json!({"Records": [{"messageId": "m", "body": body}]});
    let answer = replay.handle(serde_json::from_value(event).unwrap()).await;
    !answer.batch_item_failures.is_empty()
}

/// What a request writes: the partition key of its item, or of the first of a batch.
fn written_pk(operation: &str, body: &Bytes) -> Option<String> {
    let request: Value = serde_json::from_slice(body).unwrap();
    let item = match operation {
        "PutItem" => &request["Item"],
        "BatchWriteItem" => &request["RequestItems"]["EventsTable"][0]["PutRequest"]["Item"],
        _ => return None,
    };
    Some(item["pk"]["S"].as_str()?.to_owned())
}

/// True if a request saves a replay job.
fn saves_job(operation: &str, body: &Bytes) -> bool {
    operation == "PutItem" && written_pk(operation, body).is_some_and(|pk| pk == "j/acme")
}

/// Tables of which some requests are answered otherwise.
struct Instead<F>(Dynamo, F);

impl<F: Fn(&str, &Bytes) -> Option<Answer> + Send + Sync + 'static> Service for Instead<F> {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        match (self.1)(operation, &body) {
            Some(answer) => answer,
            None => self.0.answer(operation, body).await,
        }
    }
}

/// Loses the messages of events `e00000` on, and writes their deliveries to an endpoint down as dead: as if each had failed,
/// without what so many failures do to an endpoint.
async fn all_die(world: &World, endpoint: &Endpoint, count: usize) {
    world.purge("DeliveryQueue").await;
    let ids: Vec<String> = (0..count).map(|n| format!("e{n:05}")).collect();
    die(world, endpoint, &ids, None).await;
}

/// Writes the deliveries of events to an endpoint down as dead, or those that a replay made.
async fn die(world: &World, endpoint: &Endpoint, ids: &[String], replay: Option<&ReplayId>) {
    let (store, endpoint) = (world.store(), EndpointId::parse(&endpoint.id).unwrap());
    let ids: Vec<EventId> = ids.iter().map(|id| EventId::parse(id).unwrap()).collect();
    for event in store.events(&acme(), &ids).await.unwrap() {
        let message = DeliveryMessage {
            tenant: acme(),
            event: event.id.clone(),
            accepted_at_ms: event.accepted_at.as_millis(),
            shards: event.shards,
            endpoint: endpoint.clone(),
            endpoint_version: 0,
            replay: replay.cloned(),
            check: false,
            probe: false,
            content: None,
            traceparent: None,
            slot_ms: None,
        };
        let dead = DeliveryRecord {
            attempts: 1,
            reason: Some("attempts_exhausted".to_owned()),
            ..DeliveryRecord::new(&message, event.event_type, DeliveryState::Dead, event.expires_at)
        };
        assert_eq!(store.record_state(&dead).await.unwrap(), Recorded::Written);
    }
}
