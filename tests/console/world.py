"""The world that the console is tried in: `world.py COMMAND..` runs a suite against it and ends with its status.

One `redial serve` on a fresh folder, one receiver (tests/outside), a day of calls of three customers, and what a console must
be able to show: an endpoint that fails, its dead letters and what it holds, a paused, an inactive and two old-fashioned
endpoints, a type of a tenant's own, replays, a customer with nothing yet. The suite finds it in the file that CONSOLE_WORLD
names. Nothing is left behind: the folder, the product and the receiver end with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "outside"))

import calls  # noqa: E402
from checks import wait_until  # noqa: E402
from ledger import Receiver  # noqa: E402
from product import Origin, Redial  # noqa: E402

# How long everything may take to arrive, in seconds: far more than it takes.
ARRIVE_S = 400
# Seconds after each failed attempt, where an endpoint says nothing.
SCHEDULE = "1,1,2"

TENANTS = {
    "lake-dental": "Lake Dental",
    "noor-pharmacy": "صيدلية نور",
    "toshkent-tel": "Toshkent Telekom",
    "new-clinic": "New Clinic",
}
# The one with everything, and the one with nothing.
BUSY, EMPTY = "noor-pharmacy", "new-clinic"

# Endpoints of the busy one besides those of the day, by path.
MORE = {
    "/noor/crm": {
        "description": "The CRM, which is down",
        "event_types": ["call.failed"],
        # One attempt: each failure is a dead letter, until the endpoint is put on hold.
        "retry": {"attempts": 1},
    },
    "/noor/warehouse": {"description": "Paused for maintenance", "event_types": ["recording.ready"], "state": "paused"},
    "/noor/new": {"description": "The receiver that is being written", "active": False},
    "/noor/hub": {
        "description": "The old hub",
        "profile": "voicehub",
        "secret": "a secret of their own",
        "event_types": ["analysis.ready"],
        "agents": ["agt_noor_front"],
    },
    "/noor/pbx": {"description": "The telephone system", "profile": "utel", "event_types": ["call.started"]},
}
BEHAVIOUR = {"/noor/crm": {"status": 503, "body": '{"error":"the CRM is down","retry":"later"}'}}

OWN_TYPE = {
    "group": "bookings",
    "description": "An appointment was booked.",
    "schema": {
        "type": "object",
        "required": ["at"],
        "properties": {"at": {"type": "string", "format": "date-time"}, "with": {"type": "string"}},
    },
    "example": {"at": "2026-03-04T10:00:00Z", "with": "Dr. Lindqvist"},
}


def settle(api: Origin, receiver: Receiver, day: list[calls.Call]) -> None:
    """Waits until the day has arrived, and what fails is dead or held."""
    expected = calls.expected(day)

    def arrived() -> bool:
        summary = receiver.summary()
        return all(summary.get(path, {}).get("done_ids", 0) >= len(events) for path, events in expected.items())

    def some(state: str) -> bool:
        return len(api.expect(200, "GET", f"/v1/tenants/{BUSY}/deliveries?state={state}&limit=5")["items"]) >= 5

    wait_until("the day of calls", arrived, ARRIVE_S, 0.5)
    wait_until("dead letters", lambda: some("dead"), ARRIVE_S, 0.5)
    wait_until("held deliveries", lambda: some("held"), ARRIVE_S, 0.5)


def furnish(api: Origin, receiver: Receiver) -> dict:
    """Makes everything; gives what the suites need to know of it."""
    for tenant, name in TENANTS.items():
        api.ask("PUT", f"/v1/tenants/{tenant}", {"name": name})
    made = {path: {**endpoint, "tenant": ""} for path, endpoint in calls.subscribe(api, receiver).items()}
    for subscription in calls.SUBSCRIPTIONS:
        made[subscription.path]["tenant"] = subscription.tenant
    for path, fields in MORE.items():
        answer = api.expect(201, "POST", f"/v1/tenants/{BUSY}/endpoints", {"url": receiver.origin + path, **fields})
        receiver.behave(path, **BEHAVIOUR.get(path, {}))
        made[path] = {**answer, "tenant": BUSY}
    api.expect(201, "PUT", f"/v1/tenants/{BUSY}/event-types/booking.made", OWN_TYPE)
    day = calls.read()
    for body in calls.batches(day):
        api.expect(202, "POST", "/v1/events", body)
    settle(api, receiver, day)
    at = f"/v1/tenants/{BUSY}"
    delivered = next(call for call in day if calls.matches(call) and call.tenant == BUSY and call.type == "call.ended")
    api.expect(202, "POST", f"{at}/replays", {"event": delivered.id})
    counted = {"since": "2026-01-01T00:00:00Z", "event_types": ["call.*"], "dry_run": True}
    api.expect(202, "POST", f"{at}/replays", counted)
    api.expect(201, "POST", "/v1/keys", {"scope": "ingest", "name": "the platform"})
    return {
        "busy": BUSY,
        "empty": EMPTY,
        "tenants": TENANTS,
        "receiver": receiver.origin,
        "control": receiver.control.url,
        "ledger": str(receiver.file),
        "endpoints": {path: {name: made[path][name] for name in ("id", "secret", "tenant")} for path in made},
    }


@contextmanager
def served(redial: Redial, folder: Path, ancestors: str) -> Iterator[str]:
    """Where the console is: at the product, or, with CONSOLE_FROM_FOLDER, at a server of the folder in front of it."""
    if not os.environ.get("CONSOLE_FROM_FOLDER"):
        yield redial.ready["url"]
        return
    command = ["node", str(HERE / "serve.mjs"), "--redial", redial.ready["url"], "--listen", "127.0.0.1:0"]
    command += ["--ancestors", ancestors]
    with (folder / "folder.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError((folder / "folder.log").read_text()[-2000:])
        yield json.loads(line)["url"]
    finally:
        process.kill()
        process.wait()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="redial-console-") as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        # A page of the receiver's may show the console in a frame, and no other.
        redial = Redial(folder, "--schedule", SCHEDULE, "--console-ancestors", receiver.origin)
        try:
            api = redial.start()
            world = furnish(api, receiver)
            with served(redial, folder, receiver.origin) as url:
                world |= {"url": url, "key": redial.ready["key"]}
                file = folder / "world.json"
                file.write_text(json.dumps(world))
                status = subprocess.run(sys.argv[1:], env={**os.environ, "CONSOLE_WORLD": str(file)}, check=False).returncode
            if status:
                print(f"     the product said at the end: {redial.log.read_text()[-1500:]}")
            return status
        finally:
            if redial.process is not None and redial.process.poll() is None:
                redial.kill()
            receiver.process.kill()
            receiver.process.wait()


if __name__ == "__main__":
    sys.exit(main())
