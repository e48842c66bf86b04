//! `template.yaml` as the run on one machine reads it. What is read can be run: every queue that is named is there, and nothing
//! is passed over in silence.

use std::time::Duration;

use redial_local::template::Template;

use super::inputs;
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "template",
    max_len: 48 * 1_024,
    run,
    seeds,
};

const SMALL: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Batches: { Type: Number, Default: 7 }
Conditions: { Few: !Equals [!Ref Batches, 7] }
Resources:
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 4 }
  Dead: { Type: AWS::SQS::Queue, Condition: Few }
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 10
      Events:
        Jobs:
          Type: SQS
          Properties:
            Queue: !GetAtt Work.Arn
            BatchSize: !If [Few, 5, 6]
            MaximumBatchingWindowInSeconds: 2
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: { MaximumConcurrency: !Ref Batches }
        Often: { Type: Schedule, Properties: { Schedule: rate(5 minutes) } }
  Rows:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
";

fn seeds() -> Vec<Vec<u8>> {
    let deployed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let deployed = std::fs::read_to_string(deployed).unwrap_or_default();
    inputs([
        SMALL,
        &deployed,
        "a: &a [x]\nb: [*a, *a]\n",
        "a: !Sub '${A}'\n? !Ref x\n: {<<: {}}\n",
        "{\"Resources\":{}}",
        "Resources:\n  Q: {Type: AWS::SQS::Queue}\n  Q: {Type: AWS::SQS::Queue}\n",
    ])
}

fn run(input: &[u8]) {
    let Ok(yaml) = std::str::from_utf8(input) else { return };
    let Ok(template) = Template::read(yaml) else { return };
    for mapping in &template.mappings {
        let queue = template.queue(&mapping.queue).expect("a mapping's queue is there");
        assert!((1..=10).contains(&mapping.batch_size) && mapping.maximum_concurrency >= 2);
        assert!(Duration::from_secs(queue.visibility_s.into()) >= mapping.timeout);
    }
    for queue in &template.queues {
        let redrive = queue.redrive.as_ref();
        assert!(
            redrive.is_none_or(|redrive| template.queue(&redrive.target).is_some()),
            "{}",
            queue.name
        );
    }
    for schedule in &template.schedules {
        assert!(schedule.every >= Duration::from_secs(60));
    }
    assert_eq!(Template::read(yaml).ok().as_ref(), Some(&template));
}
