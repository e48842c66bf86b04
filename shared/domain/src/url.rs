//! The URL of an endpoint, parsed once into a type that cannot be a trap. Rules R1 to R8 of `docs/SECURITY.md`:
//! a text that two parsers could read differently is refused, never repaired. Resolves no name: the addresses
//! behind a name are vetted where the connection is made.

use std::fmt;
use std::net::IpAddr;

use ::url::{Host, Url};

use crate::address::AddressPolicy;

mod name;
mod own_host;
#[cfg(test)]
mod tests;

pub use own_host::{InvalidOwnHost, OwnHost};

/// Characters in a URL, as the customer writes it. docs/LIMITS.md.
pub const MAX_URL_CHARS: usize = 2_048;

/// The first port that is not a "system port" (RFC 6335): below it only 443 (and 80 for local http) is a target.
pub const FIRST_FREE_PORT: u16 = 1_024;

/// Ports from 1024 on that the Fetch standard blocks ("bad port"): they speak other protocols.
const BAD_PORTS: [u16; 19] = [
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10_080,
];

/// A URL that Redial delivers to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    text: String,
    url: Url,
}

/// Why a URL is refused as a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UrlRefusal {
    /// R1: empty or too long.
    #[error("a URL has 1 to {MAX_URL_CHARS} characters")]
    Length,
    /// R1: a character that parsers drop, repair or read differently.
    #[error("a URL holds no white space, control or invisible characters and no backslash")]
    Character,
    /// R2: not https.
    #[error("a URL begins with https://")]
    Scheme,
    /// R2, R3: nothing, or something ambiguous, where the host belongs.
    #[error("after https:// comes a host, and a port if need be: no percent sign, semicolon or comma")]
    Authority,
    /// R3: a user name or password.
    #[error("a URL carries no user name or password: use the endpoint's authentication")]
    Userinfo,
    /// R3: a fragment.
    #[error("a URL carries no fragment (#): it is never sent")]
    Fragment,
    /// R4: a port that is no target.
    #[error("the port is 443 or at least {FIRST_FREE_PORT}, written plainly, and not one of another protocol")]
    Port,
    /// R5, R7: not a host in its canonical form.
    #[error("the host is a name of at least two labels or an address, in its canonical form")]
    Host,
    /// R6: an address that is not public.
    #[error("the address is not a public one")]
    Address,
    /// R7: a name that does not belong to the public internet.
    #[error("the name is a local or special-use one")]
    SpecialName,
    /// R8: Redial itself.
    #[error("the URL is one of this service itself")]
    OwnHost,
}

impl UrlRefusal {
    /// The stable code, as the API shows it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Length => "url_length",
            Self::Character => "url_character",
            Self::Scheme => "url_scheme",
            Self::Authority => "url_authority",
            Self::Userinfo => "url_userinfo",
            Self::Fragment => "url_fragment",
            Self::Port => "url_port",
            Self::Host => "url_host",
            Self::Address => "url_address",
            Self::SpecialName => "url_special_name",
            Self::OwnHost => "url_own_host",
        }
    }
}

impl EndpointUrl {
    /// Parses and checks a URL. `own_hosts` are the names under which this service is reached itself.
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn parse(text: &str, policy: &AddressPolicy, own_hosts: &[OwnHost]) -> Result<Self, UrlRefusal> {
        check_characters(text)?;
        let (scheme, authority) = split(text, policy)?;
        if authority.contains('@') {
            return Err(UrlRefusal::Userinfo);
        }
        if text.contains('#') {
            return Err(UrlRefusal::Fragment);
        }
        if authority.contains(['%', ';', ',']) {
            return Err(UrlRefusal::Authority);
        }
        let (host, port) = split_port(authority)?;
        let port = port.map_or(Ok(scheme.default_port()), |digits| parse_port(digits, scheme))?;

        let url = Url::parse(text).map_err(|_| UrlRefusal::Host)?;
        // The strict reading above and the library's must be one: what we checked is what will be connected to.
        let same = url.scheme() == scheme.as_str()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && url.port_or_known_default() == Some(port);
        if !same {
            return Err(UrlRefusal::Authority);
        }
        check_host(host, &url, policy)?;
        if own_hosts.iter().any(|own| own.is_target_of(&url)) {
            return Err(UrlRefusal::OwnHost);
        }
        Ok(Self {
            text: text.to_owned(),
            url,
        })
    }

