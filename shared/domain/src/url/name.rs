//! Rules R5 and R7: which host names are targets, and when a name equals its canonical form. Never maps a name to
//! another one: what would be mapped is refused.

use super::UrlRefusal;
use crate::address::AddressPolicy;

/// Octets of a name, without the root's dot. RFC 1035 section 2.3.4.
const MAX_NAME_BYTES: usize = 253;

/// Octets of a label. RFC 1035 section 2.3.4.
const MAX_LABEL_BYTES: usize = 63;

/// The one name of one label, and only under a policy that opens a loopback address.
const LOCALHOST: &str = "localhost";

/// Top-level labels that never belong to the public internet: the IANA Special-Use Domain Names registry (RFC 6761
/// and later), RFC 6762 appendix G, ICANN's reserved and refused ones, and what home routers, clusters and other naming
/// systems hand out without asking anybody. None is delegated in the public root: no receiver can be behind one.
/// The names under `example.com` and its like are reserved too, but resolve publicly and stay usable in documents.
const SPECIAL_TLDS: [&str; 45] = [
    "alt",          // RFC 9476
    "arpa",         // RFC 3172: home.arpa, in-addr.arpa and all the others
    "belkin",       // routers
    "bit",          // Namecoin
    "cluster",      // Kubernetes, with a search list
    "consul",       // HashiCorp Consul
    "corp",         // ICANN 2018: refused, private use
    "default",      // Kubernetes, with a search list: kubernetes.default
    "dhcp",         // routers
    "dlink",        // routers
    "docker",       // Docker
    "domain",       // routers
    "example",      // RFC 6761
    "exit",         // Tor, formerly
    "gnu",          // GNU Name System
    "home",         // ICANN 2018, RFC 6762 G
    "homestation",  // routers
    "i2p",          // I2P
    "internal",     // ICANN 2024: private use; metadata.google.internal, ec2.internal
    "intra",        // private networks
    "intranet",     // RFC 6762 G
    "invalid",      // RFC 6761
    "ip",           // routers
    "ipa",          // FreeIPA
    "kube",         // Kubernetes
    "lan",          // RFC 6762 G
    "loc",          // private networks
    "local",        // RFC 6762
    "localdomain",  // /etc/hosts of many systems
    "localdomain4", // /etc/hosts of Red Hat's
    "localdomain6", // /etc/hosts of Red Hat's
    "localhost",    // RFC 6761
    "localnet",     // private networks
    "lxd",          // LXD
    "mail",         // ICANN 2018
    "onion",        // RFC 7686
    "priv",         // private networks
    "private",      // RFC 6762 G
    "router",       // routers
    "svc",          // Kubernetes, with a search list
    "test",         // RFC 6761
    "vagrant",      // Vagrant
    "vm",           // virtual machines
    "workgroup",    // Windows
    "zkey",         // GNU Name System
];

/// Names below public top-level labels that are a cloud's metadata service and nothing else. The resolver refuses their
/// addresses anyway; here the customer is told at once.
const METADATA_NAMES: [&str; 2] = ["metadata.goog", "metadata.tencentyun.com"];

/// Checks the host `given` in a URL against `canonical`, what the WHATWG parser made of it.
pub(super) fn check(given: &str, canonical: &str, policy: &AddressPolicy) -> Result<(), UrlRefusal> {
    if !is_canonical(given, canonical) {
        return Err(UrlRefusal::Host);
    }
    if canonical == LOCALHOST && !policy.permitted_loopback().is_empty() {
        return Ok(());
    }
    let labels: Vec<&str> = canonical.split('.').collect();
    if canonical.len() > MAX_NAME_BYTES || !labels.iter().all(|label| is_label(label)) {
        return Err(UrlRefusal::Host);
    }
    match labels.last() {
        Some(top) if SPECIAL_TLDS.contains(top) => Err(UrlRefusal::SpecialName),
        _ if METADATA_NAMES.contains(&canonical) => Err(UrlRefusal::SpecialName),
        Some(_) if labels.len() >= 2 => Ok(()),
        _ => Err(UrlRefusal::SpecialName),
    }
}

/// Letters, digits, hyphens not at the ends (RFC 1123), and `_`, which real receivers use.
fn is_label(label: &str) -> bool {
    let alphabet = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    !label.is_empty()
        && label.len() <= MAX_LABEL_BYTES
        && label.bytes().all(alphabet)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// R5: each label is written as its canonical form, or as the Unicode that this form stands for; case aside.
fn is_canonical(given: &str, canonical: &str) -> bool {
    if given.is_ascii() && !canonical.contains("xn--") {
        return given.eq_ignore_ascii_case(canonical);
    }
    let (unicode, readable) = idna::domain_to_unicode(canonical);
    // The Punycode must be the one that its Unicode form would get: two spellings of a name are one too many.
    if readable.is_err() || idna::domain_to_ascii(&unicode).ok().as_deref() != Some(canonical) {
        return false;
    }
    if unicode.contains(is_like_a_delimiter) {
        return false;
    }
    let (given, canonical, unicode) = (given.split('.'), canonical.split('.'), unicode.split('.'));
    given.clone().count() == canonical.clone().count()
        && given.clone().count() == unicode.clone().count()
        && given
            .zip(canonical.zip(unicode))
            .all(|(given, (ascii, unicode))| given.eq_ignore_ascii_case(ascii) || equals_but_for_case(given, unicode))
}

/// Characters that IDNA as browsers read it leaves in a name although they look like what ends a label or a host: slashes,
/// colons and dots. `example.com⁄hook.evil.example` reads as a path and is a name.
const fn is_like_a_delimiter(c: char) -> bool {
    matches!(
        c,
        '\u{0337}'
            | '\u{0338}'
            | '\u{0589}'
            | '\u{05c3}'
            | '\u{06d4}'
            | '\u{0701}'
            | '\u{0702}'
            | '\u{1735}'
            | '\u{2027}'
            | '\u{2044}'
            | '\u{2215}'
            | '\u{2216}'
            | '\u{2236}'
            | '\u{2571}'
            | '\u{2572}'
            | '\u{29f5}'
            | '\u{29f6}'
            | '\u{29f8}'
            | '\u{29f9}'
            | '\u{a4f8}'
            | '\u{a789}'
    )
}

/// Whether `given` is `lower` with some letters in upper case: character by character and in both directions, so
/// that look-alikes which only lower-case to the same letter (the Kelvin sign, full-width letters) differ.
fn equals_but_for_case(given: &str, lower: &str) -> bool {
    let same = |g: char, l: char| g == l || (g.to_lowercase().eq([l]) && l.to_uppercase().eq([g]));
    given.chars().count() == lower.chars().count() && given.chars().zip(lower.chars()).all(|(g, l)| same(g, l))
}
