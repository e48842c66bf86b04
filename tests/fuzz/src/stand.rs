//! The functions on the embedded services, for targets that call them: one customer whose key a stranger has, another whose
//! things that stranger must never see, a clock that stands still, and no name that resolves. Nothing takes from the queues, so
//! nothing is ever sent.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use redial_domain::{TenantId, Timestamp};
use redial_egress::{Lookup, LookupError, Resolver};
use redial_local::runtime::{FunctionSettings, Machine, Storage};
use redial_local::template::Template;
use redial_platform::auth::{self, Scope};
use redial_platform::{Clock, Random};
use redial_sqs::ReceiveCountOnMove;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// The customer whose key the stranger has.
pub(crate) const OWN: &str = "acme";
/// The customer whose things the stranger must not see.
pub(crate) const OTHER: &str = "victim";
/// What everything of the other customer's holds.
pub(crate) const CANARY: &str = "cAnArY5e1f";
/// When the clock starts.
const START: &str = "2026-11-20T05:00:30Z";
/// How many inputs a stand takes, before a new one begins without what they left.
const MAX_INPUTS: usize = 2_000;

/// No name leads anywhere.
struct NoNames;

impl Resolver for NoNames {
    fn lookup<'a>(&'a self, _name: &'a str) -> Lookup<'a> {
        Box::pin(async { Err(LookupError::NotResolved(io::ErrorKind::NotFound.into())) })
    }
}

/// The functions with their data.
pub(crate) struct Stand {
    pub(crate) runtime: Runtime,
    pub(crate) machine: Machine,
    router: Router,
    /// The key of [`OWN`].
    pub(crate) key: String,
    clock: Clock,
    inputs: usize,
    _folder: TempDir,
}

thread_local! {
    static STAND: RefCell<Option<Stand>> = const { RefCell::new(None) };
}

/// Calls `with` the stand of this thread.
pub(crate) fn with(call: impl FnOnce(&Stand)) {
    STAND.with_borrow_mut(|stand| {
        if stand.as_ref().is_some_and(|stand| stand.inputs >= MAX_INPUTS) {
            *stand = None;
        }
        let stand = stand.get_or_insert_with(Stand::new);
        stand.inputs += 1;
        // So that no limit of requests a second is in the way.
        stand.clock.advance_to(stand.clock.now().plus_millis(1_000));
        call(stand);
    });
}

impl Stand {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let folder = TempDir::new().expect("a folder");
        let clock = Clock::manual(Timestamp::parse(START).expect("a moment"));
        let settings = FunctionSettings {
            clock: clock.clone(),
            random: Random::seeded(7),
            resolver: Arc::new(NoNames),
            ..FunctionSettings::new("http://127.0.0.1:4080", [7; 32])
        };
        let storage = Storage::TablesInMemory {
            queues: folder.path().to_owned(),
        };
        let template = Template::built_in().expect("the template");
        let opened = Machine::open_with(&template, &storage, settings, ReceiveCountOnMove::default());
        let machine = runtime.block_on(opened).expect("a machine");
        let random = Random::seeded(1);
        let own = Scope::Tenant(TenantId::parse(OWN).expect("a name"));
        let mint = |scope: &Scope, name: &str| {
            let (key, stored) = auth::mint(&random, scope, name, clock.now());
            let put = machine.functions().store().put_api_key(&stored);
            runtime.block_on(put).expect("the key is stored");
            key.reveal().to_owned()
        };
        let (operator, key) = (mint(&Scope::Operator, "operator"), mint(&own, "stranger"));
        let stand = Self {
            router: machine.router(),
            machine,
            key,
            clock,
            inputs: 0,
            _folder: folder,
            runtime,
        };
        stand.furnish(&operator);
        stand
    }

    /// Two customers with the same things; everything of the second holds the canary.
    fn furnish(&self, operator: &str) {
        for (tenant, word) in [(OWN, "own"), (OTHER, CANARY)] {
            let path = format!("/v1/tenants/{tenant}");
            self.must(operator, "PUT", &path, &json!({ "allow_unknown_types": true }));
            let endpoint = json!({
                "url": format!("https://{word}.example.com/{word}"),
                "description": word,
                "headers": { format!("x-{word}"): word },
                "metadata": { "word": word },
            });
            self.must(operator, "POST", &format!("{path}/endpoints"), &endpoint);
            let types = json!({ "description": word, "schema": { "type": "object" }, "example": { "word": word } });
            self.must(operator, "PUT", &format!("{path}/event-types/own.thing"), &types);
            let event = json!({
                "id": "src_1", "type": "call.ended", "tenant": tenant, "agent": "agt_1",
                "data": { "call_id": word }, "related": { "call_id": word },
            });
            self.must(operator, "POST", "/v1/events", &event);
        }
    }

    fn must(&self, key: &str, method: &str, path: &str, body: &Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"));
        let request = request.body(Body::from(body.to_string())).expect("a request");
        let (status, answer) = self.ask(request);
        assert!(
            status.is_success(),
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&answer)
        );
    }

    /// One request and its answer.
    pub(crate) fn ask(&self, request: Request<Body>) -> (StatusCode, Bytes) {
        self.runtime.block_on(async {
            let response = self
                .router
                .clone()
                .oneshot(request)
                .await
                .expect("the router always answers");
            let status = response.status();
            let body = response
                .into_body()
                .collect()
                .await
                .expect("the answer is whole")
                .to_bytes();
            (status, body)
        })
    }
}
