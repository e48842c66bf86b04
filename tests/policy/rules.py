"""What the deployment must hold, one function a sentence: each gives what is wrong, an empty list if nothing is.

Must never pass for want of anything to look at: what it is about not being there is wrong, too.
"""

from __future__ import annotations

import json
import re
from typing import Callable

from documents import ENTRIES, METRICS, OPERATIONS, Documents, target

# AWS's advice for functions that are fed by a queue.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_PER_TIMEOUT = 6
# The longest that SQS keeps a message; a message's age counts across redrives.
RETENTION_S = 14 * 24 * 3600
# Queue -> where what it cannot deliver goes.
LADDER = {
    "DeliveryQueue": "RetryQueue",
    "RetryQueue": "DeadLetterQueue",
    "ReplayQueue": "DeadLetterQueue",
    "DeadLetterQueue": None,
}
# Who may be reached without IAM, and must ask for a key.
PUBLIC_URLS = {"IngestUrl": "Ingest", "ApiUrl": "Api"}
# Words of switches that a run on one machine has, and a deployment must not.
LOCAL_WORDS = re.compile(
    r"ALLOW|INSECURE|LOCAL|PRIVATE|SCHEDULE|STRICT|TARGET|PLAIN|TRUST|EXTRA_CA|CERT", re.IGNORECASE
)
RULES: dict[str, Callable[[Documents], list[str]]] = {}


def rule(sentence: str) -> Callable:
    """Names a check by what holds if it passes."""

    def named(function: Callable[[Documents], list[str]]) -> Callable[[Documents], list[str]]:
        RULES[sentence] = function
        return function

    return named


def mappings(documents: Documents) -> dict[str, dict]:
    """The event source mappings."""
    return documents.of_type("AWS::Lambda::EventSourceMapping")


# ---- Queues and mappings --------------------------------------------------------------------------------------------


@rule("every queue hides a message for six timeouts of its function")
def visibility(documents: Documents) -> list[str]:
    queues, functions = documents.of_type("AWS::SQS::Queue"), documents.of_type("AWS::Lambda::Function")
    wrong = []
    for name, mapping in mappings(documents).items():
        queue, function = target(mapping["EventSourceArn"]), target(mapping["FunctionName"])
        hidden, timeout = queues[queue].get("VisibilityTimeout", 30), functions[function].get("Timeout", 3)
        if hidden < VISIBILITY_PER_TIMEOUT * timeout:
            wrong.append(f"{name}: {queue} hides for {hidden} s, {function} takes up to {timeout} s")
    return wrong


@rule("every mapping reports partial failures")
def partial_failures(documents: Documents) -> list[str]:
    return [n for n, m in mappings(documents).items() if m.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]]


@rule("no mapping filters or is switched off")
def no_filter(documents: Documents) -> list[str]:
    return [n for n, m in mappings(documents).items() if "FilterCriteria" in m or m.get("Enabled", True) is not True]


@rule("every mapping has a concurrency of its own")
def own_concurrency(documents: Documents) -> list[str]:
    return [n for n, m in mappings(documents).items() if not m.get("ScalingConfig", {}).get("MaximumConcurrency")]


@rule("no function reserves concurrency or may run in a loop")
def no_reserved_concurrency(documents: Documents) -> list[str]:
    forbidden = ("ReservedConcurrentExecutions", "RecursiveLoop")
    functions = documents.of_type("AWS::Lambda::Function")
    return [f"{name}: {key}" for name, it in functions.items() for key in forbidden if key in it]


@rule("every queue keeps its messages for 14 days")
def queue_retention(documents: Documents) -> list[str]:
    queues = documents.of_type("AWS::SQS::Queue")
    return [name for name, queue in queues.items() if queue.get("MessageRetentionPeriod") != RETENTION_S]


