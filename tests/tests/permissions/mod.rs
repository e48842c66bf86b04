//! What the roles of the template grant, against what the functions ask AWS for: nothing that they need is denied, and
//! nothing is granted that they never need.

mod erasing;
mod pacing;
mod probing;
mod rotating;
mod scenarios;
mod secrets;

use std::collections::BTreeSet;
use std::path::Path;

use redial_local::permissions::{Call, Gate, Permissions};
use redial_local::template::Template;
use redial_platform::keys;
use redial_platform::store::config::ApiKey;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::world::{Behaviour, World, gate};

/// What the functions asked for in all scenarios, gone through once for all tests.
async fn calls() -> &'static BTreeSet<Call> {
    static CALLS: OnceCell<BTreeSet<Call>> = OnceCell::const_new();
    CALLS
        .get_or_init(|| async {
            let gate = gate();
            Box::pin(scenarios::every_branch(&gate)).await;
            assert_eq!(gate.take_denied(), BTreeSet::new());
            gate.granted()
        })
        .await
}

fn template() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml")).unwrap()
}

/// What Lambda itself does with a function's role, of which no call of the function tells: its poller fetches from the
/// function's queues, and its log service writes what the function logs.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>
fn of_lambda_itself() -> BTreeSet<String> {
    let polls = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
    let logs = ["logs:CreateLogStream", "logs:PutLogEvents"];
    let mappings = Template::built_in().unwrap().mappings;
    let polled = mappings.iter().flat_map(|mapping| {
        let (function, queue) = (&mapping.function, &mapping.queue);
        polls.map(|action| format!("{function} {action} {queue}"))
    });
    let functions: BTreeSet<String> = Permissions::built_in()
        .unwrap()
        .grants()
        .into_iter()
        .map(|grant| grant.function)
        .collect();
    let logged = functions
        .iter()
        .flat_map(|function| logs.map(|action| format!("{function} {action} {function}Logs")));
    polled.chain(logged).collect()
}

