//! Where and why an event's `data` does not fit the schema of its type. Says it without the value: a misfit is answered,
//! and may be logged by whoever reads the answer. Finds nothing itself.

use serde::{Deserialize, Serialize};

/// Most misfits that are told of one event.
pub const MAX_MISFITS: usize = 10;
/// Longest text of a misfit, in characters: names of members are the platform's, at any length.
const MAX_TEXT_CHARS: usize = 200;

/// One way in which `data` does not fit the schema of its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfit {
    /// Where, as a JSON Pointer into `data` (RFC 6901); empty: `data` itself.
    pub path: String,
    /// Which rule of the schema, as a JSON Pointer into it.
    pub rule: String,
    /// What is wrong, without the value.
    pub detail: String,
}

impl Misfit {
    /// A misfit; texts that are too long are cut.
    #[must_use]
    pub fn new(path: &str, rule: &str, detail: &str) -> Self {
        Self {
            path: plain(path),
            rule: plain(rule),
            detail: plain(detail),
        }
    }

    /// The field to blame, as refusals name it: `data.turns.1.text`.
    #[must_use]
    pub fn field(&self) -> String {
        format!("data{}", self.path.replace('/', "."))
    }
}

/// Without control characters, which a terminal would obey, and at most as long as an answer of many misfits can bear.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => format!("{}...", text[..end].chars().map(shown).collect::<String>()),
        None => text.chars().map(shown).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_written_as_refusals_write_it() {
        assert_eq!(Misfit::new("/turns/1/text", "", "").field(), "data.turns.1.text");
        assert_eq!(Misfit::new("", "", "").field(), "data");
    }

    #[test]
    fn no_text_is_long_or_obeyed_by_a_terminal() {
        let misfit = Misfit::new(&"é".repeat(5_000), "\u{1b}[2J", "is wrong");
        assert_eq!(misfit.path.chars().count(), MAX_TEXT_CHARS + 3);
        assert_eq!(
            (misfit.rule.as_str(), misfit.detail.as_str()),
            ("\u{fffd}[2J", "is wrong")
        );
    }
}
