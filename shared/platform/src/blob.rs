//! The stored form of an event's content: JSON, deflated (RFC 1951). The same bytes sit in the event item and, as
//! base64, ride in the queue's message: they outlive what carries them, so they tell their own form (`format`). The first
//! form has no mark. Another begins with a byte that no deflated text begins with: block type 3 (section 3.2.3) in the low
//! three bits, the form's number in the others.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use redial_domain::event::{Content, MAX_EVENT_BYTES};

use crate::format::Newer;

/// Longest base64 of a content that rides in a message; a larger one is read from the table. docs/ARCHITECTURE.md.
pub const MAX_RIDING_LEN: usize = 32 * 1024;
/// The reserved block type, in the bits where deflate has its block's type.
const MARK: u8 = 0b110;
/// Low bits of a mark; the others are the number of the form.
const MARK_BITS: u32 = 3;
/// Most bytes that a stored text may unpack to: an event and room for its envelope.
const MAX_UNPACKED_BYTES: u64 = 2 * MAX_EVENT_BYTES as u64;

/// A stored content cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Not what this version writes.
    #[error("not deflated JSON: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The JSON is not a content.
    #[error("not an event's content: {0}")]
    NotContent(#[from] serde_json::Error),
    /// A newer version wrote it.
    #[error(transparent)]
    Newer(#[from] Newer),
    /// Not base64.
    #[error("not base64: {0}")]
    NotBase64(#[from] base64::DecodeError),
}

/// Packs bytes.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn pack(bytes: &[u8]) -> Result<Vec<u8>, BlobError> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Unpacks what [`pack`] packed, at most 512 KiB.
///
/// # Errors
/// [`BlobError::Unreadable`], [`BlobError::Newer`].
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, BlobError> {
    if let Some(first) = packed.first().filter(|first| **first & MARK == MARK) {
        let found = u64::from(first >> MARK_BITS);
        return Err(Newer { found }.into());
    }
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed)
        .take(MAX_UNPACKED_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The stored form of a content.
///
/// # Errors
/// None in practice: every part of a content is JSON already.
pub fn from_content(content: &Content) -> Result<Vec<u8>, BlobError> {
    pack(&serde_json::to_vec(content)?)
}

/// Reads the stored form of a content.
///
/// # Errors
/// [`BlobError`].
pub fn to_content(packed: &[u8]) -> Result<Content, BlobError> {
    Ok(serde_json::from_slice(&unpack(packed)?)?)
}

/// The form that rides in a message: `None` if it is too long.
#[must_use]
pub fn to_riding(packed: &[u8]) -> Option<String> {
    (packed.len().div_ceil(3) * 4 <= MAX_RIDING_LEN).then(|| STANDARD.encode(packed))
}

/// Reads the form that rides in a message.
///
/// # Errors
/// [`BlobError`].
pub fn from_riding(riding: &str) -> Result<Content, BlobError> {
    to_content(&STANDARD.decode(riding)?)
}

#[cfg(test)]
mod tests {
    use redial_domain::event::PostedEvent;

    use super::*;

    #[test]
    fn content_comes_back_byte_for_byte() {
        let posted = r#"{"type":"a","tenant":"t","data":{ "ﷺ":"\u0000", "n":9007199254740993 }}"#;
        let content = PostedEvent::parse(posted).unwrap().content;
        let packed = from_content(&content).unwrap();
        assert_eq!(to_content(&packed).unwrap().data.get(), content.data.get());
        assert_eq!(
            from_riding(&to_riding(&packed).unwrap()).unwrap().digest(),
            content.digest()
        );
    }

    #[test]
    fn a_long_content_does_not_ride() {
        assert!(to_riding(&vec![0; MAX_RIDING_LEN]).is_none());
    }

    #[test]
    fn what_a_newer_version_packed_is_told_from_damage() {
        let newer = [2 << MARK_BITS | 0b111, 1, 2, 3];
        assert!(matches!(unpack(&newer), Err(BlobError::Newer(Newer { found: 2 }))));
        assert!(matches!(unpack(&[0, 1, 2, 3]), Err(BlobError::Unreadable(_))));
        for text in [&b""[..], b"x", &[b'a'; 100_000]] {
            assert!(pack(text).unwrap().first().unwrap() & MARK != MARK);
        }
    }

    #[test]
    fn a_bomb_is_cut() {
        let bomb = pack(&vec![b' '; 8 << 20]).unwrap();
        assert!(unpack(&bomb).unwrap().len() as u64 <= MAX_UNPACKED_BYTES);
    }
}
