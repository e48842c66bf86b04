//! Which IP addresses Redial connects to. An allow-list: what is not known to be a public unicast address is
//! refused. It must never grow a switch that turns the check off; local runs name the networks they need.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

#[cfg(test)]
mod tests;

/// How many extra networks a local policy may name.
pub const MAX_ALLOWED_NETWORKS: usize = 16;

/// The widest IPv4 network that may be allowed: a /8, so that no list adds up to an off switch.
pub const MIN_ALLOWED_PREFIX_V4: u8 = 8;

/// The widest IPv6 network that may be allowed.
pub const MIN_ALLOWED_PREFIX_V6: u8 = 32;

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// IPv4 that is not globally reachable unicast: the IANA IPv4 Special-Purpose Address Registry (RFC 6890 and
/// later), the multicast and reserved classes, and one public address that is a cloud's own service.
/// Two anycast /32 inside 192.0.0.0/24 are global in the registry; no webhook receiver lives there, so the /24 is out.
const REFUSED_V4: [Ipv4Net; 17] = [
    v4(0, 0, 0, 0, 8),          // "this network", RFC 791: 0.0.0.0 reaches loopback on Linux
    v4(10, 0, 0, 0, 8),         // private use, RFC 1918
    v4(100, 64, 0, 0, 10),      // shared address space (CGNAT), RFC 6598
    v4(127, 0, 0, 0, 8),        // loopback, RFC 1122
    v4(168, 63, 129, 16, 32),   // Azure's WireServer: public by number, local by nature
    v4(169, 254, 0, 0, 16),     // link local, RFC 3927: instance metadata, the Lambda runtime API
    v4(172, 16, 0, 0, 12),      // private use, RFC 1918
    v4(192, 0, 0, 0, 24),       // IETF protocol assignments, RFC 6890: Oracle's metadata
    v4(192, 0, 2, 0, 24),       // TEST-NET-1, RFC 5737
    v4(192, 88, 99, 0, 24),     // 6to4 relay anycast, deprecated by RFC 7526
    v4(192, 168, 0, 0, 16),     // private use, RFC 1918
    v4(198, 18, 0, 0, 15),      // benchmarking, RFC 2544
    v4(198, 51, 100, 0, 24),    // TEST-NET-2, RFC 5737
    v4(203, 0, 113, 0, 24),     // TEST-NET-3, RFC 5737
    v4(224, 0, 0, 0, 4),        // multicast, RFC 1112
    v4(240, 0, 0, 0, 4),        // class E, RFC 1112
    v4(255, 255, 255, 255, 32), // limited broadcast, RFC 919
];

/// The only IPv6 that is global unicast today (RFC 4291, IANA). Everything outside is refused: loopback, mapped and
/// compatible IPv4, NAT64 (64:ff9b::/96 hides its target), discard-only, SRv6 SIDs, ULA, link local, multicast.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// What lies inside 2000::/3 and is still not a public host: the IANA IPv6 Special-Purpose Address Registry.
const REFUSED_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23),      // IETF protocol assignments: Teredo, benchmarking, ORCHID, drone ids
    v6(0x2001, 0x0db8, 32), // documentation, RFC 3849
    v6(0x2002, 0, 16),      // 6to4, RFC 3056: carries an IPv4 address of anyone's choice
    v6(0x3fff, 0, 20),      // documentation, RFC 9637
];

/// The upper half of an interface identifier of ISATAP, with and without the bit that calls it globally unique: the
/// lower half is an IPv4 address of anyone's choice. RFC 5214 section 6.1.
const ISATAP: [u32; 2] = [0x0000_5efe, 0x0200_5efe];

/// What no list may allow: where clouds hand out credentials.
const NEVER_ALLOWED: [IpNet; 2] = [IpNet::V4(v4(169, 254, 0, 0, 16)), IpNet::V4(v4(168, 63, 129, 16, 32))];

