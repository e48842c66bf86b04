//! Endpoints that were deleted: what is held for them is canceled, also what somebody held who did not know yet, and what waits
//! for a retry. Looks at each when every copy of the configuration is newer than the deletion, and once more; then forgets it.
//! Never touches what is attempted just now.

use std::sync::Arc;

use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, Timestamp};
use redial_platform::store::StoreError;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::health::{DRAIN_LOOKS, Health};
use redial_platform::store::held::{Backlog, Left};
use redial_platform::store::replays::JobState;

use crate::health::DRAIN_LOOK_MS;
use crate::late::MAX_RETRYING;
use crate::{SweepError, Sweeper};

/// Why a delivery is canceled whose endpoint is gone.
pub(crate) const ENDPOINT_DELETED: &str = "endpoint_deleted";
/// How long after its time a retry may still be attempted, by whoever does not know yet that its endpoint is gone, in
/// milliseconds: what comes later is lost.
const ATTEMPTED_MS: i64 = 120_000;

/// Looks that are left at an endpoint that is gone. Somebody who did not know may have put it on hold after that.
fn looks_left(health: &Health) -> u32 {
    match (health.drain_looks, health.open.is_some()) {
        (0, true) => DRAIN_LOOKS,
        (looks, _) => looks.max(1),
    }
}

/// True if a retry waits: nobody attempts it now, nor will anybody who knows that its endpoint is gone.
fn waits(record: &DeliveryRecord, now: Timestamp) -> bool {
    record
        .next_at
        .is_none_or(|at| !(0..=ATTEMPTED_MS).contains(&now.millis_since(at)))
}

impl Sweeper {
    /// Looks at an endpoint that is not there any more.
    pub(crate) async fn look_at_gone(
        &self,
        config: &Arc<TenantConfig>,
        id: &EndpointId,
        health: &Health,
        now: Timestamp,
    ) -> Result<(), SweepError> {
        let tenant = &config.tenant.id;
        let are_left = self.cancel_retries(config, id, now).await?;
        let (mut looks, mut drain) = (looks_left(health), health.drain.clone());
        let at_work = self.drain_at_work(tenant, id, drain.as_ref()).await?;
        // Nobody can want to keep what one that is paused has not come to.
        if at_work.is_none_or(|job| job.state == JobState::Paused) {
            let held = self.store.is_any_held(Backlog::whole(tenant, id), now).await?;
            if held != Left::Nothing {
                let job = self.asker.cancel_held(config, id).await?;
                tracing::info!(%tenant, endpoint = %id, replay = %job.id, held = job.total, "sweeper.held_canceled");
                drain = Some(job.id);
            }
            looks -= 1;
        }
        let looks = looks.max(u32::from(are_left));
        if looks == 0 {
            return Ok(self.store.forget_health(tenant, id).await?);
        }
        let after = Health {
            drain_looks: looks,
            drain,
            due_at: Some(now.plus_millis(DRAIN_LOOK_MS)),
            ..health.clone()
        };
        self.store.look_at_health_again(tenant, id, health, &after, now).await?;
        Ok(())
    }

    /// Cancels what waits for a retry at an endpoint that is gone: its message may be lost, or come in hours. True if some are
    /// left for the next look.
    async fn cancel_retries(&self, config: &TenantConfig, id: &EndpointId, now: Timestamp) -> Result<bool, StoreError> {
        let retrying = self.retrying_of(&config.tenant, id, now).await?;
        let mut are_left = retrying.len() == MAX_RETRYING;
        for before in &retrying {
            if !waits(before, now) {
                are_left = true;
                continue;
            }
            let canceled = DeliveryRecord {
                state: DeliveryState::Canceled,
                reason: Some(ENDPOINT_DELETED.to_owned()),
                next_at: None,
                ..before.clone()
            };
            self.store.record_if_unchanged(before, &canceled).await?;
        }
        Ok(are_left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(drain_looks: u32, is_open: bool) -> Health {
        Health {
            numbers: redial_domain::hold::Numbers::default(),
            last_failure: None,
            open: is_open.then(|| (Timestamp::default(), redial_domain::hold::HoldReason::FailuresInRow)),
            probes: 0,
            drain_looks,
            let_go_at: None,
            drain: None,
            due_at: None,
            forgiven_at: None,
        }
    }

    #[test]
    fn one_that_was_put_on_hold_when_it_was_gone_is_looked_at_twice_too() {
        let looks = [(2, false), (1, false), (0, false), (0, true), (1, true)];
        let looks = looks.map(|(looks, is_open)| looks_left(&health(looks, is_open)));
        assert_eq!(looks, [2, 1, 1, 2, 1]);
    }
}
