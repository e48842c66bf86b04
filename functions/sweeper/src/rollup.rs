//! Counts hours: what was accepted for each endpoint, and what became of it. An hour with anything unfinished is counted
//! again with each later hour. The ledger falls out: matched = succeeded + queued + retrying + held + dead + canceled.

use std::collections::BTreeMap;

use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, Timestamp};
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
    pub(crate) async fn roll_up(
        &self,
        config: &TenantConfig,
        mark: &mut SweepMark,
        summary: &mut Summary,
    ) -> Result<(), StoreError> {
        let settled = keys::hour_of(mark.repaired);
        if mark.rolled >= settled {
            return Ok(());
        }
        let reopen = mark.rolled.plus_millis(-REOPEN_HOURS * HOUR_MS);
        let earlier = self
            .store
            .hours(&config.tenant.id, None, reopen, mark.rolled.plus_millis(-1))
            .await?;
        let open = earlier
            .into_iter()
            .filter(|(_, counts)| counts.is_open())
            .map(|(hour, _)| hour);
        let fresh = (0..)
            .map(|n| mark.rolled.plus_millis(n * HOUR_MS))
            .take_while(|hour| *hour < settled);
        for hour in open.chain(fresh).collect::<Vec<_>>() {
            self.count_hour(config, hour, summary).await?;
        }
        mark.rolled = settled;
        Ok(())
    }

    async fn count_hour(
        &self,
        config: &TenantConfig,
        hour: Timestamp,
        summary: &mut Summary,
    ) -> Result<(), StoreError> {
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
        let mut total = HourCounts::default();
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
            summary.ledger_difference += counts.difference();
            total.matched += counts.matched;
            total.attempts += counts.attempts;
            for (state, number) in &counts.states {
                *total.states.entry(state.clone()).or_default() += number;
            }
        }
        if total == HourCounts::default() {
            return Ok(());
        }
        let mut rows: Vec<(Option<EndpointId>, HourCounts)> = counts.into_iter().map(|(id, c)| (Some(id), c)).collect();
        rows.push((None, total));
        summary.hours += rows.len() as u64;
        let expires_at = hour.plus_millis(i64::from(tenant.retention_days) * DAY_MS);
        self.store.put_hours(&tenant.id, hour, &rows, expires_at).await
    }
}
