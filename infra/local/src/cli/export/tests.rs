//! An export against a small server on loopback.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::*;
use crate::cli::tests::{Page, session};

type Say = Box<dyn Fn() -> Response + Send>;

fn page(items: &'static str, next: Option<&'static str>) -> Say {
    Box::new(move || {
        let mut response = ([("content-type", "application/x-ndjson")], items).into_response();
        if let Some(next) = next {
            response
                .headers_mut()
                .insert("redial-next-cursor", next.parse().unwrap());
        }
        response
    })
}

fn refusal(status: u16) -> Say {
    Box::new(move || {
        let problem = serde_json::json!({"status": status, "title": "No", "detail": "because", "code": "c"});
        (StatusCode::from_u16(status).unwrap(), axum::Json(problem)).into_response()
    })
}

/// Answers as planned; gives its URL and the queries that it was asked.
async fn serve(plan: Vec<Say>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, plan) = (
        Arc::new(Mutex::new(Vec::new())),
        Arc::new(Mutex::new(VecDeque::from(plan))),
    );
    let seen = Arc::clone(&asked);
    let answer = async move |uri: Uri| {
        let query = uri.query().unwrap_or_default().to_owned();
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(query);
        let say = plan.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        say.unwrap()()
    };
    let router = Router::new().route("/v1/tenants/acme/events", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

/// What the client makes of an answer with that status.
async fn client_error(status: u16) -> CliError {
    let (url, _) = serve(vec![refusal(status)]).await;
    let (session, _) = session(&url, false);
    let refused = session.client.lines(&export().path, &[]).await;
    refused.err().unwrap().error
}

fn export() -> Export<'static> {
    Export {
        path: vec!["v1", "tenants", "acme", "events"],
        query: vec![
            ("until", "2026-11-20T05:00:00.000Z".to_owned()),
            ("type", "call.*".to_owned()),
        ],
        what: ("event", "events"),
    }
}

fn eager() -> Patience {
    Patience {
        retry_for: Duration::from_secs(20),
        first_backoff: Duration::from_micros(10),
    }
}

async fn write(plan: Vec<Say>, cursor: Option<&str>, sink: Sink) -> (Result<Finish, CliError>, Vec<String>) {
    let (url, asked) = serve(plan).await;
    let (session, _) = session(&url, false);
    let cursor = cursor.map(str::to_owned);
    let finish = export()
        .write(&session.client, sink, cursor, eager(), std::future::pending::<()>())
        .await;
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (finish, asked)
}

#[tokio::test]
async fn every_page_is_written_whole_and_a_busy_server_is_asked_again() {
    let out = Page::default();
    let plan = vec![
        page("{\"n\":1}\n{\"n\":2}\n", Some("c1")),
        refusal(429),
        refusal(503),
        page("", Some("c2")),
        page("{\"n\":3}\n", None),
    ];
    let (finish, asked) = write(plan, None, Sink::Stream(Box::new(out.clone()))).await;
    assert_eq!(finish.unwrap(), Finish::Complete);
    assert_eq!(out.text(), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    let first = "until=2026-11-20T05%3A00%3A00.000Z&type=call.*&limit=100";
    let cursors = ["", "&cursor=c1", "&cursor=c1", "&cursor=c1", "&cursor=c2"];
    assert_eq!(asked, cursors.map(|cursor| format!("{first}{cursor}")));
}

#[tokio::test]
async fn what_stops_an_export_says_how_to_go_on_and_a_file_goes_on_after_its_last_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    let sink = Sink::open(Some(&path), false).unwrap();
    let (finish, _) = write(vec![page("{\"n\":1}\n", Some("c1")), refusal(400)], None, sink).await;
    assert_eq!(finish.unwrap_err().exit_number(), 1);
    assert_eq!(
        export().how_to_go_on(Some("c1")),
        "stopped; to go on, repeat the command with --until 2026-11-20T05:00:00.000Z --cursor c1"
    );
    assert!(matches!(Sink::open(Some(&path), false), Err(CliError::Usage(_))));
    // As a kill within a write leaves it.
    std::fs::write(&path, "{\"n\":1}\n{\"n\":").unwrap();
    let sink = Sink::open(Some(&path), true).unwrap();
    let (finish, asked) = write(vec![page("{\"n\":2}\n", None)], Some("c1"), sink).await;
    assert_eq!(finish.unwrap(), Finish::Complete);
    assert!(asked[0].ends_with("&cursor=c1"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
}

#[tokio::test]
async fn a_refused_export_leaves_no_file_behind_and_does_not_ask_to_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    let sink = Sink::open(Some(&path), false).unwrap();
    let (finish, _) = write(vec![refusal(404)], None, sink).await;
    assert_eq!(finish.as_ref().unwrap_err().exit_number(), 1);
    assert!(!path.exists() && !may_go_well_again(&finish));
    // So the same command can be given again; an export of nothing is a file with nothing in it.
    let sink = Sink::open(Some(&path), false).unwrap();
    let (finish, _) = write(vec![page("", None)], None, sink).await;
    assert_eq!(finish.unwrap(), Finish::Complete);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    let busy = client_error(503).await;
    assert!(may_go_well_again(&Err(busy)) && may_go_well_again(&Ok(Finish::CutOff)));
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_exported_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    for (name, cursor) in [("new.ndjson", None), ("gone-on.ndjson", Some("c1"))] {
        let path = folder.path().join(name);
        let sink = Sink::open(Some(&path), cursor.is_some()).unwrap();
        let (finish, _) = write(vec![page("{\"n\":1}\n", None)], cursor, sink).await;
        assert_eq!(finish.unwrap(), Finish::Complete);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_came_meanwhile_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    let sink = Sink::open(Some(&path), false).unwrap();
    std::fs::write(&path, "another's").unwrap();
    let (finish, _) = write(vec![page("{\"n\":1}\n", None)], None, sink).await;
    assert!(matches!(finish, Err(CliError::Usage(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "another's");
}

#[tokio::test]
async fn an_interrupted_export_ends_with_a_whole_page() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let endless: Say = Box::new(move || {
        let tell = tell.lock().unwrap_or_else(PoisonError::into_inner).take();
        tell.unwrap().send(()).unwrap();
        let rest = futures_util::stream::pending::<Result<String, std::convert::Infallible>>();
        (
            [("content-type", "application/x-ndjson")],
            axum::body::Body::from_stream(rest),
        )
            .into_response()
    });
    let (url, _) = serve(vec![page("{\"n\":1}\n", Some("c1")), endless]).await;
    let (session, _) = session(&url, false);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    let sink = Sink::open(Some(&path), false).unwrap();
    let interrupted = Box::pin(async { told.await.unwrap() });
    let finish = export().write(&session.client, sink, None, eager(), interrupted).await;
    assert_eq!(finish.unwrap(), Finish::CutOff);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":1}\n");
}

#[tokio::test]
async fn an_answer_that_is_no_export_is_not_written() {
    for body in ["{\"items\":[]}", "{\"n\":1}"] {
        let out = Page::default();
        let json: Say = match body {
            "{\"n\":1}" => page(body, None),
            _ => Box::new(move || ([("content-type", "application/json")], body).into_response()),
        };
        let (finish, _) = write(vec![json], None, Sink::Stream(Box::new(out.clone()))).await;
        assert!(matches!(finish, Err(CliError::NotUnderstood { .. })), "{body}");
        assert_eq!(out.text(), "");
    }
}
