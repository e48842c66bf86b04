//! Jobs that are paused, go on, and are canceled: between two pages, while nobody holds them, and when they are over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use redial_domain::ReplayId;
use redial_local::connector::{Answer, Service};
use redial_local::dynamodb::Dynamo;
use redial_replay::{Asker, Order};
use serde_json::{Value, json};

use super::{REPLAYS, acme, ask, asker, look, numbers, post_many, saves_job, work, worker};
use crate::world::{Behaviour, Endpoint, World};

const EVENTS: usize = 1_200;

/// Tables behind which somebody tells the job something: each order right before the save with its number.
struct Telling {
    dynamo: Dynamo,
    asker: Asker,
    id: ReplayId,
    orders: &'static [(usize, Order)],
    saves: Arc<AtomicUsize>,
}

impl Service for Telling {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        if saves_job(operation, &body) {
            let number = self.saves.fetch_add(1, Ordering::SeqCst) + 1;
            for (_, order) in self.orders.iter().filter(|(at, _)| *at == number) {
                self.asker.order(&acme(), &self.id, *order).await.unwrap();
            }
        }
        self.dynamo.answer(operation, body).await
    }
}

async fn succeeded() -> (World, Endpoint, Value) {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let since = world.now();
    post_many(&world, "e", EVENTS, &json!({})).await;
    world.run_to_the_end().await;
    world.stand_still_ms(1_000);
    let job = ask(&world, &json!({"endpoint": endpoint.id, "since": since})).await;
    world.purge("ReplayQueue").await;
    assert_eq!(job["total"], EVENTS);
    (world, endpoint, job)
}

/// A worker that is told something right before some of its saves: the first takes the job, the second ends a page. Answers
/// how often it has saved.
async fn worked_and_told(world: &World, job: &Value, orders: &'static [(usize, Order)]) -> usize {
    let (dynamo, ..) = world.services();
    let id = ReplayId::parse(job["id"].as_str().unwrap()).unwrap();
    let saves = Arc::new(AtomicUsize::new(0));
    let telling = Telling {
        dynamo,
        asker: asker(world),
        id,
        orders,
        saves: Arc::clone(&saves),
    };
    assert!(!work(&worker(world, telling), job).await);
    saves.load(Ordering::SeqCst)
}

async fn tell(world: &World, job: &Value, what: &str, status: u16) -> Value {
    let path = format!("{REPLAYS}/{}/{what}", job["id"].as_str().unwrap());
    world.call("POST", &path, Value::Null, status).await
}

#[tokio::test]
async fn a_job_that_is_paused_while_it_works_stops_after_its_page_and_goes_on_where_it_was() {
    let (world, endpoint, job) = succeeded().await;
    worked_and_told(&world, &job, &[(2, Order::Pause)]).await;
    let paused = look(&world, &job).await;
    assert_eq!(paused["state"], "paused");
    let done = paused["done"].as_u64().unwrap();
    assert!(0 < done && done < EVENTS as u64, "{paused}");
    // It waits for a person, however long.
    world.pass_ms(24 * 3_600_000).await;
    assert_eq!(world.sweep().await.continued, 0);
    world.run_to_the_end().await;
    assert_eq!(
        world.requests(&endpoint).len() as u64,
        EVENTS as u64 + done,
        "its numbers are true"
    );
    assert_eq!(
        tell(&world, &job, "pause", 200).await["state"],
        "paused",
        "twice is no error"
    );
    assert_eq!(tell(&world, &job, "resume", 200).await["state"], "pending");
    world.run_to_the_end().await;
    let over = look(&world, &job).await;
    assert_eq!(
        numbers(&over),
        [&json!(EVENTS), &json!(EVENTS), &json!(0), &json!(0)],
        "{over}"
    );
    assert_eq!(world.requests(&endpoint).len(), 2 * EVENTS);
    for what in ["pause", "resume", "cancel"] {
        assert_eq!(tell(&world, &job, what, 409).await["code"], "replay_finished", "{what}");
    }
    world.nothing_is_left().await;
}

