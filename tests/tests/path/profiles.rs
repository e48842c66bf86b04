//! The three profiles on the wire, from the event as posted to the request as received: body, headers and User-Agent, exact.
//! The names, statuses and header names stand here as literals.

use std::collections::BTreeMap;

use redial_domain::signature::{self, Secret, TOLERANCE_S};
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, Received, World, attempts_of, ms_of};

const CHOSEN: &str = "open sesame, 2026";

fn call(event_type: &str, id: &str) -> Value {
    json!({
        "type": event_type, "tenant": "acme", "agent": "agt_7", "id": id, "occurred_at": "2026-11-20T05:00:29.120Z",
        "data": {"call_id": "call_1", "z": 1, "a": 9_007_199_254_740_993_u64},
        "related": {"call_id": "call_1"}, "links": {"call": "https://platform.example/calls/call_1"},
    })
}

/// All headers of a request but those that frame it.
fn headers_of(request: &Received) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in &request.headers {
        let before = headers.insert(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        assert_eq!(before, None, "{name} comes once");
    }
    for framing in ["host", "content-length", "accept"] {
        headers.remove(framing);
    }
    headers
}

/// The headers that every profile has, as of the request's own moment, and those of its own.
fn expected<const N: usize>(request: &Received, agent: &str, own: [(&str, &str); N]) -> BTreeMap<String, String> {
    let seconds = (request.at_ms / 1000).to_string();
    let fixed = [
        ("content-type", "application/json"),
        ("user-agent", agent),
        ("webhook-id", request.id.as_str()),
        ("webhook-timestamp", seconds.as_str()),
        ("webhook-signature", request.signature.as_str()),
    ];
    let all = fixed.into_iter().chain(own);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn redial_agent() -> String {
    format!("Redial/{}", env!("CARGO_PKG_VERSION"))
}

async fn one_request(world: &World, endpoint: &Endpoint, event: Value) -> Received {
    let before = world.requests(endpoint).len();
    assert_eq!(world.post(event).await["deliveries"], 1);
    world.run_to_the_end().await;
    let requests = world.requests(endpoint);
    assert_eq!(requests.len(), before + 1);
    let request = requests[before].clone();
    request.verify(&endpoint.secret);
    request
}

fn text(request: &Received) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

#[tokio::test]
async fn a_standard_request_is_the_envelope_of_the_design() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let request = one_request(&world, &endpoint, call("call.ended", "src_1")).await;
    assert_eq!(headers_of(&request), expected(&request, &redial_agent(), []));
    assert_eq!(
        text(&request),
        r#"{"type":"call.ended","timestamp":"2026-11-20T05:00:29.120Z","id":"src_1","tenant":"acme","agent":"agt_7","data":{"a":9007199254740993,"call_id":"call_1","z":1},"related":{"call_id":"call_1"},"links":{"call":"https://platform.example/calls/call_1","event":"http://127.0.0.1:4080/v1/tenants/acme/events/src_1"}}"#
    );
}

#[tokio::test]
async fn a_voicehub_request_is_flat_and_carries_the_secret_of_the_customers_choosing() {
    let world = World::new().await;
    let fields = json!({"profile": "voicehub", "secret": CHOSEN});
    let endpoint = world.endpoint("acme", Behaviour::Always(200), fields).await;
    let request = one_request(&world, &endpoint, call("call.ended", "src_1")).await;
    let own = [("x-webhook-secret", CHOSEN)];
    assert_eq!(headers_of(&request), expected(&request, &redial_agent(), own));
    assert_eq!(
        text(&request),
        r#"{"eventType":"CallStatusChanged","timestamp":"2026-11-20T05:00:29.120Z","eventId":"src_1","status":"completed","callId":"call_1"}"#
    );
    for (event_type, data, body) in [
        (
            "call.status_changed",
            json!({"status": "in-progress"}),
            r#"{"eventType":"CallStatusChanged","timestamp":"2026-11-20T05:00:29.120Z","eventId":"ID","status":"in-progress","callId":"call_1"}"#,
        ),
        (
            "recording.ready",
            json!({}),
            r#"{"eventType":"RecordingsAvailable","timestamp":"2026-11-20T05:00:29.120Z","eventId":"ID","callId":"call_1"}"#,
        ),
        (
            "analysis.ready",
            json!({"analysis_id": "an_1"}),
            r#"{"eventType":"AnalysisResultReady","analysisId":"an_1","timestamp":"2026-11-20T05:00:29.120Z","eventId":"ID","callId":"call_1"}"#,
        ),
    ] {
        let id = event_type.replace('.', "_");
        let mut event = call(event_type, &id);
        event["data"] = data;
        let request = one_request(&world, &endpoint, event).await;
        assert_eq!(text(&request), body.replace("ID", &id));
    }
}

