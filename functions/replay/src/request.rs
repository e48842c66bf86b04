//! What may be asked for, and what is answered: the same for `POST /v1/tenants/{tenant}/replays` and for an invocation of
//! this function. Reads and shows; does nothing.

use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, EndpointId, EventId, ReplayId, TenantId, Timestamp};
use redial_platform::fields::{self, Fields, MAX_BODY_BYTES, refuse};
use redial_platform::problem::Problem;
use redial_platform::store::replays::{JobState, ReplayJob, ReplaySpec};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ask::AskError;

/// What is to be delivered again: an event, a delivery, or those of an endpoint in a stretch of time.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum NewReplay {
    /// An event.
    Event(OfEvent),
    /// A delivery.
    Delivery(OfDelivery),
    /// An endpoint's.
    Endpoint(OfEndpoint),
}

/// An event, to every endpoint that it matched.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
pub struct OfEvent {
    /// Its id.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "evt_01JD3ZK8Q000ABCDEFGHJKMNPQ")]
    event: String,
}

/// One delivery.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
pub struct OfDelivery {
    /// Its id.
    #[schema(pattern = r"^[A-Za-z0-9_:-]{1,128}\.[A-Za-z0-9_:-]{1,128}(\.[A-Za-z0-9_:-]{1,128})?$")]
    delivery: String,
}

/// The deliveries of an endpoint.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
pub struct OfEndpoint {
    /// The endpoint's id.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "ep_0123456789ABCDEF")]
    endpoint: String,
    /// Of events accepted from this moment on.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-")]
    since: String,
    /// Of events accepted before this moment, after `since`; now by default.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-")]
    until: Option<String>,
    /// Only those; absent: all that are concluded.
    state: Option<ReplayedState>,
}

/// The states of deliveries that can be delivered again.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; `asked` reads it")]
pub(crate) enum ReplayedState {
    Held,
    Succeeded,
    Dead,
    Canceled,
}

/// A replay.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayView {
    #[schema(value_type = String, example = "rpl_01JD3ZK8Q0ABCDEFGH")]
    id: ReplayId,
    /// `pending`, `running`, `done` or `failed`.
    #[schema(value_type = String, example = "running")]
    state: JobState,
    /// Deliveries found when it was asked for.
    total: u64,
    /// Deliveries queued again.
    done: u64,
    /// Deliveries that could not be: their event or endpoint is gone.
    failed: u64,
    /// What was asked for.
    what: WhatView,
    /// Why it failed.
    #[schema(required)]
    error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    asked_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// What a replay delivers again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum WhatView {
    /// An event.
    Event {
        /// To every endpoint that it matched.
        #[schema(value_type = String)]
        event: EventId,
    },
    /// A delivery.
    Delivery {
        /// The delivery that is made again.
        #[schema(value_type = String)]
        delivery: DeliveryId,
    },
    /// An endpoint's deliveries in a stretch of time.
    Range {
        /// Whose deliveries.
        #[schema(value_type = String)]
        endpoint: EndpointId,
        /// Of events accepted from this moment on.
        #[schema(value_type = String, format = DateTime)]
        since: Timestamp,
        /// Of events accepted before this moment.
        #[schema(value_type = String, format = DateTime)]
        until: Timestamp,
        /// Only deliveries in this state; `null`: all that are concluded.
        #[schema(value_type = Option<String>, required)]
        state: Option<DeliveryState>,
    },
}

impl From<ReplaySpec> for WhatView {
    fn from(spec: ReplaySpec) -> Self {
        match spec {
            ReplaySpec::Event(event) => Self::Event { event },
            ReplaySpec::Delivery(delivery) => Self::Delivery { delivery },
            ReplaySpec::Range {
                endpoint,
                since,
                until,
                state,
            } => Self::Range {
                endpoint,
                since,
                until,
                state,
            },
        }
    }
}

impl From<ReplayJob> for ReplayView {
    fn from(job: ReplayJob) -> Self {
        Self {
            id: job.id,
            state: job.state,
            total: job.total,
            done: job.done,
            failed: job.failed,
            what: job.spec.into(),
            error: job.error,
            asked_at: job.asked_at,
            updated_at: job.updated_at,
        }
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Missing(what) => refuse("not_found", what, format!("there is no such {what}")),
            AskError::Invalid(invalid) => invalid.into(),
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
    Begin(ReplaySpec),
    /// Tell how far this replay is.
    Look(ReplayId),
}

impl Invoked {
    /// Reads the JSON of a direct invocation: what [`asked`] reads and `tenant`, or `tenant` and `replay`.
    ///
    /// # Errors
    /// 400 `json_invalid`, 413 `body_too_large`, or 422 for the first field that is wrong.
    pub fn parse(payload: &str, now: Timestamp) -> Result<Self, Problem> {
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
            None => Wish::Begin(asked(fields, now)?),
        };
        Ok(Self { tenant, wish })
    }
}

