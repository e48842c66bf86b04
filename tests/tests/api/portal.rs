//! Portal links: one tenant's console for a while, and nothing else.

use serde_json::{Value, json};

use super::stand::{Reply, Stand};

const LINKS: &str = "/v1/tenants/acme/portal";

fn told(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

/// The token of a new link.
async fn token(stand: &Stand, body: Value) -> String {
    let made = stand.ok("POST", LINKS, body).await;
    made["token"].as_str().unwrap().to_owned()
}

async fn get(stand: &Stand, token: &str, path: &str) -> Reply {
    stand.send(Some(token), "GET", path, &Value::Null).await
}

#[tokio::test]
async fn a_link_opens_the_console_of_one_tenant_until_it_expires() {
    let stand = Stand::with_acme().await;
    stand.ok("PUT", "/v1/tenants/other", json!({})).await;
    let reply = stand.ask("POST", LINKS, Value::Null).await;
    assert_eq!(reply.status, 201);
    let made = reply.json();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("rdp_"));
    assert_eq!(made["url"], format!("http://127.0.0.1:4080/console/portal#{token}"));
    let ends = stand.clock.now().plus_millis(3_600_000).to_string();
    assert_eq!(made["expires_at"], ends);
    let who = get(&stand, token, "/v1/session").await.json();
    let expected = json!({"kind": "customer", "tenant": "acme", "read_only": false, "expires_at": ends});
    assert_eq!(who, expected);

    assert_eq!(get(&stand, token, "/v1/tenants/acme").await.status, 200);
    assert_eq!(get(&stand, token, "/v1/event-types").await.status, 200);
    let endpoint = json!({"url": "http://127.0.0.1:9000/hook"});
    let endpoints = "/v1/tenants/acme/endpoints";
    assert_eq!(stand.send(Some(token), "POST", endpoints, &endpoint).await.status, 201);
    let missing = get(&stand, token, "/v1/tenants/nobody").await;
    assert_eq!(told(&missing), (404, "not_found".to_owned()));
    assert_eq!(get(&stand, token, "/v1/tenants/other").await, missing);

    stand.pass_ms(3_599_999);
    assert_eq!(get(&stand, token, "/v1/tenants/acme").await.status, 200);
    stand.pass_ms(1);
    let over = get(&stand, token, "/v1/tenants/acme").await;
    assert_eq!(told(&over), (401, "portal_link_over".to_owned()));
}

#[tokio::test]
async fn a_token_reaches_nothing_of_the_operators_and_makes_no_links() {
    let stand = Stand::with_acme().await;
    let token = token(&stand, json!({})).await;
    for (method, path) in [
        ("GET", "/v1/tenants"),
        ("PUT", "/v1/tenants/acme"),
        ("DELETE", "/v1/tenants/acme"),
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("GET", "/v1/data-keys"),
        ("POST", "/v1/data-keys/rotate"),
        ("POST", LINKS),
    ] {
        let refused = stand.send(Some(&token), method, path, &json!({})).await;
        assert_eq!(
            told(&refused),
            (403, "scope_insufficient".to_owned()),
            "{method} {path}"
        );
    }
    let event = json!({"type": "call.ended", "tenant": "acme", "data": {}});
    assert_eq!(stand.send(Some(&token), "POST", "/v1/events", &event).await.status, 401);
}

#[tokio::test]
async fn a_link_for_looking_changes_nothing_and_shows_no_secret() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    stand.event("acme", "e1").await;
    let token = token(&stand, json!({"read_only": true})).await;
    let before = stand.ok("GET", "/v1/tenants/acme/endpoints", Value::Null).await;
    assert_eq!(get(&stand, &token, "/v1/session").await.json()["read_only"], true);
    let document: Value = serde_json::from_str(&serde_json::to_string(&redial_api::openapi()).unwrap()).unwrap();
    let (mut looked, mut refused) = (0, 0);
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/tenants/{tenant}/") {
            continue;
        }
        let at = path
            .replace("{tenant}", "acme")
            .replace("{endpoint}", &endpoint)
            .replace("{event}", "e1")
            .replace("{delivery}", &format!("e1.{endpoint}"));
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let answer = stand.send(Some(&token), &method, &at, &Value::Null).await;
            let about = format!("{method} {path}: {}", String::from_utf8_lossy(&answer.body));
            if method == "GET" && !path.ends_with("/secret") {
                assert!([200, 404].contains(&answer.status), "{about}");
                looked += usize::from(answer.status == 200);
            } else {
                assert_eq!(told(&answer), (403, "read_only".to_owned()), "{about}");
                refused += 1;
            }
        }
    }
    assert!(looked >= 12 && refused >= 20, "{looked} {refused}");
    assert_eq!(stand.ok("GET", "/v1/tenants/acme/endpoints", Value::Null).await, before);
}

