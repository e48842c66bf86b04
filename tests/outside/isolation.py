"""The tenant isolation matrix, made of the OpenAPI document that is served: every operation x own, another tenant's,
missing and malformed things x every kind of key. Another tenant's thing is answered byte for byte as a missing one, and
stays as it is. Ids in bodies and queries and cursors are looked at too, and leaks that a proxy plants must be found.

How long an answer takes is not looked at: on a shared machine it tells nothing.
"""

from __future__ import annotations

import json
import re
import socket
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlsplit

from checks import Report, run, wait_until
from isolation_leaks import Plant, proxy
from isolation_matrix import ANSWER_S, Ask, Client, Findings, Group, Matrix, Raw, bearer, compare
from isolation_own import ask_for_own
from isolation_world import (
    BODIES,
    MISSING,
    OTHER,
    OWN,
    REFERENCES,
    Operation,
    Tenant,
    World,
    build,
    mint,
    operations,
    unknown,
)
from ledger import Receiver
from product import Origin, Redial

# Moments and minted ids in an answer, which differ by nature.
MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z")
MINTED = re.compile(rb"(rpl|evt|ep)_[0-9A-Za-z]{16,}")
VERSION = re.compile(rb'"version":\d+')
# Operations that change what the others look at, and come last.
LAST = ("activate_endpoint", "resume_endpoint")
# Members that suppose something rather than name it: whose it is makes no difference.
SUPPOSED = {(f"dry_run_{of}", name) for of in ("tenant", "endpoint") for name in ("agent", "type")}
SUPPOSED |= {("test_endpoint", "type")}
# Requests of a key at once; the product promises to stop one that loops (LIMITS.md), not at which of them.
LOOPS = 12_000
# What it may do for ever (LIMITS.md), and a little more: whoever asks less often is never refused.
TOO_SLOW_PER_S = 1_000
# Requests that are written before the first answer is read.
AT_ONCE = 400
# A revoked key must have ended within so many seconds.
REVOKED_S = 60


def snapshot(api: Origin, world: World, tenant: Tenant, known: list[Operation]) -> dict[str, tuple[str, Any, Any]]:
    """What every GET of the document says of a tenant's things; by path: operation, body and ETag."""
    seen = {}
    for operation in known:
        if operation.method != "GET" or not (operation.names_tenant or operation.kind == "key"):
            continue
        query = world.stretch if operation.takes("since") else ""
        path = operation.at(tenant.name, tenant.of.get(operation.kind or "", ""), query)
        answer = api.ask("GET", path)
        assert answer.status == 200, (path, answer)
        seen[path] = (operation.name, answer.body, answer.headers.get("etag"))
    return seen


def changed(before: dict, after: dict) -> list[str]:
    """Which operations tell something else than before."""
    return sorted({before[path][0] for path in before if before[path] != after[path]})


def plain(raw: Raw, *names: str) -> tuple[int, bytes]:
    """An answer without what differs by nature: moments, new ids and the id that was asked for."""
    if raw.status == 200 and b'"failed_at"' in raw.body:
        # A test of an endpoint: what was sent is as much another one at each time as what was answered.
        told = json.loads(raw.body)
        return raw.status, repr([told[name] for name in ("ok", "code", "failed_at", "explanation")]).encode()
    body = VERSION.sub(b"version", MINTED.sub(b"minted", MOMENT.sub(b"moment", raw.body)))
    for name in names:
        body = body.replace(json.dumps(name).encode(), b'"it"')
    return raw.status, body


def references(world: World, operation: Operation) -> Iterator[tuple[str, Any]]:
    """For each parameter or member of an operation that holds an id: its name, and a request with one put there."""
    for name in [name for name, place in operation.parameters if place == "query" and name in REFERENCES]:

        def by_query(who: str, thing: str, name: str = name) -> Ask:
            query = f"{name}={thing}" + (f"&{world.stretch}" if operation.takes("since") else "")
            return Ask("GET", operation.at(OWN, world.own.of.get(operation.kind or "", ""), query), who)

        if operation.method == "GET":
            yield name, by_query
    if operation.name == "post_events" or not operation.names_tenant:
        return
    for name in [name for name in operation.members if name in REFERENCES]:
        base = dict(BODIES[operation.name](world.own))
        if "dry_run" in operation.members:
            base = {"dry_run": True}
            if operation.name == "change_backlog":
                base["action"] = "drain"
        elif name in ("event", "type", "agent"):
            base = {} if name == "event" or operation.name == "test_endpoint" else {"type": "call.ended"}

        def by_body(who: str, thing: str, name: str = name, base: dict = base) -> Ask:
            is_list = name.endswith("s") or name == "deliveries"
            since = {"since": world.stretch.split("&")[0].removeprefix("since=")}
            needs_since = operation.name == "create_replay" and name in (
                "endpoint",
                "endpoints",
                "agents",
                "event_types",
            )
            body = {**base, **(since if needs_since else {}), name: [thing] if is_list else thing}
            path = operation.at(OWN, world.own.of.get(operation.kind or "", ""))
            return Ask(operation.method, path, who, json.dumps(body).encode())

        # What an endpoint listens to and which types an event has are names, wherever they come from.
        if operation.name not in ("create_endpoint", "patch_endpoint", "replace_webhooks"):
            yield name, by_body


