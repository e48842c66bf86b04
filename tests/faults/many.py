"""Many runs, some at a time, each in a process and a folder of its own; their sum. `tests/faults/run` starts this.

A run is ended and counted as failed when it takes far longer than it should. What a long series has finished is remembered, so
that an interrupted one goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "outside"))

from product import BINARY  # noqa: E402
from spec import FAULT_RATE, Spec  # noqa: E402

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("REDIAL_FAULTS_FOLDER", HERE.parents[1] / "target" / "faults" / "runs"))
# Runs at a time for each processor: a run mostly waits for the product's clock.
AT_ONCE_EACH = 2
# The series that is part of every check of a change.
CI_SEEDS, CI_EVENTS = 3, 500
# The long one.
LONG_SEEDS, LONG_EVENTS, LONG_BIG, LONG_KILL_MIN = 20, 1_000, 10_000, 30
# Events of the runs with something planted: enough for one of them to be wronged.
PLANT_EVENTS = 120
# What each planted wrong must be found as, and nothing else.
PLANTED = {"loss": "V2 lost", "duplicate": "V3 duplicate", "status": "V2 wrong_status"}
# What a run may take besides its settling, in seconds: each event, and in all.
EVENT_S, RUN_S = 0.4, 240

printing = threading.Lock()


def points() -> list[str]:
    """The kill points of the build."""
    environment = {**os.environ, "REDIAL_KILL_LIST": "1"}
    said = subprocess.run(
        [str(BINARY), "serve"], capture_output=True, text=True, timeout=30, env=environment, check=False
    )
    names = [line.split()[0] for line in said.stdout.splitlines() if line.strip()]
    if said.returncode != 0 or not names:
        raise SystemExit(f"{BINARY} is no fault build: it names no kill points\n{said.stderr[-500:]}")
    return names


def limit_s(spec: Spec) -> float:
    """After how many seconds a run is ended."""
    return RUN_S + 3 * spec.settle_s() + spec.kill_s * 2 + EVENT_S * spec.events


def run(spec: Spec, keep: bool = False) -> dict:
    """One run and its result. Its folder stays if it failed."""
    folder = FOLDER / spec.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, str(HERE / "one.py"), "--folder", str(folder), "--spec", spec.text()]
    with (folder / "run.log").open("w") as log:
        # Its standard input ends with this process, and it with that.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
        try:
            process.wait(timeout=limit_s(spec))
            ended = f"the run ended with status {process.returncode} and no result"
        except subprocess.TimeoutExpired:
            # With everything that it started: it is a session of its own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            ended = f"the run was not through after {limit_s(spec):.0f} s"
        process.stdin.close()
    try:
        result = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        result = {"name": spec.name, "passed": False, "findings": [f"tool broke: {ended}"], "seconds": limit_s(spec)}
    if result["passed"] and not keep:
        shutil.rmtree(folder / "data", ignore_errors=True)
        for name in ("ledger.jsonl", "serve.log"):
            (folder / name).unlink(missing_ok=True)
    return result


def say(result: dict, good: bool, number: int, total: int) -> None:
    """A line for a run, and what was found."""
    with printing:
        numbers = ""
        if "requests" in result:
            faults = sum(result["faults"].values())
            numbers = (
                f": {result['accepted']} events, {result['requests']} requests, {result['kills']} kills, {faults} faults, "
                f"{result['duplicates']} repeated, {result['rss_mb']} MB"
            )
        print(f"{'ok  ' if good else 'FAIL'} {number}/{total} {result['name']} in {result['seconds']:.0f} s{numbers}", flush=True)
        if not good:
            for finding in result["findings"][:10]:
                print(f"       {finding}", flush=True)
            if len(result["findings"]) > 10:
                print(f"       and {len(result['findings']) - 10} more", flush=True)
            print(f"       in {FOLDER / result['name']}", flush=True)


def as_planted(spec: Spec, result: dict) -> bool:
    """True if exactly the planted wrong was found, once."""
    return len(result["findings"]) == 1 and result["findings"][0].startswith(f"{PLANTED[spec.plant]}:")


def series(specs: list[Spec], jobs: int, memory: Path | None = None) -> tuple[list[dict], int]:
    """Many runs; gives the results and how many were bad. What `memory` has is not run again unless it failed."""
    known: dict[str, dict] = {}
    if memory is not None and memory.exists():
        rows = [json.loads(line) for line in memory.read_text().splitlines()]
        known = {row["name"]: row for row in rows if row["passed"]}
    todo = [spec for spec in specs if spec.name not in known]
    if known:
        print(f"{len(specs) - len(todo)} of {len(specs)} runs are done already", flush=True)
    count = 0
    bad = 0

    def work(spec: Spec) -> dict:
        nonlocal count, bad
        result = run(spec)
        good = as_planted(spec, result) if spec.plant else result["passed"]
        with printing:
            count += 1
            bad += not good
            number = count
            if memory is not None:
                with memory.open("a") as file:
                    file.write(json.dumps(result) + "\n")
        say(result, good, number, len(todo))
        return result

    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(work, todo))
    return [known[s.name] for s in specs if s.name in known] + results, bad


def table(results: list[dict]) -> str:
    """The sum of a series by what was done to the product, as docs/RELIABILITY.md shows it."""
    rows: dict[str, list[dict]] = {}
    for result in results:
        rows.setdefault(result["name"].removesuffix("-faults").rsplit("-", 2)[0], []).append(result)
    lines = [
        "| killed | runs | events | requests | kills | faults | repeated requests | findings |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, of in rows.items():
        sums = [sum(r.get(key, 0) for r in of) for key in ("accepted", "requests", "kills")]
        faults = sum(sum(r.get("faults", {}).values()) for r in of)
        again = sum(r.get("duplicates", 0) for r in of)
        found = sum(len(r["findings"]) for r in of)
        cells = [f"`{name}`", len(of), *sums, faults, again, found]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def planted(given: argparse.Namespace) -> list[Spec]:
    """The runs with something planted: without faults, so that nothing excuses it."""
    return [Spec(seed=1, events=PLANT_EVENTS, plant=plant, factor=given.factor) for plant in PLANTED]


def judge_is_sound() -> bool:
    """The judge finds what is broken on purpose, and nothing in what is well."""
    tested = subprocess.run([sys.executable, str(HERE / "test_invariants.py")], capture_output=True, text=True, check=False)
    lines = tested.stderr.strip().splitlines()
    print(f"{'ok  ' if tested.returncode == 0 else 'FAIL'} the judge itself: {' '.join(lines[-3:])}", flush=True)
    if tested.returncode != 0:
        print(tested.stderr, flush=True)
    return tested.returncode == 0


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("what", nargs="?", default="ci", choices=["ci", "planted", "long", "one", "points"])
    arguments.add_argument("point", nargs="?", default="none")
    arguments.add_argument("--jobs", type=int, default=AT_ONCE_EACH * (os.cpu_count() or 2))
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seeds", type=int)
    arguments.add_argument("--events", type=int)
    arguments.add_argument("--faults", type=float, default=FAULT_RATE)
    arguments.add_argument("--factor", type=float, default=Spec(seed=0).factor)
    arguments.add_argument("--big", type=int, default=LONG_BIG)
    arguments.add_argument("--kill-minutes", type=float, default=LONG_KILL_MIN)
    arguments.add_argument("--fresh", action="store_true")
    given = arguments.parse_args()
    if given.what == "points":
        print("\n".join(points()))
        return 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    base = Spec(seed=given.seed, events=given.events or CI_EVENTS, faults=given.faults, factor=given.factor)
    if given.what == "one":
        spec = {"none": base, "kill9": replace(base, kill_s=given.kill_minutes * 60)}.get(given.point)
        result = run(spec or replace(base, point=given.point), keep=True)
        say(result, result["passed"], 1, 1)
        return 0 if result["passed"] else 1
    memory = None
    if given.what == "planted":
        specs = planted(given)
    elif given.what == "long":
        memory = FOLDER.parent / "long.jsonl"
        if given.fresh:
            memory.unlink(missing_ok=True)
        seeds = range(1, 1 + (given.seeds or LONG_SEEDS))
        each = replace(base, events=given.events or LONG_EVENTS)
        big = replace(base, events=given.big, faults=0.0)
        killed = replace(base, events=given.big // 2, kill_s=given.kill_minutes * 60, faults=0.0)
        specs = [killed, big, *(replace(each, point=p, seed=s) for p in points() for s in seeds)]
    else:
        seeds = range(1, 1 + (given.seeds or CI_SEEDS))
        # What is planted first: a tool that finds nothing proves nothing.
        specs = [*planted(given), *(replace(base, point=p, seed=s) for p in points() for s in seeds)]
    sound = judge_is_sound()
    began = time.monotonic()
    results, bad = series(specs, given.jobs, memory)
    if given.what != "planted":
        print(table([r for r in results if not r["name"].startswith("plant-")]))
    print(f"in {(time.monotonic() - began) / 60:.1f} minutes")
    print(f"faults: {len(specs) - bad + sound} passed, {bad + (not sound)} failed")
    return 0 if sound and bad == 0 and specs else 1


if __name__ == "__main__":
    sys.exit(main())
