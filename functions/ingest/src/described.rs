//! The body and the answer of `POST /v1/events`, as the description of the API has them: what `redial_domain::event` reads.
//! Describes; reads nothing.

use std::collections::BTreeMap;

use redial_domain::event::{CALL_ID, MAX_BATCH_EVENTS, MAX_CALL_ID_BYTES, MAX_REFERENCE_BYTES, MAX_REFERENCES};
use redial_domain::event_type::MAX_EVENT_TYPE_LEN;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Object, RefOr, Schema};

use crate::answer::Answer;

/// Longest name in `related` and in `links`.
const MAX_NAME_LEN: usize = 128;

/// An event, several, or an object with several.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) enum Posted {
    Single(EventFields),
    Batch(EventList),
    Wrapped(Events),
}

/// An array of events.
#[derive(ToSchema)]
#[schema(min_items = 1, max_items = 500)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct EventList(Vec<EventFields>);

/// An object with nothing but events.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct Events {
    #[schema(min_items = 1, max_items = 500)]
    events: Vec<EventFields>,
}

// The attributes above take numbers alone.
const _: () = assert!(MAX_BATCH_EVENTS == 500);

/// One thing that happened. At most 256 KiB.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct EventFields {
    /// Of the catalogue, or of the tenant's own.
    #[schema(schema_with = event_type)]
    r#type: String,
    /// Whose event it is.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "acme")]
    tenant: String,
    /// The agent it is about.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "agt_7")]
    agent: Option<String>,
    /// The platform's own; absent: Redial mints one. Repeating a request with an id is safe.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "call-77-ended")]
    id: Option<String>,
    /// When it happened, RFC 3339, 1970 to 9999; absent: when it was accepted.
    #[schema(schema_with = moment)]
    occurred_at: Option<String>,
    /// Any JSON but `null`, nested at most 63 deep; checked against the type's schema as the tenant wants.
    #[schema(schema_with = data)]
    data: serde_json::Value,
    /// Ids of related things, at most 20; events are found by `call_id`.
    #[schema(schema_with = related)]
    related: Option<BTreeMap<String, String>>,
    /// Where to fetch the full records, at most 20.
    #[schema(schema_with = references)]
    links: Option<BTreeMap<String, String>>,
}

/// The answers to a batch, in the order of its events.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    pub(crate) events: Vec<Answer>,
}

/// The answer to one event, or to several.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the answer; `post_events` writes one or the other")]
pub(crate) enum PostAnswer {
    Single(Answer),
    Batch(BatchAnswer),
}

fn or_null(type_: Type) -> SchemaType {
    [type_, Type::Null].into_iter().collect()
}

fn event_type() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(MAX_EVENT_TYPE_LEN))
        .pattern(Some(r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$"))
        .description(Some("Of the catalogue, or of the tenant's own."))
        .examples(["call.ended"])
        .build()
}

fn moment() -> Object {
    ObjectBuilder::new()
        .schema_type(or_null(Type::String))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"^(19[7-9]|[2-9]\d\d)\d-"))
        .description(Some(
            "When it happened, RFC 3339, 1970 to 9999; absent: when it was accepted.",
        ))
        .build()
}

fn data() -> Object {
    let any = [Type::Object, Type::Array, Type::String, Type::Number, Type::Boolean];
    ObjectBuilder::new()
        .schema_type(any.into_iter().collect::<SchemaType>())
        .description(Some(
            "Any JSON but `null`, nested at most 63 deep; checked against the type's schema as the tenant wants.",
        ))
        .build()
}

fn text(most_bytes: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(most_bytes))
}

fn map(described: &str) -> ObjectBuilder {
    let name = text(MAX_NAME_LEN).min_length(Some(1)).build();
    let value: RefOr<Schema> = text(MAX_REFERENCE_BYTES).build().into();
    ObjectBuilder::new()
        .schema_type(or_null(Type::Object))
        .max_properties(Some(MAX_REFERENCES))
        .property_names(Some(Schema::from(name)))
        .additional_properties(Some(AdditionalProperties::RefOr(value)))
        .description(Some(described))
}

fn related() -> Object {
    let call_id = text(MAX_CALL_ID_BYTES).min_length(Some(1)).examples(["call_77"]);
    map("Ids of related things, at most 20, values of at most 2048 bytes; events are found by `call_id`, at most 512.")
        .property(CALL_ID, call_id)
        .build()
}

fn references() -> Object {
    map("Where to fetch the full records: at most 20, values of at most 2048 bytes.").build()
}
