//! Dead letters as a place to work: listed and counted. Redriving and discarding them is `redrive`'s. Reads only.

mod redrive;

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use redial_domain::delivery::{DeadReason, DeliveryState};
use redial_domain::filter::TypePattern;
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, EventTypeName, ReplayId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::backlog::{Narrow, Waiting};
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::lists::{DeliveryFilter, Letters, MAX_STREAMS, Order};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::backlog::{MAX_VALUES, frequencies};
use crate::cursor::Place;
use crate::events::ALL_MS;
use crate::listing::Listing;
use crate::query::{Query, refuse};
use crate::views::{AttemptView, Responses};

/// What letters can be chosen by.
const FILTERS: [&str; 6] = ["endpoint", "agent", "event_type", "reason", "since", "until"];

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    redrive::routes(to.with(routes!(list)).with(routes!(counts)))
}

/// Which letters, besides when their events were accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Which {
    endpoint: Option<EndpointId>,
    agent: Option<AgentId>,
    event_type: Option<TypePattern>,
    reason: Option<DeadReason>,
}

/// The codes of all reasons, for a refusal.
fn reasons() -> String {
    DeadReason::ALL.map(DeadReason::as_str).join(", ")
}

impl Which {
    fn read(query: &Query) -> Result<Self, Problem> {
        let types = "an event type such as call.ended, or all below a name, such as call.*";
        Ok(Self {
            endpoint: query.read("endpoint", "an endpoint's id", |text| EndpointId::parse(text).ok())?,
            agent: query.read("agent", "an agent's id", |text| AgentId::parse(text).ok())?,
            event_type: query.read("event_type", types, |text| TypePattern::try_from(text.to_owned()).ok())?,
            reason: query.read("reason", &format!("one of {}", reasons()), DeadReason::parse)?,
        })
    }

    /// The endpoint that is asked for, which may be deleted, or all that there are.
    fn endpoints(&self, scope: &InTenant) -> Vec<EndpointId> {
        let existing = || scope.config.endpoints.iter().map(|stored| stored.endpoint.id.clone());
        self.endpoint
            .clone()
            .map_or_else(|| existing().collect(), |one| vec![one])
    }

    fn reason(&self) -> Option<String> {
        self.reason.map(|reason| reason.as_str().to_owned())
    }
}

/// A delivery that was given up.
#[derive(Debug, Serialize, ToSchema)]
struct DeadLetterView {
    /// `<event>.<endpoint>`, or `<event>.<endpoint>.<replay>`.
    #[schema(value_type = String, example = "evt_01JD3ZK8Q000ABCDEFGHJKMNPQ.ep_0123456789ABCDEF")]
    id: DeliveryId,
    #[schema(value_type = String)]
    event: EventId,
    #[schema(value_type = String)]
    endpoint: EndpointId,
    #[schema(value_type = String, example = "call.ended")]
    event_type: EventTypeName,
    /// The event's agent; `null`: it has none, or an earlier release recorded the delivery.
    #[schema(value_type = Option<String>, required)]
    agent: Option<AgentId>,
    /// Why it is dead: `attempts_exhausted`, `gone`, `blocked`, `event_missing`.
    #[schema(required, example = "attempts_exhausted")]
    reason: Option<String>,
    /// What that means, and whether delivering it again can help.
    sentence: String,
    /// When its event was accepted.
    #[schema(value_type = String, format = DateTime)]
    accepted_at: Timestamp,
    /// How many attempts were made.
    attempts: u32,
    /// The last of them; `null`: none was made.
    #[schema(required)]
    last_attempt: Option<AttemptView>,
    /// Until when it is kept.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// The replay that delivered it again; `null`: none did.
    #[schema(value_type = Option<String>, required)]
    redriven: Option<ReplayId>,
}

