//! What is done with a page of a job: each delivery is noted and sent again, released, or given up; nothing is sent that was
//! not written down before. A crash in between repeats the page under the same delivery ids.

use std::collections::HashSet;

use futures_util::stream::StreamExt as _;
use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, Timestamp};
use redial_platform::failpoint;
use redial_platform::message::DeliveryMessage;
use redial_platform::metrics::{Metric, Recorder};
use redial_platform::pace::{self, Slots};
use redial_platform::store::config::{StoredEndpoint, TenantConfig};
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::replays::{ReplayAction, ReplayFilter, ReplayJob, Unmarked};
use redial_platform::store::{Store, StoreError};

use crate::find::{Candidate, Finder, is_release};
use crate::paced::rest_ms;
use crate::ramp::Moments;
use crate::work::{Fault, Replay};

/// Records of a page that are written at once.
pub(crate) const CONCURRENT_WRITES: usize = 32;
/// How long a released delivery may be under way before the sweeper sends it again, in milliseconds.
const RELEASE_LEASE_MS: i64 = 900_000;
/// Why a delivery is canceled that somebody discarded.
pub(crate) const DISCARDED: &str = "discarded";
/// Why a delivery is canceled whose endpoint is gone.
const ENDPOINT_DELETED: &str = "endpoint_deleted";

/// Deliveries of one page that join an endpoint's line, and of one that does not.
const LINE_PAGE: usize = 100;
pub(crate) const PAGE: usize = 500;

/// What a page is worked on with.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) config: &'a TenantConfig,
    pub(crate) filter: &'a ReplayFilter,
    pub(crate) now: Timestamp,
}

/// When the deliveries of a page go.
struct Times {
    slots: Option<Slots>,
    moments: Option<Moments>,
}

/// What became of a page.
pub(crate) enum Paged {
    /// Nothing yet: the job has to rest that long, in milliseconds.
    Rest(i64),
    /// It is sent; these dead letters are to be marked.
    Sent(Vec<DeliveryRecord>),
}

/// What became of one delivery of a page.
enum Settled {
    /// To be sent, not before the moment if there is one.
    Send(Box<Candidate>, Option<Timestamp>),
    /// It comes by itself, or is given up: done.
    Done,
    /// It cannot be delivered.
    Failed,
    /// It is not what was asked for any more.
    Skipped,
}

impl Replay {
    /// Works on the next page of a job.
    pub(crate) async fn page(&self, job: &mut ReplayJob, turn: Turn<'_>, recorder: &Recorder) -> Result<Paged, Fault> {
        let moments = Moments::of(job, turn.now);
        if let Some(rest_ms) = moments.and_then(|moments| rest_ms(moments.at(0), turn.now)) {
            return Ok(Paged::Rest(rest_ms));
        }
        let mut found = turn.finder(&self.store).page(job.after.as_ref(), PAGE).await?;
        found.candidates.retain(|candidate| !is_own(candidate, job));
        let mut letters = Vec::new();
        match turn.filter.action {
            ReplayAction::Discard => {
                (job.failed, job.skipped) = (job.failed + found.failed, job.skipped + found.skipped);
                self.discard(job, found.candidates).await?;
            }
            ReplayAction::Deliver => {
                let line = self.line(&found.candidates, turn.filter, turn.config, turn.now).await?;
                if let Some(rest_ms) = line.as_ref().and_then(|line| line.rest_ms(turn.now)) {
                    return Ok(Paged::Rest(rest_ms));
                }
                let most = if line.is_some() { LINE_PAGE } else { PAGE };
                found.cut(moments.map_or(most, |moments| moments.room(turn.now, most)));
                (job.failed, job.skipped) = (job.failed + found.failed, job.skipped + found.skipped);
                let mut candidates = std::mem::take(&mut found.candidates);
                let slots = match &line {
                    Some(line) => self.join(job, line, &mut candidates, turn.now).await?,
                    None => None,
                };
                letters = self
                    .deliver(job, candidates, turn, Times { slots, moments }, recorder)
                    .await?;
            }
        }
        if !letters.is_empty() {
            job.unmarked = Some(Unmarked {
                after: job.after.clone(),
                to: found.next.clone(),
            });
        }
        job.after = found.next;
        Ok(Paged::Sent(letters))
    }

