//! `/integration/webhook` over HTTP: the envelope around everything, the whole list replaced at once or not at all, and
//! nothing lost of what stays.

use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use redial_domain::delivery::DeliveryState;
use serde_json::{Value, json};

use super::stand::{Reply, Stand};

const PATH: &str = "/integration/webhook";
const LIST: &str = "/v1/tenants/acme/endpoints";
const NAMES: [&str; 7] = [
    "call_started",
    "call_ended",
    "dial_started",
    "dial_answered",
    "dial_ended",
    "call_transferred",
    "call_saved",
];

fn url(n: usize) -> String {
    format!("http://127.0.0.1:9000/{n}")
}

fn webhook(url: &str, on: &[&str]) -> Value {
    let mut item = json!({ "url": url });
    for name in NAMES {
        item[name] = json!(on.contains(&name));
    }
    item
}

fn success(list: &Value) -> Value {
    json!({"status": "success", "code": 200, "result": list, "message": "Ok"})
}

/// A stand with tenant `acme` and a key of it.
async fn customer() -> (Stand, String) {
    let stand = Stand::with_acme().await;
    let key = stand.mint("tenant:acme").await;
    (stand, key)
}

async fn get(stand: &Stand, key: &str) -> Value {
    let reply = stand.send(Some(key), "GET", PATH, &Value::Null).await;
    assert_eq!(reply.status, 200);
    reply.json()
}

async fn put(stand: &Stand, key: &str, list: Value) -> Reply {
    // The list is in the order in which its webhooks were made.
    stand.pass_ms(1);
    stand.send(Some(key), "PUT", PATH, &list).await
}

/// Puts a list that must be taken, and is listed as it was put.
async fn replace(stand: &Stand, key: &str, list: Value) {
    let reply = put(stand, key, list.clone()).await;
    assert_eq!((reply.status, reply.json()), (200, success(&list)));
    assert_eq!(get(stand, key).await, success(&list));
}

/// Every endpoint of the tenant, by id.
async fn endpoints(stand: &Stand) -> Vec<Value> {
    stand.pages(LIST, 100).await.0
}

/// The message of a refusal, whose envelope is exact.
fn refused(reply: &Reply) -> (u16, String) {
    assert_eq!(reply.headers["content-type"], "application/json");
    let body = reply.json();
    let message = body["message"].as_str().unwrap_or_default().to_owned();
    let expected = json!({"status": "error", "code": reply.status, "result": [], "message": message});
    assert_eq!(body, expected);
    assert!(!message.is_empty());
    (reply.status, message)
}

#[tokio::test]
async fn a_list_is_replaced_whole_and_answered_as_it_stands() {
    let (stand, key) = customer().await;
    assert_eq!(get(&stand, &key).await, success(&json!([])));
    let first = json!([
        webhook(&url(1), &["call_started", "call_saved"]),
        webhook(&url(2), &NAMES)
    ]);
    replace(&stand, &key, first).await;
    let second = json!([
        webhook(&url(2), &["dial_ended"]),
        webhook(&url(3), &["call_transferred"])
    ]);
    replace(&stand, &key, second).await;
    let urls: Vec<Value> = endpoints(&stand)
        .await
        .iter()
        .map(|found| found["url"].clone())
        .collect();
    assert_eq!(urls.len(), 2);
    replace(&stand, &key, json!([])).await;
    assert!(endpoints(&stand).await.is_empty());
}

#[tokio::test]
async fn the_order_of_a_list_is_kept() {
    let (stand, key) = customer().await;
    let many: Vec<Value> = (0..20).rev().map(|n| webhook(&url(n), &["call_ended"])).collect();
    replace(&stand, &key, json!(many)).await;
}

#[tokio::test]
async fn a_url_that_stays_keeps_its_endpoint_whole() {
    let (stand, key) = customer().await;
    replace(
        &stand,
        &key,
        json!([webhook(&url(1), &["call_ended"]), webhook(&url(2), &["call_ended"])]),
    )
    .await;
    let before = endpoints(&stand).await;
    let named = |wanted: usize| before.iter().find(|found| found["url"] == url(wanted)).unwrap();
    let path = format!("{LIST}/{}", named(1)["id"].as_str().unwrap());
    let secret = stand.ok("GET", &format!("{path}/secret"), Value::Null).await;
    stand
        .ok("PATCH", &path, json!({"timeout_ms": 2000, "headers": {"x-team": "a"}}))
        .await;
    stand.ok("POST", &format!("{path}/pause"), Value::Null).await;
    stand.event("acme", "e1").await;
    let delivery = format!("e1.{}", named(1)["id"].as_str().unwrap());
    stand.conclude("acme", &delivery, DeliveryState::Held, 1).await;
    stand.pass_ms(1_000);

    replace(&stand, &key, json!([webhook(&url(1), &["call_ended", "call_saved"])])).await;
    let after = endpoints(&stand).await;
    let [after] = &after[..] else { panic!("{after:?}") };
    assert_eq!(after["id"], named(1)["id"]);
    assert_eq!(
        (&after["state"], &after["timeout_ms"]),
        (&json!("paused"), &json!(2000))
    );
    assert_eq!(
        after["event_types"],
        json!(["call.ended", "call.failed", "recording.ready"])
    );
    let now = stand.ok("GET", &format!("{path}/secret"), Value::Null).await;
    assert_eq!(
        (&now["secret"], &now["headers"]),
        (&secret["secret"], &json!({"x-team": "a"}))
    );
    let history = stand
        .ok("GET", &format!("/v1/tenants/acme/deliveries/{delivery}"), Value::Null)
        .await;
    assert_eq!(history["state"], "held");
}

