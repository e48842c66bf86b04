//! What a replay job is: what was asked for, how far it is, and who works on it. Pure data; `replays` stores it. Every field
//! that a release before did not have may be missing when it is read.

use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::Endpoint;
use redial_domain::filter::TypePattern;
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, ReplayId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::lists::After;

/// Most deliveries that one job may name one by one: what is asked for by hand.
pub const MAX_NAMED: usize = 100;
/// The end of a range that is still open: whoever asks ends it at the time of asking.
pub const OPEN_END: Timestamp = Timestamp::from_millis(32_503_680_000_000);

/// What is to be delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplaySpec {
    /// One event, to every endpoint that it matched.
    Event(EventId),
    /// One delivery.
    Delivery(DeliveryId),
    /// An endpoint's deliveries in a stretch of time.
    Range {
        /// The endpoint.
        endpoint: EndpointId,
        /// First moment at which an event was accepted.
        since: Timestamp,
        /// First moment after it.
        until: Timestamp,
        /// Only deliveries in this state; `None`: in any final state.
        state: Option<DeliveryState>,
    },
    /// Whatever a filter lets through. A release from before it cannot read a job of it and leaves it alone.
    Filter(Box<ReplayFilter>),
}

/// What a job does with each delivery that it finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayAction {
    /// Deliver it again; what is held is released instead.
    #[default]
    Deliver,
    /// Give it up: it becomes `canceled`, reason `discarded`. Only of what is held or dead.
    Discard,
}

/// Which deliveries a job is about. Everything that is empty or `None` asks for nothing in particular.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplayFilter {
    /// What is done with them.
    pub action: ReplayAction,
    /// Of these endpoints; empty: of all that the tenant has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointId>,
    /// Delivered to this endpoint instead of their own, as deliveries of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<EndpointId>,
    /// Of this event, whatever their time and state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// These, at most [`MAX_NAMED`], as far as they are in `state`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<DeliveryId>,
    /// Of the events of this call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Of events of such a type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<TypePattern>,
    /// Of events of one of these agents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentId>,
    /// Of events accepted from this moment on.
    pub since: Timestamp,
    /// Of what is held also that of older events, if it is held since this moment. A release before passes that by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Timestamp>,
    /// Of events accepted before this moment; [`OPEN_END`]: until now.
    pub until: Timestamp,
    /// Only in this state; `None`: in any final state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Only with this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Not deliveries that there are, but those that there would be: of events that the one endpoint named would match now
    /// and did not match then, because it was inactive or not there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
    /// Of a range also what earlier replays delivered: else each replay of it would find twice as much as the one before.
    /// What is held or dead is found whoever made it. A release before finds all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replays: bool,
}

impl Default for ReplayFilter {
    fn default() -> Self {
        Self {
            action: ReplayAction::Deliver,
            endpoints: Vec::new(),
            to: None,
            event: None,
            deliveries: Vec::new(),
            call_id: None,
            event_types: Vec::new(),
            agents: Vec::new(),
            since: Timestamp::default(),
            held_since: None,
            until: OPEN_END,
            state: None,
            reason: None,
            missing: false,
            replays: false,
        }
    }
}

impl ReplaySpec {
    /// All that is held for an endpoint, of events accepted before `until`, but what somebody chose to keep back.
    #[must_use]
    pub fn backlog_of(endpoint: &Endpoint, until: Timestamp) -> Self {
        let (id, since) = (endpoint.id.clone(), endpoint.drained_since());
        match endpoint.drains_held_since() {
            None => Self::Range {
                endpoint: id,
                since,
                until,
                state: Some(DeliveryState::Held),
            },
            held_since => ReplayFilter {
                endpoints: vec![id],
                since,
                held_since,
                until,
                state: Some(DeliveryState::Held),
                ..ReplayFilter::default()
            }
            .into(),
        }
    }

    /// What it asks for, written as a filter.
    #[must_use]
    pub fn filter(&self) -> ReplayFilter {
        match self {
            Self::Event(event) => ReplayFilter {
                event: Some(event.clone()),
                ..ReplayFilter::default()
            },
            Self::Delivery(delivery) => ReplayFilter {
                deliveries: vec![delivery.clone()],
                ..ReplayFilter::default()
            },
            Self::Range {
                endpoint,
                since,
                until,
                state,
            } => ReplayFilter {
                endpoints: vec![endpoint.clone()],
                since: *since,
                until: *until,
                state: *state,
                ..ReplayFilter::default()
            },
            Self::Filter(filter) => (**filter).clone(),
        }
    }

    /// True if it releases or discards what is held for `endpoint`, among others or alone.
    #[must_use]
    pub fn is_about_held(&self, endpoint: &EndpointId) -> bool {
        let filter = self.filter();
        filter.state == Some(DeliveryState::Held)
            && filter.to.is_none()
            && (filter.endpoints.is_empty() || filter.endpoints.contains(endpoint))
    }

