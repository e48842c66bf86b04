//! An endpoint that is down: the sweeper asks for it by the ladder, one delivery at a time, notices its recovery within
//! minutes, and gives up after days. Whatever is lost on the way delays a probe and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use redial_domain::hold::{Hold, HoldReason};
use redial_domain::retry::RetryPolicy;
use redial_local::connector::{Answer, Service, dynamodb_client};
use redial_local::dynamodb::Dynamo;
use redial_platform::metrics::Kept;
use redial_platform::store::Tables;
use redial_platform::store::config::Change;
use redial_platform::{Random, Store};
use redial_sweeper::{Parts, Sweeper};
use serde_json::{Value, json};

use super::down::*;
use crate::world::{Behaviour, World};

const HOUR_MINUTES: usize = 60;

#[tokio::test]
async fn a_server_that_was_down_for_six_hours_is_asked_by_the_ladder_and_gets_everything_in_its_time() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    let opened_at = world.requests(&endpoint).last().unwrap().at_ms;
    for hour in 0..6 {
        ids.extend(post(&world, &format!("hour{hour}-"), 100).await);
        minutes(&world, HOUR_MINUTES).await;
        // Nothing of it waits in a queue, whatever is posted.
        assert_eq!(world.waiting_in("DeliveryQueue") + world.waiting_in("RetryQueue"), 0);
    }
    let asked: Vec<i64> = world.requests(&endpoint)[ENOUGH..]
        .iter()
        .map(|request| request.at_ms)
        .collect();
    // By the ladder, each step late by a pass of the sweeper at most: 15, 30, 60, 120, then every 300 s.
    let waits: Vec<i64> = [opened_at]
        .iter()
        .chain(&asked)
        .zip(&asked)
        .map(|(a, b)| b - a)
        .collect();
    for (n, wait_ms) in waits.iter().enumerate() {
        let step_s = [15, 30, 60, 120].get(n).copied().unwrap_or(300);
        assert!(
            (step_s * 1000..=step_s * 1000 + 2 * MINUTE_MS).contains(wait_ms),
            "probe {n}: {wait_ms} ms"
        );
    }
    assert!((60..=75).contains(&asked.len()), "{}", asked.len());

    world.behave(&endpoint, FINE);
    let mut waited = 0;
    while health(&world, &endpoint).await.open.is_some() {
        minutes(&world, 1).await;
        waited += 1;
    }
    assert!(waited <= 6, "{waited} minutes");
    assert!(!is_told(&world, &endpoint).await);
    // What failed before waits for its own time.
    minutes(&world, 11 * HOUR_MINUTES).await;
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_probe_that_dies_is_a_dead_letter_and_the_next_is_taken_from_the_other_end() {
    let world = World::new().await;
    let (endpoint, _) = goes_down(&world, json!({"retry": {"attempts": 1}})).await;
    let ids = post(&world, "later", 3).await;
    let mut died = Vec::new();
    // The oldest, the newest, the oldest that is left.
    for next in [0, 2, 1] {
        let before = world.requests(&endpoint).len();
        while world.requests(&endpoint).len() == before {
            minutes(&world, 1).await;
        }
        assert_eq!(world.requests(&endpoint).last().unwrap().id, ids[next]);
        died.push(ids[next].clone());
        let dead = states(&world, &endpoint, &died).await;
        assert_eq!(dead["dead"], died.len(), "{dead:?}");
    }
    // With nothing to ask with, nothing is asked; the next event is.
    let asked = world.requests(&endpoint).len();
    minutes(&world, 30).await;
    assert_eq!(world.requests(&endpoint).len(), asked);
    world.behave(&endpoint, FINE);
    let ids = post(&world, "last", 2).await;
    minutes(&world, 12).await;
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    assert!(health(&world, &endpoint).await.open.is_none());
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_probe_that_the_queue_loses_is_followed_by_the_next() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "later", 5).await);
    world.pass_ms(MINUTE_MS).await;
    assert_eq!(world.sweep().await.sent, 1);
    world.purge("DeliveryQueue").await;
    let before = world.requests(&endpoint).len();
    minutes(&world, 3).await;
    let probes = world.requests(&endpoint).split_off(before);
    assert!(!probes.is_empty());
    // The lost one is on its way as far as anybody knows, for a while; then it is held as before.
    minutes(&world, 17).await;
    assert!(!states(&world, &endpoint, &ids).await.contains_key("queued"));
    world.behave(&endpoint, FINE);
    minutes(&world, 6 * HOUR_MINUTES).await;
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    world.nothing_is_left().await;
}