#[tokio::test]
async fn a_put_that_changes_nothing_writes_nothing() {
    let (stand, key) = customer().await;
    let list = json!([webhook(&url(1), &["call_ended"]), webhook(&url(2), &[])]);
    replace(&stand, &key, list.clone()).await;
    let acme = redial_domain::TenantId::parse("acme").unwrap();
    let version = stand.store.version(&acme, 0).await.unwrap();
    let before = endpoints(&stand).await;
    stand.pass_ms(5_000);
    replace(&stand, &key, list.clone()).await;
    // In another order it is the same list.
    let turned = json!([list[1], list[0]]);
    assert_eq!(put(&stand, &key, turned).await.json(), success(&list));
    assert_eq!(stand.store.version(&acme, 0).await.unwrap(), version);
    assert_eq!(endpoints(&stand).await, before);
}

#[tokio::test]
async fn endpoints_of_other_profiles_and_other_tenants_are_not_touched() {
    let (stand, key) = customer().await;
    stand.ok("PUT", "/v1/tenants/other", json!({})).await;
    let other_key = stand.mint("tenant:other").await;
    replace(&stand, &other_key, json!([webhook(&url(1), &["call_ended"])])).await;
    for profile in ["standard", "voicehub"] {
        stand.ok("POST", LIST, json!({"url": url(1), "profile": profile})).await;
    }
    let before = endpoints(&stand).await;
    assert_eq!(get(&stand, &key).await, success(&json!([])), "they are not listed");
    replace(&stand, &key, json!([webhook(&url(1), &["call_saved"])])).await;
    replace(&stand, &key, json!([])).await;
    assert_eq!(endpoints(&stand).await, before);
    assert_eq!(
        get(&stand, &other_key).await,
        success(&json!([webhook(&url(1), &["call_ended"])]))
    );
}

#[tokio::test]
async fn what_the_management_api_makes_of_profile_utel_is_listed_and_replaced_too() {
    let (stand, key) = customer().await;
    let body = json!({"url": url(1), "profile": "utel", "event_types": ["dial.*"], "active": false});
    let made = stand.ok("POST", LIST, body).await;
    let list = json!([webhook(&url(1), &["dial_started", "dial_answered", "dial_ended"])]);
    replace(&stand, &key, list).await;
    let [same] = &endpoints(&stand).await[..] else {
        panic!("one")
    };
    assert_eq!((&same["id"], &same["state"]), (&made["id"], &json!("inactive")));
    replace(&stand, &key, json!([webhook(&url(2), &["call_ended"])])).await;
    assert_eq!(endpoints(&stand).await.len(), 1);
}

#[tokio::test]
async fn an_event_reaches_what_a_list_asks_for_and_nothing_after_it_is_removed() {
    let (stand, key) = customer().await;
    replace(
        &stand,
        &key,
        json!([webhook(&url(1), &["call_ended"]), webhook(&url(2), &[])]),
    )
    .await;
    let post = |id: &'static str, kind: &'static str| {
        let data = json!({"call_id": "c1", "status": "completed"});
        stand.ok(
            "POST",
            "/v1/events",
            json!({"type": kind, "tenant": "acme", "id": id, "data": data}),
        )
    };
    assert_eq!(post("a", "call.ended").await["deliveries"], 1);
    assert_eq!(post("b", "call.started").await["deliveries"], 0);
    assert_eq!(
        post("c", "qa.scored").await["deliveries"],
        0,
        "the profile has no name for it"
    );
    replace(&stand, &key, json!([webhook(&url(2), &["call_started"])])).await;
    assert_eq!(post("d", "call.ended").await["deliveries"], 0);
    assert_eq!(
        post("e", "call.started").await["deliveries"],
        1,
        "switched on, it begins"
    );
}

