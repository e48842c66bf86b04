//! Wires the API to Lambda: requests of its function URL.

use std::sync::Arc;

use lambda_http::Error;
use redial_api::{Api, Parts, router};
use redial_domain::address::AddressPolicy;
use redial_domain::retry::RetryPolicy;
use redial_domain::url::OwnHost;
use redial_platform::auth::Authenticator;
use redial_platform::aws;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_log();
    let env = aws::environment().await?;
    let origins = [&env.settings.api_origin, &env.settings.ingest_url]
        .into_iter()
        .filter(|origin| !origin.is_empty());
    let own_hosts = origins.map(|origin| OwnHost::parse(origin)).collect::<Result<_, _>>()?;
    let api = Api::new(Parts {
        authenticator: Authenticator::new(env.store.clone(), env.clock.clone()),
        cursor_key: env.store.derive_key("cursors"),
        store: env.store,
        queues: env.queues,
        clock: env.clock,
        random: env.random,
        policy: AddressPolicy::strict(),
        own_hosts,
        ingest_url: env.settings.ingest_url,
        default_retry: RetryPolicy::default(),
    });
    lambda_http::run(router(Arc::new(api))).await
}
