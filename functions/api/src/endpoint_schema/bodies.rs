//! What a derived description cannot say of the bodies: which fields belong together, what maps hold, how a patch differs
//! from a new endpoint. Describes; reads nothing.

use redial_domain::endpoint::{MAX_METADATA, MAX_METADATA_CHARS};
use redial_domain::header::{MAX_CUSTOM_HEADERS, MAX_VALUE_BYTES};
use utoipa::openapi::schema::{AdditionalProperties, AllOfBuilder, AnyOfBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{BasicPair, EndpointFields};

/// A header's name; the reserved ones are refused besides.
const HEADER_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$";
/// A secret of 24 to 64 bytes: whole groups of base64, and what one or two bytes more make.
const STANDARD_SECRET: &str = "^whsec_(([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/][AQgw]==)?|([A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$";
/// A secret of a customer's own choosing.
const CHOSEN_SECRET: &str = "^[!-~]([ -~]{0,254}[!-~])?$";

/// `authorization: Basic`, RFC 7617: not both parts empty.
#[derive(Debug)]
pub(crate) struct BasicAuth;

/// What a new endpoint is to be.
#[derive(Debug)]
pub(crate) struct NewEndpoint;

/// A merge patch (RFC 7396) of an endpoint.
#[derive(Debug)]
pub(crate) struct EndpointPatch;

fn one_of_these(types: [Type; 2]) -> SchemaType {
    types.into_iter().collect()
}

fn text_of(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

/// An object or null, of at most `most` texts.
fn texts(most: usize, names: impl Into<Schema>, values: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(one_of_these([Type::Object, Type::Null]))
        .max_properties(Some(most))
        .property_names(Some(names))
        .additional_properties(Some(AdditionalProperties::RefOr(values.into())))
}

pub(super) fn metadata() -> Object {
    let short = || ObjectBuilder::new().max_length(Some(MAX_METADATA_CHARS));
    let value = short().schema_type(one_of_these([Type::String, Type::Null]));
    let described =
        "The customer's own labels: at most 20, names and values of at most 256 characters. `null` removes one.";
    texts(MAX_METADATA, short().schema_type(Type::String), value)
        .description(Some(described))
        .build()
}

pub(super) fn headers() -> Object {
    let value = ObjectBuilder::new()
        .schema_type(one_of_these([Type::String, Type::Null]))
        .max_length(Some(MAX_VALUE_BYTES))
        .pattern(Some("^([!-~]([ -~]*[!-~])?)?$"));
    let described = "Headers that requests carry besides ours, by name, whatever its case. `null` removes one.";
    texts(MAX_CUSTOM_HEADERS, text_of(HEADER_NAME), value)
        .description(Some(described))
        .build()
}

/// A structure as an object that takes no other member.
fn members<T: PartialSchema>() -> Object {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object,
        // A structure with named fields is described as an object.
        _ => Object::new(),
    }
}

fn only(name: &str, value: ObjectBuilder) -> ObjectBuilder {
    ObjectBuilder::new().property(name, value)
}

/// A value of any type, but one of these.
fn one_of<V: Into<serde_json::Value>, const N: usize>(values: [V; N]) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .enum_values(Some(values))
}

fn null() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Null)
}

impl PartialSchema for BasicAuth {
    fn schema() -> RefOr<Schema> {
        let filled = |name| only(name, ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)));
        AllOfBuilder::new()
            .description(Some("`authorization: Basic`, RFC 7617: not both parts empty."))
            .item(Schema::Object(members::<BasicPair>()))
            .item(AnyOfBuilder::new().item(filled("username")).item(filled("password")))
            .into()
    }
}

impl ToSchema for BasicAuth {}

/// `active` and `state` say the same, if both are there.
fn agreeing() -> AnyOfBuilder {
    AnyOfBuilder::new()
        .item(only("active", null()))
        .item(only("state", null()))
        .item(only("active", one_of([true])).property("state", one_of(["active"])))
        .item(only("active", one_of([false])).property("state", one_of(["inactive"])))
}

impl PartialSchema for NewEndpoint {
    fn schema() -> RefOr<Schema> {
        let secret = ObjectBuilder::new()
            .schema_type(one_of_these([Type::String, Type::Null]))
            .pattern(Some(CHOSEN_SECRET))
            .description(Some(
                "`whsec_` and the padded base64 of 24 to 64 bytes (`voicehub`: any printable ASCII of at most 256 characters); \
                 absent: Redial mints one.",
            ));
        let mut whole = members::<EndpointFields>();
        whole.properties.insert("secret".to_owned(), secret.into());
        let chosen = only("profile", one_of(["voicehub"])).required("profile");
        let standard = ObjectBuilder::new()
            .schema_type(one_of_these([Type::String, Type::Null]))
            .pattern(Some(STANDARD_SECRET));
        AllOfBuilder::new()
            .description(Some("What a new endpoint is to be."))
            .item(Schema::Object(whole))
            .item(agreeing())
            .item(AnyOfBuilder::new().item(chosen).item(only("secret", standard)))
            .into()
    }
}

impl ToSchema for NewEndpoint {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        EndpointFields::schemas(schemas);
    }
}

impl PartialSchema for EndpointPatch {
    fn schema() -> RefOr<Schema> {
        let mut whole = members::<EndpointFields>();
        whole.required.clear();
        AllOfBuilder::new()
            .description(Some(
                "A merge patch (RFC 7396): what is absent stays, `null` restores the default.",
            ))
            .item(Schema::Object(whole))
            .item(agreeing())
            .into()
    }
}

impl ToSchema for EndpointPatch {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        EndpointFields::schemas(schemas);
    }
}
