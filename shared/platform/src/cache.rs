//! Tenants' configurations, kept in the memory of an execution environment. Ingest asks for the current one and pays a
//! strong read of the version; the dispatcher asks for one that is recent, and new enough for the message at hand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use redial_domain::{TenantId, Timestamp};

use crate::clock::Clock;
use crate::keys::VERSION_COPIES;
use crate::random::Random;
use crate::store::config::TenantConfig;
use crate::store::{Store, StoreError};

/// Oldest configuration the dispatcher delivers by, in milliseconds: a pause or delete reaches deliveries already
/// accepted within 30 s (docs/ARCHITECTURE.md), a request's own time included.
pub const MAX_AGE_MS: i64 = 15_000;
/// Most tenants kept; beyond it the cache starts anew.
const MAX_TENANTS: usize = 5_000;

#[derive(Debug, Clone)]
struct Entry {
    config: Arc<TenantConfig>,
    read_at: Timestamp,
}

/// The cache. Cheap to clone; clones share their entries.
#[derive(Debug, Clone)]
pub struct ConfigCache {
    store: Store,
    clock: Clock,
    random: Random,
    entries: Arc<Mutex<HashMap<TenantId, Entry>>>,
}

impl ConfigCache {
    /// An empty cache.
    #[must_use]
    pub fn new(store: Store, clock: Clock, random: Random) -> Self {
        Self {
            store,
            clock,
            random,
            entries: Arc::default(),
        }
    }

    /// The configuration as of now: every change answered before this call is in it. `None`: no such tenant.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn current(&self, tenant: &TenantId) -> Result<Option<Arc<TenantConfig>>, StoreError> {
        let Some(version) = self.store.version(tenant, self.random.below(VERSION_COPIES)).await? else {
            self.drop_entry(tenant);
            return Ok(None);
        };
        match self.entry(tenant).filter(|entry| entry.config.version == version) {
            Some(entry) => Ok(Some(entry.config)),
            None => self.load(tenant).await,
        }
    }

    /// A configuration no older than [`MAX_AGE_MS`] and no older than version `at_least`.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn recent(&self, tenant: &TenantId, at_least: u64) -> Result<Option<Arc<TenantConfig>>, StoreError> {
        let now = self.clock.now();
        let fresh = |entry: &Entry| entry.config.version >= at_least && now.millis_since(entry.read_at) < MAX_AGE_MS;
        match self.entry(tenant).filter(fresh) {
            Some(entry) => Ok(Some(entry.config)),
            None => self.load(tenant).await,
        }
    }

    fn entry(&self, tenant: &TenantId) -> Option<Entry> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(tenant)
            .cloned()
    }

    /// Forgets a tenant that is no more.
    fn drop_entry(&self, tenant: &TenantId) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(tenant);
    }

    async fn load(&self, tenant: &TenantId) -> Result<Option<Arc<TenantConfig>>, StoreError> {
        let read_at = self.clock.now();
        let Some(config) = self.store.tenant_config(tenant).await?.map(Arc::new) else {
            self.drop_entry(tenant);
            return Ok(None);
        };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_TENANTS {
            entries.clear();
        }
        entries.insert(
            tenant.clone(),
            Entry {
                config: Arc::clone(&config),
                read_at,
            },
        );
        Ok(Some(config))
    }
}
