//! Fuzz targets: everything that reads what strangers wrote, each with what must hold for whatever they write. A target never
//! only waits for a panic: it says what is true of what was accepted. Reads no clock and no randomness: an input that breaks
//! a target breaks it again. Never sends anything to another machine.

mod stand;
mod targets;
pub mod text;

use std::path::Path;

/// Something that reads what strangers wrote.
#[derive(Clone, Copy)]
pub struct Target {
    /// As `tests/fuzz/run` names it.
    pub name: &'static str,
    /// Longest input that is tried, in bytes.
    pub max_len: usize,
    /// Reads one input; panics if something does not hold.
    pub run: fn(&[u8]),
    /// Where fuzzing begins, besides what it found before: real inputs and the hostile ones of `tests/data`.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 10] = [
    targets::api::TARGET,
    targets::cursor::TARGET,
    targets::envelope::TARGET,
    targets::field::TARGET,
    targets::record::TARGET,
    targets::response::TARGET,
    targets::retry_after::TARGET,
    targets::schema::TARGET,
    targets::template::TARGET,
    targets::url::TARGET,
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// The inputs in `tests/fuzz/<kind>/<name>.txt`: one a line, as [`text`] writes them. None if there is no such file.
///
/// # Panics
/// If a line is not of that form.
#[must_use]
pub fn kept(kind: &str, name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(kind)
        .join(format!("{name}.txt"));
    let lines = std::fs::read_to_string(path).unwrap_or_default();
    lines.lines().map(|line| text::decode(line).unwrap()).collect()
}

/// A file of `tests/data`.
///
/// # Panics
/// If it is not there.
pub(crate) fn data(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
