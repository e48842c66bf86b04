//! Wires the sweeper to Lambda: its schedule, and batches of the dead-letter queue.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use redial_domain::retry::RetryPolicy;
use redial_platform::{Metrics, aws};
use redial_sweeper::{Parts, Sweeper};
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_log();
    let env = aws::environment(aws::FirstNeeds::All)?;
    let sweeper = Sweeper::new(Parts {
        store: env.store,
        queues: env.queues,
        clock: env.clock,
        random: env.random,
        default_retry: RetryPolicy::default(),
        metrics: Metrics::embedded(env.settings.stack),
    });
    run(service_fn(|event: LambdaEvent<Value>| answer(&sweeper, event.payload))).await
}

/// A batch of records is dead letters; anything else is the schedule's call.
async fn answer(sweeper: &Sweeper, payload: Value) -> Result<Value, Error> {
    if payload.get("Records").is_some() {
        let letters: SqsEvent = serde_json::from_value(payload)?;
        return Ok(serde_json::to_value(sweeper.intake(letters).await)?);
    }
    Ok(serde_json::to_value(sweeper.sweep().await?)?)
}