    /// Sends a page. After a fault what was released by then is sent all the same: it would wait for the end of its lease.
    async fn deliver(
        &self,
        job: &mut ReplayJob,
        candidates: Vec<Candidate>,
        turn: Turn<'_>,
        times: Times,
        recorder: &Recorder,
    ) -> Result<Vec<DeliveryRecord>, Fault> {
        let now = turn.now;
        let mut sent = Vec::with_capacity(candidates.len());
        let mut fault = None;
        let settling = candidates.into_iter().map(|candidate| self.settle(candidate, turn));
        let mut settled = futures_util::stream::iter(settling).buffered(CONCURRENT_WRITES);
        while let Some(settled) = settled.next().await {
            match settled {
                Ok(Settled::Send(candidate, not_before)) => sent.push((candidate, not_before)),
                Ok(Settled::Done) => job.done += 1,
                Ok(Settled::Failed) => job.failed += 1,
                Ok(Settled::Skipped) => job.skipped += 1,
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        let (mut messages, mut replayed, mut letters) = (Vec::with_capacity(sent.len()), Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        job.done += sent.len() as u64;
        for (candidate, not_before) in sent {
            let id = outgoing(&candidate, job, turn.filter);
            // Two of a page may become one: a delivery and its replay.
            if seen.insert(id.clone()) {
                let at = times.at(messages.len(), now).max(not_before);
                messages.push(message(&candidate, &id, turn, at));
                if id.replay.as_ref() == Some(&job.id) {
                    replayed.push(id);
                }
            }
            let redrives = turn.filter.state == Some(DeliveryState::Dead);
            letters.extend(candidate.record.filter(|_| redrives));
        }
        if let Some(moments) = times.moments {
            job.pace = Some(moments.after(messages.len()));
        }
        self.store
            .put_replayed(&job.tenant, &replayed, now, job.expires_at)
            .await?;
        failpoint::hit("replay.in_page");
        self.queues.send_deliveries(&messages, now).await?;
        failpoint::hit("replay.before_save");
        recorder.count(Metric::Replayed, messages.len() as u64);
        if times.slots.is_some() {
            let waiting = messages
                .iter()
                .filter(|message| message.slot().is_some_and(|slot| slot > now));
            recorder.count(Metric::Paced, waiting.count() as u64);
        }
        fault.map_or(Ok(letters), |error| Err(error.into()))
    }

    /// What is to become of one delivery; what is released or given up is so by then.
    async fn settle(&self, candidate: Candidate, turn: Turn<'_>) -> Result<Settled, StoreError> {
        let to = turn.filter.to.as_ref().unwrap_or(&candidate.id.endpoint);
        let held = candidate.record.as_ref().filter(|_| is_release(turn.filter));
        let Some(stored) = turn.config.endpoint(to) else {
            return match held {
                Some(held) if self.give_up(held, ENDPOINT_DELETED).await? == Recorded::Superseded => {
                    Ok(Settled::Skipped)
                }
                _ => Ok(Settled::Failed),
            };
        };
        let Some(held) = held else {
            return Ok(if is_carried(stored, turn.filter, &candidate) {
                Settled::Send(Box::new(candidate), None)
            } else {
                Settled::Skipped
            });
        };
        // Its own schedule goes on; where its endpoint's rate limit would have had it, the line of now decides.
        let own = held.next_at.filter(|at| *at > turn.now);
        let own = own.filter(|_| held.reason.as_deref() != Some(pace::REASON));
        if let Some(at) = own.filter(|at| pace::is_beyond(*at, turn.now)) {
            let waits = DeliveryRecord {
                due_at: Some(at),
                ..held.clone()
            };
            return Ok(match self.store.record_if_unchanged(held, &waits).await? {
                Recorded::Written => Settled::Done,
                Recorded::Superseded => Settled::Skipped,
            });
        }
        let queued = DeliveryRecord {
            state: DeliveryState::Queued,
            reason: None,
            next_at: own,
            due_at: Some(turn.now.plus_millis(RELEASE_LEASE_MS)),
            ..held.clone()
        };
        Ok(match self.store.record_if_unchanged(held, &queued).await? {
            Recorded::Written => Settled::Send(Box::new(candidate), own),
            Recorded::Superseded => Settled::Skipped,
        })
    }

    async fn discard(&self, job: &mut ReplayJob, page: Vec<Candidate>) -> Result<(), StoreError> {
        let records = page.into_iter().filter_map(|candidate| candidate.record);
        let given_up = records.map(|record| async move { self.give_up(&record, DISCARDED).await });
        let mut given_up = futures_util::stream::iter(given_up).buffer_unordered(CONCURRENT_WRITES);
        while let Some(recorded) = given_up.next().await {
            match recorded? {
                Recorded::Written => job.done += 1,
                Recorded::Superseded => job.skipped += 1,
            }
        }
        Ok(())
    }

    /// Cancels a delivery, unless something has happened to it meanwhile.
    async fn give_up(&self, before: &DeliveryRecord, reason: &str) -> Result<Recorded, StoreError> {
        let canceled = DeliveryRecord {
            state: DeliveryState::Canceled,
            reason: Some(reason.to_owned()),
            next_at: None,
            due_at: None,
            dropped: false,
            ..before.clone()
        };
        self.store.record_if_unchanged(before, &canceled).await
    }
}

impl Turn<'_> {
    pub(crate) fn finder<'a>(&'a self, store: &'a Store) -> Finder<'a> {
        Finder {
            store,
            config: self.config,
            filter: self.filter,
            now: self.now,
            only_deliverable: true,
        }
    }
}

impl Times {
    /// When message number `number` of a page goes; `None`: at once.
    fn at(&self, number: usize, now: Timestamp) -> Option<Timestamp> {
        let slot = self.slots.map(|slots| slots.at(number));
        let moment = self.moments.map(|moments| moments.at(number)).filter(|at| *at > now);
        slot.max(moment)
    }
}

fn message(candidate: &Candidate, id: &DeliveryId, turn: Turn<'_>, at: Option<Timestamp>) -> DeliveryMessage {
    let stored = turn.config.endpoint(&id.endpoint);
    // What was held is the same delivery; a new one belongs to no trace.
    let released = candidate.record.as_ref().filter(|_| is_release(turn.filter));
    DeliveryMessage {
        tenant: turn.config.tenant.id.clone(),
        event: id.event.clone(),
        accepted_at_ms: candidate.accepted_at.as_millis(),
        shards: candidate.shards,
        endpoint: id.endpoint.clone(),
        endpoint_version: stored.map_or(0, |stored| stored.endpoint.version),
        replay: id.replay.clone(),
        check: true,
        probe: false,
        content: None,
        traceparent: released.and_then(|record| record.traceparent.clone()),
        slot_ms: at.map(Timestamp::as_millis),
    }
}

/// The id of what is sent: of the job, unless a held delivery is released.
pub(crate) fn outgoing(candidate: &Candidate, job: &ReplayJob, filter: &ReplayFilter) -> DeliveryId {
    let mut id = candidate.id.clone();
    if !is_release(filter) {
        id.replay = Some(job.id.clone());
    }
    if let Some(to) = &filter.to {
        id.endpoint = to.clone();
    }
    id
}

/// True for a delivery that the job itself has made: it stands right behind the one that it delivers again.
pub(crate) fn is_own(candidate: &Candidate, job: &ReplayJob) -> bool {
    candidate.id.replay.as_ref() == Some(&job.id)
}

/// True if the endpoint can be told of such an event: another one than the event matched may have no name for its type.
fn is_carried(stored: &StoredEndpoint, filter: &ReplayFilter, candidate: &Candidate) -> bool {
    filter.to.is_none() || stored.endpoint.settings.profile.carries(&candidate.event_type)
}
