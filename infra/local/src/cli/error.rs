//! What can go wrong in a command, in a sentence for a person and an exit code for a script. Never tells a key.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::bench::BenchError;
use super::output::{escaped, note};
use super::stack::StackError;

/// The server refused, or a part of the work did not succeed.
const EXIT_REFUSED: u8 = 1;
/// The command line or an input file cannot be understood. clap uses the same number.
const EXIT_USAGE: u8 = 2;
/// Redial cannot be reached or does not let us in.
const EXIT_UNREACHABLE: u8 = 3;

/// How a command that ran to its end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// All of it succeeded.
    Complete,
    /// It ran, but a part was refused or failed; the output says which.
    Partial,
    /// It had to stop because Redial could not be reached; the output says what is missing.
    CutOff,
    /// Something could not be looked at; the output says what.
    Unchecked,
}

impl Finish {
    pub(super) fn exit_code(self) -> ExitCode {
        match self {
            Self::Complete => ExitCode::SUCCESS,
            Self::Partial => ExitCode::from(EXIT_REFUSED),
            Self::CutOff => ExitCode::from(EXIT_UNREACHABLE),
            Self::Unchecked => ExitCode::from(EXIT_USAGE),
        }
    }
}

/// A refusal as Redial words it: RFC 9457 problem details with Redial's `code` and `field`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Problem {
    /// The HTTP status; 0 if the text had none.
    #[serde(default)]
    pub(super) status: u16,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) detail: String,
    /// Stable and machine-readable; empty if the answer was not Redial's.
    #[serde(default)]
    pub(super) code: String,
    /// The field to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
}

impl Problem {
    /// True if the same request may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        self.status == 429 || self.status >= 500
    }

    /// True if the key is what was refused.
    pub(super) fn is_about_the_key(&self) -> bool {
        matches!(self.status, 401 | 403)
    }
}

impl fmt::Display for Problem {
    /// One sentence. What the server wrote is escaped: it may hold parts of a payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = if self.detail.is_empty() {
            &self.title
        } else {
            &self.detail
        };
        f.write_str(&escaped(sentence))?;
        let mut about = Vec::new();
        if !self.code.is_empty() {
            about.push(format!("code {}", escaped(&self.code)));
        }
        if let Some(field) = &self.field {
            about.push(format!("field {}", escaped(field)));
        }
        if self.status != 0 {
            about.push(format!("status {}", self.status));
        }
        if about.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", about.join(", "))
        }
    }
}

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The arguments contradict each other, or an input cannot be understood.
    #[error("{0}")]
    Usage(String),
    /// A file named on the command line cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no server to talk to, or no key to talk with.
    #[error("{0}")]
    NotConnected(String),
    /// The server does not answer.
    #[error("cannot reach Redial at {origin}")]
    Unreachable {
        /// Scheme, host and port.
        origin: String,
        /// What the HTTP client said.
        source: reqwest::Error,
    },
    /// The HTTP client cannot be built.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The server refused.
    #[error("{0}")]
    Refused(Problem),
    /// What answered is not Redial, or a Redial that this command does not know.
    #[error("the answer of {origin} cannot be understood: {what}")]
    NotUnderstood {
        /// Scheme, host and port.
        origin: String,
        /// What is wrong with the answer.
        what: String,
    },
    /// What was asked for is not there.
    #[error("{0}")]
    NotThere(String),
    /// A deployment cannot be worked on with AWS credentials.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A bench could not be run to its end.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A local port cannot be listened on.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// Whoever reads our output has gone, as in `redial events list | head`. No failure.
    #[error("the output was closed")]
    OutputClosed,
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

impl CliError {
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// Tells the person at the terminal, on stderr.
    pub(super) fn report(&self) {
        if !matches!(self, Self::OutputClosed) {
            note(&format!("redial: {}", with_cause(self)));
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_number())
    }

    pub(super) fn exit_number(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Usage(_) | Self::Read { .. } => EXIT_USAGE,
            Self::Refused(problem) if problem.is_transient() || problem.is_about_the_key() => EXIT_UNREACHABLE,
            Self::Stack(error) if error.is_about_access() => EXIT_UNREACHABLE,
            Self::Stack(_)
            | Self::NotThere(_)
            | Self::Refused(_)
            | Self::Bench(_)
            | Self::Listen { .. }
            | Self::Output(_) => EXIT_REFUSED,
            Self::NotConnected(_) | Self::Unreachable { .. } | Self::Tls(_) | Self::NotUnderstood { .. } => {
                EXIT_UNREACHABLE
            }
        }
    }
}

/// An error and what is at the root of it, in one line. What lies between says how the libraries are layered.
pub(super) fn with_cause(error: &dyn Error) -> String {
    let mut text = escaped(&error.to_string());
    let mut root = error.source();
    while let Some(deeper) = root.and_then(Error::source) {
        root = Some(deeper);
    }
    if let Some(root) = root
        .map(|root| escaped(&root.to_string()))
        .filter(|root| !text.contains(root))
    {
        text.push_str(": ");
        text.push_str(&root);
    }
    text
}
