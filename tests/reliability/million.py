"""A replay of a million stored deliveries (DELIVERIES), killed three times in its middle: none is missed, none comes twice
beyond what was under way at the kills, and the process does not grow.

The deliveries are made as they are in use: posted in batches of 500, delivered, and then delivered again by one job.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from checks import Report, run, wait_until
from product import Origin, Redial
from sink import Sink

TENANT = "acme"
DELIVERIES = int(os.environ.get("DELIVERIES", "1000000"))
BATCH = 500
KILLS = 3
# How long everything may take to come, in seconds.
THROUGH_S = 5400
# What the process may grow by between the first tenth of the replay and its end, in KiB: caches and connections, no list.
MOST_GROWTH_KIB = 64 * 1024
# Deliveries that a page holds at most: what a kill of the replay's worker may repeat, each as one message marked `check`.
PAGE = 500


def resident_kib(redial: Redial) -> int:
    """The memory of the process."""
    for line in Path(f"/proc/{redial.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def post(report: Report, api: Origin, sink: Sink) -> None:
    """All events, no faster than they are delivered: a queue of a million is not what is measured."""
    began = time.monotonic()
    for first in range(0, DELIVERIES, BATCH):
        events = [
            {"id": f"m_{n}", "type": "call.ended", "tenant": TENANT, "data": {"n": n}}
            for n in range(first, min(first + BATCH, DELIVERIES))
        ]
        api.expect(202, "POST", "/v1/events", events)
        if first % (BATCH * 20) == 0:
            wait_until("it keeps up", lambda: sink.received("/million") > first - BATCH * 40, THROUGH_S, every_s=0.2)
    wait_until("all were delivered", lambda: len_of(sink) >= DELIVERIES, THROUGH_S, every_s=2)
    report.note(f"{DELIVERIES} events were posted and delivered in {time.monotonic() - began:.0f} s")


def len_of(sink: Sink) -> int:
    """Requests until now."""
    return sink.received("/million")


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        sink = Sink()
        redial = Redial(Path(temporary))
        api = redial.start()
        try:
            assert api.ask("PUT", f"/v1/tenants/{TENANT}", {}).status in (200, 201)
            body = {"url": f"{sink.origin}/million"}
            endpoint = api.expect(201, "POST", f"/v1/tenants/{TENANT}/endpoints", body)["id"]
            began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
            post(report, api, sink)
            before = sink.counts("/million")
            report.equal("each was delivered", len(before), DELIVERIES)
            replay(report, redial, api, sink, {"endpoint": endpoint, "since": began, "state": "succeeded"}, before)
        finally:
            redial.stop()


def replay(
    report: Report, redial: Redial, api: Origin, sink: Sink, what: dict[str, str], before: dict[int, int]
) -> None:
    """The job, its kills, and what came of it."""
    began, base = time.monotonic(), sum(before.values())
    job = api.expect(202, "POST", f"/v1/tenants/{TENANT}/replays", what)["id"]
    path = f"/v1/tenants/{TENANT}/replays/{job}"
    sizes: list[int] = []
    for kill in range(1, KILLS + 1):
        goal = base + DELIVERIES * kill // (KILLS + 1)

        def far_enough() -> bool:
            sizes.append(resident_kib(redial))
            return len_of(sink) >= goal

        wait_until(f"{kill} of {KILLS + 1} parts are delivered", far_enough, THROUGH_S, every_s=1)
        progress = api.expect(200, "GET", path)
        redial.kill()
        report.note(f"killed with {progress['done']} of {progress['total']} queued, at {sizes[-1] / 1024:.0f} MiB")
        assert progress["state"] != "done" or kill == KILLS, "killed after its end: the machine delivers too slowly"
        api = redial.start()
    largest = 0

    def through() -> bool:
        nonlocal largest
        largest = max(largest, resident_kib(redial))
        counts = len_of(sink)
        return counts >= base + DELIVERIES and api.expect(200, "GET", path)["state"] in ("done", "failed")

    wait_until("the job is done", through, THROUGH_S, every_s=2)
    of = f"/v1/tenants/{TENANT}/deliveries?state={{}}&limit=1"
    wait_until(
        "nothing waits",
        lambda: not any(api.expect(200, "GET", of.format(state))["items"] for state in ("queued", "retrying", "held")),
        THROUGH_S,
        every_s=2,
    )
    done = api.expect(200, "GET", path)
    again = {number: count - before[number] for number, count in sink.counts("/million").items()}
    missed = [number for number in range(DELIVERIES) if again.get(number, 0) < 1]
    twice = sum(count - 1 for count in again.values() if count > 1)
    given_back = redial.given_back()
    report.note(
        f"delivered again in {time.monotonic() - began:.0f} s with {KILLS} kills; {twice} came twice, {sum(given_back)}"
        f" were under way at the kills ({given_back}); largest {max([*sizes, largest]) / 1024:.0f} MiB"
    )
    report.equal("the job counts every delivery, and none failed", [done["done"], done["failed"]], [DELIVERIES, 0])
    report.nothing("none was missed", missed)
    report.check("none came twice beyond what was under way at the kills", twice <= sum(given_back), [twice, given_back])
    early = sizes[: max(1, len(sizes) // 5)]
    report.check("memory stays flat", max(*sizes, largest) <= max(early) + MOST_GROWTH_KIB, [max(early), max(sizes), largest])


if __name__ == "__main__":
    run("million", script)
