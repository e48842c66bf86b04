"""The tenant isolation matrix: groups of requests that must all be answered alike, byte for byte, and what differs.

It makes no exception but those in `EXPECTED`, and never takes an answer that is alike but a success for a refusal.
"""

from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Iterable, Iterator
from urllib.parse import quote, urlsplit

from isolation_world import BODIES, MALFORMED, MISSING, NOBODY, OTHER, OWN, Operation, Tenant, World

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
# Requests at the same time.
THREADS = 4
# How long one answer may take, in seconds.
ANSWER_S = 60
# Statuses of a missing thing's answer where it is not 404, by operation, and why.
EXPECTED = {
    "list_call_events": 200,  # No call is a thing of its own: one that no event names has no events.
    "read_call_timeline": 200,
    "put_event_type": 201,  # It makes what it names.
}


@dataclass(frozen=True)
class Ask:
    """One request."""

    method: str
    path: str
    # The `Authorization` header; `None`: there is none.
    who: str | None
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.path[:120]}"


@dataclass(frozen=True)
class Raw:
    """An answer: everything of it but the date."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __str__(self) -> str:
        return f"{self.status} {dict(self.headers)} {self.body[:300]!r}"


@dataclass
class Group:
    """Requests whose answers must be the same. The first one asks for what is missing."""

    operation: str
    what: str
    asks: list[Ask]
    # Which status they all have; empty: any refusal (4xx).
    statuses: tuple[int, ...] = ()


@dataclass
class Findings:
    """What a run of the matrix found."""

    # Requests by operation.
    counts: dict[str, int] = field(default_factory=dict)
    # The operation and what differs.
    differences: list[tuple[str, str]] = field(default_factory=list)
    limited: list[Raw] = field(default_factory=list)


class Client:
    """Asks, on a connection for each thread, and waits when it is told that it asks too often."""

    def __init__(self, url: str) -> None:
        self.parts = urlsplit(url)
        self.local = threading.local()
        self.limited: list[Raw] = []

    def once(self, ask: Ask) -> Raw:
        """One request and its answer. A connection that the server has closed is made anew."""
        for is_last in (False, True):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = http.client.HTTPConnection(self.parts.hostname, self.parts.port, timeout=ANSWER_S)
                self.local.connection = connection
            headers = dict(ask.headers)
            if ask.who is not None:
                headers["authorization"] = ask.who
            if ask.body is not None:
                headers["content-type"] = "application/json"
            try:
                connection.request(ask.method, ask.path, body=ask.body, headers=headers)
                response = connection.getresponse()
                body = response.read()
            except (ConnectionError, http.client.HTTPException):
                connection.close()
                self.local.connection = None
                if is_last:
                    raise
                continue
            told = tuple(sorted((n.lower(), v) for n, v in response.getheaders() if n.lower() != "date"))
            return Raw(response.status, told, body)
        raise AssertionError("unreachable")

    def send(self, ask: Ask) -> Raw:
        """The same, asked again while the key is told to wait."""
        while (raw := self.once(ask)).status == 429:
            self.limited.append(raw)
            threading.Event().wait(float(dict(raw.headers)["retry-after"]))
        return raw

    def all(self, asks: list[Ask]) -> list[Raw]:
        """The answers, in order."""
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(self.send, asks))


def compare(url: str, groups: Iterable[Group]) -> Findings:
    """Asks everything, and holds each answer against the first of its group."""
    findings = Findings()
    client = Client(url)
    groups = list(groups)
    answers = iter(client.all([ask for group in groups for ask in group.asks]))
    for group in groups:
        told = [next(answers) for _ in group.asks]
        findings.counts[group.operation] = findings.counts.get(group.operation, 0) + len(told)
        first = told[0]
        is_right = first.status in group.statuses if group.statuses else 400 <= first.status < 500
        if not is_right:
            findings.differences.append((group.operation, f"{group.what}: {group.asks[0]} gets {first}"))
        for ask, raw in zip(group.asks[1:], told[1:]):
            if raw != first:
                about = f"{group.what}: {ask} gets {raw}, and {group.asks[0]} gets {first}"
                findings.differences.append((group.operation, about))
    findings.limited = client.limited
    return findings


def body_of(operation: Operation, tenant: Tenant) -> bytes | None:
    """A body that is right for that tenant."""
    made = BODIES.get(operation.name)
    return None if made is None else json.dumps(made(tenant)).encode()


def bearer(key: str) -> str:
    """The header for a key."""
    return f"Bearer {key}"


class Matrix:
    """Groups for one world."""

    def __init__(self, world: World, operations: list[Operation]) -> None:
        self.world = world
        self.operations = operations
        self.own_key = bearer(world.own.key)
        self.operator = bearer(world.operator.key or "")
        self.by_path: dict[str, list[Operation]] = {}
        for operation in operations:
            self.by_path.setdefault(operation.path, []).append(operation)

    def things(self, operation: Operation) -> tuple[str, str, str]:
        """A missing thing, one's own, and the other's, as the path names them."""
        if operation.kind is None:
            return "", "", ""
        found = (MISSING[operation.kind], self.world.own.of[operation.kind], self.world.other.of[operation.kind])
        return tuple(quote(name, safe="") for name in found)

    def others(self, operation: Operation) -> list[str]:
        """Everything that is no thing of one's own: missing first, then the other's, mixed and malformed ones."""
        missing, _, theirs = self.things(operation)
        own, other = self.world.own.of, self.world.other.of
        mixed = [f"{own['event']}.{other['endpoint']}", f"{other['event']}.{own['endpoint']}"]
        # What names a call or makes a type takes any text: a malformed one is refused by its form.
        malformed = [] if operation.name in EXPECTED else list(MALFORMED)
        return [missing, theirs, *(mixed if operation.kind == "delivery" else []), *malformed]

    def ask(self, operation: Operation, who: str | None, tenant: str, thing: str, method: str = "") -> Ask:
        """A request that is right but for whom it asks for."""
        body = body_of(operation, self.world.other if tenant == OTHER else self.world.own)
        return Ask(method or operation.method, operation.at(tenant, thing), who, body)

    def methods(self, operation: Operation) -> tuple[str, ...]:
        """Its own, and HEAD where there is GET."""
        return ("GET", "HEAD") if operation.method == "GET" else (operation.method,)

    def with_tenants_key(self) -> Iterator[Group]:
        """A tenant's key under others' names, and under its own with others' things."""
        for operation in self.operations:
            missing, own, theirs = self.things(operation)
            for method in self.methods(operation):
                if operation.names_tenant:
                    things = tuple(dict.fromkeys((missing, theirs, own, "null" if operation.kind else "")))
                    asks = [
                        self.ask(operation, self.own_key, tenant, thing, method)
                        for tenant in (NOBODY, OTHER, *MALFORMED)
                        for thing in (things[:2] if tenant in MALFORMED else things)
                    ]
                    yield Group(operation.name, "under another tenant's name", asks, (404,))
                if operation.kind is None:
                    continue
                asks = [self.ask(operation, self.own_key, OWN, t, method) for t in self.others(operation)]
                if operation.names_tenant and operation.name != "put_event_type":
                    expected = (EXPECTED.get(operation.name, 404),)
                    yield Group(operation.name, "under its own name", asks, expected)
                elif not operation.names_tenant:
                    asks.append(self.ask(operation, self.own_key, OWN, own, method))
                    yield Group(operation.name, "what only operators may", asks, (403,))

    def variants(self) -> Iterator[Group]:
        """Requests that are wrong in another way too, or name versions: what is checked first must not tell."""
        for operation in self.operations:
            if operation.is_open or not operation.names_tenant:
                continue
            missing, _, theirs = self.things(operation)
            whole = body_of(operation, self.world.other)
            kinds: list[tuple[str, bytes | None, tuple, str]] = [("an unknown parameter", whole, (), "nope=1")]
            if operation.has_body:
                strange = json.dumps({"nope": 1}).encode()
                kinds += [("a broken body", b"{", (), ""), ("no body", None, (), ""), ("a member", strange, (), "")]
            if operation.takes("If-Match") or operation.kind == "endpoint":
                versions = (("its version", self.world.other.etag), ("another version", '"1"'), ("no version", "nope"))
                kinds += [(what, whole, (("if-match", value),), "") for what, value in versions]
            if operation.takes("cursor"):
                kinds.append(("a cursor", whole, (), "cursor=nope"))
            for what, body, headers, query in kinds:
                for tenants in ((NOBODY, OTHER), (OWN,)):
                    things = (theirs, missing) if operation.kind else ("",)
                    asks = [
                        Ask(operation.method, operation.at(tenant, thing, query), self.own_key, body, headers)
                        for tenant in tenants
                        for thing in things
                    ]
                    if tenants == (OWN,) and (operation.kind is None or operation.name == "put_event_type"):
                        continue
                    # Where the tenant is a parameter, another one is refused before it is looked at.
                    is_parameter = ("tenant", "query") in operation.parameters and query
                    statuses = (200, 400, 404, 412, 422) if tenants == (OWN,) else (400,) if is_parameter else (404,)
                    yield Group(operation.name, f"with {what}", asks, statuses)

    def other_methods(self) -> Iterator[Group]:
        """Methods that a path does not have."""
        for path, known in self.by_path.items():
            operation = known[0]
            missing, own, theirs = self.things(operation)
            taken = {method for one in known for method in self.methods(one)}
            for method in (m for m in METHODS if m not in taken):
                places = [(NOBODY, missing), (OTHER, theirs), (OTHER, missing), (OWN, theirs), (OWN, own)]
                asks = [Ask(method, operation.at(*place), self.own_key) for place in dict.fromkeys(places)]
                yield Group(operation.name, f"{method} {path}", asks, (405,))

    def with_operators_key(self) -> Iterator[Group]:
        """An operator, who names one tenant and another's thing."""
        for operation in self.operations:
            missing, _, theirs = self.things(operation)
            if operation.kind is not None and operation.name != "put_event_type":
                # A key is nobody's but the operators': it is not missing.
                things = self.others(operation) if operation.names_tenant else [missing, *MALFORMED]
                asks = [self.ask(operation, self.operator, OWN, thing) for thing in things]
                yield Group(operation.name, "by an operator", asks, (EXPECTED.get(operation.name, 404),))
            # It makes the tenant that it names.
            if operation.names_tenant and operation.name != "put_tenant":
                # What is told of an erased tenant needs no tenant.
                places = [(tenant, thing) for tenant in (NOBODY, *MALFORMED) for thing in {missing, theirs}]
                asks = [self.ask(operation, self.operator, *place) for place in places]
                statuses = (404,)
                if operation.name in ("list_erasures", "erase_tenant"):
                    asks = asks[:1]
                    statuses = (200, 404)
                elif operation.name == "read_erasure":
                    asks = [ask for ask in asks if f"/{NOBODY}/" in ask.path]
                yield Group(operation.name, "by an operator, of no tenant", asks, statuses)

    def with_ingest_key(self) -> Iterator[Group]:
        """A key that may post events and nothing else."""
        for operation in self.operations:
            missing, own, theirs = self.things(operation)
            if operation.name in ("post_events", "begin_session"):
                continue
            places = dict.fromkeys([(NOBODY, missing), (OWN, own), (OTHER, theirs), ("a%20b", missing)])
            asks = [self.ask(operation, bearer(self.world.ingest), *place) for place in places]
            is_free = operation.is_open or operation.name == "list_event_types"
            yield Group(operation.name, "by a key for ingest", asks, (200 if is_free else 403,))

    def with_no_key(self) -> Iterator[Group]:
        """Everybody without a valid key."""
        for operation in self.operations:
            # It takes the key that is in its body.
            if operation.name == "begin_session":
                continue
            missing, own, theirs = self.things(operation)
            places = dict.fromkeys([(NOBODY, missing), (OWN, own), (OTHER, theirs)])
            asks = [
                self.ask(operation, who, *place, method)
                for who in self.world.strangers.values()
                for place in places
                for method in (operation.method,)
            ]
            yield Group(operation.name, "without a valid key", asks, (200 if operation.is_open else 401,))
