//! What is refused, whole or entry by entry, and what lies just inside of each limit.

use super::*;

#[tokio::test]
async fn the_size_limit_counts_body_and_attributes_to_the_byte() {
    let stand = stand().await;
    let with = |body_bytes: usize| {
        let attribute = json!({"DataType": "String", "StringValue": "value"});
        json!({"QueueUrl": URL, "MessageBody": "x".repeat(body_bytes), "MessageAttributes": {"name": attribute}})
    };
    let attribute_bytes = "name".len() + "String".len() + "value".len();
    stand.ok("SendMessage", with(1_048_576 - attribute_bytes)).await;
    assert_eq!(
        stand.refused("SendMessage", with(1_048_577 - attribute_bytes)).await,
        "InvalidParameterValue"
    );
    let batch = |bytes: usize| {
        let entry = |n: usize, bytes: usize| json!({"Id": n.to_string(), "MessageBody": "x".repeat(bytes)});
        json!({"QueueUrl": URL, "Entries": [entry(1, bytes), entry(2, 524_288)]})
    };
    stand.ok("SendMessageBatch", batch(524_288)).await;
    let too_long = stand.refused("SendMessageBatch", batch(524_289)).await;
    assert_eq!(too_long, "AWS.SimpleQueueService.BatchRequestTooLong");
    stand
        .ok(
            "SetQueueAttributes",
            json!({"QueueUrl": URL, "Attributes": {"MaximumMessageSize": "1024"}}),
        )
        .await;
    stand
        .ok("SendMessage", json!({"QueueUrl": URL, "MessageBody": "x".repeat(1024)}))
        .await;
    let over = json!({"QueueUrl": URL, "MessageBody": "x".repeat(1025)});
    assert_eq!(stand.refused("SendMessage", over).await, "InvalidParameterValue");
}

#[tokio::test]
async fn characters_outside_of_what_sqs_takes_are_refused_and_those_inside_come_back_unchanged() {
    let stand = stand().await;
    for bad in ["\u{0}", "\u{8}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        let request = json!({"QueueUrl": URL, "MessageBody": format!("a{bad}")});
        assert_eq!(
            stand.refused("SendMessage", request).await,
            "InvalidMessageContents",
            "{bad:?}"
        );
    }
    let good = "\t\n\r ~\u{7f}\u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10ffff} \"\\ü";
    stand
        .ok("SendMessage", json!({"QueueUrl": URL, "MessageBody": good}))
        .await;
    let got = stand.ok("ReceiveMessage", json!({"QueueUrl": URL})).await;
    assert_eq!(got["Messages"][0]["Body"], good);
    assert_eq!(
        stand
            .refused("SendMessage", json!({"QueueUrl": URL, "MessageBody": ""}))
            .await,
        "MissingParameter"
    );
}

#[tokio::test]
async fn requests_out_of_their_bounds_are_refused() {
    let stand = stand().await;
    let receive = |name: &str, value: i64| json!({"QueueUrl": URL, name: value});
    let bad = [
        ("MaxNumberOfMessages", 0),
        ("MaxNumberOfMessages", 11),
        ("WaitTimeSeconds", 21),
        ("WaitTimeSeconds", -1),
        ("VisibilityTimeout", 43_201),
        ("VisibilityTimeout", -1),
    ];
    for (name, value) in bad {
        assert_eq!(
            stand.refused("ReceiveMessage", receive(name, value)).await,
            "InvalidParameterValue",
            "{name} {value}"
        );
    }
    for (name, value) in [
        ("DelaySeconds", json!(901)),
        ("DelaySeconds", json!(-1)),
        ("MessageGroupId", json!("")),
        ("MessageGroupId", json!("x".repeat(129))),
        ("MessageGroupId", json!("with space")),
        ("MessageDeduplicationId", json!("d")),
        (
            "MessageAttributes",
            json!({"": {"DataType": "String", "StringValue": "x"}}),
        ),
        (
            "MessageAttributes",
            json!({"aws.x": {"DataType": "String", "StringValue": "x"}}),
        ),
        (
            "MessageAttributes",
            json!({"a..b": {"DataType": "String", "StringValue": "x"}}),
        ),
        (
            "MessageAttributes",
            json!({"a": {"DataType": "String", "StringValue": ""}}),
        ),
        (
            "MessageAttributes",
            json!({"a": {"DataType": "Float", "StringValue": "x"}}),
        ),
        (
            "MessageAttributes",
            json!({"a": {"DataType": "Number", "StringValue": "x"}}),
        ),
        (
            "MessageAttributes",
            json!({"a": {"DataType": "Binary", "BinaryValue": "!"}}),
        ),
        ("MessageAttributes", json!({"a": {"StringValue": "x"}})),
        (
            "MessageSystemAttributes",
            json!({"Other": {"DataType": "String", "StringValue": "x"}}),
        ),
    ] {
        let request = json!({"QueueUrl": URL, "MessageBody": "x", name: value});
        assert_eq!(
            stand.refused("SendMessage", request).await,
            "InvalidParameterValue",
            "{name} {value}"
        );
    }
    let eleven: serde_json::Map<String, Value> = (0..11)
        .map(|n| (format!("a{n}"), json!({"DataType": "String", "StringValue": "x"})))
        .collect();
    let request = json!({"QueueUrl": URL, "MessageBody": "x", "MessageAttributes": eleven});
    assert_eq!(stand.refused("SendMessage", request).await, "InvalidParameterValue");
    let names = json!({"QueueUrl": URL, "MessageSystemAttributeNames": ["Nonsense"]});
    assert_eq!(stand.refused("ReceiveMessage", names).await, "InvalidAttributeName");
}

