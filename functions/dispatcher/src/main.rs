//! Wires the dispatcher to Lambda: batches of the delivery and retry queues.

use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use redial_dispatcher::{Dispatcher, Parts};
use redial_domain::address::AddressPolicy;
use redial_domain::retry::RetryPolicy;
use redial_domain::url::OwnHost;
use redial_egress::{Egress, EgressSettings};
use redial_platform::aws;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_log();
    let env = aws::environment().await?;
    let origins = [&env.settings.api_origin, &env.settings.ingest_url]
        .into_iter()
        .filter(|origin| !origin.is_empty());
    let own_hosts = origins.map(|origin| OwnHost::parse(origin)).collect::<Result<_, _>>()?;
    let wall = env.clock.clone();
    let egress = EgressSettings::new(AddressPolicy::strict(), own_hosts, Arc::new(move || wall.now()));
    let dispatcher = Dispatcher::new(Parts {
        store: env.store,
        queues: env.queues,
        egress: Arc::new(Egress::new(egress)?),
        clock: env.clock,
        random: env.random,
        api_origin: env.settings.api_origin,
        default_retry: RetryPolicy::default(),
    });
    run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        Ok::<_, Error>(dispatcher.handle(event.payload).await)
    }))
    .await
}
