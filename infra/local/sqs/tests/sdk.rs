//! The real AWS SDK against the server, through a connector in process: it must understand every answer and every error.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its stand too")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::operation::create_queue::CreateQueueError;
use aws_sdk_sqs::operation::delete_message::DeleteMessageError;
use aws_sdk_sqs::operation::send_message::SendMessageError;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use redial_sqs::{NowMs, Settings, Sqs};

const T0: i64 = 1_800_000_000_000;

/// Answers the SDK's requests in process.
#[derive(Debug, Clone)]
struct InProcess(Sqs);

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sqs = self.0.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
            let answer = sqs.call(&target, request.body().bytes().unwrap_or_default()).await;
            let mut response = http::Response::builder().status(answer.status);
            for (name, value) in answer.headers {
                response = response.header(name, value);
            }
            let response = response.body(SdkBody::from(answer.body)).unwrap();
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

struct Stand {
    _folder: tempfile::TempDir,
    time: Arc<AtomicI64>,
    sqs: Sqs,
    client: Client,
}

impl Stand {
    async fn new() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let time = Arc::new(AtomicI64::new(T0));
        let clock = Arc::clone(&time);
        let now: NowMs = Arc::new(move || clock.load(Ordering::SeqCst));
        let sqs = Sqs::open(folder.path(), Settings::default(), now).await.unwrap();
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://sqs.local")
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(InProcess(sqs.clone()))
            .build();
        Self {
            _folder: folder,
            time,
            sqs,
            client: Client::from_conf(config),
        }
    }

    fn go_to(&self, at_ms: i64) {
        self.time.store(at_ms, Ordering::SeqCst);
        self.sqs.time_moved();
    }

    async fn queue(&self, name: &str) -> String {
        self.client
            .create_queue()
            .queue_name(name)
            .send()
            .await
            .unwrap()
            .queue_url
            .unwrap()
    }
}

#[tokio::test]
async fn a_message_with_attributes_goes_there_and_back() {
    let stand = Stand::new().await;
    let url = stand.queue("q").await;
    let text = MessageAttributeValue::builder()
        .data_type("String")
        .string_value("attribValue 1")
        .build()
        .unwrap();
    let blob = MessageAttributeValue::builder()
        .data_type("Binary")
        .binary_value(Blob::new(b"\x00\xff"))
        .build()
        .unwrap();
    let sent = stand
        .client
        .send_message()
        .queue_url(&url)
        .message_body("hello")
        .message_group_id("ep_1")
        .message_attributes("attribName1", text.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(
        sent.md5_of_message_attributes(),
        Some("19e27d4e946b072f3f58da80d94fd778")
    );
    let send = stand
        .client
        .send_message()
        .queue_url(&url)
        .message_body("b")
        .message_attributes("raw", blob.clone());
    send.send().await.unwrap();
    let got = stand
        .client
        .receive_message()
        .queue_url(&url)
        .max_number_of_messages(10)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    let [first, second] = got.messages() else {
        panic!("{got:?}")
    };
    assert_eq!(first.message_id(), sent.message_id());
    assert_eq!(first.body(), Some("hello"));
    assert_eq!(first.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(first.message_attributes().unwrap()["attribName1"], text);
    assert_eq!(second.message_attributes().unwrap()["raw"], blob);
    let system = first.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "ep_1");
    stand
        .client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(first.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(stand.sqs.counts("q").unwrap().in_flight, 1);
}

#[tokio::test]
async fn batches_answer_entry_by_entry() {
    let stand = Stand::new().await;
    let url = stand.queue("q").await;
    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder()
            .id(id)
            .message_body(body)
            .build()
            .unwrap()
    };
    let sent = stand
        .client
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("a", "1"))
        .entries(entry("bad", "\u{1}"))
        .entries(entry("b", "2"))
        .send()
        .await
        .unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (2, 1));
    assert_eq!(
        (sent.failed()[0].id(), sent.failed()[0].code()),
        ("bad", "InvalidMessageContents")
    );
    let got = stand
        .client
        .receive_message()
        .queue_url(&url)
        .max_number_of_messages(10)
        .send()
        .await
        .unwrap();
    let handles: Vec<&str> = got
        .messages()
        .iter()
        .filter_map(|m| m.receipt_handle())
        .chain(["garbage"])
        .collect();
    let mut change = stand.client.change_message_visibility_batch().queue_url(&url);
    let mut delete = stand.client.delete_message_batch().queue_url(&url);
    for (n, handle) in handles.iter().enumerate() {
        let id = n.to_string();
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(&id)
            .receipt_handle(*handle)
            .visibility_timeout(90);
        change = change.entries(entry.build().unwrap());
        delete = delete.entries(
            DeleteMessageBatchRequestEntry::builder()
                .id(&id)
                .receipt_handle(*handle)
                .build()
                .unwrap(),
        );
    }
    let changed = change.send().await.unwrap();
    assert_eq!((changed.successful().len(), changed.failed().len()), (2, 1));
    assert_eq!(
        (changed.failed()[0].id(), changed.failed()[0].code()),
        ("2", "ReceiptHandleIsInvalid")
    );
    assert_eq!(stand.sqs.next_deadline(), Some(T0 + 90_000));
    let deleted = delete.send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed().len()), (2, 1));
}

