//! A tenant that is made again after its erasure: nothing that a running function still keeps of the former one, and
//! nothing that comes late, reaches it. Both tenants have the same number of changes.

use redial_domain::event::PostedEvent;
use redial_domain::{EndpointId, EventId, TenantId};
use redial_platform::cache::ConfigCache;
use redial_platform::message::DeliveryMessage;
use redial_platform::{Random, blob};
use serde_json::{Value, json};

use super::erased::{event, left};
use crate::world::{Behaviour, Endpoint, World, ms_of};

const TENANT: &str = "/v1/tenants/acme";

/// A tenant with one endpoint and one event type of its own: three changes.
async fn make(world: &World, own_type: &str) -> Endpoint {
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("{TENANT}/event-types/{own_type}");
    let own = json!({"description": "of its own", "schema": {"type": "object"}});
    world.call("PUT", &path, own, 201).await;
    endpoint
}

/// Posts an event of a type, which only that type's tenant may.
async fn post(world: &World, id: &str, own_type: &str, status: u16) {
    let event = json!({"type": own_type, "tenant": "acme", "id": id, "data": {}});
    world.call("POST", "/v1/events", event, status).await;
}

/// Erases the tenant to the end: its name is free. Reads nothing of it, as if no request named it meanwhile.
async fn erase(world: &World) -> Value {
    let erased = world.call("DELETE", TENANT, Value::Null, 202).await;
    world.run_to_the_end().await;
    world.pass_ms(601_000).await;
    world.sweep().await;
    world.settle().await;
    let receipt = format!("{TENANT}/erasures/{}", erased["id"].as_str().unwrap());
    assert_eq!(world.get(&receipt).await["complete"], true);
    erased
}

async fn items(world: &World, list: &str) -> Vec<Value> {
    let listed = world.get(&format!("{TENANT}/{list}")).await;
    listed["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_tenant_made_again_by_as_many_changes_is_not_served_the_former_ones_configuration() {
    let world = World::new().await;
    let former = make(&world, "made.before").await;
    // Everything that is kept is kept now.
    post(&world, "e1", "made.before", 202).await;
    world.run_to_the_end().await;
    assert_eq!(
        (items(&world, "endpoints").await.len(), world.requests(&former).len()),
        (1, 1)
    );
    erase(&world).await;

    let new = make(&world, "made.after").await;
    let shown: Vec<Value> = items(&world, "endpoints").await;
    assert_eq!(
        shown.iter().map(|endpoint| &endpoint["id"]).collect::<Vec<_>>(),
        [&json!(new.id)]
    );
    for path in ["", "/secret"] {
        world
            .call(
                "GET",
                &format!("{TENANT}/endpoints/{}{path}", former.id),
                Value::Null,
                404,
            )
            .await;
    }
    post(&world, "e1", "made.before", 422).await;
    post(&world, "e1", "made.after", 202).await;
    world.run_to_the_end().await;
    assert_eq!((world.requests(&former).len(), world.requests(&new).len()), (1, 1));
    assert_eq!(world.delivery("acme", "e1", &new).await["state"], "succeeded");
}

#[tokio::test]
async fn whoever_finds_a_tenant_gone_keeps_nothing_of_it() {
    let world = World::new().await;
    make(&world, "made.before").await;
    let acme = TenantId::parse("acme").unwrap();
    let (_, _, clock) = world.services();
    let [asks, reloads] =
        [1, 2].map(|seed| ConfigCache::new(world.store().clone(), clock.clone(), Random::seeded(seed)));
    for cache in [&asks, &reloads] {
        assert!(cache.current(&acme).await.unwrap().is_some());
    }
    world.call("DELETE", TENANT, Value::Null, 202).await;
    assert!(asks.recent(&acme, 0).await.unwrap().is_some(), "seconds old");
    assert_eq!(asks.current(&acme).await.unwrap(), None);
    assert_eq!(reloads.recent(&acme, u64::MAX).await.unwrap(), None);
    for cache in [&asks, &reloads] {
        assert_eq!(cache.recent(&acme, 0).await.unwrap(), None);
    }
    world.settle().await;
}

/// A message about an event of `acme` that was accepted then.
fn message(id: &str, endpoint: &Endpoint, accepted_at_ms: i64) -> String {
    let content = PostedEvent::parse(&event(id, "c1").to_string()).unwrap().content;
    let message = DeliveryMessage {
        tenant: TenantId::parse("acme").unwrap(),
        event: EventId::parse(id).unwrap(),
        accepted_at_ms,
        shards: 4,
        endpoint: EndpointId::parse(&endpoint.id).unwrap(),
        endpoint_version: 0,
        replay: None,
        check: false,
        probe: false,
        content: blob::stored_and_riding(&content).unwrap().1,
        traceparent: None,
        slot_ms: None,
    };
    assert!(message.content.is_some());
    serde_json::to_string(&message).unwrap()
}

#[tokio::test]
async fn a_late_message_of_the_former_tenant_writes_nothing_into_the_new_one() {
    let world = World::new().await;
    let former = make(&world, "made.before").await;
    let late = message("late", &former, ms_of(&world.now()));
    erase(&world).await;
    let new = make(&world, "made.after").await;
    world.send_raw("DeliveryQueue", &late).await;
    world.run_to_the_end().await;
    assert_eq!(items(&world, "deliveries").await, Vec::<Value>::new());
    assert_eq!(world.requests(&former).len(), 0);

    // The clocks of those who make tenants and of those who accept events differ a little: such an event is the new one's.
    let made_at_ms = ms_of(&world.get(TENANT).await["created_at"]);
    world
        .send_raw("DeliveryQueue", &message("early", &new, made_at_ms - 5_000))
        .await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&new).len(), 1);
}

