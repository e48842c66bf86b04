//! What is due: held deliveries whose time has come, deliveries that were sent from the table and never recorded, replay
//! jobs whose worker stopped, endpoints that are to be probed. Each is marked before it is sent, so a crash in between is due
//! again by itself. Never lets one tenant's crowd keep another's waiting: each gets a share of a pass first.

use std::collections::HashMap;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redial_domain::{EndpointId, ErasureId, ReplayId, TenantId, Timestamp};
use redial_platform::failpoint;
use redial_platform::keys;
use redial_platform::message::{DeliveryMessage, ReplayMessage};
use redial_platform::store::StoreError;
use redial_platform::store::due::Due;
use redial_platform::store::erasures::ErasureState;

use crate::pass::DUE_MS;
use crate::repair::BEHIND;
use crate::{Summary, SweepError, Sweeper};

/// Items of one page.
const PAGE: usize = 100;
/// Pages of one partition in one pass; the next pass takes the rest.
const MAX_PAGES: usize = 50;
/// Deliveries of one tenant in one partition that a pass moves on before it has seen to all others: eight partitions have
/// 4,000 of them. What is over waits for the rest of the pass, or for the next one.
const SHARE: usize = 500;
/// Jobs and erasures of one tenant in one partition that a pass has continued before it has seen to all others: erasures of
/// single events have no limit, and each is looked at a second time.
const JOB_SHARE: usize = 25;
/// Pages of one partition that a pass reads to find those of others, behind a crowd: 40,000 rows. Reading is cheap beside
/// moving on: a row that is passed by costs half a read unit per 4 KB, one that were moved to a later place two write units.
const MAX_READ_PAGES: usize = 400;
/// Items of one partition that are moved on at the same time; all partitions are worked on together.
const AT_ONCE: usize = 8;
/// How long a replay job is left alone after its worker was called, in milliseconds.
const JOB_LEASE_MS: i64 = 300_000;

/// Under which circumstances an item is moved on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) now: Timestamp,
    /// The queue is behind: what was sent may still wait there.
    pub(crate) behind: bool,
    /// The moment that its endpoint's rate limit keeps for it.
    pub(crate) slot: Option<Timestamp>,
}

/// What an item that was moved on comes to.
#[derive(Debug, Default)]
struct Moved {
    message: Option<DeliveryMessage>,
    /// A job or an erasure that is continued.
    continued: bool,
    /// It could not be read.
    fault: bool,
    late_ms: i64,
}

impl Moved {
    /// Of a job or an erasure; one that cannot be read is told by `tell` and stops nothing.
    fn continued(continued: Result<bool, SweepError>, tell: impl FnOnce(&StoreError)) -> Result<Self, SweepError> {
        let (continued, fault) = match continued {
            Err(SweepError::Store(error)) if error.is_unreadable() => {
                tell(&error);
                (false, true)
            }
            continued => (continued?, false),
        };
        Ok(Self {
            continued,
            fault,
            ..Self::default()
        })
    }
}

/// Going through a partition of what is due.
struct Walk<'a> {
    partition: &'a str,
    began: Timestamp,
    behind: bool,
    /// True while each tenant has no more than its share.
    shares: bool,
    /// Items that were moved on.
    moved: usize,
    /// True once something was passed by that is over a tenant's share.
    is_over: bool,
}

impl Walk<'_> {
    /// True if an item's turn has come, `taken` of each tenant having been taken before.
    fn takes(&mut self, item: &Due, taken: &mut HashMap<TenantId, Taken>) -> bool {
        let (tenant, share) = match item {
            _ if !self.shares => return true,
            // They are few: one for each endpoint that there is.
            Due::Health(..) => return true,
            Due::Delivery(record) => (&record.tenant, SHARE),
            Due::Job(tenant, _) | Due::Erasure(tenant, _) => (tenant, JOB_SHARE),
        };
        if !taken.contains_key(tenant) {
            taken.insert(tenant.clone(), Taken::default());
        }
        let Some(of_tenant) = taken.get_mut(tenant) else {
            return true;
        };
        let of_kind = match item {
            Due::Delivery(_) => &mut of_tenant.deliveries,
            Due::Job(..) | Due::Erasure(..) | Due::Health(..) => &mut of_tenant.jobs,
        };
        let takes = *of_kind < share;
        *of_kind += usize::from(takes);
        self.is_over |= !takes;
        takes
    }
}