#[tokio::test]
async fn an_analysis_is_linked_by_the_event_or_else_by_the_tenants_template() {
    let world = World::new().await;
    let fields = json!({"profile": "voicehub", "secret": CHOSEN});
    let endpoint = world.endpoint("acme", Behaviour::Always(200), fields).await;
    let template = "https://api.platform.com/v2/{call_id}/analyses/{analysis_id}?event={event_id}";
    world
        .call("PUT", "/v1/tenants/acme", json!({"analysis_url": template}), 200)
        .await;
    let mut event = call("analysis.ready", "src_1");
    event["data"] = json!({"analysis_id": "an/1"});
    event["related"] = json!({"call_id": "call 1"});
    let linked = |request: &Received| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["analysisResultUrl"].clone()
    };
    let request = one_request(&world, &endpoint, event.clone()).await;
    assert_eq!(
        linked(&request),
        "https://api.platform.com/v2/call%201/analyses/an%2F1?event=src_1"
    );
    event["id"] = json!("src_2");
    event["links"] = json!({"analysis": "https://api.platform.com/an/1"});
    let request = one_request(&world, &endpoint, event.clone()).await;
    assert_eq!(linked(&request), "https://api.platform.com/an/1");

    world
        .call("PUT", "/v1/tenants/acme", json!({"analysis_url": ""}), 200)
        .await;
    // A dispatcher's copy of the tenant is at most 30 seconds old.
    world.pass_ms(31_000).await;
    event["id"] = json!("src_3");
    event["links"] = json!({});
    let request = one_request(&world, &endpoint, event).await;
    assert_eq!(linked(&request), Value::Null);
    for template in [
        "ftp://api.platform.com/",
        "https://{call_id}.com/",
        "https://api.platform.com/{agent}",
        "x",
    ] {
        let body = json!({"analysis_url": template});
        let refused = world.call("PUT", "/v1/tenants/acme", body, 422).await;
        assert_eq!(
            (&refused["code"], &refused["field"]),
            (&json!("analysis_url_invalid"), &json!("analysis_url")),
            "{template}"
        );
    }
}

#[tokio::test]
async fn a_utel_request_has_time_and_data_and_its_own_user_agent() {
    let world = World::new().await;
    let endpoint = world
        .endpoint("acme", Behaviour::Always(200), json!({"profile": "utel"}))
        .await;
    let request = one_request(&world, &endpoint, call("call.ended", "src_1")).await;
    assert_eq!(headers_of(&request), expected(&request, "UtelHttpAgent/1.0", []));
    assert_eq!(
        text(&request),
        r#"{"time":"2026-11-20T05:00:29.120Z","data":{"event":"call_ended","a":9007199254740993,"call_id":"call_1","z":1}}"#
    );
    for (event_type, kind, name) in [
        ("call.started", None, "call_started"),
        ("dial.started", None, "dial_started"),
        ("dial.answered", None, "dial_answered"),
        ("dial.ended", None, "dial_ended"),
        ("recording.ready", None, "call_saved"),
        ("transfer.completed", Some("blind"), "call_blind_transferred"),
        ("call.transferred", Some("attended"), "call_attended_transferred"),
    ] {
        let mut event = call(event_type, &event_type.replace('.', "_"));
        event["data"] = kind.map_or(json!({}), |kind| json!({"kind": kind}));
        let request = one_request(&world, &endpoint, event).await;
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["data"]["event"], name, "{event_type}");
    }
}

