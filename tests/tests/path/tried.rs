//! Endpoints tried out: one request now, everything that was seen of it, and nothing that remembers it.

use std::io::ErrorKind;

use futures_util::future::join_all;
use redial_domain::signature::Secret;
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_platform::test_limit::{MARGIN_MS, MAX_RUNNING, TestLease, TestRefusal};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Behaviour, Endpoint, INSIDE, RECEIVERS, Received, World};

const LIST: &str = "/v1/tenants/acme/endpoints";
/// Tests that are asked for at the same time.
const MANY: usize = 100;

fn path(endpoint: &Endpoint) -> String {
    format!("{LIST}/{}/test", endpoint.id)
}

async fn tried(world: &World, endpoint: &Endpoint, sample: Value) -> Value {
    world.call("POST", &path(endpoint), sample, 200).await
}

/// An endpoint at any URL, with nobody behind it that a world knows.
async fn at(world: &World, url: &str) -> String {
    world
        .request("PUT", "/v1/tenants/acme", Some(world.key()), &json!({}))
        .await;
    let body = json!({"url": url, "timeout_ms": 1000});
    let made = world.call("POST", LIST, body, 201).await;
    format!("{LIST}/{}/test", made["id"].as_str().unwrap())
}

/// Reads a request to the end of its body, which is an object.
async fn read_whole(stream: &TcpStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        stream.readable().await.unwrap();
        let mut part = [0; 4096];
        match stream.try_read(&mut part) {
            Ok(0) => panic!("the request broke off"),
            Ok(length) => seen.extend_from_slice(&part[..length]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
    }
}

/// A port where nobody listens.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Everything that both tables hold, but for how many tests there were.
async fn stored(world: &World) -> [Value; 2] {
    let config = world.in_table("Scan", &json!({"TableName": "ConfigTable"})).await;
    let mut events = world.in_table("Scan", &json!({"TableName": "EventsTable"})).await;
    let items = events["Items"].as_array_mut().unwrap();
    items.retain(|item| item["pk"]["S"] != "test/acme");
    [config, events["Items"].take()]
}

/// The headers that came, by name, as the exchange shows them.
fn shown_headers(exchange: &Value) -> Vec<(&str, &str)> {
    let headers = exchange["request"]["headers"].as_array().unwrap().iter();
    headers
        .map(|header| (header["name"].as_str().unwrap(), header["value"].as_str().unwrap()))
        .collect()
}

fn header<'a>(request: &'a Received, name: &str) -> &'a str {
    request.headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_test_shows_the_request_that_came_the_answer_and_the_time_of_each_step() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let exchange = tried(&world, &endpoint, Value::Null).await;
    assert_eq!(
        (
            &exchange["ok"],
            &exchange["code"],
            &exchange["failed_at"],
            &exchange["advice"]
        ),
        (&json!(true), &json!("ok"), &Value::Null, &Value::Null)
    );
    let requests = world.requests(&endpoint);
    let [request] = requests.as_slice() else {
        panic!("{} requests", requests.len());
    };
    // As any delivery: signed with the endpoint's secret, in its profile, but marked.
    request.verify(&endpoint.secret);
    assert!(request.id.starts_with("test_"), "{}", request.id);
    assert_eq!(header(request, "webhook-test"), "1");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["type"], &body["tenant"]), (&json!("call.ended"), &json!("acme")));
    assert_eq!(body["id"], request.id);
    assert!(
        body["data"].as_object().unwrap().len() > 3,
        "the catalogue's example: {body}"
    );
    // Shown as it came, byte for byte and header by header.
    assert_eq!(exchange["request"]["method"], "POST");
    assert_eq!(
        exchange["request"]["body"],
        String::from_utf8_lossy(&request.body).as_ref()
    );
    let shown = shown_headers(&exchange);
    assert_eq!(shown.len(), request.headers.len());
    for (name, value) in shown {
        assert_eq!(header(request, name), value, "{name}");
    }
    assert_eq!(exchange["response"]["status"], 200);
    assert_eq!(exchange["response"]["version"], "HTTP/1.1");
    let steps = ["dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "total_ms"];
    let timed = steps.map(|step| exchange["timings"][step].is_u64());
    assert_eq!(
        timed,
        [false, true, false, true, true],
        "an address, without TLS: {exchange}"
    );
    assert_eq!(exchange["addresses"], json!(["127.0.0.1"]));
}

