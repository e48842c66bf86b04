//! An endpoint that answers 2xx, but takes long: its requests leave apart from then on, whoever sends and delivers them, and
//! nothing of it is lost; others of its tenant and everybody else go on at once. And an endpoint whose failures somebody wants
//! forgiven again and again: it is on hold all the same. Slow requests are left out, and told as if they had been made.

use redial_dispatcher::Who;
use redial_dispatcher::health::Watch;
use redial_domain::slow::{KEPT_MS, Slow};
use redial_platform::cache::ConfigCache;
use redial_platform::notices::Notifier;
use redial_platform::{Clock, Random};
use serde_json::{Value, json};

use super::down::{
    DOWN, FINE, arrived_once_and_in_their_time, goes_down, health, ids_of, is_told, minutes, path, post,
};
use crate::world::{Endpoint, World};

/// An environment of the dispatcher.
fn environment(world: &World) -> Watch {
    let (store, clock, random) = (world.store().clone(), clock(world), Random::seeded(9));
    let cache = ConfigCache::new(store.clone(), clock.clone(), random.clone());
    let notifier = Notifier::new(store.clone(), cache.clone(), clock.clone(), random);
    Watch::new(store, cache, notifier, clock)
}

fn clock(world: &World) -> Clock {
    world.services().2
}

/// Attempts at an endpoint that took so long, told by one environment.
async fn took(environment: &Watch, who: &Who, durations_ms: impl IntoIterator<Item = u32>) {
    for duration_ms in durations_ms {
        environment.took(who, duration_ms);
    }
    environment.tell_slow(who).await.unwrap();
}

/// What is said of an endpoint.
async fn said(world: &World, endpoint: &Endpoint) -> Option<Slow> {
    let (tenant, id) = ids_of(endpoint);
    let config = world.store().tenant_config(&tenant).await.unwrap().unwrap();
    config.endpoint(&id).unwrap().slow
}

/// When its requests came, in milliseconds after the first.
fn times(world: &World, endpoint: &Endpoint) -> Vec<i64> {
    let requests = world.requests(endpoint);
    requests
        .iter()
        .map(|request| request.at_ms - requests[0].at_ms)
        .collect()
}

#[tokio::test]
async fn ten_slow_attempts_are_enough_wherever_each_was_seen_and_quick_ones_among_them_are_not() {
    let world = World::new().await;
    let [slow, mixed] = [
        world.endpoint("acme", FINE, json!({})).await,
        world.endpoint("acme", FINE, json!({})).await,
    ];
    for n in 0..10 {
        assert_eq!(said(&world, &slow).await, None, "after {n}");
        took(&environment(&world), &ids_of(&slow), [29_000]).await;
        took(&environment(&world), &ids_of(&mixed), [29_000, 20, 20, 20, 20]).await;
    }
    let since = clock(&world).now();
    let until = since.plus_millis(KEPT_MS);
    assert_eq!(said(&world, &slow).await, Some(Slow { since, until }));
    assert_eq!(said(&world, &mixed).await, None);

    // Nothing is written while it is known, and one more slow attempt prolongs it later.
    let version = |world: &World| {
        let (store, tenant) = (world.store().clone(), ids_of(&slow).0);
        async move { store.tenant_config(&tenant).await.unwrap().unwrap().version }
    };
    let before = version(&world).await;
    took(&environment(&world), &ids_of(&slow), [29_000; 10]).await;
    assert_eq!(version(&world).await, before);
    world.stand_still_ms(KEPT_MS - 1_000);
    took(&environment(&world), &ids_of(&slow), [29_000]).await;
    let until = until.plus_millis(KEPT_MS - 1_000);
    assert_eq!(said(&world, &slow).await, Some(Slow { since, until }));
}