    /// True if it is about all that is held for `endpoint`, and about nothing else.
    #[must_use]
    pub fn is_about_all_held(&self, endpoint: &EndpointId) -> bool {
        let filter = self.filter();
        let narrowed = filter.call_id.is_some()
            || filter.reason.is_some()
            || !filter.event_types.is_empty()
            || !filter.agents.is_empty();
        self.is_about_held(endpoint) && filter.endpoints.len() == 1 && !narrowed
    }

    /// True if it delivers all that goes by itself of what is held for `endpoint`, and nothing else.
    #[must_use]
    pub fn releases_all_held(&self, endpoint: &Endpoint) -> bool {
        let filter = self.filter();
        self.is_about_all_held(&endpoint.id)
            && filter.action == ReplayAction::Deliver
            && filter.since <= endpoint.drained_since()
    }

    /// True if it may be of any size: what is held is let go or discarded however much it is.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        let filter = self.filter();
        filter.action == ReplayAction::Discard || filter.state == Some(DeliveryState::Held)
    }
}

impl From<ReplayFilter> for ReplaySpec {
    fn from(filter: ReplayFilter) -> Self {
        Self::Filter(Box::new(filter))
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nobody has begun.
    Pending,
    /// Somebody counts what there is to do.
    Counting,
    /// Somebody works on it, or the sweeper will have it continued.
    Running,
    /// Somebody asked it to stop for now.
    Paused,
    /// Everything is queued.
    Done,
    /// It could not be finished; `error` says why.
    Failed,
    /// Somebody asked it to stop for good, or there is no sense in it any more; what it has done stays done.
    Canceled,
}

impl JobState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Counting => "counting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// True if nothing will happen any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Canceled)
    }
}

/// What somebody asks of a job that a worker holds: the worker does so when it saves its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobWish {
    /// Stop for now.
    Pause,
    /// Stop for good.
    Cancel,
}

/// Since when a job sends by its rate, and how much it has sent since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPace {
    /// The moment of its first message.
    pub since: Timestamp,
    /// Messages since.
    pub sent: u64,
}

const fn counted() -> bool {
    true
}

/// A replay job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayJob {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id; part of the id of every delivery it makes.
    pub id: ReplayId,
    /// What is to be delivered again.
    pub spec: ReplaySpec,
    /// How far it is.
    pub state: JobState,
    /// Deliveries found; so far, until `counted`.
    pub total: u64,
    /// Deliveries queued again, or discarded.
    pub done: u64,
    /// Deliveries that could not be: their event or endpoint is gone.
    pub failed: u64,
    /// Where the next page begins; `None`: at the beginning.
    pub after: Option<After>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When its progress was last saved.
    pub updated_at: Timestamp,
    /// Until then whoever works on it is left alone; afterwards the sweeper has it continued.
    pub lease_until: Timestamp,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
    /// Deliveries that were passed by: not in the state asked for any more, or of a type that the endpoint has no name for.
    #[serde(default)]
    pub skipped: u64,
    /// Most messages a second; `None`: as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// True if it comes to its rate by and by.
    #[serde(default)]
    pub slow_start: bool,
    /// True if it only counts.
    #[serde(default)]
    pub dry_run: bool,
    /// True if `total` is all that there is. A release before counted always.
    #[serde(default = "counted")]
    pub counted: bool,
    /// How far it has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_to: Option<CountedTo>,
    /// What somebody asked of it meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<JobWish>,
    /// Which worker holds it, by a number of its own; `None`: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<u64>,
    /// How far it is by its rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<JobPace>,
    /// Where the page before the next one began, if its dead letters may not all be marked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmarked: Option<Unmarked>,
    /// When its first page was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// How far a job has counted: up to this place of one of the partitions that it looks into.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedTo {
    /// The partition: its number within those of `endpoint`.
    pub stream: u16,
    /// Whose deliveries; empty in a list of events.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// The last sort key; empty: none of this partition yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sort_key: String,
}

/// A page whose messages are sent and whose dead letters are to be marked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmarked {
    /// Where it began; `None`: at the beginning.
    pub after: Option<After>,
    /// Where it ended; `None`: at the end.
    pub to: Option<After>,
}

impl ReplayJob {
    /// True if nothing will happen to it any more.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.state.is_final()
    }

    /// True if nobody is to work on it: it is finished or paused.
    #[must_use]
    pub const fn is_at_rest(&self) -> bool {
        self.state.is_final() || matches!(self.state, JobState::Paused)
    }

    /// The state that people see: what was asked of it is as good as done.
    #[must_use]
    pub const fn shown_state(&self) -> JobState {
        match self.wish {
            _ if self.state.is_final() => self.state,
            Some(JobWish::Pause) => JobState::Paused,
            Some(JobWish::Cancel) => JobState::Canceled,
            None => self.state,
        }
    }
}
