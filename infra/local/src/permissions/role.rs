//! The roles of the functions, read from the template's resources. What could change who may what and is not understood is
//! an error.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Condition, ConditionKey, Statement};
use crate::template::TemplateError;

const FUNCTION: &str = "AWS::Serverless::Function";
const ROLE: &str = "AWS::IAM::Role";
/// How the ARN of a function of this account begins; its name follows.
const FUNCTION_ARN: &str = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:";
const TABLE: &str = "AWS::DynamoDB::Table";
/// The only action whose attributes are told: all else that reads or writes may return or replace more than it names.
const NAMES_ATTRIBUTES: &str = "dynamodb:UpdateItem";

/// A resource of the template.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Role {
    #[serde(rename = "AssumeRolePolicyDocument")]
    _assume_role_policy_document: IgnoredAny,
    policies: Vec<Policy>,
    /// For what Lambda itself does with the role; grants the function's own calls nothing here.
    #[serde(default, rename = "ManagedPolicyArns")]
    _managed_policy_arns: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Policy {
    #[serde(rename = "PolicyName")]
    _policy_name: IgnoredAny,
    policy_document: PolicyDocument,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct PolicyDocument {
    #[serde(rename = "Version")]
    _version: IgnoredAny,
    statement: Vec<Written>,
}

/// A statement as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Written {
    effect: Effect,
    action: OneOrMany<String>,
    resource: OneOrMany<Value>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMany<String>>>,
}

/// A statement that denies is none that is understood.
#[derive(Deserialize)]
enum Effect {
    Allow,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    // First: one thing of any kind would be a list too.
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// The statements of all functions' roles.
pub(super) fn statements(resources: &BTreeMap<String, Value>) -> Result<Vec<Statement>, TemplateError> {
    let mut statements = Vec::new();
    for (name, value) in resources {
        let resource: Resource = parse(name, value)?;
        if resource.kind == FUNCTION {
            let role = role_of(name, &resource.properties)?;
            statements.extend(read(name, role, resources)?);
        }
    }
    Ok(statements)
}

/// The tables with the name of their partition key.
pub(super) fn partition_keys(resources: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let tables = resources.iter().filter(|(_, resource)| resource["Type"] == TABLE);
    let hash = |(table, resource): (&String, &Value)| {
        let schema = resource["Properties"]["KeySchema"].as_array()?;
        let hash = schema.iter().find(|element| element["KeyType"] == "HASH")?;
        Some((table.clone(), hash["AttributeName"].as_str()?.to_owned()))
    };
    tables.filter_map(hash).collect()
}

/// The role that a function's properties name.
fn role_of<'a>(function: &str, properties: &'a Value) -> Result<&'a str, TemplateError> {
    let named = attribute(&properties["Role"]).filter(|(_, attribute)| *attribute == "Arn");
    let named = named.map(|(role, _)| role);
    named.ok_or_else(|| unsupported(function, "its Role must be !GetAtt of a role of the template"))
}

fn read(function: &str, role: &str, resources: &BTreeMap<String, Value>) -> Result<Vec<Statement>, TemplateError> {
    let resource = resources
        .get(role)
        .map(|value| parse::<Resource>(role, value))
        .transpose()?;
    let resource = resource.filter(|resource| resource.kind == ROLE);
    let resource = resource.ok_or_else(|| unsupported(function, &format!("there is no role {role}")))?;
    let properties: Role = parse(role, &resource.properties)?;
    let written = properties
        .policies
        .into_iter()
        .flat_map(|policy| policy.policy_document.statement);
    let named = named_functions(resources);
    let statement = |(number, written)| statement(function, role, number, written, &named);
    written.enumerate().map(statement).collect()
}

/// The functions whose names the template gives, by the text that makes the name.
fn named_functions(resources: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let functions = resources.iter().filter(|(_, resource)| resource["Type"] == FUNCTION);
    let named = |(function, resource): (&String, &Value)| {
        let name = resource["Properties"]["FunctionName"]["Fn::Sub"].as_str()?;
        Some((name.to_owned(), function.clone()))
    };
    functions.filter_map(named).collect()
}

