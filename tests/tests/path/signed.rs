//! Events that come without a key, because IAM let them in: through the URL that wants signatures, or invoked directly. And
//! that nothing a caller of the open URL can send makes it look like one of them.

use serde_json::{Value, json};

use crate::world::{Behaviour, World};

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"call_id": "c1"}})
}

/// The authorizer that Lambda names for a signed request.
/// <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>
fn principal() -> Value {
    json!({"iam": {
        "accessKey": "AKIAIOSFODNN7EXAMPLE", "accountId": "111122223333", "callerId": "AIDACKCEVSQ6C2EXAMPLE",
        "cognitoIdentity": null, "principalOrgId": null,
        "userArn": "arn:aws:iam::111122223333:user/platform", "userId": "AIDACKCEVSQ6C2EXAMPLE"
    }})
}

/// A request to ingest as Lambda hands it over, from its open URL. Of all this a caller chooses the headers, the query and
/// the body; Lambda writes the rest.
fn request(body: &Value) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/v1/events", "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "abc.lambda-url.us-east-1.on.aws"},
        "requestContext": {
            "accountId": "anonymous", "apiId": "abc", "authentication": null,
            "domainName": "abc.lambda-url.us-east-1.on.aws", "domainPrefix": "abc",
            "http": {
                "method": "POST", "path": "/v1/events", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7",
                "userAgent": "agent"
            },
            "requestId": "r", "routeKey": "$default", "stage": "$default",
            "time": "20/Nov/2026:05:00:30 +0000", "timeEpoch": 1_795_150_830_000_i64
        },
        "body": body.to_string(), "isBase64Encoded": false
    })
}

fn signed(body: &Value) -> Value {
    let mut request = request(body);
    request["requestContext"]["accountId"] = json!("111122223333");
    request["requestContext"]["authorizer"] = principal();
    request
}

async fn answer(world: &World, request: &Value) -> (u64, Value) {
    let answer = world.invoke_ingest(&request.to_string()).await;
    let body = answer["body"].as_str().unwrap();
    (
        answer["statusCode"].as_u64().unwrap(),
        serde_json::from_str(body).unwrap(),
    )
}

#[tokio::test]
async fn a_signed_request_and_a_direct_invocation_need_no_key() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let (status, stored) = answer(&world, &signed(&event("signed"))).await;
    assert_eq!((status, &stored), (202, &json!({"id": "signed", "deliveries": 1})));
    let direct = world.invoke_ingest(&event("direct").to_string()).await;
    assert_eq!(direct, json!({"id": "direct", "deliveries": 1}));
    let mut with_key = request(&event("key"));
    with_key["headers"]["authorization"] = json!(format!("Bearer {}", world.key()));
    assert_eq!(answer(&world, &with_key).await.0, 202);
    world.run_to_the_end().await;
    assert_eq!(world.requests(&endpoint).len(), 3);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn nothing_that_a_caller_of_the_open_url_sends_makes_it_signed() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let context = json!({"accountId": "111122223333", "authorizer": principal()});

    let mut in_the_body = event("e1");
    in_the_body["requestContext"] = context.clone();
    let in_the_body = request(&in_the_body);
    // A whole invocation as the body.
    let nested = request(&signed(&event("e1")));
    let mut in_headers = request(&event("e1"));
    for name in [
        "x-amzn-request-context",
        "x-amz-request-context",
        "requestcontext",
        "x-amzn-lambda-context",
    ] {
        in_headers["headers"][name] = json!(context.to_string());
    }
    let mut signature = request(&event("e1"));
    let credential = "Credential=AKIAIOSFODNN7EXAMPLE/20261120/us-east-1/lambda/aws4_request";
    signature["headers"]["authorization"] = json!(format!(
        "AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=00"
    ));
    let mut in_the_query = request(&event("e1"));
    in_the_query["rawQueryString"] = json!("requestContext.authorizer.iam.userArn=arn:aws:iam::111122223333:root");
    in_the_query["queryStringParameters"] =
        json!({"requestContext.authorizer.iam.userArn": "arn:aws:iam::111122223333:root"});
    let mut nobody = request(&event("e1"));
    nobody["requestContext"]["authorizer"] = json!({"iam": {"userArn": ""}});
    let mut other_authorizer = request(&event("e1"));
    other_authorizer["requestContext"]["authorizer"] = json!({"lambda": {"iam": principal()["iam"]}});

    for forged in [
        in_the_body,
        nested,
        in_headers,
        signature,
        in_the_query,
        nobody,
        other_authorizer,
    ] {
        let (status, problem) = answer(&world, &forged).await;
        assert_eq!((status, &problem["code"]), (401, &json!("key_invalid")), "{forged}");
    }
    world.run_to_the_end().await;
    assert!(world.requests(&endpoint).is_empty());
}

#[tokio::test]
async fn a_signed_request_is_held_to_the_rules_of_every_other() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let (status, problem) = answer(
        &world,
        &signed(&json!({"type": "call.ended", "tenant": "nobody", "data": {}})),
    )
    .await;
    assert_eq!((status, &problem["code"]), (422, &json!("tenant_unknown")));
    let mut elsewhere = signed(&Value::Null);
    elsewhere["rawPath"] = json!("/v1/keys");
    elsewhere["requestContext"]["http"]["path"] = json!("/v1/keys");
    let answer = world.invoke_ingest(&elsewhere.to_string()).await;
    assert_eq!(answer["statusCode"], 404, "ingest manages nothing");
}
