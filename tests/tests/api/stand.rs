//! The API and ingest, each as its own function has it, on the embedded services, with a clock that stands still until it is moved. Both may
//! what their roles grant.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bytes::Bytes;
use redial_domain::address::{AddressPolicy, AllowedNetworks};
use redial_domain::delivery::DeliveryState;
use redial_domain::retry::RetryPolicy;
use redial_domain::{DeliveryId, EventId, TenantId, Timestamp};
use redial_local::permissions::Gate;
use redial_local::runtime::{FunctionSettings, Machine, Storage};
use redial_local::template::Template;
use redial_platform::auth::{self, Scope};
use redial_platform::store::deliveries::{AttemptRecord, DeliveryRecord};
use redial_platform::{Clock, Random, Store};
use redial_sqs::Sqs;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world;

/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// What time it is when a stand is made.
pub const START_MS: i64 = 1_795_000_000_000;

/// An answer, read whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub struct Stand {
    pub store: Store,
    pub clock: Clock,
    pub sqs: Sqs,
    /// The operator's key.
    pub operator: String,
    random: Random,
    api: axum::Router,
    ingest: axum::Router,
    gate: Arc<Gate>,
    _machine: Machine,
    _folder: tempfile::TempDir,
}

impl Drop for Stand {
    fn drop(&mut self) {
        world::nothing_was_denied(&self.gate);
    }
}

