//! Counts hours: what was accepted for each endpoint, and what became of it. An hour with anything unfinished is counted
//! again with each later hour. The ledger falls out: matched = succeeded + queued + retrying + held + dead + canceled. Keeps
//! no more of an hour in memory than a step of it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};
use redial_platform::keys::{self, HOUR_MS, Key};
use redial_platform::store::StoreError;
use redial_platform::store::config::{Tenant, TenantConfig};
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::ledger::{LedgerQuestion, UNRECORDED_MS};
use redial_platform::store::lists::Range;
use redial_platform::store::sweep::{HourCounts, SweepMark};

use crate::late::is_stranded;
use crate::{Summary, SweepError, Sweeper};

/// Hours after which an unfinished hour is no longer counted again: longer than the default ladder, and shorter than any dead
/// letter is kept. What waits for longer is seen by `GET .../ledger`.
const REOPEN_HOURS: i64 = 48;
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
    /// Deliveries without a record that count as queued, and those that wait for a retry: the tenant is to be looked at
    /// again, also if it is quiet.
    pub(crate) waiting: u64,
}

/// An hour that is to be counted.
#[derive(Debug, Clone, Copy)]
struct Hour {
    since: Timestamp,
    until: Timestamp,
    /// The delivery queue is behind: whatever has no record may wait in it.
    behind: bool,
    /// Endpoints that matched nothing are looked through, too: for the first time, and until the hour balances.
    whole: bool,
}

/// What is counted of an endpoint in an hour.
#[derive(Debug, Default)]
struct Tally {
    counts: HourCounts,
    /// Sums of fingerprints: equal numbers of other deliveries are no balance.
    promised: u64,
    recorded: u64,
}

impl Tally {
    fn is_even(&self) -> bool {
        self.counts.matched == self.counts.counted() && self.promised == self.recorded
    }
}

