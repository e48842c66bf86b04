//! What every answer has in common, and answers where no resource is: unknown routes, wrong methods, bad bodies.

use axum::body::Body;
use serde_json::{Value, json};

use redial_platform::store::request_limit::{MAX_IN_WINDOW, WINDOW_MS};

use super::stand::Stand;

#[tokio::test]
async fn the_root_names_the_url_for_events_and_needs_no_key() {
    let stand = Stand::new().await;
    let about = stand.send(None, "GET", "/v1", &Value::Null).await.json();
    assert_eq!(about["name"], "Redial");
    assert_eq!(about["ingest"], "http://127.0.0.1:4080/v1/events");
    assert_eq!(about["version"], redial_api::openapi().info.version);
}

#[tokio::test]
async fn the_description_is_served_as_committed() {
    let stand = Stand::new().await;
    let served = stand.send(None, "GET", "/v1/openapi.json", &Value::Null).await;
    assert_eq!(served.headers["content-type"], "application/json");
    let document = served.json();
    assert!(document["paths"]["/v1/events"]["post"].is_object(), "with ingest");
    assert!(document["paths"]["/v1/tenants/{tenant}/deliveries"]["get"].is_object());
}

#[tokio::test]
async fn the_catalogue_is_listed_whole_and_page_by_page() {
    let stand = Stand::new().await;
    let whole = stand.ok("GET", "/v1/event-types", Value::Null).await;
    let names = |items: &[Value]| items.iter().map(|item| item["name"].clone()).collect::<Vec<_>>();
    let all = names(whole["items"].as_array().unwrap());
    assert_eq!((all.len(), &whole["next"]), (32, &Value::Null));
    let (paged, pages) = stand.pages("/v1/event-types", 10).await;
    assert_eq!((names(&paged), pages), (all, 4));
    assert!(
        paged
            .iter()
            .all(|item| item["description"].is_string() && item["group"].is_string() && !item["example"].is_null())
    );
}

#[tokio::test]
async fn every_answer_is_neither_cached_nor_sniffed() {
    let stand = Stand::with_acme().await;
    for (key, method, path, status) in [
        (None, "GET", "/v1", 200),
        (None, "GET", "/v1/tenants", 401),
        (Some(stand.operator.as_str()), "GET", "/v1/tenants/acme", 200),
        (Some(stand.operator.as_str()), "GET", "/v1/tenants/nobody", 404),
        (Some(stand.operator.as_str()), "GET", "/v1/nothing", 404),
        (Some(stand.operator.as_str()), "TRACE", "/v1/tenants", 405),
    ] {
        let reply = stand.send(key, method, path, &Value::Null).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.headers["cache-control"], "no-store", "{path}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff", "{path}");
        if status == 401 {
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
        }
    }
}

#[tokio::test]
async fn an_unknown_route_is_a_404_and_a_wrong_method_a_405_that_says_which() {
    let stand = Stand::with_acme().await;
    for path in [
        "/",
        "/v1/",
        "/v2",
        "/v1/tenants/acme/",
        "/v1/tenants/acme/nothing",
        "/v1/tenants//endpoints",
    ] {
        assert_eq!(stand.refusal("GET", path, Value::Null).await.0, 404, "{path}");
    }
    let wrong = stand.ask("DELETE", "/v1/tenants/acme/endpoints", Value::Null).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (405, "method_not_allowed"));
    let allowed = wrong.headers["allow"].to_str().unwrap();
    assert!(
        allowed.contains("GET") && allowed.contains("POST") && !allowed.contains("DELETE"),
        "{allowed}"
    );
}

#[tokio::test]
async fn bodies_are_limited_before_they_are_read_and_then_read_strictly() {
    let stand = Stand::with_acme().await;
    let path = "/v1/tenants/acme/endpoints";
    let raw = async |body: Vec<u8>| {
        let reply = stand
            .send_raw(Some(&stand.operator), "POST", path, Body::from(body))
            .await;
        (reply.status, reply.code())
    };
    let large = format!("{{\"url\":\"{}\"}}", "x".repeat(256 * 1024));
    assert_eq!(raw(large.into_bytes()).await, (413, "body_too_large".to_owned()));
    for body in ["", " ", "{", "[]", "7", "{\"url\":\"a\",\"url\":\"b\"}", "\u{feff}{}"] {
        assert_eq!(
            raw(body.as_bytes().to_vec()).await,
            (400, "json_invalid".to_owned()),
            "{body}"
        );
    }
    assert_eq!(raw(vec![b'{', 0xff, b'}']).await.0, 400);
    assert_eq!(stand.pages(path, 10).await.0, Vec::<Value>::new(), "nothing was stored");
}

#[tokio::test]
async fn what_a_key_asks_elsewhere_counts_here_and_a_little_is_free() {
    let stand = Stand::with_acme().await;
    let loops = stand.mint("tenant:acme").await;
    let id = loops.split('_').nth(1).unwrap();
    let asked = async || {
        let reply = stand.send(Some(&loops), "GET", "/v1/event-types", &Value::Null).await;
        reply.status
    };
    // Other environments use up what the key may ask for in this window.
    let now = stand.clock.now();
    let mut elsewhere = 0;
    while stand.store.count_requests(id, 50, now).await.unwrap() {
        elsewhere += 50;
    }
    assert_eq!(elsewhere, MAX_IN_WINDOW);
    for n in 0..20 {
        assert_eq!(asked().await, 200, "{n}: without asking anybody");
    }
    assert_eq!(asked().await, 429);
    stand.ok("GET", "/v1/tenants", Value::Null).await;
    stand.pass_ms(WINDOW_MS);
    for n in 0..100 {
        assert_eq!(asked().await, 200, "{n}: a new window");
    }
    // What is counted tells nobody's name, and goes by itself.
    assert!(
        !stand
            .store
            .count_requests("portal/tenant:acme", MAX_IN_WINDOW + 1, now)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_caller_who_loops_is_stopped_for_a_while() {
    let stand = Stand::with_acme().await;
    let loops = stand.mint("tenant:acme").await;
    let mut refused = None;
    for _ in 0..10_000 {
        let reply = stand
            .send(Some(&loops), "GET", "/v1/event-types?limit=1", &Value::Null)
            .await;
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert!(refused.headers.contains_key("retry-after"));
    stand.ok("GET", "/v1/tenants", json!(null)).await;
    stand.pass_ms(1_000);
    assert_eq!(
        stand
            .send(Some(&loops), "GET", "/v1/event-types", &Value::Null)
            .await
            .status,
        200
    );
}
