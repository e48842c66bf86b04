"""An endpoint that fails one request in a hundred, at random, at 200 events a second, is never put on hold.

Asks the product about its health all the while, and the operator's own events at the end: `endpoint.held` is never told.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from checks import Report, run, wait_until
from product import Redial
from sink import Sink

TENANT = "acme"
PER_SECOND = 200
SECONDS = 60
FAIL_SHARE = 0.01
# Events of one request: one every tenth of a second.
BATCH = PER_SECOND // 10
# How long the last retries may take, in seconds: the schedule's first three waits and a pass of the sweeper.
THROUGH_S = 300


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        sink = Sink()
        sink.behave(FAIL_SHARE)
        redial = Redial(Path(temporary))
        api = redial.start()
        try:
            for tenant, settings in ((TENANT, {}), ("operator", {"for_operators": True})):
                api.expect(201, "PUT", f"/v1/tenants/{tenant}", settings)
            of = f"/v1/tenants/{TENANT}/endpoints"
            endpoint = api.expect(201, "POST", of, {"url": f"{sink.origin}/steady"})["id"]
            total, states = PER_SECOND * SECONDS, set()
            began = time.monotonic()
            for first in range(0, total, BATCH):
                events = [
                    {"id": f"steady_{n}", "type": "call.ended", "tenant": TENANT, "data": {"n": n}}
                    for n in range(first, first + BATCH)
                ]
                api.expect(202, "POST", "/v1/events", events)
                if first % PER_SECOND == 0:
                    states.add(api.expect(200, "GET", f"{of}/{endpoint}/health")["state"])
                behind = began + (first + BATCH) / PER_SECOND - time.monotonic()
                if behind > 0:
                    time.sleep(behind)
            took_s = time.monotonic() - began
            succeeded = f"/v1/tenants/{TENANT}/deliveries?state={{}}&limit=1"

            def settled() -> bool:
                waiting = ("queued", "retrying", "held")
                return not any(api.expect(200, "GET", succeeded.format(state))["items"] for state in waiting)

            wait_until("everything is concluded", settled, THROUGH_S, every_s=1)
            failed, counts = sink.failed(), sink.counts("/steady")
            report.note(f"{total} events in {took_s:.1f} s; {failed} of {sum(counts.values())} requests answered with 500")
            report.check("it was as fast as it was to be", took_s < SECONDS * 1.1, f"{took_s:.1f} s")
            report.check("one in a hundred did fail", total * FAIL_SHARE / 2 < failed < total * FAIL_SHARE * 2, failed)
            report.equal("every event came", len(counts), total)
            report.check("the endpoint was never on hold", "held" not in states and states, states)
            told = [event["type"] for event in api.items("/v1/tenants/operator/events?limit=100")]
            report.nothing("no hold was ever told", [kind for kind in told if kind == "endpoint.held"])
        finally:
            redial.stop()


if __name__ == "__main__":
    run("steady", script)
