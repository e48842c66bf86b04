//! What erasing does with AWS: in the request that asks for it, in the worker, and where one of them left something.

use serde_json::{Value, json};

use super::scenarios::{event, path};
use crate::world::{Behaviour, World};

pub(super) async fn erasing(world: &World) {
    let slow = json!({"retry": {"attempts": 3, "delays": [36_000]}});
    let fails = world.endpoint("acme", Behaviour::Always(500), slow).await;
    let limited = json!({"rate_limit": 1});
    world.endpoint("acme", Behaviour::Always(200), limited).await;
    for id in ["e1", "e2", "e3"] {
        world.post(event(id)).await;
    }
    world.settle().await;
    world
        .call("POST", "/v1/tenants/acme/replays", json!({"event": "e1"}), 202)
        .await;
    world.settle().await;
    world.pass_ms(301_000).await;
    world.sweep().await;
    world.settle().await;
    // An event, and the events of a call, half of them noted; the second look is the worker's.
    world
        .call("DELETE", "/v1/tenants/acme/events/e1", Value::Null, 200)
        .await;
    world.post(event("e4")).await;
    world
        .call("DELETE", "/v1/tenants/acme/calls/c1", Value::Null, 202)
        .await;
    world.pass_ms(601_000).await;
    assert_eq!(world.sweep().await.continued, 1);
    world.settle().await;
    let receipts = world.get("/v1/tenants/acme/erasures").await;
    for receipt in receipts["items"].as_array().unwrap() {
        assert_eq!(receipt["complete"], true, "{receipt}");
        let id = receipt["id"].as_str().unwrap();
        world.get(&format!("/v1/tenants/acme/erasures/{id}")).await;
    }
    assert_eq!(world.delivery("acme", "e2", &fails).await["reason"], "erased");

    // A tenant, and what requests that were under way leave behind: the worker takes it.
    world.post(event("e5")).await;
    world
        .call("POST", "/v1/keys", json!({"scope": "tenant:acme", "name": "k"}), 201)
        .await;
    let erased = world.call("DELETE", "/v1/tenants/acme", Value::Null, 202).await;
    let key = world
        .call("POST", "/v1/keys", json!({"scope": "ingest", "name": "late"}), 201)
        .await;
    let late = json!({"id": key["id"], "hash": [], "scope": "tenant:acme", "name": "late", "created_at": world.now()});
    let late = json!({"pk": {"S": "keys"}, "sk": {"S": key["id"]}, "j": {"S": late.to_string()}});
    let left = json!({"pk": {"S": "t/acme"}, "sk": {"S": "ep/left"}, "j": {"S": "{}"}});
    for item in [late, left] {
        let put = json!({"TableName": "ConfigTable", "Item": item});
        world.in_table("PutItem", &put).await;
    }
    world.settle().await;
    world.pass_ms(601_000).await;
    assert_eq!(world.sweep().await.continued, 1);
    world.settle().await;
    let receipt = format!("/v1/tenants/acme/erasures/{}", erased["id"].as_str().unwrap());
    assert_eq!(world.get(&receipt).await["complete"], true);
    let key = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    world.call("GET", &key, Value::Null, 404).await;
    world.call("PUT", "/v1/tenants/acme", json!({}), 201).await;
    assert_eq!(world.get("/v1/tenants/acme/endpoints").await["items"], json!([]));
    world.call("GET", &path(&fails, ""), Value::Null, 404).await;
}
