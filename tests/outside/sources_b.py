"""Checks of system B of the sources, VoiceHub: profile `voicehub`. Each is called by rows of tests/data/sources.json,
which hold what is expected.
"""

from __future__ import annotations

import http.client
import json
from datetime import datetime
from urllib.parse import urlsplit

from sources_world import Customer, Hook, World, check, gaps, holds, same

SECRET = "a secret of our own"


def webhook(customer: Customer, behaviour: dict | None = None, **fields: object) -> Hook:
    """A webhook as a customer of B sets it up."""
    return customer.hook(behaviour, **{"profile": "voicehub", "secret": SECRET, **fields})


@check
def each_agent_has_its_own_webhook(world: World, expect: dict) -> None:
    customer = world.customer()
    hooks = {}
    for n, agent in enumerate(expect["agents"], 1):
        settings = {"timeout_ms": n * 2000, "retry": {"attempts": n, "delay_ms": n * 1500}}
        hooks[agent] = webhook(customer, agents=[agent], secret=f"secret of {agent}", **settings)
        same("the settings", {name: hooks[agent].made[name] for name in settings}, settings)
    for agent, hook in hooks.items():
        event = customer.post("call.started", agent=agent)
        request = hook.arrived()[0]
        same("the event", request.event, event)
        same("the secret", request.header("x-webhook-secret"), [f"secret of {agent}"])
        same("requests", hook.seen(), 1)


