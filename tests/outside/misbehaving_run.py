"""Starts the misbehaving receivers, sends one event to each, and says what Redial recorded of it and what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from checks import wait_until
from product import Origin, Redial

HERE = Path(__file__).parent
# An endpoint for each kind, and so as many as a tenant may have (docs/LIMITS.md), for each of two tenants.
TENANT = {"http": "plain", "https": "sealed"}
MOST_ENDPOINTS = 200
# How long a delivery may take, queue and all, in seconds: much longer than any attempt, which is judged by itself.
DELIVERED_S = 60
# A delivery is looked at this often, in seconds.
LOOK_EVERY_S = 0.02
# Where a delivery that has one attempt ends, and one that waits for another.
ENDS = ("succeeded", "dead")


class Receivers:
    """The process of misbehaving receivers."""

    def __init__(self, folder: Path, canary: str) -> None:
        command = [sys.executable, str(HERE / "misbehaving.py"), "--folder", str(folder), "--canary", canary]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = json.loads(self.process.stdout.readline())
        self.authority: str = said["authority"]
        self.kinds: dict[str, dict] = said["kinds"]

    def url(self, kind: str) -> str:
        """Where a kind is."""
        where = self.kinds[kind]
        host = "localhost" if where["scheme"] == "https" else "127.0.0.1"
        return f"{where['scheme']}://{host}:{where['port']}/hook"

    def seen(self, end: str = "") -> dict[str, dict[str, int]]:
        """What each kind has seen until now; the connections of `end` are ended before."""
        self.process.stdin.write(f"{end}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Memory:
    """The resident memory of a process, in bytes."""

    def __init__(self, pid: int) -> None:
        self.folder = Path(f"/proc/{pid}")

    def of(self, name: str) -> int:
        """`VmRSS` or `VmHWM`."""
        for line in (self.folder / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name}")

    def begin(self) -> int:
        """What there is now; the peak is counted from here (Documentation/filesystems/proc.rst, clear_refs)."""
        (self.folder / "clear_refs").write_text("5")
        return self.of("VmRSS")

    def peak(self) -> int:
        """The most that there was since."""
        return self.of("VmHWM")

    def handles(self) -> int:
        """Open files and sockets."""
        return len(os.listdir(self.folder / "fd"))

    def threads(self) -> int:
        """Threads."""
        return len(os.listdir(self.folder / "task"))


@dataclass(frozen=True)
class Told:
    """What the API tells of a delivery's only attempt."""

    kind: str
    state: str
    reason: str | None
    code: str
    status: int | None
    duration_ms: int
    response: str | None
    next_at: str | None
    at: str


class Bench:
    """A running product, and an endpoint of its own for each misbehaviour."""

    def __init__(self, redial: Redial, api: Origin, receivers: Receivers) -> None:
        self.api = api
        self.receivers = receivers
        self.memory = Memory(redial.process.pid)
        self.events = 0
        self.endpoints: dict[str, str] = {}
        for tenant in TENANT.values():
            settings = {"allow_unknown_types": True, "max_endpoints": MOST_ENDPOINTS}
            answer = self.api.ask("PUT", f"/v1/tenants/{tenant}", settings)
            assert answer.status in (200, 201), answer

    def tenant(self, kind: str) -> str:
        """Whose endpoint a kind is."""
        return TENANT[self.receivers.kinds[kind]["scheme"]]

    def endpoint(self, kind: str, timeout_ms: int, attempts: int = 1) -> None:
        """The endpoint of a kind."""
        retry = {"attempts": attempts, "delays": [60]}
        wanted = {
            "url": self.receivers.url(kind),
            "event_types": [f"case.{kind}"],
            "timeout_ms": timeout_ms,
            "retry": retry,
        }
        self.endpoints[kind] = self.api.expect(201, "POST", f"/v1/tenants/{self.tenant(kind)}/endpoints", wanted)["id"]

    def delete(self, kind: str) -> None:
        """Removes the endpoint of a kind: what waits for it is canceled."""
        tenant = self.tenant(kind)
        self.api.expect(204, "DELETE", f"/v1/tenants/{tenant}/endpoints/{self.endpoints[kind]}")

    def post(self, kinds: list[str], padding: int = 0) -> dict[str, str]:
        """One event to each of these kinds, in one request. Gives the events by kind."""
        posted, bodies = {}, []
        for kind in kinds:
            self.events += 1
            posted[kind] = f"evt_{self.events}"
            data = {"n": self.events, "padding": "x" * padding}
            bodies.append({"id": posted[kind], "type": f"case.{kind}", "tenant": self.tenant(kind), "data": data})
        answers = self.api.expect(202, "POST", "/v1/events", bodies)["events"]
        assert all(answer.get("deliveries") == 1 for answer in answers), answers
        return posted

    def told(self, kind: str, event: str, ends: tuple[str, ...] = ENDS) -> Told:
        """What became of an event, once it is there."""

        def look() -> dict | None:
            items = self.api.items(f"/v1/tenants/{self.tenant(kind)}/events/{event}/deliveries")
            return next((item for item in items if item["state"] in ends), None)

        delivery = wait_until(f"{kind} has ended", look, DELIVERED_S, LOOK_EVERY_S)
        shown = self.api.expect(200, "GET", f"/v1/tenants/{self.tenant(kind)}/deliveries/{delivery['id']}")
        (attempt,) = shown["attempts"]
        return Told(
            kind=kind,
            state=shown["state"],
            reason=shown["reason"],
            code=attempt["code"],
            status=attempt["status"],
            duration_ms=attempt["duration_ms"],
            response=attempt.get("response"),
            next_at=shown["next_at"],
            at=attempt["at"],
        )

    def one(self, kind: str, padding: int = 0, ends: tuple[str, ...] = ENDS) -> Told:
        """One event to one kind."""
        return self.told(kind, self.post([kind], padding)[kind], ends)
