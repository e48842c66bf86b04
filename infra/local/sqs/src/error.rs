//! What a call can fail with, and the names that AWS gives to it on the wire.
//! Never names a file, a path or an internal state to a client.

use std::sync::Arc;

use crate::journal::JournalError;

/// An error of a queue call. The texts are what AWS answers, as far as it is known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SqsError {
    /// No queue of that name or URL.
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    /// A queue of that name has other attributes.
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueNameExists(String),
    /// An attribute that SQS, or this server, does not have.
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    /// An attribute out of its bounds.
    #[error("Invalid value for the parameter {name}. Reason: {reason}")]
    InvalidAttributeValue {
        /// The attribute.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A parameter out of its bounds; the text is the whole answer.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// A required parameter is absent.
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(&'static str),
    /// A character that a message may not have.
    #[error(
        "Invalid binary character '#x{0:X}' was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
    )]
    InvalidMessageContents(u32),
    /// A receipt handle that this queue never gave.
    #[error("The input receipt handle is invalid.")]
    ReceiptHandleIsInvalid,
    /// The message is not in flight, so it has no visibility to change.
    #[error("The specified message isn't in flight.")]
    MessageNotInflight,
    /// The in-flight limit, answered to short polls only; a long poll just finds nothing.
    #[error("Too many messages in flight.")]
    OverLimit,
    /// A batch without entries.
    #[error("There should be at least one entry in the request.")]
    EmptyBatchRequest,
    /// A batch of more than [`crate::limits::BATCH_ENTRIES`].
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    /// Two entries of one batch with the same id.
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    /// An entry id with characters or a length that SQS refuses.
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    /// A batch of more than [`crate::limits::MESSAGE_BYTES`].
    #[error("Batch requests cannot be longer than 1048576 bytes. You have sent {0} bytes.")]
    BatchRequestTooLong(usize),
    /// A second purge within a minute.
    #[error("Only one PurgeQueue operation is allowed every 60 seconds.")]
    PurgeQueueInProgress,
    /// Something that SQS can do and this server cannot.
    #[error("{0}")]
    UnsupportedOperation(&'static str),
    /// The queue of a move task does not exist.
    #[error("The resource that you specified for the {0} parameter doesn't exist.")]
    ResourceNotFound(&'static str),
    /// An action that this server does not have.
    #[error("The action {0} is not valid for this endpoint.")]
    UnknownOperation(String),
    /// The request is not the JSON that the action takes.
    #[error("The request could not be read: {0}")]
    Malformed(Arc<serde_json::Error>),
    /// The journal failed: nothing more is accepted, nothing unwritten was acknowledged.
    #[error("The request processing has failed because of an unknown error, exception or failure.")]
    Unavailable(#[source] Arc<JournalError>),
    /// The server was closed.
    #[error("The queue server is shutting down.")]
    Closed,
}

impl SqsError {
    /// The code of the query protocol: in `x-amzn-query-error` and in a batch's failed entries.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::QueueDoesNotExist => "AWS.SimpleQueueService.NonExistentQueue",
            Self::QueueNameExists(_) => "QueueAlreadyExists",
            Self::InvalidAttributeName(_) => "InvalidAttributeName",
            Self::InvalidAttributeValue { .. } => "InvalidAttributeValue",
            Self::InvalidParameterValue(_) => "InvalidParameterValue",
            Self::MissingParameter(_) => "MissingParameter",
            Self::InvalidMessageContents(_) => "InvalidMessageContents",
            Self::ReceiptHandleIsInvalid => "ReceiptHandleIsInvalid",
            Self::MessageNotInflight => "AWS.SimpleQueueService.MessageNotInflight",
            Self::OverLimit => "OverLimit",
            Self::EmptyBatchRequest => "AWS.SimpleQueueService.EmptyBatchRequest",
            Self::TooManyEntriesInBatchRequest(_) => "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            Self::BatchEntryIdsNotDistinct(_) => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            Self::InvalidBatchEntryId => "AWS.SimpleQueueService.InvalidBatchEntryId",
            Self::BatchRequestTooLong(_) => "AWS.SimpleQueueService.BatchRequestTooLong",
            Self::PurgeQueueInProgress => "AWS.SimpleQueueService.PurgeQueueInProgress",
            Self::UnsupportedOperation(_) => "AWS.SimpleQueueService.UnsupportedOperation",
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::UnknownOperation(_) => "InvalidAction",
            Self::Malformed(_) => "MalformedInput",
            Self::Unavailable(_) => "InternalFailure",
            Self::Closed => "ServiceUnavailable",
        }
    }

    /// The `__type` of the JSON protocol: the name of the error's shape.
    #[must_use]
    pub fn json_type(&self) -> String {
        let shape = match self {
            Self::QueueNameExists(_) => "QueueNameExists",
            Self::QueueDoesNotExist => "QueueDoesNotExist",
            Self::InvalidParameterValue(_) => {
                return "com.amazon.coral.service#InvalidParameterValueException".to_owned();
            }
            Self::MissingParameter(_) => return "com.amazon.coral.service#MissingParameterException".to_owned(),
            Self::UnknownOperation(_) => return "com.amazon.coral.service#UnknownOperationException".to_owned(),
            Self::Malformed(_) => return "com.amazon.coral.service#SerializationException".to_owned(),
            Self::Unavailable(_) => return "com.amazon.coral.service#InternalFailure".to_owned(),
            Self::Closed => return "com.amazon.coral.service#ServiceUnavailableException".to_owned(),
            other => {
                let code = other.code();
                code.rsplit('.').next().unwrap_or(code)
            }
        };
        format!("com.amazonaws.sqs#{shape}")
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unavailable(_) => 500,
            Self::Closed => 503,
            _ => 400,
        }
    }

    /// Whether the caller is to blame, as a failed batch entry tells.
    #[must_use]
    pub fn is_sender_fault(&self) -> bool {
        self.status() < 500
    }
}

/// The error for a message over a size limit.
pub(crate) fn too_long(limit_bytes: usize) -> SqsError {
    SqsError::InvalidParameterValue(format!(
        "One or more parameters are invalid. Reason: Message must be shorter than {limit_bytes} bytes."
    ))
}
