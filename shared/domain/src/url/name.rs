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
/// and later), RFC 6762 appendix G, ICANN's reserved and refused ones, and what home routers hand out.
/// The names under `example.com` and its like are reserved too, but resolve publicly and stay usable in documents.
const SPECIAL_TLDS: [&str; 19] = [
    "alt",         // RFC 9476
    "arpa",        // RFC 3172: home.arpa, in-addr.arpa and all the others
    "corp",        // ICANN 2018: refused, private use
    "domain",      // routers
    "example",     // RFC 6761
    "home",        // ICANN 2018, RFC 6762 G
    "internal",    // ICANN 2024: private use; metadata.google.internal, ec2.internal
    "intranet",    // RFC 6762 G
    "invalid",     // RFC 6761
    "lan",         // RFC 6762 G
    "local",       // RFC 6762
    "localdomain", // /etc/hosts of many systems
    "localhost",   // RFC 6761
    "mail",        // ICANN 2018
    "onion",       // RFC 7686
    "private",     // RFC 6762 G
    "router",      // routers
    "test",        // RFC 6761
    "workgroup",   // Windows
];

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
    let (given, canonical, unicode) = (given.split('.'), canonical.split('.'), unicode.split('.'));
    given.clone().count() == canonical.clone().count()
        && given.clone().count() == unicode.clone().count()
        && given
            .zip(canonical.zip(unicode))
            .all(|(given, (ascii, unicode))| given.eq_ignore_ascii_case(ascii) || equals_but_for_case(given, unicode))
}

/// Whether `given` is `lower` with some letters in upper case: character by character and in both directions, so
/// that look-alikes which only lower-case to the same letter (the Kelvin sign, full-width letters) differ.
fn equals_but_for_case(given: &str, lower: &str) -> bool {
    let same = |g: char, l: char| g == l || (g.to_lowercase().eq([l]) && l.to_uppercase().eq([g]));
    given.chars().count() == lower.chars().count() && given.chars().zip(lower.chars()).all(|(g, l)| same(g, l))
}
