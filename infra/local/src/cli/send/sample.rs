//! A sample event, made from the catalogue's example. Never reads a server.

use std::collections::BTreeMap;
use std::path::PathBuf;

use redial_domain::catalogue::{self, EventType};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::SendArgs;
use super::source::{Mint, Outgoing, raw};
use crate::cli::error::CliError;

/// Makes the event that `redial send TYPE` sends.
pub(super) fn make(args: &SendArgs, event_type: &str, tenant: &str, mint: &Mint) -> Result<Outgoing, CliError> {
    let known = catalogue::find(event_type);
    let data = match (&args.data, known) {
        (Some(text), _) => read_data(text)?,
        (None, Some(known)) => raw(&known.example)?,
        (None, None) => return Err(CliError::usage(unknown(event_type))),
    };
    let id = args.id.clone().unwrap_or_else(|| mint.id());
    let mut members: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    members.insert("id", raw(&id)?);
    members.insert("type", raw(&event_type)?);
    members.insert("tenant", raw(&tenant)?);
    members.insert("data", data);
    if let Some(agent) = &args.agent {
        members.insert("agent", raw(agent)?);
    }
    // The ids in the example's links belong to the example's data.
    let example = known.filter(|_| args.data.is_none());
    if let Some(links) = example.and_then(|example| example.links.as_ref()) {
        members.insert("links", raw(links)?);
    }
    let related = related(args, example)?;
    if !related.is_empty() {
        members.insert("related", raw(&related)?);
    }
    Ok(Outgoing {
        id: Some(id),
        json: raw(&members)?,
    })
}

/// What the sample is related to: as the example is whose data it has, then as the arguments say.
fn related(args: &SendArgs, example: Option<&EventType>) -> Result<Map<String, Value>, CliError> {
    let mut related = match example.and_then(|example| example.related.as_ref()) {
        Some(Value::Object(related)) => related.clone(),
        _ => Map::new(),
    };
    for (name, id) in &args.related {
        related.insert(name.clone(), json!(id));
    }
    if let Some(call) = &args.call {
        if args.related.iter().any(|(name, id)| name == "call_id" && id != call) {
            return Err(CliError::usage(
                "--call and --related call_id=... name two calls: give one of them",
            ));
        }
        related.insert("call_id".to_owned(), json!(call));
    }
    Ok(related)
}

/// JSON that is given as it is, or as `@` and a file.
///
/// # Errors
/// [`CliError`] if the file cannot be read, or holds no JSON.
pub(in crate::cli) fn read_data(text: &str) -> Result<Box<RawValue>, CliError> {
    let read = match text.strip_prefix('@') {
        None => text.to_owned(),
        Some(name) => {
            let path = PathBuf::from(name);
            std::fs::read_to_string(&path).map_err(|source| CliError::Read { path, source })?
        }
    };
    serde_json::from_str(&read).map_err(|e| CliError::usage(format!("--data is not JSON: {e}")))
}

fn unknown(event_type: &str) -> String {
    let names: Vec<&str> = catalogue::all().iter().map(|known| known.name.as_str()).collect();
    format!(
        "{event_type} is not in the catalogue, so there is no example of it: give its --data, or one of {}",
        names.join(", ")
    )
}
