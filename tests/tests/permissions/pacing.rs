//! What the functions do with AWS for an endpoint with a rate limit: the line of ingest, replay and sweeper, and the pace of
//! the dispatcher.

use serde_json::{Value, json};

use crate::world::{Behaviour, World};

/// More than the dispatcher lets go before it sets the others aside.
const MANY: usize = 20;

pub(super) async fn pacing(world: &World) {
    let batch = |name: &str| -> Value {
        let event = |n| json!({"type": "call.ended", "tenant": "acme", "id": format!("{name}{n}"), "data": {}});
        (0..MANY).map(event).collect()
    };
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
    let since = world.now();
    world.call("POST", "/v1/events", batch("before"), 202).await;
    world.call("PATCH", &path, json!({"rate_limit": 5}), 200).await;
    // What waits already has no slot: granted, or set aside until the sweeper gives it one.
    assert_eq!(world.step_together("DeliveryQueue", 2).await, MANY);
    assert!(world.requests(&endpoint).len() < MANY);
    assert!(world.sweep().await.sent > 0);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), MANY);
    world.call("POST", "/v1/events", batch("after"), 202).await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 2 * MANY);
    let until = world.now_after(1_000).await;
    let range = json!({"endpoint": endpoint.id, "since": since, "until": until, "state": "succeeded"});
    world.call("POST", "/v1/tenants/acme/replays", range, 202).await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 4 * MANY);
}