#[tokio::test]
async fn a_dead_letter_of_the_former_tenant_writes_nothing_into_the_new_one() {
    let world = World::new().await;
    let former = make(&world, "made.before").await;
    let letter = message("e1", &former, ms_of(&world.now()));
    erase(&world).await;
    let new = make(&world, "made.after").await;
    // The new one has an event of that id, which the letter is not about.
    world.post(event("e1", "c1")).await;
    world.run_to_the_end().await;
    world.send_raw("DeadLetterQueue", &letter).await;
    world.run_to_the_end().await;
    assert_eq!(left(&world, &former.id).await, Vec::<String>::new());
    assert_eq!(world.requests(&former).len(), 0);

    // One whose receives were burnt is the new one's if two clocks alone tell them apart.
    let made_at_ms = ms_of(&world.get(TENANT).await["created_at"]);
    let letter = message("e1", &new, made_at_ms - 5_000);
    world.send_raw("DeadLetterQueue", &letter).await;
    world.settle().await;
    let held: Vec<Value> = items(&world, "deliveries?state=held").await;
    let held: Vec<&Value> = held.iter().map(|delivery| &delivery["reason"]).collect();
    assert_eq!(held, ["receives_burnt"]);
}

#[tokio::test]
async fn the_former_tenants_receipts_are_for_operators_alone() {
    let world = World::new().await;
    make(&world, "made.before").await;
    world.post(event("e1", "c1")).await;
    world.run_to_the_end().await;
    let event_erased = world
        .call("DELETE", &format!("{TENANT}/events/e1"), Value::Null, 202)
        .await;
    let erased = erase(&world).await;

    make(&world, "made.after").await;
    let key = json!({"scope": "tenant:acme", "name": "new"});
    let key = world.call("POST", "/v1/keys", key, 201).await;
    let key = key["key"].as_str().unwrap();
    let asked = |path: String| {
        let world = &world;
        async move {
            world
                .request("GET", &format!("{TENANT}/erasures{path}"), Some(key), &Value::Null)
                .await
        }
    };
    let (status, listed) = asked(String::new()).await;
    assert_eq!((status, &listed["items"]), (200, &json!([])));
    for former in [&event_erased, &erased] {
        let id = former["id"].as_str().unwrap();
        let (status, problem) = asked(format!("/{id}")).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
        assert_eq!(world.get(&format!("{TENANT}/erasures/{id}")).await["id"], former["id"]);
    }
    assert_eq!(items(&world, "erasures").await.len(), 2);

    // Its own it sees, on the first page and with nothing after it.
    world.post(event("e2", "c1")).await;
    world.run_to_the_end().await;
    let own = world
        .call("DELETE", &format!("{TENANT}/events/e2"), Value::Null, 202)
        .await;
    let (_, listed) = asked("?limit=1".to_owned()).await;
    assert_eq!(
        (&listed["items"][0]["id"], &listed["next"]),
        (&own["id"], &Value::Null),
        "{listed}"
    );
    assert_eq!(asked(format!("/{}", own["id"].as_str().unwrap())).await.0, 200);
}
