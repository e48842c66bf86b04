//! What all batches have in common: the checks of their entries' ids, and an answer per entry.
//! A bad entry never fails its neighbours; a bad batch fails whole, before anything is done.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::SqsError;
use crate::limits;

/// A batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchRequest<T> {
    pub(super) queue_url: Option<String>,
    #[serde(default = "Vec::new")]
    pub(super) entries: Vec<T>,
}

/// The answer of a batch.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchAnswer<T> {
    successful: Vec<T>,
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    id: String,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

/// An entry that went well and has nothing more to say.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Plain {
    id: String,
}

impl Plain {
    pub(super) fn new(id: String, (): ()) -> Self {
        Self { id }
    }
}

/// Checks the ids: one to ten, well formed, distinct.
pub(super) fn check_ids<'a>(ids: impl ExactSizeIterator<Item = Option<&'a str>>) -> Result<(), SqsError> {
    match ids.len() {
        0 => return Err(SqsError::EmptyBatchRequest),
        n if n > limits::BATCH_ENTRIES => return Err(SqsError::TooManyEntriesInBatchRequest(n)),
        _ => {}
    }
    let mut seen = HashSet::new();
    for id in ids {
        let id = id.ok_or(SqsError::MissingParameter("Id"))?;
        if !limits::is_name(id) {
            return Err(SqsError::InvalidBatchEntryId);
        }
        if !seen.insert(id) {
            return Err(SqsError::BatchEntryIdsNotDistinct(id.to_owned()));
        }
    }
    Ok(())
}

/// Sorts the entries' outcomes into the answer.
pub(super) fn answer<V, T>(
    outcomes: impl IntoIterator<Item = (String, Result<V, SqsError>)>,
    done: impl Fn(String, V) -> T,
) -> BatchAnswer<T> {
    let mut answer = BatchAnswer {
        successful: Vec::new(),
        failed: Vec::new(),
    };
    for (id, outcome) in outcomes {
        match outcome {
            Ok(value) => answer.successful.push(done(id, value)),
            Err(error) => answer.failed.push(Failed {
                id,
                sender_fault: error.is_sender_fault(),
                code: error.code(),
                message: error.to_string(),
            }),
        }
    }
    answer
}
