//! Events over HTTP: listed newest first, narrowed, read byte for byte, gone after their retention.

use serde_json::{Value, json};

use super::stand::Stand;

const LIST: &str = "/v1/tenants/acme/events";
const DAY_MS: i64 = 86_400_000;

fn ids(items: &[Value]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_event_is_shown_as_it_was_posted() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let data = r#"{"z" :1, "a":9007199254740993,"t":"\u0000", "call_id":"c1"}"#;
    let posted = format!(
        r#"{{"type":"call.ended","tenant":"acme","id":"e1","agent":"agt_7","occurred_at":"2026-11-18T11:00:00+03:00",
        "data":{data},"related":{{"call_id":"c1"}},"links":{{"call":"https://p.example/c1"}}}}"#
    );
    let answer = stand
        .send_raw(Some(&stand.operator), "POST", "/v1/events", posted.into())
        .await;
    assert_eq!(answer.json(), json!({"id": "e1", "deliveries": 1}));

    let read = stand.ask("GET", &format!("{LIST}/e1"), Value::Null).await;
    let text = String::from_utf8(read.body.to_vec()).unwrap();
    assert!(text.contains(&format!("\"data\":{data}")), "{text}");
    let mut event = read.json();
    let event = event.as_object_mut().unwrap();
    event.remove("data");
    let item = json!({
        "id": "e1", "type": "call.ended", "agent": "agt_7", "occurred_at": "2026-11-18T11:00:00+03:00",
        "accepted_at": stand.clock.now().to_string(), "deliveries": 1, "related": {"call_id": "c1"},
    });
    let mut whole = item.clone();
    whole["links"] = json!({"call": "https://p.example/c1"});
    whole["endpoints"] = json!([endpoint]);
    assert_eq!(Value::Object(event.clone()), whole);
    assert_eq!(
        stand.ok("GET", LIST, Value::Null).await,
        json!({"items": [item], "next": null})
    );
}

#[tokio::test]
async fn own_and_minted_events_are_listed_together_newest_first_without_gaps() {
    let stand = Stand::with_acme().await;
    let mut posted = Vec::new();
    for n in 0..23 {
        let mut event = json!({"type": "call.ended", "tenant": "acme", "data": n});
        if n % 2 == 0 {
            event["id"] = json!(format!("own-{n}"));
        }
        posted.push(
            stand.ok("POST", "/v1/events", event).await["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        stand.pass_ms(1);
    }
    posted.reverse();
    for limit in [1, 7, 22, 23, 100] {
        let (items, pages) = stand.pages(LIST, limit).await;
        assert_eq!(ids(&items), posted, "{limit}");
        assert_eq!(pages, 23_usize.div_ceil(limit));
    }
    assert!(
        stand
            .pages(LIST, 100)
            .await
            .0
            .iter()
            .all(|item| item["occurred_at"] == item["accepted_at"])
    );
}

#[tokio::test]
async fn a_list_does_not_move_while_it_is_paged_through() {
    let stand = Stand::with_acme().await;
    for n in 0..4 {
        stand.event("acme", &format!("e{n}")).await;
        stand.pass_ms(1);
    }
    let page = stand.ok("GET", &format!("{LIST}?limit=2"), Value::Null).await;
    assert_eq!(ids(page["items"].as_array().unwrap()), ["e3", "e2"]);
    stand.pass_ms(120_000);
    stand.event("acme", "later").await;
    let next = format!("{LIST}?limit=2&cursor={}", page["next"].as_str().unwrap());
    let rest = stand.ok("GET", &next, Value::Null).await;
    assert_eq!(
        (ids(rest["items"].as_array().unwrap()), &rest["next"]),
        (vec!["e1".to_owned(), "e0".to_owned()], &Value::Null)
    );
}

#[tokio::test]
async fn events_are_narrowed_by_type_agent_and_time() {
    let stand = Stand::with_acme().await;
    let start = stand.clock.now();
    for (id, event_type, agent) in [
        ("a", "call.ended", "agt_1"),
        ("b", "qa.scored", "agt_1"),
        ("c", "qa.scored", "agt_2"),
    ] {
        let event = json!({"type": event_type, "tenant": "acme", "agent": agent, "id": id, "data": 1});
        stand.ok("POST", "/v1/events", event).await;
        stand.pass_ms(1_000);
    }
    let second = start.plus_millis(1_000);
    for (query, expected) in [
        ("type=qa.scored".to_owned(), vec!["c", "b"]),
        ("agent=agt_1".to_owned(), vec!["b", "a"]),
        ("type=qa.scored&agent=agt_1".to_owned(), vec!["b"]),
        ("type=call.started".to_owned(), vec![]),
        (format!("since={second}"), vec!["c", "b"]),
        (format!("until={second}"), vec!["a"]),
        (format!("since={second}&until={}", second.plus_millis(1)), vec!["b"]),
    ] {
        let page = stand.ok("GET", &format!("{LIST}?{query}"), Value::Null).await;
        assert_eq!(ids(page["items"].as_array().unwrap()), expected, "{query}");
    }
}

#[tokio::test]
async fn an_event_past_its_retention_is_gone_everywhere_and_others_stay() {
    let stand = Stand::with_acme().await;
    stand.endpoint("acme").await;
    stand.event("acme", "kept-30-days").await;
    stand.ok("PUT", "/v1/tenants/acme", json!({"retention_days": 3})).await;
    stand.event("acme", "kept-3-days").await;
    stand.pass_ms(3 * DAY_MS + 1_000);
    assert_eq!(ids(&stand.pages(LIST, 10).await.0), ["kept-30-days"]);
    for path in ["kept-3-days", "kept-3-days/deliveries"] {
        assert_eq!(
            stand.refusal("GET", &format!("{LIST}/{path}"), Value::Null).await.0,
            404
        );
    }
    let queued = stand
        .pages(
            "/v1/tenants/acme/deliveries?state=queued&since=2026-01-01T00:00:00Z",
            10,
        )
        .await
        .0;
    assert_eq!(queued.len(), 1);
}

#[tokio::test]
async fn a_repeated_event_is_listed_once() {
    let stand = Stand::with_acme().await;
    stand.event("acme", "e1").await;
    stand.pass_ms(5_000);
    stand.event("acme", "e1").await;
    assert_eq!(ids(&stand.pages(LIST, 10).await.0), ["e1"]);
}

#[tokio::test]
async fn the_row_of_an_event_that_a_crash_prevented_is_not_listed() {
    let stand = Stand::with_acme().await;
    stand.event("acme", "e1").await;
    let tenant = redial_domain::TenantId::parse("acme").unwrap();
    let e1 = redial_domain::EventId::parse("e1").unwrap();
    let mut row = stand
        .store
        .event(&tenant, &e1, stand.clock.now())
        .await
        .unwrap()
        .unwrap();
    // The row of a repeat that died before it took it back, and of an event that was never stored.
    row.accepted_at = row.accepted_at.plus_millis(7_000);
    stand.store.put_time_rows(&[&row]).await.unwrap();
    row.id = redial_domain::EventId::parse("e2").unwrap();
    stand.store.put_time_rows(&[&row]).await.unwrap();
    stand.pass_ms(60_000);
    let items = stand.pages(LIST, 10).await.0;
    assert_eq!(ids(&items), ["e1"]);
    assert_eq!(items[0]["accepted_at"], "2026-11-18T11:06:40.000Z");
}
