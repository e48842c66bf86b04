//! The data folder of a local run: who has it, the operator's key, the key that seals secrets, and the note by which the
//! commands find the server. Files with secrets are made for their owner alone, and are whole or not there.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use redial_domain::Timestamp;
use redial_platform::auth::{self, KeyText, Scope};
use redial_platform::random::Random;
use redial_platform::seal::DATA_KEY_BYTES;

use crate::dynamodb::DATABASE_FILE;
use crate::private;

/// Held locked while a server runs on the folder.
const LOCK_FILE: &str = "serve.lock";
/// The operator's key, as text.
const OPERATOR_KEY_FILE: &str = "operator.key";
/// What the endpoints' secrets lie under, as bytes: the key of the embedded KMS is derived from it.
const SECRETS_KEY_FILE: &str = "secrets.key";
/// Where the server is and the key for it, while it runs.
const NOTE_FILE: &str = "serve.json";
/// Held locked like [`LOCK_FILE`], for the commands, which look whether it is. They have it for a moment then, which must be in
/// no other server's way.
const RUNNING_FILE: &str = "serve.running";
/// What the key is called in the list of keys.
const OPERATOR_KEY_NAME: &str = "operator of this machine";

/// The data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// It cannot be made or locked.
    #[error("the data folder {} cannot be used", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another server has it.
    #[error("the data folder {} is in use by another `redial serve`", .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file in it cannot be read or written.
    #[error("{} cannot be read or written", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A key file does not hold a key.
    #[error("{} does not hold a key; put back the file that was there", .path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The folder holds data whose key is gone: a new one could not open the secrets that are stored.
    #[error("{} is missing, and without it the stored secrets of endpoints cannot be opened", .path.display())]
    KeyMissing {
        /// The file.
        path: PathBuf,
    },
}

/// A data folder that this process has for itself until the value is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Unlocked when they are closed.
    _locks: [File; 2],
}

impl DataFolder {
    /// Makes the folder if it is missing, and takes it.
    ///
    /// # Errors
    /// [`DataFolderError`] if it cannot be made, or another server has it.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let refused = |source| DataFolderError::Folder {
            path: path.to_owned(),
            source,
        };
        private::folder().recursive(true).create(path).map_err(refused)?;
        let path = path.canonicalize().map_err(refused)?;
        let refused = |source| DataFolderError::Folder {
            path: path.clone(),
            source,
        };
        let opened = |name: &str| {
            let mut options = private::options();
            options.write(true).create(true).truncate(false).open(path.join(name))
        };
        let lock = opened(LOCK_FILE).map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataFolderError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(refused(source)),
        }
        // Of a server that was killed: while we run, the commands would believe it.
        withdraw(&path)?;
        let running = opened(RUNNING_FILE).and_then(|running| running.lock().map(|()| running));
        let locks = [lock, running.map_err(refused)?];
        Ok(Self { path, _locks: locks })
    }

    /// The folder, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The operator's key: made at the first start, the same ever after.
    ///
    /// # Errors
    /// [`DataFolderError`] if the file cannot be read or written, or holds no key.
    pub fn operator_key(&self, random: &Random, now: Timestamp) -> Result<KeyText, DataFolderError> {
        let path = self.path.join(OPERATOR_KEY_FILE);
        let Some(bytes) = read(&path)? else {
            let (key, _) = auth::mint(random, &Scope::Operator, OPERATOR_KEY_NAME, now);
            self.write(&path, format!("{}\n", key.reveal()).as_bytes())?;
            return Ok(key);
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        let key = KeyText::from_text(text.trim().to_owned());
        match stored(&key, now) {
            Some(_) => Ok(key),
            None => Err(DataFolderError::NotAKey { path }),
        }
    }

    /// What the endpoints' secrets lie under: made at the first start, the same ever after.
    ///
    /// # Errors
    /// [`DataFolderError`] if the file cannot be read or written, holds no key, or is gone though there is a database.
    pub fn secrets_key(&self, random: &Random) -> Result<[u8; DATA_KEY_BYTES], DataFolderError> {
        let path = self.path.join(SECRETS_KEY_FILE);
        match read(&path)? {
            Some(bytes) => bytes.try_into().map_err(|_| DataFolderError::NotAKey { path }),
            None if self.path.join(DATABASE_FILE).exists() => Err(DataFolderError::KeyMissing { path }),
            None => {
                let key = random.bytes();
                self.write(&path, &key)?;
                Ok(key)
            }
        }
    }

    /// Tells the commands on this machine where the server is and with which key.
    ///
    /// # Errors
    /// [`DataFolderError::File`] if it cannot be written.
    pub fn announce(&self, url: &str, key: &KeyText) -> Result<(), DataFolderError> {
        let note = serde_json::json!({ "url": url, "key": key.reveal() });
        self.write(&self.path.join(NOTE_FILE), format!("{note}\n").as_bytes())
    }

    /// Takes that back: the server stops.
    ///
    /// # Errors
    /// [`DataFolderError::File`] if it cannot be removed.
    pub fn withdraw(&self) -> Result<(), DataFolderError> {
        withdraw(&self.path)
    }

    /// Writes a file that only its owner can read: beside its place, on disk, then under its name.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), DataFolderError> {
        let beside = path.with_extension("new");
        let written = private::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&beside)
            .and_then(|mut file| {
                private::restrict(&beside)?;
                file.write_all(bytes)?;
                file.sync_all()?;
                fs::rename(&beside, path)?;
                sync_folder(&self.path)
            });
        written.map_err(|source| DataFolderError::File {
            path: path.to_owned(),
            source,
        })
    }
}

