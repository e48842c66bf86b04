//! Due deliveries that wait for their endpoint's rate limit: each is sent so that it comes when its slot does. Those that the
//! dispatcher set aside have none yet and get one here, a reservation for each page and endpoint. Never enforces the limit:
//! that does the dispatcher.

use std::collections::{BTreeMap, HashMap};

use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::EndpointState;
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_platform::pace::{self, Pace};
use redial_platform::store::StoreError;
use redial_platform::store::config::{StoredEndpoint, TenantConfig};
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::due::Due;

use crate::Sweeper;

/// True if the delivery waits for its endpoint's rate limit.
fn waits(record: &DeliveryRecord) -> bool {
    record.state == DeliveryState::Held && record.reason.as_deref() == Some(pace::REASON)
}

impl Sweeper {
    /// The slots of a page's deliveries that wait for one, by their place in the page. One that gets none is sent at once:
    /// its endpoint has no limit any more, or takes no deliveries, and the dispatcher says what becomes of it.
    pub(crate) async fn slots(&self, due: &[Due], now: Timestamp) -> HashMap<usize, Timestamp> {
        let mut slots = HashMap::new();
        let mut without: BTreeMap<(&TenantId, &EndpointId), Vec<usize>> = BTreeMap::new();
        for (place, item) in due.iter().enumerate() {
            let Due::Delivery(record) = item else { continue };
            if waits(record) {
                match record.next_at {
                    Some(slot) => {
                        slots.insert(place, slot);
                    }
                    None => without
                        .entry((&record.tenant, &record.id.endpoint))
                        .or_default()
                        .push(place),
                }
            }
        }
        for ((tenant, endpoint), places) in without {
            match self.reserve(tenant, endpoint, places.len(), now).await {
                Ok(reserved) => slots.extend(places.into_iter().zip(reserved)),
                Err(error) => tracing::error!(%error, %tenant, %endpoint, "sweeper.not_lined_up"),
            }
        }
        slots
    }

    async fn reserve(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let config = self.cache.recent(tenant, 0).await?;
        let stored = config.as_ref().and_then(|config| config.endpoint(endpoint));
        // What is on hold is not sent: its slots would pass unused.
        let active = stored.filter(|stored| stored.endpoint.state == EndpointState::Active && stored.hold.is_none());
        let pace = config.as_ref().zip(active);
        let Some(pace) = pace.and_then(|(config, stored)| Pace::of(config, stored, now)) else {
            return Ok(Vec::new());
        };
        let slots = self.store.reserve(tenant, endpoint, pace, count, now).await?;
        Ok((0..count).map(|number| slots.at(number)).collect())
    }

    /// True if one of `held` has a slot from another time, when the limit of its endpoint was lower: it could go earlier.
    pub(crate) async fn could_go_earlier(
        &self,
        config: &TenantConfig,
        stored: &StoredEndpoint,
        held: &[DeliveryRecord],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let slots = held
            .iter()
            .filter(|record| waits(record))
            .filter_map(|record| record.next_at);
        let Some(last) = slots.max() else { return Ok(false) };
        let endpoint = &stored.endpoint;
        let next = match Pace::of(config, stored, now) {
            Some(pace) => self.store.next_slot(&endpoint.tenant, &endpoint.id, pace, now).await?,
            None => now,
        };
        // What comes within a pass or two is left to it.
        Ok(last > next.max(now.plus_millis(pace::HORIZON_MS)))
    }
}
