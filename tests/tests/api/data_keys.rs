//! The data key is rotated, the secrets of endpoints are sealed anew, and the older key goes: step by step, with a crash in the
//! middle, with environments that know the old one. Everything opens at every moment.

use redial_domain::{EndpointId, TenantId};
use redial_platform::seal::SealedSecrets;
use serde_json::{Value, json};

use super::stand::Stand;
use crate::world::{Behaviour, World};

const DATA_KEYS: &str = "/v1/data-keys";
/// What requests of before a rotation may take, and a little more.
const SETTLED_MS: i64 = 120_001;

/// Every endpoint of a tenant: its id, and what is stored of its secrets.
async fn sealed(stand: &Stand, tenant: &str) -> Vec<(EndpointId, SealedSecrets)> {
    let config = stand.store.tenant_config(&TenantId::parse(tenant).unwrap()).await;
    let endpoints = config.unwrap().unwrap().endpoints;
    endpoints
        .iter()
        .map(|stored| (stored.endpoint.id.clone(), stored.sealed.clone()))
        .collect()
}

async fn versions(stand: &Stand, tenant: &str) -> Vec<u32> {
    let sealed = sealed(stand, tenant).await;
    sealed.iter().map(|(_, sealed)| sealed.key_version().unwrap()).collect()
}