/// A pause that is taken back before the worker has obeyed; its saves, and the pages that it ends with them.
async fn paused_for_a_moment(orders: &'static [(usize, Order)], saves: usize) {
    let (world, endpoint, job) = succeeded().await;
    assert_eq!(worked_and_told(&world, &job, orders).await, saves, "{orders:?}");
    // The same worker has come to the end, and no page was sent twice.
    let over = look(&world, &job).await;
    assert_eq!(over["state"], "done", "{orders:?}: {over}");
    assert_eq!(
        numbers(&over),
        [&json!(EVENTS), &json!(EVENTS), &json!(0), &json!(0)],
        "{over}"
    );
    assert_eq!(world.waiting_in("DeliveryQueue"), EVENTS);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 2 * EVENTS);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_pause_that_is_taken_back_within_a_page_does_not_stop_the_worker() {
    // It takes the job, and ends three pages; one save is tried twice.
    paused_for_a_moment(&[(2, Order::Pause), (2, Order::Resume)], 5).await;
}

#[tokio::test]
async fn a_pause_that_is_taken_back_while_the_worker_obeys_does_not_stop_it() {
    // What it saved first was refused for the pause; what it saves then, paused, for the resumption.
    paused_for_a_moment(&[(2, Order::Pause), (3, Order::Resume)], 6).await;
}

#[tokio::test]
async fn a_job_that_is_canceled_while_it_works_keeps_its_numbers() {
    let (world, endpoint, job) = succeeded().await;
    worked_and_told(&world, &job, &[(3, Order::Cancel)]).await;
    world.run_to_the_end().await;
    let canceled = look(&world, &job).await;
    assert_eq!(
        (&canceled["state"], &canceled["total"]),
        (&json!("canceled"), &json!(EVENTS))
    );
    let done = canceled["done"].as_u64().unwrap();
    assert!(0 < done && done < EVENTS as u64, "{canceled}");
    assert!(canceled["finished_at"].is_string());
    assert_eq!(world.requests(&endpoint).len() as u64, EVENTS as u64 + done);
    assert_eq!(tell(&world, &job, "resume", 409).await["code"], "replay_finished");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_job_that_nobody_works_on_is_told_at_once() {
    let (world, endpoint, job) = succeeded().await;
    assert_eq!(tell(&world, &job, "pause", 200).await["state"], "paused");
    assert_eq!(tell(&world, &job, "resume", 200).await["state"], "pending");
    assert_eq!(tell(&world, &job, "pause", 200).await["state"], "paused");
    // The message of the resumption is still there.
    world.settle().await;
    assert_eq!(look(&world, &job).await["state"], "paused");
    assert_eq!(tell(&world, &job, "cancel", 200).await["state"], "canceled");
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), EVENTS);
    let none = world
        .call("POST", &format!("{REPLAYS}/rpl_none/pause"), Value::Null, 404)
        .await;
    assert_eq!(none["code"], "not_found");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn who_changes_their_mind_before_the_worker_notices_has_changed_nothing() {
    let (world, endpoint, job) = succeeded().await;
    let id = ReplayId::parse(job["id"].as_str().unwrap()).unwrap();
    // It was taken, and its worker died.
    let (dynamo, ..) = world.services();
    let taken = AtomicUsize::new(0);
    let dies = super::Instead(dynamo, move |operation: &str, body: &Bytes| {
        let dead = saves_job(operation, body) && taken.fetch_add(1, Ordering::SeqCst) > 0;
        dead.then(|| Answer::error(400, "AccessDeniedException", "crashed"))
    });
    assert!(work(&worker(&world, dies), &job).await);
    let asker = asker(&world);
    let paused = asker.order(&acme(), &id, Order::Pause).await.unwrap();
    assert_eq!(
        (paused.shown_state().as_str(), paused.state.as_str()),
        ("paused", "running")
    );
    assert_eq!(look(&world, &job).await["state"], "paused");
    let resumed = asker.order(&acme(), &id, Order::Resume).await.unwrap();
    assert_eq!(resumed.wish, None);
    asker.order(&acme(), &id, Order::Pause).await.unwrap();
    world.pass_ms(121_000).await;
    world.sweep().await;
    world.settle().await;
    assert_eq!(look(&world, &job).await["state"], "paused", "who goes on with it obeys");
    asker.order(&acme(), &id, Order::Resume).await.unwrap();
    world.run_to_the_end().await;
    assert_eq!(look(&world, &job).await["done"], EVENTS);
    assert_eq!(
        world.requests(&endpoint).len(),
        2 * EVENTS,
        "a page that was sent twice is delivered once"
    );
    world.nothing_is_left().await;
}
