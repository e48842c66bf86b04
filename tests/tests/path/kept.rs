//! What somebody chose to keep of a backlog stays held, and nothing else does: neither by a drain that was canceled, nor by a
//! retry of an older event that is held only later.

use redial_platform::store::replays::ReplayJob;
use serde_json::{Value, json};

use super::down::*;
use crate::world::{Behaviour, Endpoint, World};

async fn pause(world: &World, endpoint: &Endpoint) {
    world.call("POST", &path(endpoint, "/pause"), Value::Null, 200).await;
}

/// A moment after what was held.
async fn resume(world: &World, endpoint: &Endpoint, wish: Value) -> Value {
    world.pass_ms(1_000).await;
    world.call("POST", &path(endpoint, "/resume"), wish, 200).await
}

async fn jobs(world: &World) -> Vec<ReplayJob> {
    let tenant = redial_domain::TenantId::parse("acme").unwrap();
    world.store().jobs(&tenant, None, 500).await.unwrap().items
}

async fn cancel(world: &World, replay: &str) {
    let path = format!("/v1/tenants/acme/replays/{replay}/cancel");
    world.call("POST", &path, Value::Null, 200).await;
}

/// Lets the endpoint answer, and time pass until that was found out and the drain is asked for; answers the drain.
async fn drains(world: &World, endpoint: &Endpoint) -> ReplayJob {
    world.behave(endpoint, FINE);
    let before = jobs(world).await.len();
    for _ in 0..10 {
        world.pass_ms(MINUTE_MS).await;
        world.sweep().await;
        if let Some(drain) = { jobs(world).await }.into_iter().rev().nth(before) {
            return drain;
        }
        world.settle().await;
    }
    panic!("nothing is drained in ten minutes");
}

