"""`kill -9`, ten times, each with at least 50 requests in flight: nothing that was accepted is lost.

The client repeats what was not answered, as a platform would, until all 3,088 events are accepted. The receiver is another
process and is never killed. A delivery may come twice only if a kill caught it between the receiver's answer and its record.
"""

from __future__ import annotations

import http.client
import json
import socket
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

import calls
import judge
from checks import NotInTime, Report, run, wait_until
from day import everything_arrived
from ledger import Receiver
from product import Origin, Redial

KILLS = 10
# Requests that must be in flight at each kill.
IN_FLIGHT = 50
# Connections of the client: more than IN_FLIGHT, because some are between an answer and the next request.
CLIENTS = 96
# How slowly receivers answer, in milliseconds, so that deliveries are in flight too.
RECEIVER_DELAY_MS = 40
# How long the receiver may take to read what a killed process has sent, in seconds.
LAST_WORDS_S = 0.2
# How long it may take until a kill finds enough in flight, in seconds.
KILL_S = 120
# What a kill leaves comes back after the queue's visibility timeout (6 minutes) or with the sweeper (5 minutes and a pass).
SETTLE_S = 780


class Platform:
    """Posts every event, one a request, on many connections, again and again until each is accepted."""

    def __init__(self, day: list[calls.Call]) -> None:
        self.todo = deque(day)
        self.lock = threading.Lock()
        self.up = threading.Event()
        self.done = threading.Event()
        self.api: Origin | None = None
        self.answers: dict[tuple[str, str], dict] = {}
        self.refused: list[str] = []
        self.unanswered = 0
        self.repeats = 0
        self.total = len(day)
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(CLIENTS)]

    def start(self) -> None:
        """Starts posting as soon as there is an API."""
        for thread in self.threads:
            thread.start()

    def connect(self, api: Origin) -> None:
        """Posts to this API from now on."""
        self.api = api
        self.up.set()

    def work(self) -> None:
        """One connection's work."""
        while not self.done.is_set():
            self.up.wait()
            api = self.api
            try:
                call = self.todo.popleft()
            except IndexError:
                self.done.wait(0.05)
                continue
            if not self.post(api, call):
                self.todo.append(call)

    def post(self, api: Origin, call: calls.Call) -> bool:
        """Posts one event; false if it has to be repeated."""
        sent = False
        try:
            api.send("POST", "/v1/events", call.line)
            with self.lock:
                self.unanswered += 1
            sent = True
            answer = api.answer()
        except (OSError, http.client.HTTPException):
            api.close()
            if self.api is api:
                self.up.clear()
            answer = None
        with self.lock:
            self.unanswered -= sent
            if answer is None or answer.status in (429, 500, 502, 503, 504):
                self.repeats += 1
                return False
            if answer.status == 202:
                self.answers[call.tenant, call.id] = answer.body
            else:
                self.refused.append(f"{call.id}: {answer.status} {answer.body}")
            if len(self.answers) + len(self.refused) == self.total:
                self.done.set()
                self.up.set()
            return True


