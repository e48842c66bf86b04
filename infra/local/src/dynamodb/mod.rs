//! DynamoDB embedded: the API's JSON operations on a SQLite file, answered in process under the AWS SDK's connector.
//! Never answers a write that is not on disk, and never blocks a thread of the async runtime.
//!
//! # Why acknowledged means on disk
//! SQLite runs with a write-ahead log and `synchronous=NORMAL`: a commit appends to the log without syncing it, and
//! [`worker`] syncs the log once for all the writes that wait, before any of them is answered. That is enough:
//! - A commit is its frames in the log. Recovery takes the log from its start up to the last commit whose chained
//!   checksums are right, so what a synced log holds is there again, in order, however the rest looks.
//! - A checkpoint (run by [`checkpoint`], and by a commit that finds very many pages in the log; `walCheckpoint` in SQLite's
//!   wal.c) syncs the log before it copies pages into the database file, and syncs that file before it declares them copied, in NORMAL
//!   too. Only then may the log be begun anew, and its new header is synced before frames follow (`syncHeader`, same
//!   file). So at every moment a settled commit is in the synced database file or in the synced log, and syncing the
//!   database file is SQLite's own business.
//! - A failed sync inside a checkpoint is not lost: our descriptor of the log was open before, so the kernel reports
//!   the error to our next sync as well; and copied pages count only after the database file was synced.
//! - The log is made when the database is opened, and keeps its inode until the last connection closes. [`Dynamo::open`]
//!   syncs it, which also makes durable what recovery found but nobody had acknowledged, and then the folder, so that
//!   both files' names are on disk.
//!
//! The database file itself must not be opened beside SQLite: closing any descriptor of it drops the process's POSIX
//! locks on it. The log and our lock file carry no such locks. A second connection of the same SQLite, which [`checkpoint`] has,
//! shares its descriptors with the first.
//!
//! # Who can read it
//! Its owner alone, whatever the umask and the folder: the database is made, empty, before SQLite opens it, and SQLite makes
//! the log and the shared memory with the mode of the database (`findCreateFileMode`, `unixOpenSharedMemory`; os_unix.c).

mod checkpoint;
mod description;
mod expiry;
mod operation;
mod tables;
mod turns;
mod worker;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use tokio::sync::{mpsc, oneshot};

pub use description::{Attribute, AttributeKind, IndexDescription, Key, Projection, TableDescription};
pub use expiry::SweepError;
pub use tables::TableError;
pub use worker::StorageFailure;

use crate::connector::{Answer, Service};
use crate::private;
use checkpoint::{AFTER_WRITES, Checkpoints};
use expiry::Expiring;
use operation::Operation;
use worker::{Call, Executor, MAX_UNSETTLED, Settler, State};

/// The database in the data folder; SQLite keeps `-wal` and `-shm` files beside it.
pub(crate) const DATABASE_FILE: &str = "dynamodb.sqlite";

/// SQLite's name for the write-ahead log of [`DATABASE_FILE`].
const LOG_FILE: &str = "dynamodb.sqlite-wal";

/// Held locked while the database is open: SQLite itself would let a second process in.
const LOCK_FILE: &str = "dynamodb.lock";

/// Calls that may wait to be executed; further callers wait to get in.
const MAX_WAITING_CALLS: usize = 1024;

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder does not exist and cannot be made, or it cannot be read or written.
    #[error("the data folder {} cannot be used", .path.display())]
    Folder {
        /// The folder, as given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite takes names in UTF-8 only.
    #[error("the name of the data folder {} is not UTF-8", .path.display())]
    Name {
        /// The folder.
        path: PathBuf,
    },
    /// Another process, or another [`Dynamo`] of this one, has the folder.
    #[error("the data folder {} is in use by another process", .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file is no database, is damaged, locked from outside, not writable, or made by a newer version.
    #[error("the database {} cannot be opened", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What the engine says.
        source: Box<DynoxideError>,
    },
    /// It could be opened, but not once more.
    #[error("the database {} cannot be opened a second time", .path.display())]
    Second {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Box<rusqlite::Error>,
    },
    /// The log cannot be opened or synced, so nothing could be promised.
    #[error("the log {} cannot be written to disk", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("a thread for the database cannot be started")]
    Thread(#[source] io::Error),
}

/// DynamoDB in this process. Clones share one database; it closes when the last clone is dropped, which waits for
/// what is under way. Closed, crashed or killed: what was acknowledged is there at the next open.
#[derive(Clone, Debug)]
pub struct Dynamo(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// None only while dropping.
    calls: Option<mpsc::Sender<Call>>,
    threads: Vec<JoinHandle<()>>,
    state: Arc<State>,
    /// The tables whose items expire.
    expiring: Mutex<Vec<Expiring>>,
    /// Unlocked when it is closed, after the threads have ended.
    _lock: Option<File>,
}

