//! Secrets at rest: AES-256-GCM under a data key, bound to the tenant and endpoint they belong to, so that a row copied
//! to another place does not open. Never logs, never prints. Where the data key comes from is `secrets`.

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

/// Bytes of the data key.
pub const DATA_KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// Bytes of a block of SHA-256: HMAC pads a shorter key with zeros to it (RFC 2104 section 2).
const BLOCK_BYTES: usize = 64;
/// First byte of a sealed value: the form of what follows.
const VERSION: u8 = 1;

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
}

impl fmt::Debug for SealedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecrets({} bytes)", self.0.len())
    }
}

/// Seals and opens the secrets of endpoints.
#[derive(Clone)]
pub struct Sealer {
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

fn place(tenant: &TenantId, endpoint: &EndpointId) -> String {
    format!("redial/{tenant}/{endpoint}")
}

impl Sealer {
    /// With a data key of 32 bytes.
    #[must_use]
    pub fn new(data_key: &[u8; DATA_KEY_BYTES], random: Random) -> Self {
        let mut block = [0; BLOCK_BYTES];
        block[..DATA_KEY_BYTES].copy_from_slice(data_key);
        Self {
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

    /// Seals the secrets of one endpoint: version, nonce, ciphertext with tag.
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
        let nonce: [u8; NONCE_BYTES] = self.random.bytes();
        let place = place(tenant, endpoint);
        let payload = Payload {
            msg: &text,
            aad: place.as_bytes(),
        };
        let ciphertext = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| SealError)?;
        Ok(SealedSecrets([&[VERSION], nonce.as_slice(), &ciphertext].concat()))
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
        let Some((&VERSION, rest)) = sealed.0.split_first() else {
            return Err(SealError);
        };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError)?;
        let place = place(tenant, endpoint);
        let payload = Payload {
            msg: ciphertext,
            aad: place.as_bytes(),
        };
        let text = self
            .cipher
            .decrypt(&Nonce::from(*nonce), payload)
            .map_err(|_| SealError)?;
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
            headers: CustomHeaders::parse(headers).map_err(|_| SealError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Credentials {
        let until = Timestamp::from_millis(1_795_000_000_000);
        Credentials {
            previous: Some((Secret::from_random([2; 32]), until)),
            auth: Some(EndpointAuth::Bearer {
                token: "token".to_owned(),
            }),
            headers: CustomHeaders::parse([("X-Tenant", "t1"), ("Authorization", "mine")]).unwrap(),
            ..Credentials::new(Secret::from_random([1; 32]))
        }
    }

    #[test]
    fn each_header_is_there_once_and_ours_comes_before_theirs() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let standard = vec![pair("x-tenant", "t1"), pair("authorization", "Bearer token")];
        assert_eq!(secrets().headers(Profile::Standard), standard);
        let theirs = Credentials {
            headers: CustomHeaders::parse([("x-webhook-secret", "theirs")]).unwrap(),
            ..Credentials::new(Secret::parse_chosen("my own").unwrap())
        };
        assert_eq!(theirs.headers(Profile::Utel), [pair("x-webhook-secret", "theirs")]);
        assert_eq!(theirs.headers(Profile::Voicehub), [pair("x-webhook-secret", "my own")]);
    }

    #[test]
    fn what_was_sealed_before_there_was_authentication_opens() {
        let sealed: Sealed = serde_json::from_str(r#"{"s":"whsec_x"}"#).unwrap();
        assert!(sealed.a.is_none() && sealed.h.is_empty());
        let plain = Credentials::new(Secret::from_random([1; 32]));
        let text = serde_json::to_string(&Sealed {
            s: plain.secret.reveal().to_owned(),
            p: None,
            a: None,
            h: Vec::new(),
        });
        assert_eq!(text.unwrap(), format!(r#"{{"s":"{}"}}"#, plain.secret.reveal()));
    }

    #[test]
    fn opens_only_where_it_was_sealed() {
        let sealer = Sealer::new(&[9; 32], Random::seeded(1));
        let (tenant, endpoint) = (TenantId::parse("acme").unwrap(), EndpointId::mint(1));
        let sealed = sealer.seal(&tenant, &endpoint, &secrets()).unwrap();
        assert_eq!(sealer.open(&tenant, &endpoint, &sealed), Ok(secrets()));
        assert_eq!(sealer.open(&tenant, &EndpointId::mint(2), &sealed), Err(SealError));
        assert_eq!(
            sealer.open(&TenantId::parse("other").unwrap(), &endpoint, &sealed),
            Err(SealError)
        );
        assert_eq!(
            Sealer::new(&[8; 32], Random::seeded(1)).open(&tenant, &endpoint, &sealed),
            Err(SealError)
        );
        for cut in 0..sealed.as_bytes().len() {
            let torn = SealedSecrets::from_bytes(sealed.as_bytes()[..cut].to_vec());
            assert_eq!(sealer.open(&tenant, &endpoint, &torn), Err(SealError));
        }
    }

    #[test]
    fn a_derived_key_is_the_same_everywhere_and_another_for_each_purpose() {
        let derived = |data_key, purpose| Sealer::new(&data_key, Random::seeded(1)).derive_key(purpose);
        assert_eq!(derived([9; 32], "cursors"), derived([9; 32], "cursors"));
        assert_ne!(derived([9; 32], "cursors"), derived([9; 32], "portal"));
        assert_ne!(derived([9; 32], "cursors"), derived([8; 32], "cursors"));
    }

    #[test]
    fn an_old_secret_signs_until_its_overlap_ends() {
        let until = Timestamp::from_millis(1_795_000_000_000);
        assert_eq!(secrets().signing(until.plus_millis(-1)).len(), 2);
        assert_eq!(secrets().signing(until).len(), 1);
    }
}
