//! `redial serve`: all of Redial in one process on this machine.

use crate::cli::ServeArgs;

/// Why `redial serve` stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// This build has the commands but not the server.
    #[error("this build of redial has no server in it")]
    NotBuiltIn,
}

/// Runs Redial until Ctrl-C or SIGTERM.
///
/// # Errors
/// [`ServeError`] says why it could not start or go on.
pub async fn run(args: ServeArgs) -> Result<(), ServeError> {
    drop(args);
    Err(ServeError::NotBuiltIn)
}
