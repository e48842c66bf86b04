"""All of calls.jsonl to three endpoints of one tenant, one for each profile: who gets what, and every request exactly.

The names that the profiles have for event types stand here as literals, taken from the documents of the systems that Redial
stands in for, never from the product's own table.
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import calls
import judge
from checks import Report, run, wait_until
from ledger import Receiver, Request
from product import Origin, Redial

TENANT = "acme"
# How long everything may take to arrive, in seconds: far more than it takes, so that a slow machine is no failure.
ARRIVE_S = 240
# A secret of the customer's own choosing, as system B has it: any text.
CHOSEN = "a secret of our own, 2026"

# System B: what `eventType` is, and `status` where the event itself says none that B knows.
VOICEHUB = {
    "call.queued": ("CallStatusChanged", "queued"),
    "call.started": ("CallStatusChanged", "started"),
    "call.status_changed": ("CallStatusChanged", None),
    "call.ended": ("CallStatusChanged", "completed"),
    "call.failed": ("CallStatusChanged", "failed"),
    "recording.ready": ("RecordingsAvailable", None),
    "analysis.ready": ("AnalysisResultReady", None),
}
VOICEHUB_STATUSES = {
    "started",
    "queued",
    "completed",
    "in-progress",
    "failed",
    "cancelled",
    "unanswered",
    "scheduled",
    "busy",
    "voicemail",
}
# System C: the event's name. A transfer is named by its kind.
UTEL = {
    "call.started": "call_started",
    "call.ended": "call_ended",
    "call.failed": "call_ended",
    "dial.started": "dial_started",
    "dial.answered": "dial_answered",
    "dial.ended": "dial_ended",
    "recording.ready": "call_saved",
    "transfer.completed": {"blind": "call_blind_transferred", "attended": "call_attended_transferred"},
    "call.transferred": {"blind": "call_blind_transferred", "attended": "call_attended_transferred"},
}
# Headers of every request, whatever its profile, and those that its profile adds.
HEADERS = {"content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"}
FRAMING = {"host", "content-length", "accept"}
OWN_HEADERS = {"/standard": set(), "/voicehub": {"x-webhook-secret"}, "/utel": set()}


def of_one_tenant(day: list[calls.Call]) -> list[calls.Call]:
    """The same events, posted for one tenant."""
    moved = []
    for call in day:
        line = call.line.replace(f'"tenant":"{call.tenant}"'.encode(), f'"tenant":"{TENANT}"'.encode(), 1)
        moved.append(calls.Call(line, call.id, call.type, TENANT, call.agent, calls.raw_members(line.decode())))
    assert all(json.loads(call.line)["tenant"] == TENANT for call in moved)
    return moved


def expected(day: list[calls.Call]) -> judge.Expected:
    """By path, the events that must arrive there."""
    return {
        "/standard": {call.id: call for call in day},
        "/voicehub": {call.id: call for call in day if call.type in VOICEHUB},
        "/utel": {call.id: call for call in day if call.type in UTEL},
    }


def compact(members: dict[str, object]) -> str:
    """JSON as the product writes it: no white space, characters as they are; what is not said is left out."""
    said = {name: value for name, value in members.items() if value is not None}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False)


def voicehub_body(call: calls.Call) -> str:
    """A body of system B."""
    event = json.loads(call.line)
    name, by_default = VOICEHUB[call.type]
    status = event["data"].get("status")
    is_analysis = name == "AnalysisResultReady"
    return compact(
        {
            "eventType": name,
            "analysisId": event["data"]["analysis_id"] if is_analysis else None,
            "timestamp": event["occurred_at"],
            "eventId": call.id,
            "status": (status if status in VOICEHUB_STATUSES else by_default) if name == "CallStatusChanged" else None,
            "callId": event["related"]["call_id"],
            "analysisResultUrl": event["links"]["analysis"] if is_analysis else None,
        }
    )


def utel_body(call: calls.Call) -> str:
    """A body of system C: what was posted as `data`, byte for byte, behind the event's name."""
    members = calls.raw_members(call.raw["data"])
    name = UTEL[call.type]
    if isinstance(name, dict):
        name = name[json.loads(members["kind"])]
    data = "".join(f",{json.dumps(member, ensure_ascii=False)}:{text}" for member, text in members.items())
    return f'{{"time":{call.raw["occurred_at"]},"data":{{"event":"{name}"{data}}}}}'


