"""The part of Lambda's Runtime API that a start needs, and what one start costs.

A function has started when it asks for its first invocation. Here nobody ever answers: the process is measured while it
waits, and killed. It must never let a function reach AWS: what it calls instead is counted.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

# https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
NEXT = b"GET /2018-06-01/runtime/invocation/next "

# After this a function that has not asked for work is broken, not slow. In seconds.
MAX_START_S = 10.0

# More than the head of a request of a Lambda runtime has.
MAX_HEAD_BYTES = 16 * 1024

# A name under which nobody answers, in the form of those that AWS hands out.
NOWHERE = "https://start.lambda-url.us-east-1.on.aws/"


class Failed(Exception):
    """A binary did not start as a function does; the text says what it did instead."""


@dataclass(frozen=True)
class Start:
    """What one start took, up to the moment at which the function waits for its first invocation."""

    # CPU of the thread that runs `main`, in milliseconds: user and system, from exec on.
    cpu_ms: float
    # Wall time, in milliseconds.
    wall_ms: float
    # Peak resident memory, in KiB.
    peak_kib: int
    threads: int


def template_environment(template: Path) -> dict[str, str]:
    """Every variable that template.yaml sets for any function: a parameter's default, or something of the right form."""
    lines = [line for line in template.read_text().splitlines() if line.strip() and not line.strip().startswith("#")]
    defaults: dict[str, str] = {}
    parameter, variables_at = "", None
    environment: dict[str, str] = {}
    for line in lines:
        indent = len(line) - len(line.lstrip())
        name, _, value = line.strip().partition(":")
        value = value.strip()
        if indent == 2 and not value:
            parameter = name
        if indent == 4 and name == "Default":
            defaults[parameter] = value.strip("\"'")
        if variables_at is not None and indent <= variables_at:
            variables_at = None
        if name == "Variables" and not value:
            variables_at = indent
        elif variables_at is not None:
            reference = re.fullmatch(r'(?:!Join \[",", )?!Ref (\w+)\]?', value)
            default = defaults.get(reference[1]) if reference else None
            shaped = NOWHERE if name.endswith(("_URL", "_ORIGIN")) else "start"
            environment[name] = shaped if default is None else default
    if not environment:
        raise Failed(f"{template} sets no variables")
    return environment


class RuntimeApi:
    """Listens as Lambda's Runtime API, and as the AWS that nobody may call before the first invocation."""

    def __init__(self, template: Path) -> None:
        self.api = socket.create_server(("127.0.0.1", 0))
        self.aws = socket.create_server(("127.0.0.1", 0))
        self.api.settimeout(MAX_START_S)
        # What Lambda sets itself (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html).
        self.environment = {
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % self.api.getsockname()[1],
            "AWS_LAMBDA_FUNCTION_NAME": "start",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": "start",
            "AWS_LAMBDA_LOG_STREAM_NAME": "start",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "start",
            "AWS_SECRET_ACCESS_KEY": "start",
            "AWS_SESSION_TOKEN": "start",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:%d" % self.aws.getsockname()[1],
            **template_environment(template),
        }

    def start(self, binary: Path) -> Start:
        """Starts the binary once, measures it when it waits for work, and ends it."""
        quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        began = time.monotonic()
        pid = os.posix_spawn(binary, [str(binary)], self.environment, file_actions=quiet)
        connection = None
        try:
            connection = self._asked(binary)
            return self._measured(binary, pid, began, connection)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            if connection is not None:
                connection.close()

    def _asked(self, binary: Path) -> socket.socket:
        try:
            return self.api.accept()[0]
        except TimeoutError:
            called = " and called AWS" if self._aws_was_called() else ""
            raise Failed(f"{binary} did not ask for work within {MAX_START_S:.0f} s{called}") from None

    def _measured(self, binary: Path, pid: int, began: float, connection: socket.socket) -> Start:
        connection.settimeout(MAX_START_S)
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD_BYTES:
            part = connection.recv(MAX_HEAD_BYTES)
            if not part:
                break
            head += part
        wall_ms = (time.monotonic() - began) * 1000
        if not head.startswith(NEXT):
            raise Failed(f"{binary} asked for something else first: {head!r}")
        if self._aws_was_called():
            raise Failed(f"{binary} called AWS before its first invocation")
        cpu_ms = cpu_when_waiting_ms(pid)
        status = Path(f"/proc/{pid}/status").read_text()
        return Start(cpu_ms, wall_ms, field(status, "VmHWM"), field(status, "Threads"))

    def _aws_was_called(self) -> bool:
        readable, _, _ = select.select([self.aws], [], [], 0)
        return bool(readable)


def field(status: str, name: str) -> int:
    """A number of /proc/PID/status; amounts of memory are in KiB there."""
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    if found is None:
        raise Failed(f"/proc/PID/status has no {name}")
    return int(found[1])


def cpu_when_waiting_ms(pid: int) -> float:
    """CPU of the main thread once it sleeps: the kernel's count of a thread that runs is behind by up to a tick."""
    thread = Path(f"/proc/{pid}/task/{pid}")
    deadline = time.monotonic() + MAX_START_S
    while (thread / "stat").read_text().rpartition(")")[2].split()[0] != "S":
        if time.monotonic() > deadline:
            raise Failed("the main thread never waits")
    # First number: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst of Linux).
    return int((thread / "schedstat").read_text().split()[0]) / 1e6
