//! `traceparent` on its way from the request that brought an event to the requests that deliver it.

use redial_domain::Traceparent;
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World};

/// The example of the W3C recommendation.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"call_id": "c1"}})
}

fn traces(world: &World, endpoint: &Endpoint) -> Vec<Option<String>> {
    let requests = world.requests(endpoint);
    requests.into_iter().map(|request| request.traceparent).collect()
}

#[tokio::test]
async fn a_trace_reaches_every_attempt_of_a_delivery() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::FailFirst(2), json!({})).await;
    world.post_traced(&event("e1"), TRACE).await;
    world.run_to_the_end().await;
    assert_eq!(traces(&world, &endpoint), vec![Some(TRACE.to_owned()); 3]);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_direct_invocation_is_part_of_a_trace_too() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let trace = Traceparent::parse(TRACE).unwrap();
    let answer = world.invoke_ingest_traced(&event("e1"), &trace).await;
    assert_eq!(answer, json!({"id": "e1", "deliveries": 1}));
    world.run_to_the_end().await;
    assert_eq!(traces(&world, &endpoint), [Some(TRACE.to_owned())]);
}

#[tokio::test]
async fn what_is_no_trace_context_is_left_out_and_the_event_is_delivered() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let zero = TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
    for (n, bad) in ["x", &TRACE.to_uppercase(), &zero, &TRACE.replacen("00", "01", 1)]
        .into_iter()
        .enumerate()
    {
        world.post_traced(&event(&format!("e{n}")), bad).await;
    }
    world.run_to_the_end().await;
    assert_eq!(traces(&world, &endpoint), vec![None; 4]);
}

#[tokio::test]
async fn a_delivery_that_waited_in_the_table_keeps_its_trace() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post_traced(&event("e1"), TRACE).await;
    world.burn_receives().await;
    world.settle().await;
    assert!(world.requests(&endpoint).is_empty());
    world.pass_ms(61_000).await;
    world.sweep().await;
    world.run_to_the_end().await;
    assert_eq!(traces(&world, &endpoint), [Some(TRACE.to_owned())]);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_delivery_that_was_held_for_its_endpoint_keeps_its_trace_and_a_replay_has_none() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
    // Held by the dispatcher, which learns of the pause after ingest has sent.
    world.post_traced(&event("before"), TRACE).await;
    world.call("POST", &format!("{path}/pause"), json!({}), 200).await;
    world.pass_ms(20_000).await;
    // Held by ingest.
    world.post_traced(&event("during"), TRACE).await;
    world.settle().await;
    assert!(world.requests(&endpoint).is_empty());
    world.call("POST", &format!("{path}/resume"), json!({}), 200).await;
    world.run_to_the_end().await;
    assert_eq!(traces(&world, &endpoint), vec![Some(TRACE.to_owned()); 2]);

    world
        .call("POST", "/v1/tenants/acme/replays", json!({"event": "before"}), 202)
        .await;
    world.run_to_the_end().await;
    assert_eq!(traces(&world, &endpoint)[2..], [None]);
    world.nothing_is_left().await;
}
