//! Texts that this API gives out and believes when they come back: sessions and portal tokens. Signed with HMAC-SHA256 under a
//! key that is derived from a data key, whose version each text names: one from before a rotation is good until that key is
//! retired. Anybody who has one can read it: never a secret in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use redial_platform::problem::Problem;
use redial_platform::seal::DATA_KEY_BYTES;
use redial_platform::secrets::Secrets;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Bytes of the data key's version, big-endian.
const VERSION_BYTES: usize = 4;
/// Bytes of the signature.
const TAG_BYTES: usize = 32;
/// Longest text that is looked at: a tenant's and a key's id, and a moment, fit several times.
const MAX_LEN: usize = 1_024;

/// Writes and reads the texts of one purpose: those of another are signed under another key.
#[derive(Debug)]
pub(crate) struct Signed {
    secrets: Secrets,
    purpose: &'static str,
}

impl Signed {
    pub(crate) const fn new(secrets: Secrets, purpose: &'static str) -> Self {
        Self { secrets, purpose }
    }

    /// The text that says `claims`.
    ///
    /// # Errors
    /// 500 if the key cannot be had.
    pub(crate) async fn write<T: Serialize + Sync>(&self, claims: &T) -> Result<String, Problem> {
        let derived = self.secrets.derive_key(self.purpose).await?;
        Ok(sign(derived.version, &derived.key, claims))
    }

    /// What a text says; `None`: it is not of this API, or not for this, or its key was retired.
    ///
    /// # Errors
    /// 500 if the key cannot be had.
    pub(crate) async fn read<T: DeserializeOwned>(&self, text: &str) -> Result<Option<T>, Problem> {
        let Some(parts) = Parts::of(text) else { return Ok(None) };
        let derived = self.secrets.derived_key(self.purpose, parts.version).await?;
        Ok(derived.and_then(|derived| parts.read(&derived.key)))
    }
}

/// What a text is made of. Nothing of it is checked.
struct Parts {
    version: u32,
    tag: [u8; TAG_BYTES],
    claims: Vec<u8>,
}

impl Parts {
    fn of(text: &str) -> Option<Self> {
        if text.len() > MAX_LEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (version, rest) = bytes.split_first_chunk::<VERSION_BYTES>()?;
        let (tag, claims) = rest.split_first_chunk::<TAG_BYTES>()?;
        Some(Self {
            version: u32::from_be_bytes(*version),
            tag: *tag,
            claims: claims.to_vec(),
        })
    }

    fn read<T: DeserializeOwned>(&self, key: &[u8; DATA_KEY_BYTES]) -> Option<T> {
        let is_genuine = bool::from(tag(key, self.version, &self.claims).as_slice().ct_eq(&self.tag));
        is_genuine.then(|| serde_json::from_slice(&self.claims).ok())?
    }
}

fn sign<T: Serialize>(version: u32, key: &[u8; DATA_KEY_BYTES], claims: &T) -> String {
    // Ids, numbers and flags: writing them cannot fail.
    let claims = serde_json::to_vec(claims).unwrap_or_default();
    let tag = tag(key, version, &claims);
    URL_SAFE_NO_PAD.encode([version.to_be_bytes().as_slice(), &tag, &claims].concat())
}

fn tag(key: &[u8; DATA_KEY_BYTES], version: u32, claims: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length; the error type exists for other algorithms.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(&version.to_be_bytes());
    mac.update(claims);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Claims {
        k: String,
        x: i64,
    }

    fn claims() -> Claims {
        Claims {
            k: "3f9a01c2d4e5".to_owned(),
            x: 1_795_000_000_000,
        }
    }

    fn read(text: &str, key: u8) -> Option<Claims> {
        Parts::of(text)?.read(&[key; DATA_KEY_BYTES])
    }

    #[test]
    fn what_was_signed_is_read_under_the_same_key_alone() {
        let text = sign(3, &[7; DATA_KEY_BYTES], &claims());
        assert_eq!(read(&text, 7), Some(claims()));
        assert_eq!(read(&text, 8), None);
        assert_eq!(Parts::of(&text).unwrap().version, 3);
        for wrong in [
            "",
            "A",
            "====",
            &text[4..],
            &format!("{text}A"),
            &"A".repeat(MAX_LEN + 1),
        ] {
            assert_eq!(read(wrong, 7), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_changed_character_is_believed(at in 0usize..90, to in "[A-Za-z0-9_-]") {
            let mut text = sign(1, &[7; DATA_KEY_BYTES], &claims());
            let same = &text[at..=at] == to.as_str();
            text.replace_range(at..=at, &to);
            prop_assert_eq!(read(&text, 7).is_some(), same);
        }
    }
}
