//! What of a document holds with the defaults of its parameters: conditions are decided, `Fn::If` is replaced by the branch that
//! is taken, what is `AWS::NoValue` or has a condition that does not hold is left out. Knows nothing about resources, and must
//! never guess: a function that it does not know, in a condition, is an error.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The reference that takes away what it is the value of.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html>
const NO_VALUE: &str = "AWS::NoValue";

/// What a part of the document needs and nobody gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndecidedError {
    /// A parameter without a default.
    #[error("parameter {0} has no default")]
    NoDefault(String),
    /// A condition that the document does not have, or that needs itself.
    #[error("there is no condition {0}")]
    NoCondition(String),
    /// A function that conditions do not have here, or one with other arguments than it takes.
    #[error("{0} cannot be decided")]
    Function(String),
}

/// The conditions of a document and the defaults of its parameters.
pub(super) struct Choices<'a> {
    /// What each parameter is by default, if it is anything.
    pub(super) defaults: BTreeMap<&'a str, Option<Value>>,
    /// The conditions, as they are written.
    pub(super) conditions: &'a BTreeMap<String, Value>,
}

impl Choices<'_> {
    /// Whether a condition holds.
    ///
    /// # Errors
    /// [`UndecidedError`] says what it needs.
    pub(super) fn holds(&self, condition: &str) -> Result<bool, UndecidedError> {
        self.named(condition, self.conditions.len())
    }

    /// A value as it is with the defaults; none if it is `AWS::NoValue`.
    ///
    /// # Errors
    /// [`UndecidedError`] says what it needs.
    pub(super) fn resolve(&self, value: Value) -> Result<Option<Value>, UndecidedError> {
        match value {
            Value::Array(values) => {
                let resolved = values.into_iter().filter_map(|value| self.resolve(value).transpose());
                Ok(Some(Value::Array(resolved.collect::<Result<_, _>>()?)))
            }
            Value::Object(fields) => self.resolve_object(fields),
            value => Ok(Some(value)),
        }
    }

    fn resolve_object(&self, fields: Map<String, Value>) -> Result<Option<Value>, UndecidedError> {
        match single(&fields) {
            Some(("Ref", Value::String(name))) if name == NO_VALUE => return Ok(None),
            Some(("Ref", Value::String(name))) => {
                if let Some(default) = self.defaults.get(name.as_str()) {
                    let default = default.clone();
                    return default.ok_or_else(|| UndecidedError::NoDefault(name.clone())).map(Some);
                }
            }
            Some(("Fn::If", Value::Array(arguments))) => {
                let [Value::String(condition), taken, other] = arguments.as_slice() else {
                    return Err(UndecidedError::Function("Fn::If".to_owned()));
                };
                let branch = if self.holds(condition)? { taken } else { other };
                return self.resolve(branch.clone());
            }
            _ => {}
        }
        let resolved = fields
            .into_iter()
            .filter_map(|(name, value)| Some(self.resolve(value).transpose()?.map(|value| (name, value))));
        Ok(Some(Value::Object(resolved.collect::<Result<_, _>>()?)))
    }

    /// `depth`: how many conditions may still need one another; a circle needs more.
    fn named(&self, name: &str, depth: usize) -> Result<bool, UndecidedError> {
        let missing = || UndecidedError::NoCondition(name.to_owned());
        let condition = self.conditions.get(name).ok_or_else(missing)?;
        self.decide(condition, depth.checked_sub(1).ok_or_else(missing)?)
    }

    fn decide(&self, condition: &Value, depth: usize) -> Result<bool, UndecidedError> {
        let unknown = || UndecidedError::Function(condition.to_string());
        let (function, argument) = condition.as_object().and_then(single).ok_or_else(unknown)?;
        match (function, argument) {
            ("Condition", Value::String(name)) => self.named(name, depth),
            ("Fn::Not", Value::Array(conditions)) => match conditions.as_slice() {
                [condition] => Ok(!self.decide(condition, depth)?),
                _ => Err(unknown()),
            },
            ("Fn::And", Value::Array(conditions)) => conditions
                .iter()
                .try_fold(true, |all, condition| Ok(all && self.decide(condition, depth)?)),
            ("Fn::Or", Value::Array(conditions)) => conditions
                .iter()
                .try_fold(false, |any, condition| Ok(any || self.decide(condition, depth)?)),
            ("Fn::Equals", Value::Array(values)) => match values.as_slice() {
                [left, right] => Ok(self.text(left)? == self.text(right)?),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }

    /// What conditions compare: every parameter is a text for `CloudFormation`, a number too.
    fn text(&self, value: &Value) -> Result<String, UndecidedError> {
        let unknown = || UndecidedError::Function(value.to_string());
        match self.resolve(value.clone())?.ok_or_else(unknown)? {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Object(fields) => match single(&fields) {
                Some(("Fn::Join", Value::Array(arguments))) => match arguments.as_slice() {
                    [Value::String(between), Value::Array(parts)] => {
                        let parts: Result<Vec<String>, _> = parts.iter().map(|part| self.text(part)).collect();
                        Ok(parts?.join(between))
                    }
                    _ => Err(unknown()),
                },
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

/// The one field of an object that has one: a function and its argument.
fn single(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut all = fields.iter();
    let (name, value) = all.next()?;
    all.next().is_none().then_some((name.as_str(), value))
}
