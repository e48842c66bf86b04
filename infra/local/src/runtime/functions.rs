//! The functions, wired as their `main.rs` wire them on Lambda, to the services of this process. Their names are those of
//! the template.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use futures_util::FutureExt as _;
use redial_api::Api;
use redial_dispatcher::Dispatcher;
use redial_domain::address::AddressPolicy;
use redial_domain::frame::FrameAncestors;
use redial_domain::retry::RetryPolicy;
use redial_domain::url::{InvalidOwnHost, OwnHost};
use redial_egress::{Egress, EgressError, EgressSettings, Resolver, SystemResolver};
use redial_ingest::Ingest;
use redial_platform::auth::Authenticator;
use redial_platform::metrics::Metrics;
use redial_platform::queue::{QueueUrls, Queues};
use redial_platform::seal::DATA_KEY_BYTES;
use redial_platform::secrets::Secrets;
use redial_platform::store::data_keys::FIRST_VERSION;
use redial_platform::store::{StoreError, Tables};
use redial_platform::{Clock, Random, Store};
use redial_replay::Replay;
use redial_sweeper::{Summary, SweepError, Sweeper};
use rustls::pki_types::CertificateDer;

use super::lambda::Lambda;
use super::mappings::Handler;
use super::services::{Between, Services};
use super::unhurried::Places;
use crate::billable::{Billable, Meter};
use crate::connector;
use crate::faults::{self, Faults};
use crate::kms::Kms;
use crate::permissions::{Api as Aws, Caller, Gate};

// Names in the template.
const SECRETS_KEY: &str = "SecretsKey";
const CONFIG_TABLE: &str = "ConfigTable";
const EVENTS_TABLE: &str = "EventsTable";
const DELIVERY_QUEUE: &str = "DeliveryQueue";
const RETRY_QUEUE: &str = "RetryQueue";
const REPLAY_QUEUE: &str = "ReplayQueue";
const INGEST: &str = "Ingest";
const DISPATCHER: &str = "Dispatcher";
const API: &str = "Api";
const REPLAY: &str = "Replay";
const SWEEPER: &str = "Sweeper";

/// What the functions are told.
#[derive(Clone)]
pub struct FunctionSettings {
    /// Scheme, host and port under which everything is reached; no target of deliveries.
    pub origin: String,
    /// Which targets deliveries may have.
    pub targets: AddressPolicy,
    /// The retry policy of endpoints that have none of their own.
    pub default_retry: RetryPolicy,
    /// What the key of KMS is derived from, under which the endpoints' secrets lie; kept in the data folder.
    pub secrets_key: [u8; DATA_KEY_BYTES],
    /// The addresses that deliveries come from, as `GET /v1` names them; none: they are not fixed.
    pub egress_addresses: Vec<IpAddr>,
    /// Who may show the console in a frame.
    pub frame_ancestors: FrameAncestors,
    /// The clock of every function.
    pub clock: Clock,
    /// Ids, secrets and jitter.
    pub random: Random,
    /// Who answers for the names of targets.
    pub resolver: Arc<dyn Resolver>,
    /// Certificate authorities trusted besides the public ones: for receivers of tests.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Where what is counted goes.
    pub metrics: Metrics,
    /// What goes wrong between the functions and the services; nothing, but in tests of that.
    pub faults: Faults,
    /// Lets each function do what its role grants, and nothing else; `None`: the functions are one process, and may what it
    /// may. Costs a second reading of every request's JSON.
    pub gate: Option<Arc<Gate>>,
    /// Counts what the functions are billed for; `None`: nothing does. Costs a second reading of every request's JSON.
    pub billable: Option<Billable>,
}

impl FunctionSettings {
    /// The deployed rules and defaults, on the system's clock, randomness and resolver.
    #[must_use]
    pub fn new(origin: impl Into<String>, secrets_key: [u8; DATA_KEY_BYTES]) -> Self {
        Self {
            origin: origin.into(),
            targets: AddressPolicy::strict(),
            default_retry: RetryPolicy::default(),
            secrets_key,
            egress_addresses: Vec::new(),
            frame_ancestors: FrameAncestors::default(),
            clock: Clock::System,
            random: Random::System,
            resolver: Arc::new(SystemResolver),
            extra_roots: Vec::new(),
            metrics: Metrics::default(),
            faults: Faults::default(),
            gate: None,
            billable: None,
        }
    }

    fn between(&self, function: &'static str) -> Between {
        Between {
            caller: self.gate.as_ref().map(|gate| Caller::new(function, gate)),
            faults: self.faults.clone(),
            meter: self.meter(function),
            places: (function == SWEEPER).then(Places::default),
        }
    }

    fn meter(&self, function: &'static str) -> Option<Meter> {
        self.billable.clone().map(|billable| Meter::new(billable, function))
    }
}

