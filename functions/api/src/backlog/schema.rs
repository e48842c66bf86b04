//! The bodies about backlogs, and what is in their answers, as the description of the API has them: exactly what `wish` reads.
//! Describes; reads nothing.

use redial_platform::texts::{AgentText, TypePatternText};
use serde::Serialize;
use utoipa::ToSchema;

/// A count.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountView {
    /// How many there are.
    pub(crate) count: u64,
    /// True if there may be more: counting stops at a bound.
    pub(crate) at_least: bool,
}

/// What becomes of the backlog when an endpoint is delivered to again. Nothing given: all of it is drained.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body; `Wish` reads its fields one by one")]
pub(crate) enum ResumeWish {
    /// All of it stays held until somebody asks.
    Keep(KeepAll),
    /// A part of it is drained, all by default; the rest stays held until somebody asks.
    Drain(DrainPart),
    /// A part of it is discarded, all by default; the rest stays held until somebody asks.
    Discard(DiscardPart),
}

/// Keeps the backlog held.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `Wish` reads its fields one by one")]
pub(crate) struct KeepAll {
    #[schema(inline)]
    backlog: KeepName,
}

/// Drains the backlog, or a part of it.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `Wish` reads its fields one by one")]
pub(crate) struct DrainPart {
    #[schema(inline)]
    backlog: Option<DrainName>,
    /// Of events accepted from this moment on.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-", nullable = false)]
    since: Option<String>,
    /// Of events of such types.
    #[schema(value_type = Vec<TypePatternText>, required = false, min_items = 1, max_items = 50)]
    event_types: Option<Vec<String>>,
    /// Of events of these agents.
    #[schema(value_type = Vec<AgentText>, required = false, min_items = 1, max_items = 100)]
    agents: Option<Vec<String>>,
    /// Deliveries a second; absent: 100 at most, with a slow start. The endpoint's own limit holds.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u32>,
}

/// Discards the backlog, or a part of it.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `Wish` reads its fields one by one")]
pub(crate) struct DiscardPart {
    #[schema(inline)]
    backlog: DiscardName,
    /// Of events accepted from this moment on.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-", nullable = false)]
    since: Option<String>,
    /// Of events of such types.
    #[schema(value_type = Vec<TypePatternText>, required = false, min_items = 1, max_items = 50)]
    event_types: Option<Vec<String>>,
    /// Of events of these agents.
    #[schema(value_type = Vec<AgentText>, required = false, min_items = 1, max_items = 100)]
    agents: Option<Vec<String>>,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; `Wish` reads it")]
enum KeepName {
    Keep,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; `Wish` reads it")]
enum DrainName {
    Drain,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; `Wish` reads it")]
enum DiscardName {
    Discard,
}

/// What is done with a part of a backlog.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `change` reads its fields one by one")]
pub(crate) struct BacklogWish {
    // Without a description: it would be put beside the values as an object's.
    #[schema(inline)]
    action: ActionName,
    /// Of events accepted from this moment on.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-", nullable = false)]
    since: Option<String>,
    /// Of events accepted before this moment, after `since`; now by default.
    #[schema(format = DateTime, pattern = r"^(19[7-9]|[2-9]\d\d)\d-", nullable = false)]
    until: Option<String>,
    /// Of events of such types.
    #[schema(value_type = Vec<TypePatternText>, required = false, min_items = 1, max_items = 50)]
    event_types: Option<Vec<String>>,
    /// Of events of these agents.
    #[schema(value_type = Vec<AgentText>, required = false, min_items = 1, max_items = 100)]
    agents: Option<Vec<String>>,
    /// True: it is only counted.
    dry_run: Option<bool>,
    /// Deliveries a second; absent: 100 at most, with a slow start. The endpoint's own limit holds.
    #[schema(minimum = 1, maximum = 500)]
    rate: Option<u32>,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; `change` reads it")]
enum ActionName {
    Drain,
    Discard,
}
