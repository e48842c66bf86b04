//! An endpoint that is deleted: nothing of it stays held or waits for a retry, whoever held it, whatever was lost on the way.

use redial_domain::ReplayId;
use redial_platform::keys;
use serde_json::{Value, json};

use super::down::*;
use crate::world::{Endpoint, World};

async fn delete(world: &World, endpoint: &Endpoint) {
    world.call("DELETE", &path(endpoint, ""), Value::Null, 204).await;
}

/// A paused endpoint for which that many deliveries are held.
async fn paused(world: &World, count: usize) -> (Endpoint, Vec<String>) {
    let endpoint = world.endpoint("acme", FINE, json!({})).await;
    world.call("POST", &path(&endpoint, "/pause"), Value::Null, 200).await;
    let ids = post(world, "held", count).await;
    assert_eq!(states(world, &endpoint, &ids).await["held"], count);
    (endpoint, ids)
}

#[tokio::test]
async fn what_somebody_held_who_did_not_know_is_canceled_by_the_sweepers_look() {
    let world = World::new().await;
    let (endpoint, mut ids) = paused(&world, 3).await;
    // Accepted before, its message still on the way.
    world.call("POST", &path(&endpoint, "/resume"), Value::Null, 200).await;
    ids.extend(post(&world, "late", 2).await);
    world.purge("DeliveryQueue").await;
    world.call("POST", &path(&endpoint, "/pause"), Value::Null, 200).await;
    delete(&world, &endpoint).await;
    world.settle().await;
    for id in ["late0", "late1"] {
        world.hold("acme", id, &endpoint).await;
    }
    assert_eq!(states(&world, &endpoint, &ids).await["held"], 2);
    minutes(&world, 8).await;
    assert_eq!(
        states(&world, &endpoint, &ids).await,
        [("canceled".to_owned(), 5)].into()
    );
    assert!(world.requests(&endpoint).is_empty());
    // Once it was looked at twice nothing of it is remembered.
    let (tenant, id) = ids_of(&endpoint);
    let now = world.services().2.now();
    assert_eq!(world.store().health(&tenant, &id, now).await.unwrap(), None);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_deletion_that_dies_before_its_job_is_made_leaves_nothing_behind() {
    let world = World::new().await;
    let (endpoint, ids) = paused(&world, 3).await;
    delete(&world, &endpoint).await;
    world.purge("ReplayQueue").await;
    let (tenant, _) = ids_of(&endpoint);
    for job in world.store().jobs(&tenant, None, 10).await.unwrap().items {
        let key = keys::job(&tenant, &job.id);
        let key = json!({"pk": {"S": key.pk}, "sk": {"S": key.sk}});
        let request = json!({"TableName": "EventsTable", "Key": key});
        world.in_table("DeleteItem", &request).await;
    }
    minutes(&world, 8).await;
    assert_eq!(states(&world, &endpoint, &ids).await["canceled"], 3);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_retry_whose_message_is_lost_is_canceled() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", DOWN, json!({})).await;
    let ids = post(&world, "fails", 2).await;
    world.settle().await;
    assert_eq!(states(&world, &endpoint, &ids).await["retrying"], 2);
    world.purge("DeliveryQueue").await;
    delete(&world, &endpoint).await;
    minutes(&world, 8).await;
    assert_eq!(states(&world, &endpoint, &ids).await["canceled"], 2);
    assert_eq!(world.requests(&endpoint).len(), 2);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn one_that_is_put_on_hold_when_it_is_gone_already_is_looked_at_all_the_same() {
    let world = World::new().await;
    let (endpoint, mut ids) = goes_down(&world, json!({})).await;
    ids.extend(post(&world, "held", 3).await);
    delete(&world, &endpoint).await;
    world.purge("ReplayQueue").await;
    minutes(&world, 20).await;
    assert_eq!(states(&world, &endpoint, &ids).await["canceled"], ids.len());
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_release_that_somebody_paused_keeps_nothing_of_an_endpoint_that_is_gone() {
    let world = World::new().await;
    let (endpoint, ids) = paused(&world, 3).await;
    let resumed = world.call("POST", &path(&endpoint, "/resume"), Value::Null, 200).await;
    let replay = ReplayId::parse(resumed["backlog"]["replay"].as_str().unwrap()).unwrap();
    let job = format!("/v1/tenants/acme/replays/{replay}");
    world.call("POST", &format!("{job}/pause"), Value::Null, 200).await;
    delete(&world, &endpoint).await;
    minutes(&world, 8).await;
    assert_eq!(states(&world, &endpoint, &ids).await["canceled"], 3);
    world.call("POST", &format!("{job}/cancel"), Value::Null, 200).await;
    minutes(&world, 8).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn to_whoever_asks_for_replays_a_deleted_endpoint_is_not_there() {
    let world = World::new().await;
    let (endpoint, _) = paused(&world, 1).await;
    delete(&world, &endpoint).await;
    let held = json!({"endpoint": endpoint.id, "since": "2026-11-20T00:00:00Z", "state": "held"});
    let (status, problem) = world
        .request("POST", "/v1/tenants/acme/replays", Some(world.key()), &held)
        .await;
    assert_eq!((status, &problem["code"]), (422, &json!("not_found")), "{problem}");
}
