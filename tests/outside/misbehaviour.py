"""Receivers that misbehave, some hundred of them, on raw sockets (misbehaving.py): each costs one attempt with the right code
within its timeout and a second, less than 16 MiB, and nobody else anything. A canary on 127.0.0.2, where the
redirects lead, is never reached. A batch full of slow receivers costs one timeout, and the fast one among them is not late.
"""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import time
from datetime import datetime
from pathlib import Path

from checks import LOOK_EVERY_S, NotInTime, Report, run, wait_until
from ledger import Receiver
from misbehaving_run import ENDS, Bench, Receivers, Told
from misbehaviour_table import CODES, GOOD, QUIET, RETRY_AFTER, table
from product import ROOT, Redial

# What an attempt may take beyond its timeout, in milliseconds, and what any misbehaviour may cost, in bytes.
LATE_MS = 1_000
MOST_MEMORY = 16 * 1024 * 1024
# The timeout of every endpoint: the shortest that there is.
TIMEOUT_MS = 1_000
# What is kept of an answer, in bytes (docs/LIMITS.md).
MOST_KEPT = 16 * 1024
# Dies while the process is frozen, for so long; a gap from 2 s on counts as a freeze (shared/egress/src/freeze.rs).
FROZEN, FROZEN_S = "dies_while_frozen", 4
# A connection that nobody uses is closed after 20 s, which is looked at every 20 s.
IDLE_S = 90
# Kinds that are asked at the same time, but for floods, which need all that there is of the machine; bytes of a body that is
# too much for a receiver that reads none of it.
AT_ONCE, PADDING = 12, 200_000
# Open files and threads that may have come to stay.
MORE_HANDLES, MORE_THREADS = 40, 20
# With a fast one they fill the two batches of ten that are worked on at once: no fewer is what a queue can be told. This
# long each.
SLOW, SLOW_MS = 19, 4_000


def wrong(told: Told, codes: set[str]) -> str | None:
    """Why an attempt is not what it should be, if it is not."""
    if told.code not in codes or told.code not in CODES:
        return f"{told.kind}: {told.code} ({told.status}), expected {' or '.join(sorted(codes))}"
    if (told.state == "succeeded") != (told.code == "ok"):
        return f"{told.kind}: {told.code}, and the delivery is {told.state}"
    if told.duration_ms > TIMEOUT_MS + LATE_MS:
        return f"{told.kind}: took {told.duration_ms} ms of {TIMEOUT_MS}"
    if len((told.response or "").encode()) > 3 * MOST_KEPT:
        return f"{told.kind}: {len(told.response)} characters of the answer are kept"
    return None


class Course:
    """All misbehaviours, some at a time, and what was wrong with each."""

    def __init__(self, report: Report, bench: Bench) -> None:
        self.report = report
        self.bench = bench
        self.expected = table()
        self.wrong: list[str] = []
        self.grown: dict[str, int] = {}

    def judge(self, told: Told, codes: set[str]) -> None:
        fault = wrong(told, codes)
        if fault is not None:
            self.wrong.append(fault)

    def together(self, kinds: list[str], name: str) -> None:
        """All of these at once, as often as there are codes for: none keeps another from its time, and what they cost together
        is more than what each does."""
        for kind in kinds:
            self.bench.endpoint(kind, TIMEOUT_MS)
        began = self.bench.memory.begin()
        for turn in range(max(len(self.expected[kind]) for kind in kinds)):
            posted: dict[str, str] = {}
            for kind in (kind for kind in kinds if len(self.expected[kind]) > turn):
                posted |= self.bench.post([kind], PADDING if kind == "answers_before_the_body" else 0)
            for kind, event in posted.items():
                self.judge(self.bench.told(kind, event), self.expected[kind][turn])
        self.grown[name] = self.bench.memory.peak() - began

    def retry_after(self) -> None:
        """Retry-After lengthens a wait, within limits."""
        for kind, (least, most) in RETRY_AFTER.items():
            self.bench.endpoint(kind, TIMEOUT_MS, attempts=2)
            told = self.bench.one(kind, ends=("retrying",))
            wait_s = (moment(told.next_at) - moment(told.at)).total_seconds()
            if told.code != "http_error" or not least - 1 <= wait_s <= most + 1:
                self.wrong.append(f"{kind}: {told.code}, the next attempt after {wait_s:.0f} s of {least} to {most}")
            # What waits for hours is not waited for.
            self.bench.delete(kind)

    def good(self) -> None:
        """Receivers that are right."""
        for kind in GOOD:
            self.judge(self.bench.one(kind), {"ok"})