fn unused(permissions: &Permissions, calls: &BTreeSet<Call>) -> BTreeSet<String> {
    permissions.unused(calls).iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn nothing_that_a_function_needs_is_denied_and_nothing_granted_is_never_used() {
    let calls = calls().await;
    let permissions = Permissions::built_in().unwrap();
    assert_eq!(permissions.denied(calls), BTreeSet::new());
    assert_eq!(unused(&permissions, calls), of_lambda_itself());
}

#[tokio::test]
async fn each_single_grant_is_missed_when_it_is_taken_away() {
    let calls = calls().await;
    let permissions = Permissions::built_in().unwrap();
    let needed: Vec<_> = permissions
        .grants()
        .into_iter()
        .filter(|grant| !of_lambda_itself().contains(&grant.to_string()))
        .collect();
    assert!(needed.len() > 50, "{}", needed.len());
    for grant in needed {
        assert!(!permissions.without(&grant).denied(calls).is_empty(), "{grant}");
    }
}

/// The template with one text in it replaced, in the role of a function.
fn changed(role: &str, from: &str, to: &str) -> String {
    let template = template();
    let begin = template.find(&format!("  {role}:\n")).unwrap();
    let at = begin + template[begin..].find(from).unwrap();
    format!("{}{to}{}", &template[..at], &template[at + from.len()..])
}

#[tokio::test]
async fn a_grant_that_nobody_needs_is_told() {
    let calls = calls().await;
    for (role, from, to, told) in [
        (
            "IngestRole",
            "Action: dynamodb:Query",
            "Action: [dynamodb:Query, dynamodb:Scan]",
            "Ingest dynamodb:Scan ConfigTable",
        ),
        (
            "ReplayRole",
            r#"["v/*"]"#,
            r#"["v/*", keys]"#,
            "Replay dynamodb:LeadingKeys keys ConfigTable",
        ),
        (
            "SweeperRole",
            "Resource: !GetAtt ReplayQueue.Arn",
            "Resource: [!GetAtt ReplayQueue.Arn, !GetAtt RetryQueue.Arn]",
            "Sweeper sqs:SendMessage RetryQueue",
        ),
        (
            "DispatcherRole",
            "Action: kms:Decrypt",
            "Action: [kms:Decrypt, kms:GenerateDataKey]",
            "Dispatcher kms:GenerateDataKey SecretsKey",
        ),
    ] {
        let permissions = Permissions::read(&changed(role, from, to)).unwrap();
        let more: Vec<String> = unused(&permissions, calls)
            .difference(&of_lambda_itself())
            .cloned()
            .collect();
        assert_eq!(more, [told]);
    }
}

#[tokio::test]
async fn a_function_without_one_of_its_grants_fails_where_it_needs_it() {
    let less = changed("DispatcherRole", "Action: kms:Decrypt", "Action: kms:DescribeKey");
    let gate = Gate::new(Permissions::read(&less).unwrap());
    let world = World::behind(&gate).await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    world.settle().await;
    assert!(world.requests(&endpoint).is_empty(), "nothing leaves unsigned");
    let denied: Vec<String> = gate.take_denied().iter().map(ToString::to_string).collect();
    assert_eq!(denied, ["Dispatcher kms:Decrypt SecretsKey {}"]);
}

#[tokio::test]
async fn ingest_notes_when_a_key_was_last_used_and_may_write_nothing_else_of_keys() {
    let gate = gate();
    let world = World::behind(&gate).await;
    let made = world
        .call("POST", "/v1/keys", json!({"scope": "ingest", "name": "platform"}), 201)
        .await;
    let stored = || async {
        let key = world.store().api_key(made["id"].as_str().unwrap()).await;
        key.unwrap().unwrap()
    };
    let before = stored().await;
    assert_eq!(before.last_used_at, None);
    world.pass_ms(60_000).await;
    let event = json!({"type": "call.ended", "tenant": "nobody", "data": {}});
    let (status, _) = world.request("POST", "/v1/events", made["key"].as_str(), &event).await;
    assert_eq!(status, 422);
    let after = stored().await;
    let used_at = after.last_used_at.unwrap();
    assert_eq!(json!(used_at.to_string()), world.now());
    let unused = ApiKey {
        last_used_at: None,
        ..after
    };
    assert_eq!(unused, before, "nothing else has changed");
    // How it did that, and what it may not.
    let permissions = Permissions::built_in().unwrap();
    let of_ingest = |call: &Call| call.function == "Ingest" && call.keys.contains(keys::API_KEYS);
    let calls: Vec<Call> = gate.granted().into_iter().filter(of_ingest).collect();
    let noted = calls.iter().find(|call| call.action == "dynamodb:UpdateItem").unwrap();
    let put = Call {
        action: "dynamodb:PutItem".to_owned(),
        attributes: BTreeSet::new(),
        ..noted.clone()
    };
    let mut promoted = noted.clone();
    promoted.attributes.insert("j".to_owned());
    for (call, allowed) in [(noted, true), (&put, false), (&promoted, false)] {
        assert_eq!(permissions.allow(call), allowed, "{call} {:?}", call.attributes);
    }
    let writes = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"].map(|write| format!("dynamodb:{write}"));
    let written = calls.iter().filter(|call| writes.contains(&call.action));
    assert_eq!(written.collect::<Vec<_>>(), [noted]);
}

#[test]
fn only_the_api_and_the_dispatcher_may_use_kms_and_read_the_data_key() {
    let grants = Permissions::built_in().unwrap().grants();
    let of = |part: &str| -> Vec<String> {
        let grants = grants.iter().map(ToString::to_string);
        grants.filter(|grant| grant.contains(part)).collect()
    };
    assert_eq!(
        of("kms:"),
        [
            "Api kms:Decrypt SecretsKey",
            "Api kms:GenerateDataKey SecretsKey",
            "Dispatcher kms:Decrypt SecretsKey"
        ]
    );
    // The API reads it and makes it.
    let data_key = "dynamodb:LeadingKeys data-key ConfigTable";
    assert_eq!(
        of("data-key"),
        [
            format!("Api {data_key}"),
            format!("Api {data_key}"),
            format!("Dispatcher {data_key}")
        ]
    );
    // Whoever reads `config` is told which rows.
    let unconditional = template()
        .split("- Effect: Allow")
        .filter(|statement| statement.contains("!GetAtt ConfigTable.Arn") && !statement.contains("LeadingKeys"))
        .count();
    assert_eq!(unconditional, 0);
}
