//! Tests of reading lists, of what they mean for what is stored, and of the envelope.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, header};
use axum::routing::get;
use redial_domain::address::AddressPolicy;
use redial_domain::profile::Profile;
use redial_domain::{TenantId, Timestamp};
use redial_platform::respond;
use redial_platform::seal::SealedSecrets;
use tower::ServiceExt as _;

use super::*;

const NAMES: [&str; 7] = [
    "call_started",
    "call_ended",
    "dial_started",
    "dial_answered",
    "dial_ended",
    "call_transferred",
    "call_saved",
];

fn item(url: &str, on: &[&str]) -> Value {
    let mut item = json!({ "url": url });
    for name in NAMES {
        item[name] = json!(on.contains(&name));
    }
    item
}

fn list_of(items: &[Value]) -> Vec<WebhookResource> {
    read(json!(items).to_string().as_bytes()).unwrap()
}

fn refusal(body: &Value) -> (u16, String, String) {
    let problem = read(body.to_string().as_bytes()).unwrap_err();
    (problem.status, problem.code, problem.field.unwrap_or_default())
}

fn with(mut item: Value, name: &str, value: Value) -> Value {
    item[name] = value;
    item
}

#[test]
fn every_member_is_required_and_a_refusal_says_where() {
    let good = item("https://a.example.com/", &["call_ended"]);
    for name in NAMES.iter().chain(&["url"]) {
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().remove(*name);
        let field = format!("[1].{name}");
        let other = item("https://b.example.com/", &[]);
        assert_eq!(
            refusal(&json!([other, missing])),
            (422, "field_missing".to_owned(), field.clone())
        );
        let nulled = with(good.clone(), name, Value::Null);
        assert_eq!(
            refusal(&json!([other, nulled])),
            (422, "field_missing".to_owned(), field)
        );
        for value in [json!(1), json!(["x"]), json!({})] {
            let (_, code, field) = refusal(&json!([with(good.clone(), name, value)]));
            assert_eq!((code.as_str(), field), ("field_invalid", format!("[0].{name}")));
        }
    }
    for name in NAMES {
        assert_eq!(
            refusal(&json!([with(good.clone(), name, json!("true"))])).1,
            "field_invalid"
        );
    }
    let more = with(good, "id", json!(7));
    assert_eq!(
        refusal(&json!([more])),
        (422, "field_unknown".to_owned(), "[0].id".to_owned())
    );
    assert_eq!(
        refusal(&json!(["x"])),
        (422, "field_invalid".to_owned(), "[0]".to_owned())
    );
}

#[test]
fn what_is_no_list_is_refused() {
    for body in [
        "",
        " ",
        "{}",
        "null",
        "7",
        "[",
        "[]]",
        "[{\"url\":\"a\",\"url\":\"b\"}]",
        "\u{feff}[]",
    ] {
        let problem = read(body.as_bytes()).unwrap_err();
        assert_eq!((problem.status, problem.code.as_str()), (400, "json_invalid"), "{body}");
    }
    assert_eq!(read(b"[\xff]").unwrap_err().status, 400);
    assert!(read(b" [] ").unwrap().is_empty());
}

