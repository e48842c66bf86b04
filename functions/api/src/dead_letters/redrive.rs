//! Redriving dead letters, which delivers them again, and discarding them: one, some, or what a filter lets through. Makes a
//! replay job; the work is `redial_replay`'s.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use redial_domain::delivery::{DeadReason, DeliveryState};
use redial_domain::filter::TypePattern;
use redial_domain::hold::DRAIN_PER_S;
use redial_domain::{AgentId, DeliveryId, EndpointId};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::replays::{MAX_NAMED, ReplayAction, ReplayFilter};
use redial_platform::texts::DeliveryText;
use redial_replay::{Options, ReplayView, take_rate};
use utoipa::ToSchema;

use super::reasons;
use crate::Api;
use crate::access::InTenant;
use crate::backlog::wish::refuse_nothing;
use crate::body::{Body, Fields, refuse};
use crate::replays::Unasked;

pub(super) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(redrive)).with(routes!(discard))
}

/// Which dead letters are redriven: one, some, or those that a filter lets through.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
enum RedriveWish {
    /// One.
    One(OneLetter),
    /// Some.
    Some(SomeLetters),
    /// What a filter lets through.
    Filtered(FilteredLetters),
}

/// One dead letter.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
struct OneLetter {
    /// The delivery's id.
    #[schema(pattern = r"^[A-Za-z0-9_:-]{1,128}\.[A-Za-z0-9_:-]{1,128}(\.[A-Za-z0-9_:-]{1,128})?$")]
    delivery: String,
    /// True: it is only counted.
    dry_run: Option<bool>,
    /// Deliveries a second.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u32>,
}

/// Some dead letters. Those that are none, or not any more, are not counted.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
struct SomeLetters {
    /// The deliveries' ids.
    #[schema(value_type = Vec<DeliveryText>, min_items = 1, max_items = 100)]
    deliveries: Vec<String>,
    /// True: they are only counted.
    dry_run: Option<bool>,
    /// Deliveries a second; absent: 100 at most, with a slow start.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u32>,
}

/// The dead letters that a filter lets through, as in their list. Without any: all that the tenant has.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
struct FilteredLetters {
    /// Only of this endpoint.
    #[schema(
        pattern = "^[A-Za-z0-9_:-]{1,128}$",
        example = "ep_0123456789ABCDEF",
        nullable = false
    )]
    endpoint: Option<String>,
    /// Only of this agent.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "agt_7", nullable = false)]
    agent: Option<String>,
    /// Only of this event type, or of all below a name as `call.*`.
    #[schema(
        max_length = 128,
        pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?$",
        example = "call.*",
        nullable = false
    )]
    event_type: Option<String>,
    /// Only with this reason.
    #[schema(value_type = ReasonName, required = false)]
    reason: Option<ReasonName>,
    /// Of events accepted from this moment on.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-", nullable = false)]
    since: Option<String>,
    /// Of events accepted before this moment, after `since`; now by default.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-", nullable = false)]
    until: Option<String>,
    /// True: they are only counted.
    dry_run: Option<bool>,
    /// Deliveries a second; absent: 100 at most, with a slow start.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u32>,
}

/// Why a delivery is dead.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
enum ReasonName {
    AttemptsExhausted,
    Gone,
    Blocked,
    EventMissing,
    RecordExpired,
}

