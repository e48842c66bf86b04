"""Checks of system A of the sources: an open platform, profile `standard`. Each is called by rows of
tests/data/sources.json, which hold what is expected.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import datetime, timedelta, timezone
from unittest import mock

import standardwebhooks.webhooks as official
from calls import raw_members
from checks import wait_until
from sources_world import ARRIVE_S, World, check, gaps, holds, same


@check
def delivers_at_once(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    for count, kind in enumerate(expect["types"], 1):
        event = customer.post(kind)
        accepted = customer.api.expect(200, "GET", customer.at(f"/events/{event}"))["accepted_at"]
        request = hook.arrived(count)[-1]
        took_s = request.at - datetime.fromisoformat(accepted).timestamp()
        holds(f"{kind} took {took_s:.2f} s", took_s < expect["within_s"])


@check
def takes_any_https_url(world: World, expect: dict) -> None:
    for url in expect["accepted"]:
        holds(f"{url} is https", url.startswith(f"{expect['scheme']}://"))
        same(url, world.url_verdict(url).status, 201)


@check
def what_a_receiver_answers_changes_nothing(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook({"body": json.dumps(expect["answer"]), "headers": {"content-type": "application/json"}})
    event = customer.post("call.ended", {"call_id": "c1"})
    same("the delivery", customer.delivery(event, hook)["state"], "succeeded")
    stored = customer.api.expect(200, "GET", customer.at(f"/events/{event}"))
    same("the event's data", stored["data"], {"call_id": "c1"})
    same("requests", len(hook.arrived()), 1)
    same("events", len(customer.api.items(customer.at("/events"))), 1)


@check
def a_type_ships_and_is_delivered(world: World, expect: dict) -> None:
    known = world.types[expect["type"]]
    same("its group", known["group"], expect["group"])
    holds("it has a description", len(known["description"]) > 10)
    customer = world.customer()
    hook = customer.hook(event_types=[expect["type"]])
    event = customer.post(expect["type"])
    request = hook.arrived()[0]
    body = raw_members(request.body.decode())
    same("type", json.loads(body["type"]), expect["type"])
    same("data, byte for byte", body["data"], json.dumps(known["example"]))
    same("webhook-id", request.header("webhook-id"), [event])


@check
def payloads_are_typed(world: World, expect: dict) -> None:
    schemas = {name: json.dumps(world.types[name]["schema"], sort_keys=True) for name in expect["types"]}
    same("schemas of their own", len(set(schemas.values())), len(expect["types"]))
    customer = world.customer(validation="reject")
    for name in expect["types"]:
        holds(f"{name} says what it needs", world.types[name]["schema"].get("required"))
        body = {"type": name, "tenant": customer.tenant}
        answer = world.platform.ask("POST", "/v1/events", {**body, "data": {}})
        same(f"{name} without what it needs", answer.status, 422)
        answer = world.platform.ask("POST", "/v1/events", {**body, "data": world.example(name)})
        same(f"{name} with its example", answer.status, 202)


@check
def requests_are_signed_with_hmac(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    secret = hook.made["secret"]
    holds("the secret has its prefix", secret.startswith(expect["secret_prefix"]))
    customer.post("call.ended")
    request = hook.arrived()[0]
    identity, at, signature = ([*request.header(name), None][0] for name in expect["headers"])
    signed = f"{identity}.{at}.".encode() + request.body
    key = base64.b64decode(secret.removeprefix(expect["secret_prefix"]))
    digest = hmac.new(key, signed, getattr(hashlib, expect["hash"])).digest()
    same("the signature", signature, f"{expect['scheme']},{base64.b64encode(digest).decode()}")


def later(seconds: float) -> type:
    """A clock of the official library that goes ahead."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: timezone | None = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=seconds)

    return Ahead


