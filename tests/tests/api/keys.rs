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
async fn the_tenant_that_is_told_about_all_others_is_made_by_nobody_who_does_not_say_so() {
    let stand = Stand::new().await;
    let path = "/v1/tenants/operator";
    for body in [
        Value::Null,
        json!({}),
        json!({"name": "Operator Ltd"}),
        json!({"for_operators": false}),
    ] {
        let refused = stand.refusal("PUT", path, body).await;
        assert_eq!(
            refused,
            (422, "tenant_reserved".to_owned(), Some("for_operators".to_owned()))
        );
    }
    assert_eq!(stand.refusal("GET", path, Value::Null).await.0, 404);
    stand.ok("PUT", path, json!({"for_operators": true})).await;
    // Then it is set like any other.
    assert_eq!(stand.ok("PUT", path, json!({"name": "Ours"})).await["name"], "Ours");
    let refused = stand
        .refusal("PUT", "/v1/tenants/acme", json!({"for_operators": true}))
        .await;
    assert_eq!(
        refused,
        (422, "tenant_not_reserved".to_owned(), Some("for_operators".to_owned()))
    );
}

#[tokio::test]
async fn a_tenant_has_as_many_endpoints_as_its_settings_say() {
    let stand = Stand::with_acme().await;
    let set = |most: u16| stand.ok("PUT", "/v1/tenants/acme", json!({ "max_endpoints": most }));
    assert_eq!(
        stand.ok("GET", "/v1/tenants/acme", Value::Null).await["max_endpoints"],
        50
    );
    assert_eq!(set(2).await["max_endpoints"], 2);
    stand.endpoint("acme").await;
    stand.endpoint("acme").await;
    let endpoints = "/v1/tenants/acme/endpoints";
    let body = json!({"url": "http://127.0.0.1:9000/hook"});
    let (status, code, _) = stand.refusal("POST", endpoints, body.clone()).await;
    assert_eq!((status, code.as_str()), (409, "endpoints_limit"));
    set(1).await;
    assert_eq!(stand.pages(endpoints, 10).await.0.len(), 2, "those that are there stay");
    set(3).await;
    stand.ok("POST", endpoints, body).await;
    let too_many = stand
        .refusal("PUT", "/v1/tenants/acme", json!({"max_endpoints": 201}))
        .await;
    assert_eq!(
        too_many,
        (422, "limit_invalid".to_owned(), Some("max_endpoints".to_owned()))
    );
}

#[tokio::test]
async fn a_change_of_a_tenant_that_was_changed_since_is_refused() {
    let stand = Stand::with_acme().await;
    let tag = |reply: &super::stand::Reply| reply.headers["etag"].to_str().unwrap().to_owned();
    let put = |body: Value, tag: &str| {
        let request = axum::http::Request::put("/v1/tenants/acme")
            .header("authorization", format!("Bearer {}", stand.operator))
            .header("if-match", tag);
        stand.respond(request.body(body.to_string().into()).unwrap())
    };
    let first = tag(&stand.ask("GET", "/v1/tenants/acme", Value::Null).await);
    let changed = put(json!({"name": "a"}), &first).await;
    assert_eq!(changed.status, 200);
    assert_eq!(
        tag(&changed),
        tag(&stand.ask("GET", "/v1/tenants/acme", Value::Null).await)
    );
    let late = put(json!({"name": "b"}), &first).await;
    assert_eq!((late.status, late.code().as_str()), (412, "version_mismatch"));
    assert_eq!(put(json!({"name": "b"}), "7").await.status, 400);
    assert_eq!(
        put(json!({"name": "a"}), &tag(&changed)).await.status,
        200,
        "no change is no conflict"
    );
    assert_eq!(stand.ok("GET", "/v1/tenants/acme", Value::Null).await["name"], "a");
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
    assert_eq!(stand.refusal("GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_key_that_expires_works_until_then_and_not_a_moment_longer_however_well_it_is_known() {
    let stand = Stand::with_acme().await;
    for field in ["expires_in_s", "expires_at"] {
        let at = stand.clock.now().plus_millis(60_000).to_string();
        let mut body = json!({"scope": "tenant:acme", "name": "guest"});
        body[field] = if field == "expires_at" { json!(at) } else { json!(60) };
        let made = stand.ok("POST", "/v1/keys", body).await;
        assert_eq!(made["expires_at"], stand.clock.now().plus_millis(60_000).to_string());
        let (text, path) = (
            made["key"].as_str().unwrap(),
            format!("/v1/keys/{}", made["id"].as_str().unwrap()),
        );
        let status = || async {
            stand
                .send(Some(text), "GET", "/v1/tenants/acme", &Value::Null)
                .await
                .status
        };
        stand.pass_ms(59_990);
        assert_eq!(status().await, 200);
        let shown = stand.ok("GET", &path, Value::Null).await;
        assert_eq!(
            (&shown["expired"], &shown["expires_at"]),
            (&json!(false), &made["expires_at"])
        );
        assert_eq!(shown["last_used_at"], stand.clock.now().to_string());
        // It is remembered for 30 seconds more.
        stand.pass_ms(10);
        let reply = stand.send(Some(text), "GET", "/v1/tenants/acme", &Value::Null).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "key_invalid"));
        assert_eq!(stand.ok("GET", &path, Value::Null).await["expired"], true);
        let listed = stand.pages("/v1/keys", 100).await.0;
        assert!(
            listed
                .iter()
                .any(|key| key["id"] == made["id"] && key["expired"] == true)
        );
        assert_eq!(stand.ask("DELETE", &path, Value::Null).await.status, 204);
    }
    let never = stand.ok("POST", "/v1/keys", json!({"scope": "ingest"})).await;
    assert_eq!(never["expires_at"], Value::Null);
}

