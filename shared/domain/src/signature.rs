//! Signatures of delivered requests, exactly Standard Webhooks 1.0.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>):
//! `v1,` + base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

/// What a secret's text begins with.
pub const SECRET_PREFIX: &str = "whsec_";
/// Shortest key the specification allows, in bytes.
pub const MIN_SECRET_BYTES: usize = 24;
/// Longest key the specification allows, in bytes.
pub const MAX_SECRET_BYTES: usize = 64;
/// Bytes of a secret that Redial mints.
pub const MINTED_SECRET_BYTES: usize = 32;
/// Longest secret of a customer's own choosing, in characters (profile `voicehub`).
pub const MAX_CHOSEN_SECRET_LEN: usize = 256;
/// How far a timestamp may lie from the receiver's clock, in seconds: the replay protection of the specification.
pub const TOLERANCE_S: i64 = 300;

/// A signing secret. Never printed: `Debug` redacts it, there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    key: Vec<u8>,
}

impl Secret {
    /// Reads `whsec_` + padded standard base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// [`Invalid`] with code `secret_invalid`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            Invalid::new(
                "secret_invalid",
                "secret",
                "must be whsec_ and the padded base64 of 24 to 64 bytes",
            )
        };
        let key = STANDARD
            .decode(text.strip_prefix(SECRET_PREFIX).ok_or_else(invalid)?)
            .map_err(|_| invalid())?;
        if !(MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&key.len()) {
            return Err(invalid());
        }
        Ok(Self {
            text: text.to_owned(),
            key,
        })
    }

    /// True if the official libraries read it: `whsec_` and base64, not a text of the customer's own choosing.
    #[must_use]
    pub fn is_standard(&self) -> bool {
        Self::parse(&self.text).is_ok()
    }

    /// Reads a secret of the customer's own choosing: 1 to 256 printable ASCII characters, whose bytes are the key.
    /// A text that [`Secret::parse`] reads is read as that.
    ///
    /// # Errors
    /// [`Invalid`] with code `secret_invalid`.
    pub fn parse_chosen(text: &str) -> Result<Self, Invalid> {
        if let Ok(secret) = Self::parse(text) {
            return Ok(secret);
        }
        let printable = text.bytes().all(|c| (0x20..0x7f).contains(&c)) && text.trim() == text;
        if text.is_empty() || text.len() > MAX_CHOSEN_SECRET_LEN || !printable {
            let detail = "must be 1 to 256 printable ASCII characters without a space at either end";
            return Err(Invalid::new("secret_invalid", "secret", detail));
        }
        Ok(Self {
            text: text.to_owned(),
            key: text.as_bytes().to_vec(),
        })
    }

    /// Makes a secret of 32 random bytes.
    #[must_use]
    pub fn from_random(random: [u8; MINTED_SECRET_BYTES]) -> Self {
        Self {
            text: format!("{SECRET_PREFIX}{}", STANDARD.encode(random)),
            key: random.to_vec(),
        }
    }

    /// The text that the customer copies. For the answer that reveals it and for encryption, nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// `v1,<base64>` for one request.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(self.mac(id, &timestamp_s.to_string(), body)))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
        // HMAC takes a key of any length; the error type exists for other algorithms.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            return Vec::new();
        };
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// The value of `webhook-signature`: one signature for each secret, the newest first, separated by spaces.
#[must_use]
pub fn header(secrets: &[Secret], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| secret.sign(id, timestamp_s, body))
        .collect();
    signatures.join(" ")
}

/// Why a received request does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// `webhook-timestamp` is not a number of seconds.
    #[error("webhook-timestamp is not a number of seconds")]
    TimestampUnreadable,
    /// The timestamp lies outside the tolerance: the request may be replayed by somebody else.
    #[error("webhook-timestamp is more than the tolerance away from now")]
    TimestampTooFar,
    /// No signature matches.
    #[error("no signature in webhook-signature matches")]
    NoMatch,
}

/// Verifies a received request as the official libraries do.
///
/// # Errors
/// [`VerifyError`] says why it does not verify.
pub fn verify(
    secrets: &[Secret],
    id: &str,
    timestamp: &str,
    body: &[u8],
    header: &str,
    now: Timestamp,
    tolerance_s: i64,
) -> Result<(), VerifyError> {
    let at: i64 = timestamp.parse().map_err(|_| VerifyError::TimestampUnreadable)?;
    if now.as_secs().abs_diff(at) > tolerance_s.unsigned_abs() {
        return Err(VerifyError::TimestampTooFar);
    }
    let received: Vec<Vec<u8>> = header
        .split(' ')
        .filter_map(|part| part.strip_prefix("v1,"))
        .filter_map(|text| STANDARD.decode(text).ok())
        .collect();
    for secret in secrets {
        let expected = secret.mac(id, timestamp, body);
        if received.iter().any(|given| bool::from(given.ct_eq(&expected))) {
            return Ok(());
        }
    }
    Err(VerifyError::NoMatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn signs_the_known_answer_of_the_specification() {
        // The example of the Standard Webhooks reference libraries' tests.
        let secret = Secret::parse(KNOWN).unwrap();
        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn verifies_with_either_secret_during_a_rotation() {
        let (old, new) = (Secret::parse(KNOWN).unwrap(), Secret::from_random([7; 32]));
        let now = Timestamp::from_millis(1_000_000_000_000);
        let value = header(&[new.clone(), old.clone()], "evt_1", now.as_secs(), b"{}");
        for secret in [old, new] {
            assert_eq!(
                verify(&[secret], "evt_1", "1000000000", b"{}", &value, now, TOLERANCE_S),
                Ok(())
            );
        }
    }

    #[test]
    fn refuses_another_body_id_or_time() {
        let secret = [Secret::parse(KNOWN).unwrap()];
        let now = Timestamp::from_millis(1_000_000_000_000);
        let value = header(&secret, "evt_1", now.as_secs(), b"{}");
        let check = |id, at, body: &[u8], now| verify(&secret, id, at, body, &value, now, TOLERANCE_S);
        assert_eq!(check("evt_2", "1000000000", b"{}", now), Err(VerifyError::NoMatch));
        assert_eq!(check("evt_1", "1000000000", b"{ }", now), Err(VerifyError::NoMatch));
        assert_eq!(
            check("evt_1", "1000000000", b"{}", now.plus_millis(301_000)),
            Err(VerifyError::TimestampTooFar)
        );
        assert_eq!(
            check("evt_1", "soon", b"{}", now),
            Err(VerifyError::TimestampUnreadable)
        );
    }

    #[test]
    fn a_secret_never_shows_itself() {
        assert!(!format!("{:?}", Secret::parse(KNOWN).unwrap()).contains("MfKQ"));
    }

    #[test]
    fn refuses_secrets_that_verifiers_cannot_read() {
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
            "whsec_not base64!",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        ] {
            assert!(Secret::parse(text).is_err(), "{text}");
        }
    }
}