#[tokio::test]
async fn a_batch_is_refused_whole_for_its_ids_and_its_length() {
    let stand = stand().await;
    let entries = |ids: &[&str]| {
        let entries: Vec<Value> = ids
            .iter()
            .map(|id| json!({"Id": id, "MessageBody": "x", "ReceiptHandle": "x"}))
            .collect();
        json!({"QueueUrl": URL, "Entries": entries})
    };
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    for action in ["SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"] {
        let code = |code: &str| format!("AWS.SimpleQueueService.{code}");
        assert_eq!(stand.refused(action, entries(&[])).await, code("EmptyBatchRequest"));
        assert_eq!(
            stand.refused(action, entries(&eleven)).await,
            code("TooManyEntriesInBatchRequest")
        );
        assert_eq!(
            stand.refused(action, entries(&["a", "a"])).await,
            code("BatchEntryIdsNotDistinct")
        );
        assert_eq!(
            stand.refused(action, entries(&["a b"])).await,
            code("InvalidBatchEntryId")
        );
    }
    assert_eq!(stand.sqs.counts("q").unwrap().visible, 0);
}

#[tokio::test]
async fn one_bad_entry_does_not_fail_its_neighbours() {
    let stand = stand().await;
    let entry = |id: &str, body: &str, delay: i64| json!({"Id": id, "MessageBody": body, "DelaySeconds": delay});
    let entries = [
        entry("a", "1", 0),
        entry("bad", "\u{0}", 0),
        entry("late", "2", 901),
        entry("b", "3", 0),
    ];
    let sent = stand
        .ok("SendMessageBatch", json!({"QueueUrl": URL, "Entries": entries}))
        .await;
    let ids = |list: &Value| {
        list.as_array()
            .unwrap()
            .iter()
            .map(|e| e["Id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (ids(&sent["Successful"]), ids(&sent["Failed"])),
        (vec!["a".into(), "b".into()], vec!["bad".into(), "late".into()])
    );
    assert_eq!(sent["Failed"][0]["Code"], "InvalidMessageContents");
    assert_eq!(sent["Failed"][0]["SenderFault"], true);

    let got = stand
        .ok("ReceiveMessage", json!({"QueueUrl": URL, "MaxNumberOfMessages": 10}))
        .await;
    let handle = |n: usize| got["Messages"][n]["ReceiptHandle"].clone();
    let entries = json!([
        {"Id": "a", "ReceiptHandle": handle(0), "VisibilityTimeout": 100},
        {"Id": "garbage", "ReceiptHandle": "x", "VisibilityTimeout": 100},
        {"Id": "long", "ReceiptHandle": handle(1), "VisibilityTimeout": 43_201},
    ]);
    let changed = stand
        .ok(
            "ChangeMessageVisibilityBatch",
            json!({"QueueUrl": URL, "Entries": entries}),
        )
        .await;
    assert_eq!(
        (ids(&changed["Successful"]), ids(&changed["Failed"])),
        (vec!["a".into()], vec!["garbage".into(), "long".into()])
    );
    assert_eq!(changed["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
    assert_eq!(changed["Failed"][1]["Code"], "InvalidParameterValue");

    let entries = json!([{"Id": "garbage", "ReceiptHandle": "x"}, {"Id": "a", "ReceiptHandle": handle(0)}, {"Id": "b", "ReceiptHandle": handle(1)}]);
    let deleted = stand
        .ok("DeleteMessageBatch", json!({"QueueUrl": URL, "Entries": entries}))
        .await;
    assert_eq!(
        (ids(&deleted["Successful"]), ids(&deleted["Failed"])),
        (vec!["a".into(), "b".into()], vec!["garbage".into()])
    );
    assert_eq!(stand.sqs.counts("q").unwrap(), crate::Counts::default());
}
