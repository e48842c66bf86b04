//! Erasing an event and a call: nothing of what was said is left in either table, whatever had become of it; what waits is
//! canceled, the ledger balances, and nobody brings it back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use redial_domain::{DeliveryId, EventId, TenantId, Timestamp};
use redial_local::connector::{Answer, Service, dynamodb_client};
use redial_local::dynamodb::Dynamo;
use redial_platform::store::Tables;
use redial_platform::{Random, Store, blob, keys};
use redial_replay::{AskError, Eraser};
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World, ms_of};

/// Stands in everything personal of an event; nothing else has it.
pub(super) const CANARY: &str = "canary-4711";
/// When the second look has been taken: ten minutes after the first, and a pass of the sweeper.
const SETTLED_MS: i64 = 601_000;

/// An event that says the canary wherever it may, as part of a call.
pub(super) fn event(id: &str, call_id: &str) -> Value {
    json!({
        "type": "call.ended", "tenant": "acme", "id": id, "agent": CANARY,
        "data": {"transcript": CANARY},
        "related": {"call_id": call_id, "customer": CANARY},
        "links": {"recording": format!("https://p.example/{CANARY}")},
    })
}

/// Every item of a table that says `text`, also packed, as `pk sk`.
async fn saying(world: &World, table: &str, text: &str) -> Vec<String> {
    let scanned = world.in_table("Scan", &json!({"TableName": table})).await;
    assert!(scanned["LastEvaluatedKey"].is_null(), "the scan is whole");
    let says = |item: &Value| {
        let packed = item
            .as_object()
            .unwrap()
            .values()
            .filter_map(|value| value["B"].as_str());
        let mut said = packed.flat_map(|packed| {
            let raw = STANDARD.decode(packed).unwrap();
            [blob::unpack(&raw).unwrap_or_default(), raw].map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        });
        item.to_string().contains(text) || said.any(|bytes| bytes.contains(text))
    };
    let items = scanned["Items"].as_array().unwrap();
    let name = |item: &Value| {
        format!(
            "{} {}",
            item["pk"]["S"].as_str().unwrap(),
            item["sk"]["S"].as_str().unwrap()
        )
    };
    items.iter().filter(|item| says(item)).map(name).collect()
}

/// Everything in both tables that says `text`.
pub(super) async fn left(world: &World, text: &str) -> Vec<String> {
    let mut found = saying(world, "ConfigTable", text).await;
    found.extend(saying(world, "EventsTable", text).await);
    found
}

async fn erase(world: &World, what: &str, status: u16) -> Value {
    world
        .call("DELETE", &format!("/v1/tenants/acme/{what}"), Value::Null, status)
        .await
}

async fn receipt(world: &World, erasure: &Value) -> Value {
    let id = erasure["id"].as_str().unwrap();
    world.get(&format!("/v1/tenants/acme/erasures/{id}")).await
}

/// Lets ten minutes pass, with passes of the sweeper, and answers the receipt.
async fn settled(world: &World, erasure: &Value) -> Value {
    world.pass_ms(SETTLED_MS).await;
    world.sweep().await;
    world.settle().await;
    receipt(world, erasure).await
}

/// One endpoint for each thing that can have become of a delivery.
struct Endpoints {
    works: Endpoint,
    retries: Endpoint,
    dies: Endpoint,
    held: Endpoint,
}

impl Endpoints {
    async fn new(world: &World) -> Self {
        let slow = json!({"retry": {"attempts": 3, "delays": [36_000]}});
        let made = Self {
            works: world.endpoint("acme", Behaviour::Echo(200), json!({})).await,
            retries: world.endpoint("acme", Behaviour::Echo(500), slow).await,
            dies: world
                .endpoint("acme", Behaviour::Echo(500), json!({"retry": {"attempts": 1}}))
                .await,
            held: world.endpoint("acme", Behaviour::Echo(200), json!({})).await,
        };
        let pause = format!("/v1/tenants/acme/endpoints/{}/pause", made.held.id);
        world.call("POST", &pause, Value::Null, 200).await;
        made
    }

    fn all(&self) -> [&Endpoint; 4] {
        [&self.works, &self.retries, &self.dies, &self.held]
    }