/// Reads which letters, and how.
fn asked(mut fields: Fields, action: ReplayAction) -> Result<(ReplayFilter, Options), Problem> {
    let choosing = [
        "delivery",
        "deliveries",
        "endpoint",
        "agent",
        "event_type",
        "reason",
        "since",
        "until",
    ];
    refuse_nothing(&fields, &choosing)?;
    let delivery = fields.named("delivery", DeliveryId::parse)?;
    let expected = "a list of 1 to 100 deliveries' ids";
    let deliveries: Option<Vec<DeliveryId>> = fields.take("deliveries", expected)?;
    let dry_run: Option<bool> = fields.take("dry_run", "true or false")?;
    let named = match (delivery, deliveries) {
        (None, None) => None,
        (Some(one), None) => Some(vec![one]),
        (None, Some(some)) if (1..=MAX_NAMED).contains(&some.len()) => Some(some),
        (None, Some(_)) => return Err(refuse("field_invalid", "deliveries", format!("must be {expected}"))),
        (Some(_), Some(_)) => {
            let detail = "give delivery or deliveries, not both";
            return Err(refuse("replay_ambiguous", "deliveries", detail));
        }
    };
    let is_one = named.as_ref().is_some_and(|named| named.len() == 1);
    let rate = take_rate(&mut fields)?;
    let mut filter = match named {
        Some(mut deliveries) => {
            deliveries.sort_unstable();
            deliveries.dedup();
            ReplayFilter {
                deliveries,
                ..ReplayFilter::default()
            }
        }
        None => filtered(&mut fields)?,
    };
    fields.finish()?;
    filter.action = action;
    filter.state = Some(DeliveryState::Dead);
    let usual = (action == ReplayAction::Deliver && !is_one).then_some(DRAIN_PER_S);
    let options = Options {
        rate: rate.or(usual),
        slow_start: usual.is_some() && rate.is_none(),
        dry_run: dry_run.unwrap_or_default(),
    };
    Ok((filter, options))
}

/// Reads what letters are chosen by.
fn filtered(fields: &mut Fields) -> Result<ReplayFilter, Problem> {
    let endpoint = fields.named("endpoint", EndpointId::parse)?;
    let agent = fields.named("agent", AgentId::parse)?;
    let types = "an event type such as call.ended, or all below a name, such as call.*";
    let event_type: Option<TypePattern> = fields.take("event_type", types)?;
    let reason: Option<DeadReason> = fields.take("reason", &format!("one of {}", reasons()))?;
    let mut filter = ReplayFilter {
        endpoints: endpoint.into_iter().collect(),
        agents: agent.into_iter().collect(),
        event_types: event_type.into_iter().collect(),
        reason: reason.map(|reason| reason.as_str().to_owned()),
        ..ReplayFilter::default()
    };
    filter.since = fields.moment("since")?.unwrap_or(filter.since);
    filter.until = fields.moment("until")?.unwrap_or(filter.until);
    Ok(filter)
}

/// Redrive dead letters
///
/// Delivers them again, each as a new delivery with attempts from 1 and the same `webhook-id`, 100 a second at most with a
/// slow start, or at `rate`. They leave the list. With `dry_run` they are only counted. The answer is the replay that does
/// it: look at it, pause and cancel it as any other.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/dead-letters/redrive",
    operation_id = "redrive_dead_letters",
    tag = "dead letters",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body = RedriveWish,
    responses(
        (status = 202, description = "Begun, or counted", body = ReplayView),
        Unasked,
    )
)]
async fn redrive(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    Body(fields): Body,
) -> Result<(StatusCode, Json<ReplayView>), Problem> {
    api.work_on_letters(&scope, fields, ReplayAction::Deliver).await
}

/// Discard dead letters
///
/// They become `canceled`, reason `discarded`, and leave the list: they are not delivered again unless a replay asks for
/// what is canceled. With `dry_run` they are only counted. The answer is the replay that does it.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/dead-letters/discard",
    operation_id = "discard_dead_letters",
    tag = "dead letters",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body = RedriveWish,
    responses(
        (status = 202, description = "Begun, or counted", body = ReplayView),
        Unasked,
    )
)]
async fn discard(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    Body(fields): Body,
) -> Result<(StatusCode, Json<ReplayView>), Problem> {
    api.work_on_letters(&scope, fields, ReplayAction::Discard).await
}

impl Api {
    async fn work_on_letters(
        &self,
        scope: &InTenant,
        fields: Fields,
        action: ReplayAction,
    ) -> Result<(StatusCode, Json<ReplayView>), Problem> {
        let (filter, options) = asked(fields, action)?;
        let job = self.asker.ask_with(&scope.config, filter.into(), options).await?;
        tracing::info!(
            tenant = %scope.id(),
            key_id = scope.key_id,
            replay = %job.id,
            ?action,
            letters = job.total,
            dry_run = job.dry_run,
            "api.letters_asked"
        );
        Ok((StatusCode::ACCEPTED, Json(job.into())))
    }
}