/// Why a list of extra networks was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkRefusal {
    /// The text is not a network such as `127.0.0.1/32`.
    #[error("{text:?} is not a network such as 127.0.0.1/32")]
    NotANetwork {
        /// What was given.
        text: String,
    },
    /// The network is so wide that it would be an off switch.
    #[error("{network} is too wide: at least /{MIN_ALLOWED_PREFIX_V4} (IPv4) or /{MIN_ALLOWED_PREFIX_V6} (IPv6)")]
    TooWide {
        /// What was given.
        network: IpNet,
    },
    /// The network holds addresses of cloud metadata services.
    #[error("{network} holds addresses where clouds hand out credentials")]
    Metadata {
        /// What was given.
        network: IpNet,
    },
    /// More than [`MAX_ALLOWED_NETWORKS`].
    #[error("more than {MAX_ALLOWED_NETWORKS} networks")]
    TooMany,
}

/// An explicit list of networks that are allowed besides the public ones: for local runs and tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedNetworks(Vec<IpNet>);

impl AllowedNetworks {
    /// Checks a list of networks.
    ///
    /// # Errors
    /// [`NetworkRefusal`] if one is wider than an /8 (IPv4) or /32 (IPv6), holds metadata addresses, or there are
    /// more than [`MAX_ALLOWED_NETWORKS`].
    pub fn new(networks: Vec<IpNet>) -> Result<Self, NetworkRefusal> {
        if networks.len() > MAX_ALLOWED_NETWORKS {
            return Err(NetworkRefusal::TooMany);
        }
        for network in networks.iter().copied() {
            let floor = if network.addr().is_ipv4() {
                MIN_ALLOWED_PREFIX_V4
            } else {
                MIN_ALLOWED_PREFIX_V6
            };
            if network.prefix_len() < floor {
                return Err(NetworkRefusal::TooWide { network });
            }
            if NEVER_ALLOWED
                .iter()
                .any(|never| never.contains(&network) || network.contains(never))
            {
                return Err(NetworkRefusal::Metadata { network });
            }
        }
        Ok(Self(networks))
    }

    /// Reads networks in CIDR notation (`127.0.0.1/32`).
    ///
    /// # Errors
    /// As [`AllowedNetworks::new`], and [`NetworkRefusal::NotANetwork`] for a text that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworkRefusal> {
        let networks = texts
            .into_iter()
            .map(|text| {
                text.trim()
                    .parse()
                    .map_err(|_| NetworkRefusal::NotANetwork { text: text.to_owned() })
            })
            .collect::<Result<Vec<IpNet>, _>>()?;
        Self::new(networks)
    }

    /// The networks, to tell an operator what is open.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }

    fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }
}

/// Which addresses and schemes Redial uses for deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: AllowedNetworks,
    allow_http: bool,
}

impl AddressPolicy {
    /// The deployed rules: public addresses, https.
    #[must_use]
    pub const fn strict() -> Self {
        Self {
            allowed: AllowedNetworks(Vec::new()),
            allow_http: false,
        }
    }

    /// The rules of a local run: public addresses and `networks`, and plain http if `allow_http`.
    #[must_use]
    pub const fn with_local(networks: AllowedNetworks, allow_http: bool) -> Self {
        Self {
            allowed: networks,
            allow_http,
        }
    }

    /// Whether Redial may connect to this address.
    #[must_use]
    pub fn permits(&self, ip: IpAddr) -> bool {
        is_public(ip) || self.allowed.contains(ip)
    }

    /// Whether `http://` is a scheme that may be delivered to.
    #[must_use]
    pub const fn allows_http(&self) -> bool {
        self.allow_http
    }

    /// The networks that are allowed besides the public ones.
    #[must_use]
    pub fn local_networks(&self) -> &[IpNet] {
        self.allowed.networks()
    }

    /// Those of the two loopback addresses that may be used, for the name `localhost` (RFC 6761 section 6.3: it
    /// is not looked up). Empty under the deployed rules.
    #[must_use]
    pub fn permitted_loopback(&self) -> Vec<IpAddr> {
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            .into_iter()
            .filter(|ip| self.permits(*ip))
            .collect()
    }
}

/// Whether the address is a public unicast one by the IANA registries.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !REFUSED_V4.iter().any(|network| network.contains(&ip)),
        IpAddr::V6(ip) => {
            GLOBAL_V6.contains(&ip) && !REFUSED_V6.iter().any(|network| network.contains(&ip)) && !is_isatap(ip)
        }
    }
}

fn is_isatap(ip: Ipv6Addr) -> bool {
    let [_, _, _, _, a, b, _, _] = ip.segments();
    ISATAP.contains(&(u32::from(a) << 16 | u32::from(b)))
}
