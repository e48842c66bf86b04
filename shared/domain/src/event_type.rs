//! The name of an event type: dotted segments, as `call.ended`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::invalid::Invalid;

/// Longest name of an event type.
pub const MAX_EVENT_TYPE_LEN: usize = 128;

/// A name of the form `^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTypeName(String);

impl EventTypeName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`Invalid`] with code `event_type_invalid`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let segment = |s: &str| !s.is_empty() && s.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if text.len() > MAX_EVENT_TYPE_LEN || !text.split('.').all(segment) {
            let detail = "must be segments of A-Z a-z 0-9 _ joined by dots, at most 128 characters";
            return Err(Invalid::new("event_type_invalid", "type", detail));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventTypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventTypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for EventTypeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EventTypeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
