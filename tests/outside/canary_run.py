"""A full run with a canary in every secret and in everything that a customer would not want in a log: what is asked of the
product, and every answer looked through on the spot.

Knows which answers are documented to show a secret, and lets no other one pass.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import string
import time
from typing import Any
from urllib.parse import urlsplit

from canary_scan import Canary, Finding, Scanner
from checks import wait_until
from isolation_world import WEBHOOK_EVENTS, Operation
from ledger import Receiver

TENANT = "acme"
AT = f"/v1/tenants/{TENANT}"
# How long something may take, in seconds.
DONE_S = 60
ANSWER_S = 60
# How often one request is repeated that came too soon.
PATIENCE = 5
LETTERS = string.ascii_letters + string.digits


class Run:
    """Who asks, and what must not be seen."""

    def __init__(self, url: str, key: str, receiver: Receiver) -> None:
        self.key = key
        self.receiver = receiver
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_S)
        self.scanner = Scanner([])
        self.canaries: list[Canary] = []
        # Every answer: what was asked, what came, and the canaries that it may show.
        self.answers: list[tuple[str, bytes, set[str]]] = []
        # What the last answer asked to wait, in seconds.
        self.wait_s = 0
        self.learned("operator's key", key.split("_", 2)[2].encode())

    def learned(self, name: str, text: bytes, kind: str = "secret") -> None:
        """One more canary."""
        self.canaries.append(Canary(name, text, kind))

    def canary(self, name: str, kind: str = "secret", length: int = 32) -> str:
        """A new canary: letters and digits, which no encoding of text alters."""
        text = "cn" + "".join(secrets.choice(LETTERS) for _ in range(length - 2))
        self.learned(name, text.encode(), kind)
        return text

    def signing(self, name: str) -> str:
        """A signing secret to import."""
        return "whsec_" + base64.b64encode(self.canary(name).encode()).decode()

    def minted(self, name: str, secret: str) -> None:
        """A signing secret that the product made."""
        self.learned(name, base64.b64decode(secret.removeprefix("whsec_")))

    def ask(
        self,
        what: str,
        method: str,
        path: str,
        body: object = None,
        shows: set[str] | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = None,
    ) -> tuple[int, Any]:
        """One request. `what` says what is asked, without any canary; `shows` names those that the answer may hold."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json"} | (headers or {})
        for is_last in (False, True):
            try:
                self.connection.request(method, path, body=raw, headers={n: v for n, v in sent.items() if v})
                response = self.connection.getresponse()
                text = response.read()
                break
            except (ConnectionError, http.client.HTTPException):
                # The server has closed a connection that waited.
                self.connection.close()
                if is_last:
                    raise
        head = "\n".join(f"{name}: {value}" for name, value in response.getheaders()).encode()
        self.answers.append((f"answer: {what} ({response.status})", head + b"\n\n" + text, shows or set()))
        self.wait_s = int(response.headers.get("retry-after", "0"))
        try:
            return response.status, json.loads(text) if text else None
        except ValueError:
            return response.status, text

    def do(
        self, what: str, method: str, path: str, body: object = None, shows: set[str] | None = None, **more: Any
    ) -> Any:
        """The body of an answer that must be a success. Who asks too often, as a fast machine does, waits as he is told."""
        status, answer = self.ask(what, method, path, body, shows, **more)
        for _ in range(PATIENCE):
            if status != 429:
                break
            time.sleep(self.wait_s)
            status, answer = self.ask(what, method, path, body, shows, **more)
        assert 200 <= status < 300, (what, status, answer)
        return answer

    def endpoint(
        self, what: str, path: str, own: dict[str, Any], signing: str = "", shows: set[str] | None = None
    ) -> dict:
        """A new endpoint. A secret that is not imported is minted, and a canary from then on."""
        fields = {"url": f"{self.receiver.origin}{path}", **own} | ({"secret": signing} if signing else {})
        made = self.do(
            f"create_endpoint {what}", "POST", f"{AT}/endpoints", fields, {f"secret of {what}", *(shows or ())}
        )
        if not signing:
            self.minted(f"secret of {what}", made["secret"])
        self.receiver.behave(path, **({"secret": made["secret"]} if made["secret"].startswith("whsec_") else {}))
        return made

    def found(self, canaries: list[Canary] | None = None) -> Scanner:
        """Looks through all answers so far. What a documented reveal shows is no finding."""
        scanner = Scanner(self.canaries if canaries is None else canaries)
        for place, text, shows in self.answers:
            scanner.scan(place, text)
            scanner.findings -= {f for f in scanner.findings if f.place == place and f.canary in shows}
        return scanner


def answered(finding: Finding) -> bool:
    """True if it was in an answer."""
    return finding.place.startswith("answer: ")


