//! Tests of the permissions: what is read from roles, what requests need, and what is told of both.

use std::sync::Arc;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use redial_platform::Clock;
use serde_json::{Value, json};

use super::*;
use crate::connector::{Answer, Service, dynamodb_client, kms_client, sqs_client};

/// A template with one function, whose role has these statements.
fn template(statements: &str) -> String {
    format!(
        r#"
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Rows:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{{ AttributeName: pk, KeyType: HASH }}, {{ AttributeName: sk, KeyType: RANGE }}]
  Worker:
    Type: AWS::Serverless::Function
    Properties: {{ Role: !GetAtt WorkerRole.Arn }}
  WorkerRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {{}}
      Policies:
        - PolicyName: worker
          PolicyDocument:
            Version: "2012-10-17"
            Statement: {statements}
"#
    )
}

fn permissions(statements: &str) -> Permissions {
    Permissions::read(&template(statements)).unwrap()
}

fn problem(statements: &str) -> String {
    let error = Permissions::read(&template(statements)).unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    format!("{error} {}", source.unwrap_or_default())
}

fn call(action: &str, resource: &str, keys: &[&str]) -> Call {
    Call {
        function: "Worker".to_owned(),
        action: action.to_owned(),
        resource: resource.to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        attributes: BTreeSet::new(),
    }
}