#[tokio::test]
async fn nothing_remembers_a_test_whatever_came_of_it_and_in_whatever_state() {
    let world = World::new().await;
    let fails = world.endpoint("acme", Behaviour::Always(410), json!({})).await;
    let paused = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let activate = format!("{LIST}/{}", paused.id);
    world.call("POST", &format!("{activate}/pause"), Value::Null, 200).await;
    let inactive = json!({"url": format!("http://{RECEIVERS}:{}/", closed_port().await), "active": false});
    let inactive = world.call("POST", LIST, inactive, 201).await;
    let inactive = format!("{LIST}/{}", inactive["id"].as_str().unwrap());
    let before = stored(&world).await;
    let gone = tried(&world, &fails, json!({})).await;
    assert_eq!((&gone["ok"], &gone["code"]), (&json!(false), &json!("gone")));
    assert!(
        gone["advice"].as_str().unwrap().contains("disables the endpoint"),
        "{gone}"
    );
    assert_eq!(tried(&world, &paused, json!({})).await["ok"], true);
    let refused = world.call("POST", &format!("{inactive}/test"), json!({}), 200).await;
    assert_eq!(refused["code"], "connect_failed");
    assert_eq!(stored(&world).await, before);
    world.nothing_is_left().await;
    assert_eq!(world.get(&inactive).await["state"], "inactive");
    assert_eq!(world.get(&format!("{LIST}/{}", fails.id)).await["state"], "active");
    assert_eq!(world.get("/v1/tenants/acme/events").await["items"], json!([]));
    assert_eq!(world.get("/v1/tenants/acme/deliveries").await["items"], json!([]));
}

#[tokio::test]
async fn each_failure_says_where_and_what_to_mend() {
    let world = World::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let closed_port = closed_port().await;
    let fails = world.endpoint("acme", Behaviour::Always(500), json!({})).await;
    let exchange = tried(&world, &fails, json!({})).await;
    assert_eq!(
        (
            &exchange["code"],
            &exchange["failed_at"],
            &exchange["response"]["status"]
        ),
        (&json!("http_error"), &json!("response"), &json!(500))
    );
    for (url, code, failed_at, reached) in [
        (
            format!("http://{RECEIVERS}:{silent_port}/"),
            "timeout",
            "response",
            [true, true],
        ),
        (
            format!("http://{RECEIVERS}:{closed_port}/"),
            "connect_failed",
            "connect",
            [true, true],
        ),
        (
            "https://nobody.example.com/".to_owned(),
            "dns_failed",
            "dns",
            [true, false],
        ),
    ] {
        let exchange = world.call("POST", &at(&world, &url).await, Value::Null, 200).await;
        assert_eq!(exchange["ok"], false);
        assert_eq!(
            (&exchange["code"], &exchange["failed_at"]),
            (&json!(code), &json!(failed_at))
        );
        assert_eq!(exchange["response"], Value::Null);
        let timed = ["dns_ms", "connect_ms"].map(|step| exchange["timings"][step].is_u64());
        assert_eq!(timed, reached, "{code}");
        assert_eq!(exchange["timings"]["first_byte_ms"], Value::Null);
        for sentence in ["explanation", "advice"] {
            assert!(exchange[sentence].as_str().unwrap().ends_with('.'), "{exchange}");
        }
    }
    let told = world
        .call(
            "POST",
            &at(&world, &format!("http://{RECEIVERS}:{silent_port}/")).await,
            Value::Null,
            200,
        )
        .await;
    let explanation = told["explanation"].as_str().unwrap();
    assert!(
        explanation.contains("1000 ms"),
        "the endpoint's own timeout: {explanation}"
    );
}