@check
def it_is_posted(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    customer.post("call.started")
    request = hook.arrived()[0]
    same("the method", request.method, expect["method"])
    same("the content type", request.header("content-type"), [expect["content_type"]])


@check
def the_chosen_secret_is_sent(world: World, expect: dict) -> None:
    customer = world.customer()
    for secret in expect["secrets"]:
        hook = webhook(customer, secret=secret, event_types=["call.started"])
        same("the answer has it", hook.made["secret"], secret)
        customer.post("call.started")
        same(expect["header"], hook.arrived()[0].header(expect["header"]), [secret])
        customer.api.expect(204, "DELETE", hook.at())


@check
def attempts_are_as_configured(world: World, expect: dict) -> None:
    customer = world.customer()
    hooks = {
        count: webhook(customer, {"status": 500}, retry={"attempts": count, "delay_ms": 1000})
        for count in expect["attempts"]
    }
    event = customer.post("call.started", deliveries=len(hooks))
    for count, hook in hooks.items():
        delivery = customer.delivery(event, hook)
        same("the delivery", (delivery["state"], len(delivery["attempts"])), ("dead", count))
        same("requests", hook.seen(), count)


@check
def the_delay_is_in_milliseconds(world: World, expect: dict) -> None:
    for delay_ms in expect["delays_ms"]:
        customer = world.customer()
        retry = {"attempts": 3, "delay_ms": delay_ms}
        hook = webhook(customer, {"fail_first": 2}, retry=retry)
        same("the settings are echoed as given", hook.made["retry"], retry)
        event = customer.post("call.started")
        same("the delivery", customer.delivery(event, hook)["state"], "succeeded")
        waited = gaps(hook.arrived(3))
        # A wait is never shorter than its delay; the timestamps of both sides are rounded differently.
        holds(f"{delay_ms} ms: {waited}", all(gap_s >= delay_ms / 1000 - 0.1 for gap_s in waited))


@check
def the_timeout_is_as_configured(world: World, expect: dict) -> None:
    customer = world.customer()
    slow = {"delay_ms": expect["answers_after_ms"]}
    hook = webhook(customer, slow, timeout_ms=expect["timeout_ms"], retry={"attempts": 1})
    event = customer.post("call.started")
    attempt = customer.delivery(event, hook)["attempts"][0]
    same("the attempt", attempt["code"], "timeout")
    took_ms = attempt["duration_ms"]
    holds(f"{took_ms} ms", expect["timeout_ms"] <= took_ms < expect["answers_after_ms"])


@check
def an_event_has_exactly_its_members(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    at = "2026-11-20T05:03:46.258Z"
    data = {"call_id": "call_1", "analysis_id": "an_1", "status": "busy", "more": [1]}
    links = {"analysis": "https://platform.example/an_1", "call": "https://platform.example/call_1"}
    event = customer.post(expect["type"], data, occurred_at=at, links=links)
    body = hook.bodies()[0]
    same("members", list(body), expect["members"])
    values = {
        "eventType": expect["eventType"],
        "timestamp": at,
        "eventId": event,
        "callId": "call_1",
        "status": "busy",
        "analysisId": "an_1",
        "analysisResultUrl": links["analysis"],
    }
    same("values", body, {name: values[name] for name in expect["members"]})


@check
def the_timestamp_is_an_iso_date(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    customer.post("call.started", occurred_at=expect["given"])
    same("as given", hook.bodies()[0]["timestamp"], expect["given"])
    customer.post("call.started")
    minted = hook.bodies(2)[1]["timestamp"]
    holds(f"{minted} is a string with a date and a zone", datetime.fromisoformat(minted).tzinfo is not None)


@check
def event_ids_are_unique(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer, {"fail_first": 1}, retry={"attempts": 2, "delay_ms": 1000})
    events = [customer.post("call.started") for _ in range(expect["events"])]
    bodies = hook.bodies(2 * expect["events"])
    same("an id for each event", sorted({body["eventId"] for body in bodies}), sorted(events))
    same("ids", len(set(events)), expect["events"])
    same("the same one when it is tried again", len(bodies), 2 * expect["events"])


@check
def a_status_is_carried(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    customer.post("call.status_changed", {"call_id": "c1", "status": expect["status"]})
    body = hook.bodies()[0]
    same("the event", (body["eventType"], body["status"]), ("CallStatusChanged", expect["status"]))


@check
def a_type_becomes_a_status(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    for data in ({"call_id": "c1"}, {"call_id": "c1", "status": "a word of the platform's own"}):
        customer.post(expect["type"], data)
    for body in hook.bodies(2):
        same("the event", (body["eventType"], body["status"]), (expect["eventType"], expect["status"]))


@check
def a_type_becomes_an_event(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    customer.post(expect["type"])
    same("the event", hook.bodies()[0]["eventType"], expect["eventType"])


@check
def a_type_without_a_name_does_not_arrive(world: World, expect: dict) -> None:
    customer = world.customer()
    hook = webhook(customer)
    for kind in expect["types"]:
        customer.post(kind, deliveries=0)
    last = customer.post("call.started")
    same("events", [request.event for request in hook.arrived()], [last])


@check
def the_analysis_url_is_the_given_link(world: World, expect: dict) -> None:
    customer = world.customer(analysis_url="https://api.platform-example.com/unused/{analysis_id}")
    hook = webhook(customer)
    customer.post("analysis.ready", links={"analysis": expect["link"]})
    same("analysisResultUrl", hook.bodies()[0]["analysisResultUrl"], expect["link"])


@check
def the_analysis_url_is_made_by_the_template(world: World, expect: dict) -> None:
    customer = world.customer(analysis_url=expect["template"])
    hook = webhook(customer)
    event = customer.post("analysis.ready", {"call_id": "call_1", "analysis_id": "an_1"})
    filled = expect["template"].format(call_id="call_1", analysis_id="an_1", event_id=event)
    same("analysisResultUrl", hook.bodies()[0]["analysisResultUrl"], filled)


RECORD = {
    "callId": "call_1",
    "summary": "The customer moved an appointment.",
    "sentiment": {"score": 0.6, "label": "positive", "positiveKeywords": ["thanks"], "negativeKeywords": []},
    "duration": 134.6,
    "recordingUrls": ["https://media.platform.example/r/call_1.opus"],
    "mainTopics": ["appointment"],
    "loyaltyIndicators": ["repeat customer"],
    "extractedVariables": {"date": "2026-11-24"},
    "empathyScore": 8,
    "resolutionStatus": "resolved",
    "userInterruptionsCount": 1,
    "createdAt": "2026-11-20T05:03:46.258Z",
    "updatedAt": "2026-11-20T05:04:46.258Z",
}
SUMMARY = {
    "totalSpeechDuration": 60.5,
    "totalSilenceDuration": 4.1,
    "totalInterruptionDuration": 0.7,
    "wps": 2.4,
    "sentiment": RECORD["sentiment"],
    "keyPhrases": {"positive": ["thank you"], "negative": []},
}
TURN = {
    "text": "Good morning",
    "speaker": "user",
    "sentiment": RECORD["sentiment"],
    "start": 0.0,
    "end": 1.5,
    "duration": 1.5,
    "wps": 1.3,
}
RECORD |= {name: SUMMARY for name in ("userSummary", "assistantSummary", "totalSummary")}
RECORD |= {"transcriptAnalysis": [TURN]}


def fetched(world: World, headers: dict[str, str]) -> tuple[dict, Hook]:
    """The platform serves a record; its customer is told where, and fetches it. Gives it, and the platform's place."""
    customer = world.customer()
    platform = customer.place(body=json.dumps(RECORD), headers={"content-type": "application/json"})
    hook = webhook(customer)
    customer.post("analysis.ready", links={"analysis": platform.url})
    url = hook.bodies()[0]["analysisResultUrl"]
    same("the URL that the customer is told", url, platform.url)
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request("GET", parts.path, headers=headers)
    record = json.loads(connection.getresponse().read())
    connection.close()
    return record, platform


@check
def the_record_is_fetched_with_the_platforms_key(world: World, expect: dict) -> None:
    record, platform = fetched(world, {expect["header"]: "key of the platform"})
    same("the record", record, RECORD)
    requests = platform.arrived()
    same("requests, all of them the customer's", [request.method for request in requests], ["GET"])
    same(expect["header"], requests[0].header(expect["header"]), ["key of the platform"])


# The record below is the one that stands for the platform's: that it is fetched where Redial says, unchanged, is all that
# this can show. Its rows are `served_by` the platform and do not count as holding.
@check
def the_record_arrives_as_served(world: World, expect: dict) -> None:
    record, _ = fetched(world, {})
    if "list" in expect:
        parts = record[expect["list"]]
    elif "summaries" in expect:
        parts = [record[name] for name in expect["summaries"]]
    else:
        parts = [record]
    for part in parts:
        holds(f"members of {sorted(part)}", set(expect["members"]) <= set(part))
        for inner in ("sentiment", "keyPhrases"):
            if inner in expect:
                same(inner, sorted(part[inner]), sorted(expect[inner]))
