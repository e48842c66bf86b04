//! The world of a test: a machine on a clock that stands still, its API, and receivers on real sockets. Nothing happens
//! unless the test says so; nothing sleeps.

mod names;
mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt as _;
use lambda_runtime::{Context, LambdaEvent};
use redial_domain::address::{AddressPolicy, AllowedNetworks};
use redial_domain::delivery::DeliveryState;
use redial_domain::signature::Secret;
use redial_domain::{DeliveryId, EndpointId, EventId, TenantId, Timestamp, Traceparent};
use redial_local::billable::{Billable, Usage};
use redial_local::connector::Service as _;
use redial_local::dynamodb::Dynamo;
use redial_local::permissions::{Gate, Permissions};
use redial_local::runtime::{FunctionSettings, Machine, Storage};
use redial_local::template::Template;
use redial_platform::auth::{self, Scope};
use redial_platform::metrics::{Kept, Metrics};
use redial_platform::queue::Queues;
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::due::DuePage;
use redial_platform::store::sweep::{CallEvent, HourCounts};
use redial_platform::{Clock, Random, Store, keys, notices};
use redial_sqs::{Outgoing, ReceiveCountOnMove};
use redial_sweeper::Summary;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

pub use names::{INSIDE, RECEIVERS};
pub use receiver::{Behaviour, Received, Receiver};

/// The roles of the template, read once.
static PERMISSIONS: LazyLock<Permissions> = LazyLock::new(|| Permissions::built_in().unwrap());

/// A gate that lets each function do what its role in the template grants.
pub fn gate() -> Arc<Gate> {
    Gate::new(PERMISSIONS.clone())
}

/// Fails if a function tried what its role does not grant, also if the function went on without it.
pub fn nothing_was_denied(gate: &Gate) {
    if !std::thread::panicking() {
        assert_eq!(gate.take_denied(), BTreeSet::new());
    }
}

/// When the clock of every world starts.
const START: &str = "2026-11-20T05:00:30Z";
/// How long what comes up while something sleeps is worked on, in milliseconds.
const SETTLED_MS: i64 = 2_000;

pub struct World {
    machine: Machine,
    router: Router,
    receiver: Receiver,
    key: String,
    clock: Clock,
    dead_letters: AtomicUsize,
    numbers: Kept,
    billable: Billable,
    gate: Arc<Gate>,
    _folder: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        nothing_was_denied(&self.gate);
    }
}

/// An endpoint with the receiver behind it.
pub struct Endpoint {
    pub id: String,
    pub secret: Secret,
    pub receiver: usize,
}

impl World {
    pub async fn new() -> Self {
        Self::counting(ReceiveCountOnMove::default()).await
    }

    /// A world whose redrives treat receive counts as said.
    pub async fn counting(count: ReceiveCountOnMove) -> Self {
        Self::open(count, gate(), None).await
    }

    /// A world whose functions are counted, as AWS would bill them. Its metrics are lines of the log, as deployed.
    pub async fn billed() -> Self {
        Self::open(ReceiveCountOnMove::default(), gate(), Some(Billable::default())).await
    }

    /// A world whose functions go through this gate.
    pub async fn behind(gate: &Arc<Gate>) -> Self {
        Self::open(ReceiveCountOnMove::default(), Arc::clone(gate), None).await
    }

