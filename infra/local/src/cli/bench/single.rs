//! Work on a thread of its own, with a runtime of one thread: driver and receiver take no locks and wake no other thread, and
//! what they cost is little and the same each time.

use std::future::Future;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::error::BenchError;

/// Does it, and answers what came of it. If nobody waits any more, it goes on until the process ends.
///
/// # Errors
/// Those of the work; [`BenchError::Machine`] if there is no thread to be had; [`BenchError::DriverGone`] if it ended otherwise.
pub(super) async fn on_one_thread<T, W>(name: &str, work: impl FnOnce() -> W + Send + 'static) -> Result<T, BenchError>
where
    T: Send + 'static,
    W: Future<Output = Result<T, BenchError>>,
{
    let (done, result) = oneshot::channel();
    let body = move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let result = match runtime {
            Ok(runtime) => LocalSet::new().block_on(&runtime, work()),
            Err(error) => Err(BenchError::Machine(error)),
        };
        // Fails if nobody waits any more.
        let _ = done.send(result);
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(BenchError::Machine)?;
    result.await.map_err(|_| BenchError::DriverGone)?
}
