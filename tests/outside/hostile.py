"""Hostile input, row by row (tests/data/hostile-urls.tsv, hostile-inputs.tsv, and ours in hostile-*-more.tsv): each gets its
verdict, a refusal has a stable code, nothing of what is refused is stored or sent, and a canary on 127.0.0.2 is never reached,
although every server here runs with all proxies of its environment pointing at it.

Endpoints at public addresses are made on a server of their own, which never gets an event: nothing here leaves loopback.
What names resolve to (hostile-resolutions.tsv) is judged where it can be said: shared/egress/tests/receivers/corpus.rs.
"""

from __future__ import annotations

import json
import re
import socket
import tempfile
import threading
from pathlib import Path
from typing import Iterator
from urllib.parse import quote

import calls
from checks import Report, run, wait_until
from ledger import Receiver
from product import ROOT, Answer, Origin, Redial

DATA = ROOT / "tests" / "data"
TENANT = "acme"
# How long what is accepted may take to arrive, in seconds.
ARRIVE_S = 60
# Longer URLs are refused by the HTTP server itself, before there is a problem to tell.
MAX_PATH_ID = 4_000
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


class Canary:
    """Listens on 127.0.0.2 and notes every connection, whatever is said on it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.2", 0))
        self.port = self.listener.getsockname()[1]
        self.peers: list[tuple[str, int]] = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while True:
            connection, peer = self.listener.accept()
            self.peers.append(peer)
            connection.close()

    def was_never_reached(self, report: Report) -> None:
        """Reached by us last, it has noted that and nothing else: connections queue in order."""
        with socket.create_connection(("127.0.0.2", self.port)) as ours:
            wait_until("our own connection", lambda: ours.getsockname() in self.peers, ARRIVE_S)
            expected = [ours.getsockname()]
        report.equal("the canary was never reached, by no name, address or proxy", self.peers, expected)


def text_of(cell: str) -> str:
    """What a cell stands for: `{{REP:text:n}}` is repeated, the rest is JSON string content."""
    spread = re.sub(r"\{\{REP:(.*?):(\d+)\}\}", lambda m: m[1] * int(m[2]), cell)
    return json.loads(f'"{spread}"')


def rows(corpus: str, cells: int) -> Iterator[list[str]]:
    """The rows of a corpus, and of our additions to it."""
    for file in (f"{corpus}.tsv", f"{corpus}-more.tsv"):
        # Not `splitlines`: cells have line separators of other scripts.
        for line in (DATA / file).read_text(encoding="utf-8").removesuffix("\n").split("\n"):
            row = line.split("\t")
            assert len(row) == cells and row[-2] in ("accept", "reject"), line
            yield row


def is_text(text: str) -> bool:
    """False for a text with half a surrogate pair: the request that holds it is refused, not one field of it."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def verdicts(report: Report, what: str, count: int, wrong: list) -> None:
    """A check of a corpus, with its count."""
    right = 100 * (count - len(wrong)) / count
    report.nothing(f"{right:g} % of {count} verdicts: {what}", wrong)


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
    wrong, stored, patched = [], [], []
    counts = {"accept": 0, "reject": 0}
    path = f"/v1/tenants/{tenant}/endpoints"
    first = "https://hooks.example.com/first"
    changed = api.expect(201, "POST", path, {"url": first})
    for cell, verdict, why in rows("hostile-urls", 3):
        url = text_of(cell)
        answer = api.ask("POST", path, {"url": url})
        counts[verdict] += 1
        fault = wrong_verdict(verdict, answer, (201,))
        if fault is None and verdict == "reject" and is_text(url) and answer.body.get("field") != "url":
            fault = f"refused, but field is {answer.body.get('field')!r}"
        if fault is not None:
            wrong.append(f"{cell[:80]} ({why}): {fault}")
        if answer.status == 201:
            # More than a tenant can have: each is there, and goes.
            if api.expect(200, "GET", f"{path}/{answer.body['id']}")["url"] != url:
                stored.append(f"{cell[:80]}: stored as another")
            api.expect(204, "DELETE", f"{path}/{answer.body['id']}")
        answer = api.ask("PATCH", f"{path}/{changed['id']}", {"url": url})
        fault = wrong_verdict(verdict, answer, (200,))
        if fault is not None:
            patched.append(f"{cell[:80]} ({why}): {fault}")
        if answer.status == 200:
            first = url
    count = sum(counts.values())
    said = f"{counts['reject']} URLs are refused with a code, {counts['accept']} taken"
    verdicts(report, f"{said}, for a new endpoint", count, wrong)
    verdicts(report, f"{said}, in a change of one", count, patched)
    report.nothing("what is taken is stored as it was given", stored)
    left = [item["url"] for item in api.items(f"{path}?limit=100")]
    report.equal("nothing of a refused URL is stored", left, [first])


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
        for number, (row_kind, cell, verdict, why) in enumerate(rows("hostile-inputs", 4)):
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
        verdicts(report, f"rows of {kind}", count, wrong)
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
    for kind, cell, verdict, why in rows("hostile-inputs", 4):
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
            fields = ("headers", "auth.header", "auth.value")
            if fault is None and verdict == "reject" and is_text(name + value) and answer.body.get("field") not in fields:
                fault = f"refused, but field is {answer.body.get('field')!r}"
            if fault is not None:
                wrong.append(f"{cell[:80]} ({why}): {fault}")
        api.expect(200, "PATCH", changed, {"headers": None, "auth": None})
    verdicts(report, "rows of headers, for a new endpoint, in a change of one and as an API key", count, wrong)
    stored = [item for item in api.items(f"{path}?limit=100") if item["header_names"]]
    report.equal("nothing of a refused header is stored", len(stored), taken)


