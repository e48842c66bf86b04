//! Dry runs over HTTP: they say what ingest would do, and do nothing.

use serde_json::{Value, json};

use super::stand::Stand;

const LIST: &str = "/v1/tenants/acme/endpoints";
const DRY_RUN: &str = "/v1/tenants/acme/dry-run";

async fn endpoint(stand: &Stand, fields: Value) -> String {
    let mut body = json!({"url": "http://127.0.0.1:9000/hook"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = stand.ok("POST", LIST, body).await;
    made["id"].as_str().unwrap().to_owned()
}

fn about(event_type: &str, agent: Option<&str>) -> Value {
    match agent {
        Some(agent) => json!({"type": event_type, "agent": agent}),
        None => json!({"type": event_type}),
    }
}

#[tokio::test]
async fn each_reason_is_told_and_paused_endpoints_reach_but_are_held() {
    let stand = Stand::with_acme().await;
    for (fields, event_type, agent, reaches, code) in [
        (json!({}), "call.ended", None, true, "delivered"),
        (json!({"state": "paused"}), "call.ended", None, true, "endpoint_paused"),
        (json!({"active": false}), "call.ended", None, false, "inactive"),
        (json!({"profile": "utel"}), "qa.scored", None, false, "not_in_profile"),
        (
            json!({"event_types": ["call.*"]}),
            "call.ended",
            None,
            true,
            "delivered",
        ),
        (
            json!({"event_types": ["call.*"]}),
            "dial.ended",
            None,
            false,
            "type_not_wanted",
        ),
        (json!({"agents": ["a"]}), "call.ended", Some("a"), true, "delivered"),
        (
            json!({"agents": ["a"]}),
            "call.ended",
            Some("b"),
            false,
            "agent_not_wanted",
        ),
        (json!({"agents": ["a"]}), "call.ended", None, false, "no_agent"),
        (
            json!({"exclude_agents": ["a"]}),
            "call.ended",
            Some("a"),
            false,
            "agent_excluded",
        ),
    ] {
        let id = endpoint(&stand, fields.clone()).await;
        let answer = stand
            .ok("POST", &format!("{LIST}/{id}/dry-run"), about(event_type, agent))
            .await;
        assert_eq!(
            (&answer["reaches"], &answer["code"]),
            (&json!(reaches), &json!(code)),
            "{fields}"
        );
        assert!(answer["reason"].as_str().unwrap().ends_with('.'), "{answer}");
        // What it says is what ingest does.
        let mut event = about(event_type, agent);
        event["tenant"] = json!("acme");
        event["data"] = json!({});
        let posted = stand.ok("POST", "/v1/events", event).await;
        assert_eq!(posted["deliveries"], i32::from(reaches), "{fields}");
        stand.ok("DELETE", &format!("{LIST}/{id}"), Value::Null).await;
    }
}

#[tokio::test]
async fn all_endpoints_of_a_tenant_are_told_about_an_event_that_is_stored() {
    let stand = Stand::with_acme().await;
    let any = endpoint(&stand, json!({})).await;
    let other = endpoint(&stand, json!({"event_types": ["dial.*"]})).await;
    stand.event("acme", "e1").await;
    let answer = stand.ok("POST", DRY_RUN, json!({"event": "e1"})).await;
    assert_eq!(answer["next"], Value::Null);
    let mut found: Vec<(&str, bool, &str)> = answer["items"].as_array().unwrap().iter().map(shown).collect();
    let mut expected = vec![
        (any.as_str(), true, "delivered"),
        (other.as_str(), false, "type_not_wanted"),
    ];
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(answer, stand.ok("POST", DRY_RUN, json!({"type": "call.ended"})).await);
}

fn shown(item: &Value) -> (&str, bool, &str) {
    (
        item["endpoint"].as_str().unwrap(),
        item["reaches"].as_bool().unwrap(),
        item["code"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn nothing_is_sent_or_stored_and_what_makes_no_sense_is_refused() {
    let stand = Stand::with_acme().await;
    let id = endpoint(&stand, json!({})).await;
    let one = format!("{LIST}/{id}/dry-run");
    let before = stand.ask("GET", &format!("{LIST}/{id}"), Value::Null).await;
    for path in [one.as_str(), DRY_RUN] {
        stand.ok("POST", path, json!({"type": "call.ended"})).await;
        for (body, code, field) in [
            (json!({}), "field_missing", "type"),
            (json!({"agent": "a"}), "field_missing", "type"),
            (json!({"type": "a..b"}), "event_type_invalid", "type"),
            (json!({"type": "call.*"}), "event_type_invalid", "type"),
            (json!({"type": "a", "agent": "a b"}), "id_invalid", "agent"),
            (json!({"type": "a", "event": "e"}), "field_invalid", "event"),
            (json!({"event": "missing"}), "not_found", "event"),
            (json!({"type": "a", "data": {}}), "field_unknown", "data"),
        ] {
            let expected = (422, code.to_owned(), Some(field.to_owned()));
            assert_eq!(stand.refusal("POST", path, body).await, expected);
        }
    }
    assert_eq!(stand.sqs.counts("DeliveryQueue").unwrap().visible, 0);
    assert!(stand.pages("/v1/tenants/acme/events", 10).await.0.is_empty());
    let after = stand.ask("GET", &format!("{LIST}/{id}"), Value::Null).await;
    assert_eq!(after, before);
}

#[tokio::test]
async fn another_tenants_event_and_endpoint_are_missing_ones() {
    let stand = Stand::with_acme().await;
    stand.ok("PUT", "/v1/tenants/other", json!({})).await;
    let id = endpoint(&stand, json!({})).await;
    stand.event("acme", "e1").await;
    let key = stand.mint("tenant:other").await;
    let body = json!({"type": "call.ended"});
    for path in [DRY_RUN.to_owned(), format!("{LIST}/{id}/dry-run")] {
        assert_eq!(stand.send(Some(&key), "POST", &path, &body).await.status, 404);
    }
    let other = "/v1/tenants/other";
    let path = format!("{other}/endpoints/{id}/dry-run");
    assert_eq!(stand.send(Some(&key), "POST", &path, &body).await.status, 404);
    let foreign = stand
        .send(Some(&key), "POST", &format!("{other}/dry-run"), &json!({"event": "e1"}))
        .await;
    assert_eq!((foreign.status, foreign.code()), (422, "not_found".to_owned()));
}
