//! From which networks a key of the API may be used: addresses and CIDR blocks, IPv4 and IPv6, in one canonical form.
//! Must never let in more than is written: what cannot be read is refused, and an address that nobody knows is let in by none.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// Most networks of a key. docs/LIMITS.md.
pub const MAX_SOURCE_NETWORKS: usize = 50;
/// Bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = 96;
const FIELD: &str = "allowed_networks";

/// The networks that a key may be used from: at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct SourceNetworks(Vec<IpNet>);

impl SourceNetworks {
    /// Reads 1 to [`MAX_SOURCE_NETWORKS`] addresses (`203.0.113.7`) and networks (`203.0.113.0/24`, `2001:db8::/32`). Bits
    /// behind the prefix become zero, an IPv4-mapped IPv6 network becomes that of IPv4, what is there twice is kept once.
    ///
    /// # Errors
    /// [`Invalid`] with code `networks_invalid`.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        let refuse = |detail: String| Invalid::new("networks_invalid", FIELD, detail);
        let mut networks: Vec<IpNet> = Vec::new();
        for (at, text) in texts.into_iter().enumerate() {
            if at >= MAX_SOURCE_NETWORKS {
                return Err(refuse(format!("must be at most {MAX_SOURCE_NETWORKS} networks")));
            }
            let network = network(text).ok_or_else(|| {
                refuse(format!(
                    "number {} must be an address or a network, as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32",
                    at + 1
                ))
            })?;
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        if networks.is_empty() {
            return Err(refuse(
                "must name a network; null lets the key be used from anywhere".to_owned(),
            ));
        }
        Ok(Self(networks))
    }

    /// True if a request from `source` may use the key. An address that nobody knows is in no network.
    #[must_use]
    pub fn allow(&self, source: Option<IpAddr>) -> bool {
        // `::ffff:203.0.113.7` is 203.0.113.7, as a socket for both kinds of addresses shows it.
        let source = source.map(|source| source.to_canonical());
        source.is_some_and(|source| self.0.iter().any(|network| network.contains(&source)))
    }

    /// True if each of these networks is in one of `others`.
    #[must_use]
    pub fn are_within(&self, others: &Self) -> bool {
        let is_within = |own: &IpNet| others.0.iter().any(|other| other.contains(own));
        self.0.iter().all(is_within)
    }

    /// Each as text: addresses without a prefix.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|network| {
            if network.prefix_len() == network.max_prefix_len() {
                network.addr().to_string()
            } else {
                network.to_string()
            }
        })
    }
}

fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().ok()?,
    };
    let IpNet::V6(wide) = network.trunc() else {
        return Some(network.trunc());
    };
    let mapped = "::ffff:0:0/96".parse().ok()?;
    let Some(address) = wide.addr().to_ipv4_mapped() else {
        return Some(IpNet::V6(wide));
    };
    if !ipnet::Ipv6Net::contains(&mapped, &wide) {
        return Some(IpNet::V6(wide));
    }
    let prefix = wide.prefix_len().checked_sub(MAPPED_BITS)?;
    Ipv4Net::new(address, prefix).ok().map(IpNet::V4)
}

impl TryFrom<Vec<String>> for SourceNetworks {
    type Error = Invalid;

    fn try_from(texts: Vec<String>) -> Result<Self, Invalid> {
        Self::parse(texts.iter().map(String::as_str))
    }
}

