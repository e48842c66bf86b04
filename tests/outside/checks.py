"""Says what held and what did not, one line a check, and waits for things that can be observed.

Must never turn a crash into a pass: a script that ends without `Report.finish` is counted as failed by `run`.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from typing import Callable, TypeVar

T = TypeVar("T")

# How often a condition is looked at again, in seconds.
LOOK_EVERY_S = 0.05
# Longest list of details behind a failed check.
MAX_DETAILS = 20


class NotInTime(Exception):
    """A condition did not come true before its deadline."""


def wait_until(what: str, condition: Callable[[], T], deadline_s: float, every_s: float = LOOK_EVERY_S) -> T:
    """Looks at `condition` until it is true, and gives its value; `NotInTime` after `deadline_s` seconds."""
    ends = time.monotonic() + deadline_s
    never = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= ends:
            raise NotInTime(f"{what}: not within {deadline_s:g} s")
        never.wait(every_s)


class Report:
    """The checks of one script. Lines begin with `ok`, `FAIL` or `skip`, which `run` counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failed = 0
        self.passed = 0

    def check(self, sentence: str, holds: bool, details: object = None) -> bool:
        """One check. `details` (a text, or a list that should have been empty) is shown if it does not hold."""
        if holds:
            self.passed += 1
            print(f"ok   {self.name}: {sentence}", flush=True)
            return True
        self.failed += 1
        print(f"FAIL {self.name}: {sentence}", flush=True)
        rows = details if isinstance(details, (list, tuple)) else [] if details is None else [details]
        for row in rows[:MAX_DETAILS]:
            print(f"       {row}", flush=True)
        if len(rows) > MAX_DETAILS:
            print(f"       and {len(rows) - MAX_DETAILS} more", flush=True)
        return False

    def nothing(self, sentence: str, wrong: list) -> bool:
        """A check that holds if `wrong` is empty."""
        return self.check(sentence, not wrong, wrong)

    def equal(self, sentence: str, got: object, expected: object) -> bool:
        """A check that two values are equal."""
        return self.check(sentence, got == expected, f"expected {expected!r}, got {got!r}")

    def skip(self, sentence: str, reason: str) -> None:
        """A check that could not be made here, and why."""
        print(f"skip {self.name}: {sentence}: {reason}", flush=True)

    def note(self, text: str) -> None:
        """A number worth reading, no check."""
        print(f"     {self.name}: {text}", flush=True)

    def finish(self) -> None:
        """Ends the script: status 0 only if something was checked and all of it held."""
        print(f"done {self.name}", flush=True)
        sys.exit(0 if self.failed == 0 and self.passed > 0 else 1)


def run(name: str, script: Callable[[Report], None]) -> None:
    """Runs a script's checks; whatever it raises is a failed check."""
    report = Report(name)
    try:
        script(report)
    except Exception as error:  # Whatever it is, it is shown whole and counts as a failure.
        traceback.print_exc(file=sys.stdout)
        report.check("runs to its end", False, f"{type(error).__name__}: {error}")
    report.finish()
