//! The files of tests/data: items in DynamoDB's own JSON, messages as their bodies. Compares them with what is written
//! today: what was written once is written still, and more beside it is allowed.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use redial_platform::blob;
use serde_json::{Value, json};

pub type Item = HashMap<String, AttributeValue>;

/// A file of tests/data.
pub fn path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "data", file].iter().collect()
}

pub fn read(file: &str) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// An item as DynamoDB writes it. Bytes stand in hexadecimal: base64 would need a crate for nothing else.
pub fn to_json(item: &Item) -> Value {
    let attributes = item.iter().map(|(name, value)| (name.clone(), value_to_json(value)));
    Value::Object(attributes.collect())
}

fn value_to_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::B(bytes) => {
            let hex: String = bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex })
        }
        AttributeValue::L(list) => json!({ "L": list.iter().map(value_to_json).collect::<Vec<_>>() }),
        other => panic!("Redial writes no {other:?}"),
    }
}

/// An item of a file.
pub fn from_json(item: &Value) -> Item {
    let attributes = item.as_object().unwrap().iter();
    attributes
        .map(|(name, value)| (name.clone(), value_from_json(value)))
        .collect()
}

fn value_from_json(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = || value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "hex" => AttributeValue::B(Blob::new(bytes(&text()))),
        "L" => AttributeValue::L(value.as_array().unwrap().iter().map(value_from_json).collect()),
        other => panic!("no attribute is a {other}"),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

/// What a value says, however it is packed: packed text unpacked, JSON in a text parsed. A library may pack better.
fn meaning(value: &Value) -> Value {
    if let Some(hex) = value.get("hex").and_then(Value::as_str) {
        let bytes = bytes(hex);
        let text = blob::unpack(&bytes).ok().and_then(|text| String::from_utf8(text).ok());
        return text.map_or_else(|| value.clone(), |text| json!({ "packed": parsed(&text) }));
    }
    match value.get("S").and_then(Value::as_str) {
        Some(text) => json!({ "S": parsed(text) }),
        None => value.clone(),
    }
}

fn parsed(text: &str) -> Value {
    let value = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Fails unless `now` says everything that `then` said; it may say more.
pub fn assert_says_still(name: &str, then: &Value, now: &Value) {
    let (then, now) = (meaning(then), meaning(now));
    let Value::Object(members) = &then else {
        assert_eq!(
            then, now,
            "{name} changed: raise the number of its form, or write it as before (docs/UPGRADING.md)"
        );
        return;
    };
    for (member, value) in members {
        let path = format!("{name}.{member}");
        let still = now
            .get(member)
            .unwrap_or_else(|| panic!("{path} is no longer written (docs/UPGRADING.md)"));
        assert_says_still(&path, value, still);
    }
}
