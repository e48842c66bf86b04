//! Endpoints over HTTP: made, changed, rotated, paused and resumed; what is refused is not stored.

use futures_util::future::join_all;
use redial_domain::delivery::DeliveryState;
use redial_domain::signature::Secret;
use serde_json::{Value, json};

use super::stand::{START_MS, Stand};

const LIST: &str = "/v1/tenants/acme/endpoints";
const URL: &str = "http://127.0.0.1:9000/hook";

fn path_of(endpoint: &Value) -> String {
    format!("{LIST}/{}", endpoint["id"].as_str().unwrap())
}

#[tokio::test]
async fn an_endpoint_is_answered_with_every_field_and_its_secret_once() {
    let stand = Stand::with_acme().await;
    let made = stand.ask("POST", LIST, json!({"url": URL})).await;
    assert_eq!(made.status, 201);
    let mut made = made.json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(Secret::parse(&secret).is_ok());
    let at = stand.clock.now().to_string();
    let expected = json!({
        "id": made["id"], "url": URL, "state": "active", "event_types": [], "agents": [], "exclude_agents": [],
        "description": "", "metadata": {}, "profile": "standard", "payload": "full", "auth": null, "header_names": [],
        "timeout_ms": 10000, "retry": {"attempts": 3, "delays": [1, 2]}, "rate_limit": null,
        "dead_letter": {"keep": true, "days": null}, "version": START_MS + 1, "created_at": at, "updated_at": at,
        "hold": null, "kept_until": null,
    });
    made.as_object_mut().unwrap().remove("secret");
    assert_eq!(made, expected);
    assert_eq!(stand.ok("GET", &path_of(&made), Value::Null).await, expected);
    let secrets = stand
        .ok("GET", &format!("{}/secret", path_of(&made)), Value::Null)
        .await;
    let nothing_else = json!({"secret": secret, "previous": null, "auth": null, "headers": {}});
    assert_eq!(secrets, nothing_else);
    let listed = stand.ask("GET", LIST, Value::Null).await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(&secret));
    assert_eq!(listed.json()["items"], json!([expected]));
}

