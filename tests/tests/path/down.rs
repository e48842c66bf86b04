//! What tests of endpoints that are down share: going down, time that passes with the sweeper in it, and what must hold of
//! the attempts of each delivery in the end.

use std::collections::BTreeMap;

use redial_domain::{EndpointId, TenantId};
use redial_platform::store::health::Health;
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World, attempts_of, ms_of};

pub const DOWN: Behaviour = Behaviour::Always(503);
pub const FINE: Behaviour = Behaviour::Always(200);
pub const MINUTE_MS: i64 = 60_000;
/// Seconds after each failure, as ARCHITECTURE has them.
pub const DELAYS_S: [i64; 8] = [5, 30, 120, 900, 3_600, 10_800, 28_800, 36_000];
/// Failures that put an endpoint on hold.
pub const ENOUGH: usize = 10;

pub fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"call_id": "c1"}})
}

pub fn path(endpoint: &Endpoint, rest: &str) -> String {
    format!("/v1/tenants/acme/endpoints/{}{rest}", endpoint.id)
}

/// Posts events; answers their ids.
pub async fn post(world: &World, name: &str, count: usize) -> Vec<String> {
    let ids: Vec<String> = (0..count).map(|n| format!("{name}{n}")).collect();
    for ids in ids.chunks(500) {
        let events: Vec<Value> = ids.iter().map(|id| event(id)).collect();
        world.call("POST", "/v1/events", json!(events), 202).await;
    }
    ids
}

pub fn ids_of(endpoint: &Endpoint) -> (TenantId, EndpointId) {
    (
        TenantId::parse("acme").unwrap(),
        EndpointId::parse(&endpoint.id).unwrap(),
    )
}

pub async fn health(world: &World, endpoint: &Endpoint) -> Health {
    let (tenant, id) = ids_of(endpoint);
    let (_, _, clock) = world.services();
    world.store().health(&tenant, &id, clock.now()).await.unwrap().unwrap()
}

/// True if everybody who delivers knows that the endpoint is on hold.
pub async fn is_told(world: &World, endpoint: &Endpoint) -> bool {
    let (tenant, id) = ids_of(endpoint);
    let config = world.store().tenant_config(&tenant).await.unwrap().unwrap();
    config.endpoint(&id).unwrap().hold.is_some()
}

/// An endpoint that was just put on hold, by as many failures as that takes; their events' ids.
pub async fn goes_down(world: &World, fields: Value) -> (Endpoint, Vec<String>) {
    let endpoint = world.endpoint("acme", DOWN, fields).await;
    let ids = post(world, "first", ENOUGH).await;
    // Time for a rate limit, and none for a second attempt.
    world.pass_ms(2_500).await;
    assert_eq!(world.requests(&endpoint).len(), ENOUGH);
    assert!(health(world, &endpoint).await.open.is_some());
    assert!(is_told(world, &endpoint).await);
    (endpoint, ids)
}

/// Lets minutes pass, with the sweeper at the end of each.
pub async fn minutes(world: &World, count: usize) {
    for _ in 0..count {
        world.pass_ms(MINUTE_MS).await;
        world.sweep().await;
        world.settle().await;
    }
}

/// How many deliveries of the endpoint are in each state.
pub async fn states(world: &World, endpoint: &Endpoint, ids: &[String]) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for id in ids {
        let delivery = world.delivery("acme", id, endpoint).await;
        *states
            .entry(delivery["state"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    states
}

/// Fails unless each of these deliveries succeeded, was taken once, its attempts are counted without a gap, and each waited
/// at least as long as its schedule says.
pub async fn arrived_once_and_in_their_time(world: &World, endpoint: &Endpoint, ids: &[String]) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for request in world.requests(endpoint) {
        *taken.entry(request.id).or_default() += 1;
    }
    for id in ids {
        let delivery = world.delivery("acme", id, endpoint).await;
        assert_eq!(delivery["state"], "succeeded", "{delivery}");
        let attempts = attempts_of(&delivery);
        let numbers: Vec<usize> = attempts.iter().map(|a| a["n"].as_u64().unwrap() as usize).collect();
        assert_eq!(numbers, (1..=attempts.len()).collect::<Vec<_>>(), "{delivery}");
        assert_eq!(taken[id], attempts.len(), "{delivery}");
        let succeeded = attempts.iter().filter(|attempt| attempt["status"] == 200);
        assert_eq!(succeeded.count(), 1, "{delivery}");
        for (n, pair) in attempts.windows(2).enumerate() {
            let waited_ms = ms_of(&pair[1]["at"]) - ms_of(&pair[0]["at"]);
            assert!(
                waited_ms >= DELAYS_S[n] * 1000,
                "{waited_ms} ms after attempt {}: {delivery}",
                n + 1
            );
        }
    }
}
