//! JSON Schema 2020-12 of event types: compiled once, checked against what platforms post. Never fetches anything, and
//! never lets a schema cost more than its limits: tenants write schemas. What it says of a payload holds no values of it.

mod bounds;
mod schemas;

use jsonschema::{Draft, PatternOptions, Validator};
use redial_domain::Invalid;
use redial_domain::misfit::{MAX_MISFITS, Misfit};
use serde_json::Value;

use bounds::Size;
pub use bounds::{MAX_PATTERNS, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, MAX_SCHEMA_VALUES};
pub use schemas::Schemas;

/// Bytes that one compiled pattern may take; what it costs to match grows with them. docs/LIMITS.md.
const PATTERN_BYTES: usize = 32 * 1024;
/// Bytes that one pattern may take while it is matched, twice: forwards and backwards.
const PATTERN_STATES_BYTES: usize = 256 * 1024;
/// Compiled, a value of a schema takes about so many bytes.
const BYTES_PER_VALUE: usize = 1024;
/// Values of the schema times values of the payload up to which each misfit is looked for: the validator makes a list of all
/// of them before the first can be seen, several hundred bytes each.
const MAX_LISTED_STEPS: usize = 500_000;
/// Values of the schema times values of the payload up to which a payload is checked at all: half a second of a whole
/// processor at worst, as measured with the worst schemas that we know.
const MAX_STEPS: usize = 100_000_000;
/// Patterns of the schema times bytes of the payload's texts up to which a payload is checked at all: a second of a whole
/// processor at worst.
const MAX_MATCHED_BYTES: usize = 1024 * 1024;

/// A payload is too large for its schema: to check it could take more than the second that it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the schema has too many values or patterns for data as large as this: simplify it")]
pub struct TooCostly;

/// A schema, compiled.
#[derive(Debug)]
pub struct EventSchema {
    validator: Validator,
    size: Size,
}

impl EventSchema {
    /// Compiles a schema. References reach within it only and never in a circle; patterns are matched in time that grows
    /// linearly with the text, so those with look-around or back-references are refused.
    ///
    /// # Errors
    /// [`Invalid`] with code `schema_invalid`, field `schema`.
    pub fn compile(schema: &Value) -> Result<Self, Invalid> {
        let size = bounds::measure(schema)?;
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_STATES_BYTES);
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .should_validate_formats(true)
            .offline();
        let validator = options.build(schema).map_err(|error| {
            let place = error.instance_path().as_str();
            let place = if place.is_empty() { "the schema" } else { place };
            Invalid::new("schema_invalid", "schema", format!("{place}: {}", error.masked()))
        })?;
        Ok(Self { validator, size })
    }

    /// What is wrong with `data`, at most [`MAX_MISFITS`]; empty: it fits.
    ///
    /// # Errors
    /// [`TooCostly`] if to find out could take too long.
    pub fn misfits(&self, data: &Value) -> Result<Vec<Misfit>, TooCostly> {
        let extent = Extent::of(data);
        let steps = self.size.values * extent.values;
        if steps > MAX_STEPS || self.size.patterns * extent.text_bytes > MAX_MATCHED_BYTES {
            return Err(TooCostly);
        }
        // Most events fit: the way that only says so is quicker, and keeps nothing in memory.
        if self.validator.is_valid(data) {
            return Ok(Vec::new());
        }
        if steps > MAX_LISTED_STEPS {
            let detail = "does not fit its schema, and is too large to say where";
            return Ok(vec![Misfit::new("", "", detail)]);
        }
        let errors = self.validator.iter_errors(data).take(MAX_MISFITS);
        let misfits = errors.map(|error| {
            let (path, rule) = (error.instance_path().as_str(), error.schema_path().as_str());
            Misfit::new(path, rule, &error.masked().to_string())
        });
        Ok(misfits.collect())
    }

    /// About how many bytes it keeps in memory, at most.
    const fn memory_bytes(&self) -> usize {
        let pattern_bytes = PATTERN_BYTES + 2 * PATTERN_STATES_BYTES;
        self.size.values * BYTES_PER_VALUE + self.size.patterns * pattern_bytes
    }
}

/// How much there is of a payload.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    values: usize,
    /// Of its texts, names of members included.
    text_bytes: usize,
}

impl Extent {
    fn of(data: &Value) -> Self {
        let mut extent = Self::default();
        extent.add(data);
        extent
    }

    // As deep as an event may be nested.
    fn add(&mut self, data: &Value) {
        self.values += 1;
        match data {
            Value::String(text) => self.text_bytes += text.len(),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(members) => {
                for (name, member) in members {
                    self.text_bytes += name.len();
                    self.add(member);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
