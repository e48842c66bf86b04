"""Judges a receiver's ledger: what is missing, what came twice, what was changed on the way, what does not verify.

Pure: reads no clock and starts nothing. `test_pieces.py` plants a loss, a duplicate and a changed byte; each must be found.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from calls import Call, raw_members
from ledger import Request

# An answer may have been written this long before a kill without its success being recorded, in seconds.
RECORDING_S = 2.0

Expected = dict[str, dict[str, Call]]


def missing(expected: Expected, requests: list[Request]) -> list[str]:
    """Events that a path must have got and that it never answered 2xx."""
    done = {(r.path, r.event) for r in requests if r.status is not None and 200 <= r.status < 300}
    return [f"{path} {event}" for path, events in expected.items() for event in events if (path, event) not in done]


def uninvited(expected: Expected, requests: list[Request]) -> list[str]:
    """Requests for events that the path did not ask for."""
    return [f"{r.path} {r.event}" for r in requests if r.event not in expected.get(r.path, {})]


def repeated(requests: list[Request]) -> dict[tuple[str, str], int]:
    """Deliveries that were requested more than once, with how many requests were too many."""
    counts = Counter((r.path, r.event) for r in requests)
    return {key: count - 1 for key, count in counts.items() if count > 1}


def changed(expected: Expected, requests: list[Request]) -> list[str]:
    """Requests that do not say exactly what was posted. `data` is compared as text, never as values."""
    wrong = []
    for request in requests:
        call = expected.get(request.path, {}).get(request.event)
        if call is None:
            continue
        try:
            body = raw_members(request.body.decode())
        except ValueError as error:
            wrong.append(f"{request.path} {request.event}: {error}")
            continue
        if body.get("data") != call.raw["data"]:
            wrong.append(f"{request.path} {request.event}: data {body.get('data', '')[:100]!r}")
        said = {name: json.loads(text) for name, text in body.items() if name != "data"}
        links = said.pop("links", {})
        posted = {
            name: json.loads(text) for name, text in call.raw.items() if name not in ("data", "links", "occurred_at")
        }
        posted["timestamp"] = json.loads(call.raw["occurred_at"])
        if said != posted:
            wrong.append(f"{request.path} {request.event}: {said} instead of {posted}")
        own = links.pop("event", "")
        if links != json.loads(call.raw.get("links", "{}")) or not own.endswith(
            f"/v1/tenants/{call.tenant}/events/{call.id}"
        ):
            wrong.append(f"{request.path} {request.event}: links {links}, event {own!r}")
    return wrong


def malformed(requests: list[Request], version: str) -> list[str]:
    """Requests whose headers are not those of profile `standard`, each exactly once."""
    wrong = []
    for request in requests:
        fixed = {"content-type": "application/json", "user-agent": f"Redial/{version}", "webhook-id": request.event}
        given = {name: request.header(name) for name in (*fixed, "webhook-timestamp", "webhook-signature")}
        if any(len(values) != 1 for values in given.values()):
            wrong.append(f"{request.path} {request.event}: {given}")
        elif any(given[name] != [value] for name, value in fixed.items()):
            wrong.append(f"{request.path} {request.event}: {given}")
    return wrong


def unverified(requests: list[Request]) -> list[str]:
    """Requests that the official Python library refused on arrival."""
    return [f"{r.path} {r.event}: {r.python}" for r in requests if r.python != "ok"]


@dataclass(frozen=True)
class Duplicate:
    """A request too many."""

    path: str
    event: str
    # The kill that caught an earlier request of the same delivery unrecorded, from 1; `None`: nothing explains it.
    kill: int | None
    # How long before that kill the earlier request was answered; `None`: it was not.
    answered_before_s: float | None


def in_flight(requests: list[Request], kills: list[float]) -> list[list[Request]]:
    """For each kill, the requests that had begun and whose success may not have been recorded. Each belongs to one kill:
    a request without an answer to the first after it began."""
    taken: set[int] = set()
    caught = []
    for at in kills:
        now = [
            r
            for r in requests
            if r.n not in taken and r.at <= at and (r.answered_at is None or r.answered_at > at - RECORDING_S)
        ]
        taken.update(r.n for r in now)
        caught.append(now)
    return caught


def duplicates(requests: list[Request], kills: list[float]) -> list[Duplicate]:
    """Every request too many, each with the kill that explains it. A caught request explains one duplicate of its delivery."""
    reasons: dict[tuple[str, str], list[tuple[int, Request]]] = {}
    for number, caught in enumerate(in_flight(requests, kills), 1):
        for request in caught:
            reasons.setdefault((request.path, request.event), []).append((number, request))
    found = []
    for (path, event), count in repeated(requests).items():
        known = reasons.get((path, event), [])[:count]
        for number, request in known:
            before = None if request.answered_at is None else kills[number - 1] - request.answered_at
            found.append(Duplicate(path, event, number, before))
        found += [Duplicate(path, event, None, None)] * (count - len(known))
    return found
