//! Secrets at rest: AES-256-GCM under a data key, bound to the tenant and endpoint they belong to, so that a row copied
//! to another place does not open. A sealed value names the version of its key. Never logs, never prints. Where the data
//! keys come from is `secrets`.

use std::fmt;

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use hmac::{Hmac, Mac as _};
use redial_domain::auth::EndpointAuth;
use redial_domain::header::CustomHeaders;
use redial_domain::profile::{Profile, voicehub};
use redial_domain::signature::Secret;
use redial_domain::{EndpointId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::random::Random;
use crate::store::data_keys::FIRST_VERSION;

/// Bytes of the data key.
pub const DATA_KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// Bytes of a block of SHA-256: HMAC pads a shorter key with zeros to it (RFC 2104 section 2).
const BLOCK_BYTES: usize = 64;
/// First byte of a value that is sealed under the first data key: nonce and ciphertext follow. As every release reads it.
const UNDER_THE_FIRST: u8 = 1;
/// First byte of a value that is sealed under a later data key: its version, nonce and ciphertext follow.
const UNDER_A_NAMED: u8 = 2;
/// Bytes of a data key's version, big-endian.
const VERSION_BYTES: usize = 4;

/// A sealed value does not open: another key, another place, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint's secrets do not open with this data key")]
pub struct SealError;

/// Secrets as they are stored: without the data key, bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecrets(Vec<u8>);

impl SealedSecrets {
    /// What is stored; [`Sealer::open`] finds out whether it opens.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What is to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The version of the data key that they are sealed under, as they say themselves; `None`: of no form that is known here.
    #[must_use]
    pub fn key_version(&self) -> Option<u32> {
        self.parts().map(|(version, _)| version)
    }

    /// The version of the data key, and what follows it.
    fn parts(&self) -> Option<(u32, &[u8])> {
        match self.0.split_first()? {
            (&UNDER_THE_FIRST, rest) => Some((FIRST_VERSION, rest)),
            (&UNDER_A_NAMED, rest) => {
                let (version, rest) = rest.split_first_chunk::<VERSION_BYTES>()?;
                let version = u32::from_be_bytes(*version);
                (version > FIRST_VERSION).then_some((version, rest))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for SealedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecrets({} bytes)", self.0.len())
    }
}

/// Seals and opens the secrets of endpoints under one data key.
#[derive(Clone)]
pub struct Sealer {
    version: u32,
    cipher: Aes256Gcm,
    random: Random,
    derivation: Hmac<Sha256>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(redacted)")
    }
}

/// The secrets of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Signs.
    pub secret: Secret,
    /// Signs too, until the moment beside it.
    pub previous: Option<(Secret, Timestamp)>,
    /// Authenticates besides.
    pub auth: Option<EndpointAuth>,
    /// Sent as they are: they may hold keys.
    pub headers: CustomHeaders,
}

impl Credentials {
    /// A secret and nothing else.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self {
            secret,
            previous: None,
            auth: None,
            headers: CustomHeaders::default(),
        }
    }

    /// The headers that these make in requests of `profile`, besides the signature: names in lower case, each once. A custom
    /// header gives way to authentication, and both to what the profile sets.
    #[must_use]
    pub fn headers(&self, profile: Profile) -> Vec<(String, String)> {
        let custom = self.headers.iter();
        let mut headers: Vec<(String, String)> = custom
            .map(|header| (header.name().to_owned(), header.value().to_owned()))
            .collect();
        let mut set = |name: String, value: String| {
            headers.retain(|(other, _)| *other != name);
            headers.push((name, value));
        };
        // It was read when it was stored, so it makes a header.
        if let Some(Ok((name, value))) = self.auth.as_ref().map(EndpointAuth::header) {
            set(name, value);
        }
        if profile == Profile::Voicehub {
            set(voicehub::SECRET_HEADER.to_owned(), self.secret.reveal().to_owned());
        }
        headers
    }

    /// The secrets that sign at `now`, the newest first.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> Vec<Secret> {
        let previous = self
            .previous
            .iter()
            .filter(|(_, until)| now < *until)
            .map(|(secret, _)| secret.clone());
        std::iter::once(self.secret.clone()).chain(previous).collect()
    }
}

/// The sealed text: the only place where secrets are written out.
#[derive(Serialize, Deserialize)]
struct Sealed {
    s: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<(String, Timestamp)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<EndpointAuth>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    h: Vec<(String, String)>,
}

/// What a sealed value is bound to. No id has a slash.
fn place(version: u32, tenant: &TenantId, endpoint: &EndpointId) -> String {
    if version == FIRST_VERSION {
        format!("redial/{tenant}/{endpoint}")
    } else {
        format!("redial/{version}/{tenant}/{endpoint}")
    }
}

