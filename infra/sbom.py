"""What the deployed functions are made of: `python3 infra/sbom.py [FUNCTION..]`, all five without a name.

Writes a CycloneDX 1.6 bill of materials of each to target/sbom/redial-FUNCTION.cdx.json and prints one line a file. Needs cargo,
and no network once `cargo fetch --locked` has run. What it lists is what cargo resolves for Lambda's platform by Cargo.lock:
every crate that is linked or whose code runs in the compiler (`required`), and those that only run in build scripts
(`excluded`: on the machine that builds, never on Lambda); nothing that only tests use. Each has the checksum of Cargo.lock.
The same commit gives the same bytes, so that two of them can be compared.

    --check     also holds each against the JSON schema of CycloneDX, for which it puts a pinned library into target/sbom
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "sbom"
PYTHON = FOLDER / "venv" / "bin" / "python"
# Has the schemas of CycloneDX in it: nothing is fetched when it checks.
LIBRARY = "cyclonedx-python-lib[json-validation]==11.12.0"
# What the functions run on: template.yaml, Architectures.
PLATFORM = "aarch64-unknown-linux-gnu"
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"

CHECK = """
import pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for file in sys.argv[1:]:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(file).read_text())
    if error:
        sys.exit(f"{file}: {error}")
"""


def cargo(*arguments: str) -> str:
    """What cargo says."""
    # A package is looked at alone, however this is called.
    environment = {name: value for name, value in os.environ.items() if name != "CARGO_RESOLVER_FEATURE_UNIFICATION"}
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def edges(package: str, kinds: str) -> dict[str, set[str]]:
    """What each crate, by name and version, needs itself, in what a package is built of."""
    tree = cargo("tree", "-p", package, "-e", kinds, "--target", PLATFORM, "--prefix", "depth", "--format", " {p}")
    found: dict[str, set[str]] = {}
    above: list[str] = []
    for line in filter(None, tree.splitlines()):
        depth, name, version = line.split()[:3]
        crate = f"{name}@{version.removeprefix('v')}"
        found.setdefault(crate, set())
        del above[int(depth) :]
        if above:
            found[above[-1]].add(crate)
        above.append(crate)
    return found


def locked() -> dict[str, str]:
    """The checksum of each crate of Cargo.lock that comes from crates.io; nothing else may come from anywhere."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    for package in lock["package"]:
        assert package.get("source") in (None, REGISTRY), f"{package['name']} comes from {package['source']}"
    return {f"{it['name']}@{it['version']}": it["checksum"] for it in lock["package"] if "source" in it}


def component(crate: str, package: dict, checksum: str | None, scope: str) -> dict:
    """A crate as CycloneDX says it."""
    name, version = crate.split("@")
    purl = f"pkg:cargo/{name}@{version}"
    said = {"type": "library", "bom-ref": purl, "name": name, "version": version, "scope": scope}
    if package.get("license"):
        # The old way to write OR is not of SPDX.
        said["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum:
        said["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        said["purl"] = purl
    if (package.get("repository") or "").startswith("https://"):
        said["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return said


def bill(function: str, packages: dict[str, dict], checksums: dict[str, str]) -> dict:
    """The bill of materials of a function."""
    linked = edges(function, "normal")
    everything = edges(function, "normal,build")
    assert set(linked) <= set(everything), "what is linked is part of what is built"
    (own,) = (crate for crate in everything if crate.startswith(f"{function}@"))
    components = [
        component(crate, packages[crate], checksums.get(crate), "required" if crate in linked else "excluded")
        for crate in sorted(everything)
    ]
    main = next(it for it in components if it["bom-ref"] == f"pkg:cargo/{own}")
    components.remove(main)
    said = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**{k: v for k, v in main.items() if k != "scope"}, "type": "application"}},
        "components": components,
        "dependencies": [
            {"ref": f"pkg:cargo/{crate}", "dependsOn": sorted(f"pkg:cargo/{it}" for it in needs)}
            for crate, needs in sorted(everything.items())
        ],
    }
    # Of its own bytes: neither the time nor chance is in it.
    said["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(said, sort_keys=True))}"
    return said


def check(files: list[Path]) -> None:
    """Holds them against the schema."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER / "venv")], check=True)
    if subprocess.run([PYTHON, "-c", "import cyclonedx.validation.json"], stderr=subprocess.DEVNULL, check=False).returncode:
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", LIBRARY], check=True)
    subprocess.run([PYTHON, "-c", CHECK, *files], check=True)


def main() -> int:
    arguments = [it for it in sys.argv[1:] if it != "--check"]
    known = sorted(folder.name for folder in (ROOT / "functions").iterdir() if folder.is_dir())
    if unknown := [it for it in arguments if it not in known]:
        print(f"unknown: {unknown}; known: {known}")
        return 2
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", PLATFORM))
    packages = {f"{it['name']}@{it['version']}": it for it in metadata["packages"]}
    checksums = locked()
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = []
    for function in arguments or known:
        said = bill(f"redial-{function}", packages, checksums)
        files.append(FOLDER / f"redial-{function}.cdx.json")
        files[-1].write_text(json.dumps(said, indent=1) + "\n")
        linked = sum(it["scope"] == "required" for it in said["components"])
        print(f"{files[-1]}: {linked} crates, and {len(said['components']) - linked} that only build")
    if "--check" in sys.argv:
        check(files)
        print(f"sbom: {len(files)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
