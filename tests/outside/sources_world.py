"""The world of `sources`: one Redial, one receiver, and for each check a customer (a tenant with a key of its own) with
paths of its own at the receiver. Drives the product as a platform (ingest, operator) and its customers do, never otherwise.
"""

from __future__ import annotations

import itertools
import json
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from checks import wait_until
from ledger import Receiver, Request
from product import ROOT, Answer, Origin, Redial

# How long something may take to arrive or to come to its end, in seconds: far more than it takes.
ARRIVE_S = 60
# Seconds after each failed attempt, where an endpoint says nothing.
SCHEDULE = "1,1,2"

Check = Callable[["World", dict], None]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Registers a check under its name, by which the rows of the data file call it."""
    assert function.__name__ not in CHECKS, function.__name__
    CHECKS[function.__name__] = function
    return function


def same(what: str, got: object, expected: object) -> None:
    """Fails unless both are equal."""
    if got != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


def holds(what: str, condition: object) -> None:
    """Fails unless it is true."""
    if not condition:
        raise AssertionError(what)


@dataclass
class Hook:
    """An endpoint with the path of the receiver behind it."""

    customer: "Customer"
    path: str
    made: dict = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The endpoint's id."""
        return self.made["id"]

    @property
    def url(self) -> str:
        """Where it is posted to."""
        return f"{self.customer.world.receiver.origin}{self.path}"

    def at(self, rest: str = "") -> str:
        """A path of the API below this endpoint."""
        return self.customer.at(f"/endpoints/{self.id}{rest}")

    def behave(self, **behaviour: Any) -> None:
        """How the receiver answers from now on."""
        self.customer.world.receiver.behave(self.path, **behaviour)

    def arrived(self, count: int = 1, deadline_s: float = ARRIVE_S) -> list[Request]:
        """The requests so far, once there are `count`, each answered."""
        world = self.customer.world

        def found() -> list[Request]:
            requests = [request for request in world.receiver.requests() if request.path == self.path]
            return requests if len([r for r in requests if r.answered_at]) >= count else []

        return wait_until(f"{count} requests at {self.path}", found, deadline_s, 0.2)

    def bodies(self, count: int = 1) -> list[dict]:
        """What the requests so far say, once there are `count`."""
        return [json.loads(request.body) for request in self.arrived(count)]

    def seen(self) -> int:
        """Requests until now."""
        return self.customer.world.receiver.summary().get(self.path, {}).get("received", 0)


class Customer:
    """A tenant, managed with its own key."""

    def __init__(self, world: "World", **settings: Any) -> None:
        self.world = world
        self.tenant = f"customer_{next(world.numbers)}"
        answer = world.operator.ask("PUT", f"/v1/tenants/{self.tenant}", settings)
        holds(f"a tenant is made: {answer}", answer.status in (200, 201))
        key = world.operator.expect(201, "POST", "/v1/keys", {"scope": f"tenant:{self.tenant}", "name": "customer"})
        self.key = key["key"]
        self.api = Origin(world.operator.url, self.key)

    def at(self, rest: str) -> str:
        """A path of the API below this tenant."""
        return f"/v1/tenants/{self.tenant}{rest}"

    def place(self, **behaviour: Any) -> Hook:
        """A path at the receiver, without an endpoint."""
        hook = Hook(self, f"/{self.tenant}/{next(self.world.numbers)}")
        self.world.receiver.behave(hook.path, **behaviour)
        return hook

    def hook(self, behaviour: dict | None = None, **fields: Any) -> Hook:
        """An endpoint whose receiver behaves so."""
        hook = self.place(**(behaviour or {}))
        hook.made = self.api.expect(201, "POST", self.at("/endpoints"), {"url": hook.url, **fields})
        if hook.made["secret"].startswith("whsec_"):
            hook.behave(**(behaviour or {}), secret=hook.made["secret"])
        return hook

    def refused(self, status: int, **fields: Any) -> Answer:
        """The answer to an endpoint that must not be made."""
        answer = self.api.ask("POST", self.at("/endpoints"), fields)
        same(f"the status of {fields}", answer.status, status)
        return answer

    def post(self, kind: str, data: Any = None, deliveries: int | None = 1, **members: Any) -> str:
        """The platform posts an event of this customer; gives its id."""
        data = self.world.example(kind) if data is None else data
        event = {"type": kind, "tenant": self.tenant, "data": data, **members}
        answer = self.world.platform.expect(202, "POST", "/v1/events", event)
        if deliveries is not None:
            same(f"endpoints that {kind} reaches", answer["deliveries"], deliveries)
        return answer["id"]

    def delivery(self, event: str, hook: Hook) -> dict:
        """The delivery of an event to an endpoint, once it is concluded."""
        path = self.at(f"/deliveries/{event}.{hook.id}")

        def concluded() -> dict | None:
            answer = self.api.ask("GET", path)
            is_over = answer.status == 200 and answer.body["state"] in ("succeeded", "dead", "canceled")
            return answer.body if is_over else None

        return wait_until(f"{path} is concluded", concluded, ARRIVE_S, 0.2)

    def webhooks(self, method: str = "GET", body: object = None) -> Answer:
        """One request to the customers' own API of system C."""
        return self.api.ask(method, "/integration/webhook", body)


class World:
    """Everything that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count(1)
        self.receiver = Receiver(folder)
        self.redial = Redial(folder, "--schedule", SCHEDULE)
        self.operator = self.redial.start()
        key = self.operator.expect(201, "POST", "/v1/keys", {"scope": "ingest", "name": "platform"})
        self.platform = Origin(self.operator.url, key["key"])
        self.types = {item["name"]: item for item in self.operator.items("/v1/event-types?limit=100")}
        self.template = (ROOT / "template.yaml").read_text()
        self.lock = threading.Lock()
        self.strict: Redial | None = None
        self.strict_origin: Origin | None = None

    def customer(self, **settings: Any) -> Customer:
        """Another customer."""
        return Customer(self, **settings)

    def example(self, kind: str) -> Any:
        """The catalogue's example of a type's data."""
        return self.types[kind]["example"]

    def deployed_rules(self) -> Origin:
        """A server that takes targets as a deployment does. Nothing is ever sent to it as an event."""
        with self.lock:
            if self.strict is None:
                (self.folder / "strict").mkdir()
                self.strict = Redial(self.folder / "strict", "--strict-targets")
                self.strict_origin = self.strict.start()
                self.strict_origin.ask("PUT", "/v1/tenants/customer", {})
            return self.strict_origin

    def url_verdict(self, url: str) -> Answer:
        """What a deployment says of an endpoint at this URL."""
        origin = self.deployed_rules()
        return origin.ask("POST", "/v1/tenants/customer/endpoints", {"url": url, "active": False})

    def javascript_refuses(self, path: str) -> list[str]:
        """What the official JavaScript library says against the requests at a path."""
        with self.lock:
            said = self.receiver.verify_with_javascript(self.folder)
        return [text for text in said["refused"] if text.startswith(f"{path} ")]

    def stop(self) -> None:
        """Ends what was started."""
        for redial in (self.redial, self.strict):
            if redial is not None and redial.process is not None:
                redial.stop()


def closed_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def gaps(requests: list[Request]) -> list[float]:
    """Seconds from each answer to the next request."""
    return [after.at - before.answered_at for before, after in zip(requests, requests[1:])]
