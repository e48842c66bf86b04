"""Hostile input, row by row (tests/data/hostile-urls.tsv, hostile-inputs.tsv): each gets its verdict, a refusal has a
stable code, nothing of what is refused is stored or sent, and a canary on 127.0.0.2 is never reached.

Endpoints at public addresses are made on a server of their own, which never gets an event: nothing here leaves loopback.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Iterator
from urllib.parse import quote

import calls
from checks import Report, run
from ledger import Receiver
from product import ROOT, Answer, Origin, Redial

DATA = ROOT / "tests" / "data"
TENANT = "acme"
# How long what is accepted may take to arrive, in seconds.
ARRIVE_S = 60


def text_of(cell: str) -> str:
    """What a cell stands for: `{{REP:text:n}}` is repeated, the rest is JSON string content."""
    spread = re.sub(r"\{\{REP:(.*?):(\d+)\}\}", lambda m: m[1] * int(m[2]), cell)
    return json.loads(f'"{spread}"')


def rows(file: str, cells: int) -> Iterator[list[str]]:
    """The rows of a corpus."""
    for line in (DATA / file).read_text().splitlines():
        row = line.split("\t")
        assert len(row) == cells and row[-2] in ("accept", "reject"), line
        yield row


def wrong_verdict(verdict: str, answer: Answer, accepted: tuple[int, ...]) -> str | None:
    """Why an answer is not the verdict, if it is not: a refusal is a 4xx problem with a code."""
    if verdict == "accept":
        return None if answer.status in accepted else f"accepted input got {answer.status} {answer.code}"
    if 400 <= answer.status < 500 and answer.code and answer.body.get("status") == answer.status:
        return None
    return f"hostile input got {answer.status} {str(answer.body)[:200]}"


def check_urls(report: Report, api: Origin) -> None:
    """Every URL as an endpoint's, by the rules of a deployment. Their tenant never gets an event."""
    tenant = "targets"
    api.ask("PUT", f"/v1/tenants/{tenant}", {})
    wrong, accepted, patched = [], [], []
    counts = {"accept": 0, "reject": 0}
    path = f"/v1/tenants/{tenant}/endpoints"
    changed = api.expect(201, "POST", path, {"url": "https://hooks.example.com/first"})
    for cell, verdict, why in rows("hostile-urls.tsv", 3):
        url = text_of(cell)
        answer = api.ask("POST", path, {"url": url})
        counts[verdict] += 1
        fault = wrong_verdict(verdict, answer, (201,))
        if fault is None and verdict == "reject" and answer.body.get("field") != "url":
            fault = f"refused, but field is {answer.body.get('field')!r}"
        if fault is not None:
            wrong.append(f"{cell[:80]} ({why}): {fault}")
        if answer.status == 201:
            accepted.append(url)
        fault = wrong_verdict(verdict, api.ask("PATCH", f"{path}/{changed['id']}", {"url": url}), (200,))
        if fault is not None:
            patched.append(f"{cell[:80]} ({why}): {fault}")
    report.nothing(f"{counts['reject']} hostile URLs are refused with a code, {counts['accept']} others taken", wrong)
    report.nothing("and so they are in a change of an endpoint", patched)
    api.expect(204, "DELETE", f"{path}/{changed['id']}")
    stored = [item["url"] for item in api.items(f"{path}?limit=100")]
    report.equal("nothing of a refused URL is stored", sorted(stored), sorted(accepted))


def posted(number: int, **fields: str) -> bytes:
    """An event whose members are given as JSON text."""
    members = {"id": f'"hostile_{number}"', "type": '"call.ended"', "tenant": f'"{TENANT}"', "data": "{}"} | fields
    return ("{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}").encode("utf-8", "surrogatepass")