    async fn states(&self, world: &World, event: &str) -> Vec<(String, Value)> {
        let mut states = Vec::new();
        for endpoint in self.all() {
            let delivery = world.delivery("acme", event, endpoint).await;
            states.push((
                delivery["state"].as_str().unwrap().to_owned(),
                delivery["reason"].clone(),
            ));
        }
        states
    }

    fn requests(&self, world: &World) -> usize {
        self.all()
            .into_iter()
            .map(|endpoint| world.requests(endpoint).len())
            .sum()
    }
}

#[tokio::test]
async fn an_erased_event_leaves_nothing_of_what_it_said_whatever_had_become_of_it() {
    let world = World::new().await;
    let endpoints = Endpoints::new(&world).await;
    world.post(event("e1", "call-77")).await;
    world.settle().await;
    let again = json!({"delivery": format!("e1.{}", endpoints.dies.id)});
    world.call("POST", "/v1/tenants/acme/replays", again, 202).await;
    world.settle().await;
    assert_eq!(endpoints.requests(&world), 4, "three first attempts and a replay");
    // The sweeper notes the call.
    world.pass_ms(301_000).await;
    world.sweep().await;
    assert!(!left(&world, CANARY).await.is_empty(), "the scan finds it");
    assert_eq!(world.call_events("acme", "call-77").await.len(), 1);

    let erased = erase(&world, "events/e1", 200).await;
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());
    assert_eq!(
        left(&world, "call-77").await,
        Vec::<String>::new(),
        "nor is its call told"
    );
    assert_eq!(
        (
            &erased["erased"],
            &erased["events"],
            &erased["canceled"],
            &erased["complete"]
        ),
        (&json!({"event": "e1"}), &json!(1), &json!(2), &json!(true)),
        "{erased}"
    );
    assert_eq!((&erased["may_still_leave"], &erased["at"]), (&json!([]), &world.now()));
    assert_eq!(receipt(&world, &erased).await, erased);
    let canceled = ("canceled".to_owned(), json!("erased"));
    let states = endpoints.states(&world, "e1").await;
    assert_eq!((&states[1], &states[3]), (&canceled, &canceled), "{states:?}");
    assert_eq!((states[0].0.as_str(), states[2].0.as_str()), ("succeeded", "dead"));

    nobody_gets_at_it(&world).await;
    assert_eq!(erase(&world, "events/e1", 200).await, erased);
    nothing_comes_back(&world, &endpoints).await;
    world.nothing_is_left().await;
}

/// It cannot be read, listed, replayed or posted again.
async fn nobody_gets_at_it(world: &World) {
    let (status, problem) = world
        .request("GET", "/v1/tenants/acme/events/e1", Some(world.key()), &Value::Null)
        .await;
    assert_eq!((status, &problem["code"]), (410, &json!("event_erased")));
    assert_eq!(world.get("/v1/tenants/acme/events").await["items"], json!([]));
    let replay = world
        .call("POST", "/v1/tenants/acme/replays", json!({"event": "e1"}), 422)
        .await;
    assert_eq!(replay["code"], "event_erased");
    for repeat in [event("e1", "call-77"), event("e1", "other")] {
        let refused = world.call("POST", "/v1/events", repeat, 410).await;
        assert_eq!(
            (&refused["code"], &refused["field"]),
            (&json!("event_erased"), &json!("id"))
        );
    }
}

/// The queues run dry, the sweeper passes, the endpoint is resumed: nothing comes back, and the ledger has all of it.
async fn nothing_comes_back(world: &World, endpoints: &Endpoints) {
    let sent = endpoints.requests(world);
    let resume = format!("/v1/tenants/acme/endpoints/{}/resume", endpoints.held.id);
    world.call("POST", &resume, Value::Null, 200).await;
    world.run_to_the_end().await;
    for _ in 0..8 {
        world.pass_ms(3_600_000).await;
        assert_eq!(world.sweep().await.ledger_difference, 0);
        world.settle().await;
    }
    assert_eq!(endpoints.requests(world), sent);
    assert_eq!(left(world, CANARY).await, Vec::<String>::new());
    let counts = world.hours("acme").await;
    assert_eq!((counts.matched, counts.difference()), (4, 0), "{counts:?}");
}

