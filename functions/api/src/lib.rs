//! The management API: tenants, endpoints, keys, and what became of events; and the console, which asks it and nothing else.
//! Every answer of the API is JSON, every refusal an RFC 9457 problem. The tenant comes from the key and the path together and
//! is part of every table key: another tenant's thing answers exactly as a missing one. Never delivers anything itself and
//! never logs a secret.
//!
//! The order of reading: [`router`], `door` (by which way somebody comes in), `access` (who may), `body` and `query` (what is
//! asked), then one file per resource. `console` serves files.

mod access;
mod attempts;
mod audit;
mod authentication;
mod backlog;
mod body;
mod calls;
mod change;
mod condition;
mod console;
mod cursor;
mod data_keys;
mod dead_letters;
mod deliveries;
mod description;
mod door;
mod dry_run;
mod endpoint_drain;
mod endpoint_fields;
mod endpoint_schema;
mod endpoint_state;
mod endpoint_test;
mod endpoint_view;
mod endpoints;
mod erasures;
mod event_type_check;
mod event_type_fields;
mod event_type_view;
mod event_types;
mod events;
mod export;
mod health;
mod integration;
mod key_fields;
mod key_limit;
mod keys;
mod ledger;
mod ledger_kinds;
mod limiter;
mod listing;
mod meta;
mod own_origin;
mod portal;
mod precondition;
mod query;
mod replays;
mod reseal;
mod secrets;
mod session;
mod signed;
mod statistics;
mod tenants;
mod timeline;
mod views;
mod waiting;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use redial_domain::address::AddressPolicy;
use redial_domain::frame::FrameAncestors;
use redial_domain::retry::RetryPolicy;
use redial_domain::url::OwnHost;
use redial_platform::auth::Authenticator;
use redial_platform::cache::ConfigCache;
use redial_platform::invoke::Invoker;
use redial_platform::queue::Queues;
use redial_platform::respond;
use redial_platform::routes::Routes;
use redial_platform::secrets::Secrets;
use redial_platform::{Clock, Metrics, Random, Store};
use redial_replay::Asker;
use redial_schema::Schemas;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

pub use crate::cursor::{Place, Signer};
pub use crate::description::whole;

use crate::cursor::Cursors;
use crate::key_limit::KeyLimit;
use crate::limiter::Limiter;
use crate::signed::Signed;

/// The API. Cheap to share; made once for an execution environment.
pub struct Api {
    store: Store,
    secrets: Secrets,
    cache: ConfigCache,
    asker: Asker,
    authenticator: Authenticator,
    key_limit: KeyLimit,
    sign_ins: Limiter,
    schemas: Schemas,
    dispatcher: Invoker,
    cursors: Cursors,
    sessions: Signed,
    portals: Signed,
    clock: Clock,
    random: Random,
    policy: AddressPolicy,
    own_hosts: Vec<OwnHost>,
    origin: Option<String>,
    frame_ancestors: FrameAncestors,
    ingest_url: String,
    egress_addresses: Vec<IpAddr>,
    default_retry: RetryPolicy,
    metrics: Metrics,
}

/// What an [`Api`] is made of.
pub struct Parts {
    /// The tables.
    pub store: Store,
    /// Opens and seals the secrets of endpoints, and has the keys that sign cursors, sessions and portal tokens.
    pub secrets: Secrets,
    /// The queues: replays are sent there.
    pub queues: Queues,
    /// Who is calling. Share it with ingest where both run in one process: a key revoked here stops there at once.
    pub authenticator: Authenticator,
    /// Invokes the dispatcher: it tests endpoints.
    pub dispatcher: Invoker,
    /// The clock.
    pub clock: Clock,
    /// Ids and secrets.
    pub random: Random,
    /// Which targets endpoints may have.
    pub policy: AddressPolicy,
    /// The names under which this service is reached itself: no targets. Its own URL it learns from each request.
    pub own_hosts: Vec<OwnHost>,
    /// Scheme, host and port at which browsers reach this service, where that is known beforehand: on one machine. Without TLS
    /// only there.
    pub origin: Option<String>,
    /// Who may show the console in a frame.
    pub frame_ancestors: FrameAncestors,
    /// Absolute URL of `POST /v1/events`, which `GET /v1` names.
    pub ingest_url: String,
    /// The addresses that deliveries come from, if they are fixed: `GET /v1` names them.
    pub egress_addresses: Vec<IpAddr>,
    /// The policy of endpoints that have none of their own.
    pub default_retry: RetryPolicy,
    /// Where its numbers go.
    pub metrics: Metrics,
}

