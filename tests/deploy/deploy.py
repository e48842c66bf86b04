"""The deployed product, from `sam deploy` to `sam delete`, in an AWS that others wrote. `run` starts it on its own stage.

Sends a day of calls through the deployed ingest URL, judges every delivery, walks an endpoint down the ladder to dead,
replays it by invoking the function, uses both other ways in, tests an endpoint, reads what the functions logged and how much
memory they hold. The binaries and the template are those that are deployed; what differs from a real account is listed in
docs/DEPLOY.md.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "outside"))

import calls
import judge
import ledger
from checks import Report, run, wait_until
from differences import grant_batches, iam_request, number_concurrency, without_metric_math
from emulator import Emulator
from memory import Peaks, check_memory
from product import ANSWER_S, BINARY, ROOT, Origin
from stack import NAME, Stack
from stage import RECEIVER, Front, prepare

EVENTS = ROOT / "infra" / "events"
TENANT = "acme"
# As in a new account, where ten executions at once is all there is: each is a process on this machine.
PARAMETERS = {"Architecture": "x86_64", "DeliveryConcurrency": "2", "RetryConcurrency": "2", "ReplayConcurrency": "2"}
# Five attempts a second apart. `delivery` redrives after three receives, so the last two are made from `retry`.
RETRY = {"attempts": 5, "delays": [1, 1, 1, 1]}
DELIVERY_RECEIVES = 3

# How long things may take, in seconds: far more than they do, so that a slow machine is no failure. The emulator works on
# some fifty deliveries a second.
ARRIVE_S = 300
LADDER_S = 120
# The schedule calls every minute.
SWEEP_S = 150


class SecureOrigin(Origin):
    """An https server whose certificate the stage's authority issued."""

    def __init__(self, url: str, front: Front, key: str | None = None) -> None:
        super().__init__(url, key)
        self.context = front.context()

    def connection(self) -> http.client.HTTPSConnection:
        connection = getattr(self.local, "connection", None)
        if connection is None:
            host = urlsplit(self.url).hostname
            connection = self.local.connection = http.client.HTTPSConnection(
                host, timeout=ANSWER_S, context=self.context
            )
        return connection


class Receiver(ledger.Receiver):
    """The receiver of tests/outside, behind the stage's public name."""

    def __init__(self, folder: Path, front: Front) -> None:
        super().__init__(folder)
        front.add(RECEIVER, urlsplit(self.origin).port)
        self.origin = f"https://{RECEIVER}"


class Deployment:
    """What every part of the test works with."""

    def __init__(self, folder: Path, built: Path, tools: Path) -> None:
        self.folder = folder
        prepare(folder)
        self.front = Front(folder)
        self.emulator = Emulator(folder, tools)
        self.stack = Stack(self.emulator)
        template, self.left_out = without_metric_math(built)
        self.stack.deploy(template, PARAMETERS | {"ExtraAuthorities": self.front.parameter()})
        number_concurrency(self.emulator)
        roles = [name for kind, name in self.stack.resources().values() if kind == "AWS::IAM::Role"]
        grant_batches(self.emulator, roles)
        for output in ("Api", "Ingest", "IngestIam"):
            self.front.add(urlsplit(self.stack.outputs[output]).hostname, self.emulator.port)
        self.receiver = Receiver(folder, self.front)
        self.secrets: list[str] = []
        self.key = ""
        self.api = SecureOrigin(self.stack.outputs["Api"], self.front)
        self.ingest = SecureOrigin(self.stack.outputs["Ingest"].removesuffix("/v1/events"), self.front)

    def sign_in(self, key: str) -> None:
        """Uses this key from now on."""
        self.key = self.api.key = self.ingest.key = key
        self.secrets.append(key)

    def subscribe(self, path: str, event_type: str, **more: object) -> dict:
        """An endpoint of the tenant for one event type."""
        wanted = {"url": self.receiver.origin + path, "event_types": [event_type], **more}
        endpoint = self.api.expect(201, "POST", f"/v1/tenants/{TENANT}/endpoints", wanted)
        self.receiver.behave(path, secret=endpoint["secret"])
        return endpoint

    def filled_in(self, name: str, **values: str) -> Path:
        """A test event of infra/events with these values in its members."""
        event = json.loads((EVENTS / name).read_text())
        unknown = [member for member in values if member not in event]
        assert not unknown, f"{name} has no {unknown}"
        file = self.folder / name
        file.write_text(json.dumps(event | values))
        return file

    def invoke(self, function: str, payload: Path) -> tuple[dict, dict]:
        """Invokes a function as docs/DEPLOY.md says."""
        return self.stack.invoke(self.stack.physical(function), payload, self.folder / "answer.json")


