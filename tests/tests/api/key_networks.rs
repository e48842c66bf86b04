//! Keys that may be used from some networks only: told by Lambda or by the connection, and by nothing that a caller writes.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Request, header};
use lambda_http::RequestExt as _;
use lambda_http::request::{LambdaRequest, RequestContext};
use redial_platform::source::Peer;
use serde_json::{Value, json};

use super::stand::{Reply, Stand};

/// Where a request comes from.
#[derive(Clone, Copy)]
enum From<'a> {
    Lambda(&'a str),
    Connection(&'a str),
    Nowhere,
}

fn context(source_ip: &str) -> RequestContext {
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": {},
        "requestContext": {
            "accountId": "anonymous", "apiId": "abc", "domainName": "abc.lambda-url.example", "domainPrefix": "abc",
            "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": source_ip, "userAgent": "t"},
            "requestId": "r", "routeKey": "$default", "stage": "$default",
            "time": "01/Nov/2026:00:00:00 +0000", "timeEpoch": 1_793_491_200_000_i64
        },
        "isBase64Encoded": false
    });
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    lambda_http::Request::from(request).request_context()
}

async fn send(stand: &Stand, key: &str, from: From<'_>, (method, path, body): (&str, &str, Value)) -> Reply {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        // Whatever a caller writes is no address.
        .header("x-forwarded-for", "192.0.2.7")
        .header("forwarded", "for=192.0.2.7")
        .header("x-real-ip", "192.0.2.7");
    let extensions = request.extensions_mut().unwrap();
    match from {
        From::Lambda(source) => {
            extensions.insert(context(source));
            // The runtime's own connection is no caller's.
            extensions.insert(Peer("192.0.2.7:1".parse().unwrap()));
        }
        From::Connection(address) => {
            extensions.insert(Peer(address.parse::<SocketAddr>().unwrap()));
        }
        From::Nowhere => {}
    }
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    stand.respond(request.body(body).unwrap()).await
}

