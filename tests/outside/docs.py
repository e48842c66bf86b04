"""docs/API.md, done as it says: each command in order, on a fresh server, and what it answers held against what the page shows.

How the page is read:
- a block of `sh` is run; what it exports holds for those that follow;
- a block of `jsonc` below it shows the status (`// 201`) and the body; a block of `http` shows headers too. An ellipsis stands
  for anything: a value, a part of a text, the other members of an object, the further items of a list;
- "Keep its `id` as `$ENDPOINT`" takes a member, or a header, of the answer that was just shown.
A block that only reads is read again until it says what it should: deliveries take a moment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

from checks import NotInTime, Report, run, wait_until
from ledger import Receiver
from product import BINARY, ROOT, Redial

PAGE = ROOT / "docs" / "API.md"
# What the page calls the server, the receiver, and where nothing listens.
SERVER, RECEIVER, NOBODY = "http://127.0.0.1:4080", "http://127.0.0.1:4090", "http://127.0.0.1:4099"
# How long a reading command may be repeated, and how long one may take, in seconds.
REACHED_S, RUN_S, AGAIN_S = 30, 60, 0.3
# The fewest commands and answers that the page may have: a page that is not read any more must not pass.
LEAST_COMMANDS, LEAST_ANSWERS = 25, 20
ANYTHING = "…"

# Tells each answer's status on standard error, and leaves the printed command as it is.
CURL = """#!/bin/sh
exec {curl} "$@" --write-out '%{{stderr}}\\nSTATUS %{{http_code}}\\n'
"""


@dataclass
class Step:
    """A command of the page, what it must answer, and what is kept of that."""

    line: int
    command: str
    shown: str | None = None
    kind: str = ""
    kept: list[tuple[str, str]] = field(default_factory=list)


def steps(text: str) -> Iterator[Step]:
    """The commands of the page, in order."""
    step = None
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$|Keep (?:its|the) `([\w.-]+)` as `\$(\w+)`", text, re.S | re.M):
        kind, block, name, variable = found.groups()
        if kind == "sh":
            if step:
                yield step
            step = Step(text.count("\n", 0, found.start()) + 1, block)
        elif kind in ("jsonc", "http") and step:
            assert step.shown is None, f"line {step.line}: two answers"
            step.shown, step.kind = block, kind
        elif name and step:
            step.kept.append((name, variable))
    if step:
        yield step


def as_json(shown: str) -> object:
    """What the page shows of a body: JSON in which an ellipsis may stand anywhere."""
    out, stack, before, quoted = [], [], "", False
    for at, char in enumerate(shown):
        if quoted:
            quoted = char != '"' or shown[at - 1] == "\\"
        elif char == '"':
            quoted = True
        elif char == ANYTHING:
            char = f'"{ANYTHING}": 0' if stack[-1:] == ["{"] and before in "{," else f'"{ANYTHING}"'
        elif char in "{[":
            stack.append(char)
        elif char in "}]":
            stack.pop()
        out.append(char)
        before = char if not char.isspace() else before
    return json.loads("".join(out))


def difference(shown: object, got: object, at: str = "") -> str | None:
    """Where an answer is not what is shown, if anywhere."""
    if shown == ANYTHING:
        return None
    if isinstance(shown, dict) and isinstance(got, dict):
        missing = [name for name in shown if name != ANYTHING and name not in got]
        more = [name for name in got if name not in shown] if ANYTHING not in shown else []
        if missing or more:
            return f"{at or 'the body'}: lacks {missing}, has besides {more}"
        parts = [(shown[name], got[name], f"{at}.{name}") for name in shown if name != ANYTHING]
    elif isinstance(shown, list) and isinstance(got, list):
        open_end = shown[-1:] == [ANYTHING]
        shown = shown[:-1] if open_end else shown
        if len(got) < len(shown) or (len(got) > len(shown) and not open_end):
            return f"{at or 'the body'}: {len(shown)} items shown, {len(got)} there"
        parts = [(one, other, f"{at}[{n}]") for n, (one, other) in enumerate(zip(shown, got))]
    elif isinstance(shown, str) and isinstance(got, str):
        pattern = ".*".join(map(re.escape, shown.split(ANYTHING)))
        return None if re.fullmatch(pattern, got, re.S) else f"{at}: {shown!r} shown, {got!r} there"
    else:
        same = shown == got and isinstance(shown, bool) == isinstance(got, bool)
        return None if same else f"{at or 'the body'}: {shown!r} shown, {got!r} there"
    return next((found for part in parts if (found := difference(*part))), None)


@dataclass
class Answer:
    """What a command printed."""

    ended: int
    out: str
    errors: str

    @property
    def status(self) -> int:
        """Of the last request."""
        return int((re.findall(r"^STATUS (\d+)$", self.errors, re.M) or ["0"])[-1])

    def headers(self) -> dict[str, str]:
        """With `curl -i`."""
        head = self.out.replace("\r", "").split("\n\n")[0].split("\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}

    def body(self, kind: str) -> str:
        return self.out.replace("\r", "").partition("\n\n")[2] if kind == "http" else self.out


def wrong(step: Step, answer: Answer) -> str | None:
    """Why an answer is not the one that the page shows."""
    if answer.ended != 0:
        return f"ended with {answer.ended}: {answer.errors[-500:]}"
    if step.shown is None:
        return None if answer.status < 400 else f"status {answer.status}: {answer.out[:500]}"
    head, _, rest = step.shown.partition("\n")
    headers: list[str] = []
    if step.kind == "http":
        top, _, rest = rest.partition("\n\n")
        headers = top.split("\n")
    status = int(re.search(r"\b\d{3}\b", head)[0])
    if answer.status != status:
        return f"status {status} shown, {answer.status} there: {answer.out[:500]}"
    for name, _, value in (line.partition(":") for line in headers if line):
        found = difference(value.strip(), answer.headers().get(name.lower()), name)
        if found:
            return found
    body = answer.body(step.kind)
    if not rest.strip():
        return f"no body shown, {body[:200]!r} there" if body.strip() else None
    try:
        return difference(as_json(rest), json.loads(body))
    except ValueError:
        return f"no JSON: {body[:500]}"


class Shell:
    """Runs the commands of the page, one after the other, in one folder and with one set of variables."""

    def __init__(self, folder: Path, stands_for: dict[str, str]) -> None:
        self.folder = folder
        self.stands_for = stands_for
        tools = folder / "bin"
        tools.mkdir()
        (tools / "curl").write_text(CURL.format(curl=shutil.which("curl")))
        (tools / "curl").chmod(0o755)
        (folder / "target").mkdir()
        (folder / "target" / "release").mkdir()
        (folder / "target" / "release" / "redial").symlink_to(BINARY)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REDIAL_")}
        self.variables = {**kept, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}

    def run(self, command: str) -> Answer:
        """Runs a block; what it exported is kept."""
        for shown, real in self.stands_for.items():
            command = command.replace(shown, real)
        variables = self.folder / "variables"
        ran = subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{command}\nenv -0 > {variables}"],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        if ran.returncode == 0:
            self.variables = dict(pair.split("=", 1) for pair in variables.read_text().split("\0") if "=" in pair)
        return Answer(ran.returncode, ran.stdout, ran.stderr)

    def keep(self, step: Step, answer: Answer) -> None:
        """Takes what the page tells the reader to keep."""
        for name, variable in step.kept:
            value: object = answer.headers().get(name) if step.kind == "http" else None
            if value is None:
                value = json.loads(answer.body(step.kind))
                for part in name.split("."):
                    value = value[int(part)] if isinstance(value, list) else value[part]
            self.variables[variable] = str(value)


def check_step(report: Report, shell: Shell, step: Step) -> bool:
    """One command; true if what follows can be trusted."""
    reads = not re.search(r"\s(-X|-d|--data\S*|export)\s", step.command)
    answer = shell.run(step.command)
    if reads and wrong(step, answer):

        def again() -> bool:
            nonlocal answer
            answer = shell.run(step.command)
            return wrong(step, answer) is None

        try:
            wait_until("the answer", again, REACHED_S, AGAIN_S)
        except NotInTime:
            pass
    first = next((line for line in step.command.split("\n") if line and not line.startswith("#")), "")
    problem = wrong(step, answer)
    if report.check(f"line {step.line}: {first[:100]}", problem is None, problem):
        shell.keep(step, answer)
    return problem is None


def script(report: Report) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        report.skip("the page is done as it says", "there is no curl or no bash here")
        report.check("the page can be read", len(list(steps(PAGE.read_text()))) >= LEAST_COMMANDS)
        return
    found = list(steps(PAGE.read_text()))
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        receiver = Receiver(folder)
        for path in set(re.findall(r"\$RECEIVER'?(/[\w/-]+)", PAGE.read_text())):
            receiver.behave(path)
        redial = Redial(folder)
        # Where the page has it, in the folder where its commands are run.
        redial.data = folder / "redial-data"
        api = redial.start()
        try:
            with socket.socket() as nobody:
                # Bound and not listening: a connection is refused.
                nobody.bind(("127.0.0.1", 0))
                refusing = f"http://127.0.0.1:{nobody.getsockname()[1]}"
                shell = Shell(folder, {SERVER: api.url, RECEIVER: receiver.origin, NOBODY: refusing})
                for step in found:
                    check_step(report, shell, step)
        finally:
            redial.stop()
    report.check(f"it has {LEAST_COMMANDS} commands or more", len(found) >= LEAST_COMMANDS, str(len(found)))
    answers = sum(step.shown is not None for step in found)
    report.check(f"and shows {LEAST_ANSWERS} answers or more", answers >= LEAST_ANSWERS, str(answers))


if __name__ == "__main__":
    run("docs", script)