def check_first_key(report: Report, it: Deployment) -> None:
    """The first key is made with the deployer's credentials, and lies nowhere but in the terminal."""
    refused = it.api.ask("GET", "/v1/keys")
    report.equal("without a key the API says so", (refused.status, refused.code), (401, "key_invalid"))
    command = ("keys", "create", "--stack", NAME, "--region", it.emulator.region, "--name", "first")
    made = it.emulator.run(str(BINARY), *command)
    key = next((word for line in made.stdout.splitlines() for word in line.split() if word.startswith("rd_")), "")
    it.sign_in(key)
    report.check("redial keys create --stack prints the first key", key != "", made.stdout + made.stderr)
    listed = it.api.expect(200, "GET", "/v1/keys")["items"]
    report.equal("the API knows it", [(k["name"], k["scope"]) for k in listed], [("first", "operator")])
    told = it.api.expect(200, "GET", "/v1")
    report.equal("the API names the deployed ingest URL", told["ingest"], it.stack.outputs["Ingest"])
    outputs = json.dumps(it.stack.outputs)
    report.check("no output holds a key", "rd_" not in outputs, outputs)


def check_day(report: Report, it: Deployment) -> None:
    """A day of calls through the deployed ingest URL."""
    day = calls.read()
    expected = calls.expected(day)
    total = sum(map(len, expected.values()))
    made = calls.subscribe(it.api, it.receiver)
    it.secrets += [endpoint["secret"] for endpoint in made.values()]
    began = time.monotonic()
    answers = []
    for body in calls.batches(day):
        answers += it.ingest.expect(202, "POST", "/v1/events", body)["events"]
    wanted = [{"id": call.id, "deliveries": calls.matches(call)} for call in day]
    wrong = [f"{got} instead of {want}" for got, want in zip(answers, wanted) if got != want]
    report.nothing(f"the ingest URL accepts all {len(day)} events with the endpoints that they match", wrong)
    report.equal("there is an answer for each event", len(answers), len(day))

    def arrived() -> bool:
        summary = it.receiver.summary()
        return all(summary.get(path, {}).get("done_ids", 0) >= len(events) for path, events in expected.items())

    wait_until("all deliveries", arrived, ARRIVE_S)
    report.note(f"{total} deliveries arrived within {time.monotonic() - began:.0f} s")
    requests = it.receiver.requests()
    version = it.api.expect(200, "GET", "/v1")["version"]
    report.nothing("nothing is missing", judge.missing(expected, requests))
    report.nothing("nothing came twice", [f"{path} {event}" for path, event in judge.repeated(requests)])
    report.nothing("nothing came to an endpoint that did not want it", judge.uninvited(expected, requests))
    report.nothing("every body says exactly what was posted", judge.changed(expected, requests))
    report.nothing("the headers are those of the profile", judge.malformed(requests, version))
    report.nothing("the official library verifies every delivery on arrival", judge.unverified(requests))
    report.nothing(
        "links.event leads to the deployed API",
        [r.event for r in requests if not json.loads(r.body)["links"]["event"].startswith(it.stack.outputs["Api"])],
    )
    again = it.ingest.expect(202, "POST", "/v1/events", calls.batches(day)[0])["events"]
    report.equal("a repeated batch gets the same answers", again, answers[: len(again)])


