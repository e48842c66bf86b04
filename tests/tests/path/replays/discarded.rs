//! What is held or dead and given up: it is canceled, nothing is sent, and the ledger still balances.

use redial_platform::store::replays::{ReplayAction, ReplayFilter};
use redial_replay::Options;
use serde_json::{Value, json};

use super::{acme, all_die, asker, look, numbers, post_many};
use crate::world::{Behaviour, Endpoint, World};

const EVENTS: usize = 700;

async fn discard(world: &World, endpoint: &Endpoint, state: &str, options: Options) -> Value {
    let config = world.store().tenant_config(&acme()).await.unwrap().unwrap();
    let filter = ReplayFilter {
        action: ReplayAction::Discard,
        endpoints: vec![redial_domain::EndpointId::parse(&endpoint.id).unwrap()],
        state: redial_domain::delivery::DeliveryState::parse(state),
        ..ReplayFilter::default()
    };
    let job = asker(world)
        .ask_with(&config.into(), filter.into(), options)
        .await
        .unwrap();
    world.run_to_the_end().await;
    look(world, &json!({"id": job.id})).await
}

#[tokio::test]
async fn what_is_held_or_dead_is_discarded_and_the_ledger_balances() {
    let world = World::new().await;
    let paused = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", paused.id);
    world.call("POST", &format!("{path}/pause"), Value::Null, 200).await;
    let dies = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    post_many(&world, "e", EVENTS, &json!({})).await;
    all_die(&world, &dies, EVENTS).await;
    world.stand_still_ms(1_000);
    let requests = world.requests(&dies).len();
    for (endpoint, state) in [(&paused, "held"), (&dies, "dead")] {
        let dry = Options {
            dry_run: true,
            ..Options::default()
        };
        let counted = discard(&world, endpoint, state, dry).await;
        assert_eq!(
            numbers(&counted),
            [&json!(EVENTS), &json!(0), &json!(0), &json!(0)],
            "{counted}"
        );
        let job = discard(&world, endpoint, state, Options::default()).await;
        assert_eq!(
            (&job["state"], &job["what"]["action"]),
            (&json!("done"), &json!("discard"))
        );
        assert_eq!(
            numbers(&job),
            [&json!(EVENTS), &json!(EVENTS), &json!(0), &json!(0)],
            "{job}"
        );
        let one = world
            .get(&format!("/v1/tenants/acme/deliveries/e00003.{}", endpoint.id))
            .await;
        assert_eq!(
            (&one["state"], &one["reason"]),
            (&json!("canceled"), &json!("discarded"))
        );
    }
    assert_eq!(
        (world.requests(&paused).len(), world.requests(&dies).len()),
        (0, requests)
    );
    world.call("POST", &format!("{path}/resume"), Value::Null, 200).await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&paused).len(), 0, "nothing is left to release");
    world.pass_ms(2 * 3_600_000).await;
    let mut difference = 0;
    for _ in 0..3 {
        world.pass_ms(60_000).await;
        difference += world.sweep().await.ledger_difference;
    }
    assert_eq!(difference, 0);
    world.nothing_is_left().await;
}
