"""The first minute of a newcomer: start it, run the two commands that it prints, see an event arrive that verifies."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from pathlib import Path

from checks import Report, run
from product import BINARY, lines_of

# How long a start, and an event's way, may take, in seconds.
START_S = 60
ARRIVE_S = 60


def commands(lines: list[str]) -> dict[str, list[str]]:
    """The commands in what `serve` printed, by subcommand, as a shell would split them."""
    words = [shlex.split(line) for line in lines if " listen " in line or " send " in line]
    own = [line for line in words if len(line) > 1 and Path(line[0]).name == BINARY.name]
    return {line[1]: line for line in own if line[1] in ("listen", "send")}


def script(report: Report) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        serve = subprocess.Popen(
            [str(BINARY), "serve", "--listen", "127.0.0.1:0"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            output = lines_of(serve.stdout, folder / "serve.log")
            printed: list[str] = []
            while not {"listen", "send"} <= set(commands(printed)):
                line = output.get(timeout=START_S)
                if line is None:
                    break
                printed.append(line)
            known = commands(printed)
            report.equal("serve prints two commands to try", sorted(known), ["listen", "send"])
            two_commands(report, folder, known)
        finally:
            serve.terminate()
            report.equal("serve ends when asked to", serve.wait(timeout=START_S), 0)
            report.check("its folder is where it says: ./redial-data", (folder / "redial-data").is_dir())


def two_commands(report: Report, folder: Path, known: dict[str, list[str]]) -> None:
    """Runs both as printed, `listen` until one event came."""
    listen = subprocess.Popen(
        [*known["listen"], "--count", "1", "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    notes = lines_of(listen.stderr, folder / "listen.err")
    said = ""
    while "listening" not in said:
        line = notes.get(timeout=START_S)
        if line is None:
            break
        said += line
    report.check("listen says where it listens", "listening" in said, said)
    send = subprocess.run(known["send"], cwd=folder, capture_output=True, text=True, timeout=ARRIVE_S, check=False)
    report.equal("send succeeds", (send.returncode, send.stderr if send.returncode else ""), (0, ""))
    output, _ = listen.communicate(timeout=ARRIVE_S)
    report.equal("listen ends well after one event", listen.returncode, 0)
    shown = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    report.check("the event that it shows verifies", any(row.get("verified") is True for row in shown), output)


if __name__ == "__main__":
    run("cli", script)
