//! The corpus, our own additions, and properties of [`EndpointUrl::parse`].

use proptest::prelude::*;

use super::*;
use crate::address::{AllowedNetworks, is_public};

const CORPUS: [&str; 2] = [
    include_str!("../../../../tests/data/hostile-urls.tsv"),
    include_str!("../../../../tests/data/hostile-urls-more.tsv"),
];

fn strict(text: &str) -> Result<EndpointUrl, UrlRefusal> {
    EndpointUrl::parse(text, &AddressPolicy::strict(), &[])
}

fn local(text: &str) -> Result<EndpointUrl, UrlRefusal> {
    let policy = AddressPolicy::with_local(AllowedNetworks::parse(["127.0.0.1/32"]).unwrap(), true);
    EndpointUrl::parse(text, &policy, &[])
}

#[test]
fn every_row_of_the_corpus_gets_its_verdict() {
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    for line in CORPUS.iter().flat_map(|corpus| corpus.lines()) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [json, verdict, why] = columns[..] else {
            panic!("three columns: {line}")
        };
        // A text that is none (a lone surrogate) never comes as far as this: the body that holds it is refused.
        let text: Result<String, _> = serde_json::from_str(&format!("\"{json}\""));
        let parsed = text.as_deref().map_err(|_| UrlRefusal::Character).and_then(strict);
        if parsed.is_ok() != (verdict == "accept") {
            wrong.push(format!("{json}: {why}: {parsed:?}"));
        }
        // What is refused deployed is refused locally too, except what the local policy is for.
        if let (Err(_), Some(Ok(url))) = (&parsed, text.ok().map(|text| local(&text))) {
            let opened = url.url().scheme() == "http" || matches!(url.host(), "localhost" | "127.0.0.1");
            assert!(opened, "{json}: {why}");
        }
        *if verdict == "accept" {
            &mut accepted
        } else {
            &mut refused
        } += 1;
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        accepted > 250 && refused > 900,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn every_refusal_names_its_rule() {
    for (text, refusal) in [
        ("", UrlRefusal::Length),
        ("https://example.com/\u{202e}gpj.exe", UrlRefusal::Character),
        ("https://example.com/\u{2028}", UrlRefusal::Character),
        ("https://example.com/\u{3000}", UrlRefusal::Character),
        ("https://exam\u{feff}ple.com/", UrlRefusal::Character),
        ("https:\\\\example.com/", UrlRefusal::Character),
        ("http://93.184.216.34/", UrlRefusal::Scheme),
        ("gopher://example.com/", UrlRefusal::Scheme),
        ("https.example.com", UrlRefusal::Scheme),
        ("https:/example.com/", UrlRefusal::Authority),
        ("https://?example.com", UrlRefusal::Authority),
        ("https:////example.com", UrlRefusal::Authority),
        ("https://a,b.example.com/", UrlRefusal::Authority),
        ("https://:@example.com/", UrlRefusal::Userinfo),
        ("https://example.com/#", UrlRefusal::Fragment),
        ("https://example.com:/", UrlRefusal::Port),
        ("https://example.com:+443/", UrlRefusal::Port),
        ("https://example.com:-1/", UrlRefusal::Port),
        ("https://example.com:65536/", UrlRefusal::Port),
        ("https://example.com:4４3/", UrlRefusal::Port),
        ("https://example.com:444/", UrlRefusal::Port),
        ("https://example.com:1023/", UrlRefusal::Port),
        ("https://example.com:10080/", UrlRefusal::Port),
        ("https://example.com:5060/", UrlRefusal::Port),
        ("https://[2606:4700:4700::1111/", UrlRefusal::Host),
        ("https://[2606:4700:4700::1111]x/", UrlRefusal::Host),
        ("https://[2606:4700:4700:0::1111]/", UrlRefusal::Host),
        ("https://1572395042/", UrlRefusal::Host),
        ("https://0x5db8d822/", UrlRefusal::Host),
        ("https://93.184.216.34./", UrlRefusal::Host),
        ("https://93.184.55330/", UrlRefusal::Host),
        ("https://ｅｘａｍｐｌｅ.com/", UrlRefusal::Host),
        ("https://example。com/", UrlRefusal::Host),
        ("https://\u{212a}ernel.org/", UrlRefusal::Host),
        ("https://mu\u{308}nchen.de/", UrlRefusal::Host),
        ("https://example..com/", UrlRefusal::Host),
        ("https://example.com./", UrlRefusal::Host),
        ("https://-example.com/", UrlRefusal::Host),
        ("https://exa!mple.com/", UrlRefusal::Host),
        ("https://[::ffff:93.184.216.34]/", UrlRefusal::Address),
        ("https://168.63.129.16/", UrlRefusal::Address),
        ("https://2130706433/", UrlRefusal::Address),
        ("https://intranet/", UrlRefusal::SpecialName),
        ("https://4.3.2.1.in-addr.arpa/", UrlRefusal::SpecialName),
        ("https://db.cluster.local/", UrlRefusal::SpecialName),
        ("https://a.test/", UrlRefusal::SpecialName),
    ] {
        assert_eq!(strict(text), Err(refusal), "{text:?}");
    }
}

#[test]
fn real_receivers_are_accepted_as_written() {
    for (text, canonical) in [
        ("HTTPS://example.com", "https://example.com/"),
        ("https://example.com?a=1", "https://example.com/?a=1"),
        ("https://example.com:8443/x", "https://example.com:8443/x"),
        ("https://93.184.216.34/hook", "https://93.184.216.34/hook"),
        (
            "https://[2606:4700:4700::1111]:8443/",
            "https://[2606:4700:4700::1111]:8443/",
        ),
        ("https://[2606:4700:4700::ABCD]/", "https://[2606:4700:4700::abcd]/"),
        ("https://MÜNCHEN.de/", "https://xn--mnchen-3ya.de/"),
        ("https://straße.de/", "https://xn--strae-oqa.de/"),
        ("https://XN--MNCHEN-3YA.de/", "https://xn--mnchen-3ya.de/"),
        (
            "https://hooks.münchen.xn--p1ai/",
            "https://hooks.xn--mnchen-3ya.xn--p1ai/",
        ),
        ("https://my_app.example.com/", "https://my_app.example.com/"),
        ("https://a--b.example.com/", "https://a--b.example.com/"),
        (
            "https://example.com/ünï?ç=é",
            "https://example.com/%C3%BCn%C3%AF?%C3%A7=%C3%A9",
        ),
    ] {
        let url = strict(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        assert_eq!(url.as_str(), text);
        assert_eq!(url.url().as_str(), canonical);
    }
    let longest = format!("https://example.com/{}", "a".repeat(MAX_URL_CHARS - 20));
    assert!(strict(&longest).is_ok());
    assert_eq!(strict(&format!("{longest}a")), Err(UrlRefusal::Length));
}

#[test]
fn the_local_policy_opens_http_and_loopback_and_nothing_else() {
    for text in [
        "http://127.0.0.1:8080/hook",
        "https://127.0.0.1:8443/",
        "http://127.0.0.1/",
        "http://127.0.0.1:80/",
        "http://localhost:9000/",
        "http://LOCALHOST:9000/",
        "http://example.com/",
        "https://example.com/",
    ] {
        assert!(local(text).is_ok(), "{text}: {:?}", local(text));
    }
    for (text, refusal) in [
        ("http://127.0.0.2:8080/", UrlRefusal::Address),
        ("http://[::1]:8080/", UrlRefusal::Address),
        ("http://0.0.0.0:8080/", UrlRefusal::Address),
        ("http://10.0.0.1:8080/", UrlRefusal::Address),
        ("http://169.254.169.254/", UrlRefusal::Address),
        ("http://[::ffff:127.0.0.1]:8080/", UrlRefusal::Address),
        ("http://127.1:8080/", UrlRefusal::Host),
        ("http://0x7f000001:8080/", UrlRefusal::Host),
        ("http://2130706434:8080/", UrlRefusal::Address),
        ("http://0177.0.0.1:8080/", UrlRefusal::Host),
        ("http://127.0.0.1:22/", UrlRefusal::Port),
        ("https://127.0.0.1:80/", UrlRefusal::Port),
        ("http://127.0.0.1:0/", UrlRefusal::Port),
        ("http://localhost.:8080/", UrlRefusal::Host),
        ("http://api.localhost:8080/", UrlRefusal::SpecialName),
        ("http://printer.local:8080/", UrlRefusal::SpecialName),
        ("ftp://127.0.0.1:8080/", UrlRefusal::Scheme),
    ] {
        assert_eq!(local(text), Err(refusal), "{text}");
    }
}

#[test]
fn our_own_hosts_are_refused_however_they_are_written() {
    let own = [
        "api.redial-example.com",
        "https://abc.lambda-url.eu-central-1.on.aws/",
        "127.0.0.1:7330",
    ]
    .map(|text| OwnHost::parse(text).unwrap());
    let policy = AddressPolicy::with_local(AllowedNetworks::parse(["127.0.0.1/32"]).unwrap(), true);
    for text in [
        "https://api.redial-example.com/v1/events",
        "https://API.redial-example.COM:8443/",
        "https://abc.lambda-url.eu-central-1.on.aws/v1/events",
        "http://127.0.0.1:7330/v1/events",
        "http://localhost:7330/",
    ] {
        assert_eq!(
            EndpointUrl::parse(text, &policy, &own),
            Err(UrlRefusal::OwnHost),
            "{text}"
        );
    }
    for text in [
        "https://redial-example.com/",
        "http://127.0.0.1:7331/",
        "https://x.api.redial-example.com/",
    ] {
        assert!(EndpointUrl::parse(text, &policy, &own).is_ok(), "{text}");
    }
    for text in ["", "https://", "a b"] {
        assert!(OwnHost::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_debug_line_does_not_show_path_and_query() {
    let url = strict("https://hooks.example.com/services/TOKEN?key=SECRET").unwrap();
    assert_eq!(format!("{url:?}"), "EndpointUrl(https://hooks.example.com/..)");
}

/// Texts that look like URLs more often than random bytes do.
fn url_like() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-z0-9.:%_@-]{0,24}",
        any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from(bits).to_string()),
        any::<u32>().prop_map(|bits| bits.to_string()),
        any::<u32>().prop_map(|bits| format!("0x{bits:x}")),
        any::<u32>().prop_map(|bits| {
            let [a, b, c, d] = bits.to_be_bytes();
            format!("0{a:o}.{b}.0x{c:x}.{d}")
        }),
        any::<u128>().prop_map(|bits| format!("[{}]", std::net::Ipv6Addr::from(bits))),
        any::<u32>().prop_map(|bits| format!("[::ffff:{}]", std::net::Ipv4Addr::from(bits))),
        "\\PC{0,16}(\\.com)?",
    ];
    (
        "(https?|HTTPS|ftp):/{1,3}",
        host,
        "(:[0-9]{0,6})?",
        "([/?#]\\PC{0,16})?",
    )
        .prop_map(|(scheme, host, port, rest)| format!("{scheme}{host}{port}{rest}"))
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>()) {
        let _ = strict(&text).map_err(UrlRefusal::code);
        let _ = local(&format!("https://{text}"));
    }

    #[test]
    fn no_accepted_url_has_an_address_that_is_not_public(text in url_like()) {
        if let Ok(url) = strict(&text) {
            prop_assert_eq!(url.url().scheme(), "https");
            prop_assert!(url.ip().is_none_or(is_public), "{}", text);
            prop_assert!(url.url().username().is_empty() && url.url().password().is_none());
        }
    }

    #[test]
    fn the_canonical_form_of_an_accepted_url_is_accepted_and_stays_itself(text in url_like()) {
        if let Ok(url) = strict(&text) {
            let canonical = url.url().as_str();
            // Percent-encoding lengthens a path; the limit counts what the customer wrote.
            prop_assume!(canonical.len() <= MAX_URL_CHARS);
            let again = strict(canonical);
            prop_assert_eq!(again.as_ref().map(EndpointUrl::url), Ok(url.url()), "{} -> {}", text, canonical);
        }
    }

    #[test]
    fn every_public_ipv4_address_is_accepted_in_dotted_form_only(bits: u32) {
        let ip = std::net::Ipv4Addr::from(bits);
        prop_assert_eq!(strict(&format!("https://{ip}/")).is_ok(), is_public(ip.into()));
        for other in [format!("https://{bits}/"), format!("https://0x{bits:08x}/"), format!("https://[::ffff:{ip}]/")] {
            prop_assert!(strict(&other).is_err(), "{}", other);
        }
    }
}
