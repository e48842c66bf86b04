//! An endpoint's rate limit, on a clock that stands still: what leaves when, that no attempt is spent by waiting, and that
//! nothing waits longer than it must. The receiver's own times tell.

use futures_util::future::join_all;
use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};
use redial_platform::pace::{PATIENCE_MS, Pace};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World, attempts_of, ms_of};

const MINUTE_MS: i64 = 60_000;

async fn limited(world: &World, behaviour: Behaviour, per_second: u32) -> Endpoint {
    let fields = json!({"rate_limit": per_second, "retry": {"delays": [5, 5]}});
    world.endpoint("acme", behaviour, fields).await
}

/// Posts that many events in batches of at most 500.
async fn post(world: &World, count: usize, name: &str) {
    let numbers: Vec<usize> = (0..count).collect();
    for part in numbers.chunks(500) {
        let event =
            |n: &usize| json!({"type": "call.ended", "tenant": "acme", "id": format!("{name}{n}"), "data": {"n": n}});
        let batch: Vec<Value> = part.iter().map(event).collect();
        world.call("POST", "/v1/events", json!(batch), 202).await;
    }
}

fn path(endpoint: &Endpoint, rest: &str) -> String {
    format!("/v1/tenants/acme/endpoints/{}{rest}", endpoint.id)
}

/// Lets minutes pass, a pass of the sweeper in each, until the endpoint got that many requests; answers when each came, in
/// milliseconds since `since_ms`.
async fn arrivals(world: &World, endpoint: &Endpoint, count: usize, minutes: usize, since_ms: i64) -> Vec<i64> {
    for _ in 0..minutes {
        if world.requests(endpoint).len() >= count {
            break;
        }
        world.pass_ms(MINUTE_MS).await;
        world.sweep().await;
    }
    let came: Vec<i64> = world
        .requests(endpoint)
        .iter()
        .map(|request| request.at_ms - since_ms)
        .collect();
    assert_eq!(came.len(), count);
    assert!(came.is_sorted());
    came
}

/// Fails if more than the limit and one came in any second, both its ends counted, or two too close together.
fn within_the_limit(came: &[i64], per_second: i64) {
    for (n, first) in came.iter().enumerate() {
        let in_second = came[n..].iter().take_while(|at| **at <= first + 1_000).count();
        assert!(
            in_second <= usize::try_from(per_second).unwrap() + 1,
            "{in_second} from {first} ms on"
        );
    }
    let closest = came.windows(2).map(|pair| pair[1] - pair[0]).min();
    assert!(
        closest.is_none_or(|ms| ms >= 1_000 / per_second),
        "{closest:?} ms apart"
    );
}

fn between(came: &[i64], from_ms: i64, to_ms: i64) -> usize {
    came.iter().filter(|at| (from_ms..to_ms).contains(*at)).count()
}

/// Every delivery of an endpoint, page by page.
async fn deliveries(world: &World, endpoint: &Endpoint) -> Vec<Value> {
    let list = format!("/v1/tenants/acme/deliveries?endpoint={}&limit=100", endpoint.id);
    let (mut all, mut page) = (Vec::new(), world.get(&list).await);
    loop {
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => page = world.get(&format!("{list}&cursor={next}")).await,
            None => return all,
        }
    }
}

/// Fails unless each was delivered with that many attempts, nothing more being counted.
async fn all_succeeded(world: &World, endpoint: &Endpoint, count: usize, attempts: usize) {
    let deliveries = deliveries(world, endpoint).await;
    assert_eq!(deliveries.len(), count);
    for delivery in deliveries {
        assert_eq!(delivery["state"], "succeeded", "{delivery}");
        let numbers: Vec<&Value> = attempts_of(&delivery).iter().map(|attempt| &attempt["n"]).collect();
        assert_eq!(numbers, (1..=attempts).collect::<Vec<_>>(), "{delivery}");
    }
}

