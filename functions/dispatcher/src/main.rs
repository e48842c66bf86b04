//! Wires the dispatcher to Lambda: batches of the delivery and retry queues, and the tests that the api asks for.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use redial_dispatcher::{Dispatcher, Parts};
use redial_domain::address::AddressPolicy;
use redial_domain::retry::RetryPolicy;
use redial_egress::{Egress, EgressSettings};
use redial_platform::{Metrics, aws, settings};
use serde_json::value::RawValue;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_log();
    let env = aws::environment(aws::FirstNeeds::All)?;
    let own_hosts = env.settings.own_hosts()?;
    let wall = env.clock.clone();
    let mut egress = EgressSettings::new(AddressPolicy::strict(), own_hosts, Arc::new(move || wall.now()));
    egress.extra_roots = redial_egress::authorities(&settings::extra_authorities())?;
    let dispatcher = Dispatcher::new(Parts {
        secrets: env.secrets()?,
        store: env.store,
        queues: env.queues,
        egress: Arc::new(Egress::new(egress)?),
        clock: env.clock,
        random: env.random,
        api_origin: env.settings.api_origin,
        default_retry: RetryPolicy::default(),
        metrics: Metrics::embedded(env.settings.stack),
    });
    let dispatcher = &dispatcher;
    run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        Ok::<_, Error>(dispatcher.answer(event.payload.get()).await?)
    }))
    .await
}
