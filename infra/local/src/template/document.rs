//! A CloudFormation document as plain JSON: YAML with its short forms (`!Ref`, `!GetAtt A.B`) written out as CloudFormation
//! writes them in JSON, and references to parameters replaced by their defaults. Knows nothing about resources.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use serde_saphyr::Tagged;

use super::TemplateError;

/// The short forms that CloudFormation knows.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>
const SHORT_FORMS: [&str; 15] = [
    "And",
    "Base64",
    "Cidr",
    "Condition",
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
    #[serde(default, rename = "Globals")]
    _globals: Globals,
    resources: BTreeMap<String, Value>,
    #[serde(default, rename = "Outputs")]
    _outputs: IgnoredAny,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    default: Option<Value>,
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
}

/// The resources of a template by name, in the form of CloudFormation's JSON, without references to parameters.
pub(super) fn resources(yaml: &str) -> Result<BTreeMap<String, Value>, TemplateError> {
    // Without them, `AttributeType: N` is a no.
    let options = serde_saphyr::options! { strict_booleans: true };
    let read = serde_saphyr::from_str_with_options(yaml, options);
    let Node(document) = read.map_err(|e| TemplateError::Yaml(Box::new(e)))?;
    let document: Document = serde_json::from_value(document).map_err(TemplateError::Document)?;
    let mut resources = document.resources;
    for (name, resource) in &mut resources {
        with_defaults(resource, &document.parameters).map_err(|parameter| TemplateError::NoDefault {
            resource: name.clone(),
            parameter,
        })?;
    }
    Ok(resources)
}

/// Replaces each reference to a parameter by the parameter's default; fails with the name of one that has none.
fn with_defaults(value: &mut Value, parameters: &BTreeMap<String, Parameter>) -> Result<(), String> {
    match value {
        Value::Array(values) => values.iter_mut().try_for_each(|value| with_defaults(value, parameters)),
        Value::Object(fields) => {
            let referenced = fields.get("Ref").and_then(Value::as_str);
            let Some((name, parameter)) = referenced.and_then(|name| parameters.get_key_value(name)) else {
                return fields
                    .values_mut()
                    .try_for_each(|value| with_defaults(value, parameters));
            };
            *value = parameter.default.clone().ok_or_else(|| name.clone())?;
            Ok(())
        }
        _ => Ok(()),
    }
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
        ("Ref", argument) => Some(json!({ "Ref": argument })),
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
