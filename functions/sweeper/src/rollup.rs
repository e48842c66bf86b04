//! Which hours are counted, and when: first those that are over and were never counted, then again those that are not finished
//! or do not balance. Never begins anything when the pass has no time left: where it stopped is saved with each hour, and
//! within one, and the next pass goes on from there.

use std::collections::BTreeMap;

use redial_domain::{TenantId, Timestamp};
use redial_platform::keys::{self, HOUR_MS};
use redial_platform::store::StoreError;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::counting::{Again, Balance, Counting, Part};
use redial_platform::store::sweep::SweepMark;

use crate::pass::Pass;
use crate::{Summary, SweepError, Sweeper};

/// Hours after which an unfinished hour is no longer counted again: longer than the default ladder, and shorter than any dead
/// letter is kept. What waits for longer is seen by `GET .../ledger`.
const REOPEN_HOURS: i64 = 48;

/// An hour that is to be counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hour {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    /// It is counted for the first time.
    pub(crate) fresh: bool,
    /// Endpoints that matched nothing are looked through, too: for the first time, and until the hour balances.
    pub(crate) whole: bool,
}

impl Hour {
    fn new(since: Timestamp, fresh: bool, whole: bool) -> Self {
        Self {
            since,
            until: since.plus_millis(HOUR_MS),
            fresh,
            whole,
        }
    }

    /// Where the part of it that is counted is kept.
    pub(crate) const fn part_in(self, counting: &mut Counting) -> &mut Option<Part> {
        if self.fresh {
            &mut counting.fresh
        } else {
            &mut counting.open
        }
    }
}

impl Sweeper {
    /// Counts the hours that are over, and again those that are not finished or do not balance, as far as the pass has time.
    /// True if there was anything to count. If the delivery queue is behind, whatever has no record may wait in it.
    pub(crate) async fn roll_up(
        &self,
        config: &TenantConfig,
        mark: &mut SweepMark,
        counting: &mut Counting,
        pass: Pass,
        summary: &mut Summary,
    ) -> Result<bool, SweepError> {
        let (tenant, settled) = (&config.tenant.id, keys::hour_of(mark.repaired));
        let before = mark.rolled;
        if before >= settled && counting.again.is_none() {
            return Ok(false);
        }
        let reopen = before.plus_millis(-REOPEN_HOURS * HOUR_MS);
        counting.hours.retain(|hour, _| *hour >= reopen.as_millis());
        if before < settled {
            counting.again.get_or_insert(Again {
                since: reopen,
                until: before,
                late: true,
            });
        }
        while mark.rolled < settled {
            let hour = Hour::new(mark.rolled, true, true);
            if !self.count_hour(config, hour, counting, pass, summary).await? {
                return Ok(true);
            }
            mark.rolled = hour.until;
            self.store.put_sweep_mark(tenant, *mark).await?;
        }
        self.count_again(config, reopen, counting, pass, summary).await?;
        Ok(true)
    }

    /// Goes on with counting again, from where the last pass stopped.
    async fn count_again(
        &self,
        config: &TenantConfig,
        reopen: Timestamp,
        counting: &mut Counting,
        pass: Pass,
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        let tenant = &config.tenant.id;
        let Some(mut again) = counting.again else { return Ok(()) };
        if again.late {
            if !pass.behind {
                let Some(retrying) = self.send_late(config, pass, summary).await? else {
                    return Ok(());
                };
                counting.retrying = retrying;
            }
            again.late = false;
            counting.again = Some(again);
        }
        let since = again.since.max(reopen);
        let earlier = self
            .store
            .hours(tenant, None, since, again.until.plus_millis(-1))
            .await?;
        let open = earlier
            .into_iter()
            .filter(|(_, counts)| counts.is_open() || counts.difference() != 0);
        for (since, counts) in open {
            again.since = since;
            counting.again = Some(again);
            let hour = Hour::new(since, false, counts.difference() != 0);
            if !self.count_hour(config, hour, counting, pass, summary).await? {
                return Ok(());
            }
        }
        counting.again = None;
        self.store.put_counting(tenant, counting, self.clock.now()).await?;
        Ok(())
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
}