/// The functions cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FunctionsError {
    /// The way out to the targets.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The origin is none.
    #[error(transparent)]
    Origin(#[from] InvalidOwnHost),
    /// The key of the endpoints' secrets cannot be kept.
    #[error("the key of the endpoints' secrets cannot be kept")]
    SecretsKey(#[source] StoreError),
}

/// All functions, sharing what one process can share.
#[derive(Clone)]
pub struct Functions {
    store: Store,
    queues: Queues,
    kms: Kms,
    billable: Option<Billable>,
    authenticator: Authenticator,
    ingest: Arc<Ingest>,
    dispatcher: Dispatcher,
    replay: Replay,
    api: Arc<Api>,
    sweeper: Sweeper,
}

/// The clients of functions, each its own, as on Lambda.
struct Clients<'a> {
    services: &'a Services,
    settings: &'a FunctionSettings,
    kms: Kms,
}

impl Clients<'_> {
    fn store(&self, between: Between) -> Store {
        let tables = Tables {
            config: CONFIG_TABLE.to_owned(),
            events: EVENTS_TABLE.to_owned(),
        };
        Store::new(self.services.dynamodb_client_of(between), tables)
    }

    fn queues(&self, between: Between) -> Queues {
        let urls = QueueUrls {
            delivery: self.services.queue_url(DELIVERY_QUEUE),
            retry: self.services.queue_url(RETRY_QUEUE),
            replay: self.services.queue_url(REPLAY_QUEUE),
        };
        Queues::new(self.services.sqs_client_of(between), urls)
    }

    fn of(&self, function: &'static str) -> (Store, Queues) {
        let between = self.settings.between(function);
        (self.store(between.clone()), self.queues(between))
    }

    fn secrets(&self, function: &'static str, store: &Store) -> Secrets {
        let between = self.settings.between(function);
        let kms = connector::kms_client(between.before(self.kms.clone(), Aws::Kms, faults::KMS));
        let (clock, random) = (self.settings.clock.clone(), self.settings.random.clone());
        Secrets::new(store.clone(), kms, self.kms.arn(), clock, random)
    }
}

impl Functions {
    /// Wires the functions to the services.
    ///
    /// # Errors
    /// [`FunctionsError`] if the settings are not possible.
    pub fn new(services: &Services, settings: &FunctionSettings) -> Result<Self, FunctionsError> {
        let (clock, random) = (settings.clock.clone(), settings.random.clone());
        let clients = Clients {
            services,
            settings,
            kms: Kms::new(SECRETS_KEY, &settings.secrets_key, random.clone()),
        };
        let own_hosts = vec![OwnHost::parse(&settings.origin)?];
        let (store, queues) = clients.of(INGEST);
        let authenticator = Authenticator::new(store.clone(), clock.clone());
        let ingest = Ingest::new(redial_ingest::Parts {
            store,
            queues,
            clock: clock.clone(),
            random: random.clone(),
            metrics: settings.metrics.clone(),
        });
        let dispatcher = dispatcher(&clients, own_hosts.clone())?;
        let (store, queues) = clients.of(API);
        // The api asks; the dispatcher's call is what is billed. No fault is for this.
        let between = Between {
            faults: Faults::default(),
            meter: settings.meter(DISPATCHER),
            ..settings.between(API)
        };
        let lambda = between.before(Lambda::new(DISPATCHER, dispatcher.clone()), Aws::Lambda, DISPATCHER);
        let api = Api::new(redial_api::Parts {
            secrets: clients.secrets(API, &store),
            dispatcher: connector::invoker(lambda, DISPATCHER, clock.clone()),
            authenticator: authenticator.through(store.clone()),
            store,
            queues,
            clock: clock.clone(),
            random: random.clone(),
            policy: settings.targets.clone(),
            own_hosts,
            origin: Some(settings.origin.clone()),
            frame_ancestors: settings.frame_ancestors.clone(),
            ingest_url: format!("{}/v1/events", settings.origin),
            egress_addresses: settings.egress_addresses.clone(),
            default_retry: settings.default_retry.clone(),
            metrics: settings.metrics.clone(),
        });
        let (store, queues) = clients.of(REPLAY);
        let metrics = settings.metrics.clone();
        let replay = Replay::new(store, queues, clock.clone(), random.clone(), metrics);
        let (store, queues) = clients.of(SWEEPER);
        let sweeper = Sweeper::new(redial_sweeper::Parts {
            store,
            queues,
            clock,
            random,
            default_retry: settings.default_retry.clone(),
            metrics: settings.metrics.clone(),
        });
        Ok(Self {
            store: clients.store(Between::default()),
            queues: clients.queues(Between::default()),
            billable: settings.billable.clone(),
            kms: clients.kms,
            authenticator,
            ingest: Arc::new(ingest),
            dispatcher,
            replay,
            api: Arc::new(api),
            sweeper,
        })
    }