def check_references(report: Report, world: World, known: list[Operation]) -> None:
    """Ids in queries and bodies: another tenant's is as good as none, and one's own is something else."""
    client = Client(world.operator.url)
    wrong, blind, asked = [], [], []
    for operation in sorted(known, key=lambda operation: operation.name in LAST):
        for name, made in references(world, operation):
            kind = REFERENCES[name]
            own, theirs, none = world.own.of[kind], world.other.of[kind], MISSING[kind]
            asked.append(f"{operation.name}.{name}")
            for who in (bearer(world.own.key), bearer(world.operator.key or "")):
                first = plain(client.send(made(who, none)), none)
                told = plain(client.send(made(who, theirs)), theirs)
                if told != first:
                    wrong.append(f"{operation.name} with {name} {theirs}: {told}, and with {none}: {first}")
            is_told = operation.name not in LAST and (operation.name, name) not in SUPPOSED
            if is_told and plain(client.send(made(bearer(world.own.key), own)), own) == first:
                blind.append(f"{operation.name} with {name}: one's own gets {first}, as a missing one")
    report.note(f"ids in queries and bodies: {', '.join(asked)}")
    report.nothing(f"{len(asked)} ids in queries and bodies: another tenant's is answered as a missing one", wrong)
    # Where nothing depends on the id, the check above sees nothing.
    report.nothing("and one's own as something that is there", blind)
    # An event of a platform's own id: what another tenant has of that id is no repeat and no conflict.
    posts = []
    for name in ("nothing-yet", world.other.of["event"]):
        body = {"type": "call.ended", "tenant": OWN, "id": name, "data": {"call_id": "c"}}
        ask = Ask("POST", "/v1/events", bearer(world.ingest), json.dumps(body).encode())
        posts.append(plain(client.send(ask), name))
    report.equal("an event's id that another tenant has is a free one", posts[1], posts[0])
    report.equal("and is accepted", posts[0][0], 202)


