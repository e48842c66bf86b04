"""The snippets of docs/verify, each run as its page says, on requests that the product really sent: what is genuine verifies,
with the secret of before too while both are valid, and what is tampered with, old, signed otherwise or incomplete does not.

A language that is not on the machine is skipped, and said to be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from standardwebhooks.webhooks import Webhook

from checks import Report, run, wait_until
from ledger import Receiver, Request
from product import ROOT, Origin, Redial

FOLDER = ROOT / "docs" / "verify"
TENANT = "acme"
ENDPOINTS = f"/v1/tenants/{TENANT}/endpoints"
# Seconds: for a delivery to arrive, and for one run of a snippet, which may compile it.
ARRIVE_S, RUN_S = 60, 60
# Seconds: well beyond the tolerance of five minutes, so that the time which these checks take makes nothing right.
OLD_S = 15 * 60
# Most lines of a snippet that are not blank.
MAX_LINES = 45

# Each snippet, with what must be on the machine and how it is run.
SNIPPETS = {
    "verify.py": ("python3", [sys.executable]),
    "library.py": ("python3", [sys.executable]),
    "verify.mjs": ("node", ["node"]),
    "library.mjs": ("node", ["node"]),
    "verify.rb": ("ruby", ["ruby"]),
    "verify.php": ("php", ["php"]),
    "verify.go": ("go", ["go", "run"]),
    "Verify.java": ("java", ["java"]),
}


@dataclass(frozen=True)
class Case:
    """A request, and whether it is genuine to whoever has `secret`."""

    what: str
    genuine: bool
    secret: str
    headers: dict[str, str]
    body: bytes

    def without(self, header: str) -> "Case":
        rest = {name: value for name, value in self.headers.items() if name != header}
        return replace(self, what=f"without {header}", genuine=False, headers=rest)


def delivered(api: Origin, receiver: Receiver, event: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the request for a new event."""
    body = {"id": event, "type": "call.ended", "tenant": TENANT, "data": {"call_id": "call_1", "note": "Grüße, 你好"}}
    api.expect(202, "POST", "/v1/events", body)

    def arrived() -> Request | None:
        return next((request for request in receiver.requests() if request.event == event), None)

    request = wait_until(f"{event} arrives", arrived, ARRIVE_S)
    return {name.lower(): value for name, value in request.headers}, request.body


def resigned(case: Case, secret: str, age_s: int) -> dict[str, str]:
    """The headers as a sender with `secret` would have written them `age_s` seconds ago."""
    at = datetime.fromtimestamp(int(time.time()) - age_s, timezone.utc)
    signature = Webhook(secret).sign(case.headers["webhook-id"], at, case.body.decode())
    return {**case.headers, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


def cases(api: Origin, receiver: Receiver) -> list[Case]:
    """Requests that the product sent, and what an attacker would make of them."""
    endpoint = api.expect(201, "POST", ENDPOINTS, {"url": f"{receiver.origin}/{TENANT}"})
    older = endpoint["secret"]
    receiver.behave(f"/{TENANT}", secret=older)
    good = Case("genuine", True, older, *delivered(api, receiver, "evt_genuine"))
    newer = api.expect(200, "POST", f"{ENDPOINTS}/{endpoint['id']}/rotate", {})["secret"]
    both = Case("of the newer secret while a rotation lasts", True, newer, *delivered(api, receiver, "evt_rotated"))
    assert len(both.headers["webhook-signature"].split(" ")) == 2, both.headers
    stranger = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
    mangled = both.headers["webhook-signature"].replace("v1,", "v1a,")
    return [
        good,
        both,
        replace(both, what="of the older secret while a rotation lasts", secret=older),
        replace(good, what="a body with one byte more", genuine=False, body=good.body + b" "),
        replace(good, what="a body with another number", genuine=False, body=good.body.replace(b"call_1", b"call_2")),
        replace(good, what="another id", genuine=False, headers={**good.headers, "webhook-id": "evt_other"}),
        replace(good, what="too old", genuine=False, headers=resigned(good, older, OLD_S)),
        replace(good, what="from the future", genuine=False, headers=resigned(good, older, -OLD_S)),
        replace(good, what="as signed anew within the tolerance", headers=resigned(good, older, 60)),
        replace(good, what="another's secret", genuine=False, secret=stranger),
        replace(both, what="no version that is known", genuine=False, headers={**both.headers, "webhook-signature": mangled}),
        replace(good, what="an empty signature", genuine=False, headers={**good.headers, "webhook-signature": ""}),
        replace(good, what="a timestamp that is no number", genuine=False, headers={**good.headers, "webhook-timestamp": "soon"}),
        *(good.without(header) for header in ("webhook-id", "webhook-timestamp", "webhook-signature")),
    ]


def verdict(command: list[str], case: Case, folder: Path) -> tuple[int, str]:
    """Runs a snippet on a case: its status and what it said."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in case.headers.items())
    (folder / "headers").write_bytes(lines.encode("latin-1"))
    (folder / "body").write_bytes(case.body)
    environment = {**os.environ, "WEBHOOK_SECRET": case.secret, "GOCACHE": str(folder / "go"), "GOFLAGS": "-mod=mod"}
    ran = subprocess.run(
        [*command, str(folder / "headers"), str(folder / "body")],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def check_snippet(report: Report, name: str, folder: Path, asked: list[Case]) -> None:
    """One snippet on every case."""
    needed, command = SNIPPETS[name]
    sentence = f"{name} takes what is genuine and refuses the rest, {len(asked)} requests"
    if shutil.which(needed) is None:
        report.skip(sentence, f"there is no {needed} here")
        return
    wrong = []
    for case in asked:
        status, said = verdict([*command, str(folder / name)], case, folder)
        # 1 is a refusal; anything else is a snippet that broke.
        if status != (0 if case.genuine else 1):
            wrong.append(f"{case.what}: status {status}: {said[-300:]}")
    report.nothing(sentence, wrong)


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        receiver = Receiver(folder)
        redial = Redial(folder)
        api = redial.start()
        try:
            api.expect(201, "PUT", f"/v1/tenants/{TENANT}", {})
            asked = cases(api, receiver)
        finally:
            redial.stop()
        files = sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".md")
        report.equal("every file of docs/verify is run here", files, sorted(SNIPPETS))
        long = [name for name in files if sum(map(bool, (FOLDER / name).read_text().split("\n"))) > MAX_LINES]
        report.nothing(f"none has more than {MAX_LINES} lines", long)
        # Copies: Node looks for packages beside a file.
        for name in files:
            shutil.copy(FOLDER / name, folder / name)
        (folder / "node_modules").symlink_to(os.environ.get("REDIAL_NODE_MODULES", "node_modules"))
        for name in SNIPPETS:
            check_snippet(report, name, folder, asked)


if __name__ == "__main__":
    run("snippets", script)
