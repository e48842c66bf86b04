//! The functions, wired as their `main.rs` wire them on Lambda, to the services of this process. Their names are those of
//! the template.

use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use futures_util::FutureExt as _;
use redial_api::Api;
use redial_dispatcher::Dispatcher;
use redial_domain::address::AddressPolicy;
use redial_domain::retry::RetryPolicy;
use redial_domain::url::{InvalidOwnHost, OwnHost};
use redial_egress::{Egress, EgressError, EgressSettings, Resolver, SystemResolver};
use redial_ingest::Ingest;
use redial_platform::auth::Authenticator;
use redial_platform::queue::{QueueUrls, Queues};
use redial_platform::seal::{DATA_KEY_BYTES, Sealer};
use redial_platform::store::Tables;
use redial_platform::{Clock, Random, Store};
use redial_replay::Replay;
use redial_sweeper::Sweeper;
use rustls::pki_types::CertificateDer;

use super::mappings::Handler;
use super::services::Services;

// Names in the template.
const CONFIG_TABLE: &str = "ConfigTable";
const EVENTS_TABLE: &str = "EventsTable";
const DELIVERY_QUEUE: &str = "DeliveryQueue";
const RETRY_QUEUE: &str = "RetryQueue";
const REPLAY_QUEUE: &str = "ReplayQueue";
const DISPATCHER: &str = "Dispatcher";
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
    /// Seals the endpoints' secrets.
    pub data_key: [u8; DATA_KEY_BYTES],
    /// The clock of every function.
    pub clock: Clock,
    /// Ids, secrets and jitter.
    pub random: Random,
    /// Who answers for the names of targets.
    pub resolver: Arc<dyn Resolver>,
    /// Certificate authorities trusted besides the public ones: for receivers of tests.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl FunctionSettings {
    /// The deployed rules and defaults, on the system's clock, randomness and resolver.
    #[must_use]
    pub fn new(origin: impl Into<String>, data_key: [u8; DATA_KEY_BYTES]) -> Self {
        Self {
            origin: origin.into(),
            targets: AddressPolicy::strict(),
            default_retry: RetryPolicy::default(),
            data_key,
            clock: Clock::System,
            random: Random::System,
            resolver: Arc::new(SystemResolver),
            extra_roots: Vec::new(),
        }
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
}

/// All functions, sharing what one process can share.
#[derive(Clone)]
pub struct Functions {
    store: Store,
    queues: Queues,
    authenticator: Authenticator,
    ingest: Arc<Ingest>,
    dispatcher: Dispatcher,
    replay: Replay,
    api: Arc<Api>,
    sweeper: Sweeper,
}

impl Functions {
    /// Wires the functions to the services.
    ///
    /// # Errors
    /// [`FunctionsError`] if the settings are not possible.
    pub fn new(services: &Services, settings: &FunctionSettings) -> Result<Self, FunctionsError> {
        let (clock, random) = (settings.clock.clone(), settings.random.clone());
        let tables = Tables {
            config: CONFIG_TABLE.to_owned(),
            events: EVENTS_TABLE.to_owned(),
        };
        let sealer = Sealer::new(&settings.data_key, random.clone());
        let store = Store::new(services.dynamodb_client(), tables, sealer);
        let urls = QueueUrls {
            delivery: services.queue_url(DELIVERY_QUEUE),
            retry: services.queue_url(RETRY_QUEUE),
            replay: services.queue_url(REPLAY_QUEUE),
        };
        let queues = Queues::new(services.sqs_client(), urls);
        let own_hosts = vec![OwnHost::parse(&settings.origin)?];
        let egress = EgressSettings {
            resolver: Arc::clone(&settings.resolver),
            extra_roots: settings.extra_roots.clone(),
            // The wall's, also where tests step the functions' clock: it notices that the process stood still.
            ..EgressSettings::new(
                settings.targets.clone(),
                own_hosts.clone(),
                Arc::new(|| Clock::System.now()),
            )
        };
        let dispatcher = Dispatcher::new(redial_dispatcher::Parts {
            store: store.clone(),
            queues: queues.clone(),
            egress: Arc::new(Egress::new(egress)?),
            clock: clock.clone(),
            random: random.clone(),
            api_origin: settings.origin.clone(),
            default_retry: settings.default_retry.clone(),
        });
        let authenticator = Authenticator::new(store.clone(), clock.clone());
        let api = Api::new(redial_api::Parts {
            store: store.clone(),
            queues: queues.clone(),
            authenticator: authenticator.clone(),
            clock: clock.clone(),
            random: random.clone(),
            policy: settings.targets.clone(),
            own_hosts,
            ingest_url: format!("{}/v1/events", settings.origin),
            default_retry: settings.default_retry.clone(),
            cursor_key: store.derive_key("cursors"),
        });
        Ok(Self {
            ingest: Arc::new(Ingest::new(
                store.clone(),
                queues.clone(),
                clock.clone(),
                random.clone(),
            )),
            dispatcher,
            replay: Replay::new(store.clone(), queues.clone(), clock.clone(), random.clone()),
            api: Arc::new(api),
            sweeper: Sweeper::new(
                store.clone(),
                queues.clone(),
                clock,
                random,
                settings.default_retry.clone(),
            ),
            store,
            queues,
            authenticator,
        })
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

    /// Everything that is reached over HTTP, under one origin.
    pub fn router(&self) -> axum::Router {
        let ingest = redial_ingest::router(Arc::clone(&self.ingest), self.authenticator.clone());
        ingest.merge(redial_api::router(Arc::clone(&self.api)))
    }

    /// The sweeper, to be called by hand.
    #[must_use]
    pub const fn sweeper(&self) -> &Sweeper {
        &self.sweeper
    }

    /// The tables, as the functions see them.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The queues, as the functions see them.
    #[must_use]
    pub const fn queues(&self) -> &Queues {
        &self.queues
    }
}

fn handler<F, R>(handle: F) -> Handler
where
    F: Fn(SqsEvent) -> R + Send + Sync + 'static,
    R: Future<Output = aws_lambda_events::event::sqs::SqsBatchResponse> + Send + 'static,
{
    Arc::new(move |event| handle(event).boxed())
}
