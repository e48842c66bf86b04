//! What a person is told of an event that went to nobody, against a small API on loopback.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use clap::Parser as _;

use super::*;
use crate::cli::tests::session;
use crate::cli::{Cli, Command};

/// An API whose dry run answers that, about endpoints with a URL each; its URL.
async fn api(items: Vec<Value>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let endpoint = |item: &Value| json!({ "id": item["endpoint"], "url": format!("https://{}.example", item["endpoint"].as_str().unwrap()) });
    let endpoints: Vec<Value> = items.iter().map(endpoint).collect();
    let listed = json!({ "items": endpoints, "next": null });
    let answer = async move |axum::Json(asked): axum::Json<Value>| {
        assert_eq!(asked, json!({ "event": "evt_1" }));
        axum::Json(json!({ "items": items, "next": null }))
    };
    let router = Router::new()
        .route("/v1/tenants/demo/dry-run", post(answer))
        .route("/v1/tenants/demo/endpoints", get(async move || axum::Json(listed)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn unwanted(n: usize) -> Value {
    json!({ "endpoint": format!("ep_{n}"), "reaches": false, "code": "inactive", "reason": "The endpoint is inactive: activate it." })
}

/// Of an event that came before its endpoint.
fn missed() -> Value {
    json!({
        "endpoint": "ep_1", "reaches": false, "code": "not_there_then", "reason": "The endpoint was made after the event.",
        "replay": {
            "endpoint": "ep_1", "missing": true, "since": "2026-11-20T05:08:43.320Z", "until": "2026-11-20T05:08:43.321Z",
            "event_types": ["call.ended"],
        },
    })
}

async fn told(items: Vec<Value>) -> String {
    let (mut session, page) = session(&api(items).await, false);
    tell_why_nobody(&mut session, "demo", "evt_1").await.unwrap();
    page.text()
}

#[tokio::test]
async fn each_endpoint_is_named_with_its_url_and_why_it_did_not_want_the_event() {
    let shown = told(vec![unwanted(1), unwanted(2)]).await;
    let expected = "  no endpoint got it:
    ep_1  https://ep_1.example
      inactive: The endpoint is inactive: activate it.
    ep_2  https://ep_2.example
      inactive: The endpoint is inactive: activate it.
  change one with `redial endpoints update`, then send again, or deliver what it has missed:
    redial replay --tenant demo --endpoint ID --since 10m --missing
";
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn of_many_endpoints_five_are_told() {
    let shown = told((1..=8).map(unwanted).collect()).await;
    assert_eq!(shown.matches("inactive: The endpoint").count(), MAX_TOLD);
    assert!(
        shown.contains("... and 3 more: redial endpoints dry-run --tenant demo --event evt_1\n"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_tenant_without_endpoints_is_shown_how_to_get_one() {
    let shown = told(Vec::new()).await;
    for command in [
        "redial endpoints create https://example.com/hook --tenant demo",
        "redial listen --tenant demo",
    ] {
        assert!(shown.contains(command), "{shown}");
        Cli::try_parse_from(command.split(' ')).unwrap();
    }
}

#[tokio::test]
async fn where_a_replay_is_all_that_is_needed_nothing_else_is_advised() {
    let shown = told(vec![missed()]).await;
    assert!(
        shown.contains("not_there_then") && !shown.contains("change one"),
        "{shown}"
    );
}

#[tokio::test]
async fn whoever_may_not_look_is_told_so_and_has_sent_all_the_same() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let refuse = async || {
        (
            StatusCode::FORBIDDEN,
            axum::Json(json!({ "status": 403, "code": "scope_needed" })),
        )
    };
    let router = Router::new().fallback(refuse);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (mut session, page) = session(&url, false);
    tell_why_nobody(&mut session, "demo", "evt_1").await.unwrap();
    assert_eq!(page.text(), "");
}

#[tokio::test]
async fn a_dry_run_of_all_endpoints_ends_with_the_commands_that_no_table_has_room_for() {
    let (mut session, page) = session(&api(vec![unwanted(2), missed()]).await, false);
    let line = "redial endpoints dry-run --tenant demo --event evt_1";
    let asked = Cli::try_parse_from(line.split(' ')).unwrap();
    assert!(matches!(asked.command, Some(Command::Endpoints(_))));
    let args = DryRunArgs {
        tenant: TenantArg {
            tenant: "demo".to_owned(),
        },
        id: None,
        event_type: None,
        agent: None,
        event: Some("evt_1".to_owned()),
    };
    run(&mut session, &args).await.unwrap();
    let shown = page.text();
    let command = shown.lines().last().unwrap().trim();
    assert_eq!(
        command,
        "redial replay --tenant demo --endpoint ep_1 --missing --since 2026-11-20T05:08:43.320Z --until \
         2026-11-20T05:08:43.321Z --type call.ended"
    );
    Cli::try_parse_from(command.split(' ')).unwrap();
}