/// Tables that refuse to mark a delivery as sent while they are told to.
struct Refusing {
    dynamo: Dynamo,
    refuses: Arc<AtomicBool>,
}

impl Service for Refusing {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let is_delivery = || {
            let request: Value = serde_json::from_slice(&body).unwrap();
            request["Item"]["st"]["S"] == "queued"
        };
        if operation == "PutItem" && self.refuses.load(Ordering::SeqCst) && is_delivery() {
            return Answer::error(400, "AccessDeniedException", "not now");
        }
        self.dynamo.answer(operation, body).await
    }
}

#[tokio::test]
async fn a_sweeper_that_dies_between_its_writes_is_followed_by_one_that_asks() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "later", 5).await);
    let (dynamo, queues, clock) = world.services();
    let refuses = Arc::new(AtomicBool::new(true));
    let tables = Tables {
        config: "ConfigTable".to_owned(),
        events: "EventsTable".to_owned(),
    };
    let refusing = Refusing {
        dynamo,
        refuses: Arc::clone(&refuses),
    };
    let dying = Sweeper::new(Parts {
        store: Store::new(dynamodb_client(refusing), tables),
        queues,
        clock,
        random: Random::seeded(9),
        default_retry: RetryPolicy::default(),
        metrics: Kept::default().metrics(),
    });
    world.pass_ms(MINUTE_MS).await;
    let died = dying.sweep().await.unwrap();
    assert_eq!((died.sent, died.faults), (0, 1), "{died:?}");
    let before = world.requests(&endpoint).len();
    minutes(&world, 2).await;
    assert!(world.requests(&endpoint).len() > before);
    world.behave(&endpoint, FINE);
    minutes(&world, 6 * HOUR_MINUTES).await;
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn of_two_passes_at_the_same_time_one_asks() {
    let world = World::new().await;
    let (endpoint, _) = goes_down(&world, json!({})).await;
    post(&world, "later", 5).await;
    world.pass_ms(MINUTE_MS).await;
    let before = world.requests(&endpoint).len();
    let (one, other) = tokio::join!(world.sweep(), world.sweep());
    assert_eq!(one.sent + other.sent, 1);
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), before + 1);
    assert_eq!(health(&world, &endpoint).await.probes, 1);
}

