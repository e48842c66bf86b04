//! The API behind a customer's key: `METHOD /path?query`, a line end, and a body. Whatever is asked, it is answered, never with
//! a 5xx; a refusal says under which code; and nothing of another customer's comes back.

use axum::body::Body;
use http::{Method, Request, Uri};
use serde_json::Value;

use super::inputs;
use crate::Target;
use crate::stand::{self, CANARY, OTHER, OWN};

pub(crate) const TARGET: Target = Target {
    name: "api",
    max_len: 8_192,
    run,
    seeds,
};

/// A path where the answer is another system's (`docs/COMPATIBILITY.md`), and so is the form of its refusals.
const COMPATIBLE: &str = "/integration/";

fn seeds() -> Vec<Vec<u8>> {
    let reads = [
        "",
        "/endpoints",
        "/endpoints?limit=2&order=asc",
        "/endpoints/ep_1",
        "/events?type=call.*&limit=1",
        "/events/src_1",
        "/events?since=2026-11-20T05:00:00Z&until=2026-11-21T00:00:00Z&agent=agt_1",
        "/events?cursor=AAAA",
        "/deliveries?state=dead",
        "/deliveries/src_1.ep_1",
        "/calls/own",
        "/calls/own/timeline",
        "/event-types",
        "/event-types/own.thing",
        "/replays",
        "/replays/rpl_1",
        "/statistics",
        "/ledger",
        "/dead-letters?reason=gone",
        "/erasures",
        "/keys",
        "/secrets",
        "/endpoints/ep_1/health",
        "/endpoints/ep_1/backlog",
        "/endpoints/ep_1/deliveries",
        "/statistics?step_s=300",
        "/portal",
    ];
    let mut texts: Vec<String> = Vec::new();
    for tenant in [OWN, OTHER] {
        texts.extend(reads.iter().map(|path| format!("GET /v1/tenants/{tenant}{path}\n")));
        for body in [
            r#"POST {}/endpoints\n{"url":"https://hooks.example.com/a","event_types":["call.*"],"profile":"utel"}"#,
            r#"POST {}/endpoints\n{"url":"https://x.example.com","headers":{"x-a":"b"},"auth":{"type":"bearer","token":"t"},"retry":{"attempts":2,"delays":[5]}}"#,
            r#"PATCH {}/endpoints/ep_1\n{"description":"x","state":"paused"}"#,
            r#"POST {}/endpoints/ep_1/pause\n{}"#,
            r#"POST {}/endpoints/ep_1/backlog\n{"action":"discard","dry_run":true}"#,
            r#"POST {}/replays\n{"endpoint":"ep_1","since":"2026-11-20T05:00:00Z"}"#,
            r#"POST {}/dead-letters/redrive\n{"dry_run":true}"#,
            r#"PUT {}/event-types/a.b\n{"schema":{"type":"object"}}"#,
            r#"POST {}/event-types/call.ended/check\n{"data":{}}"#,
            r#"POST {}/portal\n{"ttl_s":60,"read_only":true,"language":"ar"}"#,
            r#"POST {}/dry-run\n{"type":"call.ended","data":{}}"#,
            r#"DELETE {}/endpoints/ep_1\n"#,
            r#"DELETE {}/events/src_9\n"#,
        ] {
            texts.push(
                body.replace("{}", &format!("/v1/tenants/{tenant}"))
                    .replace("\\n", "\n"),
            );
        }
    }
    texts.extend(
        [
            "GET /v1\n",
            "GET /v1/session\n",
            "POST /v1/session\n{\"key\":\"rd_a_b\"}",
            "GET /console/t/acme\n",
            "GET /console/v-0/lib/../../x.js\n",
            "GET /v1/event-types\n",
            "GET /v1/openapi.json\n",
            "GET /v1/keys\n",
            "GET /v1/tenants?limit=1\n",
            "POST /v1/events\n{\"type\":\"a\",\"tenant\":\"victim\",\"data\":1}",
            "GET /integration/webhook\n",
            "PUT /integration/webhook\n[{\"url\":\"https://a.example.com\",\"events\":[\"call_end\"]}]",
            "OPTIONS *\n",
            "HEAD /v1/tenants/%2e%2e/victim\n",
            "GET /v1/tenants/acme/../victim/endpoints\n",
        ]
        .map(str::to_owned),
    );
    inputs(texts)
}

fn run(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let Some((method, target)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' ')) else {
        return;
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let Ok(uri) = target.parse::<Uri>() else { return };
    // A test of an endpoint is the one call that sends something at once, to wherever the endpoint is.
    if uri.path().contains("/test") || contains(input, CANARY) {
        return;
    }
    let path = uri.path().to_owned();
    stand::with(|stand| {
        let request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", stand.key));
        let Ok(request) = request.body(Body::from(body.to_vec())) else {
            return;
        };
        let (status, answer) = stand.ask(request);
        let shown = String::from_utf8_lossy(&answer);
        assert!(!status.is_server_error(), "{status} {shown}");
        assert!(!contains(&answer, CANARY), "{shown}");
        let others = format!("/v1/tenants/{OTHER}");
        let is_others = path
            .strip_prefix(&others)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        assert!(!is_others || !status.is_success(), "{status} {shown}");
        if status.is_client_error() && !answer.is_empty() && !path.starts_with(COMPATIBLE) {
            let problem: Value = serde_json::from_slice(&answer).expect("a refusal is JSON");
            assert!(problem["code"].as_str().is_some_and(|code| !code.is_empty()), "{shown}");
            assert_eq!(problem["status"], status.as_u16(), "{shown}");
        }
    });
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
