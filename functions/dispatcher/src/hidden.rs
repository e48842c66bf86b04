//! Takes what authenticates a request out of its answer. Receivers that echo what they were sent (mirrors, pages for debugging,
//! proxies that explain a failure) would have us store and show what is sealed everywhere else. Must run before an answer is
//! stored or shown, and must never log what it looks for.
//!
//! A value is found as it is, with characters escaped as JSON, URLs and HTML do, in base64 at any alignment, and in hex. An
//! answer that packs or enciphers it, or gives it in parts, is not understood: docs/SECURITY.md, section 10.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use redial_domain::auth::EndpointAuth;
use redial_domain::outcome::{Answer, MAX_RESPONSE_BYTES, Outcome};
use redial_domain::profile::Profile;
use redial_domain::signature::SECRET_PREFIX;
use redial_egress::{Head, MAX_SHOWN_VALUE_BYTES};
use redial_platform::seal::Credentials;

#[cfg(test)]
mod tests;

/// What stands in place of a value that authenticates.
pub(crate) const HIDDEN: &str = "[hidden]";
/// Bytes of a secret, and of the beginning of one at which an answer was cut, from which on it is looked for: what is shorter
/// is in every text, and soon guessed.
const SHORTEST_SECRET: usize = 4;
/// Bytes of a custom header's value, and of a part of it, from which on it counts as a secret: shorter are numbers and words.
const SHORTEST_VALUE: usize = 8;
/// Bytes of a secret that are hidden also where the rest of it does not follow. It also bounds what a byte of an answer costs.
const ENOUGH: usize = 32;
/// Parts of a header's value that are looked for by themselves.
const MAX_PARTS: usize = 8;
/// What such parts stand between: `Token abc`, `session=abc; path=/`.
const BETWEEN: [char; 5] = [' ', ';', ',', '=', '"'];
/// How custom headers begin that say what answer is wanted: nothing that authenticates.
const WISHES: &str = "accept";
/// Bytes of the longest escape of one character: `&#x002f;`.
const LONGEST_ESCAPE: usize = 8;

/// What the request to an endpoint carried and nobody is to see, in each form.
pub(crate) struct Hider {
    /// In order, each once.
    sought: Vec<Vec<u8>>,
}

impl Hider {
    /// `None`: requests of `profile` with these credentials carry no secret, only signatures.
    pub(crate) fn of(credentials: &Credentials, profile: Profile) -> Option<Self> {
        let is_bare = credentials.auth.is_none() && credentials.headers.iter().next().is_none();
        if is_bare && profile != Profile::Voicehub {
            return None;
        }
        let mut sought = Vec::new();
        for value in carried(credentials, profile) {
            forms(&value, &mut sought);
        }
        sought.sort_unstable();
        sought.dedup();
        Some(Self { sought })
    }

    /// Hides them in the body of an answer.
    pub(crate) fn hide_in_body(&self, answer: &mut Answer) {
        let Some(mut body) = self.hidden(&answer.body, answer.truncated) else {
            return;
        };
        // What stands in their place may be longer than they were.
        answer.truncated |= body.len() > MAX_RESPONSE_BYTES;
        body.truncate(MAX_RESPONSE_BYTES);
        answer.body = body;
    }

    /// Hides them in the headers of an answer.
    pub(crate) fn hide_in_head(&self, head: &mut Head) {
        for (_, value) in &mut head.headers {
            let is_cut = value.len() >= MAX_SHOWN_VALUE_BYTES;
            if let Some(hidden) = self.hidden(value.as_bytes(), is_cut) {
                *value = String::from_utf8_lossy(&hidden).into_owned();
            }
        }
    }

    /// `None`: none of them is in it. With `is_cut`, what is in front of its end may be the beginning of one.
    fn hidden(&self, text: &[u8], is_cut: bool) -> Option<Vec<u8>> {
        let mut found = Vec::new();
        for reading in READINGS {
            if reading.escapes.iter().all(|escape| !text.contains(escape)) && !reading.escapes.is_empty() {
                continue;
            }
            let read = Read::of(text, &reading, is_cut);
            let mut at = 0;
            while at < read.bytes.len() {
                let length = self.length(&read.bytes[at..], is_cut);
                if length > 0 {
                    found.push(read.starts[at]..read.starts[at + length]);
                }
                at += length.max(1);
            }
        }
        if found.is_empty() {
            return None;
        }
        found.sort_unstable_by_key(|range| range.start);
        let (mut shown, mut kept) = (Vec::with_capacity(text.len()), 0);
        for range in found {
            if range.start >= kept {
                shown.extend_from_slice(&text[kept..range.start]);
                shown.extend_from_slice(HIDDEN.as_bytes());
            }
            kept = kept.max(range.end);
        }
        shown.extend_from_slice(&text[kept..]);
        Some(shown)
    }

    /// How many bytes at the beginning of `text` are one of them, or enough of one; 0: none.
    fn length(&self, text: &[u8], is_cut: bool) -> usize {
        let (mut candidates, mut whole) = (&self.sought[..], 0);
        for (count, byte) in text.iter().enumerate() {
            if candidates.first().is_some_and(|one| one.len() == count) {
                (whole, candidates) = (count, &candidates[1..]);
            }
            // They are in order, and so are their bytes at this place.
            let from = candidates.partition_point(|one| one[count] < *byte);
            let until = candidates.partition_point(|one| one[count] <= *byte);
            candidates = &candidates[from..until];
            if candidates.is_empty() {
                return if count >= ENOUGH { count } else { whole };
            }
        }
        let is_whole = candidates.first().is_some_and(|one| one.len() == text.len());
        let is_enough = text.len() >= ENOUGH || is_cut && text.len() >= SHORTEST_SECRET;
        if is_whole || is_enough { text.len() } else { whole }
    }
}

