//! Secrets on a command line: given as they are, or as `@file` (`@-`: standard input), so that no list of processes and no
//! shell history has them. Never repeats one in an error.

use std::io::Read as _;

use super::error::CliError;

/// What the help says of every secret.
pub(super) const HOW: &str = "\
Secrets (--secret, --auth..., --fields, and the values of --header) may be given as @FILE, or as @- for standard input, so
that they show neither in the shell's history nor in the list of processes: --auth-bearer @token.txt,
--auth-basic ann:@-, --header 'X-Key: @key.txt'. A line break at the end of a file is not part of it. A secret that itself
begins with @ is written with @@.";
/// Longest file that holds a secret, in bytes: anything longer is another file.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// `Debug` for arguments among which are secrets: their name and nothing else.
macro_rules! shows_nothing {
    ($($name:ident),+) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })+
    };
}

pub(super) use shows_nothing;

/// The secret that an argument stands for.
///
/// # Errors
/// [`CliError::Usage`] if the file cannot be read, is too long or is no text.
pub(super) fn secret(argument: &str) -> Result<String, CliError> {
    match argument.strip_prefix('@') {
        None => Ok(argument.to_owned()),
        Some(literal) if literal.starts_with('@') => Ok(literal.to_owned()),
        Some("-") => read(std::io::stdin(), "standard input"),
        Some(path) => {
            let file = std::fs::File::open(path);
            let file = file.map_err(|error| CliError::usage(format!("{path}: {error}")))?;
            read(file, path)
        }
    }
}

fn read(from: impl std::io::Read, name: &str) -> Result<String, CliError> {
    let mut text = String::new();
    let read = from.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| CliError::usage(format!("{name}: {error}")))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(CliError::usage(format!(
            "{name} is too long: at most {MAX_FILE_BYTES} bytes"
        )));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_itself_or_what_a_file_says_without_its_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "p@ss word\r\n").unwrap();
        let written = format!("@{}", path.display());
        for (argument, expected) in [("plain", "plain"), ("", ""), ("@@at", "@at"), (&written, "p@ss word")] {
            assert_eq!(secret(argument).unwrap(), expected);
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        std::fs::write(&path, "canary ".repeat(10_000)).unwrap();
        for argument in [format!("@{}", path.display()), "@/nowhere/at/all".to_owned()] {
            let CliError::Usage(text) = secret(&argument).unwrap_err() else {
                panic!("{argument}")
            };
            assert!(text.contains(&argument[1..]) && !text.contains("canary"), "{text}");
        }
    }
}
