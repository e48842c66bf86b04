//! Lists as NDJSON: the same items as in JSON, one a line, with the cursor in a header, whole payloads on request, and no
//! answer larger than Lambda carries.

use axum::body::Body;
use axum::http::{Request, header};
use redial_domain::delivery::DeliveryState;
use serde_json::{Value, json};

use super::stand::{Reply, Stand};

const EVENTS: &str = "/v1/tenants/acme/events";
const DELIVERIES: &str = "/v1/tenants/acme/deliveries";
/// Lambda's limit of an answer.
const LAMBDA_BYTES: usize = 6 * 1024 * 1024;

async fn lines(stand: &Stand, path: &str) -> Reply {
    let request = Request::get(path)
        .header(header::AUTHORIZATION, format!("Bearer {}", stand.operator))
        .header(header::ACCEPT, "application/x-ndjson");
    stand.respond(request.body(Body::empty()).unwrap()).await
}

fn header_of<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.get(name).map(|value| value.to_str().unwrap())
}

/// Every item of an export, and the number of its pages.
async fn exported(stand: &Stand, path: &str) -> (Vec<Value>, usize) {
    let (mut items, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let reply = lines(stand, &format!("{path}&cursor={cursor}")).await;
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        assert_eq!(header_of(&reply, "content-type"), Some("application/x-ndjson"));
        let text = std::str::from_utf8(&reply.body).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        items.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        pages += 1;
        match header_of(&reply, "redial-next-cursor") {
            None => return (items, pages),
            Some(next) => cursor = next.to_owned(),
        }
    }
}

#[tokio::test]
async fn an_export_has_the_items_of_the_list_one_a_line() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    for n in 0..7 {
        let posted = format!(
            "{{\"type\":\"call.ended\",\"tenant\":\"acme\",\"id\":\"e{n}\",\"data\":{{\r\n  \"n\" : {n},\n\"t\":\"a\\nb\"}}}}"
        );
        let answer = stand
            .send_raw(Some(&stand.operator), "POST", "/v1/events", posted.into())
            .await;
        assert_eq!(answer.status, 202);
        stand
            .conclude("acme", &format!("e{n}.{endpoint}"), DeliveryState::Dead, 2)
            .await;
        stand.pass_ms(1);
    }
    for path in [
        format!("{EVENTS}?limit=3"),
        format!("{EVENTS}?limit=3&order=asc&type=call.*"),
        format!("{EVENTS}?limit=3&include=data"),
        format!("{DELIVERIES}?limit=3&state=dead"),
    ] {
        let (items, pages) = exported(&stand, &path).await;
        assert_eq!((items.len(), pages), (7, 3), "{path}");
        let listed = stand
            .pages(&path.replace("limit=3&", "").replace("?limit=3", ""), 100)
            .await
            .0;
        assert_eq!(items, listed, "{path}");
    }
    let (items, _) = exported(&stand, &format!("{EVENTS}?include=data")).await;
    assert_eq!(items[0]["data"], json!({"n": 6, "t": "a\nb"}));
    assert_eq!(
        (&items[0]["links"], &items[0]["endpoints"]),
        (&json!({}), &json!([endpoint]))
    );
    let (items, _) = exported(&stand, &format!("{EVENTS}?order=desc")).await;
    assert_eq!(items[0]["data"], Value::Null, "payloads only if asked for");
}

#[tokio::test]
async fn a_cursor_serves_both_formats_and_a_refusal_is_a_problem_in_both() {
    let stand = Stand::with_acme().await;
    for n in 0..3 {
        stand.event("acme", &format!("e{n}")).await;
        stand.pass_ms(1);
    }
    let first = lines(&stand, &format!("{EVENTS}?limit=1")).await;
    let cursor = header_of(&first, "redial-next-cursor").unwrap();
    let second = stand
        .ok("GET", &format!("{EVENTS}?limit=1&cursor={cursor}"), Value::Null)
        .await;
    assert_eq!(second["items"][0]["id"], "e1");
    for (query, field) in [
        ("include=everything", "include"),
        ("order=newest", "order"),
        ("type=.*", "type"),
        ("type=call*", "type"),
        ("endpoint=a/b", "endpoint"),
        ("limit=1000", "limit"),
        ("cursor=AAAA", "cursor"),
    ] {
        let reply = lines(&stand, &format!("{EVENTS}?{query}")).await;
        let kind = header_of(&reply, "content-type");
        assert_eq!((reply.status, kind), (400, Some("application/problem+json")), "{query}");
        assert_eq!(reply.json()["field"], field, "{query}");
    }
    let long = format!("call={}", "x".repeat(513));
    assert_eq!(lines(&stand, &format!("{EVENTS}?{long}")).await.json()["field"], "call");
    for (query, field) in [
        ("reason=No%20good", "reason"),
        ("type=*", "type"),
        ("order=asc", "order"),
    ] {
        let reply = lines(&stand, &format!("{DELIVERIES}?{query}")).await;
        assert_eq!(
            (reply.status, reply.json()["field"].as_str()),
            (400, Some(field)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_page_of_large_payloads_ends_before_lambda_would_refuse_it() {
    let stand = Stand::with_acme().await;
    // Every byte of it is escaped in Lambda's answer.
    let data = "\\\\".repeat(50_000);
    for n in 0..60 {
        let posted = format!(r#"{{"type":"call.ended","tenant":"acme","id":"e{n}","data":"{data}"}}"#);
        let answer = stand
            .send_raw(Some(&stand.operator), "POST", "/v1/events", posted.into())
            .await;
        assert_eq!(answer.status, 202);
    }
    let (items, pages) = exported(&stand, &format!("{EVENTS}?include=data&limit=100")).await;
    assert_eq!(items.len(), 60);
    assert!((3..=6).contains(&pages), "{pages}");
    let page = stand
        .ask("GET", &format!("{EVENTS}?include=data&limit=100"), Value::Null)
        .await;
    let carried = serde_json::to_string(std::str::from_utf8(&page.body).unwrap())
        .unwrap()
        .len();
    assert!((LAMBDA_BYTES / 2..LAMBDA_BYTES).contains(&carried), "{carried}");
    assert_eq!(stand.pages(EVENTS, 100).await.1, 1, "without payloads it is one page");
}
