"""For each check a break that it, and no other, must find: one edit of one file, or one
resource taken away. `policy.py` applies them to copies.

Must never edit two things at once: a check is proven by the smallest thing that it must not miss.
"""

from __future__ import annotations

from dataclasses import dataclass

from documents import EGRESS, ENTRIES, OPERATIONS, TEMPLATE


@dataclass(frozen=True)
class Edit:
    """The first `old` in `file` becomes `new`; the check `breaks` must then fail."""

    breaks: str
    what: str
    old: str
    new: str
    file: str = TEMPLATE


@dataclass(frozen=True)
class Taken:
    """A resource that SAM makes, and no line of a file says, is taken out of what CloudFormation gets."""

    breaks: str
    resource: str

    @property
    def what(self) -> str:
        return f"without {self.resource}"


# As SAM calls what it makes of a function's FunctionUrlConfig.
PERMISSIONS_OF_URLS = [
    "IngestUrlPublicPermissions",
    "IngestURLInvokeAllowPublicAccess",
    "ApiUrlPublicPermissions",
    "ApiURLInvokeAllowPublicAccess",
]


def opened(what: str) -> str:
    """A permission for everybody, before the URL with IAM."""
    permission = f"    Type: AWS::Lambda::Permission\n    Properties: {{ {what}, Principal: '*' }}\n"
    return f"  Opened:\n{permission}\n  IngestIamUrl:\n"


