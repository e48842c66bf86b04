//! Opening a store: lock the folder, replay the journal, cut a torn tail, start the writer.
//! Refuses what it does not understand, and never throws bytes away without keeping them aside.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::writer::Writer;
use super::{JOURNAL_FILE, Journal, JournalError, LOCK_FILE, Medium, REWRITE_FILE, Shared, TORN_FILE};
use crate::engine::Engine;
use crate::record::{self, FORMAT, Frame, HEADER_BYTES, Record};
use crate::settings::Settings;

const READ_BYTES: usize = 256 * 1024;

/// A store that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) journal: Journal,
    pub(crate) engine: Engine,
    /// Bytes cut off the journal's end: a crash interrupted a write that nobody was told had happened.
    pub(crate) torn_bytes: u64,
}

/// Opens the store in `folder`, making both if need be. `wrap` stands between the writer and the file. Blocks.
pub(crate) fn open(
    folder: &Path,
    settings: Arc<Settings>,
    wrap: impl FnOnce(File) -> Arc<dyn Medium>,
) -> Result<Opened, JournalError> {
    let failed = |source| JournalError::Open {
        path: folder.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let lock = lock(folder)?;
    let rewrite = folder.join(REWRITE_FILE);
    if rewrite.exists() {
        fs::remove_file(&rewrite).map_err(failed)?;
    }
    let path = folder.join(JOURNAL_FILE);
    let mut engine = Engine::new(Arc::clone(&settings));
    let torn_bytes = if path.exists() {
        read(&path, &mut engine)?
    } else {
        create(folder, &mut engine).map_err(failed)?
    };
    engine.open();
    let head = engine.take_outbox();
    let mut file = private().append(true).open(&path).map_err(failed)?;
    file.write_all(&head).and_then(|()| file.sync_all()).map_err(failed)?;
    let file_bytes = file.metadata().map_err(failed)?.len();

    let shared = Arc::new(Shared::new(file_bytes));
    shared
        .live_bytes
        .store(engine.stored_bytes(), std::sync::atomic::Ordering::Relaxed);
    let writer =
        Writer::new(Arc::clone(&shared), folder.to_owned(), wrap(file), file_bytes, settings).map_err(failed)?;
    let writer = std::thread::Builder::new()
        .name("sqs-journal".to_owned())
        .spawn(|| writer.run())
        .map_err(failed)?;
    let journal = Journal {
        shared,
        writer: Mutex::new(Some(writer)),
        lock: Mutex::new(Some(lock)),
    };
    Ok(Opened {
        journal,
        engine,
        torn_bytes,
    })
}

/// Files that only this user may read: they hold customers' payloads.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn lock(folder: &Path) -> Result<File, JournalError> {
    let failed = |source| JournalError::Open {
        path: folder.to_owned(),
        source,
    };
    let file = private()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK_FILE))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes a journal whose first record is there from its first moment: it gets its name when it is on disk.
fn create(folder: &Path, engine: &mut Engine) -> io::Result<u64> {
    engine.begin();
    let path = folder.join(REWRITE_FILE);
    let mut file = private().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(&engine.take_outbox())?;
    file.sync_all()?;
    publish(folder, &path)?;
    Ok(0)
}

/// Gives the new journal its name, durably.
pub(super) fn publish(folder: &Path, path: &Path) -> io::Result<()> {
    fs::rename(path, folder.join(JOURNAL_FILE))?;
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened to be synced, and a rename is durable with the file system's own journal.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Replays the journal and cuts its torn tail; answers the bytes cut.
fn read(path: &Path, engine: &mut Engine) -> Result<u64, JournalError> {
    let failed = |source| JournalError::Open {
        path: path.to_owned(),
        source,
    };
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let good = replay(BufReader::with_capacity(READ_BYTES, &mut file), engine, path)?;
    let total = file.metadata().map_err(failed)?.len();
    if good < total {
        keep_tail(&mut file, good, path.with_file_name(TORN_FILE)).map_err(failed)?;
        file.set_len(good).and_then(|()| file.sync_all()).map_err(failed)?;
    }
    Ok(total - good)
}

fn keep_tail(file: &mut File, good: u64, torn: PathBuf) -> io::Result<()> {
    file.seek(SeekFrom::Start(good))?;
    let mut kept = private().create(true).truncate(true).write(true).open(torn)?;
    io::copy(file, &mut kept)?;
    kept.sync_all()
}

/// Applies records until the end or the first frame that is not whole; answers the bytes of the whole ones.
pub(super) fn replay(mut reader: impl Read, engine: &mut Engine, path: &Path) -> Result<u64, JournalError> {
    let failed = |source| JournalError::Open {
        path: path.to_owned(),
        source,
    };
    let mut frame = Vec::new();
    let mut good = 0;
    loop {
        frame.resize(HEADER_BYTES, 0);
        let header = fill(&mut reader, &mut frame).map_err(failed)?;
        let length = record::split_header(&frame)
            .filter(|_| header == HEADER_BYTES)
            .map(|(length, _)| length as usize);
        let record = match length {
            Some(length) => {
                frame.resize(HEADER_BYTES + length, 0);
                let read = fill(&mut reader, frame.get_mut(HEADER_BYTES..).unwrap_or_default()).map_err(failed)?;
                frame.truncate(HEADER_BYTES + read);
                record::decode(&frame)
            }
            None => Frame::End,
        };
        match record {
            Frame::Whole(record, bytes) => {
                match *record {
                    Record::Began { format, .. } if format != FORMAT => {
                        return Err(JournalError::UnknownFormat(format));
                    }
                    Record::Began { .. } if good == 0 => {}
                    _ if good == 0 => return Err(JournalError::NotAJournal(path.to_owned())),
                    _ => {}
                }
                engine.apply(*record);
                good += bytes as u64;
            }
            // A journal gets its name after its first record is on disk, so this is not ours to cut.
            _ if good == 0 => return Err(JournalError::NotAJournal(path.to_owned())),
            Frame::Unknown => return Err(JournalError::UnknownRecord(good)),
            _ => return Ok(good),
        }
    }
}

/// Reads until `buffer` is full or the file ends; answers the bytes read.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
