//! Where the requests of a key are counted that asks the API for much. Pure text, no I/O.

use sha2::{Digest as _, Sha256};

use super::Key;

/// Bytes that are kept of the digest of who asks: enough that no two share a count by chance.
const ASKER_BYTES: usize = 16;

/// The requests of one who asks, in one window of time. Who that is, a tenant perhaps, cannot be read from it.
#[must_use]
pub fn asked(asker: &str, window: i64) -> Key {
    let digest = Sha256::digest(asker.as_bytes());
    let digest: String = digest
        .iter()
        .take(ASKER_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Key::new(format!("asked/{digest}"), window.to_string())
}