/// Stands for an event in a sum that does not depend on the order.
fn fingerprint(event: &EventId, accepted_at: Timestamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    (event.as_str(), accepted_at.as_millis()).hash(&mut hasher);
    hasher.finish()
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
            .map(|(hour, counts)| (hour, counts.difference() != 0));
        let fresh = (0..)
            .map(|n| (mark.rolled.plus_millis(n * HOUR_MS), true))
            .take_while(|(hour, _)| *hour < settled);
        let mut balance = Balance::default();
        for (since, whole) in open.chain(fresh).collect::<Vec<_>>() {
            let hour = Hour {
                since,
                until: since.plus_millis(HOUR_MS),
                behind,
                whole,
            };
            let counted = self.count_hour(config, hour, summary).await?;
            balance.difference += counted.difference;
            balance.waiting += counted.waiting;
        }
        if !behind {
            balance.waiting += self.send_late(config, summary).await?;
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
        hour: Hour,
        summary: &mut Summary,
    ) -> Result<Balance, SweepError> {
        let tenant = &config.tenant;
        let may_wait = hour.behind || self.clock.now().millis_since(hour.until) < UNRECORDED_MS;
        let mut tallies = self.matched(tenant, hour).await?;
        if hour.whole {
            for stored in &config.endpoints {
                tallies.entry(stored.endpoint.id.clone()).or_default();
            }
        }
        let (mut total, mut balance, mut lost) = (HourCounts::default(), Balance::default(), 0);
        for (endpoint, tally) in &mut tallies {
            self.count_recorded(tenant, endpoint, hour, tally, summary).await?;
            let missing = self.even_out(tenant, endpoint, hour, tally).await?;
            let counts = &mut tally.counts;
            if may_wait && missing > 0 {
                let queued = DeliveryState::Queued.as_str().to_owned();
                *counts.states.entry(queued).or_default() += missing;
                balance.waiting += missing;
            } else {
                lost += missing;
            }
            balance.difference += counts.difference();
            total.add(counts);
        }
        tallies.retain(|_, tally| tally.counts != HourCounts::default());
        if tallies.is_empty() {
            return Ok(balance);
        }
        let mut rows: Vec<(Option<EndpointId>, HourCounts)> = Vec::with_capacity(tallies.len() + 1);
        rows.extend(tallies.into_iter().map(|(id, tally)| (Some(id), tally.counts)));
        rows.push((None, total));
        summary.hours += rows.len() as u64;
        let expires_at = hour.since.plus_millis(i64::from(tenant.retention_days) * DAY_MS);
        self.store.put_hours(&tenant.id, hour.since, &rows, expires_at).await?;
        if lost > 0 {
            tracing::error!(tenant = %tenant.id, hour = %hour.since, lost, "sweeper.deliveries_lost");
            self.send_lost(config, hour.since, hour.until, summary).await?;
        }
        Ok(balance)
    }

    /// How many events of an hour each endpoint matched.
    async fn matched(&self, tenant: &Tenant, hour: Hour) -> Result<BTreeMap<EndpointId, Tally>, StoreError> {
        let mut tallies: BTreeMap<EndpointId, Tally> = BTreeMap::new();
        for shard in 0..tenant.shards {
            let mut from = hour.since;
            while from < hour.until {
                let (events, reached) = self.next_events(&tenant.id, shard, from, hour.until, false).await?;
                for event in events {
                    let print = fingerprint(&event.id, event.accepted_at);
                    for endpoint in event.matched {
                        let tally = tallies.entry(endpoint).or_default();
                        tally.counts.matched += 1;
                        tally.promised = tally.promised.wrapping_add(print);
                    }
                }
                from = reached;
            }
        }
        Ok(tallies)
    }

    /// Counts the recorded deliveries of an endpoint in an hour; not those that replays made. What stands still among all
    /// of them is sent again.
    async fn count_recorded(
        &self,
        tenant: &Tenant,
        endpoint: &EndpointId,
        hour: Hour,
        tally: &mut Tally,
        summary: &mut Summary,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let slices = 1 + tally.counts.matched / (u64::from(tenant.shards.max(1)) * SLICE);
        let slice_ms = (HOUR_MS / i64::try_from(slices).unwrap_or(HOUR_MS)).max(MIN_SLICE_MS);
        for shard in 0..tenant.shards {
            let mut from = hour.since;
            while from < hour.until {
                let until = from.plus_millis(slice_ms).min(hour.until);
                let records = self
                    .store
                    .deliveries_between(&tenant.id, endpoint, shard, from, until)
                    .await?;
                for record in records.iter().filter(|record| record.id.replay.is_none()) {
                    tally.counts.count(record.state, record.attempts);
                    let print = fingerprint(&record.id.event, record.accepted_at);
                    tally.recorded = tally.recorded.wrapping_add(print);
                }
                for record in records.iter().filter(|record| !hour.behind && is_stranded(record, now)) {
                    self.send_again(record, now, summary).await?;
                }
                from = until;
            }
        }
        Ok(())
    }

    /// How many deliveries have no record. What does not fit is read again, strongly, delivery by delivery: a missing one
    /// and one too many must not pass for a balance, and what was written while it was counted is no difference.
    async fn even_out(
        &self,
        tenant: &Tenant,
        endpoint: &EndpointId,
        hour: Hour,
        tally: &mut Tally,
    ) -> Result<u64, StoreError> {
        let (matched, counted) = (tally.counts.matched, tally.counts.counted());
        if tally.is_even() {
            return Ok(0);
        }
        if hour.behind && counted <= matched {
            // There may be very many, and nothing follows from it.
            return Ok(matched - counted);
        }
        let range = |since| Range {
            since,
            until: hour.until,
        };
        let (mut since, mut missing, mut exact) = (hour.since, 0, HourCounts::default());
        while since < hour.until {
            let question = LedgerQuestion {
                tenant: &tenant.id,
                shards: tenant.shards,
                range: range(since),
                endpoints: &[],
                only: Some(endpoint),
                // What expires meanwhile was counted, too.
                now: Timestamp::default(),
            };
            let stretch = self.store.ledger(&question).await?;
            let mut promised: BTreeSet<Key> = stretch
                .events
                .into_iter()
                .map(|event| first_key(event.accepted_at, event.shards, &tenant.id, event.id, endpoint))
                .collect();
            exact.matched += promised.len() as u64;
            for record in stretch.records.iter().filter(|record| record.id.replay.is_none()) {
                exact.count(record.state, record.attempts);
                exact.extra += u64::from(!promised.remove(&DeliveryRecord::key(record)));
            }
            missing += promised.len() as u64;
            since = stretch.reached;
        }
        tally.counts = exact;
        Ok(missing)
    }
}

/// The key of an event's first delivery to an endpoint.
fn first_key(accepted_at: Timestamp, shards: u16, tenant: &TenantId, event: EventId, endpoint: &EndpointId) -> Key {
    let id = DeliveryId {
        event,
        endpoint: endpoint.clone(),
        replay: None,
    };
    keys::delivery(tenant, &id, accepted_at, shards)
}
