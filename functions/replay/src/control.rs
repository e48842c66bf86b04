//! Pausing, going on with and canceling a replay. A worker that holds the job is asked to: it does so when it saves its page,
//! so that its numbers stay true. A job that nobody holds is changed at once.

use redial_domain::{ReplayId, TenantId, Timestamp};
use redial_platform::store::StoreError;
use redial_platform::store::replays::{JobState, JobWish, ReplayJob};

use crate::ask::{Asker, START_LEASE_MS};

/// Times that an order is tried against a worker's saves.
const TRIES: usize = 10;

/// What is asked of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stop for now. What waits in the queue by then, two minutes' worth at most, is delivered still.
    Pause,
    /// Go on where it stopped.
    Resume,
    /// Stop for good. What it has done stays done.
    Cancel,
}

/// A job cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such job.
    #[error("there is no such replay")]
    Missing,
    /// Nothing will happen to it any more.
    #[error("the replay is {}", .0.as_str())]
    Finished(JobState),
    /// The store failed, or a worker was faster again and again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Asker {
    /// Tells a job what to do, and answers how it is then. Telling it twice is no error.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn order(&self, tenant: &TenantId, id: &ReplayId, order: Order) -> Result<ReplayJob, OrderError> {
        for _ in 0..TRIES {
            let Some(mut job) = self.store.job(tenant, id).await? else {
                return Err(OrderError::Missing);
            };
            let (now, before) = (self.clock.now(), job.lease_until);
            if job.shown_state().is_final() {
                return Err(OrderError::Finished(job.shown_state()));
            }
            if !obey(&mut job, order, now) {
                return Ok(job);
            }
            match self.store.save_job(&job, before).await {
                Err(StoreError::Conflict(_)) => {}
                saved => {
                    saved?;
                    tracing::info!(%tenant, replay = %id, ?order, state = job.shown_state().as_str(), "replay.told");
                    if job.state == JobState::Pending && order == Order::Resume {
                        self.send(&job).await;
                    }
                    return Ok(job);
                }
            }
        }
        Err(StoreError::Conflict("the replay").into())
    }
}

/// Does to a job what is asked; false if there is nothing to change.
fn obey(job: &mut ReplayJob, order: Order, now: Timestamp) -> bool {
    let is_held = job.holder.is_some() && job.lease_until > now;
    // Whoever saves it next must notice.
    let noticed = job.lease_until.plus_millis(1);
    match order {
        Order::Resume if job.wish == Some(JobWish::Pause) => {
            job.wish = None;
            job.lease_until = noticed;
        }
        Order::Resume if job.state == JobState::Paused => {
            job.state = JobState::Pending;
            job.lease_until = now.plus_millis(START_LEASE_MS).max(noticed);
        }
        Order::Resume => return false,
        Order::Pause if job.shown_state() == JobState::Paused => return false,
        Order::Pause | Order::Cancel if is_held => {
            job.wish = Some(if order == Order::Pause {
                JobWish::Pause
            } else {
                JobWish::Cancel
            });
            job.lease_until = noticed;
        }
        Order::Pause | Order::Cancel => {
            (job.wish, job.holder, job.pace) = (None, None, None);
            job.updated_at = now;
            job.lease_until = noticed.max(now);
            if order == Order::Pause {
                job.state = JobState::Paused;
            } else {
                job.state = JobState::Canceled;
                job.finished_at = Some(now);
            }
        }
    }
    true
}