def check_events(report: Report, api: Origin, receiver: Receiver, folder: Path) -> None:
    """Payloads, event types and ids, each as a part of an event."""
    columns = {"payload": "data", "event-type": "type", "id": "id"}
    sent: dict[str, str] = {}
    for kind, field in columns.items():
        wrong = []
        count = 0
        for number, (row_kind, cell, verdict, why) in enumerate(rows("hostile-inputs.tsv", 4)):
            if row_kind != kind:
                continue
            count += 1
            text = text_of(cell)
            raw = text if kind == "payload" else json.dumps(text)
            answer = api.ask("POST", "/v1/events", posted(number, **{field: raw}))
            fault = wrong_verdict(verdict, answer, (202,))
            if fault is not None:
                wrong.append(f"{cell[:80]} ({why}): {fault}")
            elif verdict == "accept":
                sent[answer.body["id"]] = raw if kind == "payload" else "{}"
        report.nothing(f"{count} rows of {kind} get their verdict", wrong)
    receiver.wait_for("what was accepted", "/hook", len(sent), ARRIVE_S)
    stored = sorted(item["id"] for item in api.items(f"/v1/tenants/{TENANT}/events?limit=100"))
    report.equal("nothing of what was refused is stored", stored, sorted(sent))
    requests = receiver.requests()
    report.equal("nothing of what was refused is sent", sorted(r.event for r in requests), sorted(sent))
    changed = [
        f"{r.event}: {text[:100]!r}"
        for r in requests
        if (text := calls.raw_members(r.body.decode()).get("data", "")) != sent.get(r.event, "").strip()
    ]
    report.nothing("what is only unusual arrives byte for byte", changed)
    report.nothing(
        "the official Python library verifies it", [f"{r.event}: {r.python}" for r in requests if r.python != "ok"]
    )
    said = receiver.verify_with_javascript(folder)
    report.equal("and so does the JavaScript library", (said["verified"], said["refused"]), (len(requests), []))


def check_headers(report: Report, api: Origin) -> None:
    """Custom headers, in a new endpoint, in a change of one, and as the header of an API key."""
    path = f"/v1/tenants/{TENANT}/endpoints"
    url = "http://127.0.0.1:9999/"
    changed = f"{path}/{api.expect(201, 'POST', path, {'url': url, 'active': False})['id']}"
    wrong, count, taken = [], 0, 0
    for kind, cell, verdict, why in rows("hostile-inputs.tsv", 4):
        if kind not in ("header", "header-value"):
            continue
        count += 1
        name, value = (text_of(cell), "value") if kind == "header" else ("X-Custom", text_of(cell))
        headers = {"headers": {name: value}}
        # One of them sends a header: with both of one name it would be refused for that.
        auth = {"auth": {"type": "api_key", "header": name, "value": value}, "headers": None}
        made = api.ask("POST", path, {"url": url, "active": False} | headers)
        taken += made.status == 201
        for answer in (made, api.ask("PATCH", changed, headers), api.ask("PATCH", changed, auth)):
            fault = wrong_verdict(verdict, answer, (200, 201))
            if fault is None and verdict == "reject" and answer.body.get("field") not in (
                "headers",
                "auth.header",
                "auth.value",
            ):
                fault = f"refused, but field is {answer.body.get('field')!r}"
            if fault is not None:
                wrong.append(f"{cell[:80]} ({why}): {fault}")
        api.expect(200, "PATCH", changed, {"headers": None, "auth": None})
    report.nothing(f"{count} rows of headers get their verdict, new, changed and as an API key", wrong)
    stored = [item for item in api.items(f"{path}?limit=100") if item["header_names"]]
    report.equal("nothing of a refused header is stored", len(stored), taken)


def check_secrets(report: Report, api: Origin) -> None:
    """Rows that no secret may be, in a new endpoint and in a rotation, of a profile that takes any text."""
    path = f"/v1/tenants/{TENANT}/endpoints"
    wanted = {"url": "http://127.0.0.1:9999/", "active": False, "profile": "voicehub"}
    made = api.expect(201, "POST", path, wanted | {"secret": "as chosen"})
    wrong, count = [], 0
    for kind, cell, verdict, why in rows("hostile-inputs.tsv", 4):
        # An empty text and one of printable characters are no attack on a header.
        if kind != "header-value" or verdict != "reject":
            continue
        count += 1
        secret = {"secret": text_of(cell)}
        for answer in (api.ask("POST", path, wanted | secret), api.ask("POST", f"{path}/{made['id']}/rotate", secret)):
            fault = wrong_verdict("reject", answer, ())
            if fault is not None or answer.body.get("field") != "secret":
                wrong.append(f"{cell[:80]} ({why}): {fault or answer.body}")
    report.nothing(f"{count} rows that would break a header are no secrets", wrong)
    stored = api.expect(200, "GET", f"{path}/{made['id']}/secret")
    report.equal("the secret stays as it was", (stored["secret"], stored["previous"]), ("as chosen", None))