/// Reads what is asked for. A range without an end ends `now`.
///
/// # Errors
/// 422 for the first field that is wrong, missing, one too many or unknown.
pub fn asked(mut fields: Fields, now: Timestamp) -> Result<ReplaySpec, Problem> {
    let event = fields.named("event", EventId::parse)?;
    let delivery = fields.named("delivery", DeliveryId::parse)?;
    let endpoint = fields.named("endpoint", EndpointId::parse)?;
    if endpoint.is_none() {
        // What only narrows a range means nothing without one, and is refused as unknown here.
        fields.finish()?;
        return match (event, delivery) {
            (Some(event), None) => Ok(ReplaySpec::Event(event)),
            (None, Some(delivery)) => Ok(ReplaySpec::Delivery(delivery)),
            (Some(_), Some(_)) => Err(refuse(
                "replay_ambiguous",
                "delivery",
                "give event or delivery, not both",
            )),
            (None, None) => Err(refuse("field_missing", "event", "give event, delivery or endpoint")),
        };
    }
    let since = fields.moment("since")?;
    let until = fields.moment("until")?;
    let expected = "held, succeeded, dead or canceled";
    let state = fields.take("state", expected)?;
    fields.finish()?;
    match (endpoint, event.is_some() || delivery.is_some()) {
        (Some(endpoint), false) => Ok(ReplaySpec::Range {
            endpoint,
            since: since.ok_or_else(|| refuse("field_missing", "since", "is required with endpoint"))?,
            until: until.unwrap_or(now),
            state,
        }),
        _ => Err(refuse(
            "replay_ambiguous",
            "endpoint",
            "give one of event, delivery and endpoint",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn read(body: &str) -> Result<ReplaySpec, Problem> {
        asked(Fields::parse(body.as_bytes()).unwrap().unwrap(), NOW)
    }

    #[test]
    fn a_replay_is_of_an_event_a_delivery_or_a_range() {
        let range = r#"{"endpoint":"ep_1","since":"2026-11-01T00:00:00Z","state":"dead"}"#;
        assert!(matches!(read(r#"{"event":"src_1"}"#), Ok(ReplaySpec::Event(_))));
        assert!(matches!(
            read(r#"{"delivery":"src_1.ep_1"}"#),
            Ok(ReplaySpec::Delivery(_))
        ));
        let ReplaySpec::Range { until, state, .. } = read(range).unwrap() else {
            panic!("a range");
        };
        assert_eq!((until, state), (NOW, Some(DeliveryState::Dead)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_field() {
        for (body, code, field) in [
            ("{}", "field_missing", "event"),
            (r#"{"event":"a b"}"#, "id_invalid", "event"),
            (r#"{"event":7}"#, "field_invalid", "event"),
            (r#"{"delivery":"src_1"}"#, "id_invalid", "delivery"),
            (r#"{"event":"a","delivery":"a.b"}"#, "replay_ambiguous", "delivery"),
            (
                r#"{"event":"a","since":"2026-11-01T00:00:00Z"}"#,
                "field_unknown",
                "since",
            ),
            (r#"{"endpoint":"ep_1"}"#, "field_missing", "since"),
            (r#"{"endpoint":"ep_1","since":"now"}"#, "timestamp_invalid", "since"),
            (
                r#"{"endpoint":"ep_1","since":"2026-11-01T00:00:00Z","state":"gone"}"#,
                "field_invalid",
                "state",
            ),
            (
                r#"{"endpoint":"ep_1","event":"a","since":"2026-11-01T00:00:00Z"}"#,
                "replay_ambiguous",
                "endpoint",
            ),
            (r#"{"event":"a","all":true}"#, "field_unknown", "all"),
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(
                (problem.code.as_str(), problem.field.as_deref()),
                (code, Some(field)),
                "{body}"
            );
            assert_eq!(problem.status, 422);
        }
    }
    #[test]
    fn an_invocation_names_its_tenant_and_nothing_unknown() {
        for (payload, status, code, field) in [
            ("", 400, "json_invalid", None),
            ("null", 400, "json_invalid", None),
            (r#"[{"tenant":"acme","event":"src_1"}]"#, 400, "json_invalid", None),
            (r#"{"event":"src_1"}"#, 422, "field_missing", Some("tenant")),
            (r#"{"tenant":"a b","event":"src_1"}"#, 422, "id_invalid", Some("tenant")),
            (r#"{"tenant":"acme"}"#, 422, "field_missing", Some("event")),
            (
                r#"{"tenant":"acme","replay":"rpl_1","event":"src_1"}"#,
                422,
                "field_unknown",
                Some("event"),
            ),
            // What the AWS console suggests as a test event.
            (r#"{"key1":"value1"}"#, 422, "field_missing", Some("tenant")),
            (
                r#"{"tenant":"acme","Records":[]}"#,
                422,
                "field_unknown",
                Some("Records"),
            ),
        ] {
            let problem = Invoked::parse(payload, NOW).unwrap_err();
            let said = (problem.status, problem.code.as_str(), problem.field.as_deref());
            assert_eq!(said, (status, code, field), "{payload}");
        }
        let long = format!(r#"{{"tenant":"{}"}}"#, "a".repeat(MAX_BODY_BYTES));
        assert_eq!(Invoked::parse(&long, NOW).unwrap_err().status, 413);
    }

    #[test]
    fn an_invocation_asks_as_the_api_does_or_looks_at_a_replay() {
        let begun = Invoked::parse(r#"{"tenant":"acme","event":"src_1"}"#, NOW).unwrap();
        assert_eq!(begun.wish, Wish::Begin(read(r#"{"event":"src_1"}"#).unwrap()));
        let looked = Invoked::parse(r#"{"tenant":"acme","replay":"rpl_1"}"#, NOW).unwrap();
        assert_eq!(looked.wish, Wish::Look(ReplayId::parse("rpl_1").unwrap()));
    }
}
