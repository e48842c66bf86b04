//! What `redial serve` says and does first in a build with the feature `failpoints`: that it is one, and that it can obey
//! what it was told. docs/RELIABILITY.md, "The fault build". Not in any other build.

use std::error::Error;
use std::io::{self, Write as _};

use redial_platform::failpoint::{self, POINTS};
use redial_platform::{Clock, settings};

use super::output;
use crate::faults::Faults;

/// What it may be told, each by an environment variable.
const TOLD_BY: [&str; 3] = ["REDIAL_KILL", "REDIAL_FAULTS", "REDIAL_WARP"];

/// What cannot be obeyed.
pub(super) type Disobeyed = Box<dyn Error + Send + Sync>;

/// Warns, loudly. True if nothing is to be served: it was only asked for the names of the kill points, one a line.
///
/// # Errors
/// What cannot be understood of what it was told.
pub(super) fn begin() -> Result<bool, Disobeyed> {
    if settings::optional("REDIAL_KILL_LIST").is_some() {
        let mut stdout = io::stdout().lock();
        for (point, _) in POINTS {
            writeln!(stdout, "{point}")?;
        }
        stdout.flush()?;
        return Ok(true);
    }
    output::note(
        "WARNING: this is a FAULT BUILD (cargo feature failpoints): it loses time, answers and its life on demand.",
    );
    output::note("WARNING: for tests of Redial only; nothing that matters may be sent to it.");
    failpoint::check()?;
    Clock::check()?;
    Faults::parse(&settings::optional("REDIAL_FAULTS").unwrap_or_default(), &Clock::System)?;
    for name in TOLD_BY {
        if let Some(value) = settings::optional(name) {
            output::note(&format!("{name}={value}"));
        }
    }
    Ok(false)
}
