//! Erasing a tenant: it is gone at once for everybody, and by and by from both tables; its receipt stays, its neighbour does
//! not notice, and its name is free again when nothing is left.

use redial_domain::TenantId;
use redial_platform::Random;
use redial_replay::Eraser;
use serde_json::{Value, json};

use super::erased::{CANARY, event, left};
use crate::world::{Behaviour, Endpoint, World};

/// Everything of a tenant carries its name.
const NAME: &str = "acme";

async fn endpoints(world: &World) -> [Endpoint; 3] {
    let slow = json!({"retry": {"attempts": 3, "delays": [36_000]}, "headers": {"x-canary": CANARY}});
    let made = [
        world.endpoint(NAME, Behaviour::Echo(200), json!({})).await,
        world.endpoint(NAME, Behaviour::Echo(500), slow).await,
        world.endpoint(NAME, Behaviour::Echo(200), json!({})).await,
    ];
    let pause = format!("/v1/tenants/{NAME}/endpoints/{}/pause", made[2].id);
    world.call("POST", &pause, Value::Null, 200).await;
    made
}

/// What is left of the tenant but its receipts.
async fn left_of_tenant(world: &World) -> Vec<String> {
    let mut found = left(world, NAME).await;
    found.retain(|item| !item.starts_with(&format!("x/{NAME} ")));
    found
}

async fn receipt(world: &World, erased: &Value) -> Value {
    let id = erased["id"].as_str().unwrap();
    world.get(&format!("/v1/tenants/{NAME}/erasures/{id}")).await
}

