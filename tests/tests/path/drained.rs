//! What was held for an endpoint that answers again: let go slowly at first and never faster than the cap, once each, whatever
//! dies or fails on the way. And what becomes of it when somebody pauses or deletes the endpoint meanwhile.

use std::collections::BTreeMap;

use redial_domain::{DeliveryId, EventId, Timestamp, hold};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::replays::ReplayJob;
use serde_json::{Value, json};

use super::down::*;
use crate::world::{Endpoint, World};

/// Deliveries a second, at most.
const CAP: usize = 100;

/// The jobs that let go what is held.
async fn drains(world: &World) -> Vec<ReplayJob> {
    let tenant = redial_domain::TenantId::parse("acme").unwrap();
    world.store().jobs(&tenant, None, 50).await.unwrap().items
}

/// Some of many, those that failed first among them: looking at one takes a request.
fn some_of(ids: &[String]) -> Vec<String> {
    let (first, rest) = ids.split_at(ENOUGH);
    first.iter().chain(rest.iter().step_by(25)).cloned().collect()
}

/// Fails unless the receiver took each of these exactly once.
fn taken_once(world: &World, endpoint: &Endpoint, ids: &[String]) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for request in world.requests(endpoint) {
        *taken.entry(request.id).or_default() += 1;
    }
    // Those before them failed, and came again.
    let not_once: Vec<&String> = ids[ENOUGH..].iter().filter(|id| taken.get(*id) != Some(&1)).collect();
    assert!(not_once.len() < ENOUGH, "{not_once:?}");
    assert!(ids.iter().all(|id| taken.contains_key(id)));
}

/// Requests in each second since `from_ms`.
fn by_second(world: &World, endpoint: &Endpoint, from_ms: i64) -> BTreeMap<i64, usize> {
    let mut seconds = BTreeMap::new();
    for request in world.requests(endpoint) {
        if request.at_ms >= from_ms {
            *seconds.entry((request.at_ms - from_ms) / 1000).or_default() += 1;
        }
    }
    seconds
}

/// Lets the endpoint answer, and time pass until a probe has found that out; answers when.
async fn recovers(world: &World, endpoint: &Endpoint) -> i64 {
    world.behave(endpoint, FINE);
    for _ in 0..7 {
        world.pass_ms(MINUTE_MS).await;
        world.sweep().await;
        world.settle().await;
        if health(world, endpoint).await.open.is_none() {
            return world.requests(endpoint).last().unwrap().at_ms;
        }
    }
    panic!("no probe has found out in seven minutes");
}

#[tokio::test]
async fn a_backlog_is_let_go_slowly_at_first_and_at_most_at_the_capped_rate() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "held", 3_000).await);
    minutes(&world, 10).await;
    let since = recovers(&world, &endpoint).await;
    assert!(drains(&world).await.len() <= 1);
    minutes(&world, 6).await;
    let seconds = by_second(&world, &endpoint, since);
    assert!(seconds.values().all(|sent| *sent <= CAP + 1), "{seconds:?}");
    let first_s = *seconds.keys().find(|second| **second > 0).unwrap();
    let within = |s: i64| -> usize { seconds.range(first_s..first_s + s).map(|(_, sent)| sent).sum() };
    // Ten a second for half a minute.
    assert!((200..=330).contains(&within(30)), "{} {seconds:?}", within(30));
    assert!(within(300) >= 2_990, "{} {seconds:?}", within(300));
    let jobs = drains(&world).await;
    assert_eq!((jobs.len(), jobs[0].rate, jobs[0].slow_start), (1, Some(100), true));
    // What failed before waits for its own time.
    minutes(&world, 60).await;
    taken_once(&world, &endpoint, &ids);
    arrived_once_and_in_their_time(&world, &endpoint, &some_of(&ids)).await;
    world.nothing_is_left().await;
}

/// Has what is held of these have made way for others at `at`, as a dispatcher writes it down, and be due now.
async fn made_way(world: &World, endpoint: &Endpoint, ids: &[String], at: Timestamp) {
    let (tenant, endpoint) = ids_of(endpoint);
    let (store, now) = (world.store(), world.services().2.now());
    for id in ids {
        let event = EventId::parse(id).unwrap();
        let event = store.event(&tenant, &event, now).await.unwrap().unwrap();
        let id = DeliveryId {
            event: event.id,
            endpoint: endpoint.clone(),
            replay: None,
        };
        let held = store.delivery(&tenant, &id, event.accepted_at, event.shards).await;
        let held = held.unwrap().unwrap();
        let mut stalled = DeliveryRecord {
            due_at: Some(now),
            ..held.clone()
        };
        stalled.hold(hold::REASON_STALLED, at);
        let written = store.record_if_unchanged(&held, &stalled).await.unwrap();
        assert_eq!(written, Recorded::Written);
    }
}

#[tokio::test]
async fn what_made_way_before_its_endpoint_was_let_go_leaves_with_the_drain_even_if_it_is_all_that_is_left() {
    for stalled_from in [400, 0] {
        let world = World::new().await;
        let (endpoint, mut ids) = goes_down(&world, json!({})).await;
        ids.extend(post(&world, "held", 1_000).await);
        let since = recovers(&world, &endpoint).await;
        let asked = world.requests(&endpoint);
        let left: Vec<String> = ids[ENOUGH + stalled_from..].to_vec();
        let left: Vec<String> = left
            .into_iter()
            .filter(|id| asked.iter().all(|request| request.id != *id))
            .collect();
        assert!(left.len() >= 600 - 3, "{}", left.len());
        made_way(&world, &endpoint, &left, Timestamp::from_millis(since - 1)).await;
        minutes(&world, 8).await;
        let seconds = by_second(&world, &endpoint, since);
        assert!(seconds.values().all(|sent| *sent <= CAP + 1), "{seconds:?}");
        minutes(&world, 60).await;
        taken_once(&world, &endpoint, &ids);
        world.nothing_is_left().await;
    }
}

