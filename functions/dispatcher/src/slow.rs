//! Endpoints that answer, but late: what this environment sees of them, told once a batch where some attempt was slow, and
//! written down at the endpoint by whoever finds that it is enough. From then on its requests leave far apart
//! (`redial_platform::pace`), in every environment, until they are quick again. Reads and writes nothing while all answer soon.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use redial_domain::Timestamp;
use redial_domain::endpoint::EndpointState;
use redial_domain::hold::WINDOW_MS;
use redial_domain::slow::{Attempts, Slow};
use redial_platform::store::StoreError;
use redial_platform::store::config::Change;

use crate::health::{SETTLE_TRIES, Watch};
use crate::tally::Who;

/// Endpoints that an environment keeps count of; beyond it the count begins anew.
const MAX_ENDPOINTS: usize = 10_000;

/// The attempts of late, by endpoint, and since when they are counted. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durations(Arc<Mutex<HashMap<Who, (Timestamp, Attempts)>>>);

impl Durations {
    fn saw(&self, who: &Who, duration_ms: u32, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_ENDPOINTS && !all.contains_key(who) {
            all.clear();
        }
        let (since, attempts) = all.entry(who.clone()).or_default();
        if now.millis_since(*since) >= WINDOW_MS {
            (*since, *attempts) = (now, Attempts::default());
        }
        *attempts = attempts.and_one_of(duration_ms);
    }

    /// What is to be told of an endpoint, if some of its attempts were slow; it counts as told.
    fn take(&self, who: &Who) -> Option<Attempts> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, attempts) = all.get_mut(who)?;
        (attempts.slow > 0).then(|| std::mem::take(attempts))
    }
}

impl Watch {
    /// An attempt at an endpoint took so long, whatever came of it.
    pub fn took(&self, who: &Who, duration_ms: u32) {
        self.durations.saw(who, duration_ms, self.clock.now());
    }

    /// Tells slow attempts at an endpoint, if there were any since the last time, and does what follows.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails. What was to be told is forgotten then.
    pub async fn tell_slow(&self, who: &Who) -> Result<(), StoreError> {
        let ((tenant, endpoint), now) = (who, self.clock.now());
        let Some(seen) = self.durations.take(who) else {
            return Ok(());
        };
        let recent = self.cache.recent(tenant, 0).await?;
        let known = recent.as_ref().and_then(|config| config.endpoint(endpoint));
        let before = known.and_then(|stored| stored.slow.as_ref());
        if !before.is_some_and(|before| before.is_at(now)) {
            let counted = self.store.observe_slow(tenant, endpoint, seen, now).await?;
            if !counted.is_some_and(Attempts::are_slow) {
                return Ok(());
            }
        } else if Slow::seen(before, now).is_none() {
            return Ok(());
        }
        self.say_slow(who, now).await
    }

    /// Writes down that an active endpoint is slow, unless somebody else has just done so.
    async fn say_slow(&self, who: &Who, now: Timestamp) -> Result<(), StoreError> {
        let (tenant, endpoint) = who;
        for _ in 0..SETTLE_TRIES {
            let Some(config) = self.cache.current(tenant).await? else {
                return Ok(());
            };
            let stored = config.endpoint(endpoint);
            let Some(stored) = stored.filter(|stored| stored.endpoint.state == EndpointState::Active) else {
                return Ok(());
            };
            let Some(slow) = Slow::seen(stored.slow.as_ref(), now) else {
                return Ok(());
            };
            match self
                .store
                .change(tenant, config.version, Change::Slow(endpoint, &slow))
                .await
            {
                Ok(_) => {
                    tracing::warn!(%tenant, %endpoint, since = %slow.since, until = %slow.until, "dispatcher.endpoint_slow");
                    return Ok(());
                }
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict("the tenant's configuration"))
    }
}

#[cfg(test)]
mod tests {
    use redial_domain::{EndpointId, TenantId};

    use super::*;

    #[test]
    fn nothing_is_told_while_all_answer_soon_and_then_what_was_seen_within_a_minute() {
        let at = |ms| Timestamp::from_millis(1_795_000_000_000 + ms);
        let who = (TenantId::parse("acme").unwrap(), EndpointId::parse("ep_1").unwrap());
        let durations = Durations::default();
        for n in 0..100 {
            durations.saw(&who, 4_999, at(n));
            assert_eq!(durations.take(&who), None);
        }
        durations.saw(&who, 20, at(WINDOW_MS));
        durations.saw(&who, 29_000, at(WINDOW_MS + 1));
        assert_eq!(durations.take(&who), Some(Attempts { all: 2, slow: 1 }));
        assert_eq!(durations.take(&who), None);
    }
}
