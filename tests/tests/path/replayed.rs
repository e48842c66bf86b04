//! Stored deliveries made again: by their id after a repair, and a range of dead ones whose worker stops.

use serde_json::json;

use crate::world::{Behaviour, World, attempts_of};

#[tokio::test]
async fn a_replay_after_repair_is_a_new_delivery_with_the_same_webhook_id() {
    let world = World::new().await;
    let endpoint = world
        .endpoint("acme", Behaviour::Always(500), json!({"retry": {"delays": [1, 1]}}))
        .await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {"n": 1}}))
        .await;
    world.run_to_the_end().await;
    let first = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!(first["state"], "dead");

    world.behave(&endpoint, Behaviour::Always(200));
    let job = world
        .call(
            "POST",
            "/v1/tenants/acme/replays",
            json!({"delivery": first["id"]}),
            202,
        )
        .await;
    assert_eq!(
        (&job["total"], &job["done"], &job["failed"]),
        (&json!(1), &json!(0), &json!(0))
    );
    world.run_to_the_end().await;
    let job = world
        .get(&format!("/v1/tenants/acme/replays/{}", job["id"].as_str().unwrap()))
        .await;
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(1)));

    let requests = world.requests(&endpoint);
    assert_eq!(requests.len(), 4);
    assert!(
        requests
            .iter()
            .all(|request| request.id == "e1" && request.body == requests[0].body)
    );
    requests[3].verify(&endpoint.secret);
    let deliveries = world.get("/v1/tenants/acme/events/e1/deliveries").await;
    let items = deliveries["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let replayed = items.iter().find(|delivery| !delivery["replay_of"].is_null()).unwrap();
    assert_eq!(
        (&replayed["state"], &replayed["replay_of"]),
        (&json!("succeeded"), &first["id"])
    );
    assert_eq!(attempts_of(replayed).len(), 1);
    assert_eq!(world.delivery("acme", "e1", &endpoint).await["state"], "dead");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_range_of_dead_deliveries_is_replayed_and_continued_by_the_sweeper_when_its_worker_stops() {
    let world = World::new().await;
    let endpoint = world
        .endpoint("acme", Behaviour::Always(500), json!({"retry": {"attempts": 1}}))
        .await;
    let since = world.now();
    for n in 0..250 {
        world
            .post(json!({"type": "call.ended", "tenant": "acme", "id": format!("e{n}"), "data": {"n": n}}))
            .await;
    }
    world.run_to_the_end().await;
    let until = world.now_after(1_000).await;

    world.behave(&endpoint, Behaviour::Always(200));
    // Its message is lost: nobody begins the job but the sweeper, when the lease has run out.
    let spec = json!({"endpoint": endpoint.id, "since": since, "until": until, "state": "dead"});
    let job = world.call("POST", "/v1/tenants/acme/replays", spec, 202).await;
    assert_eq!(job["total"], 250);
    world.purge("ReplayQueue").await;
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), 250);
    world.pass_ms(121_000).await;
    world.sweep().await;
    world.run_to_the_end().await;
    let job = world
        .get(&format!("/v1/tenants/acme/replays/{}", job["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&job["state"], &job["done"], &job["failed"]),
        (&json!("done"), &json!(250), &json!(0))
    );
    assert_eq!(world.requests(&endpoint).len(), 500);
    world.nothing_is_left().await;
}
