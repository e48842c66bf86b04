//! What may be wrong with a delivery, as its ledger shows it: a closed list of kinds with a sentence each, and what is being
//! done about each and when, computed from the record. Pure: reads neither the store nor a clock.

use redial_domain::count::counted;
use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::EndpointState;
use redial_domain::endpoint::dead_letter::MIN_DEAD_LETTER_DAYS;
use redial_domain::{DeliveryId, ReplayId, Timestamp};
use redial_platform::keys::{self, HOUR_MS, Key, hour_of};
use redial_platform::store::config::TenantConfig;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::ledger::{LATE_MS, LOOK_BACK_HOURS, SETTLE_MS, UNRECORDED_MS};
use redial_platform::store::replays::{JobState, ReplayJob};
use redial_platform::store::sweep::SweepMark;
use serde::Serialize;
use utoipa::ToSchema;

/// How long after its time something that the sweeper sees to may not have happened, in milliseconds: a pass a minute, and
/// room for a pass that leaves something to the next.
pub(crate) const STUCK_MS: i64 = 900_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * HOUR_MS;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Accepted more than five minutes ago, and nothing is recorded: its message waits, or was never sent.
    Unsent,
    /// Nothing is recorded six hours after the hour in which it was accepted: no queue holds it any more.
    Lost,
    /// A record that its event does not name.
    Extra,
    /// A record whose event is not stored.
    Orphan,
    /// An event that is stored and in no list: its row there is gone.
    Unlisted,
    /// A row of an event that was never stored, and so never promised.
    Unaccepted,
    /// Something should have happened to it more than fifteen minutes ago.
    Stuck,
    /// Held, though its endpoint takes deliveries, and nothing says when it goes.
    Forgotten,
    /// A replay job that nobody works on.
    JobStuck,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Difference {
    /// What is wrong: `unsent`, `lost`, `extra`, `orphan`, `unlisted`, `unaccepted`, `stuck`, `forgotten` or `job_stuck`.
    pub(crate) kind: Kind,
    /// The event; `null`: it is about a replay job.
    #[schema(required)]
    pub(crate) event: Option<String>,
    /// The endpoint; `null`: it is about a replay job.
    #[schema(required)]
    pub(crate) endpoint: Option<String>,
    /// The delivery; `null`: it is about a replay job.
    #[schema(required)]
    pub(crate) delivery: Option<String>,
    /// The replay job, or the one that made the delivery; `null`: none.
    #[schema(required)]
    pub(crate) replay: Option<String>,
    /// Where the delivery stands; `null`: nothing is recorded.
    #[schema(value_type = Option<String>, required)]
    pub(crate) state: Option<DeliveryState>,
    /// What the ledger saw, in a sentence.
    pub(crate) explanation: String,
    /// What is being done about it and when, or what to do.
    pub(crate) repair: String,
}

/// A delivery without a record.
pub(crate) enum Unrecorded {
    /// Its message waits for its first attempt, as it should.
    Queued,
    /// It died so long ago that its endpoint keeps it no longer.
    Expired,
    /// It should have a record.
    Wrong(Difference),
}

/// What is the same for all deliveries of an answer.
pub(crate) struct Judge<'a> {
    pub(crate) config: &'a TenantConfig,
    /// How far the sweeper has come.
    pub(crate) mark: Option<SweepMark>,
    /// The tenant's latest replay jobs.
    pub(crate) jobs: Vec<ReplayJob>,
    pub(crate) now: Timestamp,
}

impl Difference {
    fn of(kind: Kind, id: &DeliveryId, explanation: String, repair: String) -> Self {
        Self {
            kind,
            event: Some(id.event.as_str().to_owned()),
            endpoint: Some(id.endpoint.as_str().to_owned()),
            delivery: Some(id.to_string()),
            replay: id.replay.as_ref().map(|replay| replay.as_str().to_owned()),
            state: None,
            explanation,
            repair,
        }
    }

    /// True if a message of it may still be under way.
    pub(crate) fn is_queued(&self) -> bool {
        self.kind == Kind::Unsent
    }

    /// True if an event promises it.
    pub(crate) fn is_promised(&self) -> bool {
        !matches!(self.kind, Kind::Extra | Kind::Orphan)
    }

    fn in_state(self, state: DeliveryState) -> Self {
        Self {
            state: Some(state),
            ..self
        }
    }
}

