//! What the doctor says of a server that is well, ailing, or not there, and how it ends.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::cli::tests::session;

const TEXT: &str = "A text from <somewhere>.\u{1b}[2J";

/// A server that answers each path as said, at its own time; what was asked is kept.
async fn server(answers: Vec<(&'static str, u16, Value)>, date: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let answer = move |request: Request| {
        let uri = request.uri().to_string();
        let found = answers
            .iter()
            .find(|(path, ..)| uri == *path || uri.starts_with(&format!("{path}?")));
        let (status, body) = found.map_or((404, json!({"code": "not_found"})), |(_, status, body)| {
            (*status, body.clone())
        });
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(uri);
        async move {
            (
                StatusCode::from_u16(status).unwrap(),
                [(header::DATE, date)],
                Json(body),
            )
                .into_response()
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    drop(tokio::spawn(async move { axum::serve(listener, router).await }));
    (url, asked)
}

fn about() -> (&'static str, u16, Value) {
    (
        "/v1",
        200,
        json!({"name": "Redial", "version": env!("CARGO_PKG_VERSION")}),
    )
}

fn page(items: &Value) -> Value {
    json!({"items": items, "next": null})
}

fn ledger(matched: u64, differences: &Value) -> Value {
    json!({
        "since": "2026-11-20T00:00:00.000Z", "until": "2026-11-21T00:00:00.000Z", "reached": "2026-11-21T00:00:00.000Z",
        "matched": matched, "states": {"succeeded": matched}, "expired": 0, "replays": {}, "differences": differences,
        "omitted": 0, "unreadable": 0, "next": null
    })
}

/// Examines a server, and answers the lines and how it ended.
async fn examined(url: &str, tenant: Option<&str>) -> (Vec<Value>, Finish) {
    let (session, page) = session(url, true);
    let now = session.clock.now();
    let mut doctor = Doctor {
        session,
        findings: Findings::default(),
        since: now.plus_millis(-DEFAULT_MS),
        until: now,
    };
    let stack = StackArgs::none();
    doctor.examine(tenant.map(str::to_owned), &stack).await.unwrap();
    let finish = doctor.conclude().unwrap();
    let lines = page
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (lines, finish)
}

fn told<'a>(lines: &'a [Value], check: &str) -> Vec<(&'a str, &'a str)> {
    let of = lines.iter().filter(|line| line["check"] == check);
    of.map(|line| (line["status"].as_str().unwrap(), line["text"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_redial_that_is_well_has_only_ok_lines_and_all_its_tenants_are_looked_at() {
    let tenants = page(&json!([{"id": "acme"}, {"id": "other"}]));
    let now = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_millis(now_ms()));
    let (url, asked) = server(
        vec![
            about(),
            ("/v1/tenants", 200, tenants),
            (
                "/v1/tenants/acme/endpoints",
                200,
                page(&json!([{"id": "ep_1", "state": "active", "hold": null}])),
            ),
            ("/v1/tenants/other/endpoints", 200, page(&json!([]))),
            ("/v1/tenants/acme/ledger", 200, ledger(7, &json!([]))),
            ("/v1/tenants/other/ledger", 200, ledger(0, &json!([]))),
            ("/v1/tenants/acme/replays", 200, page(&json!([]))),
            ("/v1/tenants/other/replays", 200, page(&json!([]))),
        ],
        Box::leak(now.into_boxed_str()),
    )
    .await;
    let (lines, finish) = examined(&url, None).await;
    assert_eq!(finish, Finish::Complete, "{lines:?}");
    assert!(lines.iter().all(|line| line["status"] == "ok"), "{lines:?}");
    assert_eq!(told(&lines, "ledger").len(), 2);
    assert_eq!(lines.last().unwrap()["differences"], 0);
    let asked = asked.lock().unwrap();
    assert!(
        asked
            .iter()
            .any(|uri| uri.starts_with("/v1/tenants/other/ledger?since=")),
        "{asked:?}"
    );
}

fn now_ms() -> u64 {
    u64::try_from(redial_platform::Clock::System.now().as_millis()).unwrap()
}

#[tokio::test]
async fn differences_fail_and_what_only_ails_is_a_warning() {
    let difference =
        json!({"kind": "lost", "delivery": "e1.ep_1", "explanation": TEXT, "repair": "The sweeper sends it."});
    let endpoints = json!([
        {"id": "ep_1", "state": "active", "hold": {"since": "2026-11-20T00:00:00Z", "reason": "Ten attempts in a row failed."}},
        {"id": "ep_2", "state": "paused", "updated_at": "2026-11-20T00:00:00Z"}
    ]);
    let answers = vec![
        about(),
        ("/v1/tenants", 403, json!({"code": "forbidden"})),
        ("/v1/tenants/acme", 200, json!({"id": "acme"})),
        ("/v1/tenants/acme/endpoints", 200, page(&endpoints)),
        ("/v1/tenants/acme/ledger", 200, ledger(1, &json!([difference]))),
        (
            "/v1/tenants/acme/replays",
            200,
            page(&json!([{"id": "rpl_1", "state": "failed", "done": 1, "total": 2}])),
        ),
    ];
    let (url, _) = server(answers, "Fri, 20 Nov 2020 00:00:00 GMT").await;
    let (lines, finish) = examined(&url, Some("acme")).await;
    assert_eq!(finish, Finish::Partial);
    assert_eq!(told(&lines, "key"), [("ok", "The key is this tenant's.")]);
    assert_eq!(told(&lines, "clock")[0].0, "fail", "six years are too many");
    let statuses: Vec<&str> = told(&lines, "endpoints").iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, ["warn", "warn", "ok"]);
    assert_eq!(told(&lines, "ledger")[0].0, "fail");
    assert!(told(&lines, "ledger")[0].1.starts_with("lost e1.ep_1: A text"));
    assert_eq!(told(&lines, "replays")[0].0, "warn");
    assert_eq!(
        (&lines.last().unwrap()["status"], &lines.last().unwrap()["differences"]),
        (&json!("fail"), &json!(2))
    );
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_said_and_ends_with_two() {
    for (answers, tenant, check) in [
        (vec![], None, "reachable"),
        (
            vec![about(), ("/v1/tenants", 401, json!({"code": "unauthorized"}))],
            None,
            "key",
        ),
        (
            vec![about(), ("/v1/tenants", 403, json!({"code": "forbidden"}))],
            None,
            "key",
        ),
        (
            vec![about(), ("/v1/tenants", 200, page(&json!([])))],
            Some("nobody"),
            "key",
        ),
    ] {
        let (url, _) = server(answers, "Fri, 20 Nov 2026 00:00:00 GMT").await;
        let (lines, finish) = examined(&url, tenant).await;
        let differs = told(&lines, "clock").iter().any(|(status, _)| *status == "fail");
        let expected = if differs { Finish::Partial } else { Finish::Unchecked };
        assert_eq!(finish, expected, "{lines:?}");
        assert_eq!(told(&lines, check)[0].0, "unchecked", "{lines:?}");
    }
}

#[test]
fn clocks_that_differ_by_less_than_a_moment_are_well() {
    let at = |ms: i64| Timestamp::from_millis(ms);
    // The server tells whole seconds, and time passes while it is asked.
    let standing = |theirs, before, after| clock(at(theirs), at(before), at(after));
    let ok = Finding::ok("clock", "The server's clock and this machine's differ by 1 s or less.");
    assert_eq!(standing(10_000, 10_999, 11_100), ok);
    assert_eq!(standing(11_000, 10_900, 11_000), ok);
    assert_ne!(standing(20_000, 10_000, 10_100), ok);
    assert_ne!(standing(10_000, 20_000, 20_100), ok);
}

#[test]
fn people_read_lines_that_no_terminal_obeys() {
    let (mut session, page) = session("http://127.0.0.1:9", false);
    let mut findings = Findings::default();
    let finding = Finding::fail("ledger", TEXT, "Do something.").of_tenant("acme");
    findings.tell(finding, &mut session.output).unwrap();
    let shown = page.text();
    assert!(
        shown.starts_with("FAIL  ledger acme: A text from <somewhere>.\\u001b[2J\n      Do something."),
        "{shown}"
    );
}
