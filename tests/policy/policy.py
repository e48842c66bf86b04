"""Runs the checks on the repository's files, then proves each on a copy with one thing broken.

`tests/policy/run` starts it with the tools that it needs. Must never call a check proven that fails for another break than its
own, or that nothing breaks.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Callable

from documents import Documents, text_of

HERE = Path(__file__).resolve().parent
# The outside tests' way to say what held.
sys.path.insert(0, str(HERE.parent / "outside"))

from checks import Report, run  # noqa: E402

from breaks import BREAKS, Edit, Taken  # noqa: E402
import roles  # noqa: E402, F401 - its rules are among RULES
from rules import RULES  # noqa: E402
from tools import cfn_lint, parliament_findings, sam_validate  # noqa: E402

TOOLS: dict[str, Callable[[Documents], list[str]]] = {
    "sam validate --lint finds nothing": sam_validate,
    "cfn-lint finds nothing": cfn_lint,
    "parliament finds nothing": parliament_findings,
}


def wrong(check: Callable[[Documents], list[str]], documents: Documents) -> list[str]:
    """What a check finds; what it cannot find its way in is wrong, too."""
    try:
        return check(documents)
    except (KeyError, LookupError, TypeError, ValueError, AttributeError) as error:
        return [f"{type(error).__name__}: {error}"]


def broken(edit: Edit | Taken) -> Documents:
    """The files with one edit, or without one of the resources that SAM makes of them."""
    if isinstance(edit, Taken):
        documents = Documents()
        del documents.resources[edit.resource]
        return documents
    text = text_of(edit.file)
    if edit.old not in text:
        raise LookupError(f"{edit.file} has no {edit.old!r} to break")
    return Documents({edit.file: text.replace(edit.old, edit.new, 1)})


def check_all(report: Report) -> None:
    """Every check on the files as they are."""
    documents = Documents()
    for sentence, check in (TOOLS | RULES).items():
        report.nothing(sentence, wrong(check, documents))


def prove_all(report: Report) -> None:
    """Every check on files that break it, and it alone."""
    checks = TOOLS | RULES
    report.equal("each check has a break of its own", sorted({edit.breaks for edit in BREAKS}), sorted(checks))
    for edit in BREAKS:
        documents = broken(edit)
        # Tools take seconds and look at everything: one is asked when it is its turn.
        asked = RULES | {edit.breaks: checks[edit.breaks]}
        failed = [sentence for sentence, check in asked.items() if wrong(check, documents)]
        report.equal(f"broken: {edit.what}: exactly `{edit.breaks}` fails", failed, [edit.breaks])


def main(report: Report) -> None:
    began = time.monotonic()
    if sys.argv[1:] != ["--break"]:
        check_all(report)
    prove_all(report)
    report.note(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    run("policy", main)
