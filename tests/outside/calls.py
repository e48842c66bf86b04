"""A day of calls of three tenants (tests/data/calls.jsonl), the endpoints they are sent to, and who must get what.

What is expected is computed here from the file alone, independently of the product.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ledger import Receiver
from product import ROOT, Origin

FILE = ROOT / "tests" / "data" / "calls.jsonl"
# Events of the file. It is part of the repository: another number means another file.
EVENTS = 3088
# Most events of one request.
BATCH = 500


def raw_members(text: str) -> dict[str, str]:
    """The members of a JSON object, each value as it is written there."""
    decoder = json.JSONDecoder()

    def skip(at: int) -> int:
        while text[at] in " \t\r\n":
            at += 1
        return at

    members: dict[str, str] = {}
    at = skip(0)
    if text[at] != "{":
        raise ValueError("not an object")
    at = skip(at + 1)
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        at = skip(at)
        if text[at] != ":" or name in members:
            raise ValueError(f"not an object with distinct names at {at}")
        start = skip(at + 1)
        _, end = decoder.raw_decode(text, start)
        members[name] = text[start:end]
        at = skip(end)
        if text[at] == ",":
            at = skip(at + 1)
    return members


@dataclass(frozen=True)
class Call:
    """One line of the file: an event as the platform posts it."""

    line: bytes
    id: str
    type: str
    tenant: str
    agent: str | None
    raw: dict[str, str]


def read() -> list[Call]:
    """Every event of the day, in order."""
    calls = []
    for line in FILE.read_bytes().splitlines():
        raw = raw_members(line.decode())
        said = {name: json.loads(raw[name]) for name in ("id", "type", "tenant", "agent") if name in raw}
        calls.append(Call(line, said["id"], said["type"], said["tenant"], said.get("agent"), raw))
    assert len(calls) == EVENTS, f"{FILE} has {len(calls)} events"
    return calls


@dataclass(frozen=True)
class Subscription:
    """An endpoint of a tenant and what it wants; empty: all."""

    tenant: str
    path: str
    types: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()

    def wants(self, call: Call) -> bool:
        """True if the event is to be delivered here."""
        return (
            call.tenant == self.tenant
            and (not self.types or call.type in self.types)
            and (not self.agents or call.agent in self.agents)
        )


# Two endpoints each: one filters by agent, one by type.
SUBSCRIPTIONS = (
    Subscription("lake-dental", "/lake/agent", agents=("agt_lake_book",)),
    Subscription("lake-dental", "/lake/types", types=("call.started", "call.ended", "call.failed", "transcript.ready")),
    Subscription("noor-pharmacy", "/noor/agent", agents=("agt_noor_refill", "agt_noor_front")),
    Subscription("noor-pharmacy", "/noor/types", types=("call.ended", "recording.ready", "system.maintenance")),
    Subscription("toshkent-tel", "/toshkent/agent", agents=("agt_tt_sales",)),
    Subscription(
        "toshkent-tel", "/toshkent/types", types=("dial.started", "dial.answered", "dial.ended", "analysis.ready")
    ),
)


def expected(calls: list[Call]) -> dict[str, dict[str, Call]]:
    """By path, the events that must arrive there."""
    return {s.path: {call.id: call for call in calls if s.wants(call)} for s in SUBSCRIPTIONS}


def matches(call: Call) -> int:
    """How many endpoints want the event."""
    return sum(s.wants(call) for s in SUBSCRIPTIONS)


def subscribe(api: Origin, receiver: Receiver, **behaviour: object) -> dict[str, dict]:
    """Makes the tenants and their endpoints. Gives each endpoint by its path."""
    made = {}
    for subscription in SUBSCRIPTIONS:
        answer = api.ask("PUT", f"/v1/tenants/{subscription.tenant}", {})
        assert answer.status in (200, 201), answer
        wanted = {
            "url": receiver.origin + subscription.path,
            "event_types": list(subscription.types),
            "agents": list(subscription.agents),
        }
        endpoint = api.expect(201, "POST", f"/v1/tenants/{subscription.tenant}/endpoints", wanted)
        receiver.behave(subscription.path, secret=endpoint["secret"], **behaviour)
        made[subscription.path] = endpoint
    return made


def batches(calls: list[Call]) -> list[bytes]:
    """Request bodies of at most 500 events, each event as it is written in the file."""
    return [b"[" + b",".join(c.line for c in calls[i : i + BATCH]) + b"]" for i in range(0, len(calls), BATCH)]
