"""What the roles of the functions must hold, one function a sentence: each gives what is wrong, an empty list if nothing is.

Must never pass for want of anything to look at: what it is about not being there is wrong, too.
"""

from __future__ import annotations

import json
import re

from documents import Documents, as_list, statements, target
from rules import rule

# The one policy with resources that cannot be named before, and the condition that it is made under.
EGRESS, EGRESS_CONDITION = "DispatcherEgress", "EgressIsFixed"
# Its actions that know no resource but "*", and the resource types whose ids AWS makes up or the deployer gives.
UNSCOPED_ACTIONS = {"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"}
UNNAMED_RESOURCES = re.compile(
    r"^arn:\$\{AWS::Partition\}:ec2:\$\{AWS::Region\}:\$\{AWS::AccountId\}:(network-interface|security-group|subnet)/\*$"
)


@rule("every function has a role of its own")
def own_roles(documents: Documents) -> list[str]:
    roles = documents.of_type("AWS::IAM::Role")
    used = [target(it["Role"]) for it in documents.of_type("AWS::Lambda::Function").values()]
    return [] if sorted(used) == sorted(roles) else [f"used {sorted(used)}, there are {sorted(roles)}"]


@rule("no role has a wildcard action or resource")
def no_wildcard(documents: Documents) -> list[str]:
    wrong = []
    for name, role in documents.of_type("AWS::IAM::Role").items():
        for statement in [s for policy in role["Policies"] for s in statements(policy)]:
            granted = as_list(statement.get("Action", "*")) + as_list(statement.get("Resource", "*"))
            wrong += [f"{name}: {json.dumps(it)}" for it in granted if "*" in json.dumps(it)]
    return wrong


@rule("what Lambda needs for a fixed address is granted only with one, and to nothing else")
def egress_policy(documents: Documents) -> list[str]:
    resource = documents.resources[EGRESS]
    wrong = [] if resource.get("Condition") == EGRESS_CONDITION else ["it is granted without a fixed address"]
    for name, role in documents.of_type("AWS::IAM::Role").items():
        no_value = {"Ref": "AWS::NoValue"}
        attached = {"Fn::If": [EGRESS_CONDITION, [{"Ref": EGRESS}], no_value]} if name == "DispatcherRole" else None
        wrong += [] if role.get("ManagedPolicyArns") == attached else [f"{name} has managed policies"]
    managed = documents.of_type("AWS::IAM::ManagedPolicy")
    wrong += [f"{name} is another managed policy" for name in managed if name != EGRESS]
    granted, denied = set(), set()
    for statement in statements(managed[EGRESS]):
        actions = set(as_list(statement["Action"]))
        if statement["Effect"] == "Deny":
            denied |= actions
            continue
        granted |= actions
        for it in as_list(statement["Resource"]):
            scoped = isinstance(it, dict) and UNNAMED_RESOURCES.match(it.get("Fn::Sub", ""))
            wrong += [] if scoped or (it == "*" and actions <= UNSCOPED_ACTIONS) else [f"{sorted(actions)} on {it}"]
    wrong += [f"the code of the dispatcher may {action}" for action in granted - denied]
    return wrong + [f"{action} is a wildcard" for action in granted if "*" in action]


@rule("the dispatcher sends to no queue")
def dispatcher_never_sends(documents: Documents) -> list[str]:
    role = documents.of_type("AWS::IAM::Role")["DispatcherRole"]
    actions = {a for policy in role["Policies"] for s in statements(policy) for a in as_list(s["Action"])}
    if len(actions) < 5:
        return [f"found only {sorted(actions)}"]
    return sorted(actions & {"sqs:SendMessage", "lambda:InvokeFunction", "lambda:InvokeAsync", "sns:Publish"})


@rule("only the api invokes, and nobody but the dispatcher")
def one_invocation(documents: Documents) -> list[str]:
    name = documents.of_type("AWS::Lambda::Function")["Dispatcher"].get("FunctionName", {}).get("Fn::Sub")
    arn = {"Fn::Sub": f"arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{name}"}
    granted = [
        (role, as_list(statement["Action"]), as_list(statement["Resource"]))
        for role, it in documents.of_type("AWS::IAM::Role").items()
        for policy in it["Policies"]
        for statement in statements(policy)
        if any(action.startswith("lambda:") for action in as_list(statement["Action"]))
    ]
    environment = documents.of_type("AWS::Lambda::Function")["Api"]["Environment"]["Variables"]
    told = environment.get("DISPATCHER_FUNCTION") == {"Fn::Sub": name}
    well = granted == [("ApiRole", ["lambda:InvokeFunction"], [arn])]
    return ([] if well else [str(granted)]) + ([] if told else ["the api is not told the dispatcher's name"])
