//! What a replay finds: by call, by type and those below a name, by agent, by reason, of some endpoints or of all; what an
//! endpoint has missed; and what goes to another endpoint.

use serde_json::{Value, json};

use super::{ask, events_since, look, numbers, post, replayed, sorted_since};
use crate::world::{Behaviour, Endpoint, World};

/// Two endpoints, and events of two types, agents and calls, all delivered.
async fn delivered() -> (World, Endpoint, Endpoint, Value) {
    let world = World::new().await;
    let first = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let second = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let since = world.now();
    let call = |id: &str| json!({"related": {"call_id": id}});
    post(&world, "a", "call.started", &json!({"agent": "agt_1"})).await;
    post(&world, "b", "call.ended", &json!({"agent": "agt_2"})).await;
    post(&world, "c", "qa.scored", &json!({})).await;
    post(&world, "d", "call.ended", &call("c1")).await;
    post(&world, "e", "qa.scored", &call("c1")).await;
    world.run_to_the_end().await;
    world.stand_still_ms(1_000);
    (world, first, second, since)
}

#[tokio::test]
async fn a_replay_is_narrowed_by_type_agent_endpoint_and_time() {
    let (world, first, second, since) = delivered().await;
    let until = world.now();
    for (more, events) in [
        (json!({}), vec!["a", "b", "c", "d", "e"]),
        (json!({"event_types": ["call.*"]}), vec!["a", "b", "d"]),
        (
            json!({"event_types": ["call.started", "qa.scored"]}),
            vec!["a", "c", "e"],
        ),
        (json!({"agents": ["agt_2", "agt_1"]}), vec!["a", "b"]),
        (json!({"agents": ["agt_1"], "event_types": ["call.ended"]}), vec![]),
        (json!({"state": "dead"}), vec![]),
    ] {
        for endpoints in [json!([]), json!([second.id])] {
            let mut body = json!({"since": since, "until": until, "endpoints": endpoints});
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            let before = (world.requests(&first).len(), world.requests(&second).len());
            let job = replayed(&world, &body).await;
            let both = endpoints == json!([]);
            let total = events.len() * if both { 2 } else { 1 };
            assert_eq!(job["state"], "done", "{job}");
            assert_eq!(
                numbers(&job),
                [&json!(total), &json!(total), &json!(0), &json!(0)],
                "{job}"
            );
            let of_first = if both { events.clone() } else { vec![] };
            assert_eq!(sorted_since(&world, &first, before.0), of_first, "{body}");
            assert_eq!(sorted_since(&world, &second, before.1), events, "{body}");
        }
    }
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_record_of_a_release_before_that_does_not_say_the_agent_is_found_by_its_event() {
    let (world, first, _, since) = delivered().await;
    let until = world.now();
    let scan = json!({"TableName": "EventsTable", "FilterExpression": "attribute_exists(ag) AND begins_with(pk, :d)",
        "ExpressionAttributeValues": {":d": {"S": "d/"}}});
    let records = world.in_table("Scan", &scan).await;
    for record in records["Items"].as_array().unwrap() {
        let key = json!({"pk": record["pk"], "sk": record["sk"]});
        let forget = json!({"TableName": "EventsTable", "Key": key, "UpdateExpression": "REMOVE ag"});
        world.in_table("UpdateItem", &forget).await;
    }
    let before = world.requests(&first).len();
    let body = json!({"endpoint": first.id, "since": since, "until": until, "agents": ["agt_2"]});
    let job = replayed(&world, &body).await;
    assert_eq!(numbers(&job)[..2], [&json!(1), &json!(1)], "{job}");
    assert_eq!(events_since(&world, &first, before), ["b"]);
}

#[tokio::test]
async fn a_call_is_replayed_before_and_after_the_sweeper_has_noted_it() {
    let (world, first, second, _) = delivered().await;
    for swept in [false, true] {
        if swept {
            world.pass_ms(400_000).await;
            world.sweep().await;
        }
        let before = (world.requests(&first).len(), world.requests(&second).len());
        let job = replayed(&world, &json!({"call_id": "c1"})).await;
        assert_eq!(numbers(&job)[..2], [&json!(4), &json!(4)], "{swept}: {job}");
        assert_eq!(sorted_since(&world, &first, before.0), ["d", "e"]);
        assert_eq!(sorted_since(&world, &second, before.1), ["d", "e"]);
        let narrow = json!({"call_id": "c1", "endpoint": first.id, "event_types": ["qa.*"], "state": "succeeded"});
        let before = (world.requests(&first).len(), world.requests(&second).len());
        let job = replayed(&world, &narrow).await;
        assert_eq!(numbers(&job)[..2], [&json!(1), &json!(1)], "{swept}: {job}");
        assert_eq!(events_since(&world, &first, before.0), ["e"]);
        assert_eq!(world.requests(&second).len(), before.1);
    }
    let none = replayed(&world, &json!({"call_id": "unheard of"})).await;
    assert_eq!((&none["state"], &none["total"]), (&json!("done"), &json!(0)));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn what_an_endpoint_has_missed_is_delivered_as_it_would_be_now() {
    let (world, _, _, since) = delivered().await;
    let late = world
        .endpoint("acme", Behaviour::Always(200), json!({"event_types": ["call.*"]}))
        .await;
    post(&world, "f", "call.ended", &json!({})).await;
    world.run_to_the_end().await;
    let body = json!({"endpoint": late.id, "since": since, "missing": true});
    let counted = ask(
        &world,
        &json!({"endpoint": late.id, "since": since, "missing": true, "dry_run": true}),
    )
    .await;
    assert_eq!((&counted["state"], &counted["total"]), (&json!("done"), &json!(3)));
    world.stand_still_ms(1);
    let job = replayed(&world, &body).await;
    assert_eq!(numbers(&job), [&json!(3), &json!(3), &json!(0), &json!(0)], "{job}");
    assert_eq!(job["what"]["missing"], true);
    // `f` it had matched itself.
    assert_eq!(sorted_since(&world, &late, 0), ["a", "b", "d", "f"]);
    let of_a = world.get("/v1/tenants/acme/events/a/deliveries").await;
    let new = of_a["items"].as_array().unwrap();
    assert!(
        new.iter()
            .any(|item| item["endpoint"] == late.id.as_str() && item["state"] == "succeeded")
    );

    let path = format!("/v1/tenants/acme/endpoints/{}", late.id);
    world.call("PATCH", &path, json!({"active": false}), 200).await;
    let refused = world.call("POST", super::REPLAYS, body, 422).await;
    assert_eq!(
        (&refused["code"], &refused["field"]),
        (&json!("endpoint_inactive"), &json!("endpoint"))
    );
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_replay_to_another_endpoint_passes_by_what_that_has_no_name_for() {
    let (world, first, second, since) = delivered().await;
    let utel = world
        .endpoint("acme", Behaviour::Always(200), json!({"profile": "utel"}))
        .await;
    let (before, until) = (world.requests(&second).len(), world.now());
    let body = json!({"endpoint": first.id, "since": since, "until": until, "to": utel.id});
    let job = replayed(&world, &body).await;
    assert_eq!(numbers(&job), [&json!(5), &json!(3), &json!(0), &json!(2)], "{job}");
    assert_eq!(sorted_since(&world, &utel, 0), ["a", "b", "d"]);
    assert_eq!(world.requests(&second).len(), before);
    let delivery = format!("a.{}.{}", utel.id, job["id"].as_str().unwrap());
    let new = world.get(&format!("/v1/tenants/acme/deliveries/{delivery}")).await;
    assert_eq!(new["state"], "succeeded");
    // One event goes there once, however many it had matched.
    for (body, events) in [
        (json!({"event": "a", "to": utel.id}), vec!["a"]),
        (json!({"delivery": format!("b.{}", first.id), "to": utel.id}), vec!["b"]),
        (json!({"call_id": "c1", "to": utel.id}), vec!["d"]),
    ] {
        let before = world.requests(&utel).len();
        let job = replayed(&world, &body).await;
        assert_eq!(job["done"], events.len(), "{job}");
        assert_eq!(events_since(&world, &utel, before), events, "{body}");
    }
    for (body, code, field) in [
        (json!({"since": since, "to": utel.id}), "field_missing", "endpoint"),
        (json!({"event": "a", "to": "ep_none"}), "not_found", "to"),
    ] {
        let refused = world.call("POST", super::REPLAYS, body, 422).await;
        assert_eq!((&refused["code"], &refused["field"]), (&json!(code), &json!(field)));
    }
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_dry_run_counts_and_sends_nothing() {
    let (world, first, second, since) = delivered().await;
    let before = (world.requests(&first).len(), world.requests(&second).len());
    let job = ask(&world, &json!({"since": since, "dry_run": true})).await;
    assert_eq!(job["state"], "done", "it is counted at once");
    assert_eq!(
        (&job["total"], &job["counted"], &job["dry_run"]),
        (&json!(10), &json!(true), &json!(true))
    );
    world.run_to_the_end().await;
    assert_eq!((world.requests(&first).len(), world.requests(&second).len()), before);
    assert_eq!(look(&world, &job).await, job);
    world.nothing_is_left().await;
}
