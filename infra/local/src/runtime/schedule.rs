//! What runs by the clock: the sweeper at the template's rate, and the removal of what is past its retention. One pass at a
//! time; a pass that fails is logged and the next one continues it.

use std::time::Duration;

use redial_platform::Clock;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, interval_at};

use super::functions::Functions;
use crate::dynamodb::Dynamo;

/// How often expired items are looked for. DynamoDB takes days; a look goes through every item of a table.
const TTL_EVERY: Duration = Duration::from_secs(15 * 60);

/// Sweeps now and then every `every`, until `stop` becomes true; a pass under way is finished.
pub(super) async fn sweep(functions: Functions, every: Duration, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        if let Err(error) = functions.sweep().await {
            tracing::error!(%error, "sweeper.pass_failed");
        }
    }
}

/// Deletes expired items every [`TTL_EVERY`], until `stop` becomes true; what it has not come to is deleted next time.
pub(super) async fn expire(dynamo: Dynamo, clock: Clock, mut stop: watch::Receiver<bool>) {
    let every = clock.real(TTL_EVERY);
    let mut ticks = interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        let swept = tokio::select! {
            swept = dynamo.sweep_ttl(clock.now()) => swept,
            _ = stop.changed() => return,
        };
        match swept {
            Ok(deleted) => tracing::info!(deleted, "dynamodb.expired"),
            Err(error) => tracing::error!(%error, "dynamodb.expiry_failed"),
        }
    }
}
