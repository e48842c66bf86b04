//! Who may erase what, and who sees the receipts. What erasing does is in `path/erased`.

use redial_domain::delivery::DeliveryState;
use serde_json::{Value, json};

use super::stand::Stand;

#[tokio::test]
async fn a_tenant_erases_its_own_events_and_calls_and_an_operator_tenants() {
    let stand = Stand::with_acme().await;
    stand.ok("PUT", "/v1/tenants/other", json!({})).await;
    for id in ["e1", "e2"] {
        stand.event("acme", id).await;
    }
    let own = stand.mint("tenant:acme").await;
    let (foreign, ingest) = (stand.mint("tenant:other").await, stand.mint("ingest").await);
    let delete = |key: &str, path: &str| {
        let (key, path) = (key.to_owned(), path.to_owned());
        let stand = &stand;
        async move {
            let reply = stand.send(Some(&key), "DELETE", &path, &Value::Null).await;
            (reply.status, reply.code())
        }
    };
    let missing = (404, "not_found".to_owned());
    let forbidden = (403, "scope_insufficient".to_owned());
    for path in [
        "/v1/tenants/acme/events/e1",
        "/v1/tenants/acme/calls/c1",
        "/v1/tenants/acme",
    ] {
        assert_eq!(delete(&foreign, path).await, missing, "{path}");
        assert_eq!(delete(&ingest, path).await, forbidden, "{path}");
    }
    assert_eq!(delete(&own, "/v1/tenants/acme").await, forbidden);
    assert_eq!(delete(&own, "/v1/tenants/acme/events/e3").await, missing);
    assert_eq!(
        delete(&own, "/v1/tenants/acme/calls/c1").await,
        missing,
        "no event names it"
    );
    assert_eq!(delete(&own, "/v1/tenants/nobody").await, missing);
    assert_eq!(delete(&own, "/v1/tenants/acme/events/e1").await.0, 202);
    assert_eq!(stand.pages("/v1/tenants/acme/events", 10).await.0.len(), 1);

    let receipts = "/v1/tenants/acme/erasures";
    let (items, _) = stand.pages(receipts, 1).await;
    let path = format!("{receipts}/{}", items[0]["id"].as_str().unwrap());
    for (key, status) in [(&own, 200), (&stand.operator, 200), (&foreign, 404), (&ingest, 403)] {
        for path in [receipts, &path] {
            assert_eq!(
                stand.send(Some(key), "GET", path, &Value::Null).await.status,
                status,
                "{path}"
            );
        }
    }
    assert_eq!(
        stand.refusal("GET", &format!("{receipts}/ers_0"), Value::Null).await.0,
        404
    );
    assert_eq!(
        stand.refusal("GET", "/v1/tenants/nobody/erasures", Value::Null).await.0,
        404
    );
    assert_eq!(
        stand.ok("GET", "/v1/tenants/other/erasures", Value::Null).await["items"],
        json!([])
    );
}

#[tokio::test]
async fn a_receipt_tells_who_asked_and_when_and_outlives_the_tenant() {
    let stand = Stand::with_acme().await;
    let keys = stand.ok("GET", "/v1/keys", Value::Null).await;
    stand.event("acme", "e1").await;
    let erased = stand.ok("DELETE", "/v1/tenants/acme/events/e1", Value::Null).await;
    assert_eq!(erased["asked_by"], keys["items"][0]["id"]);
    assert_eq!(erased["at"], stand.clock.now().to_string());
    stand.pass_ms(5);
    let gone = stand.ok("DELETE", "/v1/tenants/acme", Value::Null).await;
    let (items, _) = stand.pages("/v1/tenants/acme/erasures", 1).await;
    let ids: Vec<&Value> = items.iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [&gone["id"], &erased["id"]], "newest first");
    assert_eq!(
        stand.refusal("GET", "/v1/tenants/acme/events", Value::Null).await.0,
        404
    );
}

#[tokio::test]
async fn a_repeat_in_the_very_millisecond_of_an_erased_event_leaves_nothing_either() {
    let stand = Stand::with_acme().await;
    let event = json!({"type": "call.ended", "tenant": "acme", "id": "e1", "agent": "agt_canary", "data": 1,
        "related": {"call_id": "call-77"}});
    stand.ok("POST", "/v1/events", event.clone()).await;
    stand.ok("DELETE", "/v1/tenants/acme/events/e1", Value::Null).await;
    // The clock stands still.
    let (status, code, field) = stand.refusal("POST", "/v1/events", event.clone()).await;
    assert_eq!(
        (status, code.as_str(), field.as_deref()),
        (410, "event_erased", Some("id"))
    );
    let batch = stand.ok("POST", "/v1/events", json!([event])).await;
    assert_eq!(batch["events"][0]["error"]["code"], "event_erased");
    let listed = stand
        .ok("GET", "/v1/tenants/acme/events?agent=agt_canary", Value::Null)
        .await;
    assert_eq!(listed["items"], json!([]));
    let tenant = redial_domain::TenantId::parse("acme").unwrap();
    for shard in 0..4 {
        for row in stand.store.first_events(&tenant, shard, 10).await.unwrap() {
            let event = row.event.unwrap();
            assert_eq!((event.agent, event.call_id), (None, None));
            assert!(event.erased.is_some());
        }
    }
}

#[tokio::test]
async fn a_range_that_is_replayed_leaves_out_what_was_erased() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    for id in ["e1", "e2"] {
        stand.event("acme", id).await;
        stand
            .conclude("acme", &format!("{id}.{endpoint}"), DeliveryState::Dead, 1)
            .await;
    }
    stand.ok("DELETE", "/v1/tenants/acme/events/e1", Value::Null).await;
    stand.pass_ms(1_000);
    for state in [json!("dead"), Value::Null] {
        let spec = json!({"endpoint": endpoint, "since": "2020-01-01T00:00:00Z", "state": state});
        let job = stand.ok("POST", "/v1/tenants/acme/replays", spec).await;
        assert_eq!(job["total"], 1, "{job}");
    }
    let delivery = stand
        .ok(
            "GET",
            &format!("/v1/tenants/acme/deliveries/e1.{endpoint}"),
            Value::Null,
        )
        .await;
    assert_eq!(
        (&delivery["state"], &delivery["attempts"][0]["response"]),
        (&json!("dead"), &Value::Null)
    );
}