#[test]
fn a_url_listed_twice_is_an_error_however_it_is_spelled() {
    for other in [
        "https://a.example.com/x",
        "HTTPS://A.example.com/x",
        "https://a.example.com:443/x",
    ] {
        let twice = json!([
            item("https://a.example.com/x", &["call_ended"]),
            item(other, &["call_saved"])
        ]);
        assert_eq!(
            refusal(&twice),
            (422, "url_repeated".to_owned(), "[1].url".to_owned()),
            "{other}"
        );
    }
    let different = [
        item("https://a.example.com/x", &[]),
        item("https://a.example.com/X", &[]),
    ];
    assert_eq!(list_of(&different).len(), 2);
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// A stored endpoint, made at `made_ms`.
fn stored(made_ms: i64, members: Value, state: EndpointState) -> Arc<StoredEndpoint> {
    let Value::Object(members) = members else {
        panic!("an object")
    };
    let policy = AddressPolicy::strict();
    let rules = UrlRules {
        policy: &policy,
        own_hosts: &[],
    };
    Arc::new(StoredEndpoint {
        hold: None,
        slow: None,
        endpoint: Endpoint {
            id: EndpointId::mint(u128::try_from(made_ms).unwrap()),
            tenant: TenantId::parse("acme").unwrap(),
            state,
            settings: settings(&mut Fields(members), rules, None).unwrap(),
            version: 1,
            created_at: at(made_ms),
            updated_at: at(made_ms),
            kept_until: None,
            kept_at: None,
        },
        sealed: SealedSecrets::from_bytes(vec![1]),
    })
}

fn utel(made_ms: i64, url: &str, types: &[&str]) -> Arc<StoredEndpoint> {
    let members = json!({"url": url, "profile": "utel", "event_types": types});
    stored(made_ms, members, EndpointState::Active)
}

fn listed(stored: &[Arc<StoredEndpoint>]) -> Vec<WebhookResource> {
    plan::listing(stored.iter().map(|stored| &stored.endpoint))
}

#[test]
fn what_is_listed_put_back_changes_nothing() {
    let inactive = json!({"url": "https://c.example.com/", "profile": "utel"});
    let of_agents = json!({"url": "https://d.example.com/", "profile": "utel", "agents": ["agt_1"]});
    let stored = [
        utel(3, "https://a.example.com/", &["call.*"]),
        utel(1, "https://b.example.com/", &[]),
        stored(2, inactive, EndpointState::Inactive),
        stored(4, of_agents, EndpointState::Paused),
        utel(5, "https://A.example.com", &["recording.ready"]),
        stored(6, json!({"url": "https://s.example.com/"}), EndpointState::Active),
    ];
    let list = listed(&stored);
    let urls: Vec<&str> = list.iter().map(|resource| resource.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "https://b.example.com/",
            "https://c.example.com/",
            "https://a.example.com/",
            "https://d.example.com/"
        ]
    );
    assert!(list[0].dial_answered && list[2].call_saved && list[2].call_ended && !list[2].dial_ended);
    assert!(
        !list[1].call_started,
        "an inactive one without a filter asks for nothing"
    );
    assert!(list[3].call_started, "a filter by agent asks too");
    let (plan, new) = plan::compare(&stored, &list, at(9));
    assert!(plan.is_empty() && new.is_empty(), "{plan:?}");
}

#[test]
fn other_booleans_change_an_endpoint_in_place_and_what_is_not_listed_goes() {
    let paused = json!({"url": "https://b.example.com/", "profile": "utel", "timeout_ms": 2000, "agents": ["agt_1"]});
    let stored = [
        utel(1, "https://a.example.com/", &["call.ended", "call.failed"]),
        stored(2, paused, EndpointState::Paused),
        utel(3, "https://c.example.com/", &[]),
        stored(4, json!({"url": "https://s.example.com/"}), EndpointState::Active),
    ];
    let wanted = list_of(&[
        item("https://new.example.com/", &["call_saved"]),
        item("https://b.example.com/", &["call_saved"]),
        item("https://a.example.com/", &["call_ended"]),
    ]);
    let (plan, new) = plan::compare(&stored, &wanted, at(9));
    assert_eq!(new, [0]);
    assert_eq!(plan.delete, [stored[2].endpoint.id.clone()]);
    let [changed] = &plan.put[..] else { panic!("{plan:?}") };
    let mut expected = StoredEndpoint::clone(&stored[1]);
    expected.endpoint.settings.filter.event_types = wanted[1].event_types();
    expected.endpoint.updated_at = at(9);
    assert_eq!(*changed, expected, "state, agents, timeout and secrets stay");
    assert_eq!(plan.after(&stored).count(), 3);
}

