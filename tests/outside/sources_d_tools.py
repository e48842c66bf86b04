"""Checks of the sources that test, inspect, diagnose, export and erase: the tools of systems A and D, at the API that a
console calls. Each is called by rows of tests/data/sources.json, which hold what is expected.
"""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from sources_world import Customer, Hook, World, check, closed_port, holds, same


def tested(hook: Hook, kind: str) -> dict:
    """Sends a sample of a type to an endpoint now; gives the whole exchange."""
    return hook.customer.api.expect(200, "POST", hook.at("/test"), {"type": kind})


@check
def a_sample_event_is_sent(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    tested(hook, expect["type"])
    request = hook.arrived()[0]
    body = json.loads(request.body)
    same("the sample", (body["type"], body["data"]), (expect["type"], world.example(expect["type"])))
    same("it verifies", request.python, "ok")


@check
def receipt_is_confirmed(world: World, expect: dict) -> None:
    customer = world.customer()
    for status, ok in ((expect["status"], True), (expect["failing"], False)):
        exchange = tested(customer.hook({"status": status}), "call.ended")
        same("received", (exchange["ok"], exchange["response"]["status"]), (ok, status))


@check
def step_test(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(active=False, auth={"type": "bearer", "token": "t-123"})
    exchange = tested(hook, expect["type"])
    same("it arrived", (exchange["ok"], exchange["failed_at"]), (True, None))
    body = json.loads(hook.arrived()[0].body)
    same("the sample", (body["type"], body["data"]), (expect["type"], world.example(expect["type"])))
    holds("the token is not shown", "t-123" not in json.dumps(exchange))
    same("it is no event", customer.api.items(customer.at("/events")), [])


@check
def the_payload_can_be_inspected(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    event = customer.post("call.ended", {"call_id": "c1"})
    hook.arrived()
    same("as posted", customer.api.expect(200, "GET", customer.at(f"/events/{event}"))["data"], {"call_id": "c1"})
    shown = tested(hook, "call.ended")["request"]
    sent = hook.arrived(2)[1]
    same("as sent", (shown["method"], shown["url"], shown["body"].encode()), (sent.method, hook.url, sent.body))
    headers = {item["name"]: item["value"] for item in shown["headers"]}
    for name in expect["headers"]:
        same(name, [headers.get(name)], sent.header(name))


@check
def the_network_is_diagnosed(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.place()
    nobody = {"url": f"http://127.0.0.1:{closed_port()}/", "active": False}
    hook.made = customer.api.expect(201, "POST", customer.at("/endpoints"), nobody)
    exchange = tested(hook, "call.ended")
    same("what failed", (exchange["ok"], exchange["failed_at"], exchange["response"]), (False, expect["step"], None))
    holds("a sentence says what happened", exchange["explanation"].endswith("."))
    holds("and another what to mend", exchange["advice"].endswith("."))
    hook = customer.hook()
    by_name = hook.made["url"].replace("127.0.0.1", "localhost")
    holds(f"{by_name} has a name", "localhost" in by_name)
    for url, steps in ((hook.made["url"], []), (by_name, ["dns_ms"])):
        customer.api.expect(200, "PATCH", hook.at(), {"url": url})
        timings = tested(hook, "call.ended")["timings"]
        for step in [*steps, "connect_ms", "first_byte_ms", "total_ms"]:
            took_ms = timings[step]
            holds(f"{url}: {step} is a time: {timings}", type(took_ms) is int and took_ms >= 0)


def exported(customer: Customer, path: str, content_type: str) -> list[dict]:
    """A list, one item a line, as a warehouse loads it."""
    parts = urlsplit(customer.api.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    headers = {"authorization": f"Bearer {customer.key}", "accept": content_type}
    connection.request("GET", customer.at(path), headers=headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    same("status and type", (response.status, response.getheader("content-type")), (200, content_type))
    return [json.loads(line) for line in text.splitlines()]


@check
def lists_are_exported(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    events = [customer.post("call.ended") for _ in range(3)]
    for event in events:
        customer.delivery(event, hook)
    lines = exported(customer, "/events", expect["content_type"])
    same("events", sorted(item["id"] for item in lines), sorted(events))
    lines = exported(customer, "/deliveries", expect["content_type"])
    found = sorted((item["event"], item["state"]) for item in lines)
    same("deliveries", found, [(event, "succeeded") for event in sorted(events)])


@check
def an_event_is_erased(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    personal = "+15550199"
    event = customer.post("call.ended", {"call_id": "c1", "from": personal})
    customer.delivery(event, hook)
    answer = customer.api.ask("DELETE", customer.at(f"/events/{event}"))
    holds(f"it is erased: {answer}", answer.status in (200, 202))
    same("the receipt names it", (answer.body["erased"], answer.body["events"]), ({"event": event}, 1))
    same("reading it", customer.api.ask("GET", customer.at(f"/events/{event}")).status, expect["status"])
    again = {"id": event, "type": "call.ended", "tenant": customer.tenant, "data": {}}
    same("posting it again", world.platform.ask("POST", "/v1/events", again).status, expect["status"])
    for path in ("/events", "/deliveries"):
        holds(f"{path} does not tell", personal not in json.dumps(customer.api.items(customer.at(path))))
