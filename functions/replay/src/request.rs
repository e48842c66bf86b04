//! What may be asked for: the same for `POST /v1/tenants/{tenant}/replays` and for an invocation of this function. Reads; does
//! nothing.

mod bodies;

use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::MAX_ENDPOINTS;
use redial_domain::event::MAX_CALL_ID_BYTES;
use redial_domain::filter::{Filter, TypePattern};
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, ReplayId, TenantId, Timestamp};
use redial_platform::fields::{self, Fields, MAX_BODY_BYTES, refuse};
use redial_platform::problem::Problem;
use redial_platform::store::replays::{OPEN_END, ReplayFilter, ReplaySpec};

pub use bodies::NewReplay;

use crate::ask::{AskError, Options};
use crate::quota::too_many;
use crate::ramp::{MAX_RATE, MIN_RATE};

/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 64;

/// What is asked for, and how it is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub spec: ReplaySpec,
    /// How.
    pub options: Options,
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Missing(what) => refuse("not_found", what, format!("there is no such {what}")),
            AskError::Invalid(invalid) => invalid.into(),
            AskError::TooMany(quota) => too_many(quota),
            AskError::Store(error) => error.into(),
        }
    }
}

/// What a direct invocation asks of this function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoked {
    /// Whose deliveries.
    pub tenant: TenantId,
    /// What is to be done.
    pub wish: Wish,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Deliver this again.
    Begin(Asked),
    /// Tell how far this replay is.
    Look(ReplayId),
}

impl Invoked {
    /// Reads the JSON of a direct invocation: what [`asked`] reads and `tenant`, or `tenant` and `replay`.
    ///
    /// # Errors
    /// 400 `json_invalid`, 413 `body_too_large`, or 422 for the first field that is wrong.
    pub fn parse(payload: &str) -> Result<Self, Problem> {
        if payload.len() > MAX_BODY_BYTES {
            return Err(fields::too_large());
        }
        let mut fields = Fields::parse(payload.as_bytes())?.ok_or_else(fields::empty)?;
        let tenant = fields.named("tenant", TenantId::parse)?;
        let tenant = tenant.ok_or_else(|| refuse("field_missing", "tenant", "is required"))?;
        let wish = match fields.named("replay", ReplayId::parse)? {
            Some(replay) => {
                fields.finish()?;
                Wish::Look(replay)
            }
            None => Wish::Begin(asked(fields)?),
        };
        Ok(Self { tenant, wish })
    }
}

/// Reads what is asked for. A range without an end ends when it is asked for.
///
/// # Errors
/// 422 for the first field that is wrong, missing, one too many or unknown.
pub fn asked(mut fields: Fields) -> Result<Asked, Problem> {
    let to = fields.named("to", EndpointId::parse)?;
    let options = options(&mut fields)?;
    let event = fields.named("event", EventId::parse)?;
    let delivery = fields.named("delivery", DeliveryId::parse)?;
    let filter = ReplayFilter {
        call_id: call_id(&mut fields)?,
        to: to.clone(),
        ..ReplayFilter::default()
    };
    let endpoint = fields.named("endpoint", EndpointId::parse)?;
    let by_id = event.is_some() || delivery.is_some();
    let spec = match (event, delivery) {
        // What only narrows a range means nothing here, and is refused as unknown.
        (Some(event), None) if endpoint.is_none() && filter.call_id.is_none() => {
            fields.finish()?;
            let filter = ReplayFilter {
                event: Some(event.clone()),
                ..filter
            };
            to.map_or(ReplaySpec::Event(event), |_| filter.into())
        }
        (None, Some(delivery)) if endpoint.is_none() && filter.call_id.is_none() => {
            fields.finish()?;
            let filter = ReplayFilter {
                deliveries: vec![delivery.clone()],
                ..filter
            };
            to.map_or(ReplaySpec::Delivery(delivery), |_| filter.into())
        }
        (Some(_), Some(_)) if endpoint.is_none() => {
            fields.finish()?;
            let detail = "give event or delivery, not both";
            return Err(refuse("replay_ambiguous", "delivery", detail));
        }
        _ => {
            let since = fields.moment("since")?;
            let filter = narrowed(filter, endpoint, &mut fields, since)?;
            fields.finish()?;
            let of_call = filter.call_id.is_some();
            if by_id {
                let field = if of_call { "call_id" } else { "endpoint" };
                let detail = "give one of event, delivery, call_id and endpoint";
                return Err(refuse("replay_ambiguous", field, detail));
            }
            match since {
                None if !of_call && filter.endpoints.is_empty() => {
                    let detail = "give event, delivery, call_id, endpoint or since";
                    return Err(refuse("field_missing", "event", detail));
                }
                None if !of_call => {
                    let detail = "is required with endpoint and endpoints";
                    return Err(refuse("field_missing", "since", detail));
                }
                _ => plain(filter),
            }
        }
    };
    Ok(Asked { spec, options })
}

