//! Tenants' configurations, kept in the memory of an execution environment. Ingest asks for the current one and pays a
//! strong read of the version; the dispatcher asks for one that is recent, and new enough for the message at hand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use redial_domain::{TenantId, Timestamp};

use crate::clock::Clock;
use crate::keys::VERSION_COPIES;
use crate::random::Random;
use crate::store::config::TenantConfig;
use crate::store::{Store, StoreError};

/// Oldest configuration the dispatcher delivers by, in milliseconds: a pause or delete reaches deliveries already
/// accepted within 30 s (docs/ARCHITECTURE.md), a request's own time included.
pub const MAX_AGE_MS: i64 = 15_000;
/// Most tenants kept, so many that small ones come to about [`MAX_BYTES`] as well; beyond it the cache starts anew, and whoever
/// serves more tenants than that in turn reads the configuration for each event.
const MAX_TENANTS: usize = 50_000;
/// Bytes of all that is kept, about: an eighth of a function's memory (template.yaml). A tenant's endpoints may be large, and
/// what would be too much starts the cache anew. docs/LIMITS.md.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone)]
struct Entry {
    config: Arc<TenantConfig>,
    bytes: usize,
    read_at: Timestamp,
}

#[derive(Debug, Default)]
struct Entries {
    by_tenant: HashMap<TenantId, Entry>,
    bytes: usize,
}

impl Entries {
    fn remove(&mut self, tenant: &TenantId) {
        if let Some(entry) = self.by_tenant.remove(tenant) {
            self.bytes -= entry.bytes;
        }
    }

    fn insert(&mut self, tenant: &TenantId, entry: Entry) {
        self.remove(tenant);
        if self.by_tenant.len() >= MAX_TENANTS || self.bytes + entry.bytes > MAX_BYTES {
            *self = Self::default();
        }
        self.bytes += entry.bytes;
        self.by_tenant.insert(tenant.clone(), entry);
    }
}

/// The cache. Cheap to clone; clones share their entries.
#[derive(Debug, Clone)]
pub struct ConfigCache {
    store: Store,
    clock: Clock,
    random: Random,
    entries: Arc<Mutex<Entries>>,
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
            None => self.load(tenant).boxed().await,
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
            None => self.load(tenant).boxed().await,
        }
    }

    fn entry(&self, tenant: &TenantId) -> Option<Entry> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_tenant
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
        let entry = Entry {
            config: Arc::clone(&config),
            bytes: config.bytes(),
            read_at,
        };
        entries.insert(tenant, entry);
        Ok(Some(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::config::Tenant;

    fn tenant(n: usize) -> TenantId {
        TenantId::parse(&format!("t{n}")).unwrap()
    }

    /// Puts a tenant in that takes as many bytes.
    fn insert(entries: &mut Entries, n: usize, bytes: usize) {
        let read_at = Timestamp::default();
        let config = TenantConfig {
            version: 1,
            tenant: Tenant::new(tenant(n), read_at),
            endpoints: Vec::new(),
        };
        let config = Arc::new(config);
        entries.insert(&tenant(n), Entry { config, bytes, read_at });
    }

    #[test]
    fn what_is_kept_is_bounded_by_its_bytes_however_few_tenants_these_are() {
        let mut entries = Entries::default();
        for n in 0..4 {
            insert(&mut entries, n, MAX_BYTES / 4);
        }
        // The same again takes no more room.
        insert(&mut entries, 3, MAX_BYTES / 4);
        assert_eq!((entries.by_tenant.len(), entries.bytes), (4, MAX_BYTES));
        insert(&mut entries, 4, 1);
        assert_eq!((entries.by_tenant.len(), entries.bytes), (1, 1));
        entries.remove(&tenant(4));
        entries.remove(&tenant(4));
        assert_eq!((entries.by_tenant.len(), entries.bytes), (0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_by_its_number_however_small_it_is() {
        let mut entries = Entries::default();
        for n in 0..=MAX_TENANTS {
            insert(&mut entries, n, 1);
        }
        assert_eq!((entries.by_tenant.len(), entries.bytes), (1, 1));
    }
}
