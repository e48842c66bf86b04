//! Counts hours: what was accepted for each endpoint, and what became of it. An hour with anything unfinished is counted
//! again with each later hour. The ledger falls out: matched = succeeded + queued + retrying + held + dead + canceled. Keeps
//! no more of an hour in memory than a step of it.

use std::collections::BTreeMap;

use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_platform::keys::{self, HOUR_MS};
use redial_platform::store::StoreError;
use redial_platform::store::config::{Tenant, TenantConfig};
use redial_platform::store::sweep::{HourCounts, SweepMark};

use crate::{Summary, SweepError, Sweeper};

/// Hours after which an unfinished hour is no longer counted again: longer than the longest ladder.
const REOPEN_HOURS: i64 = 48;
/// How long after its hour a delivery without a record counts as queued, in milliseconds. Unless the delivery queue is behind,
/// a message spends its receives there and in the retry queue within 5.3 hours (3 times 6 minutes, 20 times 15 minutes), and
/// the intake writes its record.
const UNRECORDED_MS: i64 = 6 * HOUR_MS;
/// Deliveries of one endpoint and shard that are read at once, if they spread over the hour.
const SLICE: u64 = 10_000;
/// Shortest stretch of time that is read at once, in milliseconds.
const MIN_SLICE_MS: i64 = 1_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * HOUR_MS;

/// How the hours that were counted balance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Deliveries by which they do not.
    pub(crate) difference: u64,
    /// Deliveries without a record that count as queued: the tenant is to be looked at again, also if it is quiet.
    pub(crate) unrecorded: u64,
}

impl Sweeper {
    /// Counts the hours that are over, and again those that are not finished or do not balance. `None` if there was nothing
    /// to count. If the delivery queue is `behind`, whatever has no record may wait in it.
    pub(crate) async fn roll_up(
        &self,
        config: &TenantConfig,
        mark: &mut SweepMark,
        behind: bool,
        summary: &mut Summary,
    ) -> Result<Option<Balance>, SweepError> {
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
        let mut balance = Balance::default();
        for hour in open.chain(fresh).collect::<Vec<_>>() {
            let counted = self.count_hour(config, hour, behind, summary).await?;
            balance.difference += counted.difference;
            balance.unrecorded += counted.unrecorded;
        }
        mark.rolled = settled;
        Ok(Some(balance))
    }

    /// Keeps by how much a tenant's ledger does not balance until it is counted again, for the passes in between.
    pub(crate) async fn note_balance(
        &self,
        tenant: &TenantId,
        balance: Balance,
        unbalanced: &mut BTreeMap<TenantId, u64>,
    ) -> Result<(), StoreError> {
        let difference = balance.difference;
        if difference > 0 {
            tracing::error!(%tenant, difference, "sweeper.ledger_unbalanced");
        }
        if balance != Balance::default() {
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
        behind: bool,
        summary: &mut Summary,
    ) -> Result<Balance, SweepError> {
        let tenant = &config.tenant;
        let end = hour.plus_millis(HOUR_MS);
        let may_wait = behind || self.clock.now().millis_since(end) < UNRECORDED_MS;
        let mut counts = self.matched(tenant, hour, end).await?;
        let (mut total, mut balance, mut lost) = (HourCounts::default(), Balance::default(), 0);
        for (endpoint, counts) in &mut counts {
            self.count_recorded(tenant, endpoint, hour, end, counts).await?;
            let unrecorded = u64::try_from(counts.difference()).unwrap_or(0);
            if may_wait && unrecorded > 0 {
                let queued = DeliveryState::Queued.as_str().to_owned();
                *counts.states.entry(queued).or_default() += unrecorded;
                balance.unrecorded += unrecorded;
            } else {
                lost += unrecorded;
            }
            balance.difference += counts.difference().unsigned_abs();
            total.matched += counts.matched;
            total.attempts += counts.attempts;
            for (state, number) in &counts.states {
                *total.states.entry(state.clone()).or_default() += number;
            }
        }
        if total == HourCounts::default() {
            return Ok(balance);
        }
        let mut rows: Vec<(Option<EndpointId>, HourCounts)> = counts.into_iter().map(|(id, c)| (Some(id), c)).collect();
        rows.push((None, total));
        summary.hours += rows.len() as u64;
        let expires_at = hour.plus_millis(i64::from(tenant.retention_days) * DAY_MS);
        self.store.put_hours(&tenant.id, hour, &rows, expires_at).await?;
        if lost > 0 {
            tracing::error!(tenant = %tenant.id, %hour, lost, "sweeper.deliveries_lost");
            self.send_lost(config, hour, end, summary).await?;
        }
        Ok(balance)
    }

    /// How many events of an hour each endpoint matched.
    async fn matched(
        &self,
        tenant: &Tenant,
        hour: Timestamp,
        end: Timestamp,
    ) -> Result<BTreeMap<EndpointId, HourCounts>, StoreError> {
        let mut counts: BTreeMap<EndpointId, HourCounts> = BTreeMap::new();
        for shard in 0..tenant.shards {
            let mut from = hour;
            while from < end {
                let (events, reached) = self.next_events(&tenant.id, shard, from, end, false).await?;
                for endpoint in events.into_iter().flat_map(|event| event.matched) {
                    counts.entry(endpoint).or_default().matched += 1;
                }
                from = reached;
            }
        }
        Ok(counts)
    }

    /// Counts the recorded deliveries of an endpoint in an hour; not those that replays made.
    async fn count_recorded(
        &self,
        tenant: &Tenant,
        endpoint: &EndpointId,
        hour: Timestamp,
        end: Timestamp,
        counts: &mut HourCounts,
    ) -> Result<(), StoreError> {
        let slices = 1 + counts.matched / (u64::from(tenant.shards.max(1)) * SLICE);
        let slice_ms = (HOUR_MS / i64::try_from(slices).unwrap_or(HOUR_MS)).max(MIN_SLICE_MS);
        for shard in 0..tenant.shards {
            let mut from = hour;
            while from < end {
                let until = from.plus_millis(slice_ms).min(end);
                let records = self
                    .store
                    .deliveries_between(&tenant.id, endpoint, shard, from, until)
                    .await?;
                for record in records.iter().filter(|record| record.id.replay.is_none()) {
                    counts.count(record.state, record.attempts);
                }
                from = until;
            }
        }
        Ok(())
    }
}