@check
def a_request_sent_again_later_is_refused(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    customer.post("call.ended")
    request = hook.arrived()[0]
    headers = {name.lower(): value for name, value in request.headers}
    webhook = official.Webhook(hook.made["secret"])

    def verdict(ahead_s: float, **changed: str) -> bool:
        with mock.patch.object(official, "datetime", later(ahead_s)):
            try:
                webhook.verify(request.body, {**headers, **changed})
            except official.WebhookVerificationError:
                return False
        return True

    holds("it verifies", verdict(0))
    holds("it verifies within the tolerance", verdict(expect["tolerance_s"] - 30))
    holds("it is refused after the tolerance", not verdict(expect["tolerance_s"] + 30))
    moved = str(int(headers["webhook-timestamp"]) + expect["tolerance_s"])
    holds("a newer timestamp breaks the signature", not verdict(0, **{"webhook-timestamp": moved}))


@check
def official_libraries_verify_it(world: World, expect: dict) -> None:
    same("libraries", len(expect["libraries"]), 2)
    customer = world.customer()
    hook = customer.hook()
    for kind in ("call.ended", "transcript.ready"):
        customer.post(kind)
    same("Python says", {request.python for request in hook.arrived(2)}, {"ok"})
    same("JavaScript refuses", world.javascript_refuses(hook.path), [])


@check
def retries_back_off_exponentially(world: World, expect: dict) -> None:
    customer = world.customer()
    retry = {name: expect[name] for name in ("attempts", "base_s", "factor")}
    hook = customer.hook({"fail_first": expect["attempts"] - 1}, retry=retry)
    event = customer.post("call.ended")
    same("the delivery", customer.delivery(event, hook)["state"], "succeeded")
    waited = gaps(hook.arrived(expect["attempts"]))
    for n, gap_s in enumerate(waited):
        # A wait is never shorter than its delay; the timestamps of both sides are rounded differently.
        holds(f"wait {n + 1} of {waited}", gap_s >= expect["base_s"] * expect["factor"] ** n - 0.1)
    holds(f"waits grow: {waited}", waited[-1] > waited[0])


@check
def dead_letters_are_configurable(world: World, expect: dict) -> None:
    customer = world.customer()
    retry = {"attempts": expect["attempts"]}
    settings = {"keep": True, "days": expect["days"]}
    kept = customer.hook({"status": 500}, retry=retry, dead_letter=settings)
    dropped = customer.hook({"status": 500}, retry=retry, dead_letter={"keep": False})
    same("the settings", kept.made["dead_letter"], settings)
    event = customer.post("call.ended", deliveries=2)
    for hook in (kept, dropped):
        same("it died", customer.delivery(event, hook)["state"], "dead")
        same("requests", len(hook.arrived()), expect["attempts"])
    listed = customer.api.items(customer.at("/deliveries?state=dead"))
    same("dead letters", [item["endpoint"] for item in listed], [kept.id])


@check
def filters_by_agent(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(agents=expect["agents"])
    customer.post("call.ended", deliveries=0, agent=expect["other"])
    customer.post("call.ended", deliveries=0)
    events = [customer.post("call.ended", agent=agent) for agent in expect["agents"]]
    requests = hook.arrived(len(events))
    same("events", sorted(request.event for request in requests), sorted(events))
    same("agents", sorted(json.loads(request.body)["agent"] for request in requests), sorted(expect["agents"]))


@check
def payloads_carry_metadata(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    at = "2026-11-20T05:03:46.258Z"
    event = customer.post("call.ended", agent="agt_1", occurred_at=at)
    body = hook.bodies()[0]
    values = [body.get(name) for name in expect["members"]]
    same("members", values, ["call.ended", at, event, customer.tenant, "agt_1"])


@check
def payloads_carry_related_ids(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    customer.post("call.ended", related=expect["related"])
    same("related", hook.bodies()[0]["related"], expect["related"])


@check
def payloads_carry_links(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    event = customer.post("call.ended", links=expect["links"])
    links = hook.bodies()[0]["links"]
    own = links.pop(expect["own"])
    same("links", links, expect["links"])
    record = customer.api.expect(200, "GET", own.removeprefix(customer.api.url))
    same("the link to the record", (record["id"], record["data"]), (event, world.example("call.ended")))


@check
def the_console_has_the_page(world: World, expect: dict) -> None:
    """The page and its module are served to a customer with a link; tests/console/e2e/setup.mjs does its five steps in a browser."""
    customer = world.customer()
    link = world.operator.expect(201, "POST", customer.at("/portal"), {})["url"]
    holds(f"the link opens the console: {link}", "/console/portal#" in link)
    page = customer.api.ask("GET", expect["page"].format(tenant=customer.tenant))
    same("status", page.status, 200)
    same("type", page.headers["content-type"].split(";")[0], "text/html")
    app = re.search(r'src="([^"]*/)app\.js"', page.body)
    holds("it begins the console", app is not None)
    module = customer.api.ask("GET", app[1] + expect["module"])
    same("its module", (module.status, module.headers["content-type"].split(";")[0]), (200, "text/javascript"))
    holds("which is a page", "export function Page" in module.body)


@check
def an_endpoint_is_added(world: World, expect: dict) -> None:
    answer = world.url_verdict(f"{expect['scheme']}://hooks.example.com/added")
    same("status", answer.status, 201)
    holds("it has an id", answer.body["id"].startswith("ep_"))
    same("http", world.url_verdict("http://hooks.example.com/added").code, expect["refused"])


@check
def types_are_subscribed(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook(event_types=expect["types"])
    for kind in expect["others"]:
        customer.post(kind, deliveries=0)
    for kind in expect["types"]:
        customer.post(kind)
    got = sorted(body["type"] for body in hook.bodies(len(expect["types"])))
    same("types", got, sorted(expect["types"]))


@check
def the_signing_secret_can_be_copied(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    holds("it is in the answer", hook.made["secret"].startswith(expect["prefix"]))
    shown = customer.api.expect(200, "GET", hook.at("/secret"))
    same("and can be shown again", shown["secret"], hook.made["secret"])
    customer.post("call.ended")
    same("it verifies", hook.arrived()[0].python, "ok")


@check
def an_event_is_replayed(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = customer.hook()
    event = customer.post("call.ended")
    first = hook.arrived()[0]
    for n in range(expect["times"]):
        job = customer.api.expect(202, "POST", customer.at("/replays"), {"event": event})
        again = hook.arrived(n + 2)[-1]
        same("the same id and body", (again.event, again.body), (event, first.body))
        same("it verifies", again.python, "ok")
        path = customer.at(f"/replays/{job['id']}")
        def read(path: str = path) -> dict:
            return customer.api.expect(200, "GET", path)

        wait_until("the replay is done", lambda: read()["state"] == "done", ARRIVE_S)
        same("delivered", (read()["total"], read()["failed"]), (1, 0))


@check
def nothing_leaves_without_tls(world: World, expect: dict) -> None:
    for url in expect["refused"]:
        answer = world.url_verdict(url)
        same(url, (answer.status, answer.code), (422, "url_scheme"))


@check
def nothing_lies_in_the_clear(world: World, expect: dict) -> None:
    for kind, setting in expect["resources"].items():
        found = world.template.count(f"Type: {kind}\n")
        holds(f"{kind} is there", found > 0)
        same(f"{kind} with {setting}", world.template.count(setting), found)
    customer = world.customer()
    hook = customer.hook()
    customer.post("call.ended")
    hook.arrived()
    secret = hook.made["secret"].encode()
    for file in sorted(world.redial.data.rglob("*")):
        holds(f"{file.name} does not hold a secret", not file.is_file() or secret not in file.read_bytes())
