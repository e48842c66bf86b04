//! A deployment, as the deployer's own AWS credentials see it: for what no API key can do yet (the first key) or no API
//! shows (unreadable dead letters). Reads what the stack says of itself, and hands out clients; never prints a credential.

mod cloudformation;
mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use clap::Args;
use redial_platform::store::Tables;
use redial_platform::{Clock, Store};

use self::cloudformation::CloudFormation;
pub(super) use self::error::StackError;

/// Output of template.yaml: the table of tenants, endpoints and keys.
const CONFIG_TABLE: &str = "ConfigTableName";
/// Output of template.yaml: the table of events.
const EVENTS_TABLE: &str = "EventsTableName";
/// Output of template.yaml: the queue of what nobody could conclude.
const DEAD_LETTER_QUEUE: &str = "DeadLetterQueueUrl";
/// Output of template.yaml: first attempts, and the first retries.
const DELIVERY_QUEUE: &str = "DeliveryQueueUrl";
/// Output of template.yaml: later retries.
const RETRY_QUEUE: &str = "RetryQueueUrl";
/// Output of template.yaml: replay jobs and erasures.
const REPLAY_QUEUE: &str = "ReplayQueueUrl";
/// Output of template.yaml: the management API.
const API: &str = "Api";
/// Longest call of AWS, tries and waits included; a long poll takes 20 seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Which deployment, and with which AWS credentials.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Deployment")]
pub(super) struct StackArgs {
    /// Name of a deployment's CloudFormation stack: works with your own AWS credentials instead of an API key
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// AWS region of the stack [default: AWS_REGION, or that of the profile]
    #[arg(long, value_name = "REGION", requires = "stack")]
    region: Option<String>,
    /// Profile of ~/.aws/config [default: AWS_PROFILE, or the usual chain of the AWS tools]
    #[arg(long, value_name = "NAME", requires = "stack")]
    profile: Option<String>,
}

impl StackArgs {
    /// No deployment.
    #[cfg(test)]
    pub(super) const fn none() -> Self {
        Self {
            stack: None,
            region: None,
            profile: None,
        }
    }

    /// True if a deployment is meant.
    pub(super) fn is_given(&self) -> bool {
        self.stack.is_some()
    }

    /// The deployment, if one is meant.
    ///
    /// # Errors
    /// [`StackError`] says what is missing: credentials, region, stack, permission.
    pub(super) async fn open(&self) -> Result<Option<Stack>, StackError> {
        match &self.stack {
            Some(name) => Stack::open(name, self).await.map(Some),
            None => Ok(None),
        }
    }
}

/// A deployment.
pub(super) struct Stack {
    name: String,
    config: SdkConfig,
    outputs: BTreeMap<String, String>,
}

impl Stack {
    async fn open(name: &str, args: &StackArgs) -> Result<Self, StackError> {
        let http = http_client();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .timeout_config(TimeoutConfig::builder().operation_timeout(CALL_TIMEOUT).build());
        if let Some(region) = &args.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &args.profile {
            loader = loader.profile_name(profile);
        }
        let mut config = loader.load().await;
        if let Some(profile) = &args.profile {
            // As with the other AWS tools: a profile that is named comes before credentials that lie in the environment.
            let settings = ProviderConfig::without_region()
                .with_region(config.region().cloned())
                .with_http_client(http);
            let named = ProfileFileCredentialsProvider::builder().configure(&settings);
            let provider = SharedCredentialsProvider::new(named.profile_name(profile).build());
            config = config.into_builder().credentials_provider(provider).build();
        }
        let region = config.region().ok_or(StackError::NoRegion)?.to_string();
        let provider = config.credentials_provider().ok_or(StackError::NoCredentials)?;
        let credentials = provider.provide_credentials().await.map_err(StackError::credentials)?;
        let cloudformation = CloudFormation::new(&region, config.endpoint_url(), credentials, Clock::System)?;
        let outputs = cloudformation.outputs(name).await?;
        Ok(Self {
            name: name.to_owned(),
            config,
            outputs,
        })
    }

    fn output(&self, name: &'static str) -> Result<&str, StackError> {
        let value = self.outputs.get(name).map(String::as_str);
        value.ok_or_else(|| StackError::NotRedial {
            stack: self.name.clone(),
            output: name,
        })
    }

    /// Where its management API is.
    pub(super) fn api(&self) -> Result<&str, StackError> {
        self.output(API)
    }

    /// Its tables, reached with the deployer's credentials.
    pub(super) fn store(&self) -> Result<Store, StackError> {
        let tables = Tables {
            config: self.output(CONFIG_TABLE)?.to_owned(),
            events: self.output(EVENTS_TABLE)?.to_owned(),
        };
        Ok(Store::new(aws_sdk_dynamodb::Client::new(&self.config), tables))
    }

    /// What the queue of dead letters is called.
    pub(super) const DEAD_LETTERS: &str = "dead-letter queue";

    /// Its queues: what each is called, a client, and the queue's URL.
    pub(super) fn queues(
        &self,
    ) -> impl Iterator<Item = Result<(&'static str, aws_sdk_sqs::Client, String), StackError>> {
        let client = aws_sdk_sqs::Client::new(&self.config);
        let queues = [
            ("delivery queue", DELIVERY_QUEUE),
            ("retry queue", RETRY_QUEUE),
            ("replay queue", REPLAY_QUEUE),
            (Self::DEAD_LETTERS, DEAD_LETTER_QUEUE),
        ];
        let queue = move |(name, output)| Ok((name, client.clone(), self.output(output)?.to_owned()));
        queues.into_iter().map(queue)
    }

    /// Its dead-letter queue: a client, and the queue's URL.
    pub(super) fn dead_letter_queue(&self) -> Result<(aws_sdk_sqs::Client, String), StackError> {
        let url = self.output(DEAD_LETTER_QUEUE)?.to_owned();
        Ok((aws_sdk_sqs::Client::new(&self.config), url))
    }
}

/// As the functions have it (rustls, ring), but with the certificates that this machine trusts and the proxy that its
/// environment names: it runs where people work.
fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    })
}
