//! How much a tenant may have asked for that is not finished: a crowd of one tenant's jobs must not take the workers of all.
//! What Redial asks for by itself (the drain of an endpoint that recovered, the end of what a deleted one held) is not refused:
//! it is bounded by the endpoints, and what is held must not be left. Counts nothing itself: `store::unfinished` does.

use redial_domain::TenantId;
use redial_platform::problem::Problem;
use redial_platform::store::deliveries::Recorded;
use redial_platform::store::replays::ReplayJob;
use redial_platform::store::unfinished::{Place, Quota};

use crate::ask::{AskError, Asker};

/// Times that a place is taken against others. Each time somebody else was faster, so that many more are too many.
pub(crate) const TRIES: usize = 12;
/// When it is worth asking again, in seconds: a job of some thousand deliveries is over by then.
const RETRY_AFTER_S: u32 = 30;

impl Asker {
    /// A place for one more job.
    pub(crate) async fn place(&self, tenant: &TenantId, quota: Quota) -> Result<Place, AskError> {
        let place = self.store.place(tenant, quota, self.clock.now()).await?;
        place.ok_or(AskError::TooMany(quota))
    }

    /// Stores a new job in a place that was found for it, or in another if that is taken.
    pub(crate) async fn put_in(&self, job: &ReplayJob, quota: Quota, mut found: Option<Place>) -> Result<(), AskError> {
        for _ in 0..TRIES {
            let place = match found.take() {
                Some(place) => place,
                None => self.place(&job.tenant, quota).await?,
            };
            if self.store.put_job_in(job, &place).await? == Recorded::Written {
                return Ok(());
            }
        }
        Err(AskError::TooMany(quota))
    }
}

/// 429: what is to be done about it.
pub(crate) fn too_many(quota: Quota) -> Problem {
    let (code, detail) = match quota {
        Quota::Replays => (
            "too_many_replays",
            format!(
                "{} replays of the tenant are not finished: wait for one, or cancel one of them (GET .../replays lists them, \
                 POST .../replays/{{id}}/cancel); paused ones count",
                quota.most()
            ),
        ),
        Quota::Releases => (
            "too_many_replays",
            format!(
                "the endpoint is delivered to again, but {} backlogs of the tenant are being let go already: wait for one, or \
                 cancel one of them (GET .../replays lists them), and ask again",
                quota.most()
            ),
        ),
        Quota::Erasures => (
            "too_many_erasures",
            format!(
                "{} erasures of calls are at work for the tenant: wait until one is through, and ask again",
                quota.most()
            ),
        ),
    };
    Problem::too_many(code, detail, RETRY_AFTER_S)
}
