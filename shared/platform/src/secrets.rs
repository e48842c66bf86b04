//! The secrets of endpoints for the two functions that may open them: the dispatcher, which signs, and the API, which
//! shows, changes and makes them. A data key is fetched when something is first sealed or opened under it, and kept for the
//! environment's life; a function that never needs a secret never asks KMS. A sealed value names its key, so who opens never
//! asks which one is the newest; who seals asks each time. Never logs a key or a secret.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_kms::Client;
use aws_sdk_kms::error::DisplayErrorContext;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use futures_util::FutureExt as _;
use redial_domain::{EndpointId, TenantId, Timestamp};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::later::Later;
use crate::random::Random;
use crate::seal::{Credentials, DATA_KEY_BYTES, SealError, SealedSecrets, Sealer};
use crate::store::data_keys::{DataKeys, FIRST_VERSION};
use crate::store::{Store, StoreError};

/// Longest time for which an environment goes on deriving keys from a data key that was rotated, in milliseconds. Nothing is
/// sealed by what is remembered.
pub const MAX_AGE_MS: i64 = 30_000;

/// The data key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DataKeyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// KMS refused or did not answer.
    #[error("KMS {operation} failed: {source}")]
    Kms {
        /// The operation.
        operation: &'static str,
        /// What the SDK said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// KMS left out what it always answers, or gave a key of another length.
    #[error("KMS {operation} answered without {part}")]
    Incomplete {
        /// The operation.
        operation: &'static str,
        /// What is missing.
        part: &'static str,
    },
    /// Nothing was ever sealed, so there is no data key; or it was retired.
    #[error("there is no data key of version {version}")]
    Missing {
        /// The version.
        version: u32,
    },
}

/// Secrets cannot be sealed or opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretsError {
    /// The data key cannot be had. Whoever waited for the same fetch is told the same.
    #[error(transparent)]
    DataKey(Arc<DataKeyError>),
    /// It is there, and does not fit.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl From<DataKeyError> for SecretsError {
    fn from(error: DataKeyError) -> Self {
        Self::DataKey(Arc::new(error))
    }
}

/// A key that was derived from a data key.
pub struct DerivedKey {
    /// The version of the data key.
    pub version: u32,
    /// The key.
    pub key: [u8; DATA_KEY_BYTES],
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DerivedKey(redacted, version {})", self.version)
    }
}

/// Seals and opens secrets. Cheap to clone; clones share the data keys.
#[derive(Clone)]
pub struct Secrets(Arc<Inner>);

struct Inner {
    store: Store,
    kms: Later<Client>,
    kms_key: String,
    clock: Clock,
    random: Random,
    /// Fetches that failed so far.
    failures: AtomicU64,
    known: Mutex<Known>,
}

/// What is known of the data keys.
#[derive(Default)]
struct Known {
    sealers: HashMap<u32, Arc<Sealer>>,
    /// Which there were, and when that was read.
    keys: Option<(DataKeys, Timestamp)>,
    last_failure: Option<(u32, SecretsError)>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(redacted)")
    }
}

