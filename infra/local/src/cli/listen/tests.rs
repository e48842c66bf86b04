//! `redial listen` against a small API on loopback that delivers to it, and its judgement of requests.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use clap::Parser as _;
use redial_domain::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::cli::listen::judge::Distrust;
use crate::cli::listen::receiver::Received;
use crate::cli::tests::session;
use crate::cli::{Cli, Command};
use redial_domain::signature::VerifyError;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const BODY: &str = r#"{"type":"call.ended","timestamp":"2026-11-20T05:08:43.320Z","data":{"call_id":"c1"}}"#;

fn secret() -> Secret {
    Secret::parse(SECRET).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn request(id: &str, now: Timestamp, answered: u16) -> Received {
    let signature = secret().sign(id, now.as_secs(), BODY.as_bytes());
    Received {
        at: now,
        id: Some(id.to_owned()),
        timestamp: Some(now.as_secs().to_string()),
        signature: Some(signature),
        body: Bytes::from_static(BODY.as_bytes()),
        answered,
        failed_on_purpose: answered == 500,
    }
}

#[test]
fn a_repeat_of_a_taken_event_is_a_duplicate_and_counts_once() {
    let now = at("2026-11-20T05:08:44.000Z");
    let (mut ledger, secrets) = (Ledger::default(), [secret()]);
    let first = ledger.judge(&request("evt_1", now, 200), &secrets, now);
    assert_eq!(
        first,
        Verdict {
            trust: Ok(()),
            request: 1,
            duplicate: false,
            after_ms: None
        }
    );
    let later = now.plus_millis(5_100);
    let second = ledger.judge(&request("evt_1", later, 200), &secrets, later);
    assert_eq!(
        second,
        Verdict {
            trust: Ok(()),
            request: 2,
            duplicate: true,
            after_ms: Some(5_100)
        }
    );
    ledger.judge(&request("evt_2", later, 200), &secrets, later);
    assert_eq!(ledger.settled(), 2);
    assert_eq!(ledger.summary(), "3 verified (1 duplicate), 0 not verified");
}

#[test]
fn an_event_that_was_failed_on_purpose_counts_when_it_comes_again() {
    let now = at("2026-11-20T05:08:44.000Z");
    let (mut ledger, secrets) = (Ledger::default(), [secret()]);
    ledger.judge(&request("evt_1", now, 500), &secrets, now);
    assert_eq!(ledger.settled(), 0);
    let again = ledger.judge(&request("evt_1", now, 200), &secrets, now);
    assert!(!again.duplicate);
    assert_eq!((again.request, ledger.settled()), (2, 1));
    ledger.judge(&request("evt_1", now, 200), &secrets, now);
    assert_eq!(ledger.settled(), 1);
}

#[test]
fn an_event_that_is_always_refused_counts_at_its_first_request() {
    let now = at("2026-11-20T05:08:44.000Z");
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        ledger.judge(&request("evt_1", now, 503), &[secret()], now);
    }
    assert_eq!(ledger.settled(), 1);
}

#[test]
fn what_does_not_verify_says_why_and_is_not_counted() {
    let now = at("2026-11-20T05:08:44.000Z");
    let (mut ledger, secrets) = (Ledger::default(), [secret()]);
    let good = request("evt_1", now, 200);
    let late = now.plus_millis(301_000);
    let cases = [
        (
            Received {
                id: None,
                ..good.clone()
            },
            now,
            Distrust::Missing("webhook-id"),
        ),
        (
            Received {
                timestamp: None,
                ..good.clone()
            },
            now,
            Distrust::Missing("webhook-timestamp"),
        ),
        (
            Received {
                signature: None,
                ..good.clone()
            },
            now,
            Distrust::Missing("webhook-signature"),
        ),
        (
            Received {
                body: Bytes::from_static(b"{}"),
                ..good.clone()
            },
            now,
            VerifyError::NoMatch.into(),
        ),
        (good, late, VerifyError::TimestampTooFar.into()),
    ];
    for (request, now, why) in cases {
        assert_eq!(ledger.judge(&request, &secrets, now).trust, Err(why));
    }
    assert_eq!((ledger.settled(), ledger.failed()), (0, 5));
}

#[test]
fn a_request_is_shown_readably_and_hostile_text_is_escaped() {
    let now = at("2026-11-20T05:08:44.020Z");
    let verdict = Ledger::default().judge(&request("evt_1", now, 200), &[secret()], now);
    let shown = show::text(&request("evt_1", now, 200), &verdict);
    let expected = "05:08:44.020Z  ✓ verified  call.ended  evt_1  0.700 s after it happened\n    {\n      \"call_id\": \"c1\"\n    }";
    assert_eq!(shown, expected);
    let body = "{\"type\":\"a\\u001b[2J\",\"data\":{\"x\":\"\\u009b\u{202e}\u{9b}\"}}";
    let hostile = Received {
        body: Bytes::from(body),
        id: Some("i\u{7f}".into()),
        ..request("evt_1", now, 200)
    };
    let verdict = Ledger::default().judge(&hostile, &[secret()], now);
    let shown = show::text(&hostile, &verdict);
    assert!(shown.contains('✗'), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7f}']), "{shown:?}");
    assert!(shown.contains("\\u009b\\u202e\\u009b"), "{shown}");
}

