"""One run, in a process of its own: a world is made, events are posted, the product is killed and broken as the run says, all
settles, a replay is asked for and settles too, and the invariants are judged.

    one.py --folder DIR --spec JSON       prints progress; writes DIR/result.json; status 0 if every invariant holds
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Callable

sys.path.append(str(Path(__file__).resolve().parents[1] / "outside"))

import evidence as gathering  # noqa: E402
import invariants  # noqa: E402
import spec as specs  # noqa: E402
import world  # noqa: E402
from book import Book  # noqa: E402
from checks import NotInTime, wait_until  # noqa: E402
from machine import Machine, plain  # noqa: E402
from product import Origin  # noqa: E402
from senders import Senders  # noqa: E402

# Waiting states, in the order in which they are looked at: what is released meanwhile becomes `queued`, and what comes too early
# or too late `held` again. What the endpoint that is gone holds does not wait.
WAITING = ("held", "queued", "retrying", "held")
# So many looks in a row must find nothing.
QUIET_LOOKS = 3
# How often it is looked whether all has settled, in seconds, and how often progress is told.
LOOK_S, TELL_S = 1.0, 10.0
# How long all events may take to be posted, in seconds, each.
POST_S_EACH = 0.3
# How often it is started again to work on what is left in its queues.
EMPTIED_TRIES = 6
# A row of the due list may be so late, in milliseconds of the product's clock: two passes of the sweeper and a lease.
GRACE_MS = 20 * 60_000


class Run:
    """One run and what it is made of."""

    def __init__(self, spec: specs.Spec, folder: Path) -> None:
        self.spec = spec
        self.folder = folder
        self.began = time.monotonic()
        self.warp = specs.Warp(int(time.time() * 1000), spec.factor)
        began = f"{self.warp.began_ms}:{spec.factor:g}"
        self.book = Book(folder, began if spec.factor != 1 else "", spec.plant)
        self.machine = Machine(spec, folder, self.warp)
        self.posted = world.events(spec)
        self.burnt: list[world.Event] = []
        self.endpoints: dict[str, dict] = {}
        self.keys: dict[str, str] = {}
        self.left: dict[str, int] = {}

    def tell(self, text: str) -> None:
        """A line of progress."""
        print(f"{time.monotonic() - self.began:6.1f} s {text}", flush=True)

    def prepare(self) -> None:
        """Makes the world with nothing broken: what is tested is how events fare."""
        calm = specs.Spec(seed=self.spec.seed, factor=self.spec.factor)
        broken, self.machine.spec, arms = self.machine.spec, calm, self.machine.arms
        self.machine.arms = []
        api = self.machine.start()
        self.endpoints = world.make(api, self.book, self.spec)
        for tenant in world.TENANTS:
            self.keys[tenant] = api.expect(201, "POST", "/v1/keys", {"scope": f"tenant:{tenant}", "name": "faults"})["key"]
        assert self.machine.redial.stop() == 0
        self.machine.spec, self.machine.arms = broken, arms

    def post(self) -> Senders:
        """Posts everything, through all kills."""
        posted = self.posted[len(self.burnt) :]
        senders = Senders(self.spec, posted)
        self.machine.senders = senders
        if self.spec.point.startswith("intake."):
            senders.answers |= self.burn()
        else:
            self.machine.start()
        self.machine.watch()
        senders.connect(self.machine.api)
        if self.spec.kill_s:
            senders.pace(self.spec.kill_s)
            until = time.monotonic() + self.spec.kill_s
            threading.Thread(target=self.machine.kill_often, args=(until,), daemon=True).start()
        senders.start()
        most = self.spec.kill_s + 60 + POST_S_EACH * len(posted)
        self.until("posted", senders.done.is_set, most, lambda: f"{senders.left} requests to be answered")
        if self.spec.kill_s:
            self.until("killed enough", lambda: time.monotonic() > until + 1, self.spec.kill_s + 60)
        return senders

    def burn(self) -> dict[tuple[str, str], int | str]:
        """Posts an event and dies with its message in hand until it is a dead letter: the way to the intake."""
        self.burnt = [e for e in self.posted if [s for s in world.SUBSCRIPTIONS if s.wants(e)] == [world.BURNT]][:1]
        self.posted = self.burnt + [e for e in self.posted if e not in self.burnt]
        senders = Senders(self.spec, self.burnt)
        senders.connect(self.machine.api)
        senders.start()
        deadly = f"dispatcher.after_receive:1,{self.machine.arms[0]}"
        self.machine.arms = []
        times = self.machine.burn(deadly, "intake.")
        self.until("the burnt one posted", senders.done.is_set, 60)
        self.tell(f"died {times} times with a message in hand")
        return senders.answers

    def until(self, what: str, condition, most_s: float, say=lambda: "") -> None:  # noqa: ANN001
        """Waits, bounded, and tells how it goes."""
        told = time.monotonic()

        def look() -> bool:
            nonlocal told
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                self.tell(f"waiting: {what}; {say()}")
            try:
                return condition()
            except (OSError, AssertionError, http.client.HTTPException):
                return False

        wait_until(what, look, most_s, LOOK_S)
        self.tell(what)

    def settled(self) -> bool:
        """True if nothing waits any more. Looks no further than at the first list with something in it; at all of its pages, as
        one may be empty that is not the last."""
        api = self.machine.api
        for tenant in world.TENANTS:
            for state in WAITING:
                path = f"/v1/tenants/{tenant}/deliveries?state={state}&limit=100"
                items = gathering.everything(api, path)
                left = [item for item in items if item["reason"] != invariants.HELD_FOR_GOOD]
                self.left = Counter(f"{self.path(item)} {state} {item['reason'] or ''}" for item in left)
                if left:
                    return False
        return True

    def path(self, item: dict) -> str:
        """The path of a delivery's endpoint."""
        return next((p for p, e in self.endpoints.items() if e["id"] == item["endpoint"]), item["endpoint"])

    def all_replayed(self) -> bool:
        """True if as many replays are recorded as the jobs have sent: what waits in a queue for the first time has no record,
        and of a replay no list shows it."""
        api, tenant = self.machine.api, world.REPLAYED.tenant
        endpoint = self.endpoints[world.REPLAYED.path]["id"]
        jobs = gathering.everything(api, f"/v1/tenants/{tenant}/replays")
        sent = {job["id"]: job["done"] for job in jobs if job["what"].get("state") == "succeeded"}
        items = gathering.everything(api, f"/v1/tenants/{tenant}/deliveries?endpoint={endpoint}&limit=100")
        recorded = (item for item in items if item["replay_of"] is not None and item["state"] != "queued")
        made = Counter(item["id"].rsplit(".", 1)[1] for item in recorded)
        self.left = Counter({job: done - made[job] for job, done in sent.items() if done > made[job]})
        return bool(sent) and not self.left

    def settle(self, what: str, also: Callable[[], bool] = lambda: True) -> None:
        """Waits until all has settled; goes on if it does not: the invariants will say what has not."""
        quiet = 0

        def quiet_enough() -> bool:
            nonlocal quiet
            quiet = quiet + 1 if self.settled() and also() else 0
            return quiet >= QUIET_LOOKS

        try:
            self.until(what, quiet_enough, self.spec.settle_s(), lambda: str(dict(self.left)))
        except NotInTime as late:
            self.tell(f"{late}: {dict(self.left)}")

    def repair(self) -> None:
        """The endpoint that was down works again."""
        self.book.behave(world.DOWN.path, seed=self.spec.seed)

    def replay(self) -> None:
        """Delivers everything of one endpoint again. A request that was not answered is repeated, as a person would."""
        path = f"/v1/tenants/{world.REPLAYED.tenant}/replays"
        now = self.warp.now()
        wanted = {"endpoint": self.endpoints[world.REPLAYED.path]["id"], "since": world.moment(self.warp.began_ms / 1000)}
        wanted |= {"until": world.moment(now + 3600), "state": "succeeded"}
        before = len(gathering.everything(self.machine.api, path))
        while True:
            answer = gathering.patient(lambda: Origin(self.machine.api.url, self.machine.api.key).ask("POST", path, wanted))
            if answer.status == 202:
                break
            assert answer.status >= 500 or answer.status == 429, answer
            time.sleep(gathering.PATIENT_S)

        def finished() -> bool:
            jobs = gathering.everything(self.machine.api, path)
            return len(jobs) > before and all(job["state"] in ("done", "failed", "canceled") for job in jobs)

        self.until("replayed", finished, self.spec.settle_s())

    def gather(self, senders: Senders) -> gathering.Evidence:
        """Everything that is to be judged."""
        api = self.machine.api
        found = gathering.Evidence(self.posted, answers=senders.answers, wrong_answers=senders.wrong)
        gathering.ask_api(found, api, self.endpoints)
        gathering.ask_as_tenants(found, api, self.keys)
        self.machine.look()
        status = self.machine.stop()
        if status != 0:
            self.machine.ends.append(f"it stopped with status {status}")
        for _ in range(EMPTIED_TRIES):
            if self.machine.empty():
                break
        gathering.read_log(found, self.machine.redial.log)
        gathering.read_due(found, self.machine.redial.data, self.warp.now() * 1000, GRACE_MS)
        found.posts = self.book.requests()
        found.most_open = {path: counts["most_open"] for path, counts in self.book.summary().items()}
        found.kills, found.ends = self.machine.kills, self.machine.ends
        found.rss_mb = self.machine.most_rss_mb
        found.clock = self.warp.now
        return found

    def work(self) -> dict:
        """The whole run; gives its result."""
        self.prepare()
        senders = self.post()
        self.repair()
        self.settle("settled")
        self.replay()
        self.settle("settled after the replay", self.all_replayed)
        found = self.gather(senders)
        self.tell(gathering.as_text(found))
        findings = [str(finding) for finding in invariants.judge(found)]
        died = Counter(re.findall(r"killed point=\"?([\w.]+)", plain(self.machine.redial.log)))
        if self.spec.point and not died[self.spec.point]:
            findings.append(f"tool not_reached: {self.spec.point}: the process never died there")
        if self.spec.faults and not found.faults:
            findings.append("tool no_faults: the connector injected none")
        return {
            "name": self.spec.name,
            "passed": not findings,
            "findings": findings,
            "accepted": len(found.accepted()),
            "deliveries": gathering.states(found),
            "requests": len(found.posts),
            "duplicates": sum(len(p) for p in found.arrived().values())
            - sum(len(i["attempts"]) for items in found.told().values() for i in items),
            "kills": len(found.kills),
            "faults": found.faults,
            "rss_mb": round(found.rss_mb),
        }


def on_a_leash(run: Run) -> None:
    """Ends with whoever started it: its standard input ends with them. The product is a process that nobody else would end."""

    def hold() -> None:
        sys.stdin.read()
        run.machine.stopping = True
        if run.machine.redial.process is not None:
            run.machine.redial.process.kill()
        os._exit(1)

    threading.Thread(target=hold, daemon=True).start()


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--folder", required=True, type=Path)
    arguments.add_argument("--spec", required=True)
    given = arguments.parse_args()
    run = Run(specs.read(given.spec), given.folder)
    on_a_leash(run)
    try:
        result = run.work()
    except Exception as error:  # Whatever it is, the run has not passed, and says why.
        traceback.print_exc(file=sys.stdout)
        result = {"name": run.spec.name, "passed": False, "findings": [f"tool broke: {type(error).__name__}: {error}"]}
    finally:
        process = run.machine.redial.process
        run.machine.stopping = True
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        run.book.close()
    result["seconds"] = round(time.monotonic() - run.began, 1)
    (given.folder / "result.json").write_text(json.dumps(result, indent=1))
    for finding in result["findings"]:
        print(finding)
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
