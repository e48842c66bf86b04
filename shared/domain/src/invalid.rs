//! What is wrong with an input: which field, why, under a stable code. Every parser in this crate answers with it,
//! and one file (`redial_platform::problem`) turns it into an HTTP answer.

use std::borrow::Cow;
use std::fmt;

/// Longest detail, in characters.
const MAX_DETAIL_CHARS: usize = 300;

/// A refused input. Shown to whoever sent it: `detail` says what to do and never tells internals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Stable and machine-readable: `url_scheme`, `event_too_large`, ...
    pub code: &'static str,
    /// The JSON path of the field to blame, as `data` or `endpoint.url`; empty if the whole input is.
    pub field: Cow<'static, str>,
    /// One sentence for a person.
    pub detail: Cow<'static, str>,
}

impl Invalid {
    /// A refusal of `field` under `code`.
    pub fn new(code: &'static str, field: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            field: field.into(),
            detail: cut(detail.into()),
        }
    }
}

/// A detail may quote what was sent: never at any length.
fn cut(detail: Cow<'static, str>) -> Cow<'static, str> {
    match detail.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => format!("{}...", &detail[..end]).into(),
        None => detail,
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{} ({})", self.detail, self.code)
        } else {
            write!(f, "{}: {} ({})", self.field, self.detail, self.code)
        }
    }
}

impl std::error::Error for Invalid {}
