//! The configurations of the tenants that a request names. One that cannot be read is its own events' trouble: they are refused,
//! the others are accepted. Where nobody's can be read, the request as a whole has failed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use redial_domain::TenantId;
use redial_platform::cache::ConfigCache;
use redial_platform::store::StoreError;
use redial_platform::store::config::TenantConfig;

/// It is there and could not be read; the log has why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread;

/// By tenant.
#[derive(Debug, Default)]
pub(crate) struct Configs(HashMap<TenantId, Result<Arc<TenantConfig>, Unread>>);

impl Configs {
    /// Reads those of some tenants, as of now.
    ///
    /// # Errors
    /// [`StoreError`] if some could not be read and none could.
    pub(crate) async fn read(cache: &ConfigCache, tenants: HashSet<&TenantId>) -> Result<Self, StoreError> {
        let read = tenants
            .into_iter()
            .map(|tenant| async move { (tenant, cache.current(tenant).await) });
        let (mut known, mut failed, mut was_read) = (HashMap::new(), None, false);
        for (tenant, config) in join_all(read).await {
            match config {
                Ok(config) => {
                    was_read = true;
                    known.extend(config.map(|config| (tenant.clone(), Ok(config))));
                }
                Err(error) => {
                    tracing::error!(%error, %tenant, "ingest.tenant_not_read");
                    known.insert(tenant.clone(), Err(Unread));
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if !was_read => Err(error),
            _ => Ok(Self(known)),
        }
    }

    /// That of a tenant; `None`: there is no such tenant.
    ///
    /// # Errors
    /// [`Unread`].
    pub(crate) fn of(&self, tenant: &TenantId) -> Result<Option<&Arc<TenantConfig>>, Unread> {
        self.0
            .get(tenant)
            .map(|config| config.as_ref().map_err(|unread| *unread))
            .transpose()
    }
}