async fn secret(stand: &Stand, tenant: &str, endpoint: &str) -> String {
    let path = format!("/v1/tenants/{tenant}/endpoints/{endpoint}/secret");
    stand.ok("GET", &path, Value::Null).await["secret"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn reseal(stand: &Stand, limit: u32) -> Value {
    stand
        .ok("POST", &format!("{DATA_KEYS}/reseal"), json!({ "limit": limit }))
        .await
}

async fn rotate(stand: &Stand) -> Value {
    stand.ok("POST", &format!("{DATA_KEYS}/rotate"), Value::Null).await
}

async fn retire(stand: &Stand) -> (u16, String) {
    let reply = stand.ask("POST", &format!("{DATA_KEYS}/retire"), Value::Null).await;
    (reply.status, reply.code())
}

#[tokio::test]
async fn a_rotation_seals_everything_anew_and_the_older_key_goes_when_nothing_uses_it() {
    let stand = Stand::new().await;
    let mut secrets = Vec::new();
    for tenant in ["acme", "other"] {
        stand.ok("PUT", &format!("/v1/tenants/{tenant}"), json!({})).await;
        for _ in 0..3 {
            let endpoint = stand.endpoint(tenant).await;
            let text = secret(&stand, tenant, &endpoint).await;
            secrets.push((tenant, endpoint, text));
        }
    }
    let before = stand.ok("GET", DATA_KEYS, Value::Null).await;
    assert_eq!((&before["current"], &before["state"]), (&json!(1), &json!("settled")));
    let tag = |reply: super::stand::Reply| reply.headers["etag"].clone();
    let first = format!("/v1/tenants/acme/endpoints/{}", secrets[0].1);
    let etag = tag(stand.ask("GET", &first, Value::Null).await);

    let rotated = rotate(&stand).await;
    assert_eq!(
        (&rotated["current"], &rotated["readable"], &rotated["state"]),
        (&json!(2), &json!([1]), &json!("resealing"))
    );
    // At once for what is new; what is old stays as it is, and opens.
    let new = stand.endpoint("acme").await;
    let under = |wanted: u32, of: &[u32]| of.iter().filter(|version| **version == wanted).count();
    assert_eq!(under(2, &versions(&stand, "acme").await), 1);
    assert_eq!(under(1, &versions(&stand, "acme").await), 3);
    assert_eq!(retire(&stand).await, (409, "data_key_in_use".to_owned()));
    // In steps, each of which can be the last of whoever asked: two at a time.
    let mut steps = 0;
    loop {
        let keys = reseal(&stand, 2).await;
        steps += 1;
        for (tenant, endpoint, text) in &secrets {
            assert_eq!(secret(&stand, tenant, endpoint).await, *text, "after step {steps}");
        }
        if keys["state"] != "resealing" {
            assert_eq!(keys["state"], "waiting", "{keys}");
            assert_eq!(keys["progress"]["resealed"], 6, "{keys}");
            assert_eq!(
                (&keys["progress"]["tenants"], &keys["progress"]["endpoints"]),
                (&json!(2), &json!(7))
            );
            break;
        }
        assert!(steps < 10, "{keys}");
    }
    assert!(steps > 2, "{steps}");
    for tenant in ["acme", "other"] {
        assert!(
            versions(&stand, tenant).await.iter().all(|version| *version == 2),
            "{tenant}"
        );
    }
    assert_eq!(
        tag(stand.ask("GET", &first, Value::Null).await),
        etag,
        "nobody changed the endpoint"
    );

    // A request of before the rotation may have been slow: once more, later, and then whoever still read the old values.
    assert_eq!(retire(&stand).await.0, 409);
    stand.pass_ms(SETTLED_MS);
    assert_eq!(stand.ok("GET", DATA_KEYS, Value::Null).await["state"], "resealing");
    let again = reseal(&stand, 1_000).await;
    assert_eq!(
        (&again["state"], &again["progress"]["resealed"]),
        (&json!("waiting"), &json!(0))
    );
    assert_eq!(retire(&stand).await.0, 409);
    stand.pass_ms(SETTLED_MS);
    assert_eq!(stand.ok("GET", DATA_KEYS, Value::Null).await["state"], "retirable");
    assert_eq!(retire(&stand).await.0, 200);
    let after = stand.ok("GET", DATA_KEYS, Value::Null).await;
    assert_eq!((&after["state"], &after["readable"]), (&json!("settled"), &json!([])));
    assert_eq!(after["retired"][0]["version"], 1);
    assert_eq!(stand.store.wrapped_data_key(1).await.unwrap(), None, "gone for good");
    for (tenant, endpoint, text) in &secrets {
        assert_eq!(secret(&stand, tenant, endpoint).await, *text);
    }
    assert!(secret(&stand, "acme", &new).await.starts_with("whsec_"));
    assert_eq!(retire(&stand).await.0, 200, "asked again nothing happens");
}

#[tokio::test]
async fn a_slow_request_that_seals_under_the_older_key_is_found_before_that_goes() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let text = secret(&stand, "acme", &endpoint).await;
    let old = sealed(&stand, "acme").await.remove(0).1;
    rotate(&stand).await;
    assert_eq!(reseal(&stand, 10).await["state"], "waiting");
    // What was sealed before the rotation is written after the walk.
    let tenant = TenantId::parse("acme").unwrap();
    let config = stand.store.tenant_config(&tenant).await.unwrap().unwrap();
    let late = [(EndpointId::parse(&endpoint).unwrap(), old)];
    let change = redial_platform::store::config::Change::Reseal(&late);
    stand.store.change(&tenant, config.version, change).await.unwrap();
    assert_eq!(versions(&stand, "acme").await, [1]);
    stand.pass_ms(SETTLED_MS);
    assert_eq!(retire(&stand).await, (409, "data_key_in_use".to_owned()));
    let found = reseal(&stand, 10).await;
    assert_eq!(
        (&found["state"], &found["progress"]["resealed"]),
        (&json!("waiting"), &json!(1))
    );
    stand.pass_ms(SETTLED_MS);
    assert_eq!(retire(&stand).await.0, 200);
    assert_eq!(secret(&stand, "acme", &endpoint).await, text);
}

#[tokio::test]
async fn a_crash_between_the_steps_of_a_rotation_or_of_a_retirement_is_made_good_by_asking_again() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let text = secret(&stand, "acme", &endpoint).await;
    // The new key is stored, and nothing says yet that it is the newest.
    let wrapped = stand.store.wrapped_data_key(1).await.unwrap().unwrap();
    assert!(stand.store.put_wrapped_data_key(2, wrapped).await.unwrap());
    assert_eq!(stand.ok("GET", DATA_KEYS, Value::Null).await["current"], 1);
    assert_eq!(secret(&stand, "acme", &endpoint).await, text);
    assert_eq!(rotate(&stand).await["current"], 2, "the key that is there is taken");
    reseal(&stand, 10).await;
    stand.pass_ms(SETTLED_MS);
    reseal(&stand, 10).await;
    stand.pass_ms(SETTLED_MS);
    // It is said to be retired, and still there.
    let mut stored = stand.store.data_keys().await.unwrap();
    let at = stand.clock.now();
    stored.keys.readable.clear();
    stored.keys.retired = vec![redial_platform::store::data_keys::Retired { version: 1, at }];
    stand.store.put_data_keys(&stored.keys, stored.revision).await.unwrap();
    assert!(stand.store.wrapped_data_key(1).await.unwrap().is_some());
    assert_eq!(retire(&stand).await.0, 200);
    assert_eq!(stand.store.wrapped_data_key(1).await.unwrap(), None);
    assert_eq!(secret(&stand, "acme", &endpoint).await, text);
    // The version of a key that is gone is never used again.
    assert_eq!(rotate(&stand).await["current"], 3);
}

#[tokio::test]
async fn a_repeated_request_rotates_once_and_two_at_once_do_not_undo_each_other() {
    let stand = Stand::with_acme().await;
    let path = format!("{DATA_KEYS}/rotate");
    assert_eq!(stand.ok("POST", &path, json!({"from": 1})).await["current"], 2);
    let again = stand.refusal("POST", &path, json!({"from": 1})).await;
    assert_eq!(again, (409, "data_key_rotated".to_owned(), Some("from".to_owned())));
    let (status, code, field) = stand.refusal("POST", &path, json!({"from": "x"})).await;
    assert_eq!(
        (status, code.as_str(), field.as_deref()),
        (422, "field_invalid", Some("from"))
    );
    let limit = format!("{DATA_KEYS}/reseal");
    for wrong in [0, 1_001] {
        let (status, code, _) = stand.refusal("POST", &limit, json!({ "limit": wrong })).await;
        assert_eq!((status, code.as_str()), (422, "limit_invalid"));
    }
    // Older keys are not collected without end.
    for current in 3..=11 {
        assert_eq!(rotate(&stand).await["current"], current);
    }
    let (status, code, _) = stand.refusal("POST", &path, Value::Null).await;
    assert_eq!((status, code.as_str()), (409, "data_keys_limit"));
}