#[test]
fn a_body_that_is_no_json_is_shown_as_text() {
    let now = at("2026-11-20T05:08:44.020Z");
    let odd = Received {
        body: Bytes::from_static(b"\xff\x1b]0;title\x07plain"),
        ..request("evt_1", now, 503)
    };
    let verdict = Ledger::default().judge(&odd, &[secret()], now);
    let shown = show::text(&odd, &verdict);
    assert!(
        shown.contains("(no type)") && shown.contains("plain") && shown.contains("answered 503"),
        "{shown}"
    );
    assert!(!shown.contains(['\u{1b}', '\u{7}']));
    assert_eq!(show::document(&odd, &verdict)["verified"], false);
}

/// Delivers to a receiver, one after the other.
async fn deliver_to(target: &str, deliver: &[(&'static str, &'static str)]) {
    let client = crate::cli::tests::session(target, true).0.client;
    for (id, signed_body) in deliver {
        let now = redial_platform::Clock::System.now();
        let signature = secret().sign(id, now.as_secs(), signed_body.as_bytes());
        let request = client
            .http()
            .post(target)
            .header("webhook-id", *id)
            .header("webhook-signature", signature);
        request
            .header("webhook-timestamp", now.as_secs())
            .body(BODY)
            .send()
            .await
            .unwrap();
    }
}

/// An API that delivers `deliver` to an endpoint as soon as it is made, and remembers what was deleted.
async fn start_api(deliver: Vec<(&'static str, &'static str)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let deleted = Arc::new(Mutex::new(Vec::new()));
    let remember = deleted.clone();
    let make = async move |axum::Json(fields): axum::Json<Value>| {
        let target = fields["url"].as_str().unwrap().to_owned();
        tokio::spawn(async move { deliver_to(&target, &deliver).await });
        (
            StatusCode::CREATED,
            axum::Json(json!({ "id": "ep_1", "secret": SECRET, "state": "active" })),
        )
    };
    let router = Router::new()
        .route(
            "/v1/tenants/{tenant}",
            get(async || axum::Json(json!({ "id": "demo" }))),
        )
        .route("/v1/tenants/{tenant}/endpoints", axum::routing::post(make))
        .route(
            "/v1/tenants/{tenant}/endpoints/{id}",
            delete(async move |uri: axum::http::Uri| {
                remember
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(uri.path().to_owned());
                StatusCode::NO_CONTENT
            }),
        );
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, deleted)
}

pub(super) fn args(line: &str) -> ListenArgs {
    match Cli::try_parse_from(line.split(' ')).unwrap().command {
        Some(Command::Listen(args)) => args,
        other => panic!("{other:?}"),
    }
}

async fn listened(line: &str, deliver: Vec<(&'static str, &'static str)>) -> (Finish, Vec<Value>, Vec<String>) {
    let (url, deleted) = start_api(deliver).await;
    let (session, page) = session(&url, true);
    let mut stop = StopSignals::install().unwrap();
    let finish = listen(session, &args(line), &mut stop).await.unwrap();
    let shown = page
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let deleted = deleted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (finish, shown, deleted)
}

#[tokio::test]
async fn verified_requests_are_counted_and_the_endpoint_is_deleted_at_the_end() {
    let deliver = vec![("evt_1", BODY), ("evt_1", BODY), ("evt_2", BODY)];
    let (finish, shown, deleted) = listened("redial listen --count 2 --json", deliver).await;
    assert_eq!(finish, Finish::Complete);
    let said: Vec<(&Value, &Value, &Value)> = shown
        .iter()
        .map(|s| (&s["id"], &s["verified"], &s["duplicate"]))
        .collect();
    let (one, two, yes, no) = (&json!("evt_1"), &json!("evt_2"), &json!(true), &json!(false));
    assert_eq!(said, [(one, yes, no), (one, yes, yes), (two, yes, no)]);
    assert_eq!(deleted, ["/v1/tenants/demo/endpoints/ep_1"]);
}

#[tokio::test]
async fn one_bad_signature_among_good_ones_fails_a_script() {
    let deliver = vec![("evt_1", "another body"), ("evt_2", BODY)];
    let (finish, shown, _) = listened("redial listen --count 1 --json", deliver).await;
    assert_eq!(finish, Finish::Partial);
    assert_eq!(
        (&shown[0]["verified"], &shown[1]["verified"]),
        (&json!(false), &json!(true))
    );
}

#[tokio::test]
async fn the_first_requests_fail_if_told_to_and_the_endpoint_stays_if_told_to() {
    let deliver = vec![("evt_1", BODY), ("evt_1", BODY)];
    let (finish, shown, deleted) = listened(
        "redial listen --count 1 --fail-first 1 --status 503 --keep --json",
        deliver,
    )
    .await;
    assert_eq!(finish, Finish::Complete);
    assert_eq!(
        (&shown[0]["answered"], &shown[1]["answered"]),
        (&json!(503), &json!(200))
    );
    assert_eq!(shown[1]["request"], 2);
    assert_eq!(deleted, Vec::<String>::new());
}