#[tokio::test]
async fn an_address_inside_is_neither_reached_nor_measured_nor_named() {
    let world = World::new().await;
    let canary = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let open = canary.local_addr().unwrap().port();
    let mut seen = Vec::new();
    for port in [open, 1026] {
        let path = at(&world, &format!("http://{INSIDE}:{port}/")).await;
        let mut exchange = world.call("POST", &path, Value::Null, 200).await;
        assert_eq!(
            (&exchange["code"], &exchange["failed_at"]),
            (&json!("blocked"), &json!("policy"))
        );
        assert_eq!(exchange["addresses"], json!([]));
        let timings = exchange["timings"].as_object().unwrap();
        assert!(timings.values().all(Value::is_null), "{exchange}");
        // Ids, signatures and the URL are the request's own.
        exchange["request"] = Value::Null;
        assert!(!exchange.to_string().contains("127.0.0"), "{exchange}");
        seen.push(exchange);
    }
    assert_eq!(seen[0], seen[1], "open and closed look alike");
    // Connections queue in order: if the first is ours, nobody came before us.
    let ours = TcpStream::connect(canary.local_addr().unwrap()).await.unwrap();
    let (_first, peer) = canary.accept().await.unwrap();
    assert_eq!(peer, ours.local_addr().unwrap(), "somebody reached the canary");
}

#[tokio::test]
async fn each_profile_sends_its_own_and_the_sample_is_of_a_type_that_the_endpoint_wants() {
    let world = World::new().await;
    for (fields, member, expected) in [
        (
            json!({"profile": "standard", "event_types": ["transfer.*"]}),
            "/type",
            "transfer.",
        ),
        (
            json!({"profile": "voicehub", "secret": "any old text"}),
            "/eventType",
            "",
        ),
        (json!({"profile": "utel"}), "/data/event", ""),
    ] {
        let endpoint = world.endpoint("acme", Behaviour::Always(200), fields.clone()).await;
        let exchange = tried(&world, &endpoint, Value::Null).await;
        assert_eq!(exchange["ok"], true, "{exchange}");
        let request = world.requests(&endpoint).remove(0);
        assert!(request.id.starts_with("test_"));
        assert_eq!(header(&request, "webhook-test"), "1");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let name = body.pointer(member).and_then(Value::as_str).unwrap_or_default();
        assert!(!name.is_empty() && name.starts_with(expected), "{fields}: {body}");
        request.verify(&endpoint.secret);
    }
    let utel = world
        .endpoint("acme", Behaviour::Always(200), json!({"profile": "utel"}))
        .await;
    let refused = world
        .call("POST", &path(&utel), json!({"type": "qa.scored"}), 422)
        .await;
    assert_eq!(
        (&refused["code"], &refused["field"]),
        (&json!("event_type_not_in_profile"), &json!("type"))
    );
    assert!(world.requests(&utel).is_empty());
}

#[tokio::test]
async fn the_sample_may_be_of_any_type_and_say_anything() {
    let world = World::new().await;
    let fields = json!({"agents": ["agt_7"], "event_types": ["call.ended"]});
    let endpoint = world.endpoint("acme", Behaviour::Always(200), fields).await;
    let sent = |sample: Value| {
        let (world, endpoint) = (&world, &endpoint);
        async move {
            assert_eq!(tried(world, endpoint, sample).await["ok"], true);
            let request = world.requests(endpoint).pop().unwrap();
            serde_json::from_slice::<Value>(&request.body).unwrap()
        }
    };
    let own = sent(json!({"type": "order.shipped", "data": [1, {"a": "ü"}]})).await;
    assert_eq!(
        (&own["type"], &own["data"]),
        (&json!("order.shipped"), &json!([1, {"a": "ü"}]))
    );
    assert_eq!(own["agent"], "agt_7", "an agent that the endpoint takes");
    assert_eq!(sent(json!({"type": "order.shipped"})).await["data"], json!({}));
    let example = &redial_domain::catalogue::find("call.failed").unwrap().example;
    assert_eq!(
        &sent(json!({"type": "call.failed", "data": null})).await["data"],
        example
    );
}

#[tokio::test]
async fn a_type_of_the_tenants_own_has_its_own_example() {
    let world = World::new().await;
    let endpoint = world
        .endpoint(
            "acme",
            Behaviour::Always(200),
            json!({"event_types": ["order.shipped"]}),
        )
        .await;
    let own = json!({"group": "orders", "schema": {"type": "object"}, "example": {"order": 7}});
    world
        .call("PUT", "/v1/tenants/acme/event-types/order.shipped", own, 201)
        .await;
    for sample in [Value::Null, json!({"type": "order.shipped"})] {
        tried(&world, &endpoint, sample).await;
        let body: Value = serde_json::from_slice(&world.requests(&endpoint).pop().unwrap().body).unwrap();
        assert_eq!(
            (&body["type"], &body["data"]),
            (&json!("order.shipped"), &json!({"order": 7}))
        );
    }
}

