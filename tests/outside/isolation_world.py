"""Two tenants with something of everything, and what `isolation` must know of each operation of the OpenAPI document.

An operation, a kind of key, or a name that looks like an id and is not known here makes the test fail: what nobody told it
about it would pass over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from checks import wait_until
from ledger import Receiver
from product import Origin

# Whose key asks, whose things must stay its own, and a name that nobody has.
OWN, OTHER, NOBODY = "acme", "globex", "nobody"
# How long something may take to be delivered or done, in seconds.
ARRIVE_S = 60
# A thing of each kind that does not exist, in the form of those that do.
MISSING = {
    "endpoint": "ep_0000000000000000",
    "event": "nothing",
    "delivery": "nothing.ep_0000000000000000",
    "replay": "rpl_01JD3ZK8Q000000000",
    "key": "ffffffffffff",
    "erasure": "ers_01JD3ZK8Q000000000",
    "call_id": "no-call",
    "type": "nothing.there",
    "agent": "no-agent",
}
# Parts of a path that are no ids, as they stand in it.
MALFORMED = ("a%20b", "%2e%2e%2fx", "null", "%00", f"t%2f{OTHER}", "x" * 600)
# Names of parameters and members that hold an id, and of what.
REFERENCES = {
    "endpoint": "endpoint",
    "endpoints": "endpoint",
    "event": "event",
    "delivery": "delivery",
    "deliveries": "delivery",
    "call": "call_id",
    "call_id": "call_id",
    "agent": "agent",
    "agents": "agent",
    "type": "type",
    "event_type": "type",
    "event_types": "type",
}
# Names that look like one and are none, or that `isolation` treats by themselves.
NO_REFERENCES = {"call_started", "call_ended", "call_saved", "call_transferred", "max_endpoints", "allow_unknown_types"}
NO_REFERENCES |= {"include_replays"}
# The `key` that a session begins with is who asks, not what is asked for.
NO_REFERENCES |= {"id", "exclude_agents", "events", "tenant", "cursor", "key"}
LOOKS_LIKE_ID = re.compile(r"endpoint|event|deliver|call|agent|tenant|replay|erasure|key|cursor|type|(^|_)ids?$")
# The events of system C, each of which a webhook wants or not.
WEBHOOK_EVENTS = "call_started call_ended call_saved call_transferred dial_started dial_answered dial_ended".split()
# Body of each operation that has one, right for a tenant with these things.
BODIES = {
    "replace_webhooks": lambda t: [{"url": f"{t.target}/hub"} | dict.fromkeys(WEBHOOK_EVENTS, True)],
    "post_events": lambda t: {"type": "call.ended", "tenant": t.name, "data": {"call_id": "none"}},
    "begin_session": lambda t: {"key": t.key},
    "create_portal_link": lambda t: {"ttl_s": 60},
    "create_key": lambda t: {"scope": f"tenant:{t.name}", "name": "made by the matrix"},
    "change_key": lambda t: {"name": "changed by the matrix"},
    "rotate_data_key": lambda t: {},
    "reseal_secrets": lambda t: {},
    "put_tenant": lambda t: {"name": t.name.title()},
    "discard_dead_letters": lambda t: {"endpoint": t.of["endpoint"], "dry_run": True},
    "redrive_dead_letters": lambda t: {"endpoint": t.of["endpoint"], "dry_run": True},
    "dry_run_tenant": lambda t: {"event": t.of["event"]},
    "dry_run_endpoint": lambda t: {"event": t.of["event"]},
    "create_endpoint": lambda t: {"url": f"{t.target}/made", "active": False},
    "patch_endpoint": lambda t: {"description": "changed"},
    "activate_endpoint": lambda t: {"backlog": "drain"},
    "change_backlog": lambda t: {"action": "discard", "event_types": ["nothing.there"]},
    "resume_endpoint": lambda t: {"backlog": "drain"},
    "rotate_secret": lambda t: {"overlap_s": 0},
    "test_endpoint": lambda t: {},
    "put_event_type": lambda t: {"schema": {"type": "object"}},
    "validate_data": lambda t: {"data": {}},
    "create_replay": lambda t: {"event": t.of["event"]},
}
# Operations without a body that this test knows.
WITHOUT_BODY = set(
    """list_webhooks about list_event_types list_keys read_key delete_key read_openapi list_tenants read_tenant erase_tenant
    erase_call list_call_events read_call_timeline list_dead_letters count_dead_letters list_deliveries read_delivery
    list_endpoints read_endpoint delete_endpoint count_backlog read_health pause_endpoint read_secret list_erasures
    read_erasure list_tenant_event_types read_event_type archive_event_type deprecate_event_type restore_event_type
    list_events read_event erase_event list_event_deliveries read_event_timeline check_ledger list_replays read_replay
    cancel_replay pause_replay resume_replay read_statistics read_data_keys retire_data_keys read_session end_session""".split()
)
# Kinds of keys that this test has.
SCOPES = {"operator", "ingest", "tenant"}


@dataclass(frozen=True)
class Operation:
    """An operation of the document."""

    name: str
    method: str
    path: str
    parameters: tuple[tuple[str, str], ...]
    # Names of the members of its body, if it is an object.
    members: tuple[str, ...]
    has_body: bool
    is_open: bool

    @property
    def kind(self) -> str | None:
        """Of which kind the thing is that its path names, besides a tenant."""
        names = [name for name, place in self.parameters if place == "path" and name != "tenant"]
        assert len(names) < 2, self
        return names[0] if names else None

    @property
    def names_tenant(self) -> bool:
        """True if a tenant is in its path or query."""
        return any(name == "tenant" for name, _ in self.parameters)

    def takes(self, name: str) -> bool:
        """True if it has a parameter of that name."""
        return any(name == known for known, _ in self.parameters)

    def at(self, tenant: str, thing: str = "", query: str = "") -> str:
        """Its path for these."""
        path = self.path.replace("{tenant}", tenant)
        if self.kind is not None:
            path = path.replace(f"{{{self.kind}}}", thing)
        if ("tenant", "query") in self.parameters:
            query = f"tenant={tenant}" + (f"&{query}" if query else "")
        return f"{path}?{query}" if query else path


def members_of(document: dict, schema: dict) -> set[str]:
    """The names of an object's members, in all its forms."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    found = set(schema.get("properties", {}))
    for form in ("oneOf", "anyOf", "allOf"):
        for part in schema.get(form, []):
            found |= members_of(document, part)
    return found


