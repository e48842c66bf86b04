//! What became of an event and of a call, in the order of time, against a machine that really delivers; and that one item
//! which cannot be read hides no other.

use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World};

fn event(id: &str, occurred_at: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "occurred_at": occurred_at, "data": {"id": id},
        "related": {"call_id": "call 7/ü"}})
}

const CALL: &str = "/v1/tenants/acme/calls/call%207%2F%C3%BC";

/// `kind` of each item, with the attempt's number or the state's endpoint where there is one.
fn kinds(items: &Value, endpoints: &[(&str, &Endpoint)]) -> Vec<String> {
    let name = |item: &Value| {
        let endpoint = endpoints
            .iter()
            .find(|(_, endpoint)| item["endpoint"] == endpoint.id.as_str());
        let n = item["n"].as_u64().map(|n| format!(" {n}")).unwrap_or_default();
        let endpoint = endpoint.map(|(name, _)| format!(" {name}")).unwrap_or_default();
        format!("{}{endpoint}{n}", item["kind"].as_str().unwrap())
    };
    items["items"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn an_events_timeline_tells_all_that_became_of_it() {
    let world = World::new().await;
    let works = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let retry = json!({"retry": {"attempts": 2, "delays": [30]}});
    let fails = world.endpoint("acme", Behaviour::Always(500), retry).await;
    let paused = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let pause = format!("/v1/tenants/acme/endpoints/{}/pause", paused.id);
    world.call("POST", &pause, Value::Null, 200).await;
    world.pass_ms(60_000).await;
    world.post(event("e1", "2026-11-20T05:00:00Z")).await;
    let path = "/v1/tenants/acme/events/e1/timeline";
    let names = [("works", &works), ("fails", &fails), ("paused", &paused)];

    let before = world.get(path).await;
    let mut sorted = kinds(&before, &names);
    sorted.sort();
    assert_eq!(
        sorted,
        ["accepted", "held paused", "occurred", "queued fails", "queued works"]
    );
    world.run_to_the_end().await;
    world.pass_ms(60_000).await;
    world
        .call(
            "POST",
            "/v1/tenants/acme/replays",
            json!({"delivery": format!("e1.{}", fails.id)}),
            202,
        )
        .await;
    world.behave(&fails, Behaviour::Always(204));
    world.run_to_the_end().await;

    let all = world.get(&format!("{path}?limit=100")).await;
    let items = all["items"].as_array().unwrap();
    let told = kinds(&all, &names);
    assert_eq!(told[..2], ["occurred", "accepted"]);
    let mut first_round = told[2..5].to_vec();
    first_round.sort();
    assert_eq!(
        first_round,
        ["attempted fails 1", "attempted works 1", "succeeded works"]
    );
    assert_eq!(
        told[5..],
        [
            "attempted fails 2",
            "dead fails",
            "replay_asked fails",
            "attempted fails 1",
            "succeeded fails",
            "held paused",
        ]
    );
    let moments: Vec<&str> = items.iter().filter_map(|item| item["at"].as_str()).collect();
    assert!(moments.is_sorted() && moments.len() == items.len() - 1, "{moments:?}");
    assert_eq!(items[1]["endpoints"].as_array().unwrap().len(), 3);
    let failed = items
        .iter()
        .find(|item| item["n"] == 1 && item["status"] == 500)
        .unwrap();
    assert!(
        failed["text"].as_str().unwrap().len() > 20 && failed["duration_ms"].is_u64(),
        "{failed}"
    );
    let dead = items.iter().find(|item| item["kind"] == "dead").unwrap();
    assert_eq!(
        (&dead["reason"], &dead["text"]),
        (
            &json!("attempts_exhausted"),
            &json!("Given up after 2 attempts (attempts_exhausted).")
        )
    );
    let held = items.last().unwrap();
    assert_eq!(
        (&held["at"], &held["reason"]),
        (&Value::Null, &json!("endpoint_paused"))
    );
    assert_eq!(walked(&world, path, 2).await, *items);
    assert_eq!(
        world
            .request(
                "GET",
                "/v1/tenants/acme/events/e9/timeline",
                Some(world.key()),
                &Value::Null
            )
            .await
            .0,
        404
    );
    world
        .call("POST", &pause.replace("pause", "resume"), Value::Null, 200)
        .await;
    world.run_to_the_end().await;
}

/// All items, page by page.
async fn walked(world: &World, path: &str, limit: usize) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("{path}?limit={limit}&cursor={cursor}")).await;
        let found = page["items"].as_array().unwrap();
        items.extend(found.iter().cloned());
        match page["next"].as_str() {
            None => return items,
            Some(next) => cursor = next.to_owned(),
        }
    }
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_calls_events_come_in_the_order_of_occurrence_swept_or_not() {
    let world = World::new().await;
    let works = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let fails = world
        .endpoint("acme", Behaviour::Always(500), json!({"retry": {"attempts": 1}}))
        .await;
    // Posted in another order than they happened; two of them in one millisecond.
    for (id, second) in [("c", 3), ("a", 1), ("d", 4), ("b", 2)] {
        world.post(event(id, &format!("2026-11-20T05:00:0{second}Z"))).await;
        world.pass_ms(if id == "a" { 0 } else { 1_000 }).await;
    }
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "other", "data": 1}))
        .await;
    let events = format!("{CALL}/events");
    let all = world.get(&events).await;
    let all = all["items"].as_array().unwrap();
    assert_eq!(ids(all), ["a", "b", "c", "d"]);
    assert_eq!(all[0]["states"].as_array().unwrap().len(), 2);
    world.run_to_the_end().await;
    for pass in ["not yet swept", "swept"] {
        let all = world.get(&events).await;
        let all = all["items"].as_array().unwrap();
        assert_eq!(ids(all), ["a", "b", "c", "d"], "{pass}");
        for event in all {
            for state in event["states"].as_array().unwrap() {
                let expected = if state["endpoint"] == works.id.as_str() {
                    "succeeded"
                } else {
                    "dead"
                };
                assert_eq!(
                    (&state["state"], &state["attempts"]),
                    (&json!(expected), &json!(1)),
                    "{pass}"
                );
            }
        }
        assert_eq!(walked(&world, &events, 1).await, *all, "{pass}");
        assert_eq!(walked(&world, &events, 3).await, *all, "{pass}");
        let timeline = walked(&world, &format!("{CALL}/timeline"), 100).await;
        let names = [("works", &works), ("fails", &fails)];
        let told = kinds(&json!({ "items": timeline }), &names);
        for (kind, times) in [
            ("occurred", 4),
            ("accepted", 4),
            ("attempted works 1", 4),
            ("dead fails", 4),
        ] {
            assert_eq!(
                told.iter().filter(|told| *told == kind).count(),
                times,
                "{pass}: {told:?}"
            );
        }
        let moments: Vec<&str> = timeline.iter().filter_map(|item| item["at"].as_str()).collect();
        assert!(moments.is_sorted(), "{pass}");
        let in_parts = walked(&world, &format!("{CALL}/timeline"), 3).await;
        assert_eq!(in_parts.len(), timeline.len(), "{pass}");
        world.pass_ms(301_000).await;
        world.sweep().await;
        assert_eq!(world.call_events("acme", "call 7/ü").await.len(), 4);
    }
    for nothing in [
        "/v1/tenants/acme/calls/unknown/events",
        "/v1/tenants/acme/calls/unknown/timeline",
    ] {
        assert_eq!(world.get(nothing).await, json!({"items": [], "next": null}));
    }
    let too_long = format!("/v1/tenants/acme/calls/{}/events", "x".repeat(513));
    let key = Some(world.key());
    assert_eq!(world.request("GET", &too_long, key, &Value::Null).await.0, 404);
    let elsewhere = CALL.replace("acme", "other");
    world.call("PUT", "/v1/tenants/other", json!({}), 201).await;
    assert_eq!(world.get(&format!("{elsewhere}/events")).await["items"], json!([]));
}

