//! What a table is to look like, and whether one that is there looks like it. Only values: makes no call.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    KeySchemaElement, KeyType, ProjectionType, ScalarAttributeType, TableDescription as Found,
};

/// A table as `template.yaml` describes it. Capacity and protection have no meaning on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDescription {
    /// 3 to 255 characters.
    pub name: String,
    /// The primary key.
    pub key: Key,
    /// The global secondary indexes.
    pub indexes: Vec<IndexDescription>,
    /// The attribute that holds the time of expiry, in seconds since the Unix epoch; none: items do not expire.
    pub ttl_attribute: Option<String>,
}

/// A global secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexDescription {
    /// 3 to 255 characters.
    pub name: String,
    /// The index's key. Items without one of its attributes are not in the index.
    pub key: Key,
    /// What the index holds besides the keys.
    pub projection: Projection,
}

/// A partition key and, where there is one, a sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The `HASH` element.
    pub partition: Attribute,
    /// The `RANGE` element.
    pub sort: Option<Attribute>,
}

/// A key attribute with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name in the items.
    pub name: String,
    /// Its type in the items.
    pub kind: AttributeKind,
}

/// The types that a key attribute can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeKind {
    /// `S`
    String,
    /// `N`
    Number,
    /// `B`
    Binary,
}

/// What an index holds besides the keys of table and index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// Nothing.
    KeysOnly,
    /// These attributes.
    Include(Vec<String>),
    /// The whole item.
    All,
}

pub(super) fn scalar(kind: AttributeKind) -> ScalarAttributeType {
    match kind {
        AttributeKind::String => ScalarAttributeType::S,
        AttributeKind::Number => ScalarAttributeType::N,
        AttributeKind::Binary => ScalarAttributeType::B,
    }
}

/// The types of the key attributes of a table, by name.
pub(super) fn found_types(found: &Found) -> BTreeMap<&str, &ScalarAttributeType> {
    found
        .attribute_definitions()
        .iter()
        .map(|a| (a.attribute_name.as_str(), &a.attribute_type))
        .collect()
}

/// A key in the order partition, sort: the name and type of each attribute.
pub(super) fn found_key(
    schema: Option<&[KeySchemaElement]>,
    types: &BTreeMap<&str, &ScalarAttributeType>,
) -> Vec<(String, Option<ScalarAttributeType>)> {
    let mut elements: Vec<_> = schema.unwrap_or_default().iter().collect();
    elements.sort_by_key(|element| element.key_type != KeyType::Hash);
    let typed = |name: &str| types.get(name).map(|kind| (*kind).clone());
    elements
        .into_iter()
        .map(|e| (e.attribute_name.clone(), typed(&e.attribute_name)))
        .collect()
}

pub(super) fn described_key(key: &Key) -> Vec<(String, Option<ScalarAttributeType>)> {
    std::iter::once(&key.partition)
        .chain(&key.sort)
        .map(|a| (a.name.clone(), Some(scalar(a.kind))))
        .collect()
}

pub(super) fn is_same_projection(found: Option<&aws_sdk_dynamodb::types::Projection>, described: &Projection) -> bool {
    let Some(found) = found else { return false };
    match (&found.projection_type, described) {
        (Some(ProjectionType::All), Projection::All) | (Some(ProjectionType::KeysOnly), Projection::KeysOnly) => true,
        (Some(ProjectionType::Include), Projection::Include(described)) => {
            let sorted = |names: &[String]| {
                let mut names = names.to_vec();
                names.sort();
                names
            };
            sorted(found.non_key_attributes()) == sorted(described)
        }
        _ => false,
    }
}
