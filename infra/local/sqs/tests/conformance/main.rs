//! The conformance suite of SQS: what AWS documents, asked through the real AWS SDK. Each test names the page that decides it.
//!
//! Without a setting it asks the embedded server, in process. With `REDIAL_SQS_ENDPOINT` (`http://127.0.0.1:PORT`) it asks
//! whatever listens there; `REDIAL_SQS_EMULATOR=ministack` says which known differences to expect of it (the table of `docs/SQS.md`).
//! A known difference is asserted, never skipped: whoever stops differing fails here. `tests/conformance/run` does all that.
//! `clock` and `table` need no endpoint: the first moves the embedded server's clock, the second checks the table itself.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its stand too"
)]

mod clock;
mod deleting;
mod differences;
mod fair;
mod moving;
mod queue;
mod queues;
mod receiving;
mod redrive;
mod scope;
mod sending;
mod sending_batches;
mod table;
mod target;
mod visibility;
