//! Erasing a tenant: page by page, from the first key each time, so that a crash only means less to do. Works on nothing
//! that somebody else may work on by now: the name may be another tenant's.

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _};
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_platform::store::StoreError;
use redial_platform::store::erase_tenant::Remains;
use redial_platform::store::erasures::{Erasure, Found};

use super::{CONCURRENT_EVENTS, Eraser, LEASE_MS, Look, PAGE};

impl Eraser {
    pub(super) async fn look_at_tenant(&self, erasure: &mut Erasure, until: Timestamp) -> Result<Look, StoreError> {
        let (tenant, now) = (erasure.tenant.clone(), self.clock.now());
        self.store.remove_config(&tenant).await?;
        for shard in 0..erasure.shards {
            loop {
                self.is_ours(erasure)?;
                let events = self.store.first_events(&tenant, shard, PAGE).await?;
                if events.is_empty() {
                    break;
                }
                erasure.finding.add(self.remove(&tenant, events).await?);
                self.save(erasure, LEASE_MS).await?;
                if self.clock.now() >= until {
                    return Ok(Look::Unfinished);
                }
            }
        }
        // What is left of deliveries whose events are past their retention.
        let mut endpoint = self.next_endpoint(erasure, None).await?;
        while let Some(id) = endpoint {
            for shard in 0..erasure.shards {
                self.is_ours(erasure)?;
                while self.store.remove_deliveries(&tenant, &id, shard, PAGE).await? {
                    self.save(erasure, LEASE_MS).await?;
                    if self.clock.now() >= until {
                        return Ok(Look::Unfinished);
                    }
                }
            }
            self.store.remove_standing(&tenant, &id).await?;
            endpoint = self.next_endpoint(erasure, Some(&id)).await?;
        }
        while self.store.remove_counts(&tenant, PAGE).await? {
            self.save(erasure, LEASE_MS).await?;
        }
        self.is_ours(erasure)?;
        self.store.remove_marks(&tenant, now).await?;
        Ok(Look::Finished { settled: false })
    }

    /// Removes events of a tenant. An event's own row and its row in the list of times may both be among them.
    async fn remove(&self, tenant: &TenantId, events: Vec<Remains>) -> Result<Found, StoreError> {
        let now = self.clock.now();
        let mut seen = HashSet::new();
        let events: Vec<Remains> = events
            .into_iter()
            .filter(|event| event.id.is_none() || seen.insert(event.id.clone()))
            .collect();
        let mut removed = Vec::with_capacity(events.len());
        for event in &events {
            removed.push(self.store.remove_event(tenant, event, now));
        }
        let removed = futures_util::stream::iter(removed).buffer_unordered(CONCURRENT_EVENTS);
        let removed: Vec<Found> = removed.try_collect().await?;
        let mut found = Found {
            events: events.len() as u64,
            ..Found::default()
        };
        removed.into_iter().for_each(|one| found.add(one));
        Ok(found)
    }

    /// The next endpoint that may have had deliveries: one that the tenant had, or that was counted.
    async fn next_endpoint(
        &self,
        erasure: &Erasure,
        after: Option<&EndpointId>,
    ) -> Result<Option<EndpointId>, StoreError> {
        let counted = self.store.next_counted(&erasure.tenant, after).await?;
        let had = erasure
            .endpoints
            .iter()
            .filter(|id| after.is_none_or(|after| *id > after));
        Ok(had.min().cloned().into_iter().chain(counted).min())
    }
}
