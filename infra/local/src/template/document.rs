//! A CloudFormation document as plain JSON: YAML with its short forms (`!Ref`, `!GetAtt A.B`) written out as CloudFormation
//! writes them in JSON, with what it includes, and decided with the defaults of its parameters. Knows nothing about resources.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use serde_saphyr::Tagged;

use super::TemplateError;
use super::conditions::Choices;

/// The short forms that CloudFormation knows.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>
const SHORT_FORMS: [&str; 14] = [
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "If",
    "ImportValue",
    "Join",
    "Not",
    "Or",
    "Select",
    "Sub",
];

/// What YAML's own types are called; everything else is CloudFormation's.
const YAML_TYPES: &str = "tag:yaml.org,2002:";

/// Where a document says what it includes into its resources. CloudFormation works on it before all else.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-aws-include.html>
const TRANSFORM: &str = "Fn::Transform";

/// The parts of a document that matter here.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Document {
    #[serde(rename = "AWSTemplateFormatVersion")]
    _version: IgnoredAny,
    #[serde(rename = "Transform")]
    _transform: IgnoredAny,
    #[serde(default, rename = "Description")]
    _description: IgnoredAny,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    #[serde(default)]
    conditions: BTreeMap<String, Value>,
    #[serde(default, rename = "Globals")]
    _globals: Globals,
    resources: BTreeMap<String, Value>,
    #[serde(default, rename = "Outputs")]
    _outputs: IgnoredAny,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    #[serde(rename = "Type")]
    kind: String,
    default: Option<Value>,
}

impl Parameter {
    /// What a reference to it gives: a list is written as one text with commas.
    fn default(&self) -> Option<Value> {
        match (&self.default, self.kind.as_str()) {
            (Some(Value::String(text)), "CommaDelimitedList") => {
                Some(text.split(',').map(|part| part.trim().to_owned()).collect())
            }
            (default, _) => default.clone(),
        }
    }
}

/// `Fn::Transform` of a document's resources: one file that they include.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Transform {
    #[serde(rename = "Name")]
    _name: IncludeName,
    parameters: IncludeParameters,
}

#[derive(serde::Deserialize)]
enum IncludeName {
    #[serde(rename = "AWS::Include")]
    Include,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct IncludeParameters {
    location: String,
}

/// What every function has: only what has no meaning on one machine, so that each function says the rest itself.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Globals {
    #[serde(default, rename = "Function")]
    _function: GlobalFunction,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct GlobalFunction {
    #[serde(default, rename = "Runtime")]
    _runtime: IgnoredAny,
    #[serde(default, rename = "Handler")]
    _handler: IgnoredAny,
    #[serde(default, rename = "Architectures")]
    _architectures: IgnoredAny,
    #[serde(default, rename = "MemorySize")]
    _memory_size: IgnoredAny,
    #[serde(default, rename = "Environment")]
    _environment: IgnoredAny,
    #[serde(default, rename = "Tags")]
    _tags: IgnoredAny,
}

/// The resources of a template by name, in the form of CloudFormation's JSON, as they are with the defaults of its parameters.
/// `included` gives the text of a file that the template includes.
pub(crate) fn resources(
    yaml: &str,
    included: impl FnOnce(&str) -> Result<String, TemplateError>,
) -> Result<BTreeMap<String, Value>, TemplateError> {
    let document: Document = serde_json::from_value(plain(yaml)?).map_err(TemplateError::Document)?;
    let mut written = document.resources;
    if let Some(transform) = written.remove(TRANSFORM) {
        let transform: Transform = serde_json::from_value(transform).map_err(TemplateError::Document)?;
        let text = included(&transform.parameters.location)?;
        let more: BTreeMap<String, Value> = serde_json::from_value(plain(&text)?).map_err(TemplateError::Document)?;
        written.extend(more);
    }
    let parameters = document.parameters.iter();
    let choices = Choices {
        defaults: parameters.map(|(name, it)| (name.as_str(), it.default())).collect(),
        conditions: &document.conditions,
    };
    let mut resources = BTreeMap::new();
    for (name, resource) in written {
        let undecided = |source| TemplateError::Undecided {
            resource: name.clone(),
            source,
        };
        let condition = resource.get("Condition").and_then(Value::as_str);
        if let Some(condition) = condition
            && !choices.holds(condition).map_err(undecided)?
        {
            continue;
        }
        if let Some(resource) = choices.resolve(resource).map_err(undecided)? {
            resources.insert(name, resource);
        }
    }
    Ok(resources)
}

/// A document or a part of one as JSON.
fn plain(yaml: &str) -> Result<Value, TemplateError> {
    // Without them, `AttributeType: N` is a no.
    let options = serde_saphyr::options! { strict_booleans: true };
    let read = serde_saphyr::from_str_with_options(yaml, options);
    let Node(value) = read.map_err(|e| TemplateError::Yaml(Box::new(e)))?;
    Ok(value)
}

/// A node of the document with its short form written out.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Untagged(value), tag) = Tagged::deserialize(deserializer)?;
        match tag.as_deref() {
            None => Ok(Self(value)),
            Some(tag) if tag.starts_with(YAML_TYPES) => Ok(Self(value)),
            Some(tag) => long_form(tag.trim_start_matches('!'), value)
                .map(Self)
                .ok_or_else(|| D::Error::custom(format_args!("{tag} is no function of CloudFormation"))),
        }
    }
}

fn long_form(name: &str, argument: Value) -> Option<Value> {
    match (name, argument) {
        ("Ref" | "Condition", argument) => Some(json!({ name: argument })),
        ("GetAtt", Value::String(text)) => {
            let (resource, attribute) = text.split_once('.')?;
            Some(json!({ "Fn::GetAtt": [resource, attribute] }))
        }
        (name, argument) if SHORT_FORMS.contains(&name) => Some(json!({ format!("Fn::{name}"): argument })),
        _ => None,
    }
}

/// A node as if it had no tag; those below it are whole.
struct Untagged(Value);

impl<'de> Deserialize<'de> for Untagged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UntaggedVisitor).map(Self)
    }
}

struct UntaggedVisitor;

impl<'de> Visitor<'de> for UntaggedVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a CloudFormation template")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut nodes: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Node(value)) = nodes.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut nodes: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Node(value))) = nodes.next_entry::<String, Node>()? {
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}
