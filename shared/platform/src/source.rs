//! Where a request comes from, for keys that may be used from some networks only. Believed is who terminates the connection
//! (Lambda's function URL, or this process), and never a header: `X-Forwarded-For` is whatever a caller writes.

use std::net::{IpAddr, SocketAddr};

use axum::http::Extensions;

/// The address of the other end of the connection, where the functions answer it themselves. Whoever accepts connections puts
/// it into each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The address that a request comes from; `None`: nobody knows. `told` is what Lambda says of a request that it brought
/// (`requestContext.http.sourceIp`), which then is all that counts.
/// <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>
#[must_use]
pub fn address(told: Option<Option<&str>>, extensions: &Extensions) -> Option<IpAddr> {
    match told {
        Some(source_ip) => source_ip?.parse().ok(),
        None => extensions.get::<Peer>().map(|peer| peer.0.ip()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lambda_says_counts_and_then_nothing_else() {
        let mut extensions = Extensions::new();
        assert_eq!(address(None, &extensions), None);
        extensions.insert(Peer("[::ffff:192.0.2.1]:80".parse().unwrap()));
        assert_eq!(address(None, &extensions), "::ffff:192.0.2.1".parse().ok());
        assert_eq!(
            address(Some(Some("2001:db8::1")), &extensions),
            "2001:db8::1".parse().ok()
        );
        for unknown in [None, Some(""), Some("nonsense"), Some("192.0.2.1, 192.0.2.2")] {
            assert_eq!(address(Some(unknown), &extensions), None, "{unknown:?}");
        }
    }
}
