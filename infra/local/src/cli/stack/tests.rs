//! What AWS's answers mean for the person at the terminal.

use super::cloudformation::{outputs, refusal};
use super::*;

/// As <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html> shows it, shortened.
const DESCRIBED: &str = r#"<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
  <DescribeStacksResult>
    <Stacks>
      <member>
        <StackName>redial</StackName>
        <StackStatus>CREATE_COMPLETE</StackStatus>
        <Tags><member><Key>Api</Key><Value>no output</Value></member></Tags>
        <Outputs>
          <member>
            <Description>The management API: &lt;REDIAL_URL&gt;</Description>
            <OutputKey>Api</OutputKey>
            <OutputValue>https://abc.lambda-url.eu-central-1.on.aws/?a=1&amp;b=2</OutputValue>
          </member>
          <member><OutputKey>ConfigTableName</OutputKey><OutputValue>redial-ConfigTable-1</OutputValue></member>
          <member><OutputKey>Empty</OutputKey><OutputValue/></member>
        </Outputs>
      </member>
    </Stacks>
  </DescribeStacksResult>
  <ResponseMetadata><RequestId>b9b4b068</RequestId></ResponseMetadata>
</DescribeStacksResponse>"#;

const REFUSED: &str = r#"<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
  <Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id x does not exist</Message></Error>
  <RequestId>1</RequestId>
</ErrorResponse>"#;

#[test]
fn a_stacks_outputs_are_read_and_nothing_else_of_it() {
    let outputs = outputs(DESCRIBED).unwrap();
    let expected = [
        ("Api", "https://abc.lambda-url.eu-central-1.on.aws/?a=1&b=2"),
        ("ConfigTableName", "redial-ConfigTable-1"),
        ("Empty", ""),
    ];
    assert_eq!(
        outputs,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    );
}

#[test]
fn an_answer_that_is_no_answer_is_not_taken_for_one() {
    assert!(outputs("").is_err());
    assert!(outputs("<html><body>proxy").unwrap_or_default().is_empty());
    assert_eq!(refusal("<html/>"), None);
    let (code, message) = refusal(REFUSED).unwrap();
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("ValidationError", "Stack with id x does not exist")
    );
}

#[test]
fn a_refusal_says_what_to_do() {
    let said = |code| StackError::refused("dynamodb:PutItem", code, "some words").to_string();
    for code in ["AccessDenied", "AccessDeniedException"] {
        assert!(said(code).contains("may not dynamodb:PutItem"), "{}", said(code));
    }
    for code in ["ExpiredToken", "ExpiredTokenException"] {
        assert!(said(code).contains("have expired"), "{}", said(code));
    }
    for code in [
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
    ] {
        assert!(said(code).contains(&format!("does not accept these credentials ({code})")));
    }
    assert!(said("ResourceNotFoundException").contains("--region"));
    assert_eq!(
        said("Throttling"),
        "dynamodb:PutItem was refused: Throttling: some words"
    );
}

#[test]
fn what_is_asked_of_a_stack_is_an_output_of_the_template() {
    let template = include_str!("../../../../../template.yaml");
    let outputs = template.split_once("\nOutputs:\n").unwrap().1;
    for name in [CONFIG_TABLE, EVENTS_TABLE, DEAD_LETTER_QUEUE, API] {
        assert!(
            outputs.contains(&format!("\n  {name}:\n")) || outputs.starts_with(&format!("  {name}:\n")),
            "{name}"
        );
    }
}
