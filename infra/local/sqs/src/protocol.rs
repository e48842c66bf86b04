//! The AWS JSON 1.0 protocol of SQS: a target and a JSON body in, a status, headers and a JSON body out.
//! Reads and prints; every rule about messages is the engine's. What AWS would refuse is refused with AWS's code.

mod batch;
mod handles;
mod messages;
mod queues;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SqsError;
use crate::sqs::Sqs;

/// The prefix of `x-amz-target`.
const TARGET_PREFIX: &str = "AmazonSQS.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// An HTTP answer, without HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: Vec<u8>,
}

impl Sqs {
    /// Answers one request: `target` is the header `x-amz-target`, `body` the whole body. Never fails; errors are answers.
    /// A receive takes as long as it waits; dropped, it takes nothing more.
    pub async fn call(&self, target: &str, body: &[u8]) -> Answer {
        let mut headers = vec![
            ("content-type", CONTENT_TYPE.to_owned()),
            ("x-amzn-requestid", self.next_request_id()),
        ];
        match self.dispatch(target, body).await {
            Ok(body) => Answer {
                status: 200,
                headers,
                body,
            },
            Err(error) => {
                let fault = if error.is_sender_fault() { "Sender" } else { "Receiver" };
                headers.push(("x-amzn-query-error", format!("{};{fault}", error.code())));
                let body = serde_json::json!({"__type": error.json_type(), "message": error.to_string()});
                Answer {
                    status: error.status(),
                    headers,
                    body: body.to_string().into_bytes(),
                }
            }
        }
    }

    async fn dispatch(&self, target: &str, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        match target.strip_prefix(TARGET_PREFIX).unwrap_or(target) {
            "CreateQueue" => print(&queues::create(self, read(body)?).await?),
            "GetQueueUrl" => print(&queues::url(self, &read(body)?)?),
            "ListQueues" => print(&queues::list(self, &read(body)?)?),
            "GetQueueAttributes" => print(&queues::attributes(self, &read(body)?)?),
            "SetQueueAttributes" => print(&queues::set_attributes(self, &read(body)?).await?),
            "PurgeQueue" => print(&queues::purge(self, &read(body)?).await?),
            "StartMessageMoveTask" => print(&queues::start_move_task(self, &read(body)?).await?),
            "SendMessage" => print(&messages::send(self, read(body)?).await?),
            "SendMessageBatch" => print(&messages::send_batch(self, read(body)?).await?),
            "ReceiveMessage" => messages::receive(self, &read(body)?).await,
            "DeleteMessage" => print(&handles::delete(self, &read(body)?).await?),
            "DeleteMessageBatch" => print(&handles::delete_batch(self, &read(body)?).await?),
            "ChangeMessageVisibility" => print(&handles::change_visibility(self, &read(body)?).await?),
            "ChangeMessageVisibilityBatch" => print(&handles::change_visibility_batch(self, &read(body)?).await?),
            other => Err(SqsError::UnknownOperation(other.to_owned())),
        }
    }

    /// The queue that a request names by its URL.
    fn queue_in<'a>(&self, url: Option<&'a str>) -> Result<&'a str, SqsError> {
        let url = required("QueueUrl", url)?;
        self.settings().name_in_url(url).ok_or(SqsError::QueueDoesNotExist)
    }
}

/// The answer of an action that has nothing to say.
#[derive(Debug, Serialize)]
struct Nothing {}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body).map_err(malformed)
}

fn print<T: Serialize>(answer: &T) -> Result<Vec<u8>, SqsError> {
    serde_json::to_vec(answer).map_err(malformed)
}

fn malformed(error: serde_json::Error) -> SqsError {
    SqsError::Malformed(Arc::new(error))
}

fn required<T>(name: &'static str, value: Option<T>) -> Result<T, SqsError> {
    value.ok_or(SqsError::MissingParameter(name))
}