#[tokio::test]
async fn an_expiry_that_makes_no_sense_is_refused() {
    let stand = Stand::with_acme().await;
    let now = stand.clock.now();
    let at = |ms: i64| json!(now.plus_millis(ms).to_string());
    let ten_years_ms = 10 * 365 * 86_400_000;
    for (mut body, code, field) in [
        (json!({"expires_in_s": 0}), "expiry_invalid", "expires_in_s"),
        (json!({"expires_in_s": -5}), "expiry_invalid", "expires_in_s"),
        (
            json!({"expires_in_s": ten_years_ms / 1000 + 1}),
            "expiry_invalid",
            "expires_in_s",
        ),
        (json!({"expires_in_s": "60"}), "field_invalid", "expires_in_s"),
        (json!({"expires_in_s": 1.5}), "field_invalid", "expires_in_s"),
        (json!({"expires_at": at(0)}), "expiry_invalid", "expires_at"),
        (
            json!({"expires_at": at(ten_years_ms + 1)}),
            "expiry_invalid",
            "expires_at",
        ),
        (json!({"expires_at": "tomorrow"}), "timestamp_invalid", "expires_at"),
        (
            json!({"expires_at": at(5), "expires_in_s": 5}),
            "expiry_ambiguous",
            "expires_in_s",
        ),
    ] {
        body["scope"] = json!("ingest");
        let expected = (422, code.to_owned(), Some(field.to_owned()));
        assert_eq!(
            stand.refusal("POST", "/v1/keys", body.clone()).await,
            expected,
            "{body}"
        );
    }
    for body in [
        json!({"expires_in_s": ten_years_ms / 1000}),
        json!({"expires_at": at(ten_years_ms)}),
    ] {
        let mut body = body;
        body["scope"] = json!("ingest");
        stand.ok("POST", "/v1/keys", body).await;
    }
}

#[tokio::test]
async fn no_key_revokes_itself() {
    let stand = Stand::new().await;
    let listed = stand.ok("GET", "/v1/keys", Value::Null).await;
    let own = format!("/v1/keys/{}", listed["items"][0]["id"].as_str().unwrap());
    let (status, code, _) = stand.refusal("DELETE", &own, Value::Null).await;
    assert_eq!((status, code.as_str()), (409, "key_in_use"));
    let other = stand.ok("POST", "/v1/keys", json!({"scope": "operator"})).await;
    let other = other["key"].as_str().unwrap();
    assert_eq!(stand.send(Some(other), "DELETE", &own, &Value::Null).await.status, 204);
    assert_eq!(stand.ask("GET", "/v1/keys", Value::Null).await.status, 401);
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