def endpoints(run: Run) -> dict[str, dict]:
    """One of each kind of authentication and profile, with custom headers, minted and imported secrets."""
    custom = {"X-Custom": run.canary("custom header")}
    value = run.canary("value of an API key")
    made = {
        "api key": run.endpoint(
            "api key",
            f"/{run.canary('path of a URL', 'content')}",
            {"auth": {"type": "api_key", "header": "X-Api-Key", "value": value}, "headers": custom},
            run.signing("secret of api key"),
        )
    }
    # A user name is shown; but where it stands alone, as with some that take a key there, it is the secret.
    basic = {"type": "basic", "username": run.canary("user name", "content"), "password": run.canary("password")}
    alone = {"type": "basic", "username": run.canary("user name alone"), "password": ""}
    told = {"description": run.canary("description", "content"), "metadata": {"k": run.canary("metadata", "content")}}
    made["basic"] = run.endpoint("basic", "/basic", {"auth": basic, **told})
    made["alone"] = run.endpoint("alone", "/alone", {"auth": alone})
    made["bearer"] = run.endpoint("bearer", "/bearer", {"auth": {"type": "bearer", "token": run.canary("token")}})
    made["voicehub"] = run.endpoint("voicehub", "/hub", {"profile": "voicehub"}, run.canary("secret of voicehub"))
    # It fails for good at once, and says something.
    failing = {"auth": {"type": "bearer", "token": run.canary("failing token")}, "retry": {"attempts": 1}}
    made["failing"] = run.endpoint("failing", "/failing", {**failing, "headers": {"X-F": run.canary("failing header")}})
    answer = {"status": 500, "body": run.canary("body of an answer", "content")}
    run.receiver.behave("/failing", **answer, headers={"x-answer": run.canary("header of an answer", "content")})
    # It fails, and its deliveries wait in a queue.
    waiting = {"auth": {"type": "bearer", "token": run.canary("waiting token")}}
    made["waiting"] = run.endpoint("waiting", "/waiting", waiting, run.signing("secret of waiting"))
    run.receiver.behave("/waiting", **answer)
    made |= echoes(run)
    hooks = [{"url": f"{run.receiver.origin}/utel"} | dict.fromkeys(WEBHOOK_EVENTS, True)]
    run.do("replace_webhooks", "PUT", f"/integration/webhook?tenant={TENANT}", hooks)
    return made


def echoes(run: Run) -> dict[str, dict]:
    """Endpoints whose receivers fail, and answer with the request that they were sent."""
    basic = {"type": "basic", "username": "u", "password": run.canary("echoed password")}
    value = run.canary("echoed value of an API key")
    custom = {"X-Team": f"Token {run.canary('echoed custom header')}"}
    ways: dict[str, dict[str, Any]] = {
        "api key": {"auth": {"type": "api_key", "header": "X-Api-Key", "value": value}, "headers": custom},
        "basic": {"auth": basic},
        "bearer": {"auth": {"type": "bearer", "token": run.canary("echoed token")}},
        "voicehub": {"profile": "voicehub"},
    }
    made = {}
    for way, own in ways.items():
        name, path = f"echo of {way}", f"/echo/{way.replace(' ', '-')}"
        signing = run.canary(f"secret of {name}") if way == "voicehub" else run.signing(f"secret of {name}")
        made[name] = run.endpoint(name, path, {**own, "retry": {"attempts": 1}}, signing)
        run.receiver.behave(path, status=500, echo=True)
    return made


def keys(run: Run) -> dict[str, str]:
    """A key of each scope, and one that is revoked."""
    found = {}
    for scope in ("operator", "ingest", f"tenant:{TENANT}", "revoked"):
        name = f"key of {scope}"
        body = {"scope": "operator" if scope == "revoked" else scope, "name": name}
        made = run.do(f"create_key {scope}", "POST", "/v1/keys", body, {name})
        run.learned(name, made["key"].split("_", 2)[2].encode())
        run.do("list_endpoints with it", "GET", "/v1/event-types?limit=1", key=made["key"])
        found[scope] = made["key"]
    run.do("delete_key", "DELETE", f"/v1/keys/{found['revoked'].split('_')[1]}")
    run.ask("with a revoked key", "GET", f"{AT}/endpoints", key=found["revoked"])
    return found


