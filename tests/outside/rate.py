"""Endpoints with a rate limit of 5 a second and 500 deliveries each that wait: posted in one batch, held by a pause and
resumed, and replayed, all at the same time. The receiver's own clock says when each request came; nothing but what is
promised of the rate is asked of it."""

from __future__ import annotations

import bisect
import statistics
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from checks import Report, run, wait_until
from ledger import Receiver
from product import Origin, Redial

TENANT = "acme"
ENDPOINTS = f"/v1/tenants/{TENANT}/endpoints"
# The limit, what waits for it, and what is promised of ten seconds and of any one.
PER_SECOND = 5
WAITING = 500
LEAST_IN_TEN, MOST_IN_TEN = 45, 55
MOST_IN_ONE = 6
# Part of the seconds that may have one more: requests leave by Redial's clock and are counted by the receiver's, and a process
# that gets no processor for 200 ms brings two together.
MOST_STALLED = 0.01
# How long all of it may take, in seconds: 102, and a pass of the sweeper.
THROUGH_S = 165
# Events posted one by one, for the latency of an endpoint without a limit, with and without the others.
SINGLES = 80
# The other endpoint's latency while others wait, as (factor, seconds) that it may be of the one without them: of the medians,
# and of the 95th percentiles of the single posts. What two runs of the same differ by on a busy machine lies below.
MEDIAN_BOUND = (1.5, 0.020)
P95_BOUND = (2.0, 0.050)


def event(name: str, event_type: str) -> dict:
    """An event to post."""
    return {"id": name, "type": event_type, "tenant": TENANT, "data": {"name": name}}


def post_batch(api: Origin, prefix: str, event_type: str, deliveries: int) -> float:
    """Posts 500 events in one request, and gives when it began."""
    began = time.time()
    batch = [event(f"{prefix}_{n}", event_type) for n in range(WAITING)]
    answer = api.expect(202, "POST", "/v1/events", batch)
    assert {e.get("deliveries") for e in answer["events"]} == {deliveries}, answer["events"][:3]
    return began


def subscribe(api: Origin, receiver: Receiver, name: str, event_types: list[str], **fields: object) -> str:
    """An endpoint at `/name`; gives its id."""
    path = f"/{name}"
    endpoint = api.expect(201, "POST", ENDPOINTS, {"url": receiver.origin + path, "event_types": event_types, **fields})
    receiver.behave(path, secret=endpoint["secret"])
    return endpoint["id"]


def arrivals(receiver: Receiver, path: str) -> list[float]:
    """When the requests to a path came."""
    return sorted(request.at for request in receiver.requests() if request.path == path)


def received(receiver: Receiver, path: str) -> int:
    """How many requests a path got."""
    return receiver.summary().get(path, {}).get("received", 0)


def singles(api: Origin, receiver: Receiver, prefix: str) -> list[float]:
    """Seconds from posting to arrival, of events posted one after another."""
    posted = {}
    before = received(receiver, "/other")
    for n in range(SINGLES):
        name = f"{prefix}_{n}"
        posted[name] = time.time()
        api.expect(202, "POST", "/v1/events", event(name, "call.started"))
    wait_until(f"{prefix} are delivered", lambda: received(receiver, "/other") >= before + SINGLES, THROUGH_S)
    return [r.at - posted[r.event] for r in receiver.requests() if r.path == "/other" and r.event in posted]


def of_batch(receiver: Receiver, prefix: str, began: float) -> list[float]:
    """Seconds from posting to arrival of a batch's events at the endpoint without a limit."""
    mine = [r for r in receiver.requests() if r.path == "/other" and r.event.startswith(f"{prefix}_")]
    return [r.at - began for r in mine]


def check_rate(report: Report, what: str, came: list[float]) -> None:
    """What is promised of the limit, from the first request on."""
    report.equal(f"{what}: every delivery came, each once", len(came), WAITING)
    first, last = came[0], came[-1]

    def between(since: float, until: float) -> int:
        return bisect.bisect_left(came, until) - bisect.bisect_left(came, since)

    tens = [(second, between(first + second, first + second + 10)) for second in range(int(last - first) - 9)]
    report.check(
        f"{what}: {LEAST_IN_TEN} to {MOST_IN_TEN} in every ten seconds",
        len(tens) > 80 and all(LEAST_IN_TEN <= count <= MOST_IN_TEN for _, count in tens),
        [f"from second {second} on: {count}" for second, count in tens if not LEAST_IN_TEN <= count <= MOST_IN_TEN],
    )
    ones = [(at - first, between(at, at + 1)) for at in came]
    over = [(at, count) for at, count in ones if count > MOST_IN_ONE]
    report.check(
        f"{what}: at most {MOST_IN_ONE} in any second, but for stalls of this machine",
        len(over) <= MOST_STALLED * len(ones) and all(count == MOST_IN_ONE + 1 for _, count in over),
        [f"from {at:.3f} s on: {count}" for at, count in over],
    )
    counts = [count for _, count in tens]
    report.note(
        f"{what}: {min(counts)} to {max(counts)} in ten seconds, at most {max(count for _, count in ones)} in one,"
        f" all in {last - first:.1f} s"
    )


