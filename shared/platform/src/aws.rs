//! The clients of a function on Lambda, built once at its start: region, credentials and endpoint from its environment,
//! one HTTP client for all of AWS with Amazon's own roots (reading the system's certificate store is most of a cold
//! start), the data key unwrapped by KMS.

use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::clock::Clock;
use crate::queue::Queues;
use crate::random::Random;
use crate::seal::{DATA_KEY_BYTES, Sealer};
use crate::settings::{self, Settings, SettingsError};
use crate::store::config::{put_wrapped_data_key, wrapped_data_key};
use crate::store::{Store, StoreError};

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
    /// KMS failed.
    #[error("KMS failed: {0}")]
    Kms(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
}

/// What Lambda tells a function about AWS.
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
        let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
        let context = TlsContext::builder().with_trust_store(roots).build();
        let context = context.map_err(|error| StartError::Tls(error.to_string()))?;
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

macro_rules! client {
    ($service:ident, $access:expr, $endpoint:literal) => {{
        let access: &Access = $access;
        let config = $service::Config::builder()
            .region(access.region.clone())
            .credentials_provider(access.credentials.clone())
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
/// [`StartError`] says what is missing or does not answer.
pub async fn environment() -> Result<Environment, StartError> {
    let settings = Settings::from_environment()?;
    let access = Access::from_environment()?;
    let random = Random::System;
    let dynamodb = client!(aws_sdk_dynamodb, &access, "AWS_ENDPOINT_URL_DYNAMODB");
    let kms = client!(aws_sdk_kms, &access, "AWS_ENDPOINT_URL_KMS");
    let data_key = data_key(&dynamodb, &kms, &settings).await?;
    let store = Store::new(
        dynamodb,
        settings.tables.clone(),
        Sealer::new(&data_key, random.clone()),
    );
    let queues = Queues::new(
        client!(aws_sdk_sqs, &access, "AWS_ENDPOINT_URL_SQS"),
        settings.queues.clone(),
    );
    Ok(Environment {
        settings,
        store,
        queues,
        clock: Clock::System,
        random,
    })
}

/// The data key: read wrapped from the table and unwrapped by KMS; made by the first function that ever asks.
async fn data_key(
    dynamodb: &aws_sdk_dynamodb::Client,
    kms: &aws_sdk_kms::Client,
    settings: &Settings,
) -> Result<[u8; DATA_KEY_BYTES], StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Kms(error.to_string());
    let table = &settings.tables.config;
    let wrapped = match wrapped_data_key(dynamodb, table).await? {
        Some(wrapped) => wrapped,
        None => {
            let call = kms
                .generate_data_key()
                .key_id(&settings.kms_key)
                .key_spec(DataKeySpec::Aes256);
            let made = call
                .send()
                .await
                .map_err(|e| failed(&aws_sdk_kms::error::DisplayErrorContext(e)))?;
            let wrapped = made
                .ciphertext_blob
                .ok_or_else(|| failed(&"no ciphertext"))?
                .into_inner();
            put_wrapped_data_key(dynamodb, table, wrapped.clone()).await?;
            // Somebody else may have been first: what is stored counts.
            wrapped_data_key(dynamodb, table).await?.unwrap_or(wrapped)
        }
    };
    let call = kms
        .decrypt()
        .key_id(&settings.kms_key)
        .ciphertext_blob(Blob::new(wrapped));
    let plain = call
        .send()
        .await
        .map_err(|e| failed(&aws_sdk_kms::error::DisplayErrorContext(e)))?
        .plaintext;
    let plain = plain.ok_or_else(|| failed(&"no plaintext"))?;
    plain
        .as_ref()
        .try_into()
        .map_err(|_| failed(&"the data key has another length"))
}

/// Starts a function's log.
pub fn init_log() {
    let level = settings::optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
    crate::telemetry::init_json(&level);
}
