//! DynamoDB items, typed at the edges: a builder that leaves absent values out, and a reader whose errors name the
//! attribute. Knows attribute types, no item. Attributes that a reader does not know it ignores; an item of a newer form
//! (`format`) it refuses whole.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use redial_domain::Timestamp;

use crate::format::{self, Newer};
use crate::keys::Key;

/// The attributes of an item.
pub type Attributes = HashMap<String, AttributeValue>;

/// A stored item does not have the form that this version writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stored item {pk} {sk}: attribute {attribute} is missing or of another type")]
pub struct Corrupt {
    pk: String,
    sk: String,
    attribute: &'static str,
}

/// An item, being written or read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Item(pub Attributes);

impl From<&Key> for Item {
    fn from(key: &Key) -> Self {
        Self::default().text("pk", &key.pk).text("sk", &key.sk)
    }
}

impl Item {
    /// An item as DynamoDB gives it.
    ///
    /// # Errors
    /// [`Newer`] if a newer version of Redial wrote it, in a form that this one does not know.
    pub fn stored(attributes: Attributes) -> Result<Self, Newer> {
        let item = Self(attributes);
        format::check(item.get_number(format::FIELD).map(i64::unsigned_abs))?;
        Ok(item)
    }

    /// With a string.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::S(value.into()));
        self
    }

    /// With a string, if there is one.
    #[must_use]
    pub fn maybe_text(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// With a whole number.
    #[must_use]
    pub fn number(mut self, name: &str, value: i64) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::N(value.to_string()));
        self
    }

    /// With a whole number, if there is one.
    #[must_use]
    pub fn maybe_number(self, name: &str, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    /// With a moment, in milliseconds.
    #[must_use]
    pub fn moment(self, name: &str, value: Timestamp) -> Self {
        self.number(name, value.as_millis())
    }

    /// With bytes.
    #[must_use]
    pub fn bytes(mut self, name: &str, value: Vec<u8>) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::B(Blob::new(value)));
        self
    }

    /// With a list of strings.
    #[must_use]
    pub fn texts<T: Into<String>>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        let list = values
            .into_iter()
            .map(|value| AttributeValue::S(value.into()))
            .collect();
        self.0.insert(name.to_owned(), AttributeValue::L(list));
        self
    }

    /// With the flag, if it is set.
    #[must_use]
    pub fn flag(mut self, name: &str, value: bool) -> Self {
        if value {
            self.0.insert(name.to_owned(), AttributeValue::Bool(true));
        }
        self
    }

    /// The item's primary key; empty texts if it has none.
    #[must_use]
    pub fn key(&self) -> Key {
        let part = |name| self.get_text(name).unwrap_or_default().to_owned();
        Key {
            pk: part("pk"),
            sk: part("sk"),
        }
    }

    /// A string.
    #[must_use]
    pub fn get_text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    /// A whole number.
    #[must_use]
    pub fn get_number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_n().ok()?.parse().ok()
    }

    /// A moment.
    #[must_use]
    pub fn get_moment(&self, name: &str) -> Option<Timestamp> {
        self.get_number(name).map(Timestamp::from_millis)
    }

    /// Bytes.
    #[must_use]
    pub fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name)?.as_b().ok().map(Blob::as_ref)
    }

    /// A list of strings; empty if there is none.
    #[must_use]
    pub fn get_texts(&self, name: &str) -> Vec<&str> {
        let list = self.0.get(name).and_then(|value| value.as_l().ok());
        list.into_iter()
            .flatten()
            .filter_map(|value| value.as_s().ok())
            .map(String::as_str)
            .collect()
    }

    /// True if the flag is set.
    #[must_use]
    pub fn has_flag(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(AttributeValue::Bool(true)))
    }

    /// `value`, or the error that names the attribute it was read from.
    ///
    /// # Errors
    /// [`Corrupt`] if `value` is `None`.
    pub fn need<T>(&self, attribute: &'static str, value: Option<T>) -> Result<T, Corrupt> {
        value.ok_or_else(|| {
            let Key { pk, sk } = self.key();
            Corrupt { pk, sk, attribute }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_a_newer_form_is_refused_whole() {
        let newer = i64::from(format::NEWEST) + 1;
        let item = Item::default().text("pk", "a").text("later", "ignored");
        assert!(Item::stored(item.clone().0).is_ok());
        assert!(Item::stored(item.clone().number(format::FIELD, newer - 1).0).is_ok());
        let refused = Item::stored(item.number(format::FIELD, newer).0);
        assert_eq!(
            refused,
            Err(Newer {
                found: newer.unsigned_abs()
            })
        );
    }
}