impl Judge<'_> {
    /// What a delivery without a record comes to.
    pub(crate) fn unrecorded(&self, event: &StoredEvent, id: &DeliveryId) -> Unrecorded {
        let (accepted_at, now) = (event.accepted_at, self.now);
        if self.may_have_expired(event, id) {
            return Unrecorded::Expired;
        }
        if now.millis_since(accepted_at) <= SETTLE_MS {
            return Unrecorded::Queued;
        }
        let counted_at = hour_of(accepted_at).plus_millis(HOUR_MS + UNRECORDED_MS);
        if now < counted_at {
            let explanation = match &event.erased {
                Some(erased) => format!(
                    "Its event was erased at {}, and that it is canceled is not recorded.",
                    erased.at
                ),
                None => format!(
                    "Its event was accepted at {accepted_at}, and no attempt is recorded: its message waits in the delivery \
                     queue, or a crash left it unsent."
                ),
            };
            let repair = match self.mark {
                Some(mark) if mark.repaired > accepted_at => format!(
                    "The sweeper has looked at it and sent what was missing; if nothing is recorded by {counted_at}, the count \
                     of its hour has it sent again."
                ),
                _ => "The sweeper, which runs every minute, sends it at its next pass that comes so far, marked so that it is \
                      attempted once; while the delivery queue is behind it waits for the queue."
                    .to_owned(),
            };
            return Unrecorded::Wrong(Difference::of(Kind::Unsent, id, explanation, repair));
        }
        let explanation = format!(
            "Its event was accepted at {accepted_at}, and six hours after that hour nothing is recorded: no queue holds its \
             message any more."
        );
        Unrecorded::Wrong(Difference::of(
            Kind::Lost,
            id,
            explanation,
            self.sent_again(accepted_at, id),
        ))
    }

    /// True if a record that there was may have gone before its event: dead letters may be kept for fewer days, and nobody
    /// knows for how many an endpoint kept them that was changed or deleted since.
    fn may_have_expired(&self, event: &StoredEvent, id: &DeliveryId) -> bool {
        if self.now.millis_since(event.accepted_at) < i64::from(MIN_DEAD_LETTER_DAYS) * DAY_MS {
            return false;
        }
        self.config.endpoint(&id.endpoint).is_none_or(|stored| {
            let kept = stored.endpoint.settings.dead_letter;
            stored.endpoint.updated_at > event.accepted_at
                || kept.kept_until(event.accepted_at, event.expires_at) < self.now
        })
    }

    /// What a record says that cannot be so; `None`: nothing.
    pub(crate) fn recorded(&self, record: &DeliveryRecord) -> Option<Difference> {
        let is_late = |at: Timestamp| self.now.millis_since(at) > STUCK_MS;
        let (kind, explanation, repair) = match (record.state, record.due_at) {
            (DeliveryState::Queued, Some(due_at)) if is_late(due_at) => (
                Kind::Stuck,
                format!(
                    "It was sent from the table, and nothing was recorded until {due_at}, when it was to be looked at again."
                ),
                NEXT_PASS.to_owned(),
            ),
            (DeliveryState::Held, Some(due_at)) if is_late(due_at) => (
                Kind::Stuck,
                format!("It is held, and was to be sent at {due_at}."),
                NEXT_PASS.to_owned(),
            ),
            (DeliveryState::Held, None) => return self.held(record),
            (DeliveryState::Retrying, None) => {
                let due_at = record.next_at.or_else(|| record.last.as_ref().map(|last| last.at));
                let due_at = due_at.filter(|at| is_late(*at))?;
                (
                    Kind::Stuck,
                    format!("Its next attempt was to be made at {due_at}: its message is late, or lost."),
                    format!(
                        "If it is not made by {}, the sweeper sends it again when it next counts the tenant's hours, once an \
                         hour, marked so that it is attempted once.",
                        due_at.plus_millis(LATE_MS)
                    ),
                )
            }
            (DeliveryState::Queued, None) => {
                let since = began_at(record);
                if self.now.millis_since(since) <= UNRECORDED_MS {
                    return None;
                }
                (
                    Kind::Stuck,
                    format!("An attempt was begun after {since}, and how it ended is not recorded."),
                    self.sent_again(record.accepted_at, &record.id),
                )
            }
            _ => return None,
        };
        Some(Difference::of(kind, &record.id, explanation, repair).in_state(record.state))
    }

    /// Of a held delivery without a time: its endpoint must be on hold, or somebody must be about to release it.
    fn held(&self, record: &DeliveryRecord) -> Option<Difference> {
        // A job that is at work may be about to release it.
        let releasing = self.jobs.iter().any(|job| !job.is_finished());
        if releasing || self.now.millis_since(record.accepted_at) <= STUCK_MS {
            return None;
        }
        let stored = self.config.endpoint(&record.id.endpoint);
        let (explanation, repair) = match stored {
            None => (
                "It is held, and its endpoint is deleted.",
                "The sweeper cancels what is held for a deleted endpoint two minutes after that, and again two minutes \
                 later. If it stays, it goes with its event; tell whoever maintains Redial.",
            ),
            Some(stored) if stored.hold.is_some() || stored.endpoint.state != EndpointState::Active => return None,
            // Somebody chose to keep it.
            Some(stored) if stored.endpoint.keeps_back(record.begun_at(), record.held_at) => return None,
            Some(stored) if self.now.millis_since(stored.endpoint.updated_at) <= STUCK_MS => return None,
            Some(_) => (
                "It is held, though its endpoint takes deliveries, and no job is at work that releases it.",
                "The sweeper releases what it finds so within the hour in which an endpoint was changed, and when an \
                 endpoint recovers. If it stays, release it: a replay of the endpoint with state held.",
            ),
        };
        let difference = Difference::of(Kind::Forgotten, &record.id, explanation.to_owned(), repair.to_owned());
        Some(difference.in_state(record.state))
    }

    /// What a record beyond those promised is, by what is stored of its event; `None`: it was accepted just now.
    pub(crate) fn surplus(&self, record: &DeliveryRecord, event: Option<&StoredEvent>) -> Option<Difference> {
        let event = event.filter(|event| event.accepted_at == record.accepted_at);
        let (kind, explanation, repair) = match event {
            None => (
                Kind::Orphan,
                format!(
                    "It is recorded as {}, and its event is not stored.",
                    record.state.as_str()
                ),
                format!(
                    "No delivery is missing by this. If it is attempted again it ends as event_missing; the record goes at {}.",
                    record.expires_at
                ),
            ),
            Some(event) if !event.matched.contains(&record.id.endpoint) => (
                Kind::Extra,
                format!(
                    "It is recorded as {}, and its event, accepted at {}, did not match this endpoint.",
                    record.state.as_str(),
                    event.accepted_at
                ),
                format!(
                    "No delivery is missing by this, and nothing is changed; the record goes at {}. Keep this answer and \
                     report it.",
                    record.expires_at
                ),
            ),
            Some(_) if self.now.millis_since(record.accepted_at) <= SETTLE_MS => return None,
            Some(_) => (
                Kind::Unlisted,
                "Its event is stored, and the row is gone by which lists find it.".to_owned(),
                "No delivery is missing by this: the event is found by its id. Keep this answer and report it."
                    .to_owned(),
            ),
        };
        Some(Difference::of(kind, &record.id, explanation, repair).in_state(record.state))
    }

    /// The row of an event that is not stored.
    pub(crate) fn unaccepted(&self, row: &StoredEvent, id: &DeliveryId) -> Option<Difference> {
        if self.now.millis_since(row.accepted_at) <= SETTLE_MS {
            return None;
        }
        let explanation = format!(
            "Ingest stopped at {} before it stored the event: whoever posted it got no 202.",
            row.accepted_at
        );
        let repair = "The sweeper removes the row at its next pass that comes so far. Nothing is to be delivered.";
        Some(Difference::of(Kind::Unaccepted, id, explanation, repair.to_owned()))
    }

    /// The replay jobs that stand still.
    pub(crate) fn stuck_jobs(&self) -> impl Iterator<Item = (Key, Difference)> {
        let stuck = |job: &ReplayJob| Some((keys::job(&self.config.tenant.id, &job.id), self.job(job)?));
        self.jobs.iter().filter_map(stuck)
    }

    fn job(&self, job: &ReplayJob) -> Option<Difference> {
        if job.is_finished() || job.state == JobState::Paused || self.now.millis_since(job.lease_until) <= STUCK_MS {
            return None;
        }
        Some(Difference {
            kind: Kind::JobStuck,
            event: None,
            endpoint: None,
            delivery: None,
            replay: Some(job.id.as_str().to_owned()),
            state: None,
            explanation: format!(
                "It has queued {} of {}, and nobody has worked on it since {}.",
                job.done,
                counted(job.total, "delivery", "deliveries"),
                job.updated_at
            ),
            repair: NEXT_PASS.to_owned(),
        })
    }

    /// How a delivery whose message is lost comes to be sent.
    fn sent_again(&self, accepted_at: Timestamp, id: &DeliveryId) -> String {
        if self.now.millis_since(accepted_at) < LOOK_BACK_HOURS * HOUR_MS {
            return "The sweeper sends it again when it next counts its hour, once an hour, marked so that it is attempted once."
                .to_owned();
        }
        format!("Nothing sends it by itself any more: replay the delivery {id}.")
    }
}

/// What the sweeper does with everything that has a time.
const NEXT_PASS: &str = "The sweeper, which runs every minute, sees to it at its next pass. If this stays, it is not running \
                         (alarm SweeperSilence) or does not keep up (alarm DueLag).";

/// When a delivery last began or ended something.
fn began_at(record: &DeliveryRecord) -> Timestamp {
    let begun = record.id.replay.as_ref().and_then(ReplayId::asked_at);
    let begun = begun.unwrap_or(record.accepted_at);
    record.last.as_ref().map_or(begun, |last| last.at.max(begun))
}

#[cfg(test)]
#[path = "ledger_kinds_tests.rs"]
mod tests;