#[test]
fn an_endpoint_that_is_switched_off_is_inactive_and_begins_when_it_is_switched_on() {
    let url = "https://a.example.com/";
    let on = [utel(1, url, &["call.ended"])];
    let (plan, _) = plan::compare(&on, &list_of(&[item(url, &[])]), at(2));
    let off = [Arc::new(plan.put[0].clone())];
    assert_eq!(off[0].endpoint.state, EndpointState::Inactive);
    assert_eq!(listed(&off), list_of(&[item(url, &[])]));
    let (plan, _) = plan::compare(&off, &list_of(&[item(url, &["call_ended"])]), at(3));
    assert_eq!(plan.put[0].endpoint.state, EndpointState::Active);
    // Whoever put the list sees no state: what is switched on is sent. A list that changes nothing leaves it alone.
    let members = json!({"url": url, "profile": "utel", "event_types": ["call.ended"]});
    let waiting = [stored(1, members, EndpointState::Inactive)];
    let (plan, _) = plan::compare(&waiting, &list_of(&[item(url, &["call_saved"])]), at(3));
    assert_eq!(plan.put[0].endpoint.state, EndpointState::Active);
    let (plan, _) = plan::compare(&waiting, &listed(&waiting), at(3));
    assert!(plan.is_empty(), "{plan:?}");
}

#[test]
fn of_several_endpoints_of_one_url_the_oldest_stays_when_the_list_changes_them() {
    let url = "https://a.example.com/";
    let two = [utel(2, url, &["call.ended"]), utel(1, url, &["recording.ready"])];
    let (plan, _) = plan::compare(&two, &list_of(&[item(url, &["dial_ended"])]), at(3));
    assert_eq!(plan.put[0].endpoint.id, two[1].endpoint.id);
    assert_eq!(plan.delete, [two[0].endpoint.id.clone()]);
}

#[test]
fn another_spelling_of_a_url_is_taken_over_and_nothing_else_changes() {
    let one = [utel(1, "https://a.example.com", &["call.*"])];
    let mut wanted = listed(&one);
    wanted[0].url = "https://a.example.com/".to_owned();
    let (plan, new) = plan::compare(&one, &wanted, at(3));
    assert!(new.is_empty() && plan.delete.is_empty());
    assert_eq!(plan.respelled(&wanted), [(0, "https://a.example.com/")]);
    assert_eq!(plan.put[0].endpoint.settings.filter, one[0].endpoint.settings.filter);
    assert_eq!(plan.put[0].endpoint.settings.url, "https://a.example.com/");
}

#[test]
fn a_new_endpoint_is_of_profile_utel_with_the_types_of_its_booleans() {
    let [resource] = &list_of(&[item("https://a.example.com/", &["call_ended", "call_saved"])])[..] else {
        panic!("one")
    };
    let chosen = plan::chosen(resource);
    assert_eq!(chosen["profile"], json!(Profile::Utel));
    assert_eq!(
        chosen["event_types"],
        json!(["call.ended", "call.failed", "recording.ready"])
    );
    assert_eq!(plan::state_of_new(resource), EndpointState::Active);
}

async fn careless() -> &'static str {
    panic!("canary")
}

async fn refused() -> Problem {
    refuse("field_missing", "[0].url", "is required")
}

async fn wrapped(method: &str, path: &str) -> (u16, axum::http::HeaderMap, Value) {
    let router = Router::new()
        .route(PATH, get(careless).put(refused))
        .route("/elsewhere", get(refused))
        .method_not_allowed_fallback(respond::method_not_allowed)
        .layer(axum::middleware::from_fn(respond::guarded))
        .layer(axum::middleware::from_fn(enveloped));
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 4096).await.unwrap();
    (
        parts.status.as_u16(),
        parts.headers,
        serde_json::from_slice(&body).unwrap(),
    )
}

#[tokio::test]
async fn every_refusal_on_the_path_wears_the_envelope_even_a_panic() {
    let envelope =
        |code: u16, message: &str| json!({"status": "error", "code": code, "result": [], "message": message});
    let (status, headers, body) = wrapped("GET", PATH).await;
    assert_eq!(
        (status, body),
        (500, envelope(500, "something failed on our side; trying again is safe"))
    );
    assert!(headers.contains_key(header::RETRY_AFTER));
    let (status, headers, body) = wrapped("PUT", PATH).await;
    assert_eq!((status, body), (422, envelope(422, "[0].url: is required")));
    assert_eq!(
        headers[header::CONTENT_TYPE],
        HeaderValue::from_static("application/json")
    );
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    let (status, headers, body) = wrapped("DELETE", PATH).await;
    assert_eq!((status, body["code"].clone()), (405, json!(405)));
    assert!(headers[header::ALLOW].to_str().unwrap().contains("PUT"));
    let (_, headers, _) = wrapped("GET", "/elsewhere").await;
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
}
