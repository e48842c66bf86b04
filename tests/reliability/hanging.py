"""One endpoint hangs for 10 seconds at every request and gets 20,000 events, while 2,000 go to a healthy one at a fixed rate.

The healthy one's 99th percentile, from posting to arrival, is compared with its own alone, at the same rate and caps, in one
run; three runs, and the worst counts. Then the hanging one comes back: all 20,000 arrive, each once, no faster than what a
drain may.
"""

from __future__ import annotations

import bisect
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

from checks import Report, run, wait_until
from ledger import Receiver
from product import Origin, Redial

TENANTS = ("noor", "lumen")
HANGING, HEALTHY = TENANTS
# What is posted, and how fast: both within the same time.
HEALTHY_EVENTS = int(os.environ.get("HEALTHY_EVENTS", "2000"))
HEALTHY_PER_S = int(os.environ.get("HEALTHY_PER_S", "25"))
HANGING_EVENTS = HEALTHY_EVENTS * 10
SECONDS = HEALTHY_EVENTS / HEALTHY_PER_S
# Events of one request to the hanging one: a platform posts them as they happen. Whatever is posted in batches comes in bursts,
# which everybody's next event feels on one machine of two cores, whether or not its endpoint hangs.
BATCH = int(os.environ.get("HANGING_BATCH", "1"))
RUNS = int(os.environ.get("RUNS", "3"))
# What is promised: of the percentile, of the messages in flight, and of the drain (deliveries a second, with what the clocks
# of two processes and a sweep of whole seconds blur).
MOST_TIMES = 1.5
MOST_IN_FLIGHT = 10
MOST_PER_S = 100 * 1.2
# The first wave: a timeout of 10 s, its retries, and the dispatchers' copies of the configuration.
FIRST_WAVE_S = 45
# How long the probe and the drain may take, in seconds.
THROUGH_S = 1200


def post_healthy(api: Origin, prefix: str, posted: dict[str, float]) -> None:
    """Posts one by one, at the fixed rate; notes when each was."""
    began = time.monotonic()
    for n in range(HEALTHY_EVENTS):
        wait_s = began + n / HEALTHY_PER_S - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        name = f"{prefix}_{n}"
        posted[name] = time.time()
        api.expect(202, "POST", "/v1/events", {"id": name, "type": "call.ended", "tenant": HEALTHY, "data": {"n": n}})


def post_hanging(url: str, key: str, prefix: str) -> None:
    """Posts within the same time. In a process of its own: threads of one would wait for each other."""
    # Whoever posts is another machine: it must not take the processor from what is measured.
    os.nice(19)
    api = Origin(url, key)
    began = time.monotonic()
    for first in range(0, HANGING_EVENTS, BATCH):
        wait_s = began + first / HANGING_EVENTS * SECONDS - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        numbers = range(first, min(first + BATCH, HANGING_EVENTS))
        events = [{"id": f"{prefix}_{n}", "type": "call.ended", "tenant": HANGING, "data": {"n": n}} for n in numbers]
        answer = api.expect(202, "POST", "/v1/events", events)
        assert all(event.get("deliveries") == 1 for event in answer["events"]), answer["events"][:3]


def latencies(receiver: Receiver, posted: dict[str, float]) -> list[float]:
    """Seconds from posting to the first arrival of each."""
    wait_until("the healthy one has everything", lambda: arrived(receiver, "/healthy") >= len(posted), 120)
    first: dict[str, float] = {}
    for request in receiver.requests():
        if request.event in posted:
            first.setdefault(request.event, request.at)
    assert len(first) == len(posted), f"{len(first)} of {len(posted)}"
    return [first[name] - at for name, at in posted.items()]


def arrived(receiver: Receiver, path: str) -> int:
    """How many events a path has got."""
    return receiver.summary().get(path, {}).get("ids", 0)


