//! Sealing the secrets of all endpoints anew after the data key was rotated: in requests that each take a few seconds, so that
//! whoever asked may go away and anybody may go on. The place is saved with the data keys; a crash repeats at most what one
//! request did, and all of it opens at every moment. Never logs a secret.

use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::seal::SealedSecrets;
use redial_platform::secrets::{DataKeyError, SecretsError};
use redial_platform::store::StoreError;
use redial_platform::store::change::{MAX_CHANGED_BYTES, MAX_CHANGED_ENDPOINTS};
use redial_platform::store::config::{Change, TenantConfig};
use redial_platform::store::data_keys::{DataKeys, Pass};

use crate::Api;
use crate::change::CREATE_TRIES;

/// Most endpoints that a request seals anew, unless it says less.
pub(crate) const MAX_RESEALED: usize = 1_000;
/// How long a request goes on, in milliseconds: far less than the function's timeout.
const WORK_MS: i64 = 5_000;
/// Tenants that are fetched at once.
const PAGE: usize = 100;
/// Endpoints and tenants that cannot be read and are named.
const MAX_NAMED: usize = 10;
/// Milliseconds after a rotation until nobody can write any more what was sealed before it, and after a walk until nobody
/// opens any more what was read before it: a request of the API and an invocation of the dispatcher take a minute at most,
/// and the dispatcher delivers by configurations of the last 15 seconds (`cache::MAX_AGE_MS`).
pub(crate) const SETTLE_MS: i64 = 120_000;

/// What can be done about the older data keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There are none.
    Settled,
    /// The walk over the endpoints goes on, or is to begin.
    Resealing,
    /// The walk has seen all, and is to be repeated, or the keys to be retired, from this moment on.
    Waiting(Timestamp),
    /// The walk met what it could not read or open: it is to be mended, and the walk to be repeated.
    Blocked,
    /// Nothing is sealed under them any more.
    Retirable,
}

impl Stage {
    /// Where `keys` stand at `now`.
    pub(crate) fn of(keys: &DataKeys, now: Timestamp) -> Self {
        let (Some(rotated_at), false) = (keys.rotated_at, keys.readable.is_empty()) else {
            return Self::Settled;
        };
        let Some((pass, ended_at)) = keys.pass.as_ref().and_then(|pass| Some((pass, pass.ended_at?))) else {
            return Self::Resealing;
        };
        let settled_at = rotated_at.plus_millis(SETTLE_MS);
        if pass.unreadable > 0 {
            return Self::Blocked;
        }
        let until = if pass.began_at < settled_at {
            settled_at
        } else {
            ended_at.plus_millis(SETTLE_MS)
        };
        match (now < until, pass.began_at < settled_at) {
            (true, _) => Self::Waiting(until),
            (false, true) => Self::Resealing,
            (false, false) => Self::Retirable,
        }
    }
}

/// What a request may still do.
struct Budget {
    resealed: usize,
    until: Timestamp,
}

impl Budget {
    fn is_spent(&self, now: Timestamp) -> bool {
        self.resealed == 0 || now >= self.until
    }
}

impl Api {
    /// Goes on with the walk for a while, or begins one where that helps: at most `most` endpoints are sealed anew. Answers
    /// where it stands then.
    ///
    /// # Errors
    /// 500 if the store or KMS fails: what was done until then stays done.
    pub(crate) async fn reseal(&self, most: usize) -> Result<DataKeys, Problem> {
        let begun_at = self.clock.now();
        let stored = self.store.data_keys().await?;
        let (mut keys, mut revision) = (stored.keys, stored.revision);
        if !matches!(Stage::of(&keys, begun_at), Stage::Resealing | Stage::Blocked) {
            return Ok(keys);
        }
        let mut pass = keys.pass.take().filter(|pass| pass.ended_at.is_none());
        let pass = pass.get_or_insert_with(|| Pass {
            began_at: begun_at,
            ..Pass::default()
        });
        let mut budget = Budget {
            resealed: most,
            until: begun_at.plus_millis(WORK_MS),
        };
        while pass.ended_at.is_none() && !budget.is_spent(self.clock.now()) {
            // Saved also when it failed in the middle of a page: the next request need not repeat what was done.
            let worked = self.reseal_page(keys.current, pass, &mut budget).await;
            keys.pass = Some(pass.clone());
            match self.store.put_data_keys(&keys, revision).await {
                Ok(next) => revision = next,
                // Somebody else goes on with it, or has rotated again: theirs counts.
                Err(StoreError::Conflict(_)) => return Ok(self.store.data_keys().await?.keys),
                Err(error) => return Err(error.into()),
            }
            worked?;
        }
        Ok(keys)
    }

