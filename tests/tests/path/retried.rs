//! Deliveries that fail: retried as scheduled, dead after the last attempt, alive again by replay; and messages whose
//! receives burn without an attempt.

use redial_sqs::ReceiveCountOnMove;
use serde_json::json;

use super::down::ids_of;
use crate::world::{Behaviour, World, attempts_of, ms_of};

#[tokio::test]
async fn an_endpoint_that_fails_twice_then_works_takes_three_attempts_waiting_as_scheduled() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::FailFirst(2), json!({})).await;
    let event = world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {"n": 1, "call_id": "c1"}}))
        .await;
    assert_eq!(event, json!({"id": "e1", "deliveries": 1}));
    world.run_to_the_end().await;

    let requests = world.requests(&endpoint);
    assert_eq!(requests.len(), 3);
    let waits: Vec<i64> = requests.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).collect();
    assert!(
        (5_000..=6_000).contains(&waits[0]) && (30_000..=36_000).contains(&waits[1]),
        "{waits:?}"
    );
    assert!(
        requests
            .windows(2)
            .all(|pair| pair[0].body == pair[1].body && pair[0].timestamp != pair[1].timestamp)
    );
    requests.iter().for_each(|request| request.verify(&endpoint.secret));

    let delivery = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!(
        (&delivery["state"], &delivery["reason"]),
        (&json!("succeeded"), &json!(null))
    );
    let attempts = attempts_of(&delivery);
    assert_eq!(
        attempts.iter().map(|a| a["status"].clone()).collect::<Vec<_>>(),
        [json!(500), json!(500), json!(200)]
    );
    assert!(
        attempts[0]["next"]
            .as_str()
            .unwrap()
            .starts_with("The receiver answered 500: attempt 2 of 9 follows after ")
    );
    world.nothing_is_left().await;
}

