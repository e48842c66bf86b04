//! `redial send` against small servers on loopback, and its reading and packing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use clap::Parser as _;
use redial_domain::{Timestamp, catalogue};
use redial_platform::{Clock, Random};

use super::batch::{MAX_BATCH_BYTES, pack};
use super::*;
use crate::cli::error::Problem;
use crate::cli::tests::session;
use crate::cli::{Cli, Command};

/// What a server says to one request, given the events in it.
type Say = Box<dyn Fn(&[Value]) -> Response + Send>;

/// A server that answers each request as planned, then accepts everything, and remembers what it was sent.
#[derive(Clone, Default)]
struct Server {
    plan: Arc<Mutex<VecDeque<Say>>>,
    requests: Arc<Mutex<Vec<Vec<Value>>>>,
    tenants_made: Arc<Mutex<Vec<String>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept_all(events: &[Value]) -> Response {
    let answers: Vec<Value> = events
        .iter()
        .map(|event| json!({ "id": event["id"], "deliveries": 2 }))
        .collect();
    (StatusCode::ACCEPTED, axum::Json(json!({ "events": answers }))).into_response()
}

fn refusal(status: u16, code: &str) -> Value {
    json!({ "status": status, "title": "No", "detail": "because", "code": code, "field": "type" })
}

fn answer_whole(status: u16, code: &'static str) -> Say {
    Box::new(move |_| (StatusCode::from_u16(status).unwrap(), axum::Json(refusal(status, code))).into_response())
}

/// Answers the event at `index` with a refusal, the others with acceptance.
fn refuse_one(index: usize, status: u16, code: &'static str) -> Say {
    Box::new(move |events| {
        let mut answers: Vec<Value> = events
            .iter()
            .map(|e| json!({ "id": e["id"], "deliveries": 1 }))
            .collect();
        answers[index] = json!({ "id": events[index]["id"], "error": refusal(status, code) });
        (StatusCode::ACCEPTED, axum::Json(json!({ "events": answers }))).into_response()
    })
}

async fn take(State(server): State<Server>, headers: HeaderMap, body: String) -> Response {
    assert_eq!(headers["authorization"], "Bearer rd_test_key");
    let body: Value = serde_json::from_str(&body).unwrap();
    let events = body["events"].as_array().unwrap().clone();
    let say = locked(&server.plan).pop_front();
    let answer = say.map_or_else(|| accept_all(&events), |say| say(&events));
    locked(&server.requests).push(events);
    answer
}

/// Starts a server; gives its URL and the server.
async fn start(plan: Vec<Say>) -> (String, Server) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server {
        plan: Arc::new(Mutex::new(plan.into())),
        ..Server::default()
    };
    let about = json!({ "name": "Redial", "version": "1", "ingest": format!("{url}/elsewhere/events") });
    let made = server.tenants_made.clone();
    let router = Router::new()
        .route("/v1", get(async move || axum::Json(about)))
        .route("/elsewhere/events", post(take))
        .route(
            "/v1/tenants/{tenant}",
            get(async || (StatusCode::NOT_FOUND, axum::Json(refusal(404, "not_found")))).put(
                async move |uri: axum::http::Uri| {
                    locked(&made).push(uri.path().to_owned());
                    (StatusCode::CREATED, axum::Json(json!({ "id": "demo" })))
                },
            ),
        )
        .with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, server)
}

fn args(line: &str) -> SendArgs {
    match Cli::try_parse_from(line.split(' ')).unwrap().command {
        Some(Command::Send(args)) => args,
        other => panic!("{other:?}"),
    }
}

/// Tries again at once, for long enough.
fn eager() -> Patience {
    Patience {
        retry_for: Duration::from_secs(20),
        first_backoff: Duration::from_micros(10),
    }
}

/// Mints known ids.
fn mint() -> Mint {
    let clock = Clock::manual(Timestamp::parse("2026-11-20T05:08:43.320Z").unwrap());
    Mint {
        clock,
        random: Random::seeded(1),
    }
}

fn events(count: usize) -> Vec<Outgoing> {
    let text: String = (0..count)
        .map(|n| format!("{{\"id\":\"e{n}\",\"type\":\"call.ended\"}}\n"))
        .collect();
    source::parse(&text, None, &mint()).unwrap()
}

/// Sends `count` events in batches of two; gives how it ended and the document printed.
async fn send_to(url: &str, count: usize, patience: Patience) -> (Finish, Value) {
    let (session, page) = session(url, true);
    let args = args("redial send --file x --batch 2 --concurrency 1 --json");
    let finish = send(session, &args, events(count), patience).await.unwrap();
    (finish, serde_json::from_str(&page.text()).unwrap())
}