#[tokio::test]
async fn what_was_held_for_a_webhook_is_released_when_it_is_removed_or_begins_again() {
    let (stand, key) = customer().await;
    for gone in [json!([webhook(&url(2), &["call_ended"])]), json!([])] {
        replace(&stand, &key, json!([webhook(&url(1), &["call_ended"])])).await;
        let id = endpoints(&stand).await[0]["id"].as_str().unwrap().to_owned();
        let event = format!("e{}", id.to_lowercase());
        stand.event("acme", &event).await;
        stand
            .conclude("acme", &format!("{event}.{id}"), DeliveryState::Held, 1)
            .await;
        // Switched off it keeps what it had; a job delivers that when it is on again, and cancels it when it is gone.
        let jobs = || stand.pages("/v1/tenants/acme/replays", 100);
        let before = jobs().await.0.len();
        replace(&stand, &key, json!([webhook(&url(1), &[])])).await;
        assert_eq!(jobs().await.0.len(), before);
        replace(&stand, &key, json!([webhook(&url(1), &["call_saved"])])).await;
        assert_eq!(jobs().await.0.len(), before + 1);
        replace(&stand, &key, gone).await;
        assert_eq!(jobs().await.0.len(), before + 2);
    }
}

#[tokio::test]
async fn a_refused_list_says_why_in_the_envelope_and_changes_nothing() {
    let (stand, key) = customer().await;
    let list = json!([webhook(&url(1), &["call_ended"])]);
    replace(&stand, &key, list.clone()).await;
    let good = webhook(&url(2), &["call_ended"]);
    let with = |name: &str, value: Value| {
        let mut item = good.clone();
        item[name] = value;
        json!([good, item])
    };
    let mut short = good.clone();
    short.as_object_mut().unwrap().remove("call_saved");
    for (body, status, said) in [
        (json!({}), 400, "must be an array"),
        (json!([good, good]), 422, "[1].url: is listed twice"),
        (json!([good, short]), 422, "[1].call_saved: is required"),
        (
            with("call_saved", json!("yes")),
            422,
            "[1].call_saved: must be true or false",
        ),
        (with("id", json!(7)), 422, "[1].id: is not a field"),
        (
            with("url", json!("ftp://example.com/")),
            422,
            "[1].url: a URL begins with https://",
        ),
        (with("url", json!("http://10.0.0.1/")), 422, "[1].url: the address"),
        (
            with("url", json!("http://127.0.0.1:4080/v1/events")),
            422,
            "[1].url: the URL is one of this service",
        ),
        (with("url", json!("")), 422, "[1].url: a URL has 1 to 2048"),
        (json!([7]), 422, "[0]: must be an object"),
    ] {
        let (got, message) = refused(&put(&stand, &key, body).await);
        assert_eq!(got, status, "{message}");
        assert!(message.starts_with(said) || message.contains(said), "{message}: {said}");
    }
    for (raw, status) in [("", 400), ("[", 400), ("[{\"url\":\"a\",\"url\":\"a\"}]", 400)] {
        let reply = stand.send_raw(Some(&key), "PUT", PATH, Body::from(raw)).await;
        assert_eq!(refused(&reply).0, status, "{raw}");
    }
    let long = format!("[{}]", " ".repeat(300 * 1024));
    let reply = stand.send_raw(Some(&key), "PUT", PATH, Body::from(long)).await;
    assert_eq!(refused(&reply).0, 413);
    assert_eq!(get(&stand, &key).await, success(&list));
}