/// Makes an item one that a newer version wrote.
async fn damage(world: &World, pk: &str, sk: &str) {
    let update = json!({"TableName": "EventsTable", "Key": {"pk": {"S": pk}, "sk": {"S": sk}},
        "UpdateExpression": "SET fv = :n", "ExpressionAttributeValues": {":n": {"N": "99"}},
        "ConditionExpression": "attribute_exists(pk)"});
    world.in_table("UpdateItem", &update).await;
}

/// Keys of all items whose partition begins so.
async fn keys(world: &World, prefix: &str) -> Vec<(String, String)> {
    let scan = json!({"TableName": "EventsTable", "FilterExpression": "begins_with(pk, :p)",
        "ExpressionAttributeValues": {":p": {"S": prefix}}});
    let found = world.in_table("Scan", &scan).await;
    let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
    let items = found["Items"].as_array().unwrap();
    items.iter().map(|item| (text(item, "pk"), text(item, "sk"))).collect()
}

#[tokio::test]
async fn what_cannot_be_read_hides_no_other_and_is_counted() {
    let world = World::new().await;
    let retry = json!({"retry": {"attempts": 2, "delays": [5]}});
    let endpoint = world.endpoint("acme", Behaviour::Always(500), retry).await;
    for id in ["e1", "e2", "e3"] {
        world.post(event(id, "2026-11-20T05:00:00Z")).await;
        world.pass_ms(1).await;
    }
    world.run_to_the_end().await;
    let (events, deliveries) = ("/v1/tenants/acme/events", "/v1/tenants/acme/deliveries");
    for list in [events, deliveries] {
        let page = world.get(list).await;
        assert_eq!(
            (page["items"].as_array().unwrap().len(), &page["unreadable"]),
            (3, &Value::Null)
        );
    }
    damage(&world, "i/acme/e2", "event").await;
    for (pk, sk) in keys(&world, &format!("d/acme/{}/", endpoint.id)).await {
        if sk.ends_with("/e1") {
            damage(&world, &pk, &sk).await;
        }
    }
    damage(&world, "a/acme/e3", &format!("{}//01", endpoint.id)).await;
    let page = world.get(events).await;
    assert_eq!(ids(page["items"].as_array().unwrap()), ["e3", "e1"]);
    assert_eq!(page["unreadable"], 1);
    let page = world.get(&format!("{CALL}/events")).await;
    assert_eq!(ids(page["items"].as_array().unwrap()), ["e1", "e3"]);
    assert_eq!(page["unreadable"], 2, "an event, and a delivery of another");
    for list in [deliveries.to_owned(), format!("{deliveries}?state=dead")] {
        let page = world.get(&list).await;
        let found = page["items"].as_array().unwrap();
        let expected = ["e3", "e2"].map(|event| format!("{event}.{}", endpoint.id));
        assert_eq!(ids(found), expected, "{list}");
        assert_eq!(
            page["unreadable"].as_u64().unwrap(),
            if list == deliveries { 3 } else { 2 },
            "{list}"
        );
        let numbers: Vec<&Value> = found[0]["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|attempt| &attempt["n"])
            .collect();
        assert_eq!(numbers, [2], "the first attempt cannot be read");
    }
    let page = world.get(&format!("{events}/e1/deliveries")).await;
    assert_eq!((&page["items"], &page["unreadable"]), (&json!([]), &json!(1)));
    let page = world.get(&format!("{events}/e3/timeline")).await;
    assert_eq!(page["unreadable"], 1);
    assert!(page["items"].as_array().unwrap().len() >= 4);
}