#[tokio::test]
async fn all_events_of_a_file_arrive_once_and_in_order() {
    let (url, server) = start(vec![]).await;
    let (finish, document) = send_to(&url, 5, eager()).await;
    assert_eq!(finish, Finish::Complete);
    assert_eq!(
        (&document["accepted"], &document["deliveries"], &document["refused"]),
        (&json!(5), &json!(10), &json!(0))
    );
    let requests = locked(&server.requests);
    assert_eq!(requests.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    let ids: Vec<&str> = requests
        .iter()
        .flatten()
        .filter_map(|event| event["id"].as_str())
        .collect();
    assert_eq!(ids, ["e0", "e1", "e2", "e3", "e4"]);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_with_the_same_events() {
    let (url, server) = start(vec![answer_whole(503, "unavailable"), answer_whole(429, "throttled")]).await;
    let (finish, document) = send_to(&url, 2, eager()).await;
    assert_eq!((finish, &document["accepted"]), (Finish::Complete, &json!(2)));
    let requests = locked(&server.requests);
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| *request == requests[0]));
}

#[tokio::test]
async fn only_the_events_that_may_still_succeed_are_sent_again() {
    let (url, server) = start(vec![refuse_one(1, 503, "unavailable")]).await;
    let (finish, document) = send_to(&url, 2, eager()).await;
    assert_eq!((finish, &document["accepted"]), (Finish::Complete, &json!(2)));
    let requests = locked(&server.requests);
    assert_eq!(requests[1].len(), 1);
    assert_eq!(requests[1][0]["id"], "e1");
}

#[tokio::test]
async fn a_refused_event_is_named_and_the_others_go_on() {
    let (url, server) = start(vec![refuse_one(0, 422, "type_unknown")]).await;
    let (finish, document) = send_to(&url, 4, eager()).await;
    assert_eq!(
        (finish, &document["accepted"], &document["refused"]),
        (Finish::Partial, &json!(3), &json!(1))
    );
    assert_eq!(document["refusals"][0]["id"], "e0");
    assert_eq!(document["refusals"][0]["error"]["code"], "type_unknown");
    assert_eq!(locked(&server.requests).len(), 2);
}

#[tokio::test]
async fn a_key_that_is_not_accepted_ends_it_at_once() {
    let (url, server) = start(vec![answer_whole(401, "key_invalid")]).await;
    let (finish, document) = send_to(&url, 6, eager()).await;
    assert_eq!(
        (finish, &document["unsent"], &document["accepted"]),
        (Finish::CutOff, &json!(6), &json!(0))
    );
    assert!(document["stopped_by"].as_str().unwrap().contains("key_invalid"));
    assert_eq!(locked(&server.requests).len(), 1);
}

#[tokio::test]
async fn events_that_could_not_be_sent_are_counted() {
    let plan = vec![
        Box::new(accept_all) as Say,
        answer_whole(500, "internal"),
        answer_whole(500, "internal"),
    ];
    let (url, _server) = start(plan).await;
    let impatient = Patience {
        retry_for: Duration::ZERO,
        first_backoff: Duration::from_micros(10),
    };
    let (finish, document) = send_to(&url, 6, impatient).await;
    assert_eq!(
        (finish, &document["accepted"], &document["unsent"]),
        (Finish::CutOff, &json!(2), &json!(4))
    );
}

#[tokio::test]
async fn nobody_at_the_port_is_no_refusal() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (session, _page) = session(&url, true);
    let args = args("redial send --file x");
    let impatient = Patience {
        retry_for: Duration::ZERO,
        first_backoff: Duration::from_micros(10),
    };
    let error = send(session, &args, events(1), impatient).await.unwrap_err();
    assert!(matches!(error, CliError::Unreachable { .. }), "{error}");
    assert_eq!(error.exit_number(), 3);
}

#[tokio::test]
async fn a_sample_makes_its_tenant_and_says_what_came_of_it() {
    let (url, server) = start(vec![]).await;
    let (session, page) = session(&url, false);
    let args = args("redial send call.ended --tenant demo --agent agt_7 --id mine_1");
    let event = sample::make(&args, "call.ended", "demo", &mint()).unwrap();
    let finish = send(session, &args, vec![event], eager()).await.unwrap();
    assert_eq!(
        (finish, page.text().as_str()),
        (Finish::Complete, "✓ accepted mine_1: 2 deliveries\n")
    );
    assert_eq!(*locked(&server.tenants_made), ["/v1/tenants/demo"]);
    let sent = locked(&server.requests)[0][0].clone();
    let example = catalogue::find("call.ended").unwrap();
    assert_eq!(
        (&sent["tenant"], &sent["agent"], &sent["data"]),
        (&json!("demo"), &json!("agt_7"), &example.example)
    );
}

#[test]
fn there_is_a_sample_of_every_type_in_the_catalogue() {
    let args = args("redial send x --tenant demo");
    for event_type in catalogue::all() {
        let event = sample::make(&args, &event_type.name, "demo", &mint()).unwrap();
        let sent: Value = serde_json::from_str(event.json.get()).unwrap();
        assert_eq!(
            (&sent["type"], &sent["data"]),
            (&json!(event_type.name), &event_type.example)
        );
        assert!(event.id.unwrap().starts_with("cli_"));
    }
    assert!(
        matches!(sample::make(&args, "call.imagined", "demo", &mint()), Err(CliError::Usage(text)) if text.contains("call.ended"))
    );
}