impl Sealer {
    /// With the first data key, of 32 bytes.
    #[must_use]
    pub fn new(data_key: &[u8; DATA_KEY_BYTES], random: Random) -> Self {
        Self::of_version(FIRST_VERSION, data_key, random)
    }

    /// With the data key of that version, of 32 bytes.
    #[must_use]
    pub fn of_version(version: u32, data_key: &[u8; DATA_KEY_BYTES], random: Random) -> Self {
        let mut block = [0; BLOCK_BYTES];
        block[..DATA_KEY_BYTES].copy_from_slice(data_key);
        Self {
            version,
            cipher: Aes256Gcm::new(data_key.into()),
            random,
            derivation: Hmac::new(&block.into()),
        }
    }

    /// A key of 32 bytes for `purpose`: HMAC-SHA256 of it under the data key, so the same in every environment, and
    /// telling nothing about the data key or the key of another purpose.
    #[must_use]
    pub fn derive_key(&self, purpose: &str) -> [u8; DATA_KEY_BYTES] {
        let mut mac = self.derivation.clone();
        mac.update(b"redial/key/");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Seals the secrets of one endpoint.
    ///
    /// # Errors
    /// [`SealError`] in practice never: the text is short.
    pub fn seal(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        secrets: &Credentials,
    ) -> Result<SealedSecrets, SealError> {
        let text = serde_json::to_vec(&Sealed {
            s: secrets.secret.reveal().to_owned(),
            p: secrets
                .previous
                .as_ref()
                .map(|(secret, until)| (secret.reveal().to_owned(), *until)),
            a: secrets.auth.clone(),
            h: secrets
                .headers
                .iter()
                .map(|header| (header.name().to_owned(), header.value().to_owned()))
                .collect(),
        })
        .map_err(|_| SealError)?;
        self.seal_text(tenant, endpoint, &text)
    }

    /// Opens what [`Sealer::seal`] sealed for the same endpoint.
    ///
    /// # Errors
    /// [`SealError`] if it does not open.
    pub fn open(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        sealed: &SealedSecrets,
    ) -> Result<Credentials, SealError> {
        let text = self.open_text(tenant, endpoint, sealed)?;
        let Sealed { s, p, a, h } = serde_json::from_slice(&text).map_err(|_| SealError)?;
        let secret = |text: &str| Secret::parse_chosen(text).map_err(|_| SealError);
        let previous = p
            .map(|(text, until)| secret(&text).map(|secret| (secret, until)))
            .transpose()?;
        let headers = h.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(Credentials {
            secret: secret(&s)?,
            previous,
            auth: a,
            headers: CustomHeaders::stored(headers),
        })
    }

    /// Seals what `older` sealed for an endpoint under this data key: the same text, also what only a newer release
    /// understands of it.
    ///
    /// # Errors
    /// [`SealError`] if it does not open.
    pub fn reseal(
        &self,
        older: &Self,
        (tenant, endpoint): (&TenantId, &EndpointId),
        sealed: &SealedSecrets,
    ) -> Result<SealedSecrets, SealError> {
        self.seal_text(tenant, endpoint, &older.open_text(tenant, endpoint, sealed)?)
    }

    fn seal_text(&self, tenant: &TenantId, endpoint: &EndpointId, text: &[u8]) -> Result<SealedSecrets, SealError> {
        let nonce: [u8; NONCE_BYTES] = self.random.bytes();
        let place = place(self.version, tenant, endpoint);
        let payload = Payload {
            msg: text,
            aad: place.as_bytes(),
        };
        let ciphertext = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| SealError)?;
        let version = self.version.to_be_bytes();
        let begin: &[&[u8]] = if self.version == FIRST_VERSION {
            &[&[UNDER_THE_FIRST]]
        } else {
            &[&[UNDER_A_NAMED], &version]
        };
        let rest: &[&[u8]] = &[&nonce, &ciphertext];
        Ok(SealedSecrets([begin.concat(), rest.concat()].concat()))
    }

    fn open_text(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        sealed: &SealedSecrets,
    ) -> Result<Vec<u8>, SealError> {
        let (version, rest) = sealed.parts().ok_or(SealError)?;
        if version != self.version {
            return Err(SealError);
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError)?;
        let place = place(version, tenant, endpoint);
        let payload = Payload {
            msg: ciphertext,
            aad: place.as_bytes(),
        };
        let text = self.cipher.decrypt(&Nonce::from(*nonce), payload);
        text.map_err(|_| SealError)
    }
}

#[cfg(test)]
mod tests;
