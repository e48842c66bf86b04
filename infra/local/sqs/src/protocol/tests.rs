//! The protocol request by request, as JSON; the real SDK is in `tests/conformance`.

mod refusals;

use serde_json::{Value, json};

use crate::stand::{Stand, T0};

const URL: &str = "http://sqs.local/000000000000/q";

impl Stand {
    async fn ask(&self, action: &str, request: Value) -> (u16, Value, String) {
        let answer = self
            .sqs
            .call(&format!("AmazonSQS.{action}"), request.to_string().as_bytes())
            .await;
        let error = answer.headers.iter().find(|(name, _)| *name == "x-amzn-query-error");
        let error = error.map(|(_, value)| value.clone()).unwrap_or_default();
        (answer.status, serde_json::from_slice(&answer.body).unwrap(), error)
    }

    async fn ok(&self, action: &str, request: Value) -> Value {
        let (status, answer, _) = self.ask(action, request).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The code of the error that a request gets.
    async fn refused(&self, action: &str, request: Value) -> String {
        let (status, answer, error) = self.ask(action, request).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["__type"].as_str().unwrap().contains('#'), "{answer}");
        assert!(!answer["message"].as_str().unwrap().is_empty());
        error.strip_suffix(";Sender").unwrap().to_owned()
    }
}

async fn stand() -> Stand {
    let stand = Stand::new().await;
    stand.queue("q", &[]).await;
    stand
}

