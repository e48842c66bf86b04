//! Deliveries over HTTP: queued ones are derived, recorded ones are listed by state and endpoint, each with all its
//! attempts; replays are asked for and found.

use redial_domain::delivery::DeliveryState;
use serde_json::{Value, json};

use super::stand::Stand;

const LIST: &str = "/v1/tenants/acme/deliveries";

fn ids(items: &[Value]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_delivery_without_a_record_is_queued_wherever_it_is_shown() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    stand.event("acme", "e1").await;
    let id = format!("e1.{endpoint}");
    let expected = json!({
        "id": id, "event": "e1", "endpoint": endpoint, "event_type": "call.ended", "state": "queued", "reason": null,
        "accepted_at": stand.clock.now().to_string(), "next_at": null, "due_at": null, "replay_of": null, "attempts": [],
    });
    assert_eq!(stand.ok("GET", &format!("{LIST}/{id}"), Value::Null).await, expected);
    for list in [
        LIST.to_owned(),
        format!("{LIST}?state=queued"),
        "/v1/tenants/acme/events/e1/deliveries".to_owned(),
    ] {
        assert_eq!(
            stand.ok("GET", &list, Value::Null).await,
            json!({"items": [expected], "next": null}),
            "{list}"
        );
    }
    for state in ["retrying", "held", "succeeded", "dead", "canceled"] {
        let page = stand.ok("GET", &format!("{LIST}?state={state}"), Value::Null).await;
        assert_eq!(page["items"], json!([]), "{state}");
    }
}

#[tokio::test]
async fn every_attempt_is_shown_and_answers_only_where_one_is_looked_at() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    for (event, state, attempts) in [
        ("at-once", DeliveryState::Succeeded, 1),
        ("late", DeliveryState::Succeeded, 3),
        ("dead", DeliveryState::Dead, 2),
        ("retrying", DeliveryState::Retrying, 1),
    ] {
        stand.event("acme", event).await;
        let id = format!("{event}.{endpoint}");
        stand.conclude("acme", &id, state, attempts).await;
        let one = stand.ok("GET", &format!("{LIST}/{id}"), Value::Null).await;
        assert_eq!(one["state"], state.as_str());
        let shown = one["attempts"].as_array().unwrap();
        assert_eq!(shown.len(), attempts as usize, "{event}");
        for (index, attempt) in shown.iter().enumerate() {
            let n = index as u32 + 1;
            let succeeded = n == attempts && state == DeliveryState::Succeeded;
            let expected = json!({
                "n": n, "at": stand.clock.now().to_string(), "status": if succeeded { 204 } else { 500 },
                "code": if succeeded { "ok" } else { "http_error" }, "duration_ms": 12,
                "next": format!("what follows after {n}"), "response": format!("answer {n} <script>"),
            });
            assert_eq!(attempt, &expected, "{event}");
        }
        let of_event = stand
            .ok(
                "GET",
                &format!("/v1/tenants/acme/events/{event}/deliveries"),
                Value::Null,
            )
            .await;
        assert_eq!(of_event["items"], json!([one]), "{event}");
        let mut without = one.clone();
        for attempt in without["attempts"].as_array_mut().unwrap() {
            attempt.as_object_mut().unwrap().remove("response");
        }
        let listed = stand.pages(&format!("{LIST}?state={}", state.as_str()), 1).await.0;
        assert!(listed.contains(&without), "{event}: {listed:?}");
    }
}

