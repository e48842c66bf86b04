//! Files and folders that only their owner may read, whatever the umask: keys, and what customers sent and were answered.
//! Elsewhere than on Unix the protection of the folder above is all there is.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// Opens files as [`OpenOptions::new`] does, and makes them for their owner alone. One that is there keeps its mode.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes folders that only their owner can look into.
pub(crate) fn folder() -> DirBuilder {
    let mut folder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder
}

/// Takes a file that is there away from everybody else, without opening it.
#[cfg(unix)]
pub(crate) fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
pub(crate) fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}
