//! KMS embedded, as far as Redial uses it: data keys made and opened under one key, which never leaves this module. Answers
//! in process under the AWS SDK's connector. Keeps nothing: the wrapping key is the caller's to keep.
//! <https://docs.aws.amazon.com/kms/latest/APIReference/Welcome.html>

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use redial_platform::Random;
use redial_platform::seal::{DATA_KEY_BYTES, Sealer};
use serde::Deserialize;
use serde_json::json;

use crate::connector::{Answer, Service};

/// What the wrapping key is derived for.
const WRAPPING: &str = "kms";
/// First byte of a wrapped key: the form of what follows.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
/// Most bytes of a data key, by the documentation of `GenerateDataKey`.
const MAX_DATA_KEY_BYTES: usize = 1024;
/// Account and region of the key's ARN; no answer depends on them.
const ARN_PREFIX: &str = "arn:aws:kms:us-east-1:000000000000:key/";
/// The only algorithm of a symmetric key.
const ALGORITHM: &str = "SYMMETRIC_DEFAULT";

/// The status of every refusal of KMS.
const REFUSED: u16 = 400;
const INVALID_CIPHERTEXT: &str = "InvalidCiphertextException";
const NOT_FOUND: &str = "NotFoundException";
const SERIALIZATION: &str = "SerializationException";
const UNKNOWN_OPERATION: &str = "UnknownOperationException";
const VALIDATION: &str = "ValidationException";

/// KMS with one symmetric key. Cheap to clone.
#[derive(Clone)]
pub struct Kms(Arc<Key>);

struct Key {
    id: String,
    cipher: Aes256Gcm,
    random: Random,
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kms").field(&self.0.id).finish()
    }
}

/// What is hashed into a wrapped key beside the key itself: it opens only with the same.
type Context = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct GenerateDataKey {
    key_id: String,
    key_spec: Option<KeySpec>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: Context,
}

#[derive(Deserialize)]
enum KeySpec {
    #[serde(rename = "AES_128")]
    Aes128,
    #[serde(rename = "AES_256")]
    Aes256,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Decrypt {
    key_id: Option<String>,
    ciphertext_blob: String,
    #[serde(default)]
    encryption_context: Context,
}

impl Kms {
    /// With one key of that id, whose material is derived from `secret`.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: &[u8; DATA_KEY_BYTES], random: Random) -> Self {
        let material = Sealer::new(secret, random.clone()).derive_key(WRAPPING);
        Self(Arc::new(Key {
            id: id.into(),
            cipher: Aes256Gcm::new(&material.into()),
            random,
        }))
    }

    /// The ARN of the key.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("{ARN_PREFIX}{}", self.0.id)
    }

    /// A data key as `GenerateDataKey` would have wrapped it, without a context.
    #[must_use]
    pub fn wrap(&self, data_key: &[u8; DATA_KEY_BYTES]) -> Vec<u8> {
        self.0.wrap(&self.arn(), data_key, &Context::new())
    }

    fn perform(&self, operation: &str, body: &[u8]) -> Result<serde_json::Value, Answer> {
        match operation {
            "GenerateDataKey" => self.generate_data_key(read(body)?),
            "Decrypt" => self.decrypt(&read(body)?),
            other => Err(refuse(UNKNOWN_OPERATION, &format!("{other:?} is not served here"))),
        }
    }

    fn generate_data_key(&self, asked: GenerateDataKey) -> Result<serde_json::Value, Answer> {
        self.check_key(&asked.key_id)?;
        let length = match (asked.key_spec, asked.number_of_bytes) {
            (Some(KeySpec::Aes128), None) => 16,
            (Some(KeySpec::Aes256), None) => 32,
            (None, Some(bytes)) if (1..=MAX_DATA_KEY_BYTES).contains(&bytes) => bytes,
            _ => {
                let detail = "give either KeySpec or NumberOfBytes, which is 1 to 1024";
                return Err(refuse(VALIDATION, detail));
            }
        };
        let plain = &self.0.random.bytes::<MAX_DATA_KEY_BYTES>()[..length];
        let wrapped = self.0.wrap(&self.arn(), plain, &asked.encryption_context);
        Ok(json!({
            "CiphertextBlob": STANDARD.encode(wrapped),
            "KeyId": self.arn(),
            "Plaintext": STANDARD.encode(plain),
        }))
    }

    fn decrypt(&self, asked: &Decrypt) -> Result<serde_json::Value, Answer> {
        if let Some(key) = &asked.key_id {
            self.check_key(key)?;
        }
        let wrapped = STANDARD.decode(&asked.ciphertext_blob);
        let wrapped = wrapped.map_err(|error| refuse(SERIALIZATION, &error.to_string()))?;
        let plain = self.0.open(&self.arn(), &wrapped, &asked.encryption_context);
        let plain = plain.ok_or_else(|| refuse(INVALID_CIPHERTEXT, "it was not made by this key with this context"))?;
        Ok(json!({
            "EncryptionAlgorithm": ALGORITHM,
            "KeyId": self.arn(),
            "Plaintext": STANDARD.encode(plain),
        }))
    }

    /// A key goes by its id and by its ARN.
    fn check_key(&self, named: &str) -> Result<(), Answer> {
        if named == self.0.id || named == self.arn() {
            return Ok(());
        }
        Err(refuse(NOT_FOUND, &format!("Key '{named}' does not exist")))
    }
}

