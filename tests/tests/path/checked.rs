//! What ingest makes of types and data, however it is asked: over HTTP or invoked directly, one event or many.

use serde_json::{Value, json};

use crate::world::{Behaviour, World};

const TYPE: &str = "/v1/tenants/acme/event-types/booking.made";

fn booking(id: &str, data: Value) -> Value {
    json!({"type": "booking.made", "tenant": "acme", "id": id, "data": data})
}

/// A world whose tenant has `booking.made`, wants validation as said, and has one endpoint.
async fn with_booking(validation: &str) -> World {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let settings = json!({ "validation": validation });
    world.call("PUT", "/v1/tenants/acme", settings, 200).await;
    let schema = json!({"type": "object", "required": ["seats"], "properties": {"seats": {"type": "integer"}}});
    world.call("PUT", TYPE, json!({ "schema": schema }), 201).await;
    world
}

#[tokio::test]
async fn a_direct_invocation_is_checked_as_a_request_is() {
    let world = with_booking("warn").await;
    let fits = world
        .invoke_ingest(&booking("b1", json!({"seats": 2})).to_string())
        .await;
    assert_eq!(fits, json!({"id": "b1", "deliveries": 1}));
    let warned = world
        .invoke_ingest(&booking("b2", json!({"seats": "two"})).to_string())
        .await;
    assert_eq!(warned["warnings"][0]["field"], "data.seats", "{warned}");
    world
        .call("PUT", "/v1/tenants/acme", json!({"validation": "reject"}), 200)
        .await;
    let batch = json!([
        booking("b3", json!({"seats": "two"})),
        booking("b4", json!({"seats": 4}))
    ]);
    let answers = world.invoke_ingest(&batch.to_string()).await;
    assert_eq!(answers["events"][0]["error"]["code"], "data_invalid", "{answers}");
    assert_eq!(answers["events"][1], json!({"id": "b4", "deliveries": 1}));
    let refused = world.invoke_ingest(&booking("b5", json!({})).to_string()).await;
    assert_eq!(
        (&refused["status"], &refused["field"]),
        (&json!(422), &json!("data")),
        "{refused}"
    );
    world.run_to_the_end().await;
    let stored = world.get("/v1/tenants/acme/events").await;
    assert_eq!(
        stored["items"].as_array().unwrap().len(),
        3,
        "what is refused is not stored"
    );
}

#[tokio::test]
async fn warned_events_are_counted_and_delivered() {
    let world = with_booking("warn").await;
    world.numbers();
    let batch = json!([
        booking("b1", json!({})),
        booking("b2", json!({"seats": 1})),
        booking("b3", json!([]))
    ]);
    world.call("POST", "/v1/events", batch, 202).await;
    let numbers = world.numbers();
    assert_eq!((&numbers["Accepted"], &numbers["Warned"]), (&vec![3], &vec![2]));
    world.run_to_the_end().await;
    assert_eq!(world.numbers()["Delivered"], [3]);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_a_later_release_keeps_beside_a_tenant_is_passed_by() {
    let world = with_booking("warn").await;
    let later = json!({
        "TableName": "ConfigTable",
        "Key": {"pk": {"S": "t/acme"}, "sk": {"S": "zz/later"}},
        "UpdateExpression": "SET j = :j",
        "ExpressionAttributeValues": {":j": {"S": "{}"}}
    });
    world.in_table("UpdateItem", &later).await;
    world
        .call("PUT", "/v1/tenants/acme", json!({"name": "Acme"}), 200)
        .await;
    let taken = world
        .call("POST", "/v1/events", booking("b1", json!({"seats": 1})), 202)
        .await;
    assert_eq!(taken, json!({"id": "b1", "deliveries": 1}));
    world.run_to_the_end().await;
}

/// Puts something that is no item of its kind into a partition of table `config`.
async fn damage(world: &World, pk: &str, sk: &str) {
    let item = json!({"pk": {"S": pk}, "sk": {"S": sk}, "j": {"S": "{}"}});
    let put = json!({"TableName": "ConfigTable", "Item": item});
    world.in_table("PutItem", &put).await;
}

#[tokio::test]
async fn a_tenant_whose_configuration_cannot_be_read_refuses_its_own_events_and_nobody_elses() {
    let world = World::new().await;
    for tenant in ["acme", "globex", "initech"] {
        world.endpoint(tenant, Behaviour::Always(200), json!({})).await;
    }
    damage(&world, "t/acme", "ep/damaged").await;
    damage(&world, "t/initech/types", "booking.made").await;
    let of =
        |tenant: &str, event_type: &str, id: &str| json!({"type": event_type, "tenant": tenant, "id": id, "data": {}});
    let batch = json!([
        of("acme", "call.ended", "a1"),
        of("globex", "call.ended", "g1"),
        of("initech", "call.ended", "i1"),
        of("initech", "booking.made", "i2"),
        of("nobody", "call.ended", "n1"),
    ]);
    let answers = world.call("POST", "/v1/events", batch, 202).await;
    let events = &answers["events"];
    for (place, id) in [(0, "a1"), (3, "i2")] {
        assert_eq!(events[place]["id"], id, "{answers}");
        assert_eq!(
            (&events[place]["error"]["status"], &events[place]["error"]["code"]),
            (&json!(500), &json!("internal"))
        );
    }
    for (place, id) in [(1, "g1"), (2, "i1")] {
        assert_eq!(
            (&events[place]["id"], &events[place]["deliveries"]),
            (&json!(id), &json!(1)),
            "{answers}"
        );
    }
    assert_eq!(events[4]["error"]["code"], "tenant_unknown");
    // Where nothing else was asked for, the request has failed: it may be sent again.
    for alone in [of("acme", "call.ended", "a1"), json!([of("acme", "call.ended", "a1")])] {
        world.call("POST", "/v1/events", alone, 500).await;
    }
    world.run_to_the_end().await;
}