impl Api {
    /// Answers with these clients.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let cache = ConfigCache::new(parts.store.clone(), parts.clock.clone(), parts.random.clone());
        let asker = Asker {
            store: parts.store.clone(),
            queues: parts.queues,
            clock: parts.clock.clone(),
            random: parts.random.clone(),
        };
        Self {
            store: parts.store,
            cursors: Cursors::new(parts.secrets.clone()),
            sessions: Signed::new(parts.secrets.clone(), session::PURPOSE),
            portals: Signed::new(parts.secrets.clone(), portal::PURPOSE),
            secrets: parts.secrets,
            cache,
            asker,
            authenticator: parts.authenticator,
            key_limit: KeyLimit::new(),
            sign_ins: Limiter::new(session::SIGN_INS),
            schemas: Schemas::default(),
            dispatcher: parts.dispatcher,
            clock: parts.clock,
            random: parts.random,
            policy: parts.policy,
            own_hosts: parts.own_hosts,
            origin: parts.origin,
            frame_ancestors: parts.frame_ancestors,
            ingest_url: parts.ingest_url,
            egress_addresses: parts.egress_addresses,
            default_retry: parts.default_retry,
            metrics: parts.metrics,
        }
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("ingest_url", &self.ingest_url)
            .finish_non_exhaustive()
    }
}

/// The HTTP routes of the API and the console, with their own answers for unknown routes, wrong methods and panics. Others may be
/// merged with them; [`whole_router`] has them to itself.
pub fn router(api: &Arc<Api>) -> axum::Router {
    laid_around(api, all(Arc::clone(api)))
}

/// The same for a function that answers nothing else: what is laid around the routes is laid around all of them together, not
/// around each, which would make every route anew at each start.
pub fn whole_router(api: &Arc<Api>) -> axum::Router {
    laid_around(api, axum::Router::new().fallback_service(all(Arc::clone(api))))
}

fn all(api: Arc<Api>) -> axum::Router {
    resources(axum::Router::new())
        .merge(console::routes())
        .method_not_allowed_fallback(respond::method_not_allowed)
        .fallback(respond::no_route)
        .with_state(api)
}

fn laid_around(api: &Api, routes: axum::Router) -> axum::Router {
    let counted = (api.metrics.clone(), api.clock.clone());
    // The first is the outermost.
    routes.layer((
        axum::middleware::from_fn_with_state(counted, respond::counted),
        axum::middleware::from_fn(audit::audited),
        axum::middleware::from_fn(integration::enveloped),
        axum::middleware::from_fn(respond::guarded),
    ))
}

/// The part of the `OpenAPI` description that is about the API; `redial_ingest::openapi` has the rest, and [`whole`] makes of
/// both what is `docs/openapi.json`.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    resources(OpenApiRouter::with_openapi(Description::openapi()))
        .split_for_parts()
        .1
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Redial",
        description = "Delivers webhooks for AI voice-agent and telephony platforms: events in, signed POSTs out, with \
                       retries, replay and a reason for everything.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Bearer),
    security(("key" = []))
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("rd_<id>_<secret>")
            .description(Some(
                "A key with scope operator, tenant:<id> or ingest, or a portal token (rdp_...). The console has a session in a \
                 cookie instead (POST /v1/session).",
            ))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// Every resource, in the order of the description.
fn resources<R: Routes<Arc<Api>>>(to: R) -> R {
    let to = data_keys::routes(keys::routes(session::routes(meta::routes(to))));
    let to = erasures::routes(portal::routes(tenants::routes(to)));
    let to = event_type_check::routes(event_types::routes(to));
    let to = endpoint_test::routes(dry_run::routes(to));
    let to = endpoint_state::routes(secrets::routes(endpoints::routes(to)));
    let to = dead_letters::routes(backlog::routes(health::routes(to)));
    let to = replays::routes(deliveries::routes(calls::routes(timeline::routes(events::routes(to)))));
    integration::routes(ledger::routes(statistics::routes(to)))
}

#[cfg(test)]
mod openapi_tests;