#[tokio::test]
async fn a_drain_of_what_was_held_for_one_that_failed_stays_canceled() {
    let world = World::new().await;
    let (endpoint, _) = goes_down(&world, json!({})).await;
    let ids = post(&world, "held", 60).await;
    // Before its worker has begun: what that has sent is sent.
    let drain = drains(&world, &endpoint).await;
    cancel(&world, drain.id.as_str()).await;
    minutes(&world, 10).await;
    let sent = world.requests(&endpoint).len();
    minutes(&world, 80).await;
    assert_eq!(jobs(&world).await.len(), 1, "no other one is asked for");
    assert!(world.requests(&endpoint).len() - sent <= ENOUGH);
    // Probes take the oldest and the newest.
    assert_eq!(world.delivery("acme", &ids[30], &endpoint).await["state"], "held");
    let kept_until = world.get(&path(&endpoint, "")).await["kept_until"].clone();
    assert!(kept_until.is_string(), "{kept_until}");
    // What comes now is delivered, and all of it when somebody asks.
    let new = post(&world, "new", 1).await;
    world.settle().await;
    assert_eq!(states(&world, &endpoint, &new).await["succeeded"], 1);
    resume(&world, &endpoint, Value::Null).await;
    minutes(&world, 10).await;
    assert_eq!(world.delivery("acme", &ids[30], &endpoint).await["state"], "succeeded");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_drain_that_somebody_asked_for_and_cancels_is_not_asked_for_by_the_sweeper() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", FINE, json!({})).await;
    pause(&world, &endpoint).await;
    let ids = post(&world, "held", 5).await;
    let resumed = resume(&world, &endpoint, Value::Null).await;
    cancel(&world, resumed["backlog"]["replay"].as_str().unwrap()).await;
    minutes(&world, 70).await;
    assert_eq!(states(&world, &endpoint, &ids).await["held"], 5);
    assert_eq!(jobs(&world).await.len(), 1);
    // A part that is canceled says nothing of the rest.
    resume(&world, &endpoint, Value::Null).await;
    minutes(&world, 3).await;
    pause(&world, &endpoint).await;
    let ids = post(&world, "again", 5).await;
    resume(&world, &endpoint, Value::Null).await;
    world.purge("ReplayQueue").await;
    let part = json!({"action": "drain", "event_types": ["call.ended"]});
    let part = world.call("POST", &path(&endpoint, "/backlog"), part, 202).await;
    cancel(&world, part["id"].as_str().unwrap()).await;
    assert_eq!(world.get(&path(&endpoint, "")).await["kept_until"], Value::Null);
    minutes(&world, 10).await;
    assert_eq!(states(&world, &endpoint, &ids).await["succeeded"], 5);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_retry_of_an_older_event_that_is_held_later_is_let_go_and_what_was_kept_is_not() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::FailFirst(2), json!({})).await;
    let old = post(&world, "old", 1).await;
    world.settle().await;
    // Its third attempt is made in half a minute.
    world.pass_ms(7_000).await;
    pause(&world, &endpoint).await;
    let kept = post(&world, "kept", 3).await;
    let resumed = resume(&world, &endpoint, json!({"backlog": "keep"})).await;
    assert_eq!(resumed["kept_until"], world.now());
    world.behave(&endpoint, DOWN);
    let new = post(&world, "new", ENOUGH).await;
    world.settle().await;
    assert!(is_told(&world, &endpoint).await);
    world.pass_ms(40_000).await;
    let held = world.delivery("acme", &old[0], &endpoint).await;
    assert_eq!(
        (&held["state"], &held["reason"]),
        (&json!("held"), &json!("endpoint_failing"))
    );
    drains(&world, &endpoint).await;
    minutes(&world, 30).await;
    assert_eq!(
        states(&world, &endpoint, &old).await,
        [("succeeded".to_owned(), 1)].into()
    );
    assert_eq!(states(&world, &endpoint, &new).await["succeeded"], new.len());
    assert_eq!(states(&world, &endpoint, &kept).await["held"], 3);
    resume(&world, &endpoint, Value::Null).await;
    minutes(&world, 5).await;
    assert_eq!(states(&world, &endpoint, &kept).await["succeeded"], 3);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn an_older_event_is_asked_with_where_nothing_else_is_held() {
    let world = World::new().await;
    let (endpoint, first) = goes_down(&world, json!({"retry": {"delays": [60], "attempts": 20}})).await;
    pause(&world, &endpoint).await;
    resume(&world, &endpoint, json!({"backlog": "keep"})).await;
    // What waited in the queue comes back, fails, and is held: kept back it is not.
    let part = json!({"action": "drain"});
    world.call("POST", &path(&endpoint, "/backlog"), part, 202).await;
    minutes(&world, 5).await;
    assert!(is_told(&world, &endpoint).await);
    let asked = world.requests(&endpoint).len();
    assert_eq!(states(&world, &endpoint, &first).await["held"], first.len());
    minutes(&world, 10).await;
    assert!(world.requests(&endpoint).len() > asked, "it is probed");
    world.behave(&endpoint, FINE);
    minutes(&world, 30).await;
    assert_eq!(states(&world, &endpoint, &first).await["succeeded"], first.len());
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_time_keeps_older_events_back_whenever_they_were_held() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", FINE, json!({})).await;
    pause(&world, &endpoint).await;
    let old = post(&world, "old", 2).await;
    let since = world.now_after(MINUTE_MS).await;
    let new = post(&world, "new", 2).await;
    world.pass_ms(MINUTE_MS).await;
    // Held after that moment, and before it was chosen.
    world.hold("acme", &old[1], &endpoint).await;
    resume(&world, &endpoint, json!({"since": since})).await;
    minutes(&world, 70).await;
    assert_eq!(states(&world, &endpoint, &new).await["succeeded"], 2);
    assert_eq!(states(&world, &endpoint, &old).await["held"], 2);
}

/// Jobs that count only: newer than any that is at work.
async fn count_again_and_again(world: &World, event: &str) {
    for _ in 0..51 {
        let counted = json!({"event": event, "dry_run": true});
        world.call("POST", "/v1/tenants/acme/replays", counted, 202).await;
    }
}

async fn at_work(world: &World) -> usize {
    let jobs = jobs(world).await;
    jobs.iter().filter(|job| !job.is_finished()).count()
}

#[tokio::test]
async fn a_slow_drain_is_not_begun_a_second_time_behind_fifty_newer_jobs() {
    let world = World::new().await;
    let (endpoint, _) = goes_down(&world, json!({"rate_limit": 5})).await;
    post(&world, "held", 1_500).await;
    drains(&world, &endpoint).await;
    count_again_and_again(&world, "held0").await;
    minutes(&world, 3).await;
    assert_eq!(at_work(&world).await, 1);
}

#[tokio::test]
async fn nor_is_one_that_somebody_asked_for() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", FINE, json!({})).await;
    pause(&world, &endpoint).await;
    post(&world, "held", 400).await;
    let resumed = resume(&world, &endpoint, json!({"rate": 1})).await;
    count_again_and_again(&world, "held0").await;
    minutes(&world, 3).await;
    assert_eq!(at_work(&world).await, 1);
    let health = world.get(&path(&endpoint, "/health")).await;
    assert_eq!(health["drain"]["id"], resumed["backlog"]["replay"]);
}
