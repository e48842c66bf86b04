//! Endpoints as large as they may be: what is too much is refused, and the memory that they take is known.

use serde_json::{Value, json};

use crate::world::{Behaviour, World};

/// Bytes that the names and values of an endpoint's headers may have together (docs/LIMITS.md).
const MOST: usize = 8 * 1024;

/// Two headers that have as many bytes together, names included.
fn headers(bytes: usize) -> Value {
    let rest = bytes - 2 * "x-a".len() - MOST / 2;
    json!({"x-a": "v".repeat(MOST / 2 - 3), "x-b": "v".repeat(rest + 3)})
}

#[tokio::test]
async fn headers_that_are_too_long_together_are_refused_by_name_and_what_fits_is_counted() {
    let world = World::new().await;
    let endpoint = world
        .endpoint("acme", Behaviour::Always(200), json!({"headers": headers(MOST)}))
        .await;
    let endpoints = "/v1/tenants/acme/endpoints";
    let more = json!({"url": "https://example.com/hook", "headers": headers(MOST + 1)});
    let refused = world.call("POST", endpoints, more.clone(), 422).await;
    assert_eq!(
        (&refused["code"], &refused["field"]),
        (&json!("header_total_length"), &json!("headers")),
        "{refused}"
    );
    let path = format!("{endpoints}/{}", endpoint.id);
    let grown = json!({"headers": {"x-c": "v"}});
    let refused = world.call("PATCH", &path, grown, 422).await;
    assert_eq!(refused["code"], "header_total_length", "{refused}");
    let acme = redial_domain::TenantId::parse("acme").unwrap();
    let config = world.store().tenant_config(&acme).await.unwrap().unwrap();
    assert!((MOST..4 * MOST).contains(&config.bytes()), "{}", config.bytes());
}
