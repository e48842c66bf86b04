//! What the writer writes to: a file, or a file that a test makes fail.
//! Two operations only, so that there is one place for each to go wrong.

use std::fs::File;
use std::io::{self, Write as _};

/// An append-only file.
pub(crate) trait Medium: Send {
    /// Writes all of it, or fails; after a failure some of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything appended is on disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
