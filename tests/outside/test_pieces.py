"""The pieces of this harness, tested on planted faults: a tool that cannot find a loss proves nothing.

Uses the official libraries and a real receiver process, no Redial.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
import unittest
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

from standardwebhooks.webhooks import Webhook

import calls
import judge
from ledger import Receiver, Request

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLawMC7Fqf1Rk5nU="


def delivered(
    call: calls.Call, path: str, n: int, at: float, answered_at: float | None = None, **more: object
) -> Request:
    """A faultless request for an event."""
    members = {
        "type": call.raw["type"],
        "timestamp": call.raw["occurred_at"],
        "id": call.raw["id"],
        "tenant": call.raw["tenant"],
        **({"agent": call.raw["agent"]} if "agent" in call.raw else {}),
        "data": call.raw["data"],
        **({"related": call.raw["related"]} if "related" in call.raw else {}),
    }
    own = f"http://127.0.0.1:4080/v1/tenants/{call.tenant}/events/{call.id}"
    members["links"] = json.dumps(json.loads(call.raw.get("links", "{}")) | {"event": own})
    body = "{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}"
    row = {
        "n": n,
        "at": at,
        "path": path,
        "event": call.id,
        "headers": [],
        "body": body.encode(),
        "python": "ok",
        "answered_at": answered_at,
        "status": None if answered_at is None else 200,
    }
    return Request(**(row | more))


class Judging(unittest.TestCase):
    """`judge` finds what is planted, and nothing else."""

    def setUp(self) -> None:
        self.expected = calls.expected(calls.read())
        self.requests = []
        for path, events in self.expected.items():
            for call in events.values():
                n = len(self.requests)
                self.requests.append(delivered(call, path, n, 100.0 + n, 100.5 + n))

    def test_a_faultless_day_has_no_findings(self) -> None:
        self.assertGreater(len(self.requests), 1000)
        self.assertEqual(judge.missing(self.expected, self.requests), [])
        self.assertEqual(judge.uninvited(self.expected, self.requests), [])
        self.assertEqual(judge.repeated(self.requests), {})
        self.assertEqual(judge.changed(self.expected, self.requests), [])
        self.assertEqual(judge.unverified(self.requests), [])

    def test_a_planted_loss_is_found(self) -> None:
        lost = self.requests.pop(17)
        self.assertEqual(judge.missing(self.expected, self.requests), [f"{lost.path} {lost.event}"])

    def test_a_delivery_that_never_succeeded_is_a_loss(self) -> None:
        call = next(iter(self.expected["/lake/agent"].values()))
        for status, answered_at in ((500, 101.0), (None, None)):
            failed = delivered(call, "/lake/agent", 0, 100.0, status=status, answered_at=answered_at)
            self.assertEqual(judge.missing({"/lake/agent": {call.id: call}}, [failed]), [f"/lake/agent {call.id}"])

    def test_a_planted_duplicate_is_found(self) -> None:
        twice = self.requests[5]
        self.requests.append(twice)
        self.assertEqual(judge.repeated(self.requests), {(twice.path, twice.event): 1})

    def test_a_changed_byte_of_data_is_found(self) -> None:
        request = self.requests[5]
        spaced = request.body.replace(b'"data":{', b'"data":{ ', 1)
        self.requests[5] = Request(**(request.__dict__ | {"body": spaced}))
        self.assertEqual(len(judge.changed(self.expected, self.requests)), 1)

    def test_an_event_at_an_endpoint_that_did_not_want_it_is_found(self) -> None:
        stray = Request(**(self.requests[0].__dict__ | {"path": "/noor/types"}))
        self.assertEqual(judge.uninvited(self.expected, [*self.requests, stray]), [f"/noor/types {stray.event}"])

    def test_a_duplicate_is_explained_only_by_a_kill_that_caught_its_delivery(self) -> None:
        call = next(iter(self.expected["/lake/agent"].values()))

        def kills_of(first_answered: float | None) -> list[int | None]:
            first = delivered(call, "/lake/agent", 1, 100.0, first_answered)
            again = delivered(call, "/lake/agent", 2, 400.0, 400.1)
            return [found.kill for found in judge.duplicates([first, again], [50.0, 102.0, 300.0])]

        self.assertEqual(kills_of(None), [2], "it was open at the second kill")
        self.assertEqual(kills_of(100.5), [2], "it was answered a moment before the second kill")
        self.assertEqual(kills_of(99.9), [None], "it was answered long before: its success had to be recorded")

    def test_one_kill_explains_one_duplicate_of_a_delivery(self) -> None:
        call = next(iter(self.expected["/lake/agent"].values()))
        rows = [delivered(call, "/lake/agent", n, 100.0 * n, 100.0 * n + 0.1) for n in (1, 2, 3)]
        self.assertEqual([found.kill for found in judge.duplicates(rows, [100.5])], [1, None])


class RawText(unittest.TestCase):
    """The reader of raw members keeps every byte."""

    def test_values_are_as_written(self) -> None:
        text = '{ "a" : {"z":1,  "a":[1, 2]} ,"b":"}\\"{","n":9007199254740993}'
        self.assertEqual(
            calls.raw_members(text), {"a": '{"z":1,  "a":[1, 2]}', "b": '"}\\"{"', "n": "9007199254740993"}
        )

    def test_a_name_given_twice_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            calls.raw_members('{"a":1,"a":2}')


class Verifying(unittest.TestCase):
    """A receiver process and both official libraries agree about good and bad requests."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.receiver = Receiver(self.folder)
        self.addCleanup(self.receiver.process.wait)
        self.addCleanup(self.receiver.process.stdin.close)
        self.addCleanup(self.receiver.process.stdout.close)
        self.addCleanup(self.receiver.control.close)
        self.receiver.behave("/hook", secret=SECRET, fail_first=1, fail_status=503)

    def post(self, event: str, body: str, at: float, secret: str = SECRET, sent: str | None = None) -> int:
        moment = datetime.fromtimestamp(int(at), tz=timezone.utc)
        headers = {
            "webhook-id": event,
            "webhook-timestamp": str(int(at)),
            "content-type": "application/json",
            "webhook-signature": Webhook(secret).sign(event, moment, body),
        }
        parts = urlsplit(self.receiver.origin)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        connection.request("POST", "/hook", (body if sent is None else sent).encode(), headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def test_both_libraries_take_what_is_right_and_refuse_what_is_not(self) -> None:
        now = time.time()
        other = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
        self.assertEqual(self.post("evt_1", '{"a":"ü"}', now), 503, "the first request of an id fails")
        self.assertEqual(self.post("evt_1", '{"a":"ü"}', now), 200)
        self.post("evt_tampered", '{"a":1}', now, sent='{"a":2}')
        self.post("evt_old", '{"a":1}', now - 600)
        self.post("evt_key", '{"a":1}', now, secret=other)
        requests = self.receiver.requests()
        self.assertEqual([r.status for r in requests], [503, 200, 503, 503, 503])
        self.assertEqual([r.event for r in requests if r.python != "ok"], ["evt_tampered", "evt_old", "evt_key"])
        said = self.receiver.verify_with_javascript(self.folder)
        self.assertEqual(said["verified"], 2)
        self.assertEqual(
            [text.split(":")[0] for text in said["refused"]],
            [f"/hook {e}" for e in ("evt_tampered", "evt_old", "evt_key")],
        )
        counted = self.receiver.summary()["/hook"]
        self.assertEqual(counted, {"received": 5, "answered": 5, "unverified": 3, "ids": 4, "done_ids": 1})


if __name__ == "__main__":
    unittest.main()
