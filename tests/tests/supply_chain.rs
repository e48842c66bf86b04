//! What is linked into Redial is known and named: the bills of materials hold exactly what each function is built of, our own
//! crates have no unsafe code, and docs/SECURITY.md names only what there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What the functions run on.
const PLATFORM: &str = "aarch64-unknown-linux-gnu";
/// Fewest links of docs/SECURITY.md to a file or a test: a page that is not read any more must not pass.
const MIN_LINKS: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn output(program: &str, arguments: &[&str], target: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        // A package is looked at alone, however these tests are built.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// `name@version` of everything that a package is built of, as `cargo tree` says.
fn built_of(package: &str, kinds: &str, folder: &Path) -> BTreeSet<String> {
    let arguments = [
        "tree", "--locked", "-p", package, "-e", kinds, "--target", PLATFORM, "--prefix", "none", "--format", "{p}",
    ];
    let tree = output(env!("CARGO"), &arguments, folder);
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some(format!("{}@{}", words.next()?, words.next()?.strip_prefix('v')?))
    });
    crates.filter(|it| !it.starts_with(&format!("{package}@"))).collect()
}

fn listed(bill: &Value, scope: &str) -> BTreeSet<String> {
    let components = bill["components"].as_array().unwrap().iter();
    let of_scope = components.filter(|component| component["scope"] == scope);
    let named = of_scope.map(|it| format!("{}@{}", it["name"].as_str().unwrap(), it["version"].as_str().unwrap()));
    named.collect()
}

#[test]
fn a_bill_of_materials_lists_every_crate_of_its_function_and_nothing_of_the_tests() {
    let folder = tempfile::tempdir().unwrap();
    output("python3", &["infra/sbom.py"], folder.path());
    let lock = read("Cargo.lock");
    for function in ["api", "dispatcher", "ingest", "replay", "sweeper"] {
        let package = format!("redial-{function}");
        let file = folder.path().join(format!("sbom/{package}.cdx.json"));
        let bill: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let linked = built_of(&package, "normal", folder.path());
        assert!(linked.len() > 100, "{package}: {}", linked.len());
        assert_eq!(listed(&bill, "required"), linked, "{package}");
        let built = built_of(&package, "normal,build", folder.path());
        let only_built: BTreeSet<String> = built.difference(&linked).cloned().collect();
        assert_eq!(listed(&bill, "excluded"), only_built, "{package}");
        let all = built_of(&package, "normal,build,dev", folder.path());
        let of_tests: BTreeSet<&String> = all.difference(&built).collect();
        let refs = bill.to_string();
        for name in of_tests {
            assert!(
                !refs.contains(&format!("pkg:cargo/{name}\"")),
                "{package} lists {name}, which only tests use"
            );
        }
        for component in bill["components"].as_array().unwrap() {
            let name = component["name"].as_str().unwrap();
            let Some(hash) = component["hashes"][0]["content"].as_str() else {
                assert!(name.starts_with("redial-"), "{name} has no checksum");
                continue;
            };
            assert!(lock.contains(&format!("checksum = \"{hash}\"")), "{name}");
            assert!(
                component["licenses"][0]["expression"].is_string(),
                "{name} has no licence"
            );
        }
    }
}

#[test]
fn no_crate_of_ours_has_unsafe_code() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["metadata", "--locked", "--no-deps", "--format-version", "1"];
    let metadata: Value = serde_json::from_str(&output(env!("CARGO"), &arguments, folder.path())).unwrap();
    let block = |manifest: &str, name: &str| -> Vec<String> {
        let rest = manifest.lines().skip_while(|line| *line != name).skip(1);
        rest.take_while(|line| !line.starts_with('['))
            .map(str::to_owned)
            .collect()
    };
    let forbids = |lines: &[String]| lines.iter().any(|line| line == "unsafe_code = \"forbid\"");
    assert!(forbids(&block(&read("Cargo.toml"), "[workspace.lints.rust]")));
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 10, "{}", packages.len());
    for package in packages {
        let path = package["manifest_path"].as_str().unwrap();
        let manifest = std::fs::read_to_string(path).unwrap();
        // `forbid` cannot be lifted by an attribute in the code.
        let inherits = block(&manifest, "[lints]")
            .iter()
            .any(|line| line == "workspace = true");
        assert!(inherits || forbids(&block(&manifest, "[lints.rust]")), "{path}");
    }
}

/// The links of a page: what each says, and where it leads.
fn links(page: &str) -> Vec<(&str, &str)> {
    let ends = page.match_indices("](");
    let found = ends.filter_map(|(at, _)| {
        let text = page[..at].rsplit_once('[')?.1;
        Some((text, page[at + 2..].split_once(')')?.0))
    });
    found.collect()
}

#[test]
fn the_security_page_names_files_and_tests_that_exist() {
    let page = read("docs/SECURITY.md");
    let mut looked_at = 0;
    for (text, to) in links(&page) {
        if to.starts_with("https://") || to.starts_with('#') {
            continue;
        }
        let file = root().join("docs").join(to.split('#').next().unwrap());
        assert!(file.exists(), "{text} leads to {to}, which is not there");
        // A name of a test or of a constant is in the file that it leads to.
        let name = text.trim_matches('`');
        let is_name = name.contains('_') && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if is_name && file.is_file() {
            let there = std::fs::read_to_string(&file).unwrap();
            let defined = ["fn ", "def ", "const ", "static "].map(|word| format!("{word}{name}"));
            assert!(defined.iter().any(|it| there.contains(it)), "{to} has no {name}");
        }
        looked_at += 1;
    }
    for path in page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|it| it.contains('/') && it.contains('.'))
    {
        let of_ours = ["shared/", "functions/", "tests/", "infra/", "docs/"];
        let path = path.split([':', ' ']).next().unwrap();
        // Of a pattern, the folder.
        let path = match path.split_once('*') {
            Some((before, _)) => before.rsplit_once('/').map_or("", |(folder, _)| folder),
            None => path,
        };
        if of_ours.iter().any(|folder| path.starts_with(folder)) {
            assert!(root().join(path).exists(), "{path} is not there");
            looked_at += 1;
        }
    }
    assert!(looked_at >= MIN_LINKS, "{looked_at}");
}
