//! Stored deliveries made again: by their id after a repair, a range of dead ones whose worker stops, and jobs whose message
//! is lost, refused, or comes as a dead letter.

use redial_domain::{ReplayId, TenantId};
use redial_local::permissions::{Gate, Permissions};
use redial_platform::message::ReplayMessage;
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World, attempts_of};

const HOUR_MS: i64 = 3_600_000;

/// A delivered event, to be replayed.
async fn delivered(world: &World) -> Endpoint {
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    world.run_to_the_end().await;
    endpoint
}

/// A replay of that event whose message is lost.
async fn job_without_message(world: &World) -> Value {
    let asked = json!({"event": "e1"});
    let job = world.call("POST", "/v1/tenants/acme/replays", asked, 202).await;
    world.purge("ReplayQueue").await;
    job
}

async fn told(world: &World, job: &Value) -> Value {
    let id = job["id"].as_str().unwrap();
    world.get(&format!("/v1/tenants/acme/replays/{id}")).await
}

/// The job's message as a dead letter, taken in.
async fn letter_of(world: &World, job: &Value) {
    let letter = ReplayMessage {
        tenant: TenantId::parse("acme").unwrap(),
        replay: ReplayId::parse(job["id"].as_str().unwrap()).unwrap(),
    };
    world
        .send_raw("DeadLetterQueue", &serde_json::to_string(&letter).unwrap())
        .await;
    world.settle().await;
    assert_eq!(world.waiting_in("DeadLetterQueue"), 0);
}

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
    // One more, and the endpoint would be put on hold.
    for n in 0..9 {
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
    assert_eq!(job["total"], 9);
    world.purge("ReplayQueue").await;
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), 9);
    world.pass_ms(121_000).await;
    world.sweep().await;
    world.run_to_the_end().await;
    let job = world
        .get(&format!("/v1/tenants/acme/replays/{}", job["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&job["state"], &job["done"], &job["failed"]),
        (&json!("done"), &json!(9), &json!(0))
    );
    assert_eq!(world.requests(&endpoint).len(), 18);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn the_dead_letter_of_a_replay_fails_no_job_that_waits_works_or_is_done() {
    let world = World::new().await;
    let endpoint = delivered(&world).await;
    let job = job_without_message(&world).await;
    // It waits for its worker; then it is due; then nobody was there for days, as between a rollback and the next release.
    for ms in [0, 121_000, 3 * 24 * HOUR_MS] {
        world.pass_ms(ms).await;
        letter_of(&world, &job).await;
        assert_eq!(told(&world, &job).await["state"], "pending", "{ms}");
    }
    assert_eq!(world.sweep().await.continued, 1);
    letter_of(&world, &job).await;
    world.run_to_the_end().await;
    letter_of(&world, &job).await;
    let job = told(&world, &job).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(1)));
    assert_eq!(world.requests(&endpoint).len(), 2);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_replay_that_is_continued_for_hours_and_gets_no_further_is_failed_by_its_dead_letter() {
    let world = World::new().await;
    delivered(&world).await;
    let asked = json!({"event": "e1"});
    let job = world.call("POST", "/v1/tenants/acme/replays", asked, 202).await;
    // Its event is of a form that nobody here reads: every worker takes the job and stops at its first page.
    let key = json!({"pk": {"S": "i/acme/e1"}, "sk": {"S": "event"}});
    let newer = json!({"TableName": "EventsTable", "Key": key, "UpdateExpression": "SET fv = :fv",
        "ExpressionAttributeValues": {":fv": {"N": "99"}}});
    world.in_table("UpdateItem", &newer).await;
    world.settle().await;
    assert_eq!(told(&world, &job).await["state"], "running");
    assert_eq!(told(&world, &job).await["updated_at"], job["asked_at"], "no progress");
    world.pass_ms(121_000).await;
    letter_of(&world, &job).await;
    assert_eq!(
        told(&world, &job).await["state"],
        "running",
        "it has not been tried for long"
    );

    world.pass_ms(6 * HOUR_MS).await;
    assert_eq!(world.sweep().await.continued, 1);
    world.settle().await;
    letter_of(&world, &job).await;
    assert_eq!(told(&world, &job).await["state"], "running", "somebody works on it");
    world.pass_ms(301_000).await;
    letter_of(&world, &job).await;
    assert_eq!(told(&world, &job).await["state"], "failed");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_replay_whose_message_the_queue_does_not_take_is_accepted_once_and_begun_by_the_sweeper() {
    let permissions = Permissions::built_in().unwrap();
    let grants = permissions.grants();
    let sends = grants
        .iter()
        .find(|grant| grant.to_string() == "Api sqs:SendMessage ReplayQueue")
        .unwrap();
    let gate = Gate::new(permissions.without(sends));
    let world = World::behind(&gate).await;
    let endpoint = delivered(&world).await;
    let asked = json!({"event": "e1"});
    let job = world.call("POST", "/v1/tenants/acme/replays", asked, 202).await;
    assert_eq!(gate.take_denied().len(), 1);
    assert_eq!(world.waiting_in("ReplayQueue"), 0);
    world.pass_ms(121_000).await;
    assert_eq!(world.sweep().await.continued, 1);
    world.run_to_the_end().await;
    assert_eq!(told(&world, &job).await["state"], "done");
    assert_eq!(world.requests(&endpoint).len(), 2);
    world.nothing_is_left().await;
}
