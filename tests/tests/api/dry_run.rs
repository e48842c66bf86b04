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

#[tokio::test]
async fn an_event_that_an_endpoint_came_too_late_for_is_told_with_the_replay_that_delivers_it() {
    let stand = Stand::with_acme().await;
    let asleep = endpoint(&stand, json!({"active": false})).await;
    stand.event("acme", "e1").await;
    stand.pass_ms(1_000);
    let late = endpoint(&stand, json!({})).await;
    let other = endpoint(&stand, json!({"event_types": ["dial.*"]})).await;
    stand
        .ok("POST", &format!("{LIST}/{asleep}/activate"), Value::Null)
        .await;
    let answer = stand.ok("POST", DRY_RUN, json!({"event": "e1"})).await;
    let items = answer["items"].as_array().unwrap();
    let mut found: Vec<(&str, bool, &str)> = items.iter().map(shown).collect();
    let mut expected = vec![
        (asleep.as_str(), false, "not_matched_then"),
        (late.as_str(), false, "not_there_then"),
        (other.as_str(), false, "type_not_wanted"),
    ];
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    // It is the settings of now that a made-up event is asked about.
    let path = format!("{LIST}/{late}/dry-run");
    let made_up = stand.ok("POST", &path, json!({"type": "call.ended"})).await;
    assert_eq!((&made_up["code"], made_up.get("replay")), (&json!("delivered"), None));

    let missed = stand.ok("POST", &path, json!({"event": "e1"})).await;
    let reason = missed["reason"].as_str().unwrap();
    let since = missed["replay"]["since"].as_str().unwrap();
    let command = format!("redial replay --tenant acme --endpoint {late} --missing --since {since} --until ");
    assert!(
        reason.contains(&command) && reason.ends_with(" --type call.ended"),
        "{reason}"
    );
    // The body is what is posted, and finds this one event.
    let mut wish = missed["replay"].clone();
    wish["dry_run"] = json!(true);
    let counted = stand.ok("POST", "/v1/tenants/acme/replays", wish).await;
    assert_eq!((&counted["state"], &counted["total"]), (&json!("done"), &json!(1)));
}

#[tokio::test]
async fn what_a_replay_delivered_since_is_not_advised_again() {
    let stand = Stand::with_acme().await;
    stand.event("acme", "e1").await;
    stand.pass_ms(1_000);
    let late = endpoint(&stand, json!({})).await;
    let replayed = redial_domain::DeliveryId::parse(&format!("e1.{late}.rpl_1")).unwrap();
    let (tenant, now) = (redial_domain::TenantId::parse("acme").unwrap(), stand.clock.now());
    let expires_at = now.plus_millis(86_400_000);
    stand
        .store
        .put_replayed(&tenant, &[replayed], now, expires_at)
        .await
        .unwrap();
    let answer = stand
        .ok("POST", &format!("{LIST}/{late}/dry-run"), json!({"event": "e1"}))
        .await;
    assert_eq!(
        (&answer["code"], &answer["reaches"]),
        (&json!("delivered"), &json!(true))
    );
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
