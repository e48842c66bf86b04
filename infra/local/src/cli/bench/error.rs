//! Why a bench could not be run to its end. Never tells a key.

use std::io;

/// What a part of the bench is called in a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Part {
    /// The `redial serve` that is measured.
    Serve,
    /// What takes the deliveries.
    Receiver,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Serve => "`redial serve`",
            Self::Receiver => "the receiver",
        })
    }
}

/// Why a bench stopped.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum BenchError {
    /// A process could not be started.
    #[error("{part} cannot be started")]
    NotStarted {
        /// Which.
        part: Part,
        /// What the system says.
        source: io::Error,
    },
    /// A process ended while it was needed.
    #[error("{part} ended: {said}")]
    Ended {
        /// Which.
        part: Part,
        /// The last that it said.
        said: String,
    },
    /// A process cannot be told or asked something.
    #[error("{part} cannot be talked to")]
    Pipe {
        /// Which.
        part: Part,
        /// What the system says.
        source: io::Error,
    },
    /// A process answered something else than was asked.
    #[error("{part} said what is not understood")]
    NotUnderstood {
        /// Which.
        part: Part,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A folder for the data cannot be made.
    #[error("cannot make a folder below {}", .below.display())]
    Folder {
        /// Where.
        below: std::path::PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A thread or a port cannot be had.
    #[error("the machine does not give what is needed")]
    Machine(#[source] io::Error),
    /// The part that posts ended without an answer.
    #[error("the driver ended before its time")]
    DriverGone,
    /// No connection to the server can be made.
    #[error("no connection to {authority} for {waited_s} s")]
    NoConnection {
        /// Host and port.
        authority: String,
        /// How long it was tried, in seconds.
        waited_s: u64,
    },
    /// Ctrl-C or SIGTERM.
    #[error("stopped; the processes and folders of the bench are gone")]
    Stopped,
}
