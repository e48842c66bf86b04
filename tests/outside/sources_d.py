"""Checks of system D of the sources, a voice-agent and chat platform as its operators see it: what is delivered, and
how. Each is called by rows of tests/data/sources.json, which hold what is expected. `sources_d_manage` has the rest.
"""

from __future__ import annotations

import json

from calls import raw_members
from checks import wait_until
from sources_world import ARRIVE_S, World, check, holds, same


@check
def a_family_is_delivered(world: World, expect: dict) -> None:
    customer = world.customer()
    family = expect["type"].split(".")[0]
    hook = customer.hook(event_types=[f"{family}.*"])
    example = world.example(expect["type"])
    customer.post(expect["type"])
    body = raw_members(hook.arrived()[0].body.decode())
    same("what arrives", (json.loads(body["type"]), body["data"]), (expect["type"], json.dumps(example)))


@check
def an_agent_goes_online_and_offline(world: World, expect: dict) -> None:
    customer = world.customer(validation="reject")
    hook = customer.hook()
    for value in expect["values"]:
        customer.post(expect["type"], {"agent_id": "agt_7", expect["member"]: value})
    bodies = hook.bodies(len(expect["values"]))
    same("values", sorted(body["data"][expect["member"]] for body in bodies), sorted(expect["values"]))


@check
def data_is_carried(world: World, expect: dict) -> None:
    customer = world.customer(validation="reject")
    hook = customer.hook()
    for count, kind in enumerate(expect["types"], 1):
        customer.post(kind, expect["data"])
        same(f"data of {kind}", hook.bodies(count)[-1]["data"], expect["data"])


@check
def https_is_required(world: World, expect: dict) -> None:
    answer = world.url_verdict(expect["refused"])
    same("the refusal", (answer.status, answer.code, answer.body["field"]), (422, expect["code"], "url"))


