//! What a schema may cost before it is compiled: tenants write schemas, and each event of theirs runs through them. Every
//! value of the schema is counted as often as references lead to it, so that neither compiling nor checking can explode.
//! Decides nothing about payloads.

use redial_domain::Invalid;
use serde_json::{Map, Value};

/// Largest schema, in bytes of JSON. docs/LIMITS.md.
pub const MAX_SCHEMA_BYTES: usize = 32 * 1024;
/// Deepest nesting of a schema, with its references written out. docs/LIMITS.md.
pub const MAX_SCHEMA_DEPTH: usize = 40;
/// Most values (objects, arrays, texts, numbers, ...) of a schema, with its references written out. docs/LIMITS.md.
pub const MAX_SCHEMA_VALUES: usize = 2_000;
/// Most patterns of a schema, with its references written out. docs/LIMITS.md.
pub const MAX_PATTERNS: usize = 20;
/// Most `unevaluatedProperties` and `unevaluatedItems`: each looks a second time at all that is beside it.
const MAX_UNEVALUATED: usize = 4;

/// The dialect of schemas.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Keywords that make a reference's target depend on more than its text.
const INDIRECT: [&str; 5] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$recursiveAnchor",
    "$recursiveRef",
];

/// What a schema consists of, with its references written out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) values: usize,
    pub(crate) patterns: usize,
    unevaluated: usize,
}

/// Measures a schema.
///
/// # Errors
/// [`Invalid`] with code `schema_invalid`, field `schema`, if it is larger than a schema may be or refers to anything but
/// a place within it.
pub(crate) fn measure(schema: &Value) -> Result<Size, Invalid> {
    let Value::Object(root) = schema else {
        return Err(refuse("must be an object"));
    };
    if schema.to_string().len() > MAX_SCHEMA_BYTES {
        return Err(refuse("may have at most 32 KiB"));
    }
    if root.get("$schema").is_some_and(|dialect| !is_dialect(dialect)) {
        return Err(refuse(format!("$schema must be {DIALECT}, or absent")));
    }
    let mut walk = Walk {
        root: schema,
        size: Size::default(),
        within: vec!["#"],
    };
    walk.value(schema, 0)?;
    Ok(walk.size)
}

fn refuse(detail: impl Into<String>) -> Invalid {
    Invalid::new("schema_invalid", "schema", detail.into())
}

fn is_dialect(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim_end_matches('#') == DIALECT)
}

struct Walk<'a> {
    root: &'a Value,
    size: Size,
    /// The references that lead to where it is.
    within: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    // What stands below `const` or `enum` is no schema, but may be the name of a member: it is counted all the same.
    fn value(&mut self, value: &'a Value, depth: usize) -> Result<(), Invalid> {
        if depth > MAX_SCHEMA_DEPTH {
            let detail = format!("may be nested at most {MAX_SCHEMA_DEPTH} levels deep, references written out");
            return Err(refuse(detail));
        }
        self.size.values += 1;
        if self.size.values > MAX_SCHEMA_VALUES {
            let detail = format!("may have at most {MAX_SCHEMA_VALUES} values, references written out");
            return Err(refuse(detail));
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item, depth + 1)),
            Value::Object(members) => {
                self.keywords(members, depth)?;
                members.values().try_for_each(|member| self.value(member, depth + 1))
            }
            _ => Ok(()),
        }
    }

    fn keywords(&mut self, members: &'a Map<String, Value>, depth: usize) -> Result<(), Invalid> {
        let texts = members
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        for (name, text) in texts {
            if INDIRECT.contains(&name) || (depth > 0 && matches!(name, "$id" | "$schema")) {
                return Err(refuse(format!(
                    "may not use {name} here; refer with $ref to #/$defs/..."
                )));
            }
            if name == "pattern" || (name == "format" && text == "regex") {
                self.size.patterns += 1;
            }
            if name == "$ref" {
                self.reference(text, depth)?;
            }
        }
        let patterns = members.get("patternProperties").and_then(Value::as_object);
        self.size.patterns += patterns.map_or(0, Map::len);
        let unevaluated = ["unevaluatedItems", "unevaluatedProperties"];
        self.size.unevaluated += unevaluated.iter().filter(|name| members.contains_key(**name)).count();
        if self.size.patterns > MAX_PATTERNS {
            let detail = format!("may have at most {MAX_PATTERNS} patterns, references written out");
            return Err(refuse(detail));
        }
        if self.size.unevaluated > MAX_UNEVALUATED {
            let detail = format!("may use unevaluatedProperties and unevaluatedItems at most {MAX_UNEVALUATED} times");
            return Err(refuse(detail));
        }
        Ok(())
    }

    fn reference(&mut self, target: &'a str, depth: usize) -> Result<(), Invalid> {
        let pointer = target.strip_prefix('#').filter(|p| p.is_empty() || p.starts_with('/'));
        // Percent-encoding would let one place have many names.
        let Some(pointer) = pointer.filter(|p| !p.contains('%')) else {
            return Err(refuse("a $ref must lead to a place within the schema, as #/$defs/..."));
        };
        let Some(found) = self.root.pointer(pointer) else {
            return Err(refuse("a $ref leads to nothing"));
        };
        if self.within.contains(&target) {
            return Err(refuse("may not refer to itself: what it costs would have no bound"));
        }
        self.within.push(target);
        self.value(found, depth + 1)?;
        self.within.pop();
        Ok(())
    }
}
