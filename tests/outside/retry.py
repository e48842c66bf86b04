"""Failing receivers: retries come when the schedule says, give up with their reasons, and a replay delivers afterwards."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from checks import Report, run, wait_until
from ledger import Receiver, Request
from product import Origin, Redial

# `--schedule`: seconds after each failure.
SCHEDULE = (1, 1, 2)
TENANT = "acme"
# How long a delivery may take through its whole schedule, in seconds.
THROUGH_S = 60


def subscribe(api: Origin, receiver: Receiver, path: str, event_type: str, **behaviour: object) -> dict:
    """An endpoint for one event type."""
    wanted = {"url": receiver.origin + path, "event_types": [event_type]}
    endpoint = api.expect(201, "POST", f"/v1/tenants/{TENANT}/endpoints", wanted)
    receiver.behave(path, secret=endpoint["secret"], **behaviour)
    return endpoint


def post(api: Origin, event: str, event_type: str) -> None:
    """Posts one event, which must match one endpoint."""
    body = {"id": event, "type": event_type, "tenant": TENANT, "data": {"call_id": "call_1", "n": 1}}
    assert api.expect(202, "POST", "/v1/events", body) == {"id": event, "deliveries": 1}


def of_event(receiver: Receiver, event: str) -> list[Request]:
    """The requests for an event, in order."""
    return [request for request in receiver.requests() if request.event == event]


def too_soon(requests: list[Request]) -> list[str]:
    """Attempts that came before the schedule allowed."""
    waits = [after.at - before.answered_at for before, after in zip(requests, requests[1:])]
    return [
        f"attempt {n} after {wait:.3f} s instead of {least} s"
        for n, (wait, least) in enumerate(zip(waits, SCHEDULE), 2)
        if wait < least
    ]


def delivery_of(api: Origin, event: str, state: str, replay: bool = False) -> dict:
    """The delivery of an event once it is in `state`."""

    def look() -> dict | None:
        items = api.items(f"/v1/tenants/{TENANT}/events/{event}/deliveries")
        return next((d for d in items if d["state"] == state and (d["replay_of"] is not None) == replay), None)

    return wait_until(f"{event} is {state}", look, THROUGH_S)


def check_two_failures(report: Report, api: Origin, receiver: Receiver) -> None:
    """An endpoint that fails twice and then works."""
    subscribe(api, receiver, "/flaky", "call.ended", fail_first=2, fail_status=500)
    post(api, "evt_flaky", "call.ended")
    delivery = delivery_of(api, "evt_flaky", "succeeded")
    requests = of_event(receiver, "evt_flaky")
    report.equal("fails twice, then works: three attempts", [r.status for r in requests], [500, 500, 200])
    report.nothing("no attempt comes before the schedule allows", too_soon(requests))
    report.equal("every attempt has the same body", len({r.body for r in requests}), 1)
    stamps = [int(r.header("webhook-timestamp")[0]) for r in requests]
    report.check("every attempt has its own timestamp", stamps == sorted(set(stamps)), str(stamps))
    told = [(a["n"], a["status"]) for a in delivery["attempts"]]
    report.equal("the API tells all three", told, [(1, 500), (2, 500), (3, 200)])
    report.check(
        "each failed attempt says what comes next",
        all(a["next"] for a in delivery["attempts"][:2]),
        json.dumps(delivery["attempts"]),
    )


def check_dead(report: Report, api: Origin, receiver: Receiver) -> None:
    """An endpoint that always fails, and its replay after it is repaired."""
    endpoint = subscribe(api, receiver, "/broken", "call.failed", status=503)
    post(api, "evt_broken", "call.failed")
    dead = delivery_of(api, "evt_broken", "dead")
    requests = of_event(receiver, "evt_broken")
    attempts = len(SCHEDULE) + 1
    report.equal(
        "always fails: one attempt more than the schedule has waits", [r.status for r in requests], [503] * attempts
    )
    report.nothing("no attempt comes before the schedule allows", too_soon(requests))
    report.equal("it is dead with its reason", (dead["state"], dead["reason"]), ("dead", "attempts_exhausted"))
    told = [(a["n"], a["status"], bool(a["next"])) for a in dead["attempts"]]
    report.equal(
        "all attempts are visible, each with its sentence", told, [(n, 503, True) for n in range(1, attempts + 1)]
    )
    listed = api.items(f"/v1/tenants/{TENANT}/deliveries?state=dead&endpoint={endpoint['id']}")
    report.equal("the list of the dead names it", [d["id"] for d in listed], [dead["id"]])
    shown = api.expect(200, "GET", f"/v1/tenants/{TENANT}/deliveries/{dead['id']}")
    report.equal("the delivery by its id is the same", shown, dead)

    receiver.behave("/broken", status=200)
    job = api.expect(202, "POST", f"/v1/tenants/{TENANT}/replays", {"delivery": dead["id"]})
    report.check("the replay is a job", {"id", "state", "total", "done", "failed"} <= set(job), json.dumps(job))
    again = delivery_of(api, "evt_broken", "succeeded", replay=True)
    report.equal(
        "the replay is a new delivery of the dead one",
        (again["replay_of"], again["id"] != dead["id"]),
        (dead["id"], True),
    )
    report.equal("its attempts begin at 1", [(a["n"], a["status"]) for a in again["attempts"]], [(1, 200)])
    replayed = of_event(receiver, "evt_broken")[attempts:]
    report.equal(
        "the receiver gets it once, under the same webhook-id and body",
        [(r.event, r.status, r.body == requests[0].body) for r in replayed],
        [("evt_broken", 200, True)],
    )
    job = wait_until("the job is done", lambda: job_if_done(api, job["id"]), THROUGH_S)
    report.equal("the job says so", (job["total"], job["done"], job["failed"]), (1, 1, 0))
    report.equal("the first delivery stays dead", delivery_of(api, "evt_broken", "dead")["id"], dead["id"])


def job_if_done(api: Origin, replay: str) -> dict | None:
    """The replay job, once it has ended."""
    job = api.expect(200, "GET", f"/v1/tenants/{TENANT}/replays/{replay}")
    return job if job["state"] in ("done", "failed") else None


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        redial = Redial(folder, "--schedule", ",".join(map(str, SCHEDULE)))
        api = redial.start()
        try:
            assert api.ask("PUT", f"/v1/tenants/{TENANT}", {}).status in (200, 201)
            check_two_failures(report, api, receiver)
            check_dead(report, api, receiver)
            report.nothing(
                "the official Python library verifies every request",
                [f"{r.event}: {r.python}" for r in receiver.requests() if r.python != "ok"],
            )
            said = receiver.verify_with_javascript(folder)
            report.equal(
                "and so does the JavaScript library",
                (said["verified"], said["refused"]),
                (len(receiver.requests()), []),
            )
        finally:
            redial.stop()


if __name__ == "__main__":
    run("retry", script)
