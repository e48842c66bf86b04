//! Endpoints that point to Redial itself: the API learns from each request where it is reached, because it cannot be told.

use axum::body::Body;
use axum::http::{Request, header};
use lambda_http::RequestExt as _;
use lambda_http::request::{LambdaRequest, RequestContext};
use serde_json::json;

use crate::api::stand::{Reply, Stand};

/// The context of a request that came through a function URL of that domain, as Lambda writes it.
fn reached_at(domain: &str) -> RequestContext {
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": {},
        "requestContext": {
            "accountId": "anonymous", "apiId": "abc", "domainName": domain, "domainPrefix": "abc",
            "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "t"},
            "requestId": "r", "routeKey": "$default", "stage": "$default",
            "time": "20/Nov/2026:05:00:30 +0000", "timeEpoch": 1_795_150_830_000_i64
        },
        "isBase64Encoded": false
    });
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    lambda_http::Request::from(request).request_context()
}

async fn post(stand: &Stand, host: &str, context: Option<RequestContext>, url: &str) -> Reply {
    let mut request = Request::post("/v1/tenants/acme/endpoints")
        .header(header::AUTHORIZATION, format!("Bearer {}", stand.operator))
        .header(header::HOST, host)
        .body(Body::from(json!({"url": url}).to_string()))
        .unwrap();
    if let Some(context) = context {
        request.extensions_mut().insert(context);
    }
    stand.respond(request).await
}

#[tokio::test]
async fn an_endpoint_at_the_urls_that_redial_is_reached_at_is_refused() {
    let stand = Stand::with_acme().await;
    let domain = "abc.lambda-url.us-east-1.on.aws";
    let at = |url: &'static str| post(&stand, "proxy.example.com", Some(reached_at(domain)), url);
    for url in [
        "https://abc.lambda-url.us-east-1.on.aws/hook",
        "https://ABC.lambda-url.us-east-1.on.aws:8443/",
        "https://proxy.example.com/hook",
        // What the API was told.
        "http://127.0.0.1:4080/v1/events",
    ] {
        let reply = at(url).await;
        assert_eq!((reply.status, reply.code().as_str()), (422, "url_own_host"), "{url}");
    }
    assert_eq!(at("https://other.lambda-url.us-east-1.on.aws/").await.status, 201);
    // A name that is no host narrows nothing, and is no reason to fail.
    let reply = post(&stand, "not a host", None, "https://proxy.example.com/hook").await;
    assert_eq!(reply.status, 201);
}

#[tokio::test]
async fn a_changed_endpoint_is_checked_against_the_same_names() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let request = Request::patch(format!("/v1/tenants/acme/endpoints/{endpoint}"))
        .header(header::AUTHORIZATION, format!("Bearer {}", stand.operator))
        .header(header::HOST, "api.example.com")
        .body(Body::from(
            json!({"url": "https://api.example.com/v1/events"}).to_string(),
        ))
        .unwrap();
    let reply = stand.respond(request).await;
    assert_eq!((reply.status, reply.code().as_str()), (422, "url_own_host"));
}
