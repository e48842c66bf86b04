//! From a name to addresses that Redial may connect to. Every answer is vetted and one bad address spoils the set:
//! a check and a later lookup would be two lookups, and a hostile name server answers them differently (DNS
//! rebinding). So the connection is made to exactly what was vetted here. Anything unclear fails closed.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redial_domain::address::AddressPolicy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::progress;

/// More addresses in one answer are refused: no honest receiver has them, and each may cost a connect timeout.
pub const MAX_DNS_ANSWERS: usize = 16;

/// How long a lookup may take.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(3);

/// The name that is not looked up: RFC 6761 section 6.3.
const LOCALHOST: &str = "localhost";

/// Why a name gave no address to connect to.
#[derive(Debug, thiserror::Error)]
pub enum VettingError {
    /// One of the addresses is not one that Redial connects to.
    #[error("the name resolves to {0}, which is no target")]
    Refused(IpAddr),
    /// More than [`MAX_DNS_ANSWERS`].
    #[error("the name resolves to more than {MAX_DNS_ANSWERS} addresses")]
    TooMany,
    /// The name exists and has no address.
    #[error("the name has no address")]
    NoAddress,
    /// No answer within [`DNS_TIMEOUT`].
    #[error("the name did not resolve in time")]
    TooSlow,
    /// The lookup failed.
    #[error("the lookup failed")]
    Lookup(#[from] LookupError),
}

/// Why a lookup gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The resolver said so: no such name, no server, a broken answer.
    #[error("the name does not resolve")]
    NotResolved(#[source] io::Error),
    /// The lookup was stopped with the runtime: our fault.
    #[error("the lookup was stopped")]
    Stopped(#[source] tokio::task::JoinError),
}

/// A lookup under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, LookupError>> + Send + 'a>>;

/// Who answers for names. What it answers is vetted; it never has to be trusted.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of a name.
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        let name = name.to_owned();
        Box::pin(async move {
            // getaddrinfo blocks; on a thread of its own so that a join error (ours) and a failed lookup (theirs)
            // are told apart by type.
            let lookup = move || {
                (name.as_str(), 0)
                    .to_socket_addrs()
                    .map(|found| found.map(|a| a.ip()).collect())
            };
            let answer: io::Result<Vec<IpAddr>> = tokio::task::spawn_blocking(lookup)
                .await
                .map_err(LookupError::Stopped)?;
            answer.map_err(LookupError::NotResolved)
        })
    }
}

/// Vets an answer as a whole.
///
/// # Errors
/// [`VettingError`] if there is no address, there are too many, or one of them is no target.
pub fn vet(addresses: &[IpAddr], policy: &AddressPolicy) -> Result<(), VettingError> {
    if addresses.is_empty() {
        return Err(VettingError::NoAddress);
    }
    if let Some(refused) = addresses.iter().find(|ip| !policy.permits(**ip)) {
        return Err(VettingError::Refused(*refused));
    }
    if addresses.len() > MAX_DNS_ANSWERS {
        return Err(VettingError::TooMany);
    }
    Ok(())
}

/// The resolver that the HTTP client is given: looks up, vets, and answers only with what passed.
#[derive(Clone)]
pub(crate) struct VettingResolver {
    pub(crate) inner: Arc<dyn Resolver>,
    pub(crate) policy: Arc<AddressPolicy>,
}

impl VettingResolver {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, VettingError> {
        let addresses = if name.eq_ignore_ascii_case(LOCALHOST) {
            // What /etc/hosts says does not matter: loopback is what the policy opens of it.
            self.policy.permitted_loopback()
        } else {
            match tokio::time::timeout(DNS_TIMEOUT, self.inner.lookup(name)).await {
                Ok(answer) => answer?,
                Err(_elapsed) => return Err(VettingError::TooSlow),
            }
        };
        vet(&addresses, &self.policy)?;
        Ok(addresses)
    }
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            progress::resolving();
            let addresses = Self::resolve(&this, name.as_str()).await?;
            progress::resolved(&addresses);
            // Port 0: the client puts the URL's port in.
            let targets: Addrs = Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(targets)
        })
    }
}