#[tokio::test]
async fn what_made_way_after_its_endpoint_was_let_go_waits_for_no_drain() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "held", 3_000).await);
    let since = recovers(&world, &endpoint).await;
    let newest = ids[ids.len() - 5..].to_vec();
    made_way(&world, &endpoint, &newest, Timestamp::from_millis(since + 1)).await;
    minutes(&world, 1).await;
    let asked = world.requests(&endpoint);
    // The oldest of a backlog leave first, and it has not come far.
    assert!(asked.len() < 1_000, "{}", asked.len());
    assert!(newest.iter().all(|id| asked.iter().any(|request| request.id == *id)));
    minutes(&world, 70).await;
    taken_once(&world, &endpoint, &ids);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_rate_limit_that_is_lower_than_the_cap_holds() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({"rate_limit": 5})).await;
    ids.extend(post(&world, "held", 600).await);
    minutes(&world, 10).await;
    let since = recovers(&world, &endpoint).await;
    minutes(&world, 70).await;
    let seconds = by_second(&world, &endpoint, since);
    assert!(seconds.values().all(|sent| *sent <= 6), "{seconds:?}");
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_drain_whose_worker_dies_goes_on_and_nothing_comes_twice() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "held", 300).await);
    minutes(&world, 10).await;
    world.behave(&endpoint, FINE);
    // The message of the job is lost, before and while it is worked on.
    for _ in 0..12 {
        world.pass_ms(MINUTE_MS).await;
        world.sweep().await;
        if !drains(&world).await.is_empty() {
            break;
        }
        world.settle().await;
    }
    assert_eq!(world.waiting_in("ReplayQueue"), 1);
    world.purge("ReplayQueue").await;
    minutes(&world, 80).await;
    assert_eq!(drains(&world).await.len(), 1);
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn an_endpoint_that_fails_again_while_draining_is_on_hold_again_and_nothing_is_lost() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "held", 1_000).await);
    minutes(&world, 5).await;
    recovers(&world, &endpoint).await;
    minutes(&world, 1).await;
    assert!(health(&world, &endpoint).await.open.is_none());
    world.behave(&endpoint, DOWN);
    let before = world.requests(&endpoint).len();
    minutes(&world, 1).await;
    assert!(health(&world, &endpoint).await.open.is_some());
    minutes(&world, 30).await;
    // What the job had sent or went on to send is held again, not tried.
    let tried = world.requests(&endpoint).len() - before;
    assert!(tried < 40, "{tried}");
    assert_eq!(world.waiting_in("DeliveryQueue") + world.waiting_in("RetryQueue"), 0);
    recovers(&world, &endpoint).await;
    minutes(&world, 2 * 60).await;
    arrived_once_and_in_their_time(&world, &endpoint, &some_of(&ids)).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_is_held_while_the_drain_passes_is_let_go_by_the_second_look() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "held", 5).await);
    let late = post(&world, "late", 1).await;
    world.pass_ms(MINUTE_MS).await;
    recovers(&world, &endpoint).await;
    world.sweep().await;
    world.settle().await;
    // A dispatcher that has not heard of it holds one more, older than what is gone.
    let (tenant, id) = ids_of(&endpoint);
    minutes(&world, 1).await;
    let event = world.post(event("stale")).await;
    world.purge("DeliveryQueue").await;
    world.hold("acme", event["id"].as_str().unwrap(), &endpoint).await;
    ids.extend(late);
    ids.push("stale".to_owned());
    minutes(&world, 60).await;
    assert!(
        world
            .store()
            .health(&tenant, &id, world.services().2.now())
            .await
            .unwrap()
            .is_none_or(|h| h.due_at.is_none())
    );
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn one_that_is_paused_while_on_hold_is_asked_no_more_until_it_is_resumed() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "held", 20).await);
    minutes(&world, 3).await;
    world.call("POST", &path(&endpoint, "/pause"), Value::Null, 200).await;
    minutes(&world, 2).await;
    let asked = world.requests(&endpoint).len();
    ids.extend(post(&world, "paused", 5).await);
    minutes(&world, 30).await;
    assert_eq!(world.requests(&endpoint).len(), asked);
    assert!(!is_told(&world, &endpoint).await);
    assert_eq!(states(&world, &endpoint, &ids).await["held"], ids.len());
    world.behave(&endpoint, FINE);
    world.call("POST", &path(&endpoint, "/resume"), Value::Null, 200).await;
    minutes(&world, 6 * 60).await;
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn one_that_is_deleted_while_on_hold_leaves_nothing_behind() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "held", 20).await);
    minutes(&world, 3).await;
    world.call("DELETE", &path(&endpoint, ""), Value::Null, 204).await;
    let asked = world.requests(&endpoint).len();
    minutes(&world, 30).await;
    assert_eq!(world.requests(&endpoint).len(), asked);
    assert_eq!(states(&world, &endpoint, &ids).await["canceled"], ids.len());
    world.nothing_is_left().await;
}
