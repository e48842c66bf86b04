//! What is written to and synced: a file, or a file that a test makes fail.
//! Two operations only, so that there is one place for each to go wrong.

use std::fs::File;
use std::io::{self, Write as _};

/// An append-only file.
pub(crate) trait Medium: Send + Sync {
    /// Writes all of it, or fails; after a failure some of it may be there. One at a time.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything is on disk that was appended before it was called; more may be appended meanwhile.
    fn sync(&self) -> io::Result<()>;
}

impl Medium for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
