//! Keys of what is known of how endpoints answer.

use redial_domain::{EndpointId, TenantId};

use super::Key;

/// Partition of `by_due` for endpoints that are to be probed or were just let go. One of its own: they are few, and wait
/// behind nobody's deliveries; and a release that knows nothing of them does not find them in its way.
pub const DUE_HEALTH: &str = "due/health";

/// What is known of how an endpoint answers.
#[must_use]
pub fn health(tenant: &TenantId, endpoint: &EndpointId) -> Key {
    Key::new(format!("health/{tenant}/{endpoint}"), "health")
}

/// The tenant and endpoint that such an item is about.
#[must_use]
pub fn health_of(key: &Key) -> Option<(TenantId, EndpointId)> {
    let (tenant, endpoint) = key.pk.strip_prefix("health/")?.split_once('/')?;
    Some((TenantId::parse(tenant).ok()?, EndpointId::parse(endpoint).ok()?))
}
