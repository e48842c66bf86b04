//! The properties of the resources that have a meaning on one machine, as AWS names them. A property that is not listed
//! here is an error: it might change what a deployment does, and this would not. Properties of type `IgnoredAny` are
//! known to have no meaning here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A resource, whatever its type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Resource {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    #[serde(default = "no_properties")]
    pub(super) properties: serde_json::Value,
    #[serde(default, rename = "Metadata")]
    _metadata: IgnoredAny,
    #[serde(default, rename = "DependsOn")]
    _depends_on: IgnoredAny,
    /// It holds, or the resource would not be here.
    #[serde(default, rename = "Condition")]
    _condition: IgnoredAny,
    #[serde(default, rename = "DeletionPolicy")]
    _deletion_policy: IgnoredAny,
    #[serde(default, rename = "UpdateReplacePolicy")]
    _update_replace_policy: IgnoredAny,
}

fn no_properties() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// `AWS::SQS::Queue`. It goes by its name in the template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct QueueProperties {
    #[serde(default = "default_visibility_s")]
    pub(super) visibility_timeout: u32,
    #[serde(default = "default_retention_s")]
    pub(super) message_retention_period: u32,
    pub(super) redrive_policy: Option<RedrivePolicy>,
    /// What is on this machine's disk is this machine's to encrypt.
    #[serde(default, rename = "SqsManagedSseEnabled")]
    _sqs_managed_sse_enabled: IgnoredAny,
    #[serde(default, rename = "Tags")]
    _tags: IgnoredAny,
}

const fn default_visibility_s() -> u32 {
    30
}

const fn default_retention_s() -> u32 {
    345_600
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RedrivePolicy {
    pub(super) dead_letter_target_arn: Arn,
    pub(super) max_receive_count: u32,
}

/// The ARN of another resource of the template: `!GetAtt Name.Arn`. Holds the name.
#[derive(Deserialize)]
#[serde(try_from = "GetAtt")]
pub(super) struct Arn(pub(super) String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetAtt {
    #[serde(rename = "Fn::GetAtt")]
    attribute: (String, String),
}

impl TryFrom<GetAtt> for Arn {
    type Error = String;

    fn try_from(
        GetAtt {
            attribute: (name, attribute),
        }: GetAtt,
    ) -> Result<Self, String> {
        if attribute == "Arn" {
            Ok(Self(name))
        } else {
            Err(format!("{name}.{attribute} is no ARN of a resource"))
        }
    }
}

/// `AWS::DynamoDB::Table`. It goes by its name in the template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct TableProperties {
    pub(super) attribute_definitions: Vec<AttributeDefinition>,
    pub(super) key_schema: Vec<KeyElement>,
    #[serde(default)]
    pub(super) global_secondary_indexes: Vec<IndexProperties>,
    pub(super) time_to_live_specification: Option<TimeToLive>,
    #[serde(default, rename = "BillingMode")]
    _billing_mode: IgnoredAny,
    #[serde(default, rename = "DeletionProtectionEnabled")]
    _deletion_protection_enabled: IgnoredAny,
    #[serde(default, rename = "PointInTimeRecoverySpecification")]
    _point_in_time_recovery_specification: IgnoredAny,
    #[serde(default, rename = "SSESpecification")]
    _sse_specification: IgnoredAny,
    #[serde(default, rename = "WarmThroughput")]
    _warm_throughput: IgnoredAny,
    #[serde(default, rename = "Tags")]
    _tags: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct AttributeDefinition {
    pub(super) attribute_name: String,
    pub(super) attribute_type: AttributeType,
}

#[derive(Clone, Copy, Deserialize)]
pub(super) enum AttributeType {
    S,
    N,
    B,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct KeyElement {
    pub(super) attribute_name: String,
    pub(super) key_type: KeyType,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum KeyType {
    Hash,
    Range,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct IndexProperties {
    pub(super) index_name: String,
    pub(super) key_schema: Vec<KeyElement>,
    pub(super) projection: ProjectionProperties,
    #[serde(default, rename = "WarmThroughput")]
    _warm_throughput: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(tag = "ProjectionType", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub(super) enum ProjectionProperties {
    All,
    KeysOnly,
    Include {
        #[serde(rename = "NonKeyAttributes")]
        non_key_attributes: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct TimeToLive {
    pub(super) attribute_name: String,
    pub(super) enabled: bool,
}

/// `AWS::Serverless::Function`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct FunctionProperties {
    pub(super) timeout: u32,
    #[serde(default)]
    pub(super) events: BTreeMap<String, Event>,
    #[serde(default, rename = "Description")]
    _description: IgnoredAny,
    #[serde(default, rename = "CodeUri")]
    _code_uri: IgnoredAny,
    #[serde(default, rename = "MemorySize")]
    _memory_size: IgnoredAny,
    /// For whoever may invoke it (`permissions`); here functions are called by their names in the template.
    #[serde(default, rename = "FunctionName")]
    _function_name: IgnoredAny,
    #[serde(default, rename = "Role")]
    _role: IgnoredAny,
    #[serde(default, rename = "LoggingConfig")]
    _logging_config: IgnoredAny,
    #[serde(default, rename = "Environment")]
    _environment: IgnoredAny,
    #[serde(default, rename = "FunctionUrlConfig")]
    _function_url_config: IgnoredAny,
    #[serde(default, rename = "AutoPublishAlias")]
    _auto_publish_alias: IgnoredAny,
    #[serde(default, rename = "VpcConfig")]
    _vpc_config: IgnoredAny,
    #[serde(default, rename = "Tracing")]
    _tracing: IgnoredAny,
    #[serde(default, rename = "Tags")]
    _tags: IgnoredAny,
}

/// What invokes a function.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "Type", content = "Properties")]
pub(super) enum Event {
    /// An event source mapping.
    #[serde(rename = "SQS")]
    Sqs(SqsEventProperties),
    /// A rule of `EventBridge`.
    Schedule(ScheduleProperties),
}

/// Neither filters (they delete what does not match) nor `Enabled` (a disabled mapping freezes the ladder).
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct SqsEventProperties {
    pub(super) queue: Arn,
    #[serde(default = "default_batch_size")]
    pub(super) batch_size: usize,
    #[serde(default)]
    pub(super) maximum_batching_window_in_seconds: u32,
    #[serde(default)]
    pub(super) function_response_types: Vec<String>,
    pub(super) scaling_config: ScalingConfig,
}

const fn default_batch_size() -> usize {
    10
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ScalingConfig {
    pub(super) maximum_concurrency: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ScheduleProperties {
    pub(super) schedule: String,
    #[serde(default, rename = "Description")]
    _description: IgnoredAny,
}
