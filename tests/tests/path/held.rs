//! An endpoint that fails, as dispatcher and ingest treat it: put on hold by its tenth failure in a row, nothing of it in the
//! queue from then on, each delivery keeping its own schedule; let go by a probe that succeeds. The sweeper's part is tested
//! in `probed` and `drained`.

use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, EventId, EventTypeName};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use serde_json::{Value, json};

use super::down::{DOWN, ENOUGH, FINE, event, goes_down, health, ids_of, is_told, minutes, path, post};
use crate::world::{Behaviour, Endpoint, World, attempts_of, ms_of};

/// Messages of the queues that carry deliveries.
fn waiting(world: &World) -> usize {
    world.waiting_in("DeliveryQueue") + world.waiting_in("RetryQueue")
}

/// A record of that endpoint in a state, as if it had failed once.
fn record(world: &World, endpoint: &Endpoint, event: &str, state: DeliveryState) -> DeliveryRecord {
    let (tenant, id) = ids_of(endpoint);
    let now = world.services().2.now();
    DeliveryRecord {
        tenant,
        id: DeliveryId {
            event: EventId::parse(event).unwrap(),
            endpoint: id,
            replay: None,
        },
        accepted_at: now,
        shards: 4,
        event_type: EventTypeName::parse("call.ended").unwrap(),
        agent: None,
        state,
        attempts: u32::from(state == DeliveryState::Retrying),
        last: None,
        reason: None,
        next_at: None,
        due_at: None,
        held_at: None,
        expires_at: now.plus_millis(86_400_000),
        dropped: false,
        redriven: None,
        traceparent: None,
    }
}

#[tokio::test]
async fn ten_failures_in_a_row_open_and_what_waits_in_the_queue_is_held_when_it_comes_back() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", DOWN, json!({})).await;
    let mut ids = post(&world, "first", 4).await;
    world.settle().await;
    assert_eq!((waiting(&world), is_told(&world, &endpoint).await), (4, false));
    ids.extend(post(&world, "second", 6).await);
    world.settle().await;
    assert!(is_told(&world, &endpoint).await);
    // The batch that opened it leaves nothing in the queue; those before it come back for the last time.
    assert_eq!((waiting(&world), world.requests(&endpoint).len()), (4, ENOUGH));
    world.run_to_the_end().await;
    assert_eq!((waiting(&world), world.requests(&endpoint).len()), (0, ENOUGH));

    for id in &ids {
        let held = world.delivery("acme", id, &endpoint).await;
        assert_eq!(
            (&held["state"], &held["reason"]),
            (&json!("held"), &json!("endpoint_failing")),
            "{held}"
        );
        let attempt = &attempts_of(&held)[0];
        let waits_ms = ms_of(&held["next_at"]) - ms_of(&attempt["at"]);
        assert!((5_000..=6_000).contains(&waits_ms), "{held}");
    }
    let said = world.delivery("acme", "second0", &endpoint).await;
    let said = attempts_of(&said)[0]["next"].as_str().unwrap();
    assert!(
        said.starts_with("The receiver answered 503: the endpoint is on hold because it fails. Attempt 2 of 9 follows when it answers again, not before "),
        "{said}"
    );
    let numbers = world.numbers();
    assert_eq!(
        (&numbers["Opened"], &numbers["Failed"], &numbers["Held"]),
        (&vec![1], &vec![10], &vec![10])
    );
}

#[tokio::test]
async fn nine_failures_do_not_open() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", DOWN, json!({})).await;
    post(&world, "first", 9).await;
    world.settle().await;
    assert_eq!(
        (is_told(&world, &endpoint).await, waiting(&world)),
        (false, 9),
        "each waits for its second attempt"
    );
    assert_eq!(health(&world, &endpoint).await.numbers.failures_in_row, 9);
}

#[tokio::test]
async fn an_endpoint_that_never_fails_has_no_health_at_all() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", FINE, json!({})).await;
    post(&world, "first", 50).await;
    world.settle().await;
    let (tenant, id) = ids_of(&endpoint);
    let now = world.services().2.now();
    assert_eq!(world.store().health(&tenant, &id, now).await.unwrap(), None);
}

#[tokio::test]
async fn ingest_writes_what_is_for_it_down_as_held_with_its_agent_and_sends_nothing() {
    let world = World::new().await;
    let (endpoint, _) = goes_down(&world, json!({})).await;
    world.run_to_the_end().await;
    world.numbers();
    let mut of_agent = event("late");
    of_agent["agent"] = json!("agt_7");
    assert_eq!(world.post(of_agent).await["deliveries"], 1);
    assert_eq!(waiting(&world), 0);
    assert_eq!(world.numbers(), [("Accepted", vec![1]), ("Held", vec![1])].into());
    let held = world.delivery("acme", "late", &endpoint).await;
    assert_eq!(
        (&held["state"], &held["reason"], attempts_of(&held).len()),
        (&json!("held"), &json!("endpoint_failing"), 0)
    );
    let (tenant, id) = ids_of(&endpoint);
    let now = world.services().2.now();
    let latest = world.store().latest_held(&tenant, &id, 1, now).await.unwrap();
    assert_eq!(latest[0].agent.as_ref().map(|agent| agent.as_str()), Some("agt_7"));
}

