//! No key makes one that is more than itself, and each says which key made it; a revoked one is believed for no longer than
//! from when it was read.

use axum::body::Body;
use axum::http::{Request, header};
use redial_platform::auth::MAX_AGE_MS;
use redial_platform::source::Peer;
use serde_json::{Value, json};

use super::stand::{Reply, Stand};

/// Where requests come from here.
const HERE: &str = "192.0.2.7:40000";

/// One request with that key from [`HERE`].
async fn ask(stand: &Stand, key: &str, (method, path): (&str, &str), body: &Value) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .extension(Peer(HERE.parse().unwrap()))
        .body(Body::from(body.to_string()));
    stand.respond(request.unwrap()).await
}

fn refusal(reply: &Reply) -> (u16, String, String) {
    let field = reply.json()["field"].as_str().unwrap_or_default().to_owned();
    (reply.status, reply.code(), field)
}

fn exceeds(field: &str) -> (u16, String, String) {
    (422, "key_exceeds_maker".to_owned(), field.to_owned())
}

/// An operator's key with these bounds: its id and its text.
async fn bounded(stand: &Stand, bounds: Value) -> (String, String) {
    let mut body = bounds;
    body["scope"] = json!("operator");
    let made = stand.ok("POST", "/v1/keys", body).await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

#[tokio::test]
async fn a_key_that_ends_makes_none_that_outlives_it() {
    let stand = Stand::with_acme().await;
    let (id, key) = bounded(&stand, json!({"expires_in_s": 3_600})).await;
    let last = stand.clock.now().plus_millis(3_600_000).to_string();
    let before = stand.pages("/v1/keys", 100).await.0.len();
    for scope in ["operator", "ingest", "tenant:acme"] {
        for (field, value) in [
            ("expires_at", Value::Null),
            ("expires_at", json!("2027-01-01T00:00:00Z")),
            ("expires_in_s", json!(3_601)),
        ] {
            let body = json!({"scope": scope, field: value});
            let refused = ask(&stand, &key, ("POST", "/v1/keys"), &body).await;
            assert_eq!(refusal(&refused), exceeds(field), "{body}");
        }
    }
    assert_eq!(
        stand.pages("/v1/keys", 100).await.0.len(),
        before,
        "nothing of the refused is stored"
    );
    let body = json!({"scope": "operator", "expires_at": last});
    let made = ask(&stand, &key, ("POST", "/v1/keys"), &body).await;
    assert_eq!((made.status, &made.json()["expires_at"]), (201, &json!(last)));
    assert_eq!(made.json()["made_by"], json!(id));
}

#[tokio::test]
async fn a_key_of_some_networks_lets_none_in_from_others() {
    let stand = Stand::with_acme().await;
    let (id, key) = bounded(&stand, json!({"allowed_networks": ["192.0.2.0/24"]})).await;
    let (other, _) = bounded(&stand, json!({"allowed_networks": ["192.0.2.0/28"]})).await;
    for networks in [Value::Null, json!(["0.0.0.0/0"]), json!(["192.0.2.7", "198.51.100.1"])] {
        let body = json!({"scope": "operator", "allowed_networks": networks});
        let refused = ask(&stand, &key, ("POST", "/v1/keys"), &body).await;
        assert_eq!(refusal(&refused), exceeds("allowed_networks"), "{body}");
        // Nor by changing one that is there, its own too.
        for changed in [&id, &other] {
            let body = json!({"allowed_networks": networks});
            let refused = ask(&stand, &key, ("PATCH", &format!("/v1/keys/{changed}")), &body).await;
            assert_eq!(refusal(&refused), exceeds("allowed_networks"), "{body}");
        }
    }
    let narrower = json!({"scope": "operator", "allowed_networks": ["192.0.2.7"]});
    assert_eq!(ask(&stand, &key, ("POST", "/v1/keys"), &narrower).await.status, 201);
    let renamed = json!({"name": "renamed"});
    let path = format!("/v1/keys/{other}");
    assert_eq!(ask(&stand, &key, ("PATCH", &path), &renamed).await.status, 200);
    // One without bounds may what it could make itself.
    stand.ok("PATCH", &path, json!({"allowed_networks": null})).await;
}

#[tokio::test]
async fn each_key_says_which_one_made_it() {
    let stand = Stand::with_acme().await;
    let own = stand.operator.split('_').nth(1).unwrap().to_owned();
    let made = stand.ok("POST", "/v1/keys", json!({"scope": "ingest"})).await;
    assert_eq!(made["made_by"], json!(own));
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(stand.ok("GET", &path, Value::Null).await["made_by"], json!(own));
    stand.ok("PATCH", &path, json!({"name": "x"})).await;
    let listed = stand.pages("/v1/keys", 100).await.0;
    let mut makers: Vec<_> = listed.iter().map(|key| (&key["id"], &key["made_by"])).collect();
    makers.sort_by_key(|(_, maker)| maker.is_null());
    assert_eq!(makers, [(&made["id"], &json!(own)), (&json!(own), &Value::Null)]);
}

#[tokio::test]
async fn a_key_that_was_revoked_elsewhere_is_refused_thirty_seconds_after_it_was_read_though_it_was_used() {
    let stand = Stand::new().await;
    let made = stand.ok("POST", "/v1/keys", json!({"scope": "operator"})).await;
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let used = async || stand.send(Some(key), "GET", "/v1/keys", &Value::Null).await.status;
    assert_eq!(used().await, 200);
    // An hour later its use is noted again, from what was remembered a moment ago.
    stand.pass_ms(3_600_000 - 1);
    assert_eq!(used().await, 200);
    stand.pass_ms(MAX_AGE_MS - 1);
    assert_eq!(used().await, 200);
    // As another environment does it: nobody tells this one.
    assert!(stand.store.delete_api_key(id).await.unwrap());
    stand.pass_ms(1);
    assert_eq!(used().await, 401);
}
