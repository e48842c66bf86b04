//! The events of a bench: calls that ended, with a transcript that fills them up to the size asked for. Each carries the mark
//! of its run and its number, by which the receiver knows it wherever it stands in the delivered body. Pure.

use std::fmt::Write as _;

/// Least `data` of an event, in bytes: what its fields need, with the longest numbers.
pub(super) const MIN_PAYLOAD_BYTES: u32 = 320;
/// Most `data` of an event, in bytes: an event may have 256 KiB with everything around (docs/LIMITS.md).
pub(super) const MAX_PAYLOAD_BYTES: u32 = 254 * 1024;
/// The type of all of them.
pub(super) const EVENT_TYPE: &str = "call.ended";

const MARK: &str = "\"bench_mark\":";
const NUMBER: &str = "\"bench_number\":";
const END: &str = "\"}";
/// What is said on the phone. As unlike as speech is, so that it compresses as speech does.
const WORDS: [&str; 32] = [
    "hello",
    "yes",
    "the",
    "appointment",
    "on",
    "Tuesday",
    "would",
    "be",
    "fine",
    "could",
    "you",
    "tell",
    "me",
    "when",
    "doctor",
    "is",
    "available",
    "and",
    "whether",
    "I",
    "need",
    "to",
    "bring",
    "my",
    "insurance",
    "card",
    "thank",
    "for",
    "calling",
    "pharmacy",
    "delivery",
    "tomorrow",
];

/// Which event it is: the mark of its run and its number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) mark: u32,
    pub(super) number: u32,
}

impl Which {
    /// The id that the event has if the bench gives ids.
    pub(super) fn id(self) -> String {
        format!("bench-{}-{}", self.mark, self.number)
    }

    /// The event of a delivered body; none if it is no event of a bench.
    pub(super) fn of_body(body: &[u8]) -> Option<Self> {
        Some(Self {
            mark: number_after(body, MARK.as_bytes())?,
            number: number_after(body, NUMBER.as_bytes())?,
        })
    }
}

/// Appends an event whose `data` has `data_bytes`.
pub(super) fn write_event(out: &mut String, which: Which, tenant: &str, own_id: bool, data_bytes: u32) {
    let Which { mark, number } = which;
    let id = if own_id {
        format!("\"id\":\"{}\",", which.id())
    } else {
        String::new()
    };
    // Writing into a String cannot fail.
    let _ = write!(out, "{{\"type\":\"{EVENT_TYPE}\",\"tenant\":\"{tenant}\",{id}\"data\":");
    let begins = out.len();
    let _ = write!(
        out,
        "{{{MARK}{mark},{NUMBER}{number},\"call_id\":\"call_{mark:08x}{number:08}\",\"direction\":\"inbound\",\
         \"from\":\"+9665{:08}\",\"to\":\"+96653822051\",\"status\":\"completed\",\"duration_s\":{}.5,\
         \"ended_by\":\"customer\",\"transcript\":\"",
        number % 100_000_000,
        20 + number % 300,
    );
    let size = usize::try_from(data_bytes).unwrap_or(usize::MAX);
    let text_ends = begins + size.saturating_sub(END.len());
    let mut state = u64::from(number) | 1;
    while out.len() < text_ends {
        // A linear congruential generator (Knuth's MMIX): the same event is the same text.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS[usize::try_from(state >> 59).unwrap_or(0)];
        let room = text_ends - out.len();
        out.push_str(&word[..word.len().min(room)]);
        if out.len() < text_ends {
            out.push(' ');
        }
    }
    out.push_str(END);
    out.push('}');
}

fn number_after(body: &[u8], name: &[u8]) -> Option<u32> {
    let begins = body.windows(name.len()).position(|part| part == name)? + name.len();
    let digits = body.get(begins..)?.iter().take_while(|byte| byte.is_ascii_digit());
    let mut number = None;
    for digit in digits {
        number = Some(
            number
                .unwrap_or(0u32)
                .checked_mul(10)?
                .checked_add(u32::from(digit - b'0'))?,
        );
    }
    number
}

#[cfg(test)]
mod tests {
    use redial_domain::catalogue;
    use serde_json::Value;

    use super::*;

    fn event(number: u32, own_id: bool, data_bytes: u32) -> String {
        let mut text = String::new();
        let which = Which { mark: u32::MAX, number };
        write_event(&mut text, which, "bench-1", own_id, data_bytes);
        text
    }

    #[test]
    fn data_has_the_size_that_was_asked_for_and_tells_which_event_it_is() {
        for size in [MIN_PAYLOAD_BYTES, 1024, 10_001, MAX_PAYLOAD_BYTES] {
            for number in [0, 1, 19_999, u32::MAX] {
                let text = event(number, false, size);
                let read: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(
                    text.find("\"data\":").map(|at| text.len() - 1 - at - 7),
                    Some(size as usize)
                );
                assert!(read.get("id").is_none());
                let which = Which { mark: u32::MAX, number };
                assert_eq!(Which::of_body(text.as_bytes()), Some(which));
            }
        }
    }

    #[test]
    fn an_event_fits_its_schema() {
        let read: Value = serde_json::from_str(&event(7, true, 1024)).unwrap();
        assert_eq!(read["id"], format!("bench-{}-7", u32::MAX));
        let known = catalogue::find(EVENT_TYPE).unwrap();
        let fields = &known.schema["properties"];
        for name in known.schema["required"].as_array().unwrap() {
            assert!(read["data"].get(name.as_str().unwrap()).is_some(), "{name}");
        }
        for name in ["call_id", "direction", "from", "to", "status", "duration_s", "ended_by"] {
            assert!(fields.get(name).is_some() && read["data"].get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_is_no_event_of_a_bench_is_none() {
        for body in [
            "",
            "{}",
            r#"{"bench_mark":1}"#,
            r#"{"bench_mark":1,"bench_number":99999999999}"#,
            r#"{"bench_mark":,"bench_number":1}"#,
        ] {
            assert_eq!(Which::of_body(body.as_bytes()), None, "{body}");
        }
    }
}
