//! From a name to addresses that Redial may connect to. Every answer is vetted and one bad address spoils the set:
//! a check and a later lookup would be two lookups, and a hostile name server answers them differently (DNS
//! rebinding). So the connection is made to exactly what was vetted here. Anything unclear fails closed. How many are looked up
//! at once is `lookups`.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::dns::Name;
use redial_domain::address::AddressPolicy;
use tokio::time::timeout_at;
use tower::Service;

use crate::lookups::Lookups;
use crate::progress;
use crate::stopwatch::Stopwatch;

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
    /// No turn for a lookup within [`DNS_TIMEOUT`]: our fault, whoever is slow.
    #[error("too many names are being looked up")]
    Crowded,
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
    /// Nothing is looked up any more: our fault.
    #[error("no name is looked up any more")]
    Closed(#[from] tokio::sync::AcquireError),
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
    pub(crate) lookups: Arc<Lookups>,
}

impl VettingResolver {
    async fn resolve(&self, name: &str, whose: &str) -> Result<Vec<IpAddr>, VettingError> {
        let addresses = if name.eq_ignore_ascii_case(LOCALHOST) {
            progress::resolving();
            // What /etc/hosts says does not matter: loopback is what the policy opens of it.
            self.policy.permitted_loopback()
        } else {
            self.look_up(name.to_owned(), whose).await?
        };
        vet(&addresses, &self.policy)?;
        Ok(addresses)
    }

    async fn look_up(&self, name: String, whose: &str) -> Result<Vec<IpAddr>, VettingError> {
        let until = Stopwatch::start().started_at() + DNS_TIMEOUT;
        let turn = timeout_at(until, self.lookups.turn(whose)).await;
        let turn = turn.map_err(|_elapsed| VettingError::Crowded)?;
        let turn = turn.map_err(LookupError::Closed)?;
        progress::resolving();
        let inner = Arc::clone(&self.inner);
        // On a task of its own: who stops waiting does not free the thread, and the turn ends with that.
        let lookup = tokio::spawn(async move {
            let answer = inner.lookup(&name).await;
            drop(turn);
            answer
        });
        let Ok(answer) = timeout_at(until, lookup).await else {
            return Err(VettingError::TooSlow);
        };
        Ok(answer.map_err(LookupError::Stopped)??)
    }
}

impl Service<Name> for VettingResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = VettingError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, VettingError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), VettingError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let this = self.clone();
        let whose = progress::waiting();
        Box::pin(async move {
            let addresses = this.resolve(name.as_str(), &whose).await?;
            progress::resolved(&addresses);
            // Port 0: the client puts the URL's port in.
            let targets: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(targets.into_iter())
        })
    }
}
