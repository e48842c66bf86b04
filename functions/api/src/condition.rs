//! How an endpoint is, in one word: computed from its settings, what is known of its health, and what waits for it. One rule for
//! the list of endpoints and for the health of one. Reads only.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::EndpointState;
use redial_domain::hold::{FAILING_IN_ROW, FAILURES_IN_ROW};
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_platform::store::StoreError;
use redial_platform::store::config::StoredEndpoint;
use redial_platform::store::health::Health;
use redial_platform::store::replays::{ReplayAction, ReplayJob};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::endpoint_view::held;

/// The latest replays of a tenant among which the one that drains an endpoint is looked for.
const RECENT_JOBS: usize = 50;
/// Endpoints of a list that are looked at at the same time.
const CONCURRENT_LOOKS: usize = 16;

/// How an endpoint is: the first that applies. `inactive`: matches nothing; `paused`, `disabled`, `on_hold` (it fails): what it
/// matches is held; `failing`: its latest five attempts or more failed; `recovering`: what was held for it is not all delivered
/// yet; `retrying`: its latest attempts failed, fewer than five, or deliveries wait for their next attempt; `healthy`: none of
/// these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    /// Matches nothing.
    Inactive,
    /// Not delivered to, because somebody asked: what it matches is held.
    Paused,
    /// Not delivered to, because its receiver is gone: what it matches is held.
    Disabled,
    /// On hold because it fails: what it matches is held, and it is probed.
    OnHold,
    /// Delivered to; its latest five attempts or more failed.
    Failing,
    /// Delivered to; what was held for it is not all delivered yet.
    Recovering,
    /// Delivered to; its latest attempts failed, fewer than five, or deliveries wait for their next attempt.
    Retrying,
    /// Delivered to, and nothing of the above.
    Healthy,
}

/// What waits for an endpoint that is delivered to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// A job is at work that delivers what is held.
    pub(crate) drains: bool,
    /// Something is held.
    pub(crate) held: bool,
    /// A delivery waits for its next attempt.
    pub(crate) retrying: bool,
}

impl Condition {
    /// How an endpoint is of which this is known.
    pub(crate) fn of(stored: &StoredEndpoint, health: Option<&Health>, waits: Waits) -> Self {
        match stored.endpoint.state {
            EndpointState::Inactive => return Self::Inactive,
            EndpointState::Paused => return Self::Paused,
            EndpointState::Disabled => return Self::Disabled,
            EndpointState::Active if held(stored).is_some() => return Self::OnHold,
            EndpointState::Active => {}
        }
        let failures = health.map_or(0, |health| health.numbers.failures_in_row);
        let is_let_go = health.is_some_and(|health| health.drain_looks > 0);
        if failures >= FAILING_IN_ROW {
            Self::Failing
        } else if waits.held && (waits.drains || is_let_go) {
            Self::Recovering
        } else if failures > 0 || waits.retrying {
            Self::Retrying
        } else {
            Self::Healthy
        }
    }

    /// Why, in a sentence.
    pub(crate) fn sentence(self, stored: &StoredEndpoint, health: Option<&Health>) -> String {
        let failures = health.map_or(0, |health| health.numbers.failures_in_row);
        let said = match self {
            Self::Inactive => "It is inactive: it matches no events.",
            Self::Paused => "Somebody paused it: what it matches is held.",
            Self::Disabled => {
                "Its receiver answered 410 Gone, or nothing for days: what it matches is held until somebody resumes it."
            }
            Self::OnHold => held(stored).map_or("It fails.", |hold| hold.reason.sentence()),
            Self::Failing => {
                return format!("{failures} attempts in a row failed; {FAILURES_IN_ROW} put it on hold.");
            }
            Self::Recovering => "What was held for it is being delivered.",
            Self::Retrying => match failures {
                0 => "No attempt has failed since the last success; what failed before waits for its next attempt.",
                1 => "The latest attempt failed, which may pass.",
                _ => return format!("The latest {failures} attempts failed, which may pass."),
            },
            Self::Healthy => "No attempt has failed since the last success.",
        };
        said.to_owned()
    }
}

/// True if a job delivers what is held.
pub(crate) fn delivers(job: &ReplayJob) -> bool {
    job.spec.filter().action == ReplayAction::Deliver
}

impl Api {
    /// A tenant's latest jobs that are not finished. One query.
    pub(crate) async fn jobs_at_work(&self, tenant: &TenantId) -> Result<Vec<ReplayJob>, StoreError> {
        let jobs = self.store.jobs(tenant, None, RECENT_JOBS).await?;
        let at_work = jobs.items.into_iter().filter(|job| !job.is_finished() && !job.dry_run);
        Ok(at_work.collect())
    }

    /// The latest unfinished job that drains or discards what is held for an endpoint: of those `at_work`, or the last that
    /// was asked for, which so many newer ones may hide. No read, or one.
    pub(crate) async fn drain_at_work(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        at_work: &[ReplayJob],
        health: Option<&Health>,
    ) -> Result<Option<ReplayJob>, StoreError> {
        if let Some(job) = at_work.iter().find(|job| job.spec.is_about_held(endpoint)) {
            return Ok(Some(job.clone()));
        }
        let Some(noted) = health.and_then(|health| health.drain.as_ref()) else {
            return Ok(None);
        };
        let job = match self.store.job(tenant, noted).await {
            // As in a list.
            Err(error) if error.is_unreadable() => None,
            job => job?,
        };
        Ok(job.filter(|job| !job.is_finished() && job.spec.is_about_held(endpoint)))
    }

    /// How some endpoints of a tenant are. Two reads for all of them, and up to three more for each that has failed or was
    /// drained in the last 30 days and is delivered to.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub(crate) async fn conditions(
        &self,
        tenant: &TenantId,
        endpoints: &[Arc<StoredEndpoint>],
    ) -> Result<BTreeMap<EndpointId, Condition>, StoreError> {
        let now = self.clock.now();
        let ids: Vec<EndpointId> = endpoints.iter().map(|stored| stored.endpoint.id.clone()).collect();
        let (healths, at_work) =
            futures_util::try_join!(self.store.healths(tenant, &ids, now), self.jobs_at_work(tenant))?;
        let looks: Vec<_> = { endpoints.iter() }
            .map(|stored| self.condition(stored, healths.get(&stored.endpoint.id), &at_work, now))
            .collect();
        stream::iter(looks)
            .buffer_unordered(CONCURRENT_LOOKS)
            .try_collect()
            .await
    }

    async fn condition(
        &self,
        stored: &StoredEndpoint,
        health: Option<&Health>,
        at_work: &[ReplayJob],
        now: Timestamp,
    ) -> Result<(EndpointId, Condition), StoreError> {
        let (tenant, id) = (&stored.endpoint.tenant, &stored.endpoint.id);
        let mut waits = Waits::default();
        if stored.endpoint.state == EndpointState::Active && held(stored).is_none() {
            let is_there = |state| self.store.oldest_in_state(tenant, id, state, now);
            let drain = self.drain_at_work(tenant, id, at_work, health).await?;
            waits.drains = drain.as_ref().is_some_and(delivers);
            let is_let_go = health.is_some_and(|health| health.drain_looks > 0);
            waits.held = (waits.drains || is_let_go) && is_there(DeliveryState::Held).await?.is_some();
            // Of what never failed nothing is tried again.
            waits.retrying = health.is_some() && is_there(DeliveryState::Retrying).await?.is_some();
        }
        Ok((id.clone(), Condition::of(stored, health, waits)))
    }
}