#[tokio::test]
async fn lists_mix_queued_and_recorded_deliveries_newest_first_without_gaps_or_repeats() {
    let stand = Stand::with_acme().await;
    let endpoints = [stand.endpoint("acme").await, stand.endpoint("acme").await];
    let (mut all, mut queued, mut dead) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..20 {
        stand.event("acme", &format!("e{n:02}")).await;
        for (which, endpoint) in endpoints.iter().enumerate() {
            let id = format!("e{n:02}.{endpoint}");
            match (n + which) % 3 {
                0 => stand.conclude("acme", &id, DeliveryState::Succeeded, 1).await,
                1 => {
                    stand.conclude("acme", &id, DeliveryState::Dead, 2).await;
                    dead.push(id.clone());
                }
                _ => queued.push(id.clone()),
            }
            all.push(id);
        }
        // Four events share each millisecond.
        stand.pass_ms(i64::from(n % 4 == 3));
    }
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    let (all, queued, dead) = (sorted(all), sorted(queued), sorted(dead));
    for limit in [1, 3, 10, 39, 40, 100] {
        let items = stand.pages(LIST, limit).await.0;
        assert!(
            items
                .windows(2)
                .all(|pair| pair[0]["accepted_at"].as_str() >= pair[1]["accepted_at"].as_str())
        );
        assert_eq!(sorted(ids(&items)), all, "{limit}");
        let items = stand.pages(&format!("{LIST}?state=queued"), limit).await.0;
        assert!(items.iter().all(|item| item["state"] == "queued"));
        assert_eq!(sorted(ids(&items)), queued, "{limit}");
        let items = stand.pages(&format!("{LIST}?state=dead"), limit).await.0;
        assert_eq!(sorted(ids(&items)), dead, "{limit}");
    }
    let of_one = stand.pages(&format!("{LIST}?endpoint={}", endpoints[0]), 7).await.0;
    assert_eq!(of_one.len(), 20);
    assert!(of_one.iter().all(|item| item["endpoint"] == endpoints[0].as_str()));
}

#[tokio::test]
async fn a_backlog_larger_than_one_look_is_listed_to_its_end() {
    let stand = Stand::with_acme().await;
    stand.endpoint("acme").await;
    for batch in 0..3 {
        let events: Vec<Value> = (0..400)
            .map(|n| json!({"type": "call.ended", "tenant": "acme", "id": format!("e{batch}-{n}"), "data": n}))
            .collect();
        stand.ok("POST", "/v1/events", json!(events)).await;
        stand.pass_ms(3);
    }
    for list in [LIST.to_owned(), format!("{LIST}?state=queued")] {
        let mut found = ids(&stand.pages(&list, 100).await.0);
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 1_200, "{list}");
    }
}

#[tokio::test]
async fn deliveries_are_narrowed_by_endpoint_and_time_and_a_deleted_endpoint_still_answers() {
    let stand = Stand::with_acme().await;
    let (first, second) = (stand.endpoint("acme").await, stand.endpoint("acme").await);
    let start = stand.clock.now();
    for event in ["e1", "e2"] {
        stand.event("acme", event).await;
        stand
            .conclude("acme", &format!("{event}.{first}"), DeliveryState::Succeeded, 1)
            .await;
        stand
            .conclude("acme", &format!("{event}.{second}"), DeliveryState::Dead, 1)
            .await;
        stand.pass_ms(1_000);
    }
    let found = async |query: String| ids(&stand.pages(&format!("{LIST}?{query}"), 10).await.0);
    assert_eq!(
        found(format!("endpoint={first}")).await,
        [format!("e2.{first}"), format!("e1.{first}")]
    );
    assert_eq!(
        found(format!("endpoint={first}&state=dead")).await,
        Vec::<String>::new()
    );
    let late = start.plus_millis(1_000);
    assert_eq!(
        found(format!("state=dead&since={late}")).await,
        [format!("e2.{second}")]
    );
    assert_eq!(
        found(format!("state=dead&until={late}")).await,
        [format!("e1.{second}")]
    );
    stand
        .ok("DELETE", &format!("/v1/tenants/acme/endpoints/{first}"), Value::Null)
        .await;
    assert_eq!(found(format!("endpoint={first}")).await.len(), 2);
    assert_eq!(
        found("endpoint=ep_0000000000000000".to_owned()).await,
        Vec::<String>::new()
    );
    assert_eq!(
        stand.ok("GET", &format!("{LIST}/e1.{first}"), Value::Null).await["state"],
        "succeeded"
    );
}

