//! Query parameters that are not what a list takes: refused with the parameter's name, on every list.

use serde_json::{Value, json};

use super::stand::Stand;

const HOSTILE_INPUTS: &str = include_str!("../../data/hostile-inputs.tsv");

/// Every list of the description, with an existing tenant and event.
fn lists() -> Vec<String> {
    let document = serde_json::to_value(redial_api::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let is_list = |operation: &Value| {
        let parameters = operation["get"]["parameters"].as_array().cloned().unwrap_or_default();
        parameters.iter().any(|parameter| parameter["name"] == "cursor")
    };
    let lists = paths.iter().filter(|(_, operation)| is_list(operation));
    let lists: Vec<String> = lists
        .map(|(path, _)| {
            path.replace("{tenant}", "acme")
                .replace("{event}", "e1")
                .replace("{call_id}", "c1")
        })
        .collect();
    assert!(lists.len() >= 11, "{lists:?}");
    lists
}

/// The column of the corpus as bytes: JSON string content, in which `{{REP:text:n}}` stands for a repeated text.
fn expanded(column: &str) -> String {
    let text = match column.split_once("{{REP:") {
        None => column.to_owned(),
        Some((before, rest)) => {
            let (repeated, after) = rest.split_once("}}").unwrap();
            let (text, times) = repeated.rsplit_once(':').unwrap();
            format!("{before}{}{after}", text.repeat(times.parse().unwrap()))
        }
    };
    serde_json::from_str(&format!("\"{text}\"")).unwrap()
}

#[tokio::test]
async fn every_hostile_parameter_is_refused_on_every_list() {
    let stand = Stand::with_acme().await;
    stand.event("acme", "e1").await;
    let rows: Vec<Vec<&str>> = HOSTILE_INPUTS.lines().map(|line| line.split('\t').collect()).collect();
    let hostile: Vec<String> = rows
        .iter()
        .filter(|row| row[0] == "param")
        .map(|row| expanded(row[1]))
        .collect();
    assert_eq!(hostile.len(), 10);
    for list in lists() {
        assert_eq!(stand.ask("GET", &list, Value::Null).await.status, 200, "{list}");
        for query in &hostile {
            let (status, code, field) = stand.refusal("GET", &format!("{list}?{query}"), Value::Null).await;
            let about = format!("{list} {}", &query[..query.len().min(60)]);
            assert_eq!(status, 400, "{about}");
            assert!(
                code.starts_with("parameter_") || code == "cursor_invalid",
                "{about}: {code}"
            );
            assert!(field.is_some_and(|field| query.starts_with(&field)), "{about}");
        }
    }
}

#[tokio::test]
async fn filters_are_read_strictly_and_named_when_they_are_wrong() {
    let stand = Stand::with_acme().await;
    for (query, field) in [
        ("deliveries?state=DEAD", "state"),
        ("deliveries?state=delivered", "state"),
        ("deliveries?endpoint=a%20b", "endpoint"),
        ("deliveries?endpoint=ep%2F1", "endpoint"),
        ("deliveries?since=2026-13-45", "since"),
        ("deliveries?until=-1", "until"),
        (
            "deliveries?since=2026-11-02T00:00:00Z&until=2026-11-01T00:00:00Z",
            "until",
        ),
        ("events?type=a%0Ab", "type"),
        ("events?type=*", "type"),
        ("events?agent=null", "agent"),
        ("events?since=2026-11-20T08:03:46+03:00", "since"),
        ("events?limit=101", "limit"),
    ] {
        let path = format!("/v1/tenants/acme/{query}");
        let expected = (400, "parameter_invalid".to_owned(), Some(field.to_owned()));
        assert_eq!(stand.refusal("GET", &path, Value::Null).await, expected, "{query}");
    }
    for query in [
        "deliveries?state=&endpoint=&since=&until=&limit=&cursor=",
        "events?type=&agent=&since=&until=",
    ] {
        stand.ok("GET", &format!("/v1/tenants/acme/{query}"), Value::Null).await;
    }
    let empty = "events?since=2026-11-01T00:00:00Z&until=2026-11-01T00:00:00Z";
    let page = stand.ok("GET", &format!("/v1/tenants/acme/{empty}"), Value::Null).await;
    assert_eq!(page, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn a_cursor_serves_only_the_list_tenant_and_question_it_was_given_for() {
    let stand = Stand::with_acme().await;
    stand.ok("PUT", "/v1/tenants/other", json!({})).await;
    for n in 0..3 {
        stand.event("acme", &format!("e{n}")).await;
        stand.event("other", &format!("e{n}")).await;
        stand.pass_ms(1);
    }
    let page = stand
        .ok("GET", "/v1/tenants/acme/events?limit=1&type=call.ended", Value::Null)
        .await;
    let cursor = page["next"].as_str().unwrap().to_owned();
    let next = format!("/v1/tenants/acme/events?type=call.ended&limit=2&cursor={cursor}");
    assert_eq!(stand.ok("GET", &next, Value::Null).await["items"][0]["id"], "e1");
    for path in [
        format!("/v1/tenants/other/events?type=call.ended&cursor={cursor}"),
        format!("/v1/tenants/acme/events?cursor={cursor}"),
        format!("/v1/tenants/acme/events?type=qa.scored&cursor={cursor}"),
        format!("/v1/tenants/acme/events?type=call.ended&agent=a&cursor={cursor}"),
        format!("/v1/tenants/acme/deliveries?cursor={cursor}"),
        format!("/v1/tenants?cursor={cursor}"),
        format!(
            "/v1/tenants/acme/events?type=call.ended&cursor={}",
            &cursor[..cursor.len() - 1]
        ),
    ] {
        let expected = (400, "cursor_invalid".to_owned(), Some("cursor".to_owned()));
        assert_eq!(stand.refusal("GET", &path, Value::Null).await, expected, "{path}");
    }
}