#[tokio::test]
async fn five_days_without_a_success_disable_it_and_its_backlog_stays() {
    let world = World::new().await;
    let operator = world.endpoint("operator", FINE, json!({})).await;
    let (endpoint, mut ids) = goes_down(&world, json!({"retry": {"delays": [1], "attempts": 20}})).await;
    ids.extend(post(&world, "later", 5).await);
    world.stand_still_ms(5 * 24 * 3_600_000 - 10 * MINUTE_MS);
    minutes(&world, 8).await;
    let state = || async { world.get(&path(&endpoint, "")).await["state"].clone() };
    assert_eq!(state().await, "active");
    minutes(&world, 10).await;
    assert_eq!(state().await, "disabled");
    assert!(!is_told(&world, &endpoint).await);
    let told: Vec<Value> = world
        .requests(&operator)
        .iter()
        .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap())
        .filter(|body| body["type"] == "endpoint.disabled")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["data"]["reason"], "No attempt succeeded for 5 days.");
    assert_eq!(told[0]["data"]["status"], 503);
    assert!(told[0]["data"]["failures_in_row"].as_u64().unwrap() > 10);
    // Nothing more is asked, and nothing was lost.
    let asked = world.requests(&endpoint).len();
    minutes(&world, 20).await;
    assert_eq!(world.requests(&endpoint).len(), asked);
    assert_eq!(states(&world, &endpoint, &ids).await["held"], ids.len());
    world.behave(&endpoint, FINE);
    world.call("POST", &path(&endpoint, "/resume"), Value::Null, 200).await;
    minutes(&world, 5).await;
    assert_eq!(states(&world, &endpoint, &ids).await["succeeded"], ids.len());
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_a_crash_left_of_opening_and_of_closing_is_mended() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", FINE, json!({})).await;
    let (tenant, id) = ids_of(&endpoint);
    let (_, _, clock) = world.services();
    world.pass_ms(MINUTE_MS).await;
    let opened_at = clock.now();
    // Its health says so, and nobody else knows.
    assert!(
        world
            .store()
            .open(&tenant, &id, HoldReason::FailuresInRow, opened_at)
            .await
            .unwrap()
    );
    world.pass_ms(MINUTE_MS).await;
    world.sweep().await;
    assert!(is_told(&world, &endpoint).await);
    let ids = post(&world, "while", 2).await;
    assert_eq!(states(&world, &endpoint, &ids).await["held"], 2);
    // It is let go, and nobody else knows.
    assert!(world.store().close(&tenant, &id, clock.now()).await.unwrap());
    minutes(&world, 2).await;
    assert!(!is_told(&world, &endpoint).await);
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    // Its health is lost, and everybody thinks that it is on hold.
    let config = world.store().tenant_config(&tenant).await.unwrap().unwrap();
    let hold = Hold {
        since: clock.now(),
        reason: HoldReason::FailuresInRow,
        failing_since: clock.now(),
    };
    minutes(&world, 3).await;
    world.store().forget_health(&tenant, &id).await.unwrap();
    let change = Change::Hold(&id, Some(&hold));
    world.store().change(&tenant, config.version, change).await.unwrap();
    let ids = post(&world, "lost", 2).await;
    assert_eq!(states(&world, &endpoint, &ids).await["held"], 2);
    minutes(&world, 3).await;
    assert!(!is_told(&world, &endpoint).await);
    arrived_once_and_in_their_time(&world, &endpoint, &ids).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_was_lost_and_what_is_due_of_an_endpoint_on_hold_is_held_not_sent() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let (tenant, id) = ids_of(&endpoint);
    let (_, _, clock) = world.services();
    let lost = post(&world, "lost", 1).await;
    world.purge("DeliveryQueue").await;
    // One whose messages burnt their receives waits in the table, due.
    let burnt = post(&world, "burnt", 1).await;
    world.burn_receives().await;
    world.settle().await;
    assert!(
        world
            .store()
            .open(&tenant, &id, HoldReason::FailuresInRow, clock.now())
            .await
            .unwrap()
    );
    let config = world.store().tenant_config(&tenant).await.unwrap().unwrap();
    let hold = Hold {
        since: clock.now(),
        reason: HoldReason::FailuresInRow,
        failing_since: clock.now(),
    };
    let change = Change::Hold(&id, Some(&hold));
    world.store().change(&tenant, config.version, change).await.unwrap();
    world.stand_still_ms(10 * MINUTE_MS);
    let swept = world.sweep().await;
    // A probe, if anything.
    assert!(swept.sent <= 1 && swept.repaired == 0, "{swept:?}");
    for id in lost.iter().chain(&burnt) {
        let delivery = world.delivery("acme", id, &endpoint).await;
        assert!(
            delivery["reason"] == "endpoint_failing" || delivery["state"] == "queued",
            "{delivery}"
        );
    }
    minutes(&world, 10).await;
    arrived_once_and_in_their_time(&world, &endpoint, &[lost, burnt].concat()).await;
    world.nothing_is_left().await;
}