/// A way to read a text: what single characters may be written as.
struct Reading {
    /// What an escape begins with; nothing: there are none.
    escapes: &'static [u8],
    /// What an escape at the beginning of a text stands for, and its length.
    escape: fn(&[u8]) -> Option<(u8, usize)>,
}

/// As it is, and as JSON, URLs and HTML escape.
const READINGS: [Reading; 4] = [
    Reading {
        escapes: b"",
        escape: |_| None,
    },
    Reading {
        escapes: b"\\",
        escape: |text| match text {
            [b'\\', b'u', b'0', b'0', high, low, ..] => Some((number(&[*high, *low], 16)?, 6)),
            [b'\\', escaped, ..] if escaped.is_ascii_punctuation() => Some((*escaped, 2)),
            _ => None,
        },
    },
    Reading {
        escapes: b"%+",
        escape: |text| match text {
            [b'%', high, low, ..] => Some((number(&[*high, *low], 16)?, 3)),
            [b'+', ..] => Some((b' ', 1)),
            _ => None,
        },
    },
    Reading {
        escapes: b"&",
        escape: entity,
    },
];

/// A text as it was read.
struct Read {
    bytes: Vec<u8>,
    /// Where each of the bytes begins in the text; and, last, where the last one ends.
    starts: Vec<usize>,
}

impl Read {
    fn of(text: &[u8], reading: &Reading, is_cut: bool) -> Self {
        let (mut bytes, mut starts) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
        let mut at = 0;
        while let Some(first) = text.get(at) {
            let rest = &text[at..];
            let escaped = (reading.escape)(rest);
            let is_half = escaped.is_none() && reading.escapes.contains(first) && rest.len() < LONGEST_ESCAPE;
            if is_cut && is_half {
                break;
            }
            let (byte, length) = escaped.unwrap_or((*first, 1));
            bytes.push(byte);
            starts.push(at);
            at += length;
        }
        // What reaches half an escape has it too.
        starts.push(text.len());
        Self { bytes, starts }
    }
}

/// Hides what a request carried in what came of it. Costs nothing where it carried nothing, or nothing was answered.
pub(crate) fn hide(outcome: &mut Outcome, credentials: &Credentials, profile: Profile) {
    if let Outcome::Answered(answer) = outcome
        && !answer.body.is_empty()
        && let Some(hider) = Hider::of(credentials, profile)
    {
        hider.hide_in_body(answer);
    }
}

/// The values, whole and in the parts that are worth something alone.
fn carried(credentials: &Credentials, profile: Profile) -> Vec<String> {
    let mut values = Vec::new();
    match &credentials.auth {
        Some(EndpointAuth::ApiKey { value, .. }) => {
            values.push(value.clone());
            values.extend(parts(value));
        }
        Some(EndpointAuth::Basic { username, password }) => {
            values.push(STANDARD.encode(format!("{username}:{password}")));
            // Where it stands alone, the user name is the secret.
            values.push(if password.is_empty() { username } else { password }.clone());
        }
        Some(EndpointAuth::Bearer { token }) => values.push(token.clone()),
        None => {}
    }
    let custom = credentials.headers.iter();
    for header in custom.filter(|header| !header.name().starts_with(WISHES)) {
        let value = header.value();
        values.extend((value.len() >= SHORTEST_VALUE).then(|| value.to_owned()));
        values.extend(parts(value));
    }
    if profile == Profile::Voicehub {
        let secret = credentials.secret.reveal();
        values.push(secret.to_owned());
        values.extend(secret.strip_prefix(SECRET_PREFIX).map(str::to_owned));
    }
    values.retain(|value| value.len() >= SHORTEST_SECRET);
    values
}

fn parts(value: &str) -> impl Iterator<Item = String> {
    let parts = value.split(BETWEEN).filter(|part| part.len() >= SHORTEST_VALUE);
    parts.take(MAX_PARTS).map(str::to_owned)
}

/// The forms of a value; escapes of single characters are understood by [`READINGS`].
fn forms(value: &str, into: &mut Vec<Vec<u8>>) {
    let bytes = value.as_bytes();
    into.push(bytes.to_vec());
    for shift in 0..3 {
        let before = [&b"\0\0"[..shift], bytes].concat();
        // Only characters that the bytes around it have no part in.
        let whole = shift.div_ceil(3) + shift..before.len() * 4 / 3;
        for encoded in [STANDARD.encode(&before), URL_SAFE.encode(&before)] {
            into.extend(encoded.as_bytes().get(whole.clone()).map(<[u8]>::to_vec));
        }
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    into.push(hex.to_uppercase().into_bytes());
    into.push(hex.into_bytes());
    if !value.is_ascii() {
        // JSON in ASCII alone.
        let escaped = |c: char| {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect::<String>()
        };
        let escaped = value.chars().map(|c| if c.is_ascii() { c.into() } else { escaped(c) });
        into.push(escaped.collect::<String>().into_bytes());
    }
    into.retain(|form| form.len() >= SHORTEST_SECRET);
}

/// What an HTML entity at the beginning of a text stands for, and its length.
fn entity(text: &[u8]) -> Option<(u8, usize)> {
    let end = text.iter().take(LONGEST_ESCAPE).position(|byte| *byte == b';')?;
    let byte = match &text[..end] {
        b"&amp" => b'&',
        b"&lt" => b'<',
        b"&gt" => b'>',
        b"&quot" => b'"',
        b"&apos" => b'\'',
        [b'&', b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
        [b'&', b'#', digits @ ..] => number(digits, 10)?,
        _ => return None,
    };
    Some((byte, end + 1))
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(digits, radix).ok()
}