impl From<DeliveryRecord> for DeadLetterView {
    fn from(record: DeliveryRecord) -> Self {
        let known = record.reason.as_deref().and_then(DeadReason::parse);
        let sentence = known.map_or(
            "A release from before or after this one gave it up.",
            DeadReason::sentence,
        );
        let last = record.last.as_ref();
        Self {
            sentence: sentence.to_owned(),
            last_attempt: last.map(|attempt| AttemptView::new(attempt, &mut Responses::Hidden)),
            event: record.id.event.clone(),
            endpoint: record.id.endpoint.clone(),
            event_type: record.event_type,
            agent: record.agent,
            reason: record.reason,
            accepted_at: record.accepted_at,
            attempts: record.attempts,
            expires_at: record.expires_at,
            redriven: record.redriven,
            id: record.id,
        }
    }
}

/// List dead letters
///
/// Deliveries that were given up, newest first, each with why and with its last attempt. Those that were redriven, discarded
/// or erased are not among them; `redriven=true` lists those that were redriven instead. Without `endpoint`: of the endpoints
/// that there are; those of a deleted one are listed by its id. Every filter goes with every other.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/dead-letters",
    operation_id = "list_dead_letters",
    tag = "dead letters",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = Option<String>, Query, description = "Only of this endpoint, which may be deleted"),
        ("agent" = Option<String>, Query, description = "Only of this agent"),
        ("event_type" = Option<String>, Query, description = "Only of this event type, or of all below a name as `call.*`",
            max_length = 128, pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?$"),
        ("reason" = Option<String>, Query, description = "Only with this reason",
            pattern = "^(attempts_exhausted|gone|blocked|event_missing|record_expired)$"),
        ("since" = Option<String>, Query, description = "First moment of acceptance (of a replay: of asking), RFC 3339"),
        ("until" = Option<String>, Query, description = "First moment after it, RFC 3339"),
        ("redriven" = Option<bool>, Query, description = "True: those that a replay delivered again"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of dead letters", body = Listing<DeadLetterView>),
        (status = 400, description = "A parameter is wrong, or with `redriven` and without `endpoint` there is too much to \
            look through (`endpoint_needed`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
    )
)]
async fn list(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<DeadLetterView>>, Problem> {
    let query = Query::parse(raw.as_deref(), &[&FILTERS[..], &["redriven"]].concat())?;
    let wanted = api.wanted("dead-letters", Some(scope.id()), &query).await?;
    let which = Which::read(&query)?;
    let redriven = query
        .read("redriven", "true or false", |text| text.parse().ok())?
        .unwrap_or(false);
    let range = api.range(&wanted, &query, ALL_MS)?;
    let filter = DeliveryFilter {
        endpoints: which.endpoints(&scope),
        state: Some(DeliveryState::Dead),
        reason: which.reason(),
        event_type: which.event_type,
        agent: which.agent,
        letters: if redriven {
            Letters::Redriven
        } else {
            Letters::Deliverable
        },
    };
    if filter.streams(scope.tenant().shards) > MAX_STREAMS {
        let detail = "must name an endpoint: all of this tenant's are too many to look through for what was redriven";
        return Err(refuse("endpoint_needed", "endpoint", detail));
    }
    let question = wanted.question(&scope, range, Order::NewestFirst, api.clock.now());
    let page = api.store.list_deliveries(&question, &filter).await?;
    let items = page.items.into_iter().map(DeadLetterView::from).collect();
    let next = page.next.map(|after| Place::within(range, after));
    let listing = api.listing(&wanted, items, next).await?;
    Ok(Json(listing.without(page.unreadable)))
}

/// What letters are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Endpoint,
    Agent,
    EventType,
    Reason,
}

impl By {
    const ALL: [Self; 4] = [Self::Endpoint, Self::Agent, Self::EventType, Self::Reason];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Agent => "agent",
            Self::EventType => "event_type",
            Self::Reason => "reason",
        }
    }

    fn list(text: &str) -> Option<Vec<Self>> {
        let parse = |name| Self::ALL.into_iter().find(|by| by.as_str() == name);
        text.split(',').map(parse).collect()
    }

    fn value(self, letter: &Waiting) -> Option<String> {
        match self {
            Self::Endpoint => Some(letter.endpoint.as_str().to_owned()),
            Self::Agent => letter.agent.as_ref().map(|agent| agent.as_str().to_owned()),
            Self::EventType => Some(letter.event_type.as_str().to_owned()),
            Self::Reason => letter.reason.clone(),
        }
    }
}