def operations(document: dict) -> list[Operation]:
    """All of the document."""
    found = []
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            content = told.get("requestBody", {}).get("content", {})
            members = {name for kind in content.values() for name in members_of(document, kind["schema"])}
            parameters = tuple((p["name"], p["in"]) for p in told.get("parameters", []))
            is_open = told.get("security") == [{}]
            name = told["operationId"]
            found.append(
                Operation(name, method.upper(), path, parameters, tuple(sorted(members)), bool(content), is_open)
            )
    return found


def unknown(document: dict, found: list[Operation]) -> list[str]:
    """What the document has and this test does not know."""
    known = WITHOUT_BODY | set(BODIES)
    wrong = [f"operation {o.name}: {o.method} {o.path}" for o in found if o.name not in known]
    wrong += [f"operation {o.name} has a body, or none any more" for o in found if o.has_body != (o.name in BODIES)]
    wrong += [f"{o.path} names a {o.kind}" for o in found if o.kind is not None and o.kind not in MISSING]
    for operation in found:
        names = [name for name, place in operation.parameters if place == "query"] + list(operation.members)
        strange = [n for n in names if LOOKS_LIKE_ID.search(n) and n not in REFERENCES and n not in NO_REFERENCES]
        wrong += [f"{operation.name} takes {name}" for name in strange]
    pattern = document["components"]["schemas"]["NewKey"]["properties"]["scope"]["pattern"]
    scopes = {scope.split(":")[0] for scope in pattern.strip("^$()").split("|")}
    return wrong + [f"scope {scope}" for scope in scopes ^ SCOPES]


def moment(at: datetime) -> str:
    """RFC 3339, as it may stand in a query."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Tenant:
    """A tenant and a thing of each kind."""

    name: str
    target: str
    of: dict[str, str] = field(default_factory=dict)
    # Another endpoint, at which all succeeds.
    good: str = ""
    # The version of the endpoint, as `ETag` has it, and the tenant's key.
    etag: str = ""
    key: str = ""


@dataclass
class World:
    """What the matrix is asked of."""

    operator: Origin
    receiver: Receiver
    own: Tenant
    other: Tenant
    # The stretch of time in which all of it happened, as a query.
    stretch: str
    # By name: what is sent as `Authorization`; `None`: no such header.
    strangers: dict[str, str | None]
    ingest: str


def mint(api: Origin, scope: str, **more: Any) -> dict:
    """A new key."""
    return api.expect(201, "POST", "/v1/keys", {"scope": scope, "name": "isolation", **more})


def event(tenant: str, name: str, **more: Any) -> dict:
    """An event to post, of the tenant's own call and agent."""
    related = {"call_id": f"{tenant}-call"}
    data = {"call_id": related["call_id"]}
    return {
        "type": f"{tenant}.own",
        "tenant": tenant,
        "id": name,
        "agent": f"{tenant}-agent",
        "data": data,
        "related": related,
    } | more


