//! `ETag` and `If-Match`: whoever names the version that a change is about changes that version or nothing.

use axum::body::Body;
use axum::http::{Request, header};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::stand::{Reply, Stand};

const LIST: &str = "/v1/tenants/acme/endpoints";
const URL: &str = "http://127.0.0.1:9000/hook";
/// Races of two changes.
const ROUNDS: usize = 40;

fn path_of(endpoint: &Value) -> String {
    format!("{LIST}/{}", endpoint["id"].as_str().unwrap())
}

fn tag_of(reply: &Reply) -> String {
    reply.headers[header::ETAG].to_str().unwrap().to_owned()
}

async fn if_match(stand: &Stand, tag: &str, method: &str, path: &str, body: &Value) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {}", stand.operator))
        .header(header::IF_MATCH, tag);
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    stand.respond(request.body(body).unwrap()).await
}

#[tokio::test]
async fn every_answer_that_shows_an_endpoint_has_its_version_as_etag() {
    let stand = Stand::with_acme().await;
    let made = stand.ask("POST", LIST, json!({"url": URL})).await;
    let path = path_of(&made.json());
    let mut tags = vec![tag_of(&made)];
    assert_eq!(tags[0], format!("\"{}\"", made.json()["version"]));
    assert_eq!(tag_of(&stand.ask("GET", &path, Value::Null).await), tags[0]);
    for (method, action, body) in [
        ("PATCH", "", json!({"description": "d"})),
        ("POST", "/pause", Value::Null),
        ("POST", "/resume", Value::Null),
        ("POST", "/rotate", Value::Null),
        ("PATCH", "", json!({"active": false})),
        ("POST", "/activate", Value::Null),
    ] {
        let tag = tag_of(&stand.ask(method, &format!("{path}{action}"), body).await);
        assert!(!tags.contains(&tag), "{method} {action}: {tag} was there before");
        tags.push(tag.clone());
        for shown in [path.clone(), format!("{path}/secret")] {
            assert_eq!(tag_of(&stand.ask("GET", &shown, Value::Null).await), tag);
        }
    }
    // What changes nothing makes no version.
    let same = stand.ask("PATCH", &path, json!({"description": "d"})).await;
    assert_eq!(tag_of(&same), *tags.last().unwrap());
}

