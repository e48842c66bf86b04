//! Who sends a request: the key of its header, or that of its session, as it is now. Must never say more of a key than that
//! to whoever does not have its secret, and never logs one.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq as _;

use super::known::{KnownKeys, Look};
use super::{Caller, Identified, Scope, bearer, hash, key_id};
use crate::clock::Clock;
use crate::keys::HOUR_MS;
use crate::problem::Problem;
use crate::store::config::ApiKey;
use crate::store::{Store, StoreError};

/// Tells callers by their keys. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct Authenticator {
    store: Store,
    clock: Clock,
    known: Arc<Mutex<KnownKeys>>,
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
        self.identify(authorization, source).await?.admitted()
    }

    /// Who has a session that began with the key of that id: the key counts as it is now. The session itself was checked.
    ///
    /// # Errors
    /// As [`Authenticator::admit`].
    pub async fn admit_session(&self, key_id: &str, source: Option<IpAddr>) -> Result<Caller, Problem> {
        match self.key(key_id).await? {
            Some(key) => self.judge(key, source).await.admitted(),
            None => Err(Problem::unauthorized()),
        }
    }

    /// What the key of that id may do now, wherever it may be used from; `None`: it is none any more.
    ///
    /// # Errors
    /// 500 if the store fails.
    pub async fn scope_of(&self, key_id: &str) -> Result<Option<Scope>, Problem> {
        let key = self.key(key_id).await?.filter(|key| !key.is_expired(self.clock.now()));
        Ok(key.and_then(|key| Scope::parse(&key.scope).ok()))
    }

    async fn identify(&self, authorization: Option<&str>, source: Option<IpAddr>) -> Result<Identified, StoreError> {
        let Some((text, id)) = bearer(authorization).and_then(|text| Some((text, key_id(text)?))) else {
            return Ok(Identified::Nobody);
        };
        let Some(key) = self.key(id).await? else {
            return Ok(Identified::Nobody);
        };
        if !bool::from(key.hash.ct_eq(&hash(text))) {
            return Ok(Identified::Nobody);
        }
        Ok(self.judge(key, source).await)
    }

    /// What becomes of a caller who has shown that the key is theirs.
    async fn judge(&self, key: ApiKey, source: Option<IpAddr>) -> Identified {
        // Also of one that is remembered: the moment is what counts, not when it was read.
        if key.is_expired(self.clock.now()) {
            return Identified::Nobody;
        }
        // After the secret: who does not have it learns nothing of the key's networks.
        if key
            .allowed_networks
            .as_ref()
            .is_some_and(|networks| !networks.allow(source))
        {
            tracing::warn!(
                key_id = key.id,
                source = source.map(tracing::field::display),
                "auth.source_not_allowed"
            );
            return Identified::Elsewhere;
        }
        self.note_use(&key).await;
        let scope = Scope::parse(&key.scope).ok();
        let caller = |scope| Caller { key_id: key.id, scope };
        scope.map_or(Identified::Nobody, |scope| Identified::Caller(caller(scope)))
    }

    async fn key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        let reading = match self.known().look(id, self.clock.now()) {
            Look::Known(key) => return Ok(key),
            Look::Read(reading) => reading,
        };
        let key = self.store.api_key(id).await?;
        self.known().keep(id, key.clone(), reading);
        Ok(key)
    }

    fn known(&self) -> MutexGuard<'_, KnownKeys> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a key at once, in this environment: it was changed or revoked here.
    pub fn forget(&self, id: &str) {
        self.known().forget(id);
    }

    /// Writes when a key was used, at most once an hour. A failure is not the caller's.
    async fn note_use(&self, key: &ApiKey) {
        let now = self.clock.now();
        if key.last_used_at.is_some_and(|at| now.millis_since(at) < HOUR_MS) {
            return;
        }
        self.known().used(&key.id, now);
        if let Err(error) = self.store.touch_api_key(&key.id, now).await {
            tracing::warn!(%error, key_id = key.id, "auth.use_not_noted");
        }
    }
}