fn statement(
    function: &str,
    role: &str,
    number: usize,
    written: Written,
    named: &BTreeMap<String, String>,
) -> Result<Statement, TemplateError> {
    let Written {
        effect: Effect::Allow,
        action,
        resource,
        condition,
    } = written;
    let of_template = |resource: Value| {
        let problem = format!("{resource} is no resource of the template");
        resource_name(&resource, named).ok_or_else(|| unsupported(role, &problem))
    };
    let resources: Vec<String> = resource
        .into_vec()
        .into_iter()
        .map(of_template)
        .collect::<Result<_, _>>()?;
    let actions = action.into_vec();
    let (conditions, needed) = conditions(role, condition)?;
    if !conditions.is_empty() && resources.iter().any(|resource| resource.contains('/')) {
        return Err(unsupported(role, "LeadingKeys of an index are not understood"));
    }
    let on_attributes = conditions
        .iter()
        .any(|condition| condition.of == ConditionKey::Attributes);
    if on_attributes && actions != [NAMES_ATTRIBUTES] {
        return Err(unsupported(
            role,
            "Attributes of anything but UpdateItem are not understood",
        ));
    }
    Ok(Statement {
        function: function.to_owned(),
        number,
        actions,
        resources,
        conditions,
        needed,
    })
}

/// `!GetAtt Name.Arn` is `Name`; `!Sub "${Name.Arn}/index/by_due"` is `Name/index/by_due`; the ARN of a function whose name the
/// template gives is that function.
fn resource_name(resource: &Value, named: &BTreeMap<String, String>) -> Option<String> {
    if let Some((name, "Arn")) = attribute(resource) {
        return Some(name.to_owned());
    }
    let text = resource["Fn::Sub"].as_str()?;
    if let Some(name) = text.strip_prefix(FUNCTION_ARN) {
        return named.get(name).cloned();
    }
    let text = text.strip_prefix("${")?;
    let (name, rest) = text.split_once(".Arn}")?;
    let plain = |text: &str| !text.contains(['$', '*', '?']);
    (plain(name) && plain(rest)).then(|| format!("{name}{rest}"))
}

/// Name and attribute of a `Fn::GetAtt`.
fn attribute(value: &Value) -> Option<(&str, &str)> {
    match value["Fn::GetAtt"].as_array()?.as_slice() {
        [name, attribute] => Some((name.as_str()?, attribute.as_str()?)),
        _ => None,
    }
}

/// The conditions on values, and what a request must have at all.
fn conditions(
    role: &str,
    written: BTreeMap<String, BTreeMap<String, OneOrMany<String>>>,
) -> Result<(Vec<Condition>, Vec<ConditionKey>), TemplateError> {
    let (mut conditions, mut needed) = (Vec::new(), Vec::new());
    for (operator, keys) in written {
        let like = match operator.as_str() {
            "ForAllValues:StringEquals" => Some(false),
            "ForAllValues:StringLike" => Some(true),
            _ => None,
        };
        for (key, patterns) in keys {
            let of = ConditionKey::ALL.into_iter().find(|of| of.name() == key);
            let patterns = patterns.into_vec();
            if let ("Null", Some(of), [said]) = (operator.as_str(), of, patterns.as_slice())
                && said == "false"
            {
                needed.push(of);
                continue;
            }
            let (Some(like), Some(of)) = (like, of) else {
                let problem = format!("the condition {operator} of {key} is not understood");
                return Err(unsupported(role, &problem));
            };
            conditions.push(Condition { of, patterns, like });
        }
    }
    Ok((conditions, needed))
}

fn parse<'a, T: Deserialize<'a>>(resource: &str, value: &'a Value) -> Result<T, TemplateError> {
    T::deserialize(value).map_err(|source| TemplateError::Property {
        resource: resource.to_owned(),
        source,
    })
}

fn unsupported(resource: &str, problem: &str) -> TemplateError {
    TemplateError::Unsupported {
        resource: resource.to_owned(),
        problem: problem.to_owned(),
    }
}
