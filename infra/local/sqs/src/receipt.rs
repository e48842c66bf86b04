//! Receipt handles: they name one receive of one message, and carry a checksum so that garbage is told from stale.
//! A handle is opaque to clients and no secret: who may call the server may delete.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const VERSION: u8 = 1;
/// Version, queue, serial, receive.
const FIELDS_BYTES: usize = 1 + 4 + 8 + 8;
const HANDLE_BYTES: usize = FIELDS_BYTES + 4;

/// One receive of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) queue: u32,
    pub(crate) serial: u64,
    pub(crate) receive: u64,
}

impl Receipt {
    /// The handle that a client gets.
    pub(crate) fn to_handle(self, store_id: u64) -> String {
        let mut bytes = Vec::with_capacity(HANDLE_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.queue.to_be_bytes());
        bytes.extend_from_slice(&self.serial.to_be_bytes());
        bytes.extend_from_slice(&self.receive.to_be_bytes());
        let sum = checksum(&bytes, store_id);
        bytes.extend_from_slice(&sum.to_be_bytes());
        STANDARD.encode(bytes)
    }

    /// The receipt in a handle of this store, or `None` if it is none.
    pub(crate) fn parse(handle: &str, store_id: u64) -> Option<Self> {
        let bytes: [u8; HANDLE_BYTES] = STANDARD.decode(handle).ok()?.try_into().ok()?;
        let (fields, sum) = bytes.split_at(FIELDS_BYTES);
        if fields.first() != Some(&VERSION) || sum != checksum(fields, store_id).to_be_bytes() {
            return None;
        }
        Some(Self {
            queue: u32::from_be_bytes(fields.get(1..5)?.try_into().ok()?),
            serial: u64::from_be_bytes(fields.get(5..13)?.try_into().ok()?),
            receive: u64::from_be_bytes(fields.get(13..21)?.try_into().ok()?),
        })
    }
}

fn checksum(fields: &[u8], store_id: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fields);
    hasher.update(&store_id.to_be_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_in_its_own_store_and_in_no_other() {
        let receipt = Receipt {
            queue: 3,
            serial: 1 << 40,
            receive: 7,
        };
        let handle = receipt.to_handle(99);
        assert_eq!(Receipt::parse(&handle, 99), Some(receipt));
        assert_eq!(Receipt::parse(&handle, 98), None);
        for garbage in ["", "x", "AQEB", &handle[1..], &handle.replace(&handle[5..6], "#")] {
            assert_eq!(Receipt::parse(garbage, 99), None, "{garbage}");
        }
    }
}
