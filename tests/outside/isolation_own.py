"""The other side of the matrix: every operation succeeds on one's own things, so that a refusal of others' tells something."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from checks import Report, wait_until
from isolation_matrix import Ask, Client, Raw, bearer, body_of
from isolation_world import OWN, Operation, World, event

# Events that a job with one delivery a second is busy with while it is paused, resumed and canceled.
BUSY = 150
# Operations that only operators may use, of a tenant or none.
OPERATORS_ONLY = {"put_tenant", "erase_tenant", "create_key", "list_keys", "read_key", "delete_key", "list_tenants"}
OPERATORS_ONLY |= {
    "post_events",
    "change_key",
    "read_data_keys",
    "rotate_data_key",
    "reseal_secrets",
    "retire_data_keys",
}
# Operations that say why it cannot be now (409), as long as something is sealed by what is to be retired.
MAY_CONFLICT = {"retire_data_keys"}
# How long something may take, in seconds.
DONE_S = 60


class Own:
    """Own things of an operation, made anew where it takes them away or changes them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.api = world.operator
        self.made = 0
        self.at = f"/v1/tenants/{OWN}"

    def begin(self) -> None:
        """What a job is to be busy with."""
        batch = [event(OWN, f"busy-{n}", type=f"{OWN}.two") for n in range(BUSY)]
        self.api.expect(202, "POST", "/v1/events", batch)
        path = f"{self.at}/events/busy-{BUSY - 1}/deliveries"
        wait_until("events are delivered", lambda: self.done(path), DONE_S)

    def done(self, path: str) -> bool:
        """True if the first endpoint has it."""
        return any(d["state"] == "succeeded" for d in self.api.expect(200, "GET", path)["items"])

    def endpoint(self) -> str:
        """A new endpoint that waits for nothing."""
        fields = {"url": f"{self.world.own.target}/{OWN}/good", "event_types": ["nothing.there"]}
        return self.api.expect(201, "POST", f"{self.at}/endpoints", fields)["id"]

    def replay(self) -> str:
        """A job that is busy for minutes."""
        since = self.world.stretch.split("&")[0].removeprefix("since=")
        body = {"endpoint": self.world.own.good, "since": since, "event_types": [f"{OWN}.two"], "rate": 1}
        return self.api.expect(202, "POST", f"{self.at}/replays", body)["id"]

    def thing(self, operation: Operation) -> str:
        """An own thing for one request."""
        self.made += 1
        fresh = f"own-{self.made}"
        kind = operation.kind
        if kind == "endpoint":
            return self.endpoint()
        if kind == "replay" and operation.method == "POST":
            replay = self.replay()
            if operation.name == "resume_replay":
                self.api.expect(200, "POST", f"{self.at}/replays/{replay}/pause")
            return replay
        if kind in ("event", "call_id") and operation.method == "DELETE":
            self.api.expect(202, "POST", "/v1/events", event(OWN, fresh, related={"call_id": fresh}))
            return fresh
        if kind == "key" and operation.method == "DELETE":
            return self.api.expect(201, "POST", "/v1/keys", {"scope": "ingest"})["id"]
        return self.world.own.of.get(kind or "", "")

    def tenant(self, operation: Operation) -> str:
        """The tenant; one that was made for it, if it is erased."""
        if operation.name != "erase_tenant":
            return OWN
        self.api.ask("PUT", "/v1/tenants/brief", {})
        return "brief"


def ask_for_own(report: Report, world: World, known: list[Operation]) -> None:
    """Every operation, with an operator's key and the tenant's own."""
    own, client = Own(world), Client(world.operator.url)
    own.begin()
    wrong, good, forbidden = [], 0, 0

    def sent(operation: Operation, key: str, tenant: str) -> Raw:
        thing = quote(own.thing(operation), safe="")
        raw = client.send(
            Ask(operation.method, operation.at(tenant, thing), bearer(key), body_of(operation, world.own))
        )
        if operation.kind == "endpoint" and operation.name != "delete_endpoint":
            own.api.ask("DELETE", f"{own.at}/endpoints/{thing}")
        if operation.kind == "replay" and operation.method == "POST":
            own.api.ask("POST", f"{own.at}/replays/{thing}/cancel")
        if operation.name == "create_endpoint" and raw.status == 201:
            own.api.expect(204, "DELETE", f"{own.at}/endpoints/{json.loads(raw.body)['id']}")
        return raw

    def is_success(raw: Raw) -> bool:
        return 200 <= raw.status < 300

    for operation in known:
        keys: list[tuple[str, Any]] = [("an operator", world.operator.key), ("the tenant", world.own.key)]
        for who, key in keys:
            raw = sent(operation, key, own.tenant(operation))
            may = who == "an operator" or operation.name not in OPERATORS_ONLY
            if operation.name == "erase_tenant" and not may:
                # By its own key, and the tenant that it is of.
                raw = client.send(Ask("DELETE", operation.at(OWN), bearer(key)))
            good, forbidden = good + is_success(raw), forbidden + (raw.status == 403)
            if may and raw.status == 409 and operation.name in MAY_CONFLICT:
                continue
            if is_success(raw) != may or (not may and raw.status != 403):
                wrong.append(f"{operation.name} by {who}: {raw}")
    report.nothing(f"{good} of one's own succeed, {forbidden} that only operators may are refused with 403", wrong)