#[tokio::test]
async fn a_probe_that_succeeds_lets_it_go_and_one_that_fails_keeps_its_own_schedule() {
    let world = World::new().await;
    world.endpoint("operator", FINE, json!({})).await;
    let policy = json!({"retry": {"attempts": 4, "delays": [5, 30, 120]}});
    let (endpoint, ids) = goes_down(&world, policy).await;
    world.run_to_the_end().await;
    minutes(&world, 4).await;
    let asked = world.requests(&endpoint).len();
    assert!((ENOUGH + 2..=ENOUGH + 5).contains(&asked), "{asked} requests");
    assert!(is_told(&world, &endpoint).await);
    assert_eq!(waiting(&world), 0, "a probe that failed waits in the table");

    world.behave(&endpoint, FINE);
    minutes(&world, 6).await;
    assert!(!is_told(&world, &endpoint).await);
    assert_eq!(health(&world, &endpoint).await.open, None);
    minutes(&world, 5).await;
    for id in &ids {
        let delivery = world.delivery("acme", id, &endpoint).await;
        assert_eq!(delivery["state"], "succeeded", "{delivery}");
        for (n, pair) in attempts_of(&delivery).windows(2).enumerate() {
            assert_eq!(pair[1]["n"].as_u64().unwrap(), n as u64 + 2, "{delivery}");
            let waited_ms = ms_of(&pair[1]["at"]) - ms_of(&pair[0]["at"]);
            assert!(waited_ms >= [5_000, 30_000, 120_000][n], "{delivery}");
        }
    }
    assert_eq!(world.numbers()["Closed"], [1]);
    for told in ["endpoint.failing", "endpoint.held", "endpoint.recovered"] {
        let events = world.get(&format!("/v1/tenants/operator/events?type={told}")).await;
        assert_eq!(events["items"].as_array().unwrap().len(), 1, "{told}: {events}");
    }
}

#[tokio::test]
async fn a_pause_wins_over_a_hold() {
    let world = World::new().await;
    let (endpoint, _) = goes_down(&world, json!({})).await;
    world.call("POST", &path(&endpoint, "/pause"), Value::Null, 200).await;
    world.post(event("late")).await;
    let held = world.delivery("acme", "late", &endpoint).await;
    assert_eq!(held["reason"], "endpoint_paused");
}

/// So many wait in the queue already; how does the next failure wait?
async fn fails_with(waiting: usize) -> (World, Value) {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::FailFirst(1), json!({})).await;
    for n in 0..waiting {
        let retrying = record(&world, &endpoint, &format!("w{n}"), DeliveryState::Retrying);
        assert_eq!(world.store().record_state(&retrying).await.unwrap(), Recorded::Written);
    }
    world.post(event("e1")).await;
    world.settle().await;
    let delivery = world.delivery("acme", "e1", &endpoint).await;
    (world, delivery)
}

#[tokio::test]
async fn a_hundred_deliveries_of_an_endpoint_wait_in_the_queue_and_the_next_in_the_table_until_its_time() {
    let (world, delivery) = fails_with(99).await;
    assert_eq!((&delivery["state"], waiting(&world)), (&json!("retrying"), 1));

    let (world, delivery) = fails_with(100).await;
    assert_eq!(
        (&delivery["state"], &delivery["reason"], waiting(&world)),
        (&json!("held"), &json!("retries_full"), 0)
    );
    let waits_ms = ms_of(&delivery["next_at"]) - ms_of(&attempts_of(&delivery)[0]["at"]);
    assert!((5_000..=6_000).contains(&waits_ms), "{delivery}");
    world.stand_still_ms(60_000);
    assert_eq!(world.sweep().await.sent, 1);
    world.settle().await;
    let id = delivery["id"].as_str().unwrap();
    let delivery = world.get(&format!("/v1/tenants/acme/deliveries/{id}")).await;
    assert_eq!(delivery["state"], "succeeded");
}

#[tokio::test]
async fn what_is_set_aside_waits_for_another_messages_attempt_and_what_comes_early_for_its_time() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", FINE, json!({})).await;
    world.post(event("e1")).await;
    world.purge("DeliveryQueue").await;
    let (_, _, clock) = world.services();
    let claimed = record(&world, &endpoint, "e1", DeliveryState::Queued);
    let until = clock.now().plus_millis(40_000);
    assert!(world.store().claim(&claimed, clock.now(), until).await.unwrap());
    world.call("POST", &path(&endpoint, "/pause"), Value::Null, 200).await;
    let message = json!({"t": "acme", "e": "e1", "a": claimed.accepted_at.as_millis(), "s": 4, "p": endpoint.id, "v": 0, "c": true});
    world.send_raw("DeliveryQueue", &message.to_string()).await;
    world.settle().await;
    // The claim stands.
    assert!(!world.store().claim(&claimed, clock.now(), until).await.unwrap());
    assert_eq!(waiting(&world), 1);
    world.run_to_the_end().await;
    let held = world.delivery("acme", "e1", &endpoint).await;
    assert_eq!(held["reason"], "endpoint_paused");

    // Let go before its own time has come.
    world.call("POST", &path(&endpoint, "/resume"), Value::Null, 200).await;
    world.run_to_the_end().await;
    let before = world.requests(&endpoint).len();
    world.post(event("e2")).await;
    world.purge("DeliveryQueue").await;
    let mut early = record(&world, &endpoint, "e2", DeliveryState::Queued);
    early.next_at = Some(clock.now().plus_millis(30_000));
    assert_eq!(world.store().record_state(&early).await.unwrap(), Recorded::Written);
    let message = json!({"t": "acme", "e": "e2", "a": early.accepted_at.as_millis(), "s": 4, "p": endpoint.id, "v": 0, "c": true});
    world.send_raw("DeliveryQueue", &message.to_string()).await;
    world.pass_ms(29_000).await;
    assert_eq!(world.requests(&endpoint).len(), before);
    world.pass_ms(1_500).await;
    assert_eq!(world.requests(&endpoint).len(), before + 1);
}
