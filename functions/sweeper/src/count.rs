//! Counts an hour: what was accepted for each endpoint, and what became of it. The ledger falls out: matched = succeeded +
//! queued + retrying + held + dead + canceled. An hour is counted slice by slice; never keeps more of it in memory than a
//! page of one, and its sums.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};
use redial_platform::keys::{self, HOUR_MS, Key};
use redial_platform::store::StoreError;
use redial_platform::store::config::{Tenant, TenantConfig};
use redial_platform::store::counting::{Balance, Counting, Part};
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::ledger::{LedgerQuestion, UNRECORDED_MS};
use redial_platform::store::lists::Range;
use redial_platform::store::sweep::HourCounts;

use crate::late::is_stranded;
use crate::pass::Pass;
use crate::rollup::Hour;
use crate::{Summary, SweepError, Sweeper};

/// Deliveries promised by the events of a slice, and events of one: some seconds of reading. A quiet hour is one slice.
const SLICE: u64 = 5_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * HOUR_MS;

/// A slice of an hour.
#[derive(Debug, Clone, Copy)]
struct Slice {
    since: Timestamp,
    until: Timestamp,
    /// What has no record may wait in the delivery queue, which is behind.
    behind: bool,
}

/// What is counted of an endpoint in a slice.
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
    /// Counts an hour, from where the last pass stopped within it. False if this one has no time to finish it: how far it came
    /// is saved.
    pub(crate) async fn count_hour(
        &self,
        config: &TenantConfig,
        hour: Hour,
        counting: &mut Counting,
        pass: Pass,
        summary: &mut Summary,
    ) -> Result<bool, SweepError> {
        let tenant = &config.tenant.id;
        let begun = hour.part_in(counting).take().filter(|part| part.hour == hour.since);
        let mut part = begun.unwrap_or_else(|| Part {
            hour: hour.since,
            reached: hour.since,
            counts: BTreeMap::new(),
            waiting: 0,
        });
        while part.reached < hour.until {
            if pass.is_late(&self.clock) {
                *hour.part_in(counting) = Some(part);
                self.store.put_counting(tenant, counting, self.clock.now()).await?;
                return Ok(false);
            }
            self.count_slice(config, hour, &mut part, pass, summary).await?;
            if part.reached < hour.until {
                *hour.part_in(counting) = Some(part.clone());
                self.store.put_counting(tenant, counting, self.clock.now()).await?;
            }
        }
        *hour.part_in(counting) = None;
        let difference = part.counts.values().map(HourCounts::difference).sum();
        let waiting = part.waiting;
        counting.note(hour.since, Balance { difference, waiting });
        self.keep_hour(&config.tenant, part, summary).await?;
        self.store.put_counting(tenant, counting, self.clock.now()).await?;
        Ok(true)
    }

    /// Writes down what was counted of an hour, if anything was.
    async fn keep_hour(&self, tenant: &Tenant, part: Part, summary: &mut Summary) -> Result<(), StoreError> {
        let Part { hour, counts, .. } = part;
        let mut total = HourCounts::default();
        counts.values().for_each(|counts| total.add(counts));
        let mut rows: Vec<(Option<EndpointId>, HourCounts)> = counts
            .into_iter()
            .filter(|(_, counts)| *counts != HourCounts::default())
            .map(|(id, counts)| (Some(id), counts))
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        rows.push((None, total));
        summary.hours += rows.len() as u64;
        let expires_at = hour.plus_millis(i64::from(tenant.retention_days) * DAY_MS);
        self.store.put_hours(&tenant.id, hour, &rows, expires_at).await
    }

    /// Counts the next slice of an hour; what is lost of it is sent.
    async fn count_slice(
        &self,
        config: &TenantConfig,
        hour: Hour,
        part: &mut Part,
        pass: Pass,
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        let tenant = &config.tenant;
        let may_wait = pass.behind || self.clock.now().millis_since(hour.until) < UNRECORDED_MS;
        let (mut tallies, until) = self.matched(tenant, part.reached, hour.until).await?;
        let slice = Slice {
            since: part.reached,
            until,
            behind: pass.behind,
        };
        if hour.whole {
            for stored in &config.endpoints {
                tallies.entry(stored.endpoint.id.clone()).or_default();
            }
        }
        for endpoint in part.counts.keys() {
            tallies.entry(endpoint.clone()).or_default();
        }
        let mut lost = 0;
        for (endpoint, mut tally) in tallies {
            self.count_recorded(tenant, &endpoint, slice, &mut tally, summary)
                .await?;
            let missing = self.even_out(tenant, &endpoint, slice, &mut tally).await?;
            if may_wait && missing > 0 {
                let queued = DeliveryState::Queued.as_str().to_owned();
                *tally.counts.states.entry(queued).or_default() += missing;
                part.waiting += missing;
            } else {
                lost += missing;
            }
            part.counts.entry(endpoint).or_default().add(&tally.counts);
        }
        if lost > 0 {
            tracing::error!(tenant = %tenant.id, hour = %hour.since, lost, "sweeper.deliveries_lost");
            self.send_lost(config, slice.since, slice.until, summary).await?;
        }
        part.reached = until;
        Ok(())
    }

    /// How many events each endpoint matched, from `since` on until they promise a slice; and where that ends.
    async fn matched(
        &self,
        tenant: &Tenant,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<(BTreeMap<EndpointId, Tally>, Timestamp), StoreError> {
        let mut tallies: BTreeMap<EndpointId, Tally> = BTreeMap::new();
        let (mut from, mut work) = (since, 0);
        while from < until && work < SLICE {
            let (events, reached) = self.step(tenant, from, until, false).await?;
            for event in events {
                let print = fingerprint(&event.id, event.accepted_at);
                work += event.matched.len().max(1) as u64;
                for endpoint in event.matched {
                    let tally = tallies.entry(endpoint).or_default();
                    tally.counts.matched += 1;
                    tally.promised = tally.promised.wrapping_add(print);
                }
            }
            from = reached;
        }
        Ok((tallies, from))
    }

    /// Counts the recorded deliveries of an endpoint in a slice; not those that replays made. What stands still among all of
    /// them is sent again.
    async fn count_recorded(
        &self,
        tenant: &Tenant,
        endpoint: &EndpointId,
        slice: Slice,
        tally: &mut Tally,
        summary: &mut Summary,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        for shard in 0..tenant.shards {
            let mut after = None;
            loop {
                let between = (slice.since, slice.until);
                let page = self
                    .store
                    .deliveries_between(&tenant.id, endpoint, shard, between, after);
                let (records, next) = page.await?;
                for record in records.iter().filter(|record| record.id.replay.is_none()) {
                    tally.counts.count_record(record);
                    let print = fingerprint(&record.id.event, record.accepted_at);
                    tally.recorded = tally.recorded.wrapping_add(print);
                }
                for record in records
                    .iter()
                    .filter(|record| !slice.behind && is_stranded(record, now))
                {
                    self.send_again(record, now, summary).await?;
                }
                after = next;
                if after.is_none() {
                    break;
                }
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
        slice: Slice,
        tally: &mut Tally,
    ) -> Result<u64, StoreError> {
        let (matched, counted) = (tally.counts.matched, tally.counts.counted());
        if tally.is_even() {
            return Ok(0);
        }
        if slice.behind && counted <= matched {
            // There may be very many, and nothing follows from it.
            return Ok(matched - counted);
        }
        let range = |since| Range {
            since,
            until: slice.until,
        };
        let (mut since, mut missing, mut exact) = (slice.since, 0, HourCounts::default());
        while since < slice.until {
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
                exact.count_record(record);
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
