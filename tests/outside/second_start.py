"""Starts that cannot work say why and end with a status that is not 0; a disk that fills up loses nothing.

A second start on a folder in use, a taken port, a folder that cannot be written, a full disk. The disks are small tmpfs
mounts, which only root can make: elsewhere those checks are skipped and say so.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from checks import Report, run, wait_until
from ledger import Receiver
from product import BINARY, CouldNotStart, Origin, Redial

# How long a start that cannot work may take to say so, in seconds.
REFUSE_S = 60
# How long a delivery may take, in seconds.
ARRIVE_S = 60
# The small disk, and what it grows to.
SMALL, LARGE = "12m", "64m"
# Bytes of data in each event that fills it; random, so that nothing compresses it.
EVENT_BYTES = 100_000
# More events than the small disk can take.
MAX_EVENTS = 400
TENANT = "acme"


def refused(report: Report, what: str, folder: Path, listen: str, *words: str) -> None:
    """A start that must fail, with a message for a person that has all of `words` in it: what cannot be used, and why."""
    command = [str(BINARY), "serve", "--data", str(folder), "--listen", listen, "--json"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=REFUSE_S, check=False)
    except subprocess.TimeoutExpired:
        report.check(f"{what}: it ends", False, f"still running after {REFUSE_S} s")
        return
    report.check(f"{what}: it ends with a status that is not 0", ended.returncode > 0, f"status {ended.returncode}")
    said = ended.stderr.strip()
    clear = all(word.lower() in said.lower() for word in words) and "panicked" not in said
    report.check(f"{what}: it says why", clear, f"expected {words} in {said[-500:]!r}")
    report.equal(f"{what}: nothing on standard output, where scripts read", ended.stdout, "")


@contextmanager
def disk(folder: Path, size: str, *options: str) -> Iterator[Path | None]:
    """A mounted tmpfs; `None` where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)), "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def works(report: Report, what: str, data: Path) -> None:
    """A start on a folder that an earlier start could not use."""
    redial = Redial(data.parent)
    redial.data = data
    try:
        report.equal(what, redial.start().ask("GET", "/v1/tenants").status, 200)
        redial.stop()
    except CouldNotStart as error:
        report.check(what, False, str(error))


def check_running(report: Report, folder: Path) -> None:
    """Against a run that goes on unharmed."""
    redial = Redial(folder)
    api = redial.start()
    try:
        refused(report, "a second start on the same folder", redial.data, "127.0.0.1:0", str(redial.data), "in use")
        address = api.url.removeprefix("http://")
        refused(report, "a taken port", folder / "other", address, address, "in use")
        report.equal("the first one goes on", api.ask("GET", "/v1/tenants").status, 200)
        works(report, "after a taken port the folder works on another port", folder / "other")
    finally:
        redial.stop()
    again = Redial(folder)
    key = redial.ready["key"]
    again.start()
    again.stop()
    report.equal("a third start, after the first ended, works and has the same key", again.ready["key"], key)
    mode = (folder / "data" / "serve.json").exists()
    report.check("serve.json is gone when nothing runs", not mode)


def check_unwritable(report: Report, folder: Path) -> None:
    """Folders that cannot be made or written."""
    file = folder / "file"
    file.write_text("not a folder")
    refused(report, "a folder below a file", file / "data", "127.0.0.1:0", str(file), "not a directory")
    with disk(folder / "readonly", "1m", "ro") as readonly:
        if readonly is None:
            report.skip("a folder that cannot be written", "no tmpfs can be mounted here")
        else:
            refused(
                report, "a folder that cannot be written", readonly / "data", "127.0.0.1:0", "read-only", str(readonly)
            )


