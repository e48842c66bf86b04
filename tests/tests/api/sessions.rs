//! Sessions of the console: what their cookie is good for, for whom, from where, and until when.

use axum::body::Body;
use axum::http::{Request, header};
use redial_platform::source::Peer;
use serde_json::{Value, json};

use super::stand::{Reply, Stand};

/// Where the stand is reached.
const ORIGIN: &str = "http://127.0.0.1:4080";
/// How long a session lasts, in milliseconds.
const LIFE_MS: i64 = 12 * 3_600_000;
/// Attempts to sign in that may fail in a row.
const ATTEMPTS: usize = 20;

/// A request as a browser would send it.
async fn ask(stand: &Stand, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
    ask_from(stand, "127.0.0.1", (method, path), headers, body).await
}

async fn ask_from(
    stand: &Stand,
    address: &str,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: Value,
) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let peer = Peer(format!("{address}:40000").parse().unwrap());
    request.extensions_mut().unwrap().insert(peer);
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    stand.respond(request.body(body).unwrap()).await
}

/// The cookie that an answer sets, as it is sent back.
fn cookie(reply: &Reply) -> String {
    let set = reply.headers[header::SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// The cookie of a session that begins with this key.
async fn signed_in(stand: &Stand, key: &str) -> String {
    let reply = ask(
        stand,
        "POST",
        "/v1/session",
        &[("origin", ORIGIN)],
        json!({ "key": key }),
    )
    .await;
    assert_eq!(reply.status, 204, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.headers["cache-control"], "no-store");
    cookie(&reply)
}

fn told(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

async fn get(stand: &Stand, cookie: &str, path: &str) -> Reply {
    ask(stand, "GET", path, &[("cookie", cookie)], Value::Null).await
}

/// The id and the text of a new key.
async fn made(stand: &Stand, body: Value) -> (String, String) {
    let made = stand.ok("POST", "/v1/keys", body).await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

#[tokio::test]
async fn a_session_may_what_its_key_may_until_it_ends() {
    let stand = Stand::with_acme().await;
    let cookie = signed_in(&stand, &stand.operator).await;
    let ends = stand.clock.now().plus_millis(LIFE_MS).to_string();
    let who = get(&stand, &cookie, "/v1/session").await;
    assert_eq!(
        (who.status, who.json()),
        (
            200,
            json!({"kind": "operator", "tenant": null, "read_only": false, "expires_at": ends})
        )
    );
    let changed = ask(
        &stand,
        "PUT",
        "/v1/tenants/acme",
        &[("cookie", cookie.as_str()), ("origin", ORIGIN)],
        json!({"name": "Acme"}),
    )
    .await;
    assert_eq!((changed.status, &changed.json()["name"]), (200, &json!("Acme")));
    stand.pass_ms(LIFE_MS - 1);
    assert_eq!(get(&stand, &cookie, "/v1/tenants").await.status, 200);
    stand.pass_ms(1);
    let over = get(&stand, &cookie, "/v1/tenants").await;
    assert_eq!(told(&over), (401, "session_over".to_owned()));
}

#[tokio::test]
async fn a_customers_session_sees_its_own_tenant_alone() {
    let stand = Stand::with_acme().await;
    stand.ok("PUT", "/v1/tenants/other", json!({})).await;
    let (_, key) = made(&stand, json!({"scope": "tenant:acme"})).await;
    let cookie = signed_in(&stand, &key).await;
    let who = get(&stand, &cookie, "/v1/session").await.json();
    assert_eq!((&who["kind"], &who["tenant"]), (&json!("customer"), &json!("acme")));
    assert_eq!(get(&stand, &cookie, "/v1/tenants/acme").await.status, 200);
    let missing = get(&stand, &cookie, "/v1/tenants/nobody").await;
    assert_eq!(missing.status, 404);
    assert_eq!(get(&stand, &cookie, "/v1/tenants/other").await, missing);
    assert_eq!(get(&stand, &cookie, "/v1/keys").await.status, 403);
}

#[tokio::test]
async fn a_session_ends_with_its_key() {
    let stand = Stand::with_acme().await;
    let (id, key) = made(&stand, json!({"scope": "operator"})).await;
    let cookie = signed_in(&stand, &key).await;
    assert_eq!(get(&stand, &cookie, "/v1/tenants").await.status, 200);
    stand.ok("DELETE", &format!("/v1/keys/{id}"), Value::Null).await;
    let over = get(&stand, &cookie, "/v1/tenants").await;
    assert_eq!(told(&over), (401, "session_over".to_owned()));

    let (_, key) = made(&stand, json!({"scope": "operator", "expires_in_s": 60})).await;
    let cookie = signed_in(&stand, &key).await;
    stand.pass_ms(59_990);
    assert_eq!(get(&stand, &cookie, "/v1/tenants").await.status, 200);
    stand.pass_ms(10);
    assert_eq!(get(&stand, &cookie, "/v1/tenants").await.status, 401);
}

#[tokio::test]
async fn a_session_works_where_its_key_works() {
    let stand = Stand::with_acme().await;
    let (_, key) = made(
        &stand,
        json!({"scope": "operator", "allowed_networks": ["192.0.2.0/24"]}),
    )
    .await;
    let sign_in = async |address: &str| {
        let body = json!({ "key": key });
        ask_from(&stand, address, ("POST", "/v1/session"), &[("origin", ORIGIN)], body).await
    };
    let elsewhere = (403, "source_not_allowed".to_owned());
    assert_eq!(told(&sign_in("198.51.100.1").await), elsewhere);
    let inside = sign_in("192.0.2.9").await;
    assert_eq!(inside.status, 204);
    let cookie = cookie(&inside);
    let tenants = async |address: &str| {
        let headers = [("cookie", cookie.as_str())];
        ask_from(&stand, address, ("GET", "/v1/tenants"), &headers, Value::Null).await
    };
    assert_eq!(tenants("192.0.2.77").await.status, 200);
    assert_eq!(told(&tenants("198.51.100.1").await), elsewhere);
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let stand = Stand::with_acme().await;
    let session = signed_in(&stand, &stand.operator).await;
    let before = stand.ok("GET", "/v1/tenants/acme", Value::Null).await;
    let requests = [
        ("PUT", "/v1/tenants/acme", json!({"name": "stolen"})),
        ("DELETE", "/v1/tenants/acme", Value::Null),
        ("POST", "/v1/keys", json!({"scope": "operator"})),
        ("DELETE", "/v1/session", Value::Null),
    ];
    let foreign: [&[(&str, &str)]; 9] = [
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:4081")],
        &[("origin", "http://127.0.0.1:4080.evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", ORIGIN)],
        &[("sec-fetch-site", "none")],
        &[("referer", "http://127.0.0.1:4080/console")],
    ];
    for (method, path, body) in &requests {
        for headers in foreign {
            let headers = [headers, &[("cookie", session.as_str())]].concat();
            let refused = ask(&stand, method, path, &headers, body.clone()).await;
            assert_eq!(
                told(&refused),
                (403, "origin_not_allowed".to_owned()),
                "{method} {path} {headers:?}"
            );
        }
    }
    assert_eq!(stand.ok("GET", "/v1/tenants/acme", Value::Null).await, before);
    assert_eq!(stand.pages("/v1/keys", 100).await.0.len(), 1);

    let ours: [&[(&str, &str)]; 4] = [
        &[("origin", ORIGIN)],
        &[("sec-fetch-site", "same-origin")],
        // A proxy before it, by another name.
        &[
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://hooks.example.com"),
        ],
        &[("origin", "https://hooks.example.com"), ("host", "hooks.example.com")],
    ];
    for headers in ours {
        let headers = [headers, &[("cookie", session.as_str())]].concat();
        let body = json!({"name": "Acme"});
        let answer = ask(&stand, "PUT", "/v1/tenants/acme", &headers, body).await;
        assert_eq!(answer.status, 200, "{headers:?}");
    }
    // To look needs no origin, and a key needs none at all.
    assert_eq!(get(&stand, &session, "/v1/tenants").await.status, 200);
    let bearer = format!("Bearer {}", stand.operator);
    let headers = [("authorization", bearer.as_str()), ("origin", "https://evil.example")];
    let answer = ask(&stand, "PUT", "/v1/tenants/acme", &headers, json!({})).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn who_has_no_key_for_the_console_is_not_signed_in() {
    let stand = Stand::with_acme().await;
    let ingest = stand.mint("ingest").await;
    let wrong = format!("{}x", stand.operator);
    for (body, status, code) in [
        (json!({ "key": wrong }), 401, "key_invalid"),
        (json!({"key": "rd_0000_never"}), 401, "key_invalid"),
        (json!({"key": ""}), 401, "key_invalid"),
        (json!({ "key": ingest }), 403, "scope_insufficient"),
        (json!({}), 422, "field_missing"),
        (json!({"key": 7}), 422, "field_invalid"),
        (json!({"key": stand.operator, "remember": true}), 422, "field_unknown"),
        (json!([]), 400, "json_invalid"),
    ] {
        let reply = ask(&stand, "POST", "/v1/session", &[("origin", ORIGIN)], body.clone()).await;
        assert_eq!(told(&reply), (status, code.to_owned()), "{body}");
        assert!(!reply.headers.contains_key(header::SET_COOKIE));
    }
    // Nobody is signed in by another page, and a program needs no page.
    let key = json!({"key": stand.operator});
    let evil = [("origin", "https://evil.example")];
    let refused = ask(&stand, "POST", "/v1/session", &evil, key.clone()).await;
    assert_eq!(told(&refused), (403, "origin_not_allowed".to_owned()));
    assert_eq!(ask(&stand, "POST", "/v1/session", &[], key).await.status, 204);
    assert_eq!(ask(&stand, "GET", "/v1/session", &[], Value::Null).await.status, 401);
    assert_eq!(
        stand
            .send(Some(&ingest), "GET", "/v1/session", &Value::Null)
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_for_scripts_and_other_sites() {
    let stand = Stand::with_acme().await;
    let set = async |headers: &[(&str, &str)]| {
        let reply = ask(&stand, "POST", "/v1/session", headers, json!({"key": stand.operator})).await;
        let set = reply.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
        let (name, rest) = set.split_once('=').unwrap();
        let (text, attributes) = rest.split_once(';').unwrap();
        assert!(!text.contains(stand.operator.rsplit('_').next().unwrap()));
        (name.to_owned(), attributes.to_owned())
    };
    // Without TLS, as on one machine: some browsers refuse the prefix there.
    let plain = " Path=/; Max-Age=43200; HttpOnly; SameSite=Strict";
    assert_eq!(
        set(&[("origin", ORIGIN)]).await,
        ("redial".to_owned(), plain.to_owned())
    );
    let behind_tls = [("origin", "https://hooks.example.com"), ("host", "hooks.example.com")];
    let strict = " Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict";
    assert_eq!(set(&behind_tls).await, ("__Host-redial".to_owned(), strict.to_owned()));
    let reply = ask(
        &stand,
        "POST",
        "/v1/session",
        &behind_tls,
        json!({"key": stand.operator}),
    )
    .await;
    assert_eq!(get(&stand, &cookie(&reply), "/v1/tenants").await.status, 200);
}

#[tokio::test]
async fn attempts_that_fail_are_limited_by_address_and_those_that_succeed_are_not() {
    let stand = Stand::with_acme().await;
    let attempt = async |address: &str, key: &str| {
        let body = json!({ "key": key });
        ask_from(&stand, address, ("POST", "/v1/session"), &[("origin", ORIGIN)], body).await
    };
    for _ in 0..2 * ATTEMPTS {
        assert_eq!(attempt("192.0.2.1", &stand.operator).await.status, 204);
    }
    for _ in 0..ATTEMPTS {
        assert_eq!(attempt("192.0.2.1", "rd_0000_never").await.status, 401);
    }
    let limited = attempt("192.0.2.1", &stand.operator).await;
    assert_eq!(told(&limited), (429, "sign_in_limited".to_owned()));
    assert_eq!(limited.headers["retry-after"], "3");
    assert_eq!(attempt("192.0.2.2", &stand.operator).await.status, 204);
    stand.pass_ms(3_001);
    assert_eq!(attempt("192.0.2.1", &stand.operator).await.status, 204);
    assert_eq!(attempt("192.0.2.1", "rd_0000_never").await.status, 401);
    assert_eq!(attempt("192.0.2.1", &stand.operator).await.status, 429);
}

#[tokio::test]
async fn a_cookie_that_was_made_up_is_none() {
    let stand = Stand::with_acme().await;
    let real = signed_in(&stand, &stand.operator).await;
    let portal = stand.ok("POST", "/v1/tenants/acme/portal", json!({})).await;
    let token = portal["token"].as_str().unwrap().trim_start_matches("rdp_").to_owned();
    let mut changed = real.clone().into_bytes();
    let last = changed.len() - 9;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    for wrong in [
        String::from_utf8(changed).unwrap(),
        format!("redial={token}"),
        "redial=".to_owned(),
        "redial=AAAA".to_owned(),
        // Of a data key that nobody has made.
        format!("redial=_____{}", "A".repeat(59)),
        format!("redial={}", stand.operator),
    ] {
        let refused = get(&stand, &wrong, "/v1/tenants").await;
        assert_eq!(told(&refused), (401, "session_over".to_owned()), "{wrong}");
    }
    // A key that is sent, right or wrong, is what counts.
    let headers = [("cookie", real.as_str()), ("authorization", "Bearer rd_0000_never")];
    let refused = ask(&stand, "GET", "/v1/tenants", &headers, Value::Null).await;
    assert_eq!(told(&refused), (401, "key_invalid".to_owned()));
}

#[tokio::test]
async fn a_session_posts_no_events_and_outlives_a_rotation_of_the_data_key() {
    let stand = Stand::with_acme().await;
    let session = signed_in(&stand, &stand.operator).await;
    let headers = [("cookie", session.as_str()), ("origin", ORIGIN)];
    let event = json!({"type": "call.ended", "tenant": "acme", "data": {}});
    assert_eq!(ask(&stand, "POST", "/v1/events", &headers, event).await.status, 401);
    stand.ok("POST", "/v1/data-keys/rotate", json!({})).await;
    stand.pass_ms(31_000);
    assert_eq!(get(&stand, &session, "/v1/tenants").await.status, 200);
    let newer = signed_in(&stand, &stand.operator).await;
    assert_eq!(get(&stand, &newer, "/v1/tenants").await.status, 200);
}

#[tokio::test]
async fn to_sign_out_takes_the_cookie_away() {
    let stand = Stand::with_acme().await;
    let session = signed_in(&stand, &stand.operator).await;
    let headers = [("cookie", session.as_str()), ("origin", ORIGIN)];
    let reply = ask(&stand, "DELETE", "/v1/session", &headers, Value::Null).await;
    assert_eq!(reply.status, 204);
    assert_eq!(
        reply.headers[header::SET_COOKIE],
        "redial=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    );
}