const READ_ONE: &str = r#"[{ Effect: Allow, Action: [dynamodb:GetItem, dynamodb:Query], Resource: !GetAtt Rows.Arn }]"#;
const BY_KEY: &str = r#"[{ Effect: Allow, Action: dynamodb:PutItem, Resource: !GetAtt Rows.Arn,
  Condition: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": [one, "t/*"] } } }]"#;

#[test]
fn an_action_is_granted_on_the_resource_that_is_named_and_to_that_function_only() {
    let permissions = permissions(READ_ONE);
    assert!(permissions.allow(&call("dynamodb:GetItem", "Rows", &["a"])));
    assert!(!permissions.allow(&call("dynamodb:PutItem", "Rows", &["a"])));
    assert!(!permissions.allow(&call("dynamodb:GetItem", "Others", &["a"])));
    assert!(!permissions.allow(&call("dynamodb:Query", "Rows/index/by_due", &[])));
    let other = Call {
        function: "Other".to_owned(),
        ..call("dynamodb:GetItem", "Rows", &["a"])
    };
    assert!(!permissions.allow(&other));
}

#[test]
fn an_index_is_a_resource_of_its_own() {
    let index = r#"!Sub "${Rows.Arn}/index/by_due""#;
    let permissions = permissions(&format!(
        "[{{ Effect: Allow, Action: dynamodb:Query, Resource: {index} }}]"
    ));
    assert!(permissions.allow(&call("dynamodb:Query", "Rows/index/by_due", &[])));
    assert!(!permissions.allow(&call("dynamodb:Query", "Rows", &[])));
}

#[test]
fn every_leading_key_must_match_a_pattern() {
    let permissions = permissions(BY_KEY);
    for (keys, allowed) in [
        (vec!["one"], true),
        (vec!["t/acme"], true),
        (vec!["one", "t/acme", "t/"], true),
        (vec!["one", "two"], false),
        (vec!["t"], false),
        (vec!["xt/acme"], false),
        // As IAM has it: a request without keys passes `ForAllValues`.
        (vec![], true),
    ] {
        assert_eq!(
            permissions.allow(&call("dynamodb:PutItem", "Rows", &keys)),
            allowed,
            "{keys:?}"
        );
    }
    let needed = BY_KEY.replace(
        "Condition: {",
        "Condition: { \"Null\": { \"dynamodb:LeadingKeys\": \"false\" }, ",
    );
    let needed = Permissions::read(&template(&needed)).unwrap();
    for (keys, allowed) in [(vec!["one"], true), (vec!["two"], false), (vec![], false)] {
        assert_eq!(
            needed.allow(&call("dynamodb:PutItem", "Rows", &keys)),
            allowed,
            "{keys:?}"
        );
    }
    let exact = BY_KEY.replace("StringLike", "StringEquals");
    let permissions = Permissions::read(&template(&exact)).unwrap();
    assert!(permissions.allow(&call("dynamodb:PutItem", "Rows", &["t/*"])));
    assert!(!permissions.allow(&call("dynamodb:PutItem", "Rows", &["t/acme"])));
}

#[test]
fn an_update_may_name_the_attributes_that_are_listed_and_no_other() {
    let permissions = permissions(
        r#"[{ Effect: Allow, Action: dynamodb:UpdateItem, Resource: !GetAtt Rows.Arn,
      Condition: { "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": one, "dynamodb:Attributes": [pk, sk, u] } } }]"#,
    );
    let update = |changes: Value| {
        let mut update = json!({"TableName": "Rows", "Key": {"pk": {"S": "one"}, "sk": {"S": "x"}}});
        update
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        update
    };
    let allows = |operation: &str, body: Value| {
        let needed = permissions.needed(Api::DynamoDb, operation, body.to_string().as_bytes());
        needed.is_some_and(|needed| {
            let granted = |access: request::Access| {
                let call = Call {
                    attributes: access.attributes,
                    keys: access.keys,
                    ..call(&access.action, &access.resource, &[])
                };
                permissions.allow(&call)
            };
            needed.into_iter().all(granted)
        })
    };
    for (changes, allowed) in [
        (
            json!({"UpdateExpression": "SET u = :u", "ConditionExpression": "attribute_exists(pk)"}),
            true,
        ),
        (json!({"UpdateExpression": "set u=if_not_exists(u,:u)"}), true),
        (
            json!({"UpdateExpression": "SET #n = :u", "ExpressionAttributeNames": {"#n": "u"}}),
            true,
        ),
        (json!({"UpdateExpression": "REMOVE u[0].j"}), true),
        (json!({"UpdateExpression": "SET j = :j"}), false),
        (json!({"UpdateExpression": "SET u = :u, j = :j"}), false),
        (json!({"UpdateExpression": "SET u=u-j"}), false),
        (json!({"UpdateExpression": "SET j.u = :j"}), false),
        (json!({"UpdateExpression": "SET u = :u REMOVE j"}), false),
        (
            json!({"UpdateExpression": "SET #u = :u", "ExpressionAttributeNames": {"#u": "j"}}),
            false,
        ),
        (json!({"UpdateExpression": "SET #u = :u"}), false),
        (
            json!({"UpdateExpression": "SET u = :u", "ConditionExpression": "begins_with(j, :j)"}),
            false,
        ),
        (
            json!({"UpdateExpression": "SET u = :u", "ReturnValues": "ALL_OLD"}),
            false,
        ),
        (json!({"AttributeUpdates": {"u": {"Value": {"N": "1"}}}}), false),
        (
            json!({"UpdateExpression": "SET u = :u", "Key": {"pk": {"S": "two"}}}),
            false,
        ),
    ] {
        let update = update(changes);
        assert_eq!(allows("UpdateItem", update.clone()), allowed, "{update}");
        let transaction = json!({"TransactItems": [{ "Update": update }]});
        assert_eq!(
            allows("TransactWriteItems", transaction.clone()),
            allowed,
            "{transaction}"
        );
    }
    assert!(!allows(
        "PutItem",
        json!({"TableName": "Rows", "Item": {"pk": {"S": "one"}}})
    ));
}

#[test]
fn patterns_match_as_iam_says() {
    for (pattern, text, matches) in [
        ("v/*", "v/acme/0", true),
        ("v/*/0", "v/acme/0", true),
        ("v/*/1", "v/acme/0", false),
        ("v/?", "v/a", true),
        ("v/?", "v/", false),
        ("*", "", true),
        ("a", "A", false),
    ] {
        assert_eq!(
            is_like(pattern.as_bytes(), text.as_bytes()),
            matches,
            "{pattern} {text}"
        );
    }
}

