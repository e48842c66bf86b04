"""Checks of system C of the sources, Utel: profile `utel` and `/integration/webhook`. Each is called by rows of
tests/data/sources.json, which hold what is expected.
"""

from __future__ import annotations

import json

from product import Answer, Origin
from sources_world import Customer, Hook, World, check, holds, same

SWITCHES = (
    "call_started",
    "call_ended",
    "dial_started",
    "dial_answered",
    "dial_ended",
    "call_transferred",
    "call_saved",
)


def resource(url: str, *on: str) -> dict:
    """A `WebhookResource`."""
    return {"url": url, **{name: name in on for name in SWITCHES}}


def put(customer: Customer, *resources: dict) -> list[dict]:
    """Replaces the list; gives the new one."""
    answer = customer.webhooks("PUT", list(resources))
    same("the answer", answer.status, 200)
    return answer.body["result"]


def webhook(customer: Customer, *on: str, **behaviour: object) -> Hook:
    """The only webhook of a customer, which asks for these."""
    hook = customer.place(**behaviour)
    put(customer, resource(hook.url, *(on or SWITCHES)))
    hook.made = next(item for item in customer.api.items(customer.at("/endpoints")) if item["url"] == hook.url)
    return hook


@check
def a_boolean_asks_for_its_events(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer, expect["switch"])
    wanted = [customer.post(kind) for kind in expect["types"]]
    others = {"call.started", "call.ended", "dial.started", "dial.answered", "dial.ended", "recording.ready"}
    for kind in sorted({*others, "transfer.completed"} - set(expect["types"])):
        customer.post(kind, deliveries=0)
    requests = hook.arrived(len(wanted))
    same("events", sorted(request.event for request in requests), sorted(wanted))


