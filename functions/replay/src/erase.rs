//! Erasing an event, a call or a tenant: asked for by the API, begun there or by this function's worker, continued by the
//! sweeper, and looked at a second time when nothing that was under way can write any more. A crash repeats a look, which
//! finds less. Never reads what it erases, and logs ids and counts alone.

mod call;
mod tenant;

use redial_domain::{ErasureId, TenantId, Timestamp};
use redial_platform::message::ReplayMessage;
use redial_platform::queue::Queues;
use redial_platform::store::config::{Tenant, TenantConfig};
use redial_platform::store::erasures::{Erasure, ErasureState, Found, RECEIPT_DAYS, Reached, Target};
use redial_platform::store::events::StoredEvent;
use redial_platform::store::{Store, StoreError};
use redial_platform::{Clock, Random};

/// Items of one page.
const PAGE: usize = 100;
/// Events that are erased at once.
const CONCURRENT_EVENTS: usize = 16;
/// How long whoever works on an erasure is left alone after its last page, in milliseconds.
const LEASE_MS: i64 = 120_000;
/// How long one invocation works on an erasure, in milliseconds; the sweeper has the rest continued.
const BUDGET_MS: i64 = 240_000;
/// How long a request works on an erasure before it answers, in milliseconds.
const REQUEST_BUDGET_MS: i64 = 5_000;
/// When the second look follows the first, in milliseconds: longer than any function runs, and than an event may be
/// delivered without a look at its record (`store::erase::UNCHECKED_MS`).
const SETTLE_MS: i64 = 600_000;

/// When events that cannot be read are looked at again, in milliseconds: whoever mends them, or deploys the release that
/// wrote them, takes hours, and their retention takes days.
const UNREADABLE_MS: i64 = 86_400_000;

/// Erases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Eraser {
    /// The tables.
    pub store: Store,
    /// The queues.
    pub queues: Queues,
    /// The clock.
    pub clock: Clock,
    /// Ids.
    pub random: Random,
}

/// How a look ended.
enum Look {
    /// There is more than the time was for.
    Unfinished,
    /// All was looked at.
    Finished {
        /// Nothing was under way that could have written meanwhile.
        settled: bool,
    },
}

impl Eraser {
    fn erasure(&self, tenant: &Tenant, target: Target, asked_by: &str) -> Erasure {
        let now = self.clock.now();
        Erasure {
            tenant: tenant.id.clone(),
            id: ErasureId::mint(now, self.random.number()),
            target,
            asked_by: asked_by.to_owned(),
            asked_at: now,
            state: ErasureState::Running,
            found: Found::default(),
            finding: Found::default(),
            looked: false,
            call_id: None,
            reached: Reached::default(),
            shards: tenant.shards,
            changed_at: tenant.updated_at,
            endpoints: Vec::new(),
            updated_at: now,
            completed_at: None,
            lease_until: now.plus_millis(LEASE_MS),
            expires_at: now.plus_millis(RECEIPT_DAYS * 86_400_000),
        }
    }

    /// Erases an event, as far as one request may.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails. If the erasure was stored, it goes on all the same.
    pub async fn erase_event(
        &self,
        tenant: &Tenant,
        event: &StoredEvent,
        asked_by: &str,
    ) -> Result<Erasure, StoreError> {
        let mut erasure = self.erasure(tenant, Target::Event(event.id.clone()), asked_by);
        erasure.call_id.clone_from(&event.call_id);
        let until = self.clock.now().plus_millis(REQUEST_BUDGET_MS);
        self.begin(erasure, until).await
    }

    async fn begin(&self, erasure: Erasure, until: Timestamp) -> Result<Erasure, StoreError> {
        self.store.put_erasure(&erasure).await?;
        self.begun(erasure, until).await
    }

    /// Works on an erasure that is stored.
    async fn begun(&self, mut erasure: Erasure, until: Timestamp) -> Result<Erasure, StoreError> {
        told(&erasure);
        self.work(&mut erasure, until).await?;
        Ok(erasure)
    }

    /// Takes a tenant away and has everything that belongs to it erased. Answers the erasure and the ids of the tenant's
    /// keys, which are no more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the tenant was changed since `config` was read. If the erasure was stored, it goes on
    /// whatever fails then.
    pub async fn erase_tenant(
        &self,
        config: &TenantConfig,
        asked_by: &str,
    ) -> Result<(Erasure, Vec<String>), StoreError> {
        let mut erasure = self.erasure(&config.tenant, Target::Tenant, asked_by);
        // Whoever gets the message may begin.
        erasure.state = ErasureState::Pending;
        let endpoints = config.endpoints.iter();
        erasure.endpoints = endpoints.map(|stored| stored.endpoint.id.clone()).collect();
        self.store.begin_erasing_tenant(&erasure, config.version).await?;
        told(&erasure);
        let keys = self.store.remove_config(&erasure.tenant).await?;
        let message = ReplayMessage {
            tenant: erasure.tenant.clone(),
            replay: erasure.id.as_job(),
        };
        // It is in the list of what is due: the sweeper begins it.
        if let Err(error) = self.queues.send_replay(&message).await {
            tracing::error!(%error, tenant = %erasure.tenant, erasure = %erasure.id, "erasure.send_failed");
        }
        Ok((erasure, keys))
    }