#[tokio::test]
async fn every_kind_of_authentication_and_every_custom_header_is_sent_beside_the_signature() {
    let world = World::new().await;
    for (auth, name, value) in [
        (
            json!({"type": "api_key", "header": "X-Api-Key", "value": "k 1"}),
            "x-api-key",
            "k 1",
        ),
        (
            json!({"type": "basic", "username": "Aladdin", "password": "open sesame"}),
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (
            json!({"type": "bearer", "token": "a.b.c"}),
            "authorization",
            "Bearer a.b.c",
        ),
    ] {
        for profile in ["standard", "voicehub", "utel"] {
            let headers = json!({"X-Team": "voice: eu", "cookie": "a=b"});
            let fields = json!({"profile": profile, "auth": auth, "headers": headers});
            let endpoint = world.endpoint("acme", Behaviour::Always(200), fields).await;
            let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
            let id = format!("{}_{profile}", auth["type"].as_str().unwrap());
            let request = one_request(&world, &endpoint, call("call.ended", &id)).await;
            let agent = if profile == "utel" {
                "UtelHttpAgent/1.0".to_owned()
            } else {
                redial_agent()
            };
            let mut all = expected(
                &request,
                &agent,
                [("x-team", "voice: eu"), ("cookie", "a=b"), (name, value)],
            );
            if profile == "voicehub" {
                all.insert("x-webhook-secret".to_owned(), endpoint.secret.reveal().to_owned());
            }
            assert_eq!(headers_of(&request), all, "{auth} {profile}");
            world.call("DELETE", &path, Value::Null, 204).await;
        }
    }
}

#[tokio::test]
async fn a_thin_payload_has_ids_and_links_only() {
    let world = World::new().await;
    for (profile, body) in [
        (
            "standard",
            r#"{"type":"call.ended","timestamp":"2026-11-20T05:00:29.120Z","id":"ID","tenant":"acme","agent":"agt_7","related":{"call_id":"call_1"},"links":{"call":"https://platform.example/calls/call_1","event":"http://127.0.0.1:4080/v1/tenants/acme/events/ID"}}"#,
        ),
        (
            "voicehub",
            r#"{"eventType":"CallStatusChanged","timestamp":"2026-11-20T05:00:29.120Z","eventId":"ID","status":"completed","callId":"call_1"}"#,
        ),
        (
            "utel",
            r#"{"time":"2026-11-20T05:00:29.120Z","data":{"event":"call_ended","call_id":"call_1"}}"#,
        ),
    ] {
        let fields = json!({"profile": profile, "payload": "thin"});
        let endpoint = world.endpoint("acme", Behaviour::Always(200), fields).await;
        let request = one_request(&world, &endpoint, call("call.ended", profile)).await;
        assert_eq!(text(&request), body.replace("ID", profile));
        let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
        world.call("DELETE", &path, Value::Null, 204).await;
    }
}

#[tokio::test]
async fn a_type_without_a_name_in_a_profile_never_reaches_its_endpoints() {
    let world = World::new().await;
    let mut endpoints = Vec::new();
    for profile in ["standard", "voicehub", "utel"] {
        let fields = json!({"profile": profile});
        endpoints.push(world.endpoint("acme", Behaviour::Always(200), fields).await);
    }
    for (event_type, deliveries) in [
        ("call.started", 3),
        ("analysis.ready", 2),
        ("dial.answered", 2),
        ("qa.scored", 1),
        ("transfer.requested", 1),
    ] {
        let posted = world.post(call(event_type, &event_type.replace('.', "_"))).await;
        assert_eq!(posted["deliveries"], deliveries, "{event_type}");
    }
    world.run_to_the_end().await;
    let counts: Vec<usize> = endpoints
        .iter()
        .map(|endpoint| world.requests(endpoint).len())
        .collect();
    assert_eq!(counts, [5, 2, 2]);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_rotated_secret_signs_beside_the_old_one_and_alone_travels_in_the_header() {
    let world = World::new().await;
    let fields = json!({"profile": "voicehub", "secret": CHOSEN});
    let endpoint = world.endpoint("acme", Behaviour::Always(200), fields).await;
    let path = format!("/v1/tenants/acme/endpoints/{}/rotate", endpoint.id);
    let rotation = json!({"secret": "the second", "overlap_s": 3600});
    world.call("POST", &path, rotation, 200).await;
    let request = one_request(&world, &endpoint, call("call.ended", "src_1")).await;
    assert_eq!(headers_of(&request)["x-webhook-secret"], "the second");
    let new = Secret::parse_chosen("the second").unwrap();
    request.verify(&new);
    assert_eq!(request.signature.split(' ').count(), 2);
    world.pass_ms(3_600_000).await;
    assert_eq!(world.post(call("call.ended", "src_2")).await["deliveries"], 1);
    world.run_to_the_end().await;
    let request = world.requests(&endpoint)[1].clone();
    request.verify(&new);
    assert_eq!(request.signature.split(' ').count(), 1, "the overlap is over");
}

#[tokio::test]
async fn a_delay_in_milliseconds_is_rounded_up_to_whole_seconds_on_the_clock() {
    let world = World::new().await;
    let retry = json!({"attempts": 3, "delay_ms": 1500});
    let fields = json!({"profile": "voicehub", "retry": retry});
    let endpoint = world.endpoint("acme", Behaviour::FailFirst(2), fields).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
    assert_eq!(world.get(&path).await["retry"], retry, "echoed as given");
    world.post(call("call.ended", "src_1")).await;
    world.run_to_the_end().await;
    let delivery = world.delivery("acme", "src_1", &endpoint).await;
    let at: Vec<i64> = attempts_of(&delivery)
        .iter()
        .map(|attempt| ms_of(&attempt["at"]))
        .collect();
    let waits: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 2);
    // Jitter adds up to a fifth, in whole seconds.
    assert!(waits.iter().all(|ms| (2_000..=3_000).contains(ms)), "{waits:?}");
    let bodies: Vec<_> = world
        .requests(&endpoint)
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "the same bytes at every attempt"
    );
}

