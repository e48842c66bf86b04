//! W3C trace context: the header that ties a delivered request to the request that brought its event. Read strictly and
//! passed on unchanged; whatever is not exactly of version 00 is no trace context, and is left out.
//! <https://www.w3.org/TR/trace-context/#traceparent-header>

use std::fmt;

/// Length of a `traceparent` of version 00.
const LEN: usize = 55;
/// What one of version 00 begins with.
const VERSION: &str = "00-";
/// Hexadecimal digits of a trace's id.
const TRACE_ID_LEN: usize = 32;
/// Hexadecimal digits of the caller's span.
const PARENT_ID_LEN: usize = 16;
/// Hexadecimal digits of the flags.
const FLAGS_LEN: usize = 2;

/// A `traceparent` of version 00: `00-<trace id>-<parent id>-<flags>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Traceparent(String);

impl Traceparent {
    /// Reads one; `None` if it is none of version 00: lower-case hexadecimal, neither id all zeros.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex =
            |part: &str, len: usize| part.len() == len && part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let id = |part: &str, len: usize| hex(part, len) && part.bytes().any(|c| c != b'0');
        let mut parts = text.strip_prefix(VERSION).filter(|_| text.len() == LEN)?.split('-');
        let (trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let valid = parts.next().is_none()
            && id(trace_id, TRACE_ID_LEN)
            && id(parent_id, PARENT_ID_LEN)
            && hex(flags, FLAGS_LEN);
        valid.then(|| Self(text.to_owned()))
    }

    /// The text, as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the recommendation.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_recommendation_is_one() {
        assert_eq!(Traceparent::parse(EXAMPLE).unwrap().as_str(), EXAMPLE);
    }

    #[test]
    fn whatever_is_not_exactly_of_version_00_is_none() {
        let zero_trace = EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_parent = EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16));
        let others = [
            "",
            "00",
            &zero_trace,
            &zero_parent,
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replacen("00-", "01-", 1),
            &EXAMPLE.replacen("00-", "ff-", 1),
            &EXAMPLE.replace('-', "_"),
            &format!("{EXAMPLE}-00"),
            &format!(" {EXAMPLE}"),
            &EXAMPLE[..EXAMPLE.len() - 1],
            &EXAMPLE.replace("4bf9", "4bg9"),
            &EXAMPLE.replace("4bf9", "4-f9"),
            &EXAMPLE.replace("-01", "-é"),
        ];
        for text in others {
            assert_eq!(Traceparent::parse(text), None, "{text}");
        }
    }
}