/// An API with one endpoint, which sends to `url`; delivers as soon as the URL is changed, and remembers what was asked.
async fn start_api_with_endpoint(url: &'static str, may_reveal: bool) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let remember = asked.clone();
    let endpoint = json!({ "id": "ep_1", "url": url, "state": "active" });
    let shown = endpoint.clone();
    let patch = async move |axum::Json(fields): axum::Json<Value>| {
        let target = fields["url"].as_str().unwrap().to_owned();
        tokio::spawn(async move { deliver_to(&target, &[("evt_1", BODY)]).await });
        axum::Json(endpoint)
    };
    let reveal = async move || {
        let refused = json!({ "status": 403, "title": "Forbidden", "detail": "looking only", "code": "read_only" });
        let secrets =
            json!({ "secret": OTHER_SECRET, "previous": { "secret": SECRET, "expires_at": "2026-11-21T00:00:00Z" } });
        if may_reveal {
            (StatusCode::OK, axum::Json(secrets))
        } else {
            (StatusCode::FORBIDDEN, axum::Json(refused))
        }
    };
    let router = Router::new()
        .route(
            "/v1/tenants/demo/endpoints/ep_1",
            get(async move || axum::Json(shown)).patch(patch),
        )
        .route("/v1/tenants/demo/endpoints/ep_1/secret", get(reveal))
        .layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                let line = format!("{} {}", request.method(), request.uri().path());
                remember.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                next.run(request)
            },
        ));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (origin, asked)
}

#[tokio::test]
async fn an_endpoint_that_exists_is_served_with_its_own_secrets_and_stays() {
    let (url, asked) = start_api_with_endpoint("https://crm.example.com/in", true).await;
    let (session, page) = session(&url, true);
    let mut stop = StopSignals::install().unwrap();
    let args = args("redial listen --endpoint ep_1 --set-url --count 1 --json");
    let finish = listen(session, &args, &mut stop).await.unwrap();
    assert_eq!(finish, Finish::Complete);
    let shown: Value = serde_json::from_str(page.text().trim()).unwrap();
    // The older of the two secrets signed it.
    assert_eq!((&shown["id"], &shown["verified"]), (&json!("evt_1"), &json!(true)));
    let endpoint = "/v1/tenants/demo/endpoints/ep_1";
    let expected = [
        format!("GET {endpoint}"),
        format!("GET {endpoint}/secret"),
        format!("PATCH {endpoint}"),
    ];
    assert_eq!(*asked.lock().unwrap_or_else(PoisonError::into_inner), expected);
}

#[tokio::test]
async fn a_key_that_may_not_see_secrets_needs_one_given() {
    let (url, _) = start_api_with_endpoint("https://crm.example.com/in", false).await;
    let (refused, _page) = session(&url, true);
    let line = "redial listen --endpoint ep_1 --set-url --count 1 --json";
    let mut stop = StopSignals::install().unwrap();
    let error = listen(refused, &args(line), &mut stop).await.unwrap_err();
    assert!(
        matches!(&error, CliError::Refused(problem) if problem.code == "read_only"),
        "{error}"
    );
    let (given, page) = session(&url, true);
    let line = format!("{line} --secret {SECRET}");
    assert_eq!(listen(given, &args(&line), &mut stop).await.unwrap(), Finish::Complete);
    assert!(page.text().contains("\"verified\":true"), "{}", page.text());
}

#[tokio::test]
async fn with_a_secret_alone_nothing_is_asked_of_redial() {
    let page = crate::cli::tests::Page::default();
    let screen = Screen {
        output: Output::to(Box::new(page.clone()), true),
        clock: Clock::System,
    };
    let args = args(&format!("redial listen --secret {SECRET} --count 1 --json"));
    assert!(args.only_verifies());
    let bound = receiver::bind(0).await.unwrap();
    let target = format!("http://127.0.0.1:{}/any/path", bound.0);
    let mut stop = StopSignals::install().unwrap();
    let deliver = [("evt_1", "another body"), ("evt_2", BODY)];
    let (finish, ()) = tokio::join!(verify(screen, &args, bound, &mut stop), deliver_to(&target, &deliver));
    assert_eq!(finish.unwrap(), Finish::Partial);
    let shown = page.text();
    let verified: Vec<bool> = { shown.lines() }
        .map(|line| line.contains("\"verified\":true"))
        .collect();
    assert_eq!(verified, [false, true], "{shown}");
}

#[test]
fn what_makes_an_endpoint_does_not_go_with_one_that_exists() {
    for line in [
        "redial listen --set-url",
        "redial listen --endpoint ep_1 --types call.ended",
        "redial listen --endpoint ep_1 --agents agt_7",
        "redial listen --endpoint ep_1 --keep",
    ] {
        assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
    }
    assert!(!args("redial listen --endpoint ep_1 --secret x").only_verifies());
}
