//! The bodies that make and change endpoints, as the description of the API has them: exactly what `endpoint_fields` and
//! `authentication` read, so that whatever fits the description is taken. Describes; reads nothing.

use std::collections::BTreeMap;

use redial_domain::endpoint::{MAX_METADATA, MAX_METADATA_CHARS};
use redial_domain::header::{MAX_CUSTOM_HEADERS, MAX_VALUE_BYTES};
use utoipa::openapi::schema::{AdditionalProperties, AllOfBuilder, AnyOfBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A header's name; the reserved ones are refused besides.
const HEADER_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$";
/// A secret of 24 to 64 bytes: whole groups of base64, and what one or two bytes more make.
const STANDARD_SECRET: &str = "^whsec_(([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/][AQgw]==)?|([A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$";
/// A secret of a customer's own choosing.
const CHOSEN_SECRET: &str = "^[!-~]([ -~]{0,254}[!-~])?$";

/// What an endpoint is to be. `null` stands for the default.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body; `settings` and `wanted_state` read its fields one by one"
)]
pub(crate) struct EndpointFields {
    /// Where to POST: https, a public host, port 443 or from 1024 on, at most 2048 characters.
    #[schema(
        example = "https://example.com/hooks",
        max_length = 2048,
        pattern = r"^https://(([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z]{2,63})(:(443|[1-9][0-9]{3}|[1-5][0-9]{4}))?([/?]([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$"
    )]
    url: String,
    /// For people, at most 1000 characters.
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// The customer's own labels: at most 20, names and values of at most 256 characters.
    #[schema(schema_with = metadata)]
    metadata: Option<BTreeMap<String, String>>,
    /// Types wanted, as `call.ended` or `call.*`; empty: all.
    #[schema(value_type = Option<Vec<TypePatternText>>, max_items = 50)]
    event_types: Option<Vec<String>>,
    /// Agents wanted; empty: all.
    #[schema(value_type = Option<Vec<AgentText>>, max_items = 100)]
    agents: Option<Vec<String>>,
    /// Agents never wanted.
    #[schema(value_type = Option<Vec<AgentText>>, max_items = 100)]
    exclude_agents: Option<Vec<String>>,
    /// How requests look. Default: `standard`.
    profile: Option<ProfileName>,
    /// How much of an event they hold: `full`, or `thin` (ids and links only). Default: `full`.
    payload: Option<PayloadName>,
    /// How they authenticate besides the signature.
    auth: Option<AuthFields>,
    /// Headers that they carry besides ours, by name: at most 20, values of at most 4096 bytes of printable ASCII.
    #[schema(schema_with = headers)]
    headers: Option<BTreeMap<String, String>>,
    /// Milliseconds the receiver has to answer: 1000 to 30000, 10000 by default.
    #[schema(minimum = 1000, maximum = 30000)]
    timeout_ms: Option<u32>,
    /// When to retry; absent: as this deployment does by default.
    retry: Option<RetryFields>,
    /// Most deliveries a second, 1 to 500; `null`: as many as come.
    #[schema(minimum = 1, maximum = 500)]
    rate_limit: Option<u32>,
    /// What becomes of deliveries that died.
    dead_letter: Option<DeadLetterFields>,
    /// False makes it `inactive`, true `active`.
    active: Option<bool>,
    /// Not together with another `active`.
    state: Option<WantedState>,
}

/// How requests look.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub(crate) enum ProfileName {
    Standard,
    Voicehub,
    Utel,
}

/// How much of an event a request holds.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub(crate) enum PayloadName {
    Full,
    Thin,
}

/// A state that can be asked for.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub(crate) enum WantedState {
    Active,
    Paused,
    Inactive,
}

/// The name of an event type, or a prefix as `call.*`.
#[derive(Debug, ToSchema)]
#[schema(
    max_length = 128,
    pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?$",
    example = "call.*"
)]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub(crate) struct TypePatternText(String);

/// The id of an agent, neither `null` nor `undefined`.
#[derive(Debug, ToSchema)]
#[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "agt_7")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub(crate) struct AgentText(String);

/// Authentication of requests besides their signature.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) enum AuthFields {
    ApiKey(ApiKeyAuth),
    Basic(BasicAuth),
    Bearer(BearerAuth),
}

