//! Workers that die at each of their writes: whoever goes on misses none and delivers none twice.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use redial_domain::ReplayId;
use redial_local::connector::Answer;
use serde_json::{Value, json};

use super::{Instead, all_die, ask, die, look, numbers, post_many, saves_job, work, worker, written_pk};
use crate::world::{Behaviour, Endpoint, World};

const EVENTS: usize = 1_200;

/// A worker that dies at its request number `at` of those that `is_it` means; what it has sent is delivered.
async fn dies_at(world: &World, job: &Value, at: usize, is_it: fn(&str, &Bytes) -> bool) {
    dies_while_nothing_is_delivered(world, job, at, is_it).await;
    world.settle().await;
}

/// A worker that dies at its request number `at` of those that `is_it` means: no later one is answered.
async fn dies_while_nothing_is_delivered(world: &World, job: &Value, at: usize, is_it: fn(&str, &Bytes) -> bool) {
    let (dynamo, ..) = world.services();
    let seen = AtomicUsize::new(0);
    let dies = Instead(dynamo, move |operation: &str, body: &Bytes| {
        let reached = if is_it(operation, body) {
            seen.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            seen.load(Ordering::SeqCst)
        };
        (reached >= at).then(|| Answer::error(400, "AccessDeniedException", "crashed"))
    });
    assert!(work(&worker(world, dies), job).await, "it died");
}

/// True if a request marks a dead letter as delivered again.
fn marks(operation: &str, body: &Bytes) -> bool {
    let request: Value = serde_json::from_slice(body).unwrap();
    operation == "PutItem" && request["Item"]["rd"]["S"].is_string()
}

/// Has the sweeper pass every minute until the job is over.
async fn finished(world: &World, job: &Value) -> Value {
    for _ in 0..30 {
        world.pass_ms(60_000).await;
        world.sweep().await;
        world.settle().await;
        let job = look(world, job).await;
        if job["state"] == "done" {
            world.run_to_the_end().await;
            return job;
        }
    }
    panic!("it is not done: {}", look(world, job).await);
}

/// Fails unless each event came exactly `times`.
fn each_came(world: &World, endpoint: &Endpoint, times: usize) {
    let mut ids: Vec<String> = world.requests(endpoint).into_iter().map(|request| request.id).collect();
    ids.sort();
    let expected: Vec<String> = (0..EVENTS).flat_map(|n| vec![format!("e{n:05}"); times]).collect();
    assert_eq!(ids.len(), expected.len());
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_replay_whose_workers_die_at_a_note_and_at_a_save_delivers_each_once() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let since = world.now();
    post_many(&world, "e", EVENTS, &json!({})).await;
    world.run_to_the_end().await;
    world.stand_still_ms(1_000);
    let job = ask(&world, &json!({"endpoint": endpoint.id, "since": since})).await;
    world.purge("ReplayQueue").await;
    let notes = |operation: &str, body: &Bytes| written_pk(operation, body).is_some_and(|pk| pk.starts_with("r/"));
    dies_at(&world, &job, 7, notes).await;
    world.pass_ms(61_000).await;
    dies_at(&world, &job, 2, saves_job).await;
    let done = finished(&world, &job).await;
    assert_eq!(
        numbers(&done),
        [&json!(EVENTS), &json!(EVENTS), &json!(0), &json!(0)],
        "{done}"
    );
    each_came(&world, &endpoint, 2);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_redrive_whose_workers_die_leaves_no_letter_behind_and_counts_each_once() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let since = world.now();
    post_many(&world, "e", EVENTS, &json!({})).await;
    all_die(&world, &endpoint, EVENTS).await;
    world.stand_still_ms(1_000);
    let before = world.requests(&endpoint).len();
    let job = ask(
        &world,
        &json!({"endpoint": endpoint.id, "since": since, "state": "dead"}),
    )
    .await;
    assert_eq!(job["total"], EVENTS);
    world.purge("ReplayQueue").await;
    dies_at(&world, &job, 20, marks).await;
    world.pass_ms(61_000).await;
    dies_at(&world, &job, 3, saves_job).await;
    let done = finished(&world, &job).await;
    assert_eq!(
        numbers(&done),
        [&json!(EVENTS), &json!(EVENTS), &json!(0), &json!(0)],
        "{done}"
    );
    assert_eq!(world.requests(&endpoint).len() - before, EVENTS, "each once");
    let dead = format!("/v1/tenants/acme/deliveries?state=dead&endpoint={}", endpoint.id);
    assert_eq!(world.get(&dead).await["items"], json!([]), "they have left the list");
    let one = world
        .get(&format!("/v1/tenants/acme/deliveries/e00007.{}", endpoint.id))
        .await;
    assert_eq!(one["state"], "dead", "and stay what they are");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_dies_before_the_next_worker_stays_a_dead_letter() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let since = world.now();
    post_many(&world, "e", EVENTS, &json!({})).await;
    world.purge("DeliveryQueue").await;
    let (late, letters): (Vec<String>, Vec<String>) = (0..EVENTS)
        .map(|n| format!("e{n:05}"))
        .partition(|id| id.ends_with("50"));
    die(&world, &endpoint, &letters, None).await;
    world.stand_still_ms(1_000);
    let dead = json!({"endpoint": endpoint.id, "since": since, "state": "dead"});
    let job = ask(&world, &dead).await;
    assert_eq!(job["total"], letters.len());
    world.purge("ReplayQueue").await;
    dies_while_nothing_is_delivered(&world, &job, 20, marks).await;
    // Of the page that was sent: what was still on its way when it was, and some of what it sent itself, its last too.
    let again = [letters[7].clone(), letters[499].clone()];
    let late: Vec<String> = late.into_iter().filter(|id| *id < again[1]).collect();
    let id = ReplayId::parse(job["id"].as_str().unwrap()).unwrap();
    die(&world, &endpoint, &late, None).await;
    die(&world, &endpoint, &again, Some(&id)).await;

    let done = finished(&world, &job).await;
    let all = json!(letters.len());
    assert_eq!(numbers(&done), [&all, &all, &json!(0), &json!(0)], "{done}");
    let path = format!("/v1/tenants/acme/deliveries?state=dead&endpoint={}", endpoint.id);
    let left = world.get(&path).await;
    let mut left: Vec<&str> = left["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["id"].as_str().unwrap())
        .collect();
    left.sort_unstable();
    let mut never_sent: Vec<String> = late.iter().map(|event| format!("{event}.{}", endpoint.id)).collect();
    never_sent.extend(again.iter().map(|event| format!("{event}.{}.{id}", endpoint.id)));
    never_sent.sort_unstable();
    assert_eq!(left, never_sent);
    world.nothing_is_left().await;
}
