"""Starts a receiver as a process of its own, tells it how to behave, and reads what it has seen."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from checks import wait_until
from product import Origin

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Request:
    """One request that the receiver read whole. Times are seconds since 1970, of the receiver's clock."""

    n: int
    at: float
    path: str
    event: str
    headers: list[list[str]]
    body: bytes
    # `ok`, or why the official Python library refused it on arrival.
    python: str
    # When the answer was written and its status; `None` if it never was.
    answered_at: float | None
    status: int | None
    method: str = "POST"

    def header(self, name: str) -> list[str]:
        """Every value of a header, by its name in lower case."""
        return [value for given, value in self.headers if given.lower() == name]


def read(file: Path) -> list[Request]:
    """The requests of a ledger, in the order of their arrival. A half-written last line is not there yet."""
    rows = [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
    answers = {row["n"]: row for row in rows if row["row"] == "answered"}
    return [
        Request(
            n=row["n"],
            at=row["at"],
            path=row["path"],
            event=row["id"],
            headers=row["headers"],
            body=base64.b64decode(row["body"]),
            python=row["python"],
            answered_at=answers.get(row["n"], {}).get("at"),
            status=answers.get(row["n"], {}).get("status"),
            method=row["method"],
        )
        for row in rows
        if row["row"] == "received"
    ]


class Receiver:
    """A running receiver. Its process ends with this one, and not before."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", name: str = "ledger") -> None:
        self.file = folder / f"{name}.jsonl"
        self.secrets: dict[str, str] = {}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "receiver.py"), "--host", host, "--ledger", str(self.file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        ports = json.loads(self.process.stdout.readline())
        self.origin = f"http://{host}:{ports['port']}"
        self.control = Origin(f"http://{host}:{ports['control']}")

    def behave(self, path: str, **behaviour: object) -> None:
        """How `path` answers from now on; see `receiver.Behaviour`."""
        if "secret" in behaviour:
            self.secrets[path] = str(behaviour["secret"])
        elif path in self.secrets:
            behaviour["secret"] = self.secrets[path]
        answer = self.control.ask("PUT", f"/paths{path}", behaviour)
        assert answer.status == 200, answer

    def summary(self) -> dict[str, dict[str, int]]:
        """Counts by path."""
        return self.control.ask("GET", "/summary").body

    def wait_for(self, what: str, path: str, count: int, deadline_s: float, key: str = "done_ids") -> None:
        """Waits until `path` has counted `count`."""
        wait_until(what, lambda: self.summary().get(path, {}).get(key, 0) >= count, deadline_s)

    def requests(self) -> list[Request]:
        """Everything it has seen until now."""
        return read(self.file)

    def verify_with_javascript(self, folder: Path) -> dict:
        """What the official JavaScript library says of every request: `{"verified":n,"refused":[..]}`."""
        secrets = folder / "secrets.json"
        secrets.write_text(json.dumps(self.secrets))
        run = subprocess.run(
            ["node", str(HERE / "verify.mjs"), str(self.file), str(secrets)],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise RuntimeError(f"verify.mjs failed: {run.stderr}")
        return json.loads(run.stdout)