impl Secrets {
    /// Secrets under the data keys in `store`, which the KMS key `kms_key` (id or ARN) wraps. Calls nothing yet.
    #[must_use]
    pub fn new(
        store: Store,
        kms: impl Into<Later<Client>>,
        kms_key: impl Into<String>,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            kms: kms.into(),
            kms_key: kms_key.into(),
            clock,
            random,
            failures: AtomicU64::new(0),
            known: Mutex::default(),
        }))
    }

    /// Opens the secrets of an endpoint. Never makes a data key.
    ///
    /// # Errors
    /// [`SecretsError`] if there is no such data key, it cannot be fetched, or it does not fit.
    pub async fn open(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        sealed: &SealedSecrets,
    ) -> Result<Credentials, SecretsError> {
        let sealer = self.0.opener(sealed).await?;
        Ok(sealer.open(tenant, endpoint, sealed)?)
    }

    /// Seals the secrets of an endpoint under the newest data key; makes the first one if there is none.
    ///
    /// # Errors
    /// [`SecretsError`] if the data key cannot be fetched or made.
    pub async fn seal(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        secrets: &Credentials,
    ) -> Result<SealedSecrets, SecretsError> {
        let version = self.0.read_keys().await?.current;
        Ok(self.0.sealer_of(version).await?.seal(tenant, endpoint, secrets)?)
    }

    /// Seals what was sealed for an endpoint under the data key of `version`; `None` if it is already.
    ///
    /// # Errors
    /// [`SecretsError`] if one of the two data keys cannot be fetched, or it does not open.
    pub async fn reseal(
        &self,
        version: u32,
        place: (&TenantId, &EndpointId),
        sealed: &SealedSecrets,
    ) -> Result<Option<SealedSecrets>, SecretsError> {
        if sealed.key_version() == Some(version) {
            return Ok(None);
        }
        let older = self.0.opener(sealed).await?;
        let newer = self.0.sealer_of(version).await?;
        Ok(Some(newer.reseal(&older, place, sealed)?))
    }

    /// Sees to it that there is a data key of `version` and that it can be had, before anything is sealed under it.
    ///
    /// # Errors
    /// [`SecretsError`] if it cannot be made or fetched.
    pub async fn prepare(&self, version: u32) -> Result<(), SecretsError> {
        let mut known = self.0.known.lock().await;
        self.0.sealer(version, &mut known, Absent::MakeIt).await.map(drop)
    }

    /// Looks which data keys there are now: something was done to them here.
    ///
    /// # Errors
    /// [`SecretsError`] if the store fails.
    pub async fn refresh(&self) -> Result<(), SecretsError> {
        self.0.read_keys().await.map(drop)
    }

    /// A key of 32 bytes for `purpose`, derived from the newest data key that is known here: the same in every environment
    /// that shares the tables, but for [`MAX_AGE_MS`] after a rotation. Makes the first data key if there is none.
    ///
    /// # Errors
    /// [`SecretsError`] if the data key cannot be fetched or made.
    pub async fn derive_key(&self, purpose: &str) -> Result<DerivedKey, SecretsError> {
        let version = self.0.recent_keys().await?.current;
        let key = self.0.sealer_of(version).await?.derive_key(purpose);
        Ok(DerivedKey { version, key })
    }

    /// The key for `purpose` that is derived from the data key of `version`; `None` if there is none or it was retired.
    ///
    /// # Errors
    /// [`SecretsError`] if the data key cannot be fetched.
    pub async fn derived_key(&self, purpose: &str, version: u32) -> Result<Option<DerivedKey>, SecretsError> {
        let mut known = self.0.recent_keys().await?;
        if version > known.current {
            // It was rotated since, or somebody made the version up.
            known = self.0.read_keys().await?;
        }
        if !known.opens(version) {
            return Ok(None);
        }
        let key = self.0.sealer_of(version).await?.derive_key(purpose);
        Ok(Some(DerivedKey { version, key }))
    }
}

/// What it means that there is no data key of a version.
#[derive(Clone, Copy)]
enum Absent {
    IsAnError,
    MakeIt,
}

impl Inner {
    /// Which data keys there are now.
    async fn read_keys(&self) -> Result<DataKeys, SecretsError> {
        let read_at = self.clock.now();
        let keys = self.store.data_keys().await.map_err(DataKeyError::from)?.keys;
        let mut known = self.known.lock().await;
        // What was retired is not kept: nothing needs it. A version that is newer than what was read is being made.
        known
            .sealers
            .retain(|version, _| keys.opens(*version) || *version > keys.current);
        known.keys = Some((keys.clone(), read_at));
        Ok(keys)
    }

    /// Which data keys there were a while ago at most.
    async fn recent_keys(&self) -> Result<DataKeys, SecretsError> {
        let now = self.clock.now();
        if let Some((keys, read_at)) = &self.known.lock().await.keys
            && now.millis_since(*read_at) < MAX_AGE_MS
        {
            return Ok(keys.clone());
        }
        self.read_keys().await
    }

