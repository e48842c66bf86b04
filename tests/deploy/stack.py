"""The stack: deployed from what `sam build` left, looked at, and deleted with everything that it retains.

Knows CloudFormation and the AWS CLI as a deployer does. Must not know Redial's tables: what it is told, an output says.
"""

from __future__ import annotations

import json
from pathlib import Path

from botocore.exceptions import ClientError

from emulator import Emulator
from product import ROOT

NAME = "redial"
CONFIG = ROOT / "infra" / "samconfig.toml"


class Stack:
    """One deployment of template.yaml."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.cloudformation = emulator.client("cloudformation")
        self.outputs: dict[str, str] = {}

    def deploy(self, template: Path, parameters: dict[str, str]) -> None:
        """`sam deploy` of stage prod, but for its question."""
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        self.emulator.run(
            *("sam", "deploy", "--config-file", str(CONFIG), "--config-env", "prod", "--template-file", str(template)),
            *("--stack-name", NAME, "--no-confirm-changeset", "--no-progressbar"),
            *("--parameter-overrides", *overrides),
        )
        stack = self.cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def resources(self) -> dict[str, tuple[str, str]]:
        """Type and physical id of every resource, by its name in the template."""
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=NAME)
        rows = [row for page in pages for row in page["StackResourceSummaries"]]
        return {row["LogicalResourceId"]: (row["ResourceType"], row["PhysicalResourceId"]) for row in rows}

    def physical(self, name: str) -> str:
        """The physical id of a resource, as docs/DEPLOY.md says to find it."""
        found = self.emulator.run(
            *("aws", "cloudformation", "describe-stack-resource", "--stack-name", NAME),
            *("--logical-resource-id", name),
            *("--query", "StackResourceDetail.PhysicalResourceId", "--output", "text"),
        )
        return found.stdout.strip()

    def invoke(self, function: str, payload: Path, answer: Path) -> tuple[dict, dict]:
        """`aws lambda invoke`, as docs/DEPLOY.md says: what the command printed, and what the function answered."""
        done = self.emulator.run(
            *("aws", "lambda", "invoke", "--function-name", function),
            *("--payload", f"fileb://{payload}", str(answer)),
        )
        return json.loads(done.stdout), json.loads(answer.read_text())

    def logs(self) -> dict[str, list[str]]:
        """Every line that each function has logged, by the name of its log group in the template."""
        client = self.emulator.client("logs")
        found = {}
        for name, (kind, group) in self.resources().items():
            if kind == "AWS::Logs::LogGroup":
                pages = client.get_paginator("filter_log_events").paginate(logGroupName=group)
                found[name] = [event["message"] for page in pages for event in page["events"]]
        return found

    def delete(self) -> None:
        """`sam delete`."""
        self.emulator.run("sam", "delete", "--stack-name", NAME, "--region", self.emulator.region, "--no-prompts")

    def is_gone(self) -> bool:
        """True if CloudFormation knows no such stack any more."""
        try:
            stacks = self.cloudformation.describe_stacks(StackName=NAME)["Stacks"]
        except ClientError:
            return True
        return all(stack["StackStatus"] == "DELETE_COMPLETE" for stack in stacks)

    def delete_retained(self) -> list[str]:
        """Deletes what a deleted stack leaves on purpose, as docs/DEPLOY.md says, and names it."""
        dynamodb = self.emulator.client("dynamodb")
        left = []
        for output in ("ConfigTableName", "EventsTableName"):
            table = self.outputs[output]
            dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
            dynamodb.delete_table(TableName=table)
            left.append(table)
        self.emulator.client("kms").schedule_key_deletion(
            KeyId=self.outputs["SecretsKeyArn"], PendingWindowInDays=7
        )
        return left

    def leftovers(self) -> list[str]:
        """Functions, queues, tables, roles and log groups of the account that carry the stack's name."""
        client = self.emulator.client
        names = [f["FunctionName"] for f in client("lambda").list_functions()["Functions"]]
        names += client("sqs").list_queues().get("QueueUrls", [])
        names += client("dynamodb").list_tables()["TableNames"]
        names += [role["RoleName"] for role in client("iam").list_roles()["Roles"]]
        names += [group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]]
        names += [rule["Name"] for rule in client("events").list_rules()["Rules"]]
        return [name for name in names if f"{NAME}-" in name.rsplit("/", 1)[-1]]