def delivery_of(it: Deployment, event: str, state: str, replay: str | None = None) -> dict:
    """The delivery of an event once it is in `state`; of a replay, if one is named."""

    def look() -> dict | None:
        items = it.api.items(f"/v1/tenants/{TENANT}/events/{event}/deliveries")
        made_by = (lambda d: d["id"].endswith(f".{replay}")) if replay else (lambda d: d["replay_of"] is None)
        return next((d for d in items if d["state"] == state and made_by(d)), None)

    return wait_until(f"{event} is {state}", look, LADDER_S)


def check_ladder(report: Report, it: Deployment) -> tuple[dict, dict]:
    """An endpoint that always fails: down both queues to dead. Gives the endpoint and its dead delivery."""
    assert it.api.ask("PUT", f"/v1/tenants/{TENANT}", {}).status in (200, 201)
    endpoint = it.subscribe("/broken", "call.failed", retry=RETRY)
    it.secrets.append(endpoint["secret"])
    it.receiver.behave("/broken", status=503)
    data = {"call_id": "call_1", "status": "failed"}
    event = {"id": "evt_broken", "type": "call.failed", "tenant": TENANT, "data": data}
    answer = it.ingest.expect(202, "POST", "/v1/events", event)
    report.equal("an event for a broken receiver is accepted", answer, {"id": "evt_broken", "deliveries": 1})
    dead = delivery_of(it, "evt_broken", "dead")
    sqs = it.emulator.client("sqs")
    told = sqs.get_queue_attributes(QueueUrl=it.stack.outputs["DeliveryQueueUrl"], AttributeNames=["RedrivePolicy"])
    receives = int(json.loads(told["Attributes"]["RedrivePolicy"])["maxReceiveCount"])
    report.equal("the delivery queue gives a message away after three receives", receives, DELIVERY_RECEIVES)
    attempts = [(a["n"], a["status"]) for a in dead["attempts"]]
    report.equal(
        "it makes every attempt, the last ones from the retry queue",
        attempts,
        [(n, 503) for n in range(1, RETRY["attempts"] + 1)],
    )
    report.equal("and is dead with its reason", dead["reason"], "attempts_exhausted")
    seen = [r.status for r in it.receiver.requests() if r.event == "evt_broken"]
    report.equal("the receiver saw each attempt once", seen, [503] * RETRY["attempts"])
    return endpoint, dead


def check_replay(report: Report, it: Deployment, endpoint: dict, dead: dict) -> None:
    """The dead delivery again, by invoking the function with the test events of infra/events."""
    it.receiver.behave("/broken", status=200)
    wishes = {
        "replay-delivery.json": {"tenant": TENANT, "delivery": dead["id"]},
        "replay-endpoint-dead.json": {
            "tenant": TENANT,
            "endpoint": endpoint["id"],
            "since": time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 86_400)),
            "until": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1)),
        },
    }
    for name, values in wishes.items():
        printed, job = it.invoke("Replay", it.filled_in(name, **values))
        report.check(f"invoking replay with {name} begins a job", "FunctionError" not in printed and "id" in job, job)
        again = delivery_of(it, "evt_broken", "succeeded", job["id"])
        report.equal(
            "its delivery is a new one of the dead one, at its first attempt",
            (again["replay_of"], [(a["n"], a["status"]) for a in again["attempts"]]),
            (dead["id"], [(1, 200)]),
        )

        def done() -> dict | None:
            _, told = it.invoke("Replay", it.filled_in("replay-progress.json", tenant=TENANT, replay=job["id"]))
            return told if told.get("state") in ("done", "failed") else None

        told = wait_until("the job is done", done, LADDER_S)
        told = (told["state"], told["done"], told["total"])
        report.equal("replay-progress.json tells that it is done", told, ("done", 1, 1))
    requests = [r for r in it.receiver.requests() if r.event == "evt_broken"]
    report.equal(
        "both came under the same webhook-id with the same body, and verify",
        [(r.status, r.body == requests[0].body, r.python) for r in requests[RETRY["attempts"] :]],
        [(200, True, "ok")] * 2,
    )
    nonsense = it.folder / "nonsense.json"
    nonsense.write_text('{"key1":"value1"}')
    printed, problem = it.invoke("Replay", nonsense)
    report.equal(
        "what replay cannot mean is answered as a problem, not failed",
        ("FunctionError" in printed, problem.get("status"), problem.get("code"), problem.get("field")),
        (False, 422, "field_missing", "tenant"),
    )