/// A tenant with everything a tenant can have, and a neighbour.
async fn furnished(world: &World) -> ([Endpoint; 3], Endpoint, String) {
    let made = endpoints(world).await;
    let neighbour = world.endpoint("other", Behaviour::Always(200), json!({})).await;
    let key = world
        .call(
            "POST",
            "/v1/keys",
            json!({"scope": format!("tenant:{NAME}"), "name": CANARY}),
            201,
        )
        .await;
    // So few that an endpoint that fails is not put on hold.
    for n in 0..3 {
        world.post(event(&format!("e{n}"), "c1")).await;
        let mut minted = event("x", "c2");
        minted.as_object_mut().unwrap().remove("id");
        world.post(minted).await;
    }
    let own = json!({"description": CANARY, "schema": {"type": "object"}});
    world
        .call("PUT", &format!("/v1/tenants/{NAME}/event-types/made.by_it"), own, 201)
        .await;
    world
        .post(json!({"type": "call.ended", "tenant": "other", "id": "o1", "data": 1}))
        .await;
    world.settle().await;
    let replay = format!("/v1/tenants/{NAME}/replays");
    world.call("POST", &replay, json!({"event": "e0"}), 202).await;
    world.settle().await;
    world.pass_ms(2 * 3_600_000).await;
    assert!(world.sweep().await.hours > 0);
    world.settle().await;
    let tried = format!("/v1/tenants/{NAME}/endpoints/{}/test", made[0].id);
    assert_eq!(world.call("POST", &tried, Value::Null, 200).await["ok"], true);
    // Under way, and unsent.
    world.post(event("young", "c3")).await;
    (made, neighbour, key["key"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_erased_tenant_is_gone_at_once_and_by_and_by_without_a_trace() {
    let world = World::new().await;
    let (made, neighbour, key) = furnished(&world).await;
    let path = format!("/v1/tenants/{NAME}");
    let link = json!({"ttl_s": 86_400});
    let link = world.call("POST", &format!("{path}/portal"), link, 201).await;
    let link = link["token"].as_str().unwrap();
    assert_eq!(world.request("GET", &path, Some(link), &Value::Null).await.0, 200);
    let erased = world.call("DELETE", &path, Value::Null, 202).await;
    assert_eq!(
        (&erased["erased"], &erased["complete"]),
        (&json!({"tenant": NAME}), &json!(false))
    );

    // At once: for its key, for its events, for operators, and as a name.
    assert_eq!(world.request("GET", &path, Some(&key), &Value::Null).await.0, 401);
    assert_eq!(world.request("GET", &path, Some(link), &Value::Null).await.0, 404);
    assert_eq!(world.call("GET", &path, Value::Null, 404).await["code"], "not_found");
    assert_eq!(
        world.call("POST", "/v1/events", event("late", "c1"), 422).await["code"],
        "tenant_unknown"
    );
    let again = world.call("PUT", &path, json!({}), 409).await;
    assert_eq!(again["code"], "tenant_erasing", "{again}");
    assert_eq!(world.call("DELETE", &path, Value::Null, 202).await["id"], erased["id"]);
    let tenants = world.get("/v1/tenants").await;
    assert_eq!(tenants["items"].as_array().unwrap().len(), 1, "{tenants}");

    world.settle().await;
    let first = receipt(&world, &erased).await;
    assert_eq!(
        (&first["events"], &first["complete"]),
        (&json!(7), &json!(false)),
        "{first}"
    );
    assert_eq!(first["may_still_leave_count"], 2, "{first}");
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());

    let sent: usize = made.iter().map(|endpoint| world.requests(endpoint).len()).sum();
    world.run_to_the_end().await;
    world.pass_ms(601_000).await;
    assert_eq!(world.sweep().await.ledger_difference, 0);
    world.settle().await;
    let complete = receipt(&world, &erased).await;
    assert_eq!(complete["complete"], true, "{complete}");
    assert_eq!(left_of_tenant(&world).await, Vec::<String>::new());
    let now: usize = made.iter().map(|endpoint| world.requests(endpoint).len()).sum();
    assert!(now <= sent + 2, "only what the receipt names");
    assert_eq!(world.delivery("other", "o1", &neighbour).await["state"], "succeeded");

    // The name is free, and its tenant a new one.
    world.call("PUT", &path, json!({}), 201).await;
    let (status, refused) = world.request("GET", &path, Some(link), &Value::Null).await;
    assert_eq!((status, &refused["code"]), (401, &json!("portal_link_over")));
    let new = world.endpoint(NAME, Behaviour::Always(200), json!({})).await;
    world.post(event("e0", "c1")).await;
    world.run_to_the_end().await;
    assert_eq!(world.delivery(NAME, "e0", &new).await["state"], "succeeded");
    assert_eq!(
        world.get(&format!("{path}/events")).await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    world.pass_ms(3_600_000).await;
    world.sweep().await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_tenants_erasure_that_was_killed_goes_on_and_takes_what_was_written_meanwhile() {
    let world = World::new().await;
    let (made, ..) = furnished(&world).await;
    let path = format!("/v1/tenants/{NAME}");
    // Killed right after it was asked for: endpoints and keys are still there, and nobody got the message.
    let config = world
        .store()
        .tenant_config(&TenantId::parse(NAME).unwrap())
        .await
        .unwrap()
        .unwrap();
    let (_, queues, clock) = world.services();
    let eraser = Eraser {
        store: world.store().clone(),
        queues,
        clock,
        random: Random::seeded(5),
    };
    let (erasure, keys) = eraser.erase_tenant(&config, "operator").await.unwrap();
    assert_eq!(keys.len(), 1);
    world.purge("ReplayQueue").await;
    let endpoint = json!({"pk": {"S": format!("t/{NAME}")}, "sk": {"S": "ep/left"}, "x": {"S": CANARY}});
    world
        .in_table("PutItem", &json!({"TableName": "ConfigTable", "Item": endpoint}))
        .await;
    world.pass_ms(121_000).await;
    assert_eq!(world.sweep().await.continued, 1);
    world.settle().await;
    let erasure = json!({"id": erasure.id});
    assert_eq!(receipt(&world, &erasure).await["events"], 7);
    assert_eq!(left(&world, CANARY).await, Vec::<String>::new());

    // A request that was under way when the tenant went writes its event all the same.
    let item = json!({"pk": {"S": format!("e/{NAME}/0")}, "sk": {"S": "01KB0000000000000000000000"},
        "at": {"N": "1763615000000"}, "sh": {"N": "4"}, "m": {"L": [{"S": made[0].id}]}, "ty": {"S": "call.ended"},
        "b": {"B": ""}, "c": {"S": CANARY}, "ttl": {"N": "1900000000"}});
    world
        .in_table("PutItem", &json!({"TableName": "EventsTable", "Item": item}))
        .await;
    assert_eq!(world.call("PUT", &path, json!({}), 409).await["code"], "tenant_erasing");
    world.pass_ms(601_000).await;
    world.sweep().await;
    world.settle().await;
    let complete = receipt(&world, &erasure).await;
    assert_eq!(
        (&complete["complete"], &complete["events"]),
        (&json!(true), &json!(8)),
        "{complete}"
    );
    assert_eq!(left_of_tenant(&world).await, Vec::<String>::new());
}