#[tokio::test]
async fn a_replay_is_asked_for_and_its_deliveries_are_found() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    stand.event("acme", "e1").await;
    let first = format!("e1.{endpoint}");
    stand.conclude("acme", &first, DeliveryState::Dead, 2).await;
    stand.pass_ms(1_000);
    let asked = stand
        .ask("POST", "/v1/tenants/acme/replays", json!({"delivery": first}))
        .await;
    assert_eq!(asked.status, 202);
    let job = asked.json();
    assert_eq!(
        (&job["state"], &job["total"], &job["done"], &job["failed"]),
        (&json!("pending"), &json!(1), &json!(0), &json!(0))
    );
    assert_eq!(job["what"], json!({"delivery": first}));
    let path = format!("/v1/tenants/acme/replays/{}", job["id"].as_str().unwrap());
    assert_eq!(stand.ok("GET", &path, Value::Null).await, job);

    // As the worker notes it before it sends.
    let replayed = format!("{first}.{}", job["id"].as_str().unwrap());
    let absent = stand.refusal("GET", &format!("{LIST}/{replayed}"), Value::Null).await;
    assert_eq!(absent.0, 404, "nothing of it was made yet");
    let record = stand.record("acme", &replayed, DeliveryState::Queued).await;
    let now = stand.clock.now();
    stand
        .store
        .put_replayed(&record.tenant, std::slice::from_ref(&record.id), now, record.expires_at)
        .await
        .unwrap();
    let one = stand.ok("GET", &format!("{LIST}/{replayed}"), Value::Null).await;
    assert_eq!((&one["state"], &one["replay_of"]), (&json!("queued"), &json!(first)));
    stand.conclude("acme", &replayed, DeliveryState::Succeeded, 1).await;
    let of_event = stand.pages("/v1/tenants/acme/events/e1/deliveries", 1).await;
    assert_eq!(
        (ids(&of_event.0), of_event.1),
        (vec![first.clone(), replayed.clone()], 2)
    );
    assert_eq!(of_event.0[1]["state"], "succeeded");
    assert_eq!(ids(&stand.pages(LIST, 10).await.0), [replayed, first]);
}

#[tokio::test]
async fn a_replay_of_what_is_not_there_is_refused() {
    let stand = Stand::with_acme().await;
    stand.ok("PUT", "/v1/tenants/other", json!({})).await;
    let theirs = stand.endpoint("other").await;
    stand.event("other", "theirs").await;
    for (body, code, field) in [
        (json!({"event": "theirs"}), "not_found", "event"),
        (json!({"delivery": format!("theirs.{theirs}")}), "not_found", "delivery"),
        (
            json!({"endpoint": theirs, "since": "2026-11-01T00:00:00Z"}),
            "not_found",
            "endpoint",
        ),
        (
            json!({"event": "e1", "delivery": "e1.ep_1"}),
            "replay_ambiguous",
            "delivery",
        ),
        (json!({}), "field_missing", "event"),
    ] {
        let expected = (422, code.to_owned(), Some(field.to_owned()));
        assert_eq!(stand.refusal("POST", "/v1/tenants/acme/replays", body).await, expected);
    }
    let endpoint = stand.endpoint("acme").await;
    for (extra, code) in [
        (
            json!({"since": "2026-11-20T00:00:00Z", "until": "2026-11-10T00:00:00Z"}),
            "range_invalid",
        ),
        (
            json!({"since": "2026-11-01T00:00:00Z", "state": "retrying"}),
            "state_invalid",
        ),
    ] {
        let mut body = extra;
        body["endpoint"] = json!(endpoint);
        assert_eq!(stand.refusal("POST", "/v1/tenants/acme/replays", body).await.1, code);
    }
    assert!(stand.pages("/v1/tenants/acme/replays", 10).await.0.is_empty());
}
