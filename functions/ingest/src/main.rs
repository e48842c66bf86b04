//! Wires ingest to Lambda: requests of its function URL go to the router, anything else is a direct invocation with the
//! same JSON.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use redial_ingest::{Ingest, Invocation, Parts, router};
use redial_platform::auth::Authenticator;
use redial_platform::{Metrics, aws, respond};
use serde_json::value::RawValue;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_log();
    let env = aws::environment(aws::FirstNeeds::All)?;
    let authenticator = Authenticator::new(env.store.clone(), env.clock.clone());
    let ingest = Arc::new(Ingest::new(Parts {
        store: env.store,
        queues: env.queues,
        clock: env.clock,
        random: env.random,
        metrics: Metrics::embedded(env.settings.stack),
    }));
    let invocation = Invocation::new(
        Arc::clone(&ingest),
        router(ingest, authenticator).fallback(respond::no_route),
    );
    run(service_fn(|event: LambdaEvent<Box<RawValue>>| invocation.answer(event))).await
}
