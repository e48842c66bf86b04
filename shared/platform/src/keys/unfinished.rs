//! Keys of what a tenant has asked for and is not finished.

use redial_domain::TenantId;
use sha2::{Digest as _, Sha256};

use super::Key;

/// Partition of what a tenant has asked for and is not finished.
#[must_use]
pub fn unfinished_partition(tenant: &TenantId) -> String {
    format!("u/{tenant}")
}

/// The jobs of one kind that are not finished.
#[must_use]
pub fn unfinished(tenant: &TenantId, kind: &str) -> Key {
    Key::new(unfinished_partition(tenant), kind)
}

/// The erasure of a call that was asked for last. By the SHA-256 of the call's id: of a call that was erased the receipt alone
/// says the name.
#[must_use]
pub fn erasing_call(tenant: &TenantId, call_id: &str) -> Key {
    let digest = Sha256::digest(call_id.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Key::new(unfinished_partition(tenant), format!("call/{digest}"))
}