def seed(api: Origin, receiver: Receiver, name: str) -> Tenant:
    """Makes a tenant with two of everything, and waits until nothing of it changes by itself."""
    tenant = Tenant(name, receiver.origin)
    at = f"/v1/tenants/{name}"
    assert api.ask("PUT", at, {"name": name.title()}).status == 201
    for type_name in (f"{name}.own", f"{name}.two"):
        api.expect(201, "PUT", f"{at}/event-types/{type_name}", {"schema": {"type": "object"}})
    receiver.behave(f"/{name}/good")
    receiver.behave(f"/{name}/fail", status=500)
    good = api.expect(201, "POST", f"{at}/endpoints", {"url": f"{receiver.origin}/{name}/good"})
    fail = {"url": f"{receiver.origin}/{name}/fail", "retry": {"attempts": 1}}
    failing = api.expect(201, "POST", f"{at}/endpoints", fail)
    paused = {"url": f"{receiver.origin}/{name}/paused", "state": "paused"}
    api.expect(201, "POST", f"{at}/endpoints", paused)
    events = [event(name, f"{name}-{n}") for n in range(4)] + [event(name, f"{name}-gone-{n}") for n in range(2)]
    api.expect(202, "POST", "/v1/events", events)

    def concluded() -> bool:
        states = [d["state"] for d in api.items(f"{at}/deliveries?limit=100")]
        return sorted(states) == sorted(["succeeded", "dead", "held"] * len(events))

    wait_until(f"all of {name} is delivered, dead or held", concluded, ARRIVE_S)
    # It has dead letters and a backlog from now on.
    api.expect(200, "POST", f"{at}/endpoints/{failing['id']}/pause")
    api.expect(202, "POST", "/v1/events", event(name, f"{name}-held"))

    def held() -> bool:
        return len(api.items(f"{at}/deliveries?state=held&endpoint={failing['id']}")) == 1

    wait_until("a delivery is held", held, ARRIVE_S)
    jobs = [api.expect(202, "POST", f"{at}/replays", {"delivery": f"{name}-{n}.{good['id']}"}) for n in (0, 1)]
    wait_until(
        "replays are done",
        lambda: all(job["state"] == "done" for job in api.items(f"{at}/replays")),
        ARRIVE_S,
    )
    wait_until("what they sent arrives", lambda: receiver.summary()[f"/{name}/good"]["answered"] >= 9, ARRIVE_S)
    gone = [api.ask("DELETE", f"{at}/events/{name}-gone-{n}").body for n in range(2)]
    wait_until(
        "erasures go no further by themselves",
        lambda: all(e["events"] == 1 for e in api.items(f"{at}/erasures")),
        ARRIVE_S,
    )
    made = mint(api, f"tenant:{name}")
    tenant.key = made["key"]
    tenant.of = {
        "endpoint": failing["id"],
        "event": f"{name}-0",
        "delivery": f"{name}-0.{failing['id']}",
        "replay": jobs[0]["id"],
        "key": made["id"],
        "erasure": gone[0]["id"],
        "call_id": f"{name}-call",
        "type": f"{name}.own",
        "agent": f"{name}-agent",
    }
    tenant.good = good["id"]
    tenant.etag = api.ask("GET", f"{at}/endpoints/{failing['id']}").headers["etag"]
    return tenant


def strangers(api: Origin) -> dict[str, str | None]:
    """Everybody who has no valid key."""
    kept: dict[str, str | None] = {"no key": None, "an empty one": "Bearer ", "garbage": "Bearer garbage"}
    valid = mint(api, "operator")
    kept["the id of a key and another secret"] = f"Bearer {valid['key'][:-4]}AAAA"
    kept["another scheme"] = f"Basic {valid['key']}"
    kept["a key that never was"] = f"Bearer rd_ffffffffffff_{'A' * 43}"
    expired = [(scope, mint(api, scope, expires_in_s=1)) for scope in ("operator", f"tenant:{OWN}")]
    for scope in ("operator", f"tenant:{OWN}"):
        key = mint(api, scope)
        answer = Origin(api.url, key["key"]).ask("GET", "/v1/event-types?limit=1")
        assert answer.status == 200, answer
        api.expect(204, "DELETE", f"/v1/keys/{key['id']}")
        kept[f"a revoked key of {scope}"] = f"Bearer {key['key']}"
    for scope, key in expired:
        path = f"/v1/keys/{key['id']}"
        wait_until("a key expires", lambda path=path: api.expect(200, "GET", path)["expired"], ARRIVE_S)
        kept[f"an expired key of {scope}"] = f"Bearer {key['key']}"
    return kept


def build(api: Origin, receiver: Receiver) -> World:
    """All of it."""
    began = datetime.now(timezone.utc)
    own, other = (seed(api, receiver, name) for name in (OWN, OTHER))
    since, until = began - timedelta(hours=1), datetime.now(timezone.utc) + timedelta(seconds=1)
    stretch = f"since={moment(since)}&until={moment(until)}"
    return World(api, receiver, own, other, stretch, strangers(api), mint(api, "ingest")["key"])