@check
def ten_seconds_by_default(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook({"delay_ms": expect["too_late_ms"]}, retry={"attempts": 1})
    same("the timeout", hook.made["timeout_ms"], expect["timeout_ms"])
    event = customer.post("call.ended")
    attempt = customer.delivery(event, hook)["attempts"][0]
    same("the attempt", attempt["code"], "timeout")
    took_ms = attempt["duration_ms"]
    holds(f"{took_ms} ms", expect["timeout_ms"] <= took_ms < expect["too_late_ms"])


@check
def two_hundreds_are_success(world: World, expect: dict) -> None:
    customer = world.customer()
    for state, statuses in (("succeeded", expect["statuses"]), ("dead", expect["failures"])):
        for status in statuses:
            hook = customer.hook({"status": status}, retry={"attempts": 1}, timeout_ms=1000)
            event = customer.post("call.ended")
            same(f"{status}", customer.delivery(event, hook)["state"], state)
            customer.api.expect(204, "DELETE", hook.at())


@check
def an_api_key_is_sent(world: World, expect: dict) -> None:
    an_authorization_is_sent(world, expect)


@check
def an_authorization_is_sent(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(auth=expect["auth"])
    customer.post("call.ended")
    request = hook.arrived()[0]
    same(expect["header"], request.header(expect["header"]), [expect["value"]])
    same("it is signed besides", request.python, "ok")


@check
def a_signature_is_sent(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    customer.post("call.ended")
    request = hook.arrived()[0]
    holds("it is there", request.header(expect["header"])[0].startswith("v1,"))
    same("it verifies", request.python, "ok")


@check
def addresses_are_fixed(world: World, expect: dict) -> None:
    for parameter in expect["parameters"]:
        holds(f"{parameter} is a parameter", f"\n  {parameter}:\n" in world.template)
    dispatcher = world.template.split("\n  Dispatcher:\n")[1].split("\n\n")[0]
    holds("the function that posts runs in them", "!Ref EgressSubnets" in dispatcher)


@check
def retries_are_automatic(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook({"fail_first": expect["fail_first"]})
    event = customer.post("call.ended")
    same("the delivery", customer.delivery(event, hook)["state"], "succeeded")
    same("requests", hook.seen(), expect["requests"])


@check
def the_default_delays_grow(world: World, expect: dict) -> None:
    answer = world.url_verdict("https://hooks.example.com/default-delays")
    retry = answer.body["retry"]
    same("the default of a deployment", retry, {"attempts": len(expect["delays"]) + 1, "delays": expect["delays"]})
    holds("each is longer", all(a < b for a, b in zip(expect["delays"], expect["delays"][1:])))


@check
def the_maximum_is_configurable(world: World, expect: dict) -> None:
    customer = world.customer()
    for attempts in (expect["lowest"], expect["highest"]):
        hook = customer.hook(retry={"attempts": attempts})
        same("attempts", hook.made["retry"]["attempts"], attempts)
    for attempts in expect["refused"]:
        answer = customer.refused(422, url=hook.url, retry={"attempts": attempts})
        same("the field", answer.body["field"], "retry.attempts")


@check
def failures_raise_alerts(world: World, expect: dict) -> None:
    customer = world.customer()
    alerts = customer.hook(event_types=expect["types"])
    fails = customer.hook({"status": 500}, event_types=["call.ended"], retry={"attempts": 1})
    event = customer.post("call.ended")
    same("the delivery", customer.delivery(event, fails)["state"], "dead")
    # The sweeper tells, once a minute.
    body = json.loads(alerts.arrived(deadline_s=3 * ARRIVE_S)[0].body)
    same("the alert", body["type"], "delivery.dead")
    about = body["data"]
    same("is about", (about["tenant"], about["endpoint"], about["event"]), (customer.tenant, fails.id, event))
    holds("and says why", len(about["reason"]) > 10)


@check
def ids_are_stable(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook({"fail_first": 1})
    event = customer.post("call.ended")
    hook.arrived(2)
    customer.api.expect(202, "POST", customer.at("/replays"), {"event": event})
    requests = hook.arrived(3)
    same("ids", [request.header(expect["header"]) for request in requests], [[event]] * 3)
    same("bodies", len({request.body for request in requests}), 1)


@check
def quick_answers_are_enough(world: World, expect: dict) -> None:
    customer = world.customer()
    for status in expect["statuses"]:
        hook = customer.hook({"status": status})
        event = customer.post("call.ended")
        delivery = customer.delivery(event, hook)
        same(f"{status} without a body", (delivery["state"], len(delivery["attempts"])), ("succeeded", 1))
        customer.api.expect(204, "DELETE", hook.at())


@check
def the_rate_is_limited(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(rate_limit=expect["limit"])
    same("the setting", hook.made["rate_limit"], expect["limit"])
    event = {"type": "call.ended", "tenant": customer.tenant}
    events = [{**event, "data": {"call_id": f"c{n}"}} for n in range(expect["events"])]
    world.platform.expect(202, "POST", "/v1/events", events)
    wait_until("all arrive", lambda: hook.seen() >= expect["events"], 3 * ARRIVE_S)
    requests = hook.arrived(expect["events"])
    moments = sorted(request.at for request in requests)
    within = [sum(start <= at < start + 1 for at in moments) for start in moments]
    holds(f"requests in a second: {within}", max(within) <= expect["limit"] + 1)
    same("each once", len(requests), expect["events"])


@check
def a_use_gets_its_events(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(event_types=expect["types"])
    kinds = [kind.replace(".*", ".ended") for kind in expect["types"]]
    for kind in kinds:
        customer.post(kind, related={"call_id": "call_1"})
    customer.post("knowledge_base.updated", deliveries=0)
    bodies = hook.bodies(len(kinds))
    same("types", sorted(body["type"] for body in bodies), sorted(kinds))
    same("what they are about", {body["related"]["call_id"] for body in bodies}, {"call_1"})