def free_port() -> int:
    """A port that is free now, so that every start of the product is at one address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kill_often(report: Report, redial: Redial, platform: Platform, receiver: Receiver) -> list[float]:
    """Kills and starts again, spread over the events, each time with enough in flight. Gives the moments."""
    kills: list[float] = []
    weak = []
    started = 0.0
    for number in range(1, KILLS + 1):
        enough = number * platform.total // (KILLS + 2)
        wait_until(
            f"kill {number}",
            lambda: len(platform.answers) >= enough and platform.unanswered >= IN_FLIGHT,
            KILL_S,
            0.001,
        )
        posts = platform.unanswered
        redial.kill()
        platform.up.clear()
        # What it had sent may still be in the receiver's sockets. The next process does not send before this moment.
        time.sleep(LAST_WORDS_S)
        at = time.time()
        kills.append(at)
        accepted = len(platform.answers)
        opened = [r for r in receiver.requests() if started <= r.at <= at]
        deliveries = len([r for r in opened if r.answered_at is None or r.answered_at > at])
        report.note(f"kill {number}: {posts} posts unanswered, {deliveries} deliveries open, {accepted} accepted")
        if posts < IN_FLIGHT:
            weak.append(f"kill {number}: {posts}")
        started = time.time()
        platform.connect(redial.start())
    report.nothing(f"each of {KILLS} kills had at least {IN_FLIGHT} requests in flight", weak)
    return kills


def told_when(duplicate: judge.Duplicate) -> str:
    """When the earlier request was answered, seen from the kill that explains the duplicate."""
    before = duplicate.answered_before_s
    return "not answered" if before is None or before < 0 else f"answered {before * 1000:.0f} ms before"


def check(
    report: Report,
    expected: judge.Expected,
    receiver: Receiver,
    kills: list[float],
    folder: Path,
    in_flight: list[int],
) -> None:
    """What the receiver's ledger says."""
    requests = receiver.requests()
    report.nothing(
        "nothing that was accepted is missing at an endpoint that wanted it", judge.missing(expected, requests)
    )
    report.nothing("nothing came to an endpoint that did not want it", judge.uninvited(expected, requests))
    report.nothing("data is byte for byte what was posted, and so is the rest", judge.changed(expected, requests))
    report.nothing("the official Python library verifies every request on arrival", judge.unverified(requests))
    report.nothing(
        "the official JavaScript library verifies every request", receiver.verify_with_javascript(folder)["refused"]
    )
    found = judge.duplicates(requests, kills)
    report.note(f"{len(found)} duplicates; deliveries in flight at the kills: {in_flight}, together {sum(in_flight)}")
    for number in range(1, len(kills) + 1):
        told = [f"{d.path} {d.event} ({told_when(d)})" for d in found if d.kill == number]
        if told:
            report.note(f"kill {number} explains {len(told)}: {', '.join(told)}")
    longest = max((d.answered_before_s or 0.0 for d in found), default=0.0)
    report.note(f"the longest time from an answer to a kill that came before its record: {longest * 1000:.0f} ms")
    report.nothing("every duplicate was in flight at a kill", [f for f in found if f.kill is None])
    report.check("there are no more duplicates than deliveries in flight at the kills", len(found) <= sum(in_flight))


def script(report: Report) -> None:
    day = calls.read()
    expected = calls.expected(day)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        redial = Redial(folder, listen=f"127.0.0.1:{free_port()}")
        platform = Platform(day)
        try:
            api = redial.start()
            key = redial.ready["key"]
            calls.subscribe(api, receiver, delay_ms=RECEIVER_DELAY_MS)
            platform.start()
            platform.connect(api)
            kills = kill_often(report, redial, platform, receiver)
            report.equal("the operator's key is the same at every start", redial.ready["key"], key)
            wait_until("all events accepted", platform.done.is_set, KILL_S)
            report.nothing("no event is refused", platform.refused)
            wrong = [
                json.dumps(platform.answers[c.tenant, c.id])
                for c in day
                if platform.answers.get((c.tenant, c.id)) != {"id": c.id, "deliveries": calls.matches(c)}
            ]
            report.nothing("every event is accepted with the endpoints that it matches", wrong)
            report.note(f"{platform.repeats} requests were repeated")
            accepted_at = time.time()
            try:
                wait_until("all deliveries", lambda: everything_arrived(receiver, expected), SETTLE_S, 0.5)
            except NotInTime as late:
                report.note(str(late))
            report.note(f"everything had arrived {time.time() - accepted_at:.0f} s after the last event was accepted")
            check(report, expected, receiver, kills, folder, redial.given_back())
            check_api(report, platform.api, day)
            report.equal("it ends when asked to", redial.stop(), 0)
        finally:
            if redial.process is not None and redial.process.poll() is None:
                redial.kill()


def check_api(report: Report, api: Origin, day: list[calls.Call]) -> None:
    """The API tells of each event once and of nothing that is given up; what a crash left half-written is gone."""
    for tenant in sorted({call.tenant for call in day}):
        posted = sorted(call.id for call in day if call.tenant == tenant)

        def listed() -> list[str]:
            return sorted(item["id"] for item in api.items(f"/v1/tenants/{tenant}/events?limit=100"))

        try:
            wait_until("the sweeper's pass", lambda: listed() == posted, SETTLE_S, 5)
        except NotInTime:
            pass
        report.equal(f"the list of {tenant} names each of its events once", listed(), posted)
        lost = [
            item["id"]
            for state in ("retrying", "held", "dead")
            for item in api.items(f"/v1/tenants/{tenant}/deliveries?state={state}&limit=100")
        ]
        report.nothing(f"no delivery of {tenant} is retrying, held or dead", lost)


if __name__ == "__main__":
    run("kill", script)
