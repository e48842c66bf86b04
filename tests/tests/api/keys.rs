//! Tenants and keys: made, set, listed and revoked.

use serde_json::{Value, json};

use super::stand::Stand;

#[tokio::test]
async fn a_tenant_is_made_once_and_then_set_field_by_field() {
    let stand = Stand::new().await;
    let made = stand
        .ask("PUT", "/v1/tenants/acme", json!({"name": "Acme", "shards": 8}))
        .await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(
        (&made["id"], &made["name"], &made["shards"]),
        (&json!("acme"), &json!("Acme"), &json!(8))
    );
    assert_eq!(
        (&made["retention_days"], &made["allow_unknown_types"]),
        (&json!(30), &json!(false))
    );

    let again = stand.ask("PUT", "/v1/tenants/acme", Value::Null).await;
    assert_eq!(
        (again.status, again.json()),
        (200, made.clone()),
        "an empty body changes nothing"
    );
    stand.pass_ms(5);
    let set = stand
        .ok("PUT", "/v1/tenants/acme", json!({"retention_days": 3, "name": null}))
        .await;
    assert_eq!((&set["retention_days"], &set["name"]), (&json!(3), &json!("Acme")));
    assert_ne!(set["updated_at"], made["updated_at"]);
    assert_eq!(stand.ok("GET", "/v1/tenants/acme", Value::Null).await, set);
    let lowered = stand.refusal("PUT", "/v1/tenants/acme", json!({"shards": 4})).await;
    assert_eq!(lowered, (422, "shards_invalid".to_owned(), Some("shards".to_owned())));
}

#[tokio::test]
async fn tenants_are_listed_by_id_page_by_page() {
    let stand = Stand::new().await;
    for n in (0..7).rev() {
        stand.ok("PUT", &format!("/v1/tenants/t{n}"), json!({})).await;
    }
    let (items, pages) = stand.pages("/v1/tenants", 3).await;
    let ids: Vec<&str> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!((ids, pages), (vec!["t0", "t1", "t2", "t3", "t4", "t5", "t6"], 3));
}

#[tokio::test]
async fn tenants_that_are_set_at_the_same_time_all_get_what_they_asked_for() {
    let stand = Stand::with_acme().await;
    let changes = ["{\"name\":\"a\"}", "{\"retention_days\":9}", "{\"shards\":5}"];
    let all = changes.map(|body| stand.ask("PUT", "/v1/tenants/acme", serde_json::from_str(body).unwrap()));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let acme = stand.ok("GET", "/v1/tenants/acme", Value::Null).await;
    assert_eq!(
        (&acme["name"], &acme["retention_days"], &acme["shards"]),
        (&json!("a"), &json!(9), &json!(5))
    );
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_stops_when_it_is_revoked() {
    let stand = Stand::with_acme().await;
    let body = json!({"scope": "tenant:acme", "name": "portal"});
    let made = stand.ok("POST", "/v1/keys", body).await;
    let (id, text) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert!(text.starts_with(&format!("rd_{id}_")) && text.len() > 50);
    assert_eq!(
        (&made["scope"], &made["name"]),
        (&json!("tenant:acme"), &json!("portal"))
    );
    assert_eq!(
        stand
            .send(Some(text), "GET", "/v1/tenants/acme", &Value::Null)
            .await
            .status,
        200
    );

    let listed = stand.ask("GET", "/v1/keys", Value::Null).await;
    let secret = text.rsplit('_').next().unwrap();
    assert!(!String::from_utf8_lossy(&listed.body).contains(secret));
    let listed = listed.json();
    let mine = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == id)
        .unwrap();
    assert_eq!((&mine["name"], mine.get("key")), (&json!("portal"), None));
    assert_eq!(mine["last_used_at"], stand.clock.now().to_string());

    let path = format!("/v1/keys/{id}");
    let revoked = stand.ask("DELETE", &path, Value::Null).await;
    assert_eq!((revoked.status, revoked.body.len()), (204, 0));
    assert_eq!(
        stand
            .send(Some(text), "GET", "/v1/tenants/acme", &Value::Null)
            .await
            .status,
        401
    );
    assert_eq!(stand.refusal("DELETE", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_key_that_makes_no_sense_is_not_made() {
    let stand = Stand::with_acme().await;
    let before = stand.pages("/v1/keys", 100).await.0.len();
    for (body, code, field) in [
        (json!({}), "field_missing", "scope"),
        (json!({"scope": 7}), "field_invalid", "scope"),
        (json!({"scope": "admin"}), "scope_invalid", "scope"),
        (json!({"scope": "tenant:"}), "scope_invalid", "scope"),
        (json!({"scope": "tenant:nobody"}), "tenant_unknown", "scope"),
        (json!({"scope": "ingest", "name": ["x"]}), "field_invalid", "name"),
        (
            json!({"scope": "ingest", "name": "n".repeat(201)}),
            "field_too_long",
            "name",
        ),
        (json!({"scope": "ingest", "id": "mine"}), "field_unknown", "id"),
    ] {
        let expected = (422, code.to_owned(), Some(field.to_owned()));
        assert_eq!(stand.refusal("POST", "/v1/keys", body).await, expected, "{code}");
    }
    assert_eq!(stand.pages("/v1/keys", 2).await.0.len(), before);
}