    /// The URL as the customer gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed URL, in its canonical form: what is requested.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The host in its canonical form (IDN in Punycode, IPv6 in brackets).
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The address, if the host is one and not a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) | None => None,
        }
    }
}

/// Path and query may hold a customer's token: only scheme, host and port are shown.
impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({}/..)", self.url.origin().ascii_serialization())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Https,
    Http,
}

impl Scheme {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// R1.
fn check_characters(text: &str) -> Result<(), UrlRefusal> {
    if text.is_empty() || text.chars().count() > MAX_URL_CHARS {
        return Err(UrlRefusal::Length);
    }
    let refused = |c: char| c.is_control() || c.is_whitespace() || c == '\\' || is_invisible(c);
    if text.chars().any(refused) {
        Err(UrlRefusal::Character)
    } else {
        Ok(())
    }
}

/// Characters that change how a text looks or is read and cannot be seen: they make a refusal or a console line lie.
/// The joiners U+200C and U+200D stay: some scripts need them in names, and IDNA says where.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// R2: the scheme, and what stands before the path. Read by RFC 3986, which never repairs.
fn split<'a>(text: &'a str, policy: &AddressPolicy) -> Result<(Scheme, &'a str), UrlRefusal> {
    let (scheme, rest) = text.split_once(':').ok_or(UrlRefusal::Scheme)?;
    let scheme = if scheme.eq_ignore_ascii_case("https") {
        Scheme::Https
    } else if policy.allows_http() && scheme.eq_ignore_ascii_case("http") {
        Scheme::Http
    } else {
        return Err(UrlRefusal::Scheme);
    };
    let rest = rest.strip_prefix("//").ok_or(UrlRefusal::Authority)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    if authority.is_empty() {
        Err(UrlRefusal::Authority)
    } else {
        Ok((scheme, authority))
    }
}

/// The host and the digits after its colon.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), UrlRefusal> {
    let host_end = if authority.starts_with('[') {
        authority.find(']').ok_or(UrlRefusal::Host)? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(host_end);
    if host.is_empty() {
        return Err(UrlRefusal::Authority);
    }
    match rest.strip_prefix(':') {
        Some(digits) => Ok((host, Some(digits))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(UrlRefusal::Host),
    }
}

/// R4. An empty port (`host:`), a padded one and a sign are refused: parsers differ on them.
fn parse_port(digits: &str, scheme: Scheme) -> Result<u16, UrlRefusal> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let port: u16 = digits.parse().ok().filter(|_| plain).ok_or(UrlRefusal::Port)?;
    let system = port == 443 || (port == 80 && scheme == Scheme::Http);
    if system || (port >= FIRST_FREE_PORT && !BAD_PORTS.contains(&port)) {
        Ok(port)
    } else {
        Err(UrlRefusal::Port)
    }
}

/// R5, R6 and R7: `given` is the host in the text, `url` what the WHATWG parser made of it.
fn check_host(given: &str, url: &Url, policy: &AddressPolicy) -> Result<(), UrlRefusal> {
    let ip = match url.host() {
        Some(Host::Domain(canonical)) => return name::check(given, canonical, policy),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        None => return Err(UrlRefusal::Host),
    };
    if !policy.permits(ip) {
        return Err(UrlRefusal::Address);
    }
    if url
        .host_str()
        .is_some_and(|canonical| canonical.eq_ignore_ascii_case(given))
    {
        Ok(())
    } else {
        Err(UrlRefusal::Host)
    }
}
