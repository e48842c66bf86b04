"""Twenty endpoints of one tenant answer 200, each time after 29 seconds, while another tenant's events go to a quick one.

These endpoints never fail, so no hold keeps them away: what does is that a tenant takes at most a share of what can be worked
on at once, and that endpoints that were slow get their requests apart. The quick one's worst latency, from posting to
arrival, is compared with its worst alone: the slow ones' would be 29 seconds. And the slow ones get everything, each
event once, or it is still waiting.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

from checks import Report, run, wait_until
from hanging import arrived, p99
from ledger import Receiver
from product import Origin, Redial

SLOW, QUICK = "noor", "lumen"
ENDPOINTS = 20
DELAY_MS = 29_000
SECONDS = int(os.environ.get("SECONDS", "75"))
PER_S = 5
# Events to all slow endpoints at the beginning, at once, and then each second.
BURST, STEADY = 100, 2
# What is promised: as many times its own worst alone, or so many seconds, whichever is more. A busy machine blurs both.
MOST_TIMES, MOST_S = 3.0, 2.0


def post_quick(api: Origin, prefix: str, seconds: int) -> dict[str, float]:
    """Posts one by one, at the fixed rate; gives when each was."""
    posted, began = {}, time.monotonic()
    for n in range(PER_S * seconds):
        wait_s = began + n / PER_S - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        name = f"{prefix}_{n}"
        posted[name] = time.time()
        api.expect(202, "POST", "/v1/events", {"id": name, "type": "call.ended", "tenant": QUICK, "data": {"n": n}})
    return posted


def post_slow(api: Origin, seconds: int) -> int:
    """A burst, and then a few each second; gives how many."""
    began, posted = time.monotonic(), 0
    for second in range(seconds):
        count = BURST if second == 0 else STEADY
        numbers = range(posted, posted + count)
        events = [{"id": f"slow_{n}", "type": "call.ended", "tenant": SLOW, "data": {"n": n}} for n in numbers]
        api.expect(202, "POST", "/v1/events", events)
        posted += count
        time.sleep(max(0, began + second + 1 - time.monotonic()))
    return posted


def latencies(receiver: Receiver, posted: dict[str, float]) -> list[float]:
    """Seconds from posting to the first arrival of each."""
    wait_until("the quick one has everything", lambda: arrived(receiver, "/quick") >= len(posted), 120)
    first: dict[str, float] = {}
    for request in receiver.requests():
        if request.event in posted:
            first.setdefault(request.event, request.at)
    return [first[name] - at for name, at in posted.items()]


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        late, quick = Receiver(folder, name="late"), Receiver(folder, name="quick")
        redial = Redial(folder)
        api = redial.start()
        try:
            made = {}
            for tenant in (SLOW, QUICK):
                assert api.ask("PUT", f"/v1/tenants/{tenant}", {}).status in (200, 201)
            for n in range(ENDPOINTS):
                body = {"url": f"{late.origin}/slow{n}", "timeout_ms": 30_000}
                made[n] = api.expect(201, "POST", f"/v1/tenants/{SLOW}/endpoints", body)
                late.behave(f"/slow{n}", secret=made[n]["secret"], delay_ms=DELAY_MS)
            own = api.expect(201, "POST", f"/v1/tenants/{QUICK}/endpoints", {"url": f"{quick.origin}/quick"})
            quick.behave("/quick", secret=own["secret"])
            alone = latencies(quick, post_quick(api, "alone", 10))
            other = threading.Thread(target=post_slow, args=(Origin(api.url, api.key), SECONDS))
            other.start()
            beside = latencies(quick, post_quick(api, "beside", SECONDS))
            other.join()
            report.note(
                f"alone: p99 {p99(alone) * 1000:.0f} ms, worst {max(alone) * 1000:.0f} ms; beside {ENDPOINTS} endpoints of"
                f" another tenant that take {DELAY_MS / 1000:.0f} s: p99 {p99(beside) * 1000:.0f} ms,"
                f" worst {max(beside) * 1000:.0f} ms"
            )
            most_s = max(MOST_TIMES * max(alone), MOST_S)
            report.check(f"another tenant's deliveries go on at once: within {most_s:.1f} s", max(beside) <= most_s, max(beside))
            health = api.expect(200, "GET", f"/v1/tenants/{SLOW}/endpoints/{made[0]['id']}/health")
            report.note(f"what is said of a slow one: {health['state']}, {health.get('slow')}, {health['held']} held")
            report.check("a slow one is no failing one", health["state"] == "healthy", health)
            times: dict[tuple[str, str], int] = {}
            for request in late.requests():
                times[request.path, request.event] = times.get((request.path, request.event), 0) + 1
            report.nothing("no event came twice", [key for key, count in times.items() if count > 1])
            dead = api.expect(200, "GET", f"/v1/tenants/{SLOW}/deliveries?state=dead&limit=10")["items"]
            report.nothing("none is dead", dead)
        finally:
            redial.stop()


if __name__ == "__main__":
    run("slow", script)