def moment(text: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def check_course(report: Report, bench: Bench) -> tuple[int, int]:
    """Every kind. How many files and threads there were before."""
    course = Course(report, bench)
    named = {*course.expected, *RETRY_AFTER, *GOOD, FROZEN}
    report.equal("every kind is in the table, and the other way round", named ^ set(bench.receivers.kinds), set())
    for kind in GOOD:
        bench.endpoint(kind, TIMEOUT_MS)
    # Whatever is made once and kept, each way.
    for _ in range(3):
        course.good()
    handles, threads = bench.memory.handles(), bench.memory.threads()
    began = time.monotonic()
    quiet = [kind for kind in course.expected if kind.startswith(QUIET)]
    course.together(quiet, "the slow ones")
    others = [kind for kind in course.expected if kind not in quiet]
    for kind in (kind for kind in others if "endless" in kind):
        course.together([kind], kind)
    brief = [kind for kind in others if "endless" not in kind]
    for at in range(0, len(brief), AT_ONCE):
        group = brief[at : at + AT_ONCE]
        course.together(group, f"{group[0]} to {group[-1]}")
    course.retry_after()
    course.good()
    report.note(f"{len(named)} kinds of receivers in {time.monotonic() - began:.0f} s")
    report.nothing("each attempt has its code, within its timeout and a second, and its delivery the right end", course.wrong)
    most = max(course.grown, key=course.grown.get)
    report.note(f"the most memory is that of {most}, together: {course.grown[most] / 2**20:.1f} MiB")
    large = [f"{kind}: {grown / 2**20:.1f} MiB" for kind, grown in course.grown.items() if grown >= MOST_MEMORY]
    report.nothing("none of them costs 16 MiB", large)
    check_requests(report, bench)
    return handles, threads


def check_requests(report: Report, bench: Bench) -> None:
    """Nobody is asked more often than there were attempts, and no cookie comes back."""
    counts = {kind: len(codes) for kind, codes in table().items()} | dict.fromkeys(RETRY_AFTER, 1)
    seen = bench.receivers.seen()
    again = [f"{kind}: {seen[kind]}" for kind, count in counts.items() if seen[kind]["connections"] > count]
    report.nothing("no receiver is connected to more often than there are attempts", again)
    again = [f"{kind}: {seen[kind]}" for kind, count in counts.items() if seen[kind]["requests"] > count]
    report.nothing("nor is a request sent twice", again)
    report.equal("no cookie is sent back", sum(row["cookies"] for row in seen.values()), 0)


def check_rest(report: Report, bench: Bench, handles: int, threads: int) -> None:
    """What is left afterwards."""
    unsettled = [
        f"{delivery['id']}: {delivery['state']}"
        for tenant in ("plain", "sealed")
        for state in ("queued", "retrying", "held")
        for delivery in bench.api.items(f"/v1/tenants/{tenant}/deliveries?state={state}")
    ]
    report.nothing("no delivery waits for anything", unsettled)

    began = time.monotonic()

    def still_open() -> list[str]:
        return [f"{kind}: {row['open']}" for kind, row in bench.receivers.seen().items() if row["open"]]

    try:
        wait_until("every connection is closed", lambda: not still_open(), IDLE_S, 0.5)
    except NotInTime:
        pass  # The check says which are not.
    report.nothing("every connection is closed in the end", still_open())
    report.note(f"the last one after {time.monotonic() - began:.0f} s")
    more = (bench.memory.handles() - handles, bench.memory.threads() - threads)
    fits = more[0] <= MORE_HANDLES and more[1] <= MORE_THREADS
    report.check("no file, socket or thread stays behind", fits, f"{more[0]} files and sockets, {more[1]} threads more")


def two_batches(folder: Path) -> Path:
    """The product's template, with two batches at a time, which wait until they are full."""
    # It names others by their paths.
    (folder / "infra").symlink_to(ROOT / "infra")
    text = (ROOT / "template.yaml").read_text()
    before, mapping, after = text.partition("        FirstAttempts:\n")
    after = after.replace("BatchSize: 10", "BatchSize: 10\n            MaximumBatchingWindowInSeconds: 5", 1)
    after = after.replace("MaximumConcurrency: !Ref DeliveryConcurrency", "MaximumConcurrency: 2", 1)
    file = folder / "two_batches.yaml"
    file.write_text(before + mapping + after)
    return file


def check_batch(report: Report, folder: Path) -> None:
    """Slow receivers and a fast one that fill the batches: nothing else is worked on meanwhile."""
    receiver = Receiver(folder, name="batch")
    redial = Redial(folder, "--template", str(two_batches(folder)))
    api = redial.start()
    try:
        api.expect(201, "PUT", "/v1/tenants/acme", {"allow_unknown_types": True})
        names = [*(f"slow_{n}" for n in range(SLOW)), "fast"]
        for name in names:
            wanted = {"url": f"{receiver.origin}/{name}", "event_types": [f"case.{name}"], "timeout_ms": SLOW_MS}
            wanted["retry"] = {"attempts": 1}
            endpoint = api.expect(201, "POST", "/v1/tenants/acme/endpoints", wanted)
            delay_ms = 0 if name == "fast" else 10 * SLOW_MS
            receiver.behave(f"/{name}", secret=endpoint["secret"], delay_ms=delay_ms)
        events = [{"id": f"evt_{name}", "type": f"case.{name}", "tenant": "acme", "data": {}} for name in names]
        api.expect(202, "POST", "/v1/events", events)
        attempts = {name: attempt_of(api, f"evt_{name}") for name in names}
    finally:
        redial.stop()
    fast, slow = attempts.pop("fast"), list(attempts.values())
    report.equal(f"{SLOW} slow ones time out", [attempt["code"] for attempt in slow], ["timeout"] * SLOW)
    ends = sorted(moment(attempt["at"]) for attempt in slow)
    spread_s = (ends[-1] - ends[0]).total_seconds()
    report.check(f"together they cost one timeout, not {SLOW}", spread_s < SLOW_MS / 1000, f"{spread_s} s apart")
    begins = {request.path: request.at for request in receiver.requests()}
    ahead_s = (ends[0] - moment(fast["at"])).total_seconds()
    report.check(
        "a fast one in their batch is done long before, and asked no later than they",
        fast["code"] == "ok" and ahead_s > SLOW_MS / 2000 and begins["/fast"] - min(begins.values()) < SLOW_MS / 2000,
        f"{fast}, {ahead_s} s before the first of the slow ones",
    )


def check_frozen(report: Report, folder: Path, receivers: Receivers) -> None:
    """A connection that dies while the process is frozen, as Lambda freezes it, is no attempt of the customer's."""
    redial = Redial(folder)
    try:
        bench = Bench(redial, redial.start(), receivers)
        bench.endpoint(FROZEN, 30_000)
        event = bench.post([FROZEN])[FROZEN]
        wait_until("the request is there", lambda: receivers.seen()[FROZEN]["requests"] == 1, IDLE_S)
        os.kill(redial.process.pid, signal.SIGSTOP)
        try:
            # The signal is one thread's to act on: until it does, the others go on.
            tasks = Path(f"/proc/{redial.process.pid}/task")
            wait_until("it stands still", lambda: all(") T " in (t / "stat").read_text() for t in tasks.iterdir()), IDLE_S)
            thaws = time.monotonic() + FROZEN_S
            receivers.seen(end=FROZEN)
            wait_until("it was frozen", lambda: time.monotonic() >= thaws, 2 * FROZEN_S)
        finally:
            os.kill(redial.process.pid, signal.SIGCONT)
        told = bench.told(FROZEN, event)
        report.equal(
            "a connection that dies while the process is frozen is our fault: the only attempt is the one after it",
            (told.state, told.code, receivers.seen()[FROZEN]["requests"]),
            ("succeeded", "ok", 2),
        )
    finally:
        redial.stop()


def attempt_of(api, event: str) -> dict:
    """The only attempt of the only delivery of an event."""

    def look() -> dict | None:
        items = api.items(f"/v1/tenants/acme/events/{event}/deliveries")
        return next((item for item in items if item["state"] in ENDS), None)

    (attempt,) = wait_until(f"{event} has ended", look, IDLE_S, LOOK_EVERY_S)["attempts"]
    return attempt


def check_log(report: Report, redial: Redial) -> None:
    """What the server said: a receiver is never a reason for an error of ours."""
    lines = redial.log.read_text().splitlines()
    bad = [line for line in lines if re.search(r"panicked|\bERROR\b|our_fault", line)]
    report.nothing("no panic, and no fault of ours for what a receiver does", bad)


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        canary = Receiver(folder, "127.0.0.2", "canary")
        receivers = Receivers(folder, canary.origin.removeprefix("http://"))
        redial = Redial(folder, "--extra-authorities", receivers.authority)
        for name in ("frozen", "batch"):
            (folder / name).mkdir()
        try:
            bench = Bench(redial, redial.start(), receivers)
            before = check_course(report, bench)
            # Meanwhile connections are closed.
            check_frozen(report, folder / "frozen", receivers)
            check_batch(report, folder / "batch")
            check_rest(report, bench, *before)
        finally:
            if redial.process is not None:
                status = redial.stop()
        report.equal("it stops as it should", status, 0)
        check_log(report, redial)
        report.equal("the canary was never reached", json.dumps([r.path for r in canary.requests()]), "[]")


if __name__ == "__main__":
    run("misbehaviour", script)
