//! Sends again what should have happened long ago and that nothing else would find: a retry whose message is lost, an attempt
//! that never ended. Only marks what is due; the next pass sends it (`due`), marked `check`, so that it is attempted once.

use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, ReplayId, Timestamp};
use redial_platform::keys::HOUR_MS;
use redial_platform::store::StoreError;
use redial_platform::store::config::{Tenant, TenantConfig};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::ledger::{LATE_MS, UNRECORDED_MS};
use redial_platform::store::lists::{DeliveryFilter, Order, Question, Range};

use crate::pass::Pass;
use crate::{Summary, Sweeper};

/// Deliveries of one endpoint that wait for a retry and are looked at: more than ever wait in the queue at a time.
pub(crate) const MAX_RETRYING: usize = 500;

/// True if a delivery's attempt was begun so long ago that no message can be about it any more.
pub(crate) fn is_stranded(record: &DeliveryRecord, now: Timestamp) -> bool {
    let begun = record.id.replay.as_ref().and_then(ReplayId::asked_at);
    let begun = begun.unwrap_or(record.accepted_at);
    let last = record.last.as_ref().map_or(begun, |last| last.at.max(begun));
    record.state == DeliveryState::Queued && record.due_at.is_none() && now.millis_since(last) > UNRECORDED_MS
}

/// True if a retry should have been made so long ago that its message must be lost.
fn is_late(record: &DeliveryRecord, now: Timestamp) -> bool {
    let due_at = record.next_at.or_else(|| record.last.as_ref().map(|last| last.at));
    due_at.is_some_and(|due_at| now.millis_since(due_at) > LATE_MS)
}

impl Sweeper {
    /// Marks the late retries of a tenant as due. Answers how many of its deliveries wait for a retry; `None` if the pass has
    /// no time for all of them.
    pub(crate) async fn send_late(
        &self,
        config: &TenantConfig,
        pass: Pass,
        summary: &mut Summary,
    ) -> Result<Option<u64>, StoreError> {
        let (tenant, now, mut waiting) = (&config.tenant, self.clock.now(), 0);
        for stored in &config.endpoints {
            if pass.is_late(&self.clock) {
                return Ok(None);
            }
            let retrying = self.retrying_of(tenant, &stored.endpoint.id, now).await?;
            waiting += retrying.len() as u64;
            for record in retrying.iter().filter(|record| is_late(record, now)) {
                self.send_again(record, now, summary).await?;
            }
        }
        Ok(Some(waiting))
    }

    /// What waits for a retry at an endpoint, the oldest first: at most [`MAX_RETRYING`].
    pub(crate) async fn retrying_of(
        &self,
        tenant: &Tenant,
        endpoint: &EndpointId,
        now: Timestamp,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        let question = Question {
            tenant: &tenant.id,
            shards: tenant.shards,
            range: Range {
                since: Timestamp::default(),
                // The clocks of two environments differ.
                until: now.plus_millis(HOUR_MS),
            },
            order: Order::OldestFirst,
            after: None,
            limit: MAX_RETRYING,
            now,
        };
        let filter = DeliveryFilter {
            endpoints: vec![endpoint.clone()],
            state: Some(DeliveryState::Retrying),
            ..DeliveryFilter::default()
        };
        Ok(self.store.list_deliveries(&question, &filter).await?.items)
    }

    /// Marks a delivery as due now, unless somebody has moved it on.
    pub(crate) async fn send_again(
        &self,
        before: &DeliveryRecord,
        now: Timestamp,
        summary: &mut Summary,
    ) -> Result<(), StoreError> {
        let due = DeliveryRecord {
            state: DeliveryState::Queued,
            due_at: Some(now),
            next_at: None,
            ..before.clone()
        };
        if self.store.record_if_unchanged(before, &due).await? == Recorded::Written {
            tracing::warn!(tenant = %before.tenant, delivery = %before.id, "sweeper.delivery_late");
            summary.repaired += 1;
        }
        Ok(())
    }
}
