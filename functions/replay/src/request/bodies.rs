//! The bodies that ask for a replay, as the description of the API shows them. `request` reads their fields one by one: what is
//! said here and what is taken there must be the same.

use redial_platform::texts::{AgentText, EndpointText, TypePatternText};
use utoipa::ToSchema;

/// What is to be delivered again: an event, a delivery, the events of a call, what was for an endpoint in a stretch of time,
/// what was for all endpoints, or what an endpoint has missed.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum NewReplay {
    /// An event.
    Event(OfEvent),
    /// A delivery.
    Delivery(OfDelivery),
    /// An endpoint's.
    Endpoint(OfEndpoint),
    /// What an endpoint has missed.
    Missing(OfMissing),
    /// A call's.
    Call(OfCall),
    /// The tenant's.
    Tenant(OfTenant),
}

/// An event, to every endpoint that it matched.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
pub struct OfEvent {
    /// Its id.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "evt_01JD3ZK8Q000ABCDEFGHJKMNPQ")]
    event: String,
    /// Deliver to this endpoint instead, as deliveries of its own. One whose profile has no name for the type is skipped.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$")]
    to: Option<String>,
    /// True: only count. The answer has `total`, at once if that is little; nothing is sent.
    dry_run: Option<bool>,
    /// Most deliveries a second; absent: as fast as it goes, within the endpoint's own limit.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u16>,
}

/// One delivery.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
pub struct OfDelivery {
    /// Its id.
    #[schema(pattern = r"^[A-Za-z0-9_:-]{1,128}\.[A-Za-z0-9_:-]{1,128}(\.[A-Za-z0-9_:-]{1,128})?$")]
    delivery: String,
    /// Deliver to this endpoint instead, as deliveries of its own. One whose profile has no name for the type is skipped.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$")]
    to: Option<String>,
    /// True: only count. The answer has `total`, at once if that is little; nothing is sent.
    dry_run: Option<bool>,
    /// Most deliveries a second; absent: as fast as it goes, within the endpoint's own limit.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u16>,
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
    /// Only those; absent: all that are concluded. `held` are released, `dead` leave the list of dead letters.
    state: Option<ReplayedState>,
    /// Only with this reason, such as `attempts_exhausted`.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,63}$")]
    reason: Option<String>,
    /// Only of such types; with `.*` at the end of all below a name, such as `call.*`.
    #[schema(value_type = Vec<TypePatternText>, required = false, max_items = 50, example = json!(["call.*"]))]
    event_types: Option<Vec<String>>,
    /// Only of events of these agents.
    #[schema(value_type = Vec<AgentText>, required = false, max_items = 100)]
    agents: Option<Vec<String>>,
    /// Deliver to this endpoint instead, as deliveries of its own. One whose profile has no name for the type is skipped.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$")]
    to: Option<String>,
    /// True: also what earlier replays delivered. Absent: only what the events themselves brought, however often it was
    /// replayed. What is `held` or `dead` is found whoever made it.
    include_replays: Option<bool>,
    /// True: only count. The answer has `total`, at once if that is little; nothing is sent.
    dry_run: Option<bool>,
    /// Most deliveries a second; absent: as fast as it goes, within the endpoint's own limit.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u16>,
}

/// What an endpoint has missed: events that it would match now and did not match then, inactive or not there.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
pub struct OfMissing {
    /// The endpoint's id.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "ep_0123456789ABCDEF")]
    endpoint: String,
    /// `true`.
    missing: Missed,
    /// Of events accepted from this moment on.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-")]
    since: String,
    /// Of events accepted before this moment, after `since`; now by default.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-")]
    until: Option<String>,
    /// Only of such types; with `.*` at the end of all below a name, such as `call.*`.
    #[schema(value_type = Vec<TypePatternText>, required = false, max_items = 50, example = json!(["call.*"]))]
    event_types: Option<Vec<String>>,
    /// Only of events of these agents.
    #[schema(value_type = Vec<AgentText>, required = false, max_items = 100)]
    agents: Option<Vec<String>>,
    /// Deliver to this endpoint instead, as deliveries of its own. One whose profile has no name for the type is skipped.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$")]
    to: Option<String>,
    /// True: only count. The answer has `total`, at once if that is little; nothing is sent.
    dry_run: Option<bool>,
    /// Most deliveries a second; absent: as fast as it goes, within the endpoint's own limit.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u16>,
}

/// The deliveries of a call.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
pub struct OfCall {
    /// The call.
    #[schema(min_length = 1, max_length = 512)]
    call_id: String,
    /// Only for this endpoint.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "ep_0123456789ABCDEF")]
    endpoint: Option<String>,
    /// Of events accepted from this moment on.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-")]
    since: Option<String>,
    /// Of events accepted before this moment, after `since`; now by default.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-")]
    until: Option<String>,
    /// Only those; absent: all that are concluded. `held` are released, `dead` leave the list of dead letters.
    state: Option<ReplayedState>,
    /// Only with this reason, such as `attempts_exhausted`.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,63}$")]
    reason: Option<String>,
    /// Only of such types; with `.*` at the end of all below a name, such as `call.*`.
    #[schema(value_type = Vec<TypePatternText>, required = false, max_items = 50, example = json!(["call.*"]))]
    event_types: Option<Vec<String>>,
    /// Only of events of these agents.
    #[schema(value_type = Vec<AgentText>, required = false, max_items = 100)]
    agents: Option<Vec<String>>,
    /// Deliver to this endpoint instead, as deliveries of its own. One whose profile has no name for the type is skipped.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$")]
    to: Option<String>,
    /// True: only count. The answer has `total`, at once if that is little; nothing is sent.
    dry_run: Option<bool>,
    /// Most deliveries a second; absent: as fast as it goes, within the endpoint's own limit.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u16>,
}

/// The deliveries of the tenant.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `asked` reads its fields one by one")]
pub struct OfTenant {
    /// Of events accepted from this moment on.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-")]
    since: String,
    /// Of events accepted before this moment, after `since`; now by default.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-")]
    until: Option<String>,
    /// Only for these endpoints; absent or empty: for all.
    #[schema(value_type = Vec<EndpointText>, required = false, max_items = 200)]
    endpoints: Option<Vec<String>>,
    /// Only those; absent: all that are concluded. `held` are released, `dead` leave the list of dead letters.
    state: Option<ReplayedState>,
    /// Only with this reason, such as `attempts_exhausted`.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,63}$")]
    reason: Option<String>,
    /// Only of such types; with `.*` at the end of all below a name, such as `call.*`.
    #[schema(value_type = Vec<TypePatternText>, required = false, max_items = 50, example = json!(["call.*"]))]
    event_types: Option<Vec<String>>,
    /// Only of events of these agents.
    #[schema(value_type = Vec<AgentText>, required = false, max_items = 100)]
    agents: Option<Vec<String>>,
    /// True: also what earlier replays delivered. Absent: only what the events themselves brought, however often it was
    /// replayed. What is `held` or `dead` is found whoever made it.
    include_replays: Option<bool>,
    /// True: only count. The answer has `total`, at once if that is little; nothing is sent.
    dry_run: Option<bool>,
    /// Most deliveries a second; absent: as fast as it goes, within the endpoint's own limit.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u16>,
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

/// Always `true`.
#[derive(Debug, ToSchema)]
#[schema(value_type = bool)]
pub(crate) struct Missed(#[expect(dead_code, reason = "describes a value; `asked` reads it")] bool);
