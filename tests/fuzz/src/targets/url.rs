//! The URL of an endpoint. What is accepted is what every parser reads the same way, is a target, and stays one when it is
//! read again in the form that is requested.

use std::net::IpAddr;

use redial_domain::address::{self, AddressPolicy, AllowedNetworks};
use redial_domain::url::{EndpointUrl, MAX_URL_CHARS, OwnHost, UrlRefusal};

use super::{column, inputs};
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "url",
    max_len: 4_096,
    run,
    seeds,
};

fn seeds() -> Vec<Vec<u8>> {
    let mut texts = column("hostile-urls.tsv", 0, |_| true);
    texts.extend([
        "https://[2606:4700::1111]:8443/a?b=c".to_owned(),
        "http://127.0.0.1:4080/".to_owned(),
    ]);
    inputs(texts)
}

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let strict = AddressPolicy::strict();
    let networks = AllowedNetworks::parse(["127.0.0.1/32"]).expect("a network");
    let local = EndpointUrl::parse(text, &AddressPolicy::with_local(networks, true), &[]);
    let parsed = EndpointUrl::parse(text, &strict, &[]);
    // What is allowed here besides is an address and a scheme, nothing else.
    match (&parsed, &local) {
        (Ok(url), local) => assert!(
            local.as_ref().is_ok_and(|local| local == url),
            "locally refused: {text:?}"
        ),
        (Err(_), Ok(url)) => {
            let loopback = url.ip().is_some_and(|ip| ip.is_loopback()) || url.host() == "localhost";
            assert!(
                url.url().scheme() == "http" || loopback,
                "only locally a target: {text:?}"
            );
        }
        (Err(_), Err(_)) => {}
    }
    if let Ok(url) = parsed {
        holds(text, &url);
    }
}

fn holds(text: &str, url: &EndpointUrl) {
    let requested = url.url().as_str();
    assert_eq!(url.as_str(), text);
    assert!(text.chars().count() <= MAX_URL_CHARS);
    assert_eq!(url.url().scheme(), "https");
    assert!(url.url().username().is_empty() && url.url().password().is_none() && url.url().fragment().is_none());
    // What goes onto the wire splits no request.
    assert!(requested.bytes().all(|byte| byte.is_ascii_graphic()), "{requested:?}");
    let port = url.url().port_or_known_default();
    assert!(port.is_some_and(|port| port == 443 || port >= 1_024), "{text:?}");
    match url.ip() {
        Some(ip) => assert!(address::is_public(ip), "{text:?} is {ip}"),
        None => name_holds(url.host(), text),
    }
    // The host as a simple reader finds it, who knows nothing of repairing.
    let authority = text
        .split_once("://")
        .map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let given = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    assert!(
        !given.is_ascii() || given.eq_ignore_ascii_case(url.host()),
        "{text:?} leads to {}",
        url.host()
    );
    // Read again as it is requested, it is the same; it may have become too long.
    match EndpointUrl::parse(requested, &AddressPolicy::strict(), &[]) {
        Ok(again) => assert_eq!(again.url(), url.url()),
        Err(refusal) => assert!(
            refusal == UrlRefusal::Length && requested.len() > MAX_URL_CHARS,
            "{requested:?}: {refusal}"
        ),
    }
    let origin = url.url().origin().ascii_serialization();
    let own = OwnHost::parse(&origin).expect("an origin that is a target can be our own");
    let refused = EndpointUrl::parse(text, &AddressPolicy::strict(), &[own]);
    assert_eq!(refused, Err(UrlRefusal::OwnHost), "{origin}");
}

fn name_holds(host: &str, text: &str) {
    let labels: Vec<&str> = host.split('.').collect();
    let plain = |label: &&str| {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    assert!(
        labels.len() >= 2 && labels.iter().all(plain) && host.len() <= 253,
        "{text:?}"
    );
    assert!(host.parse::<IpAddr>().is_err(), "{text:?}");
    // A last label of digits, or 0x and digits, is an address to some resolver.
    let last = labels.last().copied().unwrap_or_default();
    let number = last.strip_prefix("0x").unwrap_or(last);
    assert!(!number.bytes().all(|c| c.is_ascii_digit()), "{text:?}");
    for special in ["localhost", "local", "internal", "invalid", "test", "onion", "arpa"] {
        assert_ne!(last, special, "{text:?}");
    }
}