/// The whole ladder, with both answers to "does a chained queue count receives from zero".
async fn a_dead_receiver_is_tried_nine_times(count: ReceiveCountOnMove) {
    let world = World::counting(count).await;
    let endpoint = world.endpoint("acme", Behaviour::Always(500), json!({})).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    world.run_to_the_end().await;

    let requests = world.requests(&endpoint);
    assert_eq!(requests.len(), 9);
    let schedule_s = [5, 30, 120, 900, 3600, 10_800, 28_800, 36_000];
    for (pair, scheduled_s) in requests.windows(2).zip(schedule_s) {
        let waited_ms = pair[1].at_ms - pair[0].at_ms;
        assert!(waited_ms >= scheduled_s * 1000, "{waited_ms} {scheduled_s}");
        assert!(waited_ms <= scheduled_s * 1200 + 1000, "{waited_ms} {scheduled_s}");
    }
    let delivery = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!(
        (&delivery["state"], &delivery["reason"]),
        (&json!("dead"), &json!("attempts_exhausted"))
    );
    let attempts = attempts_of(&delivery);
    assert_eq!(
        attempts.iter().map(|a| a["n"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=9).collect::<Vec<_>>()
    );
    assert!(
        attempts
            .iter()
            .all(|a| a["code"] == "http_error" && !a["next"].as_str().unwrap().is_empty())
    );
    assert!(
        attempts[8]["next"]
            .as_str()
            .unwrap()
            .ends_with("that was the last of 9 attempts, the delivery is dead.")
    );
    let dead = world.get("/v1/tenants/acme/deliveries?state=dead").await;
    assert_eq!(dead["items"].as_array().unwrap().len(), 1);
    // It was concluded by the dispatcher: nothing ever came to the dead-letter queue.
    assert_eq!(world.dead_letters_seen(), 0);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_dead_receiver_is_tried_nine_times_if_receives_carry_over_a_redrive() {
    a_dead_receiver_is_tried_nine_times(ReceiveCountOnMove::Carries).await;
}

#[tokio::test]
async fn a_dead_receiver_is_tried_nine_times_if_receives_restart_at_a_redrive() {
    a_dead_receiver_is_tried_nine_times(ReceiveCountOnMove::Restarts).await;
}

async fn twenty_attempts_are_all_made(count: ReceiveCountOnMove) {
    let world = World::counting(count).await;
    let retry = json!({"retry": {"attempts": 20, "base_s": 1, "factor": 1.5}});
    let endpoint = world.endpoint("acme", Behaviour::Always(503), retry).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    // Its other deliveries succeed, so that it is never put on hold: at most nine fail in a minute.
    let (tenant, id) = ids_of(&endpoint);
    for _ in 0..120 {
        world.pass_ms(60_000).await;
        world.store().forget_health(&tenant, &id).await.unwrap();
    }
    assert_eq!(world.requests(&endpoint).len(), 20);
    assert_eq!(world.delivery("acme", "e1", &endpoint).await["state"], "dead");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn twenty_attempts_are_all_made_if_receives_carry_over_a_redrive() {
    twenty_attempts_are_all_made(ReceiveCountOnMove::Carries).await;
}

#[tokio::test]
async fn twenty_attempts_are_all_made_if_receives_restart_at_a_redrive() {
    twenty_attempts_are_all_made(ReceiveCountOnMove::Restarts).await;
}

#[tokio::test]
async fn two_messages_of_one_delivery_share_its_attempts() {
    let world = World::new().await;
    let endpoint = world
        .endpoint("acme", Behaviour::Always(500), json!({"retry": {"delays": [5, 5, 5]}}))
        .await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    // As the sweeper sends one whose first message it believes lost.
    let at = ms_of(&world.now());
    let twin = json!({"t": "acme", "e": "e1", "a": at, "s": 4, "p": endpoint.id, "v": 0, "c": true});
    world.send_raw("DeliveryQueue", &twin.to_string()).await;
    world.run_to_the_end().await;
    // The first attempt needs no look at the table, so the twin may make it too; none after it.
    let requests = world.requests(&endpoint).len();
    assert!((4..=5).contains(&requests), "{requests}");
    let delivery = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!((&delivery["state"], attempts_of(&delivery).len()), (&json!("dead"), 4));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_retry_after_only_lengthens_the_wait() {
    let world = World::new().await;
    let endpoint = world
        .endpoint(
            "acme",
            Behaviour::RetryAfter {
                fail_first: 2,
                seconds: 77,
            },
            json!({}),
        )
        .await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    world.run_to_the_end().await;
    let requests = world.requests(&endpoint);
    assert!(requests[1].at_ms - requests[0].at_ms >= 77_000);
    assert_eq!(world.delivery("acme", "e1", &endpoint).await["state"], "succeeded");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_gone_receiver_is_dead_at_once_and_its_endpoint_disabled_then_held() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(410), json!({})).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    world.run_to_the_end().await;
    assert_eq!(world.delivery("acme", "e1", &endpoint).await["reason"], "gone");
    assert_eq!(
        world.get(&format!("/v1/tenants/acme/endpoints/{}", endpoint.id)).await["state"],
        "disabled"
    );

    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e2", "data": {}}))
        .await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 1);
    assert_eq!(world.delivery("acme", "e2", &endpoint).await["state"], "held");

    // The receiver is repaired: what was held goes out, what is dead stays dead.
    world.behave(&endpoint, Behaviour::Always(200));
    world
        .call(
            "POST",
            &format!("/v1/tenants/acme/endpoints/{}/activate", endpoint.id),
            json!({}),
            200,
        )
        .await;
    world.run_to_the_end().await;
    assert_eq!(world.delivery("acme", "e2", &endpoint).await["state"], "succeeded");
    assert_eq!(world.delivery("acme", "e1", &endpoint).await["state"], "dead");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_pause_holds_and_a_resume_delivers_everything_even_what_was_held_too_late() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
    let event = |id: &str| json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {}});
    // Accepted before the pause, not yet sent.
    world.post(event("before")).await;
    world.call("POST", &format!("{path}/pause"), json!({}), 200).await;
    world.pass_ms(20_000).await;
    world.post(event("during")).await;
    world.settle().await;
    assert!(world.requests(&endpoint).is_empty());
    for id in ["before", "during"] {
        let held = world.delivery("acme", id, &endpoint).await;
        assert_eq!(
            (&held["state"], &held["reason"]),
            (&json!("held"), &json!("endpoint_paused")),
            "{id}"
        );
    }
    world.post(event("late")).await;
    world.call("POST", &format!("{path}/resume"), json!({}), 200).await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 3);

    world.call("POST", "/v1/events", event("too-late"), 202).await;
    world.purge("DeliveryQueue").await;
    world.hold("acme", "too-late", &endpoint).await;
    world.pass_ms(130_000).await;
    world.sweep().await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 4);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_is_held_for_an_endpoint_is_canceled_when_the_endpoint_is_deleted() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
    world.call("POST", &format!("{path}/pause"), json!({}), 200).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    world.call("DELETE", &path, json!(null), 204).await;
    world.run_to_the_end().await;
    let deliveries = world.get("/v1/tenants/acme/events/e1/deliveries").await;
    let canceled = &deliveries["items"][0];
    assert_eq!(
        (&canceled["state"], &canceled["reason"]),
        (&json!("canceled"), &json!("endpoint_deleted"))
    );
    assert!(world.requests(&endpoint).is_empty());
    world.forget_deleted().await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn receives_that_burn_without_an_attempt_kill_nothing() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    // Throttled or crashing invocations: received again and again, never handled.
    world.burn_receives().await;
    assert_eq!(world.dead_letters_seen(), 0);
    world.settle().await;
    assert_eq!(world.dead_letters_seen(), 1);
    let held = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!(
        (&held["state"], &held["reason"]),
        (&json!("held"), &json!("receives_burnt"))
    );
    assert!(ms_of(&held["due_at"]) > ms_of(&world.now()));

    world.pass_ms(61_000).await;
    world.sweep().await;
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 1);
    assert_eq!(world.delivery("acme", "e1", &endpoint).await["state"], "succeeded");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_message_that_nobody_can_read_is_set_aside_alone_and_its_neighbours_are_delivered() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.send_raw("DeliveryQueue", "{\"t\":\"acme\",\"e\":").await;
    for n in 0..9 {
        world
            .post(json!({"type": "call.ended", "tenant": "acme", "id": format!("e{n}"), "data": {}}))
            .await;
    }
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), 9);
    world.pass_ms(3_600_000).await;
    // It stays in the dead-letter queue for a person.
    assert_eq!(world.waiting_in("DeadLetterQueue"), 1);
    assert_eq!(world.waiting_in("DeliveryQueue") + world.waiting_in("RetryQueue"), 0);
}