/// A value in a header of the customer's choosing.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct ApiKeyAuth {
    #[schema(inline)]
    r#type: ApiKeyType,
    /// The header's name; those that frame or route the request, or are ours, are refused.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$", example = "x-api-key")]
    header: String,
    /// Its value: printable ASCII, no space at either end.
    #[schema(max_length = 4096, pattern = "^[!-~]([ -~]*[!-~])?$")]
    value: String,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
enum ApiKeyType {
    ApiKey,
}

/// `authorization: Basic`, RFC 7617: not both parts empty.
#[derive(Debug)]
pub(crate) struct BasicAuth;

#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
struct BasicPair {
    #[schema(inline)]
    r#type: BasicType,
    /// No colon, no control character.
    #[schema(max_length = 2048, pattern = r"^[^:\u0000-\u001f\u007f-\u009f]*$")]
    username: String,
    /// No control character.
    #[schema(max_length = 2048, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    password: String,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
enum BasicType {
    Basic,
}

/// `authorization: Bearer`, RFC 6750.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct BearerAuth {
    #[schema(inline)]
    r#type: BearerType,
    /// A token, such as a JWT.
    #[schema(max_length = 2048, pattern = "^[A-Za-z0-9._~+/-]+=*$")]
    token: String,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
enum BearerType {
    Bearer,
}

/// When to retry: `delays`, or `base_s` with `factor`, or `delay_ms`. In a patch one of them takes the place of another.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) enum RetryFields {
    Default(DefaultRetry),
    List(ListRetry),
    Exponential(ExponentialRetry),
    Fixed(FixedRetry),
}

/// The default delays.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct DefaultRetry {
    /// Attempts in all, 9 by default.
    #[schema(minimum = 1, maximum = 20)]
    attempts: Option<u32>,
}

/// A list of delays.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct ListRetry {
    /// Attempts in all; by default one more than there are delays.
    #[schema(minimum = 1, maximum = 20)]
    attempts: Option<u32>,
    /// Seconds after each failed attempt; the last is repeated.
    #[schema(value_type = Vec<DelayS>, min_items = 1, max_items = 19)]
    delays: Vec<u32>,
}

/// Seconds between two attempts: at most 11.5 hours.
#[derive(Debug, ToSchema)]
#[schema(minimum = 1, maximum = 41400)]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub(crate) struct DelayS(u32);

/// Delays that grow.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct ExponentialRetry {
    /// Attempts in all, 9 by default.
    #[schema(minimum = 1, maximum = 20)]
    attempts: Option<u32>,
    /// Seconds after the first failed attempt.
    #[schema(minimum = 1, maximum = 41400)]
    base_s: u32,
    /// How many times as many after each further one, 2 by default.
    #[schema(minimum = 1, maximum = 10)]
    factor: Option<f64>,
}

/// One delay, in milliseconds; rounded up to whole seconds on the clock.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct FixedRetry {
    /// Attempts in all, 9 by default.
    #[schema(minimum = 1, maximum = 20)]
    attempts: Option<u32>,
    /// Milliseconds after each failed attempt.
    #[schema(minimum = 1, maximum = 41400000)]
    delay_ms: u64,
}

/// What becomes of deliveries that died.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; the domain reads it")]
pub(crate) struct DeadLetterFields {
    /// False: they are counted, and neither listed among the dead letters nor replayed with them. True by default.
    keep: Option<bool>,
    /// Days from their death that they are kept, 3 to 365; `null`: as long as their event, which is the most in any case.
    #[schema(minimum = 3, maximum = 365)]
    days: Option<u16>,
}

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

fn metadata() -> Object {
    let short = || ObjectBuilder::new().max_length(Some(MAX_METADATA_CHARS));
    let value = short().schema_type(one_of_these([Type::String, Type::Null]));
    let described =
        "The customer's own labels: at most 20, names and values of at most 256 characters. `null` removes one.";
    texts(MAX_METADATA, short().schema_type(Type::String), value)
        .description(Some(described))
        .build()
}

fn headers() -> Object {
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

#[cfg(test)]
mod tests;
