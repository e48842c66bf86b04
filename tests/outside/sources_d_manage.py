"""Checks of system D of the sources: setting up step by step, monitoring, debugging, at the API that a console calls.
Each is called by rows of tests/data/sources.json, which hold what is expected.
"""

from __future__ import annotations

import json

from sources_world import Customer, World, check, closed_port, holds, same

AUTHENTICATIONS = {
    "api_key": {"type": "api_key", "header": "x-api-key", "value": "k-123"},
    "basic": {"type": "basic", "username": "u", "password": "p"},
    "bearer": {"type": "bearer", "token": "t-123"},
}


@check
def step_endpoint(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(active=False)
    same("its state", hook.made["state"], expect["state"])
    customer.post("call.ended", deliveries=0)


@check
def step_events(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(active=False)
    changed = customer.api.expect(200, "PATCH", hook.at(), {"event_types": expect["types"]})
    same("its events", changed["event_types"], expect["types"])
    same("it is still inactive", changed["state"], "inactive")


@check
def step_authentication(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(active=False)
    for kind in expect["kinds"]:
        changed = customer.api.expect(200, "PATCH", hook.at(), {"auth": AUTHENTICATIONS[kind]})
        same("its authentication", changed["auth"]["type"], kind)
        holds("without the secret part", "k-123" not in json.dumps(changed) and "t-123" not in json.dumps(changed))


@check
def step_activation(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(active=False)
    same("before", hook.made["state"], expect["before"])
    customer.post("call.ended", deliveries=0)
    same("after", customer.api.expect(200, "POST", hook.at("/activate"))["state"], expect["after"])
    event = customer.post("call.ended")
    same("what arrives", [request.event for request in hook.arrived()], [event])


@check
def the_dead_are_reviewed_and_sent_again(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook({"status": 500, "body": "no room"}, retry={"attempts": 1})
    event = customer.post("call.ended")
    customer.delivery(event, hook)
    listed = customer.api.items(customer.at(f"/deliveries?state={expect['state']}"))
    same("the dead", [item["event"] for item in listed], [event])
    holds("with a reason", listed[0]["reason"])
    hook.behave(status=200)
    customer.api.expect(202, "POST", customer.at("/replays"), {"delivery": listed[0]["id"]})
    same("sent again", hook.arrived(2)[1].event, event)


def delivered(customer: Customer, states: dict[str, int]) -> None:
    """Has so many deliveries end in each state."""
    good = customer.hook(event_types=["call.ended"])
    bad = customer.hook({"status": 500}, event_types=["call.failed"], retry={"attempts": 1})
    hooks = {"succeeded": (good, "call.ended"), "dead": (bad, "call.failed")}
    for state, count in states.items():
        hook, kind = hooks[state]
        for event in [customer.post(kind) for _ in range(count)]:
            same("the delivery", customer.delivery(event, hook)["state"], state)


@check
def delivery_states_are_counted(world: World, expect: dict) -> None:
    customer = world.customer()
    delivered(customer, expect["states"])
    counted = {state: len(customer.api.items(customer.at(f"/deliveries?state={state}"))) for state in expect["states"]}
    same("the lists by state", counted, expect["states"])


@check
def rates_are_shown(world: World, expect: dict) -> None:
    customer = world.customer()
    delivered(customer, expect["states"])
    shown = customer.api.expect(200, "GET", customer.at("/statistics"))
    for rate in ("success_rate", "failure_rate"):
        same(rate, shown["total"][rate], expect[rate])
    by_hour = [hour["matched"] for hour in shown["hours"]]
    same("the hours together", sum(by_hour), sum(expect["states"].values()))


@check
def the_history_is_read(world: World, expect: dict) -> None:
    customer = world.customer()
    customer.hook()
    early = customer.post("call.started", agent="agt_1")
    late = customer.post("call.ended", agent="agt_2")
    same("the newest first", [item["id"] for item in customer.api.items(customer.at("/events"))], [late, early])
    values = {"type": "call.ended", "agent": "agt_2", "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    found = {
        name: [item["id"] for item in customer.api.items(customer.at(f"/events?{name}={values[name]}"))]
        for name in expect["narrowed_by"]
    }
    same("narrowed", found, {"type": [late], "agent": [late], "since": [late, early], "until": []})


@check
def responses_are_logged(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook({"status": expect["status"], "body": expect["body"]}, retry={"attempts": 1})
    attempt = customer.delivery(customer.post("call.ended"), hook)["attempts"][0]
    same("the response", (attempt["status"], attempt["response"]), (expect["status"], expect["body"]))
    holds("and what follows from it", attempt["next"])


@check
def durations_are_measured(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook({"delay_ms": expect["answers_after_ms"]})
    attempt = customer.delivery(customer.post("call.ended"), hook)["attempts"][0]
    holds(f"{attempt['duration_ms']} ms", attempt["duration_ms"] >= expect["answers_after_ms"])


@check
def errors_are_told_apart(world: World, expect: dict) -> None:
    customer = world.customer()
    common = {"retry": {"attempts": 1}, "timeout_ms": 1000}
    hooks = {
        "http_error": customer.hook({"status": 500}, **common),
        "timeout": customer.hook({"delay_ms": 3000}, **common),
        "connect_failed": customer.place(),
    }
    nobody = {"url": f"http://127.0.0.1:{closed_port()}/", **common}
    hooks["connect_failed"].made = customer.api.expect(201, "POST", customer.at("/endpoints"), nobody)
    event = customer.post("call.ended", deliveries=len(hooks))
    found = {}
    for name, hook in hooks.items():
        delivery = customer.delivery(event, hook)
        found[name] = delivery["attempts"][0]["code"]
        holds(f"{name} has a reason", delivery["reason"])
    same("codes", found, {name: name for name in expect["codes"]})


@check
def webhooks_are_managed(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(description="first")
    done = ["create"]
    if customer.api.expect(200, "GET", hook.at())["description"] == "first":
        done.append("read")
    if customer.api.expect(200, "PATCH", hook.at(), {"description": "second"})["description"] == "second":
        done.append("change")
    customer.api.expect(204, "DELETE", hook.at())
    if customer.api.ask("GET", hook.at()).status == 404:
        done.append("delete")
    same("steps", done, expect["steps"])


@check
def security_is_set(world: World, expect: dict) -> None:
    customer = world.customer()
    given = {
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
        "auth": AUTHENTICATIONS["basic"],
        "headers": {"x-team": "voice"},
    }
    hook = customer.hook(**{name: given[name] for name in expect["settings"]})
    shown = customer.api.expect(200, "GET", hook.at("/secret"))
    same("the settings", {name: shown[name] for name in expect["settings"]}, given)
    customer.post("call.ended")
    request = hook.arrived()[0]
    same("the request", (request.python, request.header("x-team")), ("ok", ["voice"]))


@check
def deliveries_have_a_log(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook({"fail_first": expect["attempts"] - 1, "fail_status": 503})
    event = customer.post("call.ended")
    customer.delivery(event, hook)
    listed = customer.api.items(customer.at(f"/deliveries?endpoint={hook.id}"))
    same("deliveries of the endpoint", [item["event"] for item in listed], [event])
    attempts = customer.delivery(event, hook)["attempts"]
    same("attempts", [(item["n"], item["status"]) for item in attempts], [(1, 503), (2, 200)])
    holds("each with its time and what followed", all(item["at"] and item["next"] for item in attempts))
