//! Tests: the deployed template is understood as docs/DATA.md and docs/ARCHITECTURE.md say, and what cannot be run is named.

use std::error::Error as _;

use super::*;

fn deployed() -> Template {
    Template::built_in().unwrap()
}

/// A queue with a mapping, to be changed by one line in each test.
const SMALL: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Batches: { Type: Number, Default: 7 }
Resources:
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 4 }
  Dead:
    Type: AWS::SQS::Queue
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 10
      Events:
        Jobs:
          Type: SQS
          Properties:
            Queue: !GetAtt Work.Arn
            BatchSize: 5
            MaximumBatchingWindowInSeconds: 2
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: { MaximumConcurrency: !Ref Batches }
        Often:
          Type: Schedule
          Properties: { Schedule: rate(5 minutes) }
";

/// The error that `SMALL` gives when `from` is replaced by `to`, with its causes.
fn refused(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    let error = Template::read(&SMALL.replacen(from, to, 1)).unwrap_err();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[test]
fn a_template_is_read_with_its_references_and_parameters() {
    let template = Template::read(SMALL).unwrap();
    assert_eq!(
        template.queue("Work"),
        Some(&Queue {
            name: "Work".into(),
            visibility_s: 60,
            retention_s: 345_600,
            redrive: Some(Redrive {
                target: "Dead".into(),
                max_receives: 4
            }),
        })
    );
    let mapping = EventSourceMapping {
        function: "Worker".into(),
        timeout: Duration::from_secs(10),
        queue: "Work".into(),
        batch_size: 5,
        window: Duration::from_secs(2),
        maximum_concurrency: 7,
    };
    assert_eq!(template.mappings, [mapping]);
    let every = Duration::from_secs(300);
    assert_eq!(
        template.schedules,
        [Schedule {
            function: "Worker".into(),
            every
        }]
    );
}

#[test]
fn the_long_forms_of_references_are_the_same() {
    let long = SMALL
        .replace("!GetAtt Dead.Arn", "{ 'Fn::GetAtt': [Dead, Arn] }")
        .replace("!Ref Batches", "{ Ref: Batches }");
    assert_eq!(Template::read(&long).unwrap(), Template::read(SMALL).unwrap());
}

#[test]
fn what_is_not_understood_is_named() {
    for (from, to, named) in [
        (
            "VisibilityTimeout: 60",
            "FifoQueue: true",
            "resource Work is not understood: unknown field `FifoQueue`",
        ),
        (
            "VisibilityTimeout: 60",
            "VisibilityTimeout: soon",
            "resource Work is not understood: invalid type",
        ),
        ("!GetAtt Dead.Arn", "!GetAtt Dead.QueueName", "Dead.QueueName is no ARN"),
        (
            "!GetAtt Dead.Arn",
            "!GetAtt Gone.Arn",
            "resource Work: there is no queue Gone",
        ),
        (
            "!GetAtt Dead.Arn",
            "!GetDead Dead.Arn",
            "!GetDead is no function of CloudFormation",
        ),
        (
            "BatchSize: 5",
            "BatchSize: 5000",
            "resource Worker: its BatchSize must be 1 to 10",
        ),
        ("BatchSize: 5", "FilterCriteria: {}", "unknown field `FilterCriteria`"),
        ("BatchSize: 5", "Enabled: false", "unknown field `Enabled`"),
        (
            "FunctionResponseTypes: [ReportBatchItemFailures]",
            "BatchSize: 9",
            "duplicate",
        ),
        (
            "[ReportBatchItemFailures]",
            "[]",
            "resource Worker: its mapping must report partial failures",
        ),
        (
            "Default: 7",
            "MinValue: 7",
            "resource Worker cannot be decided with the defaults of the parameters: parameter Batches has no default",
        ),
        (
            "Default: 7",
            "Default: 1",
            "resource Worker: its MaximumConcurrency must be at least 2",
        ),
        (
            "VisibilityTimeout: 60",
            "VisibilityTimeout: 9",
            "longer than the visibility timeout of Work",
        ),
        (
            "rate(5 minutes)",
            "cron(0 10 * * ? *)",
            "resource Worker: cron(0 10 * * ? *) is no rate",
        ),
        (
            "Timeout: 10",
            "Timeout: 10\n      ReservedConcurrentExecutions: 1",
            "unknown field `ReservedConcurrent",
        ),
        ("Type: Schedule", "Type: SNS", "unknown variant `SNS`"),
        (
            "AWS::SQS::Queue",
            "AWS::Kinesis::Stream",
            "resource Work: there is no AWS::Kinesis::Stream",
        ),
        ("Resources:", "Mappings: {}\nResources:", "unknown field `Mappings`"),
    ] {
        let text = refused(from, to);
        assert!(text.contains(named), "{to}: {text}");
    }
}

/// `SMALL` with two conditions that hang on a parameter, and a queue for one of them.
fn chosen(stage: &str) -> Template {
    let conditions = "
Conditions:
  Large: !And [!Condition Named, !Equals [!Join ['-', [stage, !Ref Stage]], stage-large]]
  Named: !Not [!Equals [!Join ['', !Ref Names], '']]
Resources:
  Extra:
    Type: AWS::SQS::Queue
    Condition: Large
";
    let parameters = format!(
        "Parameters:\n  Stage: {{ Type: String, Default: {stage} }}\n  Names: {{ Type: CommaDelimitedList, Default: 'a, b' }}"
    );
    let text = SMALL
        .replacen("Parameters:", &parameters, 1)
        .replacen("\nResources:\n", conditions, 1)
        .replacen(
            "VisibilityTimeout: 60",
            "VisibilityTimeout: !If [Large, 600, !Ref AWS::NoValue]",
            1,
        );
    Template::read(&text).unwrap()
}

#[test]
fn conditions_are_decided_with_the_defaults() {
    let large = chosen("large");
    assert_eq!(large.queue("Work").unwrap().visibility_s, 600);
    assert!(large.queue("Extra").is_some());
    let small = chosen("small");
    assert_eq!(
        small.queue("Work").unwrap().visibility_s,
        30,
        "what AWS takes if nothing is said"
    );
    assert_eq!(small.queue("Extra"), None);
}

#[test]
fn what_cannot_be_decided_is_named() {
    for (to, named) in [
        (
            "!If [Gone, 60, 70]",
            "resource Work cannot be decided with the defaults of the parameters: there is no condition Gone",
        ),
        ("!If [Round, 60, 70]", "there is no condition Round"),
        ("!If [Odd, 60, 70]", "{\"Fn::Select\":[0,[]]} cannot be decided"),
        ("!If [Odd, 60]", "Fn::If cannot be decided"),
    ] {
        let conditions = "Conditions:\n  Round: !Not [!Condition Round]\n  Odd: !Select [0, []]\nResources:";
        let text = SMALL.replacen("Resources:", conditions, 1);
        let text = text.replacen("VisibilityTimeout: 60", &format!("VisibilityTimeout: {to}"), 1);
        let error = Template::read(&text).unwrap_err();
        let said = format!("{error}: {}", error.source().unwrap());
        assert!(said.contains(named), "{to}: {said}");
    }
}

#[test]
fn what_a_template_includes_is_read_as_if_it_stood_there() {
    let include = "  Fn::Transform: { Name: AWS::Include, Parameters: { Location: parts/more.yaml } }\n";
    let text = format!("{SMALL}{include}");
    assert_eq!(
        Template::read(&text).unwrap_err().to_string(),
        "the template includes parts/more.yaml, which is not there"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    std::fs::write(folder.path().join("template.yaml"), &text).unwrap();
    let more = folder.path().join("parts/more.yaml");
    std::fs::write(&more, "More:\n  Type: AWS::SQS::Queue\n").unwrap();
    let read = Template::from_file(&folder.path().join("template.yaml")).unwrap();
    assert!(read.queue("More").is_some() && read.queue("Work").is_some());
    std::fs::write(&more, "More:\n  Type: AWS::Kinesis::Stream\n").unwrap();
    let strange = Template::from_file(&folder.path().join("template.yaml")).unwrap_err();
    assert_eq!(
        strange.to_string(),
        "resource More: there is no AWS::Kinesis::Stream on one machine"
    );
    let other = text.replace("AWS::Include", "AWS::Other");
    assert!(matches!(Template::read(&other), Err(TemplateError::Document(_))));
}

#[test]
fn rates_are_read_as_event_bridge_reads_them() {
    assert_eq!(rate("rate(1 minute)"), Some(Duration::from_secs(60)));
    assert_eq!(rate("rate(2 hours)"), Some(Duration::from_secs(7_200)));
    for text in [
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(0 minutes)",
        "rate(1)",
        "1 minute",
        "rate(-1 minute)",
    ] {
        assert_eq!(rate(text), None, "{text}");
    }
}

#[test]
fn a_key_needs_its_attributes_defined() {
    let table = "
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: N }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
";
    let read = Template::read(table).unwrap();
    let partition = Attribute {
        name: "pk".into(),
        kind: AttributeKind::Number,
    };
    assert_eq!(read.tables[0].key, Key { partition, sort: None });
    let other = table.replace("[{ AttributeName: pk, KeyType", "[{ AttributeName: id, KeyType");
    let error = Template::read(&other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "resource Things: AttributeDefinitions does not define id"
    );
    let sorted_only = Template::read(&table.replace("KeyType: HASH", "KeyType: RANGE"));
    assert!(matches!(sorted_only, Err(TemplateError::Unsupported { .. })));
}

#[test]
fn the_deployed_tables_are_those_of_the_data_page() {
    let attribute = |name: &str, kind| Attribute {
        name: name.into(),
        kind,
    };
    let text = |name| attribute(name, AttributeKind::String);
    let key = Key {
        partition: text("pk"),
        sort: Some(text("sk")),
    };
    let index = |name: &str, partition, sort| IndexDescription {
        name: name.into(),
        key: Key {
            partition: text(partition),
            sort: Some(sort),
        },
        projection: Projection::All,
    };
    let config = TableDescription {
        name: "ConfigTable".into(),
        key: key.clone(),
        indexes: Vec::new(),
        ttl_attribute: None,
    };
    let events = TableDescription {
        name: "EventsTable".into(),
        key,
        indexes: vec![
            index("by_state", "w", text("sk")),
            index("by_due", "q", attribute("qt", AttributeKind::Number)),
        ],
        ttl_attribute: Some("ttl".into()),
    };
    assert_eq!(deployed().tables, [config, events]);
}

#[test]
fn the_deployed_ladder_is_delivery_then_retry_then_dead_letters() {
    let template = deployed();
    let redrive = |queue: &str| {
        let redrive = template.queue(queue).unwrap().redrive.clone()?;
        Some((redrive.target, redrive.max_receives))
    };
    assert_eq!(redrive("DeliveryQueue"), Some(("RetryQueue".into(), 3)));
    assert_eq!(redrive("RetryQueue"), Some(("DeadLetterQueue".into(), 20)));
    assert_eq!(redrive("ReplayQueue"), Some(("DeadLetterQueue".into(), 5)));
    assert_eq!(redrive("DeadLetterQueue"), None);
}

#[test]
fn every_deployed_queue_has_one_mapping_and_retries_have_their_own() {
    let template = deployed();
    let mut mapped: Vec<_> = template
        .mappings
        .iter()
        .map(|mapping| (mapping.function.as_str(), mapping.queue.as_str(), mapping.batch_size))
        .collect();
    mapped.sort_unstable();
    assert_eq!(
        mapped,
        [
            ("Dispatcher", "DeliveryQueue", 10),
            ("Dispatcher", "RetryQueue", 10),
            ("Replay", "ReplayQueue", 1),
            ("Sweeper", "DeadLetterQueue", 10),
        ]
    );
    let every = Duration::from_secs(60);
    assert_eq!(
        template.schedules,
        [Schedule {
            function: "Sweeper".into(),
            every
        }]
    );
}