#[tokio::test]
async fn a_secret_that_does_not_open_holds_no_other_back_and_keeps_the_older_key() {
    let stand = Stand::with_acme().await;
    let (whole, damaged) = (stand.endpoint("acme").await, stand.endpoint("acme").await);
    let tenant = TenantId::parse("acme").unwrap();
    // The secrets of one in the place of another's: a ciphertext that was moved opens nowhere.
    let of_whole = sealed(&stand, "acme").await;
    let of_whole = of_whole.into_iter().find(|(id, _)| id.as_str() == whole).unwrap().1;
    let moved = [(EndpointId::parse(&damaged).unwrap(), of_whole)];
    let config = stand.store.tenant_config(&tenant).await.unwrap().unwrap();
    let change = redial_platform::store::config::Change::Reseal(&moved);
    stand.store.change(&tenant, config.version, change).await.unwrap();
    let read = format!("/v1/tenants/acme/endpoints/{damaged}/secret");
    assert_eq!(stand.ask("GET", &read, Value::Null).await.status, 500);

    rotate(&stand).await;
    let keys = reseal(&stand, 10).await;
    assert_eq!(
        (&keys["state"], &keys["progress"]["resealed"]),
        (&json!("blocked"), &json!(1))
    );
    assert_eq!(keys["progress"]["named_unreadable"], json!([format!("acme/{damaged}")]));
    stand.pass_ms(SETTLED_MS);
    assert_eq!(retire(&stand).await, (409, "data_key_in_use".to_owned()));
    let path = format!("/v1/tenants/acme/endpoints/{damaged}");
    stand.ok("DELETE", &path, Value::Null).await;
    assert_eq!(reseal(&stand, 10).await["state"], "waiting");
    stand.pass_ms(SETTLED_MS);
    assert_eq!(retire(&stand).await.0, 200);
    secret(&stand, "acme", &whole).await;
}

#[tokio::test]
async fn a_cursor_is_good_after_a_rotation_until_its_key_is_retired() {
    let stand = Stand::with_acme().await;
    for _ in 0..3 {
        stand.endpoint("acme").await;
    }
    let list = "/v1/tenants/acme/endpoints?limit=1";
    let page = async |cursor: &str| stand.ask("GET", &format!("{list}&cursor={cursor}"), Value::Null).await;
    let first = page("").await.json()["next"].as_str().unwrap().to_owned();
    rotate(&stand).await;
    assert_eq!(page(&first).await.status, 200);
    stand.pass_ms(SETTLED_MS);
    let newer = page("").await.json()["next"].as_str().unwrap().to_owned();
    assert_ne!(newer, first);
    reseal(&stand, 10).await;
    stand.pass_ms(SETTLED_MS);
    assert_eq!(page(&first).await.status, 200);
    assert_eq!(retire(&stand).await.0, 200);
    let refused = page(&first).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "cursor_invalid"));
    assert_eq!(page(&newer).await.status, 200);
}

#[tokio::test]
async fn a_tenant_whose_row_cannot_be_read_keeps_the_older_key_however_little_a_request_does() {
    let world = World::new().await;
    for tenant in ["acme", "other", "zed"] {
        world.endpoint(tenant, Behaviour::Always(200), json!({})).await;
    }
    // In the list of tenants, as a newer release would have written it.
    let update = json!({"TableName": "ConfigTable", "Key": {"pk": {"S": "tenants"}, "sk": {"S": "acme"}},
        "UpdateExpression": "SET fv = :n", "ExpressionAttributeValues": {":n": {"N": "99"}},
        "ConditionExpression": "attribute_exists(pk)"});
    world.in_table("UpdateItem", &update).await;
    let ask = async |what: &str, body: Value| {
        let path = format!("{DATA_KEYS}/{what}");
        world.request("POST", &path, Some(world.key()), &body).await
    };
    assert_eq!(ask("rotate", Value::Null).await.0, 200);
    world.pass_ms(SETTLED_MS).await;
    let mut keys = Value::Null;
    for _ in 0..10 {
        keys = ask("reseal", json!({"limit": 1})).await.1;
        if keys["progress"]["ended_at"] != Value::Null {
            break;
        }
    }
    assert_eq!(keys["state"], "blocked", "{keys}");
    world.pass_ms(SETTLED_MS).await;
    let (status, refused) = ask("retire", Value::Null).await;
    assert_eq!((status, &refused["code"]), (409, &json!("data_key_in_use")));
}
