//! The clients of a function on Lambda, built once at its start: region, credentials and endpoint from its environment,
//! one HTTP client for all of AWS with Amazon's own roots (reading the system's certificate store is most of a cold
//! start). Calls nothing: what a function needs of AWS it asks for when it has something to do.

use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};

use crate::clock::Clock;
use crate::invoke::{self, InvokeError, Invoker, Signer};
use crate::later::Later;
use crate::queue::Queues;
use crate::random::Random;
use crate::secrets::Secrets;
use crate::settings::{self, Settings, SettingsError};
use crate::store::Store;

/// Roots of the certificates of AWS's endpoints (<https://www.amazontrust.com/repository/>).
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// A function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Amazon's roots cannot be read.
    #[error("the HTTP client of AWS cannot be made: {0}")]
    Tls(String),
}

/// Which clients of AWS a function makes at its start: those that its first request is likely to need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstNeeds {
    /// That of the tables; of queues and KMS when they are first wanted.
    Tables,
    /// All that it has.
    All,
}

impl FirstNeeds {
    fn of<T: Send + 'static>(self, make: impl FnOnce() -> T + Send + 'static) -> Later<T> {
        let later = Later::when_wanted(make);
        match self {
            Self::Tables => later,
            Self::All => later.made(),
        }
    }
}

/// What every function works with.
#[derive(Debug, Clone)]
pub struct Environment {
    /// What template.yaml says.
    pub settings: Settings,
    /// The tables.
    pub store: Store,
    /// The queues.
    pub queues: Queues,
    /// The system's clock.
    pub clock: Clock,
    /// The system's randomness.
    pub random: Random,
    access: Access,
    first: FirstNeeds,
}

/// What Lambda tells a function about AWS.
#[derive(Debug, Clone)]
struct Access {
    region: Region,
    credentials: Credentials,
    http: SharedHttpClient,
}

impl Access {
    fn from_environment() -> Result<Self, StartError> {
        let text = |name| settings::optional(name).unwrap_or_default();
        let credentials = Credentials::new(
            text("AWS_ACCESS_KEY_ID"),
            text("AWS_SECRET_ACCESS_KEY"),
            settings::optional("AWS_SESSION_TOKEN"),
            None,
            "lambda",
        );
        let context = tls_context()?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context)
            .build_https();
        Ok(Self {
            region: Region::new(text("AWS_REGION")),
            credentials,
            http,
        })
    }
}

/// Trusts Amazon's roots and no others.
fn tls_context() -> Result<TlsContext, StartError> {
    let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    let context = TlsContext::builder().with_trust_store(roots).build();
    context.map_err(|error| StartError::Tls(error.to_string()))
}

macro_rules! client {
    ($service:ident, $access:expr, $endpoint:literal) => {{
        let access: &Access = $access;
        let config = $service::Config::builder()
            .region(access.region.clone())
            .credentials_provider(access.credentials.clone())
            // They are there already and stay the same: there is nothing to keep.
            .identity_cache($service::config::IdentityCache::no_cache())
            .http_client(access.http.clone());
        let endpoint = settings::optional($endpoint).or_else(|| settings::optional("AWS_ENDPOINT_URL"));
        $service::Client::from_conf(match endpoint {
            Some(url) => config.endpoint_url(url).build(),
            None => config.build(),
        })
    }};
}

/// Builds the clients from the function's environment.
///
/// # Errors
/// [`StartError`] says what is missing.
pub fn environment(first: FirstNeeds) -> Result<Environment, StartError> {
    let settings = Settings::from_environment()?;
    let access = Access::from_environment()?;
    let dynamodb = client!(aws_sdk_dynamodb, &access, "AWS_ENDPOINT_URL_DYNAMODB");
    let store = Store::new(dynamodb, settings.tables.clone());
    let of_queues = access.clone();
    let sqs = first.of(move || client!(aws_sdk_sqs, &of_queues, "AWS_ENDPOINT_URL_SQS"));
    let queues = Queues::new(sqs, settings.queues.clone());
    Ok(Environment {
        settings,
        store,
        queues,
        clock: Clock::System,
        random: Random::System,
        access,
        first,
    })
}

impl Environment {
    /// Invokes the dispatcher, for the function whose role may: only that is told its name.
    ///
    /// # Errors
    /// [`StartError::Settings`] if this function is not told the dispatcher's name.
    pub fn dispatcher(&self) -> Result<Invoker, StartError> {
        let function = settings::dispatcher_function()?;
        let region = self.access.region.to_string();
        let given = settings::optional("AWS_ENDPOINT_URL_LAMBDA").or_else(|| settings::optional("AWS_ENDPOINT_URL"));
        let endpoint = given.unwrap_or_else(|| invoke::lambda_endpoint(&region));
        let signer = Signer {
            credentials: self.access.credentials.clone(),
            region,
        };
        let endpoint = endpoint.trim_end_matches('/');
        Ok(Invoker::new(
            endpoint,
            &function,
            Some(signer),
            self.clock.clone(),
            || {
                let context = tls_context().map_err(|error| InvokeError::Request(error.into()))?;
                let connector = Connector::builder()
                    .tls_provider(Provider::Rustls(CryptoMode::Ring))
                    .tls_context(context);
                Ok(SharedHttpConnector::new(connector.build()))
            },
        ))
    }

    /// The secrets of endpoints, for the functions whose roles may use KMS: only they are told its key.
    ///
    /// # Errors
    /// [`StartError::Settings`] if this function is not told the KMS key.
    pub fn secrets(&self) -> Result<Secrets, StartError> {
        let kms_key = settings::kms_key()?;
        let access = self.access.clone();
        let kms = self
            .first
            .of(move || client!(aws_sdk_kms, &access, "AWS_ENDPOINT_URL_KMS"));
        let (clock, random) = (self.clock.clone(), self.random.clone());
        Ok(Secrets::new(self.store.clone(), kms, kms_key, clock, random))
    }
}

/// Starts a function's log.
pub fn init_log() {
    let version = settings::optional("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_default();
    crate::telemetry::init_json(&settings::log_level(), &version);
}