#[tokio::test]
async fn what_is_no_sample_is_refused_and_nothing_is_sent() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    for (sample, status, code, field) in [
        (json!({"type": "not a type"}), 422, "event_type_invalid", json!("type")),
        (json!({"type": 7}), 422, "field_invalid", json!("type")),
        (json!({"tpye": "call.ended"}), 422, "field_unknown", json!("tpye")),
        (json!([]), 400, "json_invalid", Value::Null),
        (json!({"data": "x".repeat(262_144)}), 413, "body_too_large", Value::Null),
    ] {
        let refused = world.call("POST", &path(&endpoint), sample, status).await;
        assert_eq!((&refused["code"], &refused["field"]), (&json!(code), &field));
    }
    assert!(world.requests(&endpoint).is_empty());
}

#[tokio::test]
async fn what_authenticates_is_sent_and_not_shown() {
    let world = World::new().await;
    let fields = json!({
        "auth": {"type": "api_key", "header": "x-api-key", "value": "canary-key"},
        "headers": {"x-team": "canary-header"},
    });
    let endpoint = world.endpoint("acme", Behaviour::Always(200), fields).await;
    let voicehub = json!({"profile": "voicehub", "secret": "canary-secret"});
    let voicehub = world.endpoint("acme", Behaviour::Always(200), voicehub).await;
    for (endpoint, hidden) in [
        (&endpoint, &["x-api-key", "x-team"][..]),
        (&voicehub, &["x-webhook-secret"]),
    ] {
        let exchange = tried(&world, endpoint, Value::Null).await;
        assert!(!exchange.to_string().contains("canary"), "{exchange}");
        let request = world.requests(endpoint).remove(0);
        for name in hidden {
            assert!(header(&request, name).starts_with("canary-"), "{name}");
            assert!(shown_headers(&exchange).contains(&(name, "[hidden]")), "{name}");
        }
    }
}

#[tokio::test]
async fn another_tenants_endpoint_is_as_unknown_as_none() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.endpoint("other", Behaviour::Always(200), json!({})).await;
    let key = json!({"scope": "tenant:other", "name": "other"});
    let key = world.call("POST", "/v1/keys", key, 201).await;
    let key = key["key"].as_str().unwrap();
    let own = format!("/v1/tenants/other/endpoints/{}/test", endpoint.id);
    let missing = "/v1/tenants/acme/endpoints/ep_0000000000000000/test";
    for (key, path) in [(key, path(&endpoint).as_str()), (key, &own), (world.key(), missing)] {
        let (status, answer) = world.request("POST", path, Some(key), &Value::Null).await;
        assert_eq!((status, &answer["code"]), (404, &json!("not_found")), "{path}");
    }
    assert!(world.requests(&endpoint).is_empty());
}

#[tokio::test]
async fn nobody_fires_tests_for_long() {
    let world = World::new().await;
    let mut endpoints = Vec::new();
    for _ in 0..3 {
        endpoints.push(world.endpoint("acme", Behaviour::Always(200), json!({})).await);
    }
    let first = &endpoints[0];
    for _ in 0..5 {
        tried(&world, first, Value::Null).await;
    }
    // What is refused takes nothing of the tenant's.
    for _ in 0..20 {
        let refused = world.call("POST", &path(first), Value::Null, 429).await;
        assert_eq!(refused["code"], "rate_limited");
    }
    assert_eq!(world.retry_after("POST", &path(first)).await, Some(6));
    assert_eq!(world.requests(first).len(), 5);
    // Another endpoint is another matter, until its tenant has had ten.
    for _ in 0..5 {
        tried(&world, &endpoints[1], Value::Null).await;
    }
    let last = &endpoints[2];
    for _ in 0..20 {
        let refused = world.call("POST", &path(last), Value::Null, 429).await;
        assert!(refused["detail"].as_str().unwrap().contains("30 times"), "{refused}");
    }
    assert_eq!(world.retry_after("POST", &path(last)).await, Some(2));
    let other = world.endpoint("other", Behaviour::Always(200), json!({})).await;
    let other = format!("/v1/tenants/other/endpoints/{}/test", other.id);
    world.call("POST", &other, Value::Null, 200).await;
    // Nor did the tenant's refusals take anything of the endpoint's.
    for _ in 0..5 {
        world.pass_ms(2_000).await;
        tried(&world, last, Value::Null).await;
    }
    world.call("POST", &path(last), Value::Null, 429).await;
}

