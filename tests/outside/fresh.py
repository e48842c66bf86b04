"""An endpoint is made and an event sent as soon as the 201 is there, 1,000 times while other events pour in: every one of the
events matches its new endpoint and is delivered to it, signed with its secret."""

from __future__ import annotations

import base64
import itertools
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from checks import Report, run, wait_until
from ledger import Receiver
from product import Origin, Redial

TIMES = 1_000
WORKERS = 8
# A tenant may have 50 endpoints unless it is allowed more: these fill most of theirs.
ENDPOINTS_A_TENANT = 40
TENANTS = [f"fresh-{n}" for n in range(TIMES // ENDPOINTS_A_TENANT)]
# The load: so many senders, each with so many events a request, one request after the other.
LOAD_SENDERS = 2
LOAD_BATCH = 10
LOAD_TENANT = "busy"
# Seconds that everything may take to arrive, and the load to be seen before the first endpoint is made.
ARRIVE_S, BUSY_S = 120, 30


@dataclass
class Load:
    """Events for other endpoints, for as long as `running`."""

    api: Origin
    running: threading.Event = field(default_factory=threading.Event)
    posted: list[int] = field(default_factory=lambda: [0] * LOAD_SENDERS)
    wrong: list[str] = field(default_factory=list)

    def send(self, sender: int) -> None:
        for number in itertools.count():
            if not self.running.is_set():
                return
            events = [
                {"type": "call.ended", "tenant": LOAD_TENANT, "id": f"load-{sender}-{number}-{n}", "data": {"n": n}}
                for n in range(LOAD_BATCH)
            ]
            answer = self.api.ask("POST", "/v1/events", events)
            refused = answer.status != 202 or any(event.get("deliveries") != 1 for event in answer.body["events"])
            if refused:
                self.wrong.append(f"{answer.status} {str(answer.body)[:200]}")
            self.posted[sender] += LOAD_BATCH


@dataclass(frozen=True)
class Try:
    """What became of one endpoint and its event, before its delivery."""

    number: int
    matched: object
    # Milliseconds: until the 201, from there until the 202.
    made_ms: float
    sent_ms: float


def secret_of(number: int) -> str:
    """A secret of its own for each endpoint."""
    return "whsec_" + base64.b64encode(f"the secret of endpoint {number:06}".encode()).decode()


def attempt(api: Origin, receiver: Receiver, number: int) -> Try:
    """Makes an endpoint that only its own agent's events match, and sends one at once."""
    tenant, agent = TENANTS[number % len(TENANTS)], f"agt_{number}"
    url = f"{receiver.origin}/fresh/{number}"
    began = time.monotonic()
    api.expect(201, "POST", f"/v1/tenants/{tenant}/endpoints", {"url": url, "agents": [agent], "secret": secret_of(number)})
    made = time.monotonic()
    event = {"type": "call.ended", "tenant": tenant, "agent": agent, "id": f"evt_{number}", "data": {"number": number}}
    answer = api.ask("POST", "/v1/events", event)
    matched = answer.body.get("deliveries") if answer.status == 202 else f"{answer.status} {answer.body}"
    return Try(number, matched, (made - began) * 1000, (time.monotonic() - made) * 1000)


def middle(values: list[float]) -> str:
    """The median and the 99th of a hundred."""
    ordered = sorted(values)
    return f"p50 {ordered[len(ordered) // 2]:.0f} ms, p99 {ordered[len(ordered) * 99 // 100]:.0f} ms"


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        receiver = Receiver(folder)
        redial = Redial(folder)
        api = redial.start()
        try:
            check(report, api, receiver)
        finally:
            redial.stop()


def check(report: Report, api: Origin, receiver: Receiver) -> None:
    for tenant in [*TENANTS, LOAD_TENANT]:
        api.expect(201, "PUT", f"/v1/tenants/{tenant}", {})
    busy = api.expect(201, "POST", f"/v1/tenants/{LOAD_TENANT}/endpoints", {"url": f"{receiver.origin}/busy"})
    receiver.behave("/busy", secret=busy["secret"])
    for number in range(TIMES):
        receiver.behave(f"/fresh/{number}", secret=secret_of(number))

    load = Load(api)
    load.running.set()
    began = time.monotonic()
    with ThreadPoolExecutor(LOAD_SENDERS) as senders:
        pouring = [senders.submit(load.send, sender) for sender in range(LOAD_SENDERS)]
        try:
            receiver.wait_for("the load arrives", "/busy", 100, BUSY_S)
            with ThreadPoolExecutor(WORKERS) as workers:
                tries = list(workers.map(lambda number: attempt(api, receiver, number), range(TIMES)))
        finally:
            load.running.clear()
        for sender in pouring:
            sender.result()
    took = time.monotonic() - began
    posted = sum(load.posted)
    report.note(f"{TIMES} endpoints and events in {took:.0f} s ({os.cpu_count()} cores), beside {posted} other events")
    report.note(f"to make one: {middle([t.made_ms for t in tries])}; to send: {middle([t.sent_ms for t in tries])}")
    report.nothing(
        f"{TIMES} times an event was sent right after its endpoint's 201: each matched that endpoint, and only it",
        [f"{t.number}: {t.matched}" for t in tries if t.matched != 1],
    )
    report.nothing("the other events were all accepted meanwhile", load.wrong)
    check_arrival(report, api, receiver, posted)


def check_arrival(report: Report, api: Origin, receiver: Receiver, posted: int) -> None:
    """Everything arrives, at the right place, once, verified."""

    def arrived() -> bool:
        seen = receiver.summary()
        fresh = sum(path.startswith("/fresh/") and counts["done_ids"] > 0 for path, counts in seen.items())
        return fresh == TIMES and seen["/busy"]["done_ids"] >= posted

    wait_until("everything arrives", arrived, ARRIVE_S)
    wrong = []
    for request in receiver.requests():
        if not request.path.startswith("/fresh/"):
            continue
        number = request.path.removeprefix("/fresh/")
        if (request.event, request.python) != (f"evt_{number}", "ok"):
            wrong.append(f"{request.path}: {request.event}, {request.python}")
    report.nothing(f"all {TIMES} arrived at their own endpoint, signed with its secret", wrong)
    seen = receiver.summary()
    twice = [path for path, counts in seen.items() if path.startswith("/fresh/") and counts["received"] != 1]
    report.nothing("none of them came twice", twice)

    def states() -> list[str]:
        items = [d for tenant in TENANTS for d in api.items(f"/v1/tenants/{tenant}/deliveries?limit=100")]
        return [d["state"] for d in items]

    wait_until("the records say so", lambda: states().count("succeeded") == TIMES, ARRIVE_S, 1)
    report.equal("the records say so: every delivery succeeded", set(states()), {"succeeded"})


if __name__ == "__main__":
    run("fresh", script)