#[test]
fn what_is_not_understood_is_an_error_with_a_name() {
    let rows = "Effect: Allow, Action: dynamodb:PutItem, Resource: !GetAtt Rows.Arn";
    for (statement, expected) in [
        (format!("{rows}, Condition: {{ StringEquals: {{ \"aws:PrincipalTag/a\": b }} }}"), "StringEquals"),
        (format!("{rows}, Condition: {{ \"ForAllValues:StringEquals\": {{ \"dynamodb:Attributes\": b }} }}"), "Attributes of anything but UpdateItem"),
        (format!("{rows}, Condition: {{ \"Null\": {{ \"dynamodb:LeadingKeys\": \"true\" }} }}"), "condition"),
        (format!("{rows}, Condition: {{ \"ForAllValues:StringNotEquals\": {{ \"dynamodb:Attributes\": b }} }}"), "condition"),
        (format!("{rows}, Condition: {{ \"ForAllValues:StringEquals\": {{ \"dynamodb:LeadingKeys\": b, \"aws:x\": c }} }}"), "condition"),
        ("Effect: Deny, Action: dynamodb:PutItem, Resource: !GetAtt Rows.Arn".to_owned(), "Deny"),
        ("Effect: Allow, NotAction: dynamodb:PutItem, Resource: !GetAtt Rows.Arn".to_owned(), "NotAction"),
        ("Effect: Allow, Action: dynamodb:PutItem, Resource: \"*\"".to_owned(), "no resource of the template"),
        ("Effect: Allow, Action: dynamodb:PutItem, Resource: !Sub \"${Rows.Arn}/*\"".to_owned(), "no resource of the template"),
        ("Effect: Allow, Action: dynamodb:Query, Resource: !Sub \"${Rows.Arn}/index/a\", Condition: { \"ForAllValues:StringEquals\": { \"dynamodb:LeadingKeys\": b } }".to_owned(), "index"),
    ] {
        let said = problem(&format!("[{{ {statement} }}]"));
        assert!(said.contains("WorkerRole") && said.contains(expected), "{said}");
    }
}

#[test]
fn a_function_without_a_role_of_the_template_is_an_error() {
    let unknown = template(READ_ONE).replace("!GetAtt WorkerRole.Arn", "!GetAtt OtherRole.Arn");
    assert!(
        Permissions::read(&unknown)
            .unwrap_err()
            .to_string()
            .contains("OtherRole")
    );
    let elsewhere = template(READ_ONE).replace("!GetAtt WorkerRole.Arn", "arn:aws:iam::1:role/x");
    assert!(
        Permissions::read(&elsewhere)
            .unwrap_err()
            .to_string()
            .contains("Worker")
    );
}