def p99(seconds: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[-1]


def in_flight(api: Origin, endpoint: str) -> int:
    """Messages of an endpoint that are out of the queue or wait in it for a retry; counted up to 100."""
    return sum(
        len(api.expect(200, "GET", f"/v1/tenants/{HANGING}/deliveries?endpoint={endpoint}&state={state}&limit=100")["items"])
        for state in ("retrying", "queued")
    )


def one_run(report: Report, number: int) -> float:
    """Alone, then beside the hanging one, then back again; gives the ratio of the percentiles."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # Processes of their own: what hangs must not slow the clock of what does not.
        slow, fast = Receiver(folder, name="slow"), Receiver(folder, name="fast")
        redial = Redial(folder)
        api = redial.start()
        try:
            endpoints = {}
            for tenant, receiver, path in ((HANGING, slow, "/hanging"), (HEALTHY, fast, "/healthy")):
                assert api.ask("PUT", f"/v1/tenants/{tenant}", {}).status in (200, 201)
                body = {"url": receiver.origin + path}
                made = api.expect(201, "POST", f"/v1/tenants/{tenant}/endpoints", body)
                receiver.behave(path, secret=made["secret"])
                endpoints[tenant] = made["id"]
            alone: dict[str, float] = {}
            post_healthy(api, f"alone{number}", alone)
            without = p99(latencies(fast, alone))
            slow.behave("/hanging", delay_ms=600_000)
            beside: dict[str, float] = {}
            hanging = multiprocessing.Process(target=post_hanging, args=(api.url, api.key, f"hang{number}"))
            hanging.start()
            began, most = time.monotonic(), 0

            def watch() -> None:
                nonlocal most
                eyes = Origin(api.url, api.key)
                while hanging.is_alive():
                    time.sleep(1)
                    if time.monotonic() - began > FIRST_WAVE_S:
                        most = max(most, in_flight(eyes, endpoints[HANGING]))

            watching = threading.Thread(target=watch)
            watching.start()
            post_healthy(api, f"beside{number}", beside)
            hanging.join()
            watching.join()
            report.equal(f"run {number}: everything was posted to the hanging one", hanging.exitcode, 0)
            within = p99(latencies(fast, beside))
            report.note(
                f"run {number}: p99 {without * 1000:.1f} ms alone, {within * 1000:.1f} ms beside it, ratio"
                f" {within / without:.2f}; at most {most} messages of the hanging one in flight after {FIRST_WAVE_S} s"
            )
            report.check(f"run {number}: at most {MOST_IN_FLIGHT} in flight after the first wave", most <= MOST_IN_FLIGHT, most)
            come_back(report, number, api, slow, endpoints[HANGING])
            return within / without
        finally:
            redial.stop()


def come_back(report: Report, number: int, api: Origin, slow: Receiver, endpoint: str) -> None:
    """The hanging one answers again: everything comes, at the capped rate."""
    slow.behave("/hanging")
    back = time.time()
    slow.wait_for("all of the hanging one's events", "/hanging", HANGING_EVENTS, THROUGH_S)
    came = sorted(r.at for r in slow.requests() if r.path == "/hanging" and r.at >= back and r.status == 200)
    most = max(bisect.bisect_left(came, at + 1) - index for index, at in enumerate(came))
    report.note(
        f"run {number}: the first came {came[0] - back:.0f} s after it was back, all {HANGING_EVENTS} by"
        f" {came[-1] - back:.0f} s, at most {most} in a second"
    )
    report.check(f"run {number}: no faster than a drain may", most <= MOST_PER_S, most)
    once = {}
    for request in slow.requests():
        if request.path == "/hanging" and request.status == 200:
            once[request.event] = once.get(request.event, 0) + 1
    report.equal(f"run {number}: each was taken, and once", [len(once), max(once.values())], [HANGING_EVENTS, 1])
    deliveries = f"/v1/tenants/{HANGING}/deliveries?endpoint={endpoint}&state={{}}&limit=1"
    unfinished = ("queued", "retrying", "held", "dead", "canceled")
    wait_until(
        "the last is recorded",
        lambda: not any(api.expect(200, "GET", deliveries.format(state))["items"] for state in unfinished),
        60,
    )
    report.check(f"run {number}: every delivery succeeded", True)


def script(report: Report) -> None:
    ratios = [one_run(report, number) for number in range(1, RUNS + 1)]
    worst = max(ratios)
    report.check(
        f"the healthy one's p99 is at most {MOST_TIMES} times what it is alone, in the worst of {RUNS} runs: {worst:.2f}",
        worst <= MOST_TIMES,
        ratios,
    )


if __name__ == "__main__":
    run("hanging", script)