@rule("every queue is encrypted")
def queues_encrypted(documents: Documents) -> list[str]:
    queues = documents.of_type("AWS::SQS::Queue")
    return [n for n, q in queues.items() if q.get("SqsManagedSseEnabled") is not True and "KmsMasterKeyId" not in q]


@rule("what cannot be delivered goes from delivery to retry to dead letters")
def ladder(documents: Documents) -> list[str]:
    queues = documents.of_type("AWS::SQS::Queue")
    policies = {name: queue.get("RedrivePolicy", {}) for name, queue in queues.items()}
    real = {name: target(policy.get("deadLetterTargetArn")) for name, policy in policies.items()}
    uncounted = [name for name, policy in policies.items() if policy and not policy.get("maxReceiveCount")]
    return [] if real == LADDER and not uncounted else [f"{real}, without a count: {uncounted}"]


# ---- Tables ---------------------------------------------------------------------------------------------------------


@rule("every table is encrypted with a key that the account can watch")
def tables_encrypted(documents: Documents) -> list[str]:
    tables = documents.of_type("AWS::DynamoDB::Table")
    return [name for name, table in tables.items() if table.get("SSESpecification", {}).get("SSEEnabled") is not True]


@rule("config can be restored to any second")
def restorable(documents: Documents) -> list[str]:
    config = documents.of_type("AWS::DynamoDB::Table")["ConfigTable"]
    recovery = config.get("PointInTimeRecoverySpecification", {})
    return [] if recovery.get("PointInTimeRecoveryEnabled") is True else [str(recovery)]


@rule("config cannot be deleted by mistake")
def protected(documents: Documents) -> list[str]:
    config = documents.of_type("AWS::DynamoDB::Table")["ConfigTable"]
    return [] if config.get("DeletionProtectionEnabled") is True else ["DeletionProtectionEnabled is not true"]


@rule("events go after their retention")
def expires(documents: Documents) -> list[str]:
    ttl = documents.of_type("AWS::DynamoDB::Table")["EventsTable"].get("TimeToLiveSpecification")
    return [] if ttl == {"AttributeName": "ttl", "Enabled": True} else [str(ttl)]


@rule("tables and the key of the secrets stay when the stack goes")
def stays(documents: Documents) -> list[str]:
    policies = ("DeletionPolicy", "UpdateReplacePolicy")
    kept = ("AWS::DynamoDB::Table", "AWS::KMS::Key")
    resources = {name: it for name, it in documents.resources.items() if it["Type"] in kept}
    wrong = [f"{n}: {policy}" for n, it in resources.items() for policy in policies if it.get(policy) != "Retain"]
    return wrong if len(resources) == 3 else [f"found only {sorted(resources)}"]


# ---- Functions, their URLs and logs ---------------------------------------------------------------------------------


def without_iam(documents: Documents) -> dict[str, str | None]:
    """The URLs that ask IAM nothing, each with its function."""
    urls = documents.of_type("AWS::Lambda::Url")
    return {name: target(url["TargetFunctionArn"]) for name, url in urls.items() if url["AuthType"] == "NONE"}


def open_to_all(documents: Documents) -> dict[str, dict]:
    """The permissions that everybody has."""
    granted = documents.of_type("AWS::Lambda::Permission")
    return {name: it for name, it in granted.items() if "*" in json.dumps(it["Principal"])}