def check_the_wire(report: Report, api: Origin, receiver: Receiver) -> None:
    """A request as its receiver reads it from the socket: each header once, the customer's before ours."""
    taken = [
        text_of(cell)
        for kind, cell, verdict, _ in rows("hostile-inputs", 4)
        if kind == "header" and verdict == "accept" and text_of(cell).lower() not in ("authorization", "accept")
    ]
    custom = {name: f"value of {name[:9]}" for name in taken[:20]}
    auth = {"type": "bearer", "token": "abc.def"}
    wanted = {"url": f"{receiver.origin}/wire", "headers": custom, "auth": auth, "event_types": ["wire.seen"]}
    made = api.expect(201, "POST", f"/v1/tenants/{TENANT}/endpoints", wanted)
    receiver.behave("/wire", secret=made["secret"])
    api.expect(202, "POST", "/v1/events", posted(0, id='"wire_1"', type='"wire.seen"'))
    receiver.wait_for("the request", "/wire", 1, ARRIVE_S)
    (request,) = [request for request in receiver.requests() if request.path == "/wire"]
    names = [name.lower() for name, _ in request.headers]
    report.equal("every header is on the wire once", sorted(names), sorted(set(names)))
    got = {name: request.header(name.lower()) for name in custom}
    report.equal(f"{len(custom)} custom headers arrive", got, {name: [value] for name, value in custom.items()})
    ours = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "user-agent")
    first_of_ours = min(names.index(name) for name in ours)
    last_of_theirs = max(names.index(name.lower()) for name in custom)
    report.check("ours are set after the customer's", last_of_theirs < first_of_ours, names)
    report.equal("and the authentication", request.header("authorization"), ["Bearer abc.def"])
    api.expect(204, "DELETE", f"/v1/tenants/{TENANT}/endpoints/{made['id']}")


def check_secrets(report: Report, api: Origin) -> None:
    """Rows that no secret may be, in a new endpoint and in a rotation, of a profile that takes any text."""
    path = f"/v1/tenants/{TENANT}/endpoints"
    wanted = {"url": "http://127.0.0.1:9999/", "active": False, "profile": "voicehub"}
    made = api.expect(201, "POST", path, wanted | {"secret": "as chosen"})
    wrong, count = [], 0
    for kind, cell, verdict, why in rows("hostile-inputs", 4):
        # Spaces at its ends break no header of a secret: they are a part of it.
        if kind != "header-value" or verdict != "reject" or not is_text(text_of(cell)) or "space at an end" in why:
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
    for kind, cell, verdict, why in rows("hostile-inputs", 4):
        if kind != "param":
            continue
        text = text_of(cell)
        name, _, value = text.partition("=")
        text, value = (quote(part, safe="%&=+[]$':;,./-_") for part in (text, value))
        for query in (text, *(f"{other}={value}" for other in own.get(name, ()))):
            for path in ("events", "deliveries", "replays"):
                count += 1
                fault = wrong_verdict(verdict, api.ask("GET", f"/v1/tenants/{TENANT}/{path}?{query}"), (200,))
                if fault is not None:
                    wrong.append(f"{path}?{query[:60]} ({why}): {fault}")
    verdicts(report, "queries of lists", count, wrong)


