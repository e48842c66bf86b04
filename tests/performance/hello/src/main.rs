//! The least that a Rust function on Lambda can be: answers with what it was sent. tests/performance/start measures the
//! start of Redial's functions against it; it must never use anything of Redial, nor be deployed.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(|event: LambdaEvent<Value>| async {
        Ok::<_, Error>(event.payload)
    }))
    .await
}