def rotations(run: Run, made: dict[str, dict]) -> None:
    """Every secret is rotated, one to an imported one; authentication is changed."""
    at = f"{AT}/endpoints/{made['api key']['id']}"
    shows = {"secret of api key", "rotated in", "value of an API key", "custom header"}
    run.do("rotate_secret imported", "POST", f"{at}/rotate", {"secret": run.signing("rotated in")}, shows)
    run.do("read_secret", "GET", f"{at}/secret", shows=shows)
    at = f"{AT}/endpoints/{made['basic']['id']}"
    shows = {"secret of basic", "rotated", "password", "another password"}
    answer = run.do("rotate_secret minted", "POST", f"{at}/rotate", {}, shows)
    run.minted("rotated", answer["secret"])
    changed = {"auth": {"type": "basic", "username": "u", "password": run.canary("another password")}}
    run.do("patch_endpoint auth", "PATCH", at, changed)


def events(run: Run, made: dict[str, dict], ingest: str) -> None:
    """Events whose payload nobody may log: small, large, not by their schema, refused; replayed, redriven and erased."""
    payload, related = run.canary("payload", "content"), {"call_id": "call-1"}
    post = {"type": "call.ended", "tenant": TENANT, "agent": "agent-1", "related": related}

    def event(name: str, data: object, **more: object) -> dict:
        return {**post, "id": name, "data": data, **more}

    whole = {"call_id": "call-1", "note": payload}
    # Too large to ride in a message, however well it packs.
    large = whole | {"noise": secrets.token_urlsafe(60_000)}
    links = {"call": f"https://example.com/{run.canary('link', 'content')}"}
    batch = [
        event("small", whole, links=links),
        event("large", large),
        event("odd", {"note": payload, "duration_s": payload}),
    ]
    run.do("post_events", "POST", "/v1/events", batch, key=ingest)
    run.do("put_tenant", "PUT", AT, {"validation": "reject"})
    run.ask(
        "post_events refused", "POST", "/v1/events", event("bad", {"duration_s": payload, "call_id": 7}), key=ingest
    )
    run.do("put_tenant", "PUT", AT, {"validation": "warn"})
    echoing = [name for name in made if name.startswith("echo of ")]
    for name in ("api key", "basic", "alone", "bearer", "failing", "voicehub", *echoing):
        path = f"{AT}/deliveries/small.{made[name]['id']}"
        wait_until(
            f"{name} is concluded",
            lambda path=path: run.ask("read_delivery", "GET", path)[1].get("state") in ("succeeded", "dead"),
            DONE_S,
        )
    run.do("create_replay", "POST", f"{AT}/replays", {"delivery": f"small.{made['bearer']['id']}"})
    run.do("redrive_dead_letters", "POST", f"{AT}/dead-letters/redrive", {"endpoint": made["failing"]["id"]})
    run.receiver.wait_for("a redriven delivery arrives", "/failing", 4, DONE_S, "answered")
    run.do("erase_event", "DELETE", f"{AT}/events/odd")
    for name, endpoint in made.items():
        sample = {"data": {"call_id": run.canary("sample", "content")}, "type": "call.ended"}
        run.do(f"test_endpoint {name}", "POST", f"{AT}/endpoints/{endpoint['id']}/test", sample)
    run.do("dry_run_tenant", "POST", f"{AT}/dry-run", {"event": "small"})
    run.do("validate_data", "POST", f"{AT}/event-types/call.ended/validate", {"data": {"duration_s": payload}})