    async fn reseal_page(&self, version: u32, pass: &mut Pass, budget: &mut Budget) -> Result<(), Problem> {
        let page = self.store.tenants(pass.after.as_deref(), PAGE).await?;
        // First, as the walk may stop within the page and go on behind these rows. Then those behind it are counted again.
        for _ in 0..page.unreadable {
            cannot(pass, "an entry in the list of tenants".to_owned());
        }
        for tenant in &page.items {
            if budget.is_spent(self.clock.now()) {
                return Ok(());
            }
            if !self.reseal_tenant(version, &tenant.id, pass, budget).await? {
                return Ok(());
            }
            pass.tenants += 1;
            pass.after = Some(tenant.id.to_string());
        }
        match page.next {
            Some(next) => pass.after = Some(next.sort_key),
            None => pass.ended_at = Some(self.clock.now()),
        }
        Ok(())
    }

    /// Seals a tenant's secrets anew; false if the budget is spent before all of them are.
    async fn reseal_tenant(
        &self,
        version: u32,
        tenant: &TenantId,
        pass: &mut Pass,
        budget: &mut Budget,
    ) -> Result<bool, Problem> {
        let mut tries = 0;
        loop {
            let config = match self.store.tenant_config(tenant).await {
                Ok(Some(config)) => config,
                Ok(None) => return Ok(true),
                Err(error) if error.is_unreadable() => {
                    tracing::error!(%error, %tenant, "api.reseal_unreadable");
                    cannot(pass, tenant.to_string());
                    return Ok(true);
                }
                Err(error) => return Err(error.into()),
            };
            let part = self.next_part(version, &config, budget.resealed).await?;
            if !part.resealed.is_empty() {
                let change = Change::Reseal(&part.resealed);
                if self.try_change(tenant, config.version, change, tries).await?.is_none() {
                    tries += 1;
                    if tries >= CREATE_TRIES {
                        return Err(crate::change::outrun());
                    }
                    continue;
                }
                pass.resealed += part.resealed.len() as u64;
                budget.resealed -= part.resealed.len();
            }
            if part.is_last {
                pass.endpoints += config.endpoints.len() as u64;
                for endpoint in part.unreadable {
                    cannot(pass, format!("{tenant}/{endpoint}"));
                }
                return Ok(true);
            }
            if budget.is_spent(self.clock.now()) {
                return Ok(false);
            }
        }
    }

    /// The next endpoints of a tenant whose secrets are sealed under another key than `version`, sealed anew.
    async fn next_part(&self, version: u32, config: &TenantConfig, most: usize) -> Result<Part, Problem> {
        let (most, mut bytes) = (most.min(MAX_CHANGED_ENDPOINTS), 0);
        let mut part = Part {
            resealed: Vec::new(),
            unreadable: Vec::new(),
            is_last: false,
        };
        for stored in &config.endpoints {
            let id = &stored.endpoint.id;
            if stored.sealed.key_version() == Some(version) {
                continue;
            }
            bytes += stored.sealed.as_bytes().len();
            if part.resealed.len() >= most || bytes > MAX_CHANGED_BYTES {
                return Ok(part);
            }
            match self
                .secrets
                .reseal(version, (&config.tenant.id, id), &stored.sealed)
                .await
            {
                Ok(Some(sealed)) => part.resealed.push((id.clone(), sealed)),
                Ok(None) => {}
                Err(error) if is_final(&error) => {
                    tracing::error!(%error, tenant = %config.tenant.id, endpoint = %id, "api.reseal_unreadable");
                    part.unreadable.push(id.clone());
                }
                Err(error) => return Err(error.into()),
            }
        }
        part.is_last = true;
        Ok(part)
    }
}

/// Some endpoints of a tenant.
struct Part {
    resealed: Vec<(EndpointId, SealedSecrets)>,
    unreadable: Vec<EndpointId>,
    is_last: bool,
}

/// True if asking again does not help: it does not open, or its data key is gone.
fn is_final(error: &SecretsError) -> bool {
    match error {
        SecretsError::Seal(_) => true,
        SecretsError::DataKey(error) => matches!(**error, DataKeyError::Missing { .. }),
    }
}

fn cannot(pass: &mut Pass, what: String) {
    pass.unreadable += 1;
    if pass.named_unreadable.len() < MAX_NAMED {
        pass.named_unreadable.push(what);
    }
}
