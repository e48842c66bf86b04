//! Where the sweeper stands: in its round over the tenants, and in what it counts of each. A pass has less time than there may
//! be work, and may be killed; the next one goes on from here. Decides nothing.

use std::collections::BTreeMap;

use redial_domain::{EndpointId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::sweep::{HourCounts, SweepMark, read_mark};
use super::{Store, StoreError};
use crate::item::Item;
use crate::keys;

/// Hours that what is being counted is kept: as long as an hour is counted at all.
const KEPT_HOURS: i64 = 48;

/// The sweeper's round over the tenants, in the order of their names, pass after pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The first hour that has not been swept whole.
    pub progress: Timestamp,
    /// The tenant that was looked at last; `None`: the round begins.
    pub after: Option<TenantId>,
    /// Up to which hour those are swept whole that were looked at in this round; `None`: none was.
    pub whole: Option<Timestamp>,
}

/// What is being counted of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    /// The hours before this moment that are not finished, or do not balance, are being counted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// An hour that is counted for the first time, as far as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Part>,
    /// The same of an hour that is counted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Part>,
    /// How the hours balance, by their beginning in milliseconds; those that do and wait for nothing are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hours: BTreeMap<i64, Balance>,
    /// Deliveries that waited for a retry when they were last looked for.
    #[serde(default)]
    pub retrying: u64,
}

/// The hours that are counted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// The first one that is still to be counted.
    pub since: Timestamp,
    /// Where they end.
    pub until: Timestamp,
    /// True until the late retries have been looked for.
    #[serde(default)]
    pub late: bool,
}

/// An hour that is counted in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its beginning.
    pub hour: Timestamp,
    /// What was accepted before this moment is counted.
    pub reached: Timestamp,
    /// What was counted, by endpoint.
    pub counts: BTreeMap<EndpointId, HourCounts>,
    /// Deliveries without a record among them that count as queued.
    #[serde(default)]
    pub waiting: u64,
}

/// How what was counted balances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Deliveries by which it does not.
    pub difference: u64,
    /// Deliveries without a record that count as queued, and those that wait for a retry: the tenant is to be looked at
    /// again, also if it is quiet.
    pub waiting: u64,
}

impl Round {
    /// Ends the round, and begins the next one: the hours are swept whole that it found settled, at most up to `newest`.
    pub fn end(&mut self, newest: Timestamp) {
        let whole = self.whole.take().unwrap_or(newest);
        self.progress = self.progress.max(whole);
        self.after = None;
    }
}

impl Counting {
    /// How the tenant's ledger balances, as of the last count of each hour. While anything is still to be counted again,
    /// something waits.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let sum = |of: fn(&Balance) -> u64| self.hours.values().map(of).sum::<u64>();
        Balance {
            difference: sum(|hour| hour.difference),
            waiting: sum(|hour| hour.waiting) + self.retrying + u64::from(self.again.is_some()),
        }
    }

    /// Takes down how an hour balances.
    pub fn note(&mut self, hour: Timestamp, balance: Balance) {
        if balance == Balance::default() {
            self.hours.remove(&hour.as_millis());
        } else {
            self.hours.insert(hour.as_millis(), balance);
        }
    }
}

impl Store {
    /// How far a tenant's events have been seen, and what is being counted of them.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn sweep_state(&self, tenant: &TenantId) -> Result<(Option<SweepMark>, Counting), StoreError> {
        let query = self.partition(&self.tables.events, &keys::sweep_partition(tenant), " ", "~");
        let items = self.query_all(query.consistent_read(true), usize::MAX).await?;
        let (mut mark, mut counting) = (None, Counting::default());
        for item in &items {
            match item.get_text("j") {
                None => mark = mark.or_else(|| read_mark(item)),
                // What cannot be read is counted anew.
                Some(text) => counting = serde_json::from_str(text).unwrap_or_default(),
            }
        }
        Ok((mark, counting))
    }

    /// Notes what is being counted of a tenant.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_counting(&self, tenant: &TenantId, counting: &Counting, now: Timestamp) -> Result<(), StoreError> {
        let expires_at = now.plus_millis(KEPT_HOURS * keys::HOUR_MS);
        let item = Item::from(&keys::counting(tenant))
            .text("j", serde_json::to_string(counting).unwrap_or_default())
            .number("ttl", expires_at.as_secs());
        self.put(&self.tables.events, item).await
    }

    /// Where the sweeper's round stands; `None`: it has never run.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn sweep_round(&self) -> Result<Option<Round>, StoreError> {
        let item = self.get(&self.tables.events, &keys::sweep_progress(), true).await?;
        Ok(item.and_then(|item| {
            Some(Round {
                progress: item.get_moment("hr")?,
                after: item.get_text("af").and_then(|text| TenantId::parse(text).ok()),
                whole: item.get_moment("wh"),
            })
        }))
    }

    /// Notes where the sweeper's round stands.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn put_sweep_round(&self, round: &Round) -> Result<(), StoreError> {
        let item = Item::from(&keys::sweep_progress())
            .moment("hr", round.progress)
            .maybe_text("af", round.after.as_ref().map(TenantId::as_str))
            .maybe_number("wh", round.whole.map(Timestamp::as_millis));
        self.put(&self.tables.events, item).await
    }
}
