"""A store with something of everything in it, for the contract's cases to find: made through the API as a platform would.

Must never reach anything but this machine: every endpoint that it makes, or that `hooks.py` lets be made, is the receiver here.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# How long a state may take to be reached, in seconds.
REACHED_S = 60
LOOK_EVERY_S = 0.1

# Tenants that every case may use and none may erase.
TENANTS = ["acme", "globex", "initech"]
AGENTS = ["agt_1", "agt_7"]
CALLS = ["call_1", "call_2", "call_3"]
OWN_TYPES = ["booking.made", "booking.moved"]


class Answering(BaseHTTPRequestHandler):
    """`/fail..` answers 500, everything else 200."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(500 if self.path.startswith("/fail") else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def receiver() -> ThreadingHTTPServer:
    """A receiver that answers until the process ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Caller:
    """An operator."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with self.opener.open(request, timeout=30) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if text else None

    def do(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of an answer that must be a success."""
        status, answer = self.ask(method, path, body)
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer


def wait(what: str, reached: Any) -> Any:
    """What `reached` gives, once it is something."""
    ends = time.monotonic() + REACHED_S
    while not (value := reached()):
        if time.monotonic() > ends:
            raise RuntimeError(f"{what}: not within {REACHED_S} s")
        time.sleep(LOOK_EVERY_S)
    return value


def event(caller: Caller, tenant: str, name: str) -> str:
    """An event with a call of its own, both of that name."""
    body = {"type": "call.ended", "tenant": tenant, "id": name, "data": {"call_id": name}, "related": {"call_id": name}}
    return caller.do("POST", "/v1/events", body)["id"]


def erased(caller: Caller, tenant: str, name: str) -> dict:
    """The receipt for an event that was erased at once."""
    return caller.do("DELETE", f"/v1/tenants/{tenant}/events/{event(caller, tenant, name)}")


def seed_tenant(caller: Caller, tenant: str, target: str) -> dict[str, list[str]]:
    """A tenant with endpoints, and with events whose deliveries succeeded, are dead and are held."""
    at = f"/v1/tenants/{tenant}"
    caller.do("PUT", at, {"name": tenant.title()})
    made = {
        "good": caller.do("POST", f"{at}/endpoints", {"url": f"{target}/good", "event_types": ["call.*"]}),
        "failing": caller.do("POST", f"{at}/endpoints", {"url": f"{target}/fail", "retry": {"attempts": 1}}),
        "paused": caller.do("POST", f"{at}/endpoints", {"url": f"{target}/paused", "state": "paused"}),
        "voicehub": caller.do("POST", f"{at}/endpoints", {"url": f"{target}/hub", "profile": "voicehub"}),
    }
    events = [
        {
            "type": "call.ended",
            "tenant": tenant,
            "id": f"{tenant}-{n}",
            "agent": AGENTS[n % len(AGENTS)],
            "data": {"call_id": CALLS[n % len(CALLS)], "duration_s": 12.5},
            "related": {"call_id": CALLS[n % len(CALLS)]},
        }
        for n in range(12)
    ]
    caller.do("POST", "/v1/events", events)

    def some(state: str) -> list[dict]:
        return caller.do("GET", f"{at}/deliveries?state={state}&limit=100")["items"]

    for state in ["succeeded", "dead", "held"]:
        wait(f"{tenant}: a delivery that is {state}", lambda state=state: some(state))
    replays = [caller.do("POST", f"{at}/replays", {"event": event["id"]})["id"] for event in events[:3]]
    for name in OWN_TYPES:
        caller.do("PUT", f"{at}/event-types/{name}", {"schema": {"type": "object"}, "description": "seeded"})
    gone = [f"{tenant}-erased-{n}" for n in range(2)]
    erasures = [erased(caller, tenant, name)["id"] for name in gone]
    return {
        "endpoint": [endpoint["id"] for endpoint in made.values()],
        # An erased event is asked for like any other, and so are its deliveries.
        "event": [event["id"] for event in events] + gone,
        "delivery": [item["id"] for state in ["succeeded", "dead", "held"] for item in some(state)]
        + [f"{name}.{made['good']['id']}" for name in gone],
        "replay": replays,
        "erasure": erasures,
        "type": OWN_TYPES,
        "agent": AGENTS,
        "call": CALLS,
        "call_id": CALLS,
    }


def seed(caller: Caller, target: str) -> dict:
    """Everything; the ids by tenant and kind."""
    tenants = {tenant: seed_tenant(caller, tenant, target) for tenant in TENANTS}
    keys = [caller.do("POST", "/v1/keys", {"scope": f"tenant:{tenant}", "name": "seeded"})["id"] for tenant in TENANTS]
    types = [item["name"] for item in caller.do("GET", "/v1/event-types?limit=100")["items"]]
    return {"tenants": tenants, "keys": keys, "types": types, "target": target}