#[tokio::test]
async fn errors_come_back_as_the_types_of_the_sdk() {
    let stand = Stand::new().await;
    let url = stand.queue("q").await;
    let absent = stand
        .client
        .send_message()
        .queue_url("http://sqs.local/000000000000/x")
        .message_body("x")
        .send()
        .await;
    assert!(matches!(
        absent.unwrap_err().into_service_error(),
        SendMessageError::QueueDoesNotExist(_)
    ));
    let bad = stand
        .client
        .send_message()
        .queue_url(&url)
        .message_body("\u{1}")
        .send()
        .await;
    assert!(matches!(
        bad.unwrap_err().into_service_error(),
        SendMessageError::InvalidMessageContents(_)
    ));
    let long = stand
        .client
        .send_message()
        .queue_url(&url)
        .message_body("x".repeat(1_048_577))
        .send()
        .await;
    assert_eq!(
        long.unwrap_err().into_service_error().code(),
        Some("InvalidParameterValue")
    );
    let garbage = stand
        .client
        .delete_message()
        .queue_url(&url)
        .receipt_handle("garbage")
        .send()
        .await;
    assert!(matches!(
        garbage.unwrap_err().into_service_error(),
        DeleteMessageError::ReceiptHandleIsInvalid(_)
    ));
    let other = stand
        .client
        .create_queue()
        .queue_name("q")
        .attributes(QueueAttributeName::DelaySeconds, "1")
        .send()
        .await;
    assert!(matches!(
        other.unwrap_err().into_service_error(),
        CreateQueueError::QueueNameExists(_)
    ));
}

#[tokio::test]
async fn a_failed_message_goes_through_redrive_to_the_dead_letter_queue_and_back() {
    let stand = Stand::new().await;
    let dead = stand.queue("dead").await;
    let arn = QueueAttributeName::QueueArn;
    let got = stand
        .client
        .get_queue_attributes()
        .queue_url(&dead)
        .attribute_names(arn.clone())
        .send()
        .await
        .unwrap();
    let dead_arn = got.attributes().unwrap()[&arn].clone();
    let policy = format!(r#"{{"deadLetterTargetArn":"{dead_arn}","maxReceiveCount":1}}"#);
    let attributes = HashMap::from([
        (QueueAttributeName::RedrivePolicy, policy),
        (QueueAttributeName::VisibilityTimeout, "60".to_owned()),
    ]);
    let main = stand
        .client
        .create_queue()
        .queue_name("main")
        .set_attributes(Some(attributes))
        .send()
        .await
        .unwrap();
    let main = main.queue_url.unwrap();
    stand
        .client
        .send_message()
        .queue_url(&main)
        .message_body("a")
        .delay_seconds(5)
        .send()
        .await
        .unwrap();
    let mut waiting = tokio::spawn(
        stand
            .client
            .receive_message()
            .queue_url(&main)
            .wait_time_seconds(20)
            .send(),
    );
    let moved = async {
        // The clock may only be moved once the message is there to be moved; it is: the send was answered.
        tokio::task::yield_now().await;
        stand.go_to(T0 + 5_000);
    };
    let (received, ()) = tokio::join!(&mut waiting, moved);
    assert_eq!(received.unwrap().unwrap().messages().len(), 1);
    stand.go_to(T0 + 65_000);
    let receive = stand.client.receive_message().queue_url(&dead).visibility_timeout(0);
    let got = receive
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap();
    let system = got.messages()[0].attributes().unwrap();
    assert_eq!(
        system[&MessageSystemAttributeName::DeadLetterQueueSourceArn],
        "arn:aws:sqs:us-east-1:000000000000:main"
    );
    assert_eq!(system[&MessageSystemAttributeName::SentTimestamp], T0.to_string());
    let task = stand
        .client
        .start_message_move_task()
        .source_arn(dead_arn)
        .send()
        .await
        .unwrap();
    assert!(task.task_handle().is_some());
    assert_eq!(stand.sqs.counts("main").unwrap().visible, 1);
    let urls = stand.client.list_queues().send().await.unwrap();
    assert_eq!(urls.queue_urls(), [dead, main]);
}
