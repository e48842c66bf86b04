//! The address classes, by the registries, by the corpus and by random members.

use proptest::prelude::*;

use super::*;

const RESOLUTIONS: [&str; 2] = [
    include_str!("../../../../tests/data/hostile-resolutions.tsv"),
    include_str!("../../../../tests/data/hostile-resolutions-more.tsv"),
];

fn local() -> AddressPolicy {
    AddressPolicy::with_local(AllowedNetworks::parse(["127.0.0.1/32"]).unwrap(), true)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The address before the network and the one after it.
fn neighbours(network: Ipv4Net) -> [Option<Ipv4Addr>; 2] {
    let (first, last) = (u32::from(network.network()), u32::from(network.broadcast()));
    [
        first.checked_sub(1).map(Ipv4Addr::from),
        last.checked_add(1).map(Ipv4Addr::from),
    ]
}

#[test]
fn every_last_answer_of_the_corpus_gets_its_verdict() {
    let policy = AddressPolicy::strict();
    let mut rows = 0;
    for line in RESOLUTIONS.iter().flat_map(|corpus| corpus.lines()) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, answers, verdict, why] = columns[..] else {
            panic!("four columns: {line}")
        };
        let last = answers.rsplit(';').next().unwrap();
        // No addresses, or too many: the resolver's business, see the tests of `redial-egress`.
        if matches!(last, "NXDOMAIN" | "EMPTY" | "SERVFAIL" | "REFUSED" | "TIMEOUT") || why.starts_with("many:") {
            continue;
        }
        let permitted = last
            .split(',')
            .all(|answer| answer.parse().is_ok_and(|ip| policy.permits(ip)));
        assert_eq!(permitted, verdict == "accept", "{name} {answers}: {why}");
        rows += 1;
    }
    assert!(rows > 230, "only {rows} rows were read");
}

#[test]
fn every_refused_network_is_refused_to_its_ends_and_no_further() {
    for network in REFUSED_V4 {
        assert!(!is_public(network.network().into()), "{network}");
        assert!(!is_public(network.broadcast().into()), "{network}");
        for neighbour in neighbours(network).into_iter().flatten() {
            let covered = REFUSED_V4.iter().any(|other| other.contains(&neighbour));
            assert_eq!(is_public(neighbour.into()), !covered, "{neighbour} beside {network}");
        }
    }
    for (inside, outside) in [
        ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"),
        ("2001:db8::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"),
        ("2002::", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"),
        ("3fff::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"),
        ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"),
        ("4000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ] {
        assert!(!is_public(ip(inside)), "{inside}");
        assert!(is_public(ip(outside)), "{outside}");
    }
}

#[test]
fn the_services_of_clouds_are_refused() {
    for text in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.100.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::a9fe:a9fe",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
    ] {
        assert!(!AddressPolicy::strict().permits(ip(text)), "{text}");
        assert!(!local().permits(ip(text)), "{text}");
    }
}

#[test]
fn a_local_policy_opens_what_it_names_and_nothing_else() {
    let policy = local();
    assert!(policy.permits(ip("127.0.0.1")));
    assert!(policy.allows_http());
    assert_eq!(policy.permitted_loopback(), [ip("127.0.0.1")]);
    for text in [
        "127.0.0.2",
        "::1",
        "::ffff:127.0.0.1",
        "10.0.0.1",
        "0.0.0.0",
        "192.168.1.1",
    ] {
        assert!(!policy.permits(ip(text)), "{text}");
    }
    assert!(policy.permits(ip("93.184.216.34")));
    assert!(AddressPolicy::strict().permitted_loopback().is_empty());
}

#[test]
fn no_list_of_networks_is_an_off_switch() {
    for text in ["0.0.0.0/0", "128.0.0.0/1", "::/0", "2000::/3", "0.0.0.0/7"] {
        assert!(
            matches!(AllowedNetworks::parse([text]), Err(NetworkRefusal::TooWide { .. })),
            "{text}"
        );
    }
    for text in [
        "169.254.0.0/16",
        "169.254.169.254/32",
        "169.0.0.0/8",
        "168.63.129.16/32",
    ] {
        assert!(
            matches!(AllowedNetworks::parse([text]), Err(NetworkRefusal::Metadata { .. })),
            "{text}"
        );
    }
    for text in ["", "127.0.0.1", "localhost/8", "127.0.0.1/33"] {
        assert!(
            matches!(AllowedNetworks::parse([text]), Err(NetworkRefusal::NotANetwork { .. })),
            "{text}"
        );
    }
    let many = vec!["127.0.0.1/32"; MAX_ALLOWED_NETWORKS + 1];
    assert_eq!(AllowedNetworks::parse(many), Err(NetworkRefusal::TooMany));
}

proptest! {
    #[test]
    fn nothing_that_the_standard_library_calls_special_is_public(bits: u32) {
        let ip = Ipv4Addr::from(bits);
        let special = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast()
            || ip.is_broadcast() || ip.is_documentation() || ip.is_unspecified();
        prop_assert!(!(special && is_public(ip.into())), "{ip}");
    }

    #[test]
    fn no_member_of_a_refused_network_is_permitted(which in 0..REFUSED_V4.len(), bits: u32) {
        let network = REFUSED_V4[which];
        let ip = Ipv4Addr::from(u32::from(network.network()) | (bits & u32::from(network.hostmask())));
        prop_assert!(network.contains(&ip));
        prop_assert!(!AddressPolicy::strict().permits(ip.into()), "{ip}");
    }

    #[test]
    fn only_global_unicast_ipv6_is_public(bits: u128) {
        let ip = Ipv6Addr::from(bits);
        prop_assert!(!is_public(ip.into()) || (bits >> 125) == 1, "{ip}");
    }

    #[test]
    fn no_ipv6_that_embeds_an_ipv4_address_is_permitted(bits: u32) {
        let v4 = u128::from(bits);
        let embedded = [
            v4,                                      // compatible
            0xffff_u128 << 32 | v4,                  // mapped
            0xffff_u128 << 48 | v4,                  // SIIT
            0x0064_ff9b_u128 << 96 | v4,             // NAT64
            0x0064_ff9b_0001_u128 << 80 | v4,        // local NAT64
            0x2002_u128 << 112 | v4 << 80,           // 6to4
            0x2001_u128 << 112 | v4 << 64,           // Teredo
            0x2600_u128 << 112 | 0x5efe << 32 | v4,  // ISATAP
            0x2600_u128 << 112 | 0x0200_5efe << 32 | v4,
        ];
        for bits in embedded {
            let ip = Ipv6Addr::from(bits);
            prop_assert!(!AddressPolicy::strict().permits(ip.into()), "{ip}");
        }
    }

    #[test]
    fn a_local_policy_differs_from_the_deployed_one_only_inside_its_networks(bits: u32) {
        let ip = IpAddr::V4(Ipv4Addr::from(bits));
        prop_assert_eq!(local().permits(ip), is_public(ip) || ip == IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
