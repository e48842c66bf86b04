//! Where events come from: a file or stdin, as JSON lines, a JSON array, one event or `{"events": [..]}`. Reads all of
//! it before anything is sent, so that a broken file sends nothing. The bytes of an event's `data` are kept.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use redial_platform::{Clock, Random};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::cli::error::CliError;

/// Largest input read, in bytes: it is held in memory.
const MAX_INPUT_BYTES: u64 = 1024 * 1024 * 1024;
/// What ids begin with that this command mints. Not Redial's own prefix: those ids tell where an event is stored.
const ID_PREFIX: &str = "cli_";

/// An event to send, with its id for the report.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    /// The event's id; `None` if what stands there is no text, which Redial will refuse.
    pub(super) id: Option<String>,
    /// The event, as it will be sent.
    pub(super) json: Box<RawValue>,
}

/// Either one event, or an envelope of many.
#[derive(Deserialize)]
struct Envelope {
    events: Vec<Box<RawValue>>,
}

/// Reads all events of a file, or of stdin if it is `-`. Events without a tenant get `tenant`, events without an id a
/// new one.
pub(super) fn read(path: &Path, tenant: Option<&str>, mint: &Mint) -> Result<Vec<Outgoing>, CliError> {
    let read = |source| CliError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin()
            .take(MAX_INPUT_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(read)?;
    } else {
        let file = std::fs::File::open(path).map_err(read)?;
        file.take(MAX_INPUT_BYTES + 1).read_to_string(&mut text).map_err(read)?;
    }
    if text.len() as u64 > MAX_INPUT_BYTES {
        return Err(CliError::usage(format!(
            "{} is larger than 1 GiB: send it in parts",
            path.display()
        )));
    }
    parse(&text, tenant, mint).map_err(|e| match e {
        CliError::Usage(what) => CliError::Usage(format!("{}: {what}; nothing was sent", path.display())),
        other => other,
    })
}

/// Reads the events of a text.
pub(super) fn parse(text: &str, tenant: Option<&str>, mint: &Mint) -> Result<Vec<Outgoing>, CliError> {
    let not_json = |e: serde_json::Error| CliError::usage(format!("not JSON: {e}"));
    let mut events: Vec<Box<RawValue>> = Vec::new();
    if text.trim_start().starts_with('[') {
        events = serde_json::from_str(text).map_err(not_json)?;
    } else {
        for value in serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>() {
            let value = value.map_err(not_json)?;
            match serde_json::from_str::<Envelope>(value.get()) {
                Ok(envelope) => events.extend(envelope.events),
                Err(_) => events.push(value),
            }
        }
    }
    if events.is_empty() {
        return Err(CliError::usage("no events in it"));
    }
    events.into_iter().map(|event| complete(event, tenant, mint)).collect()
}

/// Gives an event the id and the tenant that it lacks. What is no object stays as it is: Redial will refuse it.
fn complete(event: Box<RawValue>, tenant: Option<&str>, mint: &Mint) -> Result<Outgoing, CliError> {
    let Ok(mut members) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(event.get()) else {
        return Ok(Outgoing { id: None, json: event });
    };
    let mut changed = false;
    let lacks = |members: &BTreeMap<String, Box<RawValue>>, name: &str| {
        members.get(name).is_none_or(|value| value.get() == "null")
    };
    if lacks(&members, "id") {
        members.insert("id".to_owned(), raw(&mint.id())?);
        changed = true;
    }
    if let Some(tenant) = tenant.filter(|_| lacks(&members, "tenant")) {
        members.insert("tenant".to_owned(), raw(&tenant)?);
        changed = true;
    }
    let id = members.get("id").and_then(|id| serde_json::from_str(id.get()).ok());
    let json = if changed { raw(&members)? } else { event };
    Ok(Outgoing { id, json })
}

pub(super) fn raw(value: &impl Serialize) -> Result<Box<RawValue>, CliError> {
    to_raw_value(value).map_err(|e| CliError::usage(e.to_string()))
}

/// Makes ids for events that have none.
#[derive(Debug, Default)]
pub(super) struct Mint {
    pub(super) clock: Clock,
    pub(super) random: Random,
}

impl Mint {
    /// A new id: time first, so that ids sort as they were made, then 72 random bits.
    pub(super) fn id(&self) -> String {
        format!(
            "{ID_PREFIX}{:011x}{:018x}",
            self.clock.now().as_millis(),
            self.random.number() >> 56
        )
    }
}
