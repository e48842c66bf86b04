//! Who is calling: keys `rd_<id>_<secret>` of 256 random bits, stored as SHA-256, compared in constant time.

mod known;
mod who;

use std::fmt;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redial_domain::{Invalid, TenantId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;
use crate::random::Random;
use crate::store::config::ApiKey;

pub use known::MAX_AGE_MS;
pub use who::Authenticator;

/// Longest text that is looked at as a key.
const MAX_KEY_LEN: usize = 200;

/// What a key may do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Post events of any tenant, nothing else.
    Ingest,
    /// Everything.
    Operator,
    /// Everything of one tenant but posting events.
    Tenant(TenantId),
}

impl Scope {
    /// Reads `ingest`, `operator` or `tenant:<id>`.
    ///
    /// # Errors
    /// [`Invalid`] with code `scope_invalid`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("scope_invalid", "scope", "must be ingest, operator or tenant:<id>");
        match text {
            "ingest" => Ok(Self::Ingest),
            "operator" => Ok(Self::Operator),
            _ => {
                let tenant = text.strip_prefix("tenant:").ok_or_else(invalid)?;
                Ok(Self::Tenant(TenantId::parse(tenant).map_err(|_| invalid())?))
            }
        }
    }

    /// True if the key may post events.
    #[must_use]
    pub const fn may_ingest(&self) -> bool {
        matches!(self, Self::Ingest | Self::Operator)
    }

    /// True if the key may see and manage what belongs to `tenant`.
    #[must_use]
    pub fn may_manage(&self, tenant: &TenantId) -> bool {
        match self {
            Self::Operator => true,
            Self::Tenant(own) => own == tenant,
            Self::Ingest => false,
        }
    }

    /// True if the key may manage tenants and keys.
    #[must_use]
    pub const fn is_operator(&self) -> bool {
        matches!(self, Self::Operator)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingest => f.write_str("ingest"),
            Self::Operator => f.write_str("operator"),
            Self::Tenant(tenant) => write!(f, "tenant:{tenant}"),
        }
    }
}

/// The text of a key. Shown once, when it is made; `Debug` redacts it.
pub struct KeyText(String);

impl KeyText {
    /// The text that the caller sends.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A key that was made before, as its text.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(redacted)")
    }
}

fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

/// Makes a key that never expires: the text for the caller, and what is stored.
#[must_use]
pub fn mint(random: &Random, scope: &Scope, name: &str, now: Timestamp) -> (KeyText, ApiKey) {
    let id: String = random.bytes::<6>().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("rd_{id}_{}", URL_SAFE_NO_PAD.encode(random.bytes::<32>()));
    let stored = ApiKey {
        id,
        hash: hash(&text),
        scope: scope.to_string(),
        name: name.to_owned(),
        created_at: now,
        last_used_at: None,
        expires_at: None,
        allowed_networks: None,
        made_by: None,
    };
    (KeyText(text), stored)
}

/// What is stored of a key whose text is known already: the operator's of a local run.
#[must_use]
pub fn stored_form(text: &KeyText, scope: &Scope, name: &str, now: Timestamp) -> Option<ApiKey> {
    let id = key_id(&text.0)?.to_owned();
    let (name, scope) = (name.to_owned(), scope.to_string());
    Some(ApiKey {
        id,
        hash: hash(&text.0),
        scope,
        name,
        created_at: now,
        last_used_at: None,
        expires_at: None,
        allowed_networks: None,
        made_by: None,
    })
}

fn key_id(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix("rd_")?.split_once('_')?;
    let readable = !id.is_empty() && id.bytes().all(|c| c.is_ascii_alphanumeric()) && !secret.is_empty();
    (readable && text.len() <= MAX_KEY_LEN).then_some(id)
}

/// What follows `Bearer` in an `Authorization` header.
#[must_use]
pub fn bearer(authorization: Option<&str>) -> Option<&str> {
    let (scheme, text) = authorization?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
}

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Id of the key.
    pub key_id: String,
    /// What it may do.
    pub scope: Scope,
}

enum Identified {
    Caller(Caller),
    /// A key that may not be used from there.
    Elsewhere,
    Nobody,
}

impl Identified {
    fn admitted(self) -> Result<Caller, Problem> {
        match self {
            Self::Caller(caller) => Ok(caller),
            Self::Elsewhere => Err(elsewhere()),
            Self::Nobody => Err(Problem::unauthorized()),
        }
    }
}

/// 403: which networks it may be used from is told to operators alone.
fn elsewhere() -> Problem {
    let detail = "this key may not be used from the address that the request comes from; an operator can change that \
                  (`allowed_networks` of the key)";
    Problem::new(StatusCode::FORBIDDEN, "source_not_allowed", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_key_is_stored_as_its_hash_only() {
        let now = Timestamp::from_millis(1);
        let (text, stored) = mint(&Random::seeded(1), &Scope::Operator, "first", now);
        assert_eq!(key_id(text.reveal()), Some(stored.id.as_str()));
        let secret = text.reveal().rsplit('_').next().unwrap();
        assert!(!serde_json::to_string(&stored).unwrap().contains(secret));
        assert_eq!(stored_form(&text, &Scope::Operator, "first", now), Some(stored));
        assert!(!format!("{text:?}").contains(secret));
    }

    #[test]
    fn scopes_read_what_they_write() {
        for text in ["ingest", "operator", "tenant:acme"] {
            assert_eq!(Scope::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "admin", "tenant:", "tenant:a b", "tenant:null"] {
            assert!(Scope::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tenants_key_manages_its_own_things_only() {
        let (own, other) = (TenantId::parse("a").unwrap(), TenantId::parse("b").unwrap());
        let scope = Scope::Tenant(own.clone());
        assert!(scope.may_manage(&own) && !scope.may_manage(&other) && !scope.may_ingest() && !scope.is_operator());
        assert!(!Scope::Ingest.may_manage(&own) && Scope::Ingest.may_ingest());
    }

    #[test]
    fn texts_that_are_no_keys_are_not_looked_up() {
        for text in [
            "",
            "rd_",
            "rd__x",
            "rd_a",
            "rd_a_",
            "rd_a/b_c",
            "xx_a_b",
            &format!("rd_a_{}", "x".repeat(300)),
        ] {
            assert_eq!(key_id(text), None, "{text}");
        }
    }
}
