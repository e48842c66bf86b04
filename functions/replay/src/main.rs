//! Wires replay to Lambda: jobs of the replay queue.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use redial_platform::aws;
use redial_replay::Replay;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_log();
    let env = aws::environment().await?;
    let replay = Replay::new(env.store, env.queues, env.clock, env.random);
    run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        Ok::<_, Error>(replay.handle(event.payload).await)
    }))
    .await
}
