//! Rule R8: the hosts under which this service is reached itself. A delivery to them would feed itself.

use ::url::{Host, Url};

/// A name of this service: a host, with a port if only that port is ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnHost {
    host: Host<String>,
    port: Option<u16>,
}

/// The text is neither a URL nor `host` nor `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a host such as api.example.com or 127.0.0.1:8080")]
pub struct InvalidOwnHost {
    /// What was given.
    pub text: String,
}

impl OwnHost {
    /// Reads `host`, `host:port` or a whole URL. Without a written port every port of the host is ours.
    ///
    /// # Errors
    /// [`InvalidOwnHost`] if it is none of them.
    pub fn parse(text: &str) -> Result<Self, InvalidOwnHost> {
        let invalid = || InvalidOwnHost { text: text.to_owned() };
        let whole = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url = Url::parse(&whole).map_err(|_| invalid())?;
        let host = url.host().ok_or_else(invalid)?.to_owned();
        Ok(Self {
            host: without_root_dot(host),
            port: url.port().or_else(|| written_port(text)),
        })
    }

    /// Whether a request to `url` would reach us. All ways to say loopback are one.
    pub(super) fn is_target_of(&self, url: &Url) -> bool {
        let same_port = self.port.is_none() || self.port == url.port_or_known_default();
        let same_host = |target: Host<&str>| {
            let target = target.to_owned();
            target == self.host || (is_loopback(&target) && is_loopback(&self.host))
        };
        same_port && url.host().is_some_and(same_host)
    }
}

/// The port that `Url` drops because it is the default one of its scheme.
fn written_port(text: &str) -> Option<u16> {
    text.trim_end_matches('/')
        .rsplit_once(':')
        .and_then(|(_, digits)| digits.parse().ok())
}

fn without_root_dot(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => Host::Domain(name.trim_end_matches('.').to_owned()),
        address => address,
    }
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback() || ip.is_unspecified(),
        Host::Ipv6(ip) => ip.is_loopback() || ip.is_unspecified(),
    }
}