impl Stand {
    pub async fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(START_MS));
        let random = Random::seeded(7);
        let folder = tempfile::tempdir().unwrap();
        let gate = world::gate();
        let settings = FunctionSettings {
            clock: clock.clone(),
            random: random.clone(),
            targets: AddressPolicy::with_local(AllowedNetworks::parse(["127.0.0.1/32"]).unwrap(), true),
            default_retry: RetryPolicy::from_delays(vec![1, 2]).unwrap(),
            gate: Some(Arc::clone(&gate)),
            ..FunctionSettings::new("http://127.0.0.1:4080", [9; 32])
        };
        let storage = Storage::TablesInMemory {
            queues: folder.path().to_owned(),
        };
        let machine = Machine::open(&Template::built_in().unwrap(), &storage, settings)
            .await
            .unwrap();
        let mut stand = Self {
            store: machine.functions().store().clone(),
            clock,
            sqs: machine.services().sqs().clone(),
            operator: String::new(),
            random,
            api: machine.functions().api_invocation(),
            ingest: machine.router(),
            gate,
            _machine: machine,
            _folder: folder,
        };
        stand.operator = stand.mint("operator").await;
        stand
    }

    /// A stand with tenant `acme`.
    pub async fn with_acme() -> Self {
        let stand = Self::new().await;
        stand.ok("PUT", "/v1/tenants/acme", json!({})).await;
        stand
    }

    /// A key of that scope, stored as if it had been made through the API.
    pub async fn mint(&self, scope: &str) -> String {
        let (text, key) = auth::mint(&self.random, &Scope::parse(scope).unwrap(), scope, self.clock.now());
        self.store.put_api_key(&key).await.unwrap();
        text.reveal().to_owned()
    }

    /// One request; `Value::Null` sends no body.
    pub async fn send(&self, key: Option<&str>, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        self.send_raw(key, method, path, body).await
    }

    pub async fn send_raw(&self, key: Option<&str>, method: &str, path: &str, body: Body) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        self.respond(request.body(body).unwrap()).await
    }

    /// One request as it is.
    pub async fn respond(&self, request: Request<Body>) -> Reply {
        let is_ingest = request.method() == Method::POST && request.uri().path() == "/v1/events";
        let router = if is_ingest { &self.ingest } else { &self.api };
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, MAX_ANSWER_BYTES).await.unwrap();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    /// One request of the operator.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        self.send(Some(&self.operator), method, path, &body).await
    }

    /// One request of the operator that must succeed.
    pub async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let reply = self.ask(method, path, body).await;
        let text = String::from_utf8_lossy(&reply.body);
        assert!(
            StatusCode::from_u16(reply.status).unwrap().is_success(),
            "{method} {path}: {text}"
        );
        reply.json()
    }

    /// One request of the operator that must be refused: status, code, field.
    pub async fn refusal(&self, method: &str, path: &str, body: Value) -> (u16, String, Option<String>) {
        let reply = self.ask(method, path, body).await;
        let kind = reply
            .headers
            .get(header::CONTENT_TYPE)
            .map(|kind| kind.to_str().unwrap().to_owned());
        assert_eq!(kind.as_deref(), Some("application/problem+json"), "{method} {path}");
        let problem = reply.json();
        assert_eq!(problem["status"], reply.status);
        (reply.status, reply.code(), problem["field"].as_str().map(str::to_owned))
    }

    /// All items of a list, page by page, and the number of pages.
    pub async fn pages(&self, path: &str, limit: usize) -> (Vec<Value>, usize) {
        let (mut items, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        let join = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self
                .ok(
                    "GET",
                    &format!("{path}{join}limit={limit}&cursor={cursor}"),
                    Value::Null,
                )
                .await;
            let found = page["items"].as_array().unwrap();
            assert!(found.len() <= limit, "{path}");
            items.extend(found.iter().cloned());
            pages += 1;
            assert!(pages < 1_000, "{path} never ends");
            match page["next"].as_str() {
                None => return (items, pages),
                Some(next) => cursor = next.to_owned(),
            }
        }
    }

    /// Moves the clock.
    pub fn pass_ms(&self, ms: i64) {
        self.clock.advance_to(self.clock.now().plus_millis(ms));
    }

    /// An endpoint of a tenant; answers its id.
    pub async fn endpoint(&self, tenant: &str) -> String {
        let body = json!({"url": "http://127.0.0.1:9000/hook"});
        let made = self.ok("POST", &format!("/v1/tenants/{tenant}/endpoints"), body).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// Posts an event with the platform's own id.
    pub async fn event(&self, tenant: &str, id: &str) {
        let body = json!({"type": "call.ended", "tenant": tenant, "id": id, "data": {"id": id}});
        self.ok("POST", "/v1/events", body).await;
    }

    /// The record of a delivery as a dispatcher would begin it.
    pub async fn record(&self, tenant: &str, delivery: &str, state: DeliveryState) -> DeliveryRecord {
        let (tenant, id) = (TenantId::parse(tenant).unwrap(), DeliveryId::parse(delivery).unwrap());
        let event = self
            .store
            .event(&tenant, &EventId::parse(id.event.as_str()).unwrap(), self.clock.now())
            .await;
        let event = event.unwrap().unwrap();
        DeliveryRecord {
            tenant,
            id,
            accepted_at: event.accepted_at,
            shards: event.shards,
            event_type: event.event_type,
            state,
            attempts: 0,
            last: None,
            reason: None,
            next_at: None,
            due_at: None,
            held_at: None,
            expires_at: event.expires_at,
            dropped: false,
            redriven: None,
            agent: None,
            traceparent: None,
        }
    }

    /// Records `attempts` attempts: all failed but, for a delivery that succeeded, the last.
    pub async fn conclude(&self, tenant: &str, delivery: &str, state: DeliveryState, attempts: u32) {
        let last = self.record(tenant, delivery, state).await;
        for n in 1..=attempts {
            let succeeded = n == attempts && state == DeliveryState::Succeeded;
            let attempt = AttemptRecord {
                n,
                at: self.clock.now(),
                status: Some(if succeeded { 204 } else { 500 }),
                code: if succeeded { "ok" } else { "http_error" }.to_owned(),
                duration_ms: 12,
                next: format!("what follows after {n}"),
                response: format!("answer {n} <script>").into_bytes(),
            };
            let state = if n == attempts { state } else { DeliveryState::Retrying };
            let record = DeliveryRecord {
                state,
                attempts: n,
                last: Some(attempt),
                ..last.clone()
            };
            if succeeded {
                self.store.record_success(&record).await.unwrap();
            } else {
                self.store.record_failure(&record).await.unwrap();
            }
        }
    }
}
