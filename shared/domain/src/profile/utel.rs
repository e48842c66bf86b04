//! Profile `utel`: `{"time","data"}`, with the event's name in `data.event` beside what the platform posted.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::names::names;
use super::{BodyParts, Payload};
use crate::event::Content;

/// Where the event's name stands in `data`.
const EVENT: &str = "event";
/// Where the data stands that is no object.
const VALUE: &str = "value";

#[derive(Serialize)]
struct Body<'a> {
    time: &'a str,
    data: Data<'a>,
}

struct Data<'a> {
    name: &'a str,
    members: Vec<(String, Box<RawValue>)>,
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.members.len() + 1))?;
        map.serialize_entry(EVENT, self.name)?;
        for (name, value) in self.members.iter().filter(|(name, _)| name != EVENT) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// An object's members in their order, their values byte for byte.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

pub(super) fn body(parts: &BodyParts<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let content = parts.content;
    let members = match serde_json::from_str(content.data.get()) {
        Ok(Members(members)) => members,
        Err(_) => vec![(VALUE.to_owned(), content.data.clone())],
    };
    let kind = members.iter().find(|(name, _)| name == "kind");
    let kind: Option<String> = kind.and_then(|(_, value)| serde_json::from_str(value.get()).ok());
    let name = match names().utel(&content.event_type) {
        Some(row) => kind
            .and_then(|kind| row.by_kind.get(&kind))
            .map_or(row.name.as_str(), String::as_str),
        None => content.event_type.as_str(),
    };
    let members = match parts.payload {
        Payload::Full => members,
        Payload::Thin => ids(content)?,
    };
    let accepted_at = parts.accepted_at.to_string();
    serde_json::to_vec(&Body {
        time: content.occurred_at.as_deref().unwrap_or(&accepted_at),
        data: Data { name, members },
    })
}

/// The ids of what the event is about, in place of its data.
fn ids(content: &Content) -> Result<Vec<(String, Box<RawValue>)>, serde_json::Error> {
    let related = content.related.iter();
    related
        .map(|(name, id)| Ok((name.clone(), serde_json::value::to_raw_value(id)?)))
        .collect()
}
