//! Rewriting the journal without its garbage, beside the writer and without the engine's lock: the old file is replayed
//! into an engine of its own, whose snapshot is the new file. Never touches the old file.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::open::{private, publish, replay};
use super::{JOURNAL_FILE, JournalError, REWRITE_FILE, Shared};
use crate::engine::Engine;
use crate::record;
use crate::settings::Settings;

const BUFFER_BYTES: usize = 256 * 1024;
/// The snapshot goes to disk in portions, so that its last sync is short and the journal's own syncs find room.
const SYNC_EVERY_BYTES: usize = 4 * 1024 * 1024;
/// What was appended meanwhile is copied in rounds until so little is left that the writer may do it itself.
const CATCH_UP_ROUNDS: usize = 8;
const CATCH_UP_BYTES: u64 = 256 * 1024;

/// A journal rewritten, not yet in place.
#[derive(Debug)]
pub(super) struct Rewritten {
    file: File,
    bytes: u64,
    /// How much of the old file is in it.
    source_bytes: u64,
}

/// Rewrites the first `upto` bytes of the journal and copies what comes after them.
pub(super) fn rewrite(
    folder: &Path,
    settings: Arc<Settings>,
    upto: u64,
    shared: &Shared,
) -> Result<Rewritten, JournalError> {
    let path = folder.join(JOURNAL_FILE);
    let mut engine = Engine::new(settings);
    let source = File::open(&path).map_err(JournalError::Rewrite)?;
    if replay(
        BufReader::with_capacity(BUFFER_BYTES, source.take(upto)),
        &mut engine,
        &path,
    )? != upto
    {
        return Err(JournalError::Rewrite(io::Error::other(
            "the journal does not read back whole",
        )));
    }
    let mut rewritten = write_snapshot(folder, &engine, upto, shared)?;
    drop(engine);
    for _round in 0..CATCH_UP_ROUNDS {
        let end = shared.file_bytes.load(Ordering::Acquire);
        if end - rewritten.source_bytes < CATCH_UP_BYTES {
            break;
        }
        rewritten = rewritten.catch_up(folder, end)?;
    }
    Ok(rewritten)
}

fn write_snapshot(
    folder: &Path,
    engine: &Engine,
    source_bytes: u64,
    shared: &Shared,
) -> Result<Rewritten, JournalError> {
    let path = folder.join(REWRITE_FILE);
    let file = private()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)
        .map_err(JournalError::Rewrite)?;
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
    let (mut frame, mut bytes, mut unsynced) = (Vec::new(), 0, 0);
    engine.snapshot(|record| {
        if shared.stopping.load(Ordering::Relaxed) {
            return Err(JournalError::Closed);
        }
        frame.clear();
        record::encode(record, &mut frame).map_err(JournalError::Encode)?;
        writer.write_all(&frame).map_err(JournalError::Rewrite)?;
        bytes += frame.len() as u64;
        unsynced += frame.len();
        if unsynced >= SYNC_EVERY_BYTES {
            unsynced = 0;
            writer
                .flush()
                .and_then(|()| writer.get_ref().sync_data())
                .map_err(JournalError::Rewrite)?;
        }
        Ok(())
    })?;
    let file = writer
        .into_inner()
        .map_err(|error| JournalError::Rewrite(error.into_error()))?;
    file.sync_data().map_err(JournalError::Rewrite)?;
    Ok(Rewritten {
        file,
        bytes,
        source_bytes,
    })
}

impl Rewritten {
    /// Copies the old file from where the copy ends to `end`, onto the disk.
    pub(super) fn catch_up(mut self, folder: &Path, end: u64) -> Result<Self, JournalError> {
        let copied = self.copy_to(folder, end);
        copied.map_err(JournalError::Rewrite)?;
        Ok(self)
    }

    fn copy_to(&mut self, folder: &Path, end: u64) -> io::Result<()> {
        let mut source = File::open(folder.join(JOURNAL_FILE))?;
        source.seek(SeekFrom::Start(self.source_bytes))?;
        let wanted = end - self.source_bytes;
        if io::copy(&mut source.take(wanted), &mut self.file)? != wanted {
            return Err(io::Error::other("the journal is shorter than what was written to it"));
        }
        self.bytes += wanted;
        self.source_bytes = end;
        self.file.sync_all()
    }

    /// Puts it in the journal's place; answers the file to append to and its length.
    pub(super) fn publish(self, folder: &Path) -> Result<(File, u64), JournalError> {
        let path = folder.join(REWRITE_FILE);
        if let Err(error) = publish(folder, &path) {
            // Best effort: what is left over means nothing to the next opening.
            let _ = fs::remove_file(&path);
            return Err(JournalError::Write(error));
        }
        Ok((self.file, self.bytes))
    }
}