/// How many letters have a value.
#[derive(Debug, Serialize, ToSchema)]
struct ValueCount {
    /// An id, a name or a code; `null`: they have none.
    #[schema(required)]
    value: Option<String>,
    count: u64,
}

/// How many letters there are by one of their properties.
#[derive(Debug, Serialize, ToSchema)]
struct CountsBy {
    /// Of what: `endpoint`, `agent`, `event_type` or `reason`.
    by: &'static str,
    /// The most frequent values, at most 100.
    values: Vec<ValueCount>,
    /// How many letters have other values.
    others: u64,
}

/// How many dead letters there are.
#[derive(Debug, Serialize, ToSchema)]
struct LetterCounts {
    /// How many were found.
    count: u64,
    /// True if there may be more: of more than 10,000 the newest of each endpoint are counted.
    at_least: bool,
    /// In the order of `by`.
    counts: Vec<CountsBy>,
}

fn counts_by(by: By, letters: &[Waiting]) -> CountsBy {
    let mut values = frequencies(letters.iter().map(|letter| by.value(letter)));
    let others = values.iter().skip(MAX_VALUES).map(|(_, count)| count).sum();
    values.truncate(MAX_VALUES);
    CountsBy {
        by: by.as_str(),
        values: values
            .into_iter()
            .map(|(value, count)| ValueCount { value, count })
            .collect(),
        others,
    }
}

/// Count dead letters
///
/// Those that the list with the same filters has, by endpoint, agent, event type and reason, or by what `by` names.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/dead-letters/counts",
    operation_id = "count_dead_letters",
    tag = "dead letters",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("by" = Option<String>, Query, description = "One or more of `endpoint`, `agent`, `event_type`, `reason`, separated by \
            commas; all by default",
            pattern = "^(endpoint|agent|event_type|reason)(,(endpoint|agent|event_type|reason)){0,3}$"),
        ("endpoint" = Option<String>, Query, description = "Only of this endpoint, which may be deleted"),
        ("agent" = Option<String>, Query, description = "Only of this agent"),
        ("event_type" = Option<String>, Query, description = "Only of this event type, or of all below a name as `call.*`",
            max_length = 128, pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?$"),
        ("reason" = Option<String>, Query, description = "Only with this reason",
            pattern = "^(attempts_exhausted|gone|blocked|event_missing|record_expired)$"),
        ("since" = Option<String>, Query, description = "First moment of acceptance (of a replay: of asking), RFC 3339"),
        ("until" = Option<String>, Query, description = "First moment after it, RFC 3339"),
    ),
    responses(
        (status = 200, description = "How many there are", body = LetterCounts),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
    )
)]
async fn counts(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<LetterCounts>, Problem> {
    let query = Query::read_known(raw.as_deref(), &[&FILTERS[..], &["by"]].concat())?;
    let by = query.read(
        "by",
        "endpoint, agent, event_type or reason, separated by commas",
        By::list,
    )?;
    let which = Which::read(&query)?;
    let range = api.stretch(&query, ALL_MS)?;
    let narrow = Narrow {
        event_types: which.event_type.iter().cloned().collect(),
        agents: which.agent.iter().cloned().collect(),
        reason: which.reason(),
    };
    let (endpoints, now) = (which.endpoints(&scope), api.clock.now());
    let dead = DeliveryState::Dead;
    let found = api
        .store
        .waiting(scope.id(), &endpoints, dead, range, &narrow, now)
        .await?;
    let by = by.unwrap_or_else(|| By::ALL.to_vec()).into_iter();
    Ok(Json(LetterCounts {
        count: found.waiting.len() as u64,
        at_least: found.at_least,
        counts: by.map(|by| counts_by(by, &found.waiting)).collect(),
    }))
}
