//! What a bench and its receiver say to each other: one JSON document a line, by the receiver's standard input and output.
//! The deliveries themselves never go this way.

use serde::{Deserialize, Serialize};

use super::arguments::FailingKind;

/// Bytes of a cell as it is sent.
const CELL_BYTES: usize = 16;

/// The receiver's first line: where it is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Ready {
    pub(super) port: u16,
}

/// What the receiver is told. No `Debug`: it holds the endpoints' secret.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Order {
    /// Forget everything; what comes now is of this run. Answered with [`Counts`].
    Expect(Expected),
    /// Answer with [`Counts`] when so many deliveries have succeeded, or the time is up.
    Wait {
        /// Deliveries that succeeded for the first time.
        want: u64,
        /// The time, in milliseconds.
        at_most_ms: u64,
    },
    /// Answer with [`Cells`], and behind that line the cells.
    Tell,
}

/// A run, as the receiver has to know it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Expected {
    /// The mark of its events.
    pub(super) mark: u32,
    /// Places of endpoints that take what they get: the first ones.
    pub(super) endpoints: u32,
    /// Places of endpoints that take nothing: those after.
    pub(super) failing: u32,
    pub(super) failing_kind: FailingKind,
    /// Every so manieth signature is verified; 0: none.
    pub(super) verify: u32,
    /// The secret of all endpoints.
    pub(super) secret: String,
}

/// What has come so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Requests that were read whole.
    pub(super) requests: u64,
    /// Pairs of event and endpoint that succeeded.
    pub(super) delivered: u64,
    /// Requests for a pair that had succeeded already.
    pub(super) duplicates: u64,
    /// Requests that were failed on purpose.
    pub(super) failed: u64,
    /// Requests of an earlier run.
    pub(super) late: u64,
    /// Requests that are of no run.
    pub(super) unknown: u64,
    /// Signatures that were checked.
    pub(super) checked: u64,
    /// Signatures that did not verify.
    pub(super) wrong: u64,
    /// Connections that were opened.
    pub(super) connections: u64,
}

/// How many cells follow this line.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cells {
    pub(super) cells: usize,
}

impl Cells {
    /// Their size, in bytes.
    pub(super) const fn bytes(self) -> usize {
        self.cells.saturating_mul(CELL_BYTES)
    }
}

/// What became of one event at one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// When the first request that succeeded was there as a whole, by the clock of the bench; 0: none was.
    pub(super) first_ns: u64,
    /// Requests that succeeded.
    pub(super) succeeded: u32,
    /// All requests.
    pub(super) requests: u32,
}

impl Cell {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first_ns.to_le_bytes());
        out.extend_from_slice(&self.succeeded.to_le_bytes());
        out.extend_from_slice(&self.requests.to_le_bytes());
    }

    /// All that were written one after the other; what is left of a broken one is not read.
    pub(super) fn read_all(bytes: &[u8]) -> Vec<Self> {
        let (cells, _) = bytes.as_chunks::<CELL_BYTES>();
        cells.iter().map(Self::read).collect()
    }

    fn read(bytes: &[u8; CELL_BYTES]) -> Self {
        let number = u128::from_le_bytes(*bytes);
        let part = |shift: u32| u32::try_from((number >> shift) & u128::from(u32::MAX)).unwrap_or(0);
        Self {
            first_ns: u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0),
            succeeded: part(64),
            requests: part(96),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_as_they_were_written() {
        let cells = [
            Cell::default(),
            Cell {
                first_ns: u64::MAX,
                succeeded: 0,
                requests: 1,
            },
            Cell {
                first_ns: 1,
                succeeded: u32::MAX,
                requests: 7,
            },
        ];
        let mut bytes = Vec::new();
        cells.iter().for_each(|cell| cell.write(&mut bytes));
        assert_eq!(bytes.len(), Cells { cells: cells.len() }.bytes());
        assert_eq!(Cell::read_all(&bytes), cells);
        assert_eq!(Cell::read_all(&bytes[..40]).len(), 2);
    }
}