def check_ways_in(report: Report, it: Deployment) -> None:
    """The SigV4 URL and direct invocation, as docs/DEPLOY.md says."""
    endpoint = it.subscribe("/ended", "call.ended")
    it.secrets.append(endpoint["secret"])
    url = it.stack.outputs["IngestIam"]
    stranger = SecureOrigin(url.removesuffix("/v1/events"), it.front).ask("POST", "/v1/events", {})
    report.equal("the IAM URL refuses who does not sign", stranger.status, 403)
    event = it.filled_in("ingest-event.json", tenant=TENANT, id="evt_signed")
    credentials = f"{it.emulator.environment['AWS_ACCESS_KEY_ID']}:{it.emulator.environment['AWS_SECRET_ACCESS_KEY']}"
    signed = it.emulator.run(
        *("curl", "--silent", "--show-error", "--fail-with-body", url),
        *("--aws-sigv4", f"aws:amz:{it.emulator.region}:lambda", "--user", credentials),
        *("--header", "content-type: application/json", "--data-binary", f"@{event}"),
        check=False,
        CURL_CA_BUNDLE=str(it.front.bundle),
    )
    # Past the emulator, which is satisfied with the signature, and then asked for a key: it does not say who signed.
    reached = '"code":"key_invalid"' in signed.stdout
    report.check("a signed request reaches the function", reached, signed.stdout + signed.stderr)
    request = it.folder / "request.json"
    request.write_text(json.dumps(iam_request(url, event.read_text())))
    printed, answer = it.invoke("IngestIam", request)
    report.equal(
        "with the caller that AWS names it takes the event without a key",
        (printed.get("FunctionError"), answer.get("statusCode"), answer.get("body")),
        (None, 202, '{"id":"evt_signed","deliveries":1}'),
    )
    printed, answer = it.invoke("Ingest", it.filled_in("ingest-event.json", tenant=TENANT, id="evt_invoked"))
    report.equal(
        "ingest takes the same event by invocation",
        (printed.get("FunctionError"), answer),
        (None, {"id": "evt_invoked", "deliveries": 1}),
    )
    it.receiver.wait_for("both events", "/ended", 2, LADDER_S)
    came = {r.event: r.python for r in it.receiver.requests() if r.path == "/ended"}
    report.equal("both are delivered and verify", came, {"evt_signed": "ok", "evt_invoked": "ok"})
    verdict = it.api.ask(
        "POST", f"/v1/tenants/{TENANT}/endpoints", {"url": "https://127.0.0.1/hook", "event_types": ["call.ended"]}
    )
    report.equal("a loopback receiver is refused here", (verdict.status, verdict.code), (422, "url_address"))


def check_test_call(report: Report, it: Deployment) -> None:
    """A test of an endpoint: the API's function invokes the dispatcher by its name, with its own role."""
    endpoint = it.subscribe("/tested", "call.failed")
    it.secrets.append(endpoint["secret"])
    for status, failed_at in [(200, None), (503, "response")]:
        it.receiver.behave("/tested", status=status)
        told = it.api.expect(200, "POST", f"/v1/tenants/{TENANT}/endpoints/{endpoint['id']}/test", {})
        report.equal(
            f"a test call that {status} answers says so, with a diagnosis",
            (told["ok"], told["failed_at"], told["response"]["status"], told["explanation"] != ""),
            (failed_at is None, failed_at, status, True),
        )
    came = [(r.status, r.python) for r in it.receiver.requests() if r.path == "/tested"]
    report.equal("the receiver got both, and they verify", came, [(200, "ok"), (503, "ok")])


