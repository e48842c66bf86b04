//! Counts hours: what was accepted for each endpoint, and what became of it. An hour with anything unfinished is counted
//! again with each later hour. The ledger falls out: matched = succeeded + queued + retrying + held + dead + canceled.

use std::collections::BTreeMap;

use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_platform::keys::{self, HOUR_MS};
use redial_platform::store::StoreError;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::sweep::{HourCounts, SweepMark};

use crate::{Summary, Sweeper};

/// Hours after which an unfinished hour is no longer counted again: longer than the longest ladder.
const REOPEN_HOURS: i64 = 48;
/// Events of one shard and hour that are counted.
const MAX_EVENTS: usize = 1_000_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * HOUR_MS;

impl Sweeper {
    /// Counts the hours that are over, and again those that are not finished or do not balance. Answers by how many
    /// deliveries the ledger of the tenant does not balance; `None` if there was nothing to count.
    pub(crate) async fn roll_up(
        &self,
        config: &TenantConfig,
        mark: &mut SweepMark,
        summary: &mut Summary,
    ) -> Result<Option<u64>, StoreError> {
        let settled = keys::hour_of(mark.repaired);
        if mark.rolled >= settled {
            return Ok(None);
        }
        let reopen = mark.rolled.plus_millis(-REOPEN_HOURS * HOUR_MS);
        let earlier = self
            .store
            .hours(&config.tenant.id, None, reopen, mark.rolled.plus_millis(-1))
            .await?;
        let open = earlier
            .into_iter()
            .filter(|(_, counts)| counts.is_open() || counts.difference() != 0)
            .map(|(hour, _)| hour);
        let fresh = (0..)
            .map(|n| mark.rolled.plus_millis(n * HOUR_MS))
            .take_while(|hour| *hour < settled);
        let mut difference = 0;
        for hour in open.chain(fresh).collect::<Vec<_>>() {
            difference += self.count_hour(config, hour, summary).await?;
        }
        mark.rolled = settled;
        Ok(Some(difference))
    }

    /// Keeps by how much a tenant's ledger does not balance until it is counted again, for the passes in between.
    pub(crate) async fn note_balance(
        &self,
        tenant: &TenantId,
        difference: u64,
        unbalanced: &mut BTreeMap<TenantId, u64>,
    ) -> Result<(), StoreError> {
        if difference > 0 {
            tracing::error!(%tenant, difference, "sweeper.ledger_unbalanced");
            let expires_at = self.clock.now().plus_millis(REOPEN_HOURS * HOUR_MS);
            self.store.put_unbalanced(tenant, difference, expires_at).await?;
            unbalanced.insert(tenant.clone(), difference);
        } else if unbalanced.contains_key(tenant) {
            self.store.delete_unbalanced(tenant).await?;
            unbalanced.remove(tenant);
        }
        Ok(())
    }

    async fn count_hour(
        &self,
        config: &TenantConfig,
        hour: Timestamp,
        summary: &mut Summary,
    ) -> Result<u64, StoreError> {
        let tenant = &config.tenant;
        let end = hour.plus_millis(HOUR_MS);
        let mut counts: BTreeMap<EndpointId, HourCounts> = BTreeMap::new();
        for shard in 0..tenant.shards {
            for event in self
                .store
                .events_between(&tenant.id, shard, hour, end, MAX_EVENTS, false)
                .await?
            {
                for endpoint in event.matched {
                    counts.entry(endpoint).or_default().matched += 1;
                }
            }
        }
        let (mut total, mut difference) = (HourCounts::default(), 0);
        for (endpoint, counts) in &mut counts {
            for shard in 0..tenant.shards {
                let records = self
                    .store
                    .deliveries_between(&tenant.id, endpoint, shard, hour, end)
                    .await?;
                for record in records.iter().filter(|record| record.id.replay.is_none()) {
                    counts.count(record.state, record.attempts);
                }
            }
            // What has no record yet is queued.
            let unrecorded = u64::try_from(counts.difference()).unwrap_or(0);
            if unrecorded > 0 {
                *counts
                    .states
                    .entry(DeliveryState::Queued.as_str().to_owned())
                    .or_default() += unrecorded;
            }
            difference += counts.difference().unsigned_abs();
            total.matched += counts.matched;
            total.attempts += counts.attempts;
            for (state, number) in &counts.states {
                *total.states.entry(state.clone()).or_default() += number;
            }
        }
        if total == HourCounts::default() {
            return Ok(0);
        }
        let mut rows: Vec<(Option<EndpointId>, HourCounts)> = counts.into_iter().map(|(id, c)| (Some(id), c)).collect();
        rows.push((None, total));
        summary.hours += rows.len() as u64;
        let expires_at = hour.plus_millis(i64::from(tenant.retention_days) * DAY_MS);
        self.store.put_hours(&tenant.id, hour, &rows, expires_at).await?;
        Ok(difference)
    }
}