def check_attempts(report: Report, api: Origin, what: str, endpoint: str, count: int) -> None:
    """Waiting spends nothing."""
    items = api.items(f"/v1/tenants/{TENANT}/deliveries?endpoint={endpoint}&limit=100")
    wrong = [d for d in items if d["state"] != "succeeded" or [a["n"] for a in d["attempts"]] != [1]]
    report.check(
        f"{what}: {count} deliveries, each at its first attempt",
        len(items) == count and not wrong,
        [f"{len(items)} deliveries", *wrong[:3]],
    )


def p95(seconds: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def check_latency(
    report: Report, what: str, bound: tuple[float, float], without: float, within: float
) -> None:
    """The endpoint without a limit does not notice those with one."""
    factor, seconds = bound
    most = without * factor + seconds
    numbers = f"{without * 1000:.1f} ms without, {within * 1000:.1f} ms with them, ratio {within / without:.2f}"
    sentence = f"{what}: an endpoint without a limit is as fast while others wait as without them"
    report.check(sentence, within < most, f"{numbers}, at most {most * 1000:.1f} ms")
    report.note(f"{what}: {numbers}")


def jobs_are_done(api: Origin) -> bool:
    """True if every release and replay has handed over what it found."""
    jobs = api.items(f"/v1/tenants/{TENANT}/replays")
    return len(jobs) == 2 and all(job["state"] == "done" for job in jobs)


def scenario(report: Report, api: Origin, slow: Receiver, fast: Receiver) -> None:
    other = subscribe(api, fast, "other", ["call.started", "call.failed", "call.ended"])
    replayed = subscribe(api, slow, "replayed", ["call.failed"])
    posted = subscribe(api, slow, "posted", ["call.ended"], rate_limit=PER_SECOND)
    resumed = subscribe(api, slow, "resumed", ["dial.started"], rate_limit=PER_SECOND)

    # Without: two endpoints that have no limit.
    since = datetime.now(timezone.utc)
    began = post_batch(api, "failed", "call.failed", 2)
    for receiver, path in ((fast, "/other"), (slow, "/replayed")):
        wait_until("the first batch is delivered", lambda: received(receiver, path) >= WAITING, THROUGH_S)
    batch_without = of_batch(fast, "failed", began)
    singles_without = singles(api, fast, "before")

    # With: three that have one, each with 500 deliveries.
    api.expect(200, "POST", f"{ENDPOINTS}/{resumed}/pause")
    post_batch(api, "dial", "dial.started", 1)
    api.expect(200, "PATCH", f"{ENDPOINTS}/{replayed}", {"rate_limit": PER_SECOND})
    until = datetime.now(timezone.utc)
    began = post_batch(api, "ended", "call.ended", 2)
    api.expect(200, "POST", f"{ENDPOINTS}/{resumed}/resume")
    what = {"endpoint": replayed, "since": since.isoformat(), "until": until.isoformat(), "state": "succeeded"}
    api.expect(202, "POST", f"/v1/tenants/{TENANT}/replays", what)
    # What the other one got of the batch, and the beginning of the jobs, is over when its latency is looked at.
    wait_until("the batch is delivered", lambda: received(fast, "/other") >= 2 * WAITING + SINGLES, THROUGH_S)
    wait_until("the jobs are done", lambda: jobs_are_done(api), THROUGH_S)
    singles_within = singles(api, fast, "while")
    for path, count in (("/posted", WAITING), ("/resumed", WAITING), ("/replayed", 2 * WAITING)):
        wait_until(f"{path} has its {count}", lambda: received(slow, path) >= count, THROUGH_S)

    check_rate(report, "500 posted at once", arrivals(slow, "/posted"))
    check_rate(report, "500 held and resumed", arrivals(slow, "/resumed"))
    check_rate(report, "500 replayed", arrivals(slow, "/replayed")[WAITING:])
    batch_within = of_batch(fast, "ended", began)
    medians = [statistics.median(times) for times in (batch_without, batch_within, singles_without, singles_within)]
    check_latency(report, "500 at once, median", MEDIAN_BOUND, *medians[:2])
    check_latency(report, "one by one, median", MEDIAN_BOUND, *medians[2:])
    check_latency(report, "one by one, 95th percentile", P95_BOUND, p95(singles_without), p95(singles_within))
    # The last answer and its record are a moment apart.
    list_of = f"/v1/tenants/{TENANT}/deliveries?state=queued&limit=1"
    wait_until("nothing is queued", lambda: not api.expect(200, "GET", list_of)["items"], THROUGH_S)
    check_attempts(report, api, "posted at once", posted, WAITING)
    check_attempts(report, api, "held and resumed", resumed, WAITING)
    check_attempts(report, api, "delivered and replayed", replayed, 2 * WAITING)
    check_attempts(report, api, "without a limit", other, 2 * WAITING + 2 * SINGLES)


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # A receiver of its own for those with a limit: its clock must not wait for the others' requests.
        slow, fast = Receiver(folder, name="slow"), Receiver(folder, name="fast")
        redial = Redial(folder)
        api = redial.start()
        try:
            assert api.ask("PUT", f"/v1/tenants/{TENANT}", {}).status in (200, 201)
            scenario(report, api, slow, fast)
        finally:
            redial.stop()


if __name__ == "__main__":
    run("rate", script)
