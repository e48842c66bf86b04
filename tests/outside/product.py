"""Starts, stops and kills `redial serve`, and talks to its HTTP API. Knows the product only as its users do."""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("REDIAL_BINARY", ROOT / "target" / "release" / "redial")).resolve()

# How long a start and a stop may take, in seconds.
START_S = 60
STOP_S = 30
# How long one answer may take, in seconds.
ANSWER_S = 60


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. `body` is what its JSON says, or its text."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str | None:
        """The stable code of a problem document; `None` if it is none."""
        if self.headers.get("content-type", "").startswith("application/problem+json") and isinstance(self.body, dict):
            return self.body.get("code")
        return None


class Origin:
    """An HTTP server. Each thread keeps one connection to it. One that is `patient` waits as it is told where its key makes more
    requests than it may, as a script of thousands does."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.patient = False
        self.local = threading.local()

    def connection(self) -> http.client.HTTPConnection:
        """This thread's connection, made if there is none."""
        connection = getattr(self.local, "connection", None)
        if connection is None:
            parts = urlsplit(self.url)
            connection = self.local.connection = http.client.HTTPConnection(
                parts.hostname, parts.port, timeout=ANSWER_S
            )
        return connection

    def close(self) -> None:
        """Forgets this thread's connection."""
        connection = getattr(self.local, "connection", None)
        if connection is not None:
            connection.close()
            self.local.connection = None

    def send(self, method: str, path: str, body: bytes | None = None) -> None:
        """Writes a request; `answer` reads what comes back."""
        headers = {} if self.key is None else {"authorization": f"Bearer {self.key}"}
        if body is not None:
            headers["content-type"] = "application/json"
        self.connection().request(method, path, body=body, headers=headers)

    def answer(self) -> Answer:
        """Reads the answer to `send`."""
        response = self.connection().getresponse()
        text = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        if headers.get("connection", "").lower() == "close":
            self.close()
        try:
            parsed = json.loads(text) if text else None
        except ValueError:
            parsed = text.decode("utf-8", "replace")
        return Answer(response.status, headers, parsed)

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """One request and its answer, on a fresh connection if the kept one has ended. `bytes` are sent as they are."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        while True:
            answer = self.ask_once(method, path, raw)
            if not self.patient or answer.code != "rate_limited":
                return answer
            time.sleep(float(answer.headers["retry-after"]))

    def ask_once(self, method: str, path: str, raw: bytes | None) -> Answer:
        """As `ask`, whatever the answer is."""
        for fresh in (False, True):
            try:
                self.send(method, path, raw)
                return self.answer()
            except (ConnectionError, http.client.HTTPException):
                self.close()
                if fresh:
                    raise
        raise AssertionError("unreachable")

    def expect(self, status: int, method: str, path: str, body: object = None) -> Any:
        """The body of an answer that must have this status."""
        answer = self.ask(method, path, body)
        if answer.status != status:
            raise AssertionError(f"{method} {path}: expected {status}, got {answer.status}: {answer.body}")
        return answer.body

    def items(self, path: str) -> list[dict]:
        """Everything in a list, page by page."""
        found: list[dict] = []
        cursor = None
        joint = "&" if "?" in path else "?"
        while True:
            page = self.expect(200, "GET", path if cursor is None else f"{path}{joint}cursor={cursor}")
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found


def lines_of(stream: IO[str], copy: Path) -> queue.Queue:
    """Reads a stream to its end in the background, into a file too. `None` follows the last line."""
    lines: queue.Queue = queue.Queue()

    def read() -> None:
        with copy.open("a") as file:
            for line in stream:
                file.write(line)
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


class CouldNotStart(Exception):
    """`redial serve` ended, or said nothing in time."""


class Redial:
    """One `redial serve` on a folder. Started again, it is a new process on the same folder."""

    def __init__(self, folder: Path, *flags: str, listen: str = "127.0.0.1:0") -> None:
        self.data = folder / "data"
        self.log = folder / "serve.log"
        # What the next start has in its environment besides this one's.
        self.environment: dict[str, str] = {}
        self.flags = flags
        self.listen = listen
        self.process: subprocess.Popen | None = None
        self.ready: dict[str, str] = {}

    def start(self) -> Origin:
        """Starts it and gives its API, with the operator's key, as soon as it says that it is ready."""
        command = [str(BINARY), "serve", "--data", str(self.data), "--listen", self.listen, "--json", *self.flags]
        with self.log.open("a") as log:
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        lines = lines_of(self.process.stdout, self.log)
        try:
            line = lines.get(timeout=START_S)
        except queue.Empty:
            self.kill()
            raise CouldNotStart(f"not ready within {START_S} s; see {self.log}") from None
        if line is None:
            raise CouldNotStart(f"ended with {self.process.wait()}: {self.log.read_text()[-2000:]}")
        self.ready = json.loads(line)
        return Origin(self.ready["url"], self.ready["key"])

    def given_back(self) -> list[int]:
        """Deliveries that were being worked on when the process before ended, for each start that found some: the queue
        counts them and says so."""
        return [int(number) for number in re.findall(r"sqs\.given_back messages=(\d+)", self.log.read_text())]

    def kill(self) -> None:
        """`kill -9`, and waits until the process is gone."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Asks it to end (SIGTERM) and gives its status."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL
