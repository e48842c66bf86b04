//! Lists the files of the console for `src/console.rs`: each with its content type, its digest and its gzip form, so that
//! nothing is hashed or packed while somebody waits. Reads `console/` alone, and needs nothing but Rust.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// Where they lie.
const FOLDER: &str = "console";
/// What every page of the console begins with. It names other files by their paths below `/console/`.
const SHELL: &str = "index.html";
/// Content types, by the ending of a name. A file with another ending is a mistake.
const TYPES: [(&str, &str); 5] = [
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("svg", "image/svg+xml"),
];
/// Licences go with what they are about, whatever their names end with.
const LICENCE: (&str, &str) = ("LICENSE", "text/plain; charset=utf-8");
/// Characters of a digest.
const DIGEST_LEN: usize = 20;

type Files = BTreeMap<String, (&'static str, Vec<u8>)>;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={FOLDER}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let mut files = Files::new();
    collect(&root, "", &mut files)?;
    let mut all = Sha256::new();
    for (path, (_, bytes)) in &files {
        all.update(path);
        all.update(bytes);
    }
    let build = hex(&all.finalize());
    with_versions(&mut files, &build)?;

    let mut list = String::new();
    writeln!(list, "pub(super) static BUILD: &str = {build:?};")?;
    writeln!(list, "pub(super) static FILES: &[File] = &[")?;
    for (n, (path, (kind, bytes))) in files.iter().enumerate() {
        let packed = out.join(format!("console-{n}.gz"));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(bytes)?;
        fs::write(&packed, gzip.finish()?)?;
        let digest = hex(&Sha256::digest(bytes));
        write!(list, "    File {{ path: {path:?}, kind: {kind:?}, digest: {digest:?}, ")?;
        writeln!(list, "gzip: include_bytes!({packed:?}) }},")?;
    }
    writeln!(list, "];")?;
    fs::write(out.join("console.rs"), list)?;
    Ok(())
}

/// Every file below a folder by its path, with its content type. What is about the sources, and their tests, is left out.
fn collect(folder: &Path, prefix: &str, files: &mut Files) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| "a name is no UTF-8")?;
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
            continue;
        }
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if ending == "md" || name.starts_with('.') || name.contains(".test.") {
            continue;
        }
        let known = TYPES.iter().find(|(of, _)| *of == ending).map(|(_, kind)| *kind);
        let kind = known.or_else(|| name.starts_with(LICENCE.0).then_some(LICENCE.1));
        let kind = kind.ok_or_else(|| format!("{FOLDER}/{path}: what is a .{ending}? Say so in build.rs"))?;
        let plain = path.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_./".contains(&c));
        if !plain {
            return Err(format!("{FOLDER}/{path}: a name of letters, digits, - and _ needs no escapes").into());
        }
        files.insert(path, (kind, fs::read(entry.path())?));
    }
    Ok(())
}

/// Has the shell name the other files below a path that changes with any of them: they may be kept for ever, and so may what
/// they import by relative paths.
fn with_versions(files: &mut Files, build: &str) -> Result<(), Box<dyn Error>> {
    let others: Vec<String> = files.keys().filter(|path| *path != SHELL).cloned().collect();
    let shell = files.get_mut(SHELL);
    let (_, bytes) = shell.ok_or_else(|| format!("{FOLDER}/{SHELL} is missing"))?;
    let mut text = String::from_utf8(std::mem::take(bytes))?;
    for path in others {
        text = text.replace(
            &format!("\"/console/{path}\""),
            &format!("\"/console/v-{build}/{path}\""),
        );
    }
    *bytes = text.into_bytes();
    Ok(())
}

/// A digest, shortened: it tells versions apart and protects nothing.
fn hex(digest: &[u8]) -> String {
    let mut text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(DIGEST_LEN);
    text
}