#[test]
fn what_no_call_needs_is_told_and_what_is_taken_away_is_missed() {
    let both = r#"[{ Effect: Allow, Action: [dynamodb:PutItem, dynamodb:Scan], Resource: !GetAtt Rows.Arn,
      Condition: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": [one, "t/*"] } } }]"#;
    let permissions = permissions(both);
    let calls = BTreeSet::from([call("dynamodb:PutItem", "Rows", &["t/acme"])]);
    let unused: Vec<String> = permissions.unused(&calls).iter().map(ToString::to_string).collect();
    assert_eq!(
        unused,
        ["Worker dynamodb:LeadingKeys one Rows", "Worker dynamodb:Scan Rows"]
    );
    assert_eq!(permissions.grants().len(), 4);
    for grant in permissions.grants() {
        let less = permissions.without(&grant);
        assert_eq!(less.grants().len(), 3, "{grant}");
        let is_needed = !permissions.unused(&calls).contains(&grant);
        assert_eq!(!less.denied(&calls).is_empty(), is_needed, "{grant}");
    }
}

fn needed(api: Api, operation: &str, body: &Value) -> Option<Vec<String>> {
    let permissions = permissions(READ_ONE);
    let needed = permissions.needed(api, operation, body.to_string().as_bytes())?;
    let told = needed
        .iter()
        .map(|access| format!("{} {} {:?}", access.action, access.resource, access.keys));
    Some(told.collect())
}

#[test]
fn each_request_needs_its_action_on_its_resource() {
    let key = |pk: &str| json!({"pk": {"S": pk}, "sk": {"S": "x"}});
    let item = json!({"TableName": "Rows", "Key": key("a"), "Item": key("b")});
    let one = |api, operation, body| needed(api, operation, &body).unwrap().remove(0);
    assert_eq!(
        one(Api::DynamoDb, "GetItem", item.clone()),
        r#"dynamodb:GetItem Rows {"a"}"#
    );
    assert_eq!(
        one(Api::DynamoDb, "PutItem", item.clone()),
        r#"dynamodb:PutItem Rows {"b"}"#
    );
    let query = json!({"TableName": "Rows", "KeyConditionExpression": "#p = :p AND sk > :s",
        "ExpressionAttributeNames": {"#p": "pk"}, "ExpressionAttributeValues": {":p": {"S": "a"}, ":s": {"S": "b"}}});
    assert_eq!(
        one(Api::DynamoDb, "Query", query.clone()),
        r#"dynamodb:Query Rows {"a"}"#
    );
    let mut indexed = query;
    indexed["IndexName"] = json!("by_due");
    assert_eq!(
        one(Api::DynamoDb, "Query", indexed),
        "dynamodb:Query Rows/index/by_due {}"
    );
    assert_eq!(
        one(Api::DynamoDb, "Scan", json!({"TableName": "Rows"})),
        "dynamodb:Scan Rows {}"
    );
    let get = json!({"RequestItems": {"Rows": {"Keys": [key("a"), key("b")]}}});
    assert_eq!(
        one(Api::DynamoDb, "BatchGetItem", get),
        r#"dynamodb:BatchGetItem Rows {"a", "b"}"#
    );
    let write = json!({"RequestItems": {"Rows": [
        {"PutRequest": {"Item": key("a")}}, {"DeleteRequest": {"Key": key("b")}}]}});
    assert_eq!(
        one(Api::DynamoDb, "BatchWriteItem", write),
        r#"dynamodb:BatchWriteItem Rows {"a", "b"}"#
    );
    let sqs = json!({"QueueUrl": "http://127.0.0.1/000000000000/Jobs"});
    assert_eq!(
        one(Api::Sqs, "SendMessageBatch", sqs.clone()),
        "sqs:SendMessage Jobs {}"
    );
    assert_eq!(one(Api::Sqs, "SendMessage", sqs), "sqs:SendMessage Jobs {}");
    let kms = json!({"KeyId": "arn:aws:kms:us-east-1:000000000000:key/SecretsKey"});
    assert_eq!(one(Api::Kms, "Decrypt", kms), "kms:Decrypt SecretsKey {}");
}

#[test]
fn a_transaction_needs_the_action_of_each_item_with_all_its_tables_keys() {
    let key = |pk: &str| json!({"pk": {"S": pk}});
    let body = json!({"TransactItems": [
        {"Put": {"TableName": "Rows", "Item": key("a")}},
        {"Update": {"TableName": "Rows", "Key": key("b")}},
        {"Delete": {"TableName": "Rows", "Key": key("c")}},
        {"ConditionCheck": {"TableName": "Rows", "Key": key("a")}},
    ]});
    let keys = r#"{"a", "b", "c"}"#;
    let expected = ["ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"];
    let expected = expected.map(|action| format!("dynamodb:{action} Rows {keys}"));
    assert_eq!(needed(Api::DynamoDb, "TransactWriteItems", &body).unwrap(), expected);
}

#[test]
fn a_request_that_cannot_be_told_is_not_let_through() {
    for (api, operation, body) in [
        (
            Api::DynamoDb,
            "GetItem",
            json!({"TableName": "Unknown", "Key": {"pk": {"S": "a"}}}),
        ),
        (
            Api::DynamoDb,
            "GetItem",
            json!({"TableName": "Rows", "Key": {"pk": {"N": "1"}}}),
        ),
        (
            Api::DynamoDb,
            "Query",
            json!({"TableName": "Rows", "KeyConditionExpression": "sk = :s"}),
        ),
        (
            Api::DynamoDb,
            "TransactWriteItems",
            json!({"TransactItems": [{"Other": {}}]}),
        ),
        (Api::DynamoDb, "ListTables", json!({})),
        (Api::Sqs, "ListQueues", json!({})),
        (Api::Kms, "Decrypt", json!({"CiphertextBlob": "AA=="})),
    ] {
        assert_eq!(needed(api, operation, &body), None, "{operation} {body}");
    }
}

/// A service that is never reached.
struct Unreachable;

impl Service for Unreachable {
    async fn answer(&self, operation: &str, _: bytes::Bytes) -> Answer {
        panic!("{operation} got through");
    }
}

fn guarded(api: Api, gate: &Arc<Gate>) -> Guarded<Unreachable> {
    Guarded {
        service: Unreachable,
        api,
        caller: Some(Caller::new("Worker", gate)),
    }
}

#[tokio::test]
async fn a_denied_call_never_reaches_the_service_and_is_noted() {
    let gate = Gate::new(permissions(BY_KEY));
    let client = dynamodb_client(guarded(Api::DynamoDb, &gate));
    let put = client
        .put_item()
        .table_name("Rows")
        .item("pk", AttributeValue::S("two".to_owned()));
    let refused = put.send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
    assert!(refused.message().unwrap().contains("dynamodb:PutItem"));
    let sent = sqs_client(guarded(Api::Sqs, &gate))
        .send_message()
        .queue_url("http://x/1/Jobs")
        .message_body("x");
    assert!(
        sent.send()
            .await
            .unwrap_err()
            .code()
            .is_some_and(|code| code.starts_with("AccessDenied"))
    );
    let key = kms_client(guarded(Api::Kms, &gate))
        .generate_data_key()
        .key_id("SecretsKey");
    assert_eq!(key.send().await.unwrap_err().code(), Some("AccessDeniedException"));
    let denied = [
        call("dynamodb:PutItem", "Rows", &["two"]),
        call("kms:GenerateDataKey", "SecretsKey", &[]),
        call("sqs:SendMessage", "Jobs", &[]),
    ];
    assert_eq!(gate.take_denied(), BTreeSet::from(denied));
    assert_eq!(gate.granted(), BTreeSet::new());
}

#[tokio::test]
async fn a_transaction_with_one_item_that_is_not_granted_is_denied_whole() {
    let gate = Gate::new(permissions(BY_KEY));
    let client = dynamodb_client(guarded(Api::DynamoDb, &gate));
    let pk = || AttributeValue::S("one".to_owned());
    let put = Put::builder().table_name("Rows").item("pk", pk()).build().unwrap();
    let delete = Delete::builder().table_name("Rows").key("pk", pk()).build().unwrap();
    let write = client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(put).build())
        .transact_items(TransactWriteItem::builder().delete(delete).build());
    assert_eq!(write.send().await.unwrap_err().code(), Some("AccessDeniedException"));
    assert_eq!(
        gate.take_denied(),
        BTreeSet::from([call("dynamodb:DeleteItem", "Rows", &["one"])])
    );
}

#[test]
fn the_template_is_understood_and_every_function_has_a_role() {
    let permissions = Permissions::built_in().unwrap();
    let functions: BTreeSet<String> = permissions.grants().into_iter().map(|grant| grant.function).collect();
    assert_eq!(
        functions.into_iter().collect::<Vec<_>>(),
        ["Api", "Dispatcher", "Ingest", "Replay", "Sweeper"]
    );
}

#[tokio::test]
async fn a_function_that_the_template_names_may_be_invoked_by_that_name_and_no_other_may() {
    let text = |arn: &str| {
        let statements = format!("[{{ Effect: Allow, Action: lambda:InvokeFunction, Resource: !Sub \"{arn}\" }}]");
        template(&statements).replace(
            "Properties: { Role: !GetAtt WorkerRole.Arn }",
            "Properties: { Role: !GetAtt WorkerRole.Arn, FunctionName: !Sub \"${AWS::StackName}-worker\" }",
        )
    };
    let account = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:";
    let permissions = Permissions::read(&text(&format!("{account}${{AWS::StackName}}-worker"))).unwrap();
    assert!(permissions.allow(&call("lambda:InvokeFunction", "Worker", &[])));
    assert!(Permissions::read(&text(&format!("{account}${{AWS::StackName}}-other"))).is_err());
    assert!(Permissions::read(&text(&format!("{account}*"))).is_err());
    let gate = Gate::new(permissions);
    let invoker = crate::connector::invoker(guarded(Api::Lambda, &gate), "Api", Clock::System);
    let refused = invoker.invoke(b"{}".to_vec()).await.unwrap_err().to_string();
    assert!(refused.ends_with("403: AccessDeniedException"), "{refused}");
    assert_eq!(
        gate.take_denied(),
        BTreeSet::from([call("lambda:InvokeFunction", "Api", &[])])
    );
}