/// The signature as Standard Webhooks 1.0.0 says, checked by the one function that its own examples check.
#[tokio::test]
async fn a_signature_covers_the_id_the_time_and_every_byte_of_the_body() {
    let world = World::new().await;
    for profile in ["standard", "voicehub", "utel"] {
        let fields = json!({"profile": profile});
        let endpoint = world.endpoint("acme", Behaviour::Always(200), fields).await;
        let request = one_request(&world, &endpoint, call("call.ended", profile)).await;
        let now = redial_domain::Timestamp::from_millis(request.at_ms);
        let secrets = [endpoint.secret.clone()];
        let holds = |id: &str, time: &str, body: &[u8]| {
            signature::verify(&secrets, id, time, body, &request.signature, now, TOLERANCE_S).is_ok()
        };
        assert!(holds(&request.id, &request.timestamp, &request.body));
        let mut changed = request.body.to_vec();
        changed[0] ^= 1;
        let later = (request.at_ms / 1000 + 1).to_string();
        assert!(!holds("other", &request.timestamp, &request.body), "{profile}");
        assert!(!holds(&request.id, &later, &request.body), "{profile}");
        assert!(!holds(&request.id, &request.timestamp, &changed), "{profile}");
        let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
        world.call("DELETE", &path, Value::Null, 204).await;
    }
}
