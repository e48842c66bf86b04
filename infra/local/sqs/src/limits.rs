//! The limits of SQS, each with its AWS name, and the checks that need nothing but a value.
//! Source: the SQS developer guide, "Amazon SQS quotas", and the API reference of each action.

use crate::error::SqsError;

/// Bytes of one message: body and attributes together; also of one batch. 1 MiB since August 2025.
pub const MESSAGE_BYTES: usize = 1_048_576;
/// The least `MaximumMessageSize` that a queue may be given.
pub const MESSAGE_BYTES_FLOOR: u32 = 1024;
/// Entries of one batch request, and messages of one receive.
pub const BATCH_ENTRIES: usize = 10;
/// Attributes of one message.
pub const MESSAGE_ATTRIBUTES: usize = 10;
/// Characters of an attribute's name and of its type.
pub const ATTRIBUTE_NAME_CHARS: usize = 256;
/// Characters of a queue's name and of a batch entry's id.
pub const NAME_CHARS: usize = 80;
/// Characters of a `MessageGroupId`.
pub const GROUP_CHARS: usize = 128;
/// Seconds that a message may be delayed.
pub const DELAY_S: u32 = 900;
/// Seconds that a receive may wait.
pub const WAIT_S: u32 = 20;
/// Seconds that a message may be invisible, counted from its receive.
pub const VISIBILITY_S: u32 = 43_200;
/// The default visibility timeout of a queue, in seconds.
pub const VISIBILITY_DEFAULT_S: u32 = 30;
/// The least retention, in seconds.
pub const RETENTION_FLOOR_S: u32 = 60;
/// The longest retention, in seconds: 14 days.
pub const RETENTION_S: u32 = 1_209_600;
/// The default retention, in seconds: 4 days.
pub const RETENTION_DEFAULT_S: u32 = 345_600;
/// The largest `maxReceiveCount`.
pub const MAX_RECEIVES: u32 = 1000;
/// Messages of one standard queue that may be in flight; beyond it a receive answers nothing.
pub const IN_FLIGHT: usize = 120_000;
/// Milliseconds between two purges of one queue.
pub const PURGE_INTERVAL_MS: i64 = 60_000;
/// Queues in one page of `ListQueues`.
pub const LISTED_QUEUES: usize = 1000;
/// Queues that a `byQueue` redrive allow policy may name.
pub const REDRIVE_SOURCES: usize = 10;

/// A fair queue holds a group for noisy from this many messages in flight ("How Amazon SQS fair queues work").
pub const NOISY_IN_FLIGHT: usize = 30;
/// ... and from more than one part in this many of all that is in flight.
pub const NOISY_PART: usize = 10;

/// Messages that one turn of the engine moves, expires or wakes before it lets go of its lock.
pub(crate) const STEPS_A_TURN: usize = 5_000;
/// The default of [`crate::Settings::garbage_bytes`].
pub(crate) const JOURNAL_GARBAGE_BYTES: u64 = 16 * 1024 * 1024;

/// Checks the characters of a body or of a text attribute: SQS takes
/// `#x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF` (API reference, `SendMessage`).
///
/// # Errors
/// [`SqsError::InvalidMessageContents`] names the first character outside.
pub fn check_characters(text: &str) -> Result<(), SqsError> {
    // Of ASCII, what most bodies are made of, a byte says it.
    if text.bytes().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=0x7F)) {
        return Ok(());
    }
    let refused =
        |&c: &char| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars()
        .find(refused)
        .map_or(Ok(()), |c| Err(SqsError::InvalidMessageContents(u32::from(c))))
}

/// Whether a queue's name, or a batch entry's id, is 1-80 alphanumeric characters, hyphens and underscores.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=NAME_CHARS).contains(&name.len()) && name.bytes().all(allowed)
}

/// Whether a `MessageGroupId` is 1-128 alphanumeric or punctuation characters.
#[must_use]
pub fn is_group(group: &str) -> bool {
    (1..=GROUP_CHARS).contains(&group.len()) && group.bytes().all(|b| b.is_ascii_graphic())
}

/// A number of a request within its bounds.
///
/// # Errors
/// [`SqsError::InvalidParameterValue`] names the parameter and its bounds.
pub fn in_bounds(parameter: &str, value: i64, low: u32, high: u32) -> Result<u32, SqsError> {
    u32::try_from(value)
        .ok()
        .filter(|v| (low..=high).contains(v))
        .ok_or_else(|| {
            SqsError::InvalidParameterValue(format!(
                "Value {value} for parameter {parameter} is invalid. Reason: Must be >= {low} and <= {high}."
            ))
        })
}