def both_of_a_url(function: str | None) -> list[dict]:
    """What a URL without IAM needs, to the letter: without its condition either opens more than that URL.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    """
    to_all = {"FunctionName": {"Ref": function}, "Principal": "*"}
    return [
        {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE", **to_all},
        {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True, **to_all},
    ]


@rule("a URL without IAM may be called and may invoke")
def public_urls(documents: Documents) -> list[str]:
    public, granted = without_iam(documents), open_to_all(documents).values()
    if public != PUBLIC_URLS:
        return [f"without IAM: {public}"]
    return [f"{name}: missing {it}" for name, to in public.items() for it in both_of_a_url(to) if it not in granted]


@rule("everybody may do nothing but call the URLs without IAM")
def nothing_else_open(documents: Documents) -> list[str]:
    needed = [it for function in without_iam(documents).values() for it in both_of_a_url(function)]
    granted = open_to_all(documents)
    return [f"{name}: {it}" for name, it in granted.items() if it not in needed] + (
        [] if granted else ["nothing is open to everybody"]
    )


@rule("the one URL with IAM is that of an alias of ingest")
def iam_url(documents: Documents) -> list[str]:
    urls = documents.of_type("AWS::Lambda::Url")
    by_iam = {name: url for name, url in urls.items() if url["AuthType"] == "AWS_IAM"}
    aliases = documents.of_type("AWS::Lambda::Alias")
    if list(by_iam) != ["IngestIamUrl"] or target(by_iam["IngestIamUrl"]["TargetFunctionArn"]) != "Ingest":
        return [f"with IAM: {sorted(by_iam)}"]
    qualifier = by_iam["IngestIamUrl"].get("Qualifier")
    return [] if qualifier in {alias["Name"] for alias in aliases.values()} else [f"there is no alias {qualifier}"]


@rule("every log group has an end")
def log_retention(documents: Documents) -> list[str]:
    return [
        name for name, group in documents.of_type("AWS::Logs::LogGroup").items() if not group.get("RetentionInDays")
    ]


@rule("every function logs to a group of its own")
def log_groups(documents: Documents) -> list[str]:
    groups = documents.of_type("AWS::Logs::LogGroup")
    functions = documents.of_type("AWS::Lambda::Function")
    used = {name: target(it.get("LoggingConfig", {}).get("LogGroup")) for name, it in functions.items()}
    return [f"{n}: {group}" for n, group in used.items() if group not in groups or list(used.values()).count(group) > 1]


@rule("nothing in a function's environment loosens what it may reach")
def no_local_switch(documents: Documents) -> list[str]:
    functions = documents.of_type("AWS::Lambda::Function")
    wrong = [f"parameter {name}" for name in documents.parameters if LOCAL_WORDS.search(name)]
    for name, function in functions.items():
        for variable, value in function["Environment"]["Variables"].items():
            if LOCAL_WORDS.search(variable) or "http://" in json.dumps(value) or "127.0.0.1" in json.dumps(value):
                wrong.append(f"{name}: {variable} = {json.dumps(value)}")
    return wrong


@rule("every function is built as the repository has it")
def built_plainly(documents: Documents) -> list[str]:
    wrong = []
    for name, resource in documents.written.items():
        if resource["Type"] == "AWS::Serverless::Function":
            build = resource.get("Metadata", {})
            plain = build.get("BuildMethod") == "rust-cargolambda" and set(build.get("BuildProperties", {})) == {
                "Binary"
            }
            # Flags are where a feature of tests would come in.
            wrong += [] if plain else [f"{name}: {build}"]
    return wrong


# ---- Alarms, dashboard, outputs -------------------------------------------------------------------------------------


@rule("what is included is written without short forms")
def included_plainly(documents: Documents) -> list[str]:
    # AWS::Include takes `!Ref` for a text; everything else here would read it well.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-aws-include.html
    lines = [line.split("#")[0] for line in documents.texts[OPERATIONS].splitlines()]
    return [line.strip() for line in lines if re.search(r"(^|[\s\[{:-])![A-Za-z]", line)]


@rule("every alarm tells the topic")
def alarms_tell(documents: Documents) -> list[str]:
    alarms = documents.of_type("AWS::CloudWatch::Alarm")
    return [name for name, alarm in alarms.items() if alarm.get("AlarmActions") != [{"Ref": "AlarmTopic"}]]


@rule("no alarm needs the minute that FILL makes up for late data")
def filled_loosely(documents: Documents) -> list[str]:
    # The newest minute may be the value of FILL every time: the alarm would stay as it is for ever.
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    filled = {
        name: alarm
        for name, alarm in documents.of_type("AWS::CloudWatch::Alarm").items()
        if any("FILL" in it.get("Expression", "") for it in alarm.get("Metrics", []))
    }
    asked = {name: (it.get("DatapointsToAlarm"), it["EvaluationPeriods"]) for name, it in filled.items()}
    every = [f"{name}: {m or n} of {n}" for name, (m, n) in asked.items() if (m or n) >= n]
    return every if filled else ["no alarm has FILL"]


@rule("every alarm goes by its name and names its entry in the operations page")
def alarms_named(documents: Documents) -> list[str]:
    wrong = []
    for name, alarm in documents.of_type("AWS::CloudWatch::Alarm").items():
        named = alarm.get("AlarmName") == {"Fn::Sub": f"${{AWS::StackName}}-{name}"}
        pointed = alarm.get("AlarmDescription", "").endswith(f" {ENTRIES}: {name}")
        wrong += [] if named and pointed else [name]
    return wrong


def entries(documents: Documents) -> dict[str, str]:
    """The entries of the operations page: the text below each heading of its section about alarms."""
    section = documents.texts[ENTRIES].split("\n## Alarms\n")[1].split("\n## ")[0]
    parts = section.split("\n### ")[1:]
    return {part.split("\n")[0].strip(): part for part in parts}


@rule("every alarm has an entry with a command, and every entry has an alarm")
def alarms_explained(documents: Documents) -> list[str]:
    alarms, explained = set(documents.of_type("AWS::CloudWatch::Alarm")), entries(documents)
    wrong = [f"{name} has no entry" for name in sorted(alarms - set(explained))]
    wrong += [f"{name} is no alarm" for name in sorted(set(explained) - alarms)]
    return wrong + [f"{name} says no command" for name, text in explained.items() if "```" not in text]


def own_metrics(documents: Documents) -> set[str]:
    """The metrics of Redial's own that alarms and the dashboard read."""
    alarms = json.dumps(documents.of_type("AWS::CloudWatch::Alarm"), default=str)
    read = set(re.findall(r'"Namespace": "Redial", "MetricName": "(\w+)"', alarms))
    return read | set(re.findall(r'\["Redial", "(\w+)"', dashboard_text(documents)))


def dashboard_text(documents: Documents) -> str:
    """The body of the dashboard, as it is written."""
    (dashboard,) = documents.of_type("AWS::CloudWatch::Dashboard").values()
    return dashboard["DashboardBody"]["Fn::Sub"]


@rule("every metric of ours that is watched is one that the metrics page names")
def metrics_exist(documents: Documents) -> list[str]:
    watched = own_metrics(documents)
    if len(watched) < 10:
        return [f"found only {sorted(watched)}"]
    return sorted(name for name in watched if f"`{name}`" not in documents.texts[METRICS])


@rule("the dashboard shows every alarm that is always there, in widgets that do not cover each other")
def dashboard(documents: Documents) -> list[str]:
    widgets = json.loads(dashboard_text(documents))["widgets"]
    cells = [
        (x, y)
        for it in widgets
        for x in range(it["x"], it["x"] + it["width"])
        for y in range(it["y"], it["y"] + it["height"])
    ]
    wrong = [] if len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24 else ["widgets cover each other"]
    shown = {arn for it in widgets if it["type"] == "alarm" for arn in it["properties"]["alarms"]}
    always = {
        n
        for n, it in documents.written.items()
        if it["Type"] == "AWS::CloudWatch::Alarm" and it["Condition"] == "IsWatched"
    }
    return wrong + sorted(shown ^ {f"${{{name}.Arn}}" for name in always})


@rule("every output says what it is")
def outputs(documents: Documents) -> list[str]:
    return [name for name, output in documents.outputs.items() if len(output.get("Description", "")) < 10]