fn options(fields: &mut Fields) -> Result<Options, Problem> {
    Ok(Options {
        rate: take_rate(fields)?,
        slow_start: false,
        dry_run: fields.take("dry_run", "true or false")?.unwrap_or_default(),
    })
}

/// Takes the rate of a job, in deliveries a second.
///
/// # Errors
/// 422 if it is none that a job may have.
pub fn take_rate(fields: &mut Fields) -> Result<Option<u32>, Problem> {
    let rate: Option<u32> = fields.take("rate", "a number from 1 to 500")?;
    if rate.is_some_and(|rate| !(MIN_RATE..=MAX_RATE).contains(&rate)) {
        let detail = "must be 1 to 500 deliveries a second, or absent";
        return Err(refuse("rate_invalid", "rate", detail));
    }
    Ok(rate)
}

fn call_id(fields: &mut Fields) -> Result<Option<String>, Problem> {
    let call_id = fields.text("call_id")?;
    if call_id
        .as_ref()
        .is_some_and(|id| !(1..=MAX_CALL_ID_BYTES).contains(&id.len()))
    {
        return Err(refuse("call_id_invalid", "call_id", "must have 1 to 512 bytes"));
    }
    Ok(call_id)
}

/// The filter of a call, of an endpoint, or of the tenant.
fn narrowed(
    filter: ReplayFilter,
    endpoint: Option<EndpointId>,
    fields: &mut Fields,
    since: Option<Timestamp>,
) -> Result<ReplayFilter, Problem> {
    let until = fields.moment("until")?;
    let missing = fields.take("missing", "true or false")?.unwrap_or_default();
    // An event that is named, or a call, has one delivery to each endpoint; what was never delivered has none.
    let replays = if missing || filter.call_id.is_some() {
        false
    } else {
        fields.take("include_replays", "true or false")?.unwrap_or_default()
    };
    let state: Option<DeliveryState> = fields.take("state", "held, succeeded, dead or canceled")?;
    let types =
        fields.take::<Vec<TypePattern>>("event_types", "a list of event types, such as call.ended or call.*")?;
    let agents = fields.take::<Vec<AgentId>>("agents", "a list of agents")?;
    let reason = fields.short_text("reason", MAX_REASON_CHARS)?;
    let many = match endpoint {
        Some(_) => None,
        None => fields.take::<Vec<EndpointId>>("endpoints", "a list of endpoints")?,
    };
    let is_code = |text: &String| text.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if reason
        .as_ref()
        .is_some_and(|reason| reason.is_empty() || !is_code(reason))
    {
        return Err(refuse(
            "reason_invalid",
            "reason",
            "must be a code such as attempts_exhausted",
        ));
    }
    if many
        .as_ref()
        .is_some_and(|many| many.len() > usize::from(MAX_ENDPOINTS))
    {
        return Err(refuse("list_too_long", "endpoints", "at most 200 endpoints"));
    }
    let lists = Filter {
        event_types: types.unwrap_or_default(),
        agents: agents.unwrap_or_default(),
        ..Filter::default()
    };
    lists.check()?;
    Ok(ReplayFilter {
        endpoints: endpoint.map(|endpoint| vec![endpoint]).or(many).unwrap_or_default(),
        event_types: lists.event_types,
        agents: lists.agents,
        since: since.unwrap_or_default(),
        until: until.unwrap_or(OPEN_END),
        state,
        reason,
        missing,
        replays,
        ..filter
    })
}

/// As a release before could say it, if that is enough: it reads no filters.
fn plain(filter: ReplayFilter) -> ReplaySpec {
    let range = ReplayFilter {
        endpoints: filter.endpoints.clone(),
        since: filter.since,
        until: filter.until,
        state: filter.state,
        ..ReplayFilter::default()
    };
    match filter.endpoints.as_slice() {
        [endpoint] if filter == range => ReplaySpec::Range {
            endpoint: endpoint.clone(),
            since: filter.since,
            until: filter.until,
            state: filter.state,
        },
        _ => filter.into(),
    }
}

#[cfg(test)]
mod tests;