@check
def an_event_comes_in_each_kind(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    for kind in expect["kinds"]:
        customer.post(expect["type"], {"call_id": "c1", expect["member"]: kind})
    data = [body["data"] for body in hook.bodies(len(expect["kinds"]))]
    same("names", {item["event"] for item in data}, {expect["name"]})
    same("kinds", sorted(item[expect["member"]] for item in data), sorted(expect["kinds"]))


@check
def a_type_arrives_by_its_name(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    data = {**world.example(expect["type"]), **({"kind": expect["kind"]} if expect["kind"] else {})}
    customer.post(expect["type"], data)
    body = hook.bodies()[0]
    same("the name", body["data"]["event"], expect["name"])
    same("the data beside it", body["data"], {"event": expect["name"], **data})


@check
def a_type_without_a_name_does_not_reach_it(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    for kind in expect["types"]:
        customer.post(kind, deliveries=0)
    last = customer.post("call.started")
    same("events", [request.event for request in hook.arrived()], [last])


@check
def several_urls_have_their_own_events(world: World, expect: dict) -> None:
    customer = world.customer()
    first, second = customer.place(), customer.place()
    put(customer, resource(first.url, *expect["first"]), resource(second.url, *expect["second"]))
    customer.post("call.started")
    customer.post("call.ended", deliveries=2)
    customer.post("recording.ready")
    for hook, names in ((first, expect["first"]), (second, expect["second"])):
        got = sorted(body["data"]["event"] for body in hook.bodies(len(names)))
        same("events", got, sorted(names))


def enveloped(answer: Answer, code: int) -> None:
    """Fails unless the answer is an error in the envelope."""
    same("the status", answer.status, code)
    same("the members", sorted(answer.body), ["code", "message", "result", "status"])
    same("what they say", (answer.body["status"], answer.body["code"], answer.body["result"]), ("error", code, []))
    holds("the message is a sentence", isinstance(answer.body["message"], str) and " " in answer.body["message"])


@check
def a_bearer_token_is_needed(world: World, expect: dict) -> None:
    customer = world.customer()
    for method in expect["methods"]:
        same(method, customer.webhooks(method, [] if method == "PUT" else None).status, 200)
        for key in (None, "rd_0_0"):
            stranger = Origin(customer.api.url, key)
            answer = stranger.ask(method, "/integration/webhook", [] if method == "PUT" else None)
            enveloped(answer, expect["code"])
            same("the challenge", answer.headers.get("www-authenticate"), expect["scheme"])


@check
def get_answers_the_envelope(world: World, expect: dict) -> None:
    customer = world.customer()
    answer = customer.api.ask("GET", expect["path"])
    same("the answer", (answer.status, answer.body), (200, expect["answer"]))
    same("the order of its members", list(answer.body), list(expect["answer"]))
    same("its type", answer.headers["content-type"], "application/json")
    listed = [resource("https://myapp.com/webhook/a", "call_ended"), resource("https://myapp.com/webhook/b")]
    put(customer, *listed)
    same("with webhooks", customer.webhooks().body, {**expect["answer"], "result": listed})


@check
def an_error_wears_the_envelope(world: World, expect: dict) -> None:
    customer = world.customer()
    ours = resource("https://myapp.com/a", "call_ended")
    path = "/integration/webhook"
    answers = {
        400: customer.webhooks("PUT", b"{"),
        401: Origin(customer.api.url).ask("GET", path),
        403: world.platform.ask("GET", path),
        404: customer.api.ask("GET", f"{path}?tenant=another"),
        405: customer.api.ask("DELETE", path),
        413: customer.webhooks("PUT", b"[" + b" " * 300_000 + b"]"),
        422: customer.webhooks("PUT", [ours, ours]),
    }
    same("codes", sorted(answers), expect["codes"])
    for code, answer in answers.items():
        enveloped(answer, code)
        same("the members, in their order", list(answer.body), expect["members"])
        same("status", answer.body["status"], expect["status"])
    same("nothing was stored", customer.webhooks().body["result"], [])


@check
def put_replaces_the_whole_list(world: World, expect: dict) -> None:
    customer = world.customer()
    standard = customer.hook()
    stays, goes, comes = customer.place(), customer.place(), customer.place()
    put(customer, resource(stays.url, "call_ended"), resource(goes.url, "call_ended"))
    before = {item["url"]: item["id"] for item in customer.api.items(customer.at("/endpoints"))}
    secret = customer.api.expect(200, "GET", customer.at(f"/endpoints/{before[stays.url]}/secret"))
    listed = [resource(stays.url, "call_ended", "call_saved"), resource(comes.url, "call_ended")]
    same("the new list", put(customer, *listed), listed)
    after = {item["url"]: item["id"] for item in customer.api.items(customer.at("/endpoints"))}
    same("URLs", sorted(after), sorted([standard.url, stays.url, comes.url]))
    same("the one that stays is the same endpoint", after[stays.url], before[stays.url])
    again = customer.api.expect(200, "GET", customer.at(f"/endpoints/{after[stays.url]}/secret"))
    same("with the same secret", again, secret)
    customer.post("call.ended", deliveries=3)
    for hook in (standard, stays, comes):
        hook.arrived()
    same("nothing goes where it was removed", goes.seen(), 0)


@check
def an_empty_list_removes_all(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    customer.post("call.ended")
    hook.arrived()
    same("the answer", put(customer), [])
    same("the list", customer.webhooks().body["result"], [])
    customer.post("call.ended", deliveries=0)


@check
def put_answers_the_envelope_with_the_new_list(world: World, expect: dict) -> None:
    customer = world.customer()
    listed = [resource("https://myapp.com/b", "call_saved"), resource("https://myapp.com/a", *SWITCHES)]
    answer = customer.webhooks("PUT", listed)
    same("the answer", (answer.status, answer.body), (200, {**expect["answer"], "result": listed}))
    same("and it is what is stored", customer.webhooks().body, answer.body)


def refuses(customer: Customer, member: str, wrong: list) -> None:
    """A list with an item whose member is missing or wrong is refused, and nothing of it is stored."""
    good = resource("https://myapp.com/good", "call_ended")
    item = resource("https://myapp.com/other", "call_ended")
    missing = {name: value for name, value in item.items() if name != member}
    for bad in (missing, *({**item, member: value} for value in wrong)):
        answer = customer.webhooks("PUT", [good, bad])
        enveloped(answer, 422)
        holds(f"it names the member: {answer.body['message']}", f"[1].{member}" in answer.body["message"])
    same("nothing was stored", customer.webhooks().body["result"], [])


@check
def the_url_is_required(world: World, expect: dict) -> None:
    refuses(world.customer(), expect["member"], expect["wrong"])


@check
def a_boolean_is_required(world: World, expect: dict) -> None:
    refuses(world.customer(), expect["member"], expect["wrong"])


@check
def the_example_comes_back_as_it_stands(world: World, expect: dict) -> None:
    customer = world.customer()
    put(customer, expect["example"])
    same("as JSON, byte for byte", json.dumps(customer.webhooks().body["result"][0]), json.dumps(expect["example"]))


@check
def it_is_delivered_by_post(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    customer.post("call.started")
    same("the method", hook.arrived()[0].method, expect["method"])


@check
def it_has_the_header(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    customer.post("call.started")
    same(expect["header"], hook.arrived()[0].header(expect["header"]), [expect["value"]])


@check
def the_body_has_time_and_data(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    at = "2026-11-20T05:03:46.258Z"
    customer.post("call.started", {"call_id": "c1", "from": "+15550100"}, occurred_at=at)
    body = hook.bodies()[0]
    same("members", list(body), expect["members"])
    same("time", body["time"], at)
    same("data", body["data"], {"event": "call_started", "call_id": "c1", "from": "+15550100"})


@check
def success_is_2xx(world: World, expect: dict) -> None:
    customer = world.customer()
    for state, statuses in (("succeeded", expect["statuses"]), ("dead", expect["failures"])):
        for status in statuses:
            hook = webhook(customer, status=status)
            customer.api.expect(200, "PATCH", hook.at(), {"retry": {"attempts": 1}})
            event = customer.post("call.started")
            delivery = customer.delivery(event, hook)
            same(f"{status}", (delivery["state"], delivery["attempts"][0]["status"]), (state, status))


@check
def the_receiver_has_ten_seconds(world: World, expect: dict) -> None:
    customers = {}
    for state, delay_ms in (("succeeded", expect["in_time_ms"]), ("dead", expect["too_late_ms"])):
        customer = world.customer()
        hook = webhook(customer, delay_ms=delay_ms)
        same("the timeout", hook.made["timeout_ms"], expect["timeout_ms"])
        customer.api.expect(200, "PATCH", hook.at(), {"retry": {"attempts": 1}})
        customers[state] = customer, hook, customer.post("call.started")
    for state, (customer, hook, event) in customers.items():
        same("the delivery", customer.delivery(event, hook)["state"], state)