#[tokio::test]
async fn what_is_under_way_may_leave_once_and_what_it_leaves_behind_is_erased_too() {
    let world = World::new().await;
    let endpoints = Endpoints::new(&world).await;
    world.post(event("e1", "call-77")).await;
    let erased = erase(&world, "events/e1", 202).await;
    assert_eq!(
        (&erased["complete"], &erased["completed_at"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        (&erased["canceled"], &erased["may_still_leave_count"]),
        (&json!(4), &json!(3))
    );
    let named = [&endpoints.works, &endpoints.retries, &endpoints.dies].map(|endpoint| format!("e1.{}", endpoint.id));
    let mut listed: Vec<String> = serde_json::from_value(erased["may_still_leave"].clone()).unwrap();
    listed.sort();
    let mut named = named.to_vec();
    named.sort();
    assert_eq!(listed, named);

    // They leave; what their receivers answer is written, but not sent again.
    world.run_to_the_end().await;
    assert_eq!(endpoints.requests(&world), 3);
    assert!(!left(&world, CANARY).await.is_empty(), "answers repeat what they got");
    let complete = settled(&world, &erased).await;
    assert_eq!(complete["complete"], true, "{complete}");
    assert_eq!(complete["may_still_leave"], erased["may_still_leave"]);
    assert_eq!(complete["canceled"], 3, "one was taken all the same");
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());
    assert_eq!(left(&world, "call-77").await, Vec::<String>::new());
    world.pass_ms(2 * 3_600_000).await;
    assert_eq!(world.sweep().await.ledger_difference, 0);
    assert_eq!(world.hours("acme").await.difference(), 0);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn an_erased_event_that_a_crash_left_unsent_is_not_sent_by_the_repair() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1", "call-77")).await;
    let minted = json!({"type": "call.ended", "tenant": "acme", "data": CANARY});
    let minted = world.post(minted).await["id"].as_str().unwrap().to_owned();
    world.purge("DeliveryQueue").await;
    // An erasure that crashed after the tombstones: the records are not canceled.
    let store = world.store();
    for id in ["e1", &minted] {
        let erased = erase(&world, &format!("events/{id}"), 202).await;
        assert_eq!(erased["canceled"], 1);
        let event = store
            .event_or_tombstone(
                &TenantId::parse("acme").unwrap(),
                &EventId::parse(id).unwrap(),
                Timestamp::default(),
            )
            .await
            .unwrap()
            .unwrap();
        let delivery = world.delivery("acme", id, &endpoint).await;
        let record = DeliveryId::parse(delivery["id"].as_str().unwrap()).unwrap();
        let key = keys::delivery(&event.tenant, &record, event.accepted_at, event.shards);
        let key = json!({"pk": {"S": key.pk}, "sk": {"S": key.sk}});
        let delete = json!({"TableName": "EventsTable", "Key": key});
        world.in_table("DeleteItem", &delete).await;
    }
    world.pass_ms(301_000).await;
    let swept = world.sweep().await;
    assert_eq!((swept.repaired, swept.removed), (0, 0));
    world.settle().await;
    for id in ["e1", &minted] {
        let delivery = world.delivery("acme", id, &endpoint).await;
        assert_eq!(
            (&delivery["state"], &delivery["reason"]),
            (&json!("canceled"), &json!("erased"))
        );
    }
    assert!(world.requests(&endpoint).is_empty());
    assert_eq!(world.call_events("acme", "call-77").await.len(), 0);
}

#[tokio::test]
async fn an_erased_call_takes_its_events_and_leaves_those_of_others_and_those_that_come_later() {
    let world = World::new().await;
    let endpoints = Endpoints::new(&world).await;
    for n in 0..3 {
        world.post(event(&format!("old-{n}"), "call-77")).await;
    }
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "other", "data": 1, "related": {"call_id": "c2"}}))
        .await;
    world.run_to_the_end().await;
    world.pass_ms(301_000).await;
    world.sweep().await;
    // Not noted by the sweeper yet: one delivered, one under way, with an id that Redial minted.
    world.post(event("new", "call-77")).await;
    world.settle().await;
    let mut minted = event("x", "call-77");
    minted.as_object_mut().unwrap().remove("id");
    world.post(minted).await;

    let erased = erase(&world, "calls/call-77", 202).await;
    assert_eq!(
        (&erased["erased"], &erased["events"]),
        (&json!({"call": "call-77"}), &json!(5))
    );
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());
    // One of the four endpoints is paused, and one is on hold by now: nothing of theirs leaves.
    assert_eq!(erased["may_still_leave_count"], 2);
    world.pass_ms(1_000).await;
    let mut later = event("later", "call-77");
    later["data"] = json!("fine");
    world.post(later).await;
    let complete = settled(&world, &erased).await;
    assert_eq!(
        (&complete["complete"], &complete["events"]),
        (&json!(true), &json!(5)),
        "{complete}"
    );
    let canaries = left(&world, CANARY).await;
    assert!(canaries.iter().all(|item| item.contains("later")), "{canaries:?}");

    let events = world.get("/v1/tenants/acme/events").await;
    let ids: Vec<&str> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["later", "other"]);
    let noted: Vec<String> = world
        .call_events("acme", "call-77")
        .await
        .iter()
        .map(|noted| noted.event.to_string())
        .collect();
    assert_eq!(noted, ["later"]);
    assert_eq!(
        world.delivery("acme", "other", &endpoints.works).await["state"],
        "succeeded"
    );
    world.pass_ms(2 * 3_600_000).await;
    assert_eq!(world.sweep().await.ledger_difference, 0);
    // Asking again takes the later one, and then there is nothing.
    let again = erase(&world, "calls/call-77", 202).await;
    assert_eq!(again["events"], 1);
    assert_eq!(erase(&world, "calls/c3", 404).await["code"], "not_found");
    assert_eq!(
        erase(&world, &format!("calls/{}", "x".repeat(513)), 404).await["code"],
        "not_found"
    );
}

