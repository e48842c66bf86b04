//! Events on their way in: promised, idempotent, matched by the configuration of the moment, found again after a crash.

use serde_json::{Value, json};

use crate::world::{Behaviour, World};

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"id": id, "call_id": "c1"}, "related": {"call_id": "c1"}})
}

#[tokio::test]
async fn a_repeat_gets_the_stored_answer_and_sends_nothing() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let first = world.post(event("e1")).await;
    // A second endpoint changes what would match now, not what was answered then.
    let late = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.pass_ms(60_000).await;
    assert_eq!(world.post(event("e1")).await, first);
    let twice = world
        .call(
            "POST",
            "/v1/events",
            json!([event("e1"), event("e2"), event("e2")]),
            202,
        )
        .await;
    let two = json!({"id": "e2", "deliveries": 2});
    assert_eq!(twice["events"], json!([first, two, two]));
    world.run_to_the_end().await;
    let ids = |endpoint| {
        world
            .requests(endpoint)
            .iter()
            .map(|r| r.id.clone())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(world.requests(&endpoint).len(), 2);
    assert_eq!(world.requests(&late).len(), 1);
    assert_eq!(ids(&late), ["e2".to_owned()].into());
    let listed = world.get("/v1/tenants/acme/events").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn another_event_under_a_used_id_is_refused() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1")).await;
    let other = json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {"id": "other"}});
    let problem = world.call("POST", "/v1/events", other.clone(), 409).await;
    assert_eq!(
        (&problem["code"], &problem["field"]),
        (&json!("id_reused"), &json!("id"))
    );
    let batch = world
        .call("POST", "/v1/events", json!({"events": [event("e2"), other]}), 202)
        .await;
    assert_eq!(batch["events"][0]["deliveries"], 1);
    assert_eq!(
        (&batch["events"][1]["id"], &batch["events"][1]["error"]["code"]),
        (&json!("e1"), &json!("id_reused"))
    );
    world.run_to_the_end().await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn an_id_used_twice_in_one_batch_belongs_to_the_first_event_and_reaches_only_its_endpoints() {
    let world = World::new().await;
    let started = world
        .endpoint("acme", Behaviour::Always(200), json!({"event_types": ["call.started"]}))
        .await;
    let ended = world
        .endpoint("acme", Behaviour::Always(200), json!({"event_types": ["call.ended"]}))
        .await;
    let event =
        |kind: &str| json!({"type": kind, "tenant": "acme", "id": "x", "data": {"kind": kind, "call_id": "c1"}});
    let answer = world
        .call(
            "POST",
            "/v1/events",
            json!([event("call.started"), event("call.ended")]),
            202,
        )
        .await;
    assert_eq!(answer["events"][0], json!({"id": "x", "deliveries": 1}));
    assert_eq!(answer["events"][1]["error"]["code"], "id_reused");
    world.purge("DeliveryQueue").await;
    world.pass_ms(301_000).await;
    assert_eq!(world.sweep().await.repaired, 1);
    world.run_to_the_end().await;
    assert_eq!((world.requests(&started).len(), world.requests(&ended).len()), (1, 0));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn an_own_id_in_the_minted_form_is_delivered_once() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let id = "evt_01JD3ZK8Q000ABCDEFGHJKMNPQ";
    world.post(event(id)).await;
    world.run_to_the_end().await;
    world.pass_ms(20_000).await;
    world.post(event(id)).await;
    world.pass_ms(400_000).await;
    assert_eq!(world.sweep().await.repaired, 0);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 1);
    assert_eq!(
        world.get("/v1/tenants/acme/events").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    world.nothing_is_left().await;
}

#[tokio::test]
async fn bad_events_are_refused_alone_and_nothing_of_them_is_stored() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
    let with = |change: Value| {
        let mut event = event("bad");
        json_patch(&mut event, change);
        event
    };
    let batch = json!([
        with(json!({"type": "no.such_type"})),
        with(json!({"tenant": "nobody"})),
        with(json!({"id": "a b"})),
        with(json!({"data": deep})),
        with(json!({"occurred_at": "yesterday"})),
        with(json!({"data": "x".repeat(300_000)})),
        event("good"),
    ]);
    let answer = world.call("POST", "/v1/events", batch, 202).await;
    let errors: Vec<(Value, Value)> = answer["events"].as_array().unwrap()[..6]
        .iter()
        .map(|answer| (answer["error"]["code"].clone(), answer["error"]["field"].clone()))
        .collect();
    let expected = [
        ("event_type_unknown", json!("type")),
        ("tenant_unknown", json!("tenant")),
        ("id_invalid", json!("id")),
        ("json_invalid", json!("data")),
        ("timestamp_invalid", json!("occurred_at")),
        ("event_too_large", json!(null)),
    ];
    assert_eq!(errors, expected.map(|(code, field)| (json!(code), field)));
    assert_eq!(answer["events"][6], json!({"id": "good", "deliveries": 1}));
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 1);
    assert_eq!(
        world.get("/v1/tenants/acme/events").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    world.nothing_is_left().await;
}

