//! A job whose endpoint has a rate limit: its deliveries join the endpoint's line page by page, and while that is long the job
//! rests, so that an event that comes meanwhile waits for minutes at most, however much is replayed. What the job has not come
//! to stays as it is. A replay of one event or a few deliveries joins no line: the dispatcher lets it in between.

use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, Timestamp};
use redial_platform::pace::{self, Pace, Slots};
use redial_platform::store::StoreError;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::replays::{ReplayFilter, ReplayJob};

use crate::find::{Candidate, Source};
use crate::work::Replay;

/// Longest rest of a job at a time, in milliseconds: then it looks whether the limit was raised or removed meanwhile.
pub(crate) const MAX_REST_MS: i64 = 300_000;

/// The line of the endpoint that a job delivers to.
#[derive(Debug)]
pub(crate) struct Line {
    endpoint: EndpointId,
    pace: Pace,
    next_slot: Timestamp,
}

impl Line {
    /// How long the job rests, in milliseconds, if the line is too long now: until shortly before it is over, a pass of the
    /// sweeper included, and minutes at most.
    pub(crate) fn rest_ms(&self, now: Timestamp) -> Option<i64> {
        rest_ms(self.next_slot, now)
    }

    /// True if a held delivery is in the line already, or comes into it, and would not go earlier by joining it again: its
    /// slot is from a time when the limit was no lower.
    pub(crate) fn has(&self, held: &DeliveryRecord, now: Timestamp) -> bool {
        let soon = self.next_slot.max(now.plus_millis(pace::HORIZON_MS));
        held.reason.as_deref() == Some(pace::REASON) && held.next_at.is_none_or(|slot| slot <= soon)
    }
}

/// How long a job rests, in milliseconds, whose next message goes at `next`; `None` if the queue can wait for that.
pub(crate) fn rest_ms(next: Timestamp, now: Timestamp) -> Option<i64> {
    let until = pace::due_at(next, now);
    pace::is_beyond(next, now).then(|| until.millis_since(now).min(MAX_REST_MS))
}

impl Replay {
    /// The line that the deliveries of a page join; `None` if none.
    pub(crate) async fn line(
        &self,
        page: &[Candidate],
        filter: &ReplayFilter,
        config: &TenantConfig,
        now: Timestamp,
    ) -> Result<Option<Line>, StoreError> {
        let endpoint = match Source::of(filter) {
            Source::Event | Source::Named => None,
            // Of many endpoints, a few each.
            Source::Call => filter.to.clone(),
            Source::Missing | Source::Shelves => {
                let of_page = || page.first().map(|candidate| candidate.id.endpoint.clone());
                filter.to.clone().or_else(of_page)
            }
        };
        let Some(endpoint) = endpoint else { return Ok(None) };
        let stored = config.endpoint(&endpoint);
        let Some(pace) = stored.and_then(|stored| Pace::of(config, stored, now)) else {
            return Ok(None);
        };
        let tenant = &config.tenant.id;
        Ok(Some(Line {
            next_slot: self.store.next_slot(tenant, &endpoint, pace, now).await?,
            endpoint,
            pace,
        }))
    }

    /// Slots at the end of the line for those of a page that are not in it; these are taken out, they come by themselves.
    pub(crate) async fn join(
        &self,
        job: &mut ReplayJob,
        line: &Line,
        page: &mut Vec<Candidate>,
        now: Timestamp,
    ) -> Result<Option<Slots>, StoreError> {
        let all = page.len();
        page.retain(|candidate| {
            let record = candidate.record.as_ref();
            let held = record.filter(|record| record.state == DeliveryState::Held);
            held.is_none_or(|held| !line.has(held, now))
        });
        job.done += (all - page.len()) as u64;
        if page.is_empty() {
            return Ok(None);
        }
        let slots = self
            .store
            .reserve(&job.tenant, &line.endpoint, line.pace, page.len(), now);
        slots.await.map(Some)
    }
}
