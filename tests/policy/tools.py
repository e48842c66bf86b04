"""What others' tools say: `sam validate --lint`, cfn-lint and parliament. Each gives its findings, an empty list if it has none.

Must never take a tool that broke for one that found nothing.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import parliament

from documents import EGRESS, OPERATIONS, TEMPLATE, Documents, statements

# An account and a region to write policies out for; nothing is asked of them.
ACCOUNT, REGION = "123456789012", "us-east-1"
PSEUDO = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::StackName": "redial"}
# What `Arn` of a resource looks like.
ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "AWS::KMS::Key": "arn:aws:kms:{region}:{account}:key/{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
}
# The calls that a function's code makes carry its ARN, whatever service they go to; parliament knows that key for none.
# https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
KEY_OF_EVERY_SERVICE = "lambda:SourceFunctionArn"


def said(command: list[str], folder: Path) -> list[str]:
    """What a command prints, line by line, and its status if that is not 0."""
    ended = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
    return lines + ([f"{command[0]} ended with status {ended.returncode}"] if ended.returncode else [])


def written(documents: Documents, folder: Path) -> Path:
    """The files as a tool finds them in the repository."""
    for name in (TEMPLATE, OPERATIONS, EGRESS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(documents.texts[name])
    (folder / "merged.json").write_text(documents.text_of_merged())
    return folder


def sam_validate(documents: Documents) -> list[str]:
    """`sam validate --lint` of the template, as its deployers run it."""
    folder = Path(tempfile.mkdtemp(prefix="policy-"))
    try:
        lines = said(["sam", "validate", "--lint"], written(documents, folder))
        well = re.compile(r".*template\.yaml is a valid SAM Template$")
        return [line for line in lines if not well.match(line)] + (
            [] if any(map(well.match, lines)) else ["it is not called valid"]
        )
    finally:
        shutil.rmtree(folder)


def cfn_lint(documents: Documents) -> list[str]:
    """cfn-lint of the template alone, with what it includes, and of the fixed address."""
    folder = Path(tempfile.mkdtemp(prefix="policy-"))
    try:
        return said(["cfn-lint", TEMPLATE, "merged.json", EGRESS], written(documents, folder))
    finally:
        shutil.rmtree(folder)


def concrete(documents: Documents, value: Any) -> Any:
    """A part of a policy with references written out as ARNs."""
    if isinstance(value, list):
        return [concrete(documents, it) for it in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::GetAtt"}:
        name, attribute = value["Fn::GetAtt"]
        return attribute_of(documents, name, attribute)
    if set(value) == {"Fn::Sub"}:
        parts = re.compile(r"\$\{([^}]+)\}")
        return parts.sub(lambda it: PSEUDO.get(it[1]) or attribute_of(documents, *it[1].split(".")), value["Fn::Sub"])
    if set(value) == {"Ref"}:
        raise ValueError(f"a policy holds a Ref: {value}")
    return {name: concrete(documents, it) for name, it in value.items()}


def attribute_of(documents: Documents, name: str, attribute: str) -> str:
    """`GetAtt` of a resource's ARN."""
    if attribute != "Arn":
        raise ValueError(f"a policy holds {name}.{attribute}")
    return ARNS[documents.resources[name]["Type"]].format(region=REGION, account=ACCOUNT, name=name)


def policies(documents: Documents) -> dict[str, dict]:
    """Every policy of a role, and the managed one, as AWS would get it."""
    found = {}
    for name, role in documents.of_type("AWS::IAM::Role").items():
        for policy in role["Policies"]:
            found[f"{name}/{policy['PolicyName']}"] = policy
    found.update(documents.of_type("AWS::IAM::ManagedPolicy"))
    return {
        name: {"Version": policy["PolicyDocument"]["Version"], "Statement": concrete(documents, statements(policy))}
        for name, policy in found.items()
    }


def parliament_findings(documents: Documents) -> list[str]:
    """What parliament finds in the policies."""
    wrong = []
    for name, policy in policies(documents).items():
        for finding in parliament.analyze_policy_string(json.dumps(policy)).findings:
            of_every_service = finding.issue.startswith("UNKNOWN_CONDITION") and KEY_OF_EVERY_SERVICE in str(
                finding.detail
            )
            if not of_every_service:
                wrong.append(f"{name}: {finding.issue}: {finding.detail} {finding.location}")
    return wrong
