//! The secrets of endpoints for the two functions that may open them: the dispatcher, which signs, and the API, which
//! shows, changes and makes them. The data key is fetched at the first use and kept for the environment's life; a function
//! that never needs a secret never asks KMS. Never logs a key or a secret.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_kms::Client;
use aws_sdk_kms::error::DisplayErrorContext;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use redial_domain::{EndpointId, TenantId};
use tokio::sync::Mutex;

use crate::random::Random;
use crate::seal::{Credentials, DATA_KEY_BYTES, SealError, SealedSecrets, Sealer};
use crate::store::{Store, StoreError};

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
    /// Nothing was ever sealed, so there is no data key.
    #[error("there is no data key yet")]
    Missing,
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

/// Seals and opens secrets. Cheap to clone; clones share the data key.
#[derive(Clone)]
pub struct Secrets(Arc<Inner>);

struct Inner {
    store: Store,
    kms: Client,
    kms_key: String,
    random: Random,
    /// Fetches that failed so far.
    failures: AtomicU64,
    known: Mutex<Known>,
}

/// What is known of the data key.
#[derive(Default)]
struct Known {
    sealer: Option<Sealer>,
    last_failure: Option<SecretsError>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(redacted)")
    }
}

impl Secrets {
    /// Secrets under the data key in `store`, which the KMS key `kms_key` (id or ARN) wraps. Calls nothing yet.
    #[must_use]
    pub fn new(store: Store, kms: Client, kms_key: impl Into<String>, random: Random) -> Self {
        Self(Arc::new(Inner {
            store,
            kms,
            kms_key: kms_key.into(),
            random,
            failures: AtomicU64::new(0),
            known: Mutex::default(),
        }))
    }

    /// Opens the secrets of an endpoint. Never makes a data key.
    ///
    /// # Errors
    /// [`SecretsError`] if there is no data key, it cannot be fetched, or it does not fit.
    pub async fn open(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        sealed: &SealedSecrets,
    ) -> Result<Credentials, SecretsError> {
        let before = self.0.failures.load(Ordering::SeqCst);
        let mut known = self.0.known.lock().await;
        if known.sealer.is_none()
            && let Some(failure) = &known.last_failure
            && self.0.failures.load(Ordering::SeqCst) > before
        {
            // It failed while this call waited: asking once more for each of ten messages would only take longer.
            return Err(failure.clone());
        }
        let sealer = self.0.sealer(&mut known, Absent::IsAnError).await?;
        drop(known);
        Ok(sealer.open(tenant, endpoint, sealed)?)
    }

    /// Seals the secrets of an endpoint; makes the data key if there is none.
    ///
    /// # Errors
    /// [`SecretsError`] if the data key cannot be fetched or made.
    pub async fn seal(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        secrets: &Credentials,
    ) -> Result<SealedSecrets, SecretsError> {
        Ok(self.0.make().await?.seal(tenant, endpoint, secrets)?)
    }

    /// A key of 32 bytes for `purpose`, derived from the data key: the same in every environment that shares the tables.
    /// Makes the data key if there is none.
    ///
    /// # Errors
    /// [`SecretsError`] if the data key cannot be fetched or made.
    pub async fn derive_key(&self, purpose: &str) -> Result<[u8; DATA_KEY_BYTES], SecretsError> {
        Ok(self.0.make().await?.derive_key(purpose))
    }
}

/// What it means that there is no data key.
#[derive(Clone, Copy)]
enum Absent {
    IsAnError,
    MakeIt,
}

impl Inner {
    async fn make(&self) -> Result<Sealer, SecretsError> {
        let mut known = self.known.lock().await;
        self.sealer(&mut known, Absent::MakeIt).await
    }

    /// The sealer; fetched under the lock, so once for all who wait.
    async fn sealer(&self, known: &mut Known, absent: Absent) -> Result<Sealer, SecretsError> {
        if let Some(sealer) = &known.sealer {
            return Ok(sealer.clone());
        }
        match self.fetch(absent).await {
            Ok(key) => Ok(known.sealer.insert(Sealer::new(&key, self.random.clone())).clone()),
            Err(error) => {
                let error = SecretsError::from(error);
                known.last_failure = Some(error.clone());
                self.failures.fetch_add(1, Ordering::SeqCst);
                Err(error)
            }
        }
    }

    async fn fetch(&self, absent: Absent) -> Result<[u8; DATA_KEY_BYTES], DataKeyError> {
        let wrapped = match (self.store.wrapped_data_key().await?, absent) {
            (Some(wrapped), _) => wrapped,
            (None, Absent::IsAnError) => return Err(DataKeyError::Missing),
            (None, Absent::MakeIt) => {
                let made = self.generate().await?;
                if self.store.put_wrapped_data_key(made.clone()).await? {
                    tracing::info!("secrets.data_key_made");
                    made
                } else {
                    // Somebody else was first: what is stored counts.
                    let first = self.store.wrapped_data_key().await?;
                    first.ok_or(DataKeyError::Missing)?
                }
            }
        };
        self.decrypt(wrapped).await
    }

    /// A new data key, wrapped.
    async fn generate(&self) -> Result<Vec<u8>, DataKeyError> {
        const OPERATION: &str = "GenerateDataKey";
        let call = self.kms.generate_data_key().key_id(&self.kms_key);
        let made = call.key_spec(DataKeySpec::Aes256).send().await;
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
        let opened = call.ciphertext_blob(Blob::new(wrapped)).send().await;
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