def check_paths(report: Report, api: Origin) -> None:
    """Hostile ids as a part of the path: refused or not there, never a fault of ours."""
    wrong, count = [], 0
    for kind, cell, verdict, why in rows("hostile-inputs", 4):
        if kind != "id" or verdict != "reject" or not cell or len(text_of(cell)) > MAX_PATH_ID:
            continue
        text = quote(text_of(cell).encode("utf-8", "surrogatepass"), safe="")
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
    verdicts(report, "paths with a hostile id", count, wrong)


def check_local_targets(report: Report, api: Origin, canary: Canary) -> None:
    """A local run allows http and 127.0.0.1, and nothing else that is private."""
    port = canary.port
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


def check_older_rows(report: Report, folder: Path, receiver: Receiver, proxies: dict[str, str]) -> None:
    """Endpoints that were made under other rules: events, replays and test sends are blocked when they are to leave."""
    folder.mkdir()
    older, newer = Redial(folder), Redial(folder, "--strict-targets")
    older.environment = newer.environment = proxies
    path = f"/v1/tenants/{TENANT}"
    try:
        api = older.start()
        api.ask("PUT", path, {})
        port = receiver.origin.rsplit(":", 1)[1]
        urls = [f"http://{host}:{port}/older" for host in ("127.0.0.1", "localhost")] + [f"https://127.0.0.1:{port}/older"]
        ids = [api.expect(201, "POST", f"{path}/endpoints", {"url": url})["id"] for url in urls]
        older.stop()
        api = newer.start()
        api.expect(202, "POST", "/v1/events", posted(0))
        deliveries = [f"{path}/deliveries/hostile_0.{endpoint}" for endpoint in ids]
        for delivery in list(deliveries):
            wait_until("the end of it", lambda: api.ask("GET", delivery).body.get("state") == "dead", ARRIVE_S)
            job = api.expect(202, "POST", f"{path}/replays", {"delivery": delivery.rsplit("/", 1)[1]})["id"]
            deliveries.append(f"{delivery}.{job}")
            wait_until("its replay", lambda: api.ask("GET", f"{delivery}.{job}").body.get("state") == "dead", ARRIVE_S)
        attempts = [attempt["code"] for delivery in deliveries for attempt in api.ask("GET", delivery).body["attempts"]]
        report.equal("rows older than a rule: deliveries and replays", attempts, ["blocked"] * 2 * len(ids))
        tests = [api.ask("POST", f"{path}/endpoints/{endpoint}/test").body.get("code") for endpoint in ids]
        report.equal("rows older than a rule: test sends", tests, ["blocked"] * len(ids))
        report.equal("and nothing was sent", receiver.summary().get("/older"), None)
    finally:
        for redial in (older, newer):
            if redial.process is not None and redial.process.poll() is None:
                redial.stop()


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        canary = Canary()
        (folder / "strict").mkdir()
        strict = Redial(folder / "strict", "--strict-targets")
        local = Redial(folder)
        proxies = {name: f"http://127.0.0.2:{canary.port}" for name in PROXIES} | {"NO_PROXY": "", "no_proxy": ""}
        strict.environment = local.environment = proxies
        try:
            api = strict.start()
            api.patient = True
            check_urls(report, api)
            api = local.start()
            api.patient = True
            tenant = {"allow_unknown_types": True, "max_endpoints": 200}
            assert api.ask("PUT", f"/v1/tenants/{TENANT}", tenant).status in (200, 201)
            check_local_targets(report, api, canary)
            endpoint = api.expect(201, "POST", f"/v1/tenants/{TENANT}/endpoints", {"url": f"{receiver.origin}/hook"})
            receiver.behave("/hook", secret=endpoint["secret"])
            check_events(report, api, receiver, folder)
            check_the_wire(report, api, receiver)
            check_headers(report, api)
            check_secrets(report, api)
            check_params(report, api)
            check_paths(report, api)
            check_older_rows(report, folder / "older", receiver, proxies)
            canary.was_never_reached(report)
        finally:
            for redial in (strict, local):
                if redial.process is not None:
                    redial.stop()


if __name__ == "__main__":
    run("hostile", script)
