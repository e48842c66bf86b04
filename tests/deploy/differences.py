"""What ministack 1.5.33 does otherwise than AWS, as far as this stack meets it, and how the test makes up for it.

Each difference is one function with the page that says what AWS does. Nothing here may change what is deployed in any other
way: the functions, queues, tables, roles and parameters stay as the template says. docs/DEPLOY.md repeats the list.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from emulator import Emulator

# Where the template includes the alarms and the dashboard.
INCLUDED = re.compile(r"Location: *(\S*operations\.yaml)")

# The action of a batch is that of its single form: "Actions for batch operations are not specified separately".
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-using-identity-based-policies.html
BATCHES = {
    "sqs:SendMessage": "sqs:SendMessageBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
}


def without_metric_math(template: Path) -> tuple[Path, list[str]]:
    """Leaves out alarms over more than one metric, which ministack refuses. Gives the template to deploy, and their names.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-alarm.html (Metrics)
    """
    text = template.read_text()
    named = INCLUDED.search(text)
    assert named, f"{template} includes no operations.yaml"
    resources = yaml.safe_load((template.parent / named[1]).read_text())
    math = [
        name
        for name, resource in resources.items()
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    ]
    kept = json.dumps({name: resource for name, resource in resources.items() if name not in math})
    # The dashboard shows the alarms: those that are not there cannot be shown.
    for name in math:
        kept = re.sub(rf' *\\"\${{{name}\.Arn}}\\",?(\\n)?', "", kept)
    included = template.with_name("operations-without-math.yaml")
    included.write_text(kept)
    changed = template.with_name("template-without-math.yaml")
    changed.write_text(text.replace(named[1], included.name))
    return changed, math


def number_concurrency(emulator: Emulator) -> None:
    """Makes numbers of the mappings' MaximumConcurrency: a parameter of type Number comes through as text, and then no
    mapping polls.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html (Number)
    """
    client = emulator.client("lambda")
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        most = int(mapping["ScalingConfig"]["MaximumConcurrency"])
        client.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": most})


def grant_batches(emulator: Emulator, roles: list[str]) -> None:
    """Grants, beside each SQS action of a role, its batch form on the same queues, as AWS does without being told."""
    iam = emulator.client("iam")
    for role in roles:
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            statements = []
            for statement in document["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                batches = [BATCHES[action] for action in actions if action in BATCHES]
                if batches:
                    statements.append(statement | {"Action": batches})
            if statements:
                more = json.dumps({"Version": document["Version"], "Statement": statements})
                iam.put_role_policy(RoleName=role, PolicyName=f"{policy}-batches", PolicyDocument=more)


def iam_request(url: str, body: str) -> dict:
    """The event of a signed request to a URL of type AWS_IAM. ministack checks that such a request is signed, and then
    leaves out what AWS says of its caller: `authorizer`. With it, the request is given to the function by invocation.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """
    parts = urlsplit(url)
    account = "123456789012"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": parts.hostname},
        "requestContext": {
            "accountId": account,
            "apiId": parts.hostname.split(".")[0],
            "authentication": None,
            "authorizer": {
                "iam": {
                    "accessKey": "AKIAIOSFODNN7EXAMPLE",
                    "accountId": account,
                    "callerId": "AIDACKCEVSQ6C2EXAMPLE",
                    "cognitoIdentity": None,
                    "principalOrgId": None,
                    "userArn": f"arn:aws:iam::{account}:user/platform",
                    "userId": "AIDACKCEVSQ6C2EXAMPLE",
                }
            },
            "domainName": parts.hostname,
            "domainPrefix": parts.hostname.split(".")[0],
            "http": {
                "method": "POST",
                "path": parts.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl",
            },
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        },
        "body": body,
        "isBase64Encoded": False,
    }
