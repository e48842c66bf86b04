//! The names of a world: a table in place of DNS, so that nothing outside is ever asked.

use std::io;
use std::net::IpAddr;

use redial_egress::{Lookup, LookupError, Resolver};

/// A name that leads to the receivers, and one that leads where Redial does not connect.
pub const RECEIVERS: &str = "hooks.example.com";
pub const INSIDE: &str = "inside.example.com";

/// Knows two names.
pub struct Names;

impl Resolver for Names {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        let address = match name {
            RECEIVERS => Some("127.0.0.1"),
            INSIDE => Some("127.0.0.2"),
            _ => None,
        };
        let unknown = || LookupError::NotResolved(io::ErrorKind::NotFound.into());
        let addresses = address.map(|text| vec![text.parse::<IpAddr>().unwrap()]);
        Box::pin(async move { addresses.ok_or_else(unknown) })
    }
}
