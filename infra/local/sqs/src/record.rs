//! The records of the journal, and how one becomes bytes: length, checksum, payload.
//! Every change of the engine's state is one record, so what is replayed is what was done; nothing here touches a file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attributes::QueueAttributes;
use crate::message::Message;

/// The format of the records; a store of another one is refused.
pub(crate) const FORMAT: u32 = 1;
/// Length and checksum, 4 bytes each, little-endian.
pub(crate) const HEADER_BYTES: usize = 8;
/// Above any record: a message of 1 MiB with its attributes, or a queue. A longer length is damage.
pub(crate) const RECORD_BYTES: usize = 2 * 1024 * 1024;

/// One change. Queues go by their number, messages by their serial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// The first of every file.
    Began { format: u32, store_id: u64 },
    /// A process opened the store: serials and receives made from now on carry this generation.
    Opened { generation: u32 },
    /// A queue was made or changed.
    QueueSet {
        queue: u32,
        name: Arc<str>,
        attributes: QueueAttributes,
        created_at_ms: i64,
        modified_at_ms: i64,
    },
    /// A message was sent (or, in a snapshot, is there).
    Stored { queue: u32, message: Message },
    /// A message was received.
    Received {
        queue: u32,
        serial: u64,
        receive: u64,
        at_ms: i64,
        visible_at_ms: i64,
    },
    /// A visibility timeout was changed.
    VisibilityChanged {
        queue: u32,
        serial: u64,
        visible_at_ms: i64,
    },
    /// A message was deleted or its retention ended.
    Removed { queue: u32, serial: u64 },
    /// A redrive moved a message; `restart` is the count's fate.
    Moved {
        queue: u32,
        serial: u64,
        target: u32,
        restart: bool,
    },
    /// A move task moved a message: it is a new one in the target.
    Readmitted {
        queue: u32,
        serial: u64,
        target: u32,
        new_serial: u64,
        at_ms: i64,
    },
    /// All messages of a queue were removed.
    Purged { queue: u32, at_ms: i64 },
}

/// Appends a record's frame to `out`, which is unchanged if it fails.
pub(crate) fn encode(record: &Record, out: &mut Vec<u8>) -> Result<(), postcard::Error> {
    let payload = postcard::to_allocvec(record)?;
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= RECORD_BYTES);
    let length = length.ok_or(postcard::Error::SerializeBufferFull)?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(length, &payload).to_le_bytes());
    out.extend_from_slice(&payload);
    Ok(())
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    /// A whole record, and the bytes it took.
    Whole(Box<Record>, usize),
    /// Not whole: cut short, or damaged.
    Torn,
    /// Whole, and no record that this version knows.
    Unknown,
    /// Nothing.
    End,
}

/// Reads the frame at the start of `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Frame {
    if bytes.is_empty() {
        return Frame::End;
    }
    let Some((header, rest)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Frame::Torn;
    };
    let Some((length, sum)) = split_header(header) else {
        return Frame::Torn;
    };
    let Some(payload) = rest.get(..length as usize) else {
        return Frame::Torn;
    };
    // A length of zero is what an unwritten, zero-filled page looks like; no record is empty.
    if length == 0 || sum != checksum(length, payload) {
        return Frame::Torn;
    }
    match postcard::from_bytes(payload) {
        Ok(record) => Frame::Whole(Box::new(record), HEADER_BYTES + payload.len()),
        Err(_) => Frame::Unknown,
    }
}

/// Length and checksum of a header, if the length can be one.
pub(crate) fn split_header(header: &[u8]) -> Option<(u32, u32)> {
    let length = u32::from_le_bytes(header.get(..4)?.try_into().ok()?);
    let sum = u32::from_le_bytes(header.get(4..8)?.try_into().ok()?);
    (length as usize <= RECORD_BYTES).then_some((length, sum))
}

fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_and_any_flipped_bit_or_cut_is_torn() {
        let record = Record::Received {
            queue: 1,
            serial: 1 << 41,
            receive: 5,
            at_ms: 17,
            visible_at_ms: 99,
        };
        let mut bytes = Vec::new();
        encode(&record, &mut bytes).unwrap();
        assert_eq!(decode(&bytes), Frame::Whole(Box::new(record), bytes.len()));
        for cut in 1..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Frame::Torn, "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged), Frame::Torn, "bit {bit}");
        }
        assert_eq!(decode(&[0; 64]), Frame::Torn);
        assert_eq!(decode(&[]), Frame::End);
    }
}
