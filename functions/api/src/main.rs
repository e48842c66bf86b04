//! Wires the API to Lambda: requests of its function URL.

use std::sync::Arc;

use lambda_http::Error;
use redial_api::{Api, Parts, whole_router};
use redial_domain::address::AddressPolicy;
use redial_domain::frame::FrameAncestors;
use redial_domain::retry::RetryPolicy;
use redial_platform::auth::Authenticator;
use redial_platform::{Metrics, aws, settings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_log();
    let env = aws::environment(aws::FirstNeeds::Tables)?;
    let api = Api::new(Parts {
        authenticator: Authenticator::new(env.store.clone(), env.clock.clone()),
        secrets: env.secrets()?,
        dispatcher: env.dispatcher()?,
        own_hosts: env.settings.own_hosts()?,
        origin: None,
        frame_ancestors: FrameAncestors::parse(&settings::console_ancestors())?,
        store: env.store,
        queues: env.queues,
        clock: env.clock,
        random: env.random,
        policy: AddressPolicy::strict(),
        ingest_url: env.settings.ingest_url,
        egress_addresses: settings::egress_addresses()?,
        default_retry: RetryPolicy::default(),
        metrics: Metrics::embedded(env.settings.stack),
    });
    lambda_http::run(whole_router(&Arc::new(api))).await
}
