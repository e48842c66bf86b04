//! What becomes of a delivery that is due: it is marked and sent, goes on waiting for its slot, or waits for its endpoint to
//! answer again. Never sends itself: `due` does, a page at a time.

use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::EndpointState;
use redial_domain::{Timestamp, hold};
use redial_platform::message::DeliveryMessage;
use redial_platform::pace;
use redial_platform::store::StoreError;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::health::Health;

use crate::Sweeper;
use crate::due::Turn;

/// How long a delivery sent from the table may be under way before it is sent again, in milliseconds.
pub(crate) const SENT_LEASE_MS: i64 = 900_000;
/// How long before the last look at what is held for an endpoint something may still be added, in milliseconds: far longer than
/// until an index shows what was written.
const SEEN_MS: i64 = 30_000;

impl Sweeper {
    /// Marks a due delivery as sent and makes its message; `None` if somebody else has moved it on, it is final, or its slot
    /// is too far to be waited for in the queue: then it goes on waiting here.
    pub(crate) async fn release(
        &self,
        before: DeliveryRecord,
        turn: Turn,
    ) -> Result<Option<DeliveryMessage>, StoreError> {
        let Turn { now, behind, slot } = turn;
        if !before.state.is_final() && (self.is_open(&before).await || self.is_drained_with(&before).await) {
            return self.keep(before).await.map(|()| None);
        }
        if let Some(slot) = slot.filter(|slot| pace::is_beyond(*slot, now)) {
            let waits = DeliveryRecord {
                next_at: Some(slot),
                due_at: Some(pace::due_at(slot, now)),
                ..before.clone()
            };
            return self.store.record_if_unchanged(&before, &waits).await.map(|_| None);
        }
        let due_at = (!before.state.is_final()).then(|| now.plus_millis(SENT_LEASE_MS));
        let state = if before.state.is_final() {
            before.state
        } else {
            DeliveryState::Queued
        };
        let after = DeliveryRecord {
            state,
            due_at,
            next_at: None,
            ..before.clone()
        };
        let marked = self.store.record_if_unchanged(&before, &after).await?;
        // One that was sent already may still wait in a queue that is behind: it gets more time, no second message.
        let waits = behind && before.state == DeliveryState::Queued;
        Ok(
            (marked == Recorded::Written && !state.is_final() && !waits).then(|| DeliveryMessage {
                slot_ms: slot.map(Timestamp::as_millis),
                ..message_of(&after)
            }),
        )
    }

    /// True if the endpoint is on hold because it fails. A copy that is seconds old is not believed that it is: somebody may
    /// have resumed it meanwhile, and nothing would release what is kept now.
    async fn is_open(&self, record: &DeliveryRecord) -> bool {
        let holds = |config: Option<&TenantConfig>| {
            let stored = config.and_then(|config| config.endpoint(&record.id.endpoint));
            stored.is_some_and(|stored| stored.endpoint.state == EndpointState::Active && stored.hold.is_some())
        };
        let looked = async {
            let recent = self.cache.recent(&record.tenant, 0).await?;
            if !holds(recent.as_deref()) {
                return Ok(false);
            }
            let current = self.cache.current(&record.tenant).await?;
            Ok::<_, StoreError>(holds(current.as_deref()))
        };
        match looked.await {
            Ok(open) => open,
            // The dispatcher reads it again, and says what is wrong with it.
            Err(error) => {
                tracing::warn!(%error, tenant = %record.tenant, "sweeper.config_unread");
                false
            }
        }
    }

    /// True if the delivery made way for others before its endpoint was let go, and what is held for that is being drained or
    /// about to be: it goes with it, at the rate of a drain. Hundreds made way in the moment in which their endpoint began
    /// to hang, and would all leave together. What made way later does not add to a drain: it might never end.
    async fn is_drained_with(&self, record: &DeliveryRecord) -> bool {
        if record.reason.as_deref() != Some(hold::REASON_STALLED) {
            return false;
        }
        let now = self.clock.now();
        match self.store.health(&record.tenant, &record.id.endpoint, now).await {
            Ok(health) => health.is_some_and(|health| is_drained_with(&health, record.held_at, now)),
            // It leaves at once, as it would without a drain.
            Err(error) => {
                tracing::warn!(%error, tenant = %record.tenant, "sweeper.health_unread");
                false
            }
        }
    }

    /// Writes down that a delivery waits for its endpoint to answer again: nothing of such an endpoint waits in the queue.
    async fn keep(&self, before: DeliveryRecord) -> Result<(), StoreError> {
        let mut held = DeliveryRecord {
            // A slot is no wait of the schedule.
            next_at: before
                .next_at
                .filter(|_| before.reason.as_deref() != Some(pace::REASON)),
            due_at: None,
            ..before.clone()
        };
        held.hold(hold::REASON, self.clock.now());
        self.store.record_if_unchanged(&before, &held).await.map(|_| ())
    }
}

/// True if what made way at `stalled_at` goes with what is drained of an endpoint: a look is still to come that finds it among
/// what is held.
fn is_drained_with(health: &Health, stalled_at: Option<Timestamp>, now: Timestamp) -> bool {
    let is_before = stalled_at
        .zip(health.let_go_at)
        .is_some_and(|(stalled_at, at)| stalled_at <= at);
    let is_looked_for = match health.drain_looks {
        0 => false,
        1 => health.due_at.is_some_and(|due_at| due_at.millis_since(now) > SEEN_MS),
        _ => true,
    };
    is_before && is_looked_for
}

/// The message of a recorded delivery: the dispatcher reads the record first, and the event for its content.
pub(crate) fn message_of(record: &DeliveryRecord) -> DeliveryMessage {
    DeliveryMessage {
        tenant: record.tenant.clone(),
        event: record.id.event.clone(),
        accepted_at_ms: record.accepted_at.as_millis(),
        shards: record.shards,
        endpoint: record.id.endpoint.clone(),
        // The dispatcher's copy is at most seconds old: as good as any version this record could name.
        endpoint_version: 0,
        replay: record.id.replay.clone(),
        check: true,
        probe: false,
        content: None,
        traceparent: record.traceparent.clone(),
        slot_ms: None,
    }
}
