//! Changing a tenant's configuration against others who change it at the same time: read, apply, write if nobody was
//! faster, else again. What is answered is written, with the version that every later event sees.

use std::sync::Arc;
use std::time::Duration;

use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::{EndpointId, TenantId};
use redial_platform::problem::Problem;
use redial_platform::seal::Credentials;
use redial_platform::store::StoreError;
use redial_platform::store::config::{Change, StoredEndpoint, TenantConfig};

use crate::Api;
use crate::endpoint_view::held;

/// Times a change is tried against other changes of the same tenant.
pub(crate) const TRIES: u32 = 5;
/// Times that something new is tried: it can contradict no other change, so that only their number can refuse it.
pub(crate) const CREATE_TRIES: u32 = 20;
/// Most milliseconds before the second try; doubled for each further one.
const BACK_OFF_MS: u16 = 20;

/// An endpoint before and after a change.
#[derive(Debug)]
pub(crate) struct Changed {
    /// As it was.
    pub(crate) before: Arc<StoredEndpoint>,
    /// As it is.
    pub(crate) after: StoredEndpoint,
}

impl Changed {
    /// True if the endpoint was not active and is now.
    pub(crate) fn becomes_active(&self) -> bool {
        becomes_active(&self.before, &self.after)
    }

    /// True if the endpoint is on hold because it fails, and requests to it look different from now on: it may answer them.
    pub(crate) fn may_have_mended(&self) -> bool {
        let (before, after) = (&self.before, &self.after);
        let (old, new) = (&before.endpoint.settings, &after.endpoint.settings);
        held(after).is_some()
            && (before.sealed != after.sealed
                || (&old.url, &old.auth, &old.header_names, old.timeout_ms)
                    != (&new.url, &new.auth, &new.header_names, new.timeout_ms))
    }

    /// True if the endpoint is active and its rate limit was raised or removed: what waits for it could go earlier.
    pub(crate) fn lets_go_faster(&self) -> bool {
        let (before, after) = (&self.before.endpoint, &self.after.endpoint);
        let limits = (before.settings.rate_limit, after.settings.rate_limit);
        after.state == EndpointState::Active
            && match limits {
                (Some(before), Some(after)) => after > before,
                (before, after) => before.is_some() && after.is_none(),
            }
    }
}

impl Api {
    /// A tenant's configuration as it is stored now.
    ///
    /// # Errors
    /// 404 if there is no such tenant.
    pub(crate) async fn stored(&self, tenant: &TenantId) -> Result<TenantConfig, Problem> {
        let config = self.store.tenant_config(tenant).await?;
        config.ok_or_else(|| Problem::not_found("tenant"))
    }

    /// Applies `change`; `None` if somebody else was faster, after a short wait that grows with `tries`.
    ///
    /// # Errors
    /// 500 if the store fails.
    pub(crate) async fn try_change(
        &self,
        tenant: &TenantId,
        expected: u64,
        change: Change<'_>,
        tries: u32,
    ) -> Result<Option<u64>, Problem> {
        match self.store.change(tenant, expected, change).await {
            Ok(version) => Ok(Some(version)),
            Err(StoreError::Conflict(_)) => {
                let wait_ms = self.random.below(BACK_OFF_MS << tries.min(TRIES));
                tokio::time::sleep(Duration::from_millis(wait_ms.into())).await;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Changes an endpoint. `apply` may be called several times, each time with what is stored then.
    ///
    /// # Errors
    /// 404 if it is not there, 409 if others kept being faster, and what `apply` refuses.
    pub(crate) async fn change_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        apply: impl Fn(&mut Endpoint) -> Result<(), Problem> + Send + Sync,
    ) -> Result<Changed, Problem> {
        self.change_stored(tenant, id, |stored| apply(&mut stored.endpoint))
            .await
    }

    /// Changes an endpoint, and whether it is on hold. `apply` may be called several times, each time with what is stored
    /// then.
    ///
    /// # Errors
    /// As [`Api::change_endpoint`].
    pub(crate) async fn change_stored(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        apply: impl Fn(&mut StoredEndpoint) -> Result<(), Problem> + Send,
    ) -> Result<Changed, Problem> {
        for tries in 0..TRIES {
            let config = self.stored(tenant).await?;
            let before = Arc::clone(config.endpoint(id).ok_or_else(|| Problem::not_found("endpoint"))?);
            let mut after = (*before).clone();
            apply(&mut after)?;
            if after == *before || self.put_endpoint(&config, &before, &mut after, tries).await? {
                return Ok(Changed { before, after });
            }
        }
        Err(outrun())
    }

    /// Changes an endpoint with its secrets. `apply` may be called several times, each time with what is stored then. Answers
    /// the secrets as they are now too.
    ///
    /// # Errors
    /// 404 if it is not there, 409 if others kept being faster, 500 if secrets cannot be opened, and what `apply` refuses.
    pub(crate) async fn change_with_secrets(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        apply: impl Fn(&mut Endpoint, &mut Credentials) -> Result<(), Problem> + Send,
    ) -> Result<(Changed, Credentials), Problem> {
        for tries in 0..TRIES {
            let config = self.stored(tenant).await?;
            let before = Arc::clone(config.endpoint(id).ok_or_else(|| Problem::not_found("endpoint"))?);
            let mut after = StoredEndpoint::clone(&before);
            let mut credentials = self.secrets.open(tenant, id, &after.sealed).await?;
            apply(&mut after.endpoint, &mut credentials)?;
            after.sealed = self.secrets.seal(tenant, id, &credentials).await?;
            if self.put_endpoint(&config, &before, &mut after, tries).await? {
                return Ok((Changed { before, after }, credentials));
            }
        }
        Err(outrun())
    }

    /// Writes a changed endpoint; false if somebody else was faster. One that becomes active again is not on hold any more:
    /// nothing is known yet of how it answers now. If that was said a moment ago its hold stays ([`Api::forgive`]).
    async fn put_endpoint(
        &self,
        config: &TenantConfig,
        before: &StoredEndpoint,
        after: &mut StoredEndpoint,
        tries: u32,
    ) -> Result<bool, Problem> {
        let is_asked = after.hold.is_none() || becomes_active(before, after);
        let releases = before.hold.is_some() && is_asked && self.may_forgive(&before.endpoint).await?;
        after.hold = before.hold.filter(|_| !releases);
        let StoredEndpoint { endpoint, sealed, .. } = after;
        endpoint.updated_at = self.clock.now();
        let change = if releases {
            Change::Release(endpoint, sealed)
        } else {
            Change::PutEndpoint(endpoint, sealed)
        };
        let changed = self
            .try_change(&config.tenant.id, config.version, change, tries)
            .await?;
        Ok(changed.is_some())
    }
}

fn becomes_active(before: &StoredEndpoint, after: &StoredEndpoint) -> bool {
    before.endpoint.state != EndpointState::Active && after.endpoint.state == EndpointState::Active
}

/// 409: others kept being faster.
pub(crate) fn outrun() -> Problem {
    StoreError::Conflict("the tenant's configuration").into()
}