#[tokio::test]
async fn a_slow_endpoint_gets_everything_apart_and_its_neighbours_at_once() {
    let world = World::new().await;
    let [slow, neighbour] = [
        world.endpoint("acme", FINE, json!({"timeout_ms": 30_000})).await,
        world.endpoint("acme", FINE, json!({})).await,
    ];
    took(&environment(&world), &ids_of(&slow), [29_000; 10]).await;
    let shown = world.get(&path(&slow, "/health")).await;
    assert_eq!(
        (&shown["state"], &shown["slow"]["apart_ms"]),
        (&json!("healthy"), &json!(750))
    );
    assert_eq!(world.get(&path(&neighbour, "/health")).await["slow"], Value::Null);

    let ids = post(&world, "first", 100).await;
    world.step_together("DeliveryQueue", 30).await;
    assert_eq!(world.requests(&neighbour).len(), 100);
    assert!(world.requests(&slow).len() <= 2, "{}", world.requests(&slow).len());
    minutes(&world, 3).await;
    arrived_once_and_in_their_time(&world, &slow, &ids).await;
    let apart = times(&world, &slow);
    // 40 at once of 30 seconds each.
    assert!(apart.windows(2).all(|two| two[1] - two[0] >= 749), "{apart:?}");
    assert!(*apart.last().unwrap() < 90_000, "{apart:?}");
    for id in &ids {
        let delivery = world.delivery("acme", id, &slow).await;
        assert_eq!(
            delivery["attempts"].as_array().unwrap().len(),
            1,
            "no attempt is spent by waiting"
        );
    }

    // It is over by itself.
    world.stand_still_ms(KEPT_MS);
    assert_eq!(world.get(&path(&slow, "/health")).await["slow"], Value::Null);
    post(&world, "later", 100).await;
    world.pass_ms(0).await;
    assert_eq!(world.requests(&slow).len(), 200);
    minutes(&world, 3).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn slow_endpoints_of_one_tenant_share_and_what_waits_far_back_goes_when_they_are_quick() {
    let world = World::new().await;
    let mut slow = Vec::new();
    for _ in 0..12 {
        let endpoint = world.endpoint("acme", FINE, json!({"timeout_ms": 30_000})).await;
        took(&environment(&world), &ids_of(&endpoint), [29_000; 10]).await;
        slow.push(endpoint);
    }
    assert_eq!(world.get(&path(&slow[0], "/health")).await["slow"]["apart_ms"], 9_000);
    let ids = post(&world, "first", 100).await;
    minutes(&world, 5).await;
    let asked = slow.iter().map(|endpoint| world.requests(endpoint).len());
    let asked: Vec<usize> = asked.collect();
    // 300 seconds, 9 seconds apart.
    assert!(asked.iter().all(|count| (25..=35).contains(count)), "{asked:?}");
    // Ten minutes after they were slow, and two for what is just being written down.
    minutes(&world, 10).await;
    for endpoint in &slow {
        arrived_once_and_in_their_time(&world, endpoint, &ids).await;
    }
    world.nothing_is_left().await;
}

#[tokio::test]
async fn an_endpoint_that_is_on_hold_is_not_slow_as_well() {
    let world = World::new().await;
    let (endpoint, _) = goes_down(&world, json!({})).await;
    took(&environment(&world), &ids_of(&endpoint), [29_000; 20]).await;
    assert_eq!(said(&world, &endpoint).await, None);
}

#[tokio::test]
async fn whoever_resumes_all_the_time_is_on_hold_all_the_same_and_probed_at_once() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    let resume = async |wish: Value| world.call("POST", &path(&endpoint, "/resume"), wish, 200).await;
    // Once it is forgiven.
    let keep = json!({"backlog": "keep"});
    assert_eq!(resume(keep.clone()).await["hold"], Value::Null);
    assert!(!is_told(&world, &endpoint).await);
    // Failures since then are not, however often it is asked, nor by a pause between.
    let before = world.requests(&endpoint).len();
    for n in 0..30 {
        ids.extend(post(&world, &format!("again{n}_"), 1).await);
        world.settle().await;
        resume(keep.clone()).await;
        world.call("POST", &path(&endpoint, "/pause"), Value::Null, 200).await;
        resume(keep.clone()).await;
    }
    assert!(is_told(&world, &endpoint).await);
    let asked = world.requests(&endpoint).len() - before;
    assert!(asked <= 10, "{asked} requests");
    // Its server is repaired: it is let go with the next pass, and gets everything.
    world.behave(&endpoint, FINE);
    let answer = resume(Value::Null).await;
    assert_ne!(answer["hold"], Value::Null);
    assert_eq!(answer["backlog"]["replay"], Value::Null);
    assert_eq!(health(&world, &endpoint).await.due_at, Some(clock(&world).now()));
    minutes(&world, 10).await;
    assert!(!is_told(&world, &endpoint).await);
    for id in &ids {
        assert_eq!(world.delivery("acme", id, &endpoint).await["state"], "succeeded");
    }
    // Two minutes later it would be forgiven again.
    world.behave(&endpoint, DOWN);
    post(&world, "down", 10).await;
    world.settle().await;
    assert!(is_told(&world, &endpoint).await);
    assert_eq!(resume(Value::Null).await["hold"], Value::Null);
}
