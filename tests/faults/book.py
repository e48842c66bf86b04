"""Starts the receivers, tells them how to behave, and reads their ledger. With a planted fault, a crooked messenger stands in
front of them; what is in the ledger is the truth all the same."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ledger import Receiver
from product import Origin

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Post:
    """One request that the receivers read whole. Times are real, in seconds since 1970."""

    n: int
    at: float
    path: str
    event: str
    headers: dict[str, str]
    body: str
    data: str | None
    tenant: str | None
    # `ok`, or why the official Python library refused it on arrival.
    python: str
    # When the answer was written down and its status; `None`: nobody waited for it.
    answered_at: float | None
    status: int | None

    @property
    def good(self) -> bool:
        """True if it was answered with a 2xx."""
        return self.status is not None and 200 <= self.status < 300


def read(file: Path) -> list[Post]:
    """The requests of a ledger, in the order of their arrival. A half-written last line is not there yet."""
    rows = [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
    answers = {row["n"]: row for row in rows if row["row"] == "answered"}
    posts = []
    for row in (row for row in rows if row["row"] == "got"):
        answer = answers.get(row["n"], {})
        kept = {name: row[name] for name in ("n", "at", "path", "headers", "body", "data", "tenant", "python")}
        posts.append(Post(**kept, event=row["id"], answered_at=answer.get("at"), status=answer.get("status")))
    return posts


def started(script: str, *arguments: str) -> tuple[subprocess.Popen, dict[str, int]]:
    """A process that says on which ports it listens. It ends with this one, and not before."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    return process, json.loads(process.stdout.readline())


class Book(Receiver):
    """The running receivers. `behave` and `summary` are those of the outside tests."""

    def __init__(self, folder: Path, warp: str = "", plant: str = "") -> None:
        self.file = folder / "ledger.jsonl"
        self.secrets: dict[str, str] = {}
        self.process, ports = started("receivers.py", "--ledger", str(self.file), "--warp", warp)
        self.origin = f"http://127.0.0.1:{ports['port']}"
        self.control = Origin(f"http://127.0.0.1:{ports['control']}")
        self.messenger = None
        if plant:
            self.messenger, ports = started("crooked.py", "--to", self.origin, "--plant", plant)
            self.origin = f"http://127.0.0.1:{ports['port']}"

    def close(self) -> None:
        """Ends them: their work is read."""
        for process in filter(None, (self.messenger, self.process)):
            process.stdin.close()
            process.wait()
            process.stdout.close()

    def requests(self) -> list[Post]:
        """Everything they have got until now."""
        return read(self.file)
