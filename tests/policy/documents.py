"""The files that the checks are about, and what CloudFormation makes of them: what template.yaml includes is merged into it, and
SAM's own translator writes it out.

Must never guess: an include that is not there, or a template that SAM does not take, is an error.
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import re
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]

TEMPLATE = "template.yaml"
OPERATIONS = "infra/operations.yaml"
EGRESS = "infra/egress.yaml"
ENTRIES = "docs/OPERATIONS.md"
METRICS = "docs/METRICS.md"

# What the translator says about its own metrics is no finding.
logging.getLogger("samtranslator").setLevel(logging.ERROR)


@functools.cache
def text_of(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text()


@functools.cache
def parsed(text: str) -> dict[str, Any]:
    """A file's YAML, its short forms written out. Whoever changes it takes a copy."""
    return yaml_parse(text)


class NoManagedPolicies:
    """The translator asks for AWS's managed policies by name; this template names none."""

    def load(self) -> dict:
        return {}


class Documents:
    """The files, some of them perhaps changed, and what they mean together."""

    def __init__(self, changed: dict[str, str] | None = None) -> None:
        names = (TEMPLATE, OPERATIONS, EGRESS, ENTRIES, METRICS)
        self.texts = {name: text_of(name) for name in names} | (changed or {})
        self.merged = self._merged()
        self.parameters: dict[str, dict] = self.merged["Parameters"]
        self.outputs: dict[str, dict] = self.merged["Outputs"]
        # As SAM reads them, and as CloudFormation gets them.
        self.written: dict[str, dict] = self.merged["Resources"]
        self.resources: dict[str, dict] = self._translated()["Resources"]

    def text_of_merged(self) -> str:
        """The template with what it includes, as a document of its own."""
        return json.dumps(self.merged, default=str, indent=1)

    def of_type(self, kind: str) -> dict[str, dict]:
        """The resources of a type after translation: their properties by name."""
        found = {name: it for name, it in self.resources.items() if it["Type"] == kind}
        if not found:
            raise LookupError(f"the template has no {kind}")
        return {name: it.get("Properties", {}) for name, it in found.items()}

    def all_of_type(self, kind: str) -> dict[str, dict]:
        """As `of_type`, of the written template; may be empty."""
        return {name: it.get("Properties", {}) for name, it in self.written.items() if it["Type"] == kind}

    def _merged(self) -> dict[str, Any]:
        document = copy.deepcopy(parsed(self.texts[TEMPLATE]))
        include = document["Resources"].pop("Fn::Transform")
        location = include["Parameters"]["Location"]
        if include["Name"] != "AWS::Include" or location not in self.texts:
            raise LookupError(f"{TEMPLATE} includes {location}, which is not checked")
        more = parsed(self.texts[location])
        twice = set(more) & set(document["Resources"])
        if twice:
            raise LookupError(f"in {TEMPLATE} and in {location}: {sorted(twice)}")
        document["Resources"].update(more)
        return document

    def _translated(self) -> dict[str, Any]:
        document = copy.deepcopy(self.merged)
        for resource in document["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                # `sam package` puts such an address here.
                resource["Properties"]["CodeUri"] = "s3://bucket/key"
        return transform(document, {}, NoManagedPolicies())


def target(value: Any) -> str | None:
    """The resource that a `Ref`, a `GetAtt` or a `Sub` of it or of one of its attributes names."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((function, argument),) = value.items()
    if function == "Ref":
        return argument
    if function == "Fn::GetAtt":
        return argument[0] if isinstance(argument, list) else argument.split(".")[0]
    # Nothing but the reference: with more behind it, as in `${Function}:alias`, it names another thing.
    if function == "Fn::Sub" and isinstance(argument, str):
        whole = re.fullmatch(r"\$\{(\w+)(\.\w+)*\}", argument)
        return whole[1] if whole else None
    return None


def as_list(value: Any) -> list:
    """What policies write as one value or as a list."""
    return value if isinstance(value, list) else [value]


def statements(policy: dict) -> list[dict]:
    """The statements of a policy document."""
    return as_list(policy["PolicyDocument"]["Statement"])
