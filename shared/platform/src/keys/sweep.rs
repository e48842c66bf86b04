//! Keys of what the sweeper remembers: how far it has come, in its rounds and with each tenant.

use redial_domain::TenantId;

use super::Key;

/// The first hour that the sweeper has not swept whole, and where its round stands.
#[must_use]
pub fn sweep_progress() -> Key {
    Key::new("sweep".to_owned(), "progress")
}

/// Partition of what the sweeper remembers of a tenant.
#[must_use]
pub fn sweep_partition(tenant: &TenantId) -> String {
    format!("sweep/{tenant}")
}

/// How far the sweeper has seen a tenant's events.
#[must_use]
pub fn sweep_mark(tenant: &TenantId) -> Key {
    Key::new(sweep_partition(tenant), "mark")
}

/// What the sweeper is just counting of a tenant. Sorts before the mark: one query reads both.
#[must_use]
pub fn counting(tenant: &TenantId) -> Key {
    Key::new(sweep_partition(tenant), "counting")
}

/// Partition of the tenants whose ledger does not balance.
pub const UNBALANCED_PARTITION: &str = "unbalanced";

/// By how much a tenant's ledger does not balance.
#[must_use]
pub fn unbalanced(tenant: &TenantId) -> Key {
    Key::new(UNBALANCED_PARTITION.to_owned(), tenant.as_str())
}
