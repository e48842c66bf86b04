"""What schemathesis cannot know of this product: ids that exist, and refusals that no schema can foretell.

Valid cases get real ids, most of the time: a share keeps the generated ones, and what was made to be invalid stays as it is. The
tenants that all cases need, and the key they use, are never erased or revoked: a spare is made instead. No request may make the
product talk to another machine. Every answer is written down for `run` to count.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

from world import Caller

WORLD = json.loads(os.environ["REDIAL_CONTRACT_WORLD"])
ANSWERS = Path(os.environ["REDIAL_CONTRACT_ANSWERS"]).open("a")
CALLER = Caller(WORLD["url"], WORLD["key"])
TENANTS: dict[str, dict[str, list[str]]] = WORLD["tenants"]
CHOICE = random.Random(WORLD["seed"])

# The share of valid cases whose ids are made to exist; the others ask for what is missing.
REAL_SHARE = 0.9
# The share of lists that go on with a page after the first, where there is one.
PAGE_SHARE = 0.3

# Refusals of bodies and parameters that are valid by the document: (operation, or "*" for any; code): why no schema can say it.
FORESEEN = {
    ("*", "cursor_invalid"): "a cursor is known by its signature, which only the product can make",
    ("put_tenant", "shards_invalid"): "shards are only ever raised: it depends on what is stored",
    ("create_key", "tenant_unknown"): "whether a tenant is there depends on what is stored",
    ("post_events", "tenant_unknown"): "whether a tenant is there depends on what is stored",
    ("post_events", "event_type_unknown"): "which types there are depends on what is stored",
    ("create_replay", "event_unknown"): "whether an event is there depends on what is stored",
}

# Moments that deliveries may have: the generated ones span eight thousand years and would find nothing.
schemathesis.openapi.format("date-time", st.datetimes(allow_imaginary=False).map(lambda at: f"{at.replace(year=2000 + at.year % 100):%Y-%m-%dT%H:%M:%S}Z"))

# Ids that some answer named: a stateful case that uses one goes on with what it made.
SEEN: set[str] = set(TENANTS)
for ids in TENANTS.values():
    for names in ids.values():
        SEEN.update(names)
SEEN.update(WORLD["keys"])
# Queries whose answer had a next page, by path.
PAGES: dict[str, dict[str, str]] = {}


def spare_tenant() -> str:
    tenant = f"spare-{CHOICE.getrandbits(40):x}"
    CALLER.do("PUT", f"/v1/tenants/{tenant}")
    return tenant


def spare_key() -> str:
    return CALLER.do("POST", "/v1/keys", {"scope": "ingest", "name": "spare"})["id"]


def spare_endpoint(tenant: str) -> str:
    body = {"url": f"{WORLD['target']}/spare", "event_types": ["user.action"], "active": False}
    status, answer = CALLER.ask("POST", f"/v1/tenants/{tenant}/endpoints", body)
    # A tenant that has as many as it may loses one that no case knows.
    if status == 409:
        for endpoint in CALLER.do("GET", f"/v1/tenants/{tenant}/endpoints?limit=100")["items"]:
            if endpoint["id"] not in TENANTS[tenant]["endpoint"]:
                CALLER.ask("DELETE", f"/v1/tenants/{tenant}/endpoints/{endpoint['id']}")
        answer = CALLER.do("POST", f"/v1/tenants/{tenant}/endpoints", body)
    return answer["id"]


def is_valid(case: schemathesis.Case, location: ParameterLocation) -> bool:
    """True if that part of the case was made to be valid, or is not there."""
    component = case.meta.components.get(location) if case.meta else None
    return component is None or component.mode.is_positive


def with_real_path(case: schemathesis.Case) -> None:
    """Path parameters that exist."""
    names = case.path_parameters
    operation = operation_of(case)
    known = TENANTS.get(str(names.get("tenant")))
    if "tenant" in names and operation != "put_tenant" and names["tenant"] not in SEEN:
        names["tenant"] = CHOICE.choice(list(TENANTS))
        known = TENANTS[names["tenant"]]
    for name in list(names):
        if name == "tenant" or names[name] in SEEN:
            continue
        if name == "key":
            names[name] = CHOICE.choice(WORLD["keys"])
        elif known and known.get(name):
            names[name] = CHOICE.choice(known[name])
        elif name == "type":
            names[name] = CHOICE.choice(WORLD["types"])


def spared(case: schemathesis.Case) -> None:
    """Nothing that all cases need is removed."""
    names, operation = case.path_parameters, operation_of(case)
    if case.method.upper() != "DELETE":
        return
    if operation == "delete_key" and (names["key"] in WORLD["keys"] or names["key"] == WORLD["key_id"]):
        names["key"] = spare_key()
    elif names.get("tenant") in TENANTS and len(names) == 1:
        names["tenant"] = spare_tenant()
    elif operation == "delete_endpoint" and names["tenant"] in TENANTS:
        if names["endpoint"] in TENANTS[names["tenant"]]["endpoint"]:
            names["endpoint"] = spare_endpoint(names["tenant"])


def to_receiver(value: Any) -> Any:
    """The same, with every URL leading to the receiver of this run."""
    if isinstance(value, dict):
        return {name: to_receiver(member) for name, member in value.items()}
    if isinstance(value, list):
        return [to_receiver(member) for member in value]
    if isinstance(value, str) and value.lower().startswith(("http://", "https://")):
        return f"{WORLD['target']}/{CHOICE.choice(['good', 'fail'])}"
    return value


def with_real_body(case: schemathesis.Case) -> None:
    """Ids in a body that exist."""
    operation, body = operation_of(case), case.body
    if operation == "post_events":
        events = body if isinstance(body, list) else body.get("events") or [body] if isinstance(body, dict) else []
        for event in events:
            if isinstance(event, dict):
                event["tenant"] = CHOICE.choice(list(TENANTS))
                event["type"] = CHOICE.choice(WORLD["types"])
    if not isinstance(body, dict):
        return
    if operation == "create_key" and str(body.get("scope", "")).startswith("tenant:"):
        body["scope"] = f"tenant:{CHOICE.choice(list(TENANTS))}"
    known = TENANTS.get(str(case.path_parameters.get("tenant")), {})
    for name in ["event", "delivery", "endpoint"]:
        if isinstance(body.get(name), str) and known:
            body[name] = CHOICE.choice(known[name])


def with_real_query(case: schemathesis.Case) -> None:
    """A page after the first, or no cursor; ids that exist."""
    if "cursor" not in {parameter.name for parameter in case.operation.query}:
        return
    case.query.pop("cursor", None)
    known = TENANTS.get(str(case.path_parameters.get("tenant")), {})
    for name in ["endpoint", "agent", "call"]:
        if name in case.query and known.get(name):
            case.query[name] = CHOICE.choice(known[name])
    if case.formatted_path in PAGES and CHOICE.random() < PAGE_SHARE:
        case.query = dict(PAGES[case.formatted_path])


def operation_of(case: schemathesis.Case) -> str:
    return case.operation.definition.raw.get("operationId", case.operation.label)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    real = CHOICE.random() < REAL_SHARE
    if is_valid(case, ParameterLocation.PATH):
        if real:
            with_real_path(case)
        spared(case)
    if is_valid(case, ParameterLocation.BODY):
        if isinstance(case.body, (dict, list)):
            case.body = to_receiver(case.body)
            if real:
                with_real_body(case)
    if real and is_valid(case, ParameterLocation.QUERY):
        with_real_query(case)


def code_of(response: schemathesis.Response) -> str | None:
    """The stable code of a refusal."""
    try:
        return response.json().get("code")
    except (ValueError, AttributeError):
        return None


def noted(case: schemathesis.Case, response: schemathesis.Response) -> None:
    """Writes an answer down, unless it is one to a request without the key: those a check makes on the side."""
    if response.request.headers.get("Authorization") != f"Bearer {WORLD['key']}":
        return
    row = {
        "operation": operation_of(case),
        "method": response.request.method,
        "path": response.request.path_url[:200],
        "status": response.status_code,
        "phase": case.meta.phase.name.value if case.meta else None,
        "valid": case.meta.generation.mode.is_positive if case.meta else None,
    }
    if response.status_code >= 400:
        row["code"] = code_of(response)
    ANSWERS.write(json.dumps(row) + "\n")
    ANSWERS.flush()


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response) -> None:
    noted(case, response)
    if response.status_code >= 300:
        return
    try:
        body = response.json()
    except ValueError:
        return
    if not isinstance(body, dict):
        return
    items = body["items"] if isinstance(body.get("items"), list) else [body]
    SEEN.update(str(item["id"]) for item in items if isinstance(item, dict) and "id" in item)
    if body.get("next"):
        kept = {name: str(value) for name, value in (case.query or {}).items() if name != "cursor"}
        PAGES[case.formatted_path] = {**kept, "cursor": body["next"]}


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: schemathesis.Case, response: schemathesis.Response) -> bool:
    """False for a refusal that is right although the document cannot say so: each is in FORESEEN, with why."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    code = code_of(response)
    return (operation_of(case), code) not in FORESEEN and ("*", code) not in FORESEEN