    async fn open(count: ReceiveCountOnMove, gate: Arc<Gate>, billable: Option<Billable>) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Clock::manual(Timestamp::parse(START).unwrap());
        let targets = AddressPolicy::with_local(AllowedNetworks::parse(["127.0.0.1/32"]).unwrap(), true);
        let numbers = Kept::default();
        let settings = FunctionSettings {
            clock: clock.clone(),
            random: Random::seeded(7),
            resolver: Arc::new(names::Names),
            targets,
            gate: Some(Arc::clone(&gate)),
            metrics: match &billable {
                Some(_) => Metrics::logged("redial"),
                None => numbers.metrics(),
            },
            billable: billable.clone(),
            ..FunctionSettings::new("http://127.0.0.1:4080", [7; 32])
        };
        let storage = Storage::TablesInMemory {
            queues: folder.path().to_owned(),
        };
        let template = Template::built_in().unwrap();
        let machine = Machine::open_with(&template, &storage, settings, count).await.unwrap();
        let (key, stored) = auth::mint(&Random::seeded(1), &Scope::Operator, "test", clock.now());
        machine.functions().store().put_api_key(&stored).await.unwrap();
        Self {
            router: machine.router(),
            receiver: Receiver::start(clock.clone()).await,
            key: key.reveal().to_owned(),
            dead_letters: AtomicUsize::new(0),
            numbers,
            billable: billable.unwrap_or_default(),
            gate,
            _folder: folder,
            machine,
            clock,
        }
    }

    // The API.

    /// One request of the operator; asserts the status and answers the JSON.
    pub async fn call(&self, method: &str, path: &str, body: Value, status: u16) -> Value {
        let (got, answer) = self.request(method, path, Some(&self.key), &body).await;
        assert_eq!(got, status, "{method} {path}: {answer}");
        answer
    }

    pub async fn request(&self, method: &str, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            if bytes.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&bytes).unwrap()
            },
        )
    }

    /// How many seconds a refused request of the operator is to wait.
    pub async fn retry_after(&self, method: &str, path: &str) -> Option<u64> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {}", self.key));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap());
        let response = response.await.unwrap();
        response.headers().get("retry-after")?.to_str().unwrap().parse().ok()
    }

    /// Posts one event as part of a trace.
    pub async fn post_traced(&self, event: &Value, traceparent: &str) {
        let request = Request::post("/v1/events")
            .header("authorization", format!("Bearer {}", self.key))
            .header("traceparent", traceparent)
            .body(Body::from(event.to_string()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 202);
    }

    /// Invokes ingest directly as part of a trace; answers its JSON.
    pub async fn invoke_ingest_traced(&self, event: &Value, traceparent: &Traceparent) -> Value {
        let ingest = self.machine.functions().ingest_invocation();
        ingest.direct(&event.to_string(), Some(traceparent)).await.unwrap()
    }

    /// The operator's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, Value::Null, 200).await
    }

    /// Posts one event; answers the 202.
    pub async fn post(&self, event: Value) -> Value {
        self.call("POST", "/v1/events", event, 202).await
    }

    /// Makes an endpoint (and its tenant) with a receiver of its own.
    pub async fn endpoint(&self, tenant: &str, behaviour: Behaviour, fields: Value) -> Endpoint {
        let settings = match tenant {
            notices::OPERATOR => json!({"for_operators": true}),
            _ => json!({}),
        };
        let (status, _) = self
            .request("PUT", &format!("/v1/tenants/{tenant}"), Some(&self.key), &settings)
            .await;
        assert!(status == 200 || status == 201);
        let (receiver, url) = self.receiver.add(behaviour);
        let mut body = json!({ "url": url });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made = self
            .call("POST", &format!("/v1/tenants/{tenant}/endpoints"), body, 201)
            .await;
        assert_eq!(made["state"], "active");
        Endpoint {
            id: made["id"].as_str().unwrap().to_owned(),
            secret: Secret::parse_chosen(made["secret"].as_str().unwrap()).unwrap(),
            receiver,
        }
    }

    /// The first delivery of an event to an endpoint, with all its attempts.
    pub async fn delivery(&self, tenant: &str, event: &str, endpoint: &Endpoint) -> Value {
        self.get(&format!("/v1/tenants/{tenant}/deliveries/{event}.{}", endpoint.id))
            .await
    }

    // The receivers.

    pub fn requests(&self, endpoint: &Endpoint) -> Vec<Received> {
        self.receiver.requests(endpoint.receiver)
    }

    pub fn behave(&self, endpoint: &Endpoint, behaviour: Behaviour) {
        self.receiver.behave(endpoint.receiver, behaviour);
    }

    // Time, and what happens in it.

    pub fn now(&self) -> Value {
        json!(self.clock.now())
    }

    /// Works on everything that can be received at the clock's time. Time passes while the dispatcher sleeps until a moment, and
    /// the next message of a line may come meanwhile: of those it works on what comes within two seconds.
    pub async fn settle(&self) {
        self.settle_by(self.clock.now().plus_millis(SETTLED_MS)).await;
    }

    /// The same, until the clock is past a moment. What can be received then waits for the next time.
    async fn settle_by(&self, until: Timestamp) {
        while self.clock.now() <= until {
            let letters = self.machine.step_queue("DeadLetterQueue").await.unwrap();
            self.dead_letters.fetch_add(letters, Ordering::SeqCst);
            let mut worked = letters;
            for queue in ["DeliveryQueue", "RetryQueue", "ReplayQueue"] {
                worked += self.machine.step_queue(queue).await.unwrap();
            }
            if worked == 0 {
                return;
            }
        }
    }

    /// Has that many environments fetch a batch each and work on it at the same time. Answers how many messages it was.
    pub async fn step_together(&self, queue: &str, environments: usize) -> usize {
        let steps = (0..environments).map(|_| self.machine.step_queue(queue));
        join_all(steps).await.into_iter().map(Result::unwrap).sum()
    }

    /// Lets time pass from one deadline of the queues to the next, until nothing waits in them.
    pub async fn run_to_the_end(&self) {
        loop {
            self.settle_by(Timestamp::from_millis(i64::MAX)).await;
            if self.machine.advance_to_next_deadline().is_none() {
                return;
            }
        }
    }

    /// Lets time pass, working on what comes up on the way.
    pub async fn pass_ms(&self, ms: i64) {
        let until = self.clock.now().plus_millis(ms);
        loop {
            self.settle_by(until).await;
            match self.machine.next_deadline().filter(|deadline| *deadline <= until) {
                Some(deadline) => self.machine.advance_to(deadline),
                None => break,
            }
        }
        self.machine.advance_to(until);
        self.settle_by(until).await;
    }

    /// Lets time pass in which nothing is worked on, as if no function had a place to run.
    pub fn stand_still_ms(&self, ms: i64) {
        self.machine.advance_to(self.clock.now().plus_millis(ms));
    }

    /// Lets time pass and says what time it is then.
    pub async fn now_after(&self, ms: i64) -> Value {
        self.pass_ms(ms).await;
        self.now()
    }

    /// Invokes ingest directly, as Lambda does: answers its JSON.
    pub async fn invoke_ingest(&self, payload: &str) -> Value {
        self.try_invoke_ingest(payload).await.unwrap()
    }

    /// Invokes ingest directly, as Lambda does: answers its JSON, or the text of the error that it fails with.
    pub async fn try_invoke_ingest(&self, payload: &str) -> Result<Value, String> {
        let payload = RawValue::from_string(payload.to_owned()).unwrap();
        let event = LambdaEvent::new(payload, Context::default());
        let ingest = self.machine.functions().ingest_invocation();
        ingest.answer(event).await.map_err(|error| error.to_string())
    }

    /// Invokes replay directly, as Lambda does: answers its JSON.
    pub async fn invoke_replay(&self, payload: &str) -> Value {
        self.machine.functions().replay().answer(payload).await.unwrap()
    }

    /// The schedule's call.
    pub async fn sweep(&self) -> Summary {
        self.machine.sweep().await.unwrap()
    }

    /// Receives every delivery again and again and never handles one, as throttled invocations do, until all are dead
    /// letters.
    pub async fn burn_receives(&self) {
        let sqs = self.machine.services().sqs();
        while self.waiting_in("DeliveryQueue") + self.waiting_in("RetryQueue") > 0 {
            for queue in ["DeliveryQueue", "RetryQueue"] {
                sqs.receive(queue, 10, 0, Some(1)).await.unwrap();
            }
            self.machine.advance_to(self.clock.now().plus_millis(1_000));
        }
    }

    /// Writes a delivery down as held, as a dispatcher does that has not yet seen its endpoint resumed.
    pub async fn hold(&self, tenant: &str, event: &str, endpoint: &Endpoint) {
        let store = self.machine.functions().store();
        let tenant = TenantId::parse(tenant).unwrap();
        let event = store
            .event(&tenant, &EventId::parse(event).unwrap(), self.clock.now())
            .await
            .unwrap()
            .unwrap();
        let endpoint = EndpointId::parse(&endpoint.id).unwrap();
        let record = DeliveryRecord {
            tenant,
            id: DeliveryId {
                event: event.id,
                endpoint,
                replay: None,
            },
            accepted_at: event.accepted_at,
            shards: event.shards,
            event_type: event.event_type,
            state: DeliveryState::Held,
            attempts: 0,
            last: None,
            reason: Some("endpoint_paused".to_owned()),
            next_at: None,
            due_at: None,
            held_at: Some(self.clock.now()),
            expires_at: event.expires_at,
            dropped: false,
            redriven: None,
            agent: None,
            traceparent: None,
        };
        assert_eq!(store.record_state(&record).await.unwrap(), Recorded::Written);
    }

    /// An operation of DynamoDB by whoever runs the machine.
    pub async fn in_table(&self, operation: &str, request: &Value) -> Value {
        let body = request.to_string().into();
        let answer = self.machine.services().dynamo().answer(operation, body).await;
        assert_eq!(answer.status, 200, "{operation}: {answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The tables, for whoever runs the machine.
    pub fn store(&self) -> &Store {
        self.machine.functions().store()
    }

    /// What a function is made of, for a test that makes one of its own: the tables, its queues, the clock.
    pub fn services(&self) -> (Dynamo, Queues, Clock) {
        let dynamo = self.machine.services().dynamo().clone();
        (dynamo, self.machine.functions().queues().clone(), self.clock.clone())
    }

    // The queues.

    pub async fn send_raw(&self, queue: &str, body: &str) {
        let message = Outgoing {
            body: body.to_owned(),
            ..Outgoing::default()
        };
        self.machine
            .services()
            .sqs()
            .send_batch(queue, vec![message])
            .await
            .unwrap()
            .remove(0)
            .unwrap();
    }

    /// Loses every message of a queue, as a crash before the send does.
    pub async fn purge(&self, queue: &str) {
        let sqs = self.machine.services().sqs();
        let body = json!({ "QueueUrl": sqs.settings().url(queue) }).to_string();
        assert_eq!(sqs.call("AmazonSQS.PurgeQueue", body.as_bytes()).await.status, 200);
    }

    /// Messages of a queue in any standing.
    pub fn waiting_in(&self, queue: &str) -> usize {
        let counts = self.machine.services().sqs().counts(queue).unwrap();
        counts.visible + counts.in_flight + counts.delayed
    }

    /// Messages that the dead-letter intake was given so far.
    pub fn dead_letters_seen(&self) -> usize {
        self.dead_letters.load(Ordering::SeqCst)
    }

    // What is counted.

    /// What all functions counted since the last call (`Kept::totals`).
    pub fn numbers(&self) -> BTreeMap<&'static str, Vec<u64>> {
        self.numbers.totals()
    }

    /// What was used so far, in a world that is billed.
    pub fn used(&self) -> Usage {
        self.billable.usage()
    }

    /// Bodies of the messages that can be received now; they stay where they are.
    pub async fn bodies(&self, queue: &str) -> Vec<String> {
        let received = self.machine.services().sqs().receive(queue, 10, 0, Some(0)).await;
        let bodies = received.unwrap().into_iter().map(|message| message.body.to_string());
        bodies.collect()
    }

    // What must hold at the end.

    /// Lets the sweeper look at the endpoints that were deleted, twice as it does, and forget them.
    pub async fn forget_deleted(&self) {
        for _ in 0..4 {
            self.pass_ms(130_000).await;
            self.sweep().await;
            self.settle().await;
        }
    }

    /// Fails if a queue holds a message or anything is due, ever.
    pub async fn nothing_is_left(&self) {
        for queue in ["DeliveryQueue", "RetryQueue", "ReplayQueue", "DeadLetterQueue"] {
            assert_eq!(self.waiting_in(queue), 0, "{queue}");
        }
        let store = self.machine.functions().store();
        let ever = self.clock.now().plus_millis(10 * 365 * 86_400_000);
        for partition in keys::due_partitions().chain([keys::DUE_HEALTH.to_owned()]) {
            let due = store.due(&partition, ever, 10, None).await.unwrap();
            assert_eq!(due, DuePage::default(), "{partition}");
        }
    }

    pub async fn hours(&self, tenant: &str) -> HourCounts {
        let tenant = TenantId::parse(tenant).unwrap();
        let store = self.machine.functions().store();
        let hours = store
            .hours(&tenant, None, Timestamp::default(), self.clock.now())
            .await
            .unwrap();
        assert_eq!(hours.len(), 1, "{hours:?}");
        hours.into_iter().next().unwrap().1
    }

    pub async fn call_events(&self, tenant: &str, call_id: &str) -> Vec<CallEvent> {
        let tenant = TenantId::parse(tenant).unwrap();
        self.machine
            .functions()
            .store()
            .call_events(&tenant, call_id)
            .await
            .unwrap()
    }
}

pub fn attempts_of(delivery: &Value) -> &Vec<Value> {
    delivery["attempts"].as_array().unwrap()
}

pub fn ms_of(moment: &Value) -> i64 {
    Timestamp::parse(moment.as_str().unwrap()).unwrap().as_millis()
}
