//! What a replay costs, counted: requests to the tables and queues for a thousand deliveries, and that a large one is counted
//! by the job and not by the request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use redial_local::connector::{Answer, Service};
use redial_local::dynamodb::Dynamo;
use redial_platform::Clock;
use redial_platform::store::replays::ReplayFilter;
use redial_replay::{Asker, Options};
use serde_json::json;

use super::{Instead, acme, ask, asker, look, numbers, post_many, store, work, worker};
use crate::world::{Behaviour, World};

#[tokio::test]
async fn a_thousand_deliveries_take_few_requests() {
    const EVENTS: usize = 2_000;
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let since = world.now();
    post_many(&world, "e", EVENTS, &json!({})).await;
    world.run_to_the_end().await;
    world.stand_still_ms(1_000);
    let job = ask(&world, &json!({"endpoint": endpoint.id, "since": since})).await;
    world.purge("ReplayQueue").await;
    let calls: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let (dynamo, ..) = world.services();
    let counting = Instead(dynamo, {
        let calls = Arc::clone(&calls);
        move |operation: &str, _: &Bytes| {
            *calls.lock().unwrap().entry(operation.to_owned()).or_default() += 1;
            None
        }
    });
    assert!(!work(&worker(&world, counting), &job).await);
    let done = look(&world, &job).await;
    assert_eq!(numbers(&done)[..2], [&json!(EVENTS), &json!(EVENTS)], "{done}");
    let calls = calls.lock().unwrap().clone();
    let per_1000 = |operation: &str| calls.get(operation).copied().unwrap_or(0) * 1_000 / EVENTS;
    // Rows are noted 25 at a time; a page is four shards' share, read once.
    assert!((40..=44).contains(&per_1000("BatchWriteItem")), "{calls:?}");
    assert!(per_1000("Query") <= 14, "{calls:?}");
    assert!(per_1000("PutItem") <= 4 && per_1000("GetItem") <= 5, "{calls:?}");
    assert!(calls.values().sum::<usize>() * 1_000 / EVENTS <= 65, "{calls:?}");
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 2 * EVENTS);
    world.nothing_is_left().await;
}

/// Tables that take their time.
struct Slow {
    dynamo: Dynamo,
    clock: Clock,
}

impl Service for Slow {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        self.clock.advance_to(self.clock.now().plus_millis(800));
        self.dynamo.answer(operation, body).await
    }
}

#[tokio::test]
async fn what_a_request_has_no_time_to_count_is_counted_by_the_job() {
    const EVENTS: usize = 200;
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    post_many(&world, "e", EVENTS, &json!({})).await;
    world.run_to_the_end().await;
    world.stand_still_ms(1_000);
    let config = Arc::new(world.store().tenant_config(&acme()).await.unwrap().unwrap());
    let (dynamo, _, clock) = world.services();
    let asker = Asker {
        store: store(Slow { dynamo, clock }),
        ..asker(&world)
    };
    let until = world.services().2.now();
    for (dry_run, sent) in [(true, 0), (false, EVENTS)] {
        let filter = ReplayFilter {
            until,
            ..ReplayFilter::default()
        };
        let options = Options {
            dry_run,
            ..Options::default()
        };
        let before = world.requests(&endpoint).len();
        let job = asker.ask_with(&config, filter.into(), options).await.unwrap();
        // Three of the four shards: by then two seconds are over.
        assert!(!job.counted && (1..EVENTS as u64).contains(&job.total), "{job:?}");
        world.run_to_the_end().await;
        let done = look(&world, &json!({"id": job.id})).await;
        assert_eq!((&done["state"], &done["counted"]), (&json!("done"), &json!(true)));
        assert_eq!(
            numbers(&done),
            [&json!(EVENTS), &json!(sent), &json!(0), &json!(0)],
            "{done}"
        );
        assert_eq!(world.requests(&endpoint).len() - before, sent);
    }
    world.nothing_is_left().await;
}