/// What was taken of a tenant.
#[derive(Debug, Default)]
struct Taken {
    deliveries: usize,
    jobs: usize,
}

impl Sweeper {
    /// Sends what is due, in all partitions at the same time: a crowded one keeps no other waiting. One that fails stops no
    /// other; the first error is the answer.
    pub(crate) async fn send_due(&self, summary: &mut Summary) -> Result<(), SweepError> {
        let now = self.clock.now();
        let behind = self.queues.delivery_backlog().await? > BEHIND;
        let partitions = keys::due_partitions().chain([keys::DUE_HEALTH.to_owned()]);
        let partitions = partitions.map(|partition| async move {
            let mut part = Summary::default();
            let sent = self.send_partition(&partition, now, behind, &mut part).await;
            (partition, part, sent)
        });
        let mut first = Ok(());
        for (partition, part, sent) in join_all(partitions).await {
            summary.add_due(part);
            if let Err(error) = sent {
                tracing::error!(partition, %error, "sweeper.due_failed");
                first = first.and(Err(error));
            }
        }
        first
    }

    /// Each tenant's share first, in order of time; then what is over, as far as the pass goes. Jobs have a share of their own:
    /// a tenant's deliveries do not keep them waiting. Endpoints are never over: they are few.
    async fn send_partition(
        &self,
        partition: &str,
        now: Timestamp,
        behind: bool,
        summary: &mut Summary,
    ) -> Result<(), SweepError> {
        let mut walk = Walk {
            partition,
            began: now,
            behind,
            shares: true,
            moved: 0,
            is_over: false,
        };
        let mut whole = self.walk(&mut walk, summary).await?;
        if walk.is_over {
            walk.shares = false;
            whole = self.walk(&mut walk, summary).await?;
        }
        if !whole {
            summary.unfinished += 1;
            tracing::warn!(partition, sent = summary.sent, "sweeper.due_unfinished");
        }
        Ok(())
    }

