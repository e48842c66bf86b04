//! What the functions do with AWS for an endpoint that is down: held, probed, let go, given up.

use redial_domain::{EndpointId, TenantId};
use serde_json::{Value, json};

use super::scenarios::{event, path};
use crate::world::{Behaviour, Endpoint, World};

/// Failures that put an endpoint on hold.
const ENOUGH: usize = 10;

pub(super) async fn probing(world: &World) {
    let endpoint = down(world, "first").await;
    world.post(event("held")).await;
    assert_eq!(world.delivery("acme", "held", &endpoint).await["state"], "held");
    minutes(world, 1).await;
    let asked = world.requests(&endpoint).len();
    assert!(asked > ENOUGH, "a probe");
    world.behave(&endpoint, Behaviour::Always(200));
    minutes(world, 10).await;
    assert_eq!(world.delivery("acme", "held", &endpoint).await["state"], "succeeded");
    assert!(!is_on_hold(world, &endpoint).await);

    let given_up = down(world, "second").await;
    world.stand_still_ms(5 * 24 * 3_600_000);
    // A last probe, and the look that follows it.
    minutes(world, 3).await;
    assert_eq!(world.get(&path(&given_up, "")).await["state"], "disabled");

    let deleted = down(world, "third").await;
    let headers = json!({"headers": {"x-source": "redial"}});
    world.call("PATCH", &path(&deleted, ""), headers, 200).await;
    let health = world.get(&path(&deleted, "/health")).await;
    assert_eq!(
        health["next_probe_at"],
        world.now(),
        "it may answer such requests: the API has it probed"
    );
    world.call("DELETE", &path(&deleted, ""), Value::Null, 204).await;
    minutes(world, 2).await;
    assert_eq!(world.delivery("acme", "third0", &deleted).await["state"], "canceled");
}

/// An endpoint that was just put on hold.
async fn down(world: &World, name: &str) -> Endpoint {
    let endpoint = world.endpoint("acme", Behaviour::Always(503), json!({})).await;
    let events: Vec<Value> = (0..ENOUGH).map(|n| event(&format!("{name}{n}"))).collect();
    world.call("POST", "/v1/events", json!(events), 202).await;
    world.settle().await;
    assert!(is_on_hold(world, &endpoint).await);
    endpoint
}

async fn is_on_hold(world: &World, endpoint: &Endpoint) -> bool {
    let (tenant, id) = (
        TenantId::parse("acme").unwrap(),
        EndpointId::parse(&endpoint.id).unwrap(),
    );
    let config = world.store().tenant_config(&tenant).await.unwrap().unwrap();
    config.endpoint(&id).unwrap().hold.is_some()
}

async fn minutes(world: &World, count: usize) {
    for _ in 0..count {
        world.pass_ms(60_000).await;
        world.sweep().await;
        world.settle().await;
    }
}
