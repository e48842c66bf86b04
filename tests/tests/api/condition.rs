//! How an endpoint is, in one word: the list of endpoints and the health of each say the same.

use std::collections::BTreeMap;

use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, TenantId};
use redial_platform::store::config::Change;
use serde_json::{Value, json};

use super::backlog::fail;
use super::stand::Stand;

const LIST: &str = "/v1/tenants/acme/endpoints";

/// What the list says of each endpoint, which is what the health of each says.
async fn conditions(stand: &Stand) -> BTreeMap<String, String> {
    let listed = stand.ok("GET", &format!("{LIST}?include=condition"), Value::Null).await;
    let mut all = BTreeMap::new();
    for endpoint in listed["items"].as_array().unwrap() {
        let (id, condition) = (
            endpoint["id"].as_str().unwrap(),
            endpoint["condition"].as_str().unwrap(),
        );
        let health = stand.ok("GET", &format!("{LIST}/{id}/health"), Value::Null).await;
        assert_eq!(health["condition"], condition, "{health}");
        assert!(health["reason"].as_str().unwrap().ends_with('.'), "{health}");
        all.insert(id.to_owned(), condition.to_owned());
    }
    all
}

async fn condition(stand: &Stand, endpoint: &str) -> String {
    conditions(stand).await[endpoint].clone()
}

#[tokio::test]
async fn what_somebody_decided_comes_before_how_it_answers() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let path = format!("{LIST}/{endpoint}");
    fail(&stand, &endpoint, 10).await;
    assert_eq!(condition(&stand, &endpoint).await, "on_hold");
    stand.ok("POST", &format!("{path}/pause"), Value::Null).await;
    assert_eq!(condition(&stand, &endpoint).await, "paused");
    stand.ok("PATCH", &path, json!({"active": false})).await;
    assert_eq!(condition(&stand, &endpoint).await, "inactive");
    stand.ok("PATCH", &path, json!({"active": true})).await;
    assert_eq!(condition(&stand, &endpoint).await, "healthy");
    // Who does not ask for it does not get it, and nothing else is known there.
    let plain = stand.ok("GET", LIST, Value::Null).await;
    assert_eq!(plain["items"][0].get("condition"), None);
    let said = stand
        .refusal("GET", &format!("{LIST}?include=health"), Value::Null)
        .await;
    assert_eq!(said, (400, "parameter_invalid".to_owned(), Some("include".to_owned())));
}

#[tokio::test]
async fn failures_are_told_before_they_lead_to_a_hold() {
    let stand = Stand::with_acme().await;
    let (well, shaky, failing) = (
        stand.endpoint("acme").await,
        stand.endpoint("acme").await,
        stand.endpoint("acme").await,
    );
    fail(&stand, &shaky, 1).await;
    fail(&stand, &failing, 5).await;
    let all = conditions(&stand).await;
    let said = [&well, &shaky, &failing].map(|id| all[id].as_str());
    assert_eq!(said, ["healthy", "retrying", "failing"]);
    let health = stand.ok("GET", &format!("{LIST}/{shaky}/health"), Value::Null).await;
    assert_eq!(
        (&health["state"], &health["reason"]),
        (&json!("healthy"), &json!("The latest attempt failed, which may pass."))
    );
}

#[tokio::test]
async fn a_delivery_that_waits_for_its_next_attempt_is_seen_although_others_succeed() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    stand.event("acme", "e1").await;
    stand.event("acme", "e2").await;
    fail(&stand, &endpoint, 1).await;
    stand
        .conclude("acme", &format!("e1.{endpoint}"), DeliveryState::Retrying, 1)
        .await;
    stand
        .conclude("acme", &format!("e2.{endpoint}"), DeliveryState::Succeeded, 1)
        .await;
    let (tenant, id) = (TenantId::parse("acme").unwrap(), EndpointId::parse(&endpoint).unwrap());
    stand
        .store
        .forgive_health(&tenant, &id, stand.clock.now())
        .await
        .unwrap();
    assert_eq!(condition(&stand, &endpoint).await, "retrying");
    stand
        .conclude("acme", &format!("e1.{endpoint}"), DeliveryState::Succeeded, 2)
        .await;
    assert_eq!(condition(&stand, &endpoint).await, "healthy");
}

#[tokio::test]
async fn an_endpoint_recovers_until_what_was_held_is_delivered() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let path = format!("{LIST}/{endpoint}");
    stand.ok("POST", &format!("{path}/pause"), Value::Null).await;
    stand.event("acme", "e1").await;
    let resumed = stand.ok("POST", &format!("{path}/resume"), Value::Null).await;
    let replay = resumed["backlog"]["replay"].as_str().unwrap();
    assert_eq!(condition(&stand, &endpoint).await, "recovering");
    let health = stand.ok("GET", &format!("{path}/health"), Value::Null).await;
    assert_eq!(
        (&health["state"], &health["held"]["count"], &health["drain"]["id"]),
        (&json!("healthy"), &json!(1), &json!(replay))
    );
    // Once nothing delivers it any more, what is kept back is no recovery.
    let cancel = format!("/v1/tenants/acme/replays/{replay}/cancel");
    stand.ok("POST", &cancel, Value::Null).await;
    assert_eq!(condition(&stand, &endpoint).await, "healthy");
    // Nor is what is given up.
    stand
        .ok("POST", &format!("{path}/backlog"), json!({"action": "discard"}))
        .await;
    assert_eq!(condition(&stand, &endpoint).await, "healthy");
}

#[tokio::test]
async fn an_endpoint_that_was_let_go_recovers_before_its_drain_is_made() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let (tenant, id) = (TenantId::parse("acme").unwrap(), EndpointId::parse(&endpoint).unwrap());
    fail(&stand, &endpoint, 10).await;
    stand.event("acme", "e1").await;
    let held = stand
        .record("acme", &format!("e1.{endpoint}"), DeliveryState::Held)
        .await;
    stand.store.record_state(&held).await.unwrap();
    assert_eq!(condition(&stand, &endpoint).await, "on_hold");
    assert!(stand.store.close(&tenant, &id, stand.clock.now()).await.unwrap());
    let version = stand.store.version(&tenant, 0).await.unwrap().unwrap();
    stand
        .store
        .change(&tenant, version, Change::Hold(&id, None))
        .await
        .unwrap();
    assert_eq!(condition(&stand, &endpoint).await, "recovering");
    stand
        .conclude("acme", &format!("e1.{endpoint}"), DeliveryState::Succeeded, 1)
        .await;
    assert_eq!(condition(&stand, &endpoint).await, "healthy");
}