impl From<SourceNetworks> for Vec<String> {
    fn from(networks: SourceNetworks) -> Self {
        networks.texts().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(given: &[&str]) -> Vec<String> {
        SourceNetworks::parse(given.iter().copied()).unwrap().into()
    }

    fn allowed(networks: &[&str], source: &str) -> bool {
        let networks = SourceNetworks::parse(networks.iter().copied()).unwrap();
        networks.allow(Some(source.parse().unwrap()))
    }

    #[test]
    fn networks_are_kept_in_one_form() {
        let given = [
            "203.0.113.7",
            "203.0.113.7/32",
            "10.1.2.3/8",
            "2001:DB8:0::1/32",
            "::ffff:192.0.2.9/120",
            "::ffff:192.0.2.9",
            "2001:db8::7",
        ];
        let kept = [
            "203.0.113.7",
            "10.0.0.0/8",
            "2001:db8::/32",
            "192.0.2.0/24",
            "192.0.2.9",
            "2001:db8::7",
        ];
        assert_eq!(texts(&given), kept);
        assert_eq!(texts(&kept), kept);
        assert_eq!(texts(&["0.0.0.0/0", "::/0"]), ["0.0.0.0/0", "::/0"]);
    }

    #[test]
    fn an_address_is_let_in_by_its_own_network_in_either_form() {
        for source in ["192.0.2.200", "::ffff:192.0.2.200"] {
            assert!(allowed(&["192.0.2.0/24"], source), "{source}");
            assert!(allowed(&["::ffff:192.0.2.0/120"], source), "{source}");
            assert!(!allowed(&["192.0.3.0/24", "2001:db8::/32"], source), "{source}");
            assert!(!allowed(&["::/0"], source), "{source} is no address of IPv6");
            assert!(allowed(&["0.0.0.0/0"], source), "{source}");
        }
        assert!(allowed(&["2001:db8::/32"], "2001:db8:ffff::1") && !allowed(&["2001:db8::/32"], "2001:db9::1"));
        assert!(!allowed(&["0.0.0.0/0"], "2001:db8::1"));
        // Other ways to write an IPv4 address into one of IPv6 are addresses of IPv6.
        assert!(!allowed(&["192.0.2.0/24"], "::192.0.2.1") && !allowed(&["192.0.2.0/24"], "2002:c000:201::1"));
        let everywhere = SourceNetworks::parse(["0.0.0.0/0", "::/0"]).unwrap();
        assert!(!everywhere.allow(None), "an address that nobody knows");
    }

    #[test]
    fn networks_are_within_others_if_each_is_in_one_of_them() {
        let read = |texts: &[&str]| SourceNetworks::parse(texts.iter().copied()).unwrap();
        let outer = read(&["203.0.113.0/24", "2001:db8::/32"]);
        for inner in [
            &["203.0.113.0/24"][..],
            &["203.0.113.7", "2001:db8:7::/48"],
            &["::ffff:203.0.113.7"],
        ] {
            assert!(read(inner).are_within(&outer), "{inner:?}");
        }
        for wider in [
            &["203.0.112.0/23"][..],
            &["203.0.113.7", "198.51.100.1"],
            &["0.0.0.0/0"],
            &["::/0"],
        ] {
            assert!(!read(wider).are_within(&outer), "{wider:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            " ",
            "203.0.113.7 ",
            "203.0.113.0/33",
            "203.0.113.0/-1",
            "203.0.113.0/",
            "203.0.113",
            "0x7f.1",
            "010.0.0.1",
            "2001:db8::/129",
            "fe80::1%eth0",
            "fe80::1%eth0/64",
            "localhost",
            "203.0.113.1-203.0.113.9",
            "::/0/0",
            "１.1.1.1",
            "203.0.113.0/255.255.255.0",
            "*",
        ] {
            let refused = SourceNetworks::parse([text]).unwrap_err();
            assert_eq!(
                (refused.code, &*refused.field),
                ("networks_invalid", "allowed_networks"),
                "{text:?}"
            );
        }
        assert!(
            SourceNetworks::parse([]).is_err(),
            "no network at all is not everywhere"
        );
        let many: Vec<String> = (0..=MAX_SOURCE_NETWORKS).map(|n| format!("10.0.{n}.0/24")).collect();
        assert!(SourceNetworks::parse(many[1..].iter().map(String::as_str)).is_ok());
        assert!(SourceNetworks::parse(many.iter().map(String::as_str)).is_err());
    }

    proptest! {
        #[test]
        fn an_address_is_in_its_network_and_no_other_of_that_size(address: u32, prefix in 1u8..=32, mapped: bool) {
            let ip = std::net::Ipv4Addr::from(address);
            let source = if mapped { IpAddr::V6(ip.to_ipv6_mapped()) } else { IpAddr::V4(ip) };
            let own = SourceNetworks::parse([format!("{ip}/{prefix}").as_str()]).unwrap();
            prop_assert!(own.allow(Some(source)));
            let next = std::net::Ipv4Addr::from(address ^ (1 << (32 - u32::from(prefix))));
            let other = SourceNetworks::parse([format!("{next}/{prefix}").as_str()]).unwrap();
            prop_assert!(!other.allow(Some(source)));
            let read: SourceNetworks = serde_json::from_str(&serde_json::to_string(&own).unwrap()).unwrap();
            prop_assert_eq!(read, own);
        }
    }
}