def wrong_places(run: Run, made: dict[str, dict], keys_made: dict[str, str]) -> int:
    """Secrets where they do not belong: every one is refused or ignored, and never said again. How many there were."""
    key, secret, at = keys_made["operator"], run.canary("secret in a wrong place"), f"{AT}/endpoints"
    url, one = f"{run.receiver.origin}/basic", f"{at}/{made['basic']['id']}"
    gets = ["?key=", "?cursor=", "?limit=", "?limit=1&limit=", "/", "?state=", "?tenant="]
    count = 0
    for text in (key, secret):
        for path in ("/v1/tenants", at, f"{AT}/events", f"{AT}/deliveries", f"{AT}/replays", "/v1/keys", "/v1"):
            for joint in gets:
                run.ask(f"GET {path}{joint}", "GET", f"{path}{joint}{text}")
                count += 1
        for name in ("since", "until", "endpoint", "type", "agent", "call", "order", "include"):
            run.ask(f"GET events with {name}", "GET", f"{AT}/events?{name}={text}%20")
            count += 1
        basic = base64.b64encode(f"{text}:".encode()).decode()
        wrong = [{"authorization": value} for value in (text, f"Basic {basic}", f"Bearer {text}x", f"Token {text}")]
        wrong += [{"authorization": "", "x-api-key": text}, {"authorization": "", "cookie": f"key={text}"}]
        wrong += [{name: text} for name in ("if-match", "content-type", "traceparent", "accept", "host")]
        for headers in wrong:
            run.ask(f"headers {list(headers)}", "PATCH", one, {"description": 7}, headers=headers)
            count += 1
        bodies: list[tuple[str, str, object]] = [
            ("POST", at, {"url": f"https://user:{text}@example.com/"}),
            ("POST", at, {"url": f"https://{text}"}),
            ("POST", at, {"url": f"http://10.0.0.1:8080/?token={text}"}),
            ("POST", at, {"url": url, "secret": f"whsec_{text}!"}),
            ("POST", at, {"url": url, "secret": {"is": text}}),
            ("POST", at, {"url": url, "auth": {"type": text}}),
            ("POST", at, {"url": url, "auth": {"type": "bearer", "token": f"{text}\n"}}),
            ("POST", at, {"url": url, "auth": {"type": "basic", "username": "a:b", "password": text}}),
            ("POST", at, {"url": url, "auth": {"type": "api_key", "header": "Host", "value": text}}),
            ("POST", at, {"url": url, "headers": {"Host": text}}),
            ("POST", at, {"url": url, "headers": {"X-A": f"{text}\n"}}),
            ("POST", at, {"url": url, "headers": {"X-A": [text]}}),
            ("POST", at, {"url": url, "retry": {"delays": [text]}}),
            ("POST", at, {"url": url, "profile": text}),
            ("POST", at, {"url": url, "state": text}),
            ("POST", at, {"url": url, "event_types": [f"{text}!"]}),
            ("POST", at, {"url": url, "metadata": text}),
            ("POST", at, {"url": url, "timeout_ms": text}),
            ("POST", at, f'{{"url":"{url}","secret":"{text}'.encode()),
            ("POST", at, f'{{"secret":"{text}","secret":"{text}"}}'.encode()),
            ("PATCH", one, {"secret": text}),
            ("POST", f"{one}/rotate", {"secret": f"whsec_{text}!"}),
            ("POST", f"{one}/rotate", {"overlap_s": text}),
            ("POST", "/v1/keys", {"scope": text}),
            ("POST", "/v1/keys", {"scope": "ingest", "expires_at": text}),
            ("POST", "/v1/events", {"type": f"{text}!", "tenant": TENANT, "data": {}}),
            ("POST", "/v1/events", {"type": "call.ended", "tenant": f"{text}!", "data": {}}),
            ("POST", "/v1/events", {"type": "call.ended", "tenant": TENANT, "id": f"{text}!", "data": {}}),
            ("POST", "/v1/events", {"type": "call.ended", "tenant": TENANT, "occurred_at": text, "data": {}}),
            ("POST", "/v1/events", [{"type": "call.ended", "tenant": TENANT, "related": text, "data": {}}]),
            ("POST", "/v1/events", f'{{"type":"call.ended","data":{{"key":"{text}'.encode()),
            ("POST", f"{AT}/replays", {"event": f"{text}!"}),
            ("POST", f"{AT}/replays", {"endpoint": text, "state": text}),
            ("POST", f"{AT}/replays", {"delivery": text}),
            ("POST", f"{AT}/dead-letters/redrive", {"reason": text}),
            ("PUT", f"{AT}/event-types/own.type", {"schema": {"type": text}}),
            ("PUT", f"{AT}/event-types/own.type", {"schema": {"pattern": f"({text}"}}),
            ("PUT", AT, {"analysis_url": text}),
            ("PUT", AT, {"validation": text}),
            ("PUT", f"/integration/webhook?tenant={TENANT}", [{"url": text}]),
        ]
        for method, path, body in bodies:
            told = body if isinstance(body, bytes) else json.dumps(body).encode()
            what = f"{method} {path} {told.decode().replace(text, '..')}"
            status, answer = run.ask(what, method, path, body)
            assert 400 <= status < 500 or path == "/v1/events", (what, status, answer)
            count += 1
    return count


def look_at_everything(run: Run, known: list[Operation], made: dict[str, dict]) -> int:
    """Every GET of the document, for everything that there is. How many there were."""
    lists = {kind: run.do(f"list {kind}", "GET", f"{AT}/{kind}?limit=100")["items"] for kind in ("replays", "erasures")}
    own_keys = run.do("list_keys", "GET", "/v1/keys?limit=100")["items"]
    things = {
        "endpoint": [endpoint["id"] for endpoint in made.values()],
        "event": ["small", "large", "odd"],
        "delivery": [f"small.{endpoint['id']}" for endpoint in made.values()],
        "replay": [item["id"] for item in lists["replays"]],
        "erasure": [item["id"] for item in lists["erasures"]],
        "key": [item["id"] for item in own_keys],
        "call_id": ["call-1"],
        "type": ["call.ended"],
    }
    count = 0
    for operation in (o for o in known if o.method == "GET" and o.name != "read_secret"):
        for thing in things.get(operation.kind or "", [""]):
            for method in ("GET", "HEAD"):
                run.ask(operation.name, method, operation.at(TENANT, thing))
                count += 1
    return count