impl Dynamo {
    /// Opens the database in `folder`, which is made if it is missing. Blocks: for a moment as a rule, up to 30 s if
    /// a foreign SQLite connection holds the file.
    ///
    /// # Errors
    /// [`OpenError`], with what is wrong; nothing was changed then.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Folder {
            path: folder.to_owned(),
            source,
        };
        private::folder().recursive(true).create(folder).map_err(refused)?;
        // Absolute, so that SQLite does not read a relative name as a URI, and a later chdir does no harm.
        let folder = folder.canonicalize().map_err(refused)?;
        let lock = lock(&folder)?;
        let file = folder.join(DATABASE_FILE);
        // Before SQLite has it open, and with our lock held.
        make_private(&file).map_err(refused)?;
        let name = file.to_str().ok_or_else(|| OpenError::Name { path: folder.clone() })?;
        let db = Database::new(name)
            // Sets synchronous=NORMAL; the engine has no other way to it.
            .and_then(|db| db.disable_bulk_loading().map(|()| db))
            .map_err(|source| OpenError::Database {
                path: file.clone(),
                source: Box::new(source),
            })?;
        let log = open_log(&folder)?;
        let checkpoints = Checkpoints::open(&file).map_err(|source| OpenError::Second {
            path: file,
            source: Box::new(source),
        })?;
        // One that is not taken yet will copy these pages too.
        let (due, told) = sync_channel(1);
        let mut last = 0;
        let sync = move |writes| {
            log.sync_data()?;
            if writes >= last + AFTER_WRITES {
                last = writes;
                let _ = due.try_send(());
            }
            Ok(())
        };
        let copying = thread("dynamodb-copy", move || checkpoints.run(&told))?;
        Self::start(db, Some((sync, copying)), Some(lock))
    }

    /// A database in memory, for tests: nothing is durable.
    ///
    /// # Errors
    /// [`OpenError`] if the engine or a thread cannot be started.
    pub fn memory() -> Result<Self, OpenError> {
        let db = Database::memory().map_err(|source| OpenError::Database {
            path: PathBuf::from(":memory:"),
            source: Box::new(source),
        })?;
        Self::start(db, None::<(fn(u64) -> io::Result<()>, _)>, None)
    }

    /// With what syncs the log, and the thread that copies it as long as that is there.
    fn start<S>(db: Database, durable: Option<(S, JoinHandle<()>)>, lock: Option<File>) -> Result<Self, OpenError>
    where
        S: FnMut(u64) -> io::Result<()> + Send + 'static,
    {
        let state = Arc::new(State::new());
        let mut threads = Vec::new();
        let unsettled = match durable {
            Some((sync, copying)) => {
                threads.push(copying);
                let (unsettled, executed) = sync_channel(MAX_UNSETTLED);
                let settler = Settler::new(Arc::clone(&state), executed, sync);
                threads.push(thread("dynamodb-sync", move || settler.run())?);
                Some(unsettled)
            }
            None => None,
        };
        let (calls, waiting) = mpsc::channel(MAX_WAITING_CALLS);
        let executor = Executor::new(db, Arc::clone(&state), unsettled);
        threads.push(thread("dynamodb", move || executor.run(waiting))?);
        Ok(Self(Arc::new(Inner {
            calls: Some(calls),
            threads,
            state,
            expiring: Mutex::default(),
            _lock: lock,
        })))
    }

    /// A client of the AWS SDK that this database answers.
    #[must_use]
    pub fn client(&self) -> aws_sdk_dynamodb::Client {
        crate::connector::dynamodb_client(self.clone())
    }

    /// The first failure of the storage, if there was one.
    #[must_use]
    pub fn health(&self) -> Option<StorageFailure> {
        self.0.state.failure.borrow().clone()
    }

    /// Waits for the first failure of the storage; a process that serves should end then, with a failure. Waits for
    /// ever while all is well.
    pub async fn failure(&self) -> StorageFailure {
        let mut failure = self.0.state.failure.subscribe();
        loop {
            if let Some(failure) = failure.borrow_and_update().clone() {
                return failure;
            }
            if failure.changed().await.is_err() {
                // The sender lives as long as `self`.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Service for Dynamo {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let Some(operation) = Operation::parse(operation) else {
            return operation::unknown_operation(operation);
        };
        let closing = || operation::internal_error("the storage is closing");
        let (reply, answer) = oneshot::channel();
        let Some(calls) = &self.0.calls else { return closing() };
        let call = Call {
            caller: tokio::task::try_id(),
            operation,
            body,
            reply,
        };
        if calls.send(call).await.is_err() {
            return closing();
        }
        answer.await.unwrap_or_else(|_| closing())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.calls = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has reported itself; the other one still has to be waited for.
            drop(thread.join());
        }
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(OpenError::Thread)
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let refused = |source| OpenError::Folder {
        path: folder.to_owned(),
        source,
    };
    let path = folder.join(LOCK_FILE);
    let lock = private::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(refused)?;
    private::restrict(&path).map_err(refused)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(refused(source)),
    }
}

/// Makes the database's files their owner's alone: those of a release that left it to the umask too.
fn make_private(database: &Path) -> io::Result<()> {
    match private::options().write(true).create_new(true).open(database) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map(drop),
    }
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        match private::restrict(Path::new(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Opens the log beside SQLite and puts on disk what is there: frames that recovery found, and both files' names.
fn open_log(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join(LOG_FILE);
    let opened = OpenOptions::new().write(true).open(&path).and_then(|log| {
        log.sync_all()?;
        sync_folder(folder)?;
        Ok(log)
    });
    opened.map_err(|source| OpenError::Log { path, source })
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder is no file that can be synced; the system journals its names.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod open_tests;
#[cfg(test)]
mod tests;
