"""The invariants V1 to V9: what must hold once things have settled, whatever was killed and broken on the way.

Pure: each looks at the evidence and answers what violates it, with event, endpoint and what is wrong. `test_invariants.py`
breaks each of them once, to see it found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Callable, Iterator

import world
from book import Post
from evidence import Evidence, Pair
from judge import in_flight
from spec import SCHEDULE

FINAL = ("succeeded", "dead", "held", "canceled")
# A held delivery that stays so: of the endpoint that 410 disabled.
HELD_FOR_GOOD = "endpoint_disabled"
# A retry may come so much before its time, in seconds: `EARLY_MS` of the dispatcher, and a second that a stamp cuts off.
EARLY_S = 2.0
# A request is signed when it is sent: it arrives within so many real seconds, of a machine with much to do.
SENT_WITHIN_S = 4.0
# Most memory that the process may have had, in MB: a fault build is not optimised, and the tables are in its cache.
MOST_RSS_MB = 400
# Most requests to one endpoint at once: batches of ten of both queues, of the processes before and after a kill.
MOST_OPEN = 200


@dataclass(frozen=True)
class Finding:
    """A violation: of which invariant, of what kind, and where."""

    invariant: str
    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.kind}: {self.where}: {self.what}"


Findings = Iterator[Finding]


def pairs(evidence: Evidence) -> dict[Pair, world.Event]:
    """Every pair that must exist: of an accepted event and an endpoint that wanted it."""
    accepted = evidence.accepted()
    return {(s.path, e.id): e for s in world.SUBSCRIPTIONS for e in accepted if s.wants(e)}


def replays_of_all(evidence: Evidence) -> list[str]:
    """The jobs that have delivered each delivery of the replayed endpoint again. One that was stopped or failed on the way, or
    whose answer was lost and which no list shows, may have made some and owes none; one that lets go what is held, that
    discards, only counts, or is about another endpoint makes none of these."""

    def owes(job: dict) -> bool:
        what = job.get("what", {})
        endpoint = what.get("endpoint")
        is_other = endpoint is not None and evidence.paths.get(endpoint) != world.REPLAYED.path
        makes_none = what.get("state") == "held" or what.get("action") == "discard" or job.get("dry_run", False)
        return job["state"] == "done" and not is_other and not makes_none

    return [job["id"] for job in evidence.jobs if owes(job)]


def v1_each_delivery_has_one_end(evidence: Evidence) -> Findings:
    """Every (accepted event, matched endpoint) is exactly one of succeeded, dead, held, canceled; and so is what a replay made
    of it."""
    told = evidence.told()
    wanted = pairs(evidence)
    complete = replays_of_all(evidence)
    for pair, event in wanted.items():
        items = told.get(pair, [])
        where = f"{pair[0]} {event.id}"
        originals = [item for item in items if item["replay_of"] is None]
        if len(originals) != 1:
            yield Finding("V1", "lost" if not originals else "twice", where, f"{len(originals)} deliveries of it")
        for item in items:
            if item["state"] not in FINAL:
                yield Finding("V1", "unsettled", where, f"{item['id']} is {item['state']}")
            elif item["state"] == "held" and item["reason"] != HELD_FOR_GOOD:
                yield Finding("V1", "unsettled", where, f"{item['id']} is held: {item['reason']}")
            elif item["state"] == "held" and pair[0] != world.GONE.path:
                yield Finding("V1", "unsettled", where, f"{item['id']} is held: {item['reason']}")
            elif item["state"] == "canceled":
                yield Finding("V1", "canceled", where, f"nobody canceled {item['id']}")
        made = Counter(item["id"].rsplit(".", 1)[1] for item in items if item["replay_of"] is not None)
        wrong = [f"{made[job]} by {job}" for job in complete if made[job] != 1]
        if pair[0] == world.REPLAYED.path and wrong:
            yield Finding("V1", "not_replayed", where, f"replays of it: {', '.join(wrong)}")
    for pair in told.keys() - wanted.keys():
        yield Finding("V1", "uninvited", f"{pair[0]} {pair[1]}", "a delivery that nobody wanted")


def v2_states_are_what_receivers_saw(evidence: Evidence) -> Findings:
    """`succeeded` exactly where the receiver gave a 2xx; never `dead` with an unfaulted 2xx. What is recorded of attempts is
    what the receiver gave."""
    arrived = evidence.arrived()
    caught = caught_by_kills(evidence)
    for pair, items in evidence.told().items():
        posts = arrived.get(pair, [])
        where = f"{pair[0]} {pair[1]}"
        given = Counter(post.status for post in posts if post.status is not None)
        attempts = [attempt for item in items for attempt in item["attempts"]]
        heard = Counter(attempt["status"] for attempt in attempts if attempt["status"] is not None)
        unseen = heard - given
        if unseen:
            # More attempts than requests: one never came to the receiver. Otherwise it came, and was answered otherwise.
            kind = "lost" if len(posts) < sum(heard.values()) else "wrong_status"
            yield Finding("V2", kind, where, f"recorded {dict(heard)}, the receiver gave {dict(given)}")
        for item in items:
            last = item["attempts"][-1] if item["attempts"] else None
            good = last is not None and last["status"] is not None and 200 <= last["status"] < 300
            if (item["state"] == "succeeded") != good:
                yield Finding("V2", "wrong_state", where, f"{item['id']} is {item['state']} with {last}")
        unheard = sum(post.good for post in posts) - sum(200 <= (a["status"] or 0) < 300 for a in attempts)
        # A good answer may be unheard if a kill caught it, if nobody waited any more, or if a fault lost its record.
        excused = caught.get(pair, 0) + sum(attempt["status"] is None for attempt in attempts)
        dead = [item["id"] for item in items if item["state"] == "dead"]
        if dead and unheard > excused and not evidence.faults:
            yield Finding("V2", "dead_despite_2xx", where, f"{dead} with {unheard} good answers unheard")


def caught_by_kills(evidence: Evidence) -> dict[Pair, int]:
    """How many requests of each pair were under way, or not surely recorded, at a kill."""
    caught = (post for posts in in_flight(evidence.posts, evidence.kills) for post in posts)
    return Counter((post.path, post.event) for post in caught)


def v3_nothing_comes_twice_without_a_fault(evidence: Evidence) -> Findings:
    """POSTs per delivery <= attempts recorded + crashes that caught one of it; no duplicate without a fault. Where the services
    failed too, all that no kill explains are together not more than the faults."""
    told = evidence.told()
    caught = caught_by_kills(evidence)
    unexplained = []
    for pair, posts in evidence.arrived().items():
        attempts = sum(len(item["attempts"]) for item in told.get(pair, []))
        more = len(posts) - attempts - caught.get(pair, 0)
        if more > 0:
            what = f"{len(posts)} requests, {attempts} attempts, {caught.get(pair, 0)} caught by kills"
            unexplained += [Finding("V3", "duplicate", f"{pair[0]} {pair[1]}", what)] * more
    if len(unexplained) > sum(evidence.faults.values()):
        yield from dict.fromkeys(unexplained)


def v4_each_request_verifies(evidence: Evidence) -> Findings:
    """Every POST verifies with the official library; every one of a delivery has the same id and the same bytes, and a timestamp
    of its own: of when it was sent."""
    for pair, posts in evidence.arrived().items():
        where = f"{pair[0]} {pair[1]}"
        for post in posts:
            if post.python != "ok":
                yield Finding("V4", "unverified", where, f"request {post.n}: {post.python}")
        if len({post.body for post in posts}) > 1:
            yield Finding("V4", "other_bytes", where, f"{len({post.body for post in posts})} bodies")
        rate = evidence.clock(1.0) - evidence.clock(0.0)
        for post in posts:
            age_s = evidence.clock(post.at) - stamp(post)
            if not -1 <= age_s <= 1 + SENT_WITHIN_S * rate:
                yield Finding("V4", "timestamp", where, f"request {post.n} was signed {age_s:.0f} s before it came")


def stamp(post: Post) -> int:
    """A request's timestamp, in seconds; 0 if it has none."""
    text = post.headers.get("webhook-timestamp", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def v5_attempts_are_in_order(evidence: Evidence) -> Findings:
    """Attempts are 1..n without gaps, each after at least the wait of its schedule."""
    arrived = evidence.arrived()
    for pair, items in evidence.told().items():
        where = f"{pair[0]} {pair[1]}"
        for item in items:
            numbers = [attempt["n"] for attempt in item["attempts"]]
            if numbers != list(range(1, len(numbers) + 1)):
                yield Finding("V5", "gap", where, f"{item['id']} has attempts {numbers}")
            if len(numbers) > len(SCHEDULE) + 1:
                yield Finding("V5", "too_many", where, f"{item['id']} has {len(numbers)} attempts")
        posts = arrived.get(pair, [])
        attempts = items[0]["attempts"]
        # With one delivery and no request unrecorded, each attempt is the request of its number.
        if len(items) == 1 and len(posts) == len(attempts):
            for before, post, wait in zip(attempts, posts[1:], SCHEDULE):
                ended = datetime.fromisoformat(before["at"]).timestamp()
                if stamp(post) + EARLY_S < ended + wait:
                    early = ended + wait - stamp(post)
                    yield Finding("V5", "early", where, f"attempt {before['n'] + 1} came {early:.1f} s before its time")


def v6_no_tenant_sees_another(evidence: Evidence) -> Findings:
    """No tenant sees another's: every request says exactly what was posted for this endpoint's tenant, and a tenant's key shows
    nothing else."""
    wanted = pairs(evidence)
    for post in evidence.posts:
        where = f"{post.path} {post.event}"
        event = wanted.get((post.path, post.event))
        if event is None:
            yield Finding("V6", "uninvited", where, f"request {post.n}")
        elif post.tenant != event.tenant or post.data != event.digest:
            yield Finding("V6", "other_content", where, f"request {post.n} is of {post.tenant}, data {post.data}")
    for seen in evidence.seen_by_others:
        yield Finding("V6", "seen", seen, "another's")


def v7_nothing_is_left(evidence: Evidence) -> Findings:
    """Queues, dead-letter queue and due lists are empty."""
    if evidence.queues is None:
        yield Finding("V7", "unknown", "queues", "the last start said nothing of them")
    for queue, count in (evidence.queues or {}).items():
        if count:
            yield Finding("V7", "messages", queue, f"{count} left")
    if evidence.overdue is None:
        yield Finding("V7", "unknown", "due list", "it could not be read")
    for row in evidence.overdue or []:
        yield Finding("V7", "overdue", row, "nobody came for it")


def v8_ingest_is_all_or_nothing(evidence: Evidence) -> Findings:
    """A refused ingest leaves nothing, an accepted one a whole event, and repeating is safe: the same answer, and nothing more
    sent."""
    for wrong in evidence.wrong_answers:
        yield Finding("V8", "answer", wrong, "the answer to a post")
    for ghost in evidence.ghosts:
        yield Finding("V8", "ghost", ghost, "it was refused")
    for tenant in world.TENANTS:
        accepted = Counter(e.id for e in evidence.accepted() if e.tenant == tenant)
        listed = Counter(evidence.events.get(tenant, []))
        for event in accepted - listed:
            yield Finding("V8", "not_listed", f"{tenant} {event}", "it was accepted")
        for event in listed - accepted:
            yield Finding("V8", "listed", f"{tenant} {event}", f"listed {listed[event]} times, accepted {accepted[event]}")
    missing = [e for e in evidence.posted if (e.tenant, e.id) not in evidence.answers]
    for event in missing:
        yield Finding("V8", "unanswered", f"{event.tenant} {event.id}", "no answer until the end")


def v9_it_stays_bounded(evidence: Evidence) -> Findings:
    """Memory and in-flight stay bounded, and the process ends only when it is killed."""
    if evidence.rss_mb > MOST_RSS_MB:
        yield Finding("V9", "memory", "process", f"{evidence.rss_mb:.0f} MB")
    for path, most in evidence.most_open.items():
        if most > MOST_OPEN:
            yield Finding("V9", "in_flight", path, f"{most} requests at once")
    for end in evidence.ends:
        yield Finding("V9", "ended", "process", end)


ALL: tuple[Callable[[Evidence], Findings], ...] = (
    v1_each_delivery_has_one_end,
    v2_states_are_what_receivers_saw,
    v3_nothing_comes_twice_without_a_fault,
    v4_each_request_verifies,
    v5_attempts_are_in_order,
    v6_no_tenant_sees_another,
    v7_nothing_is_left,
    v8_ingest_is_all_or_nothing,
    v9_it_stays_bounded,
)


def judge(evidence: Evidence) -> list[Finding]:
    """Every violation."""
    return [finding for invariant in ALL for finding in invariant(evidence)]
