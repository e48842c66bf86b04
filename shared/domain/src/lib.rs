//! The rules of webhook delivery.
//!
//! Pure: no clock, no random, no socket, no AWS. Time and randomness are arguments; the answers are values.
//! Everything that decides what happens to an event or a delivery lives here, and nothing else does.

pub mod address;
pub mod header;
pub mod outcome;
pub mod timestamp;
pub mod url;

pub use timestamp::Timestamp;
