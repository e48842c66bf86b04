"""docs/COMPATIBILITY.md: written from tests/data/sources.json and the results of a run, and compared with it. Never states
a result that no run gave.
"""

from __future__ import annotations

import json
import re
from collections import Counter

from product import ROOT

PAGE = ROOT / "docs" / "COMPATIBILITY.md"
HOLDS = "holds"
# Of a row about what the platform serves itself: the check shows that Redial leads there, and nothing about the content.
SERVED = "the platform serves it"

HEAD = """# Compatibility

Redial stands in for four webhook systems of voice platforms: a platform that works like one of them puts Redial behind its
documents, and its customers' receivers and integrations do not notice. Below is every fact that those documents state,
with the check that drives Redial as that system's platform and customers would, and what the last run said. The rows are
`tests/data/sources.json`; `tests/outside/run sources` checks them, and `tests/outside/sources.py --write-docs` writes this
page.

"""
VIA = {
    "wire": "a request that a receiver got",
    "api": "the HTTP API, which the console calls too",
    "template": "the deployment's template",
    "console": "the console",
}


def cell(text: str) -> str:
    """A text as a cell of a table holds it."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def literal(expect: dict) -> str:
    """What is expected, as JSON in a cell."""
    text = json.dumps(expect, ensure_ascii=False)
    return f"`{cell(text).replace('&lt;', '<')}`" if expect else ""


def line(row: dict, result: str) -> str:
    """A row of a table."""
    check = f"`{row['check']}`" if row["check"] else ""
    said = [f"{row['system']}{row['n']}", cell(row["sentence"]), literal(row["expect"])]
    return f"| {' | '.join([*said, check, row['via'], cell(result)])} |"


def is_served(row: dict) -> bool:
    """True for a fact about what the platform serves, which no run of Redial can show to hold."""
    return row.get("served_by") == "the platform"


def result_of(row: dict, held: dict[str, bool]) -> str:
    """What a run said of a row."""
    if "pending" in row:
        return f"not checked yet: {row['pending']}"
    if not held[f"{row['system']}{row['n']}"]:
        return "does not hold"
    return SERVED if is_served(row) else HOLDS


def page(data: dict, held: dict[str, bool]) -> str:
    """The whole page."""
    rows = data["rows"]
    total = Counter(row["system"] for row in rows)
    good = Counter(row["system"] for row in rows if not is_served(row) and held.get(f"{row['system']}{row['n']}"))
    served = [f"{row['system']}{row['n']}" for row in rows if is_served(row)]
    pending = [f"{row['system']}{row['n']}" for row in rows if "pending" in row]
    text = HEAD + "| system | profile | facts | hold |\n|---|---|---|---|\n"
    for name, system in data["systems"].items():
        text += f"| {name}: {system['name']} | `{system['profile']}` | {total[name]} | {good[name]} |\n"
    text += f"\nNot checked yet: {', '.join(pending) or 'none'}.\n"
    text += f"\nServed by the platform, which Redial only links to, and not counted as holding: {', '.join(served) or 'none'}.\n"
    text += "\nThe column *at* says where a fact is looked at: "
    text += "; ".join(f"`{name}`: {meaning}" for name, meaning in VIA.items()) + ".\n"
    for name, system in data["systems"].items():
        text += f"\n## {name}. {system['name'][0].upper()}{system['name'][1:]}: profile `{system['profile']}`\n\n"
        text += "Putting Redial behind its documents:\n\n"
        text += "".join(f"{n}. {step}\n" for n, step in enumerate(system["setup"], 1))
        text += "\nDifferences:\n\n" + "".join(f"- {difference}\n" for difference in system["differences"])
        text += "\n| | the documents say | expected | check | at | result |\n|---|---|---|---|---|---|\n"
        for row in rows:
            if row["system"] == name:
                text += line(row, result_of(row, held)) + "\n"
    return text


def write(data: dict, held: dict[str, bool]) -> None:
    """Writes the page from a run of all rows."""
    PAGE.write_text(page(data, held))


def differences(data: dict) -> list[str]:
    """How the committed page differs from one on which all rows hold."""
    held = {f"{row['system']}{row['n']}": True for row in data["rows"] if "pending" not in row}
    wanted = page(data, held).splitlines()
    found = PAGE.read_text().splitlines() if PAGE.exists() else []
    missing = [f"is missing: {text}" for text in wanted if text not in set(found)]
    surplus = [f"is too much: {text}" for text in found if text not in set(wanted)]
    numbers = [re.match(r"\| ([A-D]\d+) ", text)[1] for text in found if re.match(r"\| [A-D]\d+ ", text)]
    repeated = [f"is there {count} times: {number}" for number, count in Counter(numbers).items() if count > 1]
    return missing + surplus + repeated
