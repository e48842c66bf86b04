"""The judge itself: a healthy run violates nothing, and each invariant, broken once, is found as what it is and as nothing else.

    python test_invariants.py       needs no product
"""

from __future__ import annotations

import sys
import unittest
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable

sys.path.append(str(Path(__file__).resolve().parents[1] / "outside"))

import invariants  # noqa: E402
import world  # noqa: E402
from book import Post  # noqa: E402
from evidence import Evidence  # noqa: E402
from spec import Spec  # noqa: E402

BEGAN = 1_700_000_000.0
STEP_S = 10.0


def iso(seconds: float) -> str:
    """A moment as the API shows it."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def posts_of(path: str, event: world.Event, first: int, statuses: list[int]) -> list[Post]:
    """The requests of a delivery, well apart."""
    made = []
    for number, status in enumerate(statuses):
        at = BEGAN + (first + number) * STEP_S
        headers = {"webhook-id": event.id, "webhook-timestamp": str(int(at))}
        post = Post(first + number, at, path, event.id, headers, "body", event.digest, event.tenant, "ok", at + 0.01, status)
        made.append(post)
    return made


def delivery(path: str, event: world.Event, posts: list[Post], state: str, replay: str = "") -> dict:
    """What the API tells of it."""
    name = f"{event.id}.{path}"
    attempts = [
        {"n": n, "at": iso(post.answered_at), "status": post.status, "code": "x", "duration_ms": 1, "next": ""}
        for n, post in enumerate(posts, 1)
    ]
    return {
        "id": f"{name}.{replay}" if replay else name,
        "event": event.id,
        "endpoint": path,
        "state": state,
        "reason": None,
        "replay_of": name if replay else None,
        "attempts": attempts,
    }


def healthy() -> Evidence:
    """A run in which every first event of a tenant failed once everywhere, one was given up, one held, and all else is well."""
    posted = world.events(Spec(seed=3, events=60))
    evidence = Evidence(posted)
    evidence.paths = {s.path: s.path for s in world.SUBSCRIPTIONS}
    evidence.queues = {"delivery": 0, "dead": 0}
    evidence.overdue = []
    evidence.jobs = [{"id": "rp_1", "state": "done"}]
    number = 1
    for event in posted:
        evidence.answers[event.tenant, event.id] = "422" if event.refused else world.matches(event)
        if not event.refused:
            evidence.events.setdefault(event.tenant, []).append(event.id)
        for s in (s for s in world.SUBSCRIPTIONS if s.wants(event)):
            statuses = [500, 200] if event.id == "ev_0" else [200]
            state = "succeeded"
            if s.path == world.GONE.path:
                statuses, state = [], "held"
            elif s.behaviour.get("status") == 503:
                statuses, state = [503] * 4, "dead"
            posts = posts_of(s.path, event, number, statuses)
            item = delivery(s.path, event, posts, state)
            item["reason"] = "endpoint_disabled" if state == "held" else None
            items = evidence.deliveries.setdefault(event.tenant, [])
            items.append(item)
            number += len(posts)
            if s.path == world.REPLAYED.path:
                again = posts_of(s.path, event, number, [200])
                items.append(delivery(s.path, event, again, "succeeded", "rp_1"))
                posts += again
                number += 1
            evidence.posts += posts
    return evidence


def replayed(path: str, **what: str) -> dict:
    """A job that is done, as the API tells of it."""
    return {"id": "rp_2", "state": "done", "dry_run": False, "what": {"endpoint": path, "state": "succeeded", **what}}


def first(evidence: Evidence, state: str = "succeeded", path: str = "/north/agents") -> dict:
    """A delivery to break."""
    items = (item for items in evidence.deliveries.values() for item in items)
    return next(item for item in items if item["state"] == state and item["endpoint"] == path and item["event"] != "ev_0")


def change_post(evidence: Evidence, item: dict, **changes: object) -> None:
    """Changes the first request of a delivery."""
    at = next(n for n, p in enumerate(evidence.posts) if (p.path, p.event) == (item["endpoint"], item["event"]))
    evidence.posts[at] = replace(evidence.posts[at], **changes)


class TheJudge(unittest.TestCase):
    """Each test breaks one thing."""

    def found(self, breaks: Callable[[Evidence], object]) -> list[str]:
        """What is found after `breaks`, without where."""
        evidence = healthy()
        breaks(evidence)
        return sorted({f"{f.invariant} {f.kind}" for f in invariants.judge(evidence)})

    def test_a_healthy_run_violates_nothing(self) -> None:
        self.assertEqual([str(f) for f in invariants.judge(healthy())], [])
        states = {item["state"] for items in healthy().deliveries.values() for item in items}
        self.assertEqual(states, {"succeeded", "held", "dead"})

    def test_v1_a_delivery_that_is_not_there_is_lost(self) -> None:
        def lose(evidence: Evidence) -> None:
            item = first(evidence)
            evidence.deliveries["north"].remove(item)
            evidence.posts = [p for p in evidence.posts if (p.path, p.event) != (item["endpoint"], item["event"])]

        self.assertEqual(self.found(lose), ["V1 lost"])

    def test_v1_every_delivery_has_an_end_and_every_replay_one_of_each(self) -> None:
        waiting = {"state": "retrying", "attempts": []}
        self.assertIn("V1 unsettled", self.found(lambda e: first(e).update(waiting)))
        self.assertEqual(self.found(lambda e: first(e, "held", "/east/gone").update(reason="kept")), ["V1 unsettled"])
        self.assertEqual(self.found(lambda e: e.jobs.append({"id": "rp_2", "state": "done"})), ["V1 not_replayed"])
        self.assertEqual(self.found(lambda e: e.jobs.append(replayed(world.REPLAYED.path))), ["V1 not_replayed"])

    def test_v1_a_replay_that_owes_nothing_is_no_difference(self) -> None:
        def unlisted(evidence: Evidence) -> None:
            item = first(evidence, path=world.REPLAYED.path)
            event = next(e for e in evidence.posted if (e.tenant, e.id) == (world.REPLAYED.tenant, item["event"]))
            posts = posts_of(item["endpoint"], event, 20_000, [200])
            evidence.deliveries[event.tenant].append(delivery(item["endpoint"], event, posts, "succeeded", "rp_9"))
            evidence.posts += posts

        self.assertEqual(self.found(unlisted), [], "its job is in no list")
        for state in ("failed", "canceled"):
            stopped = {**replayed(world.REPLAYED.path), "id": "rp_9", "state": state}
            self.assertEqual(self.found(lambda e, job=stopped: (unlisted(e), e.jobs.append(job))), [], state)
        others = [replayed("/north/all"), replayed(world.REPLAYED.path, state="held")]
        others += [replayed(world.REPLAYED.path, action="discard"), {**replayed(world.REPLAYED.path), "dry_run": True}]
        for job in others:
            self.assertEqual(self.found(lambda e, job=job: e.jobs.append(job)), [], str(job))

    def test_v2_what_is_recorded_is_what_the_receiver_gave(self) -> None:
        def swallow(evidence: Evidence) -> None:
            item = first(evidence)
            evidence.posts = [p for p in evidence.posts if (p.path, p.event) != (item["endpoint"], item["event"])]

        self.assertEqual(self.found(swallow), ["V2 lost"])
        self.assertEqual(self.found(lambda e: change_post(e, first(e), status=500)), ["V2 wrong_status"])
        self.assertEqual(self.found(lambda e: first(e).update(state="dead")), ["V2 wrong_state"])

    def test_v2_dead_in_spite_of_a_good_answer(self) -> None:
        def ignore(evidence: Evidence) -> None:
            item = first(evidence, "dead", "/south/never")
            last = max((p for p in evidence.posts if p.event == item["event"] and p.path == item["endpoint"]), key=lambda p: p.n)
            evidence.posts.append(replace(last, n=10_000, at=last.at + 1, answered_at=last.at + 1, status=200))

        self.assertEqual(self.found(ignore), ["V2 dead_despite_2xx", "V3 duplicate"])

    def test_v3_a_request_too_many_needs_a_kill_that_caught_the_one_before(self) -> None:
        def repeat(evidence: Evidence) -> Post:
            item = first(evidence)
            post = next(p for p in evidence.posts if (p.path, p.event) == (item["endpoint"], item["event"]))
            evidence.posts.append(replace(post, n=10_000, at=post.at + 3, answered_at=post.at + 3.01))
            return post

        def killed(after_s: float) -> Callable[[Evidence], object]:
            return lambda e: e.kills.append(repeat(e).answered_at + after_s)

        self.assertEqual(self.found(repeat), ["V3 duplicate"])
        self.assertEqual(self.found(killed(0.5)), [])
        self.assertEqual(self.found(killed(2.5)), ["V3 duplicate"])
        self.assertEqual(self.found(lambda e: (repeat(e), e.faults.update(duplicate=1))), [])

    def test_v4_each_request_verifies_with_the_same_bytes(self) -> None:
        self.assertEqual(self.found(lambda e: change_post(e, first(e), python="refused")), ["V4 unverified"])
        failed_once = next(p for p in healthy().posts if p.event == "ev_0" and p.status == 500)
        item = {"endpoint": failed_once.path, "event": "ev_0"}
        self.assertEqual(self.found(lambda e: change_post(e, item, body="other")), ["V4 other_bytes"])
        late = {**failed_once.headers, "webhook-timestamp": str(int(BEGAN) + 99_999)}
        self.assertEqual(self.found(lambda e: change_post(e, item, headers=late)), ["V4 timestamp"])

    def test_v5_attempts_are_in_order_and_not_before_their_time(self) -> None:
        self.assertEqual(self.found(lambda e: first(e)["attempts"][0].update(n=2)), ["V5 gap"])
        dead = ("dead", "/south/never")
        ends = iso(BEGAN + 999_999)
        self.assertEqual(self.found(lambda e: first(e, *dead)["attempts"][1].update(at=ends)), ["V5 early"])

    def test_v6_no_tenant_gets_or_sees_anothers(self) -> None:
        self.assertEqual(self.found(lambda e: change_post(e, first(e), tenant="south")), ["V6 other_content"])
        self.assertEqual(self.found(lambda e: change_post(e, first(e), data="0")), ["V6 other_content"])
        self.assertEqual(self.found(lambda e: e.seen_by_others.append("north's key: south/events answers 200")), ["V6 seen"])

        def stray(evidence: Evidence) -> None:
            post = evidence.posts[0]
            evidence.posts.append(replace(post, n=10_000, path="/east/all", event="ev_999"))

        self.assertEqual(self.found(stray), ["V3 duplicate", "V6 uninvited"])

    def test_v7_queues_and_due_lists_are_empty_and_were_looked_at(self) -> None:
        self.assertEqual(self.found(lambda e: e.queues.update(dead=1)), ["V7 messages"])
        self.assertEqual(self.found(lambda e: e.overdue.append("due/1")), ["V7 overdue"])
        self.assertEqual(self.found(lambda e: setattr(e, "queues", None)), ["V7 unknown"])
        self.assertEqual(self.found(lambda e: setattr(e, "overdue", None)), ["V7 unknown"])

    def test_v8_ingest_is_all_or_nothing(self) -> None:
        self.assertEqual(self.found(lambda e: e.ghosts.append("north ev_3: 200")), ["V8 ghost"])
        self.assertEqual(self.found(lambda e: e.wrong_answers.append("north ev_3: answered 1, before 2")), ["V8 answer"])
        self.assertEqual(self.found(lambda e: e.events["north"].pop()), ["V8 not_listed"])
        self.assertEqual(self.found(lambda e: e.events["north"].append(e.events["north"][0])), ["V8 listed"])

    def test_v9_it_stays_bounded(self) -> None:
        self.assertEqual(self.found(lambda e: setattr(e, "rss_mb", 10_000.0)), ["V9 memory"])
        self.assertEqual(self.found(lambda e: e.most_open.update({"/east/all": 5_000})), ["V9 in_flight"])
        self.assertEqual(self.found(lambda e: e.ends.append("start 1 ended with status 101")), ["V9 ended"])


if __name__ == "__main__":
    unittest.main()
