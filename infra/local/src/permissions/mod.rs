//! What the roles of `template.yaml` grant to each function, and a gate that lets nothing else through. On in every test,
//! so that what is denied on AWS is denied there; a local run needs none, its functions are one process.
//!
//! Only what the roles' own policies say is granted: a managed policy is for what Lambda itself does, and a call of a
//! function that only such a policy would allow is denied here.

mod attributes;
mod gate;
mod request;
mod role;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::template::{BUILT_IN, TemplateError, document};

pub(crate) use gate::Guarded;
pub use gate::{Caller, Gate};
pub(crate) use request::Api;

/// What a function asked for: one action on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The function, by its name in the template.
    pub function: String,
    /// The action as IAM names it: `dynamodb:PutItem`.
    pub action: String,
    /// The resource, by its name in the template; an index as `Table/index/name`.
    pub resource: String,
    /// The partition keys that it reads or writes: `dynamodb:LeadingKeys`.
    pub keys: BTreeSet<String>,
    /// The attributes that an `UpdateItem` names, those of its key too: `dynamodb:Attributes`. Of other actions none are
    /// told, and no condition on them is understood.
    pub attributes: BTreeSet<String>,
}

/// One thing that a statement of a role grants: an action on a resource, or a pattern of partition keys or attributes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The function.
    pub function: String,
    /// The statement of its role, from 0.
    pub statement: usize,
    /// The action; of a pattern, `dynamodb:LeadingKeys` or `dynamodb:Attributes` with the pattern.
    pub action: String,
    /// The resource.
    pub resource: String,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.function, self.action, self.resource)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {:?}", self.function, self.action, self.resource, self.keys)
    }
}

/// A statement of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    function: String,
    /// Its place in the role.
    number: usize,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
    /// What a request must have at all: `Null` with `false`.
    needed: Vec<ConditionKey>,
}

/// A condition `ForAllValues`: each of the values that a request has of it must match one of the patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    of: ConditionKey,
    patterns: Vec<String>,
    /// True if `*` and `?` stand for others.
    like: bool,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConditionKey {
    /// The partition keys of a request.
    LeadingKeys,
    /// The attributes that it names.
    Attributes,
}

impl ConditionKey {
    const ALL: [Self; 2] = [Self::LeadingKeys, Self::Attributes];

    /// Its name in IAM.
    const fn name(self) -> &'static str {
        match self {
            Self::LeadingKeys => "dynamodb:LeadingKeys",
            Self::Attributes => "dynamodb:Attributes",
        }
    }

    /// What a request has of it.
    const fn values(self, call: &Call) -> &BTreeSet<String> {
        match self {
            Self::LeadingKeys => &call.keys,
            Self::Attributes => &call.attributes,
        }
    }
}

impl Condition {
    fn matching(&self, value: &str) -> Option<&String> {
        let matches = |pattern: &&String| {
            if self.like {
                is_like(pattern.as_bytes(), value.as_bytes())
            } else {
                pattern.as_str() == value
            }
        };
        self.patterns.iter().find(matches)
    }

    /// As `ForAllValues` says: a request without values meets every condition on them.
    fn is_met(&self, call: &Call) -> bool {
        self.of.values(call).iter().all(|value| self.matching(value).is_some())
    }
}

/// IAM's `StringLike`: `*` is any text, `?` any character.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skipped| is_like(rest, &text[skipped..])),
        ([b'?', pattern @ ..], [_, text @ ..]) => is_like(pattern, text),
        ([p, pattern @ ..], [t, text @ ..]) => p == t && is_like(pattern, text),
        _ => false,
    }
}

impl Statement {
    fn grants(&self, call: &Call) -> bool {
        self.function == call.function
            && self.actions.contains(&call.action)
            && self.resources.contains(&call.resource)
            && self.conditions.iter().all(|condition| condition.is_met(call))
            && self.needed.iter().all(|key| !key.values(call).is_empty())
    }

    fn grant(&self, action: String, resource: &str) -> Grant {
        Grant {
            function: self.function.clone(),
            statement: self.number,
            action,
            resource: resource.to_owned(),
        }
    }

    fn pattern(&self, condition: &Condition, pattern: &str) -> Grant {
        let action = format!("{} {pattern}", condition.of.name());
        self.grant(action, &self.resources.join(" "))
    }

