//! Lambda for the functions of this process: what one of them invokes is called, and answers. Only the dispatcher is invoked
//! by another function; what a queue or a schedule calls is in `mappings` and `schedule`.

use bytes::Bytes;
use redial_dispatcher::Dispatcher;
use redial_platform::invoke::invoked_function;

use crate::connector::{Answer, Service};

/// Answers invocations of one function.
pub(super) struct Lambda {
    function: &'static str,
    dispatcher: Dispatcher,
}

impl Lambda {
    /// The dispatcher, by its name in the template.
    pub(super) const fn new(function: &'static str, dispatcher: Dispatcher) -> Self {
        Self { function, dispatcher }
    }
}

impl Service for Lambda {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        if invoked_function(operation) != Some(self.function) {
            return Answer::error(404, "ResourceNotFoundException", "there is no such function");
        }
        let Ok(payload) = std::str::from_utf8(&body) else {
            return Answer::error(400, "InvalidRequestContentException", "the payload is not UTF-8");
        };
        match self.dispatcher.answer(payload).await {
            Ok(answer) => Answer::json(200, answer.to_string()),
            // As Lambda answers for a function that failed.
            Err(error) => Answer {
                headers: vec![("x-amz-function-error", "Unhandled".to_owned())],
                ..Answer::json(
                    200,
                    serde_json::json!({ "errorMessage": error.to_string() }).to_string(),
                )
            },
        }
    }
}
