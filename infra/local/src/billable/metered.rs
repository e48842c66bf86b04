//! The meter before a service: every request that gets as far as the service passes here, whichever client made it. Those
//! that a role does not grant, and those that a fault kept from arriving, do not: AWS bills neither.

use bytes::Bytes;

use super::{DYNAMODB, INVOKE, KMS, LAMBDA, Meter, Used, dynamodb, sqs};
use crate::connector::{Answer, Service};
use crate::permissions::Api;

/// A service behind a meter; without one it is the service.
pub(crate) struct Metered<S> {
    pub(crate) service: S,
    pub(crate) api: Api,
    pub(crate) meter: Option<Meter>,
}

impl<S: Service> Service for Metered<S> {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let Some(meter) = &self.meter else {
            return self.service.answer(operation, body).await;
        };
        match self.api {
            Api::DynamoDb => {
                let (answer, used) = dynamodb::answer(&self.service, operation, body).await;
                meter.add(DYNAMODB, operation, used);
                answer
            }
            Api::Sqs => {
                let used = sqs::of_request(operation, &body);
                meter.add(super::SQS, operation, used);
                self.service.answer(operation, body).await
            }
            Api::Kms => {
                meter.add(KMS, operation, Used::request());
                self.service.answer(operation, body).await
            }
            // Which function it is, the one that made the client knows; the path has it too.
            Api::Lambda => {
                meter.add(LAMBDA, INVOKE, Used::request());
                self.service.answer(operation, body).await
            }
        }
    }
}
