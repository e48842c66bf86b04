"""What schemathesis cannot know of this product: ids that exist, and refusals that no schema can foretell.

Valid cases get real ids, most of the time: a share keeps the generated ones, and what was made to be invalid stays as it is. The
tenants that all cases need, and the key they use, are never erased or revoked: a spare is made instead. No request may make the
product talk to another machine. Every answer is written down for `run` to count.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

from world import Caller, event

WORLD = json.loads(os.environ["REDIAL_CONTRACT_WORLD"])
ANSWERS = Path(os.environ["REDIAL_CONTRACT_ANSWERS"]).open("a")
CALLER = Caller(WORLD["url"], WORLD["key"])
TENANTS: dict[str, dict[str, list[str]]] = WORLD["tenants"]
CHOICE = random.Random(WORLD["seed"])

# The share of valid cases whose ids are made to exist; the others ask for what is missing.
REAL_SHARE = 0.9
# The share of lists that go on with a page after the first, where there is one.
PAGE_SHARE = 0.3
# The share of changes that name a version, of those that could.
IF_MATCH_SHARE = 0.15
# Where every URL of a case leads: a name that nobody can register and that does not resolve (RFC 2606).
NOWHERE = "https://redial-contract.example.com"
# Operations on a tenant's own event types.
OWN_TYPES = ("put_event_type", "deprecate_event_type", "archive_event_type", "restore_event_type")

# Refusals of bodies and parameters that are valid by the document: (operation, or "*" for any; code): why no schema can say it.
FORESEEN = {
    ("*", 400, "cursor_invalid"): "a cursor is known by its signature, which only the product can make",
    ("*", 412, "version_mismatch"): "which version is stored, no document can say",
    ("list_deliveries", 400, "endpoint_needed"): "how many endpoints a tenant has, no document can say",
    ("put_tenant", 422, "shards_invalid"): "shards are only ever raised: it depends on what is stored",
    ("create_endpoint", 422, "retry_invalid"): "no delays are enough for one attempt only",
    ("patch_endpoint", 422, "retry_invalid"): "no delays are enough for one attempt only",
    ("put_tenant", 422, "analysis_url_invalid"): "a URL with places to fill in, which no pattern describes",
    ("put_tenant", 422, "tenant_reserved"): "the name of the tenant that is told about all others, which is in the path",
    ("put_tenant", 422, "tenant_not_reserved"): "the same the other way round",
    ("put_tenant", 422, "id_invalid"): "the words null and undefined are no ids",
    ("begin_session", 401, "key_invalid"): "whether a key is valid depends on what is stored",
    ("begin_session", 429, "sign_in_limited"): "how many attempts failed before, no document can say",
    ("create_key", 422, "tenant_unknown"): "whether a tenant is there depends on what is stored",
    ("create_key", 422, "expiry_ambiguous"): "one of two: the document says so in words",
    ("create_key", 422, "expiry_invalid"): "whether a moment lies ahead depends on the clock",
    ("create_key", 422, "networks_invalid"): "which texts are addresses and networks, the document says in words",
    ("change_key", 422, "networks_invalid"): "which texts are addresses and networks, the document says in words",
    ("post_events", 422, "tenant_unknown"): "whether a tenant is there depends on what is stored",
    ("post_events", 422, "event_type_unknown"): "which types there are depends on what is stored",
    ("post_events", 422, "event_type_archived"): "whether a type is archived depends on what is stored",
    ("*", 410, "event_erased"): "whether an event was erased depends on what is stored",
    ("post_events", 422, "references_invalid"): "its limits are bytes, a schema counts characters",
    ("test_endpoint", 422, "event_type_not_in_profile"): "which profile an endpoint has depends on what is stored",
    ("test_endpoint", 422, "event_type_unknown"): "which types there are depends on what is stored",
    ("test_endpoint", 429, "rate_limited"): "how often it was tested, and how many names are looked up, no document can say",
    ("create_replay", 429, "too_many_replays"): "how many replays are not finished depends on what is stored",
    ("redrive_dead_letters", 429, "too_many_replays"): "how many replays are not finished depends on what is stored",
    ("discard_dead_letters", 429, "too_many_replays"): "how many replays are not finished depends on what is stored",
    ("change_backlog", 429, "too_many_replays"): "how many replays are not finished depends on what is stored",
    ("erase_call", 429, "too_many_erasures"): "how many erasures are at work depends on what is stored",
    ("*", 422, "header_total_length"): "how long all headers are together, no schema can say",
    ("create_replay", 422, "event_erased"): "whether an event was erased depends on what is stored",
    ("create_replay", 422, "not_found"): "whether something is there depends on what is stored",
    ("create_replay", 422, "range_invalid"): "that one moment is after another, no schema can say",
    ("redrive_dead_letters", 422, "not_found"): "whether an endpoint is there depends on what is stored",
    ("redrive_dead_letters", 422, "range_invalid"): "that one moment is after another, no schema can say",
    ("discard_dead_letters", 422, "not_found"): "whether an endpoint is there depends on what is stored",
    ("discard_dead_letters", 422, "range_invalid"): "that one moment is after another, no schema can say",
    ("redrive_dead_letters", 422, "event_erased"): "whether an event was erased depends on what is stored",
    ("discard_dead_letters", 422, "event_erased"): "whether an event was erased depends on what is stored",
    ("count_backlog", 400, "parameter_invalid"): "how long each name of a list in one parameter is, no pattern can say",
    ("change_backlog", 422, "range_invalid"): "that one moment is after another, no schema can say",
    ("check_ledger", 400, "range_too_long"): "how far one moment is from another, no schema can say",
    ("dry_run_endpoint", 422, "not_found"): "whether an event is there depends on what is stored",
    ("dry_run_tenant", 422, "not_found"): "whether an event is there depends on what is stored",
    ("read_statistics", 400, "range_too_long"): "how far one moment is from another, no schema can say",
    ("rotate_secret", 422, "secret_invalid"): "whether a secret is another one depends on what is stored",
}

# Moments of this century: the generated ones span eight thousand years and would find nothing.
MOMENTS = st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2099, 12, 31)).map(lambda at: f"{at:%Y-%m-%dT%H:%M:%S}Z")
schemathesis.openapi.format("date-time", MOMENTS)

# Ids that some answer named: a stateful case that uses one goes on with what it made.
SEEN: set[str] = set(TENANTS)
for ids in TENANTS.values():
    for names in ids.values():
        SEEN.update(names)
SEEN.update(WORLD["keys"])
# Queries whose answer had a next page, by path.
PAGES: dict[str, dict[str, str]] = {}


def spare() -> str:
    return f"spare-{CHOICE.getrandbits(48):x}"


def spare_tenant() -> str:
    tenant = spare()
    CALLER.do("PUT", f"/v1/tenants/{tenant}")
    return tenant


def spare_endpoint(tenant: str) -> str:
    body = {"url": f"{NOWHERE}/spare", "event_types": ["user.action"], "active": False}
    status, answer = CALLER.ask("POST", f"/v1/tenants/{tenant}/endpoints", body)
    # A tenant that has as many as it may loses those that no case knows.
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


def about(case: schemathesis.Case) -> ParameterLocation | None:
    """Which part of the case was made invalid, if it is one."""
    return getattr(case.meta.phase.data, "parameter_location", None) if case.meta else None


def with_real_path(case: schemathesis.Case) -> None:
    """Path parameters that exist."""
    names, operation = case.path_parameters, operation_of(case)
    # What a link led to stays; elsewhere schemathesis mixes ids that it saw of several tenants.
    kept = SEEN if case.meta and case.meta.phase.name.value == "stateful" else set()
    if "tenant" in names and operation not in ("put_tenant", "erase_tenant") and names["tenant"] not in kept:
        names["tenant"] = CHOICE.choice(list(TENANTS))
    known = TENANTS.get(str(names.get("tenant")), {})
    for name in list(names):
        if name == "tenant" or names[name] in kept:
            continue
        if name == "key":
            names[name] = CHOICE.choice(WORLD["keys"])
        elif name == "type":
            names[name] = CHOICE.choice(known.get(name, [])[: 1 if operation in OWN_TYPES else None] or WORLD["types"])
        elif known.get(name):
            names[name] = CHOICE.choice(known[name])


def spared(case: schemathesis.Case) -> None:
    """Nothing that all cases need is removed or limited: something is made for that instead."""
    names, operation = case.path_parameters, operation_of(case)
    tenant = str(names.get("tenant"))
    ours = TENANTS.get(tenant, {})
    if operation == "delete_key" and (names["key"] in WORLD["keys"] or names["key"] == WORLD["key_id"]):
        names["key"] = CALLER.do("POST", "/v1/keys", {"scope": "ingest", "name": "spare"})["id"]
    elif operation in ("erase_tenant", "put_tenant") and ours:
        names["tenant"] = spare_tenant()
    elif operation == "delete_endpoint" and names["endpoint"] in ours.get("endpoint", []):
        names["endpoint"] = spare_endpoint(tenant)
    elif operation == "erase_event" and names["event"] in ours.get("event", []):
        names["event"] = event(CALLER, tenant, spare())
    elif operation == "erase_call" and names["call_id"] in ours.get("call", []):
        names["call_id"] = event(CALLER, tenant, spare())


def leading_nowhere(value: Any) -> Any:
    """The same, with every URL leading to a name that does not exist."""
    if isinstance(value, dict):
        return {name: leading_nowhere(member) for name, member in value.items()}
    if isinstance(value, list):
        return [leading_nowhere(member) for member in value]
    if isinstance(value, str) and value.lower().startswith(("http://", "https://")):
        return f"{NOWHERE}/{CHOICE.randrange(1_000_000)}"
    return value


def with_real_body(case: schemathesis.Case) -> None:
    """Ids in a body that exist, and moments that make sense."""
    operation, body = operation_of(case), case.body
    if operation == "post_events":
        events = body if isinstance(body, list) else body.get("events") or [body] if isinstance(body, dict) else []
        for event_fields in events:
            event_fields["tenant"] = CHOICE.choice(list(TENANTS))
            event_fields["type"] = CHOICE.choice(WORLD["types"])
    if not isinstance(body, dict):
        return
    if operation == "begin_session":
        body["key"] = WORLD["key"]
    if operation == "create_key":
        if str(body.get("scope")).startswith("tenant:"):
            body["scope"] = f"tenant:{CHOICE.choice(list(TENANTS))}"
        if body.get("expires_at"):
            body["expires_at"] = f"{dt.datetime.now() + dt.timedelta(days=CHOICE.randrange(2, 3000)):%Y-%m-%dT%H:%M:%SZ}"
    if operation == "create_replay" and body.get("since"):
        since = dt.datetime.now() - dt.timedelta(days=CHOICE.randrange(1, 20))
        body["since"] = f"{since:%Y-%m-%dT%H:%M:%SZ}"
        if body.get("until"):
            body["until"] = f"{since + dt.timedelta(hours=CHOICE.randrange(1, 500)):%Y-%m-%dT%H:%M:%SZ}"
    known = TENANTS.get(str(case.path_parameters.get("tenant")), {})
    for name in ["event", "delivery", "endpoint"]:
        if isinstance(body.get(name), str) and known:
            body[name] = CHOICE.choice(known[name])


def with_real_query(case: schemathesis.Case) -> None:
    """A page after the first, or no cursor; ids that exist."""
    taken = {parameter.name for parameter in case.operation.query}
    if "tenant" in taken:
        # An operator's key, as that of these cases, must name the tenant.
        case.query["tenant"] = CHOICE.choice(list(TENANTS))
    if "cursor" not in taken:
        return
    case.query.pop("cursor", None)
    known = TENANTS.get(str(case.path_parameters.get("tenant")), {})
    for name in ["endpoint", "agent", "call"]:
        if name in case.query and known.get(name):
            case.query[name] = CHOICE.choice(known[name])
    if case.formatted_path in PAGES and CHOICE.random() < PAGE_SHARE:
        case.query = dict(PAGES[case.formatted_path])


def in_order(query: dict[str, Any]) -> None:
    """A stretch of time ends after it begins: no schema can say so."""
    since, until = query.get("since"), query.get("until")
    if isinstance(since, str) and isinstance(until, str) and since and until:
        query["since"], query["until"] = sorted([since, until])


def with_version(case: schemathesis.Case) -> None:
    """Most changes are about whatever is there; some name a version, and most of those another one."""
    given = case.headers.get("If-Match")
    if given is not None and (CHOICE.random() > IF_MATCH_SHARE or not str(given).startswith(("*", '"', "W/"))):
        del case.headers["If-Match"]


def operation_of(case: schemathesis.Case) -> str:
    return case.operation.definition.raw.get("operationId", case.operation.label)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    real = CHOICE.random() < REAL_SHARE
    if is_valid(case, ParameterLocation.PATH):
        if real:
            with_real_path(case)
        spared(case)
    if is_valid(case, ParameterLocation.BODY) and isinstance(case.body, (dict, list)):
        case.body = leading_nowhere(case.body)
        if real:
            with_real_body(case)
    if is_valid(case, ParameterLocation.QUERY):
        if real:
            with_real_query(case)
        in_order(case.query)
    # schemathesis fills a header that it is not about with a 0, which would hide what the case is about.
    if is_valid(case, ParameterLocation.HEADER) or about(case) != ParameterLocation.HEADER:
        with_version(case)


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
    if code_of(response) == "too_many_replays":
        finish_replays(str(case.path_parameters.get("tenant")))
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


def finish_replays(tenant: str) -> None:
    """Cancels what is not finished, so that the next case finds room: some were paused, some are slow on purpose."""
    for job in CALLER.do("GET", f"/v1/tenants/{tenant}/replays?limit=100")["items"]:
        if job["state"] not in ("done", "failed", "canceled"):
            CALLER.ask("POST", f"/v1/tenants/{tenant}/replays/{job['id']}/cancel")


def negated(case: schemathesis.Case) -> list[Any]:
    """The values of the query parameters that were made invalid; empty if something else was."""
    data = case.meta.phase.data if case.meta else None
    names = {mutation.parameter for mutation in getattr(data, "mutations", ())} | {getattr(data, "parameter", None)}
    elsewhere = [at for at, part in case.meta.components.items() if part.mode.is_negative and at != ParameterLocation.QUERY]
    return [] if elsewhere else [case.query.get(name) for name in names if name]


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: schemathesis.Case, response: schemathesis.Response) -> bool:
    """False for what only seems wrong, since the document cannot say it: each with why."""
    operation = operation_of(case)
    kind = type(failure).__name__
    if kind == "RejectedPositiveData":
        refusal = (response.status_code, code_of(response))
        # An operator's key must name the tenant, a tenant's own need not: one operation for both.
        if operation in ("list_webhooks", "replace_webhooks") and "tenant" not in (case.query or {}):
            return response.status_code != 400
        return (operation, *refusal) not in FORESEEN and ("*", *refusal) not in FORESEEN
    if kind == "AcceptedNegativeData":
        # An empty query parameter counts as absent, so that a form with empty fields asks for everything.
        values = negated(case)
        if values and all(value in ("", [""]) for value in values):
            return False
        # In a merge patch a null removes a member, however deep it is (RFC 7396).
        if operation == "patch_endpoint" and isinstance(case.body, dict) and isinstance(case.body.get("retry"), dict):
            return None not in case.body["retry"].values()
        # A batch is answered 202 even if every event of it is refused: each refusal is in the answer.
        if operation == "post_events" and response.status_code == 202:
            return not any("error" in answer for answer in response.json().get("events", []))
    return True