#[tokio::test]
async fn what_was_given_is_echoed_and_an_inactive_endpoint_matches_nothing_until_it_is_activated() {
    let stand = Stand::with_acme().await;
    let given = json!({
        "url": URL, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "active": false, "event_types": ["call.*"],
        "agents": ["agt_1"], "exclude_agents": ["agt_2"], "description": "<img src=x>", "metadata": {"team": "voice"},
        "profile": "utel", "payload": "thin", "timeout_ms": 1000, "retry": {"attempts": 4, "base_s": 2, "factor": 1.5},
        "rate_limit": 500, "dead_letter": {"keep": false, "days": 3},
    });
    let made = stand.ok("POST", LIST, given.clone()).await;
    for (name, value) in given.as_object().unwrap().iter().filter(|(name, _)| *name != "active") {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(made["state"], "inactive");
    let event = |id: &str| json!({"type": "call.ended", "tenant": "acme", "agent": "agt_1", "id": id, "data": 1});
    assert_eq!(stand.ok("POST", "/v1/events", event("a")).await["deliveries"], 0);
    for action in ["pause", "resume"] {
        let refused = stand
            .refusal("POST", &format!("{}/{action}", path_of(&made)), Value::Null)
            .await;
        assert_eq!(refused, (409, "endpoint_inactive".to_owned(), None));
    }
    let active = stand
        .ok("POST", &format!("{}/activate", path_of(&made)), Value::Null)
        .await;
    assert_eq!(active["state"], "active");
    assert_eq!(stand.ok("POST", "/v1/events", event("b")).await["deliveries"], 1);
}

#[tokio::test]
async fn a_refused_endpoint_is_not_stored() {
    let stand = Stand::with_acme().await;
    for (body, code, field) in [
        (json!({}), "field_missing", "url"),
        (json!({"url": "http://127.0.0.1:4080/v1/events"}), "url_own_host", "url"),
        (json!({"url": "http://127.0.0.2:9000/"}), "url_address", "url"),
        (json!({"url": "ftp://example.com/"}), "url_scheme", "url"),
        (json!({"url": URL, "secret": "hunter2"}), "secret_invalid", "secret"),
        (json!({"url": URL, "secret": 7}), "field_invalid", "secret"),
        (json!({"url": URL, "state": "disabled"}), "field_invalid", "state"),
        (
            json!({"url": URL, "headers": {"Host": "a"}}),
            "header_reserved",
            "headers",
        ),
        (
            json!({"url": URL, "headers": {"X-Team": "a\r\nb: c"}}),
            "header_value_character",
            "headers",
        ),
        (
            json!({"url": URL, "auth": {"type": "bearer", "token": "a b"}}),
            "auth_invalid",
            "auth.token",
        ),
        (
            json!({"url": URL, "auth": {"type": "api_key", "header": "Cookie\n", "value": "x"}}),
            "header_name_character",
            "auth.header",
        ),
        (json!({"url": URL, "auth": {"type": "digest"}}), "field_invalid", "auth"),
        (json!({"url": URL, "profile": "fancy"}), "field_invalid", "profile"),
        (
            json!({"url": URL, "profile": "utel", "secret": "hunter2"}),
            "secret_invalid",
            "secret",
        ),
        (
            json!({"url": URL, "profile": "voicehub", "secret": "line\nbreak"}),
            "secret_invalid",
            "secret",
        ),
        (
            json!({"url": URL, "rate_limit": 501}),
            "rate_limit_invalid",
            "rate_limit",
        ),
        (
            json!({"url": URL, "dead_letter": {"days": 2}}),
            "dead_letter_invalid",
            "dead_letter.days",
        ),
        (json!({"url": URL, "tenant": "other"}), "field_unknown", "tenant"),
    ] {
        let expected = (422, code.to_owned(), Some(field.to_owned()));
        assert_eq!(stand.refusal("POST", LIST, body).await, expected);
    }
    assert!(stand.pages(LIST, 10).await.0.is_empty());
}

#[tokio::test]
async fn a_tenant_has_at_most_fifty_endpoints_however_fast_they_are_made() {
    let stand = Stand::with_acme().await;
    for _ in 0..48 {
        stand.endpoint("acme").await;
    }
    let last = futures_util::future::join_all((0..4).map(|_| stand.ask("POST", LIST, json!({"url": URL})))).await;
    let made = last.iter().filter(|reply| reply.status == 201).count();
    let refused: Vec<String> = last
        .iter()
        .filter(|reply| reply.status != 201)
        .map(super::stand::Reply::code)
        .collect();
    assert_eq!((made, refused), (2, vec!["endpoints_limit".to_owned(); 2]));
    let (items, pages) = stand.pages(LIST, 20).await;
    let mut ids: Vec<&str> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!((ids.len(), pages), (50, 3));
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let stand = Stand::with_acme().await;
    let body = json!({"url": URL, "metadata": {"a": "1", "b": "2"}, "timeout_ms": 2000, "event_types": ["call.ended"]});
    let made = stand.ok("POST", LIST, body).await;
    stand.pass_ms(7);
    let patch = json!({
        "description": "new", "metadata": {"a": null, "c": "3"}, "timeout_ms": null, "retry": {"attempts": 2},
        "dead_letter": {"keep": false},
    });
    let changed = stand.ok("PATCH", &path_of(&made), patch).await;
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("secret");
    expected["description"] = json!("new");
    expected["metadata"] = json!({"b": "2", "c": "3"});
    expected["timeout_ms"] = json!(10_000);
    expected["retry"] = json!({"attempts": 2, "delays": [5, 30, 120, 900, 3600, 10800, 28800, 36000]});
    expected["dead_letter"] = json!({"keep": false, "days": null});
    expected["version"] = json!(START_MS + 2);
    expected["updated_at"] = json!(stand.clock.now().to_string());
    assert_eq!(changed, expected);

    stand.pass_ms(7);
    assert_eq!(
        stand.ok("PATCH", &path_of(&made), json!({})).await,
        expected,
        "nothing was changed"
    );
    for (patch, code) in [
        (json!({"url": null}), "field_missing"),
        (json!({"url": "http://10.0.0.1/"}), "url_address"),
        (
            json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
            "field_unknown",
        ),
        (
            json!({"description": "x", "auth": {"type": "bearer", "token": "t t"}}),
            "auth_invalid",
        ),
        (
            json!({"description": "x", "headers": {"webhook-id": "x"}}),
            "header_reserved",
        ),
        (json!({"header_names": ["x-a"]}), "field_unknown"),
        (json!({"version": 7}), "field_unknown"),
        (json!({"id": "ep_1"}), "field_unknown"),
        (json!({"state": "disabled"}), "field_invalid"),
    ] {
        assert_eq!(stand.refusal("PATCH", &path_of(&made), patch).await.1, code);
    }
    assert_eq!(
        stand.ok("GET", &path_of(&made), Value::Null).await,
        expected,
        "a refused patch changes nothing"
    );
    let secrets = stand
        .ok("GET", &format!("{}/secret", path_of(&made)), Value::Null)
        .await;
    assert_eq!(secrets["secret"], made["secret"]);
}

#[tokio::test]
async fn patches_at_the_same_time_are_all_applied() {
    let stand = Stand::with_acme().await;
    let made = stand.ok("POST", LIST, json!({"url": URL})).await;
    let path = path_of(&made);
    let patches = (0..4).map(|n| stand.ask("PATCH", &path, json!({"metadata": {(format!("k{n}")): "v"}})));
    let answers = futures_util::future::join_all(patches).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let metadata = stand.ok("GET", &path, Value::Null).await["metadata"].clone();
    assert_eq!(metadata, json!({"k0": "v", "k1": "v", "k2": "v", "k3": "v"}));
}

#[tokio::test]
async fn a_rotated_secret_overlaps_with_the_old_one_for_as_long_as_asked() {
    let stand = Stand::with_acme().await;
    let made = stand.ok("POST", LIST, json!({"url": URL})).await;
    let (rotate, secret) = (
        format!("{}/rotate", path_of(&made)),
        format!("{}/secret", path_of(&made)),
    );
    let rotated = stand.ok("POST", &rotate, Value::Null).await;
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!(rotated["previous"]["secret"], made["secret"]);
    assert_eq!(rotated["previous"]["expires_at"], "2026-11-19T11:06:40.000Z");
    assert_eq!(stand.clock.now().as_millis(), START_MS, "a day after the start");
    assert_eq!(stand.ok("GET", &secret, Value::Null).await, rotated);

    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let chosen = stand.ok("POST", &rotate, json!({"secret": own, "overlap_s": 60})).await;
    assert_eq!(
        (&chosen["secret"], &chosen["previous"]["secret"]),
        (&json!(own), &rotated["secret"])
    );
    stand.pass_ms(60_000);
    assert_eq!(
        stand.ok("GET", &secret, Value::Null).await,
        json!({"secret": own, "previous": null, "auth": null, "headers": {}})
    );
    let cut = stand.ok("POST", &rotate, json!({"overlap_s": 0})).await;
    assert_eq!(cut["previous"], Value::Null);
    for (body, code, field) in [
        (json!({"overlap_s": 604_801}), "overlap_invalid", "overlap_s"),
        (json!({"overlap_s": -1}), "field_invalid", "overlap_s"),
        (json!({"secret": "short"}), "secret_invalid", "secret"),
        (json!({"secret": cut["secret"]}), "secret_invalid", "secret"),
        (json!({"overlap": 5}), "field_unknown", "overlap"),
    ] {
        let expected = (422, code.to_owned(), Some(field.to_owned()));
        assert_eq!(stand.refusal("POST", &rotate, body).await, expected);
    }
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_and_matches_nothing() {
    let stand = Stand::with_acme().await;
    let made = stand.ok("POST", LIST, json!({"url": URL})).await;
    assert_eq!(stand.ask("DELETE", &path_of(&made), Value::Null).await.status, 204);
    for (method, action) in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/secret"),
        ("POST", "/rotate"),
        ("POST", "/pause"),
    ] {
        let path = format!("{}{action}", path_of(&made));
        assert_eq!(
            stand.refusal(method, &path, Value::Null).await.0,
            404,
            "{method} {action}"
        );
    }
    let event = json!({"type": "call.ended", "tenant": "acme", "data": 1});
    assert_eq!(stand.ok("POST", "/v1/events", event).await["deliveries"], 0);
}

#[tokio::test]
async fn what_a_paused_endpoint_held_is_released_when_it_is_resumed() {
    let stand = Stand::with_acme().await;
    let made = stand.ok("POST", LIST, json!({"url": URL})).await;
    let replays = "/v1/tenants/acme/replays";
    let paused = stand
        .ok("POST", &format!("{}/pause", path_of(&made)), Value::Null)
        .await;
    assert_eq!(paused["state"], "paused");
    for id in ["e1", "e2"] {
        stand.event("acme", id).await;
    }
    let held = stand
        .ok("GET", "/v1/tenants/acme/deliveries?state=held", Value::Null)
        .await;
    let reasons: Vec<&Value> = held["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| &delivery["reason"])
        .collect();
    assert_eq!(reasons, ["endpoint_paused", "endpoint_paused"]);
    let resumed = stand
        .ok("POST", &format!("{}/resume", path_of(&made)), Value::Null)
        .await;
    assert_eq!(resumed["state"], "active");
    let jobs = stand.ok("GET", replays, Value::Null).await;
    let job = &jobs["items"][0];
    assert_eq!((&job["total"], &job["state"]), (&json!(2), &json!("pending")));
    assert_eq!(
        (&job["what"]["endpoint"], &job["what"]["state"]),
        (&made["id"], &json!("held"))
    );
    assert_eq!(stand.sqs.counts("ReplayQueue").unwrap().visible, 1);
}

#[tokio::test]
async fn endpoints_that_are_made_at_the_same_time_are_all_made() {
    let stand = Stand::with_acme().await;
    let made = join_all((0..20).map(|_| stand.ask("POST", LIST, json!({"url": URL})))).await;
    let statuses: Vec<u16> = made.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [201; 20]);
    assert_eq!(stand.pages(LIST, 100).await.0.len(), 20);
}

#[tokio::test]
async fn every_way_back_to_active_releases_and_nothing_else_does() {
    let stand = Stand::with_acme().await;
    let made = stand.ok("POST", LIST, json!({"url": URL})).await;
    let jobs = async || stand.pages("/v1/tenants/acme/replays", 100).await.0.len();
    let patch = async |body: Value| stand.ok("PATCH", &path_of(&made), body).await;
    let post = async |action: &str| {
        stand
            .ok("POST", &format!("{}/{action}", path_of(&made)), Value::Null)
            .await
    };
    post("activate").await;
    post("resume").await;
    patch(json!({"description": "d"})).await;
    assert_eq!(jobs().await, 0, "it was active all the time");
    patch(json!({"state": "paused"})).await;
    assert_eq!(patch(json!({"active": true})).await["state"], "active");
    assert_eq!(jobs().await, 1);
    post("pause").await;
    post("activate").await;
    patch(json!({"active": false})).await;
    patch(json!({"active": true})).await;
    assert_eq!(jobs().await, 2);

    // A release whose job could not be made leaves held deliveries behind: asking again repairs it.
    stand.event("acme", "e1").await;
    let delivery = format!("e1.{}", made["id"].as_str().unwrap());
    let record = stand.record("acme", &delivery, DeliveryState::Held).await;
    stand.store.record_state(&record).await.unwrap();
    post("resume").await;
    assert_eq!(jobs().await, 3);
    // So do deliveries that came to their turn while the endpoint was inactive.
    patch(json!({"active": false})).await;
    patch(json!({"active": true})).await;
    assert_eq!(jobs().await, 4);
}