def check_params(report: Report, api: Origin) -> None:
    """Query parameters, as written and under the names that our lists have."""
    own = {"before": ("since", "until"), "status": ("state",)}
    wrong, count = [], 0
    for kind, cell, verdict, why in rows("hostile-inputs.tsv", 4):
        if kind != "param":
            continue
        text = text_of(cell)
        name, _, value = text.partition("=")
        for query in (text, *(f"{other}={value}" for other in own.get(name, ()))):
            for path in ("events", "deliveries", "replays"):
                count += 1
                fault = wrong_verdict(verdict, api.ask("GET", f"/v1/tenants/{TENANT}/{path}?{query}"), (200,))
                if fault is not None:
                    wrong.append(f"{path}?{query[:60]} ({why}): {fault}")
    report.nothing(f"{count} hostile queries of lists are refused", wrong)


def check_paths(report: Report, api: Origin) -> None:
    """Hostile ids as a part of the path: refused or not there, never a fault of ours."""
    wrong, count = [], 0
    for kind, cell, _, why in rows("hostile-inputs.tsv", 4):
        if kind != "id" or not cell:
            continue
        text = quote(text_of(cell), safe="")
        for path in (
            f"/v1/tenants/{text}",
            f"/v1/tenants/{TENANT}/events/{text}",
            f"/v1/tenants/{TENANT}/deliveries/{text}",
            f"/v1/tenants/{TENANT}/endpoints/{text}",
            f"/v1/tenants/{TENANT}/replays/{text}",
        ):
            count += 1
            fault = wrong_verdict("reject", api.ask("GET", path), ())
            if fault is not None:
                wrong.append(f"{path[:80]} ({why}): {fault}")
    report.nothing(f"{count} paths with a hostile id are refused", wrong)


def check_local_targets(report: Report, api: Origin, canary: Receiver) -> None:
    """A local run allows http and 127.0.0.1, and nothing else that is private."""
    port = canary.origin.rsplit(":", 1)[1]
    hosts = (
        "127.0.0.2",
        "0.0.0.0",
        "127.1",
        "2130706434",
        "0x7f000002",
        "[::1]",
        "[::ffff:127.0.0.2]",
        "10.0.0.1",
        "169.254.169.254",
    )
    wrong = [
        f"{host}: {answer.status}"
        for host in hosts
        if (answer := api.ask("POST", f"/v1/tenants/{TENANT}/endpoints", {"url": f"http://{host}:{port}/"})).status
        < 400
    ]
    report.nothing(f"{len(hosts)} other private targets are refused by a local run too", wrong)


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        canary = Receiver(folder, "127.0.0.2", "canary")
        (folder / "strict").mkdir()
        strict = Redial(folder / "strict", "--strict-targets")
        local = Redial(folder)
        try:
            check_urls(report, strict.start())
            api = local.start()
            assert api.ask("PUT", f"/v1/tenants/{TENANT}", {"allow_unknown_types": True}).status in (200, 201)
            check_local_targets(report, api, canary)
            endpoint = api.expect(201, "POST", f"/v1/tenants/{TENANT}/endpoints", {"url": f"{receiver.origin}/hook"})
            receiver.behave("/hook", secret=endpoint["secret"])
            check_events(report, api, receiver, folder)
            check_headers(report, api)
            check_secrets(report, api)
            check_params(report, api)
            check_paths(report, api)
            report.equal("the canary was never reached", canary.requests(), [])
        finally:
            for redial in (strict, local):
                if redial.process is not None:
                    redial.stop()


if __name__ == "__main__":
    run("hostile", script)
