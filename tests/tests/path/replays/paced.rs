//! A replay with a rate: no second has more, a slow start is slow, the job rests meanwhile, and what was held keeps its own
//! schedule.

use redial_domain::EndpointId;
use redial_domain::delivery::DeliveryState;
use redial_platform::store::replays::ReplayFilter;
use redial_replay::Options;
use serde_json::{Value, json};

use super::{acme, ask, asker, look, numbers, post_many};
use crate::world::{Behaviour, Endpoint, World};

/// Passes of the sweeper until the job is over, and what is under way has arrived.
async fn finished(world: &World, job: &Value) -> Value {
    for _ in 0..60 {
        world.pass_ms(60_000).await;
        world.sweep().await;
        world.settle().await;
        if look(world, job).await["state"] == "done" {
            world.run_to_the_end().await;
            return look(world, job).await;
        }
    }
    panic!("it is not done: {}", look(world, job).await);
}

/// Requests in each second since the first.
fn each_second(world: &World, endpoint: &Endpoint, before: usize) -> Vec<usize> {
    let requests = &world.requests(endpoint)[before..];
    let first = requests[0].at_ms;
    let mut seconds = Vec::new();
    for request in requests {
        let second = usize::try_from((request.at_ms - first) / 1000).unwrap();
        seconds.resize(seconds.len().max(second + 1), 0);
        seconds[second] += 1;
    }
    seconds
}

#[tokio::test]
async fn a_rate_holds_in_every_second_and_the_job_rests_meanwhile() {
    const EVENTS: usize = 1_500;
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let since = world.now();
    post_many(&world, "e", EVENTS, &json!({})).await;
    world.run_to_the_end().await;
    world.stand_still_ms(1_000);
    let before = world.requests(&endpoint).len();
    let job = ask(&world, &json!({"endpoint": endpoint.id, "since": since, "rate": 5})).await;
    assert_eq!(job["rate"], 5);
    world.settle().await;
    let first = look(&world, &job).await;
    // Two minutes' worth are in the queue; the rest is where it was.
    let sent = first["done"].as_u64().unwrap();
    assert!((590..=620).contains(&sent), "{first}");
    assert_eq!(first["seconds_left"].as_u64(), Some((EVENTS as u64 - sent).div_ceil(5)));
    let done = finished(&world, &job).await;
    assert_eq!(numbers(&done)[..2], [&json!(EVENTS), &json!(EVENTS)], "{done}");
    let seconds = each_second(&world, &endpoint, before);
    // The queue counts whole seconds; each leaves at its own moment all the same.
    let came: Vec<i64> = world.requests(&endpoint)[before..].iter().map(|r| r.at_ms).collect();
    for (n, first) in came.iter().enumerate() {
        let within = came[n..].iter().take_while(|at| **at < first + 1_000).count();
        assert!(within <= 6, "{within} within a second of {first}: {seconds:?}");
    }
    assert!(
        seconds.len() < EVENTS / 5 + 150,
        "it is no slower than it must: {}",
        seconds.len()
    );
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_slow_start_begins_with_ten_a_second() {
    const EVENTS: usize = 1_200;
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
    world.call("POST", &format!("{path}/pause"), Value::Null, 200).await;
    post_many(&world, "e", EVENTS, &json!({})).await;
    world.settle().await;
    // As after a hold: active again, and somebody asks for the drain.
    world
        .call("POST", &format!("{path}/resume"), json!({"backlog": "keep"}), 200)
        .await;
    let config = world.store().tenant_config(&acme()).await.unwrap().unwrap();
    let filter = ReplayFilter {
        endpoints: vec![EndpointId::parse(&endpoint.id).unwrap()],
        state: Some(DeliveryState::Held),
        ..ReplayFilter::default()
    };
    let options = Options {
        rate: Some(100),
        slow_start: true,
        dry_run: false,
    };
    let job = asker(&world)
        .ask_with(&config.into(), filter.into(), options)
        .await
        .unwrap();
    let done = finished(&world, &json!({"id": job.id})).await;
    assert_eq!(numbers(&done)[..2], [&json!(EVENTS), &json!(EVENTS)], "{done}");
    let seconds = each_second(&world, &endpoint, 0);
    assert!(seconds[..28].iter().all(|n| *n <= 11), "{seconds:?}");
    assert!(seconds[..28].iter().sum::<usize>() <= 300, "{seconds:?}");
    assert!(seconds[..58].iter().sum::<usize>() <= 900, "{seconds:?}");
    assert_eq!(world.requests(&endpoint).len(), EVENTS, "each once");
    world.nothing_is_left().await;
}
