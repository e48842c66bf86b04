//! The only crate that opens a socket to a customer.
//!
//! One request in, one [`Exchange`] out. It must never follow a redirect, use a proxy, connect to an address that
//! was not vetted, read a body without bound, or wait past the deadline; and it decides nothing about retries of a
//! delivery: what an outcome means is `redial_domain`'s business.

mod authorities;
mod client;
mod connect;
mod failure;
mod freeze;
mod lookups;
mod meter;
mod post;
mod probe;
mod progress;
mod resolver;
mod settings;
mod stopwatch;

pub use authorities::{InvalidAuthority, authorities, authorities_of_pem};
pub use client::{EgressError, MAX_RESPONSE_HEADERS, POOL_IDLE_TIMEOUT};
pub use connect::CONNECT_TIMEOUT;
pub use failure::ClientError;
pub use lookups::{MAX_LOOKUPS, MAX_LOOKUPS_OF_ONE};
pub use meter::{MAX_READ_IN_PERIOD, READ_PERIOD};
pub use post::{Egress, Exchange, OurFault, Post};
pub use probe::{Head, MAX_SHOWN_HEADERS, MAX_SHOWN_VALUE_BYTES, Probed, Timings};
pub use resolver::{DNS_TIMEOUT, MAX_DNS_ANSWERS};
pub use resolver::{Lookup, LookupError, Resolver, SystemResolver, VettingError, vet};
pub use settings::{EgressSettings, WallClock};
