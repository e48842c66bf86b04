//! What the API and the dispatcher do with AWS when the data key is rotated: no grant that sealing and opening do not need.

use serde_json::{Value, json};

use super::scenarios::{event, path};
use crate::world::{Behaviour, World};

/// What requests of before a rotation may take, and a little more.
const SETTLED_MS: i64 = 120_001;

pub(super) async fn rotating(world: &World) {
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("before")).await;
    world.run_to_the_end().await;
    world
        .call("POST", "/v1/data-keys/rotate", json!({"from": 1}), 200)
        .await;
    // Accepted while nothing is sealed anew, delivered after it was: by a dispatcher that knows the old key alone.
    world.post(event("between")).await;
    for state in ["waiting", "waiting"] {
        let keys = world.call("POST", "/v1/data-keys/reseal", Value::Null, 200).await;
        assert_eq!(keys["state"], state);
        world.pass_ms(SETTLED_MS).await;
    }
    let keys = world.call("POST", "/v1/data-keys/retire", Value::Null, 200).await;
    assert_eq!((&keys["state"], &keys["current"]), (&json!("settled"), &json!(2)));
    world.post(event("after")).await;
    world.run_to_the_end().await;
    let received = world.requests(&endpoint);
    assert_eq!(received.len(), 3);
    for request in received {
        request.verify(&endpoint.secret);
    }
    let shown = world.get(&path(&endpoint, "/secret")).await;
    assert_eq!(shown["secret"], endpoint.secret.reveal());
    let key = world.call("POST", "/v1/keys", json!({"scope": "ingest"}), 201).await;
    let key = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    world
        .call("PATCH", &key, json!({"allowed_networks": ["192.0.2.0/24"]}), 200)
        .await;
}