#[tokio::test]
async fn five_hundred_posted_at_once_leave_at_five_a_second_from_the_first_on() {
    let world = World::new().await;
    let slow = limited(&world, Behaviour::Always(200), 5).await;
    let other = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let began = ms_of(&world.now());
    post(&world, 500, "e").await;
    // All that can be received is worked on at the same time.
    world.step_together("DeliveryQueue", 60).await;
    let at_once = world.requests(&other);
    assert_eq!(at_once.len(), 500, "nobody else waits");
    assert!(at_once.iter().all(|request| request.at_ms - began < 1_000));
    let first = world.numbers();
    assert_eq!((&first["Matched"], &first["Paced"]), (&vec![1_000], &vec![499]));

    let came = arrivals(&world, &slow, 500, 3, began).await;
    within_the_limit(&came, 5);
    assert_eq!(came[0], 0);
    for second in 0..=90 {
        let (from, in_ten) = (second * 1_000, between(&came, second * 1_000, second * 1_000 + 10_000));
        assert!((48..=50).contains(&in_ten), "{in_ten} from {from} ms on");
    }
    all_succeeded(&world, &slow, 500, 1).await;
    let counted = world.numbers();
    let latencies = [&first["FirstAttemptLatency"], &counted["FirstAttemptLatency"]].map(|values| values.iter());
    let latencies: Vec<&u64> = latencies.into_iter().flatten().collect();
    assert_eq!(latencies.len(), 1_000);
    assert!(
        latencies.iter().all(|ms| **ms < 1_000),
        "the wait for a slot is the endpoint's"
    );
    assert!(!counted.contains_key("Held"), "{counted:?}");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_many_dispatchers_find_waiting_leaves_one_by_one_and_the_rest_is_held_without_an_attempt() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    post(&world, 60, "e").await;
    world
        .call("PATCH", &path(&endpoint, ""), json!({"rate_limit": 5}), 200)
        .await;
    let began = ms_of(&world.now());
    assert_eq!(world.step_together("DeliveryQueue", 6).await, 60);
    let granted = world.requests(&endpoint).len();
    // One at once, and one each fifth of a second that a dispatcher sleeps for.
    assert_eq!(granted, usize::try_from(PATIENCE_MS / 200).unwrap() + 1);
    let held = world.get("/v1/tenants/acme/deliveries?state=held&limit=100").await;
    let held = held["items"].as_array().unwrap();
    assert_eq!(held.len(), 60 - granted);
    for delivery in held {
        assert_eq!(
            (&delivery["reason"], &delivery["attempts"]),
            (&json!("rate_limited"), &json!([]))
        );
    }
    assert_eq!(world.numbers()["Held"], [held.len() as u64]);
    world.sweep().await;
    let came = arrivals(&world, &endpoint, 60, 2, began).await;
    within_the_limit(&came, 5);
    assert!(came[59] < 15_000, "nothing waits for nothing: {}", came[59]);
    all_succeeded(&world, &endpoint, 60, 1).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_line_that_is_longer_than_the_queue_keeps_it_waits_in_the_table_and_goes_on_without_a_gap() {
    let world = World::new().await;
    let slow = limited(&world, Behaviour::Always(200), 1).await;
    let began = ms_of(&world.now());
    post(&world, 300, "e").await;
    let held = world.get("/v1/tenants/acme/deliveries?state=held&limit=1").await;
    let last = &held["items"][0];
    assert_eq!(last["reason"], "rate_limited");
    let waits_ms = ms_of(&last["next_at"]) - began;
    assert!((299_000..310_000).contains(&waits_ms), "{waits_ms}");
    let came = arrivals(&world, &slow, 300, 7, began).await;
    within_the_limit(&came, 1);
    let widest = came.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(widest <= 2_000, "{widest}");
    all_succeeded(&world, &slow, 300, 1).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_was_held_by_a_pause_joins_the_line_in_parts_and_an_event_that_comes_meanwhile_waits_for_minutes_at_most()
{
    let world = World::new().await;
    let slow = limited(&world, Behaviour::Always(200), 2).await;
    world.call("POST", &path(&slow, "/pause"), Value::Null, 200).await;
    post(&world, 500, "e").await;
    world.settle().await;
    assert!(world.requests(&slow).is_empty());
    world.call("POST", &path(&slow, "/resume"), Value::Null, 200).await;
    let began = ms_of(&world.now());
    world.pass_ms(10_000).await;
    let resting = world.get("/v1/tenants/acme/replays").await["items"][0].clone();
    assert_eq!((&resting["state"], &resting["total"]), (&json!("running"), &json!(500)));
    assert!(resting["done"].as_u64().unwrap() < 500, "{resting}");
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "live", "data": {}}))
        .await;
    let came = arrivals(&world, &slow, 501, 6, began).await;
    within_the_limit(&came, 2);
    let widest = came.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(widest <= 1_500 && came[500] < 270_000, "{widest} {}", came[500]);
    let live = world.requests(&slow).iter().position(|request| request.id == "live");
    assert!(live.unwrap() < 400, "{live:?}");
    all_succeeded(&world, &slow, 501, 1).await;
    let job = &world.get("/v1/tenants/acme/replays").await["items"][0];
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(500)));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_pause_holds_what_waits_in_line_and_a_replay_of_all_joins_it() {
    let world = World::new().await;
    let slow = limited(&world, Behaviour::Always(200), 5).await;
    let since = world.now();
    post(&world, 100, "e").await;
    world.pass_ms(5_000).await;
    world.call("POST", &path(&slow, "/pause"), Value::Null, 200).await;
    world.pass_ms(MINUTE_MS).await;
    let before = world.requests(&slow).len();
    // The dispatcher's copy of the configuration is up to 15 seconds old.
    assert!((25..=100).contains(&before), "{before}");
    world.call("POST", &path(&slow, "/resume"), Value::Null, 200).await;
    let began = ms_of(&world.now());
    let came = arrivals(&world, &slow, 100, 2, began).await;
    within_the_limit(&came[before..], 5);
    assert!(came[99] < 25_000, "{}", came[99]);
    all_succeeded(&world, &slow, 100, 1).await;

    let until = world.now_after(1_000).await;
    let all = json!({"endpoint": slow.id, "since": since, "until": until, "state": "succeeded"});
    world.call("POST", "/v1/tenants/acme/replays", all, 202).await;
    let began = ms_of(&world.now());
    let came = arrivals(&world, &slow, 200, 2, began).await;
    within_the_limit(&came[100..], 5);
    assert!((19_000..25_000).contains(&came[199]), "{}", came[199]);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_limit_that_is_raised_or_removed_brings_forward_what_waits() {
    for limit in [json!(50), Value::Null] {
        let world = World::new().await;
        let slow = limited(&world, Behaviour::Always(200), 1).await;
        let began = ms_of(&world.now());
        post(&world, 400, "e").await;
        world.pass_ms(10_000).await;
        world
            .call("PATCH", &path(&slow, ""), json!({"rate_limit": limit}), 200)
            .await;
        // An event of now does not wait behind the line of before.
        world
            .post(json!({"type": "call.ended", "tenant": "acme", "id": "live", "data": {}}))
            .await;
        world.pass_ms(3_000).await;
        assert!(
            world.requests(&slow).iter().any(|request| request.id == "live"),
            "{limit}"
        );
        let came = arrivals(&world, &slow, 401, 6, began).await;
        assert!(came[400] < 5 * MINUTE_MS, "{limit}: {}", came[400]);
        all_succeeded(&world, &slow, 401, 1).await;
        world.nothing_is_left().await;
    }
}

#[tokio::test]
async fn what_is_held_goes_with_the_change_that_raises_or_removes_the_limit_and_not_with_one_that_lowers_it() {
    for limit in [json!(100), Value::Null] {
        let world = World::new().await;
        let slow = limited(&world, Behaviour::Always(200), 2).await;
        post(&world, 400, "e").await;
        world
            .call("PATCH", &path(&slow, ""), json!({"rate_limit": 1}), 200)
            .await;
        let jobs = "/v1/tenants/acme/replays";
        assert_eq!(world.get(jobs).await["items"], json!([]));
        world
            .call("PATCH", &path(&slow, ""), json!({"rate_limit": limit}), 200)
            .await;
        // No pass of the sweeper; what the queue keeps comes at its slot of before.
        world.pass_ms(10_000).await;
        let job = &world.get(jobs).await["items"][0];
        assert_eq!(job["state"], "done", "{limit}: {job}");
        let (came, freed) = (world.requests(&slow).len(), job["done"].as_u64().unwrap());
        assert!(freed > 100 && came as u64 >= freed, "{limit}: {came} of {freed}");
    }
}

#[tokio::test]
async fn a_job_that_rests_by_a_long_line_goes_on_within_minutes_once_there_is_no_limit() {
    let world = World::new().await;
    let slow = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let since = world.now();
    post(&world, 20, "before").await;
    let until = world.now_after(1_000).await;
    world
        .call("PATCH", &path(&slow, ""), json!({"rate_limit": 1}), 200)
        .await;
    post(&world, 600, "e").await;
    let range = json!({"endpoint": slow.id, "since": since, "until": until, "state": "succeeded"});
    world.call("POST", "/v1/tenants/acme/replays", range, 202).await;
    world.pass_ms(10_000).await;
    world
        .call("PATCH", &path(&slow, ""), json!({"rate_limit": null}), 200)
        .await;
    let began = ms_of(&world.now());
    let came = arrivals(&world, &slow, 640, 7, began).await;
    assert!(came[639] < 7 * MINUTE_MS, "{}", came[639]);
    world.nothing_is_left().await;
}

/// The delivery of an event as it is before its first attempt.
async fn unattempted(world: &World, event: &str, endpoint: &Endpoint) -> DeliveryRecord {
    let (tenant, event) = (TenantId::parse("acme").unwrap(), EventId::parse(event).unwrap());
    let now = Timestamp::parse(world.now().as_str().unwrap()).unwrap();
    let stored = world.store().event(&tenant, &event, now).await.unwrap().unwrap();
    DeliveryRecord {
        tenant,
        id: DeliveryId {
            event,
            endpoint: EndpointId::parse(&endpoint.id).unwrap(),
            replay: None,
        },
        accepted_at: stored.accepted_at,
        shards: stored.shards,
        event_type: stored.event_type,
        state: DeliveryState::Queued,
        attempts: 0,
        last: None,
        reason: None,
        next_at: None,
        due_at: None,
        held_at: None,
        expires_at: stored.expires_at,
        dropped: false,
        redriven: None,
        agent: None,
        traceparent: None,
    }
}

#[tokio::test]
async fn a_message_that_must_wait_leaves_the_attempt_of_another_one_alone_and_comes_again() {
    let world = World::new().await;
    let slow = limited(&world, Behaviour::Always(200), 1).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e", "data": {}}))
        .await;
    let record = unattempted(&world, "e", &slow).await;
    let now = Timestamp::parse(world.now().as_str().unwrap()).unwrap();
    // Another message's attempt is under way, and too many requests are before this one.
    assert!(
        world
            .store()
            .claim(&record, now, now.plus_millis(30_000))
            .await
            .unwrap()
    );
    let (tenant, endpoint, pace) = (&record.tenant, &record.id.endpoint, Pace::new(1, 1));
    while world
        .store()
        .grant(tenant, endpoint, pace, now, true)
        .await
        .unwrap()
        .is_some()
    {}
    world.settle().await;
    assert_eq!(world.delivery("acme", "e", &slow).await["state"], "queued");
    let again = world.store().claim(&record, now, now.plus_millis(30_000)).await;
    assert!(!again.unwrap(), "it is claimed still");
    assert_eq!(world.waiting_in("DeliveryQueue") + world.waiting_in("RetryQueue"), 1);
    // That attempt was never recorded: the message that came again makes one.
    world.pass_ms(MINUTE_MS).await;
    all_succeeded(&world, &slow, 1, 1).await;
    assert_eq!(world.requests(&slow).len(), 1);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn only_a_claim_of_ones_own_or_one_that_is_over_gives_way_to_a_wait() {
    let world = World::new().await;
    let slow = limited(&world, Behaviour::Always(200), 1).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e", "data": {}}))
        .await;
    let record = unattempted(&world, "e", &slow).await;
    let now = Timestamp::parse(world.now().as_str().unwrap()).unwrap();
    let until = now.plus_millis(30_000);
    for (at, own, recorded) in [
        (now, None, Recorded::Superseded),
        (now, Some(until.plus_millis(1)), Recorded::Superseded),
        (until, None, Recorded::Superseded),
        (now, Some(until), Recorded::Written),
        (until.plus_millis(1), None, Recorded::Written),
    ] {
        // An hour later whatever was claimed before is over.
        let later = now.plus_millis(3_600_000);
        world.store().record_wait(&record, later, None).await.unwrap();
        assert!(world.store().claim(&record, now, until).await.unwrap());
        let waits = world.store().record_wait(&record, at, own).await.unwrap();
        assert_eq!(waits, recorded, "{at} {own:?}");
    }
}

#[tokio::test]
async fn retries_keep_the_limit_too() {
    let world = World::new().await;
    let slow = limited(&world, Behaviour::FailFirst(1), 5).await;
    let began = ms_of(&world.now());
    // One more failure, and the endpoint would be put on hold.
    post(&world, 9, "e").await;
    let came = arrivals(&world, &slow, 18, 5, began).await;
    within_the_limit(&came, 5);
    all_succeeded(&world, &slow, 9, 2).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_lowered_limit_holds_for_what_is_in_line_already() {
    let world = World::new().await;
    let slow = limited(&world, Behaviour::Always(200), 50).await;
    post(&world, 400, "e").await;
    world.pass_ms(1_000).await;
    world
        .call("PATCH", &path(&slow, ""), json!({"rate_limit": 5}), 200)
        .await;
    // The dispatcher's copy of the configuration is up to 15 seconds old; another function's is not.
    world.pass_ms(20_000).await;
    let before = world.requests(&slow).len();
    let began = ms_of(&world.now());
    let came = arrivals(&world, &slow, 400, 5, began).await;
    within_the_limit(&came[before..], 5);
    all_succeeded(&world, &slow, 400, 1).await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_comes_too_late_to_its_moment_gets_another() {
    let world = World::new().await;
    let slow = limited(&world, Behaviour::StallOnce(5_000), 5).await;
    let began = ms_of(&world.now());
    post(&world, 10, "e").await;
    let came = arrivals(&world, &slow, 10, 2, began).await;
    within_the_limit(&came, 5);
    assert!(came[0] == 0 && came[1] >= 5_000, "{came:?}");
    all_succeeded(&world, &slow, 10, 1).await;
    world.nothing_is_left().await;
}

fn names() -> (TenantId, EndpointId) {
    (TenantId::parse("acme").unwrap(), EndpointId::mint(1))
}

#[tokio::test]
async fn slots_that_many_reserve_at_once_are_all_different() {
    let world = World::new().await;
    let ((tenant, endpoint), pace, now) = (names(), Pace::new(5, 1), Timestamp::from_millis(1_795_000_000_000));
    let reservations = (0..5).map(|_| world.store().reserve(&tenant, &endpoint, pace, 3, now));
    let mut slots: Vec<i64> = Vec::new();
    for reserved in join_all(reservations).await {
        let reserved = reserved.unwrap();
        slots.extend((0..3).map(|n| reserved.at(n).millis_since(now)));
    }
    slots.sort_unstable();
    assert_eq!(slots, (0..15).map(|n| n * 204).collect::<Vec<_>>());
    let next = |pace, at| world.store().next_slot(&tenant, &endpoint, pace, at);
    assert_eq!(next(pace, now).await.unwrap().millis_since(now), 15 * 204);
    let later = now.plus_millis(60_000);
    assert_eq!(next(pace, later).await.unwrap(), later, "a line that is over is none");
    // Another rate begins anew, and whoever knows only the old one goes on behind it.
    let faster = Pace::new(10, 2);
    assert_eq!(next(faster, now).await.unwrap(), now);
    let (store, tenant, endpoint) = (world.store(), &tenant, &endpoint);
    for (rate, at_ms) in [(faster, 0), (pace, 102), (faster, 306)] {
        let reserved = store.reserve(tenant, endpoint, rate, 1, now).await.unwrap();
        assert_eq!(reserved.at(0).millis_since(now), at_ms);
    }
}

#[tokio::test]
async fn a_moment_granted_by_a_clock_that_is_wrong_is_passed_over() {
    let world = World::new().await;
    let ((tenant, endpoint), pace, now) = (names(), Pace::new(1, 1), Timestamp::from_millis(1_795_000_000_000));
    let grant = |at| world.store().grant(&tenant, &endpoint, pace, at, false);
    let ahead = now.plus_millis(3_600_000);
    assert_eq!(grant(ahead).await.unwrap(), Some(ahead));
    assert_eq!(grant(now).await.unwrap(), Some(now));
    assert_eq!(grant(now).await.unwrap(), Some(now.plus_millis(1_000)));
    assert_eq!(grant(now).await.unwrap(), Some(now.plus_millis(2_000)));
    assert_eq!(grant(now).await.unwrap(), None, "farther than anybody sleeps");
    // A clock that is a little behind waits for the others'.
    assert_eq!(grant(now.plus_millis(500)).await.unwrap(), None);
    assert_eq!(
        grant(now.plus_millis(1_500)).await.unwrap(),
        Some(now.plus_millis(3_000))
    );
}