def event(number: int) -> dict:
    """An event that takes its size on the disk."""
    noise = base64.b64encode(random.Random(number).randbytes(EVENT_BYTES * 3 // 4)).decode()
    return {
        "id": f"full_{number}",
        "type": "call.ended",
        "tenant": TENANT,
        "data": {"call_id": "call_1", "noise": noise},
    }


def fill(report: Report, redial: Redial, api: Origin) -> list[int]:
    """Posts until something is not accepted. Gives what was."""
    accepted: list[int] = []
    answer = None
    for number in range(MAX_EVENTS):
        try:
            answer = api.ask("POST", "/v1/events", event(number))
        except (OSError, http.client.HTTPException):
            # It is on its way out.
            wait_until("its end", lambda: redial.process.poll() is not None, REFUSE_S)
            break
        if answer.status != 202:
            break
        accepted.append(number)
    report.note(f"{len(accepted)} events of {EVENT_BYTES} bytes were accepted before the disk was full")
    report.check("a disk that fills up stops what is accepted", 0 < len(accepted) < MAX_EVENTS)
    ended = redial.process.poll()
    if ended is None:
        report.check(
            "it answers a 5xx with a code that tells no internals",
            answer.status >= 500 and answer.code is not None and str(redial.data) not in json.dumps(answer.body),
            str(answer),
        )
    else:
        report.check("it ends with a status that is not 0", ended > 0, f"status {ended}")
    log = redial.log.read_text().lower()
    report.check("its log says that the disk is full", "no space" in log or "disk" in log or "full" in log, log[-500:])
    report.check("and nothing panicked", "panicked" not in log, log[-2000:])
    return accepted


def check_full_disk(report: Report, folder: Path, receiver: Receiver) -> None:
    """A disk that is full from the beginning, and one that fills up while Redial runs."""
    with disk(folder / "full", SMALL) as full:
        if full is None:
            report.skip("a full disk", "no tmpfs can be mounted here")
            return
        with (full / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, os.statvfs(full).f_bavail * os.statvfs(full).f_frsize)
        refused(report, "a start on a full disk", full / "data", "127.0.0.1:0", str(full), "no space")
        (full / "filler").unlink()
        works(report, "with space again, a start on the same folder works", full / "data")
    with disk(folder / "filling", SMALL) as filling:
        redial = Redial(folder / "filling-run")
        (folder / "filling-run").mkdir()
        redial.data = filling / "data"
        try:
            api = redial.start()
            assert api.ask("PUT", f"/v1/tenants/{TENANT}", {}).status in (200, 201)
            accepted = fill(report, redial, api)
            if redial.process.poll() is None:
                redial.kill()
            subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(filling)], check=True)
            check_intact(report, redial.start(), accepted, receiver)
            report.equal("it ends when asked to", redial.stop(), 0)
        except CouldNotStart as error:
            report.check("it starts on the disk", False, str(error))
        finally:
            if redial.process is not None and redial.process.poll() is None:
                redial.kill()


def check_intact(report: Report, api: Origin, accepted: list[int], receiver: Receiver) -> None:
    """With space again: everything accepted is there, unharmed, and it works as before."""
    wrong = []
    for number in accepted:
        posted = event(number)
        answer = api.ask("GET", f"/v1/tenants/{TENANT}/events/{posted['id']}")
        if answer.status != 200 or answer.body["data"] != posted["data"]:
            wrong.append(f"{posted['id']}: {answer.status}")
    report.nothing(f"after the full disk each of {len(accepted)} accepted events is there, unharmed", wrong)
    repeated = [api.ask("POST", "/v1/events", event(number)) for number in accepted[-3:]]
    report.equal(
        "repeating the last ones gets the stored answers",
        [(a.status, a.body) for a in repeated],
        [(202, {"id": f"full_{number}", "deliveries": 0}) for number in accepted[-3:]],
    )
    listed = {item["id"] for item in api.items(f"/v1/tenants/{TENANT}/events?limit=100")}
    report.nothing("the list names them all", [n for n in accepted if f"full_{n}" not in listed])
    endpoint = api.expect(201, "POST", f"/v1/tenants/{TENANT}/endpoints", {"url": f"{receiver.origin}/after"})
    receiver.behave("/after", secret=endpoint["secret"])
    answer = api.expect(202, "POST", "/v1/events", event(MAX_EVENTS))
    report.equal("a new event is accepted", answer, {"id": f"full_{MAX_EVENTS}", "deliveries": 1})
    receiver.wait_for("the new event", "/after", 1, ARRIVE_S)
    report.equal(
        "and delivered, and verifies",
        [(r.event, r.python) for r in receiver.requests()],
        [(f"full_{MAX_EVENTS}", "ok")],
    )


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        receiver = Receiver(folder)
        (folder / "running").mkdir()
        check_running(report, folder / "running")
        check_unwritable(report, folder)
        check_full_disk(report, folder, receiver)


if __name__ == "__main__":
    run("second_start", script)
