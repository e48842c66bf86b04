"""What the deployed functions hold at most while they have much to do at once.

Posts the largest requests and events that ingest takes, lets the dispatcher have batches of the largest, pages through them,
resumes an endpoint for which hundreds wait, and replays all of it. Each function is a process here, whose peak the kernel keeps.
Not what Lambda bills and limits: that counts the sandbox as well (`Max Memory Used` of the `REPORT` lines).
"""

from __future__ import annotations

import base64
import os
import threading
import time
from pathlib import Path

from checks import Report, wait_until

# What a function may hold, in KiB: the 48 MB that are to be reached (docs/PERFORMANCE.md).
MAX_PEAK_KIB = 48_000_000 // 1024
# How often the peaks are read, in seconds. The kernel's only grows, so that nothing is missed but a process's last moment.
EVERY_S = 0.1

TENANT, PATH = "bulk", "/bulk"
# A request may have 4 MiB and 500 events, an event 256 KiB.
MANY, MANY_BYTES = 500, 7_500
LARGE, LARGE_BYTES, LARGE_IN_REQUEST = 30, 250_000, 15
HELD = 200

# How long deliveries may take, in seconds: the emulator works on some fifty a second, and its schedule calls every minute.
ARRIVE_S = 240


class Peaks:
    """The most that each function's processes have held so far, by the function's name in AWS, in KiB."""

    def __init__(self) -> None:
        self.kib: dict[str, int] = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        while not self.over.wait(EVERY_S):
            for process in Path("/proc").iterdir():
                if process.name.isdecimal():
                    self._read(process)

    def _read(self, process: Path) -> None:
        try:
            if os.path.basename(os.readlink(process / "exe")) != "bootstrap":
                return
            environment = (process / "environ").read_bytes().split(b"\0")
            status = (process / "status").read_text()
        except OSError:
            # It has ended.
            return
        name = next((v[25:].decode() for v in environment if v.startswith(b"AWS_LAMBDA_FUNCTION_NAME=")), None)
        peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
        if name:
            self.kib[name] = max(self.kib.get(name, 0), peak)

    def stop(self) -> dict[str, int]:
        """Ends the watch, and gives the peaks."""
        self.over.set()
        self.thread.join()
        return self.kib


def post(it, name: str, count: int, size: int) -> None:
    """Posts so many events in one request, each with so many characters that no compression makes much smaller."""
    text = lambda: base64.b64encode(os.urandom(size * 3 // 4)).decode()
    events = [
        {"id": f"{name}_{n}", "type": "call.ended", "tenant": TENANT, "data": {"call_id": f"{name}_{n}", "summary": text()}}
        for n in range(count)
    ]
    answers = it.ingest.expect(202, "POST", "/v1/events", events)["events"]
    assert all(answer.get("deliveries") == 1 for answer in answers), answers[:3]


def check_memory(report: Report, it, peaks: Peaks) -> None:
    """The largest batches, for all five functions."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    it.api.ask("PUT", f"/v1/tenants/{TENANT}", {})
    endpoints = f"/v1/tenants/{TENANT}/endpoints"
    endpoint = it.api.expect(201, "POST", endpoints, {"url": it.receiver.origin + PATH, "event_types": ["call.ended"]})
    it.secrets.append(endpoint["secret"])
    it.receiver.behave(PATH, secret=endpoint["secret"])
    it.api.expect(200, "POST", f"{endpoints}/{endpoint['id']}/pause")
    post(it, "held", HELD, 1_000)
    held = f"/v1/tenants/{TENANT}/deliveries?state=held&limit=100"
    wait_until("they are held", lambda: len(it.api.items(held)) == HELD, ARRIVE_S, every_s=1)
    it.api.expect(200, "POST", f"{endpoints}/{endpoint['id']}/resume")
    post(it, "many", MANY, MANY_BYTES)
    for n in range(LARGE // LARGE_IN_REQUEST):
        post(it, f"large{n}", LARGE_IN_REQUEST, LARGE_BYTES)
    total = HELD + MANY + LARGE
    it.receiver.wait_for("all of the batches", PATH, total, ARRIVE_S)
    for what in ("events", "deliveries", "events?order=asc"):
        it.api.expect(200, "GET", f"/v1/tenants/{TENANT}/{what}{'&' if '?' in what else '?'}limit=100")
    replays = f"/v1/tenants/{TENANT}/replays"
    job = it.api.expect(202, "POST", replays, {"endpoint": endpoint["id"], "since": since})

    def told() -> dict | None:
        now = it.api.expect(200, "GET", f"{replays}/{job['id']}")
        return now if now["state"] in ("done", "failed") else None

    ended = wait_until("the replay is done", told, ARRIVE_S)
    report.equal("a replay of all of them is done", (ended["state"], ended["done"]), ("done", total))
    it.receiver.wait_for("all of them again", PATH, 2 * total, ARRIVE_S, key="answered")
    kib = peaks.stop()
    functions = {p: name for name, (kind, p) in it.stack.resources().items() if kind == "AWS::Lambda::Function"}
    peak = {functions[name]: kib.get(name, 0) for name in functions}
    report.note("at most resident: " + ", ".join(f"{name} {most / 1024:.1f} MiB" for name, most in sorted(peak.items())))
    report.nothing("each function was seen", [name for name, most in peak.items() if most == 0])
    report.nothing("none held more than 48 MB", [f"{n}: {kib} KiB" for n, kib in peak.items() if kib > MAX_PEAK_KIB])