    /// The sealer of what is to be opened.
    async fn opener(&self, sealed: &SealedSecrets) -> Result<Arc<Sealer>, SecretsError> {
        let version = sealed.key_version().ok_or(SealError)?;
        let before = self.failures.load(Ordering::SeqCst);
        let mut known = self.known.lock().await;
        if !known.sealers.contains_key(&version)
            && let Some((failed, error)) = &known.last_failure
            && *failed == version
            && self.failures.load(Ordering::SeqCst) > before
        {
            // It failed while this call waited: asking once more for each of ten messages would only take longer.
            return Err(error.clone());
        }
        self.sealer(version, &mut known, Absent::IsAnError).await
    }

    /// The sealer of a version that is known to be one. The first is made when it is first needed, each other by a rotation:
    /// one that is lost must not be replaced by another of its version.
    async fn sealer_of(&self, version: u32) -> Result<Arc<Sealer>, SecretsError> {
        let absent = if version == FIRST_VERSION {
            Absent::MakeIt
        } else {
            Absent::IsAnError
        };
        let mut known = self.known.lock().await;
        self.sealer(version, &mut known, absent).await
    }

    /// The sealer of a version; fetched under the lock, so once for all who wait.
    async fn sealer(&self, version: u32, known: &mut Known, absent: Absent) -> Result<Arc<Sealer>, SecretsError> {
        if let Some(sealer) = known.sealers.get(&version) {
            return Ok(Arc::clone(sealer));
        }
        match self.fetch(version, absent).await {
            Ok(key) => {
                let sealer = Arc::new(Sealer::of_version(version, &key, self.random.clone()));
                known.sealers.insert(version, Arc::clone(&sealer));
                Ok(sealer)
            }
            Err(error) => {
                let error = SecretsError::from(error);
                known.last_failure = Some((version, error.clone()));
                self.failures.fetch_add(1, Ordering::SeqCst);
                Err(error)
            }
        }
    }

    async fn fetch(&self, version: u32, absent: Absent) -> Result<[u8; DATA_KEY_BYTES], DataKeyError> {
        let missing = DataKeyError::Missing { version };
        let wrapped = match (self.store.wrapped_data_key(version).await?, absent) {
            (Some(wrapped), _) => wrapped,
            (None, Absent::IsAnError) => return Err(missing),
            (None, Absent::MakeIt) => {
                let made = self.generate().await?;
                if self.store.put_wrapped_data_key(version, made.clone()).await? {
                    tracing::info!(version, "secrets.data_key_made");
                    made
                } else {
                    // Somebody else was first: what is stored counts. Nothing is stored of one that was retired.
                    self.store.wrapped_data_key(version).await?.ok_or(missing)?
                }
            }
        };
        self.decrypt(wrapped).await
    }

    /// A new data key, wrapped.
    async fn generate(&self) -> Result<Vec<u8>, DataKeyError> {
        const OPERATION: &str = "GenerateDataKey";
        let call = self.kms.generate_data_key().key_id(&self.kms_key);
        let made = call.key_spec(DataKeySpec::Aes256).send().boxed().await;
        let made = made.map_err(|error| DataKeyError::Kms {
            operation: OPERATION,
            source: DisplayErrorContext(error).to_string().into(),
        })?;
        let wrapped = made.ciphertext_blob.ok_or(DataKeyError::Incomplete {
            operation: OPERATION,
            part: "the ciphertext",
        })?;
        Ok(wrapped.into_inner())
    }

    async fn decrypt(&self, wrapped: Vec<u8>) -> Result<[u8; DATA_KEY_BYTES], DataKeyError> {
        const OPERATION: &str = "Decrypt";
        let call = self.kms.decrypt().key_id(&self.kms_key);
        let opened = call.ciphertext_blob(Blob::new(wrapped)).send().boxed().await;
        let opened = opened.map_err(|error| DataKeyError::Kms {
            operation: OPERATION,
            source: DisplayErrorContext(error).to_string().into(),
        })?;
        let key = opened.plaintext.and_then(|key| key.as_ref().try_into().ok());
        key.ok_or(DataKeyError::Incomplete {
            operation: OPERATION,
            part: "a key of 32 bytes",
        })
    }
}
