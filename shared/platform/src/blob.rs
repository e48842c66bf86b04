//! The stored form of an event's content: JSON, deflated (RFC 1951). So it sits in the event item and, as base64, rides in the
//! queue's message: both outlive what carries them, so they tell their own form (`format`). The first form has no mark. Another
//! begins with a byte that no deflated text begins with: block type 3 (section 3.2.3) in the low three bits, the form's number in
//! the others.
//!
//! The item is made small, because DynamoDB bills its bytes. In a message a short text stays as long as it is, in deflate's own
//! form for that (section 3.2.4): SQS bills by 64 KiB, and whoever receives it has nothing to unpack.

use std::borrow::Cow;
use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use redial_domain::event::{Content, MAX_EVENT_BYTES};

use crate::format::Newer;

/// Longest base64 of a content that rides in a message; a larger one is read from the table. docs/ARCHITECTURE.md.
pub const MAX_RIDING_LEN: usize = 32 * 1024;
/// Longest text that rides as it is, in bytes: ten messages with one each are still one unit of SQS (64 KiB).
pub const MAX_PLAIN_BYTES: usize = 4 * 1024;
/// First byte of a text that is as it is: deflate's last block, of type 0. Its length follows, and that of all bits flipped.
const PLAIN: u8 = 0b001;
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

/// A text as it is, if it is short: for deflate one block that is not compressed.
fn plain(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len())
        .ok()
        .filter(|_| bytes.len() <= MAX_PLAIN_BYTES)?;
    Some([&[PLAIN], &length.to_le_bytes()[..], &(!length).to_le_bytes(), bytes].concat())
}

/// The text that [`plain`] made such a block of.
fn as_it_is(packed: &[u8]) -> Option<&[u8]> {
    let [PLAIN, low, high, flipped_low, flipped_high, text @ ..] = packed else {
        return None;
    };
    let length = u16::from_le_bytes([*low, *high]);
    let is_whole = u16::from_le_bytes([*flipped_low, *flipped_high]) == !length && text.len() == usize::from(length);
    is_whole.then_some(text)
}

/// Unpacks what [`pack`] packed, at most 512 KiB.
///
/// # Errors
/// [`BlobError::Unreadable`], [`BlobError::Newer`].
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, BlobError> {
    text_of(packed).map(Cow::into_owned)
}

fn text_of(packed: &[u8]) -> Result<Cow<'_, [u8]>, BlobError> {
    if let Some(text) = as_it_is(packed) {
        return Ok(text.into());
    }
    inflate(packed).map(Cow::Owned)
}

fn inflate(packed: &[u8]) -> Result<Vec<u8>, BlobError> {
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

/// The stored form of a content, and the one that rides in a message: `None` if that is too long.
///
/// # Errors
/// As of [`from_content`].
pub fn stored_and_riding(content: &Content) -> Result<(Vec<u8>, Option<String>), BlobError> {
    let text = serde_json::to_vec(content)?;
    let packed = pack(&text)?;
    let rides = plain(&text).map_or(Cow::Borrowed(&packed), Cow::Owned);
    let fits = rides.len().div_ceil(3) * 4 <= MAX_RIDING_LEN;
    let riding = fits.then(|| STANDARD.encode(&*rides));
    Ok((packed, riding))
}

/// Reads the stored form of a content.
///
/// # Errors
/// [`BlobError`].
pub fn to_content(packed: &[u8]) -> Result<Content, BlobError> {
    Ok(serde_json::from_slice(&text_of(packed)?)?)
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
        let (packed, riding) = stored_and_riding(&content).unwrap();
        assert_eq!(to_content(&packed).unwrap().data.get(), content.data.get());
        assert_eq!(packed, from_content(&content).unwrap());
        assert_eq!(from_riding(&riding.unwrap()).unwrap().digest(), content.digest());
    }

    /// A content whose text is so long, of words that pack well or of noise.
    fn of_length(length: usize, noise: &[u8]) -> Content {
        let with = |filling: &str| {
            let posted = format!(r#"{{"type":"a","tenant":"t","data":{{"x":"{filling}"}}}}"#);
            PostedEvent::parse(&posted).unwrap().content
        };
        let room = length - serde_json::to_vec(&with("")).unwrap().len();
        let filling: String = noise
            .iter()
            .cycle()
            .take(room)
            .map(|byte| char::from(b'0' + byte % 75))
            .collect();
        with(&filling.replace('\\', "/"))
    }

    #[test]
    fn a_short_content_rides_as_it_is_for_every_reader_of_deflate_a_longer_one_packed_and_a_long_one_not() {
        let noise = noise();
        for (length, filling) in [
            (200, &b"a"[..]),
            (MAX_PLAIN_BYTES, &b"a"[..]),
            (MAX_PLAIN_BYTES, &noise),
        ] {
            let content = of_length(length, filling);
            let text = serde_json::to_vec(&content).unwrap();
            let rides = STANDARD
                .decode(stored_and_riding(&content).unwrap().1.unwrap())
                .unwrap();
            assert_eq!(rides.len(), length + 5);
            assert_eq!(as_it_is(&rides).unwrap(), text);
            assert_eq!(inflate(&rides).unwrap(), text);
            assert!(rides.first().unwrap() & MARK != MARK);
            for cut in 0..rides.len() {
                assert!(unpack(&rides[..cut]).is_err(), "{cut}");
            }
        }
        let (packed, riding) = stored_and_riding(&of_length(MAX_PLAIN_BYTES + 1, b"a")).unwrap();
        assert_eq!(STANDARD.decode(riding.unwrap()).unwrap(), packed);
        assert!(
            stored_and_riding(&of_length(2 * MAX_RIDING_LEN, &noise))
                .unwrap()
                .1
                .is_none()
        );
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

    fn noise() -> Vec<u8> {
        let mut seed = 7_u32;
        let next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(MAX_EVENT_BYTES).collect()
    }

    #[test]
    fn every_length_comes_back_whatever_was_packed_before() {
        let noise = noise();
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