def other_bodies(wanted: judge.Expected, requests: list[Request]) -> list[str]:
    """Requests of the two profiles with bodies of their own that are not exactly what they must be."""
    built = {"/voicehub": voicehub_body, "/utel": utel_body}
    return [
        f"{r.path} {r.event}: {r.body.decode()} instead of {must}"
        for r in requests
        if r.path in built and r.body.decode() != (must := built[r.path](wanted[r.path][r.event]))
    ]


def other_headers(requests: list[Request], version: str) -> list[str]:
    """Requests whose headers are not those of their profile, each once, with their values."""
    wrong = []
    for request in requests:
        names = [name.lower() for name, _ in request.headers]
        wanted = HEADERS | OWN_HEADERS[request.path]
        agent = "UtelHttpAgent/1.0" if request.path == "/utel" else f"Redial/{version}"
        fixed = {"content-type": "application/json", "user-agent": agent, "webhook-id": request.event}
        if request.path == "/voicehub":
            fixed["x-webhook-secret"] = CHOSEN
        differs = any(request.header(name) != [value] for name, value in fixed.items())
        if request.method != "POST" or sorted(set(names) - FRAMING) != sorted(wanted) or differs:
            wrong.append(f"{request.method} {request.path} {request.event}: {request.headers}")
        elif len(names) != len(set(names)):
            wrong.append(f"{request.path} {request.event}: a header comes twice in {names}")
    return wrong


def subscribe(api: Origin, receiver: Receiver) -> None:
    """Makes the tenant and its three endpoints."""
    assert api.ask("PUT", f"/v1/tenants/{TENANT}", {}).status in (200, 201)
    for profile in ("standard", "voicehub", "utel"):
        wanted = {"url": f"{receiver.origin}/{profile}", "profile": profile}
        if profile == "voicehub":
            wanted["secret"] = CHOSEN
        endpoint = api.expect(201, "POST", f"/v1/tenants/{TENANT}/endpoints", wanted)
        secret = endpoint["secret"]
        if profile == "voicehub":
            assert secret == CHOSEN, endpoint
            # The official libraries take a key's bytes written so.
            secret = "whsec_" + base64.b64encode(CHOSEN.encode()).decode()
        receiver.behave(f"/{profile}", secret=secret)


def script(report: Report) -> None:
    day = of_one_tenant(calls.read())
    wanted = expected(day)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        redial = Redial(folder)
        api = redial.start()
        try:
            version = api.expect(200, "GET", "/v1")["version"]
            subscribe(api, receiver)
            answers = []
            for body in calls.batches(day):
                answers += api.expect(202, "POST", "/v1/events", body)["events"]
            matched = [{"id": c.id, "deliveries": sum(c.id in events for events in wanted.values())} for c in day]
            report.equal("every event matches the endpoints whose profile has a name for it", answers, matched)
            counts = {path: len(events) for path, events in wanted.items()}

            def everything_arrived() -> bool:
                summary = receiver.summary()
                return all(summary.get(path, {}).get("done_ids", 0) >= count for path, count in counts.items())

            wait_until("all deliveries", everything_arrived, ARRIVE_S)
            requests = receiver.requests()
            got = {path: sum(r.path == path for r in requests) for path in counts}
            report.equal(f"{len(day)} events make {counts} requests", got, counts)
            report.nothing("nothing is missing", judge.missing(wanted, requests))
            report.nothing("nothing came twice", [f"{path} {event}" for path, event in judge.repeated(requests)])
            report.nothing("no profile got a type that it has no name for", judge.uninvited(wanted, requests))
            standard = [r for r in requests if r.path == "/standard"]
            report.nothing("standard says exactly what was posted", judge.changed(wanted, standard))
            report.nothing("voicehub and utel say it as B and C do, to the byte", other_bodies(wanted, requests))
            report.nothing("the headers are those of the profile, each once", other_headers(requests, version))
            report.nothing("the official Python library verifies every request", judge.unverified(requests))
            said = receiver.verify_with_javascript(folder)
            report.equal("and so does the JavaScript library", (said["verified"], said["refused"]), (len(requests), []))
            said_types = {json.loads(r.body)["data"]["event"] for r in requests if r.path == "/utel"}
            report.check("both kinds of transfer came", {f"call_{k}_transferred" for k in ("blind", "attended")} <= said_types)
        finally:
            if redial.process is not None:
                redial.stop()


if __name__ == "__main__":
    run("profiles", script)
