"""What is known after a run: what was accepted, what the API tells, what the receivers have written down, what was broken, what
is left in the queues and lists. Gathers only; `invariants` judges."""

from __future__ import annotations

import http.client
import re
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, TypeVar

import world
from book import Post
from machine import found_in_queues, plain
from product import Answer, Origin

T = TypeVar("T")

# How often a question to a product that is being killed is asked, and how long between, in seconds.
PATIENT_TRIES, PATIENT_S = 100, 0.3
# A pair of a path and an event, which names a delivery and its replays.
Pair = tuple[str, str]


@dataclass
class Evidence:
    """Everything that is to be judged."""

    posted: list[world.Event]
    # By tenant and id, what the first answer said: deliveries, or the status of a refusal.
    answers: dict[tuple[str, str], int | str] = field(default_factory=dict)
    wrong_answers: list[str] = field(default_factory=list)
    # What the API tells of each delivery, by tenant; and the path of each endpoint.
    deliveries: dict[str, list[dict]] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[str]] = field(default_factory=dict)
    # Refused events that are there all the same, and things that a tenant's key saw and must not.
    ghosts: list[str] = field(default_factory=list)
    seen_by_others: list[str] = field(default_factory=list)
    jobs: list[dict] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    # Messages by queue, and rows of the list of what is due that should be gone.
    queues: dict[str, int] | None = None
    overdue: list[str] | None = None
    rss_mb: float = 0.0
    most_open: dict[str, int] = field(default_factory=dict)
    # The product's clock: its seconds since 1970 at a real moment.
    clock: Callable[[float], float] = staticmethod(lambda real: real)

    def told(self) -> dict[Pair, list[dict]]:
        """The deliveries of each pair, the first one first and its replays after it."""
        found: dict[Pair, list[dict]] = {}
        for items in self.deliveries.values():
            for item in items:
                found.setdefault((self.paths.get(item["endpoint"], item["endpoint"]), item["event"]), []).append(item)
        for items in found.values():
            items.sort(key=lambda item: item["replay_of"] is not None)
        return found

    def arrived(self) -> dict[Pair, list[Post]]:
        """The requests of each pair, in the order of their arrival."""
        found: dict[Pair, list[Post]] = {}
        for post in self.posts:
            found.setdefault((post.path, post.event), []).append(post)
        return found

    def accepted(self) -> list[world.Event]:
        """Events that were answered as accepted."""
        return [e for e in self.posted if isinstance(self.answers.get((e.tenant, e.id)), int)]


def patient(ask: Callable[[], T]) -> T:
    """Asks until it is answered: the product may be down, or a fault may have been planted in the answer."""
    for left in reversed(range(PATIENT_TRIES)):
        try:
            return ask()
        except (AssertionError, OSError, http.client.HTTPException):
            if left == 0:
                raise
            time.sleep(PATIENT_S)
    raise AssertionError("unreachable")


def answered(api: Origin, path: str) -> Answer:
    """The answer to a GET. A 5xx is none: it is what a fault that was planted below it looks like."""
    answer = api.ask("GET", path)
    assert answer.status < 500, f"{path}: {answer.status}"
    return answer


def everything(api: Origin, path: str) -> list[dict]:
    """A whole list, page by page; each page is asked for until it is answered."""
    found: list[dict] = []
    joint = "&" if "?" in path else "?"
    cursor = None
    while True:
        where = path if cursor is None else f"{path}{joint}cursor={cursor}"
        page = patient(lambda where=where: api.expect(200, "GET", where))
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


def ask_api(evidence: Evidence, api: Origin, endpoints: dict[str, dict]) -> None:
    """What the API tells of events and deliveries. What its list leaves out is asked for one by one."""
    evidence.paths = {endpoint["id"]: path for path, endpoint in endpoints.items()}
    for tenant in world.TENANTS:
        items = everything(api, f"/v1/tenants/{tenant}/deliveries?limit=100")
        evidence.events[tenant] = [e["id"] for e in everything(api, f"/v1/tenants/{tenant}/events?limit=100")]
        listed = {item["id"] for item in items}
        for event in (e for e in evidence.posted if e.tenant == tenant and not e.refused):
            ids = {f"{event.id}.{endpoints[s.path]['id']}" for s in world.SUBSCRIPTIONS if s.wants(event)}
            if ids - listed:
                of_event = f"/v1/tenants/{tenant}/events/{event.id}/deliveries"
                items += [item for item in everything(api, of_event) if item["id"] not in listed]
        evidence.deliveries[tenant] = items
        evidence.jobs += everything(api, f"/v1/tenants/{tenant}/replays?limit=100")
    for event in (e for e in evidence.posted if e.refused):
        answer = patient(lambda event=event: answered(api, f"/v1/tenants/{event.tenant}/events/{event.id}"))
        if answer.status != 404:
            evidence.ghosts.append(f"{event.tenant} {event.id}: {answer.status}")


def ask_as_tenants(evidence: Evidence, api: Origin, keys: dict[str, str]) -> None:
    """What each tenant's key shows of the others."""
    for tenant, key in keys.items():
        own = Origin(api.url, key)
        other = next(name for name in world.TENANTS if name != tenant)
        for path in ("deliveries", "events", "endpoints", "replays", f"events/{evidence.events[other][0]}"):
            answer = patient(lambda path=path: answered(own, f"/v1/tenants/{other}/{path}"))
            if answer.status != 404:
                evidence.seen_by_others.append(f"{tenant}'s key: {other}/{path} answers {answer.status}")
        foreign = {item["endpoint"] for item in everything(own, f"/v1/tenants/{tenant}/deliveries?limit=100")}
        wrong = [e for e in foreign if not evidence.paths.get(e, "").startswith(f"/{tenant}/")]
        evidence.seen_by_others += [f"{tenant}'s key sees endpoint {e}" for e in wrong]


def read_log(evidence: Evidence, log: Path) -> None:
    """The faults that were injected, by kind, and what the last start found in the queues."""
    text = plain(log)
    for kind in re.findall(r"faults: injected kind=\"?(\w+)", text):
        evidence.faults[kind] = evidence.faults.get(kind, 0) + 1
    evidence.queues = found_in_queues(log) or None


def read_due(evidence: Evidence, data: Path, now_ms: float, grace_ms: float) -> None:
    """Rows of the list of what is due that are late by more than `grace_ms`: nobody seems to come for them."""
    connection = sqlite3.connect(f"file:{data / 'dynamodb.sqlite'}?mode=ro", uri=True)
    try:
        rows = connection.execute('SELECT gsi_pk, gsi_sk, table_pk, table_sk FROM "EventsTable::gsi::by_due"').fetchall()
    finally:
        connection.close()
    late = []
    for row in rows:
        moment = re.search(r"\d{12,14}", row[1])
        if moment is None or int(moment.group()) < now_ms - grace_ms:
            late.append(" ".join(row))
    evidence.overdue = late


def as_text(evidence: Evidence) -> str:
    """Numbers of a run in one line."""
    recorded = sum(map(len, evidence.deliveries.values()))
    faults = sum(evidence.faults.values())
    return (
        f"{len(evidence.accepted())} accepted, {recorded} deliveries, {len(evidence.posts)} requests, "
        f"{len(evidence.kills)} kills, {faults} faults, {evidence.rss_mb:.0f} MB"
    )


def states(evidence: Evidence) -> dict[str, int]:
    """How many deliveries are in each state."""
    found: dict[str, int] = {}
    for items in evidence.deliveries.values():
        for item in items:
            found[item["state"]] = found.get(item["state"], 0) + 1
    return found
