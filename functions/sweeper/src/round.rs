//! The sweeper's round over the tenants: those that were active, in the order of their names, pass after pass. A pass that has no
//! time left stops, and the next one goes on after the tenant where it stopped, so that a busy one never starves the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redial_domain::{TenantId, Timestamp};
use redial_platform::keys::{self, HOUR_MS};
use redial_platform::store::StoreError;
use redial_platform::store::counting::{Balance, Round};
use redial_platform::store::ledger::{LOOK_BACK_HOURS, SETTLE_MS};
use redial_platform::store::sweep::SweepMark;

use crate::pass::{Pass, REPAIR_MS};
use crate::repair::BEHIND;
use crate::{Summary, SweepError, Sweeper};

/// The tenants in the order of a pass: those after the one where the last pass stopped, then the others.
fn in_turn<'a>(tenants: &'a BTreeSet<TenantId>, after: Option<&TenantId>) -> Vec<&'a TenantId> {
    let (before, mut rest): (Vec<_>, Vec<_>) = tenants
        .iter()
        .partition(|tenant| after.is_some_and(|after| *tenant <= after));
    rest.extend(before);
    rest
}

impl Sweeper {
    /// Looks at the active tenants, in the order of their names and beginning after the one where the last pass stopped: a busy
    /// one starves no other. One that fails never stops another.
    pub(crate) async fn repair(&self, until: Timestamp, summary: &mut Summary) -> Result<(), SweepError> {
        let began = self.clock.now();
        let oldest = keys::hour_of(began).plus_millis(-LOOK_BACK_HOURS * HOUR_MS);
        let mut round = self.round(oldest).await?;
        let mut tenants: BTreeSet<TenantId> = BTreeSet::new();
        let mut hour = round.progress;
        while hour <= began {
            tenants.extend(self.store.active_tenants(hour).await?);
            hour = hour.plus_millis(HOUR_MS);
        }
        // Also those that are quiet now: their hours are counted again until they balance, or are too old to be.
        let mut unbalanced = self.store.unbalanced(began).await?;
        tenants.extend(unbalanced.keys().cloned());
        let pass = Pass {
            deadline: began.plus_millis(REPAIR_MS).min(until),
            until: began.plus_millis(-SETTLE_MS),
            oldest,
            progress: round.progress,
            behind: self.queues.delivery_backlog().await? > BEHIND,
        };
        let before = round.clone();
        self.begin_round(&tenants, &round).await?;
        self.sweep_tenants(&tenants, &mut round, pass, summary, &mut unbalanced)
            .await;
        summary.ledger_difference = unbalanced.values().sum();
        if round != before || tenants.len() > 1 {
            self.store.put_sweep_round(&round).await?;
        }
        Ok(())
    }

    async fn round(&self, oldest: Timestamp) -> Result<Round, StoreError> {
        let stored = self.store.sweep_round().await?;
        let round = stored.unwrap_or(Round {
            progress: oldest,
            after: None,
            whole: None,
        });
        Ok(Round {
            progress: round.progress.max(oldest),
            ..round
        })
    }

    /// Has the next pass begin after the tenant that this one begins with, should it be killed: the one that kills it starves
    /// nobody then.
    async fn begin_round(&self, tenants: &BTreeSet<TenantId>, round: &Round) -> Result<(), StoreError> {
        let Some(first) = in_turn(tenants, round.after.as_ref())
            .into_iter()
            .next()
            .filter(|_| tenants.len() > 1)
        else {
            return Ok(());
        };
        let killed = Round {
            progress: round.progress,
            after: Some(first.clone()),
            // It may be left with something unsent.
            whole: Some(round.progress),
        };
        self.store.put_sweep_round(&killed).await
    }

    /// Goes on with the round, and begins the next one when it is over, until each tenant was looked at or the pass has no time
    /// for more. An hour is swept whole once a round has found everything of every tenant before its end settled.
    async fn sweep_tenants(
        &self,
        tenants: &BTreeSet<TenantId>,
        round: &mut Round,
        pass: Pass,
        summary: &mut Summary,
        unbalanced: &mut BTreeMap<TenantId, u64>,
    ) {
        let newest = if pass.behind {
            pass.progress
        } else {
            keys::hour_of(pass.until)
        };
        for tenant in in_turn(tenants, round.after.as_ref()) {
            if pass.is_late(&self.clock) {
                summary.tenants_left += 1;
                continue;
            }
            if round.after.as_ref().is_some_and(|after| tenant <= after) {
                round.end(newest);
            }
            let reached = self.sweep_tenant(tenant, pass, summary, unbalanced).await;
            let reached = reached.unwrap_or_else(|error| {
                tracing::error!(%error, %tenant, "sweeper.tenant_failed");
                summary.faults += 1;
                pass.progress
            });
            let whole = round.whole.unwrap_or(newest).min(keys::hour_of(reached));
            round.whole = Some(whole);
            round.after = Some(tenant.clone());
        }
        if round.after.as_ref() >= tenants.last() && summary.tenants_left == 0 {
            round.end(newest);
        }
    }

    /// One tenant's part of a pass; answers up to when its events are settled and counted.
    async fn sweep_tenant(
        &self,
        tenant: &TenantId,
        pass: Pass,
        summary: &mut Summary,
        unbalanced: &mut BTreeMap<TenantId, u64>,
    ) -> Result<Timestamp, SweepError> {
        let Some(config) = self.store.tenant_config(tenant).await?.map(Arc::new) else {
            self.note_balance(tenant, Balance::default(), unbalanced).await?;
            return Ok(pass.until);
        };
        self.release_forgotten(&config, pass).await?;
        let (mark, mut counting) = self.store.sweep_state(tenant).await?;
        let mut mark = mark.unwrap_or(SweepMark {
            repaired: pass.progress,
            rolled: pass.progress,
        });
        mark.repaired = mark.repaired.max(pass.oldest);
        mark.rolled = mark.rolled.max(pass.oldest);
        if !pass.behind {
            self.repair_tenant(&config, &mut mark, pass, summary).await?;
        }
        if self.roll_up(&config, &mut mark, &mut counting, pass, summary).await? {
            self.note_balance(tenant, counting.balance(), unbalanced).await?;
        }
        self.store.put_sweep_mark(tenant, mark).await?;
        let is_counted = mark.rolled >= keys::hour_of(mark.repaired);
        Ok(if is_counted { mark.repaired } else { mark.rolled })
    }
}
