//! Which delivery is a probe, and until when: deliveries that can never be taken keep no endpoint on hold, and a probe that has
//! failed is a delivery as any other.

use redial_domain::hold::{Hold, HoldReason};
use redial_platform::store::config::Change;
use serde_json::json;

use super::down::*;
use crate::world::{Behaviour, World};

/// Deliveries that would each be a probe on the ladder for hours, one every five minutes.
const POISON: usize = 60;

#[tokio::test]
async fn a_run_of_poison_keeps_no_endpoint_on_hold_that_takes_everything_else() {
    let world = World::new().await;
    let (endpoint, _) = goes_down(&world, json!({"retry": {"attempts": 1}})).await;
    let poison = post(&world, "poison", POISON).await;
    let fine = post(&world, "well", 2).await;
    world.behave(&endpoint, Behaviour::Refuses("poison"));
    minutes(&world, 10).await;
    let states = states(&world, &endpoint, &fine).await;
    assert_eq!(states.get("succeeded"), Some(&fine.len()), "{states:?}");
    assert!(
        world
            .requests(&endpoint)
            .iter()
            .any(|request| poison.contains(&request.id))
    );
}

#[tokio::test]
async fn a_probe_that_has_failed_and_waits_in_the_queue_is_no_probe_any_more() {
    let world = World::new().await;
    let (endpoint, ids) = goes_down(&world, json!({})).await;
    let (tenant, id) = ids_of(&endpoint);
    world.pass_ms(MINUTE_MS).await;
    assert_eq!(world.sweep().await.sent, 1);
    // Somebody resumes the endpoint while the probe is under way, so that it waits in the queue for its next attempt.
    let keep = json!({"backlog": "keep"});
    world.call("POST", &path(&endpoint, "/resume"), keep, 200).await;
    world.settle().await;
    let probe = &world.requests(&endpoint)[ENOUGH].id;
    let delivery = world.delivery("acme", probe, &endpoint).await;
    assert_eq!(
        (&delivery["state"], ids.contains(probe)),
        (&json!("retrying"), true),
        "{delivery}"
    );
    // The endpoint is on hold again before that.
    let (_, _, clock) = world.services();
    let store = world.store();
    let now = clock.now();
    assert!(store.open(&tenant, &id, HoldReason::FailuresInRow, now).await.unwrap());
    let hold = Hold {
        since: now,
        reason: HoldReason::FailuresInRow,
        failing_since: now,
    };
    let config = store.tenant_config(&tenant).await.unwrap().unwrap();
    let change = Change::Hold(&id, Some(&hold));
    store.change(&tenant, config.version, change).await.unwrap();
    world.pass_ms(MINUTE_MS).await;
    assert_eq!(world.requests(&endpoint).len(), ENOUGH + 1, "it is not attempted");
    let delivery = world.delivery("acme", probe, &endpoint).await;
    assert_eq!(
        (&delivery["state"], &delivery["reason"]),
        (&json!("held"), &json!("endpoint_failing")),
        "{delivery}"
    );
    // One of those that are held is sent as the next probe, and reaches it.
    world.behave(&endpoint, FINE);
    minutes(&world, 60).await;
    assert!(health(&world, &endpoint).await.open.is_none());
}