/// What the server that runs on this folder says of itself; `None`: none runs. The note of one that was killed is not
/// believed: somebody else may listen where it did, and would be handed the operator's key.
///
/// # Errors
/// [`DataFolderError::File`] if the note or the lock cannot be read.
pub(crate) fn note_of_running(path: &Path) -> Result<Option<Vec<u8>>, DataFolderError> {
    let lock_path = path.join(RUNNING_FILE);
    let unread = |source| DataFolderError::File {
        path: lock_path.clone(),
        source,
    };
    let lock = match File::open(&lock_path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unread(source)),
    };
    match lock.try_lock_shared() {
        // Given back at once, with the file.
        Ok(()) => Ok(None),
        // Read while it is held: whoever took it has removed what a former one left.
        Err(TryLockError::WouldBlock) => read(&path.join(NOTE_FILE)),
        Err(TryLockError::Error(source)) => Err(unread(source)),
    }
}

fn withdraw(folder: &Path) -> Result<(), DataFolderError> {
    let path = folder.join(NOTE_FILE);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(DataFolderError::File { path, source }),
        _ => Ok(()),
    }
}

/// What is stored of the operator's key.
#[must_use]
pub fn stored(key: &KeyText, now: Timestamp) -> Option<redial_platform::store::config::ApiKey> {
    auth::stored_form(key, &Scope::Operator, OPERATOR_KEY_NAME, now)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, DataFolderError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DataFolderError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn keys_are_made_once_and_are_their_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new").join("data");
        let random = Random::seeded(1);
        let (operator, data) = {
            let folder = DataFolder::open(&path).unwrap();
            let operator = folder.operator_key(&random, NOW).unwrap();
            (operator.reveal().to_owned(), folder.secrets_key(&random).unwrap())
        };
        let folder = DataFolder::open(&path).unwrap();
        assert_eq!(folder.operator_key(&random, NOW).unwrap().reveal(), operator);
        assert_eq!(folder.secrets_key(&random).unwrap(), data);
        for file in [OPERATOR_KEY_FILE, SECRETS_KEY_FILE, LOCK_FILE, RUNNING_FILE] {
            assert_eq!(mode(&path.join(file)), 0o600, "{file}");
        }
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_folder_in_use_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataFolder::open(dir.path()).unwrap();
        let refused = DataFolder::open(dir.path()).unwrap_err();
        assert!(matches!(&refused, DataFolderError::InUse { path } if path == held.path()));
        assert!(refused.to_string().contains(&held.path().display().to_string()));
        drop(held);
        DataFolder::open(dir.path()).unwrap();
    }

    #[test]
    fn the_note_of_a_server_that_was_killed_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let note = || note_of_running(dir.path()).unwrap();
        assert_eq!(note(), None);
        let folder = DataFolder::open(dir.path()).unwrap();
        assert_eq!(note(), None);
        let key = folder.operator_key(&Random::seeded(1), NOW).unwrap();
        folder.announce("http://127.0.0.1:4080", &key).unwrap();
        assert!(note().is_some());
        // As the system does with one that is killed: the lock goes, the note stays.
        drop(folder);
        assert!(dir.path().join(NOTE_FILE).exists());
        assert_eq!(note(), None);
        // The next one has the lock before it says where it is.
        let _next = DataFolder::open(dir.path()).unwrap();
        assert_eq!(note(), None);
    }

    #[test]
    fn a_place_that_is_no_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let refused = DataFolder::open(&file).unwrap_err();
        assert!(matches!(refused, DataFolderError::Folder { path, .. } if path == file));
    }

    #[test]
    fn a_lost_secrets_key_is_never_replaced_beside_a_database() {
        let dir = tempfile::tempdir().unwrap();
        let random = Random::seeded(1);
        let folder = DataFolder::open(dir.path()).unwrap();
        folder.secrets_key(&random).unwrap();
        fs::remove_file(dir.path().join(SECRETS_KEY_FILE)).unwrap();
        folder.secrets_key(&random).unwrap();
        fs::remove_file(dir.path().join(SECRETS_KEY_FILE)).unwrap();
        drop(crate::dynamodb::Dynamo::open(dir.path()).unwrap());
        assert!(matches!(
            folder.secrets_key(&random),
            Err(DataFolderError::KeyMissing { .. })
        ));
    }

    #[test]
    fn damaged_key_files_are_named_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        fs::write(dir.path().join(SECRETS_KEY_FILE), [1; 31]).unwrap();
        fs::write(dir.path().join(OPERATOR_KEY_FILE), "hello").unwrap();
        let random = Random::seeded(1);
        assert!(matches!(
            folder.secrets_key(&random),
            Err(DataFolderError::NotAKey { .. })
        ));
        assert!(matches!(
            folder.operator_key(&random, NOW),
            Err(DataFolderError::NotAKey { .. })
        ));
        assert_eq!(fs::read(dir.path().join(SECRETS_KEY_FILE)).unwrap(), [1; 31]);
    }

    #[test]
    fn the_note_is_private_and_goes_with_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        let note = dir.path().join(NOTE_FILE);
        // Left behind by a crash, and open to everybody.
        fs::write(note.with_extension("new"), "{}").unwrap();
        let key = folder.operator_key(&Random::seeded(1), NOW).unwrap();
        folder.announce("http://127.0.0.1:4080", &key).unwrap();
        assert_eq!(mode(&note), 0o600);
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({ "url": "http://127.0.0.1:4080", "key": key.reveal() })
        );
        folder.withdraw().unwrap();
        assert!(!note.exists());
        folder.withdraw().unwrap();
    }
}
