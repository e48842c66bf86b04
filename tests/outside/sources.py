"""The four systems of the sources that Redial must be able to stand in for: drives Redial as the platform and the
customers of each would. tests/data/sources.json has one row for each fact that their documents state, with the literals
that are expected.

    sources.py [--write-docs] [A4 C ..]      all rows, or those named; --write-docs renews docs/COMPATIBILITY.md

Prints a line a row and `A n, B n, C n, D n`, how many hold. A row without a check, a check without a row, and a page in
docs that has other rows are failures; a row that cannot be checked yet says why, and never counts as one that holds. Nor
does one about what the platform serves: its check looks only at the way there.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import sources_a
import sources_b
import sources_c
import sources_d
import sources_d_manage
import sources_d_tools
import sources_docs
from checks import Report, run
from product import ROOT
from sources_world import CHECKS, World

DATA = ROOT / "tests" / "data" / "sources.json"
MODULES = (sources_a, sources_b, sources_c, sources_d, sources_d_manage, sources_d_tools)
# Rows that are checked at the same time: each has a customer of its own.
AT_ONCE = 6


@dataclass(frozen=True)
class Result:
    """What a row's check said."""

    # Why it does not hold; `None`: it does.
    failure: str | None
    took_s: float


def checked(world: World, row: dict) -> Result:
    """Runs the check of a row."""
    began = time.monotonic()
    failure = None
    try:
        CHECKS[row["check"]](world, row["expect"])
    except Exception as error:  # Whatever it is, the row does not hold, and the line says why.
        failure = f"{type(error).__name__}: {error}"
    return Result(failure, time.monotonic() - began)


def counts(names: list[str]) -> str:
    """How many of each system."""
    counted = Counter(name[0] for name in names)
    return ", ".join(f"{system} {counted[system]}" for system in "ABCD")


def script(report: Report) -> None:
    data = json.loads(DATA.read_text())
    rows = {f"{row['system']}{row['n']}": row for row in data["rows"]}
    report.equal("every row has a number of its own", len(rows), len(data["rows"]))
    unchecked = [name for name, row in rows.items() if row["check"] not in CHECKS and "pending" not in row]
    report.nothing("every row has a check, or says why not", unchecked)
    report.nothing("every check has a row", sorted(set(CHECKS) - {row["check"] for row in rows.values()}))
    asked = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    due = {name: row for name, row in rows.items() if "pending" not in row}
    due = {name: row for name, row in due.items() if not asked or name in asked or name[0] in asked}
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                results = dict(zip(due, pool.map(lambda row: checked(world, row), due.values())))
        finally:
            world.stop()
    for name, row in rows.items():
        if name in results:
            result = results[name]
            report.check(f"{name} {row['sentence']}", result.failure is None, result.failure)
        elif "pending" in row and not asked:
            report.skip(f"{name} {row['sentence']}", row["pending"])
    passed = [name for name, result in results.items() if result.failure is None]
    held = [name for name in passed if not sources_docs.is_served(rows[name])]
    served = [name for name in passed if sources_docs.is_served(rows[name])]
    slowest = max(results, key=lambda name: results[name].took_s)
    waits = results[slowest].took_s
    if served:
        report.note(f"{', '.join(served)}: {sources_docs.SERVED}, Redial leads there; not counted as holding")
    report.note(f"{counts(held)} hold; of {counts(list(rows))}; the slowest, {slowest}, took {waits:.0f} s")
    if asked:
        return
    if "--write-docs" in sys.argv:
        sources_docs.write(data, {name: result.failure is None for name, result in results.items()})
    report.nothing("docs/COMPATIBILITY.md has exactly these rows, and all hold", sources_docs.differences(data))


if __name__ == "__main__":
    run("sources", script)
