//! What each profile calls the event types: `names.json`, read once. A type without a name in a profile does not reach
//! its endpoints. Data only: never builds a body.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::event_type::EventTypeName;

const NAMES: &str = include_str!("names.json");

/// The tables of all profiles that have names of their own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// Profile `voicehub`, by event type.
    pub voicehub: BTreeMap<String, VoicehubName>,
    /// Profile `utel`, by event type.
    pub utel: BTreeMap<String, UtelName>,
}

/// What `voicehub` calls an event type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoicehubName {
    /// Its `eventType`.
    pub name: String,
    /// `status` where the event's data names none that the profile knows.
    #[serde(default)]
    pub status: Option<String>,
}

/// What `utel` calls an event type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UtelName {
    /// The boolean of a `WebhookResource` that asks for it.
    pub switch: String,
    /// Its `data.event`.
    pub name: String,
    /// Its `data.event` where `data.kind` is one of these.
    #[serde(default)]
    pub by_kind: BTreeMap<String, String>,
}

/// The tables.
#[must_use]
pub fn names() -> &'static Names {
    static TABLES: OnceLock<Names> = OnceLock::new();
    // The text is part of the binary: that it parses is a test's business, so there is no error to hand on.
    TABLES.get_or_init(|| serde_json::from_str(NAMES).unwrap_or_default())
}

/// The event types that a boolean of profile `utel`'s `WebhookResource` asks for.
pub fn types_of_switch(switch: &str) -> impl Iterator<Item = &'static str> {
    let table = names().utel.iter();
    table
        .filter(move |(_, row)| row.switch == switch)
        .map(|(event_type, _)| event_type.as_str())
}

impl Names {
    /// What `voicehub` calls it.
    #[must_use]
    pub fn voicehub(&self, event_type: &EventTypeName) -> Option<&VoicehubName> {
        self.voicehub.get(event_type.as_str())
    }

    /// What `utel` calls it.
    #[must_use]
    pub fn utel(&self, event_type: &EventTypeName) -> Option<&UtelName> {
        self.utel.get(event_type.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn every_named_type_ships() {
        let tables = names();
        assert_eq!((tables.voicehub.len(), tables.utel.len()), (7, 9));
        for event_type in tables.voicehub.keys().chain(tables.utel.keys()) {
            assert!(catalogue::find(event_type).is_some(), "{event_type}");
        }
    }

    #[test]
    fn the_seven_switches_of_utel_ask_for_something_each() {
        let switches = [
            "call_started",
            "call_ended",
            "dial_started",
            "dial_answered",
            "dial_ended",
            "call_transferred",
            "call_saved",
        ];
        for switch in switches {
            assert!(types_of_switch(switch).count() > 0, "{switch}");
        }
        assert!(names().utel.values().all(|row| switches.contains(&row.switch.as_str())));
        let transfers: Vec<&str> = types_of_switch("call_transferred").collect();
        assert_eq!(transfers, ["call.transferred", "transfer.completed"]);
    }
}
