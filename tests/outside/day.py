"""A day of calls: 3,088 events of three tenants, sent three times, delivered once.

The second pass starts while the first is still being sent and delivered, the third after everything arrived. Every answer
must be the same, every delivery must come exactly once, say exactly what was posted, and verify with two official libraries.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
from pathlib import Path

import calls
import judge
from checks import Report, run, wait_until
from ledger import Receiver
from product import Origin, Redial

# How long everything may take to arrive, in seconds: far more than it takes, so that a slow machine is no failure.
ARRIVE_S = 180


def send(api: Origin, bodies: list[bytes]) -> list[dict]:
    """Posts batches, one after the other, and gives the answers to their events."""
    answers: list[dict] = []
    for body in bodies:
        answers += api.expect(202, "POST", "/v1/events", body)["events"]
    return answers


class Pass:
    """One pass over the file, in a thread of its own."""

    def __init__(self, api: Origin, bodies: list[bytes]) -> None:
        self.answers: list[dict] = []
        self.error: Exception | None = None
        self.ended = 0.0

        def work() -> None:
            try:
                self.answers = send(api, bodies)
            except (AssertionError, OSError, http.client.HTTPException) as error:
                self.error = error
            self.ended = time.time()

        self.thread = threading.Thread(target=work)
        self.thread.start()

    def result(self) -> list[dict]:
        """The answers, once the pass is through."""
        self.thread.join()
        if self.error is not None:
            raise self.error
        return self.answers


def sentinels(api: Origin, day: list[calls.Call]) -> list[calls.Call]:
    """One more event for each endpoint, under a new id: when these have arrived, what was sent before had its chance."""
    more = []
    for subscription in calls.SUBSCRIPTIONS:
        like = next(call for call in day if subscription.wants(call))
        own = f"sentinel_{len(more)}"
        line = like.line.replace(f'"id":"{like.id}"'.encode(), f'"id":"{own}"'.encode(), 1)
        api.expect(202, "POST", "/v1/events", line)
        more.append(calls.Call(line, own, like.type, like.tenant, like.agent, calls.raw_members(line.decode())))
    return more


def everything_arrived(receiver: Receiver, expected: judge.Expected) -> bool:
    """True if each path has answered 2xx to as many events as it must get."""
    summary = receiver.summary()
    return all(summary.get(path, {}).get("done_ids", 0) >= len(events) for path, events in expected.items())


def check_api(report: Report, api: Origin, day: list[calls.Call]) -> None:
    """The API tells of each event once, and of nothing that is still waiting."""
    for tenant in sorted({call.tenant for call in day}):
        listed = [item["id"] for item in api.items(f"/v1/tenants/{tenant}/events?limit=100")]
        report.equal(
            f"the list of {tenant} names each of its events once",
            sorted(listed),
            sorted(call.id for call in day if call.tenant == tenant),
        )
        waiting = [
            item["id"]
            for state in ("retrying", "held", "dead")
            for item in api.items(f"/v1/tenants/{tenant}/deliveries?state={state}&limit=100")
        ]
        report.nothing(f"no delivery of {tenant} is retrying, held or dead", waiting)
    sample = next(call for call in day if calls.matches(call) == 2)
    deliveries = api.items(f"/v1/tenants/{sample.tenant}/events/{sample.id}/deliveries")
    told = sorted((d["state"], [(a["n"], a["status"]) for a in d["attempts"]]) for d in deliveries)
    report.equal("an event's deliveries are told with their one attempt", told, [("succeeded", [(1, 200)])] * 2)


def script(report: Report) -> None:
    day = calls.read()
    expected = calls.expected(day)
    total = sum(map(len, expected.values()))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        redial = Redial(folder)
        api = redial.start()
        try:
            version = api.expect(200, "GET", "/v1")["version"]
            calls.subscribe(api, receiver)
            bodies = calls.batches(day)
            began = time.time()
            first = Pass(api, bodies)
            second = Pass(api, bodies)
            one, two = first.result(), second.result()
            wait_until("all deliveries", lambda: everything_arrived(receiver, expected), ARRIVE_S)
            report.note(
                f"{total} deliveries of {len(day)} events arrived {time.time() - began:.1f} s after the first request"
            )
            three = send(api, bodies)
            more = sentinels(api, day)
            wait_until("the sentinels", lambda: everything_arrived(receiver, with_more(expected, more)), ARRIVE_S)
            check_answers(report, day, one, two, three)
            requests = receiver.requests()
            check_deliveries(report, with_more(expected, more), requests, version)
            last = max(r.at for r in requests if not r.event.startswith("sentinel_"))
            report.check(
                "the second pass ran while the first was being delivered",
                second.ended > min(r.at for r in requests),
                f"ended {second.ended}, first delivery {min(r.at for r in requests)}, last {last}",
            )
            said = receiver.verify_with_javascript(folder)
            report.nothing("the official JavaScript library verifies every request", said["refused"])
            report.equal("and it saw every request", said["verified"], len(requests))
            check_api(report, api, day + more)
            report.equal("it ends when asked to", redial.stop(), 0)
            report.nothing(
                "and nothing came after the sentinels", [r.event for r in receiver.requests()[len(requests) :]]
            )
        finally:
            if redial.process is not None and redial.process.poll() is None:
                redial.kill()


def with_more(expected: judge.Expected, more: list[calls.Call]) -> judge.Expected:
    """What must arrive once the sentinels are sent too."""
    return {path: events | calls.expected(more)[path] for path, events in expected.items()}


def check_answers(report: Report, day: list[calls.Call], one: list[dict], two: list[dict], three: list[dict]) -> None:
    """Every event is accepted, in order, with the number of endpoints that want it; every pass hears the same."""
    wanted = [{"id": call.id, "deliveries": calls.matches(call)} for call in day]
    wrong = [f"{json.dumps(got)} instead of {json.dumps(want)}" for got, want in zip(one, wanted) if got != want]
    report.nothing("every event is accepted with the endpoints that it matches", wrong)
    report.equal("there is an answer for each event", len(one), len(day))
    report.check("the same file sent at the same time gets the same answers", two == one)
    report.check("the same file sent afterwards gets the same answers", three == one)


def check_deliveries(report: Report, expected: judge.Expected, requests: list, version: str) -> None:
    """Everything arrived exactly once, as it was posted, and verifies."""
    report.nothing("nothing is missing", judge.missing(expected, requests))
    report.nothing("nothing came twice", [f"{path} {event}" for path, event in judge.repeated(requests)])
    report.nothing("nothing came to an endpoint that did not want it", judge.uninvited(expected, requests))
    report.nothing("data is byte for byte what was posted, and so is the rest", judge.changed(expected, requests))
    report.nothing("the headers are those of the profile, each once", judge.malformed(requests, version))
    report.nothing("the official Python library verifies every request on arrival", judge.unverified(requests))


if __name__ == "__main__":
    run("day", script)
