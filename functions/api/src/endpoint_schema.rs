//! The bodies that make and change endpoints, as the description of the API has them: exactly what `endpoint_fields` and
//! `authentication` read, so that whatever fits the description is taken. Describes; reads nothing.

mod bodies;

use std::collections::BTreeMap;

use redial_platform::texts::{AgentText, TypePatternText};
use utoipa::ToSchema;

pub(crate) use bodies::{BasicAuth, EndpointPatch, NewEndpoint};
use bodies::{headers, metadata};

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
    /// Seconds after each failed attempt; the last is repeated. None are needed for one attempt.
    #[schema(value_type = Vec<DelayS>, max_items = 19)]
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

#[cfg(test)]
mod tests;