def check_cursors(report: Report, world: World, known: list[Operation]) -> None:
    """Cursors are good for one list of one tenant, asked in one way, and nobody can make one up."""
    client, operator, key = Client(world.operator.url), bearer(world.operator.key or ""), bearer(world.own.key)
    lists = [operation for operation in known if operation.takes("cursor")]
    held: dict[tuple[str, str], str] = {}
    for operation in lists:
        for tenant in (world.own, world.other):
            ask = Ask("GET", operation.at(tenant.name, tenant.of.get(operation.kind or "", ""), "limit=1"), operator)
            raw = client.send(ask)
            cursor = json.loads(raw.body).get("next") if raw.status == 200 else None
            if cursor is not None:
                held[operation.name, tenant.name] = cursor
    # The ledger's page has hundreds of events, and takes no limit.
    without = [operation.name for operation in lists if (operation.name, OWN) not in held]
    report.equal("every list has a second page, but the ledger", without, ["check_ledger"])
    wrong, count = [], 0

    def refused(who: str, operation: Operation, cursor: str, why: str, query: str = "") -> None:
        nonlocal count
        count += 1
        thing = world.own.of.get(operation.kind or "", "")
        raw = client.send(Ask("GET", operation.at(OWN, thing, f"cursor={cursor}{query}"), who))
        if (raw.status, json.loads(raw.body).get("code")) != (400, "cursor_invalid"):
            wrong.append(f"{operation.name}, {why}: {raw}")

    for operation in lists:
        who = key if operation.names_tenant or operation.name == "list_event_types" else operator
        cursor = held.get((operation.name, OWN), next(iter(held.values())))
        if operation.name in {name for name, _ in held}:
            thing = world.own.of.get(operation.kind or "", "")
            raw = client.send(Ask("GET", operation.at(OWN, thing, f"limit=1&cursor={cursor}"), who))
            if raw.status != 200:
                wrong.append(f"{operation.name}: its own cursor gets {raw}")
        if operation.names_tenant and (operation.name, OTHER) in held:
            refused(who, operation, held[operation.name, OTHER], "another tenant's")
            refused(operator, operation, held[operation.name, OTHER], "another tenant's, by an operator")
        another = next(c for (name, tenant), c in held.items() if name != operation.name and tenant == OWN)
        refused(who, operation, another, "another list's")
        for at in range(0, len(cursor), max(1, len(cursor) // 12)):
            other = "A" if cursor[at] != "A" else "B"
            refused(who, operation, f"{cursor[:at]}{other}{cursor[at + 1 :]}", f"altered at {at}")
        for text in (cursor[:-4], f"{cursor}AAAA", "A" * len(cursor), "nope", "%00", "A" * 2_000):
            refused(who, operation, text, f"made up: {text[:20]}")
        for name in ("endpoint", "agent"):
            if operation.takes(name):
                refused(who, operation, cursor, "of another question", f"&{name}={world.own.of[name]}")
    report.nothing(f"{count} cursors of others, of other questions, altered or made up are refused", wrong)


def compared(report: Report, title: str, url: str, groups: Iterator[Group], total: dict[str, int]) -> Findings:
    """One part of the matrix as a check."""
    findings = compare(url, groups)
    for name, count in findings.counts.items():
        total[name] = total.get(name, 0) + count
    count = sum(findings.counts.values())
    report.nothing(f"{title}: {count} requests, 0 differences", [" ".join(d) for d in findings.differences])
    return findings


def check_matrix(report: Report, world: World, known: list[Operation]) -> None:
    """All of it, and that nothing of anybody's has changed by it."""
    url, api = world.operator.url, world.operator
    matrix = Matrix(world, known)
    # That a key was used is noted once an hour.
    Origin(url, world.own.key).expect(200, "GET", "/v1/event-types?limit=1")
    before = [snapshot(api, world, tenant, known) for tenant in (world.own, world.other)]
    arrived = world.receiver.summary()
    total: dict[str, int] = {}
    compared(report, "a tenant's key, others' things and missing ones", url, matrix.with_tenants_key(), total)
    compared(report, "the same, wrong in another way too", url, matrix.variants(), total)
    compared(report, "methods that a path does not have", url, matrix.other_methods(), total)
    compared(report, "an operator, with another tenant's things", url, matrix.with_operators_key(), total)
    compared(report, "a key for ingest", url, matrix.with_ingest_key(), total)
    compared(report, f"{len(world.strangers)} without a valid key", url, matrix.with_no_key(), total)
    after = [snapshot(api, world, tenant, known) for tenant in (world.own, world.other)]
    report.equal("nothing of either tenant is changed by all that", [changed(*p) for p in zip(before, after)], [[], []])
    report.equal("and nothing was sent to their receivers", world.receiver.summary(), arrived)
    for operation in known:
        report.note(f"{total.get(operation.name, 0):>5}  {operation.method} {operation.path}")
    # Whoever posts events names the tenant; whoever begins a session is asked for nothing but the key.
    named = ("post_events", "begin_session")
    never = [o.name for o in known if o.name not in named and not total.get(o.name)]
    report.nothing(f"{len(known)} operations, {sum(total.values())} requests: every operation is in it", never)


def check_planted(report: Report, world: World, known: list[Operation]) -> None:
    """The same matrix through a proxy that leaks: what is planted is found, and nothing else."""
    other, at = world.other.of, f"/v1/tenants/{OWN}"
    theirs = f"/v1/tenants/{OTHER}/endpoints/{other['endpoint']}"

    def change() -> None:
        world.operator.expect(200, "PATCH", theirs, {"description": "changed by a leak"})

    def told(status: int, headers: list, body: bytes) -> tuple:
        return status, headers, body[:-1] + b',"owner":"another"}'

    plants = [
        Plant("read_endpoint", "GET", f"{at}/endpoints/{other['endpoint']}", lambda s, h, b: (403, h, b)),
        Plant("read_event", "GET", f"{at}/events/{other['event']}", told),
        Plant("list_replays", "HEAD", f"/v1/tenants/{OTHER}/replays", lambda s, h, b: (s, [*h, ("etag", '"7"')], b)),
        Plant("patch_endpoint", "PATCH", theirs, lambda s, h, b: (s, h, b), beside=change),
    ]
    before = snapshot(world.operator, world, world.other, known)
    with proxy(world.operator.url, plants) as url:
        findings = compare(url, Matrix(world, known).with_tenants_key())
    after = snapshot(world.operator, world, world.other, known)
    found = sorted({operation for operation, _ in findings.differences})
    expected = ["list_replays", "read_endpoint", "read_event"]
    about = [" ".join(difference)[:300] for difference in findings.differences]
    report.check("planted leaks are found, and nothing else is", found == expected and len(about) == 3, about)
    touched = ["list_endpoints", "read_endpoint", "read_secret", "read_tenant"]
    told_of = [name for name in changed(before, after) if name not in touched]
    is_found = "read_endpoint" in changed(before, after) and not told_of
    report.check("a planted change behind a right answer is found", is_found, changed(before, after))


def check_keys(report: Report, world: World) -> None:
    """A revoked key ends, also on a connection that it has; a key that loops is told to wait, and others are not."""
    made = mint(world.operator, f"tenant:{OWN}")
    client, path = Client(world.operator.url), f"/v1/tenants/{OWN}/endpoints"
    ask = Ask("GET", path, bearer(made["key"]))
    report.equal("a key works", client.send(ask).status, 200)
    world.operator.expect(204, "DELETE", f"/v1/keys/{made['id']}")
    began = time.monotonic()
    wait_until("a revoked key ends", lambda: client.send(ask).status == 401, REVOKED_S)
    report.note(f"a revoked key was refused after {time.monotonic() - began:.2f} s")
    report.check(f"a revoked key ends within {REVOKED_S} s", True)
    looping, calm = (mint(world.operator, f"tenant:{OWN}")["key"] for _ in range(2))
    began = time.monotonic()
    refused = loop(world.operator.url, looping)
    per_s = LOOPS / (time.monotonic() - began)
    if refused is None and per_s < TOO_SLOW_PER_S:
        report.skip("a key that loops is refused", f"{per_s:.0f} requests a second are all that this machine takes")
    elif report.check(f"a key that loops is refused within {LOOPS} requests", refused is not None):
        wait_s = int(dict(refused.headers).get("retry-after", "0"))
        code = json.loads(refused.body).get("code")
        report.equal(
            "with 429, a code and Retry-After", (refused.status, code, wait_s > 0), (429, "rate_limited", True)
        )
    report.equal("another key is not", client.once(Ask("GET", path, bearer(calm))).status, 200)


def loop(url: str, key: str) -> Raw | None:
    """Asks without waiting for answers, until one is refused for that: the refusal."""
    parts = urlsplit(url)
    # A tenant's key may not see keys: the cheapest answer that counts, a problem, whose code comes last.
    lines = ("GET /v1/keys HTTP/1.1", f"host: {parts.netloc}", f"authorization: Bearer {key}", "", "")
    request = "\r\n".join(lines).encode()
    with socket.create_connection((parts.hostname, parts.port), timeout=ANSWER_S) as stream:
        for _ in range(LOOPS // AT_ONCE):
            stream.sendall(request * AT_ONCE)
            read = b""
            while read.count(b'"code":"') < AT_ONCE or not read.endswith(b"}"):
                part = stream.recv(65_536)
                assert part, "the connection is closed"
                read += part
            for told in read.split(b"HTTP/1.1 ")[1:]:
                head, body = told.split(b"\r\n\r\n")
                status, *headers = head.decode().split("\r\n")
                if status.startswith("429"):
                    return Raw(429, tuple(tuple(line.lower().split(": ", 1)) for line in headers), body)
    return None


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        redial = Redial(folder)
        try:
            api = redial.start()
            document = api.expect(200, "GET", "/v1/openapi.json")
            known = operations(document)
            report.nothing(f"{len(known)} operations of the document are known here", unknown(document, known))
            world = build(api, receiver)
            check_matrix(report, world, known)
            check_planted(report, world, known)
            check_cursors(report, world, known)
            check_references(report, world, known)
            check_keys(report, world)
            ask_for_own(report, world, known)
        finally:
            # What is left is jobs and messages that wait for minutes.
            if redial.process is not None:
                redial.kill()


if __name__ == "__main__":
    run("isolation", script)
