//! The event types that ship with Redial, from `catalogue.json`: the union of what the systems that Redial stands in
//! for send, and the operator's own. A tenant's own types are not here. Data only: never checks an event.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

const CATALOGUE: &str = include_str!("catalogue.json");

/// A kind of event: its name, what its `data` looks like, and a realistic example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventType {
    /// Dotted name, as `call.ended`.
    pub name: String,
    /// Where lists show it.
    pub group: Group,
    /// One sentence: when it happens.
    pub description: String,
    /// JSON Schema 2020-12 of the event's `data`. Tolerant: further members are allowed, and only what every such
    /// event has is required.
    pub schema: Value,
    /// `data` as it may arrive; satisfies `schema`.
    pub example: Value,
    /// `related` of the example event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Value>,
    /// `links` of the example event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Value>,
}

/// The headings under which event types are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// A call's way from queue to end.
    Calls,
    /// The stages that ring within a call.
    Dial,
    /// What was said in a call.
    Conversation,
    /// Handing a call to a person.
    Transfer,
    /// What came of a call.
    Outcome,
    /// Records of a call that can be fetched afterwards.
    CallData,
    /// A change of an AI voice agent.
    Agent,
    /// A change of the platform itself.
    System,
    /// Redial's own events about deliveries; they belong to tenant `operator`.
    Operator,
}

impl Group {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Dial => "dial",
            Self::Conversation => "conversation",
            Self::Transfer => "transfer",
            Self::Outcome => "outcome",
            Self::CallData => "call_data",
            Self::Agent => "agent",
            Self::System => "system",
            Self::Operator => "operator",
        }
    }
}

/// The first segments of names that are for Redial's own events, those of later releases too.
const RESERVED: [&str; 4] = ["delivery", "endpoint", "redial", "replay"];

/// True if no tenant may have a type of that name, whether one ships or not.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    RESERVED.contains(&first)
}

/// Every event type that ships, group by group.
#[must_use]
pub fn all() -> &'static [EventType] {
    static TYPES: OnceLock<Vec<EventType>> = OnceLock::new();
    // The text is part of the binary: that it parses is a test's business, so there is no error to hand on.
    TYPES.get_or_init(|| serde_json::from_str(CATALOGUE).unwrap_or_default())
}

/// The event type of that name; `None` if it does not ship (a tenant may have its own).
#[must_use]
pub fn find(name: &str) -> Option<&'static EventType> {
    all().iter().find(|event_type| event_type.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    const SHIPPED: usize = 32;
    const IN_SAMPLE_FILE: usize = 26;

    fn sample_events() -> Vec<Value> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/calls.jsonl");
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What a schema of the catalogue says, for the keywords that the catalogue uses to say what kind of value it is.
    fn misfit(schema: &Value, value: &Value, at: &str) -> Option<String> {
        let fits_type = |name: &str| match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            other => panic!("{at}: unknown type {other}"),
        };
        let types: Vec<&str> = match &schema["type"] {
            Value::Null => Vec::new(),
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            name => vec![name.as_str().unwrap()],
        };
        if !types.is_empty() && !types.into_iter().any(fits_type) {
            return Some(format!("{at} has the wrong type"));
        }
        if schema["enum"]
            .as_array()
            .is_some_and(|allowed| !allowed.contains(value))
        {
            return Some(format!("{at} is none of the listed values"));
        }
        let required = schema["required"].as_array().into_iter().flatten();
        if let Some(missing) = required
            .filter_map(Value::as_str)
            .find(|name| value.get(name).is_none())
        {
            return Some(format!("{at}.{missing} is missing"));
        }
        let members = schema["properties"].as_object().into_iter().flatten();
        let in_members = members
            .filter_map(|(name, inner)| misfit(inner, value.get(name)?, &format!("{at}.{name}")))
            .next();
        in_members.or_else(|| {
            let items = value.as_array().into_iter().flatten();
            items
                .filter_map(|item| misfit(&schema["items"], item, &format!("{at}[]")))
                .next()
        })
    }

    #[test]
    fn every_name_is_an_event_type_and_appears_once() {
        let names: BTreeSet<&str> = all().iter().map(|event_type| event_type.name.as_str()).collect();
        assert_eq!((all().len(), names.len()), (SHIPPED, SHIPPED));
        for name in names {
            assert!(name.len() <= 128 && name.contains('.'), "{name}");
            let part_ok = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
            assert!(name.split('.').all(part_ok), "{name}");
            assert_eq!(find(name).unwrap().name, name);
        }
        assert!(find("call.imagined").is_none());
    }

    #[test]
    fn every_type_of_the_sample_file_ships_and_its_events_fit() {
        let events = sample_events();
        let mut seen = BTreeSet::new();
        for event in &events {
            let name = event["type"].as_str().unwrap();
            let event_type = find(name).unwrap_or_else(|| panic!("{name} does not ship"));
            assert_eq!(
                misfit(&event_type.schema, &event["data"], name),
                None,
                "{}",
                event["id"]
            );
            seen.insert(name);
        }
        assert_eq!(seen.len(), IN_SAMPLE_FILE);
    }

    #[test]
    fn the_schemas_describe_every_member_of_the_sample_file() {
        for event in sample_events() {
            let described = &find(event["type"].as_str().unwrap()).unwrap().schema["properties"];
            for name in event["data"].as_object().unwrap().keys() {
                assert!(described.get(name).is_some(), "{}: {name}", event["type"]);
            }
        }
    }

    #[test]
    fn every_example_fits_its_schema() {
        for event_type in all() {
            assert_eq!(misfit(&event_type.schema, &event_type.example, &event_type.name), None);
            assert_eq!(
                event_type.schema["$schema"],
                "https://json-schema.org/draft/2020-12/schema"
            );
            assert_eq!(event_type.schema["additionalProperties"], true, "{}", event_type.name);
            assert!(!event_type.description.is_empty());
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_noticed() {
        let schema = &find("call.status_changed").unwrap().schema;
        for data in [
            r#"{"call_id":"c"}"#,
            r#"{"call_id":1,"status":"busy"}"#,
            r#"{"call_id":"c","status":"bored"}"#,
            "[]",
        ] {
            let data: Value = serde_json::from_str(data).unwrap();
            assert!(misfit(schema, &data, "data").is_some(), "{data}");
        }
    }

    #[test]
    fn names_of_the_operators_types_are_reserved_and_no_others_that_ship() {
        for event_type in all() {
            assert_eq!(
                is_reserved(&event_type.name),
                event_type.group == Group::Operator,
                "{}",
                event_type.name
            );
            assert_eq!(serde_json::json!(event_type.group), event_type.group.as_str());
        }
        assert!(is_reserved("endpoint.imagined") && is_reserved("redial") && !is_reserved("endpoints.listed"));
    }

    #[test]
    fn the_operators_own_types_ship() {
        let own: Vec<&str> = all()
            .iter()
            .filter(|event_type| event_type.group == Group::Operator)
            .map(|t| t.name.as_str())
            .collect();
        let expected = [
            "endpoint.failing",
            "endpoint.held",
            "endpoint.disabled",
            "endpoint.recovered",
            "delivery.dead",
        ];
        assert_eq!(own, expected);
    }
}
