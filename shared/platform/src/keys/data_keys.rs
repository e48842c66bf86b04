//! The keys of the data keys, in the table `config`.

use super::Key;

/// Partition of the data keys.
const DATA_KEYS: &str = "data-key";

/// The wrapped data key of that version.
#[must_use]
pub fn data_key(version: u32) -> Key {
    Key::new(DATA_KEYS.to_owned(), version.to_string())
}

/// Which data keys there are, and how far the endpoints' secrets are sealed under the newest.
#[must_use]
pub fn data_keys() -> Key {
    Key::new(DATA_KEYS.to_owned(), "state")
}