#[tokio::test]
async fn a_link_ends_with_the_key_that_made_it_wherever_that_may_be_used() {
    let stand = Stand::with_acme().await;
    let body = json!({"scope": "tenant:acme", "allowed_networks": null});
    let key = stand.ok("POST", "/v1/keys", body).await;
    let (id, text) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    let made = stand.send(Some(text), "POST", LINKS, &json!({"ttl_s": 86_400})).await;
    assert_eq!(made.status, 201, "a tenant's key makes links to its own tenant");
    let made = made.json();
    let token = made["token"].as_str().unwrap();
    // The platform's servers may have a network of their own; its customers have others.
    let path = format!("/v1/keys/{id}");
    stand
        .ok("PATCH", &path, json!({"allowed_networks": ["192.0.2.0/24"]}))
        .await;
    assert_eq!(
        stand
            .send(Some(text), "GET", "/v1/tenants/acme", &Value::Null)
            .await
            .status,
        403
    );
    assert_eq!(get(&stand, token, "/v1/tenants/acme").await.status, 200);
    stand.ok("DELETE", &path, Value::Null).await;
    let over = get(&stand, token, "/v1/tenants/acme").await;
    assert_eq!(told(&over), (401, "portal_link_over".to_owned()));
}

#[tokio::test]
async fn who_may_not_manage_a_tenant_makes_no_link_to_it() {
    let stand = Stand::with_acme().await;
    stand.ok("PUT", "/v1/tenants/other", json!({})).await;
    let (other, ingest) = (stand.mint("tenant:other").await, stand.mint("ingest").await);
    assert_eq!(stand.send(Some(&other), "POST", LINKS, &json!({})).await.status, 404);
    assert_eq!(stand.send(Some(&ingest), "POST", LINKS, &json!({})).await.status, 403);
    assert_eq!(stand.send(None, "POST", LINKS, &json!({})).await.status, 401);
    let nobody = stand.ask("POST", "/v1/tenants/nobody/portal", json!({})).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn a_link_that_makes_no_sense_is_not_made() {
    let stand = Stand::with_acme().await;
    for (body, code, field) in [
        (json!({"ttl_s": 59}), "ttl_invalid", "ttl_s"),
        (json!({"ttl_s": 86_401}), "ttl_invalid", "ttl_s"),
        (json!({"ttl_s": "60"}), "field_invalid", "ttl_s"),
        (json!({"read_only": "yes"}), "field_invalid", "read_only"),
        (json!({"language": "de"}), "language_unknown", "language"),
        (json!({"language": 7}), "field_invalid", "language"),
        (json!({"tenant": "other"}), "field_unknown", "tenant"),
    ] {
        let expected = (422, code.to_owned(), Some(field.to_owned()));
        assert_eq!(stand.refusal("POST", LINKS, body.clone()).await, expected, "{body}");
    }
    let body = json!({"language": "ar", "ttl_s": 60});
    let made = stand.ok("POST", LINKS, body).await;
    let url = made["url"].as_str().unwrap();
    assert!(
        url.starts_with("http://127.0.0.1:4080/console/portal?lang=ar#rdp_"),
        "{url}"
    );
}

#[tokio::test]
async fn a_token_that_was_made_up_is_none() {
    let stand = Stand::with_acme().await;
    let token = token(&stand, json!({})).await;
    let mut changed = token.clone().into_bytes();
    let last = changed.len() - 9;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    for wrong in [
        String::from_utf8(changed).unwrap(),
        "rdp_".to_owned(),
        "rdp_AAAA".to_owned(),
        format!("rdp_{}", "A".repeat(5_000)),
        format!("rdp_{}", stand.operator),
    ] {
        let refused = get(&stand, &wrong, "/v1/tenants/acme").await;
        assert_eq!(told(&refused), (401, "portal_link_over".to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn customers_do_not_use_up_what_the_platforms_key_may_ask() {
    let stand = Stand::with_acme().await;
    let token = token(&stand, json!({})).await;
    let mut limited = false;
    for _ in 0..10_000 {
        let reply = get(&stand, &token, "/v1/session").await;
        if reply.status == 429 {
            limited = true;
            break;
        }
        assert_eq!(reply.status, 200);
    }
    assert!(limited);
    stand.ok("GET", "/v1/tenants", Value::Null).await;
}
