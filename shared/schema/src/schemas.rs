//! Compiled schemas of an execution environment: each compiled at its first use and kept while there is room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use redial_domain::{Invalid, catalogue};
use serde_json::Value;

use crate::EventSchema;

/// Memory that the compiled schemas of tenants may take together, in bytes; beyond it they are compiled anew.
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;

/// Compiled schemas. Share one in a process.
#[derive(Debug, Default)]
pub struct Schemas {
    shipped: Mutex<HashMap<&'static str, Arc<EventSchema>>>,
    own: Mutex<Kept>,
}

/// Schemas of tenants by their text.
#[derive(Debug, Default)]
struct Kept {
    by_text: HashMap<Arc<str>, Arc<EventSchema>>,
    bytes: usize,
}

impl Schemas {
    /// The schema of a type that ships; `None` if it does not.
    ///
    /// # Errors
    /// None in practice: a test compiles every schema that ships.
    pub fn shipped(&self, name: &str) -> Result<Option<Arc<EventSchema>>, Invalid> {
        let Some(event_type) = catalogue::find(name) else {
            return Ok(None);
        };
        let mut kept = self.shipped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = kept.get(name) {
            return Ok(Some(Arc::clone(schema)));
        }
        let schema = Arc::new(EventSchema::compile(&event_type.schema)?);
        kept.insert(&event_type.name, Arc::clone(&schema));
        Ok(Some(schema))
    }

    /// A tenant's own schema, by its text: the same text is compiled once, however often its tenant's settings change.
    ///
    /// # Errors
    /// [`Invalid`] if it is no schema; then it could not have been stored.
    pub fn own(&self, text: &Arc<str>) -> Result<Arc<EventSchema>, Invalid> {
        let mut kept = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = kept.by_text.get(text) {
            return Ok(Arc::clone(schema));
        }
        let schema: Value =
            serde_json::from_str(text).map_err(|error| Invalid::new("schema_invalid", "schema", error.to_string()))?;
        let compiled = Arc::new(EventSchema::compile(&schema)?);
        let bytes = text.len() + compiled.memory_bytes();
        if kept.bytes + bytes > MAX_KEPT_BYTES {
            *kept = Kept::default();
        }
        kept.bytes += bytes;
        kept.by_text.insert(Arc::clone(text), Arc::clone(&compiled));
        Ok(compiled)
    }
}