def metrics_in(lines: list[str]) -> list[dict]:
    """The lines of CloudWatch's embedded metric format."""
    objects = [json.loads(line) for line in lines if line.lstrip().startswith("{")]
    return [row for row in objects if isinstance(row, dict) and "_aws" in row]


def check_logs(report: Report, it: Deployment) -> None:
    """What the functions logged: metrics, and no secret."""

    def swept() -> dict | None:
        found = it.stack.logs()
        names = {name for lines in found.values() for row in metrics_in(lines) for name in row}
        return found if "Sweeps" in names else None

    logs = wait_until("the schedule has called the sweeper", swept, SWEEP_S)
    rows = [row for lines in logs.values() for row in metrics_in(lines)]
    said = [directive for row in rows for directive in row["_aws"]["CloudWatchMetrics"]]
    report.equal("every metric is in namespace Redial", {d["Namespace"] for d in said}, {"Redial"})
    report.equal("and has the stack as its one dimension", {json.dumps(d["Dimensions"]) for d in said}, {'[["Stack"]]'})
    report.equal("named as it was deployed", {row["Stack"] for row in rows}, {NAME})
    # A test call is no attempt: nothing is counted of it.
    requests = [request for request in it.receiver.requests() if request.path != "/tested"]
    delivered = sum(1 for r in requests if r.status == 200)
    failed = sum(1 for r in requests if r.status == 503)
    counted = ("Accepted", "Delivered", "Failed", "Dead", "Replayed")
    sums = {name: sum(row.get(name, 0) for row in rows) for name in counted}
    report.equal(
        "the metrics count what happened",
        sums,
        {"Accepted": calls.EVENTS + 3, "Delivered": delivered, "Failed": failed, "Dead": 1, "Replayed": 2},
    )
    everything = "\n".join(line for lines in logs.values() for line in lines)
    report.check("each function has logged", all(logs.values()), {name: len(lines) for name, lines in logs.items()})
    told = [secret[:6] for secret in it.secrets if secret in everything or secret[6:] in everything]
    report.nothing("no key and no secret is in a log", told)
    transcript = "call_4711"
    report.check("no payload is in a log", f'"call_id":"{transcript}"' not in everything.replace("\\", ""))
    denied = [line for line in everything.splitlines() if "AccessDenied" in line or "not authorized" in line]
    report.nothing("with IAM enforced, no call of a function was denied", denied)


def check_delete(report: Report, it: Deployment) -> None:
    """`sam delete`, and what it leaves on purpose."""
    it.stack.delete()
    report.check("sam delete deletes the stack", it.stack.is_gone())
    tables = sorted([it.stack.outputs["ConfigTableName"], it.stack.outputs["EventsTableName"]])
    report.equal("it leaves the two tables and nothing else", sorted(it.stack.leftovers()), tables)
    it.stack.delete_retained()
    report.nothing("and they can be deleted as the docs say", it.stack.leftovers())


def script(report: Report, built: Path, tools: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        began, peaks = time.monotonic(), Peaks()
        it = Deployment(Path(temporary), built, tools)
        try:
            took = f"{time.monotonic() - began:.0f} s"
            report.check(f"sam deploy takes the template ({took})", "Api" in it.stack.outputs)
            report.note(f"but for {len(it.left_out)} alarms with metric math, which ministack does not know: {it.left_out}")
            check_first_key(report, it)
            check_day(report, it)
            endpoint, dead = check_ladder(report, it)
            check_replay(report, it, endpoint, dead)
            check_ways_in(report, it)
            check_test_call(report, it)
            check_logs(report, it)
            check_memory(report, it, peaks)
            check_delete(report, it)
        finally:
            it.emulator.stop()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--template", type=Path, required=True, help="the template that `sam build` left")
    arguments.add_argument("--tools", type=Path, required=True, help="the folder of sam and aws")
    given = arguments.parse_args()
    run("deploy", lambda report: script(report, given.template.resolve(), given.tools.resolve()))
