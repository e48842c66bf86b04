//! `redial serve` as a whole, in this process: a tenant, an endpoint, an event, its delivery; stopped and started again.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use redial_domain::frame::FrameAncestors;
use redial_domain::signature::{Secret, TOLERANCE_S, verify};
use redial_local::cli::ServeArgs;
use redial_local::serve::{ServeError, Server};
use redial_platform::Clock;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How long a stop may take in these tests, where nothing hangs.
const GRACE: Duration = Duration::from_secs(20);

fn args(folder: &Path) -> ServeArgs {
    ServeArgs {
        data: folder.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        json: false,
        strict_targets: false,
        console_ancestors: FrameAncestors::default(),
        extra_authorities: None,
        schedule: None,
        template: None,
        billable: None,
    }
}

/// A client of the API: loopback only, so it trusts nobody.
fn client() -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap()
}

/// A customer's receiver on this machine, which takes everything.
async fn receiver() -> (SocketAddr, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (send, received) = mpsc::unbounded_channel();
    let take = move |headers: HeaderMap, body: Bytes| async move {
        send.send((headers, body)).unwrap();
        StatusCode::NO_CONTENT
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().fallback(take);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, received)
}

/// Calls the API with the operator's key.
async fn call(server: &Server, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let url = format!("{}{path}", server.url());
    let request = client()
        .request(method.parse().unwrap(), url)
        .bearer_auth(server.key().reveal());
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
}

fn note(folder: &Path) -> Option<Value> {
    let text = std::fs::read(folder.join("serve.json")).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_delivered_signed_and_all_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (address, mut received) = receiver().await;
    let server = Server::start(&args(folder.path())).await.unwrap();
    let key = server.key().reveal().to_owned();
    assert_eq!(note(folder.path()).unwrap(), json!({ "url": server.url(), "key": key }));

    let (status, tenant) = call(&server, "PUT", "/v1/tenants/acme", Some(json!({}))).await;
    assert!(matches!(status, 200 | 201), "{tenant}");
    let endpoint = json!({ "url": format!("http://{address}/hook"), "event_types": ["call.ended"] });
    let (status, endpoint) = call(&server, "POST", "/v1/tenants/acme/endpoints", Some(endpoint)).await;
    assert_eq!(status, 201, "{endpoint}");
    let event = json!({ "type": "call.ended", "tenant": "acme", "data": { "call_id": "c1", "duration_s": 7 } });
    let (status, accepted) = call(&server, "POST", "/v1/events", Some(event)).await;
    assert_eq!((status, &accepted["deliveries"]), (202, &json!(1)), "{accepted}");

    let (headers, body) = received.recv().await.unwrap();
    let header = |name: &str| headers[name].to_str().unwrap();
    let id = accepted["id"].as_str().unwrap();
    assert_eq!(header("webhook-id"), id);
    let secret = Secret::parse(endpoint["secret"].as_str().unwrap()).unwrap();
    let (timestamp, signature) = (header("webhook-timestamp"), header("webhook-signature"));
    verify(
        &[secret],
        id,
        timestamp,
        &body,
        signature,
        Clock::System.now(),
        TOLERANCE_S,
    )
    .unwrap();

    assert_eq!(
        server.stop(GRACE).await,
        0,
        "the attempt is recorded before the server has stopped"
    );
    assert_eq!(note(folder.path()), None);

    let server = Server::start(&args(folder.path())).await.unwrap();
    assert_eq!(server.key().reveal(), key);
    let (status, deliveries) = call(
        &server,
        "GET",
        &format!("/v1/tenants/acme/events/{id}/deliveries"),
        None,
    )
    .await;
    assert_eq!(status, 200, "{deliveries}");
    assert_eq!(deliveries["items"][0]["state"], "succeeded", "{deliveries}");
    assert_eq!(server.stop(GRACE).await, 0);
    assert!(received.try_recv().is_err(), "it was delivered once");
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_targets_refuse_what_a_local_run_allows() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _) = receiver().await;
    let strict = ServeArgs {
        strict_targets: true,
        ..args(folder.path())
    };
    let server = Server::start(&strict).await.unwrap();
    call(&server, "PUT", "/v1/tenants/acme", Some(json!({}))).await;
    let endpoint = json!({ "url": format!("http://{address}/hook") });
    let (status, refusal) = call(&server, "POST", "/v1/tenants/acme/endpoints", Some(endpoint)).await;
    assert_eq!((status, &refusal["field"]), (422, &json!("url")), "{refusal}");
    server.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_a_start_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = StdListener::bind("127.0.0.1:0").unwrap();
    let on_taken_port = ServeArgs {
        listen: taken.local_addr().unwrap(),
        ..args(folder.path())
    };
    let refused = Server::start(&on_taken_port).await.unwrap_err();
    assert!(
        matches!(&refused, ServeError::Listen { address, .. } if *address == on_taken_port.listen),
        "{refused}"
    );

    let for_everybody = ServeArgs {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..args(folder.path())
    };
    let refused = Server::start(&for_everybody).await.unwrap_err();
    assert!(
        refused.to_string().contains("can be reached from other machines"),
        "{refused}"
    );

    let server = Server::start(&args(folder.path())).await.unwrap();
    let refused = Server::start(&args(folder.path())).await.unwrap_err();
    let named = folder.path().canonicalize().unwrap().display().to_string();
    assert!(refused.to_string().contains(&named), "{refused}");
    server.stop(GRACE).await;

    let template = folder.path().join("other.yaml");
    std::fs::write(&template, "Resources: []").unwrap();
    let with_another_template = ServeArgs {
        template: Some(template),
        ..args(folder.path())
    };
    let refused = Server::start(&with_another_template).await.unwrap_err();
    assert!(matches!(refused, ServeError::Template(_)), "{refused}");

    let authorities = folder.path().join("authorities.pem");
    let trusting = ServeArgs {
        extra_authorities: Some(authorities.clone()),
        ..args(folder.path())
    };
    let refused = Server::start(&trusting).await.unwrap_err();
    assert!(matches!(refused, ServeError::AuthoritiesFile { .. }), "{refused}");
    std::fs::write(&authorities, "no certificate").unwrap();
    let refused = Server::start(&trusting).await.unwrap_err();
    assert!(matches!(refused, ServeError::Authorities(_)), "{refused}");
}