async fn made(stand: &Stand, scope: &str, networks: Value) -> (String, String) {
    let body = json!({"scope": scope, "allowed_networks": networks});
    let made = stand.ok("POST", "/v1/keys", body).await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

#[tokio::test]
async fn a_key_is_refused_from_elsewhere_by_ingest_and_by_the_api() {
    let stand = Stand::with_acme().await;
    let allowed = json!(["192.0.2.0/24", "2001:db8::/32"]);
    let (_, operator) = made(&stand, "operator", allowed.clone()).await;
    let (_, ingest) = made(&stand, "ingest", allowed.clone()).await;
    let (_, tenant) = made(&stand, "tenant:acme", allowed).await;
    let event = json!({"type": "call.ended", "tenant": "acme", "data": {}});
    let requests = [
        (&operator, ("GET", "/v1/keys", Value::Null), 200),
        (&tenant, ("GET", "/v1/tenants/acme", Value::Null), 200),
        (&ingest, ("POST", "/v1/events", event), 202),
    ];
    for (key, request, answered) in &requests {
        for inside in [
            From::Lambda("192.0.2.200"),
            From::Lambda("2001:db8:9::1"),
            From::Lambda("::ffff:192.0.2.200"),
            From::Connection("192.0.2.200:40000"),
            From::Connection("[::ffff:192.0.2.200]:40000"),
            From::Connection("[2001:db8::1]:40000"),
        ] {
            assert_eq!(send(&stand, key, inside, request.clone()).await.status, *answered);
        }
        for outside in [
            From::Lambda("192.0.3.1"),
            From::Lambda("2001:db9::1"),
            From::Lambda("::192.0.2.200"),
            From::Lambda("2002:c000:2c8::1"),
            From::Lambda(""),
            From::Connection("198.51.100.1:40000"),
            From::Connection("[::ffff:192.0.3.200]:40000"),
            From::Nowhere,
        ] {
            let refused = send(&stand, key, outside, request.clone()).await;
            assert_eq!((refused.status, refused.code().as_str()), (403, "source_not_allowed"));
            let text = String::from_utf8_lossy(&refused.body).into_owned();
            assert!(
                !text.contains("192.0.2") && !text.contains("2001:db8"),
                "tells no network: {text}"
            );
            // Who does not have the secret learns nothing of it.
            let wrong = format!("{key}x");
            assert_eq!(send(&stand, &wrong, outside, request.clone()).await.status, 401);
        }
    }
    let shown = stand.ok("GET", "/v1/tenants/acme/events", Value::Null).await;
    assert_eq!(
        shown["items"].as_array().unwrap().len(),
        6,
        "nothing of the refused is stored"
    );
}

#[tokio::test]
async fn a_key_without_networks_works_from_anywhere_and_one_from_before_too() {
    let stand = Stand::new().await;
    let key = stand.operator.clone();
    for from in [From::Lambda("203.0.113.9"), From::Connection("[::1]:1"), From::Nowhere] {
        assert_eq!(
            send(&stand, &key, from, ("GET", "/v1/keys", Value::Null)).await.status,
            200
        );
    }
    let id = key.split('_').nth(1).unwrap();
    let shown = stand.ok("GET", &format!("/v1/keys/{id}"), Value::Null).await;
    assert_eq!(shown["allowed_networks"], Value::Null);
}

#[tokio::test]
async fn networks_are_checked_kept_in_one_form_and_changed() {
    let stand = Stand::new().await;
    let (id, key) = made(
        &stand,
        "ingest",
        json!(["10.1.2.3/8", "10.0.0.0/8", "::ffff:192.0.2.1"]),
    )
    .await;
    let path = format!("/v1/keys/{id}");
    let networks = async || stand.ok("GET", &path, Value::Null).await["allowed_networks"].clone();
    assert_eq!(networks().await, json!(["10.0.0.0/8", "192.0.2.1"]));
    let listed = stand.ok("GET", "/v1/keys", Value::Null).await;
    let listed = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == id.as_str());
    assert_eq!(listed.unwrap()["allowed_networks"], networks().await);

    let many: Vec<String> = (0..51).map(|n| format!("10.0.{n}.0/24")).collect();
    for (wrong, code) in [
        (json!([]), "networks_invalid"),
        (json!(["nonsense"]), "networks_invalid"),
        (json!(["10.0.0.0/33"]), "networks_invalid"),
        (json!(many), "networks_invalid"),
        (json!("10.0.0.0/8"), "field_invalid"),
        (json!([8]), "field_invalid"),
    ] {
        let body = json!({"scope": "ingest", "allowed_networks": wrong});
        let refused = (422, code.to_owned(), Some("allowed_networks".to_owned()));
        assert_eq!(stand.refusal("POST", "/v1/keys", body).await, refused, "{wrong}");
        let body = json!({"allowed_networks": wrong});
        assert_eq!(stand.refusal("PATCH", &path, body).await, refused, "{wrong}");
    }
    assert_eq!(
        networks().await,
        json!(["10.0.0.0/8", "192.0.2.1"]),
        "nothing of the refused is stored"
    );

    let changed = stand.ok("PATCH", &path, json!({"name": "engine"})).await;
    assert_eq!(
        (&changed["name"], &changed["allowed_networks"]),
        (&json!("engine"), &networks().await)
    );
    let from = From::Connection("203.0.113.9:1");
    let event = (
        "POST",
        "/v1/events",
        json!({"type": "call.ended", "tenant": "nobody", "data": {}}),
    );
    assert_eq!(send(&stand, &key, from, event.clone()).await.status, 403);
    let changed = stand
        .ok("PATCH", &path, json!({"allowed_networks": null, "name": null}))
        .await;
    assert_eq!(
        (&changed["name"], &changed["allowed_networks"]),
        (&json!(""), &Value::Null)
    );
    // At once where the change was made, with what else ingest remembers of the key.
    assert_eq!(send(&stand, &key, from, event).await.status, 422);
    let (status, code, _) = stand
        .refusal("PATCH", "/v1/keys/ffffffffffff", json!({"name": "x"}))
        .await;
    assert_eq!((status, code.as_str()), (404, "not_found"));
    let (status, code, field) = stand.refusal("PATCH", &path, json!({"scope": "operator"})).await;
    assert_eq!(
        (status, code.as_str(), field.as_deref()),
        (422, "field_unknown", Some("scope"))
    );
}

#[tokio::test]
async fn no_operator_shuts_itself_out_and_another_can_let_it_in_again() {
    let stand = Stand::new().await;
    let (id, key) = made(&stand, "operator", Value::Null).await;
    let path = format!("/v1/keys/{id}");
    let here = From::Connection("203.0.113.9:1");
    let change = |networks: Value| ("PATCH", path.as_str(), json!({"allowed_networks": networks}));
    let refused = send(&stand, &key, here, change(json!(["192.0.2.0/24"]))).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "key_in_use"));
    assert_eq!(refused.json()["field"], "allowed_networks");
    assert_eq!(
        send(&stand, &key, here, change(json!(["203.0.113.0/24"]))).await.status,
        200
    );
    // Its office moves.
    let moved = From::Connection("198.51.100.1:1");
    let refused = send(&stand, &key, moved, change(Value::Null)).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "source_not_allowed"));
    stand
        .ok("PATCH", &path, json!({"allowed_networks": ["198.51.100.0/24"]}))
        .await;
    assert_eq!(
        send(&stand, &key, moved, change(json!(["198.51.100.1"]))).await.status,
        200
    );
}
