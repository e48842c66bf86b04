//! `redial serve`: all of Redial in one process on this machine, until it is told to stop. Listens on loopback only, and
//! ends with a failure when it can no longer keep what it promises.

#[cfg(feature = "failpoints")]
mod fault_build;
mod log;
mod output;
mod server;
mod signals;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use redial_domain::Invalid;
use redial_domain::address::NetworkRefusal;
use redial_egress::InvalidAuthority;
use redial_platform::store::StoreError;

use crate::billable::lines::Lines;
use crate::billable::report::Report;
use crate::cli::ServeArgs;
use crate::runtime::data_folder::DataFolderError;
use crate::runtime::{MachineError, StorageLost};
use crate::template::TemplateError;

pub use server::{STOP_GRACE, Server};
pub(crate) use signals::Signals;

/// Why `redial serve` could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not this machine's alone.
    #[error(
        "{0} can be reached from other machines; listen on 127.0.0.1 or [::1], because requests and keys come in without \
         TLS (put a proxy with TLS in front to serve others)"
    )]
    NotLoopback(SocketAddr),
    /// The port is taken, or may not be used.
    #[error("cannot listen on {address}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The data folder.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The services or functions.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// `--schedule`.
    #[error("--schedule cannot be used")]
    Schedule(#[from] Invalid),
    /// The networks that a local run allows.
    #[error("the local targets cannot be allowed")]
    Targets(#[from] NetworkRefusal),
    /// `--extra-authorities` names a file that cannot be read.
    #[error("--extra-authorities: {path} cannot be read")]
    AuthoritiesFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// `--extra-authorities` names a file without authorities.
    #[error("--extra-authorities cannot be used")]
    Authorities(#[from] InvalidAuthority),
    /// The operator's key could not be stored.
    #[error("the operator's key cannot be stored")]
    OperatorKey(#[from] StoreError),
    /// Signals cannot be received.
    #[error("cannot listen for Ctrl-C")]
    Signals(#[source] io::Error),
    /// Nobody can read that it is ready.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// The storage failed: nothing more is accepted.
    #[error("stopped, because the storage failed; what was accepted is on disk")]
    Storage(#[from] StorageLost),
    /// What the fault tool wants cannot be understood.
    #[cfg(feature = "failpoints")]
    #[error("the fault build was told what it cannot obey")]
    Faults(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// `--billable` names a file that cannot be written.
    #[error("--billable: {path} cannot be written")]
    Billable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The HTTP server ended by itself.
    #[error("the HTTP server ended")]
    Http(#[source] io::Error),
}

/// Runs Redial until Ctrl-C or SIGTERM.
///
/// # Errors
/// [`ServeError`] says why it could not start or go on.
pub async fn run(args: ServeArgs) -> Result<(), ServeError> {
    let lines = Lines::default();
    log::begin(args.billable.as_ref().map(|_| &lines));
    #[cfg(feature = "failpoints")]
    if fault_build::begin().map_err(ServeError::Faults)? {
        return Ok(());
    }
    let mut signals = Signals::listen().map_err(ServeError::Signals)?;
    let mut server = Server::start(&args).await?;
    let report = report(&args, &server, lines)?;
    output::ready(&args, &server).map_err(ServeError::Output)?;
    tokio::select! {
        () = signals.next() => {}
        failure = server.failed() => {
            server.withdraw();
            return Err(failure);
        }
    }
    output::note("stopping: no new requests; waiting for deliveries under way (Ctrl-C again stops at once)");
    tokio::select! {
        unfinished = server.stop(STOP_GRACE) => output::stopped(unfinished),
        () = signals.next() => output::note("stopped at once: what was under way will be tried again at the next start"),
    }
    if let Some(report) = report {
        report.end().await;
    }
    Ok(())
}

/// Begins to write down what is counted, if anything is.
fn report(args: &ServeArgs, server: &Server, lines: Lines) -> Result<Option<Report>, ServeError> {
    let (Some(path), Some(billable)) = (&args.billable, server.billable()) else {
        return Ok(None);
    };
    let begun = Report::begin(path.clone(), billable.clone(), lines);
    begun.map(Some).map_err(|source| ServeError::Billable {
        path: path.clone(),
        source,
    })
}
