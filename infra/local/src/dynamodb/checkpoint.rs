//! Copies pages of the log into the database file, on a connection of its own, while the engine goes on writing: a commit that
//! had to do it kept everybody waiting for some milliseconds, several times a second. Reads and changes nothing else.
//!
//! SQLite's own checkpoint, which the engine's commits run, is set so far away (`.cargo/config.toml`) that it finds next to
//! nothing to copy: it comes where the log is never all copied for a moment, so that it could begin anew.

use std::path::Path;
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, OpenFlags};

/// Writes after which the log is copied, at most: some 1,000 pages, SQLite's own measure.
pub(super) const AFTER_WRITES: u64 = 128;

/// The connection that checkpoints.
pub(super) struct Checkpoints {
    connection: Connection,
}

impl Checkpoints {
    /// Opens the database that the engine has open already.
    pub(super) fn open(database: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags)?;
        // The log is synced before its pages are copied, and the file before they count as copied.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Self { connection })
    }

    /// Checkpoints whenever it is due, until nobody can say so any more.
    pub(super) fn run(self, due: &Receiver<()>) {
        for () in due {
            // It takes no lock that a writer waits for, and ends where a reader still needs the file as it is.
            let copied = self
                .connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            if let Err(error) = copied {
                // Nothing is lost: the log has it all, and grows. A full disk shows in the next write.
                tracing::warn!(%error, "dynamodb.not_checkpointed");
            }
        }
    }
}
