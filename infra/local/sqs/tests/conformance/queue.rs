//! One queue of a target, and what the tests do with it again and again. It asks; it asserts only that it was answered.

use aws_sdk_sqs::operation::receive_message::builders::ReceiveMessageFluentBuilder;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

use crate::target::Target;

/// Seconds of one long poll.
const POLL_S: i32 = 2;
/// Long polls after which a message that does not come is one that does not come.
const POLLS: usize = 10;

/// A queue.
pub(crate) struct Queue<'a> {
    target: &'a Target,
    pub(crate) name: String,
    pub(crate) url: String,
}

impl<'a> Queue<'a> {
    pub(crate) fn new(target: &'a Target, name: String, url: String) -> Self {
        Self { target, name, url }
    }

    /// A message to be sent.
    pub(crate) fn sending(&self, body: impl Into<String>) -> SendMessageFluentBuilder {
        let send = self.target.client.send_message();
        send.queue_url(&self.url).message_body(body)
    }

    /// Sends messages, one call each.
    pub(crate) async fn send(&self, bodies: &[&str]) {
        for body in bodies {
            self.sending(*body).send().await.unwrap();
        }
    }

    /// Sends messages of one group, ten a call.
    pub(crate) async fn send_group(&self, group: Option<&str>, bodies: &[String]) {
        for ten in bodies.chunks(10) {
            let mut batch = self.target.client.send_message_batch().queue_url(&self.url);
            for (n, body) in ten.iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder().id(n.to_string());
                let entry = entry.message_body(body).set_message_group_id(group.map(str::to_owned));
                batch = batch.entries(entry.build().unwrap());
            }
            let sent = batch.send().await.unwrap();
            assert_eq!(sent.failed(), []);
        }
    }

    /// A receive of up to ten messages with everything about them, that does not wait.
    pub(crate) fn receiving(&self) -> ReceiveMessageFluentBuilder {
        let receive = self.target.client.receive_message().queue_url(&self.url);
        receive
            .max_number_of_messages(10)
            .wait_time_seconds(0)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
    }

    /// Receives exactly `n` messages, waiting for them; hidden for the queue's timeout, or for `visibility_s`.
    pub(crate) async fn take(&self, n: usize, visibility_s: Option<i32>) -> Vec<Message> {
        let mut taken = Vec::new();
        for _ in 0..POLLS {
            let most = i32::try_from((n - taken.len()).min(10)).unwrap();
            let receive = self.receiving().max_number_of_messages(most).wait_time_seconds(POLL_S);
            let got = receive.set_visibility_timeout(visibility_s).send().await.unwrap();
            taken.extend(got.messages.unwrap_or_default());
            if taken.len() == n {
                return taken;
            }
        }
        panic!("{} gave {} of {n} messages: {taken:?}", self.name, taken.len());
    }

    /// Receives the one message that there is.
    pub(crate) async fn take_one(&self, visibility_s: Option<i32>) -> Message {
        self.take(1, visibility_s).await.remove(0)
    }

    /// What a receive finds that does not wait.
    pub(crate) async fn find(&self) -> Vec<Message> {
        self.receiving().send().await.unwrap().messages.unwrap_or_default()
    }

    /// Changes how long a message stays hidden.
    pub(crate) async fn hide(&self, message: &Message, seconds: i32) {
        let change = self.target.client.change_message_visibility().queue_url(&self.url);
        let change = change.receipt_handle(handle(message)).visibility_timeout(seconds);
        change.send().await.unwrap();
    }

    /// Deletes a message.
    pub(crate) async fn delete(&self, message: &Message) {
        let delete = self.target.client.delete_message().queue_url(&self.url);
        delete.receipt_handle(handle(message)).send().await.unwrap();
    }

    /// Sets one attribute.
    pub(crate) async fn set(&self, name: QueueAttributeName, value: &str) {
        let set = self.target.client.set_queue_attributes().queue_url(&self.url);
        set.attributes(name, value).send().await.unwrap();
    }

    /// One attribute, which must be there.
    pub(crate) async fn attribute(&self, name: QueueAttributeName) -> String {
        let get = self.target.client.get_queue_attributes().queue_url(&self.url);
        let got = get.attribute_names(name.clone()).send().await.unwrap();
        got.attributes().unwrap()[&name].clone()
    }

    /// How many messages are visible, in flight and delayed, as the attributes say.
    pub(crate) async fn counts(&self) -> [String; 3] {
        [
            self.attribute(QueueAttributeName::ApproximateNumberOfMessages).await,
            self.attribute(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
                .await,
            self.attribute(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
                .await,
        ]
    }

    /// Its ARN.
    pub(crate) async fn arn(&self) -> String {
        self.attribute(QueueAttributeName::QueueArn).await
    }

    /// The redrive policy that names this queue as the dead-letter queue.
    pub(crate) async fn policy(&self, receives: u32) -> String {
        let arn = self.arn().await;
        format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{receives}}}"#)
    }
}

/// The handle of a received message.
pub(crate) fn handle(message: &Message) -> &str {
    message.receipt_handle().unwrap()
}

/// A system attribute of a received message; the empty text if it has none.
pub(crate) fn system<'m>(message: &'m Message, name: &MessageSystemAttributeName) -> &'m str {
    let attributes = message.attributes();
    attributes.and_then(|all| all.get(name)).map_or("", String::as_str)
}

/// How often a message was received, as it says.
pub(crate) fn receives(message: &Message) -> &str {
    system(message, &MessageSystemAttributeName::ApproximateReceiveCount)
}

/// A text attribute of this type.
pub(crate) fn text(data_type: &str, value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type(data_type);
    attribute.string_value(value).build().unwrap()
}

/// An entry of a batch to be sent.
pub(crate) fn entry(id: &str, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    let entry = SendMessageBatchRequestEntry::builder().id(id);
    entry.message_body(body).build().unwrap()
}

/// An entry of a batch to be deleted.
pub(crate) fn deletion(id: &str, handle: &str) -> DeleteMessageBatchRequestEntry {
    let entry = DeleteMessageBatchRequestEntry::builder().id(id);
    entry.receipt_handle(handle).build().unwrap()
}

/// An entry of a batch of visibility changes.
pub(crate) fn change(id: &str, handle: &str, seconds: Option<i32>) -> ChangeMessageVisibilityBatchRequestEntry {
    let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id);
    let entry = entry.receipt_handle(handle).set_visibility_timeout(seconds);
    entry.build().unwrap()
}