#[tokio::test]
async fn who_may_not_is_told_in_the_envelope() {
    let (stand, key) = customer().await;
    let ingest = stand.mint("ingest").await;
    for (key, path, status) in [
        (None, PATH, 401),
        (Some("rd_0_0"), PATH, 401),
        (Some(ingest.as_str()), PATH, 403),
        (Some(key.as_str()), "/integration/webhook?tenant=other", 404),
        (Some(key.as_str()), "/integration/webhook?limit=1", 400),
        (Some(stand.operator.as_str()), PATH, 400),
        (Some(stand.operator.as_str()), "/integration/webhook?tenant=nobody", 404),
        (Some(stand.operator.as_str()), "/integration/webhook?tenant=a%20b", 404),
    ] {
        for method in ["GET", "PUT"] {
            let reply = stand.send(key, method, path, &json!([])).await;
            assert_eq!(refused(&reply).0, status, "{method} {path}");
            assert_eq!(reply.headers.contains_key("www-authenticate"), status == 401);
        }
    }
    for method in ["POST", "DELETE", "PATCH"] {
        let reply = stand.send(Some(&key), method, PATH, &json!([])).await;
        assert_eq!(refused(&reply).0, 405);
        assert!(reply.headers.contains_key("allow"));
    }
    // An operator names the tenant; a tenant's key may name its own.
    for key in [&stand.operator, &key] {
        let reply = stand
            .send(Some(key), "GET", "/integration/webhook?tenant=acme", &Value::Null)
            .await;
        assert_eq!((reply.status, reply.json()), (200, success(&json!([]))));
    }
    // Elsewhere a refusal is a problem as ever.
    let elsewhere = stand.send(None, "GET", LIST, &Value::Null).await;
    assert_eq!(elsewhere.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_key_that_makes_too_many_requests_is_told_in_the_envelope() {
    let (stand, key) = customer().await;
    for _ in 0..10_000 {
        let request = Request::builder()
            .uri(PATH)
            .header("authorization", format!("Bearer {key}"));
        let reply = stand.respond(request.body(Body::empty()).unwrap()).await;
        if reply.status != 200 {
            assert_eq!(refused(&reply).0, 429);
            assert!(reply.headers.contains_key("retry-after"));
            return;
        }
    }
    panic!("never refused");
}

#[tokio::test]
async fn a_tenant_has_at_most_fifty_endpoints_and_a_list_that_makes_more_changes_nothing() {
    let (stand, key) = customer().await;
    stand.endpoint("acme").await;
    let many = |from: usize, to: usize| -> Value { (from..to).map(|n| webhook(&url(n), &["call_ended"])).collect() };
    replace(&stand, &key, many(0, 49)).await;
    let (status, message) = refused(&put(&stand, &key, many(0, 50)).await);
    assert_eq!(
        (status, message.contains("at most 50 endpoints")),
        (409, true),
        "{message}"
    );
    assert_eq!(get(&stand, &key).await, success(&many(0, 49)));
    // 49 others for 49: more than one change can be; 48 fit.
    let (status, message) = refused(&put(&stand, &key, many(100, 149)).await);
    assert_eq!(
        (status, message.contains("remove some first")),
        (409, true),
        "{message}"
    );
    assert_eq!(get(&stand, &key).await, success(&many(0, 49)));
    replace(&stand, &key, many(0, 48)).await;
    replace(&stand, &key, many(100, 148)).await;
    assert_eq!(endpoints(&stand).await.len(), 49);
}

#[tokio::test]
async fn of_lists_put_at_the_same_time_one_is_stored_whole() {
    let (stand, key) = customer().await;
    let list = |n: usize| {
        json!([
            webhook(&url(10 * n), &["call_ended"]),
            webhook(&url(10 * n + 1), &["call_saved"])
        ])
    };
    for round in 0..5 {
        let lists: Vec<Value> = (0..4).map(|n| list(4 * round + n)).collect();
        let replies = join_all(lists.iter().map(|list| put(&stand, &key, list.clone()))).await;
        let stored = get(&stand, &key).await["result"].clone();
        let taken = lists.iter().zip(&replies).filter(|(_, reply)| reply.status == 200);
        assert!(taken.map(|(list, _)| list).any(|list| *list == stored), "{stored}");
        assert_eq!(endpoints(&stand).await.len(), 2);
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            assert_eq!(refused(reply).0, 409);
        }
    }
}

#[tokio::test]
async fn a_list_and_changes_through_the_management_api_do_not_undo_each_other() {
    let (stand, key) = customer().await;
    replace(
        &stand,
        &key,
        json!([webhook(&url(1), &["call_ended"]), webhook(&url(2), &["call_ended"])]),
    )
    .await;
    let standard = stand.endpoint("acme").await;
    let kept = endpoints(&stand).await;
    let kept = kept.iter().find(|found| found["url"] == url(1)).unwrap();
    for round in 0..5_u32 {
        let on = if round % 2 == 0 { ["call_saved"] } else { ["dial_ended"] };
        let list = json!([
            webhook(&url(1), &on),
            webhook(&url(3 + round as usize), &["call_ended"])
        ]);
        let of_the_list = format!("{LIST}/{}", kept["id"].as_str().unwrap());
        let beside = format!("{LIST}/{standard}");
        let text = format!("round {round}");
        let (stored, listed, other) = tokio::join!(
            put(&stand, &key, list.clone()),
            stand.ask("PATCH", &of_the_list, json!({"description": text})),
            stand.ask("PATCH", &beside, json!({"description": text})),
        );
        for reply in [&stored, &listed, &other] {
            assert_eq!(reply.status, 200, "{}", reply.json());
        }
        let now = endpoints(&stand).await;
        let named = |id: &Value| now.iter().find(|found| found["id"] == *id).unwrap();
        assert_eq!(named(&kept["id"])["description"], text);
        assert_eq!(named(&json!(standard))["description"], text);
        assert_eq!(get(&stand, &key).await, success(&list));
        assert_eq!(now.len(), 3);
    }
}