/// Tables that are gone for a worker once it comes to event `e3`.
struct UntilE3(Dynamo);

impl Service for UntilE3 {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let request: Value = serde_json::from_slice(&body).unwrap();
        if operation == "PutItem" && request["Item"]["pk"]["S"] == "i/acme/e3" {
            return Answer::error(400, "AccessDeniedException", "crashed");
        }
        self.0.answer(operation, body).await
    }
}

#[tokio::test]
async fn an_erasure_whose_worker_crashed_is_finished_by_the_sweeper() {
    let world = World::new().await;
    Endpoints::new(&world).await;
    for n in 0..4 {
        world.post(event(&format!("e{n}"), "call-77")).await;
    }
    world.settle().await;
    let tenant = TenantId::parse("acme").unwrap();
    let config = world.store().tenant_config(&tenant).await.unwrap().unwrap();
    let (dynamo, queues, clock) = world.services();
    let tables = Tables {
        config: "ConfigTable".to_owned(),
        events: "EventsTable".to_owned(),
    };
    let crashes = Eraser {
        store: Store::new(dynamodb_client(UntilE3(dynamo)), tables),
        queues,
        clock,
        random: Random::seeded(8),
    };
    let crashed = crashes.erase_call(&config.tenant, "call-77", "test").await;
    assert!(matches!(crashed, Err(AskError::Store(error)) if !error.is_unreadable()));
    let running = world.get("/v1/tenants/acme/erasures").await["items"][0].clone();
    assert_eq!(running["complete"], false);
    assert!(!left(&world, CANARY).await.is_empty());

    world.pass_ms(301_000).await;
    assert_eq!(world.sweep().await.continued, 1);
    world.settle().await;
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());
    let complete = settled(&world, &running).await;
    assert_eq!(
        (&complete["complete"], &complete["events"]),
        (&json!(true), &json!(4)),
        "{complete}"
    );
    assert!(ms_of(&complete["completed_at"]) > ms_of(&complete["at"]));
    assert_eq!(
        left(&world, "call-77").await,
        vec![format!("x/acme {}", running["id"].as_str().unwrap())]
    );
}
