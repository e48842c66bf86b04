//! What an [`crate::Egress`] is made of. Reads no environment: callers say.

use std::fmt;
use std::sync::Arc;

use redial_domain::Timestamp;
use redial_domain::address::AddressPolicy;
use redial_domain::url::OwnHost;
use rustls::pki_types::CertificateDer;

use crate::resolver::{Resolver, SystemResolver};

/// Says what time it is. Compared with itself to notice that the whole process stood still (see `freeze.rs`): a clock
/// that a test steps by two seconds or more looks like a freeze, which costs the pooled connections and turns a
/// failure that is under way into [`crate::OurFault::Frozen`].
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The settings of an [`crate::Egress`].
#[derive(Clone)]
pub struct EgressSettings {
    /// Which addresses and schemes are targets.
    pub policy: AddressPolicy,
    /// The hosts of this service, which are no targets.
    pub own_hosts: Vec<OwnHost>,
    /// Who answers for names. [`SystemResolver`] outside of tests.
    pub resolver: Arc<dyn Resolver>,
    /// Certificate authorities trusted besides the bundled ones, as [`crate::authorities`] reads them.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// The wall's clock.
    pub wall_clock: WallClock,
}

impl EgressSettings {
    /// The settings of a product run: the system's resolver, the bundled roots.
    #[must_use]
    pub fn new(policy: AddressPolicy, own_hosts: Vec<OwnHost>, wall_clock: WallClock) -> Self {
        Self {
            policy,
            own_hosts,
            resolver: Arc::new(SystemResolver),
            extra_roots: Vec::new(),
            wall_clock,
        }
    }
}

impl fmt::Debug for EgressSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressSettings")
            .field("policy", &self.policy)
            .field("own_hosts", &self.own_hosts)
            .field("extra_roots", &self.extra_roots.len())
            .finish_non_exhaustive()
    }
}