    /// Goes on with a data folder from before there was a KMS in it: there the secrets were sealed under `secrets_key`
    /// itself, which becomes the data key.
    ///
    /// # Errors
    /// [`FunctionsError::SecretsKey`] if the tables fail.
    pub(super) async fn keep_old_secrets(&self, secrets_key: &[u8; DATA_KEY_BYTES]) -> Result<(), FunctionsError> {
        let kept = async {
            let has_data_key = self.store.wrapped_data_key(FIRST_VERSION).await?.is_some();
            // Without a tenant nothing was ever sealed: the first secret makes a key of its own.
            let tenants = self.store.tenants(None, 1).await?;
            if !has_data_key && tenants.items.len() + tenants.unreadable > 0 {
                let wrapped = self.kms.wrap(secrets_key);
                self.store.put_wrapped_data_key(FIRST_VERSION, wrapped).await?;
            }
            Ok(())
        };
        kept.await.map_err(FunctionsError::SecretsKey)
    }

    /// What a function does with a batch; `None` if no function of that name takes batches.
    #[must_use]
    pub fn batches_of(&self, function: &str) -> Option<Handler> {
        match function {
            DISPATCHER => {
                let dispatcher = self.dispatcher.clone();
                Some(handler(move |event| {
                    let dispatcher = dispatcher.clone();
                    async move { dispatcher.handle(event).await }
                }))
            }
            REPLAY => {
                let replay = self.replay.clone();
                Some(handler(move |event| {
                    let replay = replay.clone();
                    async move { replay.handle(event).await }
                }))
            }
            SWEEPER => {
                let sweeper = self.sweeper.clone();
                Some(handler(move |event| {
                    let sweeper = sweeper.clone();
                    async move { sweeper.intake(event).await }
                }))
            }
            _ => None,
        }
    }

    /// The function that a schedule calls; `None` if there is none of that name that can be.
    #[must_use]
    pub fn scheduled(&self, function: &str) -> Option<&Sweeper> {
        (function == SWEEPER).then_some(&self.sweeper)
    }

    /// Ingest as Lambda invokes it: by a function URL of either kind, or directly.
    #[must_use]
    pub fn ingest_invocation(&self) -> redial_ingest::Invocation {
        let router = redial_ingest::router(Arc::clone(&self.ingest), self.authenticator.clone());
        redial_ingest::Invocation::new(Arc::clone(&self.ingest), router)
    }

    /// The API as Lambda invokes it: alone.
    pub fn api_invocation(&self) -> axum::Router {
        redial_api::whole_router(&self.api)
    }

    /// Everything that is reached over HTTP, under one origin.
    pub fn router(&self) -> axum::Router {
        let ingest = redial_ingest::router(Arc::clone(&self.ingest), self.authenticator.clone());
        let ingest = Billable::counting(self.billable.as_ref(), ingest, INGEST);
        let api = redial_api::router(&self.api);
        ingest.merge(Billable::counting(self.billable.as_ref(), api, API))
    }

    /// Replay, to be invoked by hand.
    #[must_use]
    pub const fn replay(&self) -> &Replay {
        &self.replay
    }

    /// The sweeper, to be called by hand.
    #[must_use]
    pub const fn sweeper(&self) -> &Sweeper {
        &self.sweeper
    }

    /// Calls the sweeper as its schedule does.
    pub(super) async fn sweep(&self) -> Result<Summary, SweepError> {
        if let Some(billable) = &self.billable {
            billable.invoked(SWEEPER);
        }
        self.sweeper.sweep().await
    }

    /// The tables, for whoever runs this process: no role stands between.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The queues, for whoever runs this process.
    #[must_use]
    pub const fn queues(&self) -> &Queues {
        &self.queues
    }
}

fn dispatcher(clients: &Clients<'_>, own_hosts: Vec<OwnHost>) -> Result<Dispatcher, FunctionsError> {
    let settings = clients.settings;
    let egress = EgressSettings {
        resolver: Arc::clone(&settings.resolver),
        extra_roots: settings.extra_roots.clone(),
        // The wall's, also where tests step the functions' clock: it notices that the process stood still.
        ..EgressSettings::new(settings.targets.clone(), own_hosts, Arc::new(Clock::wall))
    };
    let (store, queues) = clients.of(DISPATCHER);
    Ok(Dispatcher::new(redial_dispatcher::Parts {
        secrets: clients.secrets(DISPATCHER, &store),
        store,
        queues,
        egress: Arc::new(Egress::new(egress)?),
        clock: settings.clock.clone(),
        random: settings.random.clone(),
        api_origin: settings.origin.clone(),
        default_retry: settings.default_retry.clone(),
        metrics: settings.metrics.clone(),
    }))
}

fn handler<F, R>(handle: F) -> Handler
where
    F: Fn(SqsEvent) -> R + Send + Sync + 'static,
    R: Future<Output = aws_lambda_events::event::sqs::SqsBatchResponse> + Send + 'static,
{
    Arc::new(move |event| handle(event).boxed())
}
