//! How much a tenant may have asked for that is not finished, that it is right however many ask at once, and that another
//! tenant's turn comes all the same.

use futures_util::future::join_all;
use redial_domain::{ErasureId, Timestamp};
use redial_platform::store::deliveries::Recorded;
use redial_platform::store::erasures::{Erasure, ErasureState, Found, Reached, Target};
use redial_platform::store::unfinished::{MAX_ERASURES, MAX_REPLAYS, Quota};
use serde_json::{Value, json};

use super::{REPLAYS, acme, ask, asker, look, post, post_many, replayed};
use crate::world::{Behaviour, World, ms_of};

async fn try_ask(world: &World, tenant: &str) -> (u16, Value) {
    let path = format!("/v1/tenants/{tenant}/replays");
    world
        .request("POST", &path, Some(world.key()), &json!({"event": "e1"}))
        .await
}

/// A world with an event of tenant acme, and as many unfinished replays as it may have but `room`.
async fn crowded(room: usize) -> (World, Vec<Value>) {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    post(&world, "e1", "call.ended", &json!({})).await;
    world.run_to_the_end().await;
    let mut jobs = Vec::new();
    for _ in room..MAX_REPLAYS {
        jobs.push(ask(&world, &json!({"event": "e1"})).await);
        world.stand_still_ms(1);
    }
    (world, jobs)
}

#[tokio::test]
async fn a_tenant_has_so_many_unfinished_replays_and_each_that_ends_makes_room() {
    let (world, jobs) = crowded(0).await;
    for _ in 0..2 {
        let (status, refused) = try_ask(&world, "acme").await;
        assert_eq!(
            (status, &refused["code"]),
            (429, &json!("too_many_replays")),
            "{refused}"
        );
        assert!(refused["detail"].as_str().unwrap().contains("cancel"), "{refused}");
    }
    // What is only counted is answered; a redrive, a drain and an invocation are replays too.
    let since = json!({"since": "2020-01-01T00:00:00Z", "dry_run": true});
    assert_eq!(ask(&world, &since).await["state"], "done");
    let letters = json!({"since": "2020-01-01T00:00:00Z"});
    world
        .call("POST", "/v1/tenants/acme/dead-letters/redrive", letters, 429)
        .await;
    let invoked = world.invoke_replay(r#"{"tenant":"acme","event":"e1"}"#).await;
    assert_eq!(invoked["code"], "too_many_replays", "{invoked}");
    // Paused ones count, canceled ones do not.
    let order = |job: &Value, order| format!("{REPLAYS}/{}/{order}", job["id"].as_str().unwrap());
    world.call("POST", &order(&jobs[0], "pause"), Value::Null, 200).await;
    assert_eq!(try_ask(&world, "acme").await.0, 429);
    world.call("POST", &order(&jobs[0], "cancel"), Value::Null, 200).await;
    assert_eq!(try_ask(&world, "acme").await.0, 202);
    assert_eq!(try_ask(&world, "acme").await.0, 429);
    world.run_to_the_end().await;
    assert_eq!(look(&world, &jobs[1]).await["state"], "done");
    for _ in 0..MAX_REPLAYS {
        assert_eq!(try_ask(&world, "acme").await.0, 202);
    }
    assert_eq!(try_ask(&world, "acme").await.0, 429);
    world.run_to_the_end().await;
}

#[tokio::test]
async fn of_many_who_ask_at_once_as_many_get_a_replay_as_there_is_room_for() {
    let (world, _) = crowded(3).await;
    let answers = join_all((0..12).map(|_| try_ask(&world, "acme"))).await;
    let made = answers.iter().filter(|(status, _)| *status == 202).count();
    assert_eq!(made, 3, "{answers:?}");
    let listed = world.get(REPLAYS).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), MAX_REPLAYS);
    world.run_to_the_end().await;
}

#[tokio::test]
async fn what_redial_asks_for_by_itself_is_never_refused() {
    let (world, _) = crowded(0).await;
    let config = world.store().tenant_config(&acme()).await.unwrap().unwrap();
    let endpoint = config.endpoints[0].endpoint.id.clone();
    asker(&world).cancel_held(&config.into(), &endpoint).await.unwrap();
    world.run_to_the_end().await;
}

