//! Who is calling: keys `rd_<id>_<secret>` of 256 random bits, stored as SHA-256, compared in constant time.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redial_domain::{Invalid, TenantId, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::clock::Clock;
use crate::keys::HOUR_MS;
use crate::problem::Problem;
use crate::random::Random;
use crate::store::config::ApiKey;
use crate::store::{Store, StoreError};

/// Longest time for which a key is believed without looking again, in milliseconds: a revoked key stops working within it.
pub const MAX_AGE_MS: i64 = 30_000;
/// Most keys kept in memory; beyond it the cache starts anew.
const MAX_CACHED: usize = 10_000;
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
    })
}

fn key_id(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix("rd_")?.split_once('_')?;
    let readable = !id.is_empty() && id.bytes().all(|c| c.is_ascii_alphanumeric()) && !secret.is_empty();
    (readable && text.len() <= MAX_KEY_LEN).then_some(id)
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

/// 403: which networks it may be used from is told to operators alone.
fn elsewhere() -> Problem {
    let detail = "this key may not be used from the address that the request comes from; an operator can change that \
                  (`allowed_networks` of the key)";
    Problem::new(StatusCode::FORBIDDEN, "source_not_allowed", detail)
}

#[derive(Debug, Clone)]
struct Known {
    key: Option<ApiKey>,
    read_at: Timestamp,
}

/// Tells callers by their keys. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct Authenticator {
    store: Store,
    clock: Clock,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

impl Authenticator {
    /// One that knows no key yet.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            known: Arc::default(),
        }
    }

    /// The same one reading through another store, as functions in one process do: what one knows or forgets, all do.
    #[must_use]
    pub fn through(&self, store: Store) -> Self {
        Self { store, ..self.clone() }
    }

    /// Who sends this `Authorization` header from this address, if it is known.
    ///
    /// # Errors
    /// 401 for nobody Redial knows, 403 `source_not_allowed` for a key that may not be used from there, 500 if the store fails.
    pub async fn admit(&self, authorization: Option<&str>, source: Option<IpAddr>) -> Result<Caller, Problem> {
        match self.identify(authorization, source).await? {
            Identified::Caller(caller) => Ok(caller),
            Identified::Elsewhere => Err(elsewhere()),
            Identified::Nobody => Err(Problem::unauthorized()),
        }
    }

    async fn identify(&self, authorization: Option<&str>, source: Option<IpAddr>) -> Result<Identified, StoreError> {
        let bearer = authorization.and_then(|value| value.split_once(' '));
        let Some((_, text)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Ok(Identified::Nobody);
        };
        let text = text.trim();
        let Some(id) = key_id(text) else {
            return Ok(Identified::Nobody);
        };
        let Some(key) = self.key(id).await? else {
            return Ok(Identified::Nobody);
        };
        // Also of one that is remembered: the moment is what counts, not when it was read.
        if !bool::from(key.hash.ct_eq(&hash(text))) || key.is_expired(self.clock.now()) {
            return Ok(Identified::Nobody);
        }
        // After the secret: who does not have it learns nothing of the key's networks.
        if key
            .allowed_networks
            .as_ref()
            .is_some_and(|networks| !networks.allow(source))
        {
            tracing::warn!(
                key_id = id,
                source = source.map(tracing::field::display),
                "auth.source_not_allowed"
            );
            return Ok(Identified::Elsewhere);
        }
        let scope = Scope::parse(&key.scope).ok();
        self.note_use(key).await;
        Ok(scope.map_or(Identified::Nobody, |scope| {
            Identified::Caller(Caller {
                key_id: id.to_owned(),
                scope,
            })
        }))
    }

    async fn key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        let now = self.clock.now();
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned();
        if let Some(known) = known.filter(|known| now.millis_since(known.read_at) < MAX_AGE_MS) {
            return Ok(known.key);
        }
        let key = self.store.api_key(id).await?;
        self.remember(id, key.clone(), now);
        Ok(key)
    }

    fn remember(&self, id: &str, key: Option<ApiKey>, read_at: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_CACHED {
            known.clear();
        }
        known.insert(id.to_owned(), Known { key, read_at });
    }

    /// Forgets a key at once, in this environment: it was revoked here.
    pub fn forget(&self, id: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Writes when a key was used, at most once an hour. A failure is not the caller's.
    async fn note_use(&self, mut key: ApiKey) {
        let now = self.clock.now();
        if key.last_used_at.is_some_and(|at| now.millis_since(at) < HOUR_MS) {
            return;
        }
        key.last_used_at = Some(now);
        self.remember(&key.id, Some(key.clone()), now);
        if let Err(error) = self.store.touch_api_key(&key.id, now).await {
            tracing::warn!(%error, key_id = key.id, "auth.use_not_noted");
        }
    }
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