#[tokio::test]
async fn a_tenant_whose_endpoints_answer_late_has_three_tests_running_and_no_more() {
    let world = World::new().await;
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let late = at(
        &world,
        &format!("http://{RECEIVERS}:{}/", slow.local_addr().unwrap().port()),
    )
    .await;
    let quick = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world
        .call(
            "PATCH",
            late.trim_end_matches("/test"),
            json!({"timeout_ms": 30_000}),
            200,
        )
        .await;
    let running = join_all((0..3).map(|_| world.call("POST", &late, Value::Null, 200)));
    let meanwhile = async {
        let mut held = Vec::new();
        for _ in 0..3 {
            let (stream, _) = slow.accept().await.unwrap();
            read_whole(&stream).await;
            held.push(stream);
        }
        for path in [&late, &path(&quick)] {
            let refused = world.call("POST", path, Value::Null, 429).await;
            assert_eq!(refused["code"], "rate_limited");
            assert!(refused["detail"].as_str().unwrap().contains("at once"), "{refused}");
            assert_eq!(world.retry_after("POST", path).await, Some(2));
        }
        for stream in &held {
            stream.writable().await.unwrap();
            stream
                .try_write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
        }
        held
    };
    let (exchanges, _held) = tokio::join!(running, meanwhile);
    assert!(exchanges.iter().all(|exchange| exchange["ok"] == true), "{exchanges:?}");
    // What is answered runs no more, at the same time on the clock.
    tried(&world, &quick, Value::Null).await;
    assert_eq!(world.requests(&quick).len(), 1);
}

#[tokio::test]
async fn tests_are_counted_for_all_environments_of_the_api_together() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let (tenant, id) = (
        TenantId::parse("acme").unwrap(),
        EndpointId::parse(&endpoint.id).unwrap(),
    );
    let (store, now) = (world.store(), Timestamp::parse(world.now().as_str().unwrap()).unwrap());
    // As environments do that know nothing of each other.
    let leases: Vec<TestLease> = (0..MANY).map(|n| TestLease::new(n.to_string(), 30_000, now)).collect();
    let begun = join_all(leases.iter().map(|lease| store.begin_test(&tenant, &id, lease, now))).await;
    let mut admitted = Vec::new();
    for (lease, refusal) in leases.iter().zip(begun) {
        match refusal.unwrap() {
            None => admitted.push(lease),
            refused => assert_eq!(refused, Some(TestRefusal::Running)),
        }
    }
    assert_eq!(admitted.len(), MAX_RUNNING);
    world.call("POST", &path(&endpoint), Value::Null, 429).await;
    // One comes to its end, and again: no more than one place is free.
    for _ in 0..2 {
        store.end_test(&tenant, admitted[0]).await.unwrap();
    }
    let next = store.begin_test(&tenant, &id, admitted[0], now).await.unwrap();
    assert_eq!(next, None);
    world.call("POST", &path(&endpoint), Value::Null, 429).await;
    assert!(world.requests(&endpoint).is_empty());
    // Of those whose environments died nothing is left when they must be over.
    world.pass_ms(30_000 + MARGIN_MS).await;
    tried(&world, &endpoint, Value::Null).await;
}

#[tokio::test]
async fn a_change_of_the_endpoint_holds_for_the_next_test() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    tried(&world, &endpoint, Value::Null).await;
    let change = json!({"profile": "utel", "headers": {"x-team": "voice"}});
    world
        .call("PATCH", &format!("{LIST}/{}", endpoint.id), change, 200)
        .await;
    let rotated = json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "overlap_s": 0});
    world
        .call("POST", &format!("{LIST}/{}/rotate", endpoint.id), rotated, 200)
        .await;
    tried(&world, &endpoint, Value::Null).await;
    let request = world.requests(&endpoint).pop().unwrap();
    assert_eq!(header(&request, "x-team"), "voice");
    request.verify(&Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
    assert!(serde_json::from_slice::<Value>(&request.body).unwrap()["data"]["event"].is_string());
}