    /// Works on an erasure whose message has come.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Conflict`] if somebody else works on it.
    pub(crate) async fn take(&self, tenant: &TenantId, id: &ErasureId) -> Result<(), StoreError> {
        let Some(mut erasure) = self.store.erasure(tenant, id).await? else {
            return Ok(());
        };
        let is_taken = erasure.state != ErasureState::Pending && erasure.lease_until > self.clock.now();
        if erasure.is_done() || is_taken {
            return Ok(());
        }
        let until = self.clock.now().plus_millis(BUDGET_MS);
        self.work(&mut erasure, until).await
    }

    async fn work(&self, erasure: &mut Erasure, until: Timestamp) -> Result<(), StoreError> {
        erasure.state = ErasureState::Running;
        self.save(erasure, LEASE_MS).await?;
        let look = match erasure.target.clone() {
            Target::Event(_) => self.look_at_event(erasure).await?,
            Target::Call(call_id) => self.look_at_call(erasure, &call_id, until).await?,
            Target::Tenant => self.look_at_tenant(erasure, until).await?,
        };
        match look {
            Look::Unfinished => self.save(erasure, 0).await?,
            Look::Finished { .. } if erasure.looked && erasure.finding.unreadable > 0 => {
                erasure.found.settle(std::mem::take(&mut erasure.finding));
                erasure.reached = erasure.reached.again();
                erasure.state = ErasureState::Settling;
                self.save(erasure, UNREADABLE_MS).await?;
            }
            Look::Finished { settled } if settled || erasure.looked => self.finish(erasure).await?,
            Look::Finished { .. } => {
                erasure.found = std::mem::take(&mut erasure.finding);
                erasure.reached = erasure.reached.again();
                erasure.looked = true;
                erasure.state = ErasureState::Settling;
                self.save(erasure, SETTLE_MS).await?;
            }
        }
        let found = erasure.total();
        tracing::info!(
            tenant = %erasure.tenant,
            erasure = %erasure.id,
            state = ?erasure.state,
            events = found.events,
            canceled = found.canceled,
            may_still_leave = found.leaving,
            unreadable = found.unreadable,
            "erasure.worked"
        );
        Ok(())
    }

    async fn finish(&self, erasure: &mut Erasure) -> Result<(), StoreError> {
        let finding = std::mem::take(&mut erasure.finding);
        if !erasure.looked {
            erasure.found = finding;
        } else if erasure.target == Target::Tenant {
            erasure.found.add(finding);
        } else {
            erasure.found.settle(finding);
        }
        let (now, before) = (self.clock.now(), erasure.lease_until);
        erasure.looked = true;
        erasure.state = ErasureState::Done;
        erasure.call_id = None;
        erasure.reached = Reached::default();
        erasure.endpoints.clear();
        erasure.updated_at = now;
        erasure.completed_at = Some(now);
        erasure.lease_until = now.max(before.plus_millis(1));
        if erasure.target == Target::Tenant {
            self.store.finish_erasure(erasure, before).await
        } else {
            self.store.save_erasure(erasure, before).await
        }
    }

    /// Saves progress, and keeps others away for as long; not at all if it is to be continued. Never the lease that was there:
    /// of two workers who read it, one must notice.
    async fn save(&self, erasure: &mut Erasure, lease_ms: i64) -> Result<(), StoreError> {
        let (now, before) = (self.clock.now(), erasure.lease_until);
        erasure.updated_at = now;
        let lease = now.plus_millis(lease_ms);
        erasure.lease_until = lease.plus_millis((lease == before).into());
        self.store.save_erasure(erasure, before).await
    }

    /// Fails if somebody else may work on it by now. What is removed page by page must never be that of a tenant that has
    /// got the name since.
    fn is_ours(&self, erasure: &Erasure) -> Result<(), StoreError> {
        if self.clock.now() < erasure.lease_until {
            Ok(())
        } else {
            Err(StoreError::Conflict("the erasure"))
        }
    }

    async fn look_at_event(&self, erasure: &mut Erasure) -> Result<Look, StoreError> {
        let Target::Event(id) = &erasure.target else {
            return Ok(Look::Finished { settled: true });
        };
        let (tenant, now) = (&erasure.tenant, self.clock.now());
        let Some(event) = self.store.event_or_tombstone(tenant, id, now).await? else {
            return Ok(Look::Finished { settled: true });
        };
        if let Some(call_id) = &erasure.call_id {
            self.store
                .forget_call(tenant, call_id, |noted| noted.event != *id)
                .await?;
        }
        erasure.finding = self.store.erase_event(&event, &erasure.id, now).await?;
        // Until it has passed an event, the sweeper may be about to note its call.
        let mark = self.store.sweep_mark(tenant).await?;
        let swept = mark.is_some_and(|mark| mark.repaired > event.accepted_at);
        Ok(Look::Finished {
            settled: swept && erasure.finding.leaving == 0,
        })
    }
}

fn told(erasure: &Erasure) {
    let what = match erasure.target {
        Target::Event(_) => "event",
        Target::Call(_) => "call",
        Target::Tenant => "tenant",
    };
    tracing::info!(tenant = %erasure.tenant, erasure = %erasure.id, what, key_id = erasure.asked_by, "erasure.asked");
}