BREAKS: list[Edit | Taken] = [
    Edit(
        "sam validate --lint finds nothing",
        "an attribute of no type",
        "AttributeName: sk, AttributeType: S",
        "AttributeName: sk, AttributeType: T",
    ),
    Edit(
        "cfn-lint finds nothing",
        "an alarm of a queue that is not there",
        "[RetryQueue, QueueName]",
        "[RetryQueue, Name]",
        OPERATIONS,
    ),
    Edit("cfn-lint finds nothing", "a subnet without its VPC", "      VpcId: !Ref Vpc\n", "", EGRESS),
    Edit(
        "parliament finds nothing", "an action with a typing error", "sqs:GetQueueAttributes", "sqs:GetQueueAttribute"
    ),
    Edit(
        "every queue hides a message for six timeouts of its function",
        "a slower dispatcher",
        "      Timeout: 60\n",
        "      Timeout: 61\n",
    ),
    Edit(
        "every mapping reports partial failures",
        "one that fails whole batches",
        "            FunctionResponseTypes: [ReportBatchItemFailures]\n",
        "",
    ),
    Edit(
        "no mapping filters or is switched off",
        "one with a filter",
        "            BatchSize: 10\n",
        "            BatchSize: 10\n            FilterCriteria: { Filters: [{ Pattern: '{}' }] }\n",
    ),
    Edit(
        "no mapping filters or is switched off",
        "one that is off",
        "            BatchSize: 10\n",
        "            BatchSize: 10\n            Enabled: false\n",
    ),
    Edit(
        "every mapping has a concurrency of its own",
        "one without",
        "            ScalingConfig: { MaximumConcurrency: !Ref ReplayConcurrency }\n",
        "",
    ),
    Edit(
        "no function reserves concurrency or may run in a loop",
        "one that reserves",
        "      CodeUri: functions/replay\n",
        "      CodeUri: functions/replay\n      ReservedConcurrentExecutions: 5\n",
    ),
    Edit(
        "no function reserves concurrency or may run in a loop",
        "loop detection off",
        "      CodeUri: functions/replay\n",
        "      CodeUri: functions/replay\n      RecursiveLoop: Allow\n",
    ),
    Edit(
        "every queue keeps its messages for 14 days",
        "one of four days",
        "MessageRetentionPeriod: 1209600",
        "MessageRetentionPeriod: 345600",
    ),
    Edit("every queue is encrypted", "one that is not", "SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false"),
    Edit(
        "what cannot be delivered goes from delivery to retry to dead letters",
        "retries skipped",
        "!GetAtt RetryQueue.Arn, maxReceiveCount: 3",
        "!GetAtt DeadLetterQueue.Arn, maxReceiveCount: 3",
    ),
    Edit(
        "every table is encrypted with a key that the account can watch",
        "one that is not",
        "SSEEnabled: true",
        "SSEEnabled: false",
    ),
    Edit(
        "config can be restored to any second",
        "no recovery",
        "PointInTimeRecoveryEnabled: true",
        "PointInTimeRecoveryEnabled: false",
    ),
    Edit(
        "config cannot be deleted by mistake",
        "no protection",
        "DeletionProtectionEnabled: true",
        "DeletionProtectionEnabled: false",
    ),
    Edit(
        "events go after their retention",
        "no TTL",
        "AttributeName: ttl, Enabled: true",
        "AttributeName: ttl, Enabled: false",
    ),
    Edit(
        "tables and the key of the secrets stay when the stack goes",
        "a table that goes",
        "    DeletionPolicy: Retain\n",
        "    DeletionPolicy: Delete\n",
    ),
    Edit(
        "a URL without IAM may be called and may invoke",
        "a third public URL",
        "      CodeUri: functions/replay\n",
        "      CodeUri: functions/replay\n      FunctionUrlConfig: { AuthType: NONE }\n",
    ),
    *(Taken("a URL without IAM may be called and may invoke", resource) for resource in PERMISSIONS_OF_URLS),
    Edit(
        "everybody may do nothing but call the URLs without IAM",
        "the URL with IAM opened",
        "  IngestIamUrl:\n",
        opened("FunctionName: !Ref IngestIam, Action: 'lambda:InvokeFunctionUrl'"),
    ),
    Edit(
        "everybody may do nothing but call the URLs without IAM",
        "the URL with IAM opened by the name of its alias",
        "  IngestIamUrl:\n",
        opened("FunctionName: !Sub '${Ingest}:iam', Action: 'lambda:InvokeFunctionUrl', FunctionUrlAuthType: AWS_IAM"),
    ),
    Edit(
        "everybody may do nothing but call the URLs without IAM",
        "the function itself opened",
        "  IngestIamUrl:\n",
        opened("FunctionName: !Ref Ingest, Action: 'lambda:InvokeFunction'"),
    ),
    Edit(
        "everybody may do nothing but call the URLs without IAM",
        "any URL of the function opened",
        "  IngestIamUrl:\n",
        opened("FunctionName: !Ref Ingest, Action: 'lambda:InvokeFunctionUrl'"),
    ),
    Edit(
        "the one URL with IAM is that of an alias of ingest",
        "an alias that is not there",
        "Qualifier: iam, AuthType: AWS_IAM",
        "Qualifier: mai, AuthType: AWS_IAM",
    ),
    Edit(
        "every log group has an end",
        "one without",
        "  ApiLogs:\n    Type: AWS::Logs::LogGroup\n    Properties: { RetentionInDays: !Ref LogRetentionDays }",
        "  ApiLogs:\n    Type: AWS::Logs::LogGroup",
    ),
    Edit(
        "every function logs to a group of its own", "two in one", "LogGroup: !Ref ReplayLogs", "LogGroup: !Ref ApiLogs"
    ),
    Edit(
        "every function logs to a group of its own",
        "one in a group that Lambda makes",
        "      LoggingConfig: { LogGroup: !Ref ReplayLogs }\n",
        "",
    ),
    Edit(
        "nothing in a function's environment loosens what it may reach",
        "private targets",
        "        STACK_NAME:",
        "        ALLOW_PRIVATE_TARGETS: 'yes'\n        STACK_NAME:",
    ),
    Edit(
        "nothing in a function's environment loosens what it may reach",
        "plain http",
        "        STACK_NAME:",
        "        ORIGIN: 'http://example.com'\n        STACK_NAME:",
    ),
    Edit(
        "nothing in a function's environment loosens what it may reach",
        "a parameter for it",
        "Parameters:\n",
        "Parameters:\n  TrustedNetworks: { Type: String, Default: '' }\n",
    ),
    Edit(
        "every function is built as the repository has it",
        "a feature of tests",
        "Binary: redial-dispatcher }",
        "Binary: redial-dispatcher, Flags: [--features, test-roots] }",
    ),
    Edit(
        "every function has a role of its own",
        "a shared one",
        "Role: !GetAtt ReplayRole.Arn",
        "Role: !GetAtt ApiRole.Arn",
    ),
    Edit(
        "no role has a wildcard action or resource", "every action of SQS", "Action: sqs:SendMessage", "Action: sqs:*"
    ),
    Edit(
        "no role has a wildcard action or resource",
        "every resource",
        "Resource: !GetAtt DeliveryQueue.Arn",
        'Resource: "*"',
    ),
    Edit(
        "only the api invokes, and nobody but the dispatcher",
        "another function",
        "function:${AWS::StackName}-dispatcher",
        "function:${AWS::StackName}-ingest",
    ),
    Edit(
        "only the api invokes, and nobody but the dispatcher",
        "by another name",
        'FunctionName: !Sub "${AWS::StackName}-dispatcher"',
        'FunctionName: !Sub "${AWS::StackName}-sender"',
    ),
    Edit(
        "what Lambda needs for a fixed address is granted only with one, and to nothing else",
        "always granted",
        "  DispatcherEgress:\n    Type: AWS::IAM::ManagedPolicy\n    Condition: EgressIsFixed\n",
        "  DispatcherEgress:\n    Type: AWS::IAM::ManagedPolicy\n",
    ),
    Edit(
        "what Lambda needs for a fixed address is granted only with one, and to nothing else",
        "creating anything anywhere",
        "Action: [ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets]",
        "Action: [ec2:CreateNetworkInterface, ec2:DescribeSubnets]",
    ),
    Edit(
        "what Lambda needs for a fixed address is granted only with one, and to nothing else",
        "granted to another function",
        "  ReplayRole:\n    Type: AWS::IAM::Role\n    Properties:\n",
        "  ReplayRole:\n    Type: AWS::IAM::Role\n    Properties:\n      ManagedPolicyArns: [!Ref DispatcherEgress]\n",
    ),
    Edit(
        "the dispatcher sends to no queue",
        "it may",
        "[sqs:ReceiveMessage, sqs:DeleteMessage,",
        "[sqs:SendMessage, sqs:ReceiveMessage, sqs:DeleteMessage,",
    ),
    Edit(
        "what is included is written without short forms",
        "one short form",
        "{ Ref: Dispatcher }",
        "!Ref Dispatcher",
        OPERATIONS,
    ),
    Edit(
        "every alarm tells the topic",
        "one that tells nobody",
        "    AlarmActions: [{ Ref: AlarmTopic }]\n",
        "",
        OPERATIONS,
    ),
    Edit(
        "no alarm needs the minute that FILL makes up for late data",
        "every minute of a filled rate",
        "    DatapointsToAlarm: 3\n",
        "    DatapointsToAlarm: 5\n",
        OPERATIONS,
    ),
    Edit(
        "no alarm needs the minute that FILL makes up for late data",
        "every minute, because no number is said",
        "    DatapointsToAlarm: 3\n",
        "",
        OPERATIONS,
    ),
    Edit(
        "no alarm needs the minute that FILL makes up for late data",
        "every minute of a filled sum",
        "Expression: seen + hidden",
        "Expression: FILL(seen, 0) + FILL(hidden, 0)",
        OPERATIONS,
    ),
    Edit(
        "every alarm goes by its name and names its entry in the operations page",
        "one that names another",
        "docs/OPERATIONS.md: DueLag",
        "docs/OPERATIONS.md: Throttles",
        OPERATIONS,
    ),
    Edit(
        "every alarm has an entry with a command, and every entry has an alarm",
        "an entry without an alarm",
        "\n### DueLag\n",
        "\n### DueLag\n\n```\naws\n```\n\n### Gone\n",
        ENTRIES,
    ),
    Edit(
        "every alarm has an entry with a command, and every entry has an alarm",
        "an alarm without an entry",
        "\n### DueLag\n",
        "\n#### DueLag\n",
        ENTRIES,
    ),
    Edit(
        "every metric of ours that is watched is one that the metrics page names",
        "one that nobody writes",
        "MetricName: DueLag",
        "MetricName: DewLag",
        OPERATIONS,
    ),
    Edit(
        "the dashboard shows every alarm that is always there, in widgets that do not cover each other",
        "an alarm left out",
        '"${DueLag.Arn}",',
        "",
        OPERATIONS,
    ),
    Edit(
        "the dashboard shows every alarm that is always there, in widgets that do not cover each other",
        "one widget on another",
        '"x": 6, "y": 4,',
        '"x": 0, "y": 4,',
        OPERATIONS,
    ),
    Edit("every output says what it is", "one that does not", "    Description: Later retries.\n", ""),
]
