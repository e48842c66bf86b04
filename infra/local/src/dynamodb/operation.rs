//! The operations of the DynamoDB API that Redial may call: their names, whether they write, and how the engine runs
//! each on a JSON body. Blocking; never waits for the disk beyond what the engine itself does.

use std::fmt;

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::connector::Answer;

/// The error types that this file makes itself, as AWS names them.
const UNKNOWN_OPERATION: &str = "com.amazon.coral.service#UnknownOperationException";
const UNREADABLE: &str = "com.amazon.coral.service#SerializationException";
const INVALID: &str = "com.amazon.coral.validate#ValidationException";
const INTERNAL: &str = "com.amazonaws.dynamodb.v20120810#InternalServerError";

/// How AWS begins the message of a request refused by its validation, in single-item writes.
const VALIDATION_PREFIX: &str = "1 validation error detected: ";

/// First status that means that the storage failed, not the request.
const FIRST_SERVER_FAULT: u16 = 500;

/// An operation of the DynamoDB API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    DeleteItem,
    DeleteTable,
    DescribeTable,
    DescribeTimeToLive,
    GetItem,
    ListTables,
    ListTagsOfResource,
    PutItem,
    Query,
    Scan,
    TransactGetItems,
    TransactWriteItems,
    UpdateItem,
    UpdateTable,
    UpdateTimeToLive,
}

/// Why an operation has no result.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the request cannot be read")]
    Request(#[source] serde_json::Error),
    #[error("the result cannot be written as JSON")]
    Response(#[source] serde_json::Error),
    #[error(transparent)]
    Engine(#[from] DynoxideError),
}

impl Operation {
    /// The operation of this name, if it is one that is served here.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "BatchGetItem" => Self::BatchGetItem,
            "BatchWriteItem" => Self::BatchWriteItem,
            "CreateTable" => Self::CreateTable,
            "DeleteItem" => Self::DeleteItem,
            "DeleteTable" => Self::DeleteTable,
            "DescribeTable" => Self::DescribeTable,
            "DescribeTimeToLive" => Self::DescribeTimeToLive,
            "GetItem" => Self::GetItem,
            "ListTables" => Self::ListTables,
            "ListTagsOfResource" => Self::ListTagsOfResource,
            "PutItem" => Self::PutItem,
            "Query" => Self::Query,
            "Scan" => Self::Scan,
            "TransactGetItems" => Self::TransactGetItems,
            "TransactWriteItems" => Self::TransactWriteItems,
            "UpdateItem" => Self::UpdateItem,
            "UpdateTable" => Self::UpdateTable,
            "UpdateTimeToLive" => Self::UpdateTimeToLive,
            _ => return None,
        })
    }

    /// Whether it may change what is stored. Even a refusal counts: a batch can be refused half way.
    pub(super) const fn writes(self) -> bool {
        match self {
            Self::BatchWriteItem
            | Self::CreateTable
            | Self::DeleteItem
            | Self::DeleteTable
            | Self::PutItem
            | Self::TransactWriteItems
            | Self::UpdateItem
            | Self::UpdateTable
            | Self::UpdateTimeToLive => true,
            Self::BatchGetItem
            | Self::DescribeTable
            | Self::DescribeTimeToLive
            | Self::GetItem
            | Self::ListTables
            | Self::ListTagsOfResource
            | Self::Query
            | Self::Scan
            | Self::TransactGetItems => false,
        }
    }

    /// Runs the operation on the engine and answers as AWS would.
    pub(super) fn perform(self, db: &Database, body: &[u8]) -> Answer {
        match self.run(db, body) {
            Ok(json) => Answer::json(200, json),
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn run(self, db: &Database, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::BatchGetItem => through(body, |request| db.batch_get_item(request)),
            Self::BatchWriteItem => through(body, |request| db.batch_write_item(request)),
            Self::CreateTable => through(body, |request| db.create_table(request)),
            Self::DeleteItem => through(body, |request| db.delete_item(request)),
            Self::DeleteTable => through(body, |request| db.delete_table(request)),
            Self::DescribeTable => through(body, |request| db.describe_table(request)),
            Self::DescribeTimeToLive => through(body, |request| db.describe_time_to_live(request)),
            Self::GetItem => through(body, |request| db.get_item(request)),
            Self::ListTables => through(body, |request| db.list_tables(request)),
            Self::ListTagsOfResource => through(body, |request| db.list_tags_of_resource(request)),
            Self::PutItem => through(body, |request| db.put_item(request)),
            Self::Query => through(body, |request| db.query(request)),
            Self::Scan => through(body, |request| db.scan(request)),
            Self::TransactGetItems => through(body, |request| db.transact_get_items(request)),
            Self::TransactWriteItems => through(body, |request| db.transact_write_items(request)),
            Self::UpdateItem => through(body, |request| db.update_item(request)),
            Self::UpdateTable => through(body, |request| db.update_table(request)),
            Self::UpdateTimeToLive => through(body, |request| db.update_time_to_live(request)),
        }
    }

    fn refuse(self, refusal: Refusal) -> Answer {
        match refusal {
            Refusal::Request(error) if error.classify() == Category::Data => {
                Answer::error(400, INVALID, without_marker(&error.to_string()))
            }
            Refusal::Request(error) => Answer::error(400, UNREADABLE, &error.to_string()),
            Refusal::Response(error) => internal_error(&error.to_string()),
            Refusal::Engine(DynoxideError::EnvelopedValidation(text))
                if matches!(self, Self::PutItem | Self::UpdateItem | Self::DeleteItem) =>
            {
                Answer::error(400, INVALID, &format!("{VALIDATION_PREFIX}{text}"))
            }
            Refusal::Engine(error) => Answer::json(error.status_code(), error.to_json()),
        }
    }
}

/// The name in the API, which is the name here.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Reads the request, runs it, writes the result.
fn through<Q: DeserializeOwned, R: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<R, DynoxideError>,
) -> Result<Vec<u8>, Refusal> {
    let request = serde_json::from_slice(body).map_err(Refusal::Request)?;
    let result = operation(request)?;
    serde_json::to_vec(&result).map_err(Refusal::Response)
}

/// The engine's decoders put a class in capitals before their message (`VALIDATION:...`); a reader does without it.
fn without_marker(text: &str) -> &str {
    match text.split_once(':') {
        Some((marker, rest)) if marker.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') => rest,
        _ => text,
    }
}

/// The answer to a name that is no operation here.
pub(super) fn unknown_operation(name: &str) -> Answer {
    Answer::error(
        400,
        UNKNOWN_OPERATION,
        &format!("the operation {name:?} is not served here"),
    )
}

/// The answer when the storage failed. The SDK reports it as `InternalServerError`.
pub(super) fn internal_error(text: &str) -> Answer {
    Answer::error(FIRST_SERVER_FAULT, INTERNAL, text)
}

/// Whether this answer tells that the storage failed.
pub(super) const fn is_storage_failure(answer: &Answer) -> bool {
    answer.status >= FIRST_SERVER_FAULT
}
