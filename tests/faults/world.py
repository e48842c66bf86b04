"""The tenants, endpoints and events of a run, and who must get what: computed here from the seed alone, independently of the
product. Events of different tenants have the same ids, so that a mix-up cannot hide.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timezone

from book import Book
from product import Origin
from spec import Spec

TYPES = ("call.started", "call.ended", "transcript.ready", "analysis.ready")
AGENTS = ("agt_1", "agt_2", "agt_3", None)
# The type whose events are few: less than ten failures in a row, so that their endpoint is never on hold.
RARE = "call.failed"
RARE_EVENTS = 2
# A type that no tenant has: its events are refused.
UNKNOWN = "no.such.type"
REFUSED_SHARE = 0.02
# How long a request may take, in real milliseconds: far longer than the slowest receiver, also on a machine with much to do.
TIMEOUT_MS = 3_000
# Longest text of an event, in characters; one in so many has a long one, which does not ride in its message.
TEXT, LONG_TEXT, LONG_EVERY = 800, 60_000, 100


@dataclass(frozen=True)
class Subscription:
    """An endpoint, what it wants and how its receiver behaves."""

    tenant: str
    name: str
    types: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    behaviour: dict = field(default_factory=dict)
    fields: dict = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where its receiver is."""
        return f"/{self.tenant}/{self.name}"

    def wants(self, event: Event) -> bool:
        """True if the event is to be delivered here."""
        return (
            event.tenant == self.tenant
            and not event.refused
            and (not self.types or event.type in self.types)
            and (not self.agents or event.agent in self.agents)
        )


# The endpoint that is down until all events are posted: it comes to be on hold, and is drained when it is repaired.
DOWN = Subscription("north", "down", types=("call.ended",), behaviour={"status": 500})
# Everything delivered to this one is delivered again by a replay.
REPLAYED = Subscription("south", "replayed", types=("call.started",))
# Whoever wants only this is sent to one endpoint, in one message.
BURNT = Subscription("east", "all", behaviour={"stumbling": 0.1})
# The answer 410 disables it.
GONE = Subscription("east", "gone", types=(RARE,), behaviour={"status": 410})

SUBSCRIPTIONS = (
    Subscription("north", "all", behaviour={"poison": 0.03, "stumbling": 0.05, "first": 2, "slow_ms": 60}),
    Subscription("north", "agents", agents=("agt_1", "agt_2")),
    DOWN,
    Subscription("south", "all", behaviour={"flaky": 0.05, "slow_ms": 30}),
    # Never works, and too seldom tried to be on hold.
    Subscription("south", "never", types=(RARE,), behaviour={"status": 503}),
    # Its deliveries wait outside the queue and are sent by the sweeper, few at a time.
    Subscription("south", "limited", types=("call.ended",), agents=("agt_3",), fields={"rate_limit": 1}),
    REPLAYED,
    Subscription("east", "slow", agents=("agt_1",), behaviour={"slow_ms": 400}),
    BURNT,
    GONE,
)
TENANTS = tuple(dict.fromkeys(s.tenant for s in SUBSCRIPTIONS))


@dataclass(frozen=True)
class Event:
    """An event as the platform posts it."""

    tenant: str
    id: str
    type: str
    agent: str | None
    data: str

    @property
    def refused(self) -> bool:
        """True if it must be refused."""
        return self.type == UNKNOWN

    @property
    def digest(self) -> str:
        """Of `data` as it is written."""
        return hashlib.sha256(self.data.encode()).hexdigest()

    def line(self) -> str:
        """As it is posted: `data` byte for byte."""
        said = {"id": self.id, "type": self.type, "tenant": self.tenant}
        if self.agent is not None:
            said["agent"] = self.agent
        return f'{json.dumps(said)[:-1]},"data":{self.data}}}'


def events(spec: Spec, prefix: str = "ev") -> list[Event]:
    """The events of a run, in the order in which they are posted."""
    chance = spec.chance("events")
    rare = dict.fromkeys(TENANTS, RARE_EVENTS)
    # The same ids in each tenant.
    counts = dict.fromkeys(TENANTS, -1)
    made = []
    for n in range(spec.events):
        tenant = chance.choice(TENANTS)
        event_type = UNKNOWN if chance.random() < REFUSED_SHARE else chance.choice(TYPES)
        if event_type != UNKNOWN and rare[tenant] and chance.random() < 0.05:
            rare[tenant] -= 1
            event_type = RARE
        length = LONG_TEXT if n % LONG_EVERY == LONG_EVERY - 1 else chance.randrange(TEXT)
        # Random, so that it does not become small when it is compressed.
        text = "é✓" + "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789 ", k=length))
        data = json.dumps({"n": n, "tenant_of_it": tenant, "text": text}, ensure_ascii=False)
        number = counts[tenant] = counts[tenant] + 1
        made.append(Event(tenant, f"{prefix}_{number}", event_type, chance.choice(AGENTS), data))
    return made


Expected = dict[str, dict[str, Event]]


def expected(posted: list[Event]) -> Expected:
    """By path, the events that are for it."""
    return {s.path: {e.id: e for e in posted if s.wants(e)} for s in SUBSCRIPTIONS}


def matches(event: Event) -> int:
    """How many endpoints want the event."""
    return sum(s.wants(event) for s in SUBSCRIPTIONS)


def make(api: Origin, book: Book, spec: Spec) -> dict[str, dict]:
    """Makes the tenants and their endpoints, and tells the receivers. Gives each endpoint by its path."""
    made = {}
    for tenant in TENANTS:
        answer = api.ask("PUT", f"/v1/tenants/{tenant}", {})
        assert answer.status in (200, 201), answer
    for subscription in SUBSCRIPTIONS:
        wanted = {
            "url": book.origin + subscription.path,
            "event_types": list(subscription.types),
            "agents": list(subscription.agents),
            "timeout_ms": TIMEOUT_MS,
            **subscription.fields,
        }
        path = f"/v1/tenants/{subscription.tenant}/endpoints"
        endpoint = made[subscription.path] = api.expect(201, "POST", path, wanted)
        book.behave(subscription.path, secret=endpoint["secret"], seed=spec.seed, **subscription.behaviour)
    return made


def moment(seconds: float) -> str:
    """A moment as the API reads it."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