#[tokio::test]
async fn a_tenant_with_many_replays_does_not_keep_anothers_first_one_waiting() {
    let (world, jobs) = crowded(0).await;
    world.endpoint("globex", Behaviour::Always(200), json!({})).await;
    world
        .post(json!({"type": "call.ended", "tenant": "globex", "id": "e1", "data": {}}))
        .await;
    let (status, last) = try_ask(&world, "globex").await;
    assert_eq!(status, 202);
    for _ in 0..2 {
        assert_eq!(world.step_together("ReplayQueue", 1).await, 1);
    }
    let path = format!("/v1/tenants/globex/replays/{}", last["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await["state"], "done");
    assert_eq!(look(&world, &jobs[9]).await["state"], "pending");
    world.run_to_the_end().await;
}

#[tokio::test]
async fn a_replay_of_a_range_leaves_out_what_earlier_replays_delivered_unless_asked_for_it() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    post_many(&world, "e", 3, &json!({})).await;
    world.run_to_the_end().await;
    let range = json!({"endpoint": endpoint.id, "since": "2020-01-01T00:00:00Z"});
    let by_type = json!({"since": "2020-01-01T00:00:00Z", "event_types": ["call.*"], "state": "succeeded"});
    for (n, body) in [&range, &by_type, &range, &by_type].into_iter().enumerate() {
        world.stand_still_ms(1_000);
        let job = replayed(&world, body).await;
        assert_eq!((&job["total"], &job["done"]), (&json!(3), &json!(3)), "{job}");
        assert_eq!(world.requests(&endpoint).len(), 3 * (n + 2));
    }
    world.stand_still_ms(1_000);
    let mut all = range.clone();
    all["include_replays"] = json!(true);
    let job = replayed(&world, &all).await;
    assert_eq!((&job["total"], &job["done"]), (&json!(15), &json!(15)), "{job}");
    assert_eq!(job["what"]["include_replays"], true);
    // One delivery of it for each event: whose of them it stands for does not matter.
    assert_eq!(world.requests(&endpoint).len(), 18);
    for (more, value) in [("call_id", json!("c1")), ("missing", json!(true))] {
        let mut wrong = all.clone();
        wrong[more] = value;
        let refused = world.call("POST", REPLAYS, wrong, 422).await;
        assert_eq!(refused["field"], "include_replays", "{refused}");
    }
}

#[tokio::test]
async fn a_replayed_delivery_that_died_is_redriven_as_any_other() {
    let world = World::new().await;
    let once = json!({"retry": {"attempts": 1}});
    let endpoint = world.endpoint("acme", Behaviour::Always(200), once).await;
    post(&world, "e1", "call.ended", &json!({})).await;
    world.run_to_the_end().await;
    world.behave(&endpoint, Behaviour::Always(500));
    let range = json!({"endpoint": endpoint.id, "since": "2020-01-01T00:00:00Z"});
    world.stand_still_ms(1_000);
    assert_eq!(replayed(&world, &range).await["done"], 1);
    let listed = world.get("/v1/tenants/acme/dead-letters").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    world.behave(&endpoint, Behaviour::Always(200));
    world.stand_still_ms(1_000);
    let mut dead = range.clone();
    dead["state"] = json!("dead");
    assert_eq!(replayed(&world, &dead).await["done"], 1);
    world.stand_still_ms(1_000);
    assert_eq!(replayed(&world, &dead).await["total"], 0, "it was delivered again");
}

async fn erase_call(world: &World, status: u16) -> Value {
    world
        .call("DELETE", "/v1/tenants/acme/calls/c1", Value::Null, status)
        .await
}

#[tokio::test]
async fn an_erasure_that_is_asked_for_again_answers_the_one_that_runs_until_there_is_more_to_erase() {
    let world = World::new().await;
    world.call("PUT", "/v1/tenants/acme", Value::Null, 201).await;
    let of_call = json!({"related": {"call_id": "c1"}});
    for swept in [false, true] {
        let prefix = format!("swept-{swept}-");
        post(&world, &format!("{prefix}1"), "call.ended", &of_call).await;
        if swept {
            world.pass_ms(301_000).await;
            world.sweep().await;
        }
        let (first, again) = (erase_call(&world, 202).await, erase_call(&world, 202).await);
        assert_eq!(
            (&first["id"], first["complete"] == true),
            (&again["id"], false),
            "{again}"
        );
        world.pass_ms(1_000).await;
        assert_eq!(erase_call(&world, 202).await["id"], first["id"]);
        post(&world, &format!("{prefix}2"), "call.ended", &of_call).await;
        let more = erase_call(&world, 202).await;
        assert_ne!(more["id"], first["id"]);
        world
            .call("GET", &format!("/v1/tenants/acme/events/{prefix}2"), Value::Null, 410)
            .await;
        assert_eq!(erase_call(&world, 202).await["id"], more["id"]);
        world.pass_ms(601_000).await;
        world.sweep().await;
        world.settle().await;
        for erasure in [&first, &more] {
            let path = format!("/v1/tenants/acme/erasures/{}", erasure["id"].as_str().unwrap());
            assert_eq!(world.get(&path).await["complete"], true);
        }
    }
    erase_call(&world, 404).await;
}

fn erasure(n: u64, call_id: &str, now: Timestamp) -> Erasure {
    Erasure {
        tenant: acme(),
        id: ErasureId::mint(now, n.into()),
        target: Target::Call(call_id.to_owned()),
        asked_by: "k".to_owned(),
        asked_at: now,
        state: ErasureState::Running,
        found: Found::default(),
        finding: Found::default(),
        looked: false,
        call_id: None,
        reached: Reached::default(),
        shards: 4,
        changed_at: now,
        endpoints: Vec::new(),
        updated_at: now,
        completed_at: None,
        lease_until: now.plus_millis(120_000),
        expires_at: now.plus_millis(86_400_000),
    }
}

#[tokio::test]
async fn a_tenant_has_so_many_erasures_of_calls_at_work_and_none_that_waits_for_its_second_look_counts() {
    let world = World::new().await;
    world.call("PUT", "/v1/tenants/acme", Value::Null, 201).await;
    let now = Timestamp::from_millis(ms_of(&world.now()));
    post(&world, "e1", "call.ended", &json!({"related": {"call_id": "c1"}})).await;
    let store = world.store();
    for n in 0..MAX_ERASURES as u64 {
        let place = store.place(&acme(), Quota::Erasures, now).await.unwrap().unwrap();
        let call_id = format!("busy-{n}");
        let job = erasure(n, &call_id, now);
        let put = store.put_erasure_in(&job, &call_id, None, &place).await;
        assert_eq!(put.unwrap(), Recorded::Written);
    }
    assert_eq!(erase_call(&world, 429).await["code"], "too_many_erasures");
    assert_eq!(
        world.retry_after("DELETE", "/v1/tenants/acme/calls/c1").await,
        Some(30),
        "longer than the second of other refusals"
    );
    // The worker looks at them once; then they wait, and make room.
    world.pass_ms(121_000).await;
    world.sweep().await;
    world.settle().await;
    erase_call(&world, 202).await;
    world.pass_ms(601_000).await;
    world.sweep().await;
    world.settle().await;
}
