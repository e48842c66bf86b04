//! The stored form of an event's content: JSON, deflated (RFC 1951). The same bytes sit in the event item and, as
//! base64, ride in the queue's message: they outlive what carries them, so they tell their own form (`format`). The first
//! form has no mark. Another begins with a byte that no deflated text begins with: block type 3 (section 3.2.3) in the low
//! three bits, the form's number in the others.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use redial_domain::event::{Content, MAX_EVENT_BYTES};

use crate::format::Newer;

/// Longest base64 of a content that rides in a message; a larger one is read from the table. docs/ARCHITECTURE.md.
pub const MAX_RIDING_LEN: usize = 32 * 1024;
/// The reserved block type, in the bits where deflate has its block's type.
const MARK: u8 = 0b110;
/// Low bits of a mark; the others are the number of the form.
const MARK_BITS: u32 = 3;
/// Bytes beyond half of a text that are set aside for its packed form, so that a short one fits at once.
const PACKED_ROOM: usize = 64;
/// Most bytes that a stored text may unpack to: an event and room for its envelope.
const MAX_UNPACKED_BYTES: usize = 2 * MAX_EVENT_BYTES;
/// How many times as long as its packed form a text usually is.
const USUAL_RATIO: usize = 3;

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

thread_local! {
    /// What a thread packs with: its tables are 300 KiB, which cost more to make than an event to pack.
    static PACKER: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
    /// What it unpacks with.
    static UNPACKER: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// Packs bytes.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn pack(bytes: &[u8]) -> Result<Vec<u8>, BlobError> {
    PACKER.with_borrow_mut(|packer| {
        packer.reset();
        let mut packed = Vec::with_capacity(bytes.len() / 2 + PACKED_ROOM);
        loop {
            let taken = usize::try_from(packer.total_in()).unwrap_or(usize::MAX);
            let left = bytes.get(taken..).unwrap_or_default();
            let status = packer.compress_vec(left, &mut packed, FlushCompress::Finish);
            match status.map_err(std::io::Error::other)? {
                Status::StreamEnd => return Ok(packed),
                Status::Ok | Status::BufError => packed.reserve(packed.capacity()),
            }
        }
    })
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
    UNPACKER.with_borrow_mut(|unpacker| {
        unpacker.reset(false);
        let mut bytes = Vec::with_capacity(packed.len() * USUAL_RATIO + PACKED_ROOM);
        loop {
            let taken = usize::try_from(unpacker.total_in()).unwrap_or(usize::MAX);
            let left = packed.get(taken..).unwrap_or_default();
            let before = bytes.len();
            let status = unpacker.decompress_vec(left, &mut bytes, FlushDecompress::None);
            if status.map_err(std::io::Error::from)? == Status::StreamEnd || bytes.len() >= MAX_UNPACKED_BYTES {
                bytes.truncate(MAX_UNPACKED_BYTES);
                return Ok(bytes);
            }
            let is_cut_off = bytes.len() == before && bytes.capacity() > before;
            if is_cut_off {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            bytes.reserve(bytes.capacity());
        }
    })
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
    fn every_length_comes_back_whatever_was_packed_before() {
        let mut seed = 7_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        })
        .take(MAX_EVENT_BYTES)
        .collect();
        for length in (0..300).chain([1023, 1024, 32_768, 65_537, MAX_EVENT_BYTES]) {
            for text in [&noise[..length], &vec![b'a'; length]] {
                let packed = pack(text).unwrap();
                assert_eq!(unpack(&packed).unwrap(), text, "{length}");
                for cut in [0, packed.len() / 2, packed.len() - 1] {
                    assert!(unpack(&packed[..cut]).is_err(), "{length} cut to {cut}");
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_cut() {
        let bomb = pack(&vec![b' '; 8 << 20]).unwrap();
        assert!(unpack(&bomb).unwrap().len() <= MAX_UNPACKED_BYTES);
    }
}