#[tokio::test]
async fn an_error_has_the_names_that_aws_gives_it() {
    let stand = stand().await;
    let (status, answer, error) = stand.ask("GetQueueUrl", json!({"QueueName": "absent"})).await;
    assert_eq!(status, 400);
    assert_eq!(answer["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    assert_eq!(error, "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert_eq!(
        stand.refused("DeleteQueue", json!({"QueueUrl": URL})).await,
        "InvalidAction"
    );
    assert_eq!(stand.refused("SendMessage", json!([1])).await, "MalformedInput");
    assert_eq!(
        stand.refused("SendMessage", json!({"MessageBody": "x"})).await,
        "MissingParameter"
    );
    assert_eq!(
        stand.refused("SendMessage", json!({"QueueUrl": URL})).await,
        "MissingParameter"
    );
    let elsewhere = json!({"QueueUrl": "http://sqs.local/111111111111/q", "MessageBody": "x"});
    assert_eq!(
        stand.refused("SendMessage", elsewhere).await,
        "AWS.SimpleQueueService.NonExistentQueue"
    );
}

#[tokio::test]
async fn queues_are_made_listed_and_described() {
    let stand = stand().await;
    let arn = stand.sqs.settings().arn("q");
    let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": "5"}).to_string();
    let attributes = json!({"VisibilityTimeout": "60", "RedrivePolicy": policy});
    let made = stand
        .ok("CreateQueue", json!({"QueueName": "main", "Attributes": attributes}))
        .await;
    assert_eq!(made["QueueUrl"], "http://sqs.local/000000000000/main");
    assert_eq!(stand.ok("GetQueueUrl", json!({"QueueName": "main"})).await, made);
    let other = json!({"QueueName": "main", "Attributes": {"VisibilityTimeout": "61"}});
    assert_eq!(stand.refused("CreateQueue", other).await, "QueueAlreadyExists");
    let listed = stand.ok("ListQueues", json!({"QueueNamePrefix": "m"})).await;
    assert_eq!(listed["QueueUrls"], json!([made["QueueUrl"]]));
    let page = stand.ok("ListQueues", json!({"MaxResults": 1})).await;
    let rest = stand
        .ok("ListQueues", json!({"MaxResults": 1, "NextToken": page["NextToken"]}))
        .await;
    assert_eq!(rest, json!({"QueueUrls": [URL]}));

    let url = &made["QueueUrl"];
    stand
        .ok(
            "SetQueueAttributes",
            json!({"QueueUrl": url, "Attributes": {"DelaySeconds": "7"}}),
        )
        .await;
    let all = stand
        .ok(
            "GetQueueAttributes",
            json!({"QueueUrl": url, "AttributeNames": ["All"]}),
        )
        .await;
    let all = &all["Attributes"];
    assert_eq!(
        (&all["VisibilityTimeout"], &all["DelaySeconds"]),
        (&json!("60"), &json!("7"))
    );
    assert_eq!(all["QueueArn"], "arn:aws:sqs:us-east-1:000000000000:main");
    assert_eq!(all["CreatedTimestamp"], (T0 / 1000).to_string());
    let policy: Value = serde_json::from_str(all["RedrivePolicy"].as_str().unwrap()).unwrap();
    assert_eq!(policy, json!({"deadLetterTargetArn": arn, "maxReceiveCount": 5}));
    let one = json!({"QueueUrl": url, "AttributeNames": ["DelaySeconds", "Policy"]});
    assert_eq!(
        stand.ok("GetQueueAttributes", one).await,
        json!({"Attributes": {"DelaySeconds": "7"}})
    );
    let unknown = json!({"QueueUrl": url, "AttributeNames": ["Nonsense"]});
    assert_eq!(
        stand.refused("GetQueueAttributes", unknown).await,
        "InvalidAttributeName"
    );
}

#[tokio::test]
async fn the_counts_say_what_is_visible_in_flight_and_delayed() {
    let stand = stand().await;
    for delay in [0, 0, 0, 60] {
        stand
            .ok(
                "SendMessage",
                json!({"QueueUrl": URL, "MessageBody": "a", "DelaySeconds": delay}),
            )
            .await;
    }
    stand.ok("ReceiveMessage", json!({"QueueUrl": URL})).await;
    let request = json!({"QueueUrl": URL, "AttributeNames": ["All"]});
    let all = stand.ok("GetQueueAttributes", request).await["Attributes"].clone();
    assert_eq!(all["ApproximateNumberOfMessages"], "2");
    assert_eq!(all["ApproximateNumberOfMessagesNotVisible"], "1");
    assert_eq!(all["ApproximateNumberOfMessagesDelayed"], "1");
    stand.ok("PurgeQueue", json!({"QueueUrl": URL})).await;
    assert_eq!(
        stand.refused("PurgeQueue", json!({"QueueUrl": URL})).await,
        "AWS.SimpleQueueService.PurgeQueueInProgress"
    );
}

#[tokio::test]
async fn a_receive_gives_the_attributes_that_it_was_asked_for() {
    let stand = stand().await;
    let attributes = json!({
        "trace.id": {"DataType": "String", "StringValue": "t"},
        "trace.n": {"DataType": "Number.int", "StringValue": "-12.5e3"},
        "raw": {"DataType": "Binary", "BinaryValue": "AAEC"},
    });
    let header =
        json!({"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}});
    let send = json!({"QueueUrl": URL, "MessageBody": "x", "MessageGroupId": "ep_1", "MessageAttributes": attributes, "MessageSystemAttributes": header});
    let sent = stand.ok("SendMessage", send).await;
    assert!(sent["MD5OfMessageSystemAttributes"].is_string());
    let receive = |more: Value| {
        let mut request = json!({"QueueUrl": URL, "VisibilityTimeout": 0});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let stand = &stand;
        async move { stand.ok("ReceiveMessage", request).await["Messages"][0].clone() }
    };
    let plain = receive(json!({})).await;
    assert!(
        plain["Attributes"].is_null()
            && plain["MessageAttributes"].is_null()
            && plain["MD5OfMessageAttributes"].is_null()
    );
    let all = receive(json!({"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]})).await;
    assert_eq!(all["MessageAttributes"], attributes);
    assert_eq!(all["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"]);
    assert_eq!(all["MD5OfBody"], sent["MD5OfMessageBody"]);
    let system = &all["Attributes"];
    assert_eq!(system["ApproximateReceiveCount"], "2");
    assert_eq!(system["SentTimestamp"], T0.to_string());
    assert_eq!(system["ApproximateFirstReceiveTimestamp"], T0.to_string());
    assert_eq!(system["MessageGroupId"], "ep_1");
    assert_eq!(system["SenderId"], "000000000000");
    assert_eq!(system["AWSTraceHeader"], "Root=1-5759e988-bd862e3fe1be46a994272793");
    let some = receive(json!({"AttributeNames": ["SenderId"], "MessageAttributeNames": ["trace.*"]})).await;
    assert_eq!(some["Attributes"], json!({"SenderId": "000000000000"}));
    assert_eq!(some["MessageAttributes"].as_object().unwrap().len(), 2);
    assert_ne!(
        some["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"],
        "the digest is of what is answered"
    );
}

#[tokio::test]
async fn a_short_poll_at_the_in_flight_limit_is_over_limit_and_a_long_poll_finds_nothing() {
    let stand = Stand::with(crate::Settings {
        in_flight: 1,
        ..crate::Settings::default()
    })
    .await;
    stand.queue("q", &[]).await;
    stand.send("q", &["a", "b"]).await;
    assert_eq!(stand.bodies("q", 30).await.len(), 1);
    assert_eq!(
        stand.refused("ReceiveMessage", json!({"QueueUrl": URL})).await,
        "OverLimit"
    );
    assert!(stand.bodies("q", 30).await.is_empty());
    let waiting = stand.ok("ReceiveMessage", json!({"QueueUrl": URL, "WaitTimeSeconds": 5}));
    let (got, ()) = tokio::join!(waiting, async { stand.go_to(T0 + 5_000) });
    assert_eq!(got, json!({}));
}

#[tokio::test]
async fn a_receive_without_a_wait_waits_as_long_as_its_queue_says() {
    let stand = stand().await;
    let set = json!({"QueueUrl": URL, "Attributes": {"ReceiveMessageWaitTimeSeconds": "5"}});
    stand.ok("SetQueueAttributes", set).await;
    let waiting = stand.ok("ReceiveMessage", json!({"QueueUrl": URL}));
    let (got, ()) = tokio::join!(waiting, stand.send("q", &["a"]));
    assert_eq!(got["Messages"][0]["Body"], "a");
    assert_eq!(
        stand
            .ok("ReceiveMessage", json!({"QueueUrl": URL, "WaitTimeSeconds": 0}))
            .await,
        json!({})
    );
}

#[tokio::test]
async fn a_move_task_is_done_when_it_is_answered_and_refuses_what_it_would_not_do() {
    let stand = stand().await;
    stand.queue("dead", &[]).await;
    stand.queue_to("main", "dead", 1).await;
    stand.send("main", &["a"]).await;
    assert_eq!(stand.bodies("main", 1).await, ["a"]);
    stand.go_to(T0 + 1_000);
    let arn = |name: &str| stand.sqs.settings().arn(name);
    let rate = json!({"SourceArn": arn("dead"), "MaxNumberOfMessagesPerSecond": 5});
    assert_eq!(
        stand.refused("StartMessageMoveTask", rate).await,
        "AWS.SimpleQueueService.UnsupportedOperation"
    );
    assert_eq!(
        stand
            .refused("StartMessageMoveTask", json!({"SourceArn": arn("x")}))
            .await,
        "ResourceNotFoundException"
    );
    assert_eq!(
        stand
            .refused("StartMessageMoveTask", json!({"SourceArn": arn("q")}))
            .await,
        "InvalidParameterValue"
    );
    let task = stand
        .ok(
            "StartMessageMoveTask",
            json!({"SourceArn": arn("dead"), "DestinationArn": arn("q")}),
        )
        .await;
    assert!(task["TaskHandle"].is_string());
    assert_eq!(stand.bodies("q", 30).await, ["a"]);
}
