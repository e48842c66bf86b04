//! Wires replay to Lambda: jobs of the replay queue, and direct invocations.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use redial_platform::{Metrics, aws};
use redial_replay::Replay;
use serde_json::value::RawValue;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_log();
    let env = aws::environment(aws::FirstNeeds::All)?;
    let metrics = Metrics::embedded(env.settings.stack);
    let replay = Replay::new(env.store, env.queues, env.clock, env.random, metrics);
    let replay = &replay;
    run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        Ok::<_, Error>(replay.answer(event.payload.get()).await?)
    }))
    .await
}