fn json_patch(target: &mut Value, change: Value) {
    for (key, value) in change.as_object().unwrap() {
        target[key] = value.clone();
    }
}

#[tokio::test]
async fn what_a_crash_left_unsent_the_sweeper_sends_once() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("own")).await;
    let minted = world
        .post(json!({"type": "call.ended", "tenant": "acme", "data": {}}))
        .await;
    assert!(minted["id"].as_str().unwrap().starts_with("evt_"));
    // The function died between the put and the send.
    world.purge("DeliveryQueue").await;
    world.settle().await;
    assert!(world.requests(&endpoint).is_empty());
    let queued = world.delivery("acme", "own", &endpoint).await;
    assert_eq!((&queued["state"], &queued["attempts"]), (&json!("queued"), &json!([])));

    world.sweep().await;
    world.settle().await;
    assert!(
        world.requests(&endpoint).is_empty(),
        "not before it is old enough to be sure"
    );
    world.pass_ms(301_000).await;
    let swept = world.sweep().await;
    assert_eq!(swept.repaired, 2);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 2);
    world.pass_ms(600_000).await;
    assert_eq!(world.sweep().await.repaired, 0);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 2);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_change_applies_to_every_event_accepted_after_its_answer() {
    let world = World::new().await;
    let endpoint = world
        .endpoint("acme", Behaviour::Always(200), json!({"event_types": ["call.started"]}))
        .await;
    let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
    assert_eq!(world.post(event("e1")).await["deliveries"], 0);
    world
        .call("PATCH", &path, json!({"event_types": ["call.*"]}), 200)
        .await;
    assert_eq!(world.post(event("e2")).await["deliveries"], 1);
    world.call("DELETE", &path, Value::Null, 204).await;
    assert_eq!(world.post(event("e3")).await["deliveries"], 0);
    // e2 was accepted before the delete and not yet sent: it is canceled, not lost.
    world.run_to_the_end().await;
    assert!(world.requests(&endpoint).is_empty());
    let deliveries = world.get("/v1/tenants/acme/events/e2/deliveries").await;
    assert_eq!(deliveries["items"][0]["state"], "canceled");
    assert_eq!(deliveries["items"][0]["reason"], "endpoint_deleted");
    world.forget_deleted().await;
    world.nothing_is_left().await;
}

#[tokio::test]
async fn agents_and_types_choose_the_endpoints() {
    let world = World::new().await;
    let all = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let agent = world
        .endpoint("acme", Behaviour::Always(200), json!({"agents": ["agt_1"]}))
        .await;
    let types = world
        .endpoint("acme", Behaviour::Always(200), json!({"event_types": ["qa.scored"]}))
        .await;
    let other = world.endpoint("other", Behaviour::Always(200), json!({})).await;
    for (id, event_type, agent) in [
        ("a", "call.ended", Some("agt_1")),
        ("b", "qa.scored", Some("agt_2")),
        ("c", "qa.scored", None),
    ] {
        world
            .post(json!({"type": event_type, "tenant": "acme", "id": id, "agent": agent, "data": {}}))
            .await;
    }
    world.run_to_the_end().await;
    let ids = |endpoint| {
        let mut ids: Vec<String> = world
            .requests(endpoint)
            .iter()
            .map(|request| request.id.clone())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&all), ["a", "b", "c"]);
    assert_eq!(ids(&agent), ["a"]);
    assert_eq!(ids(&types), ["b", "c"]);
    assert!(ids(&other).is_empty());
    world.nothing_is_left().await;
}

#[tokio::test]
async fn hours_and_calls_are_counted_and_the_ledger_is_even() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world
        .endpoint("acme", Behaviour::Always(500), json!({"retry": {"attempts": 1}}))
        .await;
    // The failing endpoint is put on hold by nobody: that takes ten failures.
    for n in 0..9 {
        world.post(event(&format!("e{n}"))).await;
    }
    world.run_to_the_end().await;
    world.pass_ms(3_600_000 + 301_000).await;
    let swept = world.sweep().await;
    assert_eq!((swept.repaired, swept.ledger_difference), (0, 0));
    assert!(swept.hours >= 3);
    let counts = world.hours("acme").await;
    assert_eq!(counts.matched, 18);
    assert_eq!((counts.states["succeeded"], counts.states["dead"]), (9, 9));
    assert_eq!(world.call_events("acme", "c1").await.len(), 9);
    world.nothing_is_left().await;
}
