//! Which events an endpoint wants: by event type and by agent.

use serde::{Deserialize, Serialize};

use crate::event_type::EventTypeName;
use crate::id::AgentId;
use crate::invalid::Invalid;

/// Most event types in a filter. docs/LIMITS.md.
pub const MAX_FILTER_TYPES: usize = 50;
/// Most agents in a filter. docs/LIMITS.md.
pub const MAX_FILTER_AGENTS: usize = 100;

/// One entry of an endpoint's `event_types`: a name, or a prefix as `call.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TypePattern {
    /// Exactly this type.
    Exact(EventTypeName),
    /// Every type below this name: `call.*` matches `call.ended`, not `call`.
    Below(EventTypeName),
}

impl TryFrom<String> for TypePattern {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        match text.strip_suffix(".*") {
            Some(prefix) => EventTypeName::parse(prefix).map(Self::Below),
            None => EventTypeName::parse(&text).map(Self::Exact),
        }
        .map_err(|e| Invalid {
            field: "event_types".into(),
            ..e
        })
    }
}

impl From<TypePattern> for String {
    fn from(pattern: TypePattern) -> Self {
        match pattern {
            TypePattern::Exact(name) => name.as_str().to_owned(),
            TypePattern::Below(name) => format!("{name}.*"),
        }
    }
}

impl TypePattern {
    /// True if it takes a type of that name.
    #[must_use]
    pub fn matches(&self, name: &EventTypeName) -> bool {
        match self {
            Self::Exact(own) => own == name,
            Self::Below(prefix) => name
                .as_str()
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.starts_with('.')),
        }
    }
}

/// What an endpoint wants. Empty lists want everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Types wanted; empty: all.
    #[serde(default)]
    pub event_types: Vec<TypePattern>,
    /// Agents wanted; empty: all, and events without an agent.
    #[serde(default)]
    pub agents: Vec<AgentId>,
    /// Agents never wanted.
    #[serde(default)]
    pub exclude_agents: Vec<AgentId>,
}

impl Filter {
    /// Checks the limits.
    ///
    /// # Errors
    /// [`Invalid`] with code `filter_too_long`.
    pub fn check(&self) -> Result<(), Invalid> {
        let too_long = |field, detail| Err(Invalid::new("filter_too_long", field, detail));
        if self.event_types.len() > MAX_FILTER_TYPES {
            return too_long("event_types", "at most 50 event types");
        }
        if self.agents.len() > MAX_FILTER_AGENTS {
            return too_long("agents", "at most 100 agents");
        }
        if self.exclude_agents.len() > MAX_FILTER_AGENTS {
            return too_long("exclude_agents", "at most 100 agents");
        }
        Ok(())
    }

    /// Why an event of this type and agent is not wanted; `None`: it is. An event without an agent never passes a list of
    /// agents.
    #[must_use]
    pub fn miss(&self, event_type: &EventTypeName, agent: Option<&AgentId>) -> Option<Miss> {
        if !self.event_types.is_empty() && !self.event_types.iter().any(|p| p.matches(event_type)) {
            return Some(Miss::TypeNotWanted);
        }
        match agent {
            Some(agent) if self.exclude_agents.contains(agent) => Some(Miss::AgentExcluded),
            Some(agent) if !self.agents.is_empty() && !self.agents.contains(agent) => Some(Miss::AgentNotWanted),
            None if !self.agents.is_empty() => Some(Miss::NoAgent),
            _ => None,
        }
    }

    /// True if an event of this type and agent is wanted.
    #[must_use]
    pub fn matches(&self, event_type: &EventTypeName, agent: Option<&AgentId>) -> bool {
        self.miss(event_type, agent).is_none()
    }
}

/// Why an event does not reach an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Miss {
    /// The endpoint is inactive.
    Inactive,
    /// The endpoint's profile has no name for the event type.
    NotInProfile,
    /// `event_types` does not list it.
    TypeNotWanted,
    /// `agents` does not list the event's agent.
    AgentNotWanted,
    /// `agents` lists some, and the event has none.
    NoAgent,
    /// `exclude_agents` lists the event's agent.
    AgentExcluded,
}

impl Miss {
    /// The stable code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::NotInProfile => "not_in_profile",
            Self::TypeNotWanted => "type_not_wanted",
            Self::AgentNotWanted => "agent_not_wanted",
            Self::NoAgent => "no_agent",
            Self::AgentExcluded => "agent_excluded",
        }
    }

    /// The reason as a sentence, with what to change.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Inactive => "The endpoint is inactive: activate it.",
            Self::NotInProfile => "The endpoint's profile has no name for this event type: another profile carries it.",
            Self::TypeNotWanted => "event_types does not list this event type, nor a prefix of it.",
            Self::AgentNotWanted => "agents does not list the event's agent.",
            Self::NoAgent => "agents lists agents, and the event has none.",
            Self::AgentExcluded => "exclude_agents lists the event's agent.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(json: &str) -> Filter {
        serde_json::from_str(json).unwrap()
    }

    fn matches(filter: &Filter, event_type: &str, agent: Option<&str>) -> bool {
        let agent = agent.map(|a| AgentId::parse(a).unwrap());
        filter.matches(&EventTypeName::parse(event_type).unwrap(), agent.as_ref())
    }

    #[test]
    fn an_empty_filter_wants_everything() {
        assert!(matches(&Filter::default(), "call.ended", None));
        assert!(matches(&Filter::default(), "call.ended", Some("agt_1")));
    }

    #[test]
    fn a_prefix_matches_below_it_only() {
        let filter = filter(r#"{"event_types":["call.*","qa.scored"]}"#);
        assert!(matches(&filter, "call.ended", None) && matches(&filter, "qa.scored", None));
        for other in ["call", "callback.made", "qa.scored.v2", "transcript.ready"] {
            assert!(!matches(&filter, other, None), "{other}");
        }
    }

    #[test]
    fn agents_are_included_and_excluded() {
        let filter = filter(r#"{"agents":["agt_1","agt_2"],"exclude_agents":["agt_2"]}"#);
        assert!(matches(&filter, "call.ended", Some("agt_1")));
        assert!(!matches(&filter, "call.ended", Some("agt_2")));
        assert!(!matches(&filter, "call.ended", None));
    }

    #[test]
    fn a_miss_says_which_list_it_was() {
        let filter = filter(r#"{"event_types":["call.*"],"agents":["agt_1","agt_2"],"exclude_agents":["agt_2"]}"#);
        let miss = |event_type: &str, agent: Option<&str>| {
            let agent = agent.map(|a| AgentId::parse(a).unwrap());
            filter.miss(&EventTypeName::parse(event_type).unwrap(), agent.as_ref())
        };
        assert_eq!(miss("call.ended", Some("agt_1")), None);
        assert_eq!(miss("qa.scored", Some("agt_1")), Some(Miss::TypeNotWanted));
        assert_eq!(miss("call.ended", Some("agt_2")), Some(Miss::AgentExcluded));
        assert_eq!(miss("call.ended", Some("agt_3")), Some(Miss::AgentNotWanted));
        assert_eq!(miss("call.ended", None), Some(Miss::NoAgent));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for pattern in ["*", ".*", "call.**", "call.*.x", "", "a b.*"] {
            assert!(TypePattern::try_from(pattern.to_owned()).is_err(), "{pattern}");
        }
    }
}
