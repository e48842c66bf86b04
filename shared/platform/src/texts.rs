//! Texts within lists and in bodies of more than one function, as the description of the API has them. Describes; reads
//! nothing: the domain does.

use utoipa::ToSchema;

/// The name of an event type, or a prefix as `call.*`.
#[derive(Debug, ToSchema)]
#[schema(
    max_length = 128,
    pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?$",
    example = "call.*"
)]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub struct TypePatternText(String);

/// The id of an agent, neither `null` nor `undefined`.
#[derive(Debug, ToSchema)]
#[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "agt_7")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub struct AgentText(String);

/// The id of an endpoint, neither `null` nor `undefined`.
#[derive(Debug, ToSchema)]
#[schema(pattern = "^[A-Za-z0-9_:-]{1,128}$", example = "ep_0123456789ABCDEF")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub struct EndpointText(String);

/// The id of a delivery.
#[derive(Debug, ToSchema)]
#[schema(pattern = r"^[A-Za-z0-9_:-]{1,128}\.[A-Za-z0-9_:-]{1,128}(\.[A-Za-z0-9_:-]{1,128})?$")]
#[expect(dead_code, reason = "describes a value; the domain reads it")]
pub struct DeliveryText(String);
