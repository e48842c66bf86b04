//! The body that adds or changes an event type, read strictly: a schema is compiled and its example checked before anything
//! is stored. Stores nothing itself.

use redial_domain::misfit::Misfit;
use redial_domain::{EventTypeName, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::store::event_types::{OwnEventType, TypeState};
use redial_schema::{EventSchema, TooCostly};
use serde_json::Value;
use utoipa::ToSchema;

use crate::body::{Fields, refuse};

/// The heading of types that name none.
const DEFAULT_GROUP: &str = "custom";
/// Longest group, in characters. docs/LIMITS.md.
const MAX_GROUP_CHARS: usize = 64;
/// Longest description, in characters. docs/LIMITS.md.
const MAX_DESCRIPTION_CHARS: usize = 1_000;
/// Largest example, in bytes of JSON: ingest reads it with the schema. docs/LIMITS.md.
const MAX_EXAMPLE_BYTES: usize = 16 * 1024;

/// What an event type is to be.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body; `EventTypeFields` reads its fields one by one"
)]
pub(crate) struct NewEventType {
    /// The heading it is listed under. Default: `custom`.
    #[schema(pattern = "^[a-z0-9_]{1,64}$", example = "bookings")]
    group: Option<String>,
    /// When it happens, at most 1000 characters. Default: empty.
    #[schema(max_length = 1000, example = "An appointment was booked by the agent.")]
    description: Option<String>,
    /// JSON Schema 2020-12 of `data`: at most 32 KiB, 40 levels, 2000 values and 20 patterns with its references written
    /// out. A `$ref` leads to a place within the schema (`#/$defs/...`), never in a circle; `$anchor`, `$dynamicRef` and an
    /// inner `$id` are refused. Patterns are matched in linear time: no look-around, no back-references.
    #[schema(value_type = Object, example = json!({"type": "object", "required": ["booking_id"]}))]
    schema: Value,
    /// `data` as it may arrive, at most 16 KiB; must fit the schema. Default: none.
    #[schema(example = json!({"booking_id": "bk_17"}))]
    example: Option<Value>,
}

/// A body that was read.
#[derive(Debug, Clone)]
pub(crate) struct EventTypeFields {
    group: String,
    description: String,
    schema: Value,
    example: Option<Value>,
}

impl EventTypeFields {
    /// Reads a body.
    ///
    /// # Errors
    /// 422 with code `schema_invalid`, `example_invalid`, `group_invalid`, `field_missing`, `field_too_long`, ...
    pub(crate) fn read(mut fields: Fields) -> Result<Self, Problem> {
        let group = fields.text("group")?.unwrap_or_else(|| DEFAULT_GROUP.to_owned());
        let description = fields.text("description")?.unwrap_or_default();
        let schema: Option<Value> = fields.take("schema", "an object")?;
        let example = fields.take("example", "any JSON")?;
        fields.finish()?;
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        if group.is_empty() || group.len() > MAX_GROUP_CHARS || !group.bytes().all(plain) {
            return Err(refuse("group_invalid", "group", "must be 1 to 64 of a-z 0-9 _"));
        }
        if description.chars().count() > MAX_DESCRIPTION_CHARS {
            let detail = format!("may have at most {MAX_DESCRIPTION_CHARS} characters");
            return Err(refuse("field_too_long", "description", detail));
        }
        let schema = schema.ok_or_else(|| refuse("field_missing", "schema", "is required"))?;
        let compiled = EventSchema::compile(&schema)?;
        if let Some(example) = &example {
            fits(&compiled, example)?;
        }
        Ok(Self {
            group,
            description,
            schema,
            example,
        })
    }

    /// The type that it makes of what was there.
    pub(crate) fn into_type(self, name: EventTypeName, before: Option<&OwnEventType>, now: Timestamp) -> OwnEventType {
        OwnEventType {
            name,
            group: self.group,
            description: self.description,
            schema: self.schema,
            example: self.example,
            state: before.map_or(TypeState::Active, |before| before.state),
            created_at: before.map_or(now, |before| before.created_at),
            updated_at: before.map_or(now, |before| before.updated_at),
        }
    }
}

fn fits(schema: &EventSchema, example: &Value) -> Result<(), Problem> {
    if example.to_string().len() > MAX_EXAMPLE_BYTES {
        return Err(refuse("field_too_long", "example", "may have at most 16 KiB"));
    }
    let misfits = match schema.misfits(example) {
        Ok(misfits) => misfits,
        Err(TooCostly) => return Err(refuse("example_invalid", "example", TooCostly.to_string())),
    };
    let Some(first) = misfits.first() else { return Ok(()) };
    let mut problem = refuse(
        "example_invalid",
        &place(first),
        format!("does not fit the schema: {}", first.detail),
    );
    problem.misfits = misfits;
    Err(problem)
}

fn place(misfit: &Misfit) -> String {
    format!("example{}", misfit.path.replace('/', "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> Result<EventTypeFields, Problem> {
        EventTypeFields::read(Fields::parse(body.to_string().as_bytes()).unwrap().unwrap())
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        use serde_json::json;
        let schema = json!({"properties": {"turns": {"items": {"type": "string"}}}});
        for (body, code, field) in [
            (json!({}), "field_missing", "schema"),
            (json!({"schema": null}), "field_missing", "schema"),
            (json!({"schema": []}), "schema_invalid", "schema"),
            (json!({"schema": {"type": "text"}}), "schema_invalid", "schema"),
            (
                json!({"schema": {"$ref": "https://example.com/s"}}),
                "schema_invalid",
                "schema",
            ),
            (json!({"schema": {}, "group": "No Spaces"}), "group_invalid", "group"),
            (json!({"schema": {}, "group": ""}), "group_invalid", "group"),
            (
                json!({"schema": {}, "description": "x".repeat(1_001)}),
                "field_too_long",
                "description",
            ),
            (
                json!({"schema": {}, "example": "x".repeat(MAX_EXAMPLE_BYTES)}),
                "field_too_long",
                "example",
            ),
            (
                json!({"schema": schema, "example": {"turns": ["a", 1]}}),
                "example_invalid",
                "example.turns.1",
            ),
            (json!({"schema": {}, "name": "x"}), "field_unknown", "name"),
        ] {
            let problem = read(&body).unwrap_err();
            let told = (problem.status, problem.code.as_str(), problem.field.as_deref());
            assert_eq!(told, (422, code, Some(field)), "{body}");
        }
        assert_eq!(read(&json!({"schema": schema})).unwrap().group, DEFAULT_GROUP);
    }
}