impl Key {
    fn wrap(&self, arn: &str, plain: &[u8], context: &Context) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = self.random.bytes();
        let aad = associated(arn, context);
        let payload = Payload { msg: plain, aad: &aad };
        // Fails for texts of gigabytes only; a data key has at most 1024 bytes.
        let ciphertext = self.cipher.encrypt(&Nonce::from(nonce), payload).unwrap_or_default();
        [&[VERSION], nonce.as_slice(), &ciphertext].concat()
    }

    fn open(&self, arn: &str, wrapped: &[u8], context: &Context) -> Option<Vec<u8>> {
        let (&VERSION, rest) = wrapped.split_first()? else {
            return None;
        };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let aad = associated(arn, context);
        let payload = Payload {
            msg: ciphertext,
            aad: &aad,
        };
        self.cipher.decrypt(&Nonce::from(*nonce), payload).ok()
    }
}

/// The key and the context, in one order.
fn associated(arn: &str, context: &Context) -> Vec<u8> {
    // Plain texts: writing them cannot fail.
    serde_json::to_vec(&(arn, context)).unwrap_or_default()
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Answer> {
    serde_json::from_slice(body).map_err(|error| refuse(VALIDATION, &error.to_string()))
}

fn refuse(kind: &str, text: &str) -> Answer {
    Answer::error(REFUSED, kind, text)
}

impl Service for Kms {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        match self.perform(operation, &body) {
            Ok(answer) => Answer::json(200, answer.to_string()),
            Err(refusal) => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::Client;
    use aws_sdk_kms::error::ProvideErrorMetadata as _;
    use aws_sdk_kms::primitives::Blob;
    use aws_sdk_kms::types::DataKeySpec;

    use super::*;
    use crate::connector::kms_client;

    fn kms(secret: u8, seed: u64) -> Kms {
        Kms::new("SecretsKey", &[secret; DATA_KEY_BYTES], Random::seeded(seed))
    }

    fn client(secret: u8) -> Client {
        kms_client(kms(secret, 1))
    }

    async fn made(client: &Client) -> (Vec<u8>, Vec<u8>) {
        let call = client.generate_data_key().key_id("SecretsKey");
        let made = call.key_spec(DataKeySpec::Aes256).send().await.unwrap();
        assert_eq!(made.key_id(), Some(kms(1, 1).arn().as_str()));
        let (plain, wrapped) = (made.plaintext.unwrap(), made.ciphertext_blob.unwrap());
        (plain.into_inner(), wrapped.into_inner())
    }

    #[tokio::test]
    async fn a_data_key_opens_again_under_the_same_secret_only() {
        let (plain, wrapped) = made(&client(1)).await;
        assert_eq!(plain.len(), 32);
        // Another process, with other random numbers, on the same file.
        let later = kms_client(kms(1, 99));
        let decrypt = |client: &Client, wrapped: &[u8]| client.decrypt().ciphertext_blob(Blob::new(wrapped)).send();
        let opened = decrypt(&later, &wrapped).await.unwrap();
        assert_eq!(opened.plaintext.unwrap().into_inner(), plain);
        let refused = decrypt(&client(2), &wrapped).await.unwrap_err().into_service_error();
        assert!(refused.is_invalid_ciphertext_exception(), "{refused:?}");
        for at in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[at] ^= 1;
            let refused = decrypt(&later, &damaged).await.unwrap_err().into_service_error();
            assert!(refused.is_invalid_ciphertext_exception(), "{at}");
        }
    }

    #[tokio::test]
    async fn a_key_that_is_not_there_is_not_found() {
        let client = client(1);
        let (_, wrapped) = made(&client).await;
        let call = client.decrypt().key_id("OtherKey").ciphertext_blob(Blob::new(wrapped));
        assert!(
            call.send()
                .await
                .unwrap_err()
                .into_service_error()
                .is_not_found_exception()
        );
        let call = client.generate_data_key().key_id("OtherKey");
        let refused = call.key_spec(DataKeySpec::Aes256).send().await.unwrap_err();
        assert!(refused.into_service_error().is_not_found_exception());
    }

    #[tokio::test]
    async fn a_wrapped_key_is_bound_to_its_context() {
        let client = client(1);
        let call = client.generate_data_key().key_id(kms(1, 1).arn()).number_of_bytes(24);
        let made = call.encryption_context("tenant", "acme").send().await.unwrap();
        assert_eq!(made.plaintext().unwrap().as_ref().len(), 24);
        let wrapped = made.ciphertext_blob.unwrap();
        let decrypt = || client.decrypt().ciphertext_blob(wrapped.clone());
        decrypt().encryption_context("tenant", "acme").send().await.unwrap();
        let without = decrypt().send().await.unwrap_err().into_service_error();
        let other = decrypt().encryption_context("tenant", "other").send().await;
        let other = other.unwrap_err().into_service_error();
        assert!(without.is_invalid_ciphertext_exception() && other.is_invalid_ciphertext_exception());
    }

    #[tokio::test]
    async fn what_it_does_not_know_is_refused_never_ignored() {
        let client = client(1);
        let call = client.generate_data_key().key_id("SecretsKey");
        assert_eq!(call.send().await.unwrap_err().code(), Some(VALIDATION));
        let call = client.generate_data_key().key_id("SecretsKey").number_of_bytes(2_000);
        assert_eq!(call.send().await.unwrap_err().code(), Some(VALIDATION));
        let call = client.decrypt().ciphertext_blob(Blob::new("x")).dry_run(true);
        assert_eq!(call.send().await.unwrap_err().code(), Some(VALIDATION));
        let refused = client.list_keys().send().await.unwrap_err();
        assert_eq!(refused.code(), Some(UNKNOWN_OPERATION));
    }

    #[test]
    fn it_never_shows_its_key() {
        assert_eq!(format!("{:?}", kms(1, 1)), r#"Kms("SecretsKey")"#);
    }
}