    fn all(&self) -> BTreeSet<Grant> {
        let of_resource = |resource: &String| {
            let resource = resource.clone();
            let actions = self.actions.iter();
            actions.map(move |action| self.grant(action.clone(), &resource))
        };
        let patterns = self.conditions.iter().flat_map(|condition| {
            let patterns = condition.patterns.iter();
            patterns.map(move |pattern| self.pattern(condition, pattern))
        });
        self.resources.iter().flat_map(of_resource).chain(patterns).collect()
    }

    /// What of it a call needs that it grants.
    fn needed(&self, call: &Call) -> BTreeSet<Grant> {
        let patterns = self.conditions.iter().flat_map(|condition| {
            let matching = condition
                .of
                .values(call)
                .iter()
                .filter_map(|value| condition.matching(value));
            matching.map(move |pattern| self.pattern(condition, pattern))
        });
        let action = self.grant(call.action.clone(), &call.resource);
        patterns.chain([action]).collect()
    }
}

/// What every function may do.
#[derive(Debug, Clone)]
pub struct Permissions {
    statements: Vec<Statement>,
    /// Tables with the name of their partition key.
    partition_keys: BTreeMap<String, String>,
}

impl Permissions {
    /// Those of the template that this program was built with.
    ///
    /// # Errors
    /// [`TemplateError`] as [`Permissions::read`].
    pub fn built_in() -> Result<Self, TemplateError> {
        Self::read(BUILT_IN)
    }

    /// Those of a template.
    ///
    /// # Errors
    /// [`TemplateError`] names what is not understood: a function without a role of the template, a statement that
    /// denies, a resource that is not one of the template's, an unknown condition.
    pub fn read(yaml: &str) -> Result<Self, TemplateError> {
        // What it includes watches; roles and tables are in the template itself, or not understood.
        let resources = document::resources(yaml, |_| Ok("{}".to_owned()))?;
        Ok(Self {
            statements: role::statements(&resources)?,
            partition_keys: role::partition_keys(&resources),
        })
    }

    /// True if the role of the calling function grants the call.
    #[must_use]
    pub fn allow(&self, call: &Call) -> bool {
        self.statements.iter().any(|statement| statement.grants(call))
    }

    /// Everything that is granted.
    #[must_use]
    pub fn grants(&self) -> BTreeSet<Grant> {
        self.statements.iter().flat_map(Statement::all).collect()
    }

    /// What of it none of these calls needs.
    #[must_use]
    pub fn unused(&self, calls: &BTreeSet<Call>) -> BTreeSet<Grant> {
        let used = |call| {
            self.statements
                .iter()
                .find(|statement| statement.grants(call))
                .map(|s| s.needed(call))
        };
        let used: BTreeSet<Grant> = calls.iter().filter_map(used).flatten().collect();
        self.grants().difference(&used).cloned().collect()
    }

    /// Which of these calls are not granted.
    #[must_use]
    pub fn denied(&self, calls: &BTreeSet<Call>) -> BTreeSet<Call> {
        calls.iter().filter(|call| !self.allow(call)).cloned().collect()
    }

    /// The same without one of its grants.
    #[must_use]
    pub fn without(&self, grant: &Grant) -> Self {
        let mut less = self.clone();
        less.statements = less
            .statements
            .into_iter()
            .flat_map(|statement| without(statement, grant))
            .collect();
        less
    }

    /// The partition key of a table.
    fn partition_key(&self, table: &str) -> Option<&str> {
        self.partition_keys.get(table).map(String::as_str)
    }
}

/// A statement without a grant, as the statements that are left: one for each resource, since an action may go for one of
/// them only.
fn without(statement: Statement, grant: &Grant) -> Vec<Statement> {
    if !statement.all().contains(grant) {
        return vec![statement];
    }
    let mut left = statement.clone();
    for (condition, less) in statement.conditions.iter().zip(&mut left.conditions) {
        less.patterns
            .retain(|pattern| statement.pattern(condition, pattern) != *grant);
    }
    let of_resource = |resource: &String| {
        let stays = |action: &&String| statement.grant((*action).clone(), resource) != *grant;
        Statement {
            actions: statement.actions.iter().filter(stays).cloned().collect(),
            resources: vec![resource.clone()],
            ..left.clone()
        }
    };
    statement.resources.iter().map(of_resource).collect()
}