#[tokio::test]
async fn a_change_of_another_version_is_refused_and_changes_nothing() {
    let stand = Stand::with_acme().await;
    let made = stand.ask("POST", LIST, json!({"url": URL})).await;
    let (path, stale) = (path_of(&made.json()), tag_of(&made));
    stand.ok("PATCH", &path, json!({"description": "first"})).await;
    let before = stand.ok("GET", &path, Value::Null).await;
    let secrets = stand.ok("GET", &format!("{path}/secret"), Value::Null).await;
    let changes = [
        ("PATCH", path.clone(), json!({"description": "second"})),
        ("PATCH", path.clone(), json!({"headers": {"x-a": "1"}})),
        ("POST", format!("{path}/pause"), Value::Null),
        ("POST", format!("{path}/resume"), Value::Null),
        ("POST", format!("{path}/activate"), Value::Null),
        ("POST", format!("{path}/rotate"), json!({})),
        ("DELETE", path.clone(), Value::Null),
    ];
    for (method, at, body) in &changes {
        for tag in [stale.as_str(), "\"0\"", "W/\"3\"", "\"x\", \"y\""] {
            let refused = if_match(&stand, tag, method, at, body).await;
            let answer = (refused.status, refused.code());
            assert_eq!(answer, (412, "version_mismatch".to_owned()), "{method} {at} {tag}");
        }
        for tag in ["3", "\"3", "", "*, \"3\""] {
            let refused = if_match(&stand, tag, method, at, body).await;
            let answer = (refused.status, refused.code());
            assert_eq!(answer, (400, "if_match_invalid".to_owned()), "{method} {at} {tag}");
        }
    }
    assert_eq!(stand.ok("GET", &path, Value::Null).await, before);
    let after = stand.ok("GET", &format!("{path}/secret"), Value::Null).await;
    assert_eq!(after, secrets);
    assert_eq!(stand.pages("/v1/tenants/acme/replays", 10).await.0.len(), 0);

    // Its own version, a list that has it, and a star let it through.
    for (n, (method, at, body)) in changes.iter().enumerate() {
        let now = tag_of(&stand.ask("GET", &path, Value::Null).await);
        let tag = ["*".to_owned(), now.clone(), format!("\"0\", {now}")][n % 3].clone();
        let answer = if_match(&stand, &tag, method, at, body).await;
        assert_eq!(answer.status / 100, 2, "{method} {at} {tag}: {}", answer.code());
    }
    let gone = if_match(&stand, "*", "PATCH", &path, &json!({})).await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn a_tenant_that_is_not_there_is_of_no_version() {
    let stand = Stand::with_acme().await;
    let body = json!({"name": "new"});
    for tag in ["*", "\"0\"", "\"1\"", "W/\"0\""] {
        let refused = if_match(&stand, tag, "PUT", "/v1/tenants/new1", &body).await;
        assert_eq!(
            (refused.status, refused.code()),
            (412, "version_mismatch".to_owned()),
            "{tag}"
        );
    }
    assert_eq!(stand.ask("GET", "/v1/tenants/new1", Value::Null).await.status, 404);
    // A star is whatever is there.
    let set = if_match(&stand, "*", "PUT", "/v1/tenants/acme", &body).await;
    assert_eq!((set.status, &set.json()["name"]), (200, &json!("new")));
    assert_eq!(stand.ask("PUT", "/v1/tenants/new1", body).await.status, 201);
}

#[tokio::test]
async fn of_two_changes_of_one_version_exactly_one_is_made() {
    let stand = Stand::with_acme().await;
    let made = stand.ask("POST", LIST, json!({"url": URL})).await;
    let (path, mut tag) = (path_of(&made.json()), tag_of(&made));
    for round in 0..ROUNDS {
        // Of different kinds, so that each way through the code races with the others.
        let by = |name: &str| json!({"description": format!("{name} {round}")});
        let first = ("PATCH", path.clone(), by("first"));
        let second = match round % 4 {
            0 => ("PATCH", path.clone(), by("second")),
            1 => (
                "PATCH",
                path.clone(),
                json!({"headers": {"x-round": format!("{round}")}}),
            ),
            2 => ("POST", format!("{path}/rotate"), json!({})),
            _ => ("PATCH", path.clone(), json!({"timeout_ms": 2000 + round})),
        };
        let changes = [&first, &second].map(|(method, at, body)| if_match(&stand, &tag, method, at, body));
        let replies = join_all(changes).await;
        let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
        let winner = replies.iter().position(|reply| reply.status == 200);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "round {round}");
        let winner = winner.unwrap();
        tag = tag_of(&replies[winner]);
        let now = stand.ask("GET", &path, Value::Null).await;
        assert_eq!(tag_of(&now), tag, "the winner's is what is stored");
        let is_first = now.json()["description"] == format!("first {round}");
        assert_eq!(is_first, winner == 0, "round {round}: the loser left no trace");
    }
}

#[tokio::test]
async fn a_race_of_a_change_and_a_deletion_has_one_winner() {
    let stand = Stand::with_acme().await;
    for round in 0..ROUNDS / 2 {
        let made = stand.ask("POST", LIST, json!({"url": URL})).await;
        let (path, tag) = (path_of(&made.json()), tag_of(&made));
        let (change, nothing) = (json!({"description": "d"}), Value::Null);
        let (changed, deleted) = tokio::join!(
            if_match(&stand, &tag, "PATCH", &path, &change),
            if_match(&stand, &tag, "DELETE", &path, &nothing)
        );
        match (changed.status, deleted.status) {
            (200, 412) => stand.ok("DELETE", &path, Value::Null).await,
            // What is gone has no version to differ from.
            (404, 204) => Value::Null,
            other => panic!("round {round}: {other:?}"),
        };
    }
    assert!(stand.pages(LIST, 10).await.0.is_empty());
}
