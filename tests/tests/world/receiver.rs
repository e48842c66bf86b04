//! Customers' servers on real sockets: each behaves as told and keeps what it got.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use redial_domain::Timestamp;
use redial_domain::signature::{self, Secret, TOLERANCE_S};
use redial_platform::Clock;
use tokio::net::TcpListener;

/// How a receiver answers.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// Always with this status.
    Always(u16),
    /// With this status and what was sent: receivers log, and answer, what they got.
    Echo(u16),
    /// 500 to the first requests, then 200.
    FailFirst(usize),
    /// 500 to one request, by its number from 0, 200 to all others.
    FailAt(usize),
    /// 200; at its first request the whole machine stands still for this long, in milliseconds.
    StallOnce(i64),
    /// 500 to events whose id begins so, 200 to all others.
    Refuses(&'static str),
    /// 503 with `Retry-After` to the first requests, then 200.
    RetryAfter { fail_first: usize, seconds: u32 },
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub at_ms: i64,
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub traceparent: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    /// Fails unless the signature is that of `secret`, as of the moment it came.
    pub fn verify(&self, secret: &Secret) {
        let (secrets, now) = ([secret.clone()], Timestamp::from_millis(self.at_ms));
        let verified = signature::verify(
            &secrets,
            &self.id,
            &self.timestamp,
            &self.body,
            &self.signature,
            now,
            TOLERANCE_S,
        );
        assert_eq!(verified, Ok(()));
    }
}

#[derive(Debug)]
struct Server {
    behaviour: Behaviour,
    requests: Vec<Received>,
}

/// All receivers of a world, on one socket.
#[derive(Clone)]
pub struct Receiver {
    servers: Arc<Mutex<Vec<Server>>>,
    clock: Clock,
    origin: String,
}

impl Receiver {
    pub async fn start(clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let receiver = Self {
            servers: Arc::default(),
            clock,
            origin,
        };
        let router = Router::new().route("/r/{n}", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn add(&self, behaviour: Behaviour) -> (usize, String) {
        let mut servers = self.servers.lock().unwrap();
        servers.push(Server {
            behaviour,
            requests: Vec::new(),
        });
        let n = servers.len() - 1;
        (n, format!("{}/r/{n}", self.origin))
    }

    pub fn behave(&self, n: usize, behaviour: Behaviour) {
        self.servers.lock().unwrap()[n].behaviour = behaviour;
    }

    pub fn requests(&self, n: usize) -> Vec<Received> {
        self.servers.lock().unwrap()[n].requests.clone()
    }
}

async fn take(State(receiver): State<Receiver>, Path(n): Path<usize>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let received = Received {
        at_ms: receiver.clock.now().as_millis(),
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        traceparent: headers
            .get("traceparent")
            .map(|value| value.to_str().unwrap().to_owned()),
        headers: headers.clone(),
        body,
    };
    let mut servers = receiver.servers.lock().unwrap();
    let server = &mut servers[n];
    let before = server
        .requests
        .iter()
        .filter(|request| request.id == received.id)
        .count();
    let (echo, id) = (received.body.clone(), received.id.clone());
    server.requests.push(received);
    let status = |status| StatusCode::from_u16(status).unwrap();
    match server.behaviour {
        Behaviour::Always(code) => status(code).into_response(),
        Behaviour::Echo(code) => (status(code), echo).into_response(),
        Behaviour::FailFirst(n) => status(if before < n { 500 } else { 200 }).into_response(),
        Behaviour::FailAt(n) => status(if server.requests.len() == n + 1 { 500 } else { 200 }).into_response(),
        Behaviour::StallOnce(ms) => {
            if server.requests.len() == 1 {
                let now = receiver.clock.now();
                receiver.clock.advance_to(now.plus_millis(ms));
            }
            status(200).into_response()
        }
        Behaviour::Refuses(prefix) => status(if id.starts_with(prefix) { 500 } else { 200 }).into_response(),
        Behaviour::RetryAfter { fail_first, seconds } if before < fail_first => {
            (status(503), [("retry-after", seconds.to_string())]).into_response()
        }
        Behaviour::RetryAfter { .. } => status(200).into_response(),
    }
}