    /// Goes through a partition once; false if it was not done with before the end of the pass.
    async fn walk(&self, walk: &mut Walk<'_>, summary: &mut Summary) -> Result<bool, SweepError> {
        let (mut after, mut taken) = (None, HashMap::new());
        for _ in 0..MAX_READ_PAGES {
            let page = self.store.due(walk.partition, walk.began, PAGE, after).await?;
            if walk.shares {
                summary.faults += page.unreadable;
            }
            let items: Vec<Due> = page
                .items
                .into_iter()
                .filter(|item| walk.takes(item, &mut taken))
                .collect();
            walk.moved += items.len();
            if !items.is_empty() && !self.send_page(items, walk, summary).await? {
                return Ok(false);
            }
            after = page.next;
            if after.is_none() {
                return Ok(true);
            }
            if walk.moved >= MAX_PAGES * PAGE || self.is_over(walk) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// True if there is no time for more of what is due: the next pass takes the rest.
    fn is_over(&self, walk: &Walk<'_>) -> bool {
        self.clock.now().millis_since(walk.began) > DUE_MS
    }

    /// Sends a page; false if there was no time for all of it. After an error nothing more is begun; what is marked by then is
    /// sent all the same: it would wait for the end of its lease.
    async fn send_page(&self, due: Vec<Due>, walk: &Walk<'_>, summary: &mut Summary) -> Result<bool, SweepError> {
        // Of now, not of the pass: how long a message is delayed counts from when it is sent.
        let now = self.clock.now();
        let mut slots = self.slots(&due, now).await;
        let mut messages = Vec::new();
        let mut moved_on = Ok(());
        let mut items = due.into_iter().enumerate().map(|(place, item)| {
            let slot = slots.remove(&place);
            let behind = walk.behind;
            self.move_on(item, Turn { now, behind, slot })
        });
        let mut under_way: FuturesUnordered<_> = items.by_ref().take(AT_ONCE).collect();
        while let Some(moved) = under_way.next().await {
            match moved {
                Ok(moved) => {
                    messages.extend(moved.message);
                    summary.continued += u64::from(moved.continued);
                    summary.faults += u64::from(moved.fault);
                    summary.due_lag_ms = summary.due_lag_ms.max(moved.late_ms);
                }
                Err(error) => moved_on = moved_on.and(Err(error)),
            }
            // Asked before each: an endpoint that is let go may have its backlog counted, which takes seconds.
            if moved_on.is_ok() && !self.is_over(walk) {
                under_way.extend(items.next());
            }
        }
        let whole = items.next().is_none();
        if messages.is_empty() {
            return moved_on.map(|()| whole);
        }
        failpoint::hit("sweeper.in_page");
        self.queues.send_deliveries(&messages, now).await?;
        failpoint::hit("sweeper.after_send");
        summary.sent += messages.len() as u64;
        moved_on.map(|()| whole)
    }

    async fn move_on(&self, item: Due, turn: Turn) -> Result<Moved, SweepError> {
        let now = turn.now;
        match item {
            Due::Delivery(record) => {
                let waits_since = record.due_at.filter(|_| !record.state.is_final());
                let late_ms = waits_since.map_or(0, |due_at| now.millis_since(due_at));
                Ok(Moved {
                    message: self.release(*record, turn).await?,
                    late_ms,
                    ..Moved::default()
                })
            }
            Due::Job(tenant, replay) => {
                let continued = self.continue_job(&tenant, &replay, now).await;
                Moved::continued(continued, |error| {
                    tracing::error!(%tenant, %replay, %error, "sweeper.job_unreadable");
                })
            }
            Due::Health(tenant, endpoint) => Ok(self.look_at(&tenant, &endpoint, now).await),
            Due::Erasure(tenant, erasure) => {
                let continued = self.continue_erasure(&tenant, &erasure, now).await;
                Moved::continued(continued, |error| {
                    tracing::error!(%tenant, %erasure, %error, "sweeper.erasure_unreadable");
                })
            }
        }
    }

    /// One endpoint that cannot be looked at stops no other, nor any delivery.
    async fn look_at(&self, tenant: &TenantId, endpoint: &EndpointId, now: Timestamp) -> Moved {
        match self.look_at_health(tenant, endpoint, now).await {
            Ok(message) => Moved {
                message,
                ..Moved::default()
            },
            Err(error) => {
                tracing::error!(%tenant, %endpoint, %error, "sweeper.health_failed");
                Moved {
                    fault: true,
                    ..Moved::default()
                }
            }
        }
    }

    async fn continue_erasure(&self, tenant: &TenantId, id: &ErasureId, now: Timestamp) -> Result<bool, SweepError> {
        let Some(mut erasure) = self.store.erasure(tenant, id).await? else {
            return Ok(false);
        };
        let lease = erasure.lease_until;
        if erasure.is_done() || lease > now {
            return Ok(false);
        }
        erasure.state = ErasureState::Pending;
        erasure.lease_until = now.plus_millis(JOB_LEASE_MS);
        match self.store.save_erasure(&erasure, lease).await {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let message = ReplayMessage {
            tenant: tenant.clone(),
            replay: id.as_job(),
        };
        self.queues.send_replay(&message).await?;
        Ok(true)
    }

    async fn continue_job(&self, tenant: &TenantId, replay: &ReplayId, now: Timestamp) -> Result<bool, SweepError> {
        let Some(mut job) = self.store.job(tenant, replay).await? else {
            return Ok(false);
        };
        let lease = job.lease_until;
        if job.is_at_rest() || lease > now {
            return Ok(false);
        }
        // Pending, not running: whoever gets the message takes it at once.
        job.state = redial_platform::store::replays::JobState::Pending;
        job.lease_until = now.plus_millis(JOB_LEASE_MS);
        match self.store.save_job(&job, lease).await {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let message = ReplayMessage {
            tenant: tenant.clone(),
            replay: replay.clone(),
        };
        self.queues.send_replay(&message).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
