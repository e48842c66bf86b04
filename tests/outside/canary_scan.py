"""Looks for canaries: texts that must stay where they were put. In every form in which they could lie somewhere: as they are,
in base64 at any alignment, in hex, as a list of numbers, percent-encoded; and in what is packed (gzip, zlib, deflate).

Must never say of a place that it is clean without having read it: whoever calls it counts the bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import sqlite3
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator
from urllib.parse import quote

# Shortest base64 that is unpacked: shorter ones hold no canary.
MIN_BASE64 = 24
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{%d,}={0,2}" % MIN_BASE64)
# How much of what is packed is looked at, in bytes, and how deep it may be packed.
MAX_UNPACKED = 4 << 20
MAX_DEPTH = 4
GZIP = b"\x1f\x8b\x08"
# Windows of zlib for deflate, zlib and gzip.
WINDOWS = (-15, 15, 31)


@dataclass(frozen=True)
class Canary:
    """A text and what it is: a `secret`, or `content`, which is stored and shown but never logged."""

    name: str
    text: bytes
    kind: str = "secret"


@dataclass(frozen=True, order=True)
class Finding:
    """A canary somewhere."""

    place: str
    canary: str
    form: str


def forms(text: bytes) -> dict[bytes, str]:
    """Everything that a canary may look like, and what that form is called."""
    found = {text: "as it is", text.hex().encode(): "hex", text.hex().upper().encode(): "hex"}
    for joint in (b",", b", "):
        found[joint.join(str(byte).encode() for byte in text)] = "numbers"
    for encoded in (quote(text, safe="").encode(), json.dumps(text.decode("latin-1"))[1:-1].encode()):
        found.setdefault(encoded, "escaped")
    for shift in range(3):
        # Only what does not depend on the bytes around it.
        whole = base64.b64encode(b"\0" * shift + text)
        first = -(-shift * 4 // 3)
        core = whole[first : (shift + len(text)) // 3 * 4]
        found.setdefault(core, "base64")
        found.setdefault(core.replace(b"+", b"-").replace(b"/", b"_"), "base64")
    return found


def inflated(data: bytes) -> Iterator[bytes]:
    """What bytes unpack to, as any of the packed forms; nothing, if they are none."""
    for window in WINDOWS:
        stream = zlib.decompressobj(window)
        try:
            unpacked = stream.decompress(data, MAX_UNPACKED)
        except zlib.error:
            continue
        if unpacked:
            yield unpacked


@dataclass
class Scanner:
    """Looks for a set of canaries."""

    canaries: list[Canary]
    # Bytes that were looked at, by what the place begins with.
    read: dict[str, int] = field(default_factory=dict)
    findings: set[Finding] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.known = {form: (c.name, how) for c in self.canaries for form, how in forms(c.text).items()}

    def scan(self, place: str, data: bytes, depth: int = 0, packed: str = "") -> None:
        """Looks through bytes and whatever is packed in them."""
        if depth == 0:
            kind = place.split(":")[0]
            self.read[kind] = self.read.get(kind, 0) + len(data)
        # One by one: searching for one text is a hundred times as fast as for any of hundreds.
        for text, (name, form) in self.known.items():
            if text in data:
                self.findings.add(Finding(place, name, f"{packed}{form}"))
        if depth == MAX_DEPTH:
            return
        at = data.find(GZIP)
        while at >= 0:
            for inside in inflated(data[at:]):
                self.scan(place, inside, depth + 1, f"{packed}packed, ")
            at = data.find(GZIP, at + 1)
        for match in BASE64.finditer(data):
            text = match[0].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
            try:
                decoded = base64.b64decode(text + b"=" * (-len(text) % 4))
            except binascii.Error:
                continue
            for inside in inflated(decoded):
                self.scan(place, inside, depth + 1, f"{packed}base64, packed, ")

    def scan_file(self, place: str, path: Path) -> None:
        """Looks through a file."""
        self.scan(place, path.read_bytes())

    def scan_tables(self, place: str, path: Path) -> int:
        """Looks through every cell of a SQLite database, and gives how many there were."""
        cells = 0
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
            for table in tables:
                quoted = table.replace('"', '""')
                for row in database.execute(f'select * from "{quoted}"'):
                    keys = [str(cell) for cell in row[:2]]
                    for cell in row:
                        cells += 1
                        text = cell if isinstance(cell, bytes) else str(cell).encode()
                        self.scan(f"{place}: {table} {' '.join(keys)[:80]}", text)
                        self.scan_binaries(f"{place}: {table} {' '.join(keys)[:80]}", text)
        return cells

    def scan_binaries(self, place: str, text: bytes) -> None:
        """Looks into the binary attributes of an item, however short: `{"B": base64}`."""
        try:
            item = json.loads(text)
        except ValueError:
            return
        if not isinstance(item, dict):
            return
        for value in item.values():
            if isinstance(value, dict) and isinstance(value.get("B"), str):
                data = base64.b64decode(value["B"])
                self.scan(place, data, 1, "binary, ")
                for inside in inflated(data):
                    self.scan(place, inside, 1, "binary, packed, ")

    def of_kind(self, *kinds: str) -> list[Finding]:
        """What was found of these kinds."""
        names = {canary.name for canary in self.canaries if canary.kind in kinds}
        return sorted(finding for finding in self.findings if finding.canary in names)
