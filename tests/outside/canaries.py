"""Canaries in every secret of a full run, and in what is only stored: 0 of them in logs, metrics, answers but the documented
ones, pages, tables and queues. What is not secret (payloads, receivers' answers, URLs) is stored, and in no log.

A planted leak must be found, and nothing but it. What receivers are sent is theirs.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import secrets
import tempfile
from pathlib import Path

from canary_run import TENANT, Run, endpoints, events, keys, look_at_everything, rotations, wrong_places
from canary_scan import Canary, Scanner
from checks import Report, run
from isolation_world import operations
from ledger import Receiver
from product import Redial

# What is asked for: everything that the log has.
LOG_LEVEL = "trace"
# The last wait is one in which a delivery is in its queue while it is looked at.
SCHEDULE = "1,1,900"
# Files of the data folder that hold a key on purpose, for their owner alone, and which.
KEY_FILES = {"operator.key": "operator's key", "serve.json": "operator's key", "secrets.key": "the folder's own key"}
# Pages that a browser may ask for.
PAGES = ("/", "/console", "/console/", "/console/index.html", "/portal", "/favicon.ico")
LINKS = re.compile(rb"""(?:src|href)=["']?(/[^"' >]+)""")


def scan_folder(scanner: Scanner, folder: Path) -> int:
    """Every file of the data folder, byte by byte, and every cell of the database. How many cells there were."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = f"file: {path.relative_to(folder)}"
        scanner.scan_file(place, path)
        own = KEY_FILES.get(path.name)
        if own is not None:
            scanner.findings -= {f for f in scanner.findings if f.place == place and f.canary == own}
    return scanner.scan_tables("table", folder / "dynamodb.sqlite")


def log_of(redial: Redial) -> bytes:
    """What it has written, but for the one line that says the operator's key to whoever started it."""
    lines = redial.log.read_bytes().splitlines(keepends=True)
    ready = [line for line in lines if line.startswith(b"{") and json.loads(line) == redial.ready]
    # What stands on standard output is written to the file when that ends.
    assert len(ready) <= 1, ready
    return b"".join(line for line in lines if line not in ready)


def check_scanner(report: Report) -> None:
    """The scanner finds what it is to find, in every form."""
    text = "".join(secrets.choice("abcdefghijkl0123") for _ in range(32)).encode()
    around = [b"x" * n for n in (7, 8, 9)]
    hidden = {
        "as it is": [b"..%s.." % text],
        "hex": [text.hex().encode(), text.hex().upper().encode()],
        "numbers": [json.dumps(list(text)).encode(), str(list(text)).replace(" ", "").encode()],
        "base64": [base64.b64encode(before + text + b"yy") for before in around],
    }
    packed = [gzip.compress(b"{" + text + b"}"), b"head" + gzip.compress(text * 3)]
    wrong = []
    for form, samples in {**hidden, "packed, as it is": packed}.items():
        for sample in samples:
            scanner = Scanner([Canary("planted", text)])
            scanner.scan("sample: one", sample)
            if form not in {finding.form for finding in scanner.findings}:
                wrong.append(f"{form}: {sample[:60]!r} {scanner.findings}")
    report.nothing("the scanner finds a canary in each form", wrong)
    scanner = Scanner([Canary("planted", text)])
    scanner.scan("sample: none", secrets.token_bytes(100_000) + secrets.token_urlsafe(100_000).encode())
    report.nothing("and none where there is none", sorted(scanner.findings))


def check_pages(report: Report, made: Run) -> None:
    """Whatever a browser gets, and what that links to."""
    seen, open_pages = {}, list(PAGES)
    while open_pages:
        page = open_pages.pop()
        status, body = made.ask(f"page {page}", "GET", page)
        seen[page] = status
        if isinstance(body, bytes):
            open_pages += [link.decode() for link in LINKS.findall(body) if link.decode() not in [*seen, *open_pages]]
    report.note(f"pages: {', '.join(f'{page} {status}' for page, status in seen.items())}")


def check_places(report: Report, made: Run, redial: Redial, when: str) -> None:
    """Answers, log and data folder as they are now."""
    answers = made.found()
    report.nothing(
        f"{when}: {len(made.answers)} answers have no secret but the documented ones", answers.of_kind("secret")
    )
    folder = Scanner(made.canaries)
    cells = scan_folder(folder, redial.data)
    sizes = ", ".join(f"{kind} {count:,} bytes" for kind, count in sorted({**answers.read, **folder.read}.items()))
    report.nothing(f"{when}: {cells} cells and every file of the data folder have no secret", folder.of_kind("secret"))
    forms = {(f.place.split(":")[0], f.form) for f in folder.findings if f.canary == "payload"}
    if redial.process is not None and redial.process.poll() is None:
        # What is there must be seen, or nothing was looked at.
        in_tables = any(place == "table" and "packed" in form for place, form in forms)
        in_queue = any(f.place == "file: sqs/journal" and "packed" in f.form for f in folder.findings)
        report.check(
            "a payload is seen where it is packed, in a table and in a queue", in_tables and in_queue, sorted(forms)
        )
    log = log_of(redial)
    scanner = Scanner(made.canaries)
    scanner.scan("log: serve", log)
    report.nothing(f"{when}: the log has no secret, payload, URL or answer", sorted(scanner.findings))
    report.note(f"{when}: {sizes}, log {len(log):,} bytes, {len(made.canaries)} canaries")


def check_log(report: Report, redial: Redial) -> None:
    """The log is one: there is something of every part in it, and the numbers."""
    log = log_of(redial).decode()
    parts = ("redial_ingest", "redial_dispatcher", "redial_api", "redial_sweeper", "redial_replay")
    report.nothing("every function has written to the log", [part for part in parts if part not in log])
    numbers = [line for line in log.splitlines() if "metrics.counted" in line]
    report.check(
        "and its numbers are in it", len(numbers) > 5 and all('"CloudWatchMetrics"' in n for n in numbers), numbers[:3]
    )


def check_echoes(report: Report, made: Run) -> None:
    """What receivers gave back of our requests is shown without what authenticates: that it is nowhere is another check."""
    for what in ("read_delivery", "test_endpoint echo of"):
        shown = [text for place, text, _ in made.answers if place.startswith(f"answer: {what}") and b"base64_2" in text]
        hidden = [text.count(b"[hidden]") for text in shown]
        fits = len(shown) >= 4 and min(hidden) >= 6
        report.check(f"{what}: four echoes are shown, and what authenticates is hidden in them", fits, hidden)


def check_planted(report: Report, made: Run, redial: Redial, basic: str) -> None:
    """A password as the description of an endpoint: found where descriptions are, and nowhere else."""
    leaked = next(canary for canary in made.canaries if canary.name == "password")
    path = f"/v1/tenants/{TENANT}/endpoints"
    kept = list(made.answers)
    made.answers.clear()
    made.do("patch_endpoint", "PATCH", f"{path}/{basic}", {"description": f"it is {leaked.text.decode()}"})
    made.do("list_endpoints", "GET", path)
    made.do("read_health", "GET", f"{path}/{basic}/health")
    found = made.found()
    scan_folder(found, redial.data)
    found.scan("log: serve", log_of(redial))
    places = {(finding.place, finding.canary) for finding in found.of_kind("secret")}
    expected = {
        ("answer: patch_endpoint (200)", "password"),
        ("answer: list_endpoints (200)", "password"),
        (f"table: ConfigTable S:t/{TENANT} S:ep/{basic}", "password"),
    }
    in_files = {place for place in places if re.fullmatch(r"file: dynamodb\.sqlite(-wal)?", place[0])}
    report.check("a planted leak is found in its places", expected <= places and bool(in_files), sorted(places))
    report.nothing("and nowhere else", sorted(places - expected - in_files))
    made.do("patch_endpoint back", "PATCH", f"{path}/{basic}", {"description": ""})
    made.answers[:] = kept


def script(report: Report) -> None:
    check_scanner(report)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        redial = Redial(folder, "--schedule", SCHEDULE)
        redial.environment["REDIAL_LOG"] = LOG_LEVEL
        try:
            api = redial.start()
            known = operations(api.expect(200, "GET", "/v1/openapi.json"))
            made = Run(redial.ready["url"], redial.ready["key"], receiver)
            made.learned("the folder's own key", (redial.data / "secrets.key").read_bytes())
            made.do("put_tenant", "PUT", f"/v1/tenants/{TENANT}", {})
            scopes = keys(made)
            hooks = endpoints(made)
            rotations(made, hooks)
            events(made, hooks, scopes["ingest"])
            report.note(f"{wrong_places(made, hooks, scopes)} secrets in wrong places")
            report.note(f"{look_at_everything(made, known, hooks)} times something was looked at")
            check_echoes(report, made)
            check_pages(report, made)
            check_log(report, redial)
            check_places(report, made, redial, "while it runs")
            check_planted(report, made, redial, hooks["basic"]["id"])
            arrived = {request.path for request in receiver.requests()}
            report.check(
                "every endpoint was sent to",
                {"/basic", "/bearer", "/hub", "/failing", "/waiting", "/utel"} <= arrived,
                arrived,
            )
            unread = [
                path.name for path in redial.data.iterdir() if path.name in KEY_FILES and path.stat().st_mode & 0o077
            ]
            report.nothing("files with keys are their owner's alone", unread)
            redial.stop()
            leaked = next(canary for canary in made.canaries if canary.name == "password")
            # It is in free pages now: on purpose, by the check above.
            made.canaries.remove(leaked)
            check_places(report, made, redial, "after its end")
        finally:
            if redial.process is not None and redial.process.poll() is None:
                redial.kill()


if __name__ == "__main__":
    run("canaries", script)