#[test]
fn lines_arrays_envelopes_and_single_events_are_read_alike() {
    let (a, b) = (r#"{"id":"a","type":"t"}"#, r#"{"id":"b","type":"t"}"#);
    for text in [
        format!("{a}\n{b}\n"),
        format!("{a}\r\n\r\n{b}"),
        format!("[{a}, {b}]"),
        format!(" \n[{a},\n{b}]\n"),
        format!(r#"{{"events":[{a},{b}]}}"#),
        format!("{{\n\"id\": \"a\"\n}}\n{b}"),
    ] {
        let read = source::parse(&text, None, &mint()).unwrap();
        let ids: Vec<&str> = read.iter().filter_map(|event| event.id.as_deref()).collect();
        assert_eq!(ids, ["a", "b"], "{text}");
    }
}

#[test]
fn a_broken_file_is_refused_whole() {
    for text in [
        "",
        "\n\n",
        "[]",
        "{\"id\":\"a\"}\n{\"id\":",
        "[{}",
        "{\"events\":[]}",
        "not json",
    ] {
        assert!(
            matches!(source::parse(text, None, &mint()), Err(CliError::Usage(_))),
            "{text}"
        );
    }
}

#[test]
fn only_missing_ids_and_tenants_are_filled_in_and_data_keeps_its_bytes() {
    let text = r#"{"data":{"b":1.50,"a":1e2},"type":"t"}
{"id":"mine","tenant":"own","type":"t","data":{ "x" : 1 }}
{"id":null,"tenant":null}
[1]
{"id":7}"#;
    let expected = mint();
    let (first, second) = (expected.id(), expected.id());
    let read = source::parse(text, Some("demo"), &mint()).unwrap();
    let sent: Vec<&str> = read.iter().map(|event| event.json.get()).collect();
    assert_eq!(
        sent[0],
        format!(r#"{{"data":{{"b":1.50,"a":1e2}},"id":"{first}","tenant":"demo","type":"t"}}"#)
    );
    assert_eq!(sent[1], r#"{"id":"mine","tenant":"own","type":"t","data":{ "x" : 1 }}"#);
    assert_eq!(sent[2], format!(r#"{{"id":"{second}","tenant":"demo"}}"#));
    assert_eq!(sent[3], "[1]");
    assert_eq!((sent[4], &read[4].id), (r#"{"id":7,"tenant":"demo"}"#, &None));
}

#[test]
fn minted_ids_are_ids_that_redial_takes_and_differ() {
    let mint = Mint::default();
    let (a, b) = (mint.id(), mint.id());
    assert_ne!(a, b);
    assert_eq!(a.len(), 33);
    assert!(redial_domain::EventId::parse(&a).is_ok());
}

#[test]
fn an_event_that_fits_no_request_is_refused_alone() {
    let text = format!(
        "[{{\"id\":\"a\"}},{{\"id\":\"big\",\"data\":\"{}\"}},{{\"id\":\"c\"}}]",
        "x".repeat(MAX_BATCH_BYTES)
    );
    let packed = pack(source::parse(&text, None, &mint()).unwrap(), 500);
    assert_eq!(packed.batches.len(), 1);
    assert_eq!(packed.batches[0].events.len(), 2);
    let [
        Refused {
            id: Some(id),
            error: Problem { code, .. },
        },
    ] = packed.refused.as_slice()
    else {
        panic!("not one")
    };
    assert_eq!((id.as_str(), code.as_str()), ("big", "event_too_large"));
}

#[test]
fn a_sample_is_related_to_what_the_arguments_name_and_the_example_to_the_rest() {
    let related = |line: &str, event_type: &str| {
        let event = sample::make(&args(line), event_type, "demo", &mint());
        event.map(|event| serde_json::from_str::<Value>(event.json.get()).unwrap()["related"].clone())
    };
    let of_example = catalogue::find("call.ended").unwrap().related.clone().unwrap();
    assert_eq!(
        related("redial send call.ended --tenant demo", "call.ended").unwrap(),
        of_example
    );
    let mut expected = of_example;
    expected["call_id"] = json!("call_9");
    expected["contact_id"] = json!("con_9");
    let line = "redial send call.ended --tenant demo --call call_9 --related contact_id=con_9";
    assert_eq!(related(line, "call.ended").unwrap(), expected);
    // The example's ids belong to the example's data.
    let line = "redial send my.type --tenant demo --data {} --related a=b=c";
    assert_eq!(related(line, "my.type").unwrap(), json!({ "a": "b=c" }));
    assert_eq!(
        related("redial send my.type --tenant demo --data {}", "my.type").unwrap(),
        Value::Null
    );
    let two = "redial send call.ended --tenant demo --call call_9 --related call_id=call_8";
    assert!(matches!(related(two, "call.ended"), Err(CliError::Usage(_))));
    for wrong in ["contact_id", "=con_9", "contact_id="] {
        let line = ["redial", "send", "call.ended", "--tenant", "demo", "--related", wrong];
        assert!(Cli::try_parse_from(line).is_err(), "{wrong}");
    }
}
